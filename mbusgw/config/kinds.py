"""The kinds of value a configuration is made of, each with the sentence a person reads when it is wrong.

No message ever repeats the value: some are secrets. Whoever shows the message may add
the value where it is none (``config.loader`` does).
"""
from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, PlainValidator, SecretStr

from mbusgw.config.section import check_port
from mbusgw.model.quiet import QuietHours


def written_as(pattern: str, sentence: str) -> Callable[[Any], str]:
    """A check that what stands there, as text, is ``pattern`` from end to end. The check raises ``ValueError`` with
    ``sentence``. **any thread**"""

    def check(value: Any) -> str:
        text = str(value)
        if not re.fullmatch(pattern, text):
            raise ValueError(sentence)
        return text

    return check


def positive(value: Any, sentence: str) -> Decimal:
    """A number above 0, exact. Raises ``ValueError`` with ``sentence``. **any thread**"""
    try:
        number = Decimal(str(value).strip())
    except InvalidOperation:
        raise ValueError(sentence) from None
    if isinstance(value, bool) or not number.is_finite() or number <= 0:
        raise ValueError(sentence)
    return number


DURATION_UNITS_S = {"ms": 0.001, "s": 1.0, "sec": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION_PART = re.compile(r"([0-9]+(?:\.[0-9]*)?)\s*([a-z]+)\s*")
_PLAIN_NUMBER = re.compile(r"[+-]?[0-9]+(?:\.[0-9]*)?(?:e[+-]?[0-9]+)?")


def parse_duration(value: Any) -> float:
    """Seconds from a number or from ``"500ms"``, ``"15m"``, ``"1h 30m"``. Raises ``ValueError``. **any thread**"""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    text = str(value).strip().lower()
    if _PLAIN_NUMBER.fullmatch(text):
        return float(text)
    seconds, position = 0.0, 0
    while position < len(text):
        part = _DURATION_PART.match(text, position)
        if part is None or part[2] not in DURATION_UNITS_S:
            raise ValueError('no duration: write seconds (15) or a number with a unit ("500ms", "15m", "1h")')
        seconds += float(part[1]) * DURATION_UNITS_S[part[2]]
        position = part.end()
    if not text:
        raise ValueError("no duration: it is empty")
    return seconds


#: Ten years: longer than that is a slip of the pen.
LONGEST_S = 3660 * 86400.0

#: Seconds, 0 allowed.
Duration = Annotated[float, BeforeValidator(parse_duration), Field(ge=0, le=LONGEST_S, allow_inf_nan=False)]
#: Seconds, more than 0.
Period = Annotated[float, BeforeValidator(parse_duration), Field(gt=0, le=LONGEST_S, allow_inf_nan=False)]


def check_meter_id(value: Any) -> str:
    """The 8 digits of a meter's number, upper case. Raises ``ValueError``. **any thread**"""
    text = str(value).strip().upper()
    if not re.fullmatch(r"[0-9A-F]*", text):
        raise ValueError("a meter's number has 8 digits (0-9, rarely A-F) and nothing else")
    if len(text) != 8:
        raise ValueError(f'a meter\'s number has 8 digits, this one {len(text)}: write all, in quotes ("00012345")')
    return text


def check_manufacturer(value: Any) -> str:
    """The three letters of a manufacturer, upper case. Raises ``ValueError``. **any thread**"""
    text = str(value).strip().upper()
    if not re.fullmatch(r"[A-Z]{3}", text):
        raise ValueError("a manufacturer is three letters, such as ELS")
    return text


def _check_hex_key(value: SecretStr) -> SecretStr:
    digits = "".join(value.get_secret_value().split()).upper()
    if not re.fullmatch(r"[0-9A-F]*", digits):
        raise ValueError("a key is 32 hex digits (0-9, A-F); this one holds another character")
    if len(digits) != 32:
        raise ValueError(f"a key is 32 hex digits (16 bytes); this one has {len(digits)}")
    return SecretStr(digits)


MeterId = Annotated[str, BeforeValidator(check_meter_id)]
Manufacturer = Annotated[str, BeforeValidator(check_manufacturer)]
HexKey = Annotated[SecretStr, BeforeValidator(lambda value: value if isinstance(value, SecretStr) else str(value)),
                   AfterValidator(_check_hex_key)]


def check_printable(value: str) -> str:
    """A text of one line. Raises ``ValueError`` where control characters are in it. **any thread**"""
    if re.search(r"[\x00-\x1f\x7f]", value):
        raise ValueError("holds a line break or another control character")
    return value


def _check_topic(value: str) -> str:
    if not value or value.startswith("/") or value.endswith("/") or "//" in value:
        raise ValueError("a topic has levels parted by single slashes, none at its ends")
    if any(sign in value for sign in "+#") or value.startswith("$"):
        raise ValueError("a topic to publish on holds no + and no # and does not begin with $")
    return check_printable(value)


def _check_untaken(device_id: str) -> str:
    if device_id == "bridge":
        raise ValueError("this name is taken: the gateway itself speaks below it")
    return device_id


def _check_web_url(value: str) -> str:
    try:
        parts = urlsplit(value.strip())
    except ValueError:
        raise ValueError("no URL: write https://host/path") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("begins with https:// (or http://) and names a host")
    check_port(parts)
    if "@" in parts.netloc:
        raise ValueError("holds no user and password; they, and tokens, have keys of their own")
    return value.strip()


#: A topic or the beginning of one, without wildcards.
Topic = Annotated[str, AfterValidator(_check_topic)]
#: One level of a topic.
TopicLevel = Annotated[str, BeforeValidator(written_as(
    r"[A-Za-z0-9_.:-]{1,64}", "1 to 64 letters, digits, and . _ : - only: it becomes part of a topic"
))]
DeviceId = Annotated[str, AfterValidator(_check_untaken), BeforeValidator(written_as(
    r"[a-z0-9_]{1,64}", "1 to 64 lower-case letters, digits and _ only: it becomes part of topics and entity names"
))]
#: What a bus or an output is called.
Name = Annotated[str, BeforeValidator(written_as(r"[A-Za-z0-9_.-]{1,32}", "1 to 32 letters, digits, and . _ - only"))]
#: Where a web server is, without user and password.
WebUrl = Annotated[str, AfterValidator(_check_web_url)]
#: One that paths are put behind.
BaseUrl = Annotated[WebUrl, AfterValidator(lambda url: url.rstrip("/"))]
#: What a person reads: a line of at most 100 characters.
Label = Annotated[str, Field(min_length=1, max_length=100), AfterValidator(check_printable)]


def _check_path(value: Any) -> Any:
    if not str(value).strip():
        raise ValueError("names no file; leave the key out where none is meant")
    check_printable(str(value))
    return value


def _at_home(path: Path) -> Path:
    try:
        return path.expanduser()
    except RuntimeError:
        raise ValueError("begins with ~, and this user has no home folder: write the whole path") from None


#: A path; ``~`` is the home folder.
FilePath = Annotated[Path, BeforeValidator(_check_path), AfterValidator(_at_home)]


def check_header_text(value: SecretStr) -> SecretStr:
    """What may stand in an HTTP header. Raises ``ValueError``. **any thread**"""
    text = value.get_secret_value()
    if not text.strip():
        raise ValueError("is empty")
    if not re.fullmatch(r"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?", text):
        raise ValueError("holds a character that cannot stand in an HTTP header")
    return value


#: A secret that is sent in a header.
HeaderText = Annotated[SecretStr, AfterValidator(check_header_text)]


def check_network(value: Any) -> IPv4Network | IPv6Network:
    """A network such as 192.168.1.0/24, or one address. Raises ``ValueError``. **any thread**"""
    try:
        return ip_network(str(value).strip())
    except ValueError as error:
        if "host bits" in str(error):
            raise ValueError("names a host with the bits of a network: write 192.168.1.0/24, or one address") from None
        raise ValueError("no network: write ADDRESS/BITS, such as 192.168.1.0/24, or one address") from None


def _check_quiet_time(value: Any) -> QuietHours:
    return value if isinstance(value, QuietHours) else QuietHours.parse(str(value))


#: Hours of a day, or days of the week, such as ``20:00-06:00`` or ``Sat Sun``.
QuietTime = Annotated[QuietHours, PlainValidator(_check_quiet_time)]
#: An IP network.
Network = Annotated[IPv4Network | IPv6Network, BeforeValidator(check_network)]
