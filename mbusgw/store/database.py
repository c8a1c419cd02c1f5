"""Opening the database: the file, its settings, its schema. Translates sqlite3's errors."""
from __future__ import annotations

import logging
import os
import sqlite3
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import TypeVar

from mbusgw.model.errors import SchemaTooNew, StoreBusy, StoreDamaged, StoreError, StoreFull
from mbusgw.store.lock import cannot_write

log = logging.getLogger(__name__)

T = TypeVar("T")

#: A larger file is not rewritten whole at a start, which would take minutes.
LARGEST_VACUUM_BYTES = 256 << 20
#: How long a connection waits for another process (a backup, an inspecting person) that holds the file.
BUSY_TIMEOUT_S = 5.0
#: Memory of the writer's temporary tables (``recent``). Five minutes with 300 telegrams a second take two thirds of it.
TEMPORARY_KIB = 16 << 10

_FULL = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR}
_BUSY = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_DENIED = {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_CANTOPEN}


def translate(error: sqlite3.Error) -> StoreError:
    """Our error for one of sqlite3's."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in _FULL:
        return StoreFull(f"the database cannot grow: {error}", hint="make room on the disk; nothing kept is lost")
    if code in _BUSY:
        return StoreBusy(f"the database is held by another process: {error}", hint="is a second mbusgw running?")
    if code in _DAMAGED:
        return StoreDamaged(f"the database is damaged: {error}", hint="move the file away, or restore a backup")
    if code in _DENIED:
        return StoreError(f"the database refuses: {error}", hint="this user must own the file and the folder it is in")
    return StoreError(f"the database refuses: {error}")


def spoils_transaction(error: sqlite3.Error) -> bool:
    """The disk, a lock or the file itself: nothing of the running transaction can be kept."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in _FULL | _BUSY | _DAMAGED


def open_writer(path: Path) -> sqlite3.Connection:
    """The one connection that writes, with the newest schema.

    WAL, and ``synchronous=FULL``: what is committed survives a power cut; NORMAL would
    not promise that. Raises ``StoreError`` and its kinds.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # It holds meters' keys: nobody outside the group may read it. SQLite gives its other files the same mode.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640))
        connection = sqlite3.connect(path, isolation_level=None, timeout=BUSY_TIMEOUT_S, check_same_thread=False)
    except OSError as error:
        raise cannot_write(path, error) from error
    except sqlite3.Error as error:
        raise StoreError(f"cannot open {path}: {error}", hint="set storage.path or use --state-dir DIR") from error
    try:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA foreign_keys=ON")
        connection.execute("PRAGMA journal_size_limit=16777216")
        # Less often than by default: while the log is copied into the file, whoever waits for a commit waits for that.
        connection.execute("PRAGMA wal_autocheckpoint=4000")
        connection.execute("PRAGMA temp.journal_mode=MEMORY")
        connection.execute(f"PRAGMA temp.cache_size=-{TEMPORARY_KIB}")
        _migrate(connection)
    except sqlite3.Error as error:
        connection.close()
        known = translate(error)
        raise type(known)(f"{path}: {known}", hint=known.hint) from error
    except StoreError:
        connection.close()
        raise
    return connection


def rewrite(connection: sqlite3.Connection, write: Callable[[sqlite3.Connection], T]) -> T:
    """One transaction that overwrites what it replaces. Raises ``sqlite3.Error``."""
    connection.execute("PRAGMA secure_delete=ON")
    try:
        connection.execute("BEGIN IMMEDIATE")
        with connection:
            return write(connection)
    finally:
        connection.execute("PRAGMA secure_delete=OFF")


def scrub(connection: sqlite3.Connection) -> None:
    """Takes earlier versions of what is stored out of the log beside the file and, unless it is large, the file."""
    pages, size = (connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "page_size"))
    try:
        if pages * size <= LARGEST_VACUUM_BYTES:
            connection.execute("VACUUM")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    except sqlite3.Error as error:  # no room for a second copy: no reason not to work
        log.warning("earlier versions of what is stored may still lie in the database file: %s", translate(error))


def open_reader(path: Path) -> sqlite3.Connection:
    """A connection that only reads; one per thread that wants to. Raises ``StoreError``."""
    try:
        connection = sqlite3.connect(
            f"{path.absolute().as_uri()}?mode=ro",
            uri=True,
            isolation_level=None,
            timeout=BUSY_TIMEOUT_S,
            check_same_thread=False,
        )
        connection.row_factory = sqlite3.Row
        return connection
    except sqlite3.Error as error:
        raise translate(error) from error


def migrations() -> list[tuple[int, str]]:
    """(number, SQL) of every step, in order. The number is that of the file's name."""
    folder = resources.files("mbusgw.store").joinpath("migrations")
    files = sorted((entry for entry in folder.iterdir() if entry.name.endswith(".sql")), key=lambda entry: entry.name)
    return [(int(entry.name.split("_")[0]), entry.read_text(encoding="utf-8")) for entry in files]


def _migrate(connection: sqlite3.Connection) -> None:
    steps = migrations()
    current = int(connection.execute("PRAGMA user_version").fetchone()[0])
    newest = steps[-1][0]
    if current > newest:
        raise SchemaTooNew(
            f"the database has schema {current}, this mbusgw knows up to {newest}",
            hint="install the newer mbusgw again",
        )
    for number, script in steps:
        if number > current:
            # One transaction a step: a crash in the middle leaves the step undone, not half done.
            connection.executescript(f"BEGIN IMMEDIATE;\n{script}\nPRAGMA user_version = {number};\nCOMMIT;")
