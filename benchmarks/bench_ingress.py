"""POSTs of telegrams, validated and durable before their 202: requests per second and p99.

Our server against the standard library's ``ThreadingHTTPServer`` (HTTP/1.1, a thread per connection) with the same
routes, intake and database, one after the other in one run: the ratio counts, not the figures.
The server has a process of its own, so has the load.
"""
from __future__ import annotations

import argparse
import selectors
import socket
import subprocess
import sys
import tempfile
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from statistics import quantiles

from mbusgw.ingest.fleet import Fleet
from mbusgw.ingest.intake import Intake
from mbusgw.ingest.receptions import Receptions
from mbusgw.model.telegram import ReceivedTelegram
from mbusgw.runtime.clock import SystemClock
from mbusgw.runtime.metrics import Metrics
from mbusgw.store.outbox import Message
from mbusgw.store.writer import Store
from mbusgw.web.auth import GatewayKeys
from mbusgw.web.message import Request
from mbusgw.web.router import Router
from mbusgw.web.server import HttpServer
from mbusgw.web.telegrams import TelegramRoutes

SECONDS = 3.0
CONNECTIONS = (16, 64)
TELEGRAM = "2E44931578563412330333637A2A0020055923C95AAA26D1B2E7493B2A8B013EC4A6F6D3529B520EDFF0EA6DEFC955B29D6D69EB"


class RawMessages:
    """The raw topic, as short as it can be."""

    def raw(self, telegram: ReceivedTelegram, *, duplicate: bool = False) -> Message:
        return Message(f"raw/{telegram.ingest_id}", telegram.raw.hex(), retain=False, ingest_id=telegram.ingest_id)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--serve", choices=["ours", "stdlib"])
    arguments.add_argument("--seconds", type=float, default=SECONDS)
    options = arguments.parse_args()
    if options.serve:
        serve(options.serve)
        return
    rates: dict[tuple[str, int], float] = {}
    print(f"{'server':8} {'connections':>11} {'requests/s':>10} {'p50 ms':>7} {'p99 ms':>7}")
    for kind in ("stdlib", "ours"):
        for count in CONNECTIONS:
            rate, p50_s, p99_s = measure(kind, count, options.seconds)
            rates[kind, count] = rate
            print(f"{kind:8} {count:11} {rate:10.0f} {p50_s * 1000:7.1f} {p99_s * 1000:7.1f}", flush=True)
    for count in CONNECTIONS:
        print(f"ours / stdlib at {count}: {rates['ours', count] / rates['stdlib', count]:.1f}")


# ------------------------------------------------------------------ the server's process
def serve(kind: str) -> None:
    """Serves until stdin ends; says its port first."""
    clock, metrics = SystemClock(), Metrics()
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder) / "bench.db", clock=clock)
        store.open()
        store.start()
        intake = Intake(
            store,
            RawMessages(),
            lambda ids: None,
            dedup_window_s=300,
            max_backlog=10_000_000,
            max_outbox=10_000_000,
            receptions=Receptions(lambda _device_id, _reception: None),
            fleet=Fleet(clock),
            metrics=metrics,
            clock=clock,
        )
        keys = GatewayKeys({"gw1": "secret"})
        routes = TelegramRoutes(keys, intake.accept, lambda _id, _timeout: None, clock=clock, metrics=metrics)
        router = Router(routes.routes())
        if kind == "ours":
            _ours(router, routes)
        else:
            _stdlib(router)
        store.stop()
        store.join(10)
        store.close()


def _ours(router: Router, routes: TelegramRoutes) -> None:
    server = HttpServer("127.0.0.1", 0, router.answer, clock=SystemClock(), together=routes)
    server.start()
    print(server.port, flush=True)
    sys.stdin.read()
    server.stop()
    server.join(10)


def _stdlib(router: Router) -> None:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True  # else head and body of each answer lie 40 ms apart

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            response = router.answer(Request("POST", self.path, headers=headers, body=body))
            self.send_response(response.status)
            self.send_header("Content-Type", response.content_type)
            self.send_header("Content-Length", str(len(response.body)))
            self.end_headers()
            self.wfile.write(response.body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        request_queue_size = 1024
        daemon_threads = True

    with Server(("127.0.0.1", 0), Handler) as server:
        print(server.server_address[1], flush=True)
        server.timeout = 0.2
        with selectors.DefaultSelector() as ready:
            ready.register(sys.stdin, selectors.EVENT_READ, None)
            ready.register(server, selectors.EVENT_READ, server)
            while all(key.data is not None for key, _ in ready.select()):
                server.handle_request()


# ------------------------------------------------------------------ the load
def measure(kind: str, connections: int, seconds: float) -> tuple[float, float, float]:
    """Requests per second, median and 99th percentile in seconds."""
    command = [sys.executable, __file__, "--serve", kind]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None and child.stdin is not None
        port = int(child.stdout.readline())
        load(port, connections, 0.5)
        times = load(port, connections, seconds)
        child.stdin.close()
    cuts = quantiles(times, n=100)
    return len(times) / seconds, cuts[49], cuts[98]


def load(port: int, connections: int, seconds: float) -> list[float]:
    """Keeps one request under way on each connection; how long each took."""
    selector = selectors.DefaultSelector()
    began: dict[socket.socket, float] = {}
    times: list[float] = []
    for _ in range(connections):
        sock = socket.create_connection(("127.0.0.1", port))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        selector.register(sock, selectors.EVENT_READ)
        sock.sendall(post())
        began[sock] = time.perf_counter()
    end = time.perf_counter() + seconds
    parts: dict[socket.socket, bytes] = {}
    while began:
        for key, _ in selector.select(1):
            sock = key.fileobj  # type: ignore[assignment]
            data = parts.pop(sock, b"") + sock.recv(65536)
            if b"ingest_id" not in data:
                parts[sock] = data
                continue
            assert data.startswith(b"HTTP/1.1 202 "), data
            now = time.perf_counter()
            times.append(now - began[sock])
            if now < end:
                began[sock] = now
                sock.sendall(post())
            else:
                del began[sock]
                selector.unregister(sock)
                sock.close()
    selector.close()
    return times


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
