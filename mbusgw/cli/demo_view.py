"""The demo's live table. The home of rich."""
from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime

from rich import box
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.live import Live
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from mbusgw import __version__
from mbusgw.cli.demo_lines import Doors, age_text, in_order, main_values
from mbusgw.cli.demo_watch import Seen
from mbusgw.model.wording import counted

#: How many lines a meter may take: the first with which everything fits on the screen, or the last.
LINES_TRIED = (4, 3, 2, 1)
GAP = 2
#: Narrower terminals do without the medium, which the names tell as well.
MEDIUM_FROM_COLUMNS = 120


class LiveView:
    """A table that is drawn anew in its place. The main thread; rich draws when told to and has no thread."""

    def __init__(self, doors: Doors, console: Console | None = None) -> None:
        self._doors = doors
        self._console = console or Console(highlight=False)
        self._live = Live(console=self._console, auto_refresh=False, transient=False)

    def __enter__(self) -> LiveView:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):
            self._live.stop()

    def show(self, devices: Mapping[str, Seen], now: datetime) -> None:
        """Draws all meters."""
        with suppress(OSError):  # a terminal that was closed; its SIGHUP ends us
            self._live.update(self.picture(devices, now), refresh=True)

    def picture(self, devices: Mapping[str, Seen], now: datetime) -> RenderableType:
        """The whole screen, with as much of each meter as there is room for."""
        title, hints = self._title(devices), self._hints()
        for most in LINES_TRIED:
            picture = Group(title, "", self._meters(devices, now, most), "", hints)
            if len(self._console.render_lines(picture)) < self._console.height:
                break
        return picture

    def _title(self, devices: Mapping[str, Seen]) -> Text:
        online = sum(seen.online for seen in devices.values())
        what = f"{online} of {counted(len(devices), 'meter')} online" if devices else "the meters are being read …"
        return Text.assemble((f"mbusgw {__version__} demo", "bold"), "   ", what)

    def _meters(self, devices: Mapping[str, Seen], now: datetime, most: int) -> Table:
        """``most``: how many lines a meter may take."""
        wide = self._console.width >= MEDIUM_FROM_COLUMNS
        table = Table(box=box.SIMPLE_HEAD, show_edge=False, expand=True, pad_edge=False, padding=(0, 1, 0, 0))
        table.add_column("", width=1)
        table.add_column("Meter", no_wrap=True)
        if wide:
            table.add_column("Medium", no_wrap=True)
        table.add_column("Values", ratio=1)
        table.add_column("Age", justify="right", no_wrap=True, min_width=4)
        table.add_column("RSSI", justify="right", no_wrap=True, min_width=7)
        for seen in in_order(devices):
            row: list[RenderableType] = [_dot(seen), seen.name, _Values(seen, most), age_text(seen, now), _rssi(seen)]
            if wide:
                row.insert(2, seen.medium)
            table.add_row(*row)
        return table

    def _hints(self) -> Table:
        grid = Table.grid(padding=(0, 2))
        grid.add_column(style="bold", no_wrap=True)
        grid.add_column(overflow="fold")
        for caption, text in self._doors.hints():
            grid.add_row(caption, Text(text))
        grid.add_row("Ctrl-C", "stops everything and leaves nothing behind")
        return grid


class _Values:
    """The values of a meter, whole ones only, on at most so many lines."""

    def __init__(self, seen: Seen, most: int) -> None:
        self._parts = [Text.assemble((f"{name} ", "dim"), (value, "bold")) for name, value in main_values(seen)]
        self._most = most

    def __rich_console__(self, _console: Console, options: ConsoleOptions) -> RenderResult:
        lines: list[Text] = []
        for part in self._parts:
            if lines and lines[-1].cell_len + GAP + part.cell_len <= options.max_width:
                lines[-1] = Text.assemble(lines[-1], " " * GAP, part)
            else:
                lines.append(part)
        for line in lines[: self._most]:
            line.truncate(options.max_width, overflow="ellipsis")
            yield line

    def __rich_measure__(self, _console: Console, options: ConsoleOptions) -> Measurement:
        longest = max((part.cell_len for part in self._parts), default=1)
        return Measurement(min(longest, options.max_width), options.max_width)


def _dot(seen: Seen) -> Text:
    return Text("●", "green") if seen.online else Text("○", "red")


def _rssi(seen: Seen) -> str:
    return seen.lane if seen.rssi_dbm is None else f"{seen.rssi_dbm:.0f} dBm"
