"""Proprietary meters through the program wmbusmeters, for which a stand-in plays."""
from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mbusgw.model.errors import WmbusmetersError
from mbusgw.model.fields import name_fields
from mbusgw.model.meter import MeterIdentity
from mbusgw.model.telegram import DecodedTelegram, ReceivedTelegram
from mbusgw.parsers.chain import Parts, build_backend
from mbusgw.parsers.local import LocalBackend
from mbusgw.parsers.settings import BackendSettings, WmbusmetersSettings
from mbusgw.parsers.wmbusmeters import PATIENCE, WithWmbusmeters, Wmbusmeters
from mbusgw.parsers.wmbusmeters_answer import records
from mbusgw.runtime.clock import SystemClock
from mbusgw.simulator.radio import address_bytes, encode_link
from mbusgw.wmbus.frame import LinkFormat
from tests.fakes.clock import FakeClock
from tests.fakes.telegrams import received
from tests.fakes.wmbusmeters import StandInWmbusmeters
from tests.wmbus.samples import KEY, RECORDS, WATER

NUMBER = "21202120"
TECHEM = MeterIdentity(NUMBER, "TCH", 0x6A, 0x07)
OTHER = MeterIdentity(NUMBER, "QDS", 0x01, 0x07)
IZAR = {"meter": "izar", "total_m3": 159.832, "last_month_total_m3": 157.76, "last_month_measure_date": "2021-02-01",
        "transmit_period_s": 32, "current_alarms": "no_alarm"}  # fmt: skip


def telegram(
    meter: MeterIdentity = TECHEM, data: str = "a20102", link_format: LinkFormat = LinkFormat.A
) -> ReceivedTelegram:
    return received(raw=encode_link(0x44, address_bytes(meter), bytes.fromhex(data), link_format))


class House:
    """The back end, its program and its time."""

    def __init__(self, program: StandInWmbusmeters, *, timeout_s: float = 60, command: str | None = None) -> None:
        self.program = program
        self.clock = _Clock()
        self.results: list[str] = []
        settings = WmbusmetersSettings(command or program.command, timeout_s)
        self.asker = Wmbusmeters(settings, self.clock, on_result=self.results.append)
        self.backend = WithWmbusmeters(LocalBackend(), self.asker, self.clock)

    def read(self, telegram_: ReceivedTelegram, key: bytes | None = None) -> DecodedTelegram:
        decoded = self.backend.parse(telegram_, key).decoded
        assert decoded is not None
        return decoded

    def later(self) -> None:
        """All pauses are over."""
        self.clock.ahead_s += 1000


class _Clock(SystemClock):
    """Real time, because a process is real, that a test can set forward; the date stands still."""

    ahead_s = 0.0

    def mono(self) -> float:
        return super().mono() + self.ahead_s

    now = FakeClock().now


@pytest.fixture
def program(tmp_path: Path) -> StandInWmbusmeters:
    stand_in = StandInWmbusmeters(tmp_path)
    stand_in.answer(NUMBER, IZAR)
    return stand_in


@pytest.fixture
def house(program: StandInWmbusmeters) -> Iterator[House]:
    house = House(program)
    yield house
    house.backend.close()


def test_a_proprietary_meter_has_fields_like_any_other(house: House) -> None:
    parsed = house.backend.parse(telegram(), None)
    assert parsed.backend == "wmbusmeters" and parsed.decoded is not None
    fields = name_fields(parsed.decoded.records)
    assert {name: (field.value, field.unit) for name, field in fields.items()} == {
        "volume": (Decimal("159.832"), "m³"),
        "volume_storage_1": (Decimal("157.76"), "m³"),
        "date_storage_1": (date(2021, 2, 1), ""),
        "transmit_period": (Decimal("0.0089"), "h"),
        "current_alarms": ("no_alarm", ""),
    }
    assert parsed.decoded.header.meter == TECHEM
    assert parsed.decoded.manufacturer_data == b"\x01\x02"
    assert "izar" in parsed.decoded.problems[0]


@pytest.mark.parametrize("link_format", list(LinkFormat))
def test_it_gets_telegrams_without_checksums_and_the_key(house: House, link_format: LinkFormat) -> None:
    house.read(telegram(link_format=link_format), KEY)
    start, question = house.program.asked
    assert start["arguments"] == ["--silent", "--format=json", "stdin:jsonl"]
    raw = telegram(link_format=LinkFormat.STRIPPED).raw
    asked = {"_": "decode", "telegram": raw.hex().upper(), "key": KEY.hex().upper(), "format": "wmbus"}
    assert question == {"pid": start["pid"], **asked}


