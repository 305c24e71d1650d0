"""What is asked for as a whole: batches to close, and contacts to count afresh."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kirim_pandas.labeling.batches import Outcome, Positions
from kirim_pandas.labeling.history import History

__all__ = ["MAX_FAILURES", "SKIPS", "Batch", "Closer", "Closing", "Recount"]

SKIPS = (Outcome.CROSS_ORG, Outcome.TEAM_MISMATCH, Outcome.NOT_COUNTED)
"""The kinds of skip, in the order in which counts are kept."""

MAX_FAILURES = 8
"""Contradictions and lost replies after which a node is given up: a service that miscounts at
random must not be asked for ever."""

_MAX_AUDITS = 3


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
    closed
        Whether its closing probe is done with.
    failures
        Closing probes that contradicted or were lost.
    """

    positions: Positions
    applied: int
    counts: tuple[int, ...]
    sound: bool
    mixed: bool = False
    closed: bool = False
    failures: int = 0


@dataclass(slots=True, eq=False)
class Recount:
    """Contacts of one batch whose counts are asked for afresh."""

    positions: Positions
    failures: int


@dataclass(slots=True, eq=False)
class Closing:
    """A probe that holds batches as a whole."""

    positions: Positions
    batches: list[Batch]


class Closer:
    """Sends once more what was found, and decides what to believe of it.

    Parameters
    ----------
    outcomes, uncounted
        What was found for each position, and the outcome of contacts that no counter counts;
        both are kept up to date by the caller, and `outcomes` is corrected here.
    batches
        All batches; kept up to date by the caller.
    probe_size
        The most contacts a probe may hold.
    """

    def __init__(
        self,
        outcomes: NDArray[np.int8],
        uncounted: NDArray[np.int8],
        batches: list[Batch],
        probe_size: int,
    ) -> None:
        self._outcomes = outcomes
        self._uncounted = uncounted
        self._batches = batches
        self._probe_size = probe_size
        self._suspicious = False
        self._audits = 0
        self._complete = False
        self._certified: NDArray[np.bool_] = np.zeros(len(outcomes), dtype=np.bool_)

    def suspect(self, positions: Positions) -> None:
        """Note that something did not fit; all that probes found will be certified."""
        self._suspicious = True
        self._certified[positions] = False

    def closings(self) -> list[Closing]:
        """Return what to send: batches as a whole, or under suspicion outcome by outcome."""
        if not self._suspicious:
            return self._whole_batches()
        mixed = [batch.positions for batch in self._batches if batch.mixed]
        rows = np.concatenate([np.zeros(0, dtype=np.int64), *mixed])
        rows = rows[self._known(rows) & ~self._certified[rows]]
        return [
            Closing(part, [])
            for outcome in Outcome
            for part in np.split(
                rows[self._outcomes[rows] == outcome],
                np.arange(self._probe_size, len(rows), self._probe_size),
            )
            if len(part)
        ]

    def tell(
        self, closings: Sequence[Closing], counts: Sequence[tuple[int, ...] | None]
    ) -> list[Positions]:
        """Take the counts; return the contacts that are to be counted and sought afresh."""
        certifying = self._suspicious
        self._audits += certifying
        afresh = []
        for closing, count in zip(closings, counts, strict=True):
            found = self._outcomes[closing.positions]
            if certifying:
                fits = count == tuple(int((found == skip).sum()) for skip in SKIPS)
                given_up = not fits and self._audits > _MAX_AUDITS
                self._certified[closing.positions] = fits or given_up
                if not fits:
                    self._outcomes[closing.positions] = Outcome.UNDETERMINED
                    if not given_up:
                        afresh.append(closing.positions)
                continue
            for batch in closing.batches:
                tally = tuple(int((found == skip).sum()) for skip in SKIPS)
                fits = count == (batch.counts if batch.sound else tally)
                batch.failures += count is None
                batch.closed = fits or batch.failures > MAX_FAILURES
                self._suspicious |= count is not None and not fits
        return afresh

    def reconcile(self, history: History) -> None:
        """Leave open who was applied first and skipped later, where the counts show one."""
        self._complete = True
        if not self._suspicious:
            return
        self._suspicious = False
        for batch in self._batches:
            batch.closed = True
            found = self._outcomes[batch.positions]
            for channel, skip in enumerate(SKIPS):
                members = batch.positions[found == skip]
                extra = len(members) - batch.counts[channel]
                if batch.mixed and not (found != Outcome.UNDETERMINED).all():
                    # One of the contacts given up may be a skip that the first reply counted,
                    # and then one of these came later, with the label on.
                    self._outcomes[members] = Outcome.UNDETERMINED
                elif batch.mixed and batch.sound and extra > 0:
                    suspects = history.suspects(members, channel, skip, self._outcomes, extra)
                    self._outcomes[suspects] = Outcome.UNDETERMINED

    def _whole_batches(self) -> list[Closing]:
        """Every batch that needed probes, each alone: two movers must not cancel in one call."""
        return [Closing(batch.positions, [batch]) for batch in self.unclosed()]

    def unclosed(self) -> list[Batch]:
        """Return the batches whose probes nothing has vouched for yet."""
        return [batch for batch in self._batches if batch.mixed and not batch.closed]

    def confirmed(self, probed: NDArray[np.bool_]) -> NDArray[np.int8]:
        """Return what was found, without what is `probed` unless all of it is vouched for."""
        if self._complete or not (self._suspicious or self.unclosed()):
            return self._outcomes.copy()
        return np.where(probed, np.int8(Outcome.UNDETERMINED), self._outcomes)

    def reopen(self) -> None:
        """Ask for closing probes (again), since there are further probes."""
        self._complete = False
        for batch in self._batches:
            batch.closed = False

    def reserve(self) -> int:
        """Return how many closing probes it takes should the next round be the last of its kind.

        None under suspicion: then there is no telling what clearing it up will take.
        """
        return 0 if self._suspicious else sum(batch.mixed for batch in self._batches)

    def _known(self, positions: Positions) -> NDArray[np.bool_]:
        settled = self._outcomes[positions] != Outcome.UNDETERMINED
        # Where the kind of service is unknown, it is known that no counter counts them.
        hidden = self._uncounted[positions] == Outcome.UNDETERMINED
        known: NDArray[np.bool_] = settled | hidden
        return known
