"""Which error codes the source raises, read from its syntax tree, against the table in `lifecycle/errors.py`."""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lifecycle.errors import ERROR_CODES

PACKAGES = ("lifecycle", "pulumi_stack", "packer", "images")  # the analyzer ships alone and has its own table


@dataclass(frozen=True, kw_only=True)
class Place:
    """One place in the source."""

    path: Path
    line: int


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """`missing`: raised, not in the table. `unused`: in the table, not raised. `computed`: the code cannot be read from the source."""

    missing: dict[str, list[Place]]
    unused: tuple[str, ...]
    computed: tuple[Place, ...]

    @property
    def agrees(self) -> bool:
        return not self.missing and not self.unused

    def render(self, root: Path) -> str:
        lines = [f"missing  {code}  {_places(places, root)}" for code, places in sorted(self.missing.items())]
        lines += [f"unused   {code}" for code in self.unused]
        lines += [f"computed {_places([place], root)}" for place in self.computed]
        return "\n".join(lines) or "every code is in the table"


def compare(root: Path) -> Comparison:
    """Compare the source below `root` with `ERROR_CODES`."""
    raised, computed = raised_codes(root)
    return Comparison(
        missing={code: places for code, places in raised.items() if code not in ERROR_CODES},
        unused=tuple(sorted(set(ERROR_CODES) - set(raised))),
        computed=tuple(computed),
    )


def raised_codes(root: Path) -> tuple[dict[str, list[Place]], list[Place]]:
    """Codes given to error classes of lifecycle, and `code = "…"` of error classes of the artefact packages."""
    trees = {
        path: ast.parse(path.read_text()) for package in PACKAGES for path in sorted((root / package).rglob("*.py"))
    }
    classes = _error_classes(trees)
    raised: dict[str, list[Place]] = {}
    computed: list[Place] = []
    for path, tree in trees.items():
        for line, argument in (*_constructed(tree, classes), *_declared(tree)):
            place = Place(path=path, line=line)
            codes = list(_literals(argument))
            for code in codes:
                raised.setdefault(code, []).append(place)
            if not codes and not _passed_on(argument):
                computed.append(place)
    return raised, computed


def _error_classes(trees: dict[Path, ast.Module]) -> set[str]:
    """`CapctlError` and everything derived from it, by name; without those whose constructor sets the code itself."""
    definitions = [node for tree in trees.values() for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    found = {"CapctlError"}
    while derived := {node.name for node in definitions if found & _names(node.bases) and node.name not in found}:
        found |= derived
    return found - {node.name for node in definitions if node.name != "CapctlError" and _constructor(node)}


def _names(nodes: list[ast.expr]) -> set[str]:
    return {node.id for node in nodes if isinstance(node, ast.Name)}


def _constructor(node: ast.ClassDef) -> ast.FunctionDef | None:
    return next((part for part in node.body if isinstance(part, ast.FunctionDef) and part.name == "__init__"), None)


def _constructed(tree: ast.Module, classes: set[str]) -> Iterator[tuple[int, ast.expr]]:
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        if isinstance(node.func, ast.Name) and node.func.id in classes and node.args:
            yield node.lineno, node.args[0]
        for keyword in node.keywords:  # of a function that raises what its caller names
            if keyword.arg == "code" and _is_code([keyword.value]) and ast.unparse(node.func)[:1].islower():
                yield node.lineno, keyword.value


def _declared(tree: ast.Module) -> Iterator[tuple[int, ast.expr]]:
    """`code = "…"` in the body of a class, and `super().__init__("…", …)` in its constructor."""
    for definition in (node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)):
        for node in definition.body:
            value = node.value if isinstance(node, ast.Assign | ast.AnnAssign) and "code" in _assigned(node) else None
            if value is not None:
                yield node.lineno, value
        for call in ast.walk(_constructor(definition) or ast.Pass()):
            if isinstance(call, ast.Call) and ast.unparse(call.func) == "super().__init__" and _is_code(call.args):
                yield call.lineno, call.args[0]


def _assigned(node: ast.Assign | ast.AnnAssign) -> set[str]:
    return _names(node.targets if isinstance(node, ast.Assign) else [node.target])


def _is_code(arguments: list[ast.expr]) -> bool:
    """A literal in kebab case; the constructors of other classes take messages."""
    literals = list(_literals(arguments[0])) if arguments else []
    return bool(literals) and all(re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", literal) for literal in literals)


def _literals(argument: ast.expr) -> Iterator[str]:
    """The code, or both codes of `"a" if … else "b"`."""
    if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
        yield argument.value
    elif isinstance(argument, ast.IfExp):
        yield from _literals(argument.body)
        yield from _literals(argument.orelse)


def _passed_on(argument: ast.expr) -> bool:
    """`error.code` of an error that is being translated, or a parameter `code`."""
    return "code" in (getattr(argument, "attr", ""), getattr(argument, "id", ""))


def _places(places: list[Place], root: Path) -> str:
    return ", ".join(f"{place.path.relative_to(root)}:{place.line}" for place in places)
