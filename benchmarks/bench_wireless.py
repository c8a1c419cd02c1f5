"""Radio telegrams from the POST to the broker's acknowledgement, and a start with a long backlog on disk.

    python benchmarks/bench_wireless.py [--seconds 30] [--backlog 100000]

The real daemon and a real mosquitto. Steady: two gateways hand in 300 telegrams a second of 500 meters, half of them
encrypted (mode 5), over keep-alive connections; every reading must come, the backlog must not grow, resident memory
stays under 150 MB. Flood: 10,000 in batches, and how many a second are read and acknowledged then. Backlog: as many
telegrams as ``--backlog`` lie on disk; goal: READY within 3 s (median of three starts, the broker away), and memory
bounded while they are read.
"""
from __future__ import annotations

import argparse
import http.client
import json
import os
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from datetime import datetime, timezone
from pathlib import Path
from shutil import which
from statistics import median, quantiles

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from mbusgw.model.meter import MeterIdentity
from mbusgw.model.telegram import ReceivedTelegram
from mbusgw.runtime.clock import SystemClock
from mbusgw.simulator.radio import RadioMeter, Security, telegram
from mbusgw.store import arrivals
from mbusgw.store.writer import Store

RATE = 300
METERS = 500
FLOOD = 10_000
STARTS = 3
RSS_GOAL_MB, READY_GOAL_S = 150.0, 3.0
KEY = bytes(range(16))
GATEWAYS = ("gw1", "gw2")
WAIT_S = 300.0


def main() -> int:
    """Prints the figures; 0 when every goal is met."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--seconds", type=float, default=30)
    arguments.add_argument("--backlog", type=int, default=100_000)
    options = arguments.parse_args()
    return 0 if all([steady(options.seconds), backlog(options.backlog)]) else 1


# ------------------------------------------------------------------ steady load, then a flood
def steady(seconds: float) -> bool:
    """300 telegrams a second from POST to PUBACK, then many at once."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="mbusgw-bench-")))
        broker = stack.enter_context(_broker(folder))
        house = House(folder, broker)
        process, _ = stack.enter_context(house.running())
        heard = stack.enter_context(Heard.on(broker))
        before_s = _cpu_s(process.pid)
        watch = stack.enter_context(Watch.over(process.pid, house.database))
        sent_at = _send(house.port, range(int(RATE * seconds)), seconds)
        late = sum(number not in heard.at for number in sent_at)
        cpu_s = _cpu_s(process.pid) - before_s
        heard.wait_for(len(sent_at))
        waits = quantiles([heard.at[number] - at for number, at in sent_at.items()], n=100)
        half = len(watch.waiting) // 2
        first, second = max(watch.waiting[:half], default=0), max(watch.waiting[half:], default=0)
        print(
            f"steady {RATE}/s, {seconds:.0f} s   POST to subscriber p50 {waits[49] * 1000:.0f} ms,"
            f" p99 {waits[98] * 1000:.0f} ms;"
            f" on their way at the end {late}; waiting at most {first}, then {second};"
            f" {100 * cpu_s / seconds:.0f} % CPU"
        )
        begun = time.perf_counter()
        _flood(house.port, range(len(sent_at), len(sent_at) + FLOOD))
        taken_s = time.perf_counter() - begun
        heard.wait_for(len(sent_at) + FLOOD)
        print(
            f"flood of {FLOOD}        taken in {FLOOD / taken_s:.0f}/s, read and acknowledged"
            f" {FLOOD / (time.perf_counter() - begun):.0f}/s"
        )
        print(f"resident memory     {watch.rss_mb:.0f} MB at most (goal {RSS_GOAL_MB:.0f})")
        return second <= max(2 * first, RATE) and watch.rss_mb < RSS_GOAL_MB


def _send(port: int, numbers: range, seconds: float) -> dict[int, float]:
    """Each number at its time, over one connection per gateway and core; when each was sent."""
    sent_at: dict[int, float] = {}
    begun = time.perf_counter()

    def run(lane: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=WAIT_S)
        for number in numbers[lane::4]:
            wait_s = begun + seconds * (number - numbers.start) / len(numbers) - time.perf_counter()
            if wait_s > 0:
                time.sleep(wait_s)
            sent_at[number] = time.perf_counter()
            _post(connection, GATEWAYS[lane % 2], [number])

    _in_threads(run, 4)
    return sent_at


