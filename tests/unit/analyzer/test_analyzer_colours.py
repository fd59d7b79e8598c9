"""Colours from a file to a picture: a clip says how its numbers mean colours, and known colours have to come out."""

from __future__ import annotations

from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from av.video.reformatter import ColorRange

from analyzer.geometry import Box
from analyzer.video.decoder import Decoder, Sampling
from analyzer.video.planes import Frame
from tests.fakes.frames import frame_of

# Red, green, blue, 0 to 255. Of the first three the matrices make the most different things.
COLOURS = np.array([(230, 20, 30), (20, 200, 40), (30, 40, 220), (200, 150, 120), (255, 255, 255), (0, 0, 0)])
PATCH_PX = 32
# Weights of red, green and blue in luma: ITU-R BT.601, BT.709 and BT.2020.
WEIGHTS = {6: (0.299, 0.587, 0.114), 1: (0.2126, 0.7152, 0.0722), 9: (0.2627, 0.678, 0.0593)}


def planes_of(matrix: int, *, is_full: bool, subsampled: bool) -> list[np.ndarray]:
    """Y, U and V of patches side by side: luma, and the scaled differences of blue and red to it."""
    red, blue = COLOURS[:, 0] / 255, COLOURS[:, 2] / 255
    luma = np.array(WEIGHTS[matrix]) @ COLOURS.T / 255
    u, v = (blue - luma) / (2 - 2 * WEIGHTS[matrix][2]), (red - luma) / (2 - 2 * WEIGHTS[matrix][0])
    y = luma * 255 if is_full else 16 + luma * 219
    u, v = (128 + each * (255 if is_full else 224) for each in (u, v))
    chroma_px = PATCH_PX // 2 if subsampled else PATCH_PX
    return [
        np.tile(np.repeat(np.round(each).clip(0, 255).astype(np.uint8), side_px), (side_px, 1))
        for each, side_px in ((y, PATCH_PX), (u, chroma_px), (v, chroma_px))
    ]


def write_clip(path: Path, planes: list[np.ndarray], pixel_format: str, matrix: int, *, is_full: bool) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=5, options={"qp": "0", "threads": "1"})
        stream.height, stream.width = planes[0].shape
        stream.pix_fmt = pixel_format
        stream.codec_context.colorspace = matrix
        stream.codec_context.color_range = ColorRange.JPEG if is_full else ColorRange.MPEG
        frame = av.VideoFrame(stream.width, stream.height, pixel_format)
        for plane, pixels in zip(frame.planes, planes, strict=True):
            padded = np.zeros((plane.height, plane.line_size), np.uint8)
            padded[:, : plane.width] = pixels
            plane.update(padded.tobytes())
        frame.colorspace, frame.color_range = stream.codec_context.colorspace, stream.codec_context.color_range
        container.mux([*stream.encode(frame), *stream.encode()])


@pytest.mark.parametrize("is_full", [False, True], ids=["limited", "full"])
@pytest.mark.parametrize(
    ("matrix", "pixel_format"),
    [(1, "yuv420p"), (6, "yuv420p"), (9, "yuv420p"), (1, "yuv444p")],
)
def test_known_colours_come_out_of_a_clip_that_says_how_they_went_in(
    matrix: int, pixel_format: str, *, is_full: bool, tmp_path: Path
) -> None:
    path = tmp_path / "clip.mkv"
    planes = planes_of(matrix, is_full=is_full, subsampled=pixel_format == "yuv420p")
    write_clip(path, planes, pixel_format, matrix, is_full=is_full)
    (frame,) = (event for event in Decoder(path, Sampling(), name="clip") if isinstance(event, Frame))
    whole = frame.picture(9999)
    crop = frame.cut(Box(0, 0, frame.width, frame.height), 9999)
    frame.release()
    assert crop is not None
    for picture in (whole, crop):
        middles = picture[PATCH_PX // 2, PATCH_PX // 2 :: PATCH_PX, ::-1].astype(int)
        # One step of a plane is at most two of a colour.
        np.testing.assert_allclose(middles, COLOURS, atol=3)


def test_the_brightness_of_a_large_box_comes_from_the_reduced_picture_and_of_a_small_one_from_the_whole() -> None:
    rng = np.random.default_rng(3)
    picture = cv2.GaussianBlur(rng.integers(0, 255, (480, 640, 3), np.uint8), (0, 0), 4)
    frame, large, small = frame_of(picture), Box(64, 32, 256, 256), Box(64, 32, 100, 256)
    before = frame.luma(large, 64)
    frame.picture(160)
    after, whole = frame.luma(large, 64), frame.luma(small, 64)
    assert before is not None
    assert after is not None
    assert whole is not None
    assert (before.shape, after.shape, whole.shape) == ((256, 256), (64, 64), (256, 100))
    assert np.abs(cv2.resize(before, (64, 64), interpolation=cv2.INTER_AREA).astype(int) - after).max() <= 2
