"""Items put into a list of a YAML text, of which every other character stays as it is.

A parser only says where: what it would write itself has other quotes, other indentation, and comments that
have wandered. Styles are those of the neighbours: block or flow, indentation, blank lines, line ends.
"""
from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NoReturn

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from mbusgw.model.errors import ConfigUnchanged

#: One item of a list: its keys in order.
Entry = Mapping[str, str | int]

_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_NO_WORDS = frozenset({"null", "true", "false", "yes", "no", "on", "off", "y", "n"})
#: A document may begin with it, and hold nothing else.
_BEGIN = re.compile(r"^---", re.MULTILINE)
_DASH = re.compile(r"^( *)-(?=[ \r\n]|$)", re.MULTILINE)


def insert(text: str, section: str, entries: Sequence[Entry]) -> str:
    """``text`` with ``entries`` at the end of the list ``section``, which is made where there is none.

    ``text`` must have been understood by ``config.lines``. Whoever calls this compares what the result means
    with what was wanted. Raises ``ConfigUnchanged`` where the list is written in a way that has no end to
    put something at. **any thread**
    """
    root = yaml.compose(text, yaml.SafeLoader)
    writer = _Writer(text, section, entries)
    if root is None:
        return writer.new_section(len(text), "")
    if isinstance(root, ScalarNode) and _is_null(root):
        begin = _BEGIN.search(text)
        return writer.new_section(_line_end(text, begin.end()) if begin else len(text), "")
    if not isinstance(root, MappingNode):
        _refuse(section, "the file is no mapping")
    found = [(key, value) for key, value in root.value if isinstance(key, ScalarNode) and key.value == section]
    if not found:
        return writer.new_key_in_flow(root) if root.flow_style else writer.new_section_behind(root)
    if len(found) > 1:
        _refuse(section, "it stands there twice")
    key, value = found[0]
    if value.start_mark.index < key.end_mark.index:
        _refuse(section, "it is an alias (*) of something that stands elsewhere")
    if isinstance(value, ScalarNode) and _is_null(value):
        return writer.in_place_of(value, block=not root.flow_style, indent=key.start_mark.column)
    if not isinstance(value, SequenceNode):
        _refuse(section, "it is no list")
    if not value.flow_style:
        return writer.behind_block(value)
    if value.value:
        return writer.behind_flow(value)
    return writer.in_place_of(value, block=not root.flow_style, indent=key.start_mark.column)


def _refuse(section: str, why: str) -> NoReturn:
    raise ConfigUnchanged(f"nothing can be added to `{section}`: {why}", hint="add it by hand")


def _is_null(node: ScalarNode) -> bool:
    return bool(node.tag == "tag:yaml.org,2002:null" and node.style is None)


