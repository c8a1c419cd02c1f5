"""One future that follows another."""
from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

from mbusgw.model.errors import MbusgwError

First = TypeVar("First")
Then = TypeVar("Then")


class _Following(Future[Then]):
    """Cancelling it cancels the first."""

    def __init__(self, first: Future[First]) -> None:
        super().__init__()
        self._first = first

    def cancel(self) -> bool:
        return self._first.cancel()

    def was_cancelled(self) -> None:
        """The first was."""
        super().cancel()
        self.set_running_or_notify_cancel()


def then(first: Future[First], function: Callable[[First], Then]) -> Future[Then]:
    """What ``function`` makes of the result of ``first``. Any thread.

    ``function`` is called in the thread that ends ``first``, and must not block; it may raise ``MbusgwError``.
    """
    following: _Following[Then] = _Following(first)

    def done(ended: Future[First]) -> None:
        if ended.cancelled():
            following.was_cancelled()
            return
        try:
            following.set_result(function(ended.result()))
        except MbusgwError as error:
            following.set_exception(error)
        finally:  # a mistake of ours is logged by the future; whoever waits must not wait for ever
            if not following.done():
                following.set_exception(MbusgwError("mbusgw failed here; its log says why"))

    first.add_done_callback(done)
    return following
