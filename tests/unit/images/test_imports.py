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
        (
            "try:\n  import a\nexcept ValueError:\n  pass\nelse:\n  import b\nfinally:\n  import c",
            [("a", ""), ("b", ""), ("c", "")],
        ),
        ("try:\n  import a\nexcept ImportError:\n  pass\nfinally:\n  import c", [("c", "")]),
        ("if x:\n  raise SystemExit\nimport a", [("a", "")]),
        ("def f():\n  if x:\n    y = 1\n  import a", [("a", "")]),
        ("if DEBUG:\n  import a\nimport a", [("a", "")]),
        ("try:\n  from . import a\nexcept ImportError:\n  a = None\nfrom . import a, b", [("pkg.sub", "b")]),
    ],
)
def test_imports_are_absolute_and_found_in_every_block(source: str, found: list[tuple[str, str]]) -> None:
    assert needed(source) == found


@pytest.mark.parametrize(
    "source",
    [
        "if TYPE_CHECKING:\n  import a",
        "if not TYPE_CHECKING:\n  x = 1\nelse:\n  from a import x",
        "if x:\n  import a\nelif y:\n  import b\nelse:\n  import c",
        "def f():\n  if x:\n    with y:\n      import a",
        "if x:\n  def f():\n    import a",
        "match x:\n  case 1:\n    import a\n  case _:\n    import b",
        "try:\n  x()\nexcept ValueError:\n  import a",
        "try:\n  import a\n  HAS = True\nexcept ImportError:\n  HAS = False\nelse:\n  import b",
        "try:\n  import a\nexcept ImportError:\n  a = None\ndef f():\n  import a.b\n  from a import c",
        "try:\n  from a import b\nexcept ImportError:\n  b = None\nimport a",
        "def f():\n  try:\n    import a\n  except ImportError:\n    return\n  import b",
        "def f():\n  if not HAS:\n    raise RuntimeError('install a')\n  import a",
        "def f():\n  for x in y:\n    if not x:\n      continue\n    import a",
        "if importlib.util.find_spec('a') is None:\n  raise SystemExit\nimport a.b",
        "HAS = all(map(find_spec, ('a', 'b')))\ndef f():\n  import a, b",
        "try:\n  import a\nexcept ImportError:\n  import b",
        "try:\n  import a\nexcept (ValueError, ModuleNotFoundError):\n  a = None",
        "try:\n  import a\nexcept Exception:\n  a = None",
        "try:\n  import a\nexcept:\n  a = None",
        "def f():\n  try:\n    import a\n  except builtins.ImportError:\n    pass",
        "try:\n  import a\nexcept _OPTIONAL:\n  a = None",
        "try:\n  import a\nexcept* ImportError:\n  a = None",
        "with suppress(ImportError):\n  import a",
        "with try_import() as guard:\n  import a",
        "with pytest.raises((ValueError, ImportError)):\n  import a",
        "with contextlib.suppress(ModuleNotFoundError):\n  import a",
        "if sys.platform == 'win32':\n  import winreg",
        "if os.name == 'nt':\n  import a\nelse:\n  import b",
        "if sys.version_info >= (3, 13):\n  import a\nelse:\n  import b",
        "'import a'",
    ],
)
def test_imports_that_may_fail_are_left_out(source: str) -> None:
    assert needed(source) == []


def test_imports_inside_functions_are_told_apart() -> None:
    found, *_ = scan(b"import a\ndef f():\n  for x in y:\n    from b import c\n", "job.py")
    assert found == (Import(module="a", line=1), Import(module="b", line=4, name="c", deferred=True))


def test_package_tells_the_names_that_it_defines() -> None:
    source = b"""import a.b
from c import d as e
x: int = 1
for y in z: pass
with z as w, z as (v, *u): pass
def f():
    global g, h
    g = 1
class K: pass
try: pass
except ValueError as err: pass
match z:
    case [m, *n] | {"k": _, **o} | K(p=q) as r: pass
print(s := 1)
del t
async def i(): pass
j += 1
"""
    names = set(scan(source, "pkg/__init__.py").defines)
    assert set("aexywvufghKmnoqrstij") | {"err"} <= names
    assert not {"b", "c", "d", "z", "print", "p", ANYTHING} & names
    assert scan(source, "pkg/job.py").defines == ()


@pytest.mark.parametrize(
    "source",
    [
        "from a import *",
        "def __getattr__(name): ...",
        "__getattr__, __dir__, __all__ = lazy.attach(__name__, ['a'])",
        "from lazy import __getattr__",
        "globals()['a'] = 1",
        "locals().update(a=1)",
        "vars()['a'] = 1",
        "setattr(sys.modules[__name__], 'a', 1)",
        "exec('a = 1')",
        "import pkg\npkg.__dict__['a'] = 1",
        "sys.modules['pkg.a'] = x",
        "__path__.append('x')",
        "type X = int",  # newer than some interpreters that read it
        "a\0b",
        "def broken(",
    ],
)
def test_package_whose_names_cannot_be_told_may_define_anything(source: str) -> None:
    names = scan(source.encode(), "pkg/__init__.py").defines
    assert ANYTHING in names or source.startswith("type X")
    assert scan(source.encode(), "pkg/job.py").defines == (ANYTHING,) or source.startswith("type X")


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("import a\na.x = 1", "a.x"),
        ("import a.b\na.b.x = a.c = 1", "a.b.x a.c"),
        ("import a.b as c\nc.x: int = 1", "a.b.x"),
        ("from . import c as d\nd.x += 1", "pkg.c.x"),
        ("import sys\nsys.modules['a'].x = sys.modules['made'] = 1", "a.x made"),
        ("import a\nsetattr(a, 'x', 1)", "a.x"),
        ("self.x = 1\nlocal = a\nlocal.x = 1\nimport b\nb.x\nb['x'] = 1", ""),
        ("import sys\nsys.path.insert(0, 'x')", "sys.path"),
        ("import sys as s\ns.path[:0] = ['x']", "sys.path"),
        ("import sys\nsys.path = ['x']", "sys.path"),
        ("from sys import path\npath += ['x']", "sys.path"),
        ("import site\nsite.addsitedir('x')", "sys.path"),
        ("from site import addsitedir\naddsitedir('x')", "sys.path"),
        ("environ['PYTHONPATH'] = 'x'", "sys.path"),
        ("import os\nos.path.join(a.path)", ""),
    ],
)
def test_file_tells_what_it_sets_on_other_modules(source: str, names: str) -> None:
    assert scan(source.encode(), "pkg/job.py").sets == tuple(names.split())


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
    found = scan(b"import a\nmatch a:\n  case 1: pass\nimport b\n", "job.py")
    assert [each.module for each in found.imports] == ["a", "b"]
    assert scan(b"import a\nx = 1\n", "job.py").broken is None
