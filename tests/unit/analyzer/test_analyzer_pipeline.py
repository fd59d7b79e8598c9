"""The whole pipeline over drawn people, whose places are known, with models that are exact functions of the pixels."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from analyzer.backends.base import Backends, Caption, Detection, Pixels
from analyzer.contract import SampleMode, Table
from analyzer.errors import DependencyDown, Interrupted
from analyzer.pipeline import run
from analyzer.pipeline.run import Analysed, Listener, Task, analyse
from analyzer.store.base import COLUMNS, Row, SegmentRows, Work
from analyzer.store.folder import FolderStore
from analyzer.store.place import LocalPlace
from tests.fakes.coloured_people import (
    ColourAttributes,
    ColourCaptioner,
    ColourDetector,
    Walker,
    coloured_backends,
    draw_clip,
)

WORK = Work(session_id="s", fingerprint="f", video_url="v", request={})
# Two at once, one of them gone for a while, one later, and somebody who is seen for a moment only.
WALKERS = (
    Walker(left=10),
    Walker(left=150, top=80, first_s=1, last_s=9, height=80, face=False),
    Walker(left=60, top=100, first_s=11, speed=9),
    Walker(left=280, top=10, first_s=5, last_s=5.3, width=20),
)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_clip(tmp_path_factory.mktemp("clip") / "walkers.mp4", WALKERS, seconds=16, cut_s=7)


@dataclass
class Found:
    """What a store has after a run, with what was put beside it."""

    seen: Analysed
    rows: dict[Table, list[Row]]
    pictures: dict[str, bytes] = field(default_factory=dict)


def analyse_into(
    folder: Path,
    clip: Path,
    backends: Backends | None = None,
    *,
    mode: SampleMode = SampleMode.FPS,
    fps: float = 5,
    store_of: Callable[[LocalPlace], FolderStore] = FolderStore,
    on_frame: Callable[[int], None] = lambda _: None,
    on_stopping: Callable[[], None] = lambda: None,
) -> Found:
    task = Task(path=clip, name="clip", mode=mode, fps=fps, prompt="Colour", segment_ms=3000)
    place = LocalPlace(folder)
    with closing(store_of(place)) as store:
        store.check()
        claim = store.claim(WORK)
        listener = Listener(opened=lambda _: None, frame=on_frame, committed=lambda _: None, stopping=on_stopping)
        try:
            seen = analyse(task, backends or coloured_backends(), store, place.put, claim, listener)
        except Interrupted:
            store.give_up({"code": "interrupted"})
            raise
        store.finish({"status": "succeeded"})
        rows = {table: list(store.read(table)) for table in COLUMNS}
    pictures = {path.name: path.read_bytes() for path in (folder / "thumbnails").glob("*")}
    return Found(seen, rows, pictures)


@pytest.fixture(scope="module")
def clean(clip: Path, tmp_path_factory: pytest.TempPathFactory) -> Found:
    return analyse_into(tmp_path_factory.mktemp("clean"), clip)


def test_every_walker_becomes_a_track_with_its_times_and_attributes(clean: Found) -> None:
    tracks = clean.rows[Table.TRACKS]
    # The cut at 7 s ends every track, so those who stay are two tracks.
    spans = {(row["first_ms"], row["last_ms"]) for row in tracks}
    assert spans == {(0, 6800), (1000, 6800), (7000, 15800), (7000, 8800), (11000, 15800), (5000, 5200)}
    assert [row["track"] for row in tracks] == list(range(1, 7))
    whole = next(row for row in tracks if row["first_ms"] == 0)
    assert (whole["age_mean"], whole["gender"], whole["orientation_deg"]) == (60, "female", 90.0)
    faceless = next(row for row in tracks if row["first_ms"] == 1000)
    assert (faceless["age_mean"], faceless["gender"], faceless["face_thumbnail"]) == (80, "male", False)
    kinds = {name.split("-")[0] for name in clean.pictures}
    assert kinds == {"track", "scene"}
    assert {f"track-{row['track']:04d}-person.jpg" for row in tracks} <= set(clean.pictures)


def test_boxes_lie_where_the_walkers_were_drawn(clean: Found) -> None:
    found = [row for row in clean.rows[Table.DETECTIONS] if row["label"] == "person"]
    assert len({(row["pts_ms"], row["det"]) for row in clean.rows[Table.DETECTIONS]}) == len(
        clean.rows[Table.DETECTIONS]
    )
    for row in found:
        drawn = [body for walker in WALKERS if (body := walker.body_at(row["pts_ms"] / 1000))]
        distance = min(abs(row["box_left"] * 320 - body.left) + abs(row["box_top"] * 180 - body.top) for body in drawn)
        assert distance < 4, row
    assert {row["track"] for row in found} == set(range(1, 7))


def test_scenes_part_at_the_cut_and_are_described(clean: Found) -> None:
    scenes = [(row["scene"], row["start_ms"], row["end_ms"], row["caption"]) for row in clean.rows[Table.SCENES]]
    assert scenes == [(1, 0, 7000, "Colour: 150 150 150"), (2, 7000, 16000, "Colour: 220 190 150")]
    vectors = [(row["kind"], row["ref"]) for row in clean.rows[Table.EMBEDDINGS]]
    assert [ref for kind, ref in vectors if kind == "scene"] == [1, 2]
    assert [ref for kind, ref in vectors if kind == "track"] == list(range(1, 7))


def test_segments_cover_the_video_without_a_gap(clean: Found) -> None:
    rows = clean.rows[Table.SEGMENTS]
    assert [(row["start_ms"], row["end_ms"]) for row in rows] == [
        (0, 3000), (3000, 6000), (6000, 9000), (9000, 12000), (12000, 15000), (15000, 16000)
    ]  # fmt: skip
    assert sum(row["sampled_frames"] for row in rows) == clean.seen.coverage.sampled_frames == 80
    assert clean.seen.coverage.is_complete(clean.seen.info.duration_ms)


class _StoppingStore(FolderStore):
    """A store that ends the attempt before or after the commit of one segment."""

    at = -1
    after = False

    def commit(self, rows: SegmentRows) -> None:
        if rows.segment == self.at and not self.after:
            raise DependencyDown("store-down", "down")
        super().commit(rows)
        if rows.segment == self.at:
            raise DependencyDown("store-down", "down")


def test_attempts_that_end_anywhere_leave_what_one_attempt_leaves(clip: Path, clean: Found, tmp_path: Path) -> None:
    for segment in range(6):
        store_of = type("Stopping", (_StoppingStore,), {"at": segment, "after": bool(segment % 2)})
        with pytest.raises(DependencyDown):
            analyse_into(tmp_path, clip, store_of=store_of)
    found = analyse_into(tmp_path, clip)
    assert found.rows == clean.rows
    assert found.pictures == clean.pictures
    assert found.seen == clean.seen


def test_an_interruption_keeps_what_was_committed_and_the_rest_is_done_later(
    clip: Path, clean: Found, tmp_path: Path
) -> None:
    def stop(pts_ms: int) -> None:
        if pts_ms == 10_000:
            raise Interrupted("SIGTERM")

    looked: list[int] = []
    with pytest.raises(Interrupted):
        analyse_into(tmp_path, clip, on_frame=stop)
    assert analyse_into(tmp_path, clip, on_frame=looked.append).rows == clean.rows
    assert looked[0] == 9000
    assert [thread.name for thread in threading.enumerate() if thread.name in ("feed", "closer")] == []


def test_models_are_asked_about_few_crops_of_each_track(clip: Path, tmp_path: Path) -> None:
    backends = coloured_backends()
    found = analyse_into(tmp_path, clip, backends)
    assert isinstance(backends.attributes, ColourAttributes)
    assert backends.attributes.asked == sum(row["attribute_samples"] for row in found.rows[Table.TRACKS])
    for row in found.rows[Table.TRACKS]:
        segments = row["last_ms"] // 3000 - row["first_ms"] // 3000
        assert row["attribute_samples"] <= 8 + segments


def test_keyframe_mode_looks_at_keyframes_and_scene_mode_where_scenes_begin(clip: Path, tmp_path: Path) -> None:
    keyframes = analyse_into(tmp_path / "keyframes", clip, mode=SampleMode.KEYFRAME)
    assert {row["pts_ms"] for row in keyframes.rows[Table.DETECTIONS]} <= set(range(0, 16_000, 1000))
    scenes = analyse_into(tmp_path / "scenes", clip, mode=SampleMode.SCENE)
    looked = {row["pts_ms"] for row in scenes.rows[Table.DETECTIONS]}
    assert looked == {0, 3000, 6000, 7000, 9000, 12_000, 15_000}
    assert len(scenes.rows[Table.SCENES]) == 2


class _FailingDetector(ColourDetector):
    def detect(self, pictures: Sequence[Pixels]) -> list[list[Detection]]:
        raise RuntimeError("out of order")


def test_a_failing_model_ends_the_run_and_every_thread(clip: Path, tmp_path: Path) -> None:
    backends = replace(coloured_backends(), detector=_FailingDetector())
    with pytest.raises(RuntimeError, match="out of order"):
        analyse_into(tmp_path, clip, backends)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith(("feed", "closer", "detect"))]


class _Waiting(ColourCaptioner):
    """Tells the first scene, and of the others nothing before it has to end."""

    def caption(self, picture: Pixels, *, prompt: str, max_tokens: int, is_over: Callable[[], bool]) -> Caption:
        told = super().caption(picture, prompt=prompt, max_tokens=max_tokens, is_over=is_over)
        if told.text == "Colour: 150 150 150":
            return told
        while not is_over():
            threading.Event().wait(0.01)
        return replace(told, text="cut", finished=False)


def test_a_caption_that_a_stop_cuts_short_is_left_to_the_next_attempt(
    clip: Path, clean: Found, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(pts_ms: int) -> None:
        if pts_ms == 10_000:
            raise Interrupted("SIGTERM")

    monkeypatch.setattr(run, "ABANDON_S", 0.3)
    looked: list[int] = []
    running: list[str] = []

    def look() -> None:
        running.extend(thread.name for thread in threading.enumerate() if thread.name == "closer")

    with pytest.raises(Interrupted):
        analyse_into(
            tmp_path, clip, replace(coloured_backends(), captioner=_Waiting()), on_frame=stop, on_stopping=look
        )
    assert running == ["closer"], "who stops is told before what is finished is committed"
    assert analyse_into(tmp_path, clip, on_frame=looked.append).rows == clean.rows
    assert looked[0] == 6000
    assert [thread.name for thread in threading.enumerate() if thread.name in ("feed", "closer")] == []


class _GivenUp:
    """Says something of the first picture only."""

    description: Mapping[str, object] = {"name": "short"}

    def __init__(self) -> None:
        self.asked = 0

    def caption(self, picture: Pixels, *, prompt: str, max_tokens: int, is_over: Callable[[], bool]) -> Caption | None:
        self.asked += 1
        return Caption(text="A wall", tokens=2, finished=True) if self.asked == 1 else None


def test_captioner_that_was_given_up_is_noted_also_by_the_attempt_that_goes_on(clip: Path, tmp_path: Path) -> None:
    def stop(pts_ms: int) -> None:
        if pts_ms >= 14_000:
            raise Interrupted("SIGTERM")

    backends = replace(coloured_backends(), captioner=_GivenUp())
    with pytest.raises(Interrupted):
        analyse_into(tmp_path, clip, backends, mode=SampleMode.KEYFRAME, on_frame=stop)
    found = analyse_into(tmp_path, clip, mode=SampleMode.KEYFRAME)
    captions = [(row["caption"], row["caption_finished"]) for row in found.rows[Table.SCENES]]
    assert captions == [("A wall", True), (None, None)]
    ((code, message),) = found.seen.notes.items()
    assert code == "captioner-given-up"
    assert "From scene 2 on" in message
