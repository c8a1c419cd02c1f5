"""``mbusgw decode``: for a person, for a program, and for wrong input."""
from __future__ import annotations

import io
import json

import pytest

from mbusgw.cli.decode import is_wired
from mbusgw.cli.main import main

#: A published example of an OMS telegram and its key.
OMS = "2e44931578563412330333637a2a0020055923c95aaa26d1b2e7493b2a8b013ec4a6f6d3529b520edff0ea6defc955b29d6d69ebf3ec8a"
OMS_KEY = "0102030405060708090A0B0C0D0E0F11"


def checksummed(text: str) -> str:
    raw = bytearray.fromhex(text)
    raw[-2] = sum(raw[4:-2]) & 0xFF
    return raw.hex()


#: A heat meter's frame with one record: volume 123.456 m³.
WIRED = checksummed("68151568080172785634122d2c08042a000000041340e201000016")


def test_a_frame_is_explained_with_header_bytes_and_values(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["decode", WIRED]) == 0
    text = capsys.readouterr().out
    for word in ("KAM 12345678", "heat", "04 | 13 | 40 E2 01 00", "123.456 m³", "no errors"):
        assert word in text


def test_a_radio_telegram_is_decrypted_and_explained(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["decode", OMS, "--key", OMS_KEY]) == 0
    text = capsys.readouterr().out
    assert "ELS 12345678" in text and "28504.27 m³" in text and "mode 5" in text


def test_blanks_colons_and_0x_do_not_matter(capsys: pytest.CaptureFixture[str]) -> None:
    pairs = [WIRED[index : index + 2] for index in range(0, len(WIRED), 2)]
    for text in (" ".join(pairs), ":".join(pairs), "0x" + WIRED.upper()):
        assert main(["decode", text]) == 0
    assert main(["decode", *pairs]) == 0
    assert capsys.readouterr().out.count("123.456") == 4


def test_json_has_the_documented_keys_and_exact_numbers(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["decode", WIRED, "--json"]) == 0
    document = json.loads(capsys.readouterr().out, parse_float=str)
    assert document["ok"] is True and document["error"] is None
    assert document["header"]["id"] == "12345678" and document["header"]["manufacturer"] == "KAM"
    assert document["records"][0]["value"] == "123.456" and document["records"][0]["unit"] == "m³"
    assert document["mfr_data"] is None and document["more_records_follow"] is False


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([WIRED[:-1]], "odd number"),
        (["68zz"], "'z' at position 3"),
        ([WIRED[:-4] + "0016"], "checksum"),
        ([WIRED[:20]], "ends"),
        ([OMS], "no key"),
        ([OMS, "--key", OMS_KEY[:-1] + "2"], "not this meter's"),
        ([OMS, "--key", "12"], "32 hex digits"),
        (["68040468080170008116"], "unspecified error"),
    ],
)
def test_what_cannot_be_decoded_says_why_and_fails(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    if words == "unspecified error":
        arguments = [checksummed(arguments[0])]
    assert main(["decode", *arguments]) == 1
    captured = capsys.readouterr()
    assert words in captured.err and captured.out == ""
    assert "Traceback" not in captured.err


def test_a_failure_as_json_keeps_its_form_and_fails(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["decode", OMS, "--json"]) == 1
    document = json.loads(capsys.readouterr().out)
    assert document["ok"] is False and document["error"] and document["records"] == []


def test_lines_from_standard_input_are_each_answered(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = [WIRED, f"{OMS} {OMS_KEY}", OMS, "nonsense", "", f"{OMS} 12"]
    monkeypatch.setattr("sys.stdin", io.StringIO("\n".join(lines) + "\n"))
    assert main(["decode", "-", "--json"]) == 0
    documents = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [document["ok"] for document in documents] == [True, True, False, False, False]


def test_a_wrong_key_is_not_shown(capsys: pytest.CaptureFixture[str]) -> None:
    main(["decode", OMS, "--key", "11" * 15])
    captured = capsys.readouterr()
    assert "1111" not in captured.err + captured.out


@pytest.mark.parametrize("arguments", [[WIRED], [OMS, "--key", OMS_KEY]])
def test_a_second_opinion_stands_beside_ours(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["decode", *arguments, "--compare"]) == 0
    text = capsys.readouterr().out
    rows = text[text.index("pyMeterBus") :].splitlines()[1:]
    assert len(rows) == (1 if arguments == [WIRED] else 3)
    assert all("-" not in row.split()[1:2] for row in rows)


@pytest.mark.parametrize(
    ("text", "wired"),
    [
        (WIRED, True),
        (WIRED[:2] + "16" + WIRED[4:], True),  # the first length is damaged
        (OMS, False),
        ("68442768" + "00" * 101, False),  # a radio telegram of length 68 from a maker whose code ends in 68
        ("e5", True),
        ("1040014116", True),
        ("68036868" + "00" * 400, False),  # longer than any frame
        ("6803686803", False),  # shorter
    ],
)
def test_wired_frames_and_radio_telegrams_are_told_apart(text: str, wired: bool) -> None:
    assert is_wired(bytes.fromhex(text)) is wired
