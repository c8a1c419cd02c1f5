"""The wire itself: true byte times, spoiled bits, speeds and noise, on hands that the test turns."""
from __future__ import annotations

import pytest

from mbusgw.mbus.decode import decode_frame
from mbusgw.mbus.session import Session
from mbusgw.model.errors import FormatUnknown, NoAnswer
from mbusgw.simulator.cable import Cable
from mbusgw.simulator.catalogue import build_meter, build_meters
from mbusgw.simulator.chaos import Chaos
from mbusgw.simulator.fault import Fault, FaultKind
from mbusgw.simulator.line import PtyLine
from mbusgw.simulator.virtual import VirtualLine
from mbusgw.transports.serialport import open_port
from tests.simulator.wire import CLOCK, running_segment

REQUEST = bytes.fromhex("107B017C16")
BYTE_S = 11 / 2400


def answer_to(cable: Cable, request: bytes = REQUEST, baudrate: int | None = None) -> list[tuple[float, bytes]]:
    """When which bytes come after a request at time 0."""
    cable.hear(request, 0.0, baudrate)
    came = []
    while (due_mono := cable.due_mono) is not None:
        came.append((due_mono, cable.ripe(due_mono)))
    return came


def test_every_byte_comes_in_its_time() -> None:
    came = answer_to(Cable([build_meter("gas", 1, clock=CLOCK)], baudrate=2400, answer_delay_s=0.02))
    for n, (mono, data) in enumerate(came):
        assert mono == pytest.approx((5 + n + 1) * BYTE_S + 0.02) and len(data) == 1
    assert decode_frame(b"".join(data for _, data in came)).header.address == 1


def test_the_slowest_answer_begins_at_the_end_of_the_window_and_pauses_are_22_bits() -> None:
    meter = build_meter("gas", 1, clock=CLOCK)
    meter.fault = Fault(FaultKind.SLOWEST)
    first = answer_to(Cable([meter], baudrate=2400))[0][0]
    assert first == pytest.approx(5 * BYTE_S + 330 / 2400 + 0.05 + BYTE_S)
    meter.fault = Fault(FaultKind.PIECES)
    times = [mono for mono, _ in answer_to(Cable([meter], baudrate=2400))]
    assert max(after - before for before, after in zip(times, times[1:])) == pytest.approx(BYTE_S + 22 / 2400)


def test_a_late_answer_spoils_the_one_that_comes_then() -> None:
    late, other = build_meters(2, clock=CLOCK)
    late.fault = Fault(FaultKind.LATE, delay_s=0.5, times=1)
    cable = Cable([late, other], baudrate=2400)
    line = VirtualLine(cable)
    session = Session(line, baudrate=2400, mono=line.mono)
    with pytest.raises(NoAnswer):
        session.read_user_data(1)
    cable.hear(bytes.fromhex("107B027D16"), line.now_mono)
    both = b""
    while (due_mono := cable.due_mono) is not None:
        both += cable.ripe(due_mono)
    with pytest.raises(FormatUnknown):
        decode_frame(both)


def test_a_meter_that_holds_the_line_ends_some_time() -> None:
    meter = build_meter("gas", 1, clock=CLOCK)
    meter.fault = Fault(FaultKind.HOLDS, delay_s=3.0, times=1)
    last = answer_to(Cable([meter], baudrate=2400))[-1][0]
    assert 3.0 < last < 4.5


def test_who_listens_at_another_speed_hears_nothing() -> None:
    slow, fast = build_meter("gas", 1, clock=CLOCK), build_meter("gas", 2, clock=CLOCK, baudrate=9600)
    cable = Cable([slow, fast], baudrate=2400)
    assert answer_to(cable, REQUEST, 9600) == []
    assert answer_to(cable, REQUEST, 2400) and answer_to(cable, bytes.fromhex("107B027D16"), 9600)
    assert not answer_to(cable, bytes.fromhex("107B027D16"), None), "behind TCP the speed is the converter's"


def test_who_listens_at_another_speed_than_the_meter_gets_other_bytes() -> None:
    cable = Cable(build_meters(1, clock=CLOCK), baudrate=2400)
    cable.hear(REQUEST, 0.0)
    assert b"\x68" not in cable.ripe(60.0, 9600)


def test_noise_comes_without_a_request_and_is_the_same_for_the_same_seed() -> None:
    def noise(seed: int) -> bytes:
        cable = Cable([], baudrate=2400, chaos=Chaos(seed, 1.0))
        return b"".join(data for _ in range(20) for _, data in answer_to(cable))

    assert noise(1) == noise(1) != noise(2)
    cable = Cable([], baudrate=2400)
    cable.inject(b"\x12\x34", 5.0)
    assert cable.ripe(5.0) == b"" and cable.ripe(6.0) == b"\x12\x34"


def test_a_line_that_was_cut_forgets_what_was_under_way() -> None:
    cable = Cable(build_meters(1, clock=CLOCK), baudrate=2400)
    cable.hear(REQUEST, 0.0)
    cable.fall_silent()
    assert cable.due_mono is None


def test_a_pty_tells_the_speed_that_its_far_end_has_set() -> None:
    line = PtyLine()
    line.open()
    try:
        assert line.baudrate is None, "nobody has set one"
        port = open_port(line.port, baudrate=9600)
        assert line.baudrate == 9600
        port.close()
    finally:
        line.close()
    with running_segment(baudrate=2400) as segment:
        port = open_port(segment.port, baudrate=9600)
        port.write(REQUEST)
        assert port.read(1, 0.3) == b""
        port.close()


def test_hours_pass_in_no_time_on_a_virtual_line() -> None:
    line = VirtualLine(Cable(build_meters(3, clock=CLOCK), baudrate=2400), baudrate=2400)
    session = Session(line, baudrate=2400, mono=line.mono)
    for n in range(30):
        assert session.read_user_data(n % 3 + 1).complete
        line.sleep_until(line.mono() + 600)
    assert line.mono() > 1000 + 30 * 600
