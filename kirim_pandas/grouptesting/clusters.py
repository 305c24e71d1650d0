"""Keep every hypothesis that fits the counts so far, and ask what tells most of them apart.

A *cluster* holds disjoint *cells* of contacts and, for each kind of skip, the list of all
*hypotheses*: ways in which the replies so far allow the counts to fall on the cells, each with
its probability (all placements of the skips are equally likely). One reply strikes out the
hypotheses that contradict it. Because cells are cut on while several hypotheses are still open,
every reply can carry as many bits as its spread allows; asking about one node at a time, as in
bisection, wastes most of them. Nothing is ever dropped for being unlikely, so the last
hypothesis left is true.

The kinds are listed separately: their product contains every joint hypothesis, and a short list
for each kind replaces a long one for all.
"""

from __future__ import annotations

from bisect import insort_left
from collections.abc import Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kirim_pandas.grouptesting.designs import Contradiction
from kirim_pandas.grouptesting.local_search import climb, spread_of
from kirim_pandas.grouptesting.outcomes import MAX_CONTACTS_PER_CALL, Positions

__all__ = ["Cluster", "Node", "log2_choose"]

Floats = NDArray[np.float64]

_MAX_CELLS = 160
"""More cells make large tables and tell nothing more."""

_MAX_FAILURES = 4
"""Cells in a row that are too dear to cut, after which no more are tried."""

_LOG2_FACTORIALS: Floats = np.concatenate(
    [[0.0], np.cumsum(np.log2(np.arange(1, 2 * MAX_CONTACTS_PER_CALL + 1)))]
)


def log2_choose(
    size: NDArray[np.integer[Any]] | int, part: NDArray[np.integer[Any]] | int
) -> Floats:
    """Return the bits it takes to name `part` contacts among `size`."""
    table = _LOG2_FACTORIALS
    return np.asarray(table[size] - table[part] - table[np.subtract(size, part)])


@dataclass(slots=True, eq=False)
class Node:
    """Contacts whose counts are known, one count for each kind of skip."""

    positions: Positions
    counts: tuple[int, ...]
    size: int = field(init=False)
    kinds: tuple[int, ...] = field(init=False)
    bits: float = field(init=False)
    skips: tuple[int, ...] = field(init=False)
    """For each kind the fewer of those skipped and the others: what the search is about."""
    hypotheses_if_halved: tuple[int, ...] = field(init=False)

    def __post_init__(self) -> None:
        size = self.size = len(self.positions)
        left = size // 2
        self.kinds = tuple(kind for kind, count in enumerate(self.counts) if count)
        self.bits = float(sum(log2_choose(size, count) for count in self.counts if count))
        self.skips = tuple(min(count, size - count) for count in self.counts)
        self.hypotheses_if_halved = tuple(
            min(count, left) - max(0, count - size + left) + 1 for count in self.counts
        )

    def contacts(self) -> Positions:
        """Return all contacts."""
        return self.positions


