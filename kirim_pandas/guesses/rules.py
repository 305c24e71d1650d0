"""Exact rules: which values of a column, or which stretch of its order, explain every count.

Each leaf is given a random 64-bit number. A contact's number is its leaf's, so the numbers of a
set of contacts add up, modulo 2**64, to the same sum as the leaves' numbers times their counts if
and only if the set has the counts of every leaf (but for odds of 2**-64). So a rule is found by
looking up one sum, whatever the number of leaves.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, starmap
from math import log2
from operator import attrgetter

import numpy as np
from numpy.typing import NDArray

from kirim_pandas.guesses.columns import Column, pair_of
from kirim_pandas.guesses.leaves import Leaves, information_bits

__all__ = ["Rule", "find_rule", "tells_rules"]

MAX_VALUES = 40
"""Values that a subset is sought among: 2**20 sums a side take 0.3 s and 16 MB."""

MAX_PAIRS = 60
"""Pairs of columns that are tried, those of fewest cells first: some 3 s at the worst."""

MARGIN_BITS = 6.0
"""Counts must be worth so many bits more than there are rules to choose from: then a rule that
fits by chance turns up once in 64 searches, and the confirming call refutes it."""

Mask = NDArray[np.bool_]
Hashes = NDArray[np.uint64]


@dataclass(frozen=True, slots=True, eq=False)
class Rule:
    """A rule that fits every count.

    Attributes
    ----------
    marked : bool array, shape (m,)
        Which contacts of the leaves it marks, in their order.
    column : str
        The name of the column, or of both.
    bits : float
        What it takes to name the rule among those of its column.
    chosen, of : int
        How many values it chooses, of how many; 0 for a stretch of an ordered column.
    """

    marked: Mask
    column: str
    bits: float
    chosen: int = 0
    of: int = 0


def find_rule(
    leaves: Leaves, columns: Sequence[Column], marked: NDArray[np.int64], seed: int
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

    Returns
    -------
    Rule or None
        None where no rule fits, where rules fit that mark different contacts, and where the
        counts do not tell enough.
    """
    if not 0 < marked.sum() < leaves.sizes.sum():
        return None
    hashes = _hashes(len(leaves), seed)
    target = (hashes * marked.astype(np.uint64)).sum(dtype=np.uint64, keepdims=True)
    families = list(_families(columns))
    worth = _worth_bits(leaves, marked, len(families))
    for column in families:
        found: list[Rule] = []
        if _log2_members(column) > worth:
            continue
        if column.ordered:
            cuts_only = 2 * _log2_members(column) > worth
            found = _stretches(leaves, column, hashes, target, cuts_only=cuts_only)
        else:
            found = _subsets(leaves, column, hashes, target)
        if len(found) == 1:
            return found[0]
    return None


def tells_rules(
    leaves: Leaves, columns: Sequence[Column], marked: NDArray[np.int64], column: Column
) -> bool:
    """Tell whether :func:`find_rule` would have found a rule over `column`, were there one."""
    worth = _worth_bits(leaves, marked, len(list(_families(columns))))
    return _log2_members(column) <= worth


def _worth_bits(leaves: Leaves, marked: NDArray[np.int64], families: int) -> float:
    """Return how many bits of choice the counts can bear."""
    return information_bits(leaves, marked) - MARGIN_BITS - log2(max(1, families))


def _log2_members(column: Column) -> float:
    """Return the bits it takes to name one rule: of an ordered column, a cut and a side."""
    return log2(2 * column.values) if column.ordered else float(column.values)


def _families(columns: Sequence[Column]) -> Iterator[Column]:
    """Go through what a rule may be about, the fewest members first: the simplest rule wins."""
    names = [c for c in columns if not c.ordered and 2 <= c.values <= MAX_VALUES]
    yield from sorted(names, key=attrgetter("values"))
    yield from (column for column in columns if column.ordered and column.values > 1)
    yield from _pairs(names)


def _pairs(names: Sequence[Column]) -> Iterator[Column]:
    pairs = [pair for pair in combinations(names, 2) if _cells(pair) <= 4 * MAX_VALUES]
    joined = starmap(pair_of, sorted(pairs, key=_cells)[:MAX_PAIRS])
    yield from (pair for pair in joined if pair.values <= MAX_VALUES)


def _cells(pair: tuple[Column, Column]) -> int:
    return pair[0].values * pair[1].values


def _hashes(count: int, seed: int) -> Hashes:
    random = np.random.default_rng(seed)
    return random.integers(0, 2**64, count, dtype=np.uint64) | np.uint64(1)


def _subsets(leaves: Leaves, column: Column, hashes: Hashes, target: Hashes) -> list[Rule]:
    """Find the sets of values whose sums add up to `target`; at most two, for two are too many."""
    table = leaves.table(column.codes, column.values).astype(np.uint64)
    sums = (table * hashes[:, np.newaxis]).sum(axis=0, dtype=np.uint64)
    half = len(sums) // 2
    left, right = _all_sums(sums[:half]), _all_sums(sums[half:])
    order = np.argsort(left, kind="stable")
    wanted = target - right  # modulo 2**64, as all of this
    low = np.searchsorted(left[order], wanted, side="left")
    high = np.searchsorted(left[order], wanted, side="right")
    rules = []
    for place in np.flatnonzero(high > low)[:2]:
        for number in order[low[place] : high[place]][:2]:
            chosen = (int(number) | int(place) << half) >> np.arange(len(sums)) & 1 == 1
            rules.append(
                Rule(
                    chosen[column.codes],
                    column.name,
                    _log2_members(column),
                    int(chosen.sum()),
                    column.values,
                )
            )
    return rules


def _all_sums(sums: Hashes) -> Hashes:
    """Return the sums of all subsets; bit v of the place says whether value v is in it."""
    found = np.zeros(1, dtype=np.uint64)
    for value in sums:
        found = np.concatenate([found, found + value])
    return found


def _stretches(
    leaves: Leaves, column: Column, hashes: Hashes, target: Hashes, *, cuts_only: bool
) -> list[Rule]:
    """Find the stretches of values, and those that leave out a stretch, that add up to `target`."""
    hash_of_contact = hashes[leaves.leaf]
    order = np.argsort(column.codes, kind="stable")
    codes = column.codes[order]
    ends = np.flatnonzero(np.append(codes[1:] != codes[:-1], True)) + 1
    sums = np.cumsum(hash_of_contact[order], dtype=np.uint64)[ends - 1]
    prefix = np.concatenate([np.zeros(1, dtype=np.uint64), sums])
    whole = prefix[-1:]
    by_sum = np.argsort(prefix, kind="stable")
    rules: list[Rule] = []
    for wanted, outside in ((target, False), (whole - target, True)):
        later = prefix + wanted
        place = np.searchsorted(prefix[by_sum], later)
        hit = prefix[by_sum][np.minimum(place, len(prefix) - 1)] == later
        for first in np.flatnonzero(hit):
            last = int(by_sum[place[first]])
            if last <= first or (cuts_only and first > 0 and last < column.values):
                continue
            inside = (column.codes >= first) & (column.codes < last)
            rules.append(Rule(inside ^ outside, column.name, _log2_members(column)))
    return _different(rules)


def _different(rules: Sequence[Rule]) -> list[Rule]:
    """Leave out rules that mark the same contacts: a head of the order is also all but a tail."""
    kept: list[Rule] = []
    for rule in rules:
        if not any(np.array_equal(rule.marked, other.marked) for other in kept):
            kept.append(rule)
    return kept
