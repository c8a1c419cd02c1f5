"""Pydantic's errors in words that help the person who wrote the file."""
from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mbusgw.config.kinds import LONGEST_S
from mbusgw.config.lines import Tree
from mbusgw.config.shape import guess

_SENTENCES: dict[str, str] = {
    "missing": "is missing",
    "extra_forbidden": "unknown key",
    "int_parsing": "must be a whole number",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_parsing": "must be a number",
    "float_type": "must be a number",
    "finite_number": "must be a number",
    "bool_parsing": "must be true or false",
    "bool_type": "must be true or false",
    "greater_than": "must be greater than {gt:g}",
    "greater_than_equal": "must be at least {ge:g}",
    "less_than": "must be less than {lt:g}",
    "less_than_equal": "must be at most {le:g}",
    "literal_error": "must be {expected}",
    "string_type": "must be a text",
    "path_type": "must be a path",
    "string_too_short": "is empty",
    "string_too_long": "has more than {max_length} characters",
    "tuple_type": "must be a list: each item begins with a dash (- )",
    "dict_type": "must be a mapping: lines of `key: value`",
    "model_type": "must be a mapping: lines of `key: value`",
}
_LONGEST_SHOWN = 60
#: Here the key tells enough; the value may be anything, a secret in the wrong place too.
_WITHOUT_VALUE = ("missing", "extra_forbidden", "tuple_type", "dict_type", "model_type")


def sentence(error: Mapping[str, Any], value: Tree, *, secret: bool) -> tuple[str, str]:
    """What is wrong and what was probably meant. ``value`` is what was written, shown unless it is ``secret``."""
    kind = str(error["type"])
    context: dict[str, Any] = error.get("ctx") or {}
    if kind == "value_error":
        text = str(context["error"])
    elif kind == "less_than_equal" and context["le"] == LONGEST_S:
        text = "must be at most ten years (3660d)"
    elif kind in _SENTENCES:
        text = _SENTENCES[kind].format_map(context).replace("'", "")
    else:
        text = str(error["msg"])
    if value is None and kind not in ("missing", "extra_forbidden"):
        return f"{text}; it is empty", ""
    if not isinstance(value, str) or secret or kind in _WITHOUT_VALUE:
        return text, ""
    shown = value if len(value) <= _LONGEST_SHOWN else f"{value[:_LONGEST_SHOWN]}..."
    return f"{text}; found `{shown}`", _suggest(kind, context, value)


def _suggest(kind: str, context: Mapping[str, Any], value: str) -> str:
    if kind != "literal_error":
        return ""
    words = str(context["expected"]).replace("'", "").replace(" or ", ", ").split(", ")
    by_lower = {word.lower(): word for word in words}
    found = guess(value, list(by_lower))
    for lower, word in by_lower.items():
        found = found.replace(f"`{lower}`", f"`{word}`")
    return found
