"""A job on a device without room for a captioner beside the detector goes on without captions, and says so."""

from __future__ import annotations

import json
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest

from analyzer import cli
from analyzer.backends.onnx import fastvlm, session
from analyzer.backends.onnx.provider import Provider
from analyzer.backends.onnx.turns import Urgency
from analyzer.contract import MODEL_PATHS, Role
from analyzer.errors import ExitCode
from analyzer.schemas import analysis_schema
from tests.unit.analyzer import onnx_fakes

# In the words of ONNX Runtime.
REASON = "Non-zero status code returned while running Conv node. Status Message: bfc_arena.cc:359 Failed to allocate memory for 9"


class Device:
    """Detectors lack memory as long as any session lives whose file is named by `beside`."""

    def __init__(self, *beside: str) -> None:
        self._beside, self._real = beside, session.load_session
        self._living: weakref.WeakSet[Any] = weakref.WeakSet()
        self.refused = 0

    def load(self, path: Path, provider: Provider, urgency: Urgency) -> Any:
        loaded = self._real(path, provider, urgency)
        if path.stem in self._beside:
            self._living.add(loaded)
        return onnx_fakes.Spy(loaded, [], self._check) if urgency is Urgency.DETECT else loaded

    def _check(self, rows: int) -> None:
        if self._living:
            self.refused += 1
            raise RuntimeError(REASON)


@pytest.fixture
def run(
    tmp_path: Path, make_clip: Callable[..., Path], mark_set: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> Callable[[Device], int]:
    monkeypatch.setattr(fastvlm, "TokenizerFile", lambda _path: onnx_fakes.Words())
    root = tmp_path / "root"
    onnx_fakes.fastvlm(root / MODEL_PATHS[Role.CAPTION])
    onnx_fakes.yolo(root / MODEL_PATHS[Role.DETECTOR], np.array([[48, 32, 20, 40, 0.9, 0]]).T)
    mark_set(root)
    clip = make_clip(frame_count=12)

    def start(device: Device) -> int:
        monkeypatch.setattr(session, "load_session", device.load)
        places = ["--video", str(clip), "--out", str(tmp_path / "out"), "--model-root", str(root)]
        return cli.main(["run", *places, "--backend", "onnx"])

    return start


def test_captioner_goes_and_the_result_says_so(run: Callable[[Device], int], tmp_path: Path) -> None:
    device = Device("embed_tokens", "decoder_model_merged")
    assert run(device) == ExitCode.OK
    assert device.refused > 1, "smaller batches were tried first"
    document = json.loads((tmp_path / "out" / "result.json").read_text())
    jsonschema.validate(document, analysis_schema(), cls=jsonschema.Draft202012Validator)
    assert [note["code"] for note in document["notes"]] == ["captioner-given-up"]
    assert [scene["caption"] for scene in document["scenes"]] == [None]
    assert document["backend"]["captioner"]["name"] == "fastvlm"
    assert document["detections"]
    assert document["stored"]["rows"]["analysis_embeddings"] >= 1, "the tower still makes vectors"


def test_job_ends_with_75_where_that_does_not_help(
    run: Callable[[Device], int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(Device("vision_encoder_q4")) == ExitCode.INTERRUPTED
    assert "error[out-of-memory]: " in capsys.readouterr().err
    assert not (tmp_path / "out" / "result.json").exists()
