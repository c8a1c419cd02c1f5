"""Our decoder against recorded telegrams of real meters, where that data folder is present."""
from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mbusgw.model.errors import DecodeError, FormatUnknown, KeyWrong
from mbusgw.parsers.local import decode_telegram
from mbusgw.runtime import exactjson


def telegrams(folder: Path, *variants: str) -> Iterator[dict[str, Any]]:
    with (folder / "wireless" / "telegrams.jsonl").open() as lines:
        for line in lines:
            row = json.loads(line)
            if row["variant"] in variants:
                yield row


def key_of(row: dict[str, Any]) -> bytes | None:
    return bytes.fromhex(row["key"]) if row["key"] else None


def answer(row: dict[str, Any]) -> dict[str, Any]:
    """What the scorer wants to know of one telegram."""
    try:
        decoded = decode_telegram(bytes.fromhex(row["telegram"]), key_of(row))
    except DecodeError as error:
        return {"n": row["n"], "ok": False, "error": f"{type(error).__name__}: {error}"}
    meter = decoded.header.meter
    assert meter is not None
    return {
        "n": row["n"],
        "ok": True,
        "header": {"id": meter.id, "manufacturer": meter.manufacturer, "version": meter.version, "type": meter.medium},
        "records": [
            {
                "function": record.function.value,
                "storage": record.storage,
                "tariff": record.tariff,
                "subunit": record.subunit,
                "unit": record.unit,
                "value": record.value,
                "quantity": record.quantity.title,
            }
            for record in decoded.records
        ],
    }


# Where the rest differs the standard is against the reference: dates of day 0 and month 0, an integer's "invalid", a
# time that the meter marks as invalid. One power is rounded to nearly nothing there, one telegram uses DES.
@pytest.mark.parametrize(("variant", "share"), [("air", 0.99), ("air_A", 0.99), ("air_B", 0.99), ("clear", 0.98)])
def test_nearly_all_standard_fields_of_real_meters_come_out(
    data_folder: Path, tmp_path: Path, variant: str, share: float
) -> None:
    out, result = tmp_path / "out.jsonl", tmp_path / "result.json"
    lines = [exactjson.dumps(answer(row)) for row in telegrams(data_folder, variant)]
    out.write_text("\n".join(lines) + "\n")
    scorer = [sys.executable, str(data_folder / "score_wireless.py"), str(out)]
    subprocess.run([*scorer, "--only", f"variant={variant}", "--json", str(result)], check=True, capture_output=True)
    summary = json.loads(result.read_text())["summary"]
    assert summary["telegrams"] == len(lines)
    assert summary["generic_hit"] >= share * summary["generic_fields"]


def test_every_wrong_key_is_detected(data_folder: Path) -> None:
    rows = list(telegrams(data_folder, "wrongkey"))
    assert rows
    for row in rows:
        with pytest.raises(KeyWrong):
            decode_telegram(bytes.fromhex(row["telegram"]), key_of(row))


def test_the_formats_of_a_telegram_say_the_same(data_folder: Path) -> None:
    seen: dict[int, list[Any]] = {}
    for row in telegrams(data_folder, "air", "air_A", "air_B"):
        result = answer(row)
        seen.setdefault(row["src"], []).append((result["ok"], result.get("header"), result.get("records")))
    assert all(len(said) == 3 and said[0] == said[1] == said[2] for said in seen.values())


def test_a_broken_checksum_in_any_block_of_format_a_is_detected(data_folder: Path) -> None:
    for row in telegrams(data_folder, "air_A"):
        raw = bytes.fromhex(row["telegram"])
        ends = [12, *range(30, len(raw), 18), len(raw)]
        for number, end in enumerate(ends, 1):
            damaged = bytearray(raw)
            damaged[end - 1] ^= 0x01
            with pytest.raises(FormatUnknown, match=f"block {number}$"):
                decode_telegram(bytes(damaged), key_of(row))


def test_a_broken_checksum_of_format_b_is_detected_where_the_content_can_tell(data_folder: Path) -> None:
    outcome: Counter[str] = Counter()
    for row in telegrams(data_folder, "air_B"):
        raw = bytearray.fromhex(row["telegram"])
        raw[-1] ^= 0x01
        with pytest.raises(FormatUnknown):
            decode_telegram(bytes(raw), key_of(row), crc=True)
        try:
            decoded = decode_telegram(bytes(raw), key_of(row))
        except DecodeError:
            outcome["detected"] += 1
            continue
        # nothing tells where a manufacturer's own data end
        outcome["own"] += decoded.manufacturer_data is not None
        outcome["missed"] += decoded.manufacturer_data is None
    assert outcome["missed"] == 0
    assert outcome["detected"] > 4 * outcome["own"]
