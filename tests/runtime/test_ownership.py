"""Files that somebody else has made."""
from __future__ import annotations

import os
from pathlib import Path

import pytest

from mbusgw.runtime.ownership import advice

DENIED = PermissionError(13, "Permission denied")
NOBODY_S_UID = 1_234_567


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "main.log"
    path.touch()
    return path


def test_it_is_said_to_whom_a_file_belongs_and_how_it_becomes_ours(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    owner = file.owner()
    monkeypatch.setattr(os, "geteuid", lambda: NOBODY_S_UID)
    us = f"user {NOBODY_S_UID}"
    assert advice(file, DENIED) == f"{file} belongs to {owner}, and this is {us}: chown -R {us}: {file}"
    absent = file.with_name("none")
    assert advice(absent, DENIED).startswith(f"{file.parent} belongs to {owner}")


def test_what_is_ours_or_fails_otherwise_needs_another_advice(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert advice(file, DENIED) == ""
    monkeypatch.setattr(os, "geteuid", lambda: NOBODY_S_UID)
    assert advice(file, OSError(28, "No space left on device")) == ""
    assert advice(file / "below" / "that", DENIED) == ""
