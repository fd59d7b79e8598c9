"""A picture finds what looks like it in results whose vectors came from a mounted tower, with those very weights or not at all."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import pytest

from analyzer import cli
from analyzer.backends.onnx import fastvlm
from analyzer.contract import MODEL_PATHS, Role
from analyzer.errors import ExitCode
from tests.unit.analyzer import onnx_fakes
from tests.unit.analyzer.onnx_fakes import HIDDEN

SPACE = f"fastvlm_mean_{HIDDEN}"
Analysed = tuple[Path, Path]


@pytest.fixture
def analysed(
    tmp_path: Path,
    make_clip: Callable[..., Path],
    mark_set: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
) -> Analysed:
    """A model root, and the results of a clip whose one scene was described with it."""
    monkeypatch.setattr(fastvlm, "TokenizerFile", lambda _path: onnx_fakes.Words())
    root, out = tmp_path / "root", tmp_path / "out"
    onnx_fakes.fastvlm(root / MODEL_PATHS[Role.CAPTION])
    mark_set(root)
    run = ["run", "--video", str(make_clip(frame_count=4)), "--out", str(out), "--session", "clip"]
    assert cli.main([*run, "--model-root", str(root), "--backend", "null"]) == ExitCode.OK
    return root, out


@pytest.fixture
def ask(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    def search(exit_code: ExitCode, out: Path, root: Path, *options: str) -> str:
        """What the search for the scene's own thumbnail says."""
        capsys.readouterr()
        like = ["--like", str(out / "thumbnails" / "scene-0001.jpg"), "--folder", str(out)]
        assert cli.main(["search", *like, "--model-root", str(root), *options, "-o", "json"]) == exit_code
        said = capsys.readouterr()
        return said.err if exit_code else said.out

    return search


def test_picture_is_looked_at_by_the_tower_that_made_the_vectors(
    analysed: Analysed, ask: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    root, out = analysed
    # Of the whole model nothing but the tower is needed.
    monkeypatch.setattr(fastvlm, "TokenizerFile", lambda _path: pytest.fail("a search has nothing to say"))
    document: dict[str, Any] = json.loads(ask(ExitCode.OK, out, root))
    assert document["space"] == SPACE
    (hit,) = document["hits"]
    assert (hit["session_id"], hit["kind"], hit["ref"], hit["similarity"] > 0.99) == ("clip", "scene", 1, True)


def test_search_without_the_same_weights_is_refused(
    analysed: Analysed, ask: Callable[..., str], tmp_path: Path, mark_set: Callable[..., str]
) -> None:
    root, out = analysed
    (tmp_path / "nothing").mkdir()
    said = ask(ExitCode.MISMATCH, out, tmp_path / "nothing")
    assert said.startswith("error[space-without-model]: ")
    assert SPACE in said
    assert "`--model-root`" in said
    other = Path(shutil.copytree(root, tmp_path / "other"))
    tower = other / MODEL_PATHS[Role.CAPTION] / "onnx" / "vision_encoder_q4.onnx"
    model = onnx.load(str(tower))
    model.doc_string = "trained again"
    tower.chmod(0o644)
    onnx.save(model, str(tower))
    mark_set(other)
    said = ask(ExitCode.MISMATCH, out, other)
    assert said.startswith("error[space-of-other-weights]: The vectors of the session `clip` in the space")
    assert "`vision_encoder` " in said
    assert "error[license-refused]" in ask(ExitCode.MISMATCH, out, root, "--license-policy", "commercial")
    assert "error[model-missing]" in ask(ExitCode.MISMATCH, out, root, "--caption-model", str(tmp_path / "no"))
