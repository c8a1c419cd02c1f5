"""``/v1/telegrams`` over real sockets."""
from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from mbusgw.model.errors import RequestError, StoreFull
from mbusgw.model.submission import Accepted, Submission
from mbusgw.runtime import exactjson
from mbusgw.runtime.clock import SystemClock
from mbusgw.runtime.metrics import Metrics
from mbusgw.web.auth import GatewayKeys
from mbusgw.web.router import Router
from mbusgw.web.telegrams import TelegramRoutes
from tests.web.client import Answered, Client, serving

HEX = "2E44931578563412330333637A2A0020055923C95AAA26D1B2E7493B2A8B013EC4A6F6D3529B520EDFF0EA6DEFC955B29D6D69EBF3EC8A"
AES_KEY = "0102030405060708090A0B0C0D0E0F11"
TELEGRAM = {"gateway_id": "gw1", "raw_hex": HEX}


class Intake:
    """Keeps what is handed in, as a disk would."""

    def __init__(self) -> None:
        self.kept: list[Submission] = []
        self.error: Exception | None = None
        self.parsed: Any = {"reading": 1}

    def accept(self, telegrams: Sequence[Submission]) -> list[Accepted]:
        if self.error is not None:
            raise self.error
        seen = [telegram.raw for telegram in self.kept]
        accepted = [
            Accepted(f"id-{len(self.kept) + index}", duplicate=telegram.raw in seen)
            for index, telegram in enumerate(telegrams)
        ]
        self.kept += telegrams
        return accepted

    def parse_now(self, ingest_id: str, _timeout_s: float) -> Any:
        return self.parsed and {"ingest_id": ingest_id, **self.parsed}


class Ingress:
    """A client of a running ingress."""

    def __init__(self, client: Client, intake: Intake, metrics: Metrics) -> None:
        self.client, self.intake, self.metrics = client, intake, metrics

    def post(
        self, document: Any, *, key: str | None = "first", path: str = "/v1/telegrams", **headers: str
    ) -> Answered:
        data = document if isinstance(document, bytes) else exactjson.dumps(document).encode()
        if key is not None:
            headers["Authorization"] = f"Bearer {key}"
        return self.client.request("POST", path, data, **{"Content_Type": "application/json", **headers})

    def counted(self, gateway: str, result: str) -> bool:
        return f'oms_telegrams_total{{gateway="{gateway}",result="{result}"}}' in self.metrics.render().decode()


@pytest.fixture
def ingress() -> Iterator[Ingress]:
    intake, metrics = Intake(), Metrics()
    keys = GatewayKeys({"gw1": "first", "gw2": "second"})
    routes = TelegramRoutes(
        keys, intake.accept, intake.parse_now, clock=SystemClock(), metrics=metrics, sync_slots=1, sync_timeout_s=1
    )
    with serving(Router(routes.routes()).answer) as server, Client(server.port) as client:
        yield Ingress(client, intake, metrics)


def test_a_telegram_is_accepted_and_its_id_told(ingress: Ingress) -> None:
    answer = ingress.post(TELEGRAM)
    assert (answer.status, answer.json) == (202, {"accepted": True, "ingest_id": "id-0"})
    assert ingress.intake.kept == [Submission("gw1", bytes.fromhex(HEX))]


def test_a_duplicate_is_accepted_and_said_to_be_one(ingress: Ingress) -> None:
    ingress.post(TELEGRAM)
    assert ingress.post(TELEGRAM).json == {"accepted": True, "ingest_id": "id-1", "duplicate": True}


def test_a_batch_gets_one_answer_with_a_list(ingress: Ingress) -> None:
    answer = ingress.post([TELEGRAM, {"gateway": "gw1", "logical_hex": HEX[:60]}])
    assert answer.status == 202
    assert [one["ingest_id"] for one in answer.json] == ["id-0", "id-1"]


