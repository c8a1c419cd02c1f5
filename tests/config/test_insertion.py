"""Items put into a list of a YAML text, of which everything else stays."""
from __future__ import annotations

from textwrap import dedent

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mbusgw.config.insertion import Entry, insert
from mbusgw.config.lines import parse_document
from mbusgw.model.errors import ConfigError, ConfigUnchanged

NEW: Entry = {"id": "els_1", "bus": "main", "address": 5}
OTHER: Entry = {"id": "pad_2", "bus": "main", "address": "1234567824401007"}


def after(text: str, *entries: Entry) -> str:
    return insert(text, "devices", entries or (NEW,))


def check(before: str, wanted: str, *entries: Entry) -> None:
    assert after(dedent(before).lstrip("\n"), *entries) == dedent(wanted).lstrip("\n")


def test_an_item_comes_behind_the_last_one_and_before_the_comment_of_the_next_section() -> None:
    check(
        """
        # my meters
        devices:
          - id: a   # the first
            bus: main
            address: 1
            # its own comment
            #interval: 5

          # ---------------- radio
        # more of that
        ingest: {keys: {}}
        """,
        """
        # my meters
        devices:
          - id: a   # the first
            bus: main
            address: 1
            # its own comment
            #interval: 5
          - id: els_1
            bus: main
            address: 5

          # ---------------- radio
        # more of that
        ingest: {keys: {}}
        """,
    )


def test_several_come_in_their_order() -> None:
    check(
        "devices:\n- {id: a, bus: main, address: 1}",
        """
        devices:
        - {id: a, bus: main, address: 1}
        - {id: els_1, bus: main, address: 5}
        - {id: pad_2, bus: main, address: "1234567824401007"}
        """,
        NEW,
        OTHER,
    )


@pytest.mark.parametrize("end", ["", "\n", "\n\n\n", "\n# the end\n", "\n# the end"])
def test_at_the_end_of_the_file_it_may_end_as_it_likes(end: str) -> None:
    text = f"devices:\n  - id: a\n    bus: main\n    address: 1{end}"
    assert after(text) == f"devices:\n  - id: a\n    bus: main\n    address: 1\n{ITEM}{end[1:]}"


ITEM = "  - id: els_1\n    bus: main\n    address: 5\n"


def test_dashes_stand_where_the_others_stand() -> None:
    check(
        """
        devices:
        -   id: a
            bus: main
            address: 1
        """,
        """
        devices:
        -   id: a
            bus: main
            address: 1
        -   id: els_1
            bus: main
            address: 5
        """,
    )


def test_blank_lines_between_items_are_kept_up() -> None:
    check(
        """
        devices:
          - id: a
            address: 1

          # the second
          - id: b
            address: 2
        http: {}
        """,
        """
        devices:
          - id: a
            address: 1

          # the second
          - id: b
            address: 2

          - id: els_1
            bus: main
            address: 5

          - id: pad_2
            bus: main
            address: "1234567824401007"
        http: {}
        """,
        NEW,
        OTHER,
    )


def test_an_item_whose_keys_begin_on_the_next_line_does_no_harm() -> None:
    check("devices:\n  -\n    id: a\n    bus: m\n", "devices:\n  -\n    id: a\n    bus: m\n" + ITEM)


@pytest.mark.parametrize(
    ("before", "wanted"),
    [
        ("devices: []\n", f"devices:\n{ITEM}"),
        ("devices: [ ] # none yet\nhttp: {}\n", f"devices: # none yet\n{ITEM}http: {{}}\n"),
        ("devices:\n", f"devices:\n{ITEM}"),
        ("devices:", f"devices:\n{ITEM}"),
        ("devices: null\nhttp: {}\n", f"devices:\n{ITEM}http: {{}}\n"),
        ("devices: ~  # none\n", f"devices:  # none\n{ITEM}"),
        ("devices: # none\n  #- id: x\nhttp: {}\n", f"devices: # none\n{ITEM}  #- id: x\nhttp: {{}}\n"),
        ("http: {}\n", f"http: {{}}\n\ndevices:\n{ITEM}"),
        ("http: {}", f"http: {{}}\n\ndevices:\n{ITEM}"),
        ("http: {}\n...\n", f"http: {{}}\n\ndevices:\n{ITEM}...\n"),
        ("---\nhttp: {}\n", f"---\nhttp: {{}}\n\ndevices:\n{ITEM}"),
        ("http: {}\n\n", f"http: {{}}\n\ndevices:\n{ITEM}"),
        ("", f"devices:\n{ITEM}"),
        ("# nothing yet\n", f"# nothing yet\n\ndevices:\n{ITEM}"),
        ("---\n", f"---\n\ndevices:\n{ITEM}"),
        (" http: {}\n", " http: {}\n\n devices:\n   - id: els_1\n     bus: main\n     address: 5\n"),
    ],
)
def test_a_list_that_is_empty_or_not_there_is_begun(before: str, wanted: str) -> None:
    assert after(before) == wanted


FLOW = "{id: els_1, bus: main, address: 5}"


