"""Logs: three rotating files and the terminal or journal.

``main.log`` has everything at the level asked for, ``error.log`` errors with their
traces, ``mbus_comm.log`` the traffic on the buses (logger ``mbusgw.traffic``, level
DEBUG). Together they stay below 50 MB. The same lines, but for the traffic, go to
stderr; where that is systemd's journal, each carries its priority (sd-daemon(3)).

Foreign libraries speak from WARNING on. Secrets are taken out after formatting, so
that traces and arguments hide none.
"""
from __future__ import annotations

import logging
import os
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Literal, TextIO

from mbusgw.model.errors import MbusgwError
from mbusgw.runtime.exactjson import dumps
from mbusgw.runtime.ownership import advice
from mbusgw.runtime.redact import Redactor

TRAFFIC = "mbusgw.traffic"
FILE_BYTES = 5_000_000
#: Old generations kept beside the one being written: (4 + 1 + 2 + 3 files) × 5 MB = 50 MB.
OLD_FILES = {"main.log": 4, "error.log": 1, "mbus_comm.log": 2}

#: syslog(3) priorities, as the journal wants them at the beginning of a line.
_PRIORITIES = {"DEBUG": 7, "INFO": 6, "WARNING": 4, "ERROR": 3, "CRITICAL": 2}


@dataclass(frozen=True, slots=True)
class LogSettings:
    """What is logged where. Without ``directory`` there is stderr only. **immutable**"""

    level: str = "INFO"
    directory: Path | None = None
    format: Literal["text", "json"] = "text"
    secrets: frozenset[str] = frozenset()


class Logs:
    """The handlers in force. ``set_level``, ``close``: the main thread"""

    def __init__(self, settings: LogSettings) -> None:
        self._settings = settings
        self._handlers: list[tuple[logging.Logger, logging.Handler]] = []
        self._thread_hook = threading.excepthook

    def open(self) -> None:
        """Puts them in force. Raises ``MbusgwError`` when the folder cannot be written."""
        redactor = Redactor(self._settings.secrets)
        root, traffic = logging.getLogger(), logging.getLogger(TRAFFIC)
        try:
            if self._settings.directory is not None:
                self._open_files(self._settings.directory, redactor, root, traffic)
        except OSError as error:
            self.close()
            raise _unwritable(self._settings.directory, error) from None
        self._add(root, _Terminal(sys.stderr), _terminal_formatter(self._settings.format, redactor))
        traffic.propagate = False
        self.set_level(self._settings.level)
        logging.captureWarnings(True)
        threading.excepthook = _log_thread_death

    def set_level(self, level: str) -> None:
        """Changes the level while running: DEBUG, INFO, WARNING, ERROR or CRITICAL."""
        logging.getLogger("mbusgw").setLevel(level)
        logging.getLogger().setLevel(max(logging.WARNING, logging.getLevelName(level)))

    def close(self) -> None:
        """Takes them out of force and closes the files."""
        logging.captureWarnings(False)
        threading.excepthook = self._thread_hook
        logging.getLogger(TRAFFIC).propagate = True
        logging.getLogger("mbusgw").setLevel(logging.NOTSET)
        for logger, handler in self._handlers:
            logger.removeHandler(handler)
            handler.close()
        self._handlers.clear()

    def _open_files(self, folder: Path, redactor: Redactor, root: logging.Logger, traffic: logging.Logger) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        formatter = _JsonLines(redactor) if self._settings.format == "json" else None
        main = _File(folder / "main.log")
        self._add(root, main, formatter or _TextLines(redactor, traces=False))
        errors = _File(folder / "error.log")
        errors.setLevel(logging.ERROR)
        self._add(root, errors, formatter or _TextLines(redactor))
        self._add(traffic, _File(folder / "mbus_comm.log"), formatter or _TextLines(redactor))

    def _add(self, logger: logging.Logger, handler: logging.Handler, formatter: logging.Formatter) -> None:
        handler.setFormatter(formatter)
        logger.addHandler(handler)
        self._handlers.append((logger, handler))


def configure(settings: LogSettings) -> Logs:
    """Starts logging; ``close()`` of what it returns ends it. Raises ``MbusgwError``. The main thread."""
    logs = Logs(settings)
    logs.open()
    return logs


def _unwritable(folder: Path | None, error: OSError) -> MbusgwError:
    where = "let --state-dir DIR put database, logs and heartbeat below a folder of yours, or set logging.directory"
    file = Path(error.filename) if error.filename else folder
    return MbusgwError(
        f"the log folder {folder} cannot be written: {error.strerror}",
        hint=advice(file, error) or where if file is not None else where,
    )


