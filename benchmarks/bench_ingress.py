"""POSTs of telegrams, validated and durable before their 202: requests per second, p99, CPU time per request.

Our server and its peers (``ingress_servers``), in turn in one run: the ratio counts, not the figures. The server has a
process of its own, so has the load, and both share the cores with whatever else runs: the median of some rounds counts.
CPU time per request (of all the server's threads) is what a busy machine changes least. Goals: at 16 and 64 connections
4 x FastAPI with a commit per request, and 1.8 x of it with a queue in memory only; p99 at most a quarter of its p99 at
64; p99 of 20 ms at half of our own peak; at 256 no error, nobody starved, p99 a tenth of a thread per connection's; as
fast on two cores as 0.7 x pinned to one. FastAPI is measured with both kinds of endpoint: ``def``, which is how one
that waits for a database is written, and ``async def``, which is quicker as long as the disk is, and stands still when
the disk does.
"""
from __future__ import annotations

import argparse
import os
import selectors
import socket
import subprocess
import sys
import time
from dataclasses import astuple, dataclass
from pathlib import Path
from statistics import median, quantiles

sys.path.insert(0, str(Path(__file__).parent))
from ingress_servers import KINDS, missing  # noqa: E402

SECONDS = 2.0
ROUNDS = 3
CONNECTIONS = (16, 64, 256)
TELEGRAM = "3844931578563412330333637A2A0020055923C95AAA26D1B2E7493B2A8B013EC4A6F6D3529B520EDFF0EA6DEFC955B29D6D69EB"
SERVERS = Path(__file__).with_name("ingress_servers.py")


@dataclass(frozen=True)
class Result:
    """Requests per second; seconds at the median and the 99th percentile; fewest of one connection; CPU us each."""

    rate: float
    p50_s: float
    p99_s: float
    fewest: float
    cpu_us: float


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--seconds", type=float, default=SECONDS)
    arguments.add_argument("--rounds", type=int, default=ROUNDS)
    arguments.add_argument("--kinds", nargs="+", choices=KINDS, default=KINDS, help="ours comes first")
    options = arguments.parse_args()
    kinds = [kind for kind in options.kinds if not missing(kind)]
    for kind in options.kinds:
        if missing(kind):
            print(f"{kind} is not measured: pip install {missing(kind)}")
    results: dict[tuple[str, int], Result] = {}
    print(f"{'server':20} connections requests/s  p50 ms  p99 ms  fewest  CPU us")
    for count in CONNECTIONS:
        rounds: dict[str, list[Result]] = {kind: [] for kind in kinds}
        for _ in range(options.rounds):
            for kind in kinds:
                rounds[kind].append(measure(kind, count, options.seconds))
        for kind in kinds:
            results[kind, count] = show(kind, count, rounds[kind])
    pinned = [measure("ours", 64, options.seconds, cpu=0) for _ in range(options.rounds)]
    show("ours, one core", 64, pinned)
    half = results["ours", 64].rate / 2
    calm = [measure("ours", 64, options.seconds, rate=half) for _ in range(options.rounds)]
    show("ours, half peak", 64, calm)
    for kind in kinds[1:]:
        for count in CONNECTIONS:
            ours, other = results["ours", count], results[kind, count]
            print(
                f"ours / {kind} at {count}:"
                f" rate {ours.rate / other.rate:.1f} x, p99 {ours.p99_s / other.p99_s:.2f} x,"
                f" CPU {ours.cpu_us / other.cpu_us:.2f} x"
            )
    free = results["ours", 64].rate
    print(f"not pinned / pinned to one core: {free / median(one.rate for one in pinned):.2f}")
    print(f"load average: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")


def show(kind: str, count: int, rounds: list[Result]) -> Result:
    """Prints and returns the medians of some rounds."""
    middle = Result(*(median(figures) for figures in zip(*map(astuple, rounds))))
    print(
        f"{kind:20} {count:11} {middle.rate:10.0f} {middle.p50_s * 1000:7.1f} {middle.p99_s * 1000:7.1f}"
        f" {middle.fewest:7.0f} {middle.cpu_us:7.0f}",
        flush=True,
    )
    return middle


# ------------------------------------------------------------------ the load
def measure(kind: str, connections: int, seconds: float, *, cpu: int | None = None, rate: float = 0.0) -> Result:
    """One round.

    ``cpu`` pins the server; with ``rate`` the connections together send so many requests a second.
    """
    command = [sys.executable, str(SERVERS), kind]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None and child.stdin is not None
        if cpu is not None:
            os.sched_setaffinity(child.pid, {cpu})
        port = int(child.stdout.readline())
        load(port, connections, 0.5)
        before_s = cpu_s(child.pid)
        times = load(port, connections, seconds, pause_s=connections / rate if rate else 0.0)
        spent_s = cpu_s(child.pid) - before_s
        child.stdin.close()
    every = [taken for one in times for taken in one]
    cuts = quantiles(every, n=100)
    return Result(len(every) / seconds, cuts[49], cuts[98], min(map(len, times)), spent_s / len(every) * 1e6)


def cpu_s(pid: int) -> float:
    """CPU time of a process and its threads so far, in seconds."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def load(port: int, connections: int, seconds: float, *, pause_s: float = 0.0) -> list[list[float]]:
    """Keeps one request under way on each connection, or sends one every ``pause_s``; how long each took."""
    selector = selectors.DefaultSelector()
    began: dict[socket.socket, float] = {}
    times: dict[socket.socket, list[float]] = {}
    start = time.perf_counter()
    due: list[tuple[float, socket.socket]] = []
    for number in range(connections):
        sock = socket.create_connection(("127.0.0.1", port))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        selector.register(sock, selectors.EVENT_READ)
        times[sock] = []
        due.append((start + pause_s * number / connections, sock))
    end = start + seconds
    parts: dict[socket.socket, bytes] = {}
    while began or due:
        now = time.perf_counter()
        while due and due[0][0] <= now:
            _, sock = due.pop(0)
            began[sock] = time.perf_counter()
            sock.sendall(post())
        for key, _ in selector.select(max(0.0, min(1.0, due[0][0] - now)) if due else 1):
            sock = key.fileobj  # type: ignore[assignment]
            data = parts.pop(sock, b"") + sock.recv(65536)
            if b"ingest_id" not in data or data[-1:] != b"}":
                parts[sock] = data
                continue
            assert data.startswith(b"HTTP/1.1 202 "), data
            now = time.perf_counter()
            begun = began.pop(sock)
            times[sock].append(now - begun)
            if now < end:
                due.append((max(now, begun + pause_s), sock))
            else:
                selector.unregister(sock)
                sock.close()
        due.sort(key=lambda one: one[0])
    selector.close()
    return list(times.values())


_numbers = iter(range(time.time_ns() & 0xFFFFFFF, 1 << 40))


def post() -> bytes:
    """A request with a telegram that was not sent before."""
    raw_hex = b"%s%010X" % (TELEGRAM.encode(), next(_numbers))
    body = b'{"gateway_id":"gw1","raw_hex":"%s","rssi_dbm":-67.5,"mode":"T1"}' % raw_hex
    return (
        b"POST /v1/telegrams HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: bench\r\nAuthorization: Bearer secret\r\n"
        b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
    )


if __name__ == "__main__":
    main()
