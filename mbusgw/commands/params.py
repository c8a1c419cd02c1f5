"""The parameters of a request, checked one by one."""
from __future__ import annotations

from collections.abc import Collection
from decimal import Decimal
from typing import TypeVar, overload

from mbusgw.config.address import parse_address
from mbusgw.config.kinds import parse_duration
from mbusgw.model.address import Address
from mbusgw.model.command import Document
from mbusgw.model.errors import RequestError

T = TypeVar("T")

TEXT_MAX = 200
_DAY_S = 86400.0


class Params:
    """Takes parameters out of a request, and at the end (``done``) says which ones nobody knows. **own thread**

    Every method raises ``RequestError`` 400 with the ``field`` that is wrong. A parameter that is ``null`` is one that
    is not there.
    """

    def __init__(self, given: Document) -> None:
        self._given = {name: value for name, value in given.items() if value is not None}
        self._asked: set[str] = set()

    def __contains__(self, name: str) -> bool:
        return name in self._given

    @overload
    def text(self, name: str) -> str: ...

    @overload
    def text(self, name: str, default: T) -> str | T: ...

    def text(self, name: str, default: object = ...) -> object:
        """A text of at most 200 characters."""
        value = self._take(name, default)
        if value is default:
            return value
        if not isinstance(value, str) or not value.strip() or len(value) > TEXT_MAX:
            raise _wrong(name, f"{name} is a text of at most {TEXT_MAX} characters")
        return value.strip()

    @overload
    def number(self, name: str, first: int, last: int) -> int: ...

    @overload
    def number(self, name: str, first: int, last: int, default: T) -> int | T: ...

    def number(self, name: str, first: int, last: int, default: object = ...) -> object:
        """A whole number from ``first`` to ``last``; digits in a text are one too."""
        value = self._take(name, default)
        if value is default:
            return value
        if isinstance(value, str) and value.strip().isdecimal() and len(value) < 20:
            value = int(value)
        if not isinstance(value, int) or isinstance(value, bool) or not first <= value <= last:
            raise _wrong(name, f"{name} is a whole number from {first} to {last}")
        return value

    def numbers(self, name: str, allowed: Collection[int]) -> tuple[int, ...]:
        """Some of the ``allowed`` whole numbers, each once: one, a list, or a text with commas; none where it is not
        given."""
        value = self._take(name, None)
        if value is None:
            return ()
        parts = value.split(",") if isinstance(value, str) else value if isinstance(value, list) else [value]
        known = {str(number): number for number in allowed}
        chosen = [known[str(part).strip()] for part in parts if str(part).strip() in known]
        if len(chosen) != len(parts) or not chosen:
            raise _wrong(name, f"{name} is one or more of {', '.join(map(str, allowed))}")
        return tuple(dict.fromkeys(chosen))

    def duration(self, name: str, least_s: float, most_s: float) -> float | None:
        """Seconds, as a number or with a unit, such as ``"15m"``; None where it is not given."""
        value = self._take(name, None)
        if value is None:
            return None
        most = f"{most_s:g} s" if most_s < 2 * _DAY_S else f"{most_s / _DAY_S:.0f} days"
        wrong = _wrong(name, f'{name} is a time from {least_s:g} s to {most}, such as 60 or "15m"')
        if isinstance(value, bool) or not isinstance(value, (int, float, Decimal, str)):
            raise wrong
        try:
            seconds = parse_duration(str(value)[:TEXT_MAX])
        except (ValueError, OverflowError):
            raise wrong from None
        if not least_s <= seconds <= most_s:
            raise wrong
        return seconds

    def texts(self, name: str, *, every: str) -> tuple[str, ...] | None:
        """One text or a list of some; None for the word ``every``, which means all there are."""
        value = self._take(name, ...)
        if value == every:
            return None
        parts = [value] if isinstance(value, str) else value
        if not isinstance(parts, list) or not parts or not all(isinstance(part, str) and part for part in parts):
            raise _wrong(name, f"{name} is {every!r}, or a list of texts")
        return tuple(part.strip()[:TEXT_MAX] for part in parts)

    def flag(self, name: str, default: bool = False) -> bool:
        """``true`` or ``false``."""
        value = self._take(name, default)
        if not isinstance(value, bool):
            raise _wrong(name, f"{name} is true or false")
        return value

    @overload
    def address(self, name: str) -> Address: ...

    @overload
    def address(self, name: str, default: T) -> Address | T: ...

    def address(self, name: str, default: object = ...) -> object:
        """The address of a wired meter, as in the configuration."""
        value = self._take(name, default)
        if value is default:
            return value
        try:
            return parse_address(value)
        except (ValueError, TypeError) as error:
            raise _wrong(name, str(error)) from None

    def done(self) -> None:
        """Nothing else may be there."""
        strangers = sorted(set(self._given) - self._asked)
        if strangers:
            known = ", ".join(sorted(self._asked)) or "none"
            raise _wrong(strangers[0], f"there is no parameter {strangers[0][:40]!r}; there are {known}")

    def _take(self, name: str, default: object) -> object:
        self._asked.add(name)
        if name in self._given:
            return self._given[name]
        if default is ...:
            raise _wrong(name, f"{name} is needed")
        return default


def _wrong(name: str, message: str) -> RequestError:
    return RequestError(400, "bad_request", message, field=name[:40])