def _log_thread_death(args: threading.ExceptHookArgs) -> None:
    name = args.thread.name if args.thread is not None else "a thread"
    trace = (args.exc_type, args.exc_value, args.exc_traceback) if args.exc_value is not None else None
    logging.getLogger(__name__).critical("%s ended by an exception nobody expected", name, exc_info=trace)


# ------------------------------------------------------------------ where lines go
class _File(RotatingFileHandler):
    """A rotating file that says once when it cannot be written, and once when it can again."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, maxBytes=FILE_BYTES, backupCount=OLD_FILES[path.name], encoding="utf-8")
        self._failures = 0

    def emit(self, record: logging.LogRecord) -> None:
        failures = self._failures
        super().emit(record)
        if failures and self._failures == failures:
            self._failures = 0
            _say(f"mbusgw: {self.baseFilename} can be written again, after {failures} failures")

    def close(self) -> None:
        try:
            super().close()
        except OSError as error:
            _say(f"mbusgw: the end of {self.baseFilename} is lost: {error}")

    def handleError(self, record: logging.LogRecord) -> None:
        self._failures += 1
        if self._failures == 1:
            _say(f"mbusgw: {self.baseFilename} cannot be written: {sys.exc_info()[1]}")


class _Terminal(logging.StreamHandler[TextIO]):
    """stderr; when nobody reads it any more there is nobody to tell."""

    def handleError(self, record: logging.LogRecord) -> None:
        pass


def _say(line: str) -> None:
    try:
        print(line, file=sys.stderr, flush=True)
    except OSError:
        pass  # stderr is gone as well


def is_journal(environ: Mapping[str, str], descriptor: int) -> bool:
    """The descriptor is connected to systemd's journal (``JOURNAL_STREAM``, systemd.exec(5))."""
    try:
        status = os.fstat(descriptor)
    except OSError:
        return False
    return environ.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}"


def _terminal_formatter(kind: str, redactor: Redactor) -> logging.Formatter:
    if kind == "json":
        return _JsonLines(redactor)
    try:
        journal = is_journal(os.environ, sys.stderr.fileno())
    except (OSError, ValueError):
        journal = False  # stderr is no file here
    return _JournalLines(redactor) if journal else _TextLines(redactor)


# ------------------------------------------------------------------ what lines look like
class _TextLines(logging.Formatter):
    """``2026-01-31T12:00:00.000+01:00 WARNING wired.meter [mtr:meter_1] text``"""

    def __init__(self, redactor: Redactor, *, traces: bool = True) -> None:
        super().__init__()
        self._redact = redactor
        self._traces = traces

    def format(self, record: logging.LogRecord) -> str:
        head = f"{_time(record)} {record.levelname:<7} {_short(record.name)} [{record.threadName}]"
        return self._redact(f"{head} {self.body(record)}")

    def body(self, record: logging.LogRecord) -> str:
        """The message, with the trace below it or, where traces are not wanted, the error behind it.

        Further lines are indented, so that no text from outside can pass for a line of ours.
        """
        text = record.getMessage()
        if record.exc_info and record.exc_info[1] is not None:
            error = record.exc_info[1]
            trace = f"\n{self.formatException(record.exc_info)}"
            text += trace if self._traces else f" ({type(error).__name__}: {error})"
        return "\n  ".join(text.splitlines())


class _JournalLines(_TextLines):
    """The journal knows time and process already; every line carries its priority."""

    def format(self, record: logging.LogRecord) -> str:
        text = self._redact(f"{_short(record.name)} [{record.threadName}] {self.body(record)}")
        prefix = f"<{_PRIORITIES.get(record.levelname, 5)}>"
        return "\n".join(prefix + line for line in text.splitlines())


class _JsonLines(logging.Formatter):
    """One JSON object a line."""

    def __init__(self, redactor: Redactor) -> None:
        super().__init__()
        self._redact = redactor

    def format(self, record: logging.LogRecord) -> str:
        document = {
            "time": _time(record),
            "level": record.levelname,
            "logger": record.name,
            "thread": record.threadName,
            "message": self._redact(record.getMessage()),
        }
        if record.exc_info and record.exc_info[1] is not None:
            document["trace"] = self._redact(self.formatException(record.exc_info))
        return dumps(document)


def _time(record: logging.LogRecord) -> str:
    moment = datetime.fromtimestamp(record.created, timezone.utc)
    return moment.astimezone().isoformat(timespec="milliseconds")


def _short(logger: str) -> str:
    return logger.removeprefix("mbusgw.")
