"""Rules of the house that no type checker knows."""
from __future__ import annotations

import ast

import pytest

from tests.packaging.source import attributes, imports, modules

ALL = list(modules())
#: Where every exception is caught, and why.
CATCHES_ALL = {
    "mbusgw.runtime.worker": "the top of every thread, where an exception has nowhere else to go",
    "mbusgw.web.server": "the top of a pool's thread: one request must not end it",
    "mbusgw.store.writer": "one write's mistake must not fail those that share its commit",
    "mbusgw.ingest.guard": "a mistake of ours on one telegram must not crash every parser thread for ever",
}
THREAD_MAKER = "mbusgw.runtime.worker"


@pytest.mark.parametrize("name", ALL)
def test_threads_are_made_in_one_place(name: str) -> None:
    if name == THREAD_MAKER:
        return
    makers = ("Thread", "Timer", "ThreadPoolExecutor", "start_new_thread", "ThreadingMixIn")
    called = [node for node in ast.walk(modules()[name]) if isinstance(node, ast.Call)]
    bases = [node for node in ast.walk(modules()[name]) if isinstance(node, ast.ClassDef) for node in node.bases]
    made = [ast.unparse(node) for node in [*(call.func for call in called), *bases]]
    assert [text for text in made if text.rpartition(".")[2] in makers] == []


@pytest.mark.parametrize("name", ALL)
def test_nobody_sleeps(name: str) -> None:
    used = [*attributes(modules()[name]), *imports(modules()[name])]
    assert [use for use in used if use[0] == "time.sleep"] == []


@pytest.mark.parametrize("name", ALL)
def test_asyncio_does_not_occur(name: str) -> None:
    assert [use for use in imports(modules()[name]) if use[0].partition(".")[0] == "asyncio"] == []


@pytest.mark.parametrize("name", ALL)
def test_exceptions_are_caught_by_name(name: str) -> None:
    if name in CATCHES_ALL:
        return
    broad = []
    for node in ast.walk(modules()[name]):
        if isinstance(node, ast.ExceptHandler):
            caught = {ast.unparse(part) for part in ast.walk(node.type)} if node.type else {"bare"}
            if caught & {"bare", "Exception", "BaseException"}:
                broad.append(node.lineno)
    assert broad == []


@pytest.mark.parametrize("name", ALL)
def test_every_module_and_every_public_class_says_what_it_is(name: str) -> None:
    tree = modules()[name]
    silent = [] if ast.get_docstring(tree) else ["the module"]
    for node in tree.body:
        if isinstance(node, (ast.ClassDef, ast.FunctionDef)) and not node.name.startswith("_"):
            if not ast.get_docstring(node):
                silent.append(node.name)
    assert silent == []
