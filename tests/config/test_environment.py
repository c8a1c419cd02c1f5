"""Environment variables over the file."""
from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mbusgw.config.environment import PLAIN, SPECIAL
from mbusgw.config.loader import loads
from mbusgw.config.models import Config
from mbusgw.model.errors import ConfigError, Problem
from tests.config.refusals import only

FILE = """
mqtt:
  {url: "mqtt://f:1", username: f, password: f, qos: 0, retain: false, telegram_topic: "f/{gateway_id}/{meter_id}"}
lobaro: {token: file, timeout: 1}
ingest: {keys: {old: file}, dedup: true, dedup_window: 1}
parser: {n_workers: 1}
storage: {path: /file.db}
"""


def secret(value: Any) -> Any:
    return value.get_secret_value() if value is not None else None


def gateways(config: Config) -> dict[str, Any]:
    return {gateway: secret(key) for gateway, key in config.ingest.keys.items()}


@pytest.mark.parametrize("text", ["", FILE])
@pytest.mark.parametrize(
    ("name", "value", "read", "expected"),
    [
        ("MQTT_URL", "mqtts://env", lambda c: c.mqtt.url, "mqtts://env"),
        ("MQTT_USERNAME", "env", lambda c: c.mqtt.username, "env"),
        ("MQTT_PASSWORD", "env", lambda c: secret(c.mqtt.password), "env"),
        ("MQTT_QOS", "2", lambda c: c.mqtt.qos, 2),
        ("MQTT_RETAIN", "true", lambda c: c.mqtt.retain, True),
        ("MQTT_RETAIN", "0", lambda c: c.mqtt.retain, False),
        ("MQTT_TOPIC_TEMPLATE", "e/{gateway_id}/{meter_id}", lambda c: c.mqtt.telegram_root, "e/{gateway_id}"),
        ("LOBARO_TOKEN", "env", lambda c: secret(c.lobaro.token), "env"),
        ("LOBARO_TIMEOUT_S", "2.5", lambda c: c.lobaro.timeout, 2.5),
        ("INGEST_API_KEYS", "gw1:a;gw2:b:c;", lambda c: gateways(c), {"gw1": "a", "gw2": "b:c"}),
        ("N_WORKERS", "8", lambda c: c.parser.n_workers, 8),
        ("ENABLE_DEDUP", "no", lambda c: c.ingest.dedup, False),
        ("DEDUP_WINDOW_S", "60", lambda c: c.ingest.dedup_window, 60),
        ("DATABASE_URL", "sqlite:////env/x.db", lambda c: c.storage.path, Path("/env/x.db")),
        ("DATABASE_URL", "sqlite:///x.db", lambda c: c.storage.path, Path("x.db")),
        ("APP_ENV", "development", lambda c: c.logging.level, "DEBUG"),
        ("APP_ENV", "production", lambda c: c.logging.level, "INFO"),
    ],
)
def test_a_variable_overrides_the_file(text: str, name: str, value: str, read: Any, expected: Any) -> None:
    assert read(loads(text, {name: value})) == expected


def test_every_variable_of_the_contract_is_known() -> None:
    named = {
        "MQTT_URL", "MQTT_USERNAME", "MQTT_PASSWORD", "MQTT_QOS", "MQTT_RETAIN", "MQTT_TOPIC_TEMPLATE", "LOBARO_TOKEN",
        "LOBARO_TIMEOUT_S", "INGEST_API_KEYS", "OUTPUT_SECRETS", "N_WORKERS", "ENABLE_DEDUP", "DEDUP_WINDOW_S",
        "DATABASE_URL", "APP_ENV",
    }  # fmt: skip
    assert named == {*PLAIN, *SPECIAL}


def test_an_empty_variable_changes_nothing() -> None:
    assert loads(FILE, {name: " " for name in (*PLAIN, *SPECIAL)}) == loads(FILE, {})


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("MQTT_URL", "broker", "begins with mqtt://"),
        ("MQTT_QOS", "9", "must be at most 2; found `9`"),
        ("MQTT_RETAIN", "perhaps", "must be true or false"),
        ("MQTT_TOPIC_TEMPLATE", "a/b", "holds {gateway_id}"),
        ("LOBARO_TIMEOUT_S", "soon", "no duration"),
        ("INGEST_API_KEYS", "gw1", "part 1 is not GATEWAY:KEY"),
        ("INGEST_API_KEYS", "gw1:a;gw2:", "part 2 is not GATEWAY:KEY"),
        ("INGEST_API_KEYS", "gw1:a;gw2:b;gw1:c", "names gw1 twice"),
        ("INGEST_API_KEYS", "gw/1:Hidden99", "becomes part of a topic"),
        ("N_WORKERS", "99", "must be at most 8"),
        ("ENABLE_DEDUP", "x", "must be true or false"),
        ("DEDUP_WINDOW_S", "-1", "must be at least 0"),
        ("DATABASE_URL", "postgresql://joe:Hidden99@host/db", "must be sqlite:///PATH"),
        ("DATABASE_URL", "sqlite:///", "must be sqlite:///PATH"),
        ("APP_ENV", "moon", "must be production or development"),
    ],
)
def test_a_wrong_value_is_a_problem_that_names_the_variable(name: str, value: str, words: str) -> None:
    problem = only("", **{name: value})
    assert (problem.source, problem.line, problem.key) == ("environment", None, name)
    assert words in problem.message
    assert "Hidden99" not in str(problem)


def test_a_wrong_value_in_the_file_does_not_matter_where_a_variable_overrides_it() -> None:
    assert loads("mqtt: {qos: 9}", {"MQTT_QOS": "1"}).mqtt.qos == 1


def test_the_gateways_of_the_environment_replace_those_of_the_file() -> None:
    assert set(loads(FILE, {"INGEST_API_KEYS": "new:key"}).ingest.keys) == {"new"}


def test_credentials_in_the_environments_url_replace_those_of_the_file() -> None:
    mqtt = loads(FILE, {"MQTT_URL": "mqtt://joe:pw@env"}).mqtt
    assert (mqtt.host, mqtt.username, secret(mqtt.password)) == ("env", "joe", "pw")


def test_a_password_of_the_environment_replaces_the_files_password_file() -> None:
    mqtt = loads("mqtt: {password_file: /nowhere}", {"MQTT_PASSWORD": "pw"}).mqtt
    assert secret(mqtt.password) == "pw"


def test_development_leaves_a_level_that_the_file_sets() -> None:
    assert loads("logging: {level: ERROR}", {"APP_ENV": "development"}).logging.level == "ERROR"
    assert loads("logging: {level: }", {"APP_ENV": "dev"}).logging.level == "DEBUG"


def test_a_section_that_is_no_mapping_is_reported_although_a_variable_goes_there() -> None:
    with pytest.raises(ConfigError) as caught:
        loads("mqtt: 5", {"MQTT_QOS": "1"})
    assert caught.value.problems == [
        Problem("configuration", 1, "mqtt", "must be a mapping: lines of `key: value`", "")
    ]


def test_other_variables_mean_nothing_to_us() -> None:
    assert loads("", {"PATH": "/bin", "MQTT_FOO": "x"}) == Config()
