"""``/v1/telegrams`` over real sockets."""
from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from ipaddress import ip_network
from typing import Any

import pytest

from mbusgw.model.errors import RequestError, StoreFull
from mbusgw.model.submission import Accepted, Submission
from mbusgw.runtime import exactjson
from mbusgw.runtime.clock import SystemClock
from mbusgw.runtime.metrics import Metrics
from mbusgw.web.auth import GatewayKeys
from mbusgw.web.message import Request
from mbusgw.web.rates import GatewayRates
from mbusgw.web.router import Router
from mbusgw.web.telegrams import TOGETHER, TelegramRoutes
from tests.fakes.clock import FakeClock
from tests.wait import PATIENCE_S, wait_until
from tests.web.client import Answered, Client, request_bytes, serving

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
            Accepted(f"id-{len(self.kept) + index}", "id-0" if telegram.raw in seen else None)
            for index, telegram in enumerate(telegrams)
        ]
        self.kept += telegrams
        return accepted

    def parse_now(self, ingest_id: str, _timeout_s: float) -> Any:
        return self.parsed and {"ingest_id": ingest_id, **self.parsed}


class SlowDisk(Intake):
    """Keeps the first call waiting until it is let go, so that others gather behind it."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[int] = []
        self.busy = threading.Semaphore(0)
        self.go_on = threading.Event()
        self.limit: int | None = None

    def accept(self, telegrams: Sequence[Submission]) -> list[Accepted]:
        self.busy.release()
        assert self.go_on.wait(PATIENCE_S)
        self.calls.append(len(telegrams))
        if self.limit is not None and any(len(telegram.raw) > self.limit for telegram in telegrams):
            raise RequestError(429, "too_fast", "this gateway sends too much", retry_after_s=1)
        if self.error is not None:
            raise self.error
        return [Accepted(telegram.raw.hex()) for telegram in telegrams]


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
    with serving(Router(routes.routes()).answer, together=routes) as server, Client(server.port) as client:
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


def test_each_kind_of_refused_body_is_logged_once_for_its_gateway(
    ingress: Ingress, caplog: pytest.LogCaptureFixture
) -> None:
    short, odd = {**TELEGRAM, "raw_hex": "00" * 5}, {**TELEGRAM, "raw_hex": "0" * 41}
    with caplog.at_level(logging.INFO, logger="mbusgw.web.telegrams"):
        for document in (short, TELEGRAM, short, odd, TELEGRAM, odd):
            ingress.post(document)
    said = [record.getMessage() for record in caplog.records]
    assert [("too short" in text or "5 bytes" in text, "gw1" in text) for text in said] == [(True, True), (False, True)]


# ------------------------------------------------------------------ many at once
@contextmanager
def crowd(disk: SlowDisk, bodies: list[str]) -> Iterator[list[Client]]:
    """Clients whose telegrams gather while the disk is busy with another one; then it goes on."""
    keys = GatewayKeys({"gw1": "first"})
    routes = TelegramRoutes(keys, disk.accept, disk.parse_now, clock=SystemClock(), metrics=Metrics())
    with ExitStack() as stack:
        server = stack.enter_context(serving(Router(routes.routes()).answer, together=routes, workers=3))
        stack.enter_context(Client(server.port)).send(post("0" * 40))
        assert disk.busy.acquire(timeout=PATIENCE_S)
        clients = [stack.enter_context(Client(server.port)).send(post(raw_hex)) for raw_hex in bodies]
        wait_until(lambda: server.waiting == len(clients))
        disk.go_on.set()
        yield clients


def post(raw_hex: str, path: str = "/v1/telegrams") -> bytes:
    body = exactjson.dumps({"gateway_id": "gw1", "raw_hex": raw_hex}).encode()
    return request_bytes("POST", path, body, Content_Type="application/json", Authorization="Bearer first")


def test_telegrams_that_gather_are_stored_with_one_wait_and_each_gets_its_own_answer() -> None:
    disk, bodies = SlowDisk(), [f"{number:040x}" for number in range(100, 140)]
    with crowd(disk, bodies) as clients:
        assert [client.answer().json["ingest_id"] for client in clients] == bodies
    assert disk.calls == [1, 40]


def test_a_bad_telegram_among_others_is_refused_alone() -> None:
    bodies = [f"{number:040x}" for number in range(100, 110)]
    bodies[4] = "not hex"
    with crowd(SlowDisk(), bodies) as clients:
        statuses = [client.answer().status for client in clients]
    assert statuses == [202] * 4 + [400] + [202] * 5


def test_a_refusal_that_concerns_one_gateway_does_not_fall_on_the_others() -> None:
    disk, bodies = SlowDisk(), [f"{number:040x}" for number in range(100, 110)]
    disk.limit = 20
    bodies[7] += "00"
    with crowd(disk, bodies) as clients:
        answers = [client.answer() for client in clients]
    assert [answer.status for answer in answers] == [202] * 7 + [429] + [202] * 2
    assert answers[7].headers["retry-after"] == "1"
    assert answers[8].json["ingest_id"] == bodies[8]


def test_long_batches_are_not_all_stored_in_one_go() -> None:
    disk = SlowDisk()
    disk.go_on.set()
    routes = TelegramRoutes(
        GatewayKeys({"gw1": "first"}), disk.accept, disk.parse_now, clock=SystemClock(), metrics=Metrics()
    )
    headers = {"authorization": "Bearer first", "content-type": "application/json", "content-length": "1"}
    count = TOGETHER * 2 // 3
    batch = exactjson.dumps([{"gateway_id": "gw1", "raw_hex": "00" * 20}] * count).encode()
    sent = [Request("POST", "/v1/telegrams", headers=headers, body=body) for body in (batch, b"{", batch, batch)]
    answers = routes.answer_together(sent)
    assert disk.calls == [2 * count, count]
    assert [answer.status for answer in answers] == [202, 400, 202, 202]
    assert len(exactjson.loads(answers[3].body)) == count


@pytest.mark.parametrize("error", [RequestError(503, "full", "no room", retry_after_s=9), StoreFull("no room")])
def test_without_room_everybody_is_told_to_come_back(error: Exception) -> None:
    disk = SlowDisk()
    disk.error = error
    with crowd(disk, [f"{number:040x}" for number in range(20)]) as clients:
        answers = [client.answer() for client in clients]
    assert {answer.status for answer in answers} == {503}
    assert all("retry-after" in answer.headers for answer in answers)


def test_a_mistake_of_ours_is_a_500_for_each_and_the_next_telegrams_are_taken(
    caplog: pytest.LogCaptureFixture,
) -> None:
    disk = SlowDisk()
    disk.error = ZeroDivisionError("oops")
    with crowd(disk, [f"{number:040x}" for number in range(5)]) as clients:
        assert [client.answer().status for client in clients] == [500] * 5
        disk.error = None
        assert clients[0].send(post("ab" * 20)).answer().status == 202
    assert "ZeroDivisionError: oops" in caplog.text


def test_requests_that_wait_for_a_result_do_not_hold_up_telegrams() -> None:
    intake, parsed = Intake(), threading.Event()

    def parse_now(ingest_id: str, _timeout_s: float) -> Any:
        assert parsed.wait(PATIENCE_S)
        return {"ingest_id": ingest_id}

    routes = TelegramRoutes(
        GatewayKeys({"gw1": "first"}), intake.accept, parse_now, clock=SystemClock(), metrics=Metrics(), sync_slots=1
    )
    with serving(Router(routes.routes()).answer, together=routes, workers=3) as server:
        with Client(server.port) as patient, Client(server.port) as impatient, Client(server.port) as gateway:
            patient.send(post("00" * 20, "/v1/telegrams?sync=true"))
            wait_until(lambda: len(intake.kept) == 1)
            assert gateway.send(post("11" * 20)).answer().status == 202
            impatient.send(post("22" * 20, "/v1/telegrams?sync=true"))
            parsed.set()
            assert patient.answer().json == {"ingest_id": "id-0"}
            assert impatient.answer().status in (200, 503)


def test_more_waiting_requests_than_slots_are_told_to_come_back() -> None:
    intake, parsed = Intake(), threading.Event()

    def parse_now(ingest_id: str, _timeout_s: float) -> Any:
        assert parsed.wait(PATIENCE_S)
        return {"ingest_id": ingest_id}

    routes = TelegramRoutes(
        GatewayKeys({"gw1": "first"}), intake.accept, parse_now, clock=SystemClock(), metrics=Metrics(), sync_slots=1
    )
    with serving(Router(routes.routes()).answer, together=routes) as server:
        with Client(server.port) as first, Client(server.port) as second:
            first.send(post("00" * 20, "/v1/telegrams?sync=true"))
            wait_until(lambda: len(intake.kept) == 1)
            answer = second.send(post("11" * 20, "/v1/telegrams?sync=true")).answer()
            assert (answer.status, answer.json["error"]) == (503, "busy")
            parsed.set()
            assert first.answer().status == 200
    assert len(intake.kept) == 1


def test_a_gateway_over_its_rate_is_429_with_retry_after_and_the_others_are_not(
    caplog: pytest.LogCaptureFixture,
) -> None:
    intake, metrics, clock = Intake(), Metrics(), FakeClock()
    keys = GatewayKeys({"gw1": "first", "gw2": "second"})
    rates = GatewayRates(0.1, clock)
    routes = TelegramRoutes(keys, intake.accept, intake.parse_now, clock=clock, metrics=metrics, rates=rates)
    with serving(Router(routes.routes()).answer, together=routes) as server, Client(server.port) as client:
        ingress = Ingress(client, intake, metrics)
        statuses = [ingress.post(TELEGRAM).status for _ in range(4)]
        assert statuses == [202, 202, 202, 429]
        answer = ingress.post(TELEGRAM)
        assert (answer.json["error"], answer.headers["retry-after"]) == ("too_many_telegrams", "10")
        assert ingress.counted("gw1", "limited")
        assert ingress.post({**TELEGRAM, "gateway_id": "gw2"}, key="second").status == 202
        clock.advance(10)
        assert ingress.post(TELEGRAM).status == 202
    assert caplog.text.count("more telegrams than ingest.max_rate") == 1
    assert len(intake.kept) == 5


def test_a_trusted_network_posts_without_a_key_but_not_as_a_gateway_that_has_one() -> None:
    intake, metrics = Intake(), Metrics()
    keys = GatewayKeys({"gw1": "first"}, trusted=[ip_network("127.0.0.0/8")])
    routes = TelegramRoutes(keys, intake.accept, intake.parse_now, clock=SystemClock(), metrics=metrics)
    with serving(Router(routes.routes()).answer, together=routes) as server, Client(server.port) as client:
        ingress = Ingress(client, intake, metrics)
        assert ingress.post({**TELEGRAM, "gateway_id": "garage"}, key=None).status == 202
        answer = ingress.post(TELEGRAM, key=None)
        assert (answer.status, answer.json["error"]) == (403, "forbidden")
        assert "its key" in answer.json["message"]
    assert [one.gateway_id for one in intake.kept] == ["garage"]
