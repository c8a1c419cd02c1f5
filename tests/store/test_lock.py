"""One daemon per database."""
from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mbusgw.model.errors import StoreBusy, StoreError, StoreFull
from mbusgw.store.lock import DatabaseLock, cannot_write
from tests.wait import PATIENCE_S


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return tmp_path / "data" / "mbusgw.db"


def test_a_second_one_is_refused_and_told_who_has_it(database: Path) -> None:
    first, second = DatabaseLock(database), DatabaseLock(database)
    first.acquire()
    with pytest.raises(StoreBusy, match=f"pid {os.getpid()}") as caught:
        second.acquire()
    assert "storage.path" in caught.value.hint
    first.release()
    second.acquire()
    second.release()


def test_another_database_in_the_same_folder_is_another_matter(database: Path) -> None:
    first, second = DatabaseLock(database), DatabaseLock(database.with_name("other.db"))
    first.acquire()
    second.acquire()
    first.release()
    second.release()


def test_the_lock_of_a_killed_process_is_free(database: Path) -> None:
    script = (
        "import sys, pathlib; from mbusgw.store.lock import DatabaseLock;"
        f" DatabaseLock(pathlib.Path({str(database)!r})).acquire(); print('held', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None and process.stdout.readline() == "held\n"
        lock = DatabaseLock(database)
        with pytest.raises(StoreBusy, match=f"pid {process.pid}"):
            lock.acquire()
        process.kill()
        process.wait(PATIENCE_S)
        lock.acquire()
        lock.release()


def test_releasing_what_is_not_held_is_no_error(database: Path) -> None:
    DatabaseLock(database).release()


def test_a_folder_that_cannot_be_made_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(StoreError, match="cannot write") as caught:
        DatabaseLock(tmp_path / "file" / "mbusgw.db").acquire()
    assert "--state-dir" in caught.value.hint


@pytest.mark.parametrize(
    ("number", "kind"), [(errno.ENOSPC, StoreFull), (errno.EDQUOT, StoreFull), (errno.EROFS, StoreError)]
)
def test_a_disk_without_room_is_told_from_one_that_cannot_be_written(number: int, kind: type[StoreError]) -> None:
    error = cannot_write(Path("/x/mbusgw.db"), OSError(number, os.strerror(number)))
    assert type(error) is kind and error.retryable is (kind is StoreFull)
