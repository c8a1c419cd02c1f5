"""The table of back ends, and the two that join others."""
from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from mbusgw.model.errors import (
    ConfigError,
    FormatPending,
    KeyMissing,
    KeyWrong,
    LobaroBadRequestError,
    LobaroUnavailableError,
    MbusgwError,
    ModeUnsupported,
)
from mbusgw.model.telegram import ReceivedTelegram
from mbusgw.parsers.base import ParsedTelegram, ParserBackend
from mbusgw.parsers.chain import (
    BACKENDS,
    Compare,
    LobaroThenLocal,
    Parts,
    WithRecords,
    build_backend,
    differences,
)
from mbusgw.parsers.formats import FormatMemory
from mbusgw.parsers.local import LocalBackend, decode_telegram
from mbusgw.parsers.settings import BackendSettings, LobaroSettings
from mbusgw.runtime.clock import SystemClock
from mbusgw.simulator.lobaro import StandInLobaro
from mbusgw.simulator.radio import Security, address_bytes, encode_link, telegram
from mbusgw.wmbus.frame import LinkFormat
from tests.fakes.workers import started
from tests.parsers.compact import compact, full
from tests.parsers.received import received
from tests.wmbus.samples import KEY, OMS_GAS, WATER, meter

PARTS = Parts(lambda seconds: False, SystemClock())
OURS = decode_telegram(OMS_GAS, KEY)
DES = encode_link(0x44, address_bytes(WATER), bytes.fromhex("7a05001002" + "11" * 16), LinkFormat.STRIPPED)
PROPRIETARY = encode_link(0x44, address_bytes(WATER), bytes.fromhex("a20102030405"), LinkFormat.STRIPPED)


class Says:
    """A back end that always ends the same way."""

    name = "says"

    def __init__(self, outcome: ParsedTelegram | MbusgwError) -> None:
        self._outcome = outcome

    def parse(self, telegram: ReceivedTelegram, key: bytes | None) -> ParsedTelegram:
        if isinstance(self._outcome, MbusgwError):
            raise self._outcome
        return self._outcome

    def close(self) -> None:
        """Nothing to close."""


@pytest.fixture
def service() -> Iterator[StandInLobaro]:
    with started(StandInLobaro(SystemClock())) as stand_in:
        yield stand_in


@pytest.fixture
def build(service: StandInLobaro) -> Iterator[Callable[..., ParserBackend]]:
    made: list[ParserBackend] = []

    def make(
        backend: str,
        endpoint: str = "mbus",
        *,
        token: str | None = "token",
        mapping: Path | None = None,
        formats: FormatMemory | None = None,
    ) -> ParserBackend:
        settings = BackendSettings(backend, LobaroSettings(service.url, token, endpoint, 5), mapping)
        made.append(build_backend(settings, replace(PARTS, formats=PARTS.formats if formats is None else formats)))
        return made[-1]

    yield make
    for backend in made:
        backend.close()


@pytest.mark.parametrize("name", list(BACKENDS))
def test_every_back_end_of_the_table_reads_the_published_telegram(
    name: str, build: Callable[..., ParserBackend]
) -> None:
    assert build(name).parse(received(OMS_GAS), KEY).decoded == OURS


@pytest.mark.parametrize("name", list(BACKENDS))
def test_every_back_end_of_the_table_refuses_a_wrong_key(name: str, build: Callable[..., ParserBackend]) -> None:
    with pytest.raises(KeyWrong):
        build(name).parse(received(OMS_GAS), bytes(16))


def test_an_unknown_name_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match="lobaro_then_local"):
        build_backend(BackendSettings("lobarro"), PARTS)


def test_a_mapping_file_that_is_bad_is_found_when_building(build: Callable[..., ParserBackend], tmp_path: Path) -> None:
    (tmp_path / "m.json").write_text("{")
    with pytest.raises(ConfigError):
        build("lobaro", mapping=tmp_path / "m.json")


# ------------------------------------------------------------------ lobaro
def test_the_domain_model_alone_makes_a_device_too_because_the_records_are_ours(
    build: Callable[..., ParserBackend],
) -> None:
    result = build("lobaro", "meterData").parse(received(OMS_GAS), KEY)
    assert result.decoded == OURS and result.backend == "lobaro+local"
    assert isinstance(result.domain_model, dict) and result.domain_model["meterId"] == "12345678"


