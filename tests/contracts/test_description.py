"""Whatever is sent to the HTTP interface, the daemon answers as its OpenAPI document says, and goes on."""
from __future__ import annotations

from contextlib import nullcontext, suppress

import pytest
import schemathesis
import schemathesis.openapi
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.core.failures import FailureGroup

from mbusgw.runtime import exactjson
from tests.contracts.conftest import World
from tests.daemon import KEY
from tests.wait import PATIENCE_S
from tests.web.client import Client

pytestmark = pytest.mark.slow

#: Values that a person or a broken gateway might send where others belong.
ODD = st.recursive(
    st.sampled_from([None, True, False, "\0/+#", "A" * 5000]) | st.integers() | st.floats() | st.text(max_size=40),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=8,
)
FIELDS = "gateway_id raw_hex rx_time rssi_dbm mode meter_hint key_hex gateway logical_hex rssi".split()


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
def test_requests_made_of_the_document_get_answers_that_it_names(world: World, mode: GenerationMode) -> None:
    url = f"http://127.0.0.1:{world.daemon.http_port}"
    schema = schemathesis.openapi.from_url(f"{url}/openapi.yaml", timeout=PATIENCE_S)
    for operation in schema.get_all_operations():
        one = operation.ok()
        if one.path == "/trigger-scan" or "commands" in one.path:
            continue  # they would do what they are asked
        strategy = one.as_strategy(generation_mode=mode)

        @settings(
            max_examples=25,
            deadline=None,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
            derandomize=True,
        )
        @given(case=strategy)
        def try_it(case: schemathesis.Case) -> None:
            key = KEY if one.path == "/v1/telegrams" else "none"
            try:
                case.call_and_validate(
                    base_url=url,
                    headers={"Authorization": f"Bearer {key}"},
                    timeout=PATIENCE_S,
                    checks=[
                        schemathesis.checks.not_a_server_error,
                        schemathesis.checks.status_code_conformance,
                        schemathesis.checks.content_type_conformance,
                        schemathesis.checks.response_schema_conformance,
                    ],
                )
            except FailureGroup as failures:
                raise AssertionError("\n".join(str(failure) for failure in failures.exceptions)) from None

        with suppress(Unsatisfiable) if mode is GenerationMode.NEGATIVE else nullcontext():
            try_it()  # of a plain GET nothing can be wrong


@settings(max_examples=150, deadline=None, database=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(document=st.dictionaries(st.sampled_from(FIELDS) | st.text(max_size=8), ODD, max_size=6) | ODD)
def test_any_json_is_answered_with_the_reason_why_not(world: World, document: object) -> None:
    body = exactjson.dumps(document).encode("utf-8", "replace") if _is_json(document) else b"[NaN"
    with Client(world.daemon.http_port, timeout=PATIENCE_S) as client:
        answer = client.request(
            "POST", "/v1/telegrams", body, Authorization=f"Bearer {KEY}", Content_Type="application/json"
        )
    assert answer.status in (400, 403, 413)
    assert set(answer.json) <= {"error", "message", "field"} and answer.json["message"]


@settings(max_examples=100, deadline=None, database=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(data=st.binary(max_size=300))
def test_any_bytes_are_answered_or_the_connection_is_ended(world: World, data: bytes) -> None:
    with Client(world.daemon.http_port, timeout=PATIENCE_S) as client:
        client.send(data + b"\r\n\r\n").sock.shutdown(1)
        answer = client.rest()
    assert answer == b"" or answer.startswith(b"HTTP/1.1 ") and b" 500 " not in answer.split(b"\r\n")[0]


def _is_json(document: object) -> bool:
    try:
        exactjson.dumps(document)
    except (ValueError, TypeError):
        return False
    return True
