"""Optimal assignment of rows to columns.

Source: R. Jonker, A. Volgenant, "A shortest augmenting path algorithm for dense and sparse linear assignment problems", 1987; only
the augmentation, without their reduction steps. A compiled library would be half of what the base image has left to grow.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray


def assign(costs: NDArray[np.float64], *, limit: float) -> list[tuple[int, int]]:
    """Pair rows with columns of `costs` (n, m) so that the sum of costs is least, where leaving a row alone costs `limit`.

    A pair that costs `limit` or more is never made, so an infinite cost forbids a pair. Returns: (row, column), ordered by row.
    Raises: ValueError, for a limit that is not finite or a cost that is NaN or negatively infinite.
    """
    rows, columns = costs.shape
    if not math.isfinite(limit) or np.isnan(costs).any() or np.isneginf(costs).any():
        message = "Costs must be numbers above negative infinity, and the limit finite"
        raise ValueError(message)
    if rows == 0 or columns == 0:
        return []
    affordable = costs < limit
    # Most pairs have no rival: neither could be paired with anything else.
    alone = affordable & (affordable.sum(axis=1, keepdims=True) == 1) & (affordable.sum(axis=0, keepdims=True) == 1)
    pairs = [(int(row), int(column)) for row, column in np.argwhere(alone)]
    left = np.flatnonzero(affordable.any(axis=1) & ~alone.any(axis=1))
    if not left.size:
        return pairs
    # One more column per row stands for leaving it alone; they come first, so that of two equal costs that one is taken.
    wide = np.hstack([np.full((left.size, left.size), limit), np.where(affordable, costs, np.inf)[left]])
    rivals = [(int(left[row]), column - left.size) for column, row in enumerate(_augment(wide)) if row >= 0]
    return sorted([*pairs, *(pair for pair in rivals if pair[1] >= 0)])


def _augment(costs: NDArray[np.float64]) -> NDArray[np.int64]:
    """The row that owns each column, -1 for none; every row of `costs` has a column that it can afford."""
    rows, columns = costs.shape
    owners = np.full(columns, -1, np.int64)
    row_prices, column_prices = np.zeros(rows), np.zeros(columns)
    for start in range(rows):
        distances = np.full(columns, np.inf)
        from_column = np.full(columns, -1, np.int64)
        scanned = np.zeros(columns, bool)
        row, column, reached = start, -1, 0.0
        path: list[tuple[int, int]] = []
        while row >= 0:
            through = reached + costs[row] - row_prices[row] - column_prices
            shorter = ~scanned & (through < distances)
            distances[shorter], from_column[shorter] = through[shorter], column
            column = int(np.argmin(np.where(scanned, np.inf, distances)))
            reached = float(distances[column])
            scanned[column] = True
            path.append((row, column))
            row = int(owners[column])
        row_prices[start] += reached
        for _, passed in path[:-1]:
            row_prices[owners[passed]] += reached - distances[passed]
            column_prices[passed] -= reached - distances[passed]
        while column >= 0:
            before = int(from_column[column])
            owners[column] = start if before < 0 else owners[before]
            column = before
    return owners
