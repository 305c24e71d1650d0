"""Closing: what probes found is sent once more, outcome by outcome, before it is believed.

Contacts found applied go together, as do those of each kind of skip, up to a probe's size and
whatever their batches. A call that comes back pure proves its contacts: those applied have
passed in it, so the wanted state holds for them from then on; those skipped are skipped now,
and whether one of them passed earlier is what `history` tells. A call that does not come back
pure has fresh counts, with which its contacts are sought again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kirim_pandas.grouptesting.late_skips import History
from kirim_pandas.grouptesting.outcomes import SKIPS, Outcome, Positions, cut

__all__ = ["Batch", "Closer", "Impure"]

_MAX_IMPURE_ROUNDS = 8
"""A service whose contacts never stand still, or that miscounts, must not be asked for ever."""

_FEW = 2
"""Contacts of a batch that may be given up without giving up its skips: their part in the
batch's first counts is unknown, and with more of them the counts tell nothing."""

Mask = NDArray[np.bool_]


@dataclass(slots=True, eq=False)
class Batch:
    """A call of the apply phase.

    Attributes
    ----------
    applied, counts
        Its first reply: applied, and the counts of the three kinds of skip.
    sound
        Whether these make sense.
    mixed
        Whether probes are needed.
    """

    positions: Positions
    applied: int
    counts: tuple[int, ...]
    sound: bool
    mixed: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Impure:
    """A closing call that did not come back as found: its contacts, and their fresh counts."""

    positions: Positions
    counts: tuple[int, ...] | None


class Closer:
    """Sends once more what was found, and decides what to believe of it.

    Parameters
    ----------
    outcomes, probed, settled
        What was found for each position, where it took probes, and where the search is over;
        kept up to date by the caller.
    batch_of
        For each position the number of its batch, -1 for none; kept up to date by the caller.
    probe_size
        The most contacts a call may hold.
    """

    def __init__(
        self,
        outcomes: NDArray[np.int8],
        probed: Mask,
        settled: Mask,
        batch_of: NDArray[np.int32],
        probe_size: int,
    ) -> None:
        self._outcomes = outcomes
        self._probed = probed
        self._settled = settled
        self._batch_of = batch_of
        self._probe_size = probe_size
        self._closed: Mask = np.zeros(len(outcomes), dtype=np.bool_)
        self._given_up: Mask = np.zeros(len(outcomes), dtype=np.bool_)
        self._impure_rounds = 0

    def give_up(self, positions: Positions) -> None:
        """Leave contacts undetermined for good."""
        self._given_up[positions] = True
        self._settled[positions] = False
        self._outcomes[positions] = Outcome.UNDETERMINED

    def open(self) -> Mask:
        """Return where the search is neither over nor given up."""
        return ~self._settled & ~self._given_up

    def vouch(self, positions: Positions) -> None:
        """Take in that a pure call has proved what was found of these contacts."""
        self._closed[positions] = True

    def closings(self) -> list[Positions]:
        """Return the calls to send, of one outcome each."""
        rows = np.flatnonzero(self._probed & self._settled & ~self._closed)
        return [
            part
            for outcome in Outcome
            for part in cut(rows[self._outcomes[rows] == outcome], self._probe_size)
        ]

    def tell(
        self, closings: Sequence[Positions], counts: Sequence[tuple[int, ...] | None]
    ) -> list[Impure]:
        """Take the counts; return what is to be sought again."""
        impure = []
        for positions, count in zip(closings, counts, strict=True):
            found = self._outcomes[positions[0]]
            if count == tuple(len(positions) * int(found == skip) for skip in SKIPS):
                self._closed[positions] = True
            else:
                self._settled[positions] = False
                self._outcomes[positions] = Outcome.UNDETERMINED
                impure.append(Impure(positions, count))
        self._impure_rounds += bool(impure)
        if self._impure_rounds > _MAX_IMPURE_ROUNDS:
            for call in impure:
                self.give_up(call.positions)
            return []
        return impure

    def confirmed(self, history: History) -> NDArray[np.int8]:
        """Return what was found, without what nothing vouches for.

        Contacts found applied need their closing call. Those found skipped need that of their
        whole batch, for any of them may have passed in the batch's own call.
        """
        sure = self._settled & (self._closed | ~self._probed)
        open_rows = (self._batch_of >= 0) & ~sure
        given_up = np.bincount(self._batch_of[self._given_up], minlength=1)
        open_batches = np.union1d(
            self._batch_of[open_rows & ~self._given_up], np.flatnonzero(given_up > _FEW)
        )
        skipped = self._probed & (self._outcomes > Outcome.APPLIED)
        unknown = open_rows | (skipped & np.isin(self._batch_of, open_batches))
        outcomes = self._outcomes.copy()
        outcomes[unknown] = Outcome.UNDETERMINED
        unknown |= self._given_up
        outcomes[history.late_skips(outcomes, self._batch_of, unknown)] = Outcome.UNDETERMINED
        return outcomes

    def reserve(self, batches: Sequence[Batch]) -> int:
        """Return how many closing calls it takes at most to finish what probes have touched."""
        return self._calls([b for b in batches if self._probed[b.positions].any()])

    def expected(self, batches: Sequence[Batch]) -> int:
        """Return how many closing calls it takes at most to finish all."""
        return self._calls([batch for batch in batches if batch.mixed])

    def _calls(self, batches: Sequence[Batch]) -> int:
        rows = sum(int((~self._closed[batch.positions]).sum()) for batch in batches)
        kinds = sum(any(batch.counts[kind] for batch in batches) for kind in range(len(SKIPS)))
        return -(-rows // self._probe_size) + kinds if rows else 0
