"""The demo's child processes: found, started, ended by their own process ids."""
from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from mbusgw.model.errors import MbusgwError

#: Where Debian keeps daemons; not in every user's PATH.
SYSTEM_PATH = "/usr/sbin:/sbin:/usr/local/sbin"
LAST_WORDS = 8


def find_program(name: str, *, hint: str) -> str:
    """The path of a program. Raises ``MbusgwError`` with ``hint`` where it is missing."""
    found = shutil.which(name) or shutil.which(name, path=SYSTEM_PATH)
    if found is None:
        raise MbusgwError(f"{name} is not installed", hint=hint)
    return found


def free_port(address: str) -> int:
    """A TCP port that nobody uses at ``address`` now. Raises ``MbusgwError`` where this is no address of ours."""
    with socket.socket() as probe:
        try:
            probe.bind((address, 0))
        except OSError as error:
            raise MbusgwError(f"cannot listen on {address}: {error.strerror or error}") from None
        return int(probe.getsockname()[1])


def accepts(address: str, port: int) -> bool:
    """Somebody listens there."""
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex((address, port)) == 0


class Child:
    """One process; what it prints goes to ``output``. The main thread only.

    It has a session of its own, so that Ctrl-C reaches us alone and we end it in our order. It gets
    SIGTERM from the kernel should we be killed (setpriv(1), where it is installed).
    """

    def __init__(
        self, name: str, command: Sequence[str], output: Path, *, environ: Mapping[str, str] | None = None
    ) -> None:
        self.name = name
        self._command = list(command)
        self._output = output
        self._environ = environ
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """Its process id; None before the start."""
        return self._process.pid if self._process is not None else None

    def start(self) -> None:
        """Starts it. Raises ``MbusgwError``."""
        setpriv = shutil.which("setpriv")
        leash = [setpriv, "--pdeathsig", "TERM", "--"] if setpriv else []
        try:
            with self._output.open("wb") as output:
                self._process = subprocess.Popen(
                    [*leash, *self._command],
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    env=self._environ,
                    start_new_session=True,
                )
        except OSError as error:
            raise MbusgwError(f"{self.name} cannot be started: {error.strerror or error}") from error

    def check(self) -> None:
        """Raises ``MbusgwError`` with its last words when it has ended by itself."""
        code = self._process.poll() if self._process is not None else None
        if code is not None:
            raise MbusgwError(f"{self.name} has ended ({_ending(code)})", hint=self.last_words())

    def last_words(self) -> str:
        """The last lines that it printed."""
        try:
            lines = self._output.read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            return ""
        return "\n  ".join(lines[-LAST_WORDS:])

    def stop(self, timeout_s: float) -> None:
        """Asks it to end, and makes it after ``timeout_s``."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def environment_without(names: Sequence[str]) -> dict[str, str]:
    """Our environment but for some variables, for a child that shall not see them."""
    return {name: value for name, value in os.environ.items() if name not in names}


def _ending(code: int) -> str:
    return f"exit code {code}" if code >= 0 else signal.Signals(-code).name
