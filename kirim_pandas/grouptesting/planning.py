"""Choose the next design: which nodes and clusters are asked together, in how many probes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from math import log2
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from kirim_pandas.grouptesting.clusters import Cluster, Node, log2_choose
from kirim_pandas.grouptesting.designs import Design
from kirim_pandas.grouptesting.outcomes import Positions

MAX_DESIGN_BITS = 7
"""128 probes. Larger designs gain little and postpone what could be learnt meanwhile."""

_TABLE_SIZE = 48
"""Up to so many contacts the best cut is looked up; above it halves are about as good. Measured as
in `frontier`: no difference with 16, 1.342 with 96 for a table that takes long to fill."""

_CLUSTER_SHARE, _NODE_SHARE = 0.8, 0.62
"""Parts of a probe that clusters, and after them nodes, may take as last places. Measured as in
`frontier`: clusters 1.357 with 0.6, 1.354 with 1; nodes 1.350 with 0.45, 1.345 with 0.8."""

_ROUNDING = 1e-9
"""Sums of bits that differ by less are equal."""

_LEAST_ODDS = 1e-300
"""Odds below are rounded to nothing."""

_TOO_POOR = 100.0
"""More bits than any probe brings: puts a design below the wanted rate behind all others."""


@dataclass(frozen=True, slots=True)
class Question:
    """How many of `left` are skipped? The counts of `left` and `right` together are known."""

    left: int
    right: int
    spans: tuple[int, ...]
    lows: tuple[int, ...]
    information: float
    cost: float
    """Bits of a block it takes as a digit."""
    widest: int
    """Its largest span."""
    kinds: tuple[int, ...]
    """The kinds in which it has more than one answer."""
    rank: tuple[float, int]
    """Sorts by bits for a bit of a block, most first, and then by contacts, fewest first."""


_Asked: TypeAlias = tuple[Node | Cluster, Question]


@lru_cache(maxsize=1 << 16)
def _question(size: int, counts: tuple[int, ...], left: int) -> Question:
    right = size - left
    lows = tuple(max(0, count - right) for count in counts)
    spans = tuple(min(count, left) - low + 1 for count, low in zip(counts, lows, strict=True))
    information = sum(_information(size, count, left) for count in counts if count)
    widest = max(spans)
    cost = log2(widest)
    rank = (-round(information / (cost or 1.0), 2), size)
    return Question(left, right, spans, lows, information, cost, widest, _open(spans), rank)


def _open(spans: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(kind for kind, span in enumerate(spans) if span > 1)


def _odds(size: int, count: int, left: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    values = np.arange(max(0, count - size + left), min(count, left) + 1)
    logs = log2_choose(left, values) + log2_choose(size - left, count - values)
    return values, np.exp2(logs - log2_choose(size, count))


def _information(size: int, count: int, left: int) -> float:
    shares = _odds(size, count, left)[1]
    shares = shares[shares > 0]
    return float(-(shares @ np.log2(shares)))


def surprise(node: Node, left: int, counts: tuple[int, ...]) -> list[float]:
    """Return for each kind the bits by which chance fits a left part's count worse than if all
    counts were as likely as each other."""
    bits = []
    for total, count in zip(node.counts, counts, strict=True):
        values, odds = _odds(node.size, total, left)
        shares = odds[values == count]
        if len(values) > 1 and len(shares):
            bits.append(-log2(max(float(shares[0]), _LEAST_ODDS)) - log2(len(values)))
    return bits


@lru_cache(maxsize=1)
def _best_cuts() -> NDArray[np.int64]:
    """Return for (size, count) the left part that needs the fewest digit bits in the end.

    Uneven parts often win: 2 of 4 cut in 1 + 3 is a fair yes-or-no question, in 2 + 2 a count
    of 0 to 2 that is mostly 1.
    """
    bits = np.zeros((_TABLE_SIZE + 1, _TABLE_SIZE + 1))
    cuts = np.ones((_TABLE_SIZE + 1, _TABLE_SIZE + 1), dtype=np.int64)
    for size in range(2, _TABLE_SIZE + 1):
        counts = np.arange(1, size)
        costs = np.stack([_cost(size, counts, left, bits) for left in range(1, size // 2 + 1)])
        cuts[size, 1:size] = 1 + np.round(costs, 9).argmin(axis=0)
        bits[size, 1:size] = costs.min(axis=0)
    return cuts


def _cost(
    size: int, counts: NDArray[np.int64], left: int, bits: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return for each count the digit bits it takes in the end to cut so, and then by `bits`."""
    values = np.arange(left + 1)[:, np.newaxis]
    right = size - left
    possible = (values <= counts) & (counts - values <= right)
    rest = np.where(possible, counts - values, 0)
    logs = log2_choose(left, values) + log2_choose(right, rest) - log2_choose(size, counts)
    shares = np.where(possible, np.exp2(logs), 0.0)
    later = bits[left, values] + bits[right, rest]
    return np.asarray(np.log2(possible.sum(axis=0)) + (shares * later).sum(axis=0))


