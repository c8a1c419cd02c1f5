"""``mbusgw telegrams`` on a database that no gateway has open."""
from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from mbusgw.cli.main import main
from mbusgw.store import arrivals, telegrams
from mbusgw.store.telegrams import Status
from tests.fakes.stores import one, opened_store, running_store, write
from tests.fakes.telegrams import received

NOW = datetime.now(timezone.utc)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A configuration whose database has three telegrams: failed a day ago, without a key an hour ago, new."""
    file = tmp_path / "mbusgw.yaml"
    file.write_text(f"http: {{listen: '127.0.0.1:1'}}\nstorage: {{path: {tmp_path}/x.db}}\n")
    with running_store(tmp_path / "x.db") as store:
        for name, hours in (("t1", 24), ("t2", 1), ("t3", 0)):
            telegram = received(name, raw=name.encode() * 10, at=NOW - timedelta(hours=hours))
            write(store, lambda connection, one=telegram: arrivals.insert(connection, [one], dedup_window_s=None))
        meter = {"meter_id": "12345678", "manufacturer": "ELS"}
        write(store, telegrams.settle("t1", Status.FAILED, reason="FormatUnknown: damaged", **meter))
        write(store, telegrams.settle("t2", Status.KEY_MISSING, reason="KeyMissing: no key", **meter))
    return file


def run(file: Path, *arguments: str) -> int:
    return main(["telegrams", *arguments, "-c", str(file)])


def status(file: Path, ingest_id: str) -> str:
    with opened_store(file.with_name("x.db")) as store:
        return str(one(store, "SELECT status FROM telegrams WHERE ingest_id = ?", ingest_id))


def test_the_newest_are_listed_with_what_became_of_them(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(file, "list") == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 4 and lines[0].startswith("CAME IN")
    assert "t3" in lines[1] and "received" in lines[1]
    assert "els_12345678" in lines[3] and lines[3].endswith("failed          1  FormatUnknown: damaged")


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        (["--status", "failed,key_missing"], ["t2", "t1"]),
        (["--since", "2h"], ["t3", "t2"]),
        (["--until", "30min"], ["t2", "t1"]),
        (["--since", (NOW - timedelta(hours=2)).isoformat(), "--status", "key_missing"], ["t2"]),
        (["--meter", "els_12345678"], ["t2", "t1"]),
        (["--gateway", "nobody"], []),
        (["--limit", "1"], ["t3"]),
    ],
)
def test_filters_choose(file: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], found: list[str]) -> None:
    assert run(file, "list", "--json", *arguments) == 0
    document = json.loads(capsys.readouterr().out)
    assert [telegram["ingest_id"] for telegram in document["telegrams"]] == found
    assert document["more"] is ("--limit" in arguments)


def test_one_is_shown_whole(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(file, "show", "t1") == 0
    document = json.loads(capsys.readouterr().out)
    assert document["reason"] == "FormatUnknown: damaged" and document["raw_hex"] == (b"t1" * 10).hex().upper()
    assert run(file, "show", "nobody") == 2
    assert "there is no telegram nobody" in capsys.readouterr().err


def test_where_the_gateway_never_ran_that_is_told_and_no_database_made(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "mbusgw.yaml"
    file.write_text(f"http: {{listen: '127.0.0.1:1'}}\nstorage: {{path: {tmp_path}/none/x.db}}\n")
    assert run(file, "list") == 1
    assert "there is no database" in capsys.readouterr().err and not (tmp_path / "none").exists()


def test_they_are_run_again_by_filter_and_by_name(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(file, "replay", "--status", "failed") == 0
    assert capsys.readouterr().out == "1 telegram is parsed again\n"
    assert status(file, "t1") == Status.RECEIVED
    assert run(file, "replay", "t2", "t3", "--json") == 0
    assert json.loads(capsys.readouterr().out) == {"replayed": 1, "more": False}
    assert status(file, "t2") == Status.RECEIVED


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["replay"], "say which"),
        (["replay", "--status", "duplicate"], "duplicate is not run again"),
        (["list", "--status", "lost"], "status is one of"),
        (["list", "--since", "yesterday"], "--since is neither a time"),
        (["list", "--meter", "5"], "meter: "),
        (["list", "--limit", "x"], "--limit is a number"),
    ],
)
def test_what_is_wrong_is_told_and_exits_2(
    file: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    assert run(file, *arguments) == 2
    captured = capsys.readouterr()
    assert message in captured.err and captured.out == ""
