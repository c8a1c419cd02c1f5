"""The stand-in for Lobaro's web API answers in the published shape and misbehaves on demand."""
from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from typing import Any

import pytest

from mbusgw.runtime.clock import SystemClock
from mbusgw.simulator.lobaro import BEHAVIOURS, StandInLobaro
from mbusgw.simulator.lobaro_answer import mbus_answer, meter_data_answer
from tests.fakes.workers import started
from tests.parsers.published import published
from tests.wait import PATIENCE_S
from tests.wmbus.samples import KEY, OMS_GAS


@pytest.fixture
def service() -> Iterator[StandInLobaro]:
    with started(StandInLobaro(SystemClock(), token="token")) as stand_in:
        yield stand_in


def ask(service: StandInLobaro, path: str, token: str = "token") -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(service.url.removeprefix("http://"), timeout=PATIENCE_S)
    try:
        connection.request("POST", path, headers={"Authorization": f"Bearer {token}"})
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def is_subset(expected: Any, answer: Any) -> bool:
    """Whether every field of ``answer`` that ``expected`` has as well is the same."""
    if isinstance(expected, dict):
        common = expected.keys() & answer.keys()
        return all(is_subset(expected[name], answer[name]) for name in common)
    if isinstance(expected, list):
        return len(expected) == len(answer) and all(map(is_subset, expected, answer))
    return bool(expected == answer)


def test_the_published_answer_comes_out_for_the_published_telegram() -> None:
    expected = published()
    # the example of the page leaves the CRC of the second block in "Raw", and names the cipher in words of its own
    del expected["Raw"], expected["Header"]["EncryptionModeString"]
    for record in expected["Body"]["DataRecords"][1:2]:
        del record["Value"], record["ValueScaled"]
    answer = json.loads(json.dumps(mbus_answer(OMS_GAS, KEY), default=float))
    for record in answer["Body"]["DataRecords"][1:2]:
        del record["Value"], record["ValueScaled"]
    assert is_subset(json.loads(json.dumps(expected, default=float)), answer)


def test_a_wrong_key_is_told_in_the_body_of_one_endpoint_and_by_status_of_the_other(service: StandInLobaro) -> None:
    query = f"?raw={OMS_GAS.hex()}&key={'00' * 16}"
    status, body = ask(service, "/api/mbus" + query)
    assert status == 200 and json.loads(body)["Body"]["DecryptionFailed"] is True
    assert ask(service, "/api/meterData" + query)[0] == 422


def test_the_main_value_is_in_the_domain_model() -> None:
    answer = meter_data_answer(OMS_GAS, KEY)
    assert (answer["meterId"], str(answer["currentValue"]), answer["unit"]) == ("12345678", "28504.27", "m^3")


def test_another_token_is_refused(service: StandInLobaro) -> None:
    assert ask(service, f"/api/mbus?raw={OMS_GAS.hex()}", token="other")[0] == 401


@pytest.mark.parametrize("path,status", [("/api/mbus?raw=xyz", 400), ("/api/mbus?raw=00", 422), ("/other", 404)])
def test_a_senseless_request_is_refused(service: StandInLobaro, path: str, status: int) -> None:
    assert ask(service, path)[0] == status


@pytest.mark.parametrize("name", [name for name, plan in BEHAVIOURS.items() if plan.status != 200])
def test_each_misbehaviour_has_its_status(service: StandInLobaro, name: str) -> None:
    service.behave(name, times=1)
    assert ask(service, "/api/mbus?raw=00")[0] == BEHAVIOURS[name].status
    assert ask(service, f"/api/mbus?raw={OMS_GAS.hex()}&key={KEY.hex()}")[0] == 200, "only once"


def test_requests_are_remembered(service: StandInLobaro) -> None:
    ask(service, f"/api/mbus?raw={OMS_GAS.hex()}&key={KEY.hex()}")
    (seen,) = service.seen
    assert (seen.path, seen.token, seen.with_key) == ("/api/mbus", "token", True)


def test_the_organisations_own_key_is_used_where_none_is_given(service: StandInLobaro) -> None:
    assert json.loads(ask(service, f"/api/mbus?raw={OMS_GAS.hex()}")[1])["Body"]["DecryptionFailed"]
    service.keys["12345678"] = KEY
    assert not json.loads(ask(service, f"/api/mbus?raw={OMS_GAS.hex()}")[1])["Body"]["DecryptionFailed"]


def test_a_poisonous_telegram_gets_an_error_and_others_their_answer(service: StandInLobaro) -> None:
    service.poison[OMS_GAS] = "error"
    assert ask(service, f"/api/mbus?raw={OMS_GAS.hex()}")[0] == 500
    assert ask(service, f"/api/mbus?raw={OMS_GAS.hex()}00")[0] == 200
