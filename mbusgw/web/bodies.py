"""What gateways send: the documented body and that of the ESP32 gateways in the field, checked."""
from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StrictStr, ValidationError
from pydantic_core import PydanticCustomError, from_json, to_json

from mbusgw.model.errors import RequestError
from mbusgw.model.meter import manufacturer_text
from mbusgw.model.submission import Accepted, Submission
from mbusgw.model.wording import counted
from mbusgw.runtime.clock import parse_iso

MIN_BYTES, MAX_BYTES = 20, 512
#: Radio modes of EN 13757-4 as receivers name them.
MODES = frozenset("S1 S1-M S2 T1 T2 C1 C2 R2 F2 F2-M N1 N1A N1B N1C N1D N1E N1F N2 N2A N2B N2C N2D N2E N2F N2G".split())
#: A clock that says less was never set: ESP32s begin in 1970, clock chips in 2000.
FIRST_YEAR = 2020
_BOM = b"\xef\xbb\xbf"  # some clients begin with it
_GATEWAY = re.compile(r"[A-Za-z0-9_.:-]{1,64}")
_NOT_HEX = re.compile(r"[^0-9a-fA-F]")
_HEX_ID = re.compile(r"[0-9A-Fa-f]{8}")
_LETTERS = re.compile(r"[A-Za-z]{3}")


def _wrong(code: str, message: str) -> PydanticCustomError:
    return PydanticCustomError(code, "{text}", {"text": message})


def _gateway_id(text: str) -> str:
    if not _GATEWAY.fullmatch(text):  # it becomes part of a topic
        raise _wrong("bad_gateway", "has 1 to 64 letters, digits and _ . : -")
    return text


def _telegram_hex(text: str) -> str:
    other = _NOT_HEX.search(text)
    if other:
        raise _wrong("bad_hex", f"has something else than hexadecimal digits at position {other.start() + 1}")
    if len(text) % 2:
        raise _wrong("odd_length", f"has an odd number of digits ({len(text)})")
    count = len(text) // 2
    if count < MIN_BYTES:
        raise _wrong("too_short", f"has {counted(count, 'byte')}; a telegram has {MIN_BYTES} to {MAX_BYTES}")
    if count > MAX_BYTES:
        raise _wrong("too_long", f"has {count} bytes; a telegram has {MIN_BYTES} to {MAX_BYTES}")
    return text


def _key_hex(text: str) -> str:
    if len(text) != 32 or _NOT_HEX.search(text):  # never say what was sent
        raise _wrong("bad_key", "has 32 hexadecimal digits")
    return text


def _time(text: object) -> datetime:
    if not isinstance(text, str):
        raise _wrong("bad_type", "is no text")
    try:
        return parse_iso(text)
    except (ValueError, OverflowError) as error:
        raise _wrong("bad_time", "is no time of ISO 8601, such as 2026-01-31T12:00:00Z") from error


def _mode(text: str) -> str:
    mode = text.upper()
    if mode not in MODES:
        raise _wrong("unknown_mode", "is none of " + ", ".join(sorted(MODES)))
    return mode


def _meter_id(text: str) -> str:
    if not _HEX_ID.fullmatch(text):
        raise _wrong("bad_value", "has 8 hexadecimal digits")
    return text.upper()


def _maker(text: str) -> str:
    if not _LETTERS.fullmatch(text):
        raise _wrong("bad_value", "has three letters")
    return text.upper()


def _number(value: object) -> object:
    if isinstance(value, (bool, str)):
        raise _wrong("bad_type", "is no number")
    return value


def _lenient_id(value: object) -> str | None:
    """A hint that is none helps nobody, but is no reason to refuse a telegram that is sent only once."""
    return value.upper() if isinstance(value, str) and _HEX_ID.fullmatch(value) else None


def _lenient_decibels(value: object) -> float | None:
    return float(value) if isinstance(value, (int, float)) and -250 <= value <= 100 else None


def _lenient_maker(value: object) -> str | None:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= 0xFFFF:
        return None
    text = manufacturer_text(value)
    return text if text.isalpha() else None


GatewayId = Annotated[StrictStr, AfterValidator(_gateway_id)]
TelegramHex = Annotated[StrictStr, AfterValidator(_telegram_hex)]
Decibels = Annotated[float, BeforeValidator(_number), Field(ge=-250, le=100, allow_inf_nan=False)]


class MeterHint(BaseModel):
    """Who the sender thinks the meter is. **immutable**"""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)
    meter_id: Annotated[StrictStr, AfterValidator(_meter_id)] | None = None
    manufacturer: Annotated[StrictStr, AfterValidator(_maker)] | None = None


