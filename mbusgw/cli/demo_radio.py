"""The demo's radio meters, and the gateway that hears them and posts their telegrams."""
from __future__ import annotations

import math
import secrets
from collections import deque
from collections.abc import Callable
from dataclasses import replace

from mbusgw.model.errors import OutputError
from mbusgw.model.meter import MeterIdentity
from mbusgw.model.record import Value
from mbusgw.runtime.clock import Clock
from mbusgw.runtime.worker import Worker
from mbusgw.simulator.catalogue import build_meter
from mbusgw.simulator.gateway import SimulatedGateway
from mbusgw.simulator.meter import Channel
from mbusgw.simulator.radio import RadioMeter, Security, telegram
from mbusgw.wmbus.frame import LinkFormat

#: Every radio meter is heard once in so many seconds. Real ones take longer.
INTERVAL_S = 5.0
#: Nobody answers yet: try again after this.
RETRY_S = 0.5
ACCEPTED = 202
TELEGRAMS_KEPT = 1000

WARM_WATER = 0x06
#: A radio module that sends for a heat meter.
ADAPTER = MeterIdentity("90000001", "SIM", 0x01, 0x37)


class Transmitter:
    """A simulated radio meter that remembers what it sent.

    ``sent_values``: any thread; ``telegram``: **own thread** of the gateway
    """

    def __init__(
        self,
        meter: RadioMeter,
        channels: tuple[Channel, ...],
        *,
        seconds: Callable[[], float],
        mode: str,
        rssi_dbm: float,
    ) -> None:
        self.identity = meter.identity
        self.key = meter.key or b""
        self.channels = channels
        self.mode = mode
        self._meter = replace(meter, records=self._records)
        self._seconds = seconds
        self._rssi_dbm = rssi_dbm
        self._access_no = 0
        self._sent: deque[dict[str, Value]] = deque(maxlen=TELEGRAMS_KEPT)

    def telegram(self) -> bytes:
        """The next telegram, encrypted, from the L field on."""
        self._access_no += 1
        return telegram(self._meter, self._access_no)

    def rssi_dbm(self) -> float:
        """How strong it is heard now."""
        return round(self._rssi_dbm + 3 * math.sin(self._seconds() / 17 + self._rssi_dbm))

    def sent_values(self, field: str) -> set[Value]:
        """Every value of ``field`` that was sent of late."""
        return {values[field] for values in list(self._sent)}

    def _records(self) -> bytes:
        at_s = self._seconds()
        values = {channel.field: channel.value_at(at_s) for channel in self.channels}
        self._sent.append(values)
        return b"".join(channel.encode(values[channel.field]) for channel in self.channels)


def build_transmitters(*, clock: Clock) -> list[Transmitter]:
    """Three radio meters with new keys: the two usual ways to encrypt (OMS modes 5 and 7), short and long header."""
    return [
        _transmitter("water", 6, Security.MODE_5, clock, medium=WARM_WATER, mode="T1", rssi_dbm=-67),
        _transmitter(
            "heat_cost_allocator", 7, Security.MODE_7, clock, mode="C1", rssi_dbm=-81, link_format=LinkFormat.A
        ),
        _transmitter("heat", 8, Security.MODE_5, clock, mode="T1", rssi_dbm=-92, adapter=ADAPTER),
    ]


def _transmitter(
    kind: str,
    number: int,
    security: Security,
    clock: Clock,
    *,
    mode: str,
    rssi_dbm: float,
    medium: int | None = None,
    adapter: MeterIdentity | None = None,
    link_format: LinkFormat = LinkFormat.STRIPPED,
) -> Transmitter:
    wired = build_meter(kind, 0, clock=clock, number=number)
    identity = wired.identity if medium is None else replace(wired.identity, medium=medium)
    meter = RadioMeter(
        identity,
        records=bytes,  # the transmitter puts its own in place
        security=security,
        key=secrets.token_bytes(16),
        link_format=link_format,
        adapter=adapter,
        interval_s=INTERVAL_S,
    )
    started_mono = clock.mono()
    return Transmitter(
        meter, wired.channels, seconds=lambda: clock.mono() - started_mono, mode=mode, rssi_dbm=rssi_dbm
    )


class RadioGateway(Worker):
    """Posts what the transmitters send, one after the other. **own thread**; ``accepted``, ``refused``: any thread

    A telegram that nobody answered for is lost, as on the air; that is a fault only once the
    first one was accepted. ``refused`` says why telegrams were not taken.
    """

    def __init__(self, gateway: SimulatedGateway, transmitters: list[Transmitter], *, clock: Clock) -> None:
        super().__init__("sim:radio", clock)
        self.accepted = 0
        self.refused: deque[str] = deque(maxlen=100)
        self._gateway = gateway
        self._transmitters = deque(transmitters)

    def step(self) -> None:
        transmitter = self._transmitters[0]
        try:
            status, answer = self._gateway.post(
                transmitter.telegram(), transmitter.rssi_dbm(), mode=transmitter.mode
            )
        except OutputError as error:
            if self.accepted:
                self.refused.append(str(error))
            self.wait(RETRY_S)
            return
        if status == ACCEPTED:
            self.accepted += 1
        else:
            self.refused.append(f"HTTP {status}: {answer}")
        self._transmitters.rotate(-1)
        # The first round goes out at once, so that nobody looks at an empty screen.
        first_round = self.accepted < len(self._transmitters)
        self.wait(0.2 if first_round else INTERVAL_S / len(self._transmitters))

    def teardown(self) -> None:
        self._gateway.close()
