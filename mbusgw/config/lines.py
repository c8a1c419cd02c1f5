"""YAML with line numbers.

Every scalar stays the text it was written as, so that ``meter_id: 00012345`` keeps its
zeros (YAML 1.1 reads it as an octal number), ``echo: off`` stays a word and
``key: 0102...`` no number; the models turn texts into numbers where they want some.
Only a plain ``null``, ``~`` or nothing becomes None.
"""
from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Union

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from mbusgw.model.errors import ConfigError, Problem

#: What a YAML text becomes.
Tree = Union[None, str, list["Tree"], dict[str, "Tree"]]
#: ``("devices", 2, "address")``.
KeyPath = tuple[Union[str, int], ...]

_STANDARD_TAG = "tag:yaml.org,2002:"
_MOST_NODES = 200_000


@dataclass(slots=True)
class Document:
    """A YAML file as texts, the line of every key and item, and what was wrong on the way."""

    tree: Tree
    lines: dict[KeyPath, int] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)


def dotted(path: KeyPath) -> str:
    """``devices[2].address``."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def read_document(file: Path, *, option: str = "-c FILE") -> Document:
    """Reads and parses ``file``, which ``option`` names. **any thread**

    Raises ``ConfigError`` when it cannot be read or is no YAML.
    """
    source = str(file)
    try:
        text = file.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        raise _refuse(source, None, "there is no such file", f"name another one with {option}") from None
    except IsADirectoryError:
        raise _refuse(source, None, "is a folder, not a file") from None
    except PermissionError:
        raise _refuse(source, None, "may not be read by this user", "try with sudo, or as user mbusgw") from None
    except UnicodeDecodeError as error:
        raise _refuse(source, None, f"is no UTF-8 text (byte {error.start})") from None
    except OSError as error:
        raise _refuse(source, None, f"cannot be read: {error.strerror}") from None
    return parse_document(text, source)


def parse_document(text: str, source: str) -> Document:
    """Parses YAML ``text``; problems name ``source``. Raises ``ConfigError``. **any thread**"""
    loader: yaml.SafeLoader | None = None
    try:
        loader = yaml.SafeLoader(text)
        node = loader.get_single_node()
        if node is None:
            return Document({})
        builder = _Builder(loader, source)
        builder.document.tree = builder.tree_of(node, ())
        return builder.document
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise _refuse(source, mark.line + 1 if mark else None, *_explain(error)) from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise _refuse(source, line, "holds a control character, which YAML does not allow") from None
    except RecursionError:
        raise _refuse(source, None, "is nested too deeply") from None
    finally:
        if loader is not None:
            loader.dispose()


def _refuse(source: str, line: int | None, message: str, suggestion: str = "") -> ConfigError:
    return ConfigError([Problem(source, line, "", message, suggestion)])


def _explain(error: yaml.MarkedYAMLError) -> tuple[str, str]:
    """A sentence and an advice. The text of the line is never shown: it may hold a secret."""
    problem = error.problem or "cannot be understood"
    if "alias" in problem or "anchor" in (error.context or ""):
        return "is no valid YAML: an unquoted value begins with * or &", "put it in quotes"
    if "tag" in (error.context or ""):
        return "is no valid YAML: an unquoted value begins with !", "put it in quotes"
    if "\\t" in problem:
        return "is no valid YAML: a tab where spaces are needed", "indent with spaces"
    if "mapping values are not allowed" in problem:
        return "is no valid YAML: a second colon, or a wrong indentation", "put values with ': ' in quotes"
    if "cannot start any token" in problem:
        return "is no valid YAML: an unquoted value begins with @, ` or %", "put it in quotes"
    opened = error.context_mark.line + 1 if error.context_mark else 0
    if "unexpected end of stream" in problem and "quoted scalar" in (error.context or ""):
        return f"is no valid YAML: the quotation mark in line {opened} has no end", ""
    if "flow" in (error.context or ""):
        return f"is no valid YAML: what begins with {{ or [ in line {opened} is not closed, or lacks a comma", ""
    if "block" in (error.context or ""):
        return "is no valid YAML: a wrong indentation", "what belongs together begins in the same column"
    context = f" {error.context}" if error.context else ""
    return f"is no valid YAML:{context} {problem}".replace("  ", " "), ""


class _Builder:
    """Turns nodes into texts, remembers lines, collects problems."""

    def __init__(self, loader: yaml.SafeLoader, source: str) -> None:
        self._loader = loader
        self._source = source
        self._nodes = 0
        self.document = Document(None)

    def tree_of(self, node: Node, path: KeyPath) -> Tree:
        self._nodes += 1
        if self._nodes > _MOST_NODES:
            raise _refuse(self._source, None, "is too large, or its aliases multiply without end")
        self.document.lines.setdefault(path, _line(node))
        if isinstance(node, MappingNode):
            return self._mapping(node, path)
        if isinstance(node, SequenceNode):
            return [self.tree_of(item, (*path, number)) for number, item in enumerate(node.value)]
        return self._scalar(node, path)

    def _mapping(self, node: MappingNode, path: KeyPath) -> Tree:
        first_lines: dict[str, int] = {}
        for key, _ in node.value:
            if isinstance(key, ScalarNode) and key.value != "<<" and key.value in first_lines:
                self._problem(key, (*path, key.value), f"stands there twice, first in line {first_lines[key.value]}")
            first_lines.setdefault(str(key.value), _line(key))
        self._loader.flatten_mapping(node)  # "<<": what is merged in comes first, so that own keys win
        mapping: dict[str, Tree] = {}
        for key, value in node.value:
            if not isinstance(key, ScalarNode):
                self._problem(key, path, "a key is a word, not a list or a mapping")
                continue
            place = (*path, str(key.value))
            self.document.lines[place] = _line(key)
            mapping[str(key.value)] = self.tree_of(value, place)
        return mapping

    def _scalar(self, node: Node, path: KeyPath) -> str | None:
        if not node.tag.startswith(_STANDARD_TAG):
            self._problem(node, path, "an unquoted value begins with !", "put it in quotes")
        if node.tag == f"{_STANDARD_TAG}null" and getattr(node, "style", None) is None:
            return None
        return str(node.value)

    def _problem(self, node: Node, path: KeyPath, message: str, suggestion: str = "") -> None:
        self.document.problems.append(Problem(self._source, _line(node), dotted(path), message, suggestion))


def _line(node: Node) -> int:
    return int(node.start_mark.line) + 1
