"""A column as a guess sees it: one small number for each contact, and nothing of its text."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

CONNECTED_NUMBER = "the connected number"
"""The name of the column that tells which of the organisation's numbers a contact belongs to."""

EARLIER_RUNS = "what earlier runs found"
"""The name of the column that holds the outcomes of runs of the past."""


@dataclass(frozen=True, slots=True, eq=False)
class Column:
    """What one column says of each contact.

    Attributes
    ----------
    name : str
        How a sentence names it.
    codes : int32 array, shape (contacts,)
        A number from 0 up for each contact. In an ordered column a greater number is a greater
        value, and equal values have equal numbers.
    ordered : bool
        Whether cuts and stretches make sense; else each number is a name.
    """

    name: str
    codes: NDArray[np.int32]
    ordered: bool = False

    def of(self, positions: NDArray[np.int64]) -> Self:
        """Return the column of some contacts, with numbers that leave no gap."""
        _, codes = np.unique(self.codes[positions], return_inverse=True)
        return replace(self, codes=codes.astype(np.int32).reshape(-1))

    def take(self, order: NDArray[np.int64]) -> Self:
        """Return the column with its contacts in another order."""
        return replace(self, codes=self.codes[order])

    @property
    def values(self) -> int:
        """How many different values there are, in a column whose numbers leave no gap."""
        return int(self.codes.max(initial=-1)) + 1


def pair_of(first: Column, second: Column) -> Column:
    """Return two columns as one of names: each combination that occurs is a value."""
    cells = first.codes.astype(np.int64) * second.values + second.codes
    _, codes = np.unique(cells, return_inverse=True)
    return Column(f"{first.name} and {second.name}", codes.astype(np.int32).reshape(-1))
