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
from math import log2
from operator import add, itemgetter

import numpy as np
from numpy.typing import NDArray

from kirim_pandas.grouptesting.designs import Contradiction
from kirim_pandas.grouptesting.hypotheses import Floats, Hypotheses, climb, log2_choose, ways
from kirim_pandas.grouptesting.outcomes import Positions

__all__ = ["Cluster", "Node", "log2_choose"]

_MAX_CELLS = 160
"""More cells make large tables and tell nothing more."""

_MAX_FAILURES = 4
"""Cells in a row that are too dear to cut, after which no more are tried."""


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


_ONE = Hypotheses(np.zeros((0, 1), dtype=np.int16), np.ones(1))
"""Of a kind that is not counted: there is one way to have none."""


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
        self._kinds: dict[int, Hypotheses] = {}  # of the kinds that are counted, in order
        self._totals = [0] * kind_count
        self._cell_bits: list[float] = []
        self.size = 0

    @property
    def _sizes(self) -> NDArray[np.int64]:
        return np.array([len(cell) for cell in self.cells], dtype=np.int64)

    @property
    def bits(self) -> float:
        """Bits that are missing until every contact is named."""
        return sum(self._cell_bits) + sum(log2(len(kind)) for kind in self._kinds.values())

    @property
    def hypothesis_counts(self) -> list[int]:
        """Number of open hypotheses in each kind."""
        return [self._hypotheses(kind) for kind in range(len(self._totals))]

    def _hypotheses(self, kind: int) -> int:
        return len(self._kinds.get(kind, _ONE))

    def _count(self, counts: Sequence[int]) -> None:
        """Make a list of hypotheses for each kind that is counted from now on."""
        for kind, count in enumerate(counts):
            if count and kind not in self._kinds:
                none = np.zeros((len(self.cells), 1), dtype=np.int16)
                self._kinds[kind] = Hypotheses(none, np.ones(1))
                self._kinds = dict(sorted(self._kinds.items()))

    def contacts(self) -> Positions:
        """Return all contacts."""
        return np.concatenate(self.cells)

    def merge(self, other: Cluster) -> None:
        """Take in all of another cluster; the hypotheses multiply."""
        self._count(other._totals)
        other._count(self._totals)
        for kind, mine in self._kinds.items():
            mine.multiply(other._kinds[kind])
        self.cells += other.cells
        self.size += other.size
        self._totals = list(map(add, self._totals, other._totals))
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
        for kind in self._kinds.values():
            kind.settle()
        cheap = np.flatnonzero(self._hypotheses_if_halved() <= max_hypotheses)
        order: list[tuple[float, int]] = []
        self._line_up(cheap[::-1].tolist(), order)
        place = failures = 0
        while len(self.cells) < _MAX_CELLS and failures < _MAX_FAILURES:
            if self._is_full(max_hypotheses, kinds):
                place = len(queue)
            if place < len(queue) and (not order or queue[place].bits >= order[-1][0]):
                if not self._has_room(queue[place], max_hypotheses, max_size):
                    place += 1
                    continue
                cell = self._add(queue.pop(place))
                self._halve(cell)
            elif not order:
                break
            elif not self._halve(cell := order.pop()[1], max_hypotheses):
                failures += 1
                continue
            failures = 0
            self._line_up([cell, len(self.cells) - 1], order)

    def _add(self, node: Node) -> int:
        """Take in a node as one more cell, and return its number."""
        self._count(node.counts)
        cell = len(self.cells)
        self.cells.append(node.positions)
        for number, kind in self._kinds.items():
            kind.add(node.counts[number])
        self._totals = list(map(add, self._totals, node.counts))
        self._cell_bits.append(node.bits)
        self.size += node.size
        return cell

    def _line_up(self, cells: Sequence[int], order: list[tuple[float, int]]) -> None:
        """Put cells with missing bits among others, the most bits last; before their equals."""
        for cell in cells:
            if self._cell_bits[cell] > 0:
                insort_left(order, (self._cell_bits[cell], cell), key=itemgetter(0))

    def _is_full(self, max_hypotheses: int, kinds: Sequence[int]) -> bool:
        """Whether no node fits any more: each at least doubles the hypotheses of some kind."""
        least = min(map(self._hypotheses, kinds), default=0)
        return bool(self.cells) and least > max_hypotheses // 2

    def _has_room(self, node: Node, max_hypotheses: int, max_size: int) -> bool:
        """Whether a node may be taken in and halved; an empty cluster takes any."""
        if not self.cells:
            return True
        if self.size + node.size > max_size:
            return False
        more = node.hypotheses_if_halved
        return all(
            more[kind] * len(self._kinds.get(kind, _ONE)) <= max_hypotheses for kind in node.kinds
        )

    def choose(self, rng: np.random.Generator, probe_size: int, tries: int) -> None:
        """Find cells whose counts together tell most; sets the attributes."""
        starts = rng.random((tries, len(self.cells))) < 0.5
        self._seek(starts, probe_size, [kind.odds for kind in self._kinds.values()])
        if self.lows == self.highs:
            # One hypothesis is so likely that the spreads are rounded away, but none is dropped
            # for being unlikely: with even odds each cell has a spread.
            starts = rng.random((tries, len(self.cells))) < 0.5
            even = [np.full(len(kind), 1.0 / len(kind)) for kind in self._kinds.values()]
            self._seek(starts, probe_size, even)
        self.changed = False

    def _seek(self, starts: NDArray[np.bool_], probe_size: int, odds: Sequence[Floats]) -> None:
        """Find the cells as if the hypotheses had these odds."""
        spreads = [
            kind.spread(chances)
            for kind, chances in zip(self._kinds.values(), odds, strict=True)
            if len(kind) > 1
        ]
        self.information = -1.0
        for asked in climb(spreads, self._sizes, starts, probe_size):
            information, lows, highs = self._answer_to(asked)
            if information > self.information:
                self.information, self.asked = information, asked
                self.lows, self.highs = lows, highs

    def _answer_to(
        self, asked: NDArray[np.bool_]
    ) -> tuple[float, tuple[int, ...], tuple[int, ...]]:
        """Return the bits that a question brings, and its least and greatest answers."""
        information, lows, highs = 0.0, [0] * len(self._totals), [0] * len(self._totals)
        for number, kind in self._kinds.items():
            answers = kind.sums(asked)
            lows[number], highs[number] = int(answers.min()), int(answers.max())
            if len(answers) == 1:
                continue
            shares = np.bincount(answers - lows[number], kind.odds)
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
        return tuple(self._totals)

    def tell(self, answers: tuple[int, ...]) -> list[Node]:
        """Strike out what contradicts the answer; return the cells whose counts are now known.

        Raises
        ------
        Contradiction
            If no hypothesis is left. The cluster is then of no further use.
        """
        for number, answer in enumerate(answers):
            if number in self._kinds:
                kind = self._kinds[number]
                self._keep(kind, kind.sums(self.asked) == answer)
            elif answer:
                raise Contradiction
        self._exclude()
        nodes = self._take_known()
        self._cell_bits = self._all_missing()
        self.changed = True
        return nodes

    def _take_known(self) -> list[Node]:
        """Take out the cells whose counts are known."""
        known = np.ones(len(self.cells), dtype=np.bool_)
        for kind in self._kinds.values():
            known &= kind.known()
        counts = np.zeros((len(self._totals), len(self.cells)), dtype=np.int64)
        for number, kind in self._kinds.items():
            counts[number] = kind.table()[:, 0]
            kind.forget(known)
        nodes = [
            Node(self.cells[cell], tuple(counts[:, cell].tolist()))
            for cell in np.flatnonzero(known)
        ]
        self._totals = counts[:, ~known].sum(axis=1).tolist()
        self._kinds = {kind: held for kind, held in self._kinds.items() if self._totals[kind]}
        self.cells = [cell for cell, gone in zip(self.cells, known, strict=True) if not gone]
        self.size -= sum(node.size for node in nodes)
        return nodes

    def _keep(self, kind: Hypotheses, kept: NDArray[np.bool_]) -> None:
        if not kind.keep(kept):
            raise Contradiction

    def _exclude(self) -> None:
        """Use that the kinds share the room: a cell full of one kind holds none of another."""
        if len(self._kinds) < 2:
            return
        sizes = self._sizes
        before: list[int] = []
        while before != self.hypothesis_counts:
            before = self.hypothesis_counts
            least = {number: kind.table().min(axis=1) for number, kind in self._kinds.items()}
            for number, kind in self._kinds.items():
                room = sizes - sum(low for other, low in least.items() if other != number)
                self._keep(kind, (kind.table() <= room[:, np.newaxis]).all(axis=0))

    def _all_missing(self) -> list[float]:
        """Return the expected missing bits of every cell."""
        bits = np.zeros(len(self.cells))
        for kind in self._kinds.values():
            bits += kind.missing(self._sizes)
        return bits.tolist()

    def _hypotheses_if_halved(self) -> NDArray[np.int64]:
        """Return for every cell the hypotheses, in the worst kind, if it were halved."""
        sizes = self._sizes.astype(np.int16)[:, np.newaxis]
        left = sizes // 2
        after = [
            ways(kind.table(), left, sizes - left).sum(axis=1, dtype=np.int64)
            for kind in self._kinds.values()
        ]
        return np.asarray(np.max(after, axis=0)) if after else np.ones(len(sizes), np.int64)

    def _halve(self, cell: int, max_hypotheses: int | None = None) -> bool:
        """Cut a cell, unless that makes more hypotheses of some kind; tell whether it is cut."""
        positions = self.cells[cell]
        left = len(positions) // 2
        right = len(positions) - left
        choices = []
        for kind in self._kinds.values():
            more = ways(kind.row(cell), left, right)
            if max_hypotheses is not None and len(more) < more.sum() > max_hypotheses:
                return False
            choices.append(more)
        bits = [
            kind.cut(cell, left, right, more)
            for kind, more in zip(self._kinds.values(), choices, strict=True)
        ]
        self.changed = True
        self.cells[cell] = positions[:left]
        self.cells.append(positions[left:])
        self._cell_bits[cell], last = map(sum, zip(*bits, strict=True))
        self._cell_bits.append(last)
        return True