def _flood(port: int, numbers: range) -> None:
    def run(lane: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=WAIT_S)
        mine = numbers[lane::2]
        for start in range(0, len(mine), 100):
            _post(connection, GATEWAYS[lane], mine[start : start + 100])

    _in_threads(run, 2)


def _in_threads(run: Callable[[int], None], count: int) -> None:
    threads = [threading.Thread(target=run, args=(lane,)) for lane in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _post(connection: http.client.HTTPConnection, gateway: str, numbers: range | list[int]) -> None:
    body = [{"gateway_id": gateway, "raw_hex": _raw(number).hex(), "rssi_dbm": -70} for number in numbers]
    headers = {"Authorization": f"Bearer secret-{gateway}", "Content-Type": "application/json"}
    connection.request("POST", "/v1/telegrams", json.dumps(body), headers)
    response = connection.getresponse()
    said = response.read()
    assert response.status == 202, said


def _raw(number: int) -> bytes:
    """A telegram of one of the meters, whose volume is ``number``; every second meter encrypts."""
    records = b"\x04\x13" + number.to_bytes(4, "little")
    identity = MeterIdentity(f"{number % METERS:08d}", "SIM", 1, 7)
    security = Security.MODE_5 if number % 2 else Security.NONE
    return telegram(RadioMeter(identity, records=lambda: records, security=security, key=KEY), number % 256)


class Heard:
    """A subscriber: when the reading of each number came."""

    def __init__(self) -> None:
        self.at: dict[int, float] = {}

    @classmethod
    @contextmanager
    def on(cls, port: int) -> Iterator[Heard]:
        heard, subscribed = cls(), threading.Event()
        client = paho.Client(CallbackAPIVersion.VERSION2)
        client.on_connect = lambda client, *_: client.subscribe("oms/v1/gw/+/meter/+/reading", 1)
        client.on_subscribe = lambda *_: subscribed.set()
        client.on_message = lambda _client, _userdata, message: heard.take(bytes(message.payload))
        client.connect("127.0.0.1", port)
        client.loop_start()
        assert subscribed.wait(WAIT_S)
        try:
            yield heard
        finally:
            client.disconnect()
            client.loop_stop()

    def take(self, payload: bytes) -> None:
        """The number is the volume in litres."""
        now = time.perf_counter()
        volume = json.loads(payload)["reading"]["fields"]["volume"]["value"]
        self.at.setdefault(round(float(volume) * 1000), now)

    def wait_for(self, count: int) -> None:
        deadline = time.monotonic() + WAIT_S
        while len(self.at) < count:
            assert time.monotonic() < deadline, f"{count - len(self.at)} readings did not come"
            time.sleep(0.02)


# ------------------------------------------------------------------ a long backlog
def backlog(count: int) -> bool:
    """How long a start takes while so many telegrams wait on disk, and how much memory reading them."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="mbusgw-bench-")))
        house = House(folder, 1)
        _fill(house.database, count)
        starts = []
        for _ in range(STARTS):
            with house.running() as (_, ready_s):
                starts.append(ready_s)
        ready_s = median(starts)
        print(f"{count} on disk      READY after {ready_s:.2f} s (goal {READY_GOAL_S:.0f})", flush=True)
        broker = stack.enter_context(_broker(folder))
        house = House(folder, broker)
        process, _ = stack.enter_context(house.running())
        begun, left = time.perf_counter(), count
        with Watch.over(process.pid, house.database) as watch:
            while left:
                time.sleep(1)
                left = _count(house.database, "SELECT sum(value) FROM counters WHERE name IN ('backlog', 'telemetry')")
                assert time.perf_counter() < begun + WAIT_S * 4, f"{left} still wait"
        print(
            f"                    all read and acknowledged, {count / (time.perf_counter() - begun):.0f}/s,"
            f" with {watch.rss_mb:.0f} MB at most"
        )
        return ready_s < READY_GOAL_S and watch.rss_mb < RSS_GOAL_MB


def _fill(database: Path, count: int) -> None:
    """Telegrams as the ingress stores them."""
    database.parent.mkdir(parents=True)
    store = Store(database, clock=SystemClock())
    store.open()
    now = datetime.now(timezone.utc)

    def write(connection: sqlite3.Connection) -> None:
        for number in range(count):
            one = ReceivedTelegram(
                str(uuid.uuid4()), GATEWAYS[number // 2 % 2], raw=_raw(number), rx_time=now, created_at=now
            )
            arrivals.insert(connection, [one], dedup_window_s=None)

    store.prepare(write)
    store.close()


# ------------------------------------------------------------------ the parts
class House:
    """The daemon's configuration and folder."""

    def __init__(self, folder: Path, broker: int) -> None:
        self.folder = folder
        self.port = _free_port()
        self.database = folder / "state" / "mbusgw.db"
        keys = "".join(f"  - {{meter_id: '{n:08d}', key: {KEY.hex()}}}\n" for n in range(1, METERS, 2))
        (folder / "mbusgw.yaml").write_text(
            f"mqtt: {{url: 'mqtt://127.0.0.1:{broker}'}}\nhttp: {{listen: '127.0.0.1:{self.port}'}}\n"
            "ingest: {keys: {gw1: secret-gw1, gw2: secret-gw2}}\nparser: {backend: local}\n"
            f"keys:\n{keys}"
        )

    @contextmanager
    def running(self) -> Iterator[tuple[subprocess.Popen[bytes], float]]:
        """The daemon, and how long it took to say READY."""
        path = self.folder / "notify"
        path.unlink(missing_ok=True)
        command = [sys.executable, "-m", "mbusgw", "run", "-c", str(self.folder / "mbusgw.yaml")]
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
            manager.bind(str(path))
            manager.settimeout(60)
            begun = time.monotonic()
            process = subprocess.Popen(
                [*command, "--state-dir", str(self.folder / "state")],
                env={**os.environ, "NOTIFY_SOCKET": str(path)},
                stderr=subprocess.DEVNULL,
            )
            while b"READY=1" not in manager.recv(4096):
                pass
            ready_s = time.monotonic() - begun
        try:
            yield process, ready_s
        finally:
            process.terminate()
            process.wait(30)


class Watch:
    """Looks twice a second how much waits, and how much memory the daemon has at most."""

    def __init__(self, pid: int, database: Path) -> None:
        self.waiting: list[int] = []
        self.rss_mb = 0.0
        self._pid, self._database = pid, database
        self._stop = threading.Event()

    @classmethod
    @contextmanager
    def over(cls, pid: int, database: Path) -> Iterator[Watch]:
        watch = cls(pid, database)
        thread = threading.Thread(target=watch.run)
        thread.start()
        try:
            yield watch
        finally:
            watch._stop.set()
            thread.join()

    def run(self) -> None:
        while not self._stop.wait(0.5):
            lines = Path(f"/proc/{self._pid}/status").read_text().splitlines()
            pages = dict(line.split(":", 1) for line in lines if ":" in line)
            self.rss_mb = max(self.rss_mb, int(pages["VmRSS"].split()[0]) / 1024)
            counted = "SELECT sum(value) FROM counters WHERE name IN ('backlog', 'telemetry')"
            self.waiting.append(_count(self._database, counted))


@contextmanager
def _broker(folder: Path) -> Iterator[int]:
    port = _free_port()
    file = folder / "mosquitto.conf"
    file.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\nmax_queued_messages 0\n")
    program = which("mosquitto") or which("mosquitto", path="/usr/sbin") or "mosquitto"
    process = subprocess.Popen([program, "-c", file], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.02)
        yield port
    finally:
        process.terminate()
        process.wait(10)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _count(database: Path, query: str) -> int:
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=30)) as connection:
        return int(connection.execute(query).fetchone()[0])


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    sys.exit(main())