def question_of(node: Node, borders: NDArray[np.int64] | None = None) -> Question:
    """Return the question to ask of a node; cut at the most central border, if there is one."""
    size = len(node.positions)
    left = size // 2
    if borders is not None:
        left = int(borders[np.abs(borders - left).argmin()])
    elif size <= _TABLE_SIZE:
        counts = [count for count in node.counts if count]
        if len(counts) == 1:
            left = int(_best_cuts()[size, counts[0]])
    return _question(size, node.counts, left)


@dataclass(slots=True)
class Plan:
    """A design and whom its questions are about, in order."""

    design: Design
    items: list[Node | Cluster]
    questions: list[Question]
    rate: float
    """Expected bits for each probe."""

    def probes(self) -> list[Positions]:
        """Return the contacts of each probe."""
        parts = [
            item.parts()
            if isinstance(item, Cluster)
            else (item.positions[: question.left], item.positions[question.left :])
            for item, question in zip(self.items, self.questions, strict=True)
        ]
        probes = []
        for signs in np.array(self.design.columns).T:
            held = [parts[item][int(signs[item] < 0)] for item in np.flatnonzero(signs)]
            probes.append(np.sort(np.concatenate(held)) if held else np.zeros(0, np.int64))
        return probes

    def answers(self, replies: NDArray[np.int64]) -> list[tuple[int, ...]]:
        """Return each question's counts of the left part.

        Parameters
        ----------
        replies
            Counts of each probe, shape ``(probes, kinds)``.

        Raises
        ------
        Contradiction
            If the replies do not fit together.
        """
        signs = np.array(self.design.columns).T
        lows = np.array([question.lows for question in self.questions])
        totals = np.array(
            [item.totals() if isinstance(item, Cluster) else item.counts for item in self.items]
        )
        # Where the right part is held, its count is the total less the left part's.
        known = signs @ lows + (signs < 0) @ totals
        values = self.design.decode(replies - known) + lows
        return [tuple(int(count) for count in row) for row in values]


def _cluster_question(cluster: Cluster) -> Question:
    held = sum(len(cell) for cell, asked in zip(cluster.cells, cluster.asked, strict=True) if asked)
    spans = tuple(high - low + 1 for low, high in zip(cluster.lows, cluster.highs, strict=True))
    widest, rest = max(spans), cluster.size - held
    rank = (0.0, cluster.size)
    kinds = _open(spans)
    return Question(
        held, rest, spans, cluster.lows, cluster.information, log2(widest), widest, kinds, rank
    )


def best_plan(
    nodes: Sequence[tuple[Node, Question]],
    clusters: Sequence[Cluster],
    *,
    kind_count: int,
    probe_size: int,
    sizes: Iterable[int],
    min_rate: float,
) -> Plan | None:
    """Return the design that brings most bits for each probe.

    Parameters
    ----------
    nodes
        Nodes that may be asked, with their questions.
    clusters
        Clusters that may be asked.
    kind_count
        Number of kinds of skips.
    probe_size
        The most contacts a probe may hold.
    sizes
        Binary logarithms of the numbers of probes to try.
    min_rate
        Bits for each probe that a design of several probes must bring; below it one probe to
        a cluster is better, for it leaves the nodes to better designs.
    """
    offer = _Offer(nodes, clusters, kind_count, probe_size)
    best: Plan | None = None
    best_worth = -np.inf
    for bits in sizes:
        plan = offer.fill(bits, -np.inf if best is None else max(min_rate * bool(bits), best_worth))
        if plan is None:
            continue
        worth = plan.rate if not bits or plan.rate >= min_rate else plan.rate - _TOO_POOR
        if worth > best_worth:
            best, best_worth = plan, worth
    return best


