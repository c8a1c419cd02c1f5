"""The documentation names every room of the house, and no other."""
from __future__ import annotations

import re

import pytest

from tests.packaging.source import ROOT, modules

TEXT = (ROOT / "docs" / "ARCHITECTURE.md").read_text(encoding="utf-8")


def rooms() -> dict[str, set[str]]:
    """The rooms of each package by the block of floors; ``demo(_house _view)`` names three."""
    block = TEXT.partition("```\n")[2].partition("```")[0]
    found: dict[str, set[str]] = {}
    package = ""
    for line in block.splitlines():
        head = re.match(r"[ \d]{4}(\w+)/ ", line)
        package = head[1] if head else package
        words = re.sub(r"migrations/\S+", "", line[51:])
        for name, suffixes in re.findall(r"(\w*)(?:\(([\w ]+)\))?", words):
            found.setdefault(package, set()).update([name] if name else [])
            found[package].update(f"{name}{suffix}" for suffix in suffixes.split())
    return found


@pytest.mark.parametrize("package", sorted({name.split(".")[1] for name in modules() if name.count(".") == 2}))
def test_the_rooms_of_a_package_are_those_of_the_documentation(package: str) -> None:
    real = {name.split(".")[2] for name in modules() if name.startswith(f"mbusgw.{package}.")}
    assert rooms()[package] == real


@pytest.mark.parametrize("place", re.findall(r"`(\w+)/(\w+)[.`]", TEXT))
def test_a_room_that_is_spoken_of_exists(place: tuple[str, str]) -> None:
    package, room = place
    assert f"mbusgw.{package}.{room}" in modules() or (ROOT / package / room).exists()
