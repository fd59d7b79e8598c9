from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from analyzer.contract import ModelFile, set_digest
from analyzer.errors import ExitCode, Mismatch
from analyzer.manifest import check_model_set, is_read_only

SetMaker = Callable[..., str]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name, content in {"models/a.onnx": b"aaa", "models/sub/b.onnx": b"bb", "checkpoints/c.bin": b"c"}.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return tmp_path


def test_digest_is_that_of_the_sorted_lines() -> None:
    files = [
        ModelFile(path="models/b", size_bytes=1, sha256="b" * 64, mode="0444"),
        ModelFile(path="models/B", size_bytes=1, sha256="a" * 64, mode="0444"),
    ]
    assert set_digest(files) == set_digest(reversed(files))
    assert set_digest(files) == "sha256:5555d5cbf0909aacb0df856d4b0ff4f3a0b6613504b6a3acb69495736608be85"


def test_every_file_is_hashed_and_the_digest_recomputed(root: Path, mark_set: SetMaker) -> None:
    digest = mark_set(root)
    found = check_model_set(root, expected=digest)
    assert found.digest == digest
    assert [(file.path, file.size_bytes) for file in found.files] == [
        ("checkpoints/c.bin", 1),
        ("models/a.onnx", 3),
        ("models/sub/b.onnx", 2),
    ]
    assert found.find(root / "models" / "sub" / ".." / "a.onnx") == found.files[1]


def test_runtime_of_the_set_is_no_model_and_missed_nowhere(root: Path, mark_set: SetMaker) -> None:
    (root / "runtime").mkdir()
    (root / "runtime" / "contract.json").write_bytes(b"{}")
    digest = mark_set(root)
    for path in (root / "runtime").iterdir():
        path.unlink()
    found = check_model_set(root, expected=digest)
    assert (found.digest, found.absent_folders) == (digest, ())
    assert [name for name, _ in found.read_only] == ["models", "checkpoints"]


def test_no_models_at_all_is_an_empty_set(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    found = check_model_set(tmp_path)
    assert (found.digest, found.files, found.read_only) == (None, (), ())


def test_a_folder_of_the_set_may_be_left_unmounted(root: Path, mark_set: SetMaker) -> None:
    digest = mark_set(root)
    for path in (root / "checkpoints").iterdir():
        path.unlink()
    found = check_model_set(root, expected=digest)
    assert (found.digest, found.absent_folders) == (digest, ("checkpoints",))


def _alter(root: Path) -> None:
    (root / "models/a.onnx").chmod(0o644)
    (root / "models/a.onnx").write_bytes(b"aaA")
    (root / "models/a.onnx").chmod(0o444)


def _replace_by_link(root: Path) -> None:
    (root / "models/a.onnx").rename(root / "elsewhere")
    (root / "models/a.onnx").symlink_to(root / "elsewhere")


FAULTS: dict[str, tuple[Callable[[Path], Any], str, str]] = {
    "altered": (_alter, "model-file-mismatch", "models/a.onnx"),
    "grown": (lambda root: _rewrite(root / "models/a.onnx", b"aaaa"), "model-file-mismatch", "size in bytes"),
    "mode": (lambda root: (root / "models/a.onnx").chmod(0o644), "model-file-mismatch", "0644"),
    "missing": (lambda root: (root / "models/sub/b.onnx").unlink(), "model-file-missing", "models/sub/b.onnx"),
    "unlisted": (lambda root: (root / "models/new").write_bytes(b""), "model-file-unlisted", "models/new"),
    "link": (_replace_by_link, "model-file-mismatch", "not a regular file"),
    "conflict": (
        lambda root: (root / "checkpoints/.model-set.json").write_text("{}"),
        "model-marker-conflict",
        "checkpoints",
    ),
    "one marker missing": (
        lambda root: (root / "checkpoints/.model-set.json").unlink(),
        "model-marker-missing",
        "checkpoints",
    ),
}


def _rewrite(path: Path, content: bytes) -> None:
    path.chmod(0o644)
    path.write_bytes(content)
    path.chmod(0o444)


@pytest.mark.parametrize("fault", FAULTS)
def test_any_deviation_from_the_marker_is_refused(fault: str, root: Path, mark_set: SetMaker) -> None:
    mark_set(root)
    damage, code, names = FAULTS[fault]
    damage(root)
    with pytest.raises(Mismatch) as caught:
        check_model_set(root)
    assert (caught.value.code, caught.value.exit_code) == (code, ExitCode.MISMATCH)
    assert names in caught.value.message


@pytest.mark.parametrize("path", ["../x", "models/../../x", "/models/x", "other/x", "models"])
def test_marker_must_not_list_paths_outside_the_folders(path: str, root: Path, mark_set: SetMaker) -> None:
    mark_set(root, change=lambda document: document["files"][0].update(path=path))
    with pytest.raises(Mismatch) as caught:
        check_model_set(root)
    assert caught.value.code == "model-marker-invalid"


@pytest.mark.parametrize(
    "change",
    [
        lambda document: document.update(schema="other/1"),
        lambda document: document.pop("files"),
        lambda document: document["files"][0].pop("sha256"),
        lambda document: document.update(files=3),
    ],
)
def test_malformed_marker_is_refused(change: Callable[[dict[str, Any]], None], root: Path, mark_set: SetMaker) -> None:
    mark_set(root, change=change)
    with pytest.raises(Mismatch) as caught:
        check_model_set(root)
    assert caught.value.code == "model-marker-invalid"


def test_marker_digest_must_be_that_of_its_files(root: Path, mark_set: SetMaker) -> None:
    mark_set(root, change=lambda document: document.update(digest="sha256:" + "0" * 64))
    with pytest.raises(Mismatch, match="the marker says"):
        check_model_set(root)


def test_set_other_than_the_expected_one_is_refused(root: Path, mark_set: SetMaker) -> None:
    mark_set(root)
    with pytest.raises(Mismatch, match="the job expects"):
        check_model_set(root, expected="sha256:" + "0" * 64)


def test_expected_set_that_is_not_mounted_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Mismatch) as caught:
        check_model_set(tmp_path, expected="sha256:" + "0" * 64)
    assert caught.value.code == "model-set-absent"


def test_files_without_a_marker_are_refused(root: Path) -> None:
    with pytest.raises(Mismatch) as caught:
        check_model_set(root)
    assert caught.value.code == "model-marker-missing"


def test_write_check_leaves_nothing_behind(tmp_path: Path) -> None:
    assert is_read_only(tmp_path) is False
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", [errno.EROFS, errno.EACCES])
def test_refused_write_means_read_only(number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> int:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("analyzer.manifest.os.open", refuse)
    assert is_read_only(tmp_path) is True
