"""What the models expect at a place: the keys known there, whether it is a secret, whether it may be empty."""
from __future__ import annotations

from difflib import get_close_matches
from types import NoneType
from typing import Any, get_args, get_origin

from pydantic import SecretStr

from mbusgw.config.lines import KeyPath, Tree
from mbusgw.config.models import Config, DeviceConfig, RadioDeviceConfig
from mbusgw.config.outputs import InfluxConfig, WebhookConfig
from mbusgw.config.section import Section

#: Where a list has items of several kinds: what each is called.
_WHAT: dict[type[Section], str] = {
    DeviceConfig: "a wired meter (without `radio`)",
    RadioDeviceConfig: "a radio meter (with `radio`)",
    InfluxConfig: "an output of type influx",
    WebhookConfig: "an output of type webhook",
}
#: Not declared secret, but people write passwords into them.
_MAY_HOLD_SECRETS = {("mqtt", "url"), ("lobaro", "url"), ("outputs", "url")}


def annotation_at(path: KeyPath) -> Any:
    """The type that belongs at ``path``; None where no such place exists."""
    kind: Any = Config
    for part in path:
        kind = _inside(kind, part)
        if kind is None:
            return None
    return kind


def sections_at(path: KeyPath) -> list[type[Section]]:
    """The models of the section at ``path``, of which one belongs there; none where no section does."""
    return _sections(annotation_at(path))


def section_at(path: KeyPath) -> type[Section] | None:
    """The first of them, if there is one."""
    return next(iter(sections_at(path)), None)


def _sections(kind: Any) -> list[type[Section]]:
    """The models that may stand at a place."""
    if isinstance(kind, type) and issubclass(kind, Section):
        return [kind]
    return [model for part in get_args(kind) for model in _sections(part)] if get_origin(kind) is not tuple else []


def is_secret(path: KeyPath) -> bool:
    """The value there must not be shown, and neither must what lies below it."""
    places = [path[:length] for length in range(1, len(path) + 1)]
    keys = tuple(part for part in path if isinstance(part, str))
    return keys[:2] in _MAY_HOLD_SECRETS or any(_mentions(annotation_at(place), SecretStr) for place in places)


def without_empty(tree: Tree, path: KeyPath = ()) -> Tree:
    """``tree`` without the keys that are written but left empty, where the default is meant."""
    if isinstance(tree, list):
        return [without_empty(item, (*path, number)) for number, item in enumerate(tree)]
    if not isinstance(tree, dict):
        return tree
    section = section_at(path)
    return {
        key: without_empty(value, (*path, key))
        for key, value in tree.items()
        if not (value is None and section is not None and not _may_be_none(section, key))
    }


def guess(word: str, words: list[str]) -> str:
    """``did you mean `address`?`` or nothing."""
    near = get_close_matches(word.lower(), words, n=1, cutoff=0.6)
    return f"did you mean `{near[0]}`?" if near else ""


def guess_key(path: KeyPath) -> str:
    """What was probably meant by the unknown key at ``path``: one nearby, or the section it belongs to."""
    section, key = section_at(path[:-1]), str(path[-1])
    if section is None:
        return ""
    others = [_WHAT[model] for model in _sections(annotation_at(path[:-1])) if key in model.model_fields]
    if others:  # another kind of item in the same list
        return f"only {' and '.join(others)} has it"
    known = list(dict.fromkeys(key for model in _sections(annotation_at(path[:-1])) for key in model.model_fields))
    exact_elsewhere = [
        name for name in Config.model_fields if key in getattr(_section_of(name), "model_fields", {})
    ]
    if exact_elsewhere:
        return f"`{key}` is a key of {' and '.join(exact_elsewhere)}"
    return guess(key, known) or f"known here: {', '.join(known)}"


def _section_of(name: str) -> type[Section] | None:
    return section_at((name,)) or section_at((name, 0))


def _inside(kind: Any, part: str | int) -> Any:
    for section in _sections(kind):
        if known := section.model_fields.get(str(part)):
            return known.annotation
    if get_origin(kind) is tuple:
        return get_args(kind)[0] if isinstance(part, int) else None
    if get_origin(kind) is dict:
        return get_args(kind)[1]
    return None


def _may_be_none(section: type[Section], key: str) -> bool:
    known = section.model_fields.get(key)
    return known is None or _mentions(known.annotation, NoneType)


def _mentions(kind: Any, wanted: type) -> bool:
    if kind is wanted:
        return True
    if isinstance(kind, type) and issubclass(kind, Section):
        return False
    return get_origin(kind) is not tuple and any(_mentions(part, wanted) for part in get_args(kind))
