"""The Lobaro client against a stand-in that misbehaves in every known way."""
from __future__ import annotations

import contextlib
import logging
import socket
import threading
import traceback
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from pathlib import Path

import pytest

from mbusgw.model.errors import (
    KeyMissing,
    KeyWrong,
    LobaroAuthError,
    LobaroBadRequestError,
    LobaroRateLimitError,
    LobaroTimeoutError,
    LobaroUnavailableError,
    MbusgwError,
)
from mbusgw.parsers.base import ParsedTelegram
from mbusgw.parsers.lobaro import AUTH_PAUSE_S, LobaroBackend
from mbusgw.parsers.lobaro_blame import ASTRAY, VISITS
from mbusgw.parsers.local import decode_telegram
from mbusgw.parsers.mapping import MappingFile
from mbusgw.parsers.settings import LobaroSettings
from mbusgw.parsers.turns import Turns
from mbusgw.runtime.breaker import CircuitBreaker
from mbusgw.runtime.clock import SystemClock
from mbusgw.simulator.lobaro import StandInLobaro
from tests.fakes.clock import FakeClock
from tests.fakes.workers import started
from tests.parsers.received import received
from tests.parsers.test_mapping import GOOD
from tests.wait import PATIENCE_S
from tests.wmbus.samples import KEY, OMS_GAS

TOKEN = "eyJhbGciOiJub25lIn0.secret-token"
CLOCK = SystemClock()
SECRETS = (KEY.hex(), KEY.hex().upper(), TOKEN, OMS_GAS.hex())


class FixedClock(SystemClock):
    """Wall time stands still, so that dates can be compared."""

    def now(self) -> datetime:
        return datetime(2026, 11, 22, 12, 4, tzinfo=timezone.utc)


class Waits:
    """Remembers how long somebody would have waited."""

    def __init__(self, stop: bool = False) -> None:
        self.asked: list[float] = []
        self._stop = stop

    def __call__(self, seconds: float) -> bool:
        self.asked.append(seconds)
        return self._stop


@pytest.fixture
def service() -> Iterator[StandInLobaro]:
    with started(StandInLobaro(CLOCK, token=TOKEN)) as stand_in:
        yield stand_in


@pytest.fixture
def make(service: StandInLobaro) -> Iterator[Callable[..., LobaroBackend]]:
    made: list[LobaroBackend] = []

    def build(
        endpoint: str = "mbus",
        *,
        token: str | None = TOKEN,
        url: str | None = None,
        timeout_s: float = 5,
        parallel: int = 8,
        per_second: float = 1000,
        patience_s: float = 10,
        **more: object,
    ) -> LobaroBackend:
        settings = LobaroSettings(
            url or service.url,
            token,
            endpoint,
            timeout_s,
            parallel=parallel,
            per_second=per_second,
            patience_s=patience_s,
        )
        arguments: dict[str, object] = {"clock": FixedClock(), "wait": Waits()} | more
        made.append(LobaroBackend(settings, **arguments))  # type: ignore[arg-type]
        return made[-1]

    yield build
    for backend in made:
        backend.close()


def failure(backend: LobaroBackend, key: bytes | None = KEY) -> MbusgwError:
    """The error that a telegram ends with, after a look at everything that a log would show of it."""
    try:
        backend.parse(received(OMS_GAS), key)
    except MbusgwError as error:
        assert error.__cause__ is None and error.__context__ is None, "another exception hides behind it"
        shown = "".join(traceback.format_exception(error)) + repr(error) + error.hint + repr(error.args)
        assert not any(secret in shown for secret in SECRETS), shown
        return error
    raise AssertionError("no error")


def parsed(backend: LobaroBackend) -> ParsedTelegram:
    return backend.parse(received(OMS_GAS), KEY)


# ------------------------------------------------------------------ good answers
def test_the_mbus_endpoint_gives_the_records_our_decoder_finds(make: Callable[..., LobaroBackend]) -> None:
    result = parsed(make())
    assert result.decoded == decode_telegram(OMS_GAS, KEY)
    assert isinstance(result.domain_model, dict) and result.domain_model["IdString"] == "12345678"


