"""What a rule may say: which contacts each sort of rule can mark, and how its members are searched.

Each leaf is given a random 64-bit number. A contact's number is its leaf's, so the numbers of a
set of contacts add up, modulo 2**64, to the same sum as the leaves' numbers times their counts if
and only if the set has the counts of every leaf (but for odds of 2**-64). So a rule is found by
looking up one sum, whatever the number of leaves. A rule may also say who is *not* marked: then
the numbers add up to what is left of the sum of all.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, product, starmap
from math import comb, log2, prod
from operator import attrgetter
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from kirim_pandas.guesses.columns import Column, pair_of

Mask: TypeAlias = NDArray[np.bool_]
Hashes: TypeAlias = NDArray[np.uint64]

MAX_VALUES = 40
"""Values that a subset is sought among: 2**20 sums a side take 0.3 s and 16 MB."""

MAX_SUMS_LOG2 = 20
"""Binary logarithm of the sums that a family of several columns may take: 10 ms, 8 MB."""

LEAST_NAMES, FEW = 8, 4
"""Of a column of more values than this, up to four may be skipped, or be all that are not."""

MAX_BORDERS = 1100
"""Values of an order that two stretches are sought among: 600,000 stretches, 0.2 s."""

MAX_FAMILIES = 60
"""Families of each sort that are tried, those of the fewest members first."""

MAX_HITS = 8
"""Members that fit; more of them are a sign that the counts tell nothing apart."""


@dataclass(frozen=True, slots=True, eq=False)
class Sums:
    """The numbers of the contacts, and the sums to be found.

    Attributes
    ----------
    contacts : uint64 array, shape (contacts,)
        The number of each.
    marked, others : uint64
        The sum over the contacts that a rule is to mark, and over all others.
    """

    contacts: Hashes
    marked: np.uint64
    others: np.uint64

    def by(self, *columns: Column) -> Hashes:
        """Return the sum over the contacts of each combination of values, one axis a column."""
        shape = tuple(column.values for column in columns)
        cells = np.ravel_multi_index([column.codes for column in columns], shape)
        sums = np.zeros(prod(shape), dtype=np.uint64)
        np.add.at(sums, cells, self.contacts)
        return sums.reshape(shape)

    def wanted(self) -> tuple[tuple[np.uint64, bool], ...]:
        """Return the sums to be found, and whether what is found is the others."""
        return (self.marked, False), (self.others, True)

    def places(self, sums: Hashes) -> Iterator[tuple[list[int], bool]]:
        """Go through the places of the sums to be found; tell whether they mean the others."""
        for wanted, is_others in self.wanted():
            for place in np.argwhere(sums == wanted)[:MAX_HITS].tolist():
                yield place, is_others


class Family(ABC):
    """Rules of one sort over some columns.

    Parameters
    ----------
    columns
        Those it is about.
    bits
        What it takes to name one of its members.
    """

    def __init__(self, columns: Sequence[Column], bits: float) -> None:
        self.columns = tuple(columns)
        self.bits = bits
        self.names = [column.name for column in columns]

    @abstractmethod
    def members(self, sums: Sums) -> Iterator[Mask]:
        """Go through the members that fit, as masks over the contacts."""


class Subsets(Family):
    """Any values of a column of names, or any combinations of values of two."""

    def __init__(self, column: Column, *names: str) -> None:
        super().__init__([column], float(column.values))
        self.names = list(names) or self.names

    def members(self, sums: Sums) -> Iterator[Mask]:
        """Find values of one half and values of the other that add up."""
        (column,) = self.columns
        values = sums.by(column)
        half = len(values) // 2
        left, right = _all_sums(values[:half]), _all_sums(values[half:])
        for first, second in _pairs_of_sum(left, right, sums.marked):
            yield _among(column, first | second << half)


class Few(Family):
    """A few values of a column of many names, or all but a few."""

    def __init__(self, column: Column) -> None:
        members = sum(comb(column.values, few) for few in range(1, FEW + 1))
        super().__init__([column], log2(2 * members))

    def members(self, sums: Sums) -> Iterator[Mask]:
        """Find two values and two more that add up; each may be none at all."""
        (column,) = self.columns
        values = np.append(sums.by(column), np.uint64(0))
        first, second = np.triu_indices(len(values))
        pairs = values[first] + values[second]
        for wanted, is_others in sums.wanted():
            for one, other in _pairs_of_sum(pairs, pairs, wanted):
                chosen = [first[one], second[one], first[other], second[other]]
                yield np.isin(column.codes, chosen) ^ is_others


class Stretches(Family):
    """A cut, a stretch of an order, or all but a stretch."""

    def __init__(self, column: Column, *, cuts_only: bool) -> None:
        super().__init__([column], (1 if cuts_only else 2) * log2(2 * column.values))
        self._cuts_only = cuts_only

    def members(self, sums: Sums) -> Iterator[Mask]:
        """Look up a prefix sum and what is wanted among the prefix sums."""
        (column,) = self.columns
        prefix = _prefix(sums, column)
        starts = prefix[:1] if self._cuts_only else prefix
        for wanted, is_others in sums.wanted():
            for last, first in _pairs_of_sum(prefix, -starts, wanted):
                if first < last:
                    yield _inside(column, first, last) ^ is_others


class TwoStretches(Family):
    """Two stretches of an order, or all but two."""

    def __init__(self, column: Column) -> None:
        super().__init__([column], log2(2 * comb(column.values + 1, 4)))

    def members(self, sums: Sums) -> Iterator[Mask]:
        """Find two stretches that add up."""
        (column,) = self.columns
        prefix = _prefix(sums, column)
        first, last = np.triu_indices(len(prefix), 1)
        stretches = prefix[last] - prefix[first]
        for wanted, is_others in sums.wanted():
            for one, other in _pairs_of_sum(stretches, stretches, wanted):
                if last[one] < first[other]:
                    inside = _inside(column, first[one], last[one])
                    yield inside ^ _inside(column, first[other], last[other]) ^ is_others


class Products(Family):
    """Some values of each of several columns of names, all of them together or any of them."""

    def __init__(self, *columns: Column) -> None:
        super().__init__(columns, 1.0 + sum(map(_values, columns)))

    def members(self, sums: Sums) -> Iterator[Mask]:
        """Add up all sets of values, column by column."""
        table = sums.by(*self.columns)
        for axis in range(len(self.columns)):
            table = np.moveaxis(_all_sums(np.moveaxis(table, axis, 0)), 0, axis)
        for chosen, is_others in sums.places(table):
            inside = list(map(_among, self.columns, chosen))
            yield np.logical_and.reduce(inside) ^ is_others


class Cuts(Family):
    """Some values of a column of names and one side of a cut in an order; or either."""

    def __init__(self, names: Column, order: Column) -> None:
        super().__init__([names, order], names.values + log2(4 * order.values))

    def members(self, sums: Sums) -> Iterator[Mask]:
        """Add up all sets of values for each cut."""
        names, order = self.columns
        below = _all_sums(np.cumsum(sums.by(names, order), axis=1, dtype=np.uint64))
        for side, is_below in ((below, True), (below[:, -1:] - below, False)):
            for (chosen, cut), is_others in sums.places(side):
                sides = (order.codes <= cut) == is_below
                yield (_among(names, chosen) & sides) ^ is_others


class Corners(Family):
    """One side of a cut in each of two orders; or either."""

    def __init__(self, first: Column, second: Column) -> None:
        super().__init__([first, second], log2(8 * first.values * second.values))

    def members(self, sums: Sums) -> Iterator[Mask]:
        """Add up all contacts below each pair of cuts; the other sides are what is left."""
        first, second = self.columns
        both = sums.by(first, second).cumsum(axis=0, dtype=np.uint64)
        both = both.cumsum(axis=1, dtype=np.uint64)
        for is_below in (True, False):
            for left in (True, False):
                corner = both if left else both[:, -1:] - both
                corner = corner if is_below else corner[-1:] - corner
                for (cut, other), is_others in sums.places(corner):
                    sides = (first.codes <= cut) == is_below, (second.codes <= other) == left
                    yield (sides[0] & sides[1]) ^ is_others


def families_of(columns: Sequence[Column]) -> list[Family]:
    """Return what rules may be about, the fewest members first: the simplest rule wins."""
    several = [column for column in columns if column.values > 1]
    names = [column for column in several if not column.ordered]
    orders = [column for column in several if column.ordered]
    some = [column for column in names if column.values <= MAX_VALUES]
    sorts = (*_of_names(names, some), *_of_orders(orders), _cuts(some, orders))
    chosen = [family for sort in sorts for family in sorted(sort, key=_bits)[:MAX_FAMILIES]]
    return sorted(chosen, key=_bits)


def _of_names(names: Sequence[Column], some: Sequence[Column]) -> Iterator[Iterable[Family]]:
    yield map(Subsets, some)
    yield (Few(column) for column in names if column.values > LEAST_NAMES)
    yield _cells(some)
    yield starmap(Products, _groups(some, 2))
    yield starmap(Products, _groups(some, 3))


def _of_orders(orders: Sequence[Column]) -> Iterator[Iterable[Family]]:
    yield (Stretches(column, cuts_only=only) for column in orders for only in (True, False))
    yield (TwoStretches(column) for column in orders if 3 < column.values <= MAX_BORDERS)
    yield (
        Corners(*pair) for pair in combinations(orders, 2) if _log2_values(pair) <= MAX_SUMS_LOG2
    )


def _cuts(names: Sequence[Column], orders: Sequence[Column]) -> Iterator[Cuts]:
    for name, order in product(names, orders):
        if name.values + log2(order.values) <= MAX_SUMS_LOG2:
            yield Cuts(name, order)


_bits = attrgetter("bits")
_values = attrgetter("values")


def _log2_values(columns: Sequence[Column]) -> float:
    return sum(log2(column.values) for column in columns)


def _groups(names: Sequence[Column], number: int) -> Iterator[tuple[Column, ...]]:
    for group in combinations(names, number):
        if sum(map(_values, group)) <= MAX_SUMS_LOG2:
            yield group


def _cells(names: Sequence[Column]) -> Iterator[Subsets]:
    """Go through pairs of columns of which each combination is a value."""
    small = [
        pair for pair in combinations(names, 2) if pair[0].values * pair[1].values <= 2 * MAX_VALUES
    ]
    small.sort(key=_log2_values)
    for first, second in small[:MAX_FAMILIES]:
        pair = pair_of(first, second)
        if pair.values <= MAX_VALUES:
            yield Subsets(pair, first.name, second.name)


def _prefix(sums: Sums, column: Column) -> Hashes:
    """Return the sums over the contacts below each value of an order, and over all."""
    return np.append(np.uint64(0), np.cumsum(sums.by(column), dtype=np.uint64))


def _inside(column: Column, first: int, last: int) -> Mask:
    return (column.codes >= first) & (column.codes < last)


def _among(column: Column, chosen: int) -> Mask:
    """Return which contacts have a value whose bit is set."""
    return np.asarray(chosen >> np.arange(column.values) & 1 == 1)[column.codes]


def _all_sums(values: Hashes) -> Hashes:
    """Return the sums of all subsets along the first axis; a place's bits tell what is in it."""
    found = np.zeros((1, *values.shape[1:]), dtype=np.uint64)
    for value in values:
        found = np.concatenate([found, found + value])
    return found


def _pairs_of_sum(left: Hashes, right: Hashes, wanted: np.uint64) -> Iterator[tuple[int, int]]:
    """Go through the places in both whose sums add up to what is wanted, modulo 2**64."""
    order = np.argsort(left, kind="stable")
    ordered = left[order]
    missing = wanted - right
    low = np.searchsorted(ordered, missing)
    hits = np.flatnonzero(ordered[np.minimum(low, len(left) - 1)] == missing)
    for place in hits[: 4 * MAX_HITS].tolist():
        high = np.searchsorted(ordered, missing[place], side="right")
        for number in order[low[place] : high][:MAX_HITS].tolist():
            yield number, place
