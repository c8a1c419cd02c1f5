"""Faults are written in one line, and spoil an answer in the way they are named for."""
from __future__ import annotations

from random import Random

import pytest

from mbusgw.mbus.decode import decode_frame
from mbusgw.mbus.frames import LongFrame, parse
from mbusgw.model.errors import FrameDamaged
from mbusgw.simulator.chaos import Chaos
from mbusgw.simulator.fault import HABITS, Fault, FaultKind, Reply, concerns, parse_fault, spoil
from tests.mbus.made import VOLUME, frame

TELEGRAM = frame(VOLUME)
RNG = Random(1)


def spoiled(kind: FaultKind, data: bytes = TELEGRAM) -> Reply:
    reply = spoil(data, Fault(kind, delay_s=2.0), RNG)
    assert reply is not None
    return reply


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("silent", Fault(FaultKind.SILENT)),
        ("late:2.0", Fault(FaultKind.LATE, delay_s=2.0)),
        ("late 0.3 p=0.5 times=4", Fault(FaultKind.LATE, delay_s=0.3, probability=0.5, times=4)),
        ("checksum:p=0.1", Fault(FaultKind.CHECKSUM, probability=0.1)),
        ("holds:10", Fault(FaultKind.HOLDS, delay_s=10)),
    ],
)
def test_a_fault_is_read_and_written(text: str, fault: Fault) -> None:
    assert parse_fault(text) == fault
    assert parse_fault(str(fault)) == fault


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no such fault: ''"),
        ("tired", "there are silent, late"),
        ("silent:2", "no option of silent"),
        ("late:soon", "no option of late"),
        ("late:-1", "no option of late"),
        ("late:nan", "no option of late"),
        ("checksum:p=0", "p=SHARE"),
        ("checksum:p=1.5", "p=SHARE"),
        ("checksum:times=0.5", "times=N"),
        ("checksum:often=1", "times=N"),
    ],
)
def test_a_wrong_fault_is_explained(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_fault(text)


@pytest.mark.parametrize(
    "kind", [FaultKind.TRUNCATED, FaultKind.CHECKSUM, FaultKind.BIT_FLIP, FaultKind.NOISE, FaultKind.TAIL,
             FaultKind.FALSE_START, FaultKind.TWICE]
)
def test_these_are_no_frame_any_more(kind: FaultKind) -> None:
    for _ in range(200):
        with pytest.raises(FrameDamaged):
            parse(spoiled(kind).data)


def test_what_is_still_a_frame_says_something_else() -> None:
    other = decode_frame(spoiled(FaultKind.WRONG_ID).data).header.meter
    assert other is not None and other.id == "12345679"
    assert decode_frame(spoiled(FaultKind.WRONG_ADDRESS).data).header.address == 2
    flags = parse(spoiled(FaultKind.FLAGS).data)
    assert isinstance(flags, LongFrame) and flags.control in (0x18, 0x28, 0x38)
    assert spoiled(FaultKind.ACK_ONLY).data == b"\xE5"


def test_some_only_cost_time() -> None:
    assert spoiled(FaultKind.LATE) == Reply(TELEGRAM, delay_s=2.0)
    assert spoiled(FaultKind.SLOWEST) == Reply(TELEGRAM, slowest=True)
    assert spoiled(FaultKind.HOLDS) == Reply(TELEGRAM, hold_s=2.0)
    assert {bits for _, bits in spoiled(FaultKind.PIECES).pauses} == {22.0}
    ((place, bits),) = spoiled(FaultKind.BROKEN_PIECES).pauses
    assert 0 < place < len(TELEGRAM) and bits > 22
    assert spoil(TELEGRAM, Fault(FaultKind.SILENT), RNG) is None


def test_an_acknowledgement_is_only_lost_or_late() -> None:
    assert [kind for kind in FaultKind if concerns(kind, b"\xE5")] == [
        FaultKind.SILENT, FaultKind.LATE, FaultKind.SLOWEST, FaultKind.REBOOTS
    ]
    assert not any(concerns(kind, TELEGRAM) for kind in HABITS)


def test_chaos_is_the_same_for_the_same_seed_and_has_its_rate() -> None:
    def drawn(seed: int) -> list[str]:
        chaos = Chaos(seed, 0.2)
        return [str(chaos.fault(1)) for _ in range(2000)] + [str(chaos.noise()) for _ in range(200)]

    assert drawn(7) == drawn(7) != drawn(8)
    assert 300 < 2000 - drawn(7)[:2000].count("None") < 500
    chaos = Chaos(1, 1.0, addresses=frozenset((3,)))
    assert chaos.fault(2) is None and chaos.fault(3) is not None
