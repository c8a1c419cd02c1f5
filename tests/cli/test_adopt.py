"""``mbusgw adopt``: what it says of each meter, and how it ends."""
from __future__ import annotations

from pathlib import Path

import pytest

from mbusgw.cli.adopt import describe, exit_code
from mbusgw.cli.main import main

FILE = Path("mbusgw.yaml")
DOUBLED = {"added": [], "already": {}, "refused": {"main_9": "several meters share this address"}}


def test_what_became_of_each_meter_is_said() -> None:
    added = [{"id": "els_1", "bus": "main", "address": 7}]
    document = {**DOUBLED, "added": added, "already": {"els_2": "kitchen"}}
    assert describe(document, FILE).splitlines() == [
        "els_1 is read at address 7 of bus main",
        "els_2 is configured already, as kitchen",
        "main_9 was not added: several meters share this address",
        "mbusgw.yaml was changed; a running gateway has noticed, or will within seconds",
    ]


def test_one_that_was_named_and_cannot_be_adopted_is_a_failure() -> None:
    assert exit_code(DOUBLED, named=True) == 1
    assert exit_code(DOUBLED, named=False) == 0
    assert exit_code({**DOUBLED, "refused": {}}, named=True) == 0


@pytest.mark.parametrize("arguments", [[], ["--all", "els_1"]])
def test_either_names_or_all_must_be_written(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["adopt", *arguments]) == 2
    assert "name the meters, or write --all" in capsys.readouterr().err
