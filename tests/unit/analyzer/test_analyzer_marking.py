"""`analyzer models mark`: the marker that a bake writes, for models that no bake placed."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from analyzer import cli, marking
from analyzer.contract import MARKER_NAME
from analyzer.errors import ExitCode
from analyzer.manifest import check_model_set
from lifecycle.domain.models import ModelFile, model_set

CONTENTS = {"models/a.onnx": b"aaa", "checkpoints/fastvlm/config.json": b"{}", "runtime/contract.json": b"[]"}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name, content in CONTENTS.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        path.chmod(0o444)
    (tmp_path / "README").write_text("no part of the set")
    return tmp_path


def mark(root: Path) -> int:
    return cli.main(["models", "mark", str(root)])


def markers(root: Path) -> dict[str, bytes]:
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob(f"{MARKER_NAME}*")}


def test_the_markers_are_those_of_a_bake(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert mark(root) == ExitCode.OK
    told = capsys.readouterr().out
    files = check_model_set(root).files
    in_lock = {file.path: file for file in files}
    contract = ModelFile(path="runtime/contract.json", bytes=2, sha256=_sha256(root, "runtime/contract.json"))
    baked = model_set(
        (contract, *(ModelFile(path=each.path, bytes=each.size_bytes, sha256=each.sha256) for each in files))
    )
    places = {MARKER_NAME, *(f"{folder}/{MARKER_NAME}" for folder in baked.folders)}
    assert set(in_lock) == {"models/a.onnx", "checkpoints/fastvlm/config.json"}
    assert markers(root) == dict.fromkeys(places, baked.marker())
    assert {(root / place).stat().st_mode & 0o777 for place in places} == {0o444}
    assert told.splitlines()[-1] == baked.digest == check_model_set(root, expected=baked.digest).digest


def _sha256(root: Path, name: str) -> str:
    return marking.hashed(root / name, name).sha256


def test_marking_again_keeps_the_terms_of_what_did_not_change(root: Path) -> None:
    mark(root)
    document = json.loads((root / MARKER_NAME).read_bytes())
    for entry in document["files"]:
        entry["licence"] = "MIT"
    (root / MARKER_NAME).chmod(0o644)
    (root / MARKER_NAME).write_text(json.dumps(document))
    assert mark(root) == ExitCode.OK
    once = markers(root)
    assert {file.licence for file in check_model_set(root).files} == {"MIT"}
    assert mark(root) == ExitCode.OK
    assert markers(root) == once
    (root / "models/a.onnx").unlink()
    (root / "models/a.onnx").write_bytes(b"bbb")
    shutil.rmtree(root / "checkpoints/fastvlm")
    # Of a marking that was killed.
    (root / "models" / f"{MARKER_NAME}.unfinished").write_bytes(b"{")
    assert mark(root) == ExitCode.OK
    assert [(file.path, file.licence) for file in check_model_set(root).files] == [("models/a.onnx", "")]


def _empty(root: Path) -> None:
    for name in ("models", "checkpoints"):
        shutil.rmtree(root / name)


def _link(root: Path) -> None:
    (root / "models/b.onnx").symlink_to("a.onnx")


def _bytes(root: Path) -> None:
    Path(os.fsdecode(bytes(root / "models") + b"/caf\xe9.onnx")).write_bytes(b"")


def _torn(root: Path) -> None:
    (root / "models" / MARKER_NAME).write_text("{")


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        (_empty, "model-set-absent"),
        (shutil.rmtree, "model-set-absent"),
        (_link, "model-path-invalid"),
        (_bytes, "model-path-invalid"),
        (_torn, "model-marker-invalid"),
    ],
)
def test_what_is_no_set_is_refused_and_stays_unmarked(
    spoil: Callable[[Path], None], code: str, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spoil(root)
    before = markers(root)
    assert mark(root) == ExitCode.MISMATCH
    assert capsys.readouterr().err.startswith(f"error[{code}]: ")
    assert markers(root) == before


def test_a_folder_that_refuses_writes_is_told_before_anything_is_hashed(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(marking, "is_read_only", lambda folder: folder == root / "models")
    monkeypatch.setattr(marking, "hashed", None)
    assert mark(root) == ExitCode.MISMATCH
    assert capsys.readouterr().err.startswith(f"error[model-root-read-only]: `{root / 'models'}` refuses writes\n")
    assert markers(root) == {}


def test_a_full_disk_is_a_failure_of_the_place(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    assert mark(root) == ExitCode.UNAVAILABLE
    assert capsys.readouterr().err.startswith("error[marker-not-written]: `")


def test_a_root_that_may_not_be_looked_into_is_no_bug(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(_: Path) -> bool:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "is_dir", refuse)
    for arguments in (["mark"], ["verify", "--model-root"]):
        assert cli.main(["models", *arguments, str(root)]) == ExitCode.MISMATCH
        assert capsys.readouterr().err.startswith("error[model-file-unreadable]: `")
