"""A simulated meter keeps to the rules of the link, and tells what it said."""
from __future__ import annotations

import pytest

from mbusgw.mbus.decode import decode_frame
from mbusgw.mbus.frames import Frame, LongFrame, ShortFrame
from mbusgw.model.address import SecondaryAddress
from mbusgw.model.errors import ApplicationError, MbusgwError
from mbusgw.model.fields import name_fields
from mbusgw.simulator.catalogue import ALL_KINDS, USUAL_TELEGRAMS, build_meter, build_meters
from mbusgw.simulator.fault import Fault, FaultKind
from mbusgw.simulator.meter import SPEED_KEPT_S, SimulatedMeter
from tests.simulator.wire import CLOCK

NKE, FIRST, SECOND = (ShortFrame(control, 1) for control in (0x40, 0x7B, 0x5B))


def ask(meter: SimulatedMeter, frame: Frame) -> bytes:
    reply = meter.answer(frame)
    assert reply is not None
    return reply.data


@pytest.mark.parametrize("kind", [kind for kind in ALL_KINDS if kind not in USUAL_TELEGRAMS])
def test_every_kind_sends_what_it_says_it_sends(kind: str) -> None:
    meter = build_meter(kind, 1, clock=CLOCK)
    telegram = decode_frame(ask(meter, FIRST))
    fields = name_fields(telegram.records)
    assert {name: (field.value, field.unit) for name, field in fields.items()} == dict(meter.expected())
    assert not telegram.problems and telegram.header.meter == meter.identity


def test_a_meter_with_a_long_history_needs_three_telegrams() -> None:
    meter = build_meter("heat_history", 1, clock=CLOCK, telegrams=USUAL_TELEGRAMS["heat_history"])
    telegrams = [decode_frame(ask(meter, frame)) for frame in (FIRST, SECOND, FIRST)]
    fields = name_fields([record for telegram in telegrams for record in telegram.records])
    assert {name: (field.value, field.unit) for name, field in fields.items()} == dict(meter.expected())
    assert len(fields) == 56


def test_values_move_with_time_and_counters_only_grow() -> None:
    seconds = 0.0
    heat = build_meter("heat", 1, clock=CLOCK)
    meter = SimulatedMeter(heat.identity, 1, heat.channels, seconds=lambda: seconds)
    seen = []
    for n in range(200):
        seconds += 30
        ask(meter, FIRST if n % 2 else SECOND)
        seen.append(meter.expected())
    energies = [answer["energy"][0] for answer in seen]
    assert energies == sorted(energies) and len(set(energies)) > 100  # type: ignore[type-var]
    assert len(meter.sent_values("flow_temperature")) > 10
    assert len(meter.sent_values("date_storage_1")) == 1


def test_the_same_fcb_asks_for_the_same_telegram() -> None:
    meter = build_meter("water", 1, clock=CLOCK)
    assert ask(meter, NKE) == b"\xE5"
    first = ask(meter, FIRST)
    assert ask(meter, FIRST) == first
    second = ask(meter, SECOND)
    assert second != first and len(meter.answers) == 2
    ask(meter, NKE)
    assert ask(meter, SECOND) not in (first, second)


def test_a_long_readout_goes_over_several_telegrams_and_starts_anew_after_a_reset() -> None:
    meter = build_meter("electricity", 1, clock=CLOCK, telegrams=3)
    telegrams = [decode_frame(ask(meter, frame)) for frame in (FIRST, SECOND, FIRST)]
    assert [telegram.more_records_follow for telegram in telegrams] == [True, True, False]
    assert len(meter.answers) == 1
    begun = decode_frame(ask(meter, SECOND))
    ask(meter, NKE)
    again = decode_frame(ask(meter, FIRST))
    assert [r.quantity for r in again.records] == [r.quantity for r in begun.records]


def test_a_meter_is_silent_when_it_is_not_asked() -> None:
    meter = build_meter("gas", 1, clock=CLOCK)
    for frame in (ShortFrame(0x7B, 2), ShortFrame(0x7B, 255), ShortFrame(0x49, 1), LongFrame(0x53, 1, 0x54)):
        assert meter.answer(frame) is None
    assert meter.answer(ShortFrame(0x7B, 254)) is not None


@pytest.mark.parametrize("kind", [FaultKind.TRUNCATED, FaultKind.CHECKSUM, FaultKind.NOISE])
def test_a_spoiled_answer_is_no_frame(kind: FaultKind) -> None:
    meter = build_meter("gas", 1, clock=CLOCK)
    meter.fault = Fault(kind)
    assert ask(meter, NKE) == b"\xE5"
    with pytest.raises(MbusgwError):
        decode_frame(ask(meter, FIRST))


