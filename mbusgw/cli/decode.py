"""``mbusgw decode``: what a frame or telegram says, for a person or, line by line, for a program."""
from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterable

from mbusgw.cli.decode_text import comparison, explanation
from mbusgw.cli.options import add_json_option
from mbusgw.mbus.decode import decode_frame
from mbusgw.model.document import failure_document, telegram_document
from mbusgw.model.errors import DecodeError, FormatUnknown, MbusgwError
from mbusgw.model.telegram import DecodedTelegram
from mbusgw.model.wording import counted
from mbusgw.parsers.formats import FormatMemory
from mbusgw.parsers.local import decode_telegram
from mbusgw.runtime.exactjson import dumps
from mbusgw.wmbus.security import KEY_BYTES

NAME = "decode"
HELP = "explain a wired M-Bus frame or a radio telegram"

_SEPARATORS = re.compile(r"[\s:_-]|0[xX]")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's own options."""
    parser.add_argument(
        "hex",
        metavar="HEX",
        nargs="+",
        help="the bytes in hex, blanks allowed; - reads one a line from standard input: HEX [KEY]",
    )
    parser.add_argument("--key", metavar="K", help="the meter's AES-128 key, 32 hex digits (radio telegrams)")
    add_json_option(parser)
    parser.add_argument("--compare", action="store_true", help="show beside it how pyMeterBus reads the records")


def run(args: argparse.Namespace) -> int:
    """0 when it was decoded, 1 when not. Lines from standard input are each answered, and the code is 0."""
    key = parse_key(args.key) if args.key else None
    if args.hex == ["-"]:
        return _run_lines(sys.stdin, key, as_json=args.json, compare=args.compare)
    try:
        raw = parse_hex("".join(args.hex))
        telegram = decode(raw, key)
    except DecodeError as error:
        if not args.json:
            raise
        print(dumps(failure_document(error), indent=2))
        return 1
    print(dumps(telegram_document(telegram), indent=2) if args.json else explanation(raw, telegram))
    if args.compare:
        print(comparison(raw, telegram), file=sys.stderr if args.json else sys.stdout)
    return 0


def decode(raw: bytes, key: bytes | None, formats: FormatMemory | None = None) -> DecodedTelegram:
    """Decodes what ``raw`` is, a wired frame or a radio telegram. ``formats``: heard before. Raises ``DecodeError``."""
    return decode_frame(raw) if is_wired(raw) else decode_telegram(raw, key, formats=formats)


def is_wired(raw: bytes) -> bool:
    """A wired frame begins 68 L L 68 (or is a short frame or E5); a radio telegram with its length and the C field.

    68 is a possible length of a radio telegram, too, and a wired frame may be damaged: two of
    three further marks decide.
    """
    if len(raw) == 1 or raw[:1] == b"\x10" and len(raw) == 5:
        return True
    if raw[:1] != b"\x68" or len(raw) < 4:
        return raw[:1] == b"\x68"
    same_length_twice, second_start, length_fits = raw[1] == raw[2], raw[3] == 0x68, len(raw) - 6 in (raw[1], raw[2])
    return same_length_twice + second_start + length_fits >= 2


def parse_hex(text: str) -> bytes:
    """The bytes of hex digits with blanks, colons or 0x between. Raises ``FormatUnknown`` saying what is wrong."""
    digits = _SEPARATORS.sub("", text)
    wrong = re.search(r"[^0-9A-Fa-f]", digits)
    if wrong:
        raise FormatUnknown(f"{wrong[0]!r} at position {wrong.start() + 1} is no hex digit")
    if len(digits) % 2:
        raise FormatUnknown(f"an odd number of hex digits ({len(digits)}): one is missing or too many")
    if not digits:
        raise FormatUnknown("no bytes at all")
    return bytes.fromhex(digits)


def parse_key(text: str) -> bytes:
    """The 16 bytes of an AES key. Raises ``MbusgwError`` that does not show it."""
    digits = _SEPARATORS.sub("", text)
    if len(digits) != 2 * KEY_BYTES or re.search(r"[^0-9A-Fa-f]", digits):
        raise MbusgwError(f"a key is {2 * KEY_BYTES} hex digits; this has {counted(len(digits), 'character')}")
    return bytes.fromhex(digits)


# ------------------------------------------------------------------ standard input
def _run_lines(lines: Iterable[str], default_key: bytes | None, *, as_json: bool, compare: bool) -> int:
    formats = FormatMemory()  # a compact frame is read by the full frame some lines before it
    for line in lines:
        words = line.split()
        if not words:
            continue
        try:
            key = parse_key(words[1]) if len(words) > 1 else default_key
            raw = parse_hex(words[0])
            telegram = decode(raw, key, formats)
        except MbusgwError as error:
            print(dumps(failure_document(error)) if as_json else f"{error}\n", flush=True)
        else:
            print(dumps(telegram_document(telegram)) if as_json else f"{explanation(raw, telegram)}\n", flush=True)
            if compare:
                print(comparison(raw, telegram), file=sys.stderr if as_json else sys.stdout, flush=True)
    return 0
