"""What a command may change of a running gateway, until its next start."""
from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Future

from mbusgw.commands.params import Params
from mbusgw.config.kinds import LONGEST_S
from mbusgw.config.models import LOG_LEVELS, log_level
from mbusgw.config.shape import guess
from mbusgw.model.command import Document, Tell
from mbusgw.model.errors import RequestError
from mbusgw.model.settings import MeterSettings
from mbusgw.runtime.chain import then
from mbusgw.wired.lane import WiredLane

#: Oftener than that no bus reads a meter.
INTERVAL_MIN_S = 1.0
#: The word for the interval of the file.
AS_CONFIGURED = "configured"


class LiveSettings:
    """The interval and pause of wired meters, and the level of the logs. **any thread**

    Nothing of it is written to the file: a new start, or a change of the same thing in the file, ends it.
    ``changed`` is told the id of each meter that is polled otherwise, and ``""`` for the gateway.
    """

    def __init__(self, lane: WiredLane, level: str, set_level: Callable[[str], None]) -> None:
        self._lane = lane
        self._level = level
        self._set_level = set_level
        self.changed: Callable[[str], None] = lambda device_id: None

    # -------------------------------------------------- what is in force
    def meters(self) -> Mapping[str, MeterSettings]:
        """Of every wired meter."""
        return {meter.config.id: meter.settings() for meter in self._lane.meters}

    def meter(self, device_id: str) -> MeterSettings | None:
        """Of one meter; None for one that is not wired."""
        meter = self._lane.meter(device_id)
        return meter.settings() if meter is not None else None

    def buses(self) -> list[str]:
        """The names of the buses."""
        return [bus.config.name for bus in self._lane.buses]

    @property
    def level(self) -> str:
        """How much is logged."""
        return self._level

    def set_level(self, level: str) -> None:
        """From now on so much is logged."""
        self._set_level(level)
        self._level = level
        self.changed("")

    # -------------------------------------------------- the command
    def set(self, given: Document, _tell: Tell) -> Document | Future[Document]:
        """``{device, interval, paused}`` or ``{log_level}``; ``interval: "configured"`` is that of the file again."""
        params = Params(given)
        if "log_level" in params:
            level = _level(params)
            params.done()
            self.set_level(level)
            return {"log_level": level}
        meter = self._lane.meter(name := params.text("device"))
        if meter is None:
            known = [one.config.id for one in self._lane.meters]
            near = guess(name, known) or f"there are {', '.join(known[:20]) or 'none'}"
            raise RequestError(
                404, "unknown_device", f"there is no wired device {name[:40]!r}; {near}", field="device"
            )
        reset, interval_s = given.get("interval") == AS_CONFIGURED, None
        if reset:
            params.text("interval")
        else:
            interval_s = params.duration("interval", INTERVAL_MIN_S, LONGEST_S)
        paused = params.flag("paused") if "paused" in params else None
        params.done()
        if not reset and interval_s is None and paused is None:
            raise RequestError(400, "bad_request", "nothing is to be set: give interval, paused or log_level")
        adjusted = meter.adjust(interval_s=interval_s, paused=paused, reset=reset)

        def answer(settings: MeterSettings) -> Document:
            self.changed(name)
            return {"device": name, **settings_document(settings)}

        return then(adjusted, answer)


def settings_document(settings: MeterSettings) -> dict[str, object]:
    """The form in which they are answered."""
    return {
        "interval_s": settings.interval_s,
        "paused": settings.paused,
        "as_configured": settings.as_configured,
    }


def _level(params: Params) -> str:
    level = log_level(params.text("log_level"))
    if level not in LOG_LEVELS:
        raise RequestError(400, "bad_request", f"log_level is one of {', '.join(LOG_LEVELS)}", field="log_level")
    return str(level)