def test_a_batch_with_one_bad_telegram_is_refused_whole(ingress: Ingress) -> None:
    answer = ingress.post([TELEGRAM, {**TELEGRAM, "raw_hex": HEX[:-1]}])
    assert (answer.status, answer.json["error"], answer.json["field"]) == (400, "odd_length", "[1].raw_hex")
    assert ingress.intake.kept == []


def test_an_odd_number_of_digits_is_said_in_words(ingress: Ingress) -> None:
    answer = ingress.post({**TELEGRAM, "raw_hex": HEX[:41]})
    assert answer.status == 400
    assert answer.json == {
        "error": "odd_length",
        "message": "raw_hex has an odd number of digits (41)",
        "field": "raw_hex",
    }
    assert ingress.counted("gw1", "refused")


def test_letters_are_refused_and_the_place_is_named(ingress: Ingress) -> None:
    answer = ingress.post({**TELEGRAM, "raw_hex": "xyz" + HEX[3:]})
    assert (answer.status, answer.json["error"]) == (400, "bad_hex")
    assert "position 1" in answer.json["message"]


@pytest.mark.parametrize("key", [None, "wrong", "firs", ""])
def test_an_unknown_key_is_401_and_told_the_scheme(ingress: Ingress, key: str | None) -> None:
    answer = ingress.post(TELEGRAM, key=key)
    assert (answer.status, answer.json["error"]) == (401, "unauthorized")
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert ingress.counted("unknown", "unauthorized")
    assert ingress.intake.kept == []


@pytest.mark.parametrize("document", [{**TELEGRAM, "gateway_id": "gw2"}, [TELEGRAM, {**TELEGRAM, "gateway_id": "gw2"}]])
def test_a_gateway_may_only_post_as_itself(ingress: Ingress, document: Any) -> None:
    answer = ingress.post(document)
    assert (answer.status, answer.json["error"]) == (403, "forbidden")
    assert answer.json["field"].endswith("gateway_id")
    assert ingress.counted("gw1", "forbidden")
    assert ingress.intake.kept == []


def test_without_keys_in_the_configuration_the_answer_says_what_to_configure() -> None:
    intake = Intake()
    routes = TelegramRoutes(
        GatewayKeys({}), intake.accept, intake.parse_now, clock=SystemClock(), metrics=Metrics()
    )
    with serving(Router(routes.routes()).answer) as server, Client(server.port) as client:
        answer = Ingress(client, intake, Metrics()).post(TELEGRAM)
    assert (answer.status, answer.json["error"]) == (401, "no_keys")
    assert "ingest.keys" in answer.json["message"]


@pytest.mark.parametrize("content_type", ["text/plain", "", "application/x-www-form-urlencoded", "application/jsonx"])
def test_a_body_that_is_not_json_by_its_type_is_415(ingress: Ingress, content_type: str) -> None:
    assert ingress.post(TELEGRAM, Content_Type=content_type).status == 415


def test_the_charset_of_the_type_does_not_matter(ingress: Ingress) -> None:
    assert ingress.post(TELEGRAM, Content_Type="Application/JSON; charset=utf-8").status == 202


def test_a_compressed_body_is_415_for_now(ingress: Ingress) -> None:
    assert ingress.post(b"\x1f\x8b", Content_Encoding="gzip").status == 415


def test_an_oversize_body_is_413(ingress: Ingress) -> None:
    assert ingress.post(b"[" + b" " * 65536 + b"]").status == 413


def test_head_is_204_without_a_key(ingress: Ingress) -> None:
    answer = ingress.client.request("HEAD", "/v1/telegrams")
    assert answer.status == 204
    assert "content-length" not in answer.headers
    assert ingress.post(TELEGRAM).status == 202


@pytest.mark.parametrize("method", ["GET", "DELETE", "OPTIONS"])
def test_other_methods_are_405_with_allow(ingress: Ingress, method: str) -> None:
    answer = ingress.client.request(method, "/v1/telegrams")
    assert (answer.status, answer.headers["allow"]) == (405, "HEAD, POST")


