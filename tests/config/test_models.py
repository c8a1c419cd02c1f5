"""The sections: defaults, what they accept, what they compute."""
from __future__ import annotations

from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from mbusgw.config.models import (
    BusConfig,
    Config,
    DeviceConfig,
    HomeAssistantConfig,
    HttpConfig,
    IngestConfig,
    KeyConfig,
    LobaroConfig,
    LoggingConfig,
    MqttConfig,
)


def refusal(model: Any, **values: Any) -> str:
    with pytest.raises(ValidationError) as caught:
        model(**values)
    return str(caught.value)


def test_the_defaults_are_those_of_the_contract() -> None:
    config = Config()
    assert (config.gateway.id, config.gateway.language) == ("mbusgw", "en")
    assert config.storage.path == Path("/var/lib/mbusgw/mbusgw.db")
    assert config.mqtt.url == "mqtt://127.0.0.1:1883"
    assert (config.mqtt.protocol, config.mqtt.qos, config.mqtt.topic_prefix) == (5, 1, "mbus")
    assert config.mqtt.telegram_topic == "oms/v1/gw/{gateway_id}/meter/{meter_id}"
    assert (config.mqtt.keepalive, config.mqtt.reconnect_min, config.mqtt.reconnect_max) == (60, 5, 300)
    assert (config.mqtt.max_queue, config.mqtt.heartbeat) == (10_000, 60)
    assert (config.homeassistant.enabled, config.homeassistant.prefix) == (True, "homeassistant")
    assert config.homeassistant.expire_after == 300
    assert (config.http.host, config.http.port, config.http.admin_token) == ("0.0.0.0", 8080, None)
    assert (config.ingest.dedup, config.ingest.dedup_window) == (True, 300)
    assert (config.ingest.max_backlog, config.ingest.key_policy) == (100_000, "strict")
    assert (config.parser.backend, config.parser.n_workers) == ("lobaro_then_local", 4)
    assert config.lobaro.url == "https://platform.lobaro.com"
    assert (config.lobaro.endpoint, config.lobaro.timeout) == ("meterData", 10)
    assert (config.logging.level, config.logging.format) == ("INFO", "text")
    assert config.logging.directory == Path("/var/log/mbusgw")
    assert (config.health.interval, config.health.heartbeat_file) == (30, Path("/run/mbusgw/heartbeat"))
    assert config.buses == config.devices == config.keys == ()


def test_a_bus_has_the_upper_bounds_of_the_contract() -> None:
    bus = BusConfig(name="main", port="/dev/ttyUSB0")
    assert (bus.baudrate, bus.parity) == (2400, "E")
    assert (bus.serial_timeout, bus.retry_delay, bus.max_retries) == (5, 2, 3)
    assert (bus.scan_interval, bus.device_offline_timeout) == (15, 90)
    assert (bus.latency_ms, bus.echo, bus.decoder) == (0, "auto", "mbusgw")


def test_a_configuration_cannot_be_changed() -> None:
    with pytest.raises(ValidationError):
        Config().gateway.id = "other"


# ------------------------------------------------------------------ mqtt
@pytest.mark.parametrize(
    ("url", "host", "port", "tls", "transport"),
    [
        ("mqtt://broker", "broker", 1883, False, "tcp"),
        ("mqtt://broker:1884/", "broker", 1884, False, "tcp"),
        ("mqtts://broker", "broker", 8883, True, "tcp"),
        ("mqtt://[::1]:1883", "::1", 1883, False, "tcp"),
        ("ws://broker/mqtt", "broker", 80, False, "websockets"),
        ("wss://broker:9001/x", "broker", 9001, True, "websockets"),
    ],
)
def test_a_broker_url_tells_host_port_and_transport(url: str, host: str, port: int, tls: bool, transport: str) -> None:
    mqtt = MqttConfig(url=url)
    assert (mqtt.host, mqtt.port, mqtt.tls, mqtt.transport) == (host, port, tls, transport)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://broker", "begins with mqtt://"),
        ("broker:1883", "begins with mqtt://"),
        ("mqtt://", "names no host"),
        ("mqtt://broker:0", "from 1 to 65535"),
        ("mqtt://broker:70000", "from 1 to 65535"),
        ("mqtt://broker:port", "from 1 to 65535"),
        ("mqtt://[::1", "no URL"),
        ("mqtt://broker/path", "for ws:// and wss:// only"),
    ],
)
def test_a_wrong_broker_url_is_refused_with_a_reason(url: str, words: str) -> None:
    assert words in refusal(MqttConfig, url=url)