class Cluster:
    """Cells, and all hypotheses of how the counts fall on them.

    Attributes
    ----------
    asked
        Mask over the cells: those the next question holds.
    lows, highs
        Least and greatest answer in each kind that some hypothesis allows.
    information
        Bits the answer is expected to bring.
    size
        Number of contacts.
    """

    def __init__(self, kind_count: int) -> None:
        self.cells: list[Positions] = []
        self.changed = True
        self.asked: NDArray[np.bool_] = np.zeros(0, dtype=np.bool_)
        self.lows: tuple[int, ...] = ()
        self.highs: tuple[int, ...] = ()
        self.information = 0.0
        # For each kind: hypotheses (cells, hypotheses), and their probabilities (hypotheses,).
        self._hypotheses = [np.zeros((0, 1), dtype=np.int16) for _ in range(kind_count)]
        self._odds = [np.ones(1) for _ in range(kind_count)]
        self._cell_bits: list[float] = []
        self.size = 0

    @property
    def _sizes(self) -> NDArray[np.int64]:
        return np.array([len(cell) for cell in self.cells], dtype=np.int64)

    @property
    def bits(self) -> float:
        """Bits that are missing until every contact is named."""
        return sum(self._cell_bits) + sum(float(np.log2(len(odds))) for odds in self._odds)

    @property
    def hypothesis_counts(self) -> list[int]:
        """Number of open hypotheses in each kind."""
        return [len(odds) for odds in self._odds]

    def contacts(self) -> Positions:
        """Return all contacts."""
        return np.concatenate(self.cells)

    def merge(self, other: Cluster) -> None:
        """Take in all of another cluster; the hypotheses multiply."""
        for kind, (mine, theirs) in enumerate(
            zip(self._hypotheses, other._hypotheses, strict=True)
        ):
            first = np.repeat(np.arange(mine.shape[1]), theirs.shape[1])
            second = np.tile(np.arange(theirs.shape[1]), mine.shape[1])
            self._hypotheses[kind] = np.concatenate([mine[:, first], theirs[:, second]])
            self._odds[kind] = self._odds[kind][first] * other._odds[kind][second]
        self.cells += other.cells
        self.size += other.size
        self._cell_bits += other._cell_bits
        self.changed = True

    def grow(
        self, queue: list[Node], max_hypotheses: int, max_size: int, kinds: Sequence[int] = ()
    ) -> None:
        """Cut what holds most missing bits, while the hypotheses stay few.

        Parameters
        ----------
        queue
            Nodes to draw from, most bits first; those taken in are removed.
        max_hypotheses
            Stop at so many hypotheses in any kind.
        max_size
            Take in no more contacts than this.
        kinds
            The kinds of which anything in the queue is counted.
        """
        # More hypotheses never make a cell cheaper to cut: what is too much now stays so.
        cheap = np.flatnonzero(self._hypotheses_if_halved() <= max_hypotheses)
        growing = list(map(_Growing, self._hypotheses, self._odds))
        order: list[tuple[float, int]] = []
        self._line_up(cheap[::-1].tolist(), order)
        place = failures = 0
        while len(self.cells) < _MAX_CELLS and failures < _MAX_FAILURES:
            if self._is_full(growing, max_hypotheses, kinds):
                place = len(queue)
            if place < len(queue) and (not order or queue[place].bits >= order[-1][0]):
                if not self._has_room(growing, queue[place], max_hypotheses, max_size):
                    place += 1
                    continue
                cell = self._add(growing, queue.pop(place))
                self._halve(growing, cell)
            elif not order:
                break
            elif not self._halve(growing, cell := order.pop()[1], max_hypotheses):
                failures += 1
                continue
            failures = 0
            self._line_up([cell, len(self.cells) - 1], order)
        self._hypotheses = [kind.settled(len(self.cells)) for kind in growing]
        self._odds = [kind.odds for kind in growing]

    def _add(self, growing: Sequence[_Growing], node: Node) -> int:
        """Take in a node as one more cell, and return its number."""
        cell = len(self.cells)
        self.cells.append(node.positions)
        for kind, count in zip(growing, node.counts, strict=True):
            kind.add(cell, count)
        self._cell_bits.append(node.bits)
        self.size += node.size
        return cell

    def _line_up(self, cells: Sequence[int], order: list[tuple[float, int]]) -> None:
        """Put cells with missing bits among others, the most bits last; before their equals."""
        for cell in cells:
            if self._cell_bits[cell] > 0:
                insort_left(order, (self._cell_bits[cell], cell), key=itemgetter(0))

    def _is_full(
        self, growing: Sequence[_Growing], max_hypotheses: int, kinds: Sequence[int]
    ) -> bool:
        """Whether no node fits any more: each at least doubles the hypotheses of some kind."""
        least = min((len(growing[kind].odds) for kind in kinds), default=0)
        return bool(self.cells) and least > max_hypotheses // 2

    def _has_room(
        self, growing: Sequence[_Growing], node: Node, max_hypotheses: int, max_size: int
    ) -> bool:
        """Whether a node may be taken in and halved; an empty cluster takes any."""
        pairs = zip(growing, node.hypotheses_if_halved, strict=True)
        return not self.cells or (
            self.size + node.size <= max_size
            and all(len(kind.odds) * more <= max_hypotheses for kind, more in pairs)
        )

    def choose(self, rng: np.random.Generator, probe_size: int, tries: int) -> None:
        """Find cells whose counts together tell most; sets the attributes."""
        self._seek(rng, probe_size, tries, self._odds)
        if self.lows == self.highs:
            # One hypothesis is so likely that the spreads are rounded away, but none is dropped
            # for being unlikely: with even odds each cell has a spread.
            even = [np.full(len(odds), 1.0 / len(odds)) for odds in self._odds]
            self._seek(rng, probe_size, tries, even)
        self.changed = False

    def _seek(
        self, rng: np.random.Generator, probe_size: int, tries: int, odds: Sequence[Floats]
    ) -> None:
        """Find the cells as if the hypotheses had these odds."""
        sizes = self._sizes
        spreads = [
            spread_of(hypotheses, chances)
            for hypotheses, chances in zip(self._hypotheses, odds, strict=True)
            if len(chances) > 1
        ]
        self.information = -1.0
        for _ in range(tries):
            asked = climb(spreads, sizes, rng.random(len(sizes)) < 0.5, probe_size)
            information, lows, highs = self._answer_to(asked)
            if information > self.information:
                self.information, self.asked = information, asked
                self.lows, self.highs = lows, highs

    def _answer_to(
        self, asked: NDArray[np.bool_]
    ) -> tuple[float, tuple[int, ...], tuple[int, ...]]:
        """Return the bits that a question brings, and its least and greatest answers."""
        information, lows, highs = 0.0, [], []
        for hypotheses, odds in zip(self._hypotheses, self._odds, strict=True):
            answers = hypotheses[asked].sum(axis=0, dtype=np.int64)
            lows.append(int(answers.min()))
            highs.append(int(answers.max()))
            if len(answers) == 1:
                continue
            shares = np.bincount(answers - lows[-1], odds)
            shares = shares[shares > 0]
            information -= float(shares @ np.log2(shares))
        return information, tuple(lows), tuple(highs)

    def parts(self) -> tuple[Positions, Positions]:
        """Return the contacts the question holds, and the others."""
        none = np.zeros(0, dtype=np.int64)
        held = [cell for cell, asked in zip(self.cells, self.asked, strict=True) if asked]
        rest = [cell for cell, asked in zip(self.cells, self.asked, strict=True) if not asked]
        return np.concatenate([none, *held]), np.concatenate([none, *rest])

    def kinds(self) -> tuple[int, ...]:
        """Return the kinds of which some are counted."""
        return tuple(kind for kind, count in enumerate(self.totals()) if count)

    @property
    def skips(self) -> list[int]:
        """For each kind the fewer of those skipped and the others."""
        return [min(count, self.size - count) for count in self.totals()]

    def totals(self) -> tuple[int, ...]:
        """Return the known counts of all cells together."""
        return tuple(int(hypotheses[:, 0].sum(dtype=np.int64)) for hypotheses in self._hypotheses)

    def tell(self, answers: tuple[int, ...]) -> list[Node]:
        """Strike out what contradicts the answer; return the cells whose counts are now known.

        Raises
        ------
        Contradiction
            If no hypothesis is left. The cluster is then of no further use.
        """
        for kind, answer in enumerate(answers):
            hypotheses = self._hypotheses[kind]
            self._keep(kind, hypotheses[self.asked].sum(axis=0, dtype=np.int64) == answer)
        self._exclude()
        known = np.all(
            [(hypotheses == hypotheses[:, :1]).all(axis=1) for hypotheses in self._hypotheses],
            axis=0,
        )
        nodes = [
            Node(
                self.cells[cell],
                tuple(int(hypotheses[cell, 0]) for hypotheses in self._hypotheses),
            )
            for cell in np.flatnonzero(known)
        ]
        self._hypotheses = [hypotheses[~known] for hypotheses in self._hypotheses]
        self.cells = [cell for cell, gone in zip(self.cells, known, strict=True) if not gone]
        self.size -= sum(node.size for node in nodes)
        self._cell_bits = self._all_missing()
        self.changed = True
        return nodes

    def _keep(self, kind: int, kept: NDArray[np.bool_]) -> None:
        if kept.all():
            return
        odds = self._odds[kind][kept]
        if not len(odds):
            raise Contradiction
        self._hypotheses[kind] = self._hypotheses[kind][:, kept]
        self._odds[kind] = odds / odds.sum()

    def _exclude(self) -> None:
        """Use that the kinds share the room: a cell full of one kind holds none of another."""
        if sum(map(np.any, self._hypotheses)) < 2:
            return
        sizes = self._sizes
        before: list[int] = []
        while before != self.hypothesis_counts:
            before = self.hypothesis_counts
            least = [hypotheses.min(axis=1) for hypotheses in self._hypotheses]
            for kind, hypotheses in enumerate(self._hypotheses):
                room = sizes - sum(low for other, low in enumerate(least) if other != kind)
                self._keep(kind, (hypotheses <= room[:, np.newaxis]).all(axis=0))

    def _all_missing(self) -> list[float]:
        """Return the expected missing bits of every cell."""
        sizes = self._sizes[:, np.newaxis]
        bits = np.zeros(len(sizes))
        for hypotheses, odds in zip(self._hypotheses, self._odds, strict=True):
            if hypotheses.any():
                bits += (odds * log2_choose(sizes, hypotheses)).sum(axis=1)
        return bits.tolist()

    def _hypotheses_if_halved(self) -> NDArray[np.int64]:
        """Return for every cell the hypotheses, in the worst kind, if it were halved."""
        sizes = self._sizes.astype(np.int16)[:, np.newaxis]
        left = sizes // 2
        after = [
            _choices(hypotheses, left, sizes - left).sum(axis=1, dtype=np.int64)
            for hypotheses in self._hypotheses
            if hypotheses.any()
        ]
        return np.asarray(np.max(after, axis=0)) if after else np.ones(len(sizes), np.int64)

    def _halve(
        self, growing: Sequence[_Growing], cell: int, max_hypotheses: int | None = None
    ) -> bool:
        """Cut a cell, unless that makes more hypotheses of some kind; tell whether it is cut."""
        positions = self.cells[cell]
        left = len(positions) // 2
        right = len(positions) - left
        choices = []
        for kind in growing:
            more = _choices(kind.row(cell), left, right)
            if max_hypotheses is not None and len(more) < more.sum() > max_hypotheses:
                return False
            choices.append(more)
        other = len(self.cells)
        bits = [
            kind.cut(cell, other, left, right, c) for kind, c in zip(growing, choices, strict=True)
        ]
        self.changed = True
        self.cells[cell] = positions[:left]
        self.cells.append(positions[left:])
        self._cell_bits[cell], last = map(sum, zip(*bits, strict=True))
        self._cell_bits.append(last)
        return True


