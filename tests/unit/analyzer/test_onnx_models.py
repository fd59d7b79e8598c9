"""Attributes and orientation on fakes with the real signatures, against plain arithmetic; and what no model may be or say."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from analyzer.backends.base import PersonCrop
from analyzer.backends.dlib import DlibAttributes
from analyzer.backends.onnx.letterbox import letterbox
from analyzer.backends.onnx.mebow import MebowOrientation, window
from analyzer.backends.onnx.mivolo import MivoloAttributes, visible_body
from analyzer.backends.onnx.session import Network
from analyzer.backends.onnx.turns import Urgency
from analyzer.backends.onnx.yolo import YoloDetector
from analyzer.errors import Mismatch
from analyzer.geometry import Box
from tests.unit.analyzer import onnx_fakes
from tests.unit.analyzer.onnx_parts import (
    BLUE,
    ENGINE,
    GREEN,
    MEAN,
    RED,
    STD,
    SURE,
    code_of,
    halved,
    noise,
    normalised,
    plain,
)


def test_networks_of_another_shape_are_refused(folder: Path) -> None:
    three_classes = onnx_fakes.yolo(folder / "three.onnx", np.concatenate([SURE, SURE[-1:]]))
    assert code_of(YoloDetector, three_classes, "(n, 7, 1)", "(n, 6, n)") == "model-signature"
    other_side = onnx_fakes.mivolo(folder / "side.onnx", side_px=32)
    assert code_of(MivoloAttributes, other_side, "(n, 6, 32, 32)", "(n, 6, 24, 24)") == "model-signature"
    echo = onnx_fakes.echo(folder / "echo.onnx", ["n", 3, 256, 192])
    assert code_of(MebowOrientation, echo, "seen", "`hoe`") == "model-signature"


def test_attributes_see_face_then_body_and_a_black_picture_for_what_is_missing(
    opened: dict[str, Network], spy: onnx_fakes.Spies
) -> None:
    seen, face, body = spy(opened["mivolo"]), noise(48, 48), noise(96, 96, seed=2)
    model = MivoloAttributes(opened["mivolo"], {})
    model.predict(
        [PersonCrop(face=face, body=body[:48, :]), PersonCrop(face=face, body=None), PersonCrop(face=None, body=body)]
    )
    (batch,) = (feeds["input"] for feeds in seen)
    small, black = normalised(halved(face)), normalised(np.zeros((24, 24, 3)))
    quarter = normalised(letterbox(body, 24, 24, fill=0)[0])
    # 48 rows are fewer than the least that is a body.
    wanted = [(small, black), (small, black), (black, quarter)]
    np.testing.assert_allclose(batch[:3], [np.concatenate(each) for each in wanted], atol=1e-5)
    np.testing.assert_allclose(black[:, 0, 0], -MEAN / STD)
    assert len(batch) == 4


def test_wide_crops_lie_between_black_bars(opened: dict[str, Network], spy: onnx_fakes.Spies) -> None:
    seen, face = spy(opened["mivolo"]), noise(48, 24)
    MivoloAttributes(opened["mivolo"], {}).predict([PersonCrop(face=face, body=None)])
    wanted = np.zeros((24, 24, 3), np.uint8)
    wanted[6:18] = halved(face)
    np.testing.assert_allclose(seen[0]["input"][0, :3], normalised(wanted), atol=1e-5)


def test_years_and_gender_come_from_the_metadata_and_the_second_logit(opened: dict[str, Network]) -> None:
    blue_body = PersonCrop(face=None, body=plain(BLUE, 60, 60))
    red_face = PersonCrop(face=plain(RED, 30, 30), body=None)
    found = MivoloAttributes(opened["mivolo"], {}).predict([blue_body, PersonCrop(face=None, body=None), red_face])
    high, low = (1 - MEAN) / STD, -MEAN / STD
    raw = np.array([high[2], low[2]])
    np.testing.assert_allclose(found.age[[0, 2]], np.maximum(0, raw * (95 - 1) + 48), rtol=1e-5)
    female = [1 / (1 + np.exp(low[0] - low[0])), 1 / (1 + np.exp(high[0] - low[0]))]
    np.testing.assert_allclose(found.female[[0, 2]], female, rtol=1e-5)
    assert np.isnan([found.age[1], found.age_low[1], found.age_high[1], found.female[1]]).all()
    # A body alone tells the age less well.
    assert found.age_high[0] - found.age[0] == pytest.approx(1.606 * 6.87)
    assert found.age_high[2] - found.age[2] == pytest.approx(1.606 * 4.24)
    assert found.age_low[2] == 0


@pytest.mark.parametrize("key", ["min_age", "max_age", "avg_age", "input_size"])
def test_attributes_without_a_constant_are_refused(folder: Path, key: str) -> None:
    rest = {name: value for name, value in onnx_fakes.MIVOLO_METADATA.items() if name != key}
    path = onnx_fakes.mivolo(folder / "rest.onnx", metadata=rest)
    assert code_of(MivoloAttributes, path, f"no metadata `{key}`") == "model-metadata"
    path = onnx_fakes.mivolo(folder / "word.onnx", metadata={**rest, key: "many"})
    assert code_of(MivoloAttributes, path, f"`{key}` = `many`") == "model-metadata"


def test_others_are_blacked_out_up_to_the_edge_that_they_are_near() -> None:
    body = noise(100, 200)
    found = visible_body(PersonCrop(face=None, body=body, others=(Box(75, 80, 20, 60),)))
    wanted = body.copy()
    wanted[80:140, 75:100] = 0
    np.testing.assert_array_equal(found, wanted)


def test_faces_are_blacked_out_where_they_are() -> None:
    body = noise(100, 200)
    found = visible_body(PersonCrop(face=None, body=body, faces=(Box(30, 10, 40, 40), Box(-5, 190, 20, 30))))
    wanted = body.copy()
    wanted[10:50, 30:70], wanted[190:200, 0:15] = 0, 0
    np.testing.assert_array_equal(found, wanted)


def test_body_of_which_little_is_left_is_none() -> None:
    body = noise(100, 100)
    half = visible_body(PersonCrop(face=None, body=body, others=(Box(0, 0, 100, 55),)))
    np.testing.assert_array_equal(half, body[55:])
    assert visible_body(PersonCrop(face=None, body=body, others=(Box(0, 0, 100, 65),))) is None
    assert visible_body(PersonCrop(face=None, body=body, others=(Box(0, 0, 100, 100),))) is None
    assert visible_body(PersonCrop(face=None, body=noise(49, 200))) is None


def test_sectors_are_told_in_their_order_and_add_up_to_one(opened: dict[str, Network], spy: onnx_fakes.Spies) -> None:
    model, seen = MebowOrientation(opened["mebow"], {}), spy(opened["mebow"])
    found = model.predict([plain(colour, 60, 80) for colour in (RED, GREEN, BLUE)])
    assert (found.shape, found.dtype) == ((3, 72), np.float32)
    assert list(found.argmax(axis=1)) == [0, 1, 2]
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(seen[0]["input"][0], normalised(window(plain(RED, 60, 80))), atol=1e-5)
    assert model.predict([]).shape == (0, 72)


@pytest.mark.parametrize("size", [(60, 80), (30, 80), (90, 80)])
def test_body_fills_four_fifths_of_its_window_and_keeps_its_shape(size: tuple[int, int]) -> None:
    width, height = size
    shown = window(plain(GREEN, width, height))[:, :, 1] > 127
    scale = 192 / 1.25 / max(width, 0.75 * height)
    assert abs(shown.any(axis=0).sum() - scale * width) <= 1
    assert abs(shown.any(axis=1).sum() - scale * height) <= 1
    rows, columns = np.flatnonzero(shown.any(axis=1)), np.flatnonzero(shown.any(axis=0))
    assert abs(rows[0] + rows[-1] - 255) <= 2
    assert abs(columns[0] + columns[-1] - 191) <= 2


def test_orientation_without_its_softmax_is_refused(folder: Path) -> None:
    network = ENGINE.open(onnx_fakes.mebow(folder / "raw.onnx", last="Identity"), Urgency.DETECT)
    with pytest.raises(Mismatch, match="does not add up to one") as caught:
        MebowOrientation(network, {}).predict([plain(RED, 60, 80)])
    assert caught.value.code == "model-output"


class _Overflowing:
    """In the place of a session: one value of its first output is not what the network made."""

    def __init__(self, session: Any, value: float) -> None:
        self._session, self._value = session, value

    def run(self, *given: Any) -> Any:
        found = [each.copy() for each in self._session.run(*given)]
        for each in found:
            each.flat[-1] = self._value
        return found


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("name", ["sure", "mivolo", "mebow", "age", "gender"])
def test_what_is_no_number_is_refused_and_never_taken_for_nobody(
    name: str, value: float, opened: dict[str, Network], channel_networks: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    networks = opened | {
        each: ENGINE.open(channel_networks / "models" / f"{each}-v1.onnx", Urgency.ATTRIBUTES)
        for each in ("age", "gender")
    }
    people = [PersonCrop(face=plain(RED, 60, 80), body=None)]
    dlib = DlibAttributes(networks["age"], networks["gender"], {})
    predict: dict[str, Callable[[], Any]] = {
        "sure": lambda: YoloDetector(networks["sure"], {}).detect([plain(RED, 96, 64)]),
        "mivolo": lambda: MivoloAttributes(networks["mivolo"], {}).predict(people),
        "mebow": lambda: MebowOrientation(networks["mebow"], {}).predict([plain(RED, 60, 80)]),
        "age": lambda: dlib.predict(people),
        "gender": lambda: dlib.predict(people),
    }
    monkeypatch.setattr(networks[name], "_session", _Overflowing(networks[name]._session, value))
    with pytest.raises(Mismatch) as caught:
        predict[name]()
    assert caught.value.code == "model-output"
    assert networks[name].path.name in caught.value.message
