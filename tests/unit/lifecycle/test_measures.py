"""Amounts as people read them."""

import pytest

from lifecycle.domain.measures import counted


@pytest.mark.parametrize(("number", "text"), [(0, "0 files"), (1, "1 file"), (2, "2 files")])
def test_number_decides_between_singular_and_plural(number: int, text: str) -> None:
    assert counted(number, "file") == text
