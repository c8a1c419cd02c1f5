"""Asking the gateway that runs on this machine, over HTTP."""
from __future__ import annotations

import http.client
import os
import ssl
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote

from mbusgw.config.models import Config, HttpConfig
from mbusgw.model.command import Document, kind_of
from mbusgw.model.errors import BusError, ConfigUnchanged, MbusgwError, RequestError
from mbusgw.runtime import exactjson

COMMANDS = "/v1/admin/commands"
#: How long to look whether anybody is there, and how long an answer may take.
FIND_S = 2.0
ANSWER_S = 40.0
#: How long one look waits for the end of the work; in between its progress is told.
LOOK_S = 1.0
PAUSE_S = 0.1

_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}

#: Told how far the work is, in the thread that waits for it.
OnProgress = Callable[[Document], None]


class Asker(Protocol):
    """Who carries out a command: the running gateway, or this process itself."""

    def run(self, command: str, params: Document, on_progress: OnProgress | None = None) -> dict[str, Any]:
        """Has it done and waits for the end. Raises ``MbusgwError``; Ctrl-C stops the work."""


class Remote:
    """A gateway that runs with this configuration. **own thread**"""

    def __init__(self, config: HttpConfig) -> None:
        self._config = config
        self._host = _EVERYWHERE.get(config.host, config.host)
        self._pause = threading.Event()

    @classmethod
    def find(cls, config: Config) -> Remote | None:
        """The gateway that answers on the HTTP port of ``config``, if one does. Raises ``MbusgwError`` for a
        certificate that cannot be read."""
        if config.http.port == 0:
            return None
        remote = cls(config.http)
        try:
            _, document = remote.ask("GET", "/", timeout_s=FIND_S)
        except (OSError, http.client.HTTPException, ValueError):
            return None
        return remote if isinstance(document, dict) and document.get("name") == "mbusgw" else None

    @property
    def url(self) -> str:
        """Where it is."""
        return f"{'https' if self._config.tls_cert_file else 'http'}://{self._config.listen}"

    def get(self, path: str) -> Any:
        """A document that anybody may look at, whatever its status. Raises ``MbusgwError``."""
        return self._asked("GET", path)[1]

    def admin(self, method: str, path: str, body: Document | None = None) -> Any:
        """The document of an administrator's request that went well. Raises ``MbusgwError``."""
        status, document = self._asked(method, path, body)
        if status >= 400:
            raise _refusal(status, document)
        return document

    def bus_on(self, port: str) -> str | None:
        """The name of its bus on ``port``, if it has one."""
        for name, bus in self.get("/state")["buses"].items():
            if same_port(bus["port"], port) or bus["port_in_use"] and same_port(bus["port_in_use"], port):
                return str(name)
        return None

    # -------------------------------------------------- commands
    def run(self, command: str, params: Document, on_progress: OnProgress | None = None) -> dict[str, Any]:
        """As ``Asker`` says."""
        # Without a wait: Ctrl-C during one could not stop a task whose name is not known yet.
        status, document = self._asked("POST", f"{COMMANDS}/{quote(command, safe='')}", params)
        if status == 200:
            return dict(document)
        if status != 202:
            raise _refusal(status, document)
        return self._follow(document, on_progress or _ignore)

    def _follow(self, task: Mapping[str, Any], on_progress: OnProgress) -> dict[str, Any]:
        path, told = f"{COMMANDS}/{task['id']}", None
        try:
            while task["state"] == "running":
                if task["progress"] and task["progress"] != told:
                    told = task["progress"]
                    on_progress(told)
                self._pause.wait(PAUSE_S)  # where too many wait already, the look below does not
                status, document = self._asked("GET", f"{path}?wait={LOOK_S}")
                if status != 200:
                    raise _refusal(status, document)
                task = document
        except KeyboardInterrupt:
            with suppress(MbusgwError):  # it may have gone
                self._asked("DELETE", path)
            raise
        if "error" in task:
            raise _failure(task["error"])
        return dict(task.get("result") or {})

    # -------------------------------------------------- HTTP
    def _asked(self, method: str, path: str, body: Document | None = None) -> tuple[int, Any]:
        try:
            return self.ask(method, path, body, timeout_s=ANSWER_S)
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise MbusgwError(
                f"the running gateway ({self.url}) does not answer: {error or type(error).__name__}",
                hint="is it being restarted? Try again",
            ) from error

    def ask(self, method: str, path: str, body: Document | None = None, *, timeout_s: float) -> tuple[int, Any]:
        """Status and document of one answer. Raises ``OSError``, ``HTTPException``, ``ValueError`` (no JSON), and
        ``MbusgwError`` for a certificate that cannot be read."""
        headers = {"Accept": "application/json"}
        if self._config.admin_token is not None:
            headers["Authorization"] = f"Bearer {self._config.admin_token.get_secret_value()}"
        connection = self._connection(timeout_s)
        try:
            connection.request(method, path, None if body is None else exactjson.dumps(body).encode(), headers)
            response = connection.getresponse()
            return response.status, exactjson.loads(response.read())
        finally:
            connection.close()

    def _connection(self, timeout_s: float) -> http.client.HTTPConnection:
        port, certificate = self._config.port, self._config.tls_cert_file
        if certificate is None:
            return http.client.HTTPConnection(self._host, port, timeout=timeout_s)
        return http.client.HTTPSConnection(self._host, port, timeout=timeout_s, context=_trusting(certificate))


def same_port(one: str, other: str) -> bool:
    """Two names of one port: links under /dev are followed."""
    return one == other or "://" not in one + other and os.path.realpath(one) == os.path.realpath(other)


def _kinds(error: type[MbusgwError]) -> dict[str, type[MbusgwError]]:
    known: dict[str, type[MbusgwError]] = {kind_of(error): error}
    for kind in error.__subclasses__():
        known.update(_kinds(kind))
    return known


#: What is told apart by who asks: what goes wrong on a bus, and with the configuration file.
_FAILURES = _kinds(BusError) | _kinds(ConfigUnchanged)


def _trusting(certificate: Path) -> ssl.SSLContext:
    """Trusts that certificate alone; its name is that of the machine in the network, which we do not go by."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    try:
        context.load_verify_locations(certificate)
    except (OSError, ssl.SSLError) as error:
        raise MbusgwError(f"the certificate of the gateway cannot be read: {certificate}: {error}") from error
    return context


def _refusal(status: int, document: Any) -> MbusgwError:
    """What an HTTP error says: a refusal of the request, or the failure of the work."""
    known = document if isinstance(document, dict) else {}
    code, message = str(known.get("error", "unknown")), str(known.get("message", f"HTTP {status}"))
    if status in (401, 403):
        return MbusgwError(
            f"the running gateway does not let us administer it: {message}",
            hint="http.admin_token of the configuration must be the running gateway's",
        )
    hint = str(known.get("hint", ""))
    if status == 503:  # what goes wrong on a bus is the same error as without a gateway
        return _FAILURES.get(code, MbusgwError)(message, hint=hint)
    error = RequestError(status, code, message, field=known.get("field"))
    error.hint = hint
    return error


def _failure(document: Mapping[str, Any]) -> MbusgwError:
    return _refusal(int(document.get("status", 503)), {**document, "error": document.get("code")})


def _ignore(_progress: Document) -> None:
    pass
