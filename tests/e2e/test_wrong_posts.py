"""What is sent to the real daemon by mistake or on purpose is refused or ends as a reason, and it goes on."""
from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from mbusgw.model.meter import MeterIdentity
from mbusgw.simulator.radio import RadioMeter, telegram
from tests.daemon import KEY, Daemon, running
from tests.mosquitto import Mosquitto, Subscriber, subscribed
from tests.wait import wait_until
from tests.web.client import Client

pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class House:
    """The daemon and what a subscriber hears."""

    daemon: Daemon
    subscriber: Subscriber

    def topic_with(self, ingest_id: str) -> str:
        """Where the reading or the error of a telegram was published."""
        def found() -> str | None:
            told = list(self.subscriber.messages)
            return next((topic for topic, text, _ in told if ingest_id in text and "/raw/" not in topic), None)

        return str(wait_until(found))

    def client(self) -> Client:
        return Client(self.daemon.http_port, timeout=60)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    folder = tmp_path_factory.mktemp("wrong")
    (folder / "mosquitto").mkdir()
    with ExitStack() as stack:
        broker = Mosquitto(folder / "mosquitto")
        broker.start()
        stack.callback(broker.stop)
        subscriber = stack.enter_context(subscribed(broker.port, "oms/#"))
        yield House(stack.enter_context(running(folder, "", broker=broker.url)), subscriber)


@pytest.fixture(autouse=True)
def the_next_telegram_is_taken(house: House) -> Iterator[None]:
    """After each of them the daemon is as before."""
    yield
    assert house.daemon.post({"gateway_id": "gw1", "raw_hex": raw("00000001").hex()})[0] == 202


def raw(meter_id: str, litres: int = 1) -> bytes:
    records = b"\x04\x13" + litres.to_bytes(4, "little")
    return telegram(RadioMeter(MeterIdentity(meter_id, "SIM", 1, 7), records=lambda: records), litres)


def head(*headers: str) -> bytes:
    lines = ["POST /v1/telegrams HTTP/1.1", "Host: test", f"Authorization: Bearer {KEY}"]
    return "\r\n".join([*lines, "Content-Type: application/json", *headers]).encode() + b"\r\n\r\n"


def body(meter_id: str = "00000002") -> bytes:
    return json.dumps({"gateway_id": "gw1", "raw_hex": raw(meter_id).hex()}).encode()


@pytest.mark.parametrize("name", ["gw1/#", "+", "a/b", "\0", "gw1\n", "x" * 10_000, ""])
def test_a_name_that_would_break_a_topic_is_refused(house: House, name: str) -> None:
    status, answer = house.daemon.post({"gateway_id": name, "raw_hex": raw("00000002").hex()})
    assert (status, answer["field"]) == (400, "gateway_id") and len(answer["message"]) < 200


@pytest.mark.parametrize("meter_id", ["+", "#", "1234/678", "\0" * 8, "1" * 10_000])
def test_a_hint_that_would_break_a_topic_is_refused(house: House, meter_id: str) -> None:
    document = {"gateway_id": "gw1", "raw_hex": raw("00000002").hex(), "meter_hint": {"meter_id": meter_id}}
    status, answer = house.daemon.post(document)
    assert (status, answer["field"]) == (400, "meter_hint.meter_id") and len(answer["message"]) < 200


def test_a_meter_whose_number_has_letters_is_read(house: House) -> None:
    _, answer = house.daemon.post({"gateway_id": "gw1", "raw_hex": raw("0A1B2C3D").hex()})
    assert house.topic_with(answer["ingest_id"]) == "oms/v1/gw/gw1/meter/0A1B2C3D/reading"


@pytest.mark.parametrize("rx_time", ["1970-01-01T00:00:09Z", "2099-12-31T23:59:59Z"])
def test_a_clock_that_is_wrong_dates_no_reading(house: House, rx_time: str) -> None:
    number = f"{rx_time[:4]}0000"
    _, answer = house.daemon.post({"gateway_id": "gw1", "raw_hex": raw(number).hex(), "rx_time": rx_time})
    topic = house.topic_with(answer["ingest_id"])
    assert rx_time[:4] not in json.loads(house.subscriber.last(topic) or "")["reading"]["read_at"]


@pytest.mark.parametrize(
    "frame",
    [
        bytes.fromhex("2f2f") + bytes(30),  # only filler
        bytes.fromhex("294400096a00123456789abcdef0") + bytes(28),  # KNX RF speaks on the same frequency
        b"\xff" * 512,
        bytes(range(20)),
    ],
)
def test_a_frame_of_another_standard_ends_as_a_reason(house: House, frame: bytes) -> None:
    status, answer = house.daemon.post({"gateway_id": "gw1", "raw_hex": frame.hex()})
    assert status == 202
    error = json.loads(house.subscriber.last(house.topic_with(answer["ingest_id"])) or "")
    assert error["status"] == "failed" and error["error"]["message"] and error["will_retry"] is False


def test_a_chunked_body_is_taken(house: House) -> None:
    data = body()
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (data[:10], data[10:])) + b"0\r\n\r\n"
    with house.client() as client:
        assert client.send(head("Transfer-Encoding: chunked") + chunks).answer().status == 202


def test_pipelined_and_half_closed_posts_are_all_answered(house: House) -> None:
    one = head(f"Content-Length: {len(body())}") + body()
    with house.client() as client:
        client.send(one * 3).sock.shutdown(1)
        ids = {client.answer().json["ingest_id"] for _ in range(3)}
        assert len(ids) == 3 and client.rest() == b""


def test_a_body_of_a_hundred_megabytes_is_refused_and_not_kept(house: House) -> None:
    assert house.daemon.process is not None
    with house.client() as client:
        client.send(head("Content-Length: 104857600"))
        try:
            for _ in range(100):
                client.send(bytes(1 << 20))
        except OSError:
            pass  # it need not take all of it
        assert client.answer().status == 413
    lines = Path(f"/proc/{house.daemon.process.pid}/status").read_text().splitlines()
    peak_kb = next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))
    assert peak_kb < 150_000


def test_300_silent_and_100_half_sent_connections_keep_no_post_away(house: House) -> None:
    with ExitStack() as stack:
        for number in range(400):
            client = stack.enter_context(house.client())
            if number >= 300:
                client.send(head("Content-Length: 500"))
        assert house.daemon.post({"gateway_id": "gw1", "raw_hex": raw("00000003").hex()})[0] == 202
