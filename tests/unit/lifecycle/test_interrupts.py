"""A signal is an error like others, so that whoever catches errors to go on has to let it pass."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[3]
_CATCHES_ALL = {"CapctlError", "Exception"}
# Programs of their own, in which no signal becomes an error, and two that mean it.
_MAY = {
    "lifecycle/adapters/packer_process.py": "Packer is cleaning up, and a second signal ends capctl at once",
    "lifecycle/cli/boundary.py": "there it is told",
    "lifecycle/rehearsal/caches.py": "a program of `make setup`",
    "lifecycle/rehearsal/emulator/containers.py": "a program of the stage",
    "lifecycle/rehearsal/emulator/jobs.py": "a program of the stage",
    "lifecycle/rehearsal/provider/standby.py": "a program of the stage",
    "lifecycle/rehearsal/standins/packer.py": "a program of the stage",
}


def _names(node: ast.AST | None) -> set[str]:
    return {each.id for each in ast.walk(node) if isinstance(each, ast.Name)} if node else {"Exception"}


def _swallowing(tree: ast.AST) -> Iterator[int]:
    """Lines that catch every error of ours, raise none, and say nothing of a signal."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Try):
            lets_pass = False
            for handler in node.handlers:
                caught = _names(handler.type)
                lets_pass = lets_pass or "Interrupted" in caught
                told = [each for line in handler.body for each in ast.walk(line)]
                raises = any(isinstance(each, ast.Raise) for each in told)
                knows = any(isinstance(each, ast.Name) and each.id == "Interrupted" for each in told)
                if caught & _CATCHES_ALL and not (lets_pass or raises or knows):
                    yield handler.lineno
        elif isinstance(node, ast.Call) and _names(node.func) == {"suppress"}:
            yield from (node.lineno for each in node.args if _names(each) & _CATCHES_ALL)


def test_nothing_swallows_a_signal() -> None:
    found = {
        str(file.relative_to(ROOT)): lines
        for file in sorted((ROOT / "lifecycle").rglob("*.py"))
        if (lines := list(_swallowing(ast.parse(file.read_text()))))
    }
    assert found.keys() == _MAY.keys(), {name: lines for name, lines in found.items() if name not in _MAY}


def test_what_swallows_is_found() -> None:
    for source in (
        "try:\n    pass\nexcept CapctlError:\n    pass",
        "try:\n    pass\nexcept (OSError, CapctlError):\n    x = 1",
        "with suppress(CapctlError):\n    pass",
    ):
        assert list(_swallowing(ast.parse(source)))
    for source in (
        "try:\n    pass\nexcept Interrupted:\n    raise\nexcept CapctlError:\n    pass",
        "try:\n    pass\nexcept CapctlError as error:\n    if error.code != 'a':\n        raise",
    ):
        assert not list(_swallowing(ast.parse(source)))