def test_credentials_leave_the_broker_url() -> None:
    mqtt = MqttConfig(url="mqtt://joe:p%40ss@broker:1884")
    assert mqtt.url == "mqtt://broker:1884"
    assert mqtt.username == "joe"
    assert mqtt.password is not None and mqtt.password.get_secret_value() == "p@ss"
    assert "p@ss" not in repr(mqtt)


def test_credentials_with_keys_of_their_own_win_over_the_url() -> None:
    mqtt = MqttConfig.model_validate({"url": "mqtt://joe:one@broker", "username": "ann", "password": "two"})
    assert mqtt.username == "ann"
    assert mqtt.password is not None and mqtt.password.get_secret_value() == "two"


@pytest.mark.parametrize(
    ("written", "number"), [(5, 5), ("5", 5), (3.1, 4), ("3.1.1", 4), ("3.1", 4), (4, 4), ("4", 4)]
)
def test_the_protocol_is_written_as_people_call_it(written: Any, number: int) -> None:
    assert MqttConfig(protocol=written).protocol == number


def test_an_unknown_protocol_is_refused() -> None:
    assert "must be 5 or 3.1.1" in refusal(MqttConfig, protocol="6")


@pytest.mark.parametrize(
    ("topic", "root"),
    [
        ("oms/v1/gw/{gateway_id}/meter/{meter_id}", "oms/v1/gw/{gateway_id}"),
        ("home/{gateway_id}/{meter_id}", "home/{gateway_id}"),
        ("{gateway_id}/meter/m-{meter_id}", "{gateway_id}"),
    ],
)
def test_raw_and_error_topics_share_the_beginning_of_the_telegram_topic(topic: str, root: str) -> None:
    assert MqttConfig(telegram_topic=topic).telegram_root == root


@pytest.mark.parametrize(
    "topic",
    [
        "oms/{gateway_id}",
        "oms/{meter_id}",
        "oms/{meter_id}/{gateway_id}",
        "oms/{gateway_id}/{meter_id}/{x}",
        "oms/{gateway_id}/{meter_id}/{meter_id}",
        "oms/{gateway_id}{meter_id}",
        "oms/{gateway_id}/+/{meter_id}",
        "/oms/{gateway_id}/{meter_id}",
        "",
    ],
)
def test_a_telegram_topic_without_both_placeholders_is_refused(topic: str) -> None:
    refusal(MqttConfig, telegram_topic=topic)


@pytest.mark.parametrize("prefix", ["", "/mbus", "mbus/", "a//b", "a/+", "a/#", "$SYS", "a\0"])
def test_a_prefix_that_would_break_topics_is_refused(prefix: str) -> None:
    refusal(MqttConfig, topic_prefix=prefix)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"password": "a", "password_file": "/x"}, "exclude each other"),
        ({"key_file": "/x"}, "needs cert_file"),
        ({"reconnect_min": 10, "reconnect_max": 5}, "shorter than reconnect_min"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(values: dict[str, Any], words: str) -> None:
    assert words in refusal(MqttConfig, **values)


def test_the_client_id_is_made_of_the_gateways_when_none_is_given() -> None:
    assert Config.model_validate({"gateway": {"id": "cellar"}}).client_id == "mbusgw-cellar"
    assert Config.model_validate({"mqtt": {"client_id": "mine"}}).client_id == "mine"


def test_the_birth_topic_follows_the_prefix() -> None:
    assert HomeAssistantConfig(prefix="ha").status_topic == "ha/status"
    assert HomeAssistantConfig(prefix="ha", status_topic="x/y").status_topic == "x/y"


# ------------------------------------------------------------------ http
@pytest.mark.parametrize(
    ("listen", "host", "port"),
    [
        ("0.0.0.0:8080", "0.0.0.0", 8080),
        ("[::]:8080", "::", 8080),
        ("localhost:0", "localhost", 0),
        (":8081", "0.0.0.0", 8081),
        ("8081", "0.0.0.0", 8081),
        (8081, "0.0.0.0", 8081),
    ],
)
def test_an_address_to_listen_on_is_host_and_port(listen: Any, host: str, port: int) -> None:
    http = HttpConfig(listen=listen)
    assert (http.host, http.port) == (host, port)


NO_ADDRESSES = ["", "localhost", "0.0.0.0:", "0.0.0.0:x", "0.0.0.0:65536", "::1:8080", "0.0.0.0:-1"]


@pytest.mark.parametrize("listen", NO_ADDRESSES)
def test_a_wrong_address_to_listen_on_is_refused(listen: str) -> None:
    refusal(HttpConfig, listen=listen)


# ------------------------------------------------------------------ keys, buses, devices
def test_a_meter_key_is_sixteen_bytes_in_whatever_spelling() -> None:
    key = KeyConfig.model_validate({"meter_id": "0001234a", "manufacturer": "els", "key": "0102 0304" * 4})
    assert (key.meter_id, key.manufacturer) == ("0001234A", "ELS")
    assert key.key_bytes == bytes.fromhex("01020304" * 4)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"meter_id": "1234567"}, "8 digits, this one 7"),
        ({"meter_id": "1234567x"}, "8 digits"),
        ({"manufacturer": "EL"}, "three letters"),
        ({"key": "01" * 15}, "this one has 30"),
        ({"key": "0g" * 16}, "another character"),
        ({"key": ""}, "this one has 0"),
    ],
)
def test_a_wrong_meter_key_is_refused_without_showing_it(values: dict[str, str], words: str) -> None:
    text = refusal(KeyConfig, **{"meter_id": "12345678", "key": "ab" * 16, **values})
    assert words in text
    assert "ab" * 16 not in text and "0g" * 16 not in text


