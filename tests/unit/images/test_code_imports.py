"""Imports of code that is about to be pushed, with what an earlier look remembered."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from images.code_imports import Missing, missing_imports
from images.code_memory import CodeMemory
from images.imports import Scan, scan
from images.index import ImageIndex
from images.layer import CodeFile, CodeTree
from tests.fakes.image_index import file, image, layer

BASE = image(
    layer(
        file("usr/lib/python3.11/os.py"),
        file("opt/site/numpy/__init__.py"),
        file("opt/site/google/protobuf/__init__.py"),
    )
)


def tree_of(files: dict[str, str]) -> CodeTree:
    return CodeTree(
        files=tuple(
            CodeFile(path=path, sha256=sha256(text.encode()).hexdigest(), mode="0644", content=text.encode())
            for path, text in sorted(files.items())
        )
    )


class Project:
    """A tree and its memory; `asked` counts how often the base was read, `scanned` are the files that were parsed."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, base: ImageIndex | None = BASE) -> None:
        self._file = folder / "memory.json"
        self.base, self.key = base, "base 1"
        self.asked = 0
        self.scanned: list[str] = []
        monkeypatch.setattr("images.imports.scan", self._scan)

    def look(self, files: dict[str, str], *provided: str, env: dict[str, str] | None = None) -> list[Missing]:
        self.asked, self.scanned = 0, []
        memory, tree = CodeMemory(self._file, self.key), tree_of(files)
        memory.look(tree)
        missing: list[Missing] = []
        if not memory.is_settled(frozenset(provided)):
            missing += missing_imports(tree, env or {}, memory, provided=frozenset(provided), base=self._base)
        memory.keep()
        return missing

    def names(self, files: dict[str, str], *provided: str) -> list[str]:
        return [each.module for each in self.look(files, *provided)]

    def _base(self) -> ImageIndex | None:
        self.asked += 1
        return self.base

    def _scan(self, source: bytes, path: str) -> Scan:
        self.scanned.append(path)
        return scan(source, path)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    return Project(tmp_path, monkeypatch)


@pytest.fixture
def unread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    return Project(tmp_path, monkeypatch, None)


CODE = {"pkg/__init__.py": "", "pkg/job.py": "import os, numpy\nfrom pkg import helper\n", "pkg/helper.py": ""}


def test_code_that_has_all_it_imports_lacks_nothing(project: Project) -> None:
    assert project.look(CODE) == []
    assert project.asked == 1


def test_untouched_files_are_not_parsed_again_and_the_base_is_not_asked_again(project: Project) -> None:
    project.look(CODE)
    assert project.look(CODE) == []
    assert (project.scanned, project.asked) == ([], 0)
    assert project.look(CODE | {"pkg/helper.py": "import numpy\n"}) == []
    assert (project.scanned, project.asked) == (["pkg/helper.py"], 0)


@pytest.mark.parametrize(
    ("change", "missing"),
    [
        ({"pkg/helper.py": "import torchvision\n"}, ["torchvision"]),
        ({"pkg/helper.py": "from . import gone\n"}, ["pkg.gone"]),
        ({"pkg/helper.py": "from .. import gone\n"}, [".."]),
        ({"pkg/helper.py": None}, ["pkg.helper"]),
        ({"pkg/job.py": "import google.cloud\n"}, ["google.cloud"]),
        ({"pkg/job.py": "import google.protobuf\n"}, []),
        ({"google/own.py": "", "pkg/job.py": "import google.protobuf, google.own\n"}, []),
        ({"pkg/job.py": "import tkinter\n"}, ["tkinter"]),
    ],
)
def test_what_a_change_takes_away_is_found_beside_what_is_remembered(
    project: Project, change: dict[str, str | None], missing: list[str]
) -> None:
    project.look(CODE)
    files = {path: text for path, text in (CODE | change).items() if text is not None}
    assert project.names(files) == missing
    assert project.names(files) == missing
    assert project.names(CODE) == []


def test_names_that_a_package_defines_no_more_are_missed_by_files_that_did_not_change(project: Project) -> None:
    files = {"pkg/__init__.py": "version = 1\n", "run.py": "from pkg import version\n"}
    assert project.names(files) == []
    assert project.names(files | {"pkg/__init__.py": ""}) == ["pkg.version"]


def test_links_that_go_are_missed(project: Project) -> None:
    link = CodeFile(path="other", sha256="", mode="link", content=b"pkg")
    with_link = {"run.py": "import other.x\n"}

    memory = CodeMemory(project._file, "")
    tree = CodeTree(files=(link, *tree_of(with_link).files))
    memory.look(tree)
    assert list(missing_imports(tree, {}, memory, provided=frozenset(), base=lambda: BASE)) == []
    memory.keep()
    project.key = ""
    assert project.names(with_link) == ["other.x"]


