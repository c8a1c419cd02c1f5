"""Changes of the configuration file that a program makes: whole or not at all, and nothing but what was asked for."""
from __future__ import annotations

import codecs
import errno
import fcntl
import os
import shutil
import stat
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from mbusgw.config.insertion import Entry, insert
from mbusgw.config.lines import Tree, parse_document
from mbusgw.config.loader import loads
from mbusgw.model.errors import ConfigNotWritable, ConfigUnchanged

#: Mode of a file that was not there: secrets may come into it.
NEW_MODE = 0o640


def add(path: Path, items: Mapping[str, Sequence[Entry]], environ: Mapping[str, str] = os.environ) -> None:
    """Puts ``items`` at the ends of the lists (``buses``, ``devices``) of the file, which is made if it is not there.

    Every other byte stays, and so do mode, owner and attributes; a symbolic link stays one. The new text is
    judged by the loader first, and replaces the old one in one step. Raises ``ConfigUnchanged`` when it cannot
    be done (``ConfigNotWritable``: not by this user), ``ConfigError`` when the file is wrong as it is, or would be.
    **any thread**, any process: of several at a time one does it, the others are refused
    """
    target = Path(os.path.realpath(path))
    with _locked(target.parent, path):
        old = _read(target, path)
        new = _with(_text(old, path), items, str(path), environ, fresh=old is None)
        data = (codecs.BOM_UTF8 if (old or b"").startswith(codecs.BOM_UTF8) else b"") + new.encode()
        with _translated(path):
            _replace(target, old, data, path)


# ------------------------------------------------------------------ what it will say
def _with(
    text: str, items: Mapping[str, Sequence[Entry]], source: str, environ: Mapping[str, str], *, fresh: bool
) -> str:
    if not fresh:
        loads(text, environ, source=source)  # its own mistakes are told as such, not as those of the new items
    wanted = parse_document(text, source).tree or {}
    assert isinstance(wanted, dict)
    for section, entries in items.items():
        if entries:
            text = insert(text, section, entries)
            present = wanted.get(section)
            wanted[section] = [*(present if isinstance(present, list) else []), *map(_tree, entries)]
    if parse_document(text, source).tree != wanted:
        raise ConfigUnchanged(
            f"{source} is written in a way that nothing can be added to without changing the rest",
            hint="add it by hand",
        )
    loads(text, environ, source=source)
    return text


def _tree(entry: Entry) -> Tree:
    return {key: str(value) for key, value in entry.items()}


def _text(data: bytes | None, path: Path) -> str:
    if data is None:
        return ""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ConfigUnchanged(f"{path} is no UTF-8 text") from None


# ------------------------------------------------------------------ the file
def _read(target: Path, path: Path) -> bytes | None:
    """What is there; None where there is no file."""
    with _translated(path):
        try:
            if not stat.S_ISREG(target.stat().st_mode):
                raise ConfigUnchanged(f"{path} is no file")
            return target.read_bytes()
        except FileNotFoundError:
            return None


def _replace(target: Path, old: bytes | None, data: bytes, path: Path) -> None:
    """Writes beside it, then renames over it: at any moment the one or the other is there, whole."""
    beside = target.with_name(f".{target.name}.new")
    beside.unlink(missing_ok=True)  # of one that was killed in the middle
    try:
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with open(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            _dress(beside, descriptor, target, exists=old is not None)
            os.fsync(descriptor)
        if _read(target, path) != old:
            raise ConfigUnchanged(f"{path} was changed by somebody else meanwhile", hint="try again", retryable=True)
        os.rename(beside, target)
    finally:
        beside.unlink(missing_ok=True)
    _settle(target.parent)


def _dress(beside: Path, descriptor: int, target: Path, *, exists: bool) -> None:
    """Gives the new file owner, mode and attributes (access lists too) of the one it replaces."""
    if not exists:
        os.fchmod(descriptor, NEW_MODE)
        return
    before, now = target.stat(), os.fstat(descriptor)
    if (before.st_uid, before.st_gid) != (now.st_uid, now.st_gid):
        os.fchown(descriptor, before.st_uid, before.st_gid)
    shutil.copystat(target, beside)
    os.utime(descriptor)  # it is new, and who watches it shall see that


def _settle(folder: Path) -> None:
    """The rename is on disk, too."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _locked(folder: Path, path: Path) -> Iterator[None]:
    """Nobody else who asks changes a file of ``folder`` meanwhile."""
    with _translated(path):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            message = f"{path} is being changed by somebody else at the moment"
            raise ConfigUnchanged(message, hint="try again", retryable=True) from None
        yield
    finally:
        os.close(descriptor)


@contextmanager
def _translated(path: Path) -> Iterator[None]:
    try:
        yield
    except PermissionError:
        raise _forbidden(path) from None
    except OSError as error:
        if error.errno == errno.EROFS:  # EROFS: the service sees its own files only
            raise _forbidden(path) from None
        raise ConfigUnchanged(f"{path} cannot be written: {error.strerror}") from None


def _forbidden(path: Path) -> ConfigNotWritable:
    return ConfigNotWritable(
        f"{path} may not be changed by this user, or its folder may not",
        hint=f"do it as the owner of the file (sudo), or give file and folder to user mbusgw: "
        f"chown mbusgw: {path.parent} {path}",
    )
