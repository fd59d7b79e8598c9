"""The detector, the attributes and the orientation on fakes with the real signatures, against plain arithmetic of the test's own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from analyzer.backends.base import Confidence, Label, PersonCrop
from analyzer.backends.dlib import DlibAttributes
from analyzer.backends.onnx.letterbox import letterbox
from analyzer.backends.onnx.mebow import MebowOrientation, window
from analyzer.backends.onnx.mivolo import MivoloAttributes, visible_body
from analyzer.backends.onnx.session import Engine, Network
from analyzer.backends.onnx.turns import Urgency
from analyzer.backends.onnx.yolo import YoloDetector, suppress
from analyzer.errors import Mismatch
from analyzer.geometry import Box
from tests.unit.analyzer import onnx_fakes

ENGINE = Engine()
MEAN, STD = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
RED, GREEN, BLUE = (0, 0, 255), (0, 255, 0), (255, 0, 0)

# One anchor per column: centre x and y, width, height, then the scores of person and face, in pixels of 96x64.
ANCHORS = np.array(
    [
        [30, 32, 20, 40, 0.9, 0.1],
        [31, 32, 20, 40, 0.8, 0.1],  # the same person
        [36, 32, 20, 40, 0.7, 0.1],  # another one, nearby
        [30, 32, 20, 40, 0.1, 0.6],  # a face of the same size as the first person
        [70, 20, 10, 10, 0.2, 0.1],  # a weak person
        [80, 20, 10, 10, 0.1, 0.3],  # a weak face
        [90, 50, 10, 10, 0.05, 0.0],  # nothing
    ]
).T
SURE = np.array([[48, 32, 20, 40, 0.9, 0]]).T


def plain(bgr: tuple[int, int, int], width: int, height: int) -> np.ndarray:
    return np.full((height, width, 3), bgr, np.uint8)


def noise(width: int, height: int, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).integers(1, 255, (height, width, 3), dtype=np.uint8)


def halved(picture: np.ndarray) -> np.ndarray:
    """Each pixel the rounded mean of four."""
    height, width, _ = picture.shape
    return ((picture.reshape(height // 2, 2, width // 2, 2, 3).sum(axis=(1, 3), dtype=np.int64) + 2) // 4).astype(
        np.uint8
    )


def normalised(picture: np.ndarray) -> np.ndarray:
    return ((picture[:, :, ::-1] / 255.0 - MEAN) / STD).transpose(2, 0, 1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fakes")


@pytest.fixture(scope="module")
def opened(folder: Path) -> dict[str, Network]:
    made = {
        "anchors": onnx_fakes.yolo(folder / "anchors.onnx", ANCHORS),
        "sure": onnx_fakes.yolo(folder / "sure.onnx", SURE),
        "mivolo": onnx_fakes.mivolo(folder / "mivolo.onnx"),
        "mebow": onnx_fakes.mebow(folder / "mebow.onnx"),
    }
    return {name: ENGINE.open(path, Urgency.DETECT) for name, path in made.items()}


def code_of(make: Any, path: Path, *said: str) -> str:
    with pytest.raises(Mismatch) as caught:
        make(ENGINE.open(path, Urgency.DETECT), {})
    assert all(word in caught.value.message for word in (path.name, *said)), caught.value.message
    return caught.value.code


def test_detector_sees_rgb_in_the_middle_of_grey(opened: dict[str, Network], spy: onnx_fakes.Spies) -> None:
    seen, picture = spy(opened["sure"]), noise(192, 100)
    YoloDetector(opened["sure"], {}).detect([picture])
    wanted = np.full((64, 96, 3), 114, np.uint8)
    wanted[7:57] = halved(picture)
    np.testing.assert_array_equal(letterbox(picture, 96, 64, fill=114)[0], wanted)
    np.testing.assert_allclose(seen[0]["images"][0], wanted[:, :, ::-1].transpose(2, 0, 1) / 255.0, atol=1e-6)


def test_odd_pixel_of_padding_is_right_or_below() -> None:
    low, narrow = (letterbox(noise(*size), 96, 64, fill=114) for size in ((192, 126), (190, 128)))
    assert [(placed.left, placed.top) for _, placed in (low, narrow)] == [(0, 0), (0, 0)]
    assert (low[0][63] == 114).all()
    assert (narrow[0][:, 95] == 114).all()


@pytest.mark.parametrize("size", [(1000, 331), (77, 640), (31, 17)])
def test_way_back_leads_to_middle_and_corner_also_where_pixels_do_not_divide(size: tuple[int, int]) -> None:
    whole, placed = letterbox(noise(*size), 96, 64, fill=0)
    shown = whole.any(axis=2)
    columns, rows = shown.any(axis=0).sum(), shown.any(axis=1).sum()
    middle = Box(placed.left + columns / 2, placed.top + rows / 2, columns / 2, rows / 2)
    found = placed.restore(middle)
    halves = [size[0] / 2, size[1] / 2] * 2
    np.testing.assert_allclose([found.left, found.top, found.width, found.height], halves, rtol=1e-9)


def test_only_red_pictures_hold_people_for_a_network_that_looks_at_the_first_channel(
    opened: dict[str, Network],
) -> None:
    red, blue = YoloDetector(opened["sure"], {}).detect([plain(RED, 96, 64), plain(BLUE, 96, 64)])
    assert [each.score for each in red] == [0.9]
    assert blue == []


def test_boxes_come_back_in_pixels_of_each_picture(opened: dict[str, Network]) -> None:
    """The box is 38..58 by 12..52 in 96x64: of a picture that fills it, and of two that lie between bars."""
    pictures = [plain(RED, 192, 128), plain(RED, 960, 320), plain(RED, 128, 256)]
    detector = YoloDetector(opened["sure"], {})
    found = [[each.box for each in detections] for detections in detector.detect(pictures)]
    assert found[0] == [Box(76, 24, 40, 80)]
    # 960x320 lies at 0..96 by 16..48: a tenth of its size; what reaches into the bars is cut off.
    assert found[1] == [Box(380, 0, 200, 320)]
    # 128x256 lies at 32..64 by 0..64: a quarter.
    assert found[2] == [Box(24, 48, 80, 160)]
    assert detector.detect([]) == []


def test_the_same_is_told_once_per_class_and_weak_people_but_no_weak_faces(opened: dict[str, Network]) -> None:
    detector = YoloDetector(opened["anchors"], {"detector": {"path": "models/x.onnx"}})
    (found,) = detector.detect([plain(RED, 96, 64)])
    assert [(each.label, each.score) for each in found] == [
        (Label.PERSON, 0.9),
        (Label.PERSON, 0.7),
        (Label.PERSON, 0.2),
        (Label.FACE, 0.6),
    ]
    assert found[0].box == found[3].box
    assert (detector.side_px, detector.confidence) == (96, Confidence(high=0.4, low=0.1, new=0.4, scale=1.0))
    assert detector.description["detector"] == {"path": "models/x.onnx"}


def test_suppression_keeps_every_one_of_a_crowd() -> None:
    """Four hundred people, each twice; the second of each is the same within a pixel."""
    corners = np.array([[40 * x, 90 * y, 40 * x + 35, 90 * y + 80] for x in range(20) for y in range(20)], float)
    assert suppress(np.concatenate([corners, corners + 1]), 0.7) == list(range(400))
    assert suppress(np.zeros((0, 4)), 0.7) == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"names": None}, "no metadata `names`"),
        ({"imgsz": None}, "no metadata `imgsz`"),
        ({"names": "__import__('os').getcwd()"}, "no plain value"),
        ({"names": "{0: 'person', 1: 'car'}"}, "expected `person` and `face`"),
        ({"names": "7"}, "expected `person` and `face`"),
        ({"imgsz": "[640, 0]"}, "`imgsz` = `[640, 0]`"),
        ({"imgsz": "'large'"}, "`imgsz` = `large`"),
    ],
)
def test_detector_without_its_metadata_is_refused(folder: Path, change: dict[str, str | None], said: str) -> None:
    metadata = {key: value for key, value in {**onnx_fakes.YOLO_METADATA, **change}.items() if value is not None}
    path = onnx_fakes.yolo(folder / "odd.onnx", SURE, metadata=metadata)
    assert code_of(YoloDetector, path, said) == "model-metadata"


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
