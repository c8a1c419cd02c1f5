"""The servers that ``bench_ingress`` compares, each a process of its own: says its port, serves until stdin ends.

``ours``; ``stdlib`` (ThreadingHTTPServer, HTTP/1.1, a thread per connection) over the same routes, intake and
database; ``fastapi`` (FastAPI and uvicorn as they install, the same checks of the same fields, a commit with
``synchronous=FULL`` per request into a table without any index; nothing is looked for there); ``-memory`` (the same,
but the telegram only goes into a queue in memory); ``-async`` (the endpoint is ``async def`` and commits in the event
loop, so that no request costs a handover to a thread); ``-httptools`` (async, and uvicorn's faster parser in C).
"""
from __future__ import annotations

import asyncio
import secrets
import selectors
import socket
import sqlite3
import sys
import tempfile
import threading
import uuid
from collections import deque
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from mbusgw.ingest.fleet import Fleet
from mbusgw.ingest.intake import Intake
from mbusgw.ingest.receptions import Receptions
from mbusgw.model.telegram import ReceivedTelegram
from mbusgw.runtime.clock import SystemClock
from mbusgw.runtime.metrics import Metrics
from mbusgw.store.outbox import Message
from mbusgw.store.writer import Store
from mbusgw.web.auth import GatewayKeys
from mbusgw.web.bodies import TelegramBody
from mbusgw.web.message import Request
from mbusgw.web.router import Router
from mbusgw.web.server import HttpServer
from mbusgw.web.telegrams import TelegramRoutes

KINDS = (
    "ours", "stdlib", "fastapi", "fastapi-async", "fastapi-httptools", "fastapi-memory", "fastapi-memory-async",
)  # fmt: skip
KEY = "secret"


def missing(kind: str) -> str:
    """What must be installed before ``kind`` can be measured; empty if nothing is missing."""
    wanted = ("fastapi", "uvicorn", *(("httptools",) if kind.endswith("httptools") else ()))
    wanted = wanted if kind.startswith("fastapi") else ()
    return ", ".join(name for name in wanted if find_spec(name) is None)


def serve(kind: str) -> None:
    """Serves until stdin ends; says its port first."""
    with tempfile.TemporaryDirectory() as folder:
        if kind.startswith("fastapi"):
            database = None if "memory" in kind else Path(folder) / "bench.db"
            fast = kind.endswith("httptools")
            _fastapi(database, threads=not (fast or kind.endswith("async")), parser="httptools" if fast else "h11")
            return
        clock, metrics = SystemClock(), Metrics()
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
        keys = GatewayKeys({"gw1": KEY})
        routes = TelegramRoutes(keys, intake.accept, lambda _id, _timeout: None, clock=clock, metrics=metrics)
        router = Router(routes.routes())
        if kind == "ours":
            _ours(router, routes)
        else:
            _stdlib(router)
        store.stop()
        store.join(10)
        store.close()


class RawMessages:
    """The raw topic, as short as it can be."""

    def raw(self, telegram: ReceivedTelegram, *, duplicate: bool = False) -> Message:
        return Message(f"raw/{telegram.ingest_id}", telegram.raw.hex(), retain=False, ingest_id=telegram.ingest_id)


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


def _fastapi(database: Path | None, *, threads: bool, parser: str) -> None:
    import uvicorn
    from fastapi import FastAPI, Header, HTTPException

    app = FastAPI()
    memory: deque[tuple[Any, ...]] = deque(maxlen=100_000)
    connection: sqlite3.Connection | None = None
    if database is not None:
        connection = sqlite3.connect(database, isolation_level=None, check_same_thread=False)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("CREATE TABLE telegrams (id TEXT PRIMARY KEY, gateway TEXT, raw TEXT, rssi REAL, mode TEXT)")

    lock = threading.Lock()

    def accept(body: Any, authorization: str = Header()) -> dict[str, object]:
        if not secrets.compare_digest(authorization, f"Bearer {KEY}"):
            raise HTTPException(401)
        row = (str(uuid.uuid4()), body.gateway_id, body.raw_hex, body.rssi_dbm, body.mode)
        if connection is not None:
            with lock:
                connection.execute("INSERT INTO telegrams VALUES (?,?,?,?,?)", row)
        else:
            memory.append(row)
        return {"accepted": True, "ingest_id": row[0]}

    async def accept_async(body: Any, authorization: str = Header()) -> dict[str, object]:
        return accept(body, authorization)

    for endpoint in (accept, accept_async):
        endpoint.__annotations__ |= {"body": TelegramBody, "authorization": str, "return": dict[str, object]}
    app.post("/v1/telegrams", status_code=202)(accept if threads else accept_async)
    # Named TCP, or asyncio does not turn off Nagle's algorithm on what it accepts, and each answer takes 44 ms.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    listener.listen(1024)
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", access_log=False, http=parser))
    print(listener.getsockname()[1], flush=True)
    threading.Thread(target=lambda: (sys.stdin.read(), setattr(server, "should_exit", True)), daemon=True).start()
    asyncio.run(server.serve(sockets=[listener]))


if __name__ == "__main__":
    serve(sys.argv[1])
