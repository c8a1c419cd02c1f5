"""Looks at everything every so often, and tells."""
from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mbusgw.health import checks
from mbusgw.health.checks import Check
from mbusgw.health.heartbeat_file import HeartbeatFile
from mbusgw.health.report import CheckResult, HealthReport, Status
from mbusgw.model.wording import counted
from mbusgw.runtime.clock import Clock, iso
from mbusgw.runtime.metrics import Metrics
from mbusgw.runtime.worker import Worker

log = logging.getLogger(__name__)

#: A report of this age is as good as a new one.
FRESH_S = 1.0
#: Just after the start much has only begun: what is not there yet is no news, and looked at again soon.
STARTING_S = 3.0


@dataclass(slots=True)
class _Trouble:
    result: CheckResult
    since_mono: float
    looks: int = 1


class HealthMonitor(Worker):
    """Runs the checks every ``interval_s``, logs what changed, publishes the report, writes the heartbeat file.

    ``table`` names the checks at each look; what is not there any more is not spoken of any more.
    ``meters`` returns how many are online and how many are known; ``publish`` gets each report and must not
    block. ``report``: **any thread**; the rest: **own thread**
    """

    def __init__(
        self,
        table: Callable[[], Mapping[str, Check]],
        clock: Clock,
        *,
        interval_s: float,
        version: str,
        meters: Callable[[], tuple[int, int]],
        heartbeat_file: Path,
        workers: Callable[[], Sequence[Worker]],
        metrics: Metrics,
        publish: Callable[[HealthReport], None],
        waiting: Callable[[], int] = lambda: 0,
    ) -> None:
        super().__init__("health", clock, limit_s=interval_s + 60)
        self._table = table
        self._interval_s = interval_s
        self._version = version
        self._meters = meters
        self._file = HeartbeatFile(heartbeat_file, clock)
        self._workers = workers
        self._metrics = metrics
        self._publish = publish
        self._waiting = waiting
        self._last_error: dict[str, str] | None = None
        self._started_at = clock.now()
        self._started_mono = clock.mono()
        self._last: tuple[float, HealthReport] | None = None
        self._troubles: dict[str, _Trouble] = {}

    # -------------------------------------------------- for anyone
    def report(self) -> HealthReport:
        """How we are now, or were within the last second."""
        last = self._last
        if last is not None and self.clock.mono() - last[0] < FRESH_S:
            return last[1]
        return self._look()

    # -------------------------------------------------- the thread
    def step(self) -> None:
        """One look; then waits for the next."""
        report = self._look()
        self._log_changes(report)
        report = replace(report, last_error=self._last_error)
        for worker in self._workers():
            self._metrics.worker_crashes(worker.name, worker.crashes)
        self._publish(report)
        self._file.write(f"{iso(self.clock.now())} {report.status.value} up {report.uptime_s} s\n")
        self.wait(min(self._interval_s, STARTING_S) if _is_starting(report) else self._interval_s)

    def teardown(self) -> None:
        if self.stopping:
            self._file.remove()

    def _look(self) -> HealthReport:
        online, known = self._meters()
        report = HealthReport(
            components=checks.run(self._table()),
            version=self._version,
            started_at=self._started_at,
            uptime_s=int(self.clock.mono() - self._started_mono),
            meters_online=online,
            meters_known=known,
            messages_waiting=self._waiting(),
            last_error=self._last_error,
        )
        self._last = (self.clock.mono(), report)
        return report

    def _log_changes(self, report: HealthReport) -> None:
        for name in self._troubles.keys() - report.components.keys():
            del self._troubles[name]
        for name, result in report.components.items():
            trouble = self._troubles.get(name)
            if result.status is Status.HEALTHY:
                if trouble is not None:
                    self._log_end(name, self._troubles.pop(name))
            elif trouble is not None and trouble.result.status is result.status:
                trouble.looks += 1
                if self._last_error is None:
                    self._last_error = self._error(name, result)
            elif result.status is not Status.DEGRADED or not _is_starting(report):
                since_mono = trouble.since_mono if trouble else self.clock.mono()
                self._troubles[name] = _Trouble(result, since_mono)
                if not _is_starting(report):
                    self._last_error = self._error(name, result)
                level = logging.ERROR if result.status is Status.UNHEALTHY else logging.WARNING
                log.log(level, "%s is %s: %s", name, result.status.value, result.detail)

    def _error(self, name: str, result: CheckResult) -> dict[str, str]:
        return {"at": iso(self.clock.now()), "message": f"{name}: {result.detail}"}

    def _log_end(self, name: str, trouble: _Trouble) -> None:
        seconds, status = self.clock.mono() - trouble.since_mono, trouble.result.status
        looks = counted(trouble.looks, "look")
        log.info("%s is healthy again after %.0f s (%s at %s)", name, seconds, status.value, looks)


def _is_starting(report: HealthReport) -> bool:
    return report.uptime_s < STARTING_S
