from __future__ import annotations

import pytest

from images.file_system import PlacedFile, file_system
from images.imports import scan
from images.index import FileEntry, ImageIndex, Import, LayerIndex
from images.modules import unresolved_imports

STDLIB = "usr/lib/python3.11"
OFFICIAL = "usr/local/lib/python3.12"
BASE = (
    *(
        f"{STDLIB}/{name}.py"
        for name in ("os", "json/__init__", "json/decoder", "collections/__init__", "collections/abc")
    ),
    f"{STDLIB}/lib-dynload/_ssl.cpython-311-x86_64-linux-gnu.so",
    f"{STDLIB}/tkinter/__pycache__/__init__.cpython-311.pyc",
    "usr/lib/python3/dist-packages/apt.py",
    "opt/site/numpy/__init__.py",
    "opt/site/numpy/_core/_multiarray_umath.cpython-312-x86_64-linux-gnu.so",
    "opt/site/cv2/__init__.py",
    "opt/site/cv2/cv2.abi3.so",
    "opt/site/boto3/__init__.py",
    "opt/site/boto3/session.py",
    "opt/site/google/protobuf/__init__.py",
    "opt/site/stubs/__init__.pyi",
    "opt/site/six.py",
    "opt/site/frozen.pyc",
    "opt/site/_yaml.so",
    "opt/site/typing_extensions-4.dist-info/METADATA",
)


def entry(path: str, source: str = "", kind: str = "file", link: str = "") -> FileEntry:
    is_source = path.startswith("app/") and path.endswith(".py")
    told = scan(source.encode(), path.removeprefix("app/"))._asdict() if is_source else {}
    return FileEntry(path=path, kind=kind, size_bytes=1, mode=0o644, link=link, **told)  # type: ignore[arg-type]


def image(*layers: tuple[FileEntry, ...], env: tuple[str, ...] = ()) -> ImageIndex:
    made = tuple(
        LayerIndex(digest=f"sha256:{number}", compressed_bytes=0, unpacked_bytes=0, entries=entries)
        for number, entries in enumerate(layers)
    )
    return ImageIndex(digest="", media_type="", config={"config": {"Env": list(env)}}, layers=made)


def unresolved(index: ImageIndex, *provided: str) -> list[tuple[PlacedFile, Import, str]]:
    return list(unresolved_imports(index, file_system(index.layers), frozenset(provided)))


def missing(code: dict[str, str], *, base: tuple[str, ...] = BASE, provided: tuple[str, ...] = ()) -> list[str]:
    index = image(tuple(map(entry, base)), tuple(entry(f"app/{path}", source) for path, source in code.items()))
    return [name for _, _, name in unresolved(index, *provided)]


@pytest.mark.parametrize(
    "source",
    [
        "import os, json.decoder, collections.abc",
        "import sys, time, math, zlib, _ssl, _struct",
        "import __main__",
        "from __main__ import anything",
        "import os.path",
        "from os import path",
        "import six.moves.urllib",
        "from six.moves import urllib",
        "import numpy, numpy._core._multiarray_umath",
        "from numpy.linalg import norm",  # a package with modules in C may make others
        "import cv2.dnn",
        "from cv2 import dnn",
        "from boto3.session import Session",
        "from boto3 import client",
        "import google.protobuf",
        "from google import protobuf",
        "import stubs",
        "import frozen, _yaml, apt",
        "import pkg.sub.module",
        "from pkg import sub, CONSTANT, lazy_name",
        "from pkg.sub import module, __path__",
    ],
)
def test_modules_are_found_where_the_interpreter_looks(source: str) -> None:
    package = {"pkg/__init__.py": "CONSTANT = 1\nimport os as lazy_name", "pkg/sub/module.py": ""}
    assert missing({**package, "job.py": source}) == []


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("import torch", "torch"),
        ("import torch.nn as nn", "torch.nn"),
        ("from torch import nn", "torch"),
        ("import tkinter", "tkinter"),  # its bytecode alone is no module
        ("import json.missing", "json.missing"),
        ("import boto3.missing", "boto3.missing"),
        ("from google import missing", "google.missing"),
        ("from pkg import forgotten", "pkg.forgotten"),
        ("from pkg import sub, forgotten", "pkg.forgotten"),
        ("import pkg.forgotten.deeper", "pkg.forgotten.deeper"),
        ("from pkg.sub import forgotten", "pkg.sub.forgotten"),
        ("import job.deeper", "job.deeper"),
        ("from . import job", "."),
    ],
)
def test_modules_that_nothing_provides_are_named(source: str, name: str) -> None:
    assert missing({"pkg/__init__.py": "", "pkg/sub/module.py": "", "job.py": source}) == [name]


def test_each_missing_module_of_a_file_is_named_once() -> None:
    code = {"a.py": "import torch\nfrom torch import nn\nfrom torch import x", "b.py": "def f():\n  import torch"}
    found = unresolved(image(tuple(entry(f"app/{name}", text) for name, text in code.items())))
    assert [(file.path, needed.line, needed.deferred) for file, needed, _ in found] == [
        ("app/a.py", 1, False),
        ("app/b.py", 2, True),
    ]


