"""Secrets that everybody on the machine can read."""
from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from mbusgw.config.exposure import exposed
from mbusgw.config.loader import load


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that everybody may look into; those of pytest are its user's own."""
    with tempfile.TemporaryDirectory() as name:
        made = Path(name).resolve()
        made.chmod(0o755)
        if not all(above.stat().st_mode & 0o001 for above in made.parents):
            pytest.skip("the folder for temporary files is nobody else's here")
        yield made


def file_of(folder: Path, name: str, text: str, mode: int = 0o644) -> Path:
    file = folder / name
    file.write_text(text)
    file.chmod(mode)
    return file


def test_a_configuration_with_a_secret_that_all_can_read_is_told(folder: Path) -> None:
    source = file_of(folder, "mbusgw.yaml", "mqtt: {username: joe, password: abc}")
    assert exposed(source, load(source, {})) == [
        f"{source} holds secrets, and every user of this machine can read it (chmod o-r)"
    ]


def test_one_that_only_its_owner_and_group_can_read_is_not(folder: Path) -> None:
    source = file_of(folder, "mbusgw.yaml", "mqtt: {username: joe, password: abc}", 0o640)
    assert exposed(source, load(source, {})) == []


def test_one_without_secrets_may_be_read_by_all(folder: Path) -> None:
    source = file_of(folder, "mbusgw.yaml", "mqtt: {username: joe}")
    assert exposed(source, load(source, {"MQTT_PASSWORD": "abc"})) == []


def test_one_in_a_folder_that_nobody_else_may_enter_is_not_told(folder: Path) -> None:
    source = file_of(folder, "mbusgw.yaml", "mqtt: {username: joe, password: abc}")
    folder.chmod(0o700)
    assert exposed(source, load(source, {})) == []


def test_the_files_that_it_names_are_looked_at_too(folder: Path) -> None:
    password, token = file_of(folder, "password", "abc\n"), file_of(folder, "token", "def\n")
    key = file_of(folder, "master", "0" * 64, 0o600)
    source = file_of(
        folder,
        "mbusgw.yaml",
        f"mqtt: {{username: joe, password_file: {password}}}\nstorage: {{master_key_file: {key}}}\n"
        f"outputs: [{{type: webhook, url: 'http://h', token_file: {token}}}]\n",
    )
    told = exposed(source, load(source, {}))
    assert [sentence.partition(" ")[0] for sentence in told] == [str(password), str(token)]


def test_a_file_that_is_not_there_is_nobodys_to_read(folder: Path) -> None:
    source = file_of(folder, "mbusgw.yaml", f"storage: {{master_key_file: {folder / 'none'}}}")
    assert exposed(source, load(source, {})) == []
