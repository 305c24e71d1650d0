"""Choose the next design: which nodes and clusters are asked together, in how many probes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import log2

import numpy as np
from numpy.typing import NDArray

from kirim_pandas.grouptesting.clusters import Cluster, Node, log2_choose
from kirim_pandas.grouptesting.designs import Design
from kirim_pandas.grouptesting.outcomes import Positions

__all__ = ["MAX_DESIGN_BITS", "Plan", "Question", "best_plan", "question_of"]

MAX_DESIGN_BITS = 7
"""128 probes. Larger designs gain little and postpone what could be learnt meanwhile."""

_TABLE_SIZE = 48  # below it the best cut is looked up; above it halves are as good


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
    rank: tuple[float, int]
    """Sorts by bits for a bit of a block, most first, and then by contacts, fewest first."""


@lru_cache(maxsize=1 << 16)
def _question(size: int, counts: tuple[int, ...], left: int) -> Question:
    right = size - left
    lows = tuple(max(0, count - right) for count in counts)
    spans = tuple(min(count, left) - low + 1 for count, low in zip(counts, lows, strict=True))
    information = sum(_information(size, count, left) for count in counts if count)
    widest = max(spans)
    cost = log2(widest)
    rank = (-round(information / (cost or 1.0), 2), size)
    return Question(left, right, spans, lows, information, cost, widest, rank)


def _odds(size: int, count: int, left: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    values = np.arange(max(0, count - size + left), min(count, left) + 1)
    logs = log2_choose(left, values) + log2_choose(size - left, count - values)
    return values, np.exp2(logs - log2_choose(size, count))


def _information(size: int, count: int, left: int) -> float:
    shares = _odds(size, count, left)[1]
    shares = shares[shares > 0]
    return float(-(shares @ np.log2(shares)))


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
            Counts of each probe, shape ``(probes, channels)``.

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
    return Question(
        held, rest, spans, cluster.lows, cluster.information, log2(widest), widest, rank
    )


def best_plan(
    nodes: Sequence[tuple[Node, Question]],
    clusters: Sequence[Cluster],
    *,
    channel_count: int,
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
    channel_count
        Number of kinds of skips.
    probe_size
        The most contacts a probe may hold.
    sizes
        Binary logarithms of the numbers of probes to try.
    min_rate
        Bits for each probe that a design of several probes must bring; below it one probe to
        a cluster is better, for it leaves the nodes to better designs.
    """
    asked = sorted(
        ((cluster, _cluster_question(cluster)) for cluster in clusters),
        key=lambda pair: -pair[1].information,
    )
    by_information = sorted(nodes, key=lambda pair: -pair[1].information)
    by_thrift = sorted(nodes, key=lambda pair: pair[1].rank)
    present = {kind for kinds in {node.kinds for node, _ in nodes} for kind in kinds}
    kinds = [channel in present for channel in range(channel_count)]
    most = [
        question.information for _, question in [*asked, *by_information[: 1 << MAX_DESIGN_BITS]]
    ]
    gained = np.cumsum(sorted(most, reverse=True))
    best: Plan | None = None
    best_worth = -1e9
    for bits in sizes:
        if bits and len(nodes) + len(clusters) < 1 << bits:
            continue
        # What it can bring at most: the best last places, and full blocks.
        places = 1 << bits
        bound = gained[min(places, len(gained)) - 1] / places + sum(kinds) * (bits / 2 + 2 / places)
        if bits and best is not None and bound < max(min_rate, best_worth):
            continue
        plan = _fill(bits, asked, by_information, by_thrift, kinds, probe_size)
        if plan is not None:
            worth = plan.rate if not bits or plan.rate >= min_rate else plan.rate - 100.0
            if best is None or worth > best_worth:
                best, best_worth = plan, worth
    return best


def _fill(
    bits: int,
    clusters: list[tuple[Cluster, Question]],
    by_information: list[tuple[Node, Question]],
    by_thrift: list[tuple[Node, Question]],
    kinds: list[bool],
    probe_size: int,
) -> Plan | None:
    design = Design(bits, len(kinds), probe_size=probe_size)
    places, held = design.probe_count, 0
    last: list[tuple[Node | Cluster, Question]] = []
    for source, share in ((clusters, 0.8), (by_information, 0.62)):
        limit = probe_size * (share if bits else 1.0)
        for item, question in source:
            if len(last) == places:
                break
            size = max(question.left, question.right) if bits else question.left
            if held + size <= limit and question.cost > 0:
                last.append((item, question))
                held += size
    taken = {id(item) for item, _ in last}
    chosen: list[tuple[Node | Cluster, Question]] = []
    room = np.where(kinds, bits * places / 2 + 2, 0.0)
    digits = []
    for item, question in by_thrift if bits else ():
        if id(item) in taken or question.cost > bits:
            continue
        channels = [channel for channel, span in enumerate(question.spans) if span > 1]
        if all(room[channel] >= question.cost for channel in channels):
            room[channels] -= question.cost
            digits.append((item, question))
        elif room.max() < 1:
            break
    # The last places are filled last, but every probe must have room for them.
    design.loads += held if bits else 0
    for item, question in sorted(digits, key=lambda pair: -pair[1].cost):
        if design.add_digit(question.spans, question.left, question.right):
            chosen.append((item, question))
    design.loads -= held if bits else 0
    for item, question in sorted(last, key=lambda pair: -pair[1].left - pair[1].right):
        if design.add_last(question.spans, question.left, question.right):
            chosen.append((item, question))
    if not chosen:
        return None
    rate = sum(question.information for _, question in chosen) / places
    return Plan(design, [item for item, _ in chosen], [q for _, q in chosen], rate)
