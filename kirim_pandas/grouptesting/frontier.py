"""The nodes and clusters that wait to be asked about."""

from __future__ import annotations

from collections.abc import Sequence
from operator import attrgetter, mul

import numpy as np
from numpy.typing import NDArray

from kirim_pandas.grouptesting.clusters import Cluster, Node
from kirim_pandas.grouptesting.estimates import probes_for_bits
from kirim_pandas.grouptesting.outcomes import Positions
from kirim_pandas.grouptesting.planning import (
    MAX_DESIGN_BITS,
    Plan,
    Question,
    best_plan,
    question_of,
    surprise,
)

_KINDS = 3

# "Measured" below: the mean, in units of the floor, of eight runs in memory (50 or 100 of 1000, 5 %
# or 3 % + 2 % of 3000 skipped at random), which is 1.350 as it is. The runs scatter by some 0.005.

_BITS_PER_CLUSTER = 150
"""Missing bits of one kind for each cluster: more clusters share the later designs, fewer leave
less unfinished at the end. Measured: 1.400 with 75, 1.355 with 300."""

_MAX_CLUSTERS = 8
"""Measured: no difference with 4 or 16; a bound on the time that planning takes."""

_CLUSTER_CONTACTS = 1500
"""Contacts of all clusters but the first: larger ones crowd the nodes out of the probes.
Measured: 1.354 with 750, no difference with 3000."""

_SMALL_BITS, _LARGE_BITS = 1200, 5000
"""Missing bits of a small search, and of one in which designs of nodes do most of the work."""

_TINY_BITS, _HUGE_BITS = 60, 20_000
"""Of a search that began with fewer bits than this, or with more, clusters stay of a middle size:
fewer cells find one or two contacts as well, and in a huge search it is time that is short."""

_MAX_HYPOTHESES, _USUAL_HYPOTHESES, _MIDDLE_HYPOTHESES, _LARGE_HYPOTHESES = 8192, 4096, 1024, 256
"""Hypotheses of a cluster in each kind: in small searches, others, tiny or huge ones, large ones.
More cost time, which hardly matters where probes are few. Measured on one batch: 1.23 with 1024,
1.20 with 8192 in half as much time again; in large searches more are no better."""

_TRIES = 3
"""Random starts when a cluster's question is sought. Measured: 1.369 with 1, 1.352 with 8."""

_MIN_RATES = (0.0, 3.3, 5.6, 8.0)
"""Bits a probe that a design of several probes must bring, by the number of kinds of skips: what
clusters alone bring. Measured: 1.367 with up to 1.0 less, 1.368 with up to 1.0 more."""

_MINOR = 0.2
"""A kind of fewer skips than this part of the largest is told by the way: a search that waits for
bits of both pays for it. Measured: 1 % and 30 % of 1000 take 230 probes instead of 247, of five
batches 1110 instead of 1201, and a quarter of the time."""

_SPARE_NODES = 1.3
"""Yes-or-no nodes kept for the designs that several clusters share, as a multiple of the bits
that such a design has room for. Measured: 1.354 with 0.6, 1.355 with 2."""

_MANY_NODES, _FULL_SEARCH = 100, 10
"""With more nodes only designs near the last one's size are tried, but all sizes in every tenth
round: the best size hardly changes, and filling designs takes most of the time."""

_GROUP_CONTACTS = 30
"""Smaller groups than this on average are no better a border than the middle."""

_FEWEST_CUTS = 3
"""Fewer cuts tell nothing: of two halves of several groups each may hold as many of both kinds."""

_FEWEST_MIXED, _LARGE_GROUP = 2, 100
"""So many groups of so many contacts, and more than the pure ones, that come back mixed, and halves
are about as good: measured with 3000 contacts of 12 values of which a third is skipped, with 1 %
to 10 % exceptions. Smaller groups are worth a cut even where they are mixed."""

_DENSE = 0.24
"""Batches with more skips of one kind than this go one after the other: they need clusters, and
those are good where few contacts crowd the probes. Measured on five batches: of 30 %, 40 % and
50 % 1037, 1147 and 1180 probes, all at once 1116, 1237 and 1268; of 20 % it is 3 % more."""

_DENSE_BITS, _OTHER_BITS = 1000, 400
"""The next dense batch is begun below so many missing bits, the others at last. Measured with five
batches of 0.5 % and five of 40 %, the others from 100, 300, 600 and 1000 on: 1252, 1239, 1242 and
1256 probes."""

_CAPPED_RATE = 2.5
"""Bits a probe when a cap leaves a few batches only."""


