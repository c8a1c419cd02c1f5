"""The mapping file: checked with every fault at once, read again when it changes, never replaced by a bad one."""
from __future__ import annotations

import os
from pathlib import Path

import pytest

from mbusgw.model.errors import ConfigError
from mbusgw.parsers.mapping import MappingFile, check_mapping

GOOD = (
    b'{"mappings":[{"comment":"MC603","filter":{"formatSignature":"7869","manafacture":"KAM","type":"04",'
    b'"version":53},"heat":{"currentValueIdx":0,"volumeIdx":3}}]}'
)
OTHER = b'{"mappings":[]}'


def write(path: Path, body: bytes, moment: int) -> None:
    path.write_bytes(body)
    os.utime(path, ns=(moment * 10**9, moment * 10**9))


def test_a_good_file_is_handed_on_byte_by_byte(tmp_path: Path) -> None:
    path = tmp_path / "domainMappings.json"
    write(path, GOOD, 1)
    assert MappingFile(path).body() == GOOD


def test_a_changed_file_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "domainMappings.json"
    write(path, GOOD, 1)
    mapping = MappingFile(path)
    assert mapping.body() == GOOD
    write(path, OTHER, 2)
    assert mapping.body() == OTHER


@pytest.mark.parametrize("bad", [b"", b"{", b"[]", b"null", b'{"mappings":{}}', b'{"mappings":[1]}', b"[" * 100_000])
def test_a_bad_new_file_leaves_the_old_one_in_force_until_it_is_good_again(
    tmp_path: Path, bad: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "domainMappings.json"
    write(path, GOOD, 1)
    mapping = MappingFile(path)
    mapping.body()
    write(path, bad, 2)
    assert mapping.body() == GOOD
    assert mapping.body() == GOOD
    assert len(caplog.records) == 1, "said once, not with every telegram"
    write(path, OTHER, 3)
    assert mapping.body() == OTHER


def test_a_file_that_is_gone_leaves_the_old_one_in_force(tmp_path: Path) -> None:
    path = tmp_path / "domainMappings.json"
    write(path, GOOD, 1)
    mapping = MappingFile(path)
    mapping.body()
    path.unlink()
    assert mapping.body() == GOOD


def test_a_file_that_never_was_good_is_a_configuration_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        MappingFile(tmp_path / "missing.json").load()
    write(tmp_path / "bad.json", b"{", 1)
    with pytest.raises(ConfigError, match="not JSON"):
        MappingFile(tmp_path / "bad.json").body()


def test_every_fault_is_named_at_once() -> None:
    body = b'{"mappings":[{"filter":1},{"filter":{},"heat":{"a":-1,"b":"2","c":true}},3,{"filter":{},"heat":0}]}'
    said = [str(problem) for problem in check_mapping(body, "m.json")]
    assert len(said) == 7
    assert any("mappings[1].heat.b" in text for text in said)
    assert any("mappings[0].filter" in text for text in said)


def test_the_published_example_is_good() -> None:
    assert check_mapping(GOOD, "m.json") == []
