"""What gateways send."""
from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mbusgw.model.errors import RequestError
from mbusgw.model.submission import Submission
from mbusgw.runtime import exactjson
from mbusgw.web.bodies import read_body, trusted_time

HEX = "2E44931578563412330333637A2A0020055923C95AAA26D1B2E7493B2A8B013EC4A6F6D3529B520EDFF0EA6DEFC955B29D6D69EBF3EC8A"
KEY = "0102030405060708090A0B0C0D0E0F11"
NOW = datetime(2026, 5, 1, tzinfo=timezone.utc)


def body(**changes: Any) -> dict[str, Any]:
    return {"gateway_id": "gw1", "raw_hex": HEX, **changes}


def read(document: Any) -> list[Submission]:
    return read_body(exactjson.dumps(document).encode())[0]


def refused(document: Any) -> RequestError:
    with pytest.raises(RequestError) as caught:
        read(document)
    assert caught.value.status == 400
    return caught.value


def test_the_documented_body_is_read_whole() -> None:
    [telegram] = read(
        body(
            rx_time="2026-04-30T12:00:00+02:00",
            rssi_dbm=-67.5,
            mode="t1",
            meter_hint={"meter_id": "1234567a", "manufacturer": "els"},
            key_hex=KEY,
            some_future_field=[1],
        )
    )
    assert telegram == Submission(
        gateway_id="gw1",
        raw=bytes.fromhex(HEX),
        rx_time=datetime(2026, 4, 30, 10, tzinfo=timezone.utc),
        rssi_dbm=-67.5,
        mode="T1",
        hint_meter_id="1234567A",
        hint_manufacturer="ELS",
        key=bytes.fromhex(KEY),
    )


def test_only_gateway_and_telegram_are_needed_and_null_means_absent() -> None:
    plain = [Submission("gw1", bytes.fromhex(HEX))]
    assert read(body(raw_hex=HEX.lower())) == plain
    assert read(body(rx_time=None, rssi_dbm=None, mode=None, meter_hint=None, key_hex=None)) == plain


def test_the_body_of_the_field_gateways_is_read() -> None:
    sent = (
        b'{"gateway":"oms-gateway","status":0,"rssi":-67.5,"lqi":103,"manuf":5523,"id":"12345678","dev_type":7,'
        b'"version":1,"ci":120,"payload_len":77,"logical_hex":"' + HEX.encode() + b'"}'
    )
    assert read_body(sent) == (
        [
            Submission(
                "oms-gateway",
                bytes.fromhex(HEX),
                rssi_dbm=-67.5,
                hint_meter_id="12345678",
                hint_manufacturer="ELS",
            )
        ],
        False,
    )


def test_a_field_gateway_is_not_refused_for_a_hint_that_is_none() -> None:
    wrong = {"manuf": 70000, "id": "?", "status": None, "rssi": "-70"}
    [telegram] = read({"gateway": "gw", "logical_hex": HEX, **wrong})
    assert (telegram.hint_manufacturer, telegram.hint_meter_id, telegram.rssi_dbm) == (None, None, None)


@pytest.mark.parametrize("rssi,known", [(-67.5, -67.5), (-70, -70.0), (999, None), (-1e300, None), ([], None)])
def test_a_field_gateway_is_not_refused_for_a_signal_strength_that_is_none(rssi: object, known: float | None) -> None:
    [telegram] = read({"gateway": "gw", "logical_hex": HEX, "rssi": rssi})
    assert telegram.rssi_dbm == known


def test_an_array_is_a_batch() -> None:
    telegrams, batch = read_body(exactjson.dumps([body(), {"gateway": "gw2", "logical_hex": HEX}]).encode())
    assert batch and [telegram.gateway_id for telegram in telegrams] == ["gw1", "gw2"]


