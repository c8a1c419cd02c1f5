"""The mapping file: checked with every fault at once, read again when it changes, never replaced by a bad one."""
from __future__ import annotations

import os
from pathlib import Path

import pytest

from mbusgw.model.errors import ConfigError
from mbusgw.parsers.mapping import MappingFile, check_mapping, unknown_categories

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
    assert len(said) == 8
    assert any("mappings[1].heat.b" in text for text in said)
    assert any("mappings[0].filter" in text for text in said)
    assert any("mappings[3].filter: is the same as that of mappings[1]" in text for text in said)


def test_the_published_example_is_good() -> None:
    assert check_mapping(GOOD, "m.json") == []


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ('{"manufacturer":"KAM"}', "is nothing to filter by (did you mean `manafacture`?)"),
        ('{"formatsignature":"7869"}', "is nothing to filter by (did you mean `formatSignature`?)"),
        ('{"colour":"red"}', "known: formatSignature, manafacture, type, version"),
        ('{"manafacture":"KAMS"}', "no manufacturer of three letters"),
        ('{"type":4}', "no medium of two hex digits"),
        ('{"type":"heat"}', "no medium of two hex digits"),
        ('{"version":"new"}', "no version number"),
        ('{"version":true}', "no version number"),
        ('{"formatSignature":"xyz"}', "no format signature"),
        ('{"formatSignature":null}', "no format signature"),
    ],
)
def test_a_filter_that_could_never_match_is_named(wanted: str, said: str) -> None:
    body = f'{{"mappings":[{{"filter":{wanted},"heat":{{"currentValueIdx":0}}}}]}}'.encode()
    (problem,) = check_mapping(body, "m.json")
    assert said in str(problem)


@pytest.mark.parametrize("wanted", ["{}", '{"formatSignature":7869,"version":53}', '{"formatSignature":"EF92"}'])
def test_filters_may_be_short_and_numbers(wanted: str) -> None:
    assert check_mapping(f'{{"mappings":[{{"filter":{wanted},"heat":{{"a":0}}}}]}}'.encode(), "m.json") == []


def test_two_mappings_with_the_same_filter_are_one_too_many() -> None:
    one = '{"filter":{"type":"0a","version":1},"heat":{"a":0}}'
    other = '{"filter":{"version":"1","type":"0A"},"heat":{"b":1}}'
    (problem,) = check_mapping(f'{{"mappings":[{one},{other}]}}'.encode(), "m.json")
    assert problem.key == "mappings[1].filter" and "mappings[0]" in problem.message


def test_an_unknown_category_is_guessed_and_in_a_file_only_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    body = b'{"mappings":[{"filter":{},"heet":{"a":0}}]}'
    (problem,) = unknown_categories(body, "m.json")
    assert str(problem) == "m.json: mappings[0].heet: is an unknown category (did you mean `heat`?)"
    write(tmp_path / "m.json", body, 1)
    assert MappingFile(tmp_path / "m.json").body() == body and "unknown category" in caplog.text
    assert unknown_categories(GOOD, "m.json") == []
