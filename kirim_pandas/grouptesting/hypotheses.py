"""The ways in which the counts of one kind may fall on cells, and which cells to ask about."""

from __future__ import annotations

from collections.abc import Sequence
from operator import itemgetter
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from kirim_pandas.grouptesting.outcomes import MAX_CONTACTS_PER_CALL

Floats: TypeAlias = NDArray[np.float64]
_Row: TypeAlias = NDArray[np.int16]

_ONE_THREAD_PRODUCTS = 200_000  # OpenBLAS works alone on up to 2**18 multiplications
_ENOUGH = 512
"""Hypotheses that show how counts vary together: of more, every second or third is looked at.
Measured in units of the floor, nine worlds of one batch with up to 8192 hypotheses: 1.192 with 512,
1.193 with 1024, 1.205 with 2048, 1.214 with all."""

_SPREAD_FLOOR = 0.08  # 1/12, the variance of rounding: keeps the logarithm of a spread finite

_LOG2_FACTORIALS: Floats = np.concatenate(
    [[0.0], np.cumsum(np.log2(np.arange(1, 2 * MAX_CONTACTS_PER_CALL + 1)))]
)


def log2_choose(
    size: NDArray[np.integer[Any]] | int, part: NDArray[np.integer[Any]] | int
) -> Floats:
    """Return the bits it takes to name `part` contacts among `size`."""
    table = _LOG2_FACTORIALS
    return np.asarray(table[size] - table[part] - table[np.subtract(size, part)])


def ways(totals: _Row, left: _Row | int, right: _Row | int) -> _Row:
    """Return in how many ways each total can fall on a left and a right part."""
    found: _Row = np.minimum(totals, left) - np.maximum(0, totals - right) + 1
    return found


