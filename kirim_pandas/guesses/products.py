"""Two columns that decide together, but for some exceptions: which values of each?"""

from __future__ import annotations

from math import log2

import numpy as np
from numpy.typing import NDArray

from kirim_pandas.guesses.assignments import subsets
from kirim_pandas.guesses.columns import Column

MAX_MEMBERS_LOG2 = 14.0
"""Pairs of columns with more ways to choose than this take too long."""

Masks = NDArray[np.bool_]


def are_few(first: Column, second: Column) -> bool:
    """Tell whether all choices of values of two columns may be tried."""
    sides = _log2_sides(first) + _log2_sides(second)
    return min(first.values, second.values) > 1 and sides <= MAX_MEMBERS_LOG2


def counts_of(first: Column, second: Column, table: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return how many contacts of each leaf have chosen values of both, shape (choices, l).

    Parameters
    ----------
    first, second
        The columns.
    table
        Contacts of each leaf by both values, shape (l, values * values).
    """
    cells = table.reshape(len(table), first.values, second.values)
    inside = np.einsum("sa,lab->slb", _sides(first), cells, optimize=True)
    chosen = np.einsum("slb,tb->stl", inside, _sides(second), optimize=True)
    return np.asarray(chosen.reshape(-1, len(table)))


def masks_of(first: Column, second: Column, numbers: NDArray[np.int64]) -> Masks:
    """Return of some choices which combinations of values they hold, shape (choices, cells)."""
    sides = _sides(first), _sides(second)
    rows, columns = np.divmod(numbers, len(sides[1]))
    both = sides[0][rows][:, :, np.newaxis] & sides[1][columns][:, np.newaxis]
    return np.asarray(both.reshape(len(numbers), -1))


def _log2_sides(column: Column) -> float:
    return log2(2 * column.values) if column.ordered else float(column.values)


def _sides(column: Column) -> Masks:
    """Return what may be chosen of a column: some values, or one side of a cut; never all."""
    if not column.ordered:
        return subsets(column.values)[1:-1]
    below = np.tri(column.values, dtype=np.bool_)[:-1]
    return np.concatenate([below, ~below])