_NO_HINT = MeterHint()


class TelegramBody(BaseModel):
    """The documented body of ``POST /v1/telegrams``. **immutable**"""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)
    gateway_id: GatewayId
    raw_hex: TelegramHex
    rx_time: Annotated[datetime, BeforeValidator(_time)] | None = None
    rssi_dbm: Decibels | None = None
    mode: Annotated[StrictStr, AfterValidator(_mode)] | None = None
    meter_hint: MeterHint | None = None
    key_hex: Annotated[StrictStr, AfterValidator(_key_hex)] | None = Field(default=None, repr=False)

    def submission(self) -> Submission:
        """In our own words."""
        hint = self.meter_hint or _NO_HINT
        return Submission(
            gateway_id=self.gateway_id,
            raw=bytes.fromhex(self.raw_hex),
            rx_time=self.rx_time,
            rssi_dbm=self.rssi_dbm,
            mode=self.mode,
            hint_meter_id=hint.meter_id,
            hint_manufacturer=hint.manufacturer,
            key=bytes.fromhex(self.key_hex) if self.key_hex else None,
        )


class FieldGatewayBody(BaseModel):
    """What the ESP32 gateways send; they cannot do otherwise, so only what is needed is checked. **immutable**

    ``logical_hex`` begins with the L field and has no CRCs; ``manuf`` is the M-field as a number.
    """

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)
    gateway: GatewayId
    logical_hex: TelegramHex
    rssi: Annotated[float | None, BeforeValidator(_lenient_decibels)] = None
    id: Annotated[str | None, BeforeValidator(_lenient_id)] = None
    manuf: Annotated[str | None, BeforeValidator(_lenient_maker)] = None

    def submission(self) -> Submission:
        """In our own words."""
        return Submission(
            gateway_id=self.gateway,
            raw=bytes.fromhex(self.logical_hex),
            rssi_dbm=self.rssi,
            hint_meter_id=self.id,
            hint_manufacturer=self.manuf,
        )


def read_body(body: bytes) -> tuple[list[Submission], bool]:
    """The telegrams of a body, and whether it was a batch (an array). Raises ``RequestError`` 400.

    A batch is taken or refused as a whole; ``field`` then begins with the index: ``[3].raw_hex``.
    """
    try:
        document = from_json(body.removeprefix(_BOM), allow_inf_nan=False)
    except ValueError as error:
        raise RequestError(400, "bad_json", "the body is no JSON") from error
    if not isinstance(document, list):
        return [_submission(document, "")], False
    if not document:
        raise RequestError(400, "empty_batch", "the array has no telegram")
    return [_submission(item, f"[{index}].") for index, item in enumerate(document)], True


def write_answer(accepted: Sequence[Accepted], *, batch: bool) -> bytes:
    """The body of a 202: one object per telegram, in an array for a batch."""
    documents = [_answer(one) for one in accepted]
    return to_json(documents if batch else documents[0])


def _answer(accepted: Accepted) -> dict[str, Any]:
    document: dict[str, Any] = {"accepted": True, "ingest_id": accepted.ingest_id}
    if accepted.duplicate:
        document["duplicate"] = True
    return document


def trusted_time(moment: datetime | None, now: datetime) -> bool:
    """False for a time that can only come from a clock that was never set, or runs ahead by more than a day."""
    return moment is None or (moment.year >= FIRST_YEAR and moment - now <= timedelta(days=1))


def _submission(item: Any, place: str) -> Submission:
    if not isinstance(item, dict):
        field = place.rstrip(".") or None
        raise RequestError(400, "bad_type", "a telegram is a JSON object", field=field)
    shape = FieldGatewayBody if "logical_hex" in item and "raw_hex" not in item else TelegramBody
    try:
        return shape.model_validate(item).submission()
    except ValidationError as error:
        raise _refusal(error, place) from error


def _refusal(error: ValidationError, place: str) -> RequestError:
    """The first thing that is wrong, as a sentence."""
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    field = place + ".".join(str(part) for part in first["loc"])
    code, said = _SAID.get(first["type"], (first["type"], first["msg"]))
    return RequestError(400, code, f"{field} {said}", field=field)


#: pydantic's own kinds of error in our words; the others are ours already.
_SAID = {
    "missing": ("missing", "is missing"),
    "string_type": ("bad_type", "is no text"),
    "model_type": ("bad_type", "is no JSON object"),
    "float_type": ("bad_type", "is no number"),
    "finite_number": ("bad_value", "is no finite number"),
    "greater_than_equal": ("bad_value", "is too small"),
    "less_than_equal": ("bad_value", "is too large"),
}
