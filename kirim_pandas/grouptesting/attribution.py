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

from collections.abc import Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from kirim_pandas.grouptesting.checks import Checks
from kirim_pandas.grouptesting.clusters import Node
from kirim_pandas.grouptesting.confirming import Confirmer
from kirim_pandas.grouptesting.counters import Batch, Counters, Resends
from kirim_pandas.grouptesting.designs import Contradiction
from kirim_pandas.grouptesting.estimates import expected_probes_for, probes_for_counts
from kirim_pandas.grouptesting.found import Found
from kirim_pandas.grouptesting.late_skips import ReplyLog
from kirim_pandas.grouptesting.outcomes import (
    MAX_CONTACTS_PER_CALL,
    SKIPS,
    Counts,
    Leaf,
    Outcome,
    Positions,
)
from kirim_pandas.grouptesting.search import Asked, Replies, Search, Take

__all__ = ["Attribution", "expected_probes_for"]


_FEW = 6
"""So many contacts of mixed batches are asked about one by one.  Measured over all outcomes of one
to six contacts: a search and its confirming calls take up to 3, 5, 5, 7 and 7 for 2 to 6."""


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
    few
        So many contacts of mixed batches are asked about one by one; 0 has even these searched.
        Changes the cost, never the outcomes.

    Attributes
    ----------
    outcomes : ndarray of int8
        An `Outcome` for each position.
    probed : ndarray of bool
        Where probes were needed to know it.
    stranded : int
        Contacts for which the last round found nothing to ask, although they have no outcome, are
        not given up, and might be asked about: a fault of this package, never of the service.
    """

    def __init__(
        self,
        contact_count: int,
        *,
        probe_size: int = MAX_CONTACTS_PER_CALL,
        groups: NDArray[np.int64] | None = None,
        few: int = _FEW,
    ) -> None:
        self._found = found = Found(contact_count)
        self.outcomes, self.probed = found.outcomes, found.probed
        self._counters, self._log = Counters(), ReplyLog(found.batch_of)
        self._resends = Resends()
        self._probe_size, self._few_contacts = probe_size, few
        self._search = Search(found, probe_size, groups, self._counters, self._log)
        self.stranded = 0
        self._batches: list[Batch] = []
        self._contacts = 0
        self._waiting: list[Batch] = []  # with a remainder, until it is known what it means
        self._probes: list[Positions] = []
        self._take: Take | None = None
        self._parts: list[Search] = []
        self._may_split, self._was_split = True, False
        self._confirmer = Confirmer(found, probe_size)
        # Of a guess: a node to be halved, and calls that check it.
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
        self._found.batch_of[positions] = len(self._batches)
        self._batches.append(batch)
        self._search.batches += 1
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
        self._probes, take = self._next(budget)
        self._take = take if self._probes else None  # kept, it would keep all of this in memory
        return self._probes

    def _next(self, budget: int | None) -> Asked:
        """Return the next probes, and who takes them and the replies."""
        self.stranded = 0
        asked: Asked | None = None
        # What probes found counts for nothing until it is confirmed: keep those calls.
        free = None if budget is None else budget - self._confirmer.reserve(self._batches)
        if free is None or free > 0:
            asked = self._seek(free)
            self.stranded = self._open_count() if asked is None else 0
        if asked is None:
            self._may_split = False  # what is put together over batches is not dealt by batch
            asked = self._confirmer.calls()[:budget], self._tell_confirming
        return asked

    def _open_count(self) -> int:
        """Return how many contacts of the batches have no outcome and are not given up."""
        return len(self._found.open(np.flatnonzero(self._found.batch_of >= 0)))

    def _seek(self, budget: int | None) -> Asked | None:
        """Return the next probes of the search; None when it is over."""
        if (again := self._resend()) is not None:
            return [again], self._tell_resend
        if not len(self._search.recount):
            if node := self._halving:
                half = np.sort(node.positions[: node.size // 2])
                return [half], partial(self._tell_half, node)
            if checks := self._checks:
                return checks.probes()[:budget], partial(self._tell_checks, checks)
            if few := self._few():
                return few[:budget], self._tell_few
        return self._search.next(budget)

    def _few(self) -> list[Positions]:
        """Return a call for each contact, where they are so few that a search is no cheaper."""
        if (
            self._confirmer.mixed_contacts > self._few_contacts
            or self._search.frontier.has_clusters
        ):
            return []
        return [
            node.positions[at : at + 1]
            for node in self._search.frontier.nodes()
            for at in range(node.size)
        ]

    # -- side by side ----------------------------------------------------------------------

    @property
    def begins_search(self) -> bool:
        """Whether nothing is left to do first, so that the batches may be dealt to `split`."""
        if not self._may_split or self._resend() is not None:
            return False
        asked = (self._checks, self._halving, self._search.recount)
        return bool(self._search.frontier) and not any(asked)

    @property
    def open_batches(self) -> int:
        """How many batches are not known as they came."""
        firsts = [node.positions[0] for node in self._search.frontier.nodes()]
        return len(np.unique(self._found.batch_of[firsts]))

    def split(self, width: int) -> list[Search]:
        """Deal the batches to so many searches side by side, until `join`.

        Parameters
        ----------
        width
            From 1 to `open_batches`.

        Returns
        -------
        list of Search
            Each is asked and told like this one, in any order among each other.
        """
        self._may_split, self._was_split = False, True
        self._parts = self._search.split(width)
        return self._parts

    def join(self) -> None:
        """Go on alone: with what the parts have found, and what they have not."""
        self._search.join(self._parts)
        self._parts = []

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
        search = self._search
        asked = (self._checks, self._halving, self._waiting, search.recount)
        if any(asked) or search.frontier.has_clusters or self._was_split:
            return []
        nodes, held = search.frontier.nodes(), ~self._found.known
        for node in reversed(search.pure):
            if not held[node.positions].any():  # else it was sought again since, for it moved
                held[node.positions] = True
                nodes.append(node)
        return [
            Leaf(node.positions, node.counts, int(self._found.batch_of[node.positions[0]]))
            for node in nodes
        ]

    def suppose(self, groups: Sequence[tuple[Positions, Outcome]]) -> None:
        """Ask next whether contacts of open leaves have the outcomes supposed of them."""
        open_groups = [(group[~self._found.known[group]], outcome) for group, outcome in groups]
        checks = Checks(open_groups, self._probe_size)
        self._checks = checks if checks.probes() else None

    def halve(self, leaf: Leaf, order: NDArray[np.int64]) -> None:
        """Ask next about the first half of an open leaf, whose contacts are put in this order."""
        node = self._search.frontier.remove(leaf.positions)
        self._halving = Node(node.positions[order], node.counts)

    def order(self, positions: Positions, levels: NDArray[np.int64]) -> None:
        """Cut open leaves between contacts of different levels first, from now on."""
        groups = np.full(len(self.outcomes), -1, dtype=np.int64)
        groups[positions] = levels
        self._search.frontier.regroup(groups)

    def _tell_half(self, node: Node, probes: list[Positions], replies: Replies) -> None:
        self._halving = None
        answer = self._search.read(probes, replies)[0]
        if answer is None:
            self._search.count_afresh(node.positions)
            return
        try:
            self._search.divide(node, node.size // 2, answer)
        except Contradiction:
            self._search.count_afresh(node.positions)

    def _tell_few(self, probes: list[Positions], replies: Replies) -> None:
        """Name contacts that were asked about alone: such a call confirms itself."""
        counts = self._search.read(probes, replies)
        for probe, count in zip(probes, counts, strict=True):
            if count is not None:
                self.probed[probe] = True
                self._found.name(probe, SKIPS[count.index(1)] if 1 in count else Outcome.APPLIED)
                self._found.vouch(probe)
        self._put_rests()
        silent = [probe for probe, count in zip(probes, counts, strict=True) if count is None]
        for node in self._search.frontier.nodes() if silent else ():
            self._search.frontier.remove(node.positions)
            self._search.count_afresh(node.positions)

    def _tell_checks(self, checks: Checks, probes: list[Positions], replies: Replies) -> None:
        for positions, outcome in checks.tell(self._search.read(probes, replies)):
            self.probed[positions] = True
            self._found.name(positions, outcome)
            self._found.vouch(positions)
        if checks.probes():
            return
        self._checks = None
        self._put_rests()

    def _put_rests(self) -> None:
        """Go on with what is open of all nodes."""
        for node in self._search.frontier.nodes():
            if self._found.known[node.positions].any():
                self._search.frontier.remove(node.positions)
                self._put_rest(node)

    def _put_rest(self, node: Node) -> None:
        """Go on with what is open of a node, now that some of its contacts are known."""
        known = self._found.known[node.positions]
        found = self.outcomes[node.positions[known]]
        rest = node.positions[~known]
        counts = tuple(
            count - int((found == skip).sum())
            for count, skip in zip(node.counts, SKIPS, strict=True)
        )
        if not len(rest):
            return  # all proved; that the counts were others is for `late_skips`
        if min(counts) < 0 or sum(counts) > len(rest):
            self._search.count_afresh(rest)
        else:
            self._search.put(Node(rest, counts))

    def count_again(self, positions: Positions) -> None:
        """Seek contacts once more that were given up, from fresh counts."""
        self._found.given_up[positions] = False
        self._search.recount.add(positions)

    @property
    def undetermined(self) -> int:
        """How many contacts of the batches have no outcome yet."""
        return self._contacts - self._found.known_count

    def expected_probes(self) -> float:
        """Estimate how many probes are left."""
        waiting = [
            probes_for_counts(len(b.positions), (b.reply.cross_org, b.reply.team_mismatch))
            for b in self._waiting
        ]
        # Once a guess that fits every count is borne out, only confirming calls are left.
        borne_out = self._checks is not None and self._checks.borne_out
        search = 0.0 if borne_out else self._search.frontier.expected_probes()
        search += len(self._search.recount) + sum(part.expected_probes() for part in self._parts)
        if self._halving:
            search += probes_for_counts(self._halving.size, self._halving.counts)
        return search + self._confirmer.expected() + bool(waiting) + sum(waiting)

    def _open(self, batch: Batch) -> None:
        if not batch.sound:
            self._confirmer.add_mixed(batch)
            self._search.recount.add(batch.positions)
            return
        uncounted = batch.remainder if self._counters.changes is False else 0
        counts = (batch.reply.cross_org, batch.reply.team_mismatch, uncounted)
        node = Node(batch.positions, counts)
        if node.bits > 0:
            self._confirmer.add_mixed(batch)
        self._search.put(node, probed=False)

    def _release(self) -> None:
        """Open the batches that waited for what a remainder means."""
        if self._resends.changes is not None:
            self._counters.prove(self._resends.changes)
        waiting, self._waiting = self._waiting, []
        for batch in waiting:
            self._open(batch)

    def _tell_resend(self, _: list[Positions], replies: Replies) -> None:
        self._counters.notice_resend(replies[0])
        self._resends.tell(replies[0])
        if self._resends.over:
            self._release()

    def _tell_confirming(self, probes: list[Positions], replies: Replies) -> None:
        for call in self._confirmer.tell(probes, self._search.read(probes, replies)):
            if call.counts is None:
                self._search.recount.add(call.positions)
            else:
                self._search.put(Node(call.positions, call.counts))
