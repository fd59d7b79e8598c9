"""Which modules a Python file needs, and which names a package defines, read from the source without running it."""

from __future__ import annotations

import ast
import re
import sys
import warnings
from collections import defaultdict
from collections.abc import Iterator
from typing import Any, NamedTuple

from images.index import ANYTHING, SEARCH_PATH, Broken, Import

# Whatever catches one of these does without the module.
_CATCHES_ABSENCE = {"ImportError", "ModuleNotFoundError", "Exception", "BaseException"}
# Who calls one of these asks whether there is a module, by a name that stands somewhere in the file.
_ASKS_FOR_MODULES = {"find_spec", "find_loader"}
# Code that has one of these writes its own names, or makes modules.
_WRITES_NAMES = {
    "__dict__",
    "__getattr__",
    "__path__",
    "exec",
    "f_globals",
    "globals",
    "locals",
    "modules",
    "setattr",
    "vars",
}
_LEAVES = (ast.Return, ast.Raise, ast.Continue, ast.Break)

# No base has an older one.
_OLDEST_MINOR = 9
# What a newer Python may understand where this one does not: type aliases and parameters, quotes in f-strings, template strings, and an
# `except` of several without brackets.
_NEWER = rb"\s*type\s+\w+\s*[=\[]|\s*(?:async\s+)?(?:def|class)\s+\w+\s*\[|\s*except\b[^:(]*,|.*\b[rR]?[fFtT][rR]?['\"]"
# What a tree consists of, by the class of each node.
_Nodes = defaultdict[type[ast.AST], list[Any]]
THIS_PYTHON = f"3.{sys.version_info.minor}"


class Scan(NamedTuple):
    """What a Python file tells: fields of its entry."""

    imports: tuple[Import, ...] = ()
    defines: tuple[str, ...] = ()
    sets: tuple[str, ...] = ()
    broken: Broken | None = None


def scan(source: bytes, path: str) -> Scan:
    """What the Python file `path` (relative to the folder it is imported from) tells: the fields of `images.index.FileEntry`.

    Only imports that happen whenever the file, or the function around them, runs: not those below an `if` or `match`, nor any of a module
    whose absence the file catches or asks for. A source that this interpreter does not compile, but a newer one may, tells neither
    imports nor names.
    """
    *package, file = path.split("/")
    told = Scan()
    try:
        # What this interpreter thinks of somebody's source is not for the person who checks an image.
        with warnings.catch_warnings(action="ignore"):
            tree, broken = _parsed(source)
            if tree is None:
                return Scan(defines=(ANYTHING,), broken=broken)
            nodes = _by_kind(tree)
            names = _names(nodes)
            told = Scan(
                imports=_certain(tree, nodes, tuple(package)),
                defines=tuple(sorted(names if file == "__init__.py" else names & {ANYTHING})),
                sets=tuple(sorted(_sets(nodes, tuple(package)))),
                broken=broken,
            )
            # Says what parsing does not, such as a `return` outside of a function.
            compile(tree, path, "exec", dont_inherit=True)
    except SyntaxError as error:
        return told._replace(broken=_broken(error, ""))
    except (RecursionError, MemoryError):
        return Scan(defines=(ANYTHING,))
    return told


def _parsed(source: bytes) -> tuple[ast.Module | None, Broken | None]:
    """As the oldest Python that takes the source understands it, and why none before does."""
    broken: Broken | None = None
    for minor in range(_OLDEST_MINOR, sys.version_info.minor + 1):
        try:
            return ast.parse(source, feature_version=(3, minor)), broken
        except (SyntaxError, ValueError) as error:
            broken = _broken(error, f"3.{minor}")
    if broken and not _may_be_newer(source, broken.line):
        broken = broken._replace(python="")
    return None, broken


def _may_be_newer(source: bytes, line: int) -> bool:
    lines = source.splitlines()
    return 0 < line <= len(lines) and re.match(_NEWER, lines[line - 1]) is not None


def _broken(error: SyntaxError | ValueError, python: str) -> Broken:
    line, reason = (error.lineno, error.msg) if isinstance(error, SyntaxError) else (0, str(error))
    return Broken(python=python, line=line or 0, reason=reason)


class _Where(NamedTuple):
    """The package of the file; whether its code runs later only, may never run, and whether an import may fail there."""

    package: tuple[str, ...]
    deferred: bool = False
    conditional: bool = False
    caught: bool = False


def _by_kind(tree: ast.AST) -> _Nodes:
    found: _Nodes = defaultdict(list)
    for node in ast.walk(tree):
        found[type(node)].append(node)
    return found


def _certain(tree: ast.Module, nodes: _Nodes, package: tuple[str, ...]) -> tuple[Import, ...]:
    """The imports that happen, but for modules that the file can do without."""
    found = list(_imports(tree.body, _Where(package)))
    dispensable = {_caught(each, package) for each, where in found if where.caught}
    if _ASKS_FOR_MODULES & _words(nodes):
        dispensable.update(each.value for each in nodes[ast.Constant] if isinstance(each.value, str))
    certain = (each for each, where in found if not where.conditional and not where.caught)
    return tuple(dict.fromkeys(each for each in certain if not each.is_in(dispensable)))


def _caught(one: Import, package: tuple[str, ...]) -> str:
    """What is known to be dispensable from a caught import: of its own package a file lacks one module, of another all."""
    return one.dotted if one.module.split(".")[0] in package[:1] else one.module