class Hypotheses:
    """All ways in which the counts of one kind may fall on cells, each with its probability.

    Each cut puts several hypotheses in the place of one. A row of an earlier time needs only be
    told which of its places each hypothesis comes from; and most rows are never written out, for
    the next reply strikes out most of the hypotheses.

    Parameters
    ----------
    table
        Counts, shape (cells, hypotheses).
    odds
        The probability of each hypothesis.
    """

    def __init__(self, table: _Row, odds: Floats) -> None:
        self.odds = odds
        self._write(table)

    def _write(self, table: _Row) -> None:
        self._cells = len(table)
        self._first = table
        self._parents: list[NDArray[np.int64]] = []
        self._rows: dict[int, tuple[int, _Row]] = {}  # after so many cuts
        self._as_first = np.ones(len(table), dtype=np.bool_)
        # the cells whose rows are in the first table alone

    def __len__(self) -> int:
        return len(self.odds)

    def add(self, count: int) -> None:
        """Take in a cell of which the count is known."""
        row = np.full(len(self.odds), count, dtype=np.int16)
        self._rows[self._cells] = (len(self._parents), row)
        self._cells += 1

    def row(self, cell: int) -> _Row:
        """Return the count of a cell in every hypothesis."""
        if cell in self._rows:
            cuts, row = self._rows[cell]
        else:
            cuts, row = 0, self._first[cell]
            self._as_first[cell] = False
        for parents in self._parents[cuts:]:
            row = row[parents]
        self._rows[cell] = (len(self._parents), row)
        return row

    def cut(self, cell: int, left: int, right: int, choices: _Row) -> tuple[float, float]:
        """Let the count of a cell fall on two parts; return the bits missing in either.

        Parameters
        ----------
        cell
            The number of the cell, and then of the first part; the second part comes last.
        left, right
            Contacts of the parts.
        choices
            In how many ways the count can fall on them, in every hypothesis.
        """
        other = self._cells
        self._cells += 1
        totals = self.row(cell)
        if not totals.any():
            self._rows[other] = self._rows[cell]
            return 0.0, 0.0
        parents = np.repeat(np.arange(len(totals)), choices)
        first = np.maximum(0, totals - right) - np.cumsum(choices) + choices
        lefts = first[parents] + np.arange(len(parents))
        whole = totals[parents]
        rights = whole - lefts
        most = int(totals.max()) + 1
        told = _told(left, lefts, most), _told(right, rights, most)
        self.odds = self.odds[parents] * np.exp2(
            told[0] + told[1] - _told(left + right, whole, most)
        )
        self._parents.append(parents)
        for number, counts in ((cell, lefts), (other, rights)):
            self._rows[number] = (len(self._parents), counts.astype(np.int16))
        return float(self.odds @ told[0]), float(self.odds @ told[1])

    def _by_cuts(self) -> list[tuple[int, int, _Row]]:
        """Return (cuts, cell, row) of what is not as in the first table, oldest first."""
        held = [(cuts, cell, row) for cell, (cuts, row) in self._rows.items()]
        return sorted(held, key=itemgetter(0))

    def table(self, chosen: NDArray[np.int64] | slice | None = None) -> _Row:
        """Return the counts, shape (cells, hypotheses), of the chosen hypotheses or of all."""
        if not self._rows and chosen is None:
            return self._first
        origins = np.arange(len(self.odds))
        if chosen is not None:
            origins = origins[chosen]
        table = np.empty((self._cells, len(origins)), dtype=np.int16)
        cuts = len(self._parents)
        for since, cell, row in reversed(self._by_cuts()):
            for parents in reversed(self._parents[since:cuts]):
                origins = parents[origins]
            cuts = since
            table[cell] = row[origins]
        for parents in reversed(self._parents[:cuts]):
            origins = parents[origins]
        as_first = self._as_first
        table[: len(as_first)][as_first] = self._first[as_first].take(origins, axis=1)
        return table

    def settle(self) -> None:
        """Write out all rows."""
        if self._rows:
            self._write(self.table())

    def sums(self, asked: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Return for each hypothesis the counts of all `asked` cells together."""
        first = self._as_first & asked[: len(self._first)]
        sums: NDArray[np.int64] = self._first[first].sum(axis=0, dtype=np.int64)
        cuts = 0
        for since, cell, row in self._by_cuts():
            if asked[cell]:
                for parents in self._parents[cuts:since]:
                    sums = sums[parents]
                cuts = since
                sums = sums + row
        for parents in self._parents[cuts:]:
            sums = sums[parents]
        return sums

    def keep(self, kept: NDArray[np.bool_]) -> bool:
        """Strike out all but these hypotheses, write out the rest; False if none are left."""
        if kept.all():
            self.settle()
            return True
        places = np.flatnonzero(kept)
        if len(places):
            self._write(self.table(places))
            self.odds = self.odds[places]
            self.odds /= self.odds.sum()
        return len(places) > 0

    def known(self) -> NDArray[np.bool_]:
        """Return the mask of the cells of which all hypotheses say the same."""
        table = self.table()
        return np.asarray((table == table[:, :1]).all(axis=1))

    def forget(self, known: NDArray[np.bool_]) -> None:
        """Take out cells of which the count is known."""
        self._write(self.table()[~known])

    def multiply(self, other: Hypotheses) -> None:
        """Take in the cells of another; the hypotheses multiply."""
        first = np.repeat(np.arange(len(self)), len(other))
        second = np.tile(np.arange(len(other)), len(self))
        self._write(np.concatenate([self.table(first), other.table(second)]))
        self.odds = self.odds[first] * other.odds[second]

    def missing(self, sizes: NDArray[np.int64]) -> Floats:
        """Return the expected missing bits of every cell; `sizes` are the contacts of each."""
        table = self.table()
        counts = np.arange(int(table.max()) + 1)
        bits = log2_choose(sizes[:, np.newaxis], np.minimum(counts, sizes[:, np.newaxis]))
        places = table + len(counts) * np.arange(len(sizes))[:, np.newaxis]
        return np.asarray((self.odds * bits.ravel()[places]).sum(axis=1), dtype=np.float64)

    def spread(self, odds: Floats) -> Floats:
        """Return the covariance of the cells' counts, if the hypotheses had these odds.

        In small pieces: on large products the linear algebra library starts threads, which wait
        for each other on a busy machine, and whose number would change the last digits, and with
        them the questions that a resumed run plans. Of some hypotheses, spread evenly over all.
        """
        some = slice(None, None, max(1, len(odds) // _ENOUGH))
        table, odds = self.table(some), odds[some] / odds[some].sum()
        centred = table - (table * odds).sum(axis=1)[:, np.newaxis]
        weighted = centred * odds
        cells = len(table)
        spread = np.zeros((cells, cells))
        step = max(1, _ONE_THREAD_PRODUCTS // (cells * cells))
        for start in range(0, len(odds), step):
            spread += weighted[:, start : start + step] @ centred[:, start : start + step].T
        return spread


def _told(size: int, counts: NDArray[np.integer[Any]], most: int) -> Floats:
    """Return the bits it takes to name so many contacts among `size`, for counts below `most`."""
    if most > len(counts):
        return log2_choose(size, counts)
    return log2_choose(size, np.arange(min(most, size + 1))).take(counts)


def _log_spread(spreads: Floats) -> Floats:
    return np.log(np.maximum(spreads, 0.0) + _SPREAD_FLOOR)


def climb(
    spreads: Sequence[Floats],
    sizes: NDArray[np.int64],
    starts: NDArray[np.bool_],
    probe_size: int,
) -> NDArray[np.bool_]:
    """Put cells in and out while the spread of the summed count grows, from several starts.

    For sums of many counts the spread tells the information, and is far cheaper than it.

    Parameters
    ----------
    spreads
        For each kind the covariance of the cells' counts.
    sizes
        The contacts of each cell.
    starts
        Masks over the cells, shape (starts, cells).
    probe_size
        The most contacts that all cells of a mask may hold.

    Returns
    -------
    bool array, shape (starts, cells)
        Where each start led to.
    """
    taken = sizes * starts
    over = taken.sum(axis=1, keepdims=True) + taken - taken.cumsum(axis=1) > probe_size
    masks = starts & ~over  # without the first cells of what is too large
    room = (probe_size - masks @ sizes).astype(np.float64)[:, np.newaxis]
    twice = 2.0 - 4.0 * masks  # for each cell of each mask -2 if it is in, else 2
    # Shape (kinds, masks, cells), or as it stretches to it.
    spread = np.stack([each.T for each in spreads])
    diagonal = spread.diagonal(axis1=1, axis2=2)
    slope = np.array([[each[:, mask].sum(axis=1) for mask in masks] for each in spreads])
    value = np.array(
        [[each[mask].sum() for each, mask in zip(kind, masks, strict=True)] for kind in slope]
    )
    best = _log_spread(value).sum(axis=0)
    starts_at = len(sizes) * np.arange(len(masks))
    for _ in range(3 * len(sizes)):
        spreads_then = twice * slope
        spreads_then += value[:, :, np.newaxis]
        spreads_then += diagonal[:, np.newaxis]
        gains = _log_spread(spreads_then).sum(axis=0)
        gains[twice * sizes > 2 * room] = -np.inf
        cells = gains.argmax(axis=1)
        at = starts_at + cells
        tops = gains.ravel()[at]
        going = tops > best + 1e-9
        if not going.any():
            break
        best = np.where(going, tops, best)
        moved = twice.ravel()[at] * (0.5 * going)
        value += 2 * moved * slope.reshape(len(spread), -1)[:, at] + going * diagonal[:, cells]
        slope += moved[:, np.newaxis] * spread[:, cells]
        room -= (moved * sizes[cells])[:, np.newaxis]
        twice.ravel()[at] -= 4 * moved
    return np.asarray(twice < 0)
