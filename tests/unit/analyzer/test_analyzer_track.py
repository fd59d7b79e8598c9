from __future__ import annotations

import itertools
import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analyzer.backends.base import Confidence, Detection, Label
from analyzer.geometry import Box
from analyzer.track import Sighting, Track, Tracker, pair_faces
from analyzer.track.assign import assign
from analyzer.track.kalman import Motion
from analyzer.track.tracker import GAP_MAX_MS, SINGLE_GAP_MAX_MS

CONFIDENCE = Confidence(high=0.5, low=0.1, new=0.6)
# A walking person covers about 0.8 of its height in a second.
HEIGHT, WALK = 100.0, 80.0


def person(left: float, top: float = 0, *, score: float = 1.0, height: float = HEIGHT) -> Detection:
    return Detection(label=Label.PERSON, box=Box(left, top, 0.4 * height, height), score=score, source="test")


def face(left: float, top: float, size: float = 12) -> Detection:
    return Detection(label=Label.FACE, box=Box(left, top, size, size), score=1, source="test")


def follow(
    *frames: tuple[int, list[Detection]], cuts: tuple[int, ...] = ()
) -> tuple[Tracker, list[list[Track | None]]]:
    tracker = Tracker(CONFIDENCE)
    return tracker, [tracker.add(pts, pair_faces(pts, found), cut=pts in cuts) for pts, found in frames]


def keys(owners: list[list[Track | None]]) -> list[list[int | None]]:
    return [[track and track.key for track in frame] for frame in owners]


def indexes(sightings: list[Sighting]) -> list[tuple[int | None, int | None]]:
    return [(each.person, each.face) for each in sightings]


def walk(fps: float, seconds: float, *starts: tuple[float, float]) -> list[tuple[int, list[Detection]]]:
    """Frames with a person from each (left, pixels per second)."""
    return [
        (round(1000 * step / fps), [person(left + speed * step / fps) for left, speed in starts])
        for step in range(round(seconds * fps) + 1)
    ]


def test_face_belongs_to_the_person_whose_upper_part_holds_it() -> None:
    assert indexes(pair_faces(0, [person(0), person(300), face(314, 5), face(14, 5)])) == [(0, 3), (1, 2)]
    assert indexes(pair_faces(0, [person(0), face(14, 80)])) == [(0, None), (None, 1)]
    assert indexes(pair_faces(0, [face(0, 0)])) == [(None, 0)]


def test_faces_are_shared_out_so_that_all_fit() -> None:
    # Both people hold the first face and only the first person holds the second: each gets one.
    left, right = person(0), person(20)
    both, first_only = face(24, 5), face(2, 5)
    assert indexes(pair_faces(0, [left, right, both, first_only])) == [(0, 3), (1, 2)]


@settings(max_examples=60)
@given(st.data())
def test_assignment_is_the_best_of_all(data: st.DataObject) -> None:
    rows, columns = data.draw(st.integers(0, 4)), data.draw(st.integers(0, 4))
    cost = st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.75, 1.0, math.inf])
    costs = np.array(data.draw(st.lists(cost, min_size=rows * columns, max_size=rows * columns))).reshape(rows, columns)
    limit = data.draw(st.sampled_from([0.3, 0.6, 2.0]))

    def price(pairs: list[tuple[int, int]]) -> float:
        return math.fsum(costs[pair] for pair in pairs) + limit * (rows - len(pairs))

    every = [
        list(zip(chosen, order, strict=True))
        for count in range(min(rows, columns) + 1)
        for chosen in itertools.combinations(range(rows), count)
        for order in itertools.permutations(range(columns), count)
    ]
    found = assign(costs, limit=limit)
    assert all(costs[pair] < limit for pair in found)
    assert len({row for row, _ in found}) == len({column for _, column in found}) == len(found)
    assert price(found) == pytest.approx(min(map(price, every)))


def test_assignment_of_no_numbers_is_refused() -> None:
    with pytest.raises(ValueError, match="numbers"):
        assign(np.array([[math.nan]]), limit=1)


