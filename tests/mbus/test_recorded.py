"""Recorded frames of real meters, held against the standard by the scorer beside them."""
from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from mbusgw.mbus.decode import decode_frame
from mbusgw.model.document import failure_document, telegram_document
from mbusgw.model.errors import ApplicationError, DecodeError
from tests.wait import PATIENCE_S

#: Its unit is litres here, also for "same but historic" (3E); the reference has no unit, or the name of the code.
_FIXED_STRUCTURE = {"manual_frame2", "fixed_structure"}


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def decoded(raw: bytes) -> dict[str, object]:
    try:
        return telegram_document(decode_frame(raw))
    except DecodeError as error:
        return failure_document(error)


def score(folder: Path, name: str, tmp_path: Path) -> dict[str, Any]:
    """The scorer's result for one file of frames."""
    out, result = tmp_path / "out.jsonl", tmp_path / "result.json"
    reference = folder / "wired" / f"{name}.jsonl"
    with out.open("w", encoding="utf-8") as file:
        for row in lines(reference):
            document = decoded(bytes.fromhex(row["hex"])) | {"name": row["name"]}
            file.write(json.dumps(document, default=float) + "\n")
    command = [sys.executable, str(folder / "score_wired.py"), str(out), "--ref", str(reference), "--spec"]
    corrections = ["--corrections", str(folder / "wired" / f"{name}.corrections.json"), "--json", str(result)]
    subprocess.run(command + corrections, check=True, capture_output=True, timeout=PATIENCE_S)
    read: dict[str, Any] = json.loads(result.read_text(encoding="utf-8"))
    return read


@pytest.mark.parametrize("name", ["frames", "probes"])
def test_every_recorded_frame_is_read_as_the_standard_says(name: str, data_folder: Path, tmp_path: Path) -> None:
    result = score(data_folder, name, tmp_path)
    summary = result["summary"]
    assert summary["frames_all_values_ok"] == summary["frames"] == summary["frames_header_all_ok"]
    assert summary.get("mfr_blocks_ok", 0) == summary.get("mfr_blocks", 0)
    assert summary.get("more_follow_flagged", 0) == summary.get("more_follow", 0)
    assert set(result["findings"]) <= {"wrong_unit"}
    assert {finding[0] for finding in result["findings"].get("wrong_unit", [])} <= _FIXED_STRUCTURE


def test_every_malformed_frame_is_refused_and_application_errors_are_named(data_folder: Path) -> None:
    for row in lines(data_folder / "wired" / "malformed.jsonl"):
        with pytest.raises(DecodeError) as caught:
            decode_frame(bytes.fromhex(row["hex"]))
        named = row["libmbus_app_error"]
        assert isinstance(caught.value, ApplicationError) == (named is not None)
        if named:
            assert named.split("\u00c2")[0].rstrip("E").lower() in str(caught.value).lower()


def test_every_recorded_frame_truncated_or_flipped_is_refused(data_folder: Path) -> None:
    for row in lines(data_folder / "wired" / "frames.jsonl")[::6]:
        raw = bytes.fromhex(row["hex"])
        for position in range(len(raw)):
            damaged = bytearray(raw)
            damaged[position] ^= 1 << position % 8
            for bad in (raw[:position], bytes(damaged)):
                with pytest.raises(DecodeError):
                    decode_frame(bad)
