"""Walls that an import contract cannot express: one place destroys, and only the top rooms read the clock."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROOMS = ("retention", "storage", "flows", "console")
CHOKE_POINT = Path("storage/destroy.py")
BATCH_METHODS = {"batch", "stage", "destroy", "read_back", "remove_unreadable"}
INSIDE_THE_KEY_STORE = Path("storage/keys")
"""Roots and their files are destroyed here, below the key store's own door: `Writing.destroy`, which is closed to everybody else."""
DELEGATES = {Path("storage/sealed/store.py"), Path("storage/sealed/batch.py"), Path("storage/files/store.py")}
"""These pass a destroying method on: to the store they wrap, to the key store, to a module beside. Each only within its namesake."""
CLOCKS = {
    ("datetime", "now"),
    ("datetime", "utcnow"),
    ("datetime", "today"),
    ("date", "today"),
    ("time", "time"),
    ("time", "time_ns"),
}


def sources(*rooms: str) -> Iterator[tuple[Path, ast.Module]]:
    for room in rooms:
        for path in sorted((ROOT / room).rglob("*.py")):
            yield path.relative_to(ROOT), ast.parse(path.read_text(encoding="utf-8"))


def calls(tree: ast.Module) -> Iterator[tuple[str, str, int]]:
    """Method calls as (receiver's last name, method, line)."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            receiver = node.func.value
            name = receiver.id if isinstance(receiver, ast.Name) else getattr(receiver, "attr", "")
            yield name, node.func.attr, node.lineno


def outside_the_choke_point(path: Path, tree: ast.Module) -> list[int]:
    """Lines that call a batch's methods on anything but the object itself."""
    found = [
        (method, line) for name, method, line in calls(tree) if method in BATCH_METHODS and name != "self"
    ]
    passed_on = within_namesakes(tree) if path in DELEGATES else set()
    return [line for method, line in found if (method, line) not in passed_on]


def within_namesakes(tree: ast.Module) -> set[tuple[str, int]]:
    """Calls of a method inside a function of the same name."""
    return {
        (method, line)
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef)
        for _, method, line in calls(ast.Module(body=node.body, type_ignores=[]))
        if method == node.name
    }


def test_only_the_choke_point_calls_a_destroying_method() -> None:
    found = {
        str(path): lines
        for path, tree in sources(*ROOMS)
        if path != CHOKE_POINT
        and INSIDE_THE_KEY_STORE not in path.parents
        and (lines := outside_the_choke_point(path, tree))
    }
    assert not found


def test_whoever_passes_a_destroying_method_on_does_so_within_its_namesake() -> None:
    tree = ast.parse(
        "def destroy(it):\n    it.destroy()\ndef close(it):\n    it.destroy()\n    it.remove_unreadable()\n"
    )
    assert outside_the_choke_point(Path("storage/sealed/store.py"), tree) == [4, 5]
    assert outside_the_choke_point(Path("storage/planning.py"), tree) == [2, 4, 5]


def test_the_choke_point_is_seen_to_call_them() -> None:
    tree = ast.parse((ROOT / CHOKE_POINT).read_text(encoding="utf-8"))
    assert {method for _, method, _ in calls(tree)} >= BATCH_METHODS


@pytest.mark.parametrize("room", ["retention", "storage"])
def test_nothing_below_flows_and_console_reads_the_clock(room: str) -> None:
    found = [
        f"{path}:{line}"
        for path, tree in sources(room)
        for name, method, line in calls(tree)
        if (name, method) in CLOCKS
    ]
    assert not found


def test_the_clock_of_flows_is_seen() -> None:
    seen = [
        path for path, tree in sources("flows") for name, method, _ in calls(tree) if (name, method) in CLOCKS
    ]
    assert seen