def test_what_our_decoder_can_read_is_not_asked_about(house: House) -> None:
    raw = encode_link(0x44, address_bytes(WATER), b"\x78" + RECORDS, LinkFormat.A)
    assert len(house.read(received(raw=raw)).records) == 4
    assert house.program.starts == []


def test_a_telegram_that_it_cannot_read_stays_raw_with_a_note(house: House) -> None:
    house.program.answer(NUMBER, "unknown")
    decoded = house.read(telegram())
    assert decoded.records == () and decoded.manufacturer_data == b"\x01\x02"
    assert "decoding failed" in decoded.problems[-1]
    assert house.results == ["refused"]


def test_an_answer_may_be_printed_over_several_lines_between_lines_that_are_none(house: House) -> None:
    house.program.print_over_lines()
    assert len(house.read(telegram()).records) == len(IZAR) - 1
    assert len(house.read(telegram(data="a20304")).records) == len(IZAR) - 1
    assert house.results == ["ok", "ok"] and len(house.program.starts) == 1
    house.program.answer(NUMBER, {"error": "failed to parse telegram header"})
    assert "failed to parse telegram header" in house.read(telegram(data="a20506")).problems[-1]


def test_an_error_may_come_without_saying_of_which_meter(house: House) -> None:
    house.program.answer(NUMBER, {"error": "failed to create meter"})
    assert "wmbusmeters: failed to create meter" in house.read(telegram()).problems[-1]
    assert house.results == ["refused"]


def test_two_manufacturers_of_one_number_never_meet_in_one_process(house: House) -> None:
    for _ in range(3):
        house.read(telegram(TECHEM))
        house.read(telegram(OTHER))
    assert len(house.program.starts) == 2
    assert house.results == ["ok"] * 6


def test_after_a_crash_it_is_started_again_when_the_pause_is_over(house: House) -> None:
    house.program.answer(NUMBER, "crash")
    with pytest.raises(WmbusmetersError, match="ended by itself") as caught:
        house.read(telegram())
    assert caught.value.retryable
    house.program.answer(NUMBER, IZAR)
    with pytest.raises(WmbusmetersError, match="not running"):
        house.read(telegram())
    house.later()
    assert house.read(telegram()).records
    assert house.results == ["failed", "absent", "ok"] and len(house.program.starts) == 2


def test_a_telegram_that_ends_it_twice_is_kept_raw_and_others_go_on(house: House) -> None:
    house.program.answer(NUMBER, "crash")
    for _ in range(2):
        with pytest.raises(WmbusmetersError):
            house.read(telegram())
        house.later()
    assert "does not survive" in house.read(telegram()).problems[-1]
    house.program.answer(NUMBER, IZAR)
    assert house.read(telegram(data="a20103")).records


@pytest.mark.parametrize("how", ["hang", "endless"])
def test_one_that_does_not_answer_is_ended(program: StandInWmbusmeters, how: str) -> None:
    program.answer(NUMBER, how)
    house = House(program, timeout_s=1)
    with pytest.raises(WmbusmetersError):
        house.read(telegram())
    assert not Path(f"/proc/{program.starts[0]}/exe").exists()
    house.backend.close()


def test_nobody_waits_for_it_when_we_stop(program: StandInWmbusmeters) -> None:
    program.answer(NUMBER, "hang")
    asker = Wmbusmeters(WmbusmetersSettings(program.command, timeout_s=600), SystemClock(), stopping=lambda: True)
    backend = WithWmbusmeters(LocalBackend(), asker, FakeClock())
    with pytest.raises(WmbusmetersError, match="stops"):
        backend.parse(telegram(), None)
    backend.close()


def test_it_ends_with_us(house: House) -> None:
    house.read(telegram())
    house.backend.close()
    assert not Path(f"/proc/{house.program.starts[0]}/exe").exists()


def test_a_telegram_waits_an_hour_for_a_program_in_trouble_and_then_stays_raw(house: House) -> None:
    house.program.answer(NUMBER, "crash")
    first = telegram(data="a20107")
    old = ReceivedTelegram(first.ingest_id, first.gateway_id, first.raw, first.rx_time, house.clock.now() - PATIENCE)
    with pytest.raises(WmbusmetersError, match="ended by itself"):
        house.read(old)  # it looks old, perhaps because a clock was set; the program was there until now
    house.clock.ahead_s += PATIENCE.total_seconds()
    assert "ended by itself" in house.read(old).problems[-1]
    with pytest.raises(WmbusmetersError):
        house.read(telegram(data="a20109"))
    assert PATIENCE < timedelta(days=1)