def _imports(body: list[ast.stmt], where: _Where) -> Iterator[tuple[Import, _Where]]:
    for node in body:
        match node:
            case ast.Import(names=aliases):
                for alias in aliases:
                    yield Import(module=alias.name, line=node.lineno, deferred=where.deferred), where
            case ast.ImportFrom(names=aliases):
                module = _absolute(node, where.package)
                for alias in aliases:
                    name = alias.name.replace("*", "")
                    yield Import(module=module, line=node.lineno, name=name, deferred=where.deferred), where
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                yield from _imports(node.body, where._replace(deferred=True))
            case ast.If():
                yield from _imports([*node.body, *node.orelse], where._replace(conditional=True))
            case ast.Match():
                for one in node.cases:
                    yield from _imports(one.body, where._replace(conditional=True))
            case ast.Try() | ast.TryStar():
                caught = where
                if any(_catches_absence(handler.type) for handler in node.handlers):
                    caught = where._replace(caught=True)
                yield from _imports(node.body, caught)
                for handler in node.handlers:
                    yield from _imports(handler.body, where._replace(conditional=True))
                yield from _imports(node.orelse, where._replace(conditional=caught.caught or where.conditional))
                yield from _imports(node.finalbody, where)
            case ast.With() | ast.AsyncWith():
                caught = where._replace(caught=where.caught or any(_suppresses(item) for item in node.items))
                yield from _imports(node.body, caught)
            case ast.ClassDef() | ast.For() | ast.AsyncFor() | ast.While():
                yield from _imports([*node.body, *getattr(node, "orelse", [])], where)
        # What a function does after it may have ended is as conditional. A file that may end is about to fail.
        if where.deferred and _may_leave(node):
            where = where._replace(conditional=True)


def _absolute(node: ast.ImportFrom, package: tuple[str, ...]) -> str:
    if not node.level:
        return node.module or ""
    above = package[: len(package) - node.level + 1]
    if node.level > len(package):
        return "." * node.level + (node.module or "")
    return ".".join((*above, *((node.module,) if node.module else ())))


def _may_leave(node: ast.stmt) -> bool:
    match node:
        case ast.If():
            blocks = [node.body, node.orelse]
        case ast.Try() | ast.TryStar():
            blocks = [handler.body for handler in node.handlers]
        case _:
            blocks = []
    return any(block and isinstance(block[-1], _LEAVES) for block in blocks)


def _catches_absence(caught: ast.expr | None) -> bool:
    """Whether an `except` of this may catch a missing module: one of nothing catches everything, a constant nobody knows what."""
    if caught is None:
        return True
    words = _words(_by_kind(caught))
    return bool(_CATCHES_ABSENCE & words) or any(word.isupper() for word in words)


def _suppresses(item: ast.withitem) -> bool:
    words = _words(_by_kind(item.context_expr))
    return bool(_CATCHES_ABSENCE & words) or any("suppress" in word or "import" in word for word in words)


def _names(nodes: _Nodes) -> set[str]:
    """Every name that is bound anywhere in the file, which is more than the module has and never less; `ANYTHING` if it may have others."""
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.ExceptHandler, ast.MatchAs, ast.MatchStar)
    found = {each.name for kind in kinds for each in nodes[kind]} | {each.rest for each in nodes[ast.MatchMapping]}
    found |= {each.id for each in nodes[ast.Name] if not isinstance(each.ctx, ast.Load)}
    found.update(name for each in nodes[ast.Global] for name in each.names)
    found.update(_modules(nodes, ()))
    return (found - {None}) | ({ANYTHING} if _WRITES_NAMES & (found | _words(nodes)) else set())


def _words(nodes: _Nodes) -> set[str]:
    return {each.id for each in nodes[ast.Name]} | {each.attr for each in nodes[ast.Attribute]}


def _sets(nodes: _Nodes, package: tuple[str, ...]) -> set[str]:
    """Dotted names that the file sets on modules that it imports, modules that it makes, and `SEARCH_PATH` where it deals with that."""
    modules = _modules(nodes, package)
    read: dict[bool, list[ast.expr]] = {True: [], False: []}
    for each in (*nodes[ast.Attribute], *nodes[ast.Subscript]):
        read[isinstance(each.ctx, ast.Load)].append(each)
    found = {_dotted(each, modules) for each in read[False]}
    for call in nodes[ast.Call]:
        match call:
            case ast.Call(func=ast.Name(id="setattr"), args=[module, ast.Constant(value=str(name)), *_]):
                found.add(f"{above}.{name}" if (above := _dotted(module, modules)) else "")
    if (
        any(getattr(each, "attr", "") == "path" and _dotted(each, modules) == SEARCH_PATH for each in read[True])
        or SEARCH_PATH in modules.values()
        or "addsitedir" in _words(nodes)
        or any(each.value == "PYTHONPATH" for each in nodes[ast.Constant])
    ):
        found.add(SEARCH_PATH)
    return found - {""}


def _modules(nodes: _Nodes, package: tuple[str, ...]) -> dict[str, str]:
    """Dotted names of what the file imports, by the names that it gives them."""
    found: dict[str, str] = {}
    for node in nodes[ast.Import]:
        for each in node.names:
            top = each.name.split(".")[0]
            found[each.asname or top] = each.name if each.asname else top
    for node in nodes[ast.ImportFrom]:
        above = _absolute(node, package)
        found |= {each.asname or each.name: f"{above}.{each.name}" for each in node.names}
    return found


def _dotted(node: ast.expr, modules: dict[str, str]) -> str:
    """The dotted name of what an expression stands for, where it begins at an imported module; else ""."""
    match node:
        case ast.Name(id=name):
            return modules.get(name, "")
        case ast.Attribute(value=value, attr=name) if above := _dotted(value, modules):
            return f"{above}.{name}"
        case ast.Subscript(value=value, slice=ast.Constant(value=str(name))) if (
            _dotted(value, modules) == "sys.modules"
        ):
            return name
    return ""
