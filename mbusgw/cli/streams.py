"""Standard input, output and error as every command may take them for granted."""
from __future__ import annotations

import io
import os
import sys

STANDARD = (0, 1, 2)


def prepare() -> None:
    """Makes standard streams that are closed, or speak an encoding of few letters, harmless. The main thread, first.

    A descriptor that is closed would be given to the next file that is opened, a database for one. What is written to
    a file or a pipe is UTF-8, as JSON and YAML must be; a terminal of another encoding gets ``?`` for what it lacks.
    """
    for descriptor in STANDARD:
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free: this one
    if sys.stdout is None:
        sys.stdout = open(1, "w", encoding="utf-8", closefd=False)
    if sys.stderr is None:
        sys.stderr = open(2, "w", encoding="utf-8", closefd=False)
    if isinstance(sys.stdout, io.TextIOWrapper):
        if sys.stdout.isatty():
            sys.stdout.reconfigure(errors="replace")
        else:
            sys.stdout.reconfigure(encoding="utf-8")


def drop_stdout() -> None:
    """What was written and cannot be delivered is dropped: the interpreter would complain once more when it ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