class Frontier:
    """Open nodes and clusters; plans what to ask next."""

    def __init__(self, probe_size: int, groups: NDArray[np.int64] | None) -> None:
        self._probe_size = probe_size
        self.groups = groups
        self._trial = _Trial()
        self._nodes: dict[Node, Question] = {}
        self._grouped: dict[Node, Question] = {}
        # Bits and skips by kind that the nodes miss: as a running sum, for it is asked each round.
        self._missing = np.zeros(1 + _KINDS)
        self._clusters: list[Cluster] = []
        self._kinds = 1
        self._rounds = 0
        self._most_missing = 0.0
        self._last_bits = 0
        self._dense: frozenset[int] | None = None  # batches, as they were at first
        # Only to try different starts when a cluster's question is sought: any seed will do.
        self._rng = np.random.default_rng(0)

    def __bool__(self) -> bool:
        return bool(self._nodes or self._grouped or self._clusters)

    def add(self, node: Node) -> None:
        """Take in a node that more than one outcome explains."""
        borders = self._borders(node.positions)
        self._missing += _missing(node)
        if borders is None:
            self._nodes[node] = question_of(node)
        else:
            self._grouped[node] = question_of(node, borders)

    def put_back(self, item: Node | Cluster) -> None:
        """Take back what was asked about."""
        if isinstance(item, Node):
            self.add(item)
        else:
            self._clusters.append(item)

    @property
    def has_clusters(self) -> bool:
        """Whether nodes are searched together already."""
        return bool(self._clusters)

    def nodes(self) -> list[Node]:
        """Return the open nodes."""
        return [*self._nodes, *self._grouped]

    def items(self) -> list[Node | Cluster]:
        """Return all that is open."""
        return [*self.nodes(), *self._clusters]

    def remove(self, positions: Positions) -> Node:
        """Take out the node of just this array of contacts."""
        node = next(node for node in self.nodes() if node.positions is positions)
        self._drop(node)
        return node

    def _drop(self, node: Node) -> None:
        self._missing -= _missing(node)
        if self._nodes.pop(node, None) is None:
            del self._grouped[node]

    def regroup(self, groups: NDArray[np.int64]) -> None:
        """Put contacts of one group next to each other in every open node, and cut there first."""
        self.groups, self._trial = groups, _Trial()
        nodes, clusters = self.nodes(), self._clusters
        self.clear()
        self._clusters = clusters
        for node in nodes:
            order = np.argsort(groups[node.positions], kind="stable")
            self.add(Node(node.positions[order], node.counts))

    def clear(self) -> None:
        """Remove everything."""
        self._nodes, self._grouped, self._clusters = {}, {}, []
        self._missing = np.zeros(1 + _KINDS)

    def take(self, plan: Plan) -> None:
        """Remove what a plan asks about."""
        for item in plan.items:
            if isinstance(item, Cluster):
                self._clusters.remove(item)
                continue
            if item in self._grouped:
                self._trial.begin(item)
            self._drop(item)

    def learn(self, node: Node, size: int, counts: tuple[int, ...]) -> None:
        """Take in the counts of the first `size` contacts of a node that was asked about.

        Once the groups turn out to explain nothing, or too little, they are cut at no more.
        """
        if self.groups is not None and not self._trial.goes_on(node, size, counts, self.groups):
            self.groups = None
            self._nodes |= {node: question_of(node) for node in self._grouped}
            self._grouped = {}

    def expected_probes(self) -> float:
        """Estimate how many probes the open nodes and clusters need."""
        bits, *skips = sum(map(_missing, self._clusters), self._missing).tolist()
        counted = float(sum(skips)) or 1.0
        return probes_for_bits([bits * count / counted for count in skips], skips)

    def next_plan(self, budget: int | None, batch_of: NDArray[np.int32]) -> Plan | None:
        """Return what to ask next; the items stay here until `take`."""
        nodes = self._affordable(budget, batch_of)
        is_short = len(nodes) < len(self._nodes) + len(self._grouped)
        self._feed([node for node in nodes if node in self._nodes])
        for cluster in self._clusters:
            self._choose(cluster)
        pairs = [*self._nodes.items(), *self._grouped.items()]
        if is_short:
            offered = set(nodes)
            pairs = [pair for pair in pairs if pair[0] in offered]
        plan = best_plan(
            pairs,
            self._clusters,
            kind_count=_KINDS,
            probe_size=self._probe_size,
            sizes=self._sizes_to_try(len(pairs), budget),
            min_rate=_MIN_RATES[self._kinds],
        )
        self._last_bits = plan.design.bits if plan else 0
        return plan

    def _choose(self, cluster: Cluster) -> None:
        """Find what to ask a cluster next."""
        if max(cluster.hypothesis_counts) == 1:  # nothing to ask it yet
            cluster.grow([], _MIDDLE_HYPOTHESES, 0)
        if cluster.changed:
            cluster.choose(self._rng, self._probe_size, _TRIES)

    def _sizes_to_try(self, node_count: int, budget: int | None) -> list[int]:
        """Return design sizes worth planning: in large runs mostly those near the last one."""
        most = MAX_DESIGN_BITS if budget is None else min(MAX_DESIGN_BITS, budget.bit_length() - 1)
        self._rounds += 1
        if node_count <= _MANY_NODES or self._rounds % _FULL_SEARCH == 0:
            return list(range(most + 1))
        last = self._last_bits
        # The most likely first: what cannot be better than it is not even filled.
        return [b for b in dict.fromkeys([last, last + 1, max(0, last - 1), 0]) if b <= most]

    def _affordable(self, budget: int | None, batch_of: NDArray[np.int32]) -> list[Node]:
        """Return the nodes to work on; under a short budget of the batches cheapest to finish."""
        if budget is None or budget >= self.expected_probes():
            return self._in_turn(batch_of)
        by_batch = _by_batch(self.nodes(), batch_of)
        chosen: list[Node] = []
        spent = _bits(self._clusters) / _CAPPED_RATE
        for members in sorted(by_batch.values(), key=_bits):
            spent += _bits(members) / _CAPPED_RATE + 1
            if spent > budget and (chosen or self._clusters):
                break
            chosen += members
        return chosen

    def _in_turn(self, batch_of: NDArray[np.int32]) -> list[Node]:
        """Return all nodes, or those of one dense batch after the other, and the rest at last."""
        if self._dense is None and self.groups is None:
            by_batch = _by_batch(self.nodes(), batch_of)
            self._dense = frozenset(b for b, members in by_batch.items() if _is_dense(members))
        if not self._dense:
            return self.nodes()
        by_batch = _by_batch(self.nodes(), batch_of)
        waiting = sorted(self._dense.intersection(by_batch))
        chosen: list[Node] = []
        bits = _bits(self._clusters)
        while waiting and (bits < _DENSE_BITS * self._kinds or not chosen):
            chosen += by_batch[waiting[0]]
            bits += _bits(by_batch[waiting.pop(0)])
        return self.nodes() if bits < _OTHER_BITS and not waiting else chosen

    def _feed(self, nodes: list[Node]) -> None:
        """Merge, found and feed clusters."""
        self._merge()
        clusters = self._clusters
        missing = _bits(nodes) + _bits(clusters)
        counted = [c.kinds() for c in clusters] + [node.kinds for node in nodes]
        kinds = sorted(set().union(*counted))
        self._kinds = self._major_kinds()
        wanted = self._wanted_clusters(nodes, missing)
        eaten = self._food(nodes)
        queue = sorted(eaten, key=attrgetter("bits"), reverse=True)
        while len(clusters) < wanted and (queue or not clusters):
            clusters.append(Cluster(_KINDS))
        clusters.sort(key=attrgetter("size"), reverse=True)
        self._most_missing = max(self._most_missing, missing)
        self._grow(wanted, queue, self._most_hypotheses(missing), kinds)
        for node in set(eaten).difference(queue):
            self._drop(node)

    def _most_hypotheses(self, missing: float) -> int:
        """Return how many hypotheses of a kind a cluster may have."""
        if missing > _LARGE_BITS:
            return _LARGE_HYPOTHESES
        if not _TINY_BITS < self._most_missing < _HUGE_BITS:
            return _MIDDLE_HYPOTHESES
        return _MAX_HYPOTHESES if missing <= _SMALL_BITS else _USUAL_HYPOTHESES

    def _grow(self, wanted: int, queue: list[Node], most: int, kinds: list[int]) -> None:
        """Grow the largest clusters from the queue, to so many hypotheses; drop what is empty."""
        for number, cluster in enumerate(self._clusters[:wanted]):
            room = _CLUSTER_CONTACTS - _size(self._clusters[1:]) + cluster.size
            cluster.grow(queue, most, room if number else 10**9, kinds)
        self._clusters = [cluster for cluster in self._clusters if cluster.cells]

    def _major_kinds(self) -> int:
        """Return how many kinds make up most of the skips."""
        skips = sum(map(_missing, self._clusters), self._missing)[1:]
        return max(1, int((skips > _MINOR * skips.max()).sum()))

    def _wanted_clusters(self, nodes: list[Node], missing: float) -> int:
        """Return how many clusters are to work on so many missing bits."""
        crowded = _size(nodes) + _size(self._clusters) > 2 * self._probe_size
        if crowded and (self._kinds == 1 or missing > _LARGE_BITS):
            # One that was not asked last time tells too little for its contacts: not it alone.
            return min(1 + sum(not cluster.changed for cluster in self._clusters), _MAX_CLUSTERS)
        return min(max(1, int(missing / self._kinds / _BITS_PER_CLUSTER)), _MAX_CLUSTERS)

    def _food(self, nodes: list[Node]) -> list[Node]:
        """Return the nodes that clusters may take; some yes-or-no nodes are left to designs."""
        width = max(len(self._clusters), 1).bit_length() - 1
        spare = int(width * (1 << width) / 2 * _SPARE_NODES) + 1 if width else 0
        fine = [node for node in nodes if self._nodes[node].widest <= 2]
        return [node for node in nodes if self._nodes[node].widest > 2] + fine[spare:]

    def _merge(self) -> None:
        """Join the two clusters with the fewest hypotheses while the product stays small."""
        while len(self._clusters) > 1:
            self._clusters.sort(key=_most_hypotheses)
            first, second = self._clusters[:2]
            if max(map(mul, first.hypothesis_counts, second.hypothesis_counts)) > (
                _MAX_HYPOTHESES // 2
            ):
                return
            first.merge(second)
            self._clusters.remove(second)

    def _borders(self, positions: Positions) -> NDArray[np.int64] | None:
        if self.groups is None:
            return None
        borders = np.flatnonzero(np.diff(self.groups[positions])) + 1
        return borders if 0 < len(borders) < max(2, len(positions) / _GROUP_CONTACTS) else None


