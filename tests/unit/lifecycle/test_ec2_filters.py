"""How much one of EC2's filters takes."""

import pytest

from lifecycle.adapters.aws.filters import batches


@pytest.mark.parametrize(("number", "sizes"), [(0, []), (1, [1]), (200, [200]), (401, [200, 200, 1])])
def test_values_are_asked_in_lists_that_one_filter_takes(number: int, sizes: list[int]) -> None:
    values = [f"snap-{each}" for each in range(number)]
    found = list(batches([*values, *values]))
    assert [len(batch) for batch in found] == sizes
    assert sorted(values) == [one for batch in found for one in batch]
