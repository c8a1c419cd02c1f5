"""The real daemon as a child process, with everything it needs below one folder."""
from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.mosquitto import free_port
from tests.wait import PATIENCE_S, wait_until

KEY = "gateway-secret-1"

#: Every daemon that was started and not yet seen to end.
_running: set[subprocess.Popen[str]] = set()


def end_all() -> None:
    """Ends what a failed test has left."""
    for process in list(_running):
        process.kill()
        process.wait(PATIENCE_S)
        _running.discard(process)


class Daemon:
    """``mbusgw run`` with a configuration of its own; ``start`` waits until HTTP answers.

    ``within``: the beginning of its command line, to start it in another namespace.
    """

    def __init__(
        self,
        folder: Path,
        config: str,
        *,
        broker: str,
        environ: dict[str, str] | None = None,
        http_options: str = "",
        mqtt_options: str = "",
        within: Sequence[str] = (),
    ) -> None:
        self.folder = folder
        self.http_port = free_port()
        self.file = folder / "mbusgw.yaml"
        self.file.write_text(
            f"mqtt: {{url: '{broker}', heartbeat: 2, {mqtt_options}}}\n"
            f"http: {{listen: '127.0.0.1:{self.http_port}', workers: 4, {http_options}}}\n"
            f"ingest: {{keys: {{gw1: {KEY}}}}}\n"
            f"{'' if 'parser:' in config else 'parser: {backend: local, n_workers: 2}'}\n{config}"
        )
        self.environ = {**os.environ, **(environ or {})}
        self.within = within
        self.process: subprocess.Popen[str] | None = None

    @property
    def database(self) -> Path:
        return self.folder / "state" / "mbusgw.db"

    @property
    def log(self) -> str:
        return (self.folder / "stderr.log").read_text()

    def start(self, *, wait: bool = True) -> None:
        with (self.folder / "stderr.log").open("a") as stderr:
            self.process = subprocess.Popen(
                [*self.within, sys.executable, "-m", "mbusgw", "run"]
                + ["-c", str(self.file), "--state-dir", str(self.folder / "state")],
                stderr=stderr,
                stdout=subprocess.DEVNULL,
                env=self.environ,
                text=True,
            )
        _running.add(self.process)
        if wait:
            wait_until(self.answers, what=lambda: f"the daemon does not answer:\n{self.log}")

    def answers(self) -> bool:
        assert self.process is not None and self.process.poll() is None, f"the daemon has ended:\n{self.log}"
        try:
            return self.get("/health")[0] in (200, 503)
        except OSError:
            return False

    def stop(self, number: signal.Signals = signal.SIGTERM, timeout: float = PATIENCE_S) -> int:
        assert self.process is not None
        self.process.send_signal(number)
        code = self.process.wait(timeout)
        _running.discard(self.process)
        self.process = None
        return code

    def kill(self) -> None:
        """kill -9."""
        self.stop(signal.SIGKILL)

    # -------------------------------------------------- HTTP
    def get(self, path: str) -> tuple[int, Any]:
        return self._request("GET", path, None, {})

    def post(self, body: object, *, key: str = KEY, query: str = "") -> tuple[int, Any]:
        text = body if isinstance(body, str) else json.dumps(body)
        headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        return self._request("POST", f"/v1/telegrams{query}", text, headers)

    def command(self, name: str, parameters: object, *, wait_s: int = 20) -> tuple[int, Any]:
        """Asks for something as an administrator on this machine, and waits for the answer."""
        headers = {"Content-Type": "application/json"}
        path = f"/v1/admin/commands/{name}?wait={wait_s}"
        return self._request("POST", path, json.dumps(parameters), headers)

    def request(self, method: str, path: str, document: object) -> tuple[int, Any]:
        """Any other request of an administrator on this machine."""
        return self._request(method, path, json.dumps(document), {"Content-Type": "application/json"})

    def _request(self, method: str, path: str, body: str | None, headers: dict[str, str]) -> tuple[int, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", self.http_port, timeout=PATIENCE_S)
        try:
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            text = response.read().decode()
            return response.status, json.loads(text) if text.startswith(("{", "[")) else text
        finally:
            connection.close()


@contextmanager
def running(folder: Path, config: str, *, broker: str, **options: Any) -> Iterator[Daemon]:
    """A daemon for the length of a block, with the ``options`` of ``Daemon``."""
    daemon = Daemon(folder, config, broker=broker, **options)
    daemon.start()
    try:
        yield daemon
    finally:
        if daemon.process is not None and daemon.process.poll() is None:
            daemon.stop()