def test_a_domain_model_of_what_we_cannot_read_says_which_meter_it_is_about() -> None:
    answer = ParsedTelegram(None, {}, "lobaro", meter_id="12345678")
    assert WithRecords(Says(answer), LocalBackend()).parse(received(DES), KEY) is answer


def test_while_the_service_is_away_nobody_else_reads(
    build: Callable[..., ParserBackend], service: StandInLobaro
) -> None:
    service.behave("unavailable")
    with pytest.raises(LobaroUnavailableError):
        build("lobaro").parse(received(OMS_GAS), KEY)


# ------------------------------------------------------------------ compact frames
EMPTY = (
    ParsedTelegram(None, {"meterId": "11223344"}, "lobaro"),
    ParsedTelegram(replace(OURS, records=()), {}, "lobaro"),
)


@pytest.mark.parametrize("join", [WithRecords, LobaroThenLocal, Compare])
@pytest.mark.parametrize("answer", EMPTY)
def test_a_compact_frame_that_the_service_has_no_records_of_waits_for_its_format(
    join: type[WithRecords | LobaroThenLocal | Compare], answer: ParsedTelegram
) -> None:
    own = LocalBackend()
    chain = join(Says(answer), own)
    with pytest.raises(FormatPending) as pending:
        chain.parse(received(compact()), None)
    assert pending.value.answer is not None
    own.parse(received(full()), None)
    result = chain.parse(received(compact()), None)
    assert result.decoded and [record.value for record in result.decoded.records][:1] == [Decimal("12345.678")]
    assert result.domain_model is answer.domain_model


@pytest.mark.parametrize("name", ["lobaro", "lobaro_then_local", "compare"])
def test_a_format_is_learned_of_what_the_service_reads(
    name: str, build: Callable[..., ParserBackend], service: StandInLobaro
) -> None:
    formats = FormatMemory()
    build(name, formats=formats).parse(received(full()), None)
    assert len(service.seen) == len(formats) == 1
    assert decode_telegram(compact(), None, formats=formats).records


# ------------------------------------------------------------------ lobaro_then_local
def test_without_a_token_our_decoder_does_all(build: Callable[..., ParserBackend], service: StandInLobaro) -> None:
    result = build("lobaro_then_local", token=None).parse(received(OMS_GAS), KEY)
    assert (result.decoded, result.backend) == (OURS, "local")
    assert not service.seen


@pytest.mark.parametrize(
    "behaviour", ["unauthorized", "rate_limit_minutes", "unavailable", "reset", "null", "unprocessable"]
)
def test_no_failure_of_the_service_costs_a_reading(
    build: Callable[..., ParserBackend], service: StandInLobaro, behaviour: str
) -> None:
    service.behave(behaviour)
    result = build("lobaro_then_local").parse(received(OMS_GAS), KEY)
    assert (result.decoded, result.backend, result.domain_model) == (OURS, "local", None)


def test_our_decoder_supplies_the_records_that_a_domain_model_lacks() -> None:
    model = {"meterId": "12345678"}
    chain = LobaroThenLocal(Says(ParsedTelegram(None, model, "lobaro")), LocalBackend())
    result = chain.parse(received(OMS_GAS), KEY)
    assert result.decoded == OURS and result.domain_model is model
    assert result.backend == "lobaro+local"


def test_our_decoder_supplies_the_records_that_an_answer_lists_none_of() -> None:
    answer = ParsedTelegram(replace(OURS, records=()), {}, "lobaro")
    assert LobaroThenLocal(Says(answer), LocalBackend()).parse(received(OMS_GAS), KEY).decoded == OURS
    assert LobaroThenLocal(Says(answer), LocalBackend()).parse(received(DES), KEY) is answer


def test_a_domain_model_stays_where_our_decoder_cannot_read_the_telegram() -> None:
    answer = ParsedTelegram(None, {"meterId": "12345678"}, "lobaro")
    assert LobaroThenLocal(Says(answer), LocalBackend()).parse(received(DES), KEY) is answer


