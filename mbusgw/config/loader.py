"""From a file and the environment to a ``Config``, or to everything that is wrong with them."""
from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from mbusgw.config.consistency import Conflict, conflicts, doubts
from mbusgw.config.environment import SOURCE, Overlay
from mbusgw.config.kinds import check_header_text
from mbusgw.config.lines import Document, KeyPath, Tree, dotted, parse_document, read_document
from mbusgw.config.messages import sentence
from mbusgw.config.models import BusConfig, Config, DeviceConfig, KeyConfig, RadioDeviceConfig
from mbusgw.config.outputs import InfluxConfig, OutputConfig, WebhookConfig
from mbusgw.config.secrets import read_secret
from mbusgw.config.section import Section
from mbusgw.config.shape import guess_key, is_secret, without_empty
from mbusgw.model.errors import ConfigError, Problem

DEFAULT_FILE = Path("/etc/mbusgw/mbusgw.yaml")
#: Files that must be there, though only the broker's client and the HTTP server open them.
_FILES_NEEDED = (
    ("mqtt", "ca_file"),
    ("mqtt", "cert_file"),
    ("mqtt", "key_file"),
    ("http", "tls_cert_file"),
    ("http", "tls_key_file"),
)

Item = TypeVar("Item", bound=Section)


def load(path: Path, environ: Mapping[str, str] = os.environ) -> Config:
    """The configuration of ``path`` with what ``environ`` overrides.

    Raises ``ConfigError`` with every problem at once. Opens nothing but the file, and
    the password's file if it names one. **any thread**
    """
    return check(path, environ)[0]


def check(path: Path, environ: Mapping[str, str] = os.environ) -> tuple[Config, list[Problem]]:
    """The same, and what in it is allowed but probably not meant. **any thread**"""
    return _Attempt(str(path), read_document(path), environ).checked()


def loads(text: str, environ: Mapping[str, str], *, source: str = "configuration") -> Config:
    """The same from YAML ``text``. **any thread**"""
    return _Attempt(source, parse_document(text, source), environ).checked()[0]


def with_state_dir(config: Config, folder: Path) -> Config:
    """``config`` with database, logs and heartbeat file below ``folder``.

    Only those move that lie in the service's own folders, which a user cannot write; a
    path that the file sets elsewhere stays. **any thread**
    """
    folder = folder.expanduser().absolute()
    moves: dict[str, tuple[str, Path]] = {
        "storage": ("path", folder / config.storage.path.name),
        "logging": ("directory", folder / "log"),
        "health": ("heartbeat_file", folder / config.health.heartbeat_file.name),
    }
    changed = {}
    for name, (key, target) in moves.items():
        section = getattr(config, name)
        if _is_the_services(getattr(section, key)):
            changed[name] = section.model_copy(update={key: target})
    return config.model_copy(update=changed)


def _is_the_services(path: Path) -> bool:
    return any(path.is_relative_to(root) for root in ("/var/lib/mbusgw", "/var/log/mbusgw", "/run/mbusgw"))


