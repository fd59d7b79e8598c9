"""Which modules a Python file needs, and which names a package defines, read from the source without running it."""

from __future__ import annotations

import ast
import re
import sys
import warnings
from collections.abc import Iterator
from typing import NamedTuple

from images.index import ANYTHING, Broken, Import

# Whatever catches one of these does without the module.
_CATCHES_ABSENCE = {"ImportError", "ModuleNotFoundError", "Exception", "BaseException"}
# A condition on one of these is about another machine, or another Python, than the image's.
_PLATFORM = {"sys": {"platform", "version_info", "implementation"}, "os": {"name"}}
# Code that has one of these writes its own names.
_WRITES_NAMES = {"__getattr__", "globals", "vars", "exec", "setattr", "modules", "__path__"}


# No base has an older one.
_OLDEST_MINOR = 9
# What a newer Python may understand where this one does not: type aliases and parameters, quotes in f-strings, template strings, and an
# `except` of several without brackets.
_NEWER = rb"\s*type\s+\w+\s*[=\[]|\s*(?:async\s+)?(?:def|class)\s+\w+\s*\[|\s*except\b[^:(]*,|.*\b[rR]?[fFtT][rR]?['\"]"
THIS_PYTHON = f"3.{sys.version_info.minor}"


class Scan(NamedTuple):
    """What a Python file tells: fields of its entry."""

    imports: tuple[Import, ...] = ()
    defines: tuple[str, ...] = ()
    broken: Broken | None = None


def scan(source: bytes, path: str) -> Scan:
    """The imports of the Python file `path` (relative to the folder it is imported from), the names that a package's file defines, and
    whether some Python does not compile it.

    Left out are imports for type checkers only, those whose absence the code catches, and those under a condition on platform or
    version. A source that this interpreter does not compile, but a newer one may, tells neither imports nor names.
    """
    *package, file = path.split("/")
    try:
        # What this interpreter thinks of somebody's source is not for the person who checks an image.
        with warnings.catch_warnings(action="ignore"):
            tree, broken = _parsed(source)
            if tree is None:
                return Scan(defines=(ANYTHING,), broken=broken)
            imports = tuple(dict.fromkeys(_imports(tree.body, _Where(package=tuple(package)))))
            names = tuple(sorted(_names(tree))) if file == "__init__.py" else ()
            # Says what parsing does not, such as a `return` outside of a function.
            compile(tree, path, "exec", dont_inherit=True)
    except SyntaxError as error:
        return Scan(imports=imports, defines=names, broken=_broken(error, ""))
    except (RecursionError, MemoryError):
        return Scan(defines=(ANYTHING,))
    return Scan(imports=imports, defines=names, broken=broken)


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
    """The package of the file; whether its code runs later only, and whether an import may fail there."""

    package: tuple[str, ...]
    deferred: bool = False
    optional: bool = False

    def but(self, *, deferred: bool = False, optional: bool = False) -> _Where:
        return _Where(package=self.package, deferred=self.deferred or deferred, optional=self.optional or optional)


def _imports(body: list[ast.stmt], where: _Where) -> Iterator[Import]:
    for node in body:
        match node:
            case ast.Import(names=aliases) if not where.optional:
                for alias in aliases:
                    yield Import(module=alias.name, line=node.lineno, deferred=where.deferred)
            case ast.ImportFrom(names=aliases) if not where.optional:
                module = _absolute(node, where.package)
                for alias in aliases:
                    name = alias.name.replace("*", "")
                    yield Import(module=module, line=node.lineno, name=name, deferred=where.deferred)
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                yield from _imports(node.body, where.but(deferred=True))
            case ast.If():
                away = _is_about_platform(node.test)
                yield from _imports(node.body, where.but(optional=away or _is_for_types(node.test)))
                yield from _imports(node.orelse, where.but(optional=away))
            case ast.Try() | ast.TryStar():
                caught = where.but(optional=any(_catches_absence(handler.type) for handler in node.handlers))
                for block in (node.body, *(handler.body for handler in node.handlers), node.orelse):
                    yield from _imports(block, caught)
                yield from _imports(node.finalbody, where)
            case ast.With() | ast.AsyncWith():
                yield from _imports(node.body, where.but(optional=any(map(_suppresses, node.items))))
            case ast.ClassDef() | ast.For() | ast.AsyncFor() | ast.While():
                yield from _imports([*node.body, *getattr(node, "orelse", [])], where)
            case ast.Match():
                for one in node.cases:
                    yield from _imports(one.body, where)


def _absolute(node: ast.ImportFrom, package: tuple[str, ...]) -> str:
    if not node.level:
        return node.module or ""
    above = package[: len(package) - node.level + 1]
    if node.level > len(package):
        return "." * node.level + (node.module or "")
    return ".".join((*above, *((node.module,) if node.module else ())))


def _names(tree: ast.Module) -> set[str]:
    """Every name that is bound anywhere in the file, which is more than the module has and never less."""
    found: set[str] = set()
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name, ctx=ast.Store()) | ast.ClassDef(name=name):
                found.add(name)
            case (
                ast.FunctionDef(name=name)
                | ast.AsyncFunctionDef(name=name)
                | ast.Name(id=name)
                | ast.Attribute(attr=name)
            ):
                if name in _WRITES_NAMES:
                    found.add(ANYTHING)
                elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                    found.add(name)
            case ast.Import(names=aliases) | ast.ImportFrom(names=aliases):
                found.update(alias.asname or alias.name.split(".")[0] for alias in aliases)
    return found


def _is_for_types(test: ast.expr) -> bool:
    return "TYPE_CHECKING" in (getattr(test, "id", ""), getattr(test, "attr", ""))


def _is_about_platform(test: ast.expr) -> bool:
    return any(
        isinstance(each, ast.Attribute)
        and isinstance(each.value, ast.Name)
        and each.attr in _PLATFORM.get(each.value.id, ())
        for each in ast.walk(test)
    )


def _catches_absence(caught: ast.expr | None) -> bool:
    """Whether an `except` of this catches a missing module; one of nothing catches everything."""
    if caught is None:
        return True
    return any(_CATCHES_ABSENCE & {getattr(each, "id", ""), getattr(each, "attr", "")} for each in ast.walk(caught))


def _suppresses(item: ast.withitem) -> bool:
    call = item.context_expr
    if not isinstance(call, ast.Call) or "suppress" not in (
        getattr(call.func, "id", ""),
        getattr(call.func, "attr", ""),
    ):
        return False
    return any(_catches_absence(argument) for argument in call.args)
