"""A search for the outcomes of some batches, by probes that hold contacts of these alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence, Sized
from copy import copy
from functools import partial
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from kirim_pandas.grouptesting.clusters import Cluster, Node
from kirim_pandas.grouptesting.counters import Counters
from kirim_pandas.grouptesting.designs import Contradiction
from kirim_pandas.grouptesting.found import Found
from kirim_pandas.grouptesting.frontier import Frontier
from kirim_pandas.grouptesting.late_skips import ReplyLog
from kirim_pandas.grouptesting.outcomes import SKIPS, Counts, Outcome, Positions
from kirim_pandas.grouptesting.planning import Plan
from kirim_pandas.grouptesting.recount import Recount

_MAX_RECOUNTS = 30
"""Recounts, besides one for each batch, after which all that is open is given up: a service that
miscounts at random must not be asked for ever. A mover causes one or two."""

Replies: TypeAlias = Sequence[Counts | None]
Take: TypeAlias = Callable[[list[Positions], Replies], None]
Asked: TypeAlias = tuple[list[Positions], Take]
"""Probes, and who takes them and the replies."""


class Search:
    """Finds the outcomes of the contacts that are put into it.

    Parameters
    ----------
    found
        Where they are entered.
    probe_size
        The most contacts a probe may hold.
    groups
        For each position a code of the hint's value, -1 for none, as of an `Attribution`.
    counters
        How replies are read; what the replies here tell is noted in it.
    log
        Where the replies are kept.

    Attributes
    ----------
    frontier : Frontier
        What waits to be asked about.
    recount : Recount
        What waits for fresh counts.
    pure : list of Node
        Parts of batches that one outcome explains, as far as they were found one by one.
    batches : int
        How many batches are sought here.
    log : ReplyLog
        The replies.
    """

    def __init__(
        self,
        found: Found,
        probe_size: int,
        groups: NDArray[np.int64] | None,
        counters: Counters,
        log: ReplyLog,
    ) -> None:
        self.log = log
        self.frontier = Frontier(probe_size, groups)
        self.recount = Recount(probe_size)
        self.pure: list[Node] = []
        self.batches = 0
        self._found = found
        self._counters = counters
        self._probe_size = probe_size
        self._contacts: Positions | None = None  # None: all there are
        self._recounts = 0
        self._asked: Asked | None = None

    def next(self, budget: int | None) -> Asked | None:
        """Return what to ask next, at most `budget` probes; None when the search is over."""
        if probes := self.recount.probes()[:budget]:
            return probes, self._tell_recount
        plan = self.frontier.next_plan(budget, self._found.batch_of) if self.frontier else None
        return None if plan is None else (plan.probes(), partial(self._tell_plan, plan))

    # -- side by side ----------------------------------------------------------------------

    def split(self, width: int) -> list[Search]:
        """Deal whole batches to so many searches, which need not wait for each other.

        Each has probes, counters and contradictions of its own, so what it asks follows from the
        replies to its own probes, whenever those of others come.
        """
        by_batch: dict[int, list[Node]] = {}
        for node in self.frontier.nodes():
            by_batch.setdefault(int(self._found.batch_of[node.positions[0]]), []).append(node)
        heaviest = sorted(by_batch, key=lambda batch: -sum(node.bits for node in by_batch[batch]))
        self.frontier.clear()
        hands = _deal(heaviest, width)
        return [self._part([by_batch[batch] for batch in sorted(hand)]) for hand in hands]

    def _part(self, batches: Sequence[Sequence[Node]]) -> Search:
        counters, log = copy(self._counters), self.log.beside()
        part = Search(self._found, self._probe_size, self.frontier.groups, counters, log)
        nodes = [node for batch in batches for node in batch]
        part._contacts = np.concatenate([node.positions for node in nodes])
        part.batches = len(batches)
        for node in nodes:
            part.frontier.add(node)
        return part

    def join(self, parts: Sequence[Search]) -> None:
        """Take in what parts were told, in their order, and what they have left open."""
        for part in parts:
            for probes, replies in part.log.rounds():
                self._notice(probes, replies)
            for item in part.frontier.items():
                self.frontier.put_back(item)
            self.recount.take(part.recount)
        self.log.join([part.log for part in parts])

    def next_round(self, budget: int | None = None) -> list[Positions]:
        """Return the next probes, as an `Attribution` does."""
        self._asked = self.next(budget)
        return self._asked[0] if self._asked else []

    def tell(self, replies: Replies) -> None:
        """Take the replies to the probes of `next_round`."""
        if self._asked is not None:
            (probes, take), self._asked = self._asked, None
            self.log.add_round(probes, replies)
            take(probes, replies)

    # -- one search ------------------------------------------------------------------------

    def expected_probes(self) -> float:
        """Estimate how many probes are left."""
        return self.frontier.expected_probes() + len(self.recount)

    def put(self, node: Node, *, probed: bool = True) -> None:
        """Name the contacts of a node that one outcome explains; else keep it to be asked about."""
        if probed:
            self._found.probed[node.positions] = True
        if node.bits > 0:
            self.frontier.add(node)
            return
        if not self.frontier.has_clusters:
            self.pure.append(node)
        outcome = SKIPS[node.counts.index(max(node.counts))] if any(node.counts) else None
        self._found.name(node.positions, outcome or Outcome.APPLIED)

    def divide(self, node: Node, size: int, answer: tuple[int, ...]) -> None:
        """Go on with both parts of a node, of whose first `size` contacts the counts are known."""
        left, right = node.positions[:size], node.positions[size:]
        rest = tuple(a - b for a, b in zip(node.counts, answer, strict=True))
        if min(rest) < 0 or sum(answer) > len(left) or sum(rest) > len(right):
            raise Contradiction
        self.frontier.learn(node, size, answer)
        self.put(Node(left, answer))
        self.put(Node(right, rest))

    def count_afresh(self, positions: Positions) -> None:
        """Ask for fresh counts of what is not in the frontier any more."""
        self._recounts += 1
        if self._recounts > _MAX_RECOUNTS + self.batches:
            self._found.give_up(positions)
        else:
            self.recount.add(positions)

    def read(self, probes: list[Positions], replies: Replies) -> list[tuple[int, ...] | None]:
        """Return the counts of each kind of skip; None where a reply is missing or makes no sense.

        What the replies tell of the service's counters is learnt first.
        """
        self._notice(probes, replies)
        return self._counters.read(probes, replies)

    def _notice(self, probes: Sequence[Sized], replies: Replies) -> None:
        if self._counters.notice(probes, replies) and self._contacts is None:
            self._found.forget_applied()  # of a part this is noticed when all are one again

    def _tell_plan(self, plan: Plan, probes: list[Positions], replies: Replies) -> None:
        counts = self.read(probes, replies)
        self.frontier.take(plan)
        told = [count for count in counts if count is not None]
        if len(told) < len(counts):
            self.count_afresh(np.concatenate([item.contacts() for item in plan.items]))
            return
        try:
            answers = plan.answers(np.array(told, dtype=np.int64))
            for item, question, answer in zip(plan.items, plan.questions, answers, strict=True):
                self._tell_item(item, question.left, answer)
        except Contradiction:
            self.frontier.clear()
            contacts = self._contacts
            if contacts is None:
                contacts = np.flatnonzero(self._found.batch_of >= 0)
            self.count_afresh(self._found.open(contacts))

    def _tell_item(self, item: Node | Cluster, left: int, answer: tuple[int, ...]) -> None:
        if isinstance(item, Node):
            self.divide(item, left, answer)
        else:
            self._tell_cluster(item, answer)

    def _tell_cluster(self, cluster: Cluster, answer: tuple[int, ...]) -> None:
        for node in cluster.tell(answer):
            self.put(node)
        if cluster.cells:
            self.frontier.put_back(cluster)

    def _tell_recount(self, probes: list[Positions], replies: Replies) -> None:
        nodes, unanswered = self.recount.tell(self.read(probes, replies))
        for node in nodes:
            self.put(node)
        for positions in unanswered:
            self._found.give_up(positions)


def _deal(batches: Sequence[int], width: int) -> list[list[int]]:
    """Deal batches to so many hands, there and back, so that none has all the heaviest."""
    hands: list[list[int]] = [[] for _ in range(width)]
    for place, batch in enumerate(batches):
        turn, seat = divmod(place, width)
        hands[width - 1 - seat if turn % 2 else seat].append(batch)
    return hands
