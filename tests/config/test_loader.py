"""Everything wrong with a file at once, with line, key and advice."""
from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mbusgw.config.loader import load, loads, with_state_dir
from mbusgw.config.models import Config
from mbusgw.model.errors import ConfigError, Problem
from tests.config.refusals import only, problems

BUS = "buses: [{name: main, port: /dev/ttyUSB0}]\n"


# ------------------------------------------------------------------ right files
NOTHING = ["", "# nothing\n", "---\n", "mqtt:\nbuses:\ndevices:\n", "null", "mqtt: {}\nkeys: []\n"]


@pytest.mark.parametrize("text", NOTHING)
def test_a_file_that_sets_nothing_is_complete(text: str) -> None:
    assert loads(text, {}) == Config()


def test_a_file_with_buses_and_devices_only_is_complete() -> None:
    config = loads(BUS + "devices: [{id: meter_1, bus: main, address: 1, interval: 15m}]\n", {})
    assert config.devices[0].interval == 900
    assert config.devices[0].name is None


def test_a_number_with_leading_zeros_keeps_them() -> None:
    text = f"keys: [{{meter_id: 00012345, key: {1:032}}}, {{meter_id: 12345678, key: '{'ab' * 16}'}}]"
    first, second = loads(text, {}).keys
    assert first.meter_id == "00012345"
    assert first.key_bytes == bytes(15) + b"\x01"
    assert second.meter_id == "12345678"


@pytest.mark.parametrize("number", ["01234567", "0o123456", "1234_678", "1234567e", "12345e67", "0x123456"])
def test_a_meter_number_is_never_read_as_another_number(number: str) -> None:
    text = f"keys: [{{meter_id: {number}, key: {'0' * 32}}}]"
    try:
        assert loads(text, {}).keys[0].meter_id == number.upper()
    except ConfigError as error:
        assert error.problems[0].key == "keys[0].meter_id"


def test_words_that_yaml_takes_for_truth_values_stay_words() -> None:
    config = loads("buses: [{name: on, port: /dev/x, echo: off}]\ngateway: {id: yes}\n", {})
    assert (config.buses[0].name, config.buses[0].echo, config.gateway.id) == ("on", "off", "yes")


@pytest.mark.parametrize(
    ("word", "truth"), [("yes", True), ("off", False), ("true", True), ('"no"', False), ("0", False)]
)
def test_truth_values_are_accepted_in_all_usual_words(word: str, truth: bool) -> None:
    assert loads(f"ingest: {{dedup: {word}}}", {}).ingest.dedup is truth


def test_an_address_may_be_written_in_hexadecimal_and_with_leading_zeros() -> None:
    text = BUS + "devices: [{id: a, bus: main, address: 0x0A}, {id: b, bus: main, address: 011}]"
    assert [device.address for device in loads(text, {}).devices] == [10, 11]


def test_a_password_of_digits_stays_as_it_was_written() -> None:
    password = loads("mqtt: {password: 007}", {}).mqtt.password
    assert password is not None and password.get_secret_value() == "007"


def test_anchors_and_merges_work() -> None:
    text = "buses:\n  - &first {name: a, port: /dev/a, baudrate: 9600}\n  - {<<: *first, name: b, port: /dev/b}\n"
    assert [(bus.name, bus.baudrate) for bus in loads(text, {}).buses] == [("a", 9600), ("b", 9600)]


