"""Routes that only look."""
from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from mbusgw.runtime.metrics import Metrics
from mbusgw.web.probes import ProbeRoutes
from mbusgw.web.router import Router
from tests.web.client import Client, serving


def router(health: str = "healthy", readiness: str = "ready", state: Any = None) -> Router:
    metrics = Metrics()
    metrics.read_done("meter_1", 0.1)
    probes = ProbeRoutes(
        health=lambda: {"status": health, "components": {}},
        readiness=lambda: {"status": readiness},
        state=lambda: state,
        metrics=metrics.render,
    )
    return Router(probes.routes())


@pytest.mark.parametrize("status, code", [("healthy", 200), ("degraded", 200), ("unhealthy", 503)])
def test_health_is_503_only_when_unhealthy(status: str, code: int) -> None:
    with serving(router(health=status).answer) as server, Client(server.port) as client:
        answer = client.request("GET", "/health")
    assert (answer.status, answer.json) == (code, {"status": status, "components": {}})
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("status, code", [("ready", 200), ("unavailable", 503)])
def test_healthz_is_503_when_unavailable(status: str, code: int) -> None:
    with serving(router(readiness=status).answer) as server, Client(server.port) as client:
        assert client.request("GET", "/healthz").status == code
        assert client.request("HEAD", "/healthz").status == code


def test_metrics_are_prometheus_text() -> None:
    with serving(router().answer) as server, Client(server.port) as client:
        answer = client.request("GET", "/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert b'mbus_reads_total{device="meter_1"} 1.0' in answer.body


def test_state_keeps_decimals_exact() -> None:
    state = {"devices": [{"id": "meter_1", "energy": Decimal("12345678901234567.890")}]}
    with serving(router(state=state).answer) as server, Client(server.port) as client:
        assert b'"energy":12345678901234567.890' in client.request("GET", "/state").body
        assert client.request("POST", "/state", b"").status == 405
