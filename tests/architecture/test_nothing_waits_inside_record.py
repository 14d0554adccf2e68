"""A generator that stops inside `record` would leave its mark set for whatever else runs on the connection."""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = sorted(
    path
    for folder in ("backend", "demo", "benchmarks", "tests")
    for path in (ROOT / folder).rglob("*.py")
    if "migrations" not in path.parts
)


def waiting_functions(tree: ast.AST, recorders: set[str]) -> Iterator[tuple[ast.FunctionDef, int]]:
    """Functions that hold a `yield` inside `with record...(...)`, with the line of it."""
    for function in ast.walk(tree):
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            for block in _own(function):
                if isinstance(block, ast.With) and any(_records(item.context_expr, recorders) for item in block.items):
                    for node in _own(block):
                        if isinstance(node, ast.Yield | ast.YieldFrom):
                            yield cast("ast.FunctionDef", function), node.lineno


def _own(node: ast.AST) -> Iterator[ast.AST]:
    """Everything inside a node, except what stands in functions defined there."""
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield child
            yield from _own(child)


def _records(expression: ast.expr, recorders: set[str]) -> bool:
    called = expression.func if isinstance(expression, ast.Call) else None
    name = called.attr if isinstance(called, ast.Attribute) else called.id if isinstance(called, ast.Name) else ""
    return name in recorders


def _is(function: ast.FunctionDef, decoration: str) -> bool:
    return any(decoration in ast.unparse(decorator) for decorator in function.decorator_list)


def test_no_function_waits_inside_a_recording():
    trees = {str(path.relative_to(ROOT)): ast.parse(path.read_text("utf-8")) for path in SOURCES}
    recorders, known = {"record", "record_many"}, set[str]()
    found: list[str] = []
    while recorders != known:
        known = set(recorders)
        found = []
        for place, tree in trees.items():
            for function, line in waiting_functions(tree, known):
                # A context manager ends with its caller's block; it is then looked for like `record` itself.
                if _is(function, "contextmanager"):
                    recorders.add(function.name)
                elif not _is(function, "fixture"):
                    found.append(f"{place}:{line} {function.name}")

    assert found == []
    assert "record_many" in recorders


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("def f():\n with record(x) as e:\n  yield e", ["f"]),
        ("def f():\n with other(), recording.record_many(x):\n  if a:\n   yield from b", ["f"]),
        ("async def f():\n with record(x):\n  for a in b:\n   x = yield a", ["f"]),
        ("def f():\n with record(x):\n  pass\n yield 1", []),
        ("def f():\n with record(x):\n  def g():\n   yield 1", []),
        ("def f():\n with other(x):\n  yield 1", []),
    ],
)
def test_what_is_looked_for_is_found(source, names):
    waiting = waiting_functions(ast.parse(source), {"record", "record_many"})

    assert [function.name for function, _line in waiting] == names
