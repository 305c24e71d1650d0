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

import numpy as np
from numpy.typing import NDArray

from kirim_pandas.grouptesting.designs import Contradiction
from kirim_pandas.grouptesting.local_search import climb, spread_of
from kirim_pandas.grouptesting.outcomes import MAX_CONTACTS_PER_CALL, Positions

__all__ = ["Cluster", "Node", "log2_choose"]

Floats = NDArray[np.float64]

_MAX_CELLS = 160
"""More cells make large tables and tell nothing more."""

_LOG2_FACTORIALS: Floats = np.concatenate(
    [[0.0], np.cumsum(np.log2(np.arange(1, 2 * MAX_CONTACTS_PER_CALL + 1)))]
)


def log2_choose(size: NDArray[np.int64] | int, part: NDArray[np.int64] | int) -> Floats:
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
    hypotheses_if_halved: tuple[int, ...] = field(init=False)

    def __post_init__(self) -> None:
        size = self.size = len(self.positions)
        left = size // 2
        self.kinds = tuple(kind for kind, count in enumerate(self.counts) if count)
        self.bits = float(sum(log2_choose(size, count) for count in self.counts if count))
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
    """

    def __init__(self, kind_count: int) -> None:
        self.cells: list[Positions] = []
        self.changed = True
        self.asked: NDArray[np.bool_] = np.zeros(0, dtype=np.bool_)
        self.lows: tuple[int, ...] = ()
        self.highs: tuple[int, ...] = ()
        self.information = 0.0
        # For each kind: hypotheses (hypotheses, cells), and their probabilities (hypotheses,).
        self._hypotheses = [np.zeros((1, 0), dtype=np.int16) for _ in range(kind_count)]
        self._odds = [np.ones(1) for _ in range(kind_count)]
        self._cell_bits: list[float] = []

    @property
    def size(self) -> int:
        """Number of contacts."""
        return sum(map(len, self.cells))

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

    def add(self, node: Node) -> None:
        """Take in a node as one more cell."""
        self.cells.append(node.positions)
        for kind, hypotheses in enumerate(self._hypotheses):
            counts = np.full(len(hypotheses), node.counts[kind], dtype=np.int16)
            self._hypotheses[kind] = np.column_stack([hypotheses, counts])
        self._cell_bits.append(node.bits)
        self.changed = True

    def merge(self, other: Cluster) -> None:
        """Take in all of another cluster; the hypotheses multiply."""
        for kind, (mine, theirs) in enumerate(
            zip(self._hypotheses, other._hypotheses, strict=True)
        ):
            first = np.repeat(np.arange(len(mine)), len(theirs))
            second = np.tile(np.arange(len(theirs)), len(mine))
            self._hypotheses[kind] = np.column_stack([mine[first], theirs[second]])
            self._odds[kind] = self._odds[kind][first] * other._odds[kind][second]
        self.cells += other.cells
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
        order: list[tuple[float, int]] = []
        self._line_up(cheap[::-1].tolist(), order)
        place = 0
        while len(self.cells) < _MAX_CELLS:
            if self._is_full(max_hypotheses, kinds):
                place = len(queue)
            if place < len(queue) and (not order or queue[place].bits >= order[-1][0]):
                if not self._has_room(queue[place], max_hypotheses, max_size):
                    place += 1
                    continue
                self.add(queue.pop(place))
                cell = len(self.cells) - 1
            elif order:
                cell = order.pop()[1]
                if max(self._hypotheses_after(cell)) > max_hypotheses:
                    continue
            else:
                break
            self._halve(cell)
            self._line_up([cell, len(self.cells) - 1], order)

    def _line_up(self, cells: Sequence[int], order: list[tuple[float, int]]) -> None:
        """Put cells with missing bits among others, the most bits last; before their equals."""
        for cell in cells:
            if self._cell_bits[cell] > 0:
                insort_left(order, (self._cell_bits[cell], cell), key=itemgetter(0))

    def _is_full(self, max_hypotheses: int, kinds: Sequence[int]) -> bool:
        """Whether no node fits any more: each at least doubles the hypotheses of some kind."""
        counts = self.hypothesis_counts
        least = min((counts[kind] for kind in kinds), default=0)
        return bool(self.cells) and least > max_hypotheses // 2

    def _has_room(self, node: Node, max_hypotheses: int, max_size: int) -> bool:
        """Whether a node may be taken in and halved; an empty cluster takes any."""
        pairs = zip(self.hypothesis_counts, node.hypotheses_if_halved, strict=True)
        return not self.cells or (
            self.size + node.size <= max_size
            and all(count * more <= max_hypotheses for count, more in pairs)
        )

    def choose(self, rng: np.random.Generator, probe_size: int, tries: int) -> None:
        """Find cells whose counts together tell most; sets the attributes."""
        sizes = self._sizes
        spreads = [
            spread_of(hypotheses, odds)
            for hypotheses, odds in zip(self._hypotheses, self._odds, strict=True)
            if len(odds) > 1
        ]
        self.information = -1.0
        for _ in range(tries):
            asked = climb(spreads, sizes, rng.random(len(sizes)) < 0.5, probe_size)
            information, lows, highs = 0.0, [], []
            for hypotheses, odds in zip(self._hypotheses, self._odds, strict=True):
                answers = hypotheses[:, asked].sum(axis=1, dtype=np.int64)
                lows.append(int(answers.min()))
                highs.append(int(answers.max()))
                shares = np.bincount(answers - lows[-1], odds)
                shares = shares[shares > 0]
                information -= float(shares @ np.log2(shares))
            if information > self.information:
                self.information, self.asked = information, asked
                self.lows, self.highs = tuple(lows), tuple(highs)
        self.changed = False

    def parts(self) -> tuple[Positions, Positions]:
        """Return the contacts the question holds, and the others."""
        none = np.zeros(0, dtype=np.int64)
        held = [cell for cell, asked in zip(self.cells, self.asked, strict=True) if asked]
        rest = [cell for cell, asked in zip(self.cells, self.asked, strict=True) if not asked]
        return np.concatenate([none, *held]), np.concatenate([none, *rest])

    def kinds(self) -> tuple[int, ...]:
        """Return the kinds of which some are counted."""
        return tuple(kind for kind, count in enumerate(self.totals()) if count)

    def totals(self) -> tuple[int, ...]:
        """Return the known counts of all cells together."""
        return tuple(int(hypotheses[0].sum(dtype=np.int64)) for hypotheses in self._hypotheses)

    def tell(self, answers: tuple[int, ...]) -> list[Node]:
        """Strike out what contradicts the answer; return the cells whose counts are now known.

        Raises
        ------
        Contradiction
            If no hypothesis is left. The cluster is then of no further use.
        """
        for kind, answer in enumerate(answers):
            hypotheses = self._hypotheses[kind]
            self._keep(kind, hypotheses[:, self.asked].sum(axis=1, dtype=np.int64) == answer)
        self._exclude()
        known = np.all(
            [(hypotheses == hypotheses[0]).all(axis=0) for hypotheses in self._hypotheses], axis=0
        )
        nodes = [
            Node(
                self.cells[cell],
                tuple(int(hypotheses[0, cell]) for hypotheses in self._hypotheses),
            )
            for cell in np.flatnonzero(known)
        ]
        self._hypotheses = [hypotheses[:, ~known] for hypotheses in self._hypotheses]
        self.cells = [cell for cell, gone in zip(self.cells, known, strict=True) if not gone]
        self._cell_bits = self._all_missing()
        self.changed = True
        return nodes

    def _keep(self, kind: int, kept: NDArray[np.bool_]) -> None:
        if kept.all():
            return
        odds = self._odds[kind][kept]
        if not len(odds):
            raise Contradiction
        self._hypotheses[kind] = self._hypotheses[kind][kept]
        self._odds[kind] = odds / odds.sum()

    def _exclude(self) -> None:
        """Use that the kinds share the room: a cell full of one kind holds none of another."""
        sizes = self._sizes
        before: list[int] = []
        while before != self.hypothesis_counts:
            before = self.hypothesis_counts
            least = [hypotheses.min(axis=0) for hypotheses in self._hypotheses]
            for kind, hypotheses in enumerate(self._hypotheses):
                room = sizes - sum(low for other, low in enumerate(least) if other != kind)
                self._keep(kind, (hypotheses <= room).all(axis=1))

    def _all_missing(self) -> list[float]:
        """Return the expected missing bits of every cell."""
        sizes = self._sizes
        bits = np.zeros(len(sizes))
        for hypotheses, odds in zip(self._hypotheses, self._odds, strict=True):
            bits += (odds[:, np.newaxis] * log2_choose(sizes, hypotheses.astype(np.int64))).sum(
                axis=0
            )
        return [float(value) for value in bits]

    def _hypotheses_if_halved(self) -> NDArray[np.int64]:
        """Return for every cell the hypotheses, in the worst kind, if it were halved."""
        sizes = self._sizes
        left = sizes // 2
        after = [
            (np.minimum(hypotheses, left) - np.maximum(0, hypotheses - (sizes - left)) + 1).sum(
                axis=0
            )
            for hypotheses in self._hypotheses
        ]
        return np.asarray(np.max(after, axis=0))

    def _missing(self, cell: int) -> float:
        size = len(self.cells[cell])
        return sum(
            float(odds @ log2_choose(size, hypotheses[:, cell].astype(np.int64)))
            for hypotheses, odds in zip(self._hypotheses, self._odds, strict=True)
        )

    def _hypotheses_after(self, cell: int) -> list[int]:
        """Return the hypotheses there would be in each kind, were the cell halved."""
        left = len(self.cells[cell]) // 2
        right = len(self.cells[cell]) - left
        counts = [hypotheses[:, cell].astype(np.int64) for hypotheses in self._hypotheses]
        return [
            int((np.minimum(count, left) - np.maximum(0, count - right) + 1).sum())
            for count in counts
        ]

    def _halve(self, cell: int) -> None:
        positions = self.cells[cell]
        left = len(positions) // 2
        right = len(positions) - left
        for kind, hypotheses in enumerate(self._hypotheses):
            totals = hypotheses[:, cell].astype(np.int64)
            lows = np.maximum(0, totals - right)
            choices = np.minimum(totals, left) - lows + 1
            parents = np.repeat(np.arange(len(totals)), choices)
            starts = np.cumsum(choices) - choices
            lefts = lows[parents] + np.arange(len(parents)) - starts[parents]
            rights = totals[parents] - lefts
            grown = np.column_stack([hypotheses[parents], rights.astype(np.int16)])
            grown[:, cell] = lefts
            odds = log2_choose(left, lefts) + log2_choose(right, rights)
            odds -= log2_choose(left + right, totals[parents])
            self._hypotheses[kind] = grown
            self._odds[kind] = self._odds[kind][parents] * np.exp2(odds)
        self.changed = True
        self.cells[cell] = positions[:left]
        self.cells.append(positions[left:])
        self._cell_bits[cell] = self._missing(cell)
        self._cell_bits.append(self._missing(len(self.cells) - 1))
