"""The program wmbusmeters as a child process that decodes telegrams: one JSON line in, a JSON object out
(``stdin:jsonl``), which may be printed over several lines.

It is another project's program, installed by the operator; nothing of it is in here.
"""
from __future__ import annotations

import os
import re
import selectors
import subprocess
import threading
from collections.abc import Callable
from contextlib import suppress

from mbusgw.model.errors import WmbusmetersError
from mbusgw.runtime import exactjson
from mbusgw.runtime.clock import Clock

#: The first version that reads telegrams from ``stdin:jsonl``.
OLDEST = (3, 0)
_VERSION = re.compile(r"wmbusmeters:?\s+v?(\d+)\.(\d+)", re.IGNORECASE)
_VERSION_TIMEOUT_S = 5.0
_ARGUMENTS = ("--silent", "--format=json", "stdin:jsonl")

#: How often somebody who waits for an answer looks whether to stop.
_LOOK_S = 0.2
_LONGEST_ANSWER_BYTES = 1 << 20
#: A process that was killed has gone within this.
_KILLED_S = 2.0
#: So many meters one process remembers; then another takes over, because it never forgets one.
MOST_METERS = 20_000


def installed_version(command: str) -> tuple[int, int]:
    """The version of the program. Raises ``WmbusmetersError`` where it is missing, too old, or something else."""
    try:
        done = subprocess.run(
            [command, "--version"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=_VERSION_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as problem:
        raise WmbusmetersError(
            f"{command} cannot be started: {type(problem).__name__}",
            hint="install wmbusmeters 3.0 or newer, or set parser.wmbusmeters.enabled: false",
            retryable=False,
        ) from None
    found = _VERSION.search(done.stdout.decode("utf-8", "replace"))
    if found is None:
        raise WmbusmetersError(f"{command} --version does not say that it is wmbusmeters", retryable=False)
    version = int(found[1]), int(found[2])
    if version < OLDEST:
        raise WmbusmetersError(
            f"{command} is wmbusmeters {version[0]}.{version[1]}, too old",
            hint="version 3.0 is the first that can decode for others",
            retryable=False,
        )
    return version


class Child:
    """One running wmbusmeters. **own thread**, but for ``kill``

    ``meters`` are those it was asked about: number -> manufacturer. Two of one number crash it.
    """

    def __init__(self, command: str, clock: Clock, stopping: Callable[[], bool] = lambda: False) -> None:
        """Starts the program. Raises ``WmbusmetersError``."""
        self.meters: dict[str, str] = {}
        self._clock = clock
        self._stopping = stopping
        self._buffer = bytearray()
        self._closing = threading.Lock()
        try:
            self._process = subprocess.Popen(
                [command, *_ARGUMENTS],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                bufsize=0,
                start_new_session=True,
            )
        except OSError as problem:
            raise WmbusmetersError(f"{command} cannot be started: {type(problem).__name__}") from None
        assert self._process.stdin is not None and self._process.stdout is not None
        self._stdin, self._stdout = self._process.stdin.fileno(), self._process.stdout.fileno()
        os.set_blocking(self._stdin, False)
        os.set_blocking(self._stdout, False)

    def takes(self, meters: dict[str, str]) -> bool:
        """Whether it may be asked about these meters."""
        known = self.meters
        return len(known) < MOST_METERS and all(known.get(number, maker) == maker for number, maker in meters.items())

    def ask(self, telegram: bytes, key: bytes | None, timeout_s: float) -> dict[str, object]:
        """Its answer to one telegram without link layer CRCs. Raises ``WmbusmetersError``; it is of no use then."""
        deadline_mono = self._clock.mono() + timeout_s
        question = {
            "_": "decode",
            "telegram": telegram.hex().upper(),
            "key": key.hex().upper() if key else "NOKEY",
            "format": "wmbus",  # else it may take what begins with 68 for a wired frame
        }
        self._send(exactjson.dumps(question).encode() + b"\n", deadline_mono)
        return self._answer(deadline_mono)

    def kill(self) -> None:
        """Ends it, whatever it does. **any thread**"""
        with self._closing:
            if self._process.returncode is None:
                self._process.kill()
                with suppress(subprocess.TimeoutExpired):  # it hangs in the kernel: nobody waits for that
                    self._process.wait(_KILLED_S)

    def close(self) -> None:
        """Ends it and lets go of its pipes."""
        self.kill()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()

    def _answer(self, deadline_mono: float) -> dict[str, object]:
        """The next object that is an answer. What else it prints, warnings for one, is passed over."""
        text = b""
        while True:
            line = self._line(deadline_mono)
            text = line if line.startswith(b"{") else text + line if text else b""
            document = _answer(text) if line.rstrip().endswith(b"}") else None
            if document is not None:
                return document
            if len(text) > _LONGEST_ANSWER_BYTES:
                raise WmbusmetersError("wmbusmeters sent an answer without an end")

    def _send(self, data: bytes, deadline_mono: float) -> None:
        while data:
            self._ready(self._stdin, selectors.EVENT_WRITE, deadline_mono)
            try:
                data = data[os.write(self._stdin, data) :]
            except BlockingIOError:
                continue
            except OSError:
                raise self._crashed() from None

    def _line(self, deadline_mono: float) -> bytes:
        while (end := self._buffer.find(b"\n")) < 0:
            self._ready(self._stdout, selectors.EVENT_READ, deadline_mono)
            try:
                piece = os.read(self._stdout, 65536)
            except BlockingIOError:
                continue
            if not piece:
                raise self._crashed()
            self._buffer += piece
            if len(self._buffer) > _LONGEST_ANSWER_BYTES:
                raise WmbusmetersError("wmbusmeters sent an answer without an end")
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        return line

    def _ready(self, descriptor: int, event: int, deadline_mono: float) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(descriptor, event)
            while not selector.select(min(_LOOK_S, max(0.0, deadline_mono - self._clock.mono()))):
                if self._stopping():
                    raise WmbusmetersError("nobody waits for wmbusmeters any more: mbusgw stops")
                if self._clock.mono() >= deadline_mono:
                    raise WmbusmetersError("wmbusmeters did not answer in time")

    def _crashed(self) -> WmbusmetersError:
        self.kill()
        return WmbusmetersError(f"wmbusmeters ended by itself (code {self._process.returncode})")


def _answer(text: bytes) -> dict[str, object] | None:
    """The answer in a text; None for one that is not whole, and for what is none.

    One that it could not decode may have nothing but ``error`` and ``telegram``, neither ``_`` nor the meter's number.
    """
    try:
        document = exactjson.loads(text)
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) and ("error" in document or "_" in document) else None
