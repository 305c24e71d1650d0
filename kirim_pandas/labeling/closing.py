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
            fits = count == tuple(int((found == skip).sum()) for skip in SKIPS)
            if certifying:
                given_up = not fits and self._audits > _MAX_AUDITS
                self._certified[closing.positions] = fits or given_up
                if not fits:
                    self._outcomes[closing.positions] = Outcome.UNDETERMINED
                    if not given_up:
                        afresh.append(closing.positions)
                continue
            for batch in closing.batches:
                batch.failures += count is None
                batch.closed = fits or batch.failures > MAX_FAILURES
            self._suspicious |= count is not None and not fits
        return afresh

    def reconcile(self, history: History) -> None:
        """Leave open who was applied first and skipped later, where the counts show one."""
        if not self._suspicious:
            return
        self._suspicious = False
        for batch in self._batches:
            batch.closed = True
            found = self._outcomes[batch.positions]
            for channel, skip in enumerate(SKIPS):
                members = batch.positions[found == skip]
                extra = len(members) - batch.counts[channel]
                if batch.mixed and batch.sound and extra > 0:
                    suspects = history.suspects(members, channel, skip, self._outcomes, extra)
                    self._outcomes[suspects] = Outcome.UNDETERMINED

    def _whole_batches(self) -> list[Closing]:
        """Pack batches into as few calls as fit without cutting."""
        closings: list[Closing] = []
        room = 0
        for batch in self._batches:
            if not batch.mixed or batch.closed:
                continue
            positions = batch.positions[self._known(batch.positions)]
            for start in range(0, len(positions), self._probe_size):
                part = positions[start : start + self._probe_size]
                if len(part) > room:
                    closings.append(Closing(part, [batch]))
                    room = self._probe_size - len(part)
                else:
                    last = closings[-1]
                    last.positions = np.concatenate([last.positions, part])
                    last.batches.append(batch)
                    room -= len(part)
        return closings

    def _known(self, positions: Positions) -> NDArray[np.bool_]:
        settled = self._outcomes[positions] != Outcome.UNDETERMINED
        # Where the kind of service is unknown, it is known that no counter counts them.
        hidden = self._uncounted[positions] == Outcome.UNDETERMINED
        known: NDArray[np.bool_] = settled | hidden
        return known