def test_filter_learns_the_speed_and_does_not_care_how_often_it_is_asked() -> None:
    box = Box(0, 0, 40, 100)
    motion = Motion.begin(0, box)
    for step in range(1, 11):
        motion = motion.seen(200 * step, box.shift(16.0 * step, 0))
    ahead = motion.at(3000)
    assert ahead.box.left == pytest.approx(240, abs=3)
    assert ahead.box.height == pytest.approx(100, abs=1)
    assert ahead.deviation[0] > motion.at(2200).deviation[0] > motion.deviation[0]
    halfway = motion.at(2400).at(3000)
    assert halfway.box.left == pytest.approx(ahead.box.left)
    assert halfway.deviation == pytest.approx(ahead.deviation, rel=0.02)


@pytest.mark.parametrize("fps", [1, 2, 5, 10, 30])
def test_walking_people_keep_their_tracks_at_every_rate(fps: float) -> None:
    frames = walk(fps, 6, (0, WALK), (900, -WALK / 2), (1400, 0))
    _, owners = follow(*frames)
    assert {tuple(frame) for frame in keys(owners)} == {(1, 2, 3)}


@pytest.mark.parametrize("fps", [5, 30])
def test_people_who_cross_do_not_swap_tracks(fps: float) -> None:
    frames = walk(fps, 5, (0, WALK), (400, -WALK))
    # The detector sees one of the two while they cover each other.
    seen = [(pts, [a] if abs(a.box.left - b.box.left) < 20 else [a, b]) for pts, (a, b) in frames]
    _, owners = follow(*seen)
    assert keys(owners)[0] == keys(owners)[-1] == [1, 2]


def test_track_is_confirmed_at_its_second_sighting_and_numbers_have_no_gaps() -> None:
    tracker, owners = follow((0, [person(0), person(500)]), (200, [person(3), person(900)]), (400, [person(903)]))
    first, once = owners[0]
    assert first is not None
    assert once is not None
    assert (first.number, once.number) == (1, None)
    later = owners[1][1]
    assert later is not None
    assert (later.key, later.number, later.sightings, later.first_ms, later.last_ms) == (3, 2, 2, 200, 400)
    assert [track.key for track in tracker.close()] == [1, 2, 3]
    assert tracker.close() == []


def test_weak_detection_continues_a_track_and_begins_none() -> None:
    weak, hopeless, fair = (person(0, score=score) for score in (0.2, 0.05, 0.55))
    assert keys(follow((0, [weak]), (200, [weak]))[1]) == [[None], [None]]
    assert keys(follow((0, [fair]), (200, [fair]))[1]) == [[None], [None]]
    _, owners = follow((0, [person(0)]), (200, [person(0)]), (400, [weak]), (600, [fair]), (800, [hopeless]))
    assert keys(owners) == [[1], [1], [1], [1], [None]]
    # What was seen once waits for a good sighting.
    assert keys(follow((0, [person(0)]), (200, [weak]))[1]) == [[1], [None]]


def test_better_detection_goes_first() -> None:
    good, weak = person(15), person(1, score=0.2)
    assert keys(follow((0, [person(0)]), (200, [person(0)]), (400, [weak, good]))[1])[2] == [None, 1]


def test_overlap_is_weighed_by_scores_that_have_an_end() -> None:
    def second(scale: float | None) -> Track | None:
        tracker = Tracker(Confidence(high=0.1, low=0.05, new=0.1, scale=scale))
        for pts, left, score in ((0, 0.0, 1.0), (33, 0.0, 1.0), (66, 12.0, 0.25)):
            (owner,) = tracker.add(pts, pair_faces(pts, [person(left, score=score)]))
        return owner

    plain, weighed = second(None), second(1.0)
    assert plain is not None
    assert weighed is not None
    assert (plain.key, weighed.key) == (1, 2)


