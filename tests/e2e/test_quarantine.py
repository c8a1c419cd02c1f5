"""A wrong value of a wired meter, from the wire to MQTT."""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from mbusgw.model.record import Value
from mbusgw.runtime import exactjson
from mbusgw.simulator.meter import SimulatedMeter
from mbusgw.simulator.segment import Segment
from tests.daemon import Daemon, running
from tests.e2e.test_daemon import buses, document
from tests.fakes.consumer import Consumer
from tests.mosquitto import Mosquitto, Subscriber, subscribed
from tests.outputs.lineprotocol import parse
from tests.wait import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("no_daemon_outlives_its_test")]

WRONG = Decimal("12.34")


class Whim:
    """Lets a meter's energy be wrong for its next readouts."""

    def __init__(self, meter: SimulatedMeter) -> None:
        self.left = 0
        self.told: list[Value] = []
        meter.channels = tuple(
            replace(one, value_at=self._over(one.value_at)) if one.field == "energy" else one for one in meter.channels
        )

    def _over(self, right: Callable[[float], Value]) -> Callable[[float], Value]:
        def value_at(age_s: float) -> Value:
            if self.left:
                self.left -= 1
                value: Value = WRONG
            else:
                value = right(age_s)
            self.told.append(value)
            return value

        return value_at

    def __call__(self, times: int) -> None:
        self.left = times
        wait_until(lambda: not self.left and self.told[-1] != WRONG)


def energies(subscriber: Subscriber) -> list[Decimal]:
    return [Decimal(text) for topic, text, _ in list(subscriber.messages) if topic == "mbus/meter_1/energy" and text]


def suspects(daemon: Daemon) -> dict[str, dict[str, object]]:
    found = daemon.get("/state")[1]["devices"]["meter_1"]["quarantine"]
    assert isinstance(found, dict)
    return found


def test_a_wrong_value_is_never_published_until_it_is_confirmed_or_released(
    tmp_path: Path, mosquitto: Mosquitto, segment: Segment
) -> None:
    whim = Whim(segment.meters[0])
    with subscribed(mosquitto.port, "mbus/meter_1/#") as subscriber:
        with running(tmp_path, buses(segment, 1, interval=0.2), broker=mosquitto.url) as daemon:
            wait_until(lambda: energies(subscriber))
            for times in (1, 2, 3):
                whim(times)
                wait_until(lambda: not suspects(daemon))
            assert WRONG not in energies(subscriber)
            assert any(topic.endswith("/quarantine") and "12.34" in text for topic, text, _ in subscriber.messages)
            assert energies(subscriber) == sorted(energies(subscriber))

            whim.left = 10_000
            wait_until(lambda: energies(subscriber)[-1] == WRONG, what="four equal values are not believed")
            assert not suspects(daemon)

            whim.left = 0
            wait_until(lambda: "energy" in suspects(daemon) or energies(subscriber)[-1] != WRONG)
            daemon.command("release", {"device": "meter_1"})
            wait_until(lambda: energies(subscriber)[-1] > 40_000)


def test_whoever_reads_the_history_or_another_output_can_tell_what_was_in_quarantine(
    tmp_path: Path, mosquitto: Mosquitto, segment: Segment
) -> None:
    whim = Whim(segment.meters[0])
    with subscribed(mosquitto.port, "mbus/meter_1/history") as subscriber, Consumer() as hook, Consumer() as influx:
        config = buses(segment, 1, interval=0.2) + (
            "plausibility: {confirmations: 1000}\n"
            f"outputs:\n  - {{type: webhook, url: '{hook.url}'}}\n"
            f"  - {{type: influx, url: '{influx.url}', bucket: meters}}\n"
        )
        with running(tmp_path, config, broker=mosquitto.url) as daemon:
            wait_until(hook.bodies)
            mosquitto.stop()
            whim(3)
            wait_until(lambda: not suspects(daemon))
            mosquitto.start()

            def told() -> list[tuple[bool, bool]]:
                """Of each missed reading: whether its value was wrong, and whether it is named."""
                missed = [exactjson.loads(text) for text in subscriber.payloads("mbus/meter_1/history")]
                return [(one["fields"]["energy"]["value"] == WRONG, "energy" in one["quarantined"]) for one in missed]

            def hooked() -> list[tuple[bool, bool]]:
                posted = [exactjson.loads(body) for body in hook.bodies()]
                return [(one["values"]["energy"]["value"] == WRONG, "energy" in one["quarantined"]) for one in posted]

            def points() -> list[tuple[bool, bool]]:
                found = [point.fields for body in influx.bodies() for point in parse(body)]
                return [("energy" not in one, one.get("energy_quarantined") == float(WRONG)) for one in found]

            for source in (told, hooked, points):
                wait_until(lambda: (True, True) in source())  # noqa: B023
                assert set(source()) <= {(True, True), (False, False)}


def test_a_value_in_quarantine_stays_there_over_a_restart(
    tmp_path: Path, mosquitto: Mosquitto, segment: Segment
) -> None:
    whim = Whim(segment.meters[0])
    config = buses(segment, 1, interval=0.2) + "plausibility: {confirmations: 1000}\n"
    with subscribed(mosquitto.port, "mbus/meter_1/#") as subscriber:
        with running(tmp_path, config, broker=mosquitto.url) as daemon:
            wait_until(lambda: energies(subscriber))
            whim.left = 100_000
            wait_until(lambda: suspects(daemon))
            since = suspects(daemon)["energy"]["since"]
            daemon.kill()
            daemon.start()
            wait_until(lambda: suspects(daemon).get("energy", {}).get("since") == since)
            assert WRONG not in energies(subscriber)
            assert document(subscriber, "mbus/meter_1/quarantine")["values"]["energy"]["value"] == float(WRONG)
            status, answer = daemon.command("release", {"device": "meter_1", "field": "energy"})
            assert status == 200, answer
            wait_until(lambda: energies(subscriber)[-1] == WRONG)
            wait_until(lambda: subscriber.last("mbus/meter_1/quarantine") == "")
