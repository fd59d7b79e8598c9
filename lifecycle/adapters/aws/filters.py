"""Filters of EC2's calls."""

from collections.abc import Iterable, Iterator

_MOST_VALUES = 200


def batches(values: Iterable[str]) -> Iterator[list[str]]:
    """The values in order, each once, in lists that are as long as one filter takes."""
    wanted = sorted(set(values))
    for start in range(0, len(wanted), _MOST_VALUES):
        yield wanted[start : start + _MOST_VALUES]