def test_a_full_backlog_is_503_with_a_time_to_come_back(ingress: Ingress) -> None:
    ingress.intake.error = RequestError(503, "backlog_full", "too many telegrams wait", retry_after_s=30)
    answer = ingress.post(TELEGRAM)
    assert (answer.status, answer.headers["retry-after"]) == (503, "30")
    assert ingress.post(TELEGRAM).json["error"] == "backlog_full"


def test_a_full_disk_is_503_and_nothing_is_acknowledged(ingress: Ingress) -> None:
    ingress.intake.error = StoreFull("no room on the disk")
    answer = ingress.post(TELEGRAM)
    assert (answer.status, answer.json["message"]) == (503, "no room on the disk")
    ingress.intake.error = None
    assert ingress.post(TELEGRAM).status == 202


def test_with_sync_the_parsed_result_is_the_answer(ingress: Ingress) -> None:
    answer = ingress.post(TELEGRAM, path="/v1/telegrams?sync=true")
    assert (answer.status, answer.json) == (200, {"ingest_id": "id-0", "reading": 1})
    answer = ingress.post([TELEGRAM], path="/v1/telegrams?sync=1")
    assert (answer.status, answer.json) == (200, [{"ingest_id": "id-1", "reading": 1}])


def test_with_sync_a_result_that_is_not_there_in_time_is_still_an_accepted_telegram(ingress: Ingress) -> None:
    ingress.intake.parsed = None
    answer = ingress.post(TELEGRAM, path="/v1/telegrams?sync=true")
    assert (answer.status, answer.json) == (202, {"accepted": True, "ingest_id": "id-0"})


def test_a_clock_that_was_never_set_is_replaced_and_noted_once(
    ingress: Ingress, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        for moment in ("1970-01-01T00:00:07Z", "2099-01-01T00:00:00Z", "2024-01-01T00:00:00Z"):
            assert ingress.post({**TELEGRAM, "rx_time": moment}).status == 202
    assert [telegram.rx_time is None for telegram in ingress.intake.kept] == [True, True, False]
    assert sum("1970" in record.getMessage() for record in caplog.records) == 1
    assert sum("clock" in record.getMessage() for record in caplog.records) == 2


def test_a_time_that_is_none_is_400(ingress: Ingress) -> None:
    assert ingress.post({**TELEGRAM, "rx_time": "soon"}).json["error"] == "bad_time"


def test_no_secret_is_in_any_answer_or_log(ingress: Ingress, caplog: pytest.LogCaptureFixture) -> None:
    answers: list[Answered] = []
    with caplog.at_level(logging.DEBUG):
        answers.append(ingress.post(TELEGRAM, key="guessed-secret"))
        answers.append(ingress.post({**TELEGRAM, "gateway_id": "gw2"}))
        answers.append(ingress.post({**TELEGRAM, "key_hex": AES_KEY}))
        answers.append(ingress.post({**TELEGRAM, "key_hex": AES_KEY + "0"}))
        answers.append(ingress.post(exactjson.dumps({**TELEGRAM, "key_hex": AES_KEY}).encode()[:-1]))
        ingress.intake.error = ZeroDivisionError()
        answers.append(ingress.post({**TELEGRAM, "key_hex": AES_KEY}))
    assert [answer.status for answer in answers] == [401, 403, 202, 400, 400, 500]
    written = caplog.text + "".join(answer.body.decode() + str(answer.headers) for answer in answers)
    for secret in ("guessed-secret", "first", "second", AES_KEY, AES_KEY.lower(), repr(bytes.fromhex(AES_KEY))):
        assert secret not in written


def test_a_wrong_key_is_logged_when_it_begins_and_when_it_ends(
    ingress: Ingress, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, logger="mbusgw.web.telegrams"):
        for _ in range(5):
            ingress.post(TELEGRAM, key="wrong")
        ingress.post(TELEGRAM)
        ingress.post(TELEGRAM)
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]
