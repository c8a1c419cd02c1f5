"""A radio gateway that does not exist: posts telegrams over HTTP as those in the field do."""
from __future__ import annotations

import http.client
import json
from urllib.parse import urlsplit

from mbusgw.model.errors import OutputError

_CONNECTION_ERRORS = (OSError, http.client.HTTPException)
_LOST = (ConnectionError, http.client.RemoteDisconnected, http.client.BadStatusLine)


class SimulatedGateway:
    """Posts telegrams to ``/v1/telegrams`` over one kept-alive connection. **own thread**

    ``url`` is where mbusgw listens (``http://127.0.0.1:8080``) or the whole address of the route.
    """

    def __init__(self, url: str, gateway_id: str, api_key: str | None = None, *, timeout_s: float = 5) -> None:
        parts = urlsplit(url)
        if parts.scheme != "http" or not parts.hostname:
            raise ValueError("a simulated gateway speaks plain http: http://host:port")
        self._host, self._port = parts.hostname, parts.port or 80
        self._path = parts.path.rstrip("/") or "/v1/telegrams"
        self._gateway_id = gateway_id
        self._api_key = api_key
        self._timeout_s = timeout_s
        self._connection: http.client.HTTPConnection | None = None

    def post(self, raw: bytes, rssi: float | None = None, *, mode: str | None = None) -> tuple[int, dict[str, object]]:
        """Hands in one telegram: (status, JSON body). ``rssi`` in dBm. Raises ``OutputError`` without an answer."""
        document: dict[str, object] = {"gateway_id": self._gateway_id, "raw_hex": raw.hex()}
        if rssi is not None:
            document["rssi_dbm"] = rssi
        if mode is not None:
            document["mode"] = mode
        status, body = self._request("POST", json.dumps(document).encode())
        return status, _object(body)

    def probe(self) -> int:
        """The HEAD request by which gateways test whether anybody is there; the status."""
        return self._request("HEAD", b"")[0]

    def close(self) -> None:
        """Closes the connection; the next post opens another."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _request(self, method: str, body: bytes) -> tuple[int, bytes]:
        reused = self._connection is not None
        try:
            return self._exchange(method, body)
        except _CONNECTION_ERRORS as problem:
            self.close()
            lost, text = isinstance(problem, _LOST), str(problem) or type(problem).__name__
        if reused and lost:  # the server had closed an idle connection
            try:
                return self._exchange(method, body)
            except _CONNECTION_ERRORS as problem:
                self.close()
                text = str(problem) or type(problem).__name__
        raise OutputError(f"no answer from {self._host}:{self._port}: {text}")

    def _exchange(self, method: str, body: bytes) -> tuple[int, bytes]:
        if self._connection is None:
            self._connection = http.client.HTTPConnection(self._host, self._port, timeout=self._timeout_s)
        headers = {"Content-Type": "application/json"} if body else {}
        if self._api_key is not None:
            headers["Authorization"] = f"Bearer {self._api_key}"
        self._connection.request(method, self._path, body or None, headers)
        response = self._connection.getresponse()
        answer = response.status, response.read()
        if response.will_close:
            self.close()
        return answer


def _object(body: bytes) -> dict[str, object]:
    """The JSON object of an answer; empty where it is none."""
    try:
        document = json.loads(body)
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}