def test_the_home_folder_may_be_written_as_a_tilde(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/joe")
    assert loads("storage: {path: ~/x.db}", {}).storage.path == Path("/home/joe/x.db")


# ------------------------------------------------------------------ wrong keys and values
def test_a_misspelt_key_is_named_with_its_line_and_what_was_meant() -> None:
    found = problems(BUS + "devices:\n  - id: a\n    bus: main\n    adress: 1\n")
    assert Problem("f.yaml", 5, "devices[0].adress", "unknown key", "did you mean `address`?") in found
    assert Problem("f.yaml", 3, "devices[0].address", "is missing", "") in found
    assert len(found) == 2


def test_a_problem_reads_as_one_line() -> None:
    assert str(only("mqqt: {}")) == "f.yaml:1: mqqt: unknown key (did you mean `mqtt`?)"


def test_a_key_in_the_wrong_section_is_told_where_it_belongs() -> None:
    problem = only(BUS + "devices: [{id: a, bus: main, address: 1, max_retries: 3}]")
    assert problem.suggestion == "`max_retries` is a key of buses"


@pytest.mark.parametrize(
    ("text", "suggestion"),
    [
        (BUS + "devices: [{id: a, radio: els_12345678, bus: main}]", "only a wired meter (without `radio`) has it"),
        ("outputs: [{type: webhook, url: 'http://h', bucket: b}]", "only an output of type influx has it"),
    ],
)
def test_a_key_of_another_kind_of_item_is_told_whose_it_is(text: str, suggestion: str) -> None:
    assert only(text).suggestion == suggestion


@pytest.mark.parametrize("key", ["storage: {path: %s}", "mqtt: {ca_file: %s}", "lobaro: {mapping_file: %s}"])
@pytest.mark.parametrize(
    ("written", "words"), [('""', "names no file"), ('"a\\0b"', "control character"), ('"a\\nb"', "line break")]
)
def test_what_can_be_the_name_of_no_file_is_refused(key: str, written: str, words: str) -> None:
    assert words in only(key % written).message


def test_a_tilde_without_a_home_folder_is_refused() -> None:
    assert "write the whole path" in only("storage: {path: ~nobody_of_that_name/x.db}").message


@pytest.mark.parametrize(
    "text",
    ["mqtt: {client_id: %s}", "mqtt: {username: %s}", "mqtt: {topic_prefix: %s}", "homeassistant: {prefix: %s}",
     "devices: [{id: a, radio: els_12345678, name: %s}]", "buses: [{name: a, port: %s}]"],
)  # fmt: skip
def test_a_name_is_of_one_line(text: str) -> None:
    assert "holds a line break or another control character" in only(text % '"a\\nb"').message


def test_a_name_may_have_any_letters() -> None:
    config = loads('devices: [{id: a, radio: els_12345678, name: "Küche #1 +/🔥"}]', {})
    assert config.devices[0].name == "Küche #1 +/🔥"


def test_an_empty_token_is_none() -> None:
    assert loads('lobaro: {token: ""}', {}).lobaro.token is None


def test_a_time_of_centuries_is_refused_in_words() -> None:
    assert only("storage: {keep_readings: 99999999999}").message.startswith("must be at most ten years (3660d)")


def test_a_key_like_no_other_is_answered_with_those_known() -> None:
    assert only("gateway: {zzzzzz: 1}").suggestion == "known here: id, language"


def test_a_misspelt_word_is_answered_with_the_one_meant() -> None:
    problem = only("parser: {backend: locla}")
    assert problem.message == "must be lobaro, local, lobaro_then_local or compare; found `locla`"
    assert problem.suggestion == "did you mean `local`?"
    assert only("lobaro: {endpoint: meterdata}").suggestion == "did you mean `meterData`?"


@pytest.mark.parametrize(
    ("text", "key", "message"),
    [
        ("mqtt: {qos: 7}", "mqtt.qos", "must be at most 2; found `7`"),
        ("mqtt: {qos: -1}", "mqtt.qos", "must be at least 0; found `-1`"),
        ("mqtt: {qos: one}", "mqtt.qos", "must be a whole number; found `one`"),
        ("mqtt: {qos: 1.5}", "mqtt.qos", "must be a whole number; found `1.5`"),
        ("mqtt: {retain: perhaps}", "mqtt.retain", "must be true or false; found `perhaps`"),
        ("mqtt: {heartbeat: 0}", "mqtt.heartbeat", "must be greater than 0; found `0`"),
        ("mqtt: {client_id: ''}", "mqtt.client_id", "is empty; found ``"),
        ("mqtt: {username: [a]}", "mqtt.username", "must be a text"),
        ("mqtt: foo", "mqtt", "must be a mapping: lines of `key: value`"),
        ("buses: {name: a}", "buses", "must be a list: each item begins with a dash (- )"),
        ("buses: [null]", "buses[0]", "must be a mapping: lines of `key: value`; it is empty"),
        ("ingest: {keys: [a]}", "ingest.keys", "must be a mapping: lines of `key: value`"),
        ("ingest: {keys: {gw1: }}", "ingest.keys.gw1", "must be a text; it is empty"),
        ("storage: {path: [a]}", "storage.path", "must be a path"),
        ("mqtt: {protocol: 6}", "mqtt.protocol", "must be 5 or 3.1.1; found `6`"),
    ],
)
def test_a_wrong_value_is_described_in_plain_words(text: str, key: str, message: str) -> None:
    problem = only(text)
    assert (problem.source, problem.line, problem.key, problem.message) == ("f.yaml", 1, key, message)


def test_a_wrong_duration_is_answered_with_examples() -> None:
    assert '"15m"' in only("health: {interval: 15 minutes and a bit}").message


def test_a_prefix_that_is_wrong_is_reported_once() -> None:
    assert only("homeassistant: {prefix: a+}").key == "homeassistant.prefix"


def test_every_problem_is_reported_at_once_in_the_order_of_the_file() -> None:
    text = "gateway: {id: a/b}\nmqtt:\n  qos: 9\n  urll: x\nbuses: [{name: m}]\n"
    text += "devices: [{id: a, bus: n, address: 1}]\nfoo: 1\n"
    found = problems(text, N_WORKERS="many")
    assert [(problem.line, problem.key) for problem in found] == [
        (1, "gateway.id"),
        (3, "mqtt.qos"),
        (4, "mqtt.urll"),
        (5, "buses[0].port"),
        (6, "devices[0].bus"),
        (7, "foo"),
        (None, "N_WORKERS"),
    ]


# ------------------------------------------------------------------ what does not fit together
def test_a_device_on_an_unknown_bus_is_reported_with_the_bus_meant() -> None:
    problem = only(BUS + "devices: [{id: a, bus: mian, address: 1}]")
    assert (problem.line, problem.key, problem.message) == (2, "devices[0].bus", "no bus is named `mian`")
    assert problem.suggestion == "did you mean `main`?"


def test_a_device_without_any_bus_is_told_so() -> None:
    assert only("devices: [{id: a, bus: main, address: 1}]").suggestion == "there are no buses at all"


def test_a_device_is_not_to_blame_for_a_bus_that_is_wrong_itself() -> None:
    problem = only("buses: [{name: main, port: /dev/x, baudrate: 1}]\ndevices: [{id: a, bus: main, address: 1}]")
    assert problem.key == "buses[0].baudrate"


def test_an_unknown_bus_is_reported_even_if_the_device_has_other_faults() -> None:
    keys = [problem.key for problem in problems(BUS + "devices: [{id: A, bus: other, address: 1}]")]
    assert keys == ["devices[0].id", "devices[0].bus"]


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("buses: [{name: a, port: /dev/a}, {name: a, port: /dev/b}]", "buses[1].name"),
        ("buses: [{name: a, port: /dev/a}, {name: b, port: /dev/a}]", "buses[1].port"),
        (BUS + "devices: [{id: a, bus: main, address: 1}, {id: a, bus: main, address: 2}]", "devices[1].id"),
        (BUS + "devices: [{id: a, bus: main, address: 1}, {id: b, bus: main, address: 1}]", "devices[1].address"),
        (BUS + "devices: [{id: a, bus: main, address: 1}, {id: b, bus: main, address: 254}]", "devices[1].address"),
    ],
)
def test_what_must_differ_is_reported_where_it_does_not(text: str, key: str) -> None:
    assert only(text).key == key


