"""Confirming calls: what probes found is sent once more, outcome by outcome, before it is named.

Contacts found applied go together, as do those of each kind of skip, up to a probe's size and
whatever their batches. A call that comes back pure confirms its contacts: those applied have
passed in it, so the wanted state holds for them from then on; those skipped are skipped now,
and whether one of them passed earlier is what `late_skips` tells. A call that does not come back
pure has fresh counts, with which its contacts are sought again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kirim_pandas.grouptesting.counters import Batch, Counters
from kirim_pandas.grouptesting.found import Found
from kirim_pandas.grouptesting.late_skips import ReplyLog
from kirim_pandas.grouptesting.outcomes import SKIPS, Outcome, Positions, cut

_MAX_IMPURE_ROUNDS = 8
"""A service whose contacts never stand still, or that miscounts, must not be asked for ever."""

_FEW = 2
"""Contacts of a batch that may be given up without giving up its skips: their part in the
batch's first counts is unknown, and with more of them the counts tell nothing."""


@dataclass(frozen=True, slots=True, eq=False)
class Impure:
    """A confirming call that did not come back as found: its contacts, and their fresh counts."""

    positions: Positions
    counts: tuple[int, ...] | None


class Confirmer:
    """Sends once more what was found, and decides what to believe of it.

    Parameters
    ----------
    found
        What was found; kept up to date by the caller, too.
    probe_size
        The most contacts a call may hold.

    Attributes
    ----------
    mixed_contacts : int
        Contacts of the batches that probes are to tell apart.
    """

    def __init__(self, found: Found, probe_size: int) -> None:
        self._found = found
        self._probe_size = probe_size
        self._impure_rounds = 0
        self.mixed_contacts = 0
        self._mixed_kinds: set[int] = set()

    def add_mixed(self, batch: Batch) -> None:
        """Take in a batch that probes are to tell apart."""
        self.mixed_contacts += len(batch)
        self._mixed_kinds.update(_kinds(batch))

    def calls(self) -> list[Positions]:
        """Return the calls to send, of one outcome each."""
        found = self._found
        rows = np.flatnonzero(found.probed & found.known & ~found.confirmed)
        return [
            part
            for outcome in Outcome
            for part in cut(rows[found.outcomes[rows] == outcome], self._probe_size)
        ]

    def tell(
        self, calls: Sequence[Positions], counts: Sequence[tuple[int, ...] | None]
    ) -> list[Impure]:
        """Take the counts; return what is to be sought again."""
        impure = []
        for positions, count in zip(calls, counts, strict=True):
            found = self._found.outcomes[positions[0]]
            if count == tuple(len(positions) * int(found == skip) for skip in SKIPS):
                self._found.vouch(positions)
            else:
                self._found.reopen(positions)
                impure.append(Impure(positions, count))
        self._impure_rounds += bool(impure)
        if self._impure_rounds > _MAX_IMPURE_ROUNDS:
            for call in impure:
                self._found.give_up(call.positions)
            return []
        return impure

    def confirmed(
        self, batches: Sequence[Batch], log: ReplyLog, counters: Counters
    ) -> NDArray[np.int8]:
        """Return what was found, without what nothing vouches for.

        Contacts found applied need their confirming call. Those found skipped need that of
        their whole batch, for any of them may have passed in the batch's own call. So do those
        found applied where `applied` may count changes: who is deleted is not counted either.
        """
        found, batch_of = self._found, self._found.batch_of
        sure = found.known & (found.confirmed | ~found.probed)
        open_rows = (batch_of >= 0) & ~sure
        given_up = np.bincount(batch_of[found.given_up], minlength=len(batches)) > _FEW
        unsound = np.array([not batch.sound for batch in batches], dtype=np.bool_)
        open_batches = np.union1d(
            batch_of[open_rows & ~found.given_up], np.flatnonzero(given_up | unsound)
        )
        shown = Outcome.UNDETERMINED if any(counters.readings()) else Outcome.APPLIED
        of_whole = found.probed & (found.outcomes > shown)
        unknown = open_rows | (of_whole & np.isin(batch_of, open_batches))
        outcomes = found.outcomes.copy()
        outcomes[unknown] = Outcome.UNDETERMINED
        as_found = found.outcomes, (batch_of >= 0) & ~found.known
        outcomes[log.late(outcomes, unknown, counters, as_found)] = Outcome.UNDETERMINED
        if not counters.proven:
            # What no counter counted may have had the label, or may not exist.
            outcomes[outcomes == Outcome.NOT_COUNTED] = Outcome.UNDETERMINED
            for batch in batches:
                if batch.sound and batch.remainder:
                    passing = batch.positions[outcomes[batch.positions] == Outcome.APPLIED]
                    outcomes[passing] = Outcome.UNDETERMINED
        return outcomes

    def expected(self) -> int:
        """Return how many confirming calls it takes at most to finish the mixed batches."""
        return self._calls_for(self.mixed_contacts, self._mixed_kinds)

    def reserve(self, batches: Sequence[Batch]) -> int:
        """Return how many confirming calls it takes at most to finish what probes touched."""
        touched = [batch for batch in batches if self._found.probed[batch.positions].any()]
        return self._calls_for(sum(map(len, touched)), set[int]().union(*map(_kinds, touched)))

    def _calls_for(self, contacts: int, kinds: set[int]) -> int:
        """Return it for so many contacts, among them all that are confirmed already."""
        rows = contacts - self._found.confirmed_count
        return -(-rows // self._probe_size) + len(kinds) if rows else 0


def _kinds(batch: Batch) -> list[int]:
    counts = (batch.reply.cross_org, batch.reply.team_mismatch, batch.remainder)
    return [kind for kind, count in enumerate(counts) if count]
