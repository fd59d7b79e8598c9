from __future__ import annotations

import sys
import textwrap

import pytest

from images.imports import THIS_PYTHON, scan
from images.index import ANYTHING, Import


def needed(source: str, path: str = "pkg/sub/job.py") -> list[tuple[str, str]]:
    return [(one.module, one.name) for one in scan(textwrap.dedent(source).encode(), path)[0]]


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("import a.b, c as d", [("a.b", ""), ("c", "")]),
        ("from a.b import c, d as e", [("a.b", "c"), ("a.b", "d")]),
        ("from a import *", [("a", "")]),
        ("from . import x", [("pkg.sub", "x")]),
        ("from .x import y", [("pkg.sub.x", "y")]),
        ("from ..x import y", [("pkg.x", "y")]),
        ("from ... import y", [("...", "y")]),
        ("from ....x import y", [("....x", "y")]),
        ("class A:\n  import a\n  def f(self): import b", [("a", ""), ("b", "")]),
        ("for x in y:\n  import a\nelse:\n  import b", [("a", ""), ("b", "")]),
        ("while x:\n  import a", [("a", "")]),
        ("with x:\n  import a", [("a", "")]),
        ("if x:\n  import a\nelif y:\n  import b\nelse:\n  import c", [("a", ""), ("b", ""), ("c", "")]),
        ("match x:\n  case 1:\n    import a", [("a", "")]),
        ("try:\n  import a\nexcept ValueError:\n  import b\nfinally:\n  import c", [("a", ""), ("b", ""), ("c", "")]),
    ],
)
def test_imports_are_absolute_and_found_in_every_block(source: str, found: list[tuple[str, str]]) -> None:
    assert needed(source) == found


@pytest.mark.parametrize(
    "source",
    [
        "if TYPE_CHECKING:\n  import a",
        "if typing.TYPE_CHECKING:\n  import a",
        "try:\n  import a\nexcept ImportError:\n  import b",
        "try:\n  import a\nexcept (ValueError, ModuleNotFoundError):\n  a = None",
        "try:\n  import a\nexcept Exception:\n  a = None",
        "try:\n  import a\nexcept:\n  a = None",
        "def f():\n  try:\n    import a\n  except builtins.ImportError:\n    pass",
        "with suppress(ImportError):\n  import a",
        "with contextlib.suppress(ModuleNotFoundError):\n  import a",
        "if sys.platform == 'win32':\n  import winreg",
        "if os.name == 'nt':\n  import a\nelse:\n  import b",
        "if sys.version_info >= (3, 13):\n  import a\nelse:\n  import b",
        "'import a'",
    ],
)
def test_imports_that_may_fail_are_left_out(source: str) -> None:
    assert needed(source) == []


def test_code_for_type_checkers_ends_where_its_else_begins() -> None:
    assert needed("if TYPE_CHECKING:\n  import a\nelse:\n  import b") == [("b", "")]


def test_imports_inside_functions_are_told_apart() -> None:
    found, *_ = scan(b"import a\ndef f():\n  if x:\n    from b import c\n", "job.py")
    assert found == (Import(module="a", line=1), Import(module="b", line=4, name="c", deferred=True))


def test_package_tells_the_names_that_it_defines() -> None:
    source = (
        b"import a.b\nfrom c import d as e\nx: int = 1\nfor y in z: pass\ndef f(): global g; g = 1\nclass K: pass\n"
    )
    _, names, _ = scan(source, "pkg/__init__.py")
    assert {"a", "e", "x", "y", "f", "g", "K"} <= set(names)
    assert not {"b", "c", "d", ANYTHING} & set(names)
    assert scan(source, "pkg/job.py")[1] == ()


@pytest.mark.parametrize(
    "source",
    [
        "from a import *",
        "def __getattr__(name): ...",
        "globals()['a'] = 1",
        "sys.modules['pkg.a'] = x",
        "__path__.append('x')",
        "type X = int",  # newer than some interpreters that read it
        "a\0b",
        "def broken(",
    ],
)
def test_package_whose_names_cannot_be_told_may_define_anything(source: str) -> None:
    names = scan(source.encode(), "pkg/__init__.py")[1]
    assert ANYTHING in names or source.startswith("type X")


def test_source_is_read_without_a_word_about_its_style(recwarn: pytest.WarningsRecorder) -> None:
    assert needed(r"import a; x = '\d' is 1") == [("a", "")]
    assert not recwarn.list


def test_source_that_does_not_parse_needs_nothing() -> None:
    assert scan(b"import a\ndef broken(", "job.py")[:2] == ((), (ANYTHING,))
    assert scan(b"x = " + b"(" * 5000, "job.py")[0] == ()


@pytest.mark.parametrize(
    ("source", "line", "python"),
    [
        (b"x = 1\ndef (\n", 2, ""),
        (b"x = 1\nreturn\n", 2, ""),  # which parses
        (b"from __future__ import nothing\n", 1, ""),
        (b"x = '\xe9'\n", 1, ""),
        (b"# coding: nothing\n", 0, ""),
        (b"x\0", 0, ""),
        (b"x = 1\nmatch x:\n  case 1: pass\n", 3, "3.9"),
        (b"try: pass\nexcept* ValueError: pass\n", 2, "3.10"),
    ],
)
def test_file_that_no_python_or_no_older_one_compiles_is_broken_at_its_line(
    source: bytes, line: int, python: str
) -> None:
    broken = scan(source, "job.py").broken
    assert broken is not None
    assert (broken.line, broken.python) == (line, python)
    assert broken.reason


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="this Python understands it")
@pytest.mark.parametrize(
    "source", [b"type X = int\n", b"def f[T](): pass\n", b"class K[T]: pass\n", b"x = f'{d['a']}'\n", b"f'{\n1}'\n"]
)
def test_what_a_newer_python_understands_is_broken_for_those_until_this_one(source: bytes) -> None:
    broken = scan(source, "job.py").broken
    assert broken is not None
    assert broken.python == THIS_PYTHON


def test_code_of_a_future_python_still_tells_what_it_imports() -> None:
    found = scan(b"import a\nmatch a:\n  case 1: import b\n", "job.py")
    assert [each.module for each in found.imports] == ["a", "b"]
    assert scan(b"import a\nx = 1\n", "job.py").broken is None
