"""The checks: each a row ``name -> callable`` of a table that the application fills.

A check looks, it does not touch: it returns at once, from any thread, and raises nothing but our own
errors and ``OSError``, which count as unhealthy. What a fault costs decides its weight: while the broker,
the parser or a bus is away, nothing is lost and the rest works (degraded); without a database
or with a dead thread we do not do our work (unhealthy).
"""
from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from mbusgw.health.report import CheckResult, Status
from mbusgw.model.errors import MbusgwError
from mbusgw.model.wording import counted
from mbusgw.runtime.worker import Worker

Check = Callable[[], CheckResult]


def run(table: Mapping[str, Check]) -> dict[str, CheckResult]:
    """The results of all checks."""
    return {name: _result(check) for name, check in table.items()}


def workers(current: Callable[[], Sequence[Worker]]) -> Check:
    """Every thread runs and makes progress. ``current`` names them anew each time, as they may be replaced."""

    def check() -> CheckResult:
        everybody = current()
        failed = [worker.name for worker in everybody if worker.failed]
        dead = [worker.name for worker in everybody if not worker.alive and not worker.stopping]
        stalled = [worker.name for worker in everybody if worker.alive and worker.heartbeat.stalled]
        for names, words in ((dead, "not running"), (failed, "crashed too often"), (stalled, "without progress")):
            if names:
                return CheckResult(Status.UNHEALTHY, f"{words}: {', '.join(sorted(names))}")
        return CheckResult(Status.HEALTHY, counted(len(everybody), "thread"))

    return check


def connection(
    what: str,
    connected: Callable[[], bool],
    *,
    lost: Status = Status.DEGRADED,
    trouble: Callable[[], str | None] = lambda: None,
) -> Check:
    """Something is connected (the broker, a bus); ``lost`` is the weight of its absence.

    ``trouble`` is what is wrong with it, perhaps although it is connected just now.
    """

    def check() -> CheckResult:
        wrong = trouble()
        if connected():
            return CheckResult(Status.DEGRADED, wrong) if wrong else CheckResult(Status.HEALTHY, "connected")
        return CheckResult(lost, f"{what} is not connected{f': {wrong}' if wrong else ''}")

    return check


def output(trouble: str | None) -> Check:
    """Another output than MQTT takes readings; ``trouble`` is why not."""
    return lambda: CheckResult(Status.DEGRADED, trouble) if trouble else CheckResult(Status.HEALTHY, "takes readings")


def writable(touch: Callable[[], Any]) -> Check:
    """The store can write. ``touch`` raises a ``StoreError`` when it last could not."""

    def check() -> CheckResult:
        touch()
        return CheckResult(Status.HEALTHY, "writable")

    return check


def filling(what: str, depth: Callable[[], int], limit: int, *, warn_share: float = 0.8) -> Check:
    """A queue is not about to be full."""

    def check() -> CheckResult:
        count = depth()
        status = Status.DEGRADED if count >= limit * warn_share else Status.HEALTHY
        return CheckResult(status, f"{count} of {limit} {what}")

    return check


def gateways_heard(known: Callable[[], int], gone: Callable[[], Sequence[str]]) -> Check:
    """The radio gateways hand in telegrams as they usually do. ``gone`` names those that stopped."""

    def check() -> CheckResult:
        silent = gone()
        if silent:
            return CheckResult(Status.DEGRADED, f"silent for much longer than usual: {', '.join(silent)}")
        return CheckResult(Status.HEALTHY, f"{counted(known(), 'radio gateway')} heard since the start")

    return check


def in_force(trouble: Callable[[], str]) -> Check:
    """What the configuration file says is what is done. ``trouble`` is why it cannot be."""

    def check() -> CheckResult:
        wrong = trouble()
        if wrong:
            return CheckResult(Status.DEGRADED, f"the file cannot be used, what it said before stays in force: {wrong}")
        return CheckResult(Status.HEALTHY, "as the file says")

    return check


def keys_open(trouble: Callable[[], str], locked: Callable[[], int]) -> Check:
    """The meters' keys can be used: telegrams of those that cannot wait."""

    def check() -> CheckResult:
        count = locked()
        if trouble():
            return CheckResult(Status.DEGRADED, f"the master key cannot be used: {trouble()}")
        if count:
            locked_keys = counted(count, "key is", "keys are")
            return CheckResult(Status.DEGRADED, f"{locked_keys} encrypted with another master key")
        return CheckResult(Status.HEALTHY, "usable")

    return check


def _result(check: Check) -> CheckResult:
    try:
        return check()
    except (MbusgwError, OSError) as error:
        return CheckResult(Status.UNHEALTHY, str(error))