def test_face_carries_the_track_while_the_person_is_missed() -> None:
    both, alone = [person(0, score=0.2), face(14, 5)], [face(15, 5)]
    tracker, owners = follow((0, both), (500, alone), (1000, both))
    assert keys(owners) == [[1], [1], [1]]
    (track,) = tracker.close()
    assert (track.label, track.sightings) == (Label.PERSON, 3)
    assert [track.label for track in follow((0, alone))[0].close()] == [Label.FACE]


def test_absence_ends_a_track_by_time_and_is_longer_where_frames_are_rare() -> None:
    def gap(last_seen: tuple[int, ...], back: int) -> list[list[int | None]]:
        times = sorted({*last_seen, *range(0, back, max(200, last_seen[1])), back})
        return keys(follow(*[(pts, [person(0)] if pts in (*last_seen, back) else []) for pts in times])[1])

    assert gap((0, 200), 200 + GAP_MAX_MS)[-1] == [1]
    assert gap((0, 200), 400 + GAP_MAX_MS)[-1] == [2]
    assert gap((0, 2000, 4000), 8000)[-1] == [1]
    once = (0, [person(0)])
    assert keys(follow(once, (500, []), (SINGLE_GAP_MAX_MS, [person(0)]))[1])[-1] == [1]
    assert keys(follow(once, (500, []), (SINGLE_GAP_MAX_MS + 1, [person(0)]))[1])[-1] == [2]


def test_nothing_is_joined_across_a_cut() -> None:
    frames = [(200 * step, [person(0)]) for step in range(6)]
    tracker, owners = follow(*frames[:4], cuts=(600,))
    assert keys(owners) == [[1], [1], [1], [2]]
    assert [track.key for track in tracker.ended()] == [1]
    assert tracker.ended() == []
    tracker.add(800, pair_faces(800, [person(0)]), cut=True)
    assert [(track.key, track.number) for track in tracker.close()] == [(2, None), (3, None)]


@pytest.mark.parametrize("cuts", [(), (200,)])
def test_single_sighting_is_confirmed_in_a_video_of_two_frames(cuts: tuple[int, ...]) -> None:
    tracker, _ = follow((0, [person(0), person(500)]), (200, [person(0)]), cuts=cuts)
    assert tracker.ended() == []
    assert [track.number for track in sorted(tracker.close(), key=lambda each: each.key)][:2] == [1, 2]


_boxes = st.tuples(st.integers(0, 12), st.integers(0, 4), st.sampled_from([0.05, 0.2, 0.55, 1.0]), st.booleans())
_frames = st.lists(
    st.tuples(st.sampled_from([33, 200, 1000, 2500]), st.booleans(), st.lists(_boxes, max_size=4)),
    min_size=1,
    max_size=8,
)


@settings(max_examples=40)
@given(_frames, st.integers(0, 8))
def test_restored_tracker_goes_on_as_if_nothing_had_happened(
    frames: list[tuple[int, bool, list[tuple[int, int, float, bool]]]], kept: int
) -> None:
    whole, parted = Tracker(CONFIDENCE), Tracker(CONFIDENCE)
    pts = 0
    for number, (after, cut, boxes) in enumerate(frames):
        pts += after
        found = [person(20.0 * left, 25.0 * top, score=score) for left, top, score, _ in boxes]
        found += [face(20.0 * left + 14, 25.0 * top + 5) for left, top, _, has_face in boxes if has_face]
        if number == kept:
            parted = Tracker.restore(CONFIDENCE, json.loads(json.dumps(parted.snapshot())))
        sightings = pair_faces(pts, found)
        owners = whole.add(pts, sightings, cut=cut and number % 2 == 0)
        assert keys([owners]) == keys([parted.add(pts, sightings, cut=cut and number % 2 == 0)])
        taken = [track.key for track in owners if track]
        assert len(taken) == len(set(taken))
        assert parted.snapshot() == whole.snapshot()
        if number % 3 == 2:
            assert [track.key for track in whole.ended()] == [track.key for track in parted.ended()]
    assert [(each.key, each.number) for each in whole.close()] == [(each.key, each.number) for each in parted.close()]
