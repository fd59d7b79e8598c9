from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from analyzer.backends.appearance import AppearanceEmbedder
from analyzer.backends.base import AttributeModel, PersonCrop
from analyzer.backends.choose import choose_backends
from analyzer.backends.dlib import MEANS_RGB, normalise
from analyzer.contract import ModelSettings, Role
from analyzer.crops import CropKeeper, thumbnail
from analyzer.errors import Mismatch
from analyzer.geometry import Box
from analyzer.manifest import ModelSet, check_model_set
from tests.fakes.frames import frame_of

SetMaker = Callable[..., str]


def plain(*bgr: int, side_px: int = 50) -> np.ndarray:
    return np.full((side_px, side_px, 3), bgr, np.uint8)


def noisy(side_px: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 255, (side_px, side_px, 3), dtype=np.uint8)


def attributes_in(model_set: ModelSet, paths: dict[Role, Path] | None = None) -> AttributeModel | None:
    return choose_backends("null", model_set, ModelSettings(paths=paths or {})).attributes


def test_normalise_is_rgb_minus_means_over_256() -> None:
    ready = normalise(plain(10, 20, 30), 64)
    assert (ready.shape, ready.dtype) == ((3, 64, 64), np.float32)
    np.testing.assert_allclose(ready[:, 0, 0], (np.array([30, 20, 10]) - MEANS_RGB) / 256, rtol=1e-6)


def test_networks_see_red_as_the_first_channel(channel_networks: Path, mark_set: SetMaker) -> None:
    mark_set(channel_networks)
    model = attributes_in(check_model_set(channel_networks))
    assert model is not None
    found = model.predict(
        [PersonCrop(face=face, body=None) for face in (plain(0, 0, 255), plain(255, 0, 0, side_px=20))]
    )
    np.testing.assert_allclose(found.age, [70, 20], atol=0.1)
    np.testing.assert_allclose(found.female, [0, 1], atol=0.01)
    # Sure as they are of one class, they are known to be off by more.
    np.testing.assert_allclose([found.age_low, found.age_high], [[63.9, 13.9], [76.1, 26.1]], atol=0.1)
    assert len(model.predict([]).age) == 0


def test_description_carries_the_digests_that_were_checked(channel_networks: Path, mark_set: SetMaker) -> None:
    mark_set(channel_networks)
    model_set = check_model_set(channel_networks)
    model = attributes_in(model_set)
    assert model is not None
    assert [model.description["age"], model.description["gender"]] == [file.entry for file in model_set.files]


def test_no_networks_mean_no_attributes(tmp_path: Path) -> None:
    assert attributes_in(check_model_set(tmp_path)) is None


def test_one_network_without_the_other_is_refused(channel_networks: Path, mark_set: SetMaker) -> None:
    (channel_networks / "models" / "gender-v1.onnx").unlink()
    mark_set(channel_networks)
    with pytest.raises(Mismatch, match=r"gender-v1\.onnx"):
        attributes_in(check_model_set(channel_networks))


def test_network_outside_the_checked_set_is_refused(channel_networks: Path, mark_set: SetMaker, tmp_path: Path) -> None:
    mark_set(channel_networks)
    outside = tmp_path / "age.onnx"
    outside.write_bytes((channel_networks / "models" / "age-v1.onnx").read_bytes())
    with pytest.raises(Mismatch) as caught:
        attributes_in(check_model_set(channel_networks), {Role.AGE: outside})
    assert caught.value.code == "model-unchecked"


def test_file_that_is_no_network_is_refused_by_name(channel_networks: Path, mark_set: SetMaker) -> None:
    (channel_networks / "models" / "age-v1.onnx").write_bytes(b"nonsense")
    mark_set(channel_networks)
    with pytest.raises(Mismatch, match=r"age-v1\.onnx") as caught:
        attributes_in(check_model_set(channel_networks))
    assert caught.value.code == "model-unloadable"


def test_network_of_another_shape_is_refused(channel_networks: Path, mark_set: SetMaker) -> None:
    models = channel_networks / "models"
    (models / "age-v1.onnx").write_bytes((models / "gender-v1.onnx").read_bytes())
    mark_set(channel_networks)
    with pytest.raises(Mismatch) as caught:
        attributes_in(check_model_set(channel_networks))
    assert caught.value.code == "model-signature"


def test_keeper_prefers_faces_then_large_and_sharp_crops() -> None:
    sharp, blurred = noisy(64), cv2.GaussianBlur(noisy(64), (0, 0), 4)
    keeper, whole, small = CropKeeper(3), Box(0, 0, 64, 64), Box(8, 8, 24, 24)
    for pts_ms, (picture, face) in enumerate(
        [(sharp, None), (blurred, small), (sharp, small), (blurred, None), (sharp, small)]
    ):
        keeper.offer(frame_of(picture, pts_ms), face=face, body=whole, others=[small], faces=[small])
    assert [sample.pts_ms for sample in keeper.best_first] == [2, 4, 1]
    assert {label: portrait.pts_ms for label, portrait in keeper.portraits.items()} == {"face": 2, "person": 0}
    crop = keeper.best_first[0].crop
    assert crop.body is not None
    assert crop.body.shape == (64, 64, 3)
    assert crop.others == crop.faces == (small,)


def test_crops_that_leave_the_picture_or_are_reduced_keep_their_place() -> None:
    keeper = CropKeeper(1)
    keeper.offer(
        frame_of(noisy(800)), face=None, body=Box(-10, -10, 778, 778), others=[Box(384, 384, 800, 800)], faces=[]
    )
    (sample,) = keeper.best_first
    assert sample.crop.body is not None
    assert sample.crop.body.shape == (384, 384, 3)
    assert sample.crop.others == (Box(192, 192, 192, 192),)
    keeper.offer(frame_of(noisy(64)), face=None, body=Box(70, 70, 10, 10), others=[], faces=[])
    assert len(keeper.best_first) == 1


def test_thumbnail_is_a_small_jpeg() -> None:
    data = thumbnail(noisy(600))
    assert data[:2] == b"\xff\xd8"
    assert max(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR).shape) == 256


def test_descriptor_has_norm_one_and_tells_pictures_apart() -> None:
    embedder = AppearanceEmbedder()
    first, again, other = embedder.embed([noisy(90), noisy(90), noisy(90, seed=1)])
    assert first.shape == (embedder.dimension,)
    assert float(np.linalg.norm(first)) == pytest.approx(1, abs=1e-5)
    assert float(first @ again) == pytest.approx(1, abs=1e-5)
    assert float(first @ other) < 0.999
    assert np.isfinite(embedder.embed([plain(0, 0, 0)])).all()


def test_runtime_reports_to_nobody(tmp_path: Path) -> None:
    """The reporting client leaves a session file in TMPDIR and a device id in the cache as soon as it starts."""
    script = "from analyzer.backends.runtime import onnxruntime; print(len(onnxruntime.get_available_providers()))"
    environment = {
        "TMPDIR": str(tmp_path),
        "HOME": str(tmp_path),
        "XDG_CACHE_HOME": str(tmp_path),
        "PYTHONPATH": str(Path(__file__).parents[3]),
    }
    subprocess.run([sys.executable, "-c", script], env=environment, check=True, capture_output=True)
    assert list(tmp_path.iterdir()) == []
