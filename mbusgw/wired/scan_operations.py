"""What can be asked of the scanners: search a bus, stop searching."""
from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future
from typing import Any, Protocol

from mbusgw.commands.params import Params
from mbusgw.config.models import BAUDRATES, DeviceConfig
from mbusgw.model.address import SecondaryAddress
from mbusgw.model.command import Document, Tell
from mbusgw.model.errors import RequestError
from mbusgw.runtime.chain import then
from mbusgw.wired.finds import Finds, configured_as
from mbusgw.wired.operations import of_bus
from mbusgw.wired.scan import Scanner
from mbusgw.wired.survey import PRIMARY, SECONDARY, ScanRequest, ScanResult

KINDS = {"both": (PRIMARY, SECONDARY), PRIMARY: (PRIMARY,), SECONDARY: (SECONDARY,)}
MASK_DIGITS = 16


class Lane(Protocol):
    """The wired lane as it is now."""

    @property
    def scanners(self) -> Sequence[Scanner]: ...

    @property
    def devices(self) -> Sequence[DeviceConfig]: ...

    @property
    def finds(self) -> Finds: ...


class ScanOperations:
    """The operations of the scanners, for the table of commands. **any thread**"""

    def __init__(self, lane: Lane) -> None:
        self._lane = lane

    def scan(self, given: Document, tell: Tell) -> Future[Document]:
        """``{bus, kind: both|primary|secondary, baud, mask, hex, resume}``, all but the bus by choice, and that too
        where there is one only. Progress is told at each step; cancelled, it answers with what it has found.

        Raises ``RequestError`` 400, 404, and 409 where the bus is being scanned.
        """
        params = Params(given)
        scanner = self._scanner(params.text("bus", None))
        kind = params.text("kind", "both")
        if kind not in KINDS:
            raise _wrong("kind", f"kind is one of {', '.join(KINDS)}")
        resume = params.flag("resume")
        request = ScanRequest(
            kinds=KINDS[kind],
            baudrates=params.numbers("baud", BAUDRATES),
            mask=parse_mask(params.text("mask", "")),
            letters=params.flag("hex"),
            resume=resume,
        )
        others = sorted(name for name in ("kind", "baud", "mask", "hex") if name in params)
        params.done()
        if resume and others:
            raise _wrong(others[0], f"resume goes on as the scan was begun, so {others[0]} cannot be chosen")
        if request.mask != SecondaryAddress() and SECONDARY not in request.kinds:
            raise _wrong("mask", "a mask is for the search by secondary address")
        future = scanner.submit(request, lambda progress: tell(progress.document()))
        return then(future, self._document)

    def cancel(self, given: Document, _tell: Tell) -> Document:
        """``{bus}``: ends its scan between two steps; ``{"cancelled": true|false}``. Raises ``RequestError``."""
        params = Params(given)
        scanner = self._scanner(params.text("bus", None))
        params.done()
        return {"bus": scanner.bus.config.name, "cancelled": scanner.cancel()}

    def _scanner(self, name: str | None) -> Scanner:
        return of_bus(name, {scanner.bus.config.name: scanner for scanner in self._lane.scanners})

    def _document(self, result: ScanResult) -> dict[str, Any]:
        devices = list(self._lane.devices)
        return {
            "bus": result.bus,
            "complete": result.complete,
            "probes": result.probes,
            "elapsed_s": round(result.elapsed_s, 1),
            "meters": [
                {**meter.document(), "configured": configured_as(meter, devices)} for meter in result.meters
            ],
        }


def parse_mask(text: str) -> SecondaryAddress:
    """A secondary address with open places (F); what is missing at its end is open. Raises ``RequestError`` 400."""
    try:
        if len(text) > MASK_DIGITS:
            raise ValueError(f"it has more than {MASK_DIGITS} digits")
        return SecondaryAddress.parse(text.upper().ljust(MASK_DIGITS, "F"))
    except ValueError:
        raise _wrong(
            "mask",
            "a mask has up to 16 hex digits: 8 of the number, 4 manufacturer, 2 version, 2 medium; F stands for any",
        ) from None


def _wrong(name: str, message: str) -> RequestError:
    return RequestError(400, "bad_request", message, field=name)
