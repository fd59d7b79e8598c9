from __future__ import annotations

from analyzer.backends.base import Detection, Label
from analyzer.geometry import Box
from analyzer.track import GAP_MAX_MS, Sighting, Track, Tracker, pair_faces


def person(left: float, top: float = 0, size: float = 100) -> Detection:
    return Detection(label=Label.PERSON, box=Box(left, top, size, 2 * size), score=1, source="test")


def face(left: float, top: float, size: float = 30) -> Detection:
    return Detection(label=Label.FACE, box=Box(left, top, size, size), score=1, source="test")


def follow(*frames: tuple[int, list[Detection]]) -> tuple[Tracker, list[list[Track]]]:
    tracker = Tracker()
    return tracker, [tracker.add(pts_ms, pair_faces(pts_ms, detections)) for pts_ms, detections in frames]


def indexes(sightings: list[Sighting]) -> list[tuple[int | None, int | None]]:
    return [(each.person, each.face) for each in sightings]


def test_face_belongs_to_the_person_whose_upper_part_holds_it() -> None:
    found = [person(0), person(300), face(335, 20), face(35, 20)]
    assert indexes(pair_faces(0, found)) == [(0, 3), (1, 2)]


def test_face_at_the_feet_or_outside_stands_alone() -> None:
    assert indexes(pair_faces(0, [person(0), face(35, 165)])) == [(0, None), (None, 1)]
    assert indexes(pair_faces(0, [face(0, 0)])) == [(None, 0)]


def test_person_has_one_face_at_most() -> None:
    assert len([each for each in pair_faces(0, [person(0), face(10, 10), face(60, 10)]) if each.person == 0]) == 1


def test_moving_person_keeps_the_track() -> None:
    tracker, _ = follow(*[(500 * step, [person(20.0 * step)]) for step in range(8)])
    assert [len(track.sightings) for track in tracker.tracks] == [8]


def test_gate_widens_with_the_time_that_passed() -> None:
    near, far = follow((0, [person(0)]), (100, [person(75)])), follow((0, [person(0)]), (1500, [person(75)]))
    assert len(near[0].tracks) == 2
    assert len(far[0].tracks) == 1


def test_two_people_do_not_swap_tracks() -> None:
    tracker, owners = follow(
        *[(500 * step, [person(300 - 15.0 * step), person(15.0 * step)][:: 1 if step % 2 else -1]) for step in range(6)]
    )
    assert len(tracker.tracks) == 2
    for track in tracker.tracks:
        lefts = [each.person_box.left for each in track.sightings if each.person_box]
        assert lefts in (sorted(lefts), sorted(lefts, reverse=True))
    assert all(len({track.number for track in frame}) == 2 for frame in owners)


def test_face_carries_the_track_while_the_person_is_missed() -> None:
    both, alone = [person(0), face(35, 20)], [face(37, 20)]
    tracker, _ = follow((0, both), (500, alone), (1000, both))
    assert len(tracker.tracks) == 1


def test_long_absence_begins_another_track() -> None:
    tracker, _ = follow((0, [person(0)]), (GAP_MAX_MS + 1, [person(0)]))
    assert len(tracker.tracks) == 2


def test_single_sighting_is_not_confirmed_unless_the_video_is_short() -> None:
    tracker, _ = follow((0, [person(0), person(500)]), (500, [person(0)]))
    assert [track.number for track in tracker.confirmed(3)] == [1]
    assert len(tracker.confirmed(2)) == 2
