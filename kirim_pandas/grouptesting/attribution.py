"""Which rows were skipped? Counts in, outcomes out: no I/O, no clock, no outside randomness.

The service answers a batch with two skip counts and no names. A *probe* is one more call on
contacts that were all sent before: it changes nothing and its counts tell a little. The steps:

1. A batch whose counts one outcome explains is known. Any other is a *node*: contacts with
   known counts. Nodes are asked about in *designs* (`designs`), many to a probe, and in
   *clusters* (`clusters`), which carry several explanations along; `planning` picks the mixture
   that brings most bits for a request.
2. Replies that contradict each other tell that a contact changed its team meanwhile. All that
   is open is counted afresh (`recount`), and the search goes on from these counts.
3. When all is known, what probes found is sent once more, outcome by outcome (`confirming`).
   A confirming call that does not come back pure is sought again from its fresh counts.
4. A contact that passed in an early call and moved out later is skipped at the end, with the
   label on. All replies of the run are compared with what was found (`late_skips`): where they
   need a mover, the contacts that can be it are left undetermined.

Contacts that pass at the end were in a late call, so the wanted state holds for them. What ends
before its confirming call is left open (`confirmed`), and a budget keeps these calls in reserve.
Not detected, because no reply differs: a contact that moves out and another of its batch that
moves in before any probe holds one of the two; and whatever happens after the confirming call.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from kirim_pandas.grouptesting.checks import Checks
from kirim_pandas.grouptesting.clusters import Cluster, Node
from kirim_pandas.grouptesting.confirming import Confirmer
from kirim_pandas.grouptesting.counters import Batch, Counters, Resends
from kirim_pandas.grouptesting.designs import Contradiction
from kirim_pandas.grouptesting.estimates import expected_probes_for, probes_for_counts
from kirim_pandas.grouptesting.frontier import Frontier
from kirim_pandas.grouptesting.late_skips import ReplyLog
from kirim_pandas.grouptesting.outcomes import (
    MAX_CONTACTS_PER_CALL,
    SKIPS,
    Counts,
    Leaf,
    Outcome,
    Positions,
)
from kirim_pandas.grouptesting.planning import Plan
from kirim_pandas.grouptesting.recount import Recount

__all__ = ["Attribution", "expected_probes_for"]

_MAX_RECOUNTS = 30
"""Recounts, besides one for each batch, after which all that is open is given up: a service that
miscounts at random must not be asked for ever. A mover causes one or two."""

Replies: TypeAlias = Sequence[Counts | None]
Take: TypeAlias = Callable[[list[Positions], Replies], None]


class Attribution:
    """Names the outcome of every contact from counts.

    Parameters
    ----------
    contact_count
        Contacts of the run; positions are below it.
    probe_size
        The most contacts a probe may hold.
    groups
        For each position a code of the hint's value, -1 for none; nodes are cut where it
        changes. Changes the cost, never the outcomes.

    Attributes
    ----------
    outcomes : ndarray of int8
        An `Outcome` for each position.
    probed : ndarray of bool
        Where probes were needed to know it.
    """

    def __init__(
        self,
        contact_count: int,
        *,
        probe_size: int = MAX_CONTACTS_PER_CALL,
        groups: NDArray[np.int64] | None = None,
    ) -> None:
        self.outcomes: NDArray[np.int8] = np.zeros(contact_count, dtype=np.int8)
        self.probed: NDArray[np.bool_] = np.zeros(contact_count, dtype=np.bool_)
        self._counters = Counters()
        self._resends = Resends()
        self._probe_size = probe_size
        self._frontier = Frontier(probe_size, groups)
        self._batches: list[Batch] = []
        self._batch_of: NDArray[np.int32] = np.full(contact_count, -1, dtype=np.int32)
        self._known: NDArray[np.bool_] = np.zeros(contact_count, dtype=np.bool_)
        self._contacts = 0
        self._waiting: list[Batch] = []  # with a remainder, until it is known what it means
        self._recount = Recount(probe_size)
        self._recounts_started = 0
        self._probes: list[Positions] = []
        self._take: Take | None = None
        self._log = ReplyLog(self._batch_of)
        self._confirmer = Confirmer(
            self.outcomes, self.probed, self._known, self._batch_of, probe_size
        )
        # Of a guess: leaves of one outcome, a node to be halved, and calls that check it.
        self._pure: list[Node] = []
        self._halving: Node | None = None
        self._checks: Checks | None = None

    def add_batch(self, positions: Positions, counts: Counts) -> None:
        """Take the reply to a call of the apply phase.

        Parameters
        ----------
        positions
            The contacts of the call.
        counts
            Its reply.
        """
        batch = Batch(positions, counts)
        self._batch_of[positions] = len(self._batches)
        self._batches.append(batch)
        self._contacts += len(batch)
        self._log.add_batch(positions, counts)
        if batch.sound and batch.remainder and not self._resends.over:
            self._waiting.append(batch)
        else:
            self._open(batch)

    def next_round(self, budget: int | None = None) -> list[Positions]:
        """Return the next probes; they do not depend on each other.

        Parameters
        ----------
        budget
            Probes that may still be spent; None for any number.

        Returns
        -------
        list of ndarray
            Distinct positions of earlier batches, at most `probe_size` in each; empty when
            there is nothing more to ask.
        """
        self._probes, self._take = self._next(budget)
        return self._probes

    def _next(self, budget: int | None) -> tuple[list[Positions], Take]:
        """Return the next probes, and who takes them and the replies."""
        asked: tuple[list[Positions], Take] | None = None
        if budget is None:
            asked = self._search(None)
        # What probes found counts for nothing until it is confirmed: keep those calls.
        elif (free := budget - self._confirmer.reserve(self._batches)) > 0:
            asked = self._search(free)
        return asked or (self._confirmer.calls()[:budget], self._tell_confirming)

    def _search(self, budget: int | None) -> tuple[list[Positions], Take] | None:
        """Return the next probes of the search; None when it is over."""
        if (again := self._resend()) is not None:
            return [again], self._tell_resend
        if probes := self._recount.probes()[:budget]:
            return probes, self._tell_recount
        if node := self._halving:
            return [np.sort(node.positions[: node.size // 2])], partial(self._tell_half, node)
        if checks := self._checks:
            return checks.probes()[:budget], partial(self._tell_checks, checks)
        plan = self._frontier.next_plan(budget, self._batch_of) if self._frontier else None
        return None if plan is None else (plan.probes(), partial(self._tell_plan, plan))

    def _resend(self) -> Positions | None:
        """Return a batch to be sent again while some wait for what a remainder means."""
        if not self._waiting:
            return None
        again = self._resends.probe(self._batches)
        if again is None:
            self._release()
        return again

    def confirmed(self) -> NDArray[np.int8]:
        """Return `outcomes`, but undetermined where no confirming call vouches for them."""
        return self._confirmer.confirmed(self._batches, self._log, self._counters)

    def tell(self, replies: Replies) -> None:
        """Take the replies to the probes of `next_round`.

        Parameters
        ----------
        replies
            One for each probe, in order; None where there was no usable reply.
        """
        if len(replies) != len(self._probes):
            raise ValueError(f"{len(replies)} replies to {len(self._probes)} probes")
        probes, take = self._probes, self._take
        self._probes, self._take = [], None
        if take is not None:
            self._log.add_round(probes, replies)
            take(probes, replies)

    # -- guesses ---------------------------------------------------------------------------

    def leaves(self) -> list[Leaf]:
        """Return disjoint parts of the batches with known counts, of one outcome or of several.

        Returns
        -------
        list of Leaf
            Empty while something is asked that a guess would interfere with, and once parts of
            several batches are searched together.
        """
        asked = (self._checks, self._halving, self._waiting, self._recount.probes())
        if any(asked) or self._frontier.has_clusters:
            return []
        nodes, held = self._frontier.nodes(), ~self._known
        for node in reversed(self._pure):
            if not held[node.positions].any():  # else it was sought again since, for it moved
                held[node.positions] = True
                nodes.append(node)
        return [
            Leaf(node.positions, node.counts, int(self._batch_of[node.positions[0]]))
            for node in nodes
        ]

    def suppose(self, groups: Sequence[tuple[Positions, Outcome]]) -> None:
        """Ask next whether contacts of open leaves have the outcomes supposed of them."""
        open_groups = [(group[~self._known[group]], outcome) for group, outcome in groups]
        checks = Checks(open_groups, self._probe_size)
        self._checks = checks if checks.probes() else None

    def halve(self, leaf: Leaf, order: NDArray[np.int64]) -> None:
        """Ask next about the first half of an open leaf, whose contacts are put in this order."""
        node = self._frontier.remove(leaf.positions)
        self._halving = Node(node.positions[order], node.counts)

    def order(self, positions: Positions, levels: NDArray[np.int64]) -> None:
        """Cut open leaves between contacts of different levels first, from now on."""
        groups = np.full(len(self.outcomes), -1, dtype=np.int64)
        groups[positions] = levels
        self._frontier.regroup(groups)

    def _tell_half(self, node: Node, probes: list[Positions], replies: Replies) -> None:
        self._halving = None
        answer = self._read(probes, replies)[0]
        if answer is None:
            self._count_afresh(node.positions)
            return
        try:
            self._divide(node, node.size // 2, answer)
        except Contradiction:
            self._count_afresh(node.positions)

    def _tell_checks(self, checks: Checks, probes: list[Positions], replies: Replies) -> None:
        for positions, outcome in checks.tell(self._read(probes, replies)):
            self.outcomes[positions] = outcome
            self.probed[positions] = True
            self._known[positions] = True
            self._confirmer.vouch(positions)
        if checks.probes():
            return
        self._checks = None
        for node in self._frontier.nodes():
            if self._known[node.positions].any():
                self._frontier.remove(node.positions)
                self._put_rest(node)

    def _put_rest(self, node: Node) -> None:
        """Go on with what is open of a node, now that some of its contacts are known."""
        known = self._known[node.positions]
        found = self.outcomes[node.positions[known]]
        rest = node.positions[~known]
        counts = tuple(
            count - int((found == skip).sum())
            for count, skip in zip(node.counts, SKIPS, strict=True)
        )
        if not len(rest):
            return  # all proved; that the counts were others is for `late_skips`
        if min(counts) < 0 or sum(counts) > len(rest):
            self._count_afresh(rest)
        else:
            self._put(Node(rest, counts))

    def count_again(self, positions: Positions) -> None:
        """Seek contacts once more that were given up, from fresh counts."""
        self._confirmer.take_back(positions)
        self._recount.add(positions)

    @property
    def undetermined(self) -> int:
        """How many contacts of the batches have no outcome yet."""
        return self._contacts - int(np.count_nonzero(self._known))

    def expected_probes(self) -> float:
        """Estimate how many probes are left."""
        waiting = [
            probes_for_counts(len(b.positions), (b.reply.cross_org, b.reply.team_mismatch))
            for b in self._waiting
        ]
        # A guess that fits every count is most likely right: then only confirming calls are left.
        search = 0.0 if self._checks else self._frontier.expected_probes()
        if self._halving:
            search += probes_for_counts(self._halving.size, self._halving.counts)
        known = search + self._confirmer.expected()
        return known + len(self._recount.probes()) + bool(waiting) + sum(waiting)

    def _open(self, batch: Batch) -> None:
        if not batch.sound:
            self._confirmer.add_mixed(batch)
            self._recount.add(batch.positions)
            return
        uncounted = batch.remainder if self._counters.changes is False else 0
        counts = (batch.reply.cross_org, batch.reply.team_mismatch, uncounted)
        node = Node(batch.positions, counts)
        if node.bits > 0:
            self._confirmer.add_mixed(batch)
        self._put(node, probed=False)

    def _put(self, node: Node, *, probed: bool = True) -> None:
        """Name the contacts of a node that one outcome explains; else keep it to be asked about."""
        self.probed[node.positions] |= probed
        if node.bits > 0:
            self._frontier.add(node)
            return
        self._known[node.positions] = True
        if not self._frontier.has_clusters:
            self._pure.append(node)
        if not any(node.counts):
            self.outcomes[node.positions] = Outcome.APPLIED
        else:
            self.outcomes[node.positions] = SKIPS[int(np.argmax(node.counts))]

    def _release(self) -> None:
        """Open the batches that waited for what a remainder means."""
        if self._resends.changes is not None:
            self._counters.prove(self._resends.changes)
        waiting, self._waiting = self._waiting, []
        for batch in waiting:
            self._open(batch)

    def _tell_resend(self, _: list[Positions], replies: Replies) -> None:
        self._resends.tell(replies[0])
        if self._resends.over:
            self._release()

    def _read(self, probes: list[Positions], replies: Replies) -> list[tuple[int, ...] | None]:
        if self._counters.notice(probes, replies):
            self._confirmer.forget_applied()
        return self._counters.read(probes, replies)

    def _tell_plan(self, plan: Plan, probes: list[Positions], replies: Replies) -> None:
        counts = self._read(probes, replies)
        self._frontier.take(plan)
        told = [count for count in counts if count is not None]
        if len(told) < len(counts):
            self._count_afresh(np.concatenate([item.contacts() for item in plan.items]))
            return
        try:
            answers = plan.answers(np.array(told, dtype=np.int64))
            for item, question, answer in zip(plan.items, plan.questions, answers, strict=True):
                self._tell_item(item, question.left, answer)
        except Contradiction:
            self._frontier.clear()
            self._count_afresh(np.flatnonzero((self._batch_of >= 0) & self._confirmer.open()))

    def _tell_item(self, item: Node | Cluster, left: int, answer: tuple[int, ...]) -> None:
        if isinstance(item, Node):
            self._divide(item, left, answer)
        else:
            self._tell_cluster(item, answer)

    def _divide(self, node: Node, size: int, answer: tuple[int, ...]) -> None:
        left, right = node.positions[:size], node.positions[size:]
        rest = tuple(a - b for a, b in zip(node.counts, answer, strict=True))
        if min(rest) < 0 or sum(answer) > len(left) or sum(rest) > len(right):
            raise Contradiction
        self._put(Node(left, answer))
        self._put(Node(right, rest))

    def _tell_cluster(self, cluster: Cluster, answer: tuple[int, ...]) -> None:
        for node in cluster.tell(answer):
            self._put(node)
        if cluster.cells:
            self._frontier.put_back(cluster)

    def _count_afresh(self, positions: Positions) -> None:
        """Ask for fresh counts of what is not in the frontier any more."""
        self._recounts_started += 1
        if self._recounts_started > _MAX_RECOUNTS + len(self._batches):
            self._confirmer.give_up(positions)
        else:
            self._recount.add(positions)

    def _tell_recount(self, probes: list[Positions], replies: Replies) -> None:
        nodes, unanswered = self._recount.tell(self._read(probes, replies))
        for node in nodes:
            self._put(node)
        for positions in unanswered:
            self._confirmer.give_up(positions)

    def _tell_confirming(self, probes: list[Positions], replies: Replies) -> None:
        for call in self._confirmer.tell(probes, self._read(probes, replies)):
            if call.counts is None:
                self._recount.add(call.positions)
            else:
                self._put(Node(call.positions, call.counts))
