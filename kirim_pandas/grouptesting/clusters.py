"""Keep every explanation of the counts so far, and ask what tells most of them apart.

A *cluster* holds disjoint *cells* of contacts and, for each kind of skip, the list of all ways
in which the replies so far allow the counts to fall on the cells, each with its probability
(all placements of the skips are equally likely). One reply strikes out the ways that
contradict it. Because cells are cut on while several ways are still open, every reply can
carry as many bits as its spread allows; asking about one node at a time, as in bisection,
wastes most of them. Nothing is ever dropped for being unlikely, so the last way left is true.

The kinds are listed separately: their product contains every joint explanation, and a short
list for each kind replaces a long one for all.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from kirim_pandas.grouptesting.designs import Contradiction
from kirim_pandas.grouptesting.local_search import climb, spread_of
from kirim_pandas.grouptesting.outcomes import MAX_CONTACTS_PER_CALL, Positions

__all__ = ["Cluster", "Node", "log2_choose"]

Floats = NDArray[np.float64]

_MAX_CELLS = 160  # more cells make large tables and tell nothing more

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
    ways_if_halved: tuple[int, ...] = field(init=False)

    def __post_init__(self) -> None:
        size = self.size = len(self.positions)
        left = size // 2
        self.kinds = tuple(kind for kind, count in enumerate(self.counts) if count)
        self.bits = float(sum(log2_choose(size, count) for count in self.counts if count))
        self.ways_if_halved = tuple(
            min(count, left) - max(0, count - size + left) + 1 for count in self.counts
        )

    def contacts(self) -> Positions:
        """Return all contacts."""
        return self.positions


class Cluster:
    """Cells, and all ways the counts may fall on them.

    Attributes
    ----------
    asked
        Mask over the cells: those the next question holds.
    lows, highs
        Least and greatest answer in each channel that some way allows.
    information
        Bits the answer is expected to bring.
    """

    def __init__(self, channel_count: int) -> None:
        self.cells: list[Positions] = []
        self.changed = True
        self.asked: NDArray[np.bool_] = np.zeros(0, dtype=np.bool_)
        self.lows: tuple[int, ...] = ()
        self.highs: tuple[int, ...] = ()
        self.information = 0.0
        # For each channel: ways (ways, cells) and their probabilities (ways,).
        self._ways = [np.zeros((1, 0), dtype=np.int16) for _ in range(channel_count)]
        self._odds = [np.ones(1) for _ in range(channel_count)]
        self._cell_bits: list[float] = []

    @property
    def size(self) -> int:
        """Number of contacts."""
        return sum(len(cell) for cell in self.cells)

    @property
    def bits(self) -> float:
        """Bits that are missing until every contact is named."""
        return sum(self._cell_bits) + sum(float(np.log2(len(odds))) for odds in self._odds)

    @property
    def way_counts(self) -> list[int]:
        """Number of open ways in each channel."""
        return [len(odds) for odds in self._odds]

    def contacts(self) -> Positions:
        """Return all contacts."""
        return np.concatenate(self.cells)

    def add(self, node: Node) -> None:
        """Take in a node as one more cell."""
        self.cells.append(node.positions)
        for channel, ways in enumerate(self._ways):
            counts = np.full(len(ways), node.counts[channel], dtype=np.int16)
            self._ways[channel] = np.column_stack([ways, counts])
        self._cell_bits.append(node.bits)
        self.changed = True

    def merge(self, other: Cluster) -> None:
        """Take in all of another cluster; the ways multiply."""
        for channel, (mine, theirs) in enumerate(zip(self._ways, other._ways, strict=True)):
            first = np.repeat(np.arange(len(mine)), len(theirs))
            second = np.tile(np.arange(len(theirs)), len(mine))
            self._ways[channel] = np.column_stack([mine[first], theirs[second]])
            self._odds[channel] = self._odds[channel][first] * other._odds[channel][second]
        self.cells += other.cells
        self._cell_bits += other._cell_bits
        self.changed = True

    def grow(
        self, queue: list[Node], max_ways: int, max_size: int, kinds: Sequence[int] = ()
    ) -> None:
        """Cut what holds most missing bits, while the ways stay few.

        Parameters
        ----------
        queue
            Nodes to draw from, most bits first; those taken in are removed.
        max_ways
            Stop at so many ways in any channel.
        max_size
            Take in no more contacts than this.
        kinds
            The channels in which anything in the queue is counted.
        """
        # More ways never make a cell cheaper to cut: what is too much now stays so to the end.
        cheap = self._ways_if_halved() <= max_ways
        order = sorted(
            ((bits, cell) for cell, bits in enumerate(self._cell_bits) if bits > 0 and cheap[cell]),
            reverse=True,
        )
        size, place = self.size, 0
        way_counts = self.way_counts
        while (order or place < len(queue)) and len(self.cells) < _MAX_CELLS:
            if self.cells and min((way_counts[kind] for kind in kinds), default=0) > max_ways // 2:
                place = len(queue)  # any node at least doubles the ways of some kind
                if not order:
                    break
            if place < len(queue) and (not order or queue[place].bits >= order[0][0]):
                node = queue[place]
                fits = not self.cells or (
                    size + node.size <= max_size
                    and all(
                        ways * more <= max_ways
                        for ways, more in zip(way_counts, node.ways_if_halved, strict=True)
                    )
                )
                if not fits:
                    place += 1
                    continue
                queue.pop(place)
                size += len(node.positions)
                self.add(node)
                cell = len(self.cells) - 1
            else:
                cell = order.pop(0)[1]
                if max(self._ways_after(cell, len(self.cells[cell]) // 2)) > max_ways:
                    continue
            self._cut(cell, len(self.cells[cell]) // 2)
            way_counts = self.way_counts
            for part in (cell, len(self.cells) - 1):
                if self._cell_bits[part] > 0:
                    insort(order, (self._cell_bits[part], part), key=lambda pair: -pair[0])

    def choose(self, rng: np.random.Generator, probe_size: int, tries: int) -> None:
        """Find cells whose counts together tell most; sets the attributes."""
        sizes = np.array([len(cell) for cell in self.cells], dtype=np.int64)
        spreads = [
            spread_of(ways, odds)
            for ways, odds in zip(self._ways, self._odds, strict=True)
            if len(odds) > 1
        ]
        self.information = -1.0
        for _ in range(tries):
            asked = climb(spreads, sizes, rng.random(len(sizes)) < 0.5, probe_size)
            information, lows, highs = 0.0, [], []
            for ways, odds in zip(self._ways, self._odds, strict=True):
                answers = ways[:, asked].sum(axis=1, dtype=np.int64)
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

    def totals(self) -> tuple[int, ...]:
        """Return the known counts of all cells together."""
        return tuple(int(ways[0].sum(dtype=np.int64)) for ways in self._ways)

    def tell(self, answers: tuple[int, ...]) -> list[Node]:
        """Strike out what contradicts the answer; return the cells whose counts are now known.

        Raises
        ------
        Contradiction
            If no way is left. The cluster is then of no further use.
        """
        for channel, answer in enumerate(answers):
            ways = self._ways[channel]
            self._keep(channel, ways[:, self.asked].sum(axis=1, dtype=np.int64) == answer)
        self._exclude()
        known = np.all([(ways == ways[0]).all(axis=0) for ways in self._ways], axis=0)
        nodes = [
            Node(
                self.cells[cell],
                tuple(int(ways[0, cell]) for ways in self._ways),
            )
            for cell in np.flatnonzero(known)
        ]
        self._ways = [ways[:, ~known] for ways in self._ways]
        self.cells = [cell for cell, gone in zip(self.cells, known, strict=True) if not gone]
        self._cell_bits = self._all_missing()
        self.changed = True
        return nodes

    def _keep(self, channel: int, kept: NDArray[np.bool_]) -> None:
        if kept.all():
            return
        odds = self._odds[channel][kept]
        if not len(odds):
            raise Contradiction
        self._ways[channel] = self._ways[channel][kept]
        self._odds[channel] = odds / odds.sum()

    def _exclude(self) -> None:
        """Use that the kinds share the room: a cell full of one kind holds none of another."""
        sizes = np.array([len(cell) for cell in self.cells])
        before: list[int] = []
        while before != self.way_counts:
            before = self.way_counts
            least = [ways.min(axis=0) for ways in self._ways]
            for channel, ways in enumerate(self._ways):
                room = sizes - sum(low for other, low in enumerate(least) if other != channel)
                self._keep(channel, (ways <= room).all(axis=1))

    def _all_missing(self) -> list[float]:
        """Return the expected missing bits of every cell."""
        sizes = np.array([len(cell) for cell in self.cells], dtype=np.int64)
        bits = np.zeros(len(sizes))
        for ways, odds in zip(self._ways, self._odds, strict=True):
            bits += (odds[:, np.newaxis] * log2_choose(sizes, ways.astype(np.int64))).sum(axis=0)
        return [float(value) for value in bits]

    def _ways_if_halved(self) -> NDArray[np.int64]:
        """Return for every cell the ways there would be, in the worst channel, were it halved."""
        sizes = np.array([len(cell) for cell in self.cells], dtype=np.int64)
        left = sizes // 2
        after = [
            (np.minimum(ways, left) - np.maximum(0, ways - (sizes - left)) + 1).sum(axis=0)
            for ways in self._ways
        ]
        return np.asarray(np.max(after, axis=0))

    def _missing(self, cell: int) -> float:
        size = len(self.cells[cell])
        return sum(
            float(odds @ log2_choose(size, ways[:, cell].astype(np.int64)))
            for ways, odds in zip(self._ways, self._odds, strict=True)
        )

    def _ways_after(self, cell: int, left: int) -> list[int]:
        right = len(self.cells[cell]) - left
        counts = [ways[:, cell].astype(np.int64) for ways in self._ways]
        return [
            int((np.minimum(count, left) - np.maximum(0, count - right) + 1).sum())
            for count in counts
        ]

    def _cut(self, cell: int, left: int) -> None:
        positions = self.cells[cell]
        right = len(positions) - left
        for channel, ways in enumerate(self._ways):
            totals = ways[:, cell].astype(np.int64)
            lows = np.maximum(0, totals - right)
            choices = np.minimum(totals, left) - lows + 1
            parents = np.repeat(np.arange(len(totals)), choices)
            starts = np.cumsum(choices) - choices
            lefts = lows[parents] + np.arange(len(parents)) - starts[parents]
            rights = totals[parents] - lefts
            grown = np.column_stack([ways[parents], rights.astype(np.int16)])
            grown[:, cell] = lefts
            odds = log2_choose(left, lefts) + log2_choose(right, rights)
            odds -= log2_choose(left + right, totals[parents])
            self._ways[channel] = grown
            self._odds[channel] = self._odds[channel][parents] * np.exp2(odds)
        self.changed = True
        self.cells[cell] = positions[:left]
        self.cells.append(positions[left:])
        self._cell_bits[cell] = self._missing(cell)
        self._cell_bits.append(self._missing(len(self.cells) - 1))