def test_a_key_given_twice_for_one_meter_is_reported() -> None:
    key = f"{{meter_id: 12345678, key: {'0' * 32}}}"
    assert only(f"keys: [{key}, {key}]").key == "keys[1].meter_id"


def test_two_makes_may_share_a_meter_number() -> None:
    item = "{{meter_id: 12345678, manufacturer: {0}, key: {1}}}"
    text = f"keys: [{item.format('ELS', '0' * 32)}, {item.format('KAM', '1' * 32)}]"
    assert len(loads(text, {}).keys) == 2


def test_a_disabled_device_may_keep_an_address_that_is_used_again() -> None:
    text = BUS + "devices: [{id: a, bus: main, address: 1, enabled: no}, {id: b, bus: main, address: 1}]"
    assert len(loads(text, {}).devices) == 2


# ------------------------------------------------------------------ files that are no configuration
@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("a: b: c", 1, "a second colon"),
        ("mqtt:\n\tqos: 1", 2, "a tab where spaces are needed"),
        ("mqtt: {password: *abc}", 1, "begins with * or &"),
        ("mqtt:\n  password: @abc", 2, "begins with @"),
        ("mqtt: {qos: 1", 1, "begins with { or [ in line 1 is not closed"),
        ('mqtt:\n  password: "abc\n', 3, "the quotation mark in line 2 has no end"),
        ("gateway:\n   id: a\n  language: de", 3, "a wrong indentation"),
        ("- a\n- b", 1, "must be a mapping"),
        ("just text", 1, "must be a mapping"),
        ("a: 1\n---\nb: 2", 2, "another document"),
        ("gateway: {id: a}\n\x07", 2, "control character"),
        ("{" * 5000, None, "nested too deeply"),
    ],
)
def test_what_is_no_yaml_is_reported_with_its_line(text: str, line: int | None, words: str) -> None:
    problem = only(text)
    assert problem.line == line
    assert words in problem.message


