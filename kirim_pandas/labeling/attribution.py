"""Which rows were skipped? Counts in, outcomes out: no I/O, no clock, no outside randomness.

The service answers a batch with two skip counts and no names. A *probe* is one more call on
contacts that were all sent before: it changes nothing and its counts tell a little. The steps:

1. A batch whose counts one outcome explains is settled. Any other is a *node*: contacts with
   known counts. Nodes are asked about in *designs* (`designs`), many to a probe, and in
   *clusters* (`clusters`), which carry several explanations along; `planning` picks the mixture
   that brings most bits for a request.
2. Replies that contradict each other (a contact changed its team meanwhile) cost their
   designs; the nodes are asked again in smaller ones, at last singly with fresh totals, and
   left undetermined when that fails too often.
3. When all is settled, each batch that needed probes is sent once more as a whole (the
   *closing* probe). One contact that moved since the batch changes its counts, whatever the
   probes made of it. If that happens, or anything contradicted before, then all contacts
   found by probes are *certified*: sent once more outcome by outcome, and those that do not
   come back pure are counted and sought afresh.
4. A contact that was applied and moved out later is now skipped, with the label on it. When a
   batch ends with more skips than it first reported, the contacts that may be the extra one
   are left undetermined: in the worst case all of its kind in the batch, for the counts do not
   tell them apart. Contacts that pass at the end were in a late call, so the wanted state
   holds for them.

Closing costs one probe for each batch that needed any; a budget keeps them in reserve, and what
ends before them leaves open whatever probes found (`confirmed`). Not detected: two contacts of
one batch that move in opposite directions between its first and its closing call (the counts are
the same), a contact that moves there and back, and whatever happens after the closing call.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from kirim_pandas.labeling.batches import MAX_CONTACTS_PER_CALL, Counts, Outcome, Positions
from kirim_pandas.labeling.certificate import certificate, check_certificate
from kirim_pandas.labeling.closing import MAX_FAILURES, SKIPS, Batch, Closer, Closing, Recount
from kirim_pandas.labeling.clusters import Cluster, Node, log2_choose
from kirim_pandas.labeling.designs import Contradiction
from kirim_pandas.labeling.estimates import expected_probes_for, probes_for_bits
from kirim_pandas.labeling.frontier import Frontier
from kirim_pandas.labeling.history import History, shows_changes
from kirim_pandas.labeling.planning import Plan

__all__ = ["Attribution", "certificate", "check_certificate", "expected_probes_for"]


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
    counts_changes
        Whether `Counts.applied` counts changes (contacts that had the label already are left
        out) rather than contacts; None to find out, which takes one probe and only where a
        batch's counts do not add up.

    Attributes
    ----------
    outcomes : ndarray of int8
        An `Outcome` for each position.
    probed : ndarray of bool
        Where probes were needed to know it.
    counts_changes : bool or None
        What is known of the service; worth passing on to the next run.
    """

    def __init__(
        self,
        contact_count: int,
        *,
        probe_size: int = MAX_CONTACTS_PER_CALL,
        groups: NDArray[np.int64] | None = None,
        counts_changes: bool | None = None,
    ) -> None:
        self.outcomes: NDArray[np.int8] = np.zeros(contact_count, dtype=np.int8)
        self.probed: NDArray[np.bool_] = np.zeros(contact_count, dtype=np.bool_)
        self.counts_changes = counts_changes
        self._probe_size = probe_size
        self._frontier = Frontier(probe_size, groups)
        self._batches: list[Batch] = []
        self._batch_of: NDArray[np.int32] = np.full(contact_count, -1, dtype=np.int32)
        # The outcome of contacts that no skip counter counts.
        self._uncounted: NDArray[np.int8] = np.full(contact_count, Outcome.APPLIED, np.int8)
        self._waiting: list[Batch] = []
        self._recounts: list[Recount] = []
        self._round: Batch | list[Recount] | list[Closing] | Plan | None = None
        self._probes: list[Positions] = []
        self._history = History(contact_count)
        self._closer = Closer(self.outcomes, self._uncounted, self._batches, probe_size)

    def add_batch(self, positions: Positions, counts: Counts) -> None:
        """Take the reply to a call of the apply phase.

        Parameters
        ----------
        positions
            The contacts of the call.
        counts
            Its reply.
        """
        remainder = len(positions) - counts.applied - counts.cross_org - counts.team_mismatch
        triple = (counts.cross_org, counts.team_mismatch, remainder)
        batch = Batch(positions, counts.applied, triple, min(triple) >= 0 <= counts.applied)
        self._batch_of[positions] = len(self._batches)
        self._batches.append(batch)
        if batch.sound and remainder and self.counts_changes is None:
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
        self._round, self._probes = None, []
        whole = budget
        if budget is not None:
            # What probes found counts for nothing until it is closed: keep the closing probes.
            reserve = self._closer.reserve()
            if budget <= reserve:
                vouch = self.probed.any() and len(self._closer.unclosed()) <= budget
                return self._close(budget) if vouch else []
            budget -= reserve
        if self._waiting and self.counts_changes is None:
            # Any batch will do, if some of it was counted as applied.
            telling = max(self._batches, key=lambda batch: batch.applied * batch.sound)
            if telling.applied:
                self._round, self._probes = telling, [telling.positions]
                return self._probes
            self._release()
        if self._recounts:
            self._closer.reopen()
            recounts = self._recounts[:budget]
            self._round, self._probes = recounts, [recount.positions for recount in recounts]
            return self._probes
        if self._frontier:
            plan = self._frontier.next_plan(budget, self._batch_of)
            if plan is not None:
                self._closer.reopen()
                self._round, self._probes = plan, plan.probes()
                return self._probes
        return self._close(whole)

    def _close(self, budget: int | None) -> list[Positions]:
        closings = self._closer.closings()
        if not closings:
            self._closer.reconcile(self._history)
        closings = closings[:budget]
        self._round, self._probes = closings, [closing.positions for closing in closings]
        return self._probes

    def confirmed(self) -> NDArray[np.int8]:
        """Return `outcomes`, but undetermined where closing probes are still to vouch for them."""
        return self._closer.confirmed(self.probed)

    def tell(self, replies: Sequence[Counts | None]) -> None:
        """Take the replies to the probes of `next_round`.

        Parameters
        ----------
        replies
            One for each probe, in order; None where there was no usable reply.
        """
        if len(replies) != len(self._probes):
            raise ValueError(f"{len(replies)} replies to {len(self._probes)} probes")
        asked, probes = self._round, self._probes
        self._round, self._probes = None, []
        counts = [
            self._counts(len(probe), reply) for probe, reply in zip(probes, replies, strict=True)
        ]
        self._history.add(probes, counts)
        if isinstance(asked, Plan):
            if self.counts_changes is None and shows_changes(probes, replies):
                self.counts_changes = True  # for later runs: in this one nothing hangs on it
            self._tell_plan(asked, counts)
            return
        if isinstance(asked, Batch):
            self._tell_kind(asked, replies[0])
            return
        closings = [item for item in asked or () if isinstance(item, Closing)]
        if closings:
            for positions in self._closer.tell(closings, counts):
                self._recount(positions, 0)
            return
        for item, count in zip(asked or (), counts, strict=True):
            if isinstance(item, Recount):
                self._tell_recount(item, count)

    def expected_probes(self) -> float:
        """Estimate how many probes are left."""
        waiting = sum(
            probes_for_bits(
                [float(log2_choose(len(b.positions), c)) for c in b.counts[:2]], b.counts
            )
            for b in self._waiting
        )
        closing = sum(
            len(batch.positions) for batch in self._batches if batch.mixed and not batch.closed
        )
        return (
            self._frontier.expected_probes()
            + waiting
            + bool(self._waiting)
            + len(self._recounts)
            + closing / self._probe_size
        )

    def _counts(self, size: int, reply: Counts | None) -> tuple[int, ...] | None:
        """Return the counts of the three kinds of skip, None if they make no sense."""
        if reply is None:
            return None
        skips = (reply.cross_org, reply.team_mismatch)
        uncounted = size - reply.applied - sum(skips) if self._tracks_uncounted else 0
        counts = (*skips, uncounted)
        return counts if min(counts) >= 0 and sum(counts) <= size else None

    @property
    def _tracks_uncounted(self) -> bool:
        return self.counts_changes is False

    def _open(self, batch: Batch) -> None:
        if not batch.sound:
            batch.mixed = True
            self._recounts.append(Recount(batch.positions, 0))
            return
        if not self._tracks_uncounted:
            batch.counts = (*batch.counts[:2], 0)
        node = Node(batch.positions, batch.counts)
        batch.mixed = node.bits > 0
        self._put(node, probed=False)

    def _put(self, node: Node, *, probed: bool = True) -> None:
        """Settle a node that one outcome explains; else keep it to be asked about."""
        if min(node.counts) < 0 or sum(node.counts) > len(node.positions):
            self._recount(node.positions, node.failures + 1)
            return
        self.probed[node.positions] |= probed
        if node.bits > 0:
            self._frontier.add(node)
        elif not any(node.counts):
            self.outcomes[node.positions] = self._uncounted[node.positions]
        else:
            self.outcomes[node.positions] = SKIPS[int(np.argmax(node.counts))]

    def _recount(self, positions: Positions, failures: int) -> None:
        """Ask for fresh counts, batch by batch, unless that has failed too often."""
        self._closer.suspect(positions)
        if failures > MAX_FAILURES:
            return
        batches = self._batch_of[positions]
        for batch in np.unique(batches):
            self._recounts.append(Recount(positions[batches == batch], failures))

    def _release(self) -> None:
        """Open the batches that waited for the kind of service."""
        waiting, self._waiting = self._waiting, []
        for batch in waiting:
            if self.counts_changes is None:
                # No reply ever counted a contact as applied: whether those that are not
                # skipped had the label before, or are unknown to the service, cannot be told.
                self._uncounted[batch.positions] = Outcome.UNDETERMINED
            self._open(batch)

    def _tell_kind(self, batch: Batch, reply: Counts | None) -> None:
        """Learn from a batch sent again whether `applied` counts contacts or changes."""
        if reply is None:
            batch.failures += 1
            if batch.failures <= MAX_FAILURES:
                return
            self._release()
            return
        # One contact that moved in meanwhile is a change too, so 0 is not asked for.
        self.counts_changes = 2 * reply.applied < batch.applied
        self._release()

    def _tell_plan(self, plan: Plan, counts: list[tuple[int, ...] | None]) -> None:
        self._frontier.take(plan)
        lost = any(count is None for count in counts)
        try:
            if lost:
                raise Contradiction
            answers = plan.answers(np.array(counts, dtype=np.int64))
        except Contradiction:
            bits = plan.design.probe_count.bit_length() - 1
            for item in plan.items:
                self._doubt(item, bits, lost=lost)
            return
        for item, question, answer in zip(plan.items, plan.questions, answers, strict=True):
            if isinstance(item, Node):
                rest = tuple(a - b for a, b in zip(item.counts, answer, strict=True))
                left, right = item.positions[: question.left], item.positions[question.left :]
                if max(sum(answer) - len(left), sum(rest) - len(right)) > 0:
                    self._recount(item.positions, item.failures + 1)
                    continue
                self._put(Node(left, answer, item.failures, item.max_bits))
                self._put(Node(right, rest, item.failures, item.max_bits))
                continue
            held, others = item.parts()
            try:
                known = item.tell(answer)
            except Contradiction:
                self._recount(np.concatenate([held, others]), item.failures + 1)
                continue
            for node in known:
                self._put(node)
            if item.cells:
                self._frontier.keep(item)

    def _doubt(self, item: Node | Cluster, bits: int, *, lost: bool) -> None:
        """Ask again in a smaller design, so that the faulty one of many is found by halving."""
        item.failures += 1
        positions = item.positions if isinstance(item, Node) else np.concatenate(item.cells)
        if not lost:
            self._closer.suspect(positions)
            item.max_bits = min(item.max_bits, bits - 1)
        if item.failures > MAX_FAILURES:
            return
        if item.max_bits < 0:
            self._recount(positions, item.failures)
        elif isinstance(item, Node):
            self._frontier.add(item)
        else:
            self._frontier.keep(item)

    def _tell_recount(self, recount: Recount, counts: tuple[int, ...] | None) -> None:
        self._recounts.remove(recount)
        if counts is None:
            self._recount(recount.positions, recount.failures + 1)
        else:
            self._put(Node(recount.positions, counts, recount.failures))