def test_another_base_is_asked_anew(project: Project) -> None:
    project.look(CODE)
    project.base, project.key = image(layer(file("usr/lib/python3.11/os.py"))), "base 2"
    assert project.names(CODE) == ["numpy"]


def test_what_is_provided_elsewhere_is_not_missed_until_it_is_provided_no_more(project: Project) -> None:
    files = {"run.py": "import torch\n"}
    assert project.names(files, "torch") == []
    assert project.names(files) == ["torch"]


def test_base_that_was_never_read_proves_nothing_but_what_the_code_alone_decides(unread: Project) -> None:
    found = unread.look({**CODE, "run.py": "import torch\nfrom pkg import helper_new\n"})
    assert [(each.module, each.proven) for each in found] == [
        ("os", False),
        ("numpy", False),
        ("torch", False),
        ("pkg.helper_new", True),
    ]
    unread.base = BASE
    assert unread.names({**CODE, "run.py": "import torch\n"}) == ["torch"]


def test_places_are_where_the_code_could_have_it(project: Project) -> None:
    (found,) = project.look({"tools/run.py": "import helper.deep\n"})
    assert found.places == (
        "helper/deep.py",
        "helper/deep/__init__.py",
        "tools/helper/deep.py",
        "tools/helper/deep/__init__.py",
    )
    assert (found.path, found.needed.line) == ("tools/run.py", 1)


def test_variables_say_where_the_interpreter_looks(project: Project) -> None:
    files = {"lib/helper.py": "", "run.py": "import helper\n"}
    assert [each.module for each in project.look(files)] == ["helper"]
    project.key = "PYTHONPATH=/app/lib"
    assert project.look(files, env={"PYTHONPATH": "/app/lib"}) == []


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    member=st.sampled_from(("version", "key", "python", "folders", "answers", "settled", "others", "files", "new")),
    value=JSON,
    at=st.integers(min_value=0),
    piece=st.binary(max_size=5),
)
def test_damaged_memory_is_none(project: Project, member: str, value: object, at: int, piece: bytes) -> None:
    project._file.unlink(missing_ok=True)
    project.look(CODE)
    whole = project._file.read_bytes()
    digest, _, document = whole.partition(b"\n")
    changed = json.dumps(json.loads(document) | {member: value}, separators=(",", ":")).encode()
    at %= len(whole)
    for damaged in (
        whole[:at] + piece,
        whole[:at] + piece + whole[at:],
        digest + b"\n" + changed,
        json.dumps(value).encode(),
    ):
        if damaged != whole:
            project._file.write_bytes(damaged)
            assert project.look(CODE) == []
            assert project.asked == 1


def test_what_a_file_sets_on_others_no_more_is_missed_by_files_that_did_not_change(project: Project) -> None:
    files = {"pkg/__init__.py": "", "pkg/setup.py": "import pkg\npkg.VALUE = 1\n", "run.py": "from pkg import VALUE\n"}
    assert project.names(files) == []
    assert project.names(files | {"pkg/setup.py": ""}) == ["pkg.VALUE"]


def test_part_of_a_package_may_be_provided(unread: Project) -> None:
    files = {"pkg/__init__.py": "", "run.py": "from pkg import made, forgotten\nimport pkg.made.deep\n"}
    assert unread.names(files, "pkg.made") == ["pkg.forgotten"]


def test_memory_that_cannot_be_written_is_done_without(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    project = Project(tmp_path / "file" / "below", monkeypatch)
    assert project.look(CODE) == project.look(CODE) == []


def test_files_that_do_not_compile_are_told_each_time(tmp_path: Path) -> None:
    tree = tree_of({"run.py": "def (\n"})
    for _ in range(2):
        memory = CodeMemory(tmp_path / "memory.json", "")
        broken = memory.look(tree)["run.py"].why_broken
        assert broken is not None
        assert broken.line == 1
        memory.keep()


def test_files_are_looked_into_once_until_they_or_what_judges_them_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[str] = []

    def flags(path: str, *_: object, **__: object) -> tuple[str, ...]:
        looked.append(path)
        return (f"flag of {path}",)

    monkeypatch.setattr("images.code_memory.flags_of", flags)

    def look(files: dict[str, str]) -> list[str]:
        looked.clear()
        memory = CodeMemory(tmp_path / "memory.json", "")
        assert {path: known.flags for path, known in memory.look(tree_of(files)).items()} == {
            path: [f"flag of {path}"] for path in files
        }
        memory.keep()
        return list(looked)

    assert look({"a.py": "", "b.txt": "1"}) == ["a.py", "b.txt"]
    assert look({"a.py": "", "b.txt": "1"}) == []
    assert look({"a.py": "", "b.txt": "2", "c.txt": ""}) == ["b.txt", "c.txt"]
    monkeypatch.setattr("images.code_memory._JUDGES", ("signatures.py",))
    assert look({"a.py": "", "b.txt": "2"}) == ["a.py", "b.txt"]