def test_a_key_that_stands_there_twice_is_reported_with_both_lines() -> None:
    problem = only("mqtt: {qos: 1}\ngateway: {id: a}\nmqtt: {qos: 2}\n")
    assert (problem.line, problem.key, problem.message) == (3, "mqtt", "stands there twice, first in line 1")


def test_a_value_that_begins_with_an_exclamation_mark_must_be_quoted() -> None:
    for text in ("mqtt: {password: !abc}", "mqtt:\n  password: !abc\n"):
        problem = only(text)
        assert "an unquoted value begins with !" in problem.message
        assert problem.suggestion == "put it in quotes"


def test_aliases_that_multiply_without_end_are_refused() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 8)]
    assert "multiply without end" in problems("\n".join(lines))[-1].message


def test_an_alias_to_itself_is_refused() -> None:
    assert "nested too deeply" in only("a: &a [*a]").message


@given(st.text(max_size=60))
def test_any_text_is_a_configuration_or_a_config_error(text: str) -> None:
    try:
        loads(text, {})
    except ConfigError as error:
        assert error.problems


def test_a_missing_file_is_reported(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no such file") as caught:
        load(tmp_path / "none.yaml", {})
    assert "-c FILE" in caught.value.problems[0].suggestion


def test_a_folder_is_no_configuration(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is a folder"):
        load(tmp_path, {})


def test_a_file_below_a_file_is_reported(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("")
    with pytest.raises(ConfigError, match="cannot be read"):
        load(tmp_path / "a" / "b", {})


def test_a_file_that_is_no_text_is_reported(tmp_path: Path) -> None:
    (tmp_path / "f.yaml").write_bytes(b"gateway: \xff\xfe")
    with pytest.raises(ConfigError, match="no UTF-8 text"):
        load(tmp_path / "f.yaml", {})


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_reported(tmp_path: Path) -> None:
    file = tmp_path / "f.yaml"
    file.write_text("")
    file.chmod(0)
    with pytest.raises(ConfigError, match="may not be read"):
        load(file, {})


def test_a_file_with_a_byte_order_mark_is_read(tmp_path: Path) -> None:
    (tmp_path / "f.yaml").write_bytes(b"\xef\xbb\xbfgateway: {id: a}\r\n")
    assert load(tmp_path / "f.yaml", {}).gateway.id == "a"


# ------------------------------------------------------------------ secrets and files beside
SECRET = "Hidden99"


@pytest.mark.parametrize(
    "text",
    [
        f"mqtt: {{password: [{SECRET}]}}",
        f"mqtt: {{url: 'mqt://joe:{SECRET}@host'}}",
        f"mqtt: {{url: 'mqtt://joe:{SECRET}@host:x'}}",
        f"mqtt: {{url: 'mqtt://joe:{SECRET}'}}",
        f"mqtt: {SECRET}",
        f"keys: [{{meter_id: 12345678, key: {SECRET}}}]",
        f"keys: {SECRET}",
        f"keys: [{SECRET}]",
        f"ingest: {{keys: {SECRET}}}",
        f"ingest: {{keys: {{gw/1: {SECRET}}}}}",
        f"http: {{admin_token: {{a: {SECRET}}}}}",
        f"lobaro: {{url: 'https://joe:{SECRET}@host'}}",
        f"lobaro: {{tokn: {SECRET}}}",
        f"mqtt: {{password: '{SECRET}, qos: 1}}",
        f"mqtt: {{password: @{SECRET}}}",
        f"mqtt: {{password: *{SECRET}}}",
        f"mqtt: {{password: !{SECRET}}}",
        f"mqtt: {{password: %{SECRET}}}",
        f"mqtt: {{password: {SECRET}: x}}",
        f"mqtt: {{password: {SECRET}, password_file: /x}}",
    ],
)
def test_no_error_shows_a_secret(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        loads(text, {})
    assert SECRET not in str(caught.value)
    assert SECRET not in repr(caught.value.problems)


def test_no_text_of_a_configuration_shows_a_secret() -> None:
    config = loads(
        f"mqtt: {{url: 'mqtt://joe:{SECRET}@h'}}\ningest: {{keys: {{gw1: {SECRET}}}}}\nlobaro: {{token: {SECRET}}}\n"
        f"http: {{admin_token: {SECRET}}}\nkeys: [{{meter_id: 12345678, key: {'c0' * 16}}}]\n",
        {},
    )
    for text in (repr(config), str(config), config.model_dump_json()):
        assert SECRET not in text and "c0c0" not in text.lower()


def test_the_password_may_come_from_a_file_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "pw").write_text("p4ssword\n")
    password = loads(f"mqtt: {{username: joe, password_file: {tmp_path}/pw}}", {}).mqtt.password
    assert password is not None and password.get_secret_value() == "p4ssword"


@pytest.mark.parametrize(("content", "words"), [(None, "cannot be read"), (b"\n", "is empty"), (b"\xff", "no UTF-8")])
def test_a_password_file_without_a_password_is_reported(tmp_path: Path, content: bytes | None, words: str) -> None:
    if content is not None:
        (tmp_path / "pw").write_bytes(content)
    problem = only(f"mqtt:\n  password_file: {tmp_path}/pw")
    assert (problem.line, problem.key) == (2, "mqtt.password_file")
    assert words in problem.message


def test_a_certificate_that_is_not_there_is_reported(tmp_path: Path) -> None:
    problem = only(f"mqtt: {{ca_file: {tmp_path}/ca.pem}}")
    assert (problem.key, problem.message) == ("mqtt.ca_file", f"there is no file {tmp_path}/ca.pem")
    (tmp_path / "ca.pem").write_text("")
    loads(f"mqtt: {{ca_file: {tmp_path}/ca.pem}}", {})


# ------------------------------------------------------------------ --state-dir
def test_a_state_folder_takes_database_logs_and_heartbeat(tmp_path: Path) -> None:
    config = with_state_dir(Config(), tmp_path)
    assert config.storage.path == tmp_path / "mbusgw.db"
    assert config.logging.directory == tmp_path / "log"
    assert config.health.heartbeat_file == tmp_path / "heartbeat"
    assert config.mqtt == Config().mqtt


def test_a_path_that_the_file_sets_elsewhere_stays_with_a_state_folder(tmp_path: Path) -> None:
    config = with_state_dir(loads("storage: {path: /srv/x.db}\nlogging: {level: DEBUG}", {}), tmp_path)
    assert config.storage.path == Path("/srv/x.db")
    assert config.logging.directory == tmp_path / "log"
    assert config.logging.level == "DEBUG"


def test_a_relative_state_folder_is_made_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert with_state_dir(Config(), Path("here")).storage.path == tmp_path / "here" / "mbusgw.db"


def test_a_missing_certificate_is_found_before_anything_starts(tmp_path: Path) -> None:
    problem = only(f"http: {{tls_cert_file: {tmp_path}/server.pem}}")
    assert (problem.key, problem.message) == ("http.tls_cert_file", f"there is no file {tmp_path}/server.pem")
