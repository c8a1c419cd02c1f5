"""Tests wait as long as a busy machine needs, and measure no time that it may stretch."""
from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.packaging.source import ROOT

#: Calls that wait for something that must come: with the patience of all tests, or with none (0).
WAITS = {"result", "exception", "join", "communicate", "run", "wait_until", "acquire", "wait_for_publish"}
TESTS = sorted(path for path in (ROOT / "tests").rglob("*.py") if path.name != "wait.py")


def _name(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


def _is_short(node: ast.expr) -> bool:
    """A number of seconds that a machine may stand still; parts of a second are for what must not come."""
    value = node.value if isinstance(node, ast.Constant) else None
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 1 <= value < 60


def _reads_clock(node: ast.expr) -> bool:
    calls = [call for call in ast.walk(node) if isinstance(call, ast.Call)]
    return any(ast.unparse(call.func) in ("time.monotonic", "time.perf_counter", "CLOCK.mono") for call in calls)


def mistakes(tree: ast.Module) -> list[str]:
    """Lines that a busy machine can break."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and _name(node) in WAITS:
            limits = [*node.args[:1], *(word.value for word in node.keywords if word.arg == "timeout")]
            if any(map(_is_short, limits)):
                found.append(f"{node.lineno}: PATIENCE_S is how long to wait")
        if isinstance(node, ast.Compare) and isinstance(node.left, ast.BinOp) and _reads_clock(node.left):
            if any(isinstance(operator, (ast.Lt, ast.LtE)) for operator in node.ops):
                found.append(f"{node.lineno}: how fast something is belongs into benchmarks/")
    return found


@pytest.mark.parametrize("path", TESTS, ids=[str(path.relative_to(ROOT)) for path in TESTS])
def test_a_busy_machine_fails_no_test(path: Path) -> None:
    assert mistakes(ast.parse(path.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize(
    "line", ["future.result(5)", "wait_until(f, timeout=20)", "worker.join(1.5)", "assert time.monotonic() - began < 2"]
)
def test_what_a_busy_machine_can_break_is_noticed(line: str) -> None:
    assert mistakes(ast.parse(line))


@pytest.mark.parametrize("line", ["future.result(0)", "worker.join(0.01)", "text.join(names)", "f.result(PATIENCE_S)"])
def test_what_it_cannot_break_is_not(line: str) -> None:
    assert not mistakes(ast.parse(line))
