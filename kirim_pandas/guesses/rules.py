"""Exact rules: which rule over columns explains every count?"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from math import log2

import numpy as np
from numpy.typing import NDArray

from kirim_pandas.guesses.columns import Column
from kirim_pandas.guesses.families import Family, Mask, Sums, families_of
from kirim_pandas.guesses.leaves import Leaves, information_bits

MARGIN_BITS = 6.0
"""Counts must be worth so many bits more than there are rules to choose from, and one more for
each doubling of the families that are simpler: then a rule that fits by chance turns up once in
ten searches at most, and the confirming call refutes it."""

MAX_MEMBERS = 8
"""Members of a family that fit and are looked at."""


@dataclass(frozen=True, slots=True, eq=False)
class Rule:
    """A rule that fits every count.

    Attributes
    ----------
    marked : bool array, shape (m,)
        Which contacts of the leaves it marks, in their order.
    column : str
        The name of the column, or of all of them.
    bits : float
        What it takes to name the rule among those of its family.
    chosen, of : int
        How many values it chooses, of how many; 0 where an order matters.
    """

    marked: Mask
    column: str
    bits: float
    chosen: int = 0
    of: int = 0


def find_rule(
    leaves: Leaves,
    columns: Sequence[Column],
    marked: NDArray[np.int64],
    seed: int,
    ruled_out: set[int] | None = None,
) -> Rule | None:
    """Return the one rule that marks exactly `marked` contacts of each leaf, if there is one.

    Parameters
    ----------
    leaves
        The open leaves.
    columns
        Columns of the contacts of the leaves, in their order (:meth:`Column.of`).
    marked
        How many contacts of each leaf are to be marked, shape (l,).
    seed
        Makes the random numbers.
    ruled_out
        Numbers of families that hold no rule, from earlier calls with fewer counts of the same
        contacts and outcome; those that turn out so are added.

    Returns
    -------
    Rule or None
        None where no rule fits, where rules fit that mark different contacts, and where the
        counts do not tell enough.
    """
    if not 0 < marked.sum() < leaves.sizes.sum():
        return None
    sums, worth = _sums(leaves, marked, seed), information_bits(leaves, marked)
    over = set() if ruled_out is None else ruled_out
    for number, family in enumerate(families_of(columns)):
        if number in over or _needs(number, family) > worth:
            continue
        found = _different(islice(family.members(sums), MAX_MEMBERS))
        if len(found) == 1:
            return _rule(family, found[0])
        if not found:
            over.add(number)
    return None


def tells_rules(
    leaves: Leaves,
    columns: Sequence[Column],
    marked: NDArray[np.int64],
    names: Collection[str],
) -> bool:
    """Tell whether :func:`find_rule` would have found any rule over the columns of these names."""
    worth = information_bits(leaves, marked)
    return all(
        _needs(number, family) <= worth
        for number, family in enumerate(families_of(columns))
        if set(names) <= set(family.names)
    )


def _needs(number: int, family: Family) -> float:
    """Return how many bits the counts must be worth; so many families are simpler."""
    return family.bits + MARGIN_BITS + log2(1 + number)


def _sums(leaves: Leaves, marked: NDArray[np.int64], seed: int) -> Sums:
    random = np.random.default_rng(seed)
    numbers = random.integers(0, 2**64, len(leaves), dtype=np.uint64) | np.uint64(1)
    both = np.stack([marked, leaves.sizes - marked]).astype(np.uint64)
    return Sums(numbers[leaves.leaf], *(both * numbers).sum(axis=1, dtype=np.uint64))


def _different(members: Iterator[Mask]) -> list[Mask]:
    """Leave out members that mark the same contacts: a head of the order is also all but a tail."""
    kept: list[Mask] = []
    for marked in members:
        if not any(np.array_equal(marked, other) for other in kept):
            kept.append(marked)
    return kept


def _rule(family: Family, marked: Mask) -> Rule:
    name = " and ".join(family.names)
    if any(column.ordered for column in family.columns):
        return Rule(marked, name, family.bits)
    shape = tuple(column.values for column in family.columns)
    cells = np.ravel_multi_index([column.codes for column in family.columns], shape)
    chosen, present = len(np.unique(cells[marked])), len(np.unique(cells))
    return Rule(marked, name, family.bits, chosen, present)
