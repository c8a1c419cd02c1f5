"""A process that writes numbered telegrams, says which are durable, and is killed or runs out of disk.

``python -m tests.store.writing_process PATH [MAX_FILE_BYTES]``: each line on stdout is the number of a telegram
whose future is done; a line ``full`` says that a unit was refused because there is no room.
"""
from __future__ import annotations

import os
import resource
import signal
import sys
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from mbusgw.model.errors import StoreFull
from mbusgw.runtime.clock import SystemClock
from mbusgw.store import arrivals, outbox, telegrams
from mbusgw.store.outbox import Message
from mbusgw.store.telegrams import Status
from mbusgw.store.writer import Store
from tests.fakes.telegrams import received
from tests.wait import PATIENCE_S


def limit_files(size: int) -> None:
    """As if the disk were full: no file of this process grows beyond ``size``."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))


def say(word: object) -> None:
    """At once and whole, also when the process dies right after."""
    os.write(1, f"{word}\n".encode())


def submit(store: Store, number: int) -> "Future[list[Any]]":
    """A telegram, its outcome and its message: one unit."""
    telegram = received(f"t{number}", raw=number.to_bytes(40, "big"))
    message = Message("oms/reading", "x" * 200, retain=False, ingest_id=telegram.ingest_id)
    future = store.submit(
        lambda connection: arrivals.insert(connection, [telegram], dedup_window_s=300),
        telegrams.settle(telegram.ingest_id, Status.PARSED, meter_id=None),
        outbox.enqueue([message], telegram.created_at),
    )
    future.add_done_callback(lambda done: tell(number, done))
    return future


def tell(number: int, done: "Future[list[Any]]") -> None:
    error = done.exception()
    if error is None:
        say(number)
    elif isinstance(error, StoreFull):
        say("full")
    else:
        say(f"unexpected {error!r}")


def main() -> None:
    store = Store(Path(sys.argv[1]), clock=SystemClock())
    store.open()
    store.start()
    if len(sys.argv) > 2:
        limit_files(int(sys.argv[2]))
        full = 0
        for number in range(100_000):
            full += submit(store, number).exception(PATIENCE_S) is not None
            if full == 3:
                break
        limit_files(resource.RLIM_INFINITY)
        submit(store, 999_999).result(PATIENCE_S)
        store.stop()
        store.join(PATIENCE_S)
        store.close()
        return
    under_way: list[Future[list[Any]]] = []
    for number in range(1_000_000):
        under_way.append(submit(store, number))
        if len(under_way) >= 64:
            under_way.pop(0).result(PATIENCE_S)


if __name__ == "__main__":
    main()