@pytest.mark.parametrize(
    ("before", "wanted"),
    [
        ("devices: [{id: a}]\n", f"devices: [{{id: a}}, {FLOW}]\n"),
        ("devices: [{id: a},]\n", f"devices: [{{id: a}}, {FLOW},]\n"),
        ("devices: [\n  {id: a}, # one\n  {id: b}  # two\n]\n",
         f"devices: [\n  {{id: a}}, # one\n  {{id: b}},  # two\n  {FLOW}\n]\n"),
        ("devices: [\n  {id: a},\n  {id: b},  # two\n]\n",
         f"devices: [\n  {{id: a}},\n  {{id: b}},  # two\n  {FLOW},\n]\n"),
        ("devices: [\n  {id: a}\n  # one\n  ,\n]\n", f"devices: [\n  {{id: a}}\n  # one\n  ,\n  {FLOW},\n]\n"),
        ("{}", f"{{devices: [{FLOW}]}}"),
        ("{http: {}}\n", f"{{http: {{}}, devices: [{FLOW}]}}\n"),
        ("{http: {}, # x\n}\n", f"{{http: {{}}, devices: [{FLOW}], # x\n}}\n"),
        ("{devices: [], http: {}}\n", f"{{devices: [{FLOW}], http: {{}}}}\n"),
        ("{devices: , http: {}}\n", f"{{devices: [{FLOW}] , http: {{}}}}\n"),
        ("{devices: null}\n", f"{{devices: [{FLOW}]}}\n"),
        ("{'devices': [{'id': 'a'}]}\n", f"{{'devices': [{{'id': 'a'}}, {FLOW}]}}\n"),
        ("devices: [ # none\n]\n", f"devices: [{FLOW}]\n"),
    ],
)
def test_what_is_written_in_flow_style_stays_so(before: str, wanted: str) -> None:
    if "# none" in before:  # a comment inside an empty list has no place to stay
        assert parse_document(after(before), "").tree == {"devices": [tree(NEW)]}
    else:
        assert after(before) == wanted


def test_line_ends_of_windows_stay() -> None:
    text = "# Zähler\r\ndevices:\r\n  - id: a\r\n    name: Küche\r\n\r\nhttp: {}\r\n"
    assert after(text) == text.replace("Küche\r\n", "Küche\r\n" + ITEM.replace("\n", "\r\n"))


@pytest.mark.parametrize("word", ["null", "on", "No", "1e3", "0123", "x: y", "#1", 'say "ä"', "", "- a", "{a}", "~"])
def test_every_text_is_read_as_it_was_meant(word: str) -> None:
    entry = {"id": "a", "name": word}
    for text in ("", "{}"):
        assert parse_document(after(text, entry), "").tree == {"devices": [entry]}


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("devices: {id: a}\n", "no list"),
        ("devices: none\n", "no list"),
        ("- a\n", "no mapping"),
        ("x: &x [{id: a}]\ndevices: *x\n", "alias"),
        ("x: &x {id: a}\ndevices: [*x]\n", "alias"),
        ("x: &x {id: a}\ndevices:\n  - *x\n", "alias"),
        ("{x: &x {id: a}, devices: [], http: *x}\n", None),
        ("{x: &x {id: a}, http: *x}\n", "alias"),
    ],
)
def test_what_has_no_end_to_put_it_at_is_refused(text: str, why: str | None) -> None:
    if why is None:
        assert FLOW in after(text)
        return
    with pytest.raises(ConfigUnchanged, match=why) as refused:
        after(text)
    assert "by hand" in refused.value.hint


def test_anchors_and_merged_keys_of_items_stay() -> None:
    check(
        """
        x: &base {bus: main, interval: 5}
        devices: &all
          - <<: *base
            id: a
            address: 1
          - {<<: *base, id: b, address: 2}
        """,
        """
        x: &base {bus: main, interval: 5}
        devices: &all
          - <<: *base
            id: a
            address: 1
          - {<<: *base, id: b, address: 2}
          - {id: els_1, bus: main, address: 5}
        """,
    )


def tree(entry: Entry) -> dict[str, str]:
    return {key: str(value) for key, value in entry.items()}


LINES = [
    *("devices:", "  - id: a", "    bus: b", "  # c", "    # d", "", "- id: z", "http: {}", "  - {id: q}"),
    *("devices: []", "  - |", "      text", "      # no comment", "    - x", "\t", "...", "---", "  - *x"),
    *("x: &x {id: k}", "  -"),
]


@given(st.lists(st.sampled_from(LINES), max_size=9), st.sampled_from(["\n", "\r\n"]), st.booleans())
def test_whatever_can_be_read_is_longer_by_the_items_or_refused(lines: list[str], newline: str, ended: bool) -> None:
    text = newline.join(lines) + (newline if ended else "")
    try:
        document = parse_document(text, "")
    except ConfigError:
        return
    before = document.tree
    if document.problems or before is not None and not isinstance(before, dict):
        return
    try:
        changed = after(text, NEW, OTHER)
    except ConfigUnchanged:
        return
    meant = dict(before or {})
    present = meant.get("devices")
    meant["devices"] = [*(present if isinstance(present, list) else []), tree(NEW), tree(OTHER)]
    assert parse_document(changed, "").tree == meant
    rest = iter(changed.splitlines())
    assert all(line in rest for line in text.splitlines() if line and line != "devices: []"), "all there, in its order"