def test_faults_can_be_counted_and_go_away() -> None:
    meter = build_meter("gas", 1, clock=CLOCK)
    meter.fault = Fault(FaultKind.SILENT, times=2)
    assert [meter.answer(FIRST) is None for _ in range(3)] == [True, True, False]


def test_the_other_faults_do_what_they_are_named_for() -> None:
    meter = build_meter("gas", 1, clock=CLOCK)
    meter.fault = Fault(FaultKind.LATE, delay_s=0.7)
    late = meter.answer(FIRST)
    assert late is not None and late.delay_s == 0.7
    meter.fault = Fault(FaultKind.WRONG_ADDRESS)
    assert decode_frame(ask(meter, FIRST)).header.address == 2
    meter.fault = Fault(FaultKind.NO_RESET)
    assert meter.answer(NKE) is None and meter.answer(FIRST) is not None
    meter.fault = Fault(FaultKind.APPLICATION_ERROR)
    with pytest.raises(ApplicationError):
        decode_frame(ask(meter, FIRST))


def selection(mask: str) -> LongFrame:
    return LongFrame(0x53, 253, 0x52, SecondaryAddress.parse(mask).wire)


def test_a_selection_that_fits_is_acknowledged_and_any_other_ends_it() -> None:
    meter = build_meter("gas", 1, clock=CLOCK)
    at_253 = ShortFrame(0x7B, 253)
    assert meter.answer(at_253) is None
    for mask in (str(meter.secondary_address), "7FFFFFFFFFFFFFFF", "FFFFFFFFFFFFFF03"):
        assert ask(meter, selection(mask)) == b"\xE5"
        assert decode_frame(ask(meter, at_253)).header.meter == meter.identity
        assert meter.answer(selection("8FFFFFFFFFFFFFFF")) is None
        assert meter.answer(at_253) is None
    assert meter.answer(LongFrame(0x53, 253, 0x52, b"\xFF" * 7)) is None
    assert meter.answer(LongFrame(0x53, 1, 0x52, b"\xFF" * 8)) is None


def test_a_reset_at_address_253_ends_the_selection() -> None:
    meter = build_meter("gas", 1, clock=CLOCK)
    ask(meter, selection("FFFFFFFFFFFFFFFF"))
    assert ask(meter, ShortFrame(0x40, 253)) == b"\xE5"
    assert meter.answer(ShortFrame(0x40, 253)) is None


def test_the_fcb_of_address_253_is_one_of_its_own_and_forgotten_with_each_selection() -> None:
    meter = build_meter("gas", 1, clock=CLOCK)
    at_253 = ShortFrame(0x7B, 253)
    ask(meter, FIRST)
    ask(meter, selection("FFFFFFFFFFFFFFFF"))
    first = ask(meter, at_253)
    assert ask(meter, at_253) == first
    ask(meter, selection("FFFFFFFFFFFFFFFF"))
    second = ask(meter, at_253)
    assert second != first
    meter.fault = Fault(FaultKind.KEEPS_FCB)
    ask(meter, selection("FFFFFFFFFFFFFFFF"))
    assert ask(meter, at_253) == second


def test_a_meter_may_stay_selected_or_answer_for_another() -> None:
    meter = build_meter("gas", 1, clock=CLOCK)
    ask(meter, selection("FFFFFFFFFFFFFFFF"))
    meter.fault = Fault(FaultKind.STAYS_SELECTED)
    assert meter.answer(selection("8FFFFFFFFFFFFFFF")) is None
    assert meter.answer(ShortFrame(0x7B, 253)) is not None
    meter.fault = Fault(FaultKind.WRONG_ID)
    other = decode_frame(ask(meter, FIRST)).header.meter
    assert other is not None and (other.id, meter.identity.id) == ("70000002", "70000001")


def send(meter: SimulatedMeter, ci: int, data: str = "", *, address: int = 1) -> bytes | None:
    reply = meter.answer(LongFrame(0x53, address, ci, bytes.fromhex(data)))
    return None if reply is None else reply.data


def test_a_meter_takes_a_new_primary_address_and_a_new_number() -> None:
    meter = build_meter("gas", 1, clock=CLOCK)
    assert send(meter, 0x51, "017A07") == b"\xE5" and meter.address == 7
    assert send(meter, 0x51, "017A08") is None, "it is not at its old address any more"
    assert send(meter, 0x51, "0C79 78563412", address=7) == b"\xE5" and meter.identity.id == "12345678"
    assert send(meter, 0x51, "0779 4433221193150703", address=7) == b"\xE5"
    assert str(meter.secondary_address) == "1122334493150703"
    for wrong in ("017AFB", "017A", "0C79 7856341F", "0413 00000000", ""):
        assert send(meter, 0x51, wrong, address=7) is None


def test_a_broadcast_is_obeyed_and_not_answered() -> None:
    meter = build_meter("gas", 1, clock=CLOCK)
    assert send(meter, 0x51, "017A07", address=255) is None and meter.address == 7
    assert meter.answer(ShortFrame(0x40, 255)) is None


