"""Radio meters that are listed and not heard yet, with the whole daemon and a broker."""
from __future__ import annotations

from pathlib import Path

import pytest

from tests.daemon import running
from tests.e2e.test_restricted import ENVIRON, post, water
from tests.mosquitto import Mosquitto, subscribed
from tests.wait import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("no_daemon_outlives_its_test")]

LISTED = "devices: [{id: water, name: Water, radio: sim_12345678}, {id: heat, radio: sim_00000001}]\n"


def test_it_is_shown_as_expected_and_offline_until_it_is_heard_and_goes_when_it_is_not_listed_any_more(
    tmp_path: Path, mosquitto: Mosquitto
) -> None:
    with subscribed(mosquitto.port, "#") as told:
        with running(tmp_path, LISTED, broker=mosquitto.url, environ=ENVIRON) as daemon:
            wait_until(lambda: told.last("mbus/heat/availability") == "offline", what="it is offline")
            heat = daemon.get("/state")[1]["devices"]["heat"]
            assert heat["expected"] and not heat["online"] and heat["read_at"] is None and heat["values"] == {}
            assert (heat["lane"], heat["last_error"]) == ("wireless", "it was not heard yet")
            assert "mbusgw_meters_awaited 2.0" in daemon.get("/metrics")[1]
            post(daemon, "gw1", water(7))
            wait_until(lambda: told.last("mbus/water/availability") == "online", what="it is online")
            assert "mbusgw_meters_awaited 1.0" in daemon.get("/metrics")[1]
            told_of = {topic for topic, payload, _ in list(told.messages) if payload}
            assert not any("heat" in topic for topic in told_of if topic.startswith("homeassistant/"))
            assert {topic for topic in told_of if topic.startswith("mbus/heat/")} == {"mbus/heat/availability"}
            daemon.kill()
            daemon.start()
            assert daemon.get("/state")[1]["devices"]["water"]["online"]
            daemon.file.write_text(daemon.file.read_text().replace(LISTED, ""))
            wait_until(lambda: told.last("mbus/heat/availability") == "", what="nothing is said of it any more")
