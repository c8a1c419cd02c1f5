"""A real Home Assistant as a child process: set up by its own API, asked over HTTP and WebSocket."""
from __future__ import annotations

import http.client
import itertools
import json
import signal
import subprocess
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from mbusgw.runtime.clock import iso
from tests.homeassistant.websocket import WebSocket
from tests.mosquitto import free_port
from tests.wait import PATIENCE_S, wait_until

#: The first start of an installation looks for what it needs.
START_S = 180.0
#: Set when the recorder is to be waited for.
_MARK = "sensor.recorder_mark"
_CLIENT = "http://127.0.0.1/"
_OURS = ("sensor", "binary_sensor", "button", "number", "select", "switch")

State = dict[str, Any]


class HomeAssistant:
    """``hass`` with a folder of its own, its recorder writing at once. ``start`` waits until it is ready.

    **own thread**
    """

    def __init__(self, program: str, folder: Path, *, language: str = "en") -> None:
        self._program = program
        self._folder = folder
        self._language = language
        self.port = free_port()
        self._token = ""
        self._refresh = ""
        self._process: subprocess.Popen[bytes] | None = None
        self._ids = itertools.count(1)
        folder.mkdir(exist_ok=True)
        (folder / "configuration.yaml").write_text(
            f"homeassistant: {{unit_system: metric, time_zone: Europe/Berlin, language: {language}}}\n"
            "logger: {default: warning}\n"
            f"http: {{server_host: 127.0.0.1, server_port: {self.port}}}\n"
            "recorder: {commit_interval: 0, db_url: 'sqlite:///%s/recorder.db'}\n" % folder
            + "api:\nconfig:\nhistory:\nenergy:\nlovelace:\nsystem_log:\nwebsocket_api:\n"
        )

    # -------------------------------------------------- process
    def start(self) -> None:
        with (self._folder / "hass.out").open("ab") as out:
            self._process = subprocess.Popen(
                [self._program, "-c", str(self._folder)],
                stdout=out, stderr=out, env={"HOME": str(self._folder), "PATH": "/usr/bin:/bin"},
            )  # fmt: skip
        wait_until(self._is_ready, timeout=START_S, what=lambda: f"Home Assistant does not start:\n{self.log}")
        self._keep_port()

    def _keep_port(self) -> None:
        """Newer versions take another port on trial, and go back to the usual one when nobody confirms it."""
        trial = self._folder / ".storage" / "http"
        if trial.exists() and "pending" in trial.read_text() and self.ask("http/config")["pending"]:
            self.ask("http/config/promote")

    def upgrade(self, program: str) -> None:
        """Another version in the same folder, from the next start on."""
        self._program = program

    def stop(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(PATIENCE_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait(PATIENCE_S)
            self._process = None

    @property
    def log(self) -> str:
        """Warnings and errors, of this start."""
        file = self._folder / "home-assistant.log"
        return file.read_text() if file.exists() else ""

    def _is_ready(self) -> bool:
        assert self._process is not None and self._process.poll() is None, f"Home Assistant has ended:\n{self.log}"
        try:
            if not self._token:
                self._onboard()
            if self._refresh:
                form = {"grant_type": "refresh_token", "refresh_token": self._refresh, "client_id": _CLIENT}
                self._token = self._request("POST", "/auth/token", urlencode(form), json_body=False)["access_token"]
            return bool(self.get("/api/config")["state"] == "RUNNING")
        except (OSError, http.client.HTTPException):
            return False

    def _onboard(self) -> None:
        """The first user. The later steps of a newcomer would fetch integrations from the internet."""
        person = {"client_id": _CLIENT, "name": "Owner", "username": "owner", "password": "a-password"}
        code = self._request("POST", "/api/onboarding/users", {**person, "language": self._language})["auth_code"]
        form = {"grant_type": "authorization_code", "code": code, "client_id": _CLIENT}
        tokens = self._request("POST", "/auth/token", urlencode(form), json_body=False)
        self._token, self._refresh = tokens["access_token"], tokens["refresh_token"]

    def add_mqtt(self, broker_port: int) -> None:
        """Settings → Devices & services → Add integration → MQTT."""
        flow = self.post("/api/config/config_entries/flow", {"handler": "mqtt", "show_advanced_options": False})
        broker: dict[str, Any] = {"broker": "127.0.0.1", "port": broker_port}
        if any(one["name"] == "other_settings" for one in flow["data_schema"]):  # a section of the newer form
            broker["other_settings"] = {"set_client_cert": False, "set_ca_cert": "off"}
        done = self.post(f"/api/config/config_entries/flow/{flow['flow_id']}", broker)
        assert done["type"] == "create_entry", done

    @property
    def version(self) -> tuple[int, int]:
        """``(2026, 11)``, while it runs."""
        year, month = self.get("/api/config")["version"].split(".")[:2]
        return int(year), int(month)

    # -------------------------------------------------- HTTP
    def get(self, path: str) -> Any:
        return self._request("GET", path)

    def post(self, path: str, body: Any = None) -> Any:
        return self._request("POST", path, {} if body is None else body)

    def call(self, service: str, **data: Any) -> None:
        """``button.press`` with ``entity_id``, and the like."""
        domain, name = service.split(".")
        self.post(f"/api/services/{domain}/{name}", data)

    def _request(self, method: str, path: str, body: Any = None, *, json_body: bool = True) -> Any:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_S)
        headers = {"Authorization": f"Bearer {self._token}"} if self._token else {}
        headers["Content-Type"] = "application/json" if json_body else "application/x-www-form-urlencoded"
        text = json.dumps(body) if json_body and body is not None else body
        try:
            connection.request(method, path, text, headers)
            response = connection.getresponse()
            answer = response.read().decode()
            if response.status >= 500:
                raise http.client.HTTPException(f"{method} {path}: {response.status} {answer}")
            if response.status == 404 or (response.status == 401 and path == "/api/config"):
                raise http.client.HTTPException(f"{path}: {response.status}, not there yet")
            assert response.status < 400, f"{method} {path}: {response.status} {answer}"
            return json.loads(answer) if answer.startswith(("{", "[")) else answer
        finally:
            connection.close()

    # -------------------------------------------------- WebSocket
    def ask(self, kind: str, **params: Any) -> Any:
        """One command over the WebSocket; its result."""
        return self.ask_all([{"type": kind, **params}])[0]

    def ask_all(self, commands: Sequence[Mapping[str, Any]]) -> list[Any]:
        """Several over one connection."""
        connection = WebSocket(self.port, "/api/websocket")
        try:
            json.loads(connection.receive())
            connection.send(json.dumps({"type": "auth", "access_token": self._token}))
            assert json.loads(connection.receive())["type"] == "auth_ok"
            results = []
            for command in commands:
                number = next(self._ids)
                connection.send(json.dumps({"id": number, **command}))
                answer = json.loads(connection.receive())
                while answer["id"] != number or answer["type"] != "result":
                    answer = json.loads(connection.receive())
                assert answer["success"], f"{command}: {answer}"
                results.append(answer["result"])
            return results
        finally:
            connection.close()

    # -------------------------------------------------- what it shows
    def states(self) -> dict[str, State]:
        """Every entity of the MQTT integration that is shown, by entity id."""
        registry = {entry["entity_id"] for entry in self.entities().values() if entry["disabled_by"] is None}
        return {one["entity_id"]: one for one in self.get("/api/states") if one["entity_id"] in registry}

    def history(self, entity_ids: Sequence[str], since: datetime) -> list[list[State]]:
        """What each has shown since then, when the recorder, which writes one after the other, has come to now."""
        mark = str(next(self._ids))
        self.post(f"/api/states/{_MARK}", {"state": mark})
        wait_until(lambda: any(one["state"] == mark for of_it in self._period([_MARK], since) for one in of_it))
        return self._period(entity_ids, since)

    def _period(self, entity_ids: Sequence[str], since: datetime) -> list[list[State]]:
        query = f"filter_entity_id={','.join(entity_ids)}&no_attributes&significant_changes_only=0"
        found: list[list[State]] = self.get(f"/api/history/period/{iso(since)}?{query}")
        return found

    def state(self, entity_id: str) -> str:
        """What an entity shows; ``missing`` of one that is not there."""
        try:
            return str(self.get(f"/api/states/{entity_id}")["state"])
        except http.client.HTTPException:
            return "missing"

    def entities(self) -> dict[str, dict[str, Any]]:
        """Every registered entity of the MQTT integration, those that are switched off too, by unique id."""
        entries = self.ask("config/entity_registry/list")
        ours = [entry for entry in entries if entry["platform"] == "mqtt"]
        whole = self.ask("config/entity_registry/get_entries", entity_ids=[entry["entity_id"] for entry in ours])
        return {entry["unique_id"]: entry for entry in whole.values() if entry}  # one may have gone since

    def devices(self) -> list[dict[str, Any]]:
        """Every device of the MQTT integration."""
        devices = self.ask("config/device_registry/list")
        return [one for one in devices if any(kind == "mqtt" for kind, _ in one["identifiers"])]
