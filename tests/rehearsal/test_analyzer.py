"""The analyzer with its real networks and a real portrait: what it sees, that it sees the same each time, and how fast."""

from __future__ import annotations

import itertools
import json
import os
import resource
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from analyzer.backends.base import PersonCrop
from analyzer.backends.choose import choose_backends
from analyzer.backends.eyes import CHIP_SIDE_PX, LEFT_EYE, RIGHT_EYE, EyeAligner
from analyzer.contract import ModelSettings
from analyzer.crops import CROP_SIDE_MAX_PX, FACE_PADDING
from analyzer.geometry import Box
from analyzer.manifest import check_model_set
from tests.fakes.frames import frame_of
from tests.rehearsal.analyzer_parts import run_batch
from tests.rehearsal.portrait import folder_of, write_portrait_clip

pytestmark = pytest.mark.rehearsal


def test_portrait_gives_one_woman_with_a_face_and_a_plausible_age(clip: Path, model_root: Path, tmp_path: Path) -> None:
    digest = json.loads((model_root / "models" / ".model-set.json").read_text())["digest"]
    document = run_batch(clip, model_root, tmp_path / "out", MODEL_SET=digest)
    assert (document["status"], document["models"]["digest"]) == ("succeeded", digest)
    (track,) = document["tracks"]
    assert track["label"] == "person"
    assert (track["sightings"], track["attribute_samples"]) == (8, 8)
    seen = [each for each in document["detections"] if each["track"] == track["track"]]
    assert sum(each["label"] == "person" for each in seen) >= 6
    assert track["gender"]["value"] == "female"
    assert track["gender"]["confidence"] > 0.9
    # The portrait's subject was 36; the network's mean error is several years.
    assert 25 <= track["age"]["mean"] <= 45
    assert track["age"]["low"] <= track["age"]["mean"] <= track["age"]["high"]
    thumbnails = {kind: cv2.imread(str(tmp_path / "out" / name)) for kind, name in track["thumbnails"].items()}
    assert {kind: picture is not None for kind, picture in thumbnails.items()} == {"face": True, "person": True}
    faces = [each["box"]["left"] for each in seen if each["label"] == "face"]
    assert faces == sorted(faces), "the portrait moves from left to right"


@pytest.mark.parametrize("scale", [0.4, 0.6, 0.9])
def test_portrait_is_found_at_other_sizes(scale: float, model_root: Path, tmp_path: Path) -> None:
    path = tmp_path / "portrait.mp4"
    write_portrait_clip(path, seconds=2, scale=scale)
    (track,) = run_batch(path, model_root, tmp_path / "out")["tracks"]
    assert (track["label"], track["gender"]["value"]) == ("person", "female")
    assert 20 <= track["age"]["mean"] <= 50


def turned_faces() -> list[np.ndarray]:
    """The portrait's face at three sizes and three angles, cut as the pipeline cuts it, and as a detector misses it by a little."""
    picture = cv2.imread(str(folder_of("skimage") / "data" / "astronaut.png"))
    face, side = Box(177, 66, 95, 95), 95
    faces = []
    for scale, degrees in itertools.product((1.0, 0.6, 0.4), (-12, 0, 12)):
        turn = cv2.getRotationMatrix2D((face.left + side / 2, face.top + side / 2), degrees, 1)
        turned = cv2.warpAffine(picture, turn, (512, 512))
        whole = cv2.resize(turned, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        even = frame_of(whole[: whole.shape[0] & ~1, : whole.shape[1] & ~1])
        for dx, dy in ((0, 0), (6, 0), (-6, 0), (0, 6), (0, -6)):
            part = even.cut(face.shift(dx, dy).scale(scale).grow(FACE_PADDING), CROP_SIDE_MAX_PX)
            assert part is not None
            faces.append(part)
    return faces


def test_eyes_are_found_and_make_the_age_steadier(model_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    faces, aligner = turned_faces(), EyeAligner()
    chips = [aligner.chip(face) for face in faces]
    found = [chip for chip in chips if chip.shape[:2] == (CHIP_SIDE_PX, CHIP_SIDE_PX)]
    assert len(found) >= 0.9 * len(faces)
    again = [pair for chip in found if (pair := aligner._find(chip))]
    assert len(again) >= 0.9 * len(found)
    for goal, eyes in zip((LEFT_EYE, RIGHT_EYE), zip(*again, strict=True), strict=True):
        places = np.array([(eye.x, eye.y) for eye in eyes]) / CHIP_SIDE_PX
        assert np.abs(places - goal).max() < 0.08
    model = choose_backends("null", check_model_set(model_root), ModelSettings()).attributes
    assert model is not None
    people = [PersonCrop(face=face, body=None) for face in faces]
    aligned = model.predict(people)
    monkeypatch.setattr(EyeAligner, "chip", lambda _, face: face)
    plain = model.predict(people)
    assert aligned.female.mean() > 0.9
    assert aligned.age.std() < 0.7 * plain.age.std(), (aligned.age.round(1), plain.age.round(1))
    assert abs(aligned.age.mean() - 36) < 10


def test_same_video_gives_the_same_document(clip: Path, model_root: Path, tmp_path: Path) -> None:
    first, second = (run_batch(clip, model_root, tmp_path / name) for name in ("first", "second"))
    measured = {"timings": None, "timeline": None, "resources": None}
    assert first | measured == second | measured


def busy_s() -> float:
    """The CPU time that everything on this machine had since it started, what its host took from it included."""
    user, nice, system, _, _, interrupts, soft, stolen = map(int, Path("/proc/stat").read_text().split()[1:9])
    return (user + nice + system + interrupts + soft + stolen) / os.sysconf("SC_CLK_TCK")


def own_s() -> float:
    """The CPU time of the children of this process that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def test_four_second_clip_takes_less_than_four_seconds(clip: Path, model_root: Path, tmp_path: Path) -> None:
    """Best of three, from process start to process end, without the time that others on the machine had the CPU."""
    taken_s = []
    for attempt in range(3):
        begin_s, busy_before_s, own_before_s = time.monotonic(), busy_s(), own_s()
        run_batch(clip, model_root, tmp_path / str(attempt))
        worked_s = own_s() - own_before_s
        others_s = busy_s() - busy_before_s - worked_s
        taken_s.append(max(worked_s, time.monotonic() - begin_s - others_s))
    assert min(taken_s) < 4, np.round(taken_s, 2)
