"""Where the master key comes from."""
from __future__ import annotations

import base64
from pathlib import Path

import pytest

from mbusgw.config.master_key import CREDENTIAL, MasterKey, find_master_key

KEY = bytes(range(32))


@pytest.mark.parametrize(
    "content",
    [KEY, KEY.hex().encode(), KEY.hex().upper().encode() + b"\n", base64.b64encode(KEY) + b"\r\n"],
)
def test_a_key_is_read_raw_as_hex_or_as_base64(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "key"
    file.write_bytes(content)
    assert find_master_key(file, {}) == MasterKey(KEY, file)


@pytest.mark.parametrize(
    "content", [b"", b"password", KEY[:16].hex().encode(), b"\xff" * 31, KEY.hex().encode() + b"0"]
)
def test_what_is_no_key_is_said_without_showing_it(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "key"
    file.write_bytes(content)
    found = find_master_key(file, {})
    assert found.key is None and "openssl rand -hex 32" in found.trouble
    assert not content or content.decode("latin-1") not in found.trouble


def test_a_configured_file_that_is_not_there_is_trouble_and_not_the_same_as_none(tmp_path: Path) -> None:
    assert "No such file" in find_master_key(tmp_path / "gone", {}).trouble
    assert find_master_key(None, {}) == MasterKey()


def test_systemds_credential_is_taken_where_no_file_is_configured(tmp_path: Path) -> None:
    (tmp_path / CREDENTIAL).write_text(KEY.hex())
    environ = {"CREDENTIALS_DIRECTORY": str(tmp_path)}
    assert find_master_key(None, environ).key == KEY
    other = tmp_path / "other"
    other.write_text(bytes(32).hex())
    assert find_master_key(other, environ).key == bytes(32)


def test_a_credential_folder_without_ours_means_none(tmp_path: Path) -> None:
    assert find_master_key(None, {"CREDENTIALS_DIRECTORY": str(tmp_path)}) == MasterKey()


def test_a_master_key_never_shows_itself() -> None:
    assert KEY.hex() not in repr(MasterKey(KEY)) and "x00" not in repr(MasterKey(KEY))
