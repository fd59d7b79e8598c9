"""`analyzer report`: what the page holds, that text stays text, and that the film keeps times and is upright."""

from __future__ import annotations

import errno
import html.parser
import io
import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from analyzer import cli
from analyzer.errors import ExitCode, InputUnreadable
from analyzer.published import Published, read_result
from analyzer.report.data import page_data
from analyzer.report.page import render
from analyzer.report.proxy import choose_quality, make_film
from tests.fakes.analyses import HOSTILE, analysis, detection

ClipMaker = Callable[..., Path]
JPEG = b"\xff\xd8\xff\xe0 a picture"


def data_of(folder: Path, **changes: Any) -> dict[str, Any]:
    return page_data(Published(path=folder / "result.json", document=analysis(**changes)))


class Scripts(html.parser.HTMLParser):
    """The text of each script element, and every attribute that makes a browser fetch something."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.fetched: list[str] = []
        self._open = False
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._open = tag == "script"
        if self._open:
            self.texts.append("")
        self.fetched += [value or "" for name, value in attrs if name in {"src", "href", "poster", "srcset"}]

    def handle_endtag(self, tag: str) -> None:
        self._open = False

    def handle_data(self, data: str) -> None:
        if self._open:
            self.texts[-1] += data


def test_paths_are_short_numbers_by_time(tmp_path: Path) -> None:
    data = data_of(tmp_path)
    first, second = data["tracks"]
    assert first["t"] == [0, *[500] * 8]
    assert first["p"][4:8] == [500, 3000, 2000, 5000]
    assert first["f"][4:8] == [1000, 3000, 1000, 2000]
    assert (second["t"], second["p"], second["f"][:4]) == (
        [1000, 500, 500],
        [-1, 0, 0, 0] * 3,
        [8000, 3000, 1000, 2000],
    )
    assert (data["loose"]["t"], data["loose"]["p"]) == ([3000], [7000, 3000, 2000, 5000])
    assert (data["duration"], data["step"]) == (10_000, 500)


def test_coverage_tells_what_was_not_seen_once(tmp_path: Path) -> None:
    parts = [(part["kind"], part["start"], part["end"]) for part in data_of(tmp_path)["coverage"]["parts"]]
    assert parts == [("errors", 0, 8000), ("skipped", 8000, 10_000)]
    coverage = analysis()["coverage"] | {"skipped": []}
    parts = [
        (part["kind"], part["start"], part["end"]) for part in data_of(tmp_path, coverage=coverage)["coverage"]["parts"]
    ]
    assert parts == [("errors", 0, 8000), ("unseen", 8000, 10_000)]


def test_step_of_keyframes_is_the_usual_gap(tmp_path: Path) -> None:
    detections = [detection(at_ms, 0, 1, "person", 0.1) for at_ms in (0, 2000, 4000, 9000)]
    backend = analysis()["backend"] | {"sampling": {"mode": "keyframe", "fps": None}}
    assert data_of(tmp_path, detections=detections, backend=backend)["step"] == 2000


def test_text_of_the_document_never_becomes_markup(tmp_path: Path) -> None:
    (tmp_path / "thumbnails").mkdir()
    (tmp_path / "thumbnails" / "scene-0001.jpg").write_bytes(JPEG)
    (tmp_path / "result.json").write_text(json.dumps(analysis()))
    target = tmp_path / "page.html"
    assert cli.main(["report", str(tmp_path), "--html", str(target)]) == ExitCode.OK
    page = target.read_text("utf-8")
    scripts = Scripts(page)
    assert len(scripts.texts) == 3
    data = json.loads(scripts.texts[0])
    assert data["scenes"][0]["caption"] == HOSTILE
    assert data["scenes"][0]["thumb"].startswith("data:image/jpeg;base64,")
    assert scripts.fetched == ["data:,"]
    assert re.findall(r"(?:https?:)?//[a-z]+\.[a-z]", page) == []
    assert "default-src 'none'" in page


def test_a_lone_surrogate_does_not_stop_the_page(tmp_path: Path) -> None:
    document = analysis()
    document["scenes"][0]["caption"]["text"] = "\ud800"
    data = page_data(Published(path=tmp_path / "result.json", document=document))
    assert json.loads(Scripts(render(data, None).decode()).texts[0])["scenes"][0]["caption"] == "\ud800"


def test_missing_thumbnails_are_named_and_the_page_is_made(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "thumbnails").mkdir()
    (tmp_path / "thumbnails" / "track-0001-face.jpg").write_bytes(b"no picture")
    (tmp_path / "result.json").write_text(json.dumps(analysis()))
    assert cli.main(["report", str(tmp_path), "--html", str(tmp_path / "page.html")]) == ExitCode.OK
    told = capsys.readouterr().out
    assert "without 3 missing thumbnails, `thumbnails/track-0001-person.jpg` first" in told
    assert data_of(tmp_path)["tracks"][0]["thumbs"] == {"person": None, "face": None}


@pytest.mark.parametrize("name", ["../secret.jpg", "/etc/passwd", "thumbnails/../../x.jpg", "thumbnails/a/b.jpg"])
def test_a_thumbnail_outside_the_folder_is_refused(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    document = analysis()
    document["scenes"][0]["thumbnail"] = name
    (tmp_path / "result.json").write_text(json.dumps(document))
    assert cli.main(["report", str(tmp_path), "--html", str(tmp_path / "page.html")]) == ExitCode.INPUT
    assert capsys.readouterr().err.startswith("error[result-malformed]: ")
    assert not (tmp_path / "page.html").exists()


def test_film_is_upright_and_keeps_uneven_times(make_clip: ClipMaker) -> None:
    """Stored on its side, the upper half blue, the lower red; after two pictures there is a gap of a second."""
    path = make_clip(size=(120, 160), turn_cw=90, frame_count=5, pts=[0, 1, 11, 12, 13])
    told: list[int] = []
    film = make_film(
        path,
        size_bytes=path.stat().st_size,
        duration_ms=1400,
        limit_bytes=1_000_000,
        on_decoded=lambda done, _total: told.append(done),
    )
    assert film is not None
    copy = path.with_name("film.mp4")
    copy.write_bytes(film.content)
    with av.open(str(copy)) as container:
        frames = list(container.decode(video=0))
        assert [round(1000 * frame.time) for frame in frames] == [0, 100, 1100, 1200, 1300]
        assert not container.streams.video[0].codec_context.has_b_frames
    # Turned clockwise, the stored upper half lies on the right.
    picture = frames[0].to_ndarray(format="rgb24").astype(np.int16)
    assert picture.shape == (film.height, film.width, 3) == (120, 160, 3)
    left, right = picture[60, 30], picture[60, 130]
    assert left[0] > 150 > left[2]
    assert right[2] > 150 > right[0]
    assert told == sorted(told)


def test_film_of_noise_keeps_its_limit_and_has_a_keyframe_every_two_seconds(make_clip: ClipMaker) -> None:
    path = make_clip(frame_count=60, noise=120)

    def sized(limit_bytes: int) -> bytes:
        told = {"size_bytes": path.stat().st_size, "duration_ms": 6000, "on_decoded": lambda *_: None}
        film = make_film(path, limit_bytes=limit_bytes, **told)
        assert film is not None
        return film.content

    small, large = sized(60_000), sized(5_000_000)
    assert len(small) <= 60_000 < len(large)
    with av.open(io.BytesIO(large)) as container:
        keys = [round(1000 * frame.time) for frame in container.decode(video=0) if frame.key_frame]
    assert keys == [0, 2000, 4000]


def test_film_fits_its_limit_or_is_left_out(tmp_path: Path) -> None:
    hour_ms, limit_bytes = 3_600_000, 24_000_000
    qualities = [choose_quality(length_ms, limit_bytes) for length_ms in (10_000, hour_ms // 4, hour_ms, 3 * hour_ms)]
    assert [each and each.side_px for each in qualities] == [640, 480, 320, None]
    for each, seconds in zip(qualities[:3], (10, 900, 3600), strict=True):
        assert each is not None
        assert each.kbps * 125 * seconds < limit_bytes


@pytest.mark.parametrize(
    ("options", "code", "exit_code"),
    [
        (["--video", "clip.mp4"], "video-of-another-result", ExitCode.INPUT),
        (["--video", "absent.mp4"], "input-missing", ExitCode.INPUT),
        (["--video", "result.json"], "input-not-a-video", ExitCode.INPUT),
        (["--video-mb", "0"], "video-limit-invalid", ExitCode.USAGE),
        (["--html", "/dev/null/page.html"], "result-not-written", ExitCode.MISMATCH),
    ],
)
def test_what_stops_a_report_is_typed(
    options: list[str],
    code: str,
    exit_code: ExitCode,
    make_clip: ClipMaker,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    make_clip(frame_count=1)
    (tmp_path / "result.json").write_text(json.dumps(analysis()))
    assert cli.main(["report", ".", "--html", "page.html", *options]) == exit_code
    assert capsys.readouterr().err.splitlines()[-2].startswith(f"error[{code}]: ")
    assert not (tmp_path / "page.html").exists()


@pytest.mark.parametrize(
    ("content", "is_begun", "told"),
    [
        (None, False, "error[result-missing]: "),
        (None, True, "error[result-unfinished]: "),
        ({}, False, "names no schema, expected `capctl.analysis/1`"),
        ({"schema": "x/9"}, True, "has the schema `x/9`, expected `capctl.analysis/1`"),
    ],
)
def test_a_folder_without_a_result_is_told_from_one_whose_job_has_not_finished(
    content: dict[str, str] | None, is_begun: bool, told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if content is not None:
        (tmp_path / "result.json").write_text(json.dumps(content))
    if is_begun:
        (tmp_path / "work").mkdir()
        (tmp_path / "work" / "attempt.json").write_text("{}")
    assert cli.main(["report", str(tmp_path), "--html", str(tmp_path / "page.html")]) == ExitCode.INPUT
    assert told in capsys.readouterr().err


def test_a_result_that_may_not_be_read_is_not_taken_for_an_unfinished_job(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "attempt.json").write_text("{}")

    def refuse(_: Path) -> bytes:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(InputUnreadable, match="Permission denied") as caught:
        read_result(tmp_path)
    assert caught.value.code == "result-missing"
