"""Small videos, networks and model sets, made on the spot, and the environment of a job."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from analyzer import job
from analyzer.backends.onnx.session import Network
from analyzer.backends.onnx.turns import Urgency
from tests.unit.analyzer import job_parts, onnx_fakes, onnx_parts

ClipMaker = Callable[..., Path]
SetMaker = Callable[..., str]


@pytest.fixture
def make_clip(tmp_path: Path) -> ClipMaker:
    def make(
        name: str = "clip.mp4",
        *,
        frame_count: int = 20,
        fps: int = 10,
        size: tuple[int, int] = (160, 120),
        turn_cw: int = 0,
        noise: int = 0,
        pts: list[int] | None = None,
        pixel_format: str = "yuv420p",
        b_frames: int = 0,
    ) -> Path:
        """Upper half blue, lower half red; `turn_cw` is the display rotation that the container carries."""
        path, (width, height) = tmp_path / name, size
        random = np.random.default_rng(7)
        with av.open(str(path), "w", options={"movflags": "faststart"} if name.endswith(".mp4") else {}) as container:
            stream = container.add_stream("mjpeg" if pixel_format == "yuvj420p" else "libx264", rate=fps)
            stream.width, stream.height, stream.pix_fmt = width, height, pixel_format
            stream.options = {"g": "5", "threads": "1", "bf": str(b_frames)}
            if turn_cw:
                stream.set_display_rotation(-turn_cw)
            for index in range(frame_count):
                picture = np.zeros((height, width, 3), np.int16)
                picture[: height // 2, :, 2] = 255
                picture[height // 2 :, :, 0] = 255
                if noise:
                    picture = picture + random.integers(-noise, noise, picture.shape, dtype=np.int16)
                frame = av.VideoFrame.from_ndarray(picture.clip(0, 255).astype(np.uint8), format="rgb24")
                frame.pts = pts[index] if pts else index
                for packet in stream.encode(frame):
                    container.mux(packet)
            for packet in stream.encode():
                container.mux(packet)
        return path

    return make


@pytest.fixture
def audio_only(tmp_path: Path) -> Path:
    path = tmp_path / "sound.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=16000, layout="mono")
        for index in range(8):
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
            frame.sample_rate, frame.pts = 16000, 1024 * index
            for packet in stream.encode(frame):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)
    return path


@pytest.fixture
def mark_set() -> SetMaker:
    """Write `.model-set.json` over the files below a root and return the set digest."""

    def mark(root: Path, *, change: Callable[[dict[str, Any]], None] | None = None) -> str:
        files = []
        for path in sorted(root.rglob("*")):
            if path.is_file() and path.name != ".model-set.json":
                path.chmod(0o444)
                content = path.read_bytes()
                files.append(
                    {
                        "bytes": len(content),
                        "mode": "0444",
                        "path": path.relative_to(root).as_posix(),
                        "sha256": hashlib.sha256(content).hexdigest(),
                    }
                )
        lines = "".join(f"{each['sha256']}  {each['path']}  {each['mode']}\n" for each in files)
        digest = "sha256:" + hashlib.sha256(lines.encode()).hexdigest()
        document: dict[str, Any] = {"digest": digest, "files": files, "schema": "capctl.model-set/1"}
        folders = {str(each["path"]).split("/")[0] for each in files}
        if change:
            change(document)
        text = json.dumps(document, sort_keys=True, separators=(",", ":")) + "\n"
        for folder in folders:
            (root / folder / ".model-set.json").write_text(text)
        return digest

    return mark


def write_network(path: Path, *, side_px: int, classes: int, picks: Callable[[np.ndarray], np.ndarray]) -> None:
    """A network whose output is a linear function of the three channel means: `picks` gives the (3, classes) weights."""
    weights = picks(np.zeros((3, classes), np.float32))
    graph = helper.make_graph(
        [
            helper.make_node("ReduceMean", ["images"], ["means"], axes=[2, 3], keepdims=0),
            helper.make_node("MatMul", ["means", "weights"], ["scores"]),
            helper.make_node("Softmax", ["scores"], ["probabilities"], axis=1),
        ],
        "channel-means",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["N", 3, side_px, side_px])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["N", classes])],
        [numpy_helper.from_array(weights, "weights")],
    )
    # ONNX Runtime reads older versions than the `onnx` package writes by default.
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, str(path))


@pytest.fixture
def channel_networks(tmp_path: Path) -> Path:
    """A model root: red faces are 70 years old and male, green and blue ones 20 and female."""

    def age(weights: np.ndarray) -> np.ndarray:
        weights[0, 70], weights[1, 20], weights[2, 20] = 100, 100, 100
        return weights

    def gender(weights: np.ndarray) -> np.ndarray:
        weights[0, 1], weights[1, 0], weights[2, 0] = 100, 100, 100
        return weights

    root = tmp_path / "root"
    write_network(root / "models" / "age-v1.onnx", side_px=64, classes=81, picks=age)
    write_network(root / "models" / "gender-v1.onnx", side_px=32, classes=2, picks=gender)
    return root


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fakes")


@pytest.fixture(scope="module")
def opened(folder: Path) -> dict[str, Network]:
    made = {
        "anchors": onnx_fakes.yolo(folder / "anchors.onnx", onnx_parts.ANCHORS),
        "sure": onnx_fakes.yolo(folder / "sure.onnx", onnx_parts.SURE),
        "mivolo": onnx_fakes.mivolo(folder / "mivolo.onnx"),
        "mebow": onnx_fakes.mebow(folder / "mebow.onnx"),
    }
    return {name: onnx_parts.ENGINE.open(path, Urgency.DETECT) for name, path in made.items()}


@pytest.fixture
def spy(monkeypatch: pytest.MonkeyPatch) -> onnx_fakes.Spies:
    def watch(network: Network, *, before: Callable[[int], None] | None = None) -> list[dict[str, np.ndarray]]:
        seen: list[dict[str, np.ndarray]] = []
        monkeypatch.setattr(network, "_session", onnx_fakes.Spy(network._session, seen, before))
        return seen

    return watch


@pytest.fixture
def one_person(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job, "choose_backends", job_parts.seeing_one_person)


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch, make_clip: ClipMaker, tmp_path: Path) -> Callable[..., None]:
    clip = make_clip()

    def use(**values: str) -> None:
        for name in list(os.environ):
            if name in {"DATABASE_URL", "RESULT_URL", "MODEL_SET", "SAMPLE_FPS"}:
                monkeypatch.delenv(name)
        defaults = {
            "VIDEO_URL": str(clip),
            "SESSION_ID": "session-1",
            "MODEL_ROOT": str(tmp_path / "root"),
            "RESULT_URL": str(tmp_path / "out"),
        }
        for name, value in {**defaults, **values}.items():
            monkeypatch.setenv(name, value)

    return use