@pytest.mark.parametrize(
    "document, code, message",
    [
        ({"raw_hex": HEX}, "missing", "gateway_id is missing"),
        ({"gateway_id": "gw1"}, "missing", "raw_hex is missing"),
        ({"logical_hex": HEX}, "missing", "gateway is missing"),
        (body(raw_hex=HEX[:41]), "odd_length", "raw_hex has an odd number of digits (41)"),
        (
            body(raw_hex=HEX[:10] + "G" + HEX[11:]),
            "bad_hex",
            "raw_hex has something else than hexadecimal digits at position 11",
        ),
        (body(raw_hex=HEX[:38]), "too_short", "raw_hex has 19 bytes; a telegram has 20 to 512"),
        (body(raw_hex=""), "too_short", "raw_hex has 0 bytes; a telegram has 20 to 512"),
        (body(raw_hex="00" * 513), "too_long", "raw_hex has 513 bytes; a telegram has 20 to 512"),
        (body(raw_hex=5), "bad_type", "raw_hex is no text"),
        (body(raw_hex=None), "bad_type", "raw_hex is no text"),
        (body(rx_time="yesterday"), "bad_time", None),
        (body(rx_time="0001-01-01T00:00:00+14:00"), "bad_time", None),
        (body(rx_time=1700000000), "bad_type", "rx_time is no text"),
        (body(rssi_dbm="-60"), "bad_type", "rssi_dbm is no number"),
        (body(rssi_dbm=True), "bad_type", "rssi_dbm is no number"),
        (body(rssi_dbm=[1]), "bad_type", "rssi_dbm is no number"),
        (body(rssi_dbm=1000), "bad_value", "rssi_dbm is too large"),
        (body(rssi_dbm=-1000), "bad_value", "rssi_dbm is too small"),
        (body(mode="X9"), "unknown_mode", None),
        (body(key_hex=KEY[:-1]), "bad_key", "key_hex has 32 hexadecimal digits"),
        (body(key_hex="Z" * 32), "bad_key", "key_hex has 32 hexadecimal digits"),
        (body(meter_hint="12345678"), "bad_type", "meter_hint is no JSON object"),
        (body(meter_hint={"meter_id": "123"}), "bad_value", "meter_hint.meter_id has 8 hexadecimal digits"),
        (body(meter_hint={"manufacturer": "EL"}), "bad_value", "meter_hint.manufacturer has three letters"),
        ("text", "bad_type", "a telegram is a JSON object"),
        (None, "bad_type", "a telegram is a JSON object"),
        ([], "empty_batch", "the array has no telegram"),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence(document: Any, code: str, message: str | None) -> None:
    error = refused(document)
    assert error.code == code
    assert message is None or str(error) == message
    assert code in ("empty_batch",) or document in ("text", None) or str(error).startswith(error.field or "?")


@pytest.mark.parametrize("name", ["", "a/b", "gw+", "#", "a b", "nul\0", "x" * 65, "x" * 10_000, "é", "a\n"])
def test_a_gateway_name_that_could_break_a_topic_is_refused(name: str) -> None:
    text = '{"gateway_id":"%s","raw_hex":"%s"}' % ("".join(f"\\u{ord(letter):04x}" for letter in name), HEX)
    with pytest.raises(RequestError) as caught:
        read_body(text.encode())
    assert caught.value.code == "bad_gateway"


@pytest.mark.parametrize("digits", ["１" * 40, "²" * 40, " " * 40, "0x" + "1" * 38])
def test_digits_of_other_scripts_are_no_hex(digits: str) -> None:
    assert refused(body(raw_hex=digits)).code == "bad_hex"


def test_a_batch_is_refused_as_a_whole_and_the_index_is_named() -> None:
    error = refused([body(), body(), body(raw_hex=HEX[:-1])])
    assert error.field == "[2].raw_hex"
    assert refused([body(), 7]).field == "[1]"


@pytest.mark.parametrize(
    "sent",
    [b"", b"{", b"nope", b"\xff\xfe", b"[" * 30_000, b'{"a":' * 9000, b"1" * 5000, b'{"a":NaN}', b'"\\ud800"', b"[1,]"],
)
def test_what_is_no_json_is_said_so(sent: bytes) -> None:
    with pytest.raises(RequestError) as caught:
        read_body(sent)
    assert (caught.value.status, caught.value.code) == (400, "bad_json")


def test_a_byte_order_mark_before_the_json_is_skipped() -> None:
    telegrams, _ = read_body(b"\xef\xbb\xbf" + exactjson.dumps(body()).encode())
    assert telegrams[0].gateway_id == "gw1"


@pytest.mark.parametrize("number", ["1e999", "-1e999", "NaN", "Infinity"])
def test_a_number_that_is_none_is_refused(number: str) -> None:
    with pytest.raises(RequestError) as caught:
        read_body(('{"gateway_id":"gw","raw_hex":"%s","rssi_dbm":%s}' % (HEX, number)).encode())
    assert caught.value.status == 400


def test_a_key_is_never_repeated_in_an_error() -> None:
    for wrong in (KEY + "1", KEY[:-1] + "Z", 5, [KEY]):
        error = refused(body(key_hex=wrong))
        assert KEY[:20] not in str(error) and KEY[:20] not in repr(error.__cause__)


@settings(max_examples=30)
@given(st.recursive(st.none() | st.booleans() | st.floats() | st.text(), lambda each: st.lists(each)))
def test_any_value_in_any_field_is_read_or_refused(value: Any) -> None:
    for name in ("gateway_id", "raw_hex", "rx_time", "rssi_dbm", "mode", "meter_hint", "key_hex"):
        try:
            text = exactjson.dumps(body(**{name: value}))
        except ValueError:
            continue  # NaN is no JSON
        try:
            read_body(text.encode("utf-8", "surrogatepass"))
        except RequestError as error:
            assert error.status == 400


@pytest.mark.parametrize(
    "moment, trusted",
    [
        (None, True),
        (NOW, True),
        (NOW - timedelta(days=300), True),
        (NOW + timedelta(hours=23), True),
        (NOW + timedelta(hours=25), False),
        (datetime(1970, 1, 1, 1, tzinfo=timezone.utc), False),
        (datetime(2099, 1, 1, tzinfo=timezone.utc), False),
    ],
)
def test_a_clock_that_was_never_set_is_not_trusted(moment: datetime | None, trusted: bool) -> None:
    assert trusted_time(moment, NOW) is trusted
