"""The file of a running gateway, and whether it has changed."""
from __future__ import annotations

import os
from pathlib import Path

import pytest

from mbusgw.config.source import ConfigSource
from mbusgw.model.errors import ConfigError


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "mbusgw.yaml"
    path.write_text("gateway: {id: one}\n")
    return path


@pytest.fixture
def source(file: Path) -> ConfigSource:
    source = ConfigSource(file, {})
    source.load()
    return source


def looks(source: ConfigSource, count: int = 3) -> list[bool]:
    return [source.changed() for _ in range(count)]


def test_a_file_that_stays_has_not_changed(source: ConfigSource) -> None:
    assert looks(source) == [False, False, False]


def test_why_it_cannot_be_used_is_known_until_it_can(source: ConfigSource, file: Path) -> None:
    file.write_text("mqtt: {qos: 9}\ngatway: {}\n")
    with pytest.raises(ConfigError):
        source.load()
    assert source.trouble == f"{file}:1: mqtt.qos: must be at most 2; found `9` (and 1 more)"
    file.write_text("mqtt: {qos: 2}\n")
    source.load()
    assert source.trouble == ""


def test_a_change_is_told_once_and_only_when_the_file_stands_still(source: ConfigSource, file: Path) -> None:
    file.write_text("gateway: {id")
    assert not source.changed()
    file.write_text("gateway: {id: two}\n")
    assert not source.changed(), "it is being written"
    assert looks(source) == [True, False, False]
    assert source.load().gateway.id == "two"
    assert looks(source) == [False, False, False]


def test_a_file_that_was_only_touched_has_not_changed(source: ConfigSource, file: Path) -> None:
    os.utime(file, (1, 1))
    assert looks(source) == [False, False, False]


def test_what_was_refused_is_not_told_again_before_it_changes_again(source: ConfigSource, file: Path) -> None:
    file.write_text("gatway: {id: two}\n")
    assert looks(source, 2) == [False, True]
    with pytest.raises(ConfigError, match="gateway"):
        source.load()
    assert looks(source) == [False, False, False]
    file.write_text("gateway: {id: two}\n")
    assert looks(source, 2) == [False, True]


def test_a_file_that_goes_is_a_change_and_so_is_its_return(source: ConfigSource, file: Path) -> None:
    text = file.read_text()
    file.unlink()
    assert looks(source, 2) == [False, True]
    with pytest.raises(ConfigError, match="no such file"):
        source.load()
    assert looks(source) == [False, False, False]
    file.write_text(text)
    assert looks(source, 2) == [False, True]


def test_a_file_that_is_replaced_by_another_of_the_same_text_has_not_changed(source: ConfigSource, file: Path) -> None:
    other = file.with_name("new")
    other.write_text(file.read_text())
    other.rename(file)
    assert looks(source) == [False, False, False]


def test_what_is_written_while_it_is_loaded_is_not_missed(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = ConfigSource(file, {})
    read_bytes = Path.read_bytes

    def then_edit(path: Path) -> bytes:
        data = read_bytes(path)
        file.write_text("gateway: {id: three}\n")
        return data

    monkeypatch.setattr(Path, "read_bytes", then_edit)
    source.load()
    monkeypatch.undo()
    assert True in looks(source)


def test_what_lies_in_the_folders_of_the_service_is_moved(file: Path, tmp_path: Path) -> None:
    config = ConfigSource(file, {}, state_dir=tmp_path / "state").load()
    assert config.storage.path == tmp_path / "state" / "mbusgw.db"