@pytest.mark.parametrize("port", ["/dev/ttyUSB0", "/dev/serial/by-id/usb-x", "socket://host:10001", "rfc2217://h:1?x"])
def test_serial_ports_and_converters_are_accepted(port: str) -> None:
    assert BusConfig(name="main", port=port).port == port


@pytest.mark.parametrize("port", ["", "tcp://host:1", "socket://host", "socket://:1000", "socket://host:99999"])
def test_a_port_that_names_nothing_is_refused(port: str) -> None:
    refusal(BusConfig, name="main", port=port)


@pytest.mark.parametrize(
    "values",
    [
        {"baudrate": 240},
        {"parity": "X"},
        {"name": "a b"},
        {"serial_timeout": 0},
        {"max_retries": -1},
        {"latency_ms": "nan"},
        {"echo": "maybe"},
        {"decoder": "other"},
    ],
)
def test_a_wrong_bus_is_refused(values: dict[str, Any]) -> None:
    refusal(BusConfig, **{"name": "main", "port": "/dev/x", **values})


def test_parity_may_be_written_as_a_word() -> None:
    assert BusConfig.model_validate({"name": "m", "port": "/dev/x", "parity": "none"}).parity == "N"


@pytest.mark.parametrize(("written", "address"), [(0, 0), (250, 250), (254, 254), ("0x0A", 10), ("010", 10)])
def test_primary_addresses_are_accepted(written: Any, address: int) -> None:
    assert DeviceConfig(id="m", bus="b", address=written).address == address


@pytest.mark.parametrize("address", [-1, 251, 253, 255, 256, "x", "1.5"])
def test_addresses_with_another_meaning_are_refused(address: Any) -> None:
    refusal(DeviceConfig, id="m", bus="b", address=address)


@pytest.mark.parametrize("name", ["Meter_1", "a-b", "a/b", "a+", "#", "", "ä", "bridge"])
def test_a_device_id_that_would_break_topics_is_refused(name: str) -> None:
    refusal(DeviceConfig, id=name, bus="b", address=1)


@pytest.mark.parametrize(("written", "level"), [("debug", "DEBUG"), ("Warn", "WARNING"), ("ERROR", "ERROR")])
def test_log_levels_are_accepted_as_people_write_them(written: Any, level: str) -> None:
    assert LoggingConfig(level=written).level == level


@pytest.mark.parametrize("url", ["ftp://x", "platform.lobaro.com", "https://", "https://u:p@host", "https://h:0"])
def test_a_wrong_url_of_the_parser_is_refused(url: str) -> None:
    refusal(LobaroConfig, url=url)


def test_a_gateway_with_an_empty_key_is_refused() -> None:
    text = str(pytest.raises(ValidationError, Config.model_validate, {"ingest": {"keys": {"gw1": " "}}}).value)
    assert "the key of gw1 is empty" in text


def test_a_gateway_name_that_would_break_topics_is_refused() -> None:
    with pytest.raises(ValidationError):
        Config.model_validate({"ingest": {"keys": {"gw/1": "secret"}}})


@pytest.mark.parametrize("network", ["192.168.1.0/24", "10.1.2.3", "fd00::/8"])
def test_a_trusted_network_is_a_network_or_an_address(network: str) -> None:
    assert IngestConfig(trusted_networks=(network,)).trusted_networks == (ip_network(network),)


@pytest.mark.parametrize("network, said", [("192.168.1.7/24", "bits"), ("home", "no net"), ("10.0.0.0/40", "no net")])
def test_anything_else_is_refused_as_a_network(network: str, said: str) -> None:
    assert said in refusal(IngestConfig, trusted_networks=(network,))


def test_a_tls_key_needs_its_certificate() -> None:
    assert "tls_cert_file" in refusal(HttpConfig, tls_key_file="/k.pem")
    assert HttpConfig(tls_cert_file="/c.pem").tls_key_file is None