# ------------------------------------------------------------------ not the right program
@pytest.mark.parametrize(
    ("version", "why"),
    [("wmbusmeters: 2.1.0\nabc", "too old"), ("wmbusmeters: 1.19.0", "too old"), ("GNU coreutils 9.1", "does not say")],
)
def test_a_program_that_cannot_do_it_is_named_and_costs_no_telegram(tmp_path: Path, version: str, why: str) -> None:
    house = House(StandInWmbusmeters(tmp_path, version=version))
    decoded = house.read(telegram())
    assert why in decoded.problems[-1] and decoded.manufacturer_data == b"\x01\x02"
    house.backend.close()


def test_a_missing_program_costs_no_telegram(program: StandInWmbusmeters) -> None:
    house = House(program, command="/nonexistent/wmbusmeters")
    assert "cannot be started" in house.read(telegram()).problems[-1]
    house.backend.close()


def test_it_is_off_unless_it_is_asked_for(program: StandInWmbusmeters) -> None:
    parts = Parts(lambda seconds: False, SystemClock())
    assert isinstance(build_backend(BackendSettings("local"), parts), LocalBackend)
    settings = BackendSettings("local", wmbusmeters=WmbusmetersSettings(program.command))
    backend = build_backend(settings, parts)
    assert isinstance(backend, WithWmbusmeters) and program.starts == []
    backend.close()


# ------------------------------------------------------------------ believing
def test_values_of_an_earlier_telegram_are_not_taken_for_new_ones(house: House) -> None:
    house.read(telegram(data="a20101"))
    house.program.answer(NUMBER, IZAR | {"warning": "telegram only partially decoded (4 of 26 bytes)"})
    decoded = house.read(telegram(data="a20102"))
    assert decoded.records == () and "repeats earlier values" in decoded.problems[-1]
    assert house.results == ["ok", "stale"]


def test_an_answer_that_understood_nothing_is_none(house: House) -> None:
    house.program.answer(NUMBER, IZAR | {"warning": "telegram only partially decoded (0 of 26 bytes)"})
    assert house.read(telegram()).records == ()


def test_a_meter_that_does_not_move_is_believed(house: House) -> None:
    for number in range(3):
        assert house.read(telegram(data=f"a2010{number}")).records


def test_a_partial_answer_with_new_values_is_told_with_its_warning(house: House) -> None:
    house.read(telegram(data="a20101"))
    house.program.answer(NUMBER, IZAR | {"total_m3": 160, "warning": "telegram only partially decoded (4 of 26 bytes)"})
    decoded = house.read(telegram(data="a20102"))
    assert decoded.records and "4 of 26" in decoded.problems[-1]


def test_the_answer_for_another_meter_is_none(house: House) -> None:
    house.program.answer(NUMBER, IZAR | {"id": "99999999"})
    assert "another meter" in house.read(telegram()).problems[-1]


# ------------------------------------------------------------------ names
@pytest.mark.parametrize(
    ("answer", "fields"),
    [
        ({"current_hca": 4, "previous_hca": 45, "previous_date": "2020-12-31", "temp_room_c": 22.37},
         {"hca": 4, "hca_storage_1": 45, "date_storage_1": date(2020, 12, 31), "temp_room": Decimal("22.37")}),
        ({"current_kwh": 7567, "previous_kwh": 50451, "total_kwh": 58018},
         {"current": 7567, "previous": 50451, "energy": 58018}),
        ({"total_m3": None, "status": "OK", "battery_y": 12}, {"status": "OK", "battery": 12, "any": None}),
    ],
)  # fmt: skip
def test_its_names_become_ours_where_they_mean_the_same(answer: dict[str, object], fields: dict[str, object]) -> None:
    exact = {name: Decimal(str(value)) if isinstance(value, float) else value for name, value in answer.items()}
    named = {name: field.value for name, field in name_fields(records(exact)).items()}
    if "any" in fields:
        named["any"] = named.pop("total_m3", None)
    assert named == fields


@given(st.dictionaries(st.text(), st.none() | st.booleans() | st.integers() | st.text() | st.lists(st.integers())))
def test_any_answer_becomes_records(answer: dict[str, object]) -> None:
    name_fields(records(answer))