@dataclass(frozen=True, slots=True)
class _Writer:
    """One text, and what is to come into it. **immutable**"""

    text: str
    section: str
    entries: Sequence[Entry]

    @property
    def newline(self) -> str:
        found = re.search(r"\r\n|\n|\r", self.text)
        return found.group() if found else "\n"

    # -------------------------------------------------- a section that is not there
    def new_section_behind(self, root: MappingNode) -> str:
        """Behind all there is, but before the mark of the document's end."""
        return self.new_section(root.end_mark.index, " " * root.start_mark.column)

    def new_section(self, position: int, indent: str) -> str:
        before, nl = self.text[:position], self.newline
        if before and not before.endswith(("\n", "\r")):
            before += nl
        gap = nl if before and not before.endswith(nl * 2) else ""
        return f"{before}{gap}{indent}{self.section}:{nl}{self._block(f'{indent}  ')}{self.text[position:]}"

    def new_key_in_flow(self, root: MappingNode) -> str:
        item = f"{_word(self.section)}: [{self._flow()}]"
        if not root.value:
            return self._put(root.start_mark.index + 1, item)
        key, value = root.value[-1]
        if value.start_mark.index < key.end_mark.index:
            _refuse(self.section, "the last value of the file is an alias (*)")
        return self._put(value.end_mark.index, f", {item}")

    # -------------------------------------------------- an empty one
    def in_place_of(self, value: Node, *, block: bool, indent: int) -> str:
        """Instead of nothing, ``null`` or ``[]``."""
        start, end = value.start_mark.index, value.end_mark.index
        if not block or re.search(r"[\r\n]", self.text[start:end]):
            space = "" if self.text[start - 1 : start].isspace() else " "
            return f"{self.text[:start]}{space}[{self._flow()}]{self.text[end:]}"
        line_end = _line_end(self.text, end)
        head = self.text[:start].rstrip(" \t") + self.text[end:line_end]
        if not head.endswith(("\n", "\r")):
            head += self.newline
        return head + self._block(" " * (indent + 2)) + self.text[line_end:]

    # -------------------------------------------------- one with items
    def behind_block(self, sequence: SequenceNode) -> str:
        text, last = self.text, sequence.value[-1]
        dashes = [found for found in _DASH.finditer(text, sequence.start_mark.index - sequence.start_mark.column)]
        if not dashes or last.start_mark.index < sequence.start_mark.index:
            _refuse(self.section, "it is anchored, or ends with an alias (*)")
        indent = dashes[0].group(1)
        last_dash = [dash for dash in dashes if dash.group(1) == indent and dash.start() <= last.start_mark.index][-1]
        position = _end_of_item(text, last_dash.end(), sequence.end_mark.index, len(indent))
        before, nl = text[:position], self.newline
        if not before.endswith(("\n", "\r")):
            before += nl
        gap = nl if len(sequence.value) > 1 and _blank_line_before(text, last_dash.start()) else ""
        if isinstance(last, MappingNode) and last.flow_style:
            items = [f"{gap}{indent}- {{{_flow(entry)}}}{nl}" for entry in self.entries]
            return before + "".join(items) + text[position:]
        same_line = not re.search(r"[\r\n]", text[last_dash.end() : last.start_mark.index])
        offset = last.start_mark.column - len(indent) if same_line and isinstance(last, MappingNode) else 2
        return before + self._block(indent, offset=offset, gap=gap) + text[position:]

    def behind_flow(self, sequence: SequenceNode) -> str:
        text, last = self.text, sequence.value[-1]
        if last.start_mark.index < sequence.start_mark.index:
            _refuse(self.section, "it ends with an alias (*)")
        end = last.end_mark.index
        rest = text[end : sequence.end_mark.index - 1]
        comma = re.match(r"(?:\s|#[^\r\n]*(?=[\r\n]))*,", rest)
        if not re.search(r"[\r\n]", rest):
            return self._put(end, f", {self._flow()}")
        line_end = _line_end(text, end + (comma.end() if comma else 0))
        indent = " " * last.start_mark.column
        item = f"{indent}{self._flow(f',{self.newline}{indent}')}{',' if comma else ''}{self.newline}"
        return f"{text[:end]}{'' if comma else ','}{text[end:line_end]}{item}{text[line_end:]}"

    # -------------------------------------------------- the items
    def _put(self, position: int, words: str) -> str:
        return self.text[:position] + words + self.text[position:]

    def _block(self, indent: str, *, offset: int = 2, gap: str = "") -> str:
        lines = []
        for entry in self.entries:
            lead = f"{gap}{indent}-{' ' * (offset - 1)}"
            for key, value in entry.items():
                lines.append(f"{lead}{key}: {_word(value)}{self.newline}")
                lead = indent + " " * offset
        return "".join(lines)

    def _flow(self, parting: str = ", ") -> str:
        return parting.join(f"{{{_flow(entry)}}}" for entry in self.entries)


def _flow(entry: Entry) -> str:
    return ", ".join(f"{key}: {_word(value)}" for key, value in entry.items())


def _word(value: str | int) -> str:
    if isinstance(value, int) or _PLAIN.fullmatch(value) and value.lower() not in _NO_WORDS:
        return str(value)
    return json.dumps(value, ensure_ascii=False)


# ------------------------------------------------------------------ lines
def _line_end(text: str, position: int) -> int:
    """Where the line after the one at ``position`` begins."""
    found = re.compile(r"\r\n|\n|\r").search(text, position)
    return found.end() if found else len(text)


def _end_of_item(text: str, begin: int, limit: int, column: int) -> int:
    """Where a block item ends: comments that are set deeper than its dash are its own, what follows is not."""
    end = begin
    position = begin
    while position < limit:
        line_end = min(_line_end(text, position), limit)
        line = text[position:line_end]
        body = line.lstrip(" ")
        blank = not line.strip()
        foreign = body.startswith("#") and len(line) - len(body) <= column and position != begin
        if not blank and not foreign or position == begin:
            end = line_end
        position = line_end
    return end


def _blank_line_before(text: str, position: int) -> bool:
    lines = re.split(r"\r\n|\n|\r", text[:position])
    above = [line for line in lines[:-1] if not line.lstrip().startswith("#")]
    return bool(above) and not above[-1].strip()