def test_the_meter_data_endpoint_gives_the_domain_model_unchanged(
    make: Callable[..., LobaroBackend], service: StandInLobaro
) -> None:
    result = parsed(make("meterData"))
    assert isinstance(result.domain_model, dict) and result.domain_model["meterId"] == "12345678"
    assert (result.decoded, result.meter_id) == (None, "12345678")
    assert service.seen[-1].path == "/api/meterData"


def test_the_mapping_file_is_the_body_of_meter_data_requests_only(
    make: Callable[..., LobaroBackend], service: StandInLobaro, tmp_path: Path
) -> None:
    (tmp_path / "m.json").write_bytes(GOOD)
    mapping = MappingFile(tmp_path / "m.json")
    parsed(make("meterData", mapping=mapping))
    parsed(make("mbus", mapping=mapping))
    assert [request.body for request in service.seen] == [GOOD, b""]


def test_the_token_is_sent_and_the_key_only_where_one_is_known(
    make: Callable[..., LobaroBackend], service: StandInLobaro
) -> None:
    backend = make()
    parsed(backend)
    with pytest.raises(KeyMissing):
        backend.parse(received(OMS_GAS), None)
    assert [(request.token, request.with_key) for request in service.seen] == [(TOKEN, True), (TOKEN, False)]


