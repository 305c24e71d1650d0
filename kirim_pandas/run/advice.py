"""Advice for the search: what columns say, those of the frame and those learnt on the way.

What is learnt decides which probes are planned. So it is told as an event, for the journal, and
a resumed run learns the same columns before the same rounds.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from kirim_pandas.grouptesting.attribution import Attribution
from kirim_pandas.guesses.columns import Column
from kirim_pandas.guesses.search import Finding, Guesser
from kirim_pandas.run.calls import PastCall
from kirim_pandas.run.events import ColumnsLearnt, Event, Waiting

WORTH_PROBES = 12.0
"""Below so many probes that are still expected, nothing is read: the search is as quick."""

POLL_SECONDS = 0.2


class ColumnSource(Protocol):
    """Where columns come from that the frame does not have: the list of contacts, say."""

    def start(self, *, probes: float, missing: int) -> None:
        """Begin to read, in the background.

        Parameters
        ----------
        probes
            Probes that are expected without: reading may take part of their time.
        missing
            How many contacts the service counted as another organisation's.
        """

    def take(self, timeout_seconds: float) -> Sequence[Column] | None:
        """Return what was learnt; empty if that is nothing, None while it reads on."""

    @property
    def progress(self) -> str:
        """What it is doing, in a few words."""

    def stop(self) -> None:
        """Read no further."""


class Advice:
    """Advises an attribution before each round of probes.

    Parameters
    ----------
    columns
        What the frame says of each contact.
    learnt
        What earlier sessions of the run learnt, by the round before which they did.
    past
        The calls of earlier sessions.
    source
        Reads columns, if there is one.
    stopped
        Whether somebody stopped the run; looked at while waiting for `source`.
    """

    def __init__(
        self,
        columns: Sequence[Column],
        *,
        learnt: Mapping[int, Sequence[Column]],
        past: Sequence[PastCall],
        source: ColumnSource | None,
        stopped: Callable[[], bool],
    ) -> None:
        self._guesser = Guesser(columns)
        self._learnt = learnt
        self._rounds_before = 1 + max((known.call.round for known in past), default=-1)
        self._source = None if learnt else source
        self._stopped = stopped

    @property
    def findings(self) -> Sequence[Finding]:
        """What skips were found to follow."""
        return self._guesser.findings

    def borne_out(self, outcomes: NDArray[np.int8]) -> Sequence[Finding]:
        """Return the findings that the outcomes in the end do not contradict."""
        return self._guesser.borne_out(outcomes)

    def before_round(self, number: int, attribution: Attribution) -> Generator[Event, None, None]:
        """Learn what there is to learn, and advise."""
        guesser = self._guesser
        if number in self._learnt:
            guesser.learn(self._learnt[number])
        if guesser.suppose(attribution):
            return
        if number >= self._rounds_before:
            columns = yield from self._read(attribution)
            if columns:
                guesser.learn(columns)
                yield ColumnsLearnt(number, tuple(columns))
                if guesser.suppose(attribution):
                    return
        guesser.explore(attribution)

    def _read(self, attribution: Attribution) -> Generator[Event, None, Sequence[Column]]:
        source, self._source = self._source, None
        probes = attribution.expected_probes()
        if source is None or probes < WORTH_PROBES:
            return ()
        missing = sum(leaf.counts[0] for leaf in attribution.leaves())
        source.start(probes=probes, missing=missing)
        try:
            while not self._stopped():
                columns = source.take(POLL_SECONDS)
                if columns is not None:
                    return columns
                yield Waiting(source.progress, POLL_SECONDS)
        finally:
            source.stop()
        return ()
