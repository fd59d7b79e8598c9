"""The detector on fakes with the real signatures, against plain arithmetic of the test's own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from analyzer.backends.base import Confidence, Label
from analyzer.backends.onnx.letterbox import letterbox
from analyzer.backends.onnx.session import Network
from analyzer.backends.onnx.yolo import YoloDetector, suppress
from analyzer.geometry import Box
from tests.unit.analyzer import onnx_fakes
from tests.unit.analyzer.onnx_parts import (
    BLUE,
    RED,
    SURE,
    code_of,
    halved,
    noise,
    plain,
)


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