@dataclass(frozen=True, slots=True)
class _Attempt:
    """One file on its way to a ``Config``: every step adds to the problems."""

    source: str
    document: Document
    environ: Mapping[str, str]

    def checked(self) -> tuple[Config, list[Problem]]:
        tree = self.document.tree
        if tree is None:
            tree = {}
        if not isinstance(tree, dict):
            message = "must be a mapping: lines of `key: value`"
            raise ConfigError([Problem(self.source, self.document.lines.get((), 1), "", message)])
        overlay = Overlay(tree, self.environ)
        overlay.apply()
        cleaned = without_empty(tree)
        assert isinstance(cleaned, dict)
        problems = [*self.document.problems, *overlay.problems]
        config = self._validated(cleaned, overlay, problems)
        problems += [self._problem(c.path, c.message, c.suggestion, overlay) for c in _conflicts_in(cleaned)]
        if config is not None:
            config = self._with_files(config, overlay, problems)
        if problems or config is None:
            raise ConfigError(sorted(problems, key=_place))
        return config, [self._problem(doubt.path, doubt.message, doubt.suggestion, overlay) for doubt in doubts(config)]

    def _validated(self, tree: dict[str, Tree], overlay: Overlay, problems: list[Problem]) -> Config | None:
        try:
            return Config.model_validate(tree)
        except ValidationError as error:
            found = [dict(one) for one in error.errors(include_url=False, include_input=False)]
        written = [one for one in found if one["type"] == "missing" or _look_up(tree, _path(one))[0]]
        # The others are values derived from these, unless there are only others.
        problems += [self._translate(one, tree, overlay) for one in written or found]
        return None

    def _translate(self, error: dict[str, Any], tree: dict[str, Tree], overlay: Overlay) -> Problem:
        path = _path(error)
        value = _look_up(tree, path)[1]
        message, suggestion = sentence(error, value, secret=is_secret(path))
        if error["type"] == "extra_forbidden":
            suggestion = guess_key(path)
        return self._problem(path, message, suggestion, overlay)

    def _problem(self, path: KeyPath, message: str, suggestion: str, overlay: Overlay) -> Problem:
        for length in range(len(path), 0, -1):
            if path[:length] in overlay.variables:
                return Problem(SOURCE, None, overlay.variables[path[:length]], message, suggestion)
        return Problem(self.source, self._line(path), dotted(path), message, suggestion)

    def _line(self, path: KeyPath) -> int | None:
        lines = (self.document.lines.get(path[:length]) for length in range(len(path), 0, -1))
        return next((line for line in lines if line is not None), None)

    def _with_files(self, config: Config, overlay: Overlay, problems: list[Problem]) -> Config:
        for section, key in _FILES_NEEDED:
            file = getattr(getattr(config, section), key)
            if file is not None and _is_missing(file):
                problems.append(self._problem((section, key), f"there is no file {file}", "", overlay))

        def filled(section: Item, path: KeyPath) -> Item:
            return self._with_secrets(section, path, overlay, problems)

        outputs = tuple(filled(one, ("outputs", number)) for number, one in enumerate(config.outputs))
        return config.model_copy(update={"mqtt": filled(config.mqtt, ("mqtt",)), "outputs": outputs})

    def _with_secrets(self, section: Item, path: KeyPath, overlay: Overlay, problems: list[Problem]) -> Item:
        """``section`` with what stands in the files that it names: ``password_file`` holds ``password``."""
        found = {}
        for key in ("password", "token"):
            file = getattr(section, f"{key}_file", None)
            if file is None:
                continue
            try:
                secret = read_secret(file)
                found[key] = check_header_text(secret) if key == "token" else secret
            except ValueError as error:
                problems.append(self._problem((*path, f"{key}_file"), str(error), "", overlay))
        return section.model_copy(update=found) if found else section


def _path(error: dict[str, Any]) -> KeyPath:
    return tuple(part for part in error["loc"] if not str(part).startswith("["))


def _look_up(tree: Tree, path: KeyPath) -> tuple[bool, Tree]:
    for part in path:
        if isinstance(tree, dict) and isinstance(part, str) and part in tree:
            tree = tree[part]
        elif isinstance(tree, list) and isinstance(part, int) and part < len(tree):
            tree = tree[part]
        else:
            return False, None
    return True, tree


def _conflicts_in(tree: dict[str, Tree]) -> list[Conflict]:
    """Checked on the items that are right in themselves, so that these problems are seen in the first round too."""
    outputs: dict[int, OutputConfig] = {
        **_valid_items(tree, "outputs", InfluxConfig), **_valid_items(tree, "outputs", WebhookConfig)
    }
    return conflicts(
        _valid_items(tree, "buses", BusConfig),
        _valid_items(tree, "devices", DeviceConfig),
        _valid_items(tree, "devices", RadioDeviceConfig),
        _valid_items(tree, "keys", KeyConfig),
        dict(sorted(outputs.items())),
        buses_wanted=_texts(tree, "devices", "bus"),
        bus_names=_texts(tree, "buses", "name").values(),
    )


def _texts(tree: dict[str, Tree], section: str, key: str) -> dict[int, str]:
    items = tree.get(section)
    texts = {}
    for number, item in enumerate(items if isinstance(items, list) else []):
        text = item.get(key) if isinstance(item, dict) else None
        if isinstance(text, str):
            texts[number] = text
    return texts


def _valid_items(tree: dict[str, Tree], section: str, model: type[Item]) -> dict[int, Item]:
    valid: dict[int, Item] = {}
    items = tree.get(section)
    for number, item in enumerate(items if isinstance(items, list) else []):
        try:
            valid[number] = model.model_validate(item)
        except ValidationError:
            continue  # reported already, with the whole file
    return valid


def _is_missing(file: Path) -> bool:
    try:
        file.stat()
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False  # perhaps only the service's user may look there
    return False


def _place(problem: Problem) -> tuple[bool, int]:
    return problem.source == SOURCE, problem.line or 0
