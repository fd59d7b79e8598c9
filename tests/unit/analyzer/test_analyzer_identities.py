"""The measure that `make bench` applies to real footage, on cases that are counted by hand."""

from __future__ import annotations

from analyzer.geometry import Box
from tests.bench.identities import Agreement, Marked, Tracked, agreement, read_marks
from tests.bench.walkers import MARKS

LEFT, RIGHT = Box(0, 0, 40, 100), Box(200, 0, 40, 100)


def judge(*moments: Tracked, hidden: tuple[Box, ...] = ()) -> Agreement:
    marks = [Marked(pts_ms=at, people={"A": LEFT, "B": RIGHT}, hidden=hidden) for at in range(len(moments))]
    return agreement(marks, dict(enumerate(moments)))


def test_right_tracks_have_no_faults() -> None:
    both = [(1, LEFT.shift(5, 0)), (2, RIGHT)]
    assert judge(both, both) == Agreement(people=4, found=4, wrong=0, switches=0, gaps=0)


def test_swapped_numbers_are_two_switches_and_an_absence_is_a_gap() -> None:
    assert judge([(1, LEFT), (2, RIGHT)], [(2, LEFT), (1, RIGHT)]).switches == 2
    found = judge([(1, LEFT), (2, RIGHT)], [(1, LEFT)], [(1, LEFT), (3, RIGHT)])
    assert (found.found, found.switches, found.gaps) == (5, 1, 1)


def test_box_on_nobody_is_wrong_unless_somebody_is_hidden_there() -> None:
    elsewhere = Box(400, 0, 40, 100)
    found = judge([(1, LEFT), (4, LEFT.shift(0, 5)), (5, elsewhere)])
    assert (found.found, found.wrong, round(found.precision, 2), found.recall) == (1, 2, 0.33, 0.5)
    assert judge([(1, elsewhere)], hidden=(elsewhere,)).wrong == 0


def test_marks_agree_with_themselves() -> None:
    marks = read_marks(MARKS)
    letters = sorted({human for moment in marks for human in moment.people})
    drawn = {each.pts_ms: [(letters.index(human), box) for human, box in each.people.items()] for each in marks}
    found = agreement(marks, drawn)
    assert (found.people, found.found, found.wrong, found.switches) == (184, 184, 0, 0)
    assert (len(marks), len(letters)) == (30, 11)
