"""Amounts as people read them."""

from datetime import timedelta

import pytest

from lifecycle.domain.measures import age_text, counted


@pytest.mark.parametrize(("number", "text"), [(0, "0 files"), (1, "1 file"), (2, "2 files")])
def test_number_decides_between_singular_and_plural(number: int, text: str) -> None:
    assert counted(number, "file") == text


@pytest.mark.parametrize(
    ("age_s", "text"), [(0, "0m"), (59, "0m"), (7199, "119m"), (7200, "2h"), (172_799, "47h"), (172_800, "2d")]
)
def test_age_is_told_in_the_largest_unit_of_which_there_are_two(age_s: int, text: str) -> None:
    assert age_text(timedelta(seconds=age_s)) == text


def test_age_that_nobody_knows_is_a_dash() -> None:
    assert age_text(None) == "-"