class _Offer:
    """What may be asked, in the orders in which designs are filled.

    A question in the last place of a block may have any span, so these places go to clusters
    and to the nodes that tell most. The places below are paid in bits of the block, and go to
    the questions that tell most for a bit.
    """

    def __init__(
        self,
        nodes: Sequence[tuple[Node, Question]],
        clusters: Sequence[Cluster],
        kind_count: int,
        probe_size: int,
    ) -> None:
        self._clusters = _by_information([(c, _cluster_question(c)) for c in clusters])
        self._nodes = _by_information(nodes)
        self._by_thrift = sorted(nodes, key=_rank)
        present = {kind for kinds in {node.kinds for node, _ in nodes} for kind in kinds}
        self._counted = np.isin(np.arange(kind_count), list(present))
        self._probe_size = probe_size
        told = sorted((q.information for _, q in (*self._clusters, *self._nodes)), reverse=True)
        self._most_told = list(accumulate(told, initial=0.0))

    def _most_bits(self, bits: int) -> float:
        """Return more bits than a design of ``2^bits`` probes can bring, without filling it."""
        last = self._most_told[1 << bits]
        room = _places(bits) * int(self._counted.sum()) if bits else 0.0
        return min(last + room, self._most_told[-1]) + _ROUNDING

    def fill(self, bits: int, rate: float) -> Plan | None:
        """Return a design of ``2^bits`` probes; None if it cannot bring `rate` bits a probe."""
        if len(self._nodes) + len(self._clusters) < 1 << bits:
            return None
        if self._most_bits(bits) < (rate - _ROUNDING) * (1 << bits):
            return None
        last, held = self._last_places(bits)
        digits = self._digits(bits, {id(item) for item, _ in last}) if bits else []
        # What may still be dropped before the design is too poor; less than 0 if it is already.
        spare = sum(q.information for _, q in (*last, *digits)) - (rate - _ROUNDING) * (1 << bits)
        if spare < 0:
            return None
        design = Design(bits, len(self._counted), probe_size=self._probe_size)
        # The last places are filled last, but every probe must have room for them.
        reserved = held if bits else 0
        design.loads += reserved
        digits.sort(key=lambda pair: -pair[1].cost)
        chosen: list[_Asked] = []
        spare = _add(digits, design.add_digit, chosen, spare)
        design.loads -= reserved
        last.sort(key=lambda pair: -pair[1].left - pair[1].right)
        if _add(last, design.add_last, chosen, spare) < 0 or not chosen:
            return None
        items, questions = map(list, zip(*chosen, strict=True))
        rate = sum(question.information for question in questions) / design.probe_count
        return Plan(design, items, questions, rate)

    def _last_places(self, bits: int) -> tuple[list[_Asked], int]:
        """Choose what takes the last places; return it, and the contacts it holds at most."""
        last: list[_Asked] = []
        held = 0
        for source, share in ((self._clusters, _CLUSTER_SHARE), (self._nodes, _NODE_SHARE)):
            limit = self._probe_size * (share if bits else 1.0)
            for item, question in source:
                if len(last) == 1 << bits:
                    break
                size = max(question.left, question.right) if bits else question.left
                if held + size <= limit and question.cost > 0:
                    last.append((item, question))
                    held += size
        return last, held

    def _digits(self, bits: int, taken: set[int]) -> list[_Asked]:
        """Choose what takes the places below, while blocks have bits left for it."""
        places = _places(bits)
        room = [places if counted else 0.0 for counted in self._counted]
        digits: list[_Asked] = []
        for node, question in self._by_thrift:
            cost = question.cost
            if cost > bits or id(node) in taken:
                continue
            if all(room[kind] >= cost for kind in question.kinds):
                for kind in question.kinds:
                    room[kind] -= cost
                digits.append((node, question))
            elif max(room) < 1:
                break
        return digits


def _add(
    asked: list[_Asked],
    add: Callable[[tuple[int, ...], int, int], bool],
    chosen: list[_Asked],
    spare: float,
) -> float:
    """Choose what a design has room for, while it drops at most `spare` bits; return the rest."""
    for item, question in asked:
        if spare < 0:
            break
        if add(question.spans, question.left, question.right):
            chosen.append((item, question))
        else:
            spare -= question.information
    return spare


def _places(bits: int) -> float:
    """Return the bits of a kind that the places below the last may take, and a little more."""
    return bits * (1 << bits) / 2 + 2


def _by_information(pairs: Iterable[tuple[Node | Cluster, Question]]) -> list[_Asked]:
    return sorted(pairs, key=_told_bits, reverse=True)


def _told_bits(asked: _Asked) -> float:
    return asked[1].information


def _rank(asked: _Asked) -> tuple[float, int]:
    return asked[1].rank
