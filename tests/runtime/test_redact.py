"""Secrets are taken out of texts, and nothing else is."""
from __future__ import annotations

import pytest

from mbusgw.runtime.redact import Redactor

KEY = "0102030405060708090A0B0C0D0E0F11"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f"GET /api/meterData?raw=2e44&key={KEY} HTTP/1.1", "GET /api/meterData?raw=2e44&key=*** HTTP/1.1"),
        (f'{{"raw_hex": "2e44", "key_hex": "{KEY}"}}', '{"raw_hex": "2e44", "key_hex": "***"}'),
        (f"key: {KEY.lower()}, next", "key: ***, next"),
        ("Authorization: Bearer abc.DEF-123=", "Authorization: Bearer ***"),
        ("basic dXNlcjpwdw==", "basic ***"),
        ("mqtt://joe:pw@host:1883 refused", "mqtt://joe:***@host:1883 refused"),
        ("https://:pa/ss@host/x", "https://:pa/ss@host/x"),
        ("mqtts://:p@ss@host/x", "mqtts://:***@host/x"),
        ("password=abc&x=1", "password=***&x=1"),
        ("{'token': 'abc', 'a': 1}", "{'token': '***', 'a': 1}"),
    ],
)
def test_what_looks_like_a_secret_is_hidden(text: str, shown: str) -> None:
    assert Redactor()(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "the key of meter 12345678 is missing",
        "key: none",
        "no token: everything is decoded here",
        "a secret is missing",
        "bus main: 68 1F 1F 68 08 01 72",
        f"telegram {KEY}",
        "http://127.0.0.1:8080/health",
        "primary key meter_keys",
    ],
)
def test_ordinary_texts_stay_as_they_are(text: str) -> None:
    assert Redactor()(text) == text


def test_configured_secrets_are_hidden_wherever_they_stand() -> None:
    redact = Redactor(["Hidden99", KEY, "a+b(cd"])
    assert redact(f"x Hidden99 y '{KEY.lower()}' (a+b(cd)") == "x *** y '***' (***)"


def test_a_short_secret_does_not_blacken_words_that_contain_it() -> None:
    assert Redactor(["mbus", ""])("mbusgw reads mbus") == "mbusgw reads mbus"
    assert Redactor(["secret"])("secretary secret") == "secretary ***"