class _Growing:
    """The hypotheses of one kind while cells are cut; a row is brought up to date when it is used.

    Each cut puts several hypotheses in the place of one. A row of an earlier time needs only be
    told which of its places each hypothesis comes from.

    Parameters
    ----------
    hypotheses
        Counts, shape (cells, hypotheses).
    odds
        The probability of each hypothesis.
    """

    def __init__(self, hypotheses: NDArray[np.int16], odds: Floats) -> None:
        self.odds = odds
        self._first = hypotheses
        self._origins: NDArray[np.int64] | None = None  # the places in `_first`
        self._parents: list[NDArray[np.int64]] = []
        self._rows: dict[int, tuple[int, NDArray[np.int16]]] = {}  # after so many cuts

    def add(self, cell: int, count: int) -> None:
        """Take in a cell of which the count is known."""
        self._rows[cell] = (len(self._parents), np.full(len(self.odds), count, dtype=np.int16))

    def row(self, cell: int) -> NDArray[np.int16]:
        """Return the count of a cell in every hypothesis."""
        if cell in self._rows:
            cuts, row = self._rows[cell]
            for parents in self._parents[cuts:]:
                row = row[parents]
        else:
            row = self._first[cell]
            row = row if self._origins is None else row[self._origins]
        self._rows[cell] = (len(self._parents), row)
        return row

    def cut(
        self, cell: int, other: int, left: int, right: int, choices: NDArray[np.int16]
    ) -> tuple[float, float]:
        """Let the count of a cell fall on two parts; return the bits missing in either.

        Parameters
        ----------
        cell, other
            The numbers of the first part, which is that of the cell, and of the second.
        left, right
            Contacts of the parts.
        choices
            In how many ways the count can fall on them, in every hypothesis.
        """
        totals = self.row(cell)
        if not totals.any():
            self._rows[other] = self._rows[cell]
            return 0.0, 0.0
        parents = np.repeat(np.arange(len(totals)), choices)
        first = np.maximum(0, totals - right) - np.cumsum(choices) + choices
        lefts = first[parents] + np.arange(len(parents))
        rights = totals[parents] - lefts
        told = log2_choose(left, lefts), log2_choose(right, rights)
        ways = log2_choose(left + right, totals)[parents]
        self.odds = self.odds[parents] * np.exp2(told[0] + told[1] - ways)
        self._origins = parents if self._origins is None else self._origins[parents]
        self._parents.append(parents)
        for number, counts in ((cell, lefts), (other, rights)):
            self._rows[number] = (len(self._parents), counts.astype(np.int16))
        return float(self.odds @ told[0]), float(self.odds @ told[1])

    def settled(self, cells: int) -> NDArray[np.int16]:
        """Return the counts of so many cells, shape (cells, hypotheses)."""
        if self._origins is None and len(self._first) == cells:
            return self._first
        settled = np.empty((cells, len(self.odds)), dtype=np.int16)
        old = [cell for cell in range(len(self._first)) if cell not in self._rows]
        settled[old] = (
            self._first[old] if self._origins is None else self._first[old][:, self._origins]
        )
        cuts, origins = len(self._parents), np.arange(len(self.odds))
        latest = sorted(self._rows.items(), key=_cuts_of, reverse=True)
        for cell, (since, row) in latest:
            for parents in reversed(self._parents[since:cuts]):
                origins = parents[origins]
            cuts = since
            settled[cell] = row[origins]
        return settled


def _cuts_of(held: tuple[int, tuple[int, NDArray[np.int16]]]) -> int:
    return held[1][0]


def _choices(
    totals: NDArray[np.int16], left: NDArray[np.int16] | int, right: NDArray[np.int16] | int
) -> NDArray[np.int16]:
    """Return in how many ways each total can fall on a left and a right part."""
    ways: NDArray[np.int16] = np.minimum(totals, left) - np.maximum(0, totals - right) + 1
    return ways
