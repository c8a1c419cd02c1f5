"""Outputs in the configuration."""
from __future__ import annotations

from pathlib import Path

import pytest

from mbusgw.config.loader import loads
from mbusgw.config.outputs import InfluxConfig, WebhookConfig
from mbusgw.config.secrets import secret_values
from mbusgw.model.errors import ConfigError

INFLUX = "outputs: [{type: influx, url: 'http://h:8086/', %s}]"
WEBHOOK = "outputs: [{type: webhook, url: 'https://h/x'%s}]"


def refused(text: str, environ: dict[str, str] | None = None) -> str:
    with pytest.raises(ConfigError) as caught:
        loads(text, environ or {})
    return str(caught.value)


def test_an_output_is_named_after_its_type_unless_it_has_a_name() -> None:
    config = loads(
        "outputs: [{type: influx, url: 'http://h', bucket: b}, {type: webhook, url: 'http://h/', name: n8n}]", {}
    )
    influx, webhook = config.outputs
    assert isinstance(influx, InfluxConfig) and isinstance(webhook, WebhookConfig)
    assert (influx.name, webhook.name, webhook.url) == ("influx", "n8n", "http://h/")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("outputs: [{type: influxdb, url: 'http://h'}]", "outputs[0]: `type` must be influx or webhook"),
        ("outputs: [{url: 'http://h'}]", "outputs[0]: `type` must be influx or webhook"),
        ("outputs: {type: webhook}", "outputs: must be a list"),
        (INFLUX % "token: t", "needs either `bucket` (InfluxDB 2 and 3) or `database` (InfluxDB 1)"),
        (INFLUX % "bucket: b, database: d", "needs either"),
        (INFLUX % "database: d, org: o", "`org` belongs to `bucket`"),
        (INFLUX % "database: d, password: p", "`password` needs `username`"),
        (INFLUX % "database: d, username: u, token: t", "`token` and `username` exclude each other"),
        (INFLUX % "bucket: b, token: t, token_file: f", "token and token_file exclude each other"),
        (INFLUX % "bucket: b, precision: m", "outputs[0].precision: must be s, ms, us or ns"),
        (INFLUX % "bucket: b, timeout: 2m", "outputs[0].timeout: must be at most 60"),
        (INFLUX % "bucket: b, buckett: c", "outputs[0].buckett: unknown key (did you mean `bucket`?)"),
        ("outputs: [{type: influx, url: 'http://h?x=1', bucket: b}]", "the url ends before the ?"),
        ("outputs: [{type: webhook, url: 'ftp://h'}]", "outputs[0].url: begins with https://"),
        ("outputs: [{type: webhook}]", "outputs[0].url: is missing"),
        (WEBHOOK % ", token: 'grün'", "cannot stand in an HTTP header"),
        (WEBHOOK % ", headers: {'a b': c}", "is no name of an HTTP header"),
        (WEBHOOK % ", headers: {X-A: b, x-a: c}", "a header is named twice"),
        (WEBHOOK % ", token: t, headers: {authorization: b}", "stands in `headers` too"),
        (WEBHOOK % ", name: 'a/b'", "outputs[0].name: 1 to 32 letters"),
        (
            "outputs: [{type: webhook, url: 'http://h'}, {type: webhook, url: 'http://i'}]",
            "outputs[1].name: is the same as that of outputs[0]; it must differ",
        ),
    ],
)
def test_a_mistake_is_told_at_its_place(text: str, said: str) -> None:
    assert said in refused(text)


def test_a_url_that_is_wrong_is_not_shown_since_it_may_hold_a_secret() -> None:
    told = refused("outputs: [{type: webhook, url: 'https://me:secret-word@h/x'}]")
    assert "holds no user and password" in told and "secret-word" not in told


def test_secrets_come_from_files(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("token-in-a-file\n")
    (tmp_path / "password").write_text("password-in-a-file\n")
    config = loads(
        "outputs: [{type: influx, url: 'http://h', database: d, username: u,"
        f" password_file: {tmp_path / 'password'}}},"
        f" {{type: webhook, url: 'http://h', token_file: {tmp_path / 'token'}, headers: {{X-A: in-a-header}}}}]",
        {},
    )
    assert secret_values(config) == {"token-in-a-file", "password-in-a-file", "in-a-header"}


def test_a_secret_file_that_cannot_be_used_is_told(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("grün\n")
    told = refused(WEBHOOK % f", token_file: {tmp_path / 'none'}")
    assert f"outputs[0].token_file: {tmp_path / 'none'} cannot be read: No such file or directory" in told
    assert "outputs[0].token_file: holds a character" in refused(WEBHOOK % f", token_file: {tmp_path / 'token'}")


def test_the_environment_gives_each_output_its_secret() -> None:
    text = (
        "outputs: [{type: influx, url: 'http://h', database: d, username: u, password_file: /none},"
        " {type: webhook, url: 'http://h', name: n8n, token: old}, {type: webhook, url: 'http://h'}]"
    )
    influx, named, other = loads(text, {"OUTPUT_SECRETS": "influx:a:b==;n8n:new"}).outputs
    assert isinstance(influx, InfluxConfig) and influx.password and influx.password.get_secret_value() == "a:b=="
    assert named.token and named.token.get_secret_value() == "new" and other.token is None


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("n8n:x", "OUTPUT_SECRETS: no output is named `n8n` (known: webhook)"),
        ("webhook", "OUTPUT_SECRETS: part 1 is not OUTPUT:SECRET"),
        ("webhook:grün", "environment: OUTPUT_SECRETS: holds a character"),
    ],
)
def test_a_wrong_variable_is_told_without_its_secret(value: str, said: str) -> None:
    told = refused(WEBHOOK % "", {"OUTPUT_SECRETS": value})
    assert said in told and "grün" not in told