def test_modules_of_the_hosts_runtime_need_not_be_in_the_image() -> None:
    assert missing({"job.py": "import torch.nn\nimport torchvision"}, provided=("torch",)) == ["torchvision"]


def test_what_is_provided_may_be_a_part_of_a_package() -> None:
    code = {
        "pkg/__init__.py": "",
        "job.py": "import pkg.gen.deep\nfrom pkg import gen, forgotten\nfrom pkg.gen import x",
    }
    assert missing(code, provided=("pkg.gen",)) == ["pkg.forgotten"]
    assert missing(code, provided=("pkg",)) == []
    assert missing(code, provided=("pkg.ge",)) == ["pkg.gen.deep", "pkg.gen", "pkg.forgotten"]


@pytest.mark.parametrize(
    "setup",
    [
        "import pkg\npkg.VALUE = 1",
        "import sys\nsys.modules['pkg'].VALUE = 1",
        "import pkg as p\nsetattr(p, 'VALUE', 1)",
    ],
)
def test_names_that_other_modules_set_on_a_package_are_there(setup: str) -> None:
    code = {"pkg/__init__.py": "", "pkg/setup.py": setup, "job.py": "from pkg import VALUE, forgotten"}
    assert missing(code) == ["pkg.forgotten"]


def test_modules_that_code_makes_are_there() -> None:
    code = {"shim.py": "import sys\nsys.modules['fake'] = object()", "job.py": "import fake.deep, forgotten"}
    assert missing(code) == ["forgotten"]


@pytest.mark.parametrize("name", ["six.py", "six/__init__.py"])
def test_own_module_that_makes_others_has_all_that_are_asked_of_it(name: str) -> None:
    makes = "import sys\nsys.modules[__name__ + '.moves'] = object()"
    assert missing({name: makes, "job.py": "import six.moves.urllib"}) == []
    assert missing({name: "", "job.py": "import six.moves.urllib"}, base=()) == ["six.moves.urllib"]


def test_own_module_in_c_has_all_that_is_asked_of_it() -> None:
    native = {"pkg/__init__.py": "", "pkg/_native.cpython-311-x86_64-linux-gnu.so": "", "fast/__init__.abi3.so": ""}
    assert (
        missing({**native, "job.py": "import pkg._native.deep\nfrom pkg._native.deep import x\nfrom fast import y"})
        == []
    )


YOLO = {"third_party/yolo/__init__.py": "", "third_party/yolo/models.py": "", "pkg/__init__.py": ""}


@pytest.mark.parametrize(
    "change", ["import sys\nsys.path.insert(0, 'third_party')", "import site\nsite.addsitedir('third_party')"]
)
def test_code_that_changes_the_search_path_may_import_what_lies_anywhere_in_it(change: str) -> None:
    job = "\nimport yolo\nfrom yolo import models\nimport models, third_party\nimport torch\nfrom pkg import forgotten"
    assert missing({**YOLO, "job.py": change + job}, base=()) == ["torch", "pkg.forgotten"]
    assert missing({**YOLO, "job.py": "import os" + job}) == ["yolo", "models", "torch", "pkg.forgotten"]


def test_library_of_official_images_is_found_and_what_it_lacks_is_missed() -> None:
    assert missing(
        {"job.py": "import json\nimport sqlite3"}, base=(f"{OFFICIAL}/os.py", f"{OFFICIAL}/json/__init__.py")
    ) == ["sqlite3"]


def test_library_that_is_nowhere_to_be_seen_is_taken_for_granted() -> None:
    assert missing({"job.py": "import json, sqlite3, torch"}, base=()) == ["torch"]


def test_what_a_layer_deletes_is_missed() -> None:
    base = (entry("opt/site/torch/__init__.py"),)
    job = entry("app/job.py", "import torch")
    assert [name for *_, name in unresolved(image(base, (job,)))] == []
    assert [name for *_, name in unresolved(image(base, (entry("opt/site/.wh.torch"), job)))] == ["torch"]


def test_folders_of_the_images_own_path_are_searched() -> None:
    layer = (entry("srv/lib/extra.py"), entry("app/job.py", "import extra"))
    assert len(unresolved(image(layer))) == 1
    assert unresolved(image(layer, env=("PYTHONPATH=/app:/srv/lib",))) == []


def test_linked_packages_hold_whatever_is_asked_of_them() -> None:
    link = entry("opt/site/torch", kind="symlink", link="/elsewhere/torch")
    job = entry("app/job.py", "import torch.nn\nfrom torch.cuda import amp")
    assert unresolved(image((link, job))) == []


def test_scripts_find_what_stands_beside_them_and_modules_of_a_package_do_not() -> None:
    beside = {"scripts/run.py": "import beside", "scripts/beside.py": ""}
    assert missing(beside) == []
    assert missing({**beside, "scripts/__init__.py": ""}) == ["beside"]


def test_code_that_shadows_a_package_is_judged_by_its_own_names() -> None:
    assert missing({"boto3/__init__.py": "mine = 1", "job.py": "from boto3 import mine, other"}) == ["boto3.other"]