class _Trial:
    """Tells from the counts whether the values of a hint explain who is skipped.

    A cut between two values costs a probe that a design or a cluster would have used better,
    unless the parts come out far more uneven than chance makes them, and whole groups pure.
    """

    def __init__(self) -> None:
        self._cut: set[Node] = set()
        self._surprise = 0.0  # bits, by which chance fits the counts worse than any count would
        self._cuts = self._pure = self._mixed = 0

    def begin(self, node: Node) -> None:
        """Note that a node is asked about at a border."""
        self._cut.add(node)

    def goes_on(
        self, node: Node, size: int, counts: tuple[int, ...], groups: NDArray[np.int64]
    ) -> bool:
        """Take in what came of a node; tell whether cuts at borders are worth it still."""
        if node not in self._cut:
            return True
        self._cut.remove(node)
        self._cuts += 1
        self._surprise += sum(surprise(node, size, counts))
        rest = tuple(a - b for a, b in zip(node.counts, counts, strict=True))
        self._see(Node(node.positions[:size], counts), groups)
        self._see(Node(node.positions[size:], rest), groups)
        if self._cuts >= _FEWEST_CUTS and self._surprise < 0:
            return False
        return self._mixed < _FEWEST_MIXED or self._mixed <= self._pure

    def _see(self, part: Node, groups: NDArray[np.int64]) -> None:
        """Count a part that is one group."""
        is_one = groups[part.positions[0]] == groups[part.positions[-1]]
        if is_one and part.size >= _LARGE_GROUP:
            self._pure += part.bits == 0
            self._mixed += part.bits > 0


def _missing(item: Node | Cluster) -> NDArray[np.float64]:
    return np.array((item.bits, *item.skips), dtype=np.float64)


def _by_batch(nodes: Sequence[Node], batch_of: NDArray[np.int32]) -> dict[int, list[Node]]:
    by_batch: dict[int, list[Node]] = {}
    for node in nodes:
        by_batch.setdefault(int(batch_of[node.positions[0]]), []).append(node)
    return by_batch


def _is_dense(nodes: Sequence[Node]) -> bool:
    skips = sum(map(_missing, nodes), np.zeros(1 + _KINDS))[1:]
    return bool(skips.max() > _DENSE * _size(nodes))


def _bits(items: Sequence[Node | Cluster]) -> float:
    return sum(item.bits for item in items)


def _size(items: Sequence[Node | Cluster]) -> int:
    return sum(map(attrgetter("size"), items))


def _most_hypotheses(cluster: Cluster) -> int:
    return max(cluster.hypothesis_counts)