def test_a_selected_meter_obeys_as_well() -> None:
    meter = build_meter("gas", 1, clock=CLOCK)
    assert send(meter, 0x51, "017A07", address=253) is None and meter.address == 1
    ask(meter, selection(str(meter.secondary_address)))
    assert send(meter, 0x51, "017A07", address=253) == b"\xE5" and meter.address == 7


def test_an_application_reset_leads_back_to_the_first_telegram() -> None:
    meter = build_meter("electricity", 1, clock=CLOCK, telegrams=3)
    begun = decode_frame(ask(meter, FIRST))
    ask(meter, SECOND)
    assert send(meter, 0x50) == b"\xE5" and send(meter, 0x50, "10") == b"\xE5"
    again = decode_frame(ask(meter, SECOND))
    assert [r.quantity for r in again.records] == [r.quantity for r in begun.records]


def test_a_meter_without_an_alarm_acknowledges_the_request_for_one() -> None:
    assert ask(build_meter("gas", 1, clock=CLOCK), ShortFrame(0x7A, 1)) == b"\xE5"


def test_several_faults_of_one_meter_take_their_turns() -> None:
    meter = build_meter("gas", 1, clock=CLOCK)
    meter.faults = (Fault(FaultKind.SILENT, times=1), Fault(FaultKind.ACK_ONLY, times=1), Fault(FaultKind.KEEPS_FCB))
    assert meter.answer(FIRST) is None
    assert ask(meter, FIRST) == b"\xE5"
    assert decode_frame(ask(meter, FIRST)) and meter.fault == Fault(FaultKind.KEEPS_FCB)


def test_a_fault_with_a_probability_befalls_that_share_of_answers() -> None:
    meter = build_meter("gas", 1, clock=CLOCK)
    meter.fault = Fault(FaultKind.SILENT, probability=0.3)
    silent = sum(meter.answer(FIRST) is None for _ in range(1000))
    assert 200 < silent < 400, "the same in every run"


def test_a_meter_that_reboots_forgets_its_place_in_a_readout() -> None:
    meter = build_meter("electricity", 1, clock=CLOCK, telegrams=3)
    begun = decode_frame(ask(meter, FIRST))
    meter.fault = Fault(FaultKind.REBOOTS, times=1)
    assert meter.answer(SECOND) is None
    again = decode_frame(ask(meter, SECOND))
    assert [r.quantity for r in again.records] == [r.quantity for r in begun.records]


def test_habits_of_the_frame_count_bit_and_of_telegrams_without_end() -> None:
    sticks, ignores, endless = (build_meter("electricity", 1, clock=CLOCK, telegrams=2) for _ in range(3))
    sticks.fault, ignores.fault, endless.fault = map(
        Fault, (FaultKind.STICKS, FaultKind.IGNORES_FCB, FaultKind.NEVER_ENDS)
    )
    assert ask(sticks, FIRST) == ask(sticks, SECOND) == ask(sticks, FIRST)
    assert ask(ignores, FIRST) != ask(ignores, FIRST)
    assert all(decode_frame(ask(endless, frame)).more_records_follow for frame in (FIRST, SECOND, FIRST, SECOND))
    assert not endless.answers, "nothing was said completely"


def test_an_access_number_may_stand_still() -> None:
    meter = build_meter("gas", 1, clock=CLOCK)
    meter.fault = Fault(FaultKind.SAME_ACCESS_NO)
    assert len({decode_frame(ask(meter, frame)).header.access_no for frame in (FIRST, SECOND, FIRST)}) == 1


def test_many_meters_have_addresses_and_identities_of_their_own() -> None:
    meters = build_meters(250, clock=CLOCK)
    assert [meter.address for meter in meters] == list(range(1, 251))
    assert len({meter.identity for meter in meters}) == 250


def test_a_meter_follows_a_change_of_speed_and_goes_back_when_nobody_speaks_to_it() -> None:
    seconds = 0.0
    heat = build_meter("heat", 1, clock=CLOCK)
    meter = SimulatedMeter(heat.identity, 1, heat.channels, seconds=lambda: seconds, speeds=(2400, 9600))
    to_9600, to_38400 = (LongFrame(0x53, 1, ci) for ci in (0xBD, 0xBF))
    assert meter.answer(LongFrame(0x53, 2, 0xBD)) is None and meter.speed(2400) == 2400
    assert meter.answer(to_38400) is None and meter.speed(2400) == 2400
    assert ask(meter, to_9600) == b"\xE5" and meter.speed(2400) == 9600
    seconds = SPEED_KEPT_S - 1
    ask(meter, FIRST)
    seconds += SPEED_KEPT_S - 1
    assert meter.speed(2400) == 9600
    seconds += 2
    assert meter.speed(2400) == 2400