def test_a_netrc_file_does_not_replace_the_token(
    make: Callable[..., LobaroBackend], service: StandInLobaro, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "netrc").write_text("default login somebody password else\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    parsed(make())
    assert service.seen[-1].token == TOKEN


# ------------------------------------------------------------------ keys
@pytest.mark.parametrize("endpoint", ["mbus", "meterData"])
def test_a_wrong_key_is_told_apart_from_a_missing_one(make: Callable[..., LobaroBackend], endpoint: str) -> None:
    assert isinstance(failure(make(endpoint), bytes(16)), KeyWrong)
    assert isinstance(failure(make(endpoint), None), KeyMissing)


# ------------------------------------------------------------------ the service's trouble, and the telegram's
@pytest.mark.parametrize(
    "behaviour,error,requests,result",
    [
        ("unauthorized", LobaroAuthError, 1, "auth"),
        ("forbidden", LobaroAuthError, 1, "auth"),
        ("rate_limit", LobaroRateLimitError, 3, "rate_limit"),
        ("rate_limit_seconds", LobaroRateLimitError, 3, "rate_limit"),
        ("rate_limit_minutes", LobaroRateLimitError, 1, "rate_limit"),
        ("rate_limit_date", LobaroRateLimitError, 1, "rate_limit"),
        ("bad_request", LobaroBadRequestError, 1, "bad_request"),
        ("not_found", LobaroUnavailableError, 3, "unavailable"),
        ("unprocessable", LobaroBadRequestError, 1, "bad_request"),
        ("error", LobaroUnavailableError, 3, "unavailable"),
        ("parse_error", LobaroBadRequestError, 3, "unavailable"),
        ("bad_gateway", LobaroUnavailableError, 3, "unavailable"),
        ("unavailable", LobaroUnavailableError, 3, "unavailable"),
        ("gateway_timeout", LobaroUnavailableError, 3, "unavailable"),
        ("redirect", LobaroUnavailableError, 3, "unavailable"),
        ("reset", LobaroUnavailableError, 3, "unavailable"),
        ("cut", LobaroUnavailableError, 3, "unavailable"),
        ("null", LobaroBadRequestError, 1, "bad_request"),
        ("empty", LobaroBadRequestError, 1, "bad_request"),
        ("html", LobaroBadRequestError, 1, "bad_request"),
        ("list", LobaroBadRequestError, 1, "bad_request"),
        ("nan", LobaroBadRequestError, 1, "bad_request"),
        ("deep", LobaroBadRequestError, 1, "bad_request"),
        ("huge", LobaroBadRequestError, 1, "bad_request"),
        ("truncated", LobaroBadRequestError, 1, "bad_request"),
        ("refused_in_html", LobaroBadRequestError, 1, "bad_request"),
        ("decrypt_error", KeyWrong, 1, "bad_request"),
        ("no_records", LobaroBadRequestError, 1, "ok"),
    ],
)
def test_each_way_to_fail_has_its_error_and_its_number_of_tries(
    make: Callable[..., LobaroBackend],
    service: StandInLobaro,
    behaviour: str,
    error: type[MbusgwError],
    requests: int,
    result: str,
) -> None:
    results: list[str] = []
    service.behave(behaviour)
    assert type(failure(make(on_result=results.append))) is error
    assert len(service.seen) == requests
    assert results == [result] * requests


@pytest.mark.parametrize("behaviour", ["hang", "drip"])
def test_a_service_that_hangs_ends_in_a_timeout_after_all_tries(
    make: Callable[..., LobaroBackend], service: StandInLobaro, behaviour: str
) -> None:
    service.behave(behaviour)
    assert isinstance(failure(make(timeout_s=0.2)), LobaroTimeoutError)
    assert len(service.seen) == 3


def test_an_older_urllib3_without_partial_reads_will_do(
    make: Callable[..., LobaroBackend], service: StandInLobaro, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr("urllib3.response.HTTPResponse.read1")
    monkeypatch.delattr("urllib3.response.BaseHTTPResponse.read1")
    assert parsed(make()).decoded is not None
    service.behave("cut")
    assert isinstance(failure(make()), LobaroUnavailableError)
    service.behave("drip")
    assert isinstance(failure(make(timeout_s=0.2)), LobaroTimeoutError)


def test_nobody_listening_is_an_outage(make: Callable[..., LobaroBackend]) -> None:
    with contextlib.closing(socket.socket()) as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        assert isinstance(failure(make(url=url)), LobaroUnavailableError)


@pytest.mark.parametrize("url", ["http://", "http://[", "nonsense", "http://host:99999", "http://a..b"])
def test_a_url_that_is_none_is_named_and_leaks_nothing(make: Callable[..., LobaroBackend], url: str) -> None:
    assert isinstance(failure(make(url=url)), LobaroUnavailableError)


def test_a_passing_outage_costs_a_second_try_and_nothing_else(
    make: Callable[..., LobaroBackend], service: StandInLobaro
) -> None:
    waits = Waits()
    service.behave("bad_gateway", times=1)
    service.behave("reset", times=1)
    assert parsed(make(wait=waits)).decoded is not None
    assert len(waits.asked) == 2 and 0 < waits.asked[0] < waits.asked[1]


def test_no_token_is_said_without_asking(make: Callable[..., LobaroBackend], service: StandInLobaro) -> None:
    assert isinstance(failure(make(token=None)), LobaroAuthError)
    assert not service.seen


def test_a_stop_ends_the_waiting(make: Callable[..., LobaroBackend], service: StandInLobaro) -> None:
    waits = Waits(stop=True)
    service.behave("error")
    assert failure(make(wait=waits)).retryable
    assert len(service.seen) == 1 and len(waits.asked) == 1


# ------------------------------------------------------------------ limits
def test_retry_after_is_honoured_when_it_is_short_and_handed_on_when_it_is_long(
    make: Callable[..., LobaroBackend], service: StandInLobaro
) -> None:
    waits = Waits()
    service.behave("rate_limit_seconds", times=1)
    parsed(make(wait=waits))
    assert waits.asked == [2.0]
    service.behave("rate_limit_minutes", times=1)
    error = failure(make(wait=waits))
    assert isinstance(error, LobaroRateLimitError) and error.retry_after_s == 300
    service.behave("rate_limit_date", times=1)
    error = failure(make(wait=waits))
    assert isinstance(error, LobaroRateLimitError) and error.retry_after_s == 60


# ------------------------------------------------------------------ the breaker
def test_a_refused_token_opens_the_breaker_for_a_minute(
    make: Callable[..., LobaroBackend], service: StandInLobaro
) -> None:
    breaker = CircuitBreaker(CLOCK)
    service.behave("unauthorized")
    backend = make(breaker=breaker)
    assert isinstance(failure(backend), LobaroAuthError)
    assert AUTH_PAUSE_S - 5 < breaker.retry_in_s() <= AUTH_PAUSE_S
    results: list[str] = []
    error = failure(make(breaker=breaker, on_result=results.append))
    assert isinstance(error, LobaroUnavailableError) and not error.asked and results == ["refused"]
    assert len(service.seen) == 1, "nobody asks while it is open"


def test_a_refused_token_is_an_alarm_told_once_and_its_end_too(
    make: Callable[..., LobaroBackend], service: StandInLobaro, caplog: pytest.LogCaptureFixture
) -> None:
    service.behave("unauthorized", 3)
    backend = make()
    with caplog.at_level("INFO", "mbusgw"):
        for _ in range(3):
            failure(backend)
        parsed(backend)
    told = [(record.levelname, record.getMessage()) for record in caplog.records]
    assert [level for level, _ in told] == ["ERROR", "INFO"]
    assert "refuses the token" in told[0][1] and "after 3 failures" in told[1][1]
    assert not any(secret in caplog.text for secret in SECRETS)


def test_the_one_that_opened_the_breaker_is_told_when_to_ask_again(
    make: Callable[..., LobaroBackend], service: StandInLobaro
) -> None:
    breaker = CircuitBreaker(CLOCK, failures=2, first_pause_s=30)
    service.behave("unavailable")
    first, second = (failure(make(breaker=breaker)) for _ in range(2))
    refused = failure(make(breaker=breaker))
    assert isinstance(first, LobaroUnavailableError) and first.retry_after_s is None
    assert isinstance(second, LobaroUnavailableError) and second.retry_after_s is not None
    assert 20 < second.retry_after_s <= 45
    assert isinstance(refused, LobaroUnavailableError) and refused.retry_after_s is None, "it was not asked"


def test_an_outage_opens_the_breaker_and_a_bad_telegram_does_not(
    make: Callable[..., LobaroBackend], service: StandInLobaro
) -> None:
    breaker = CircuitBreaker(CLOCK, failures=2)
    backend = make(breaker=breaker)
    service.behave("null")
    for _ in range(5):
        failure(backend)
    assert breaker.state.value == "closed"
    service.behave("unavailable")
    failure(backend)
    failure(backend)
    assert breaker.state.value == "open"


def test_a_long_retry_after_opens_the_breaker_that_long(
    make: Callable[..., LobaroBackend], service: StandInLobaro
) -> None:
    breaker = CircuitBreaker(CLOCK)
    service.behave("rate_limit_minutes")
    failure(make(breaker=breaker))
    assert 290 < breaker.retry_in_s() <= 300


# ------------------------------------------------------------------ secrets
def test_no_log_shows_a_key_a_token_or_a_telegram_even_at_debug_level(
    make: Callable[..., LobaroBackend], service: StandInLobaro, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    backend = make("meterData", timeout_s=0.2)
    parsed(backend)
    for behaviour in ("reset", "hang", "error", "null", "unprocessable"):
        service.behave(behaviour)
        failure(backend)
    assert "urllib3" in {record.name.partition(".")[0] for record in caplog.records}, "there was something to clean"
    shown = caplog.text + "".join(str(vars(record)) for record in caplog.records)
    assert KEY.hex().upper() not in shown.upper() and TOKEN not in shown


def test_settings_and_back_end_do_not_show_the_token(make: Callable[..., LobaroBackend]) -> None:
    assert TOKEN not in repr(LobaroSettings("http://x", TOKEN)) + repr(make())


# ------------------------------------------------------------------ one telegram, or all of them
OTHER = bytes.fromhex("2e44931578563412330378") + bytes.fromhex("0c1427048502" * 6)[:36]


def test_an_unknown_address_is_the_configurations_trouble_until_something_was_answered(
    make: Callable[..., LobaroBackend], service: StandInLobaro
) -> None:
    backend = make()
    service.behave("not_found")
    assert isinstance(failure(backend), LobaroUnavailableError)
    service.behave("ok")
    backend.parse(received(OMS_GAS), KEY)
    service.behave("not_found")
    assert type(failure(backend)) is LobaroBadRequestError


def test_a_telegram_that_makes_the_service_stumble_fails_and_the_others_go_on(
    make: Callable[..., LobaroBackend], service: StandInLobaro
) -> None:
    backend = make()
    service.poison[OMS_GAS] = "error"
    assert type(failure(backend)) is LobaroUnavailableError  # it may be an outage: it is tried again later
    assert type(failure(backend)) is LobaroUnavailableError
    assert backend.parse(received(OTHER), None).decoded is not None
    assert type(failure(backend)) is LobaroBadRequestError


def test_an_outage_never_fails_a_telegram(make: Callable[..., LobaroBackend], service: StandInLobaro) -> None:
    backend = make()
    backend.parse(received(OTHER), None)
    service.behave("error")
    for _ in range(5):
        assert type(failure(backend)) is LobaroUnavailableError


@pytest.mark.parametrize("behaviour", [pytest.param("hang", marks=pytest.mark.slow), "reset", "bad_gateway"])
def test_a_telegram_over_which_the_service_breaks_off_each_time_is_given_up_in_the_end(
    make: Callable[..., LobaroBackend], service: StandInLobaro, behaviour: str
) -> None:
    service.poison[OMS_GAS] = behaviour
    backend = make(timeout_s=0.3)
    for _ in range(VISITS):
        assert failure(backend).retryable
        assert backend.parse(received(OTHER), None).decoded is not None
    assert type(failure(backend)) is LobaroBadRequestError
    alone = make(timeout_s=0.3)
    for _ in range(VISITS + 2):
        assert failure(alone).retryable, "it may be an outage: nobody else was answered"


def test_a_telegram_that_is_answered_at_last_begins_anew(
    make: Callable[..., LobaroBackend], service: StandInLobaro
) -> None:
    backend = make()
    for _ in range(2):
        service.poison[OMS_GAS] = "reset"
        for _ in range(VISITS):
            assert failure(backend).retryable
            backend.parse(received(OTHER), None)
        del service.poison[OMS_GAS]
        assert parsed(backend).decoded is not None


@pytest.mark.parametrize("behaviour", ["html", "null", "empty", "huge"])
def test_when_nobody_gets_an_answer_that_makes_sense_there_is_an_alarm_with_its_end(
    make: Callable[..., LobaroBackend], service: StandInLobaro, behaviour: str, caplog: pytest.LogCaptureFixture
) -> None:
    backend = make()
    service.behave(behaviour)
    for _ in range(ASTRAY - 1):
        failure(backend)
    assert caplog.records == []
    for _ in range(3):
        failure(backend)
    (alarm,) = caplog.records
    assert alarm.levelname == "ERROR" and "lobaro.url" in alarm.getMessage()
    service.behave("ok")
    with caplog.at_level("INFO"):
        parsed(backend)
    assert "telegrams replay --status failed" in caplog.records[-1].getMessage()


def test_a_meter_whose_telegrams_make_it_stumble_is_no_alarm_while_others_are_answered(
    make: Callable[..., LobaroBackend], service: StandInLobaro, caplog: pytest.LogCaptureFixture
) -> None:
    service.poison[OMS_GAS] = "null"
    backend = make()
    for _ in range(ASTRAY + 1):
        assert type(failure(backend)) is LobaroBadRequestError
        backend.parse(received(OTHER), None)
    assert caplog.records == []


# ------------------------------------------------------------------ our own limits
def test_only_so_many_ask_at_the_same_time(make: Callable[..., LobaroBackend], service: StandInLobaro) -> None:
    service.delay_s = 0.05
    backend = make(wait=threading.Event().wait, parallel=2)
    answers: list[ParsedTelegram] = []
    threads = [
        threading.Thread(target=lambda: answers.append(backend.parse(received(OMS_GAS), KEY))) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_S)
    assert len(answers) == 8 and service.busiest <= 2


def test_who_gets_no_turn_is_told_so_and_nobody_is_asked(
    make: Callable[..., LobaroBackend], service: StandInLobaro
) -> None:
    results: list[str] = []
    backend = make(on_result=results.append, per_second=0.01, patience_s=0.0)
    backend.parse(received(OMS_GAS), KEY)
    error = failure(backend)
    assert type(error) is LobaroRateLimitError and error.retryable and "lobaro.rate" in str(error)
    assert results == ["ok", "throttled"] and len(service.seen) == 1


def test_a_burst_is_a_seconds_worth_and_then_each_waits_its_turn() -> None:
    clock, waits = FakeClock(), Waits()
    turns = Turns(clock, waits, per_second=4, parallel=10)
    for _ in range(6):
        with turns.turn(10) as ours:
            assert ours
    assert waits.asked == pytest.approx([0.25, 0.5])
    clock.advance(60)
    with turns.turn(0) as ours:
        assert ours