@pytest.mark.parametrize("raw,key", [(DES, KEY), (OMS_GAS, None)])
def test_what_only_the_service_may_know_waits_for_the_service(raw: bytes, key: bytes | None) -> None:
    chain = LobaroThenLocal(Says(LobaroUnavailableError("away")), LocalBackend())
    with pytest.raises(LobaroUnavailableError):
        chain.parse(received(raw), key)


def test_a_wrong_key_is_said_at_once_also_while_the_service_is_away() -> None:
    chain = LobaroThenLocal(Says(LobaroUnavailableError("away")), LocalBackend())
    with pytest.raises(KeyWrong):
        chain.parse(received(OMS_GAS), bytes(16))


@pytest.mark.parametrize("raw,key,error", [(DES, KEY, ModeUnsupported), (OMS_GAS, None, KeyMissing)])
def test_where_both_give_up_our_reason_is_told(raw: bytes, key: bytes | None, error: type[MbusgwError]) -> None:
    chain = LobaroThenLocal(Says(LobaroBadRequestError("no")), LocalBackend())
    with pytest.raises(error):
        chain.parse(received(raw), key)


def test_a_proprietary_meter_waits_for_the_service_that_may_read_it() -> None:
    chain = LobaroThenLocal(Says(LobaroUnavailableError("away")), LocalBackend())
    with pytest.raises(LobaroUnavailableError):
        chain.parse(received(PROPRIETARY), None)
    refusing = LobaroThenLocal(Says(LobaroBadRequestError("no")), LocalBackend())
    assert refusing.parse(received(PROPRIETARY), None).backend == "local"


def test_only_what_was_read_here_while_the_service_was_away_is_to_be_confirmed() -> None:
    away, refused = LobaroUnavailableError("away"), LobaroBadRequestError("no")
    assert LobaroThenLocal(Says(away), LocalBackend()).parse(received(OMS_GAS), KEY).to_confirm
    assert not LobaroThenLocal(Says(refused), LocalBackend()).parse(received(OMS_GAS), KEY).to_confirm


# ------------------------------------------------------------------ compare
def comparing(answer: ParsedTelegram | MbusgwError) -> Compare:
    return Compare(Says(answer), LocalBackend())


def test_equal_answers_differ_in_nothing() -> None:
    result = comparing(ParsedTelegram(OURS, {"a": 1}, "lobaro")).parse(received(OMS_GAS), KEY)
    assert result.differences == () and result.decoded == OURS and result.domain_model == {"a": 1}


def test_another_value_is_told_and_ours_is_kept() -> None:
    wrong = replace(OURS, records=(replace(OURS.records[0], value=Decimal("28504.28")), *OURS.records[1:]))
    result = comparing(ParsedTelegram(wrong, {}, "lobaro")).parse(received(OMS_GAS), KEY)
    assert result.decoded == OURS
    theirs, ours = result.differences
    assert "28504.28" in theirs and "28504.27" in ours


def test_another_meter_is_a_difference() -> None:
    other = replace(OURS, header=replace(OURS.header, meter=WATER))
    assert any("meter" in text for text in differences(other, OURS))


def test_a_telegram_that_only_one_can_read_is_read_and_told() -> None:
    result = comparing(LobaroBadRequestError("no")).parse(received(OMS_GAS), KEY)
    assert result.decoded == OURS and "only we" in result.differences[0]
    result = comparing(ParsedTelegram(OURS, {}, "lobaro")).parse(received(DES), KEY)
    assert result.decoded == OURS and "only Lobaro" in result.differences[0]


def test_records_of_a_proprietary_meter_that_only_the_service_knows_are_taken() -> None:
    compare = comparing(ParsedTelegram(OURS, {}, "lobaro"))
    assert compare.parse(received(PROPRIETARY), None).decoded == OURS


def test_a_service_that_is_away_is_no_difference() -> None:
    result = comparing(LobaroUnavailableError("away")).parse(received(OMS_GAS), KEY)
    assert result.decoded == OURS and result.differences == ()


@pytest.mark.parametrize("security", list(Security))
def test_service_and_decoder_agree_on_our_own_meters(
    security: Security, build: Callable[..., ParserBackend], caplog: pytest.LogCaptureFixture
) -> None:
    build("compare").parse(received(telegram(meter(security, LinkFormat.A), 3)), KEY)
    assert not [record for record in caplog.records if "differ" in record.message]
