"""Go back to a state from before a contact moved.

Replies after a move are decoded with counts from before it. They may contradict each other at
once, or only after some wrong conclusions, and these ripple on. So a contradiction is not
repaired where it shows. A few earlier states are kept, and all that was open in one of them is
counted afresh: where one node or cluster at most has other counts than were known, no wrong
conclusion had been drawn yet, and the search goes on from there with the fresh counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kirim_pandas.grouptesting.doubt import Claim, Doubt
from kirim_pandas.grouptesting.frontier import Snapshot
from kirim_pandas.grouptesting.outcomes import Positions

__all__ = ["Backtrack", "Checkpoint"]

_LAG = 12
"""Probes that it usually takes a cluster to notice a move: the first state to try is older."""

_LEAST_POOLS = 4
"""Pools in which a state is compared with fresh counts, if that many contacts are open."""


@dataclass(frozen=True, slots=True, eq=False)
class Checkpoint:
    """What was known before a round.

    Attributes
    ----------
    asked
        Probes asked before.
    frontier
        What was open.
    arrays
        Copies of what is known of each position.
    """

    number: int
    asked: int
    frontier: Snapshot
    arrays: tuple[NDArray[np.generic], ...]


class Backtrack:
    """Keeps a few checkpoints, many of late and ever fewer of long ago, and finds a good one.

    Parameters
    ----------
    probe_size
        The most contacts a probe may hold.

    Attributes
    ----------
    asked
        Probes asked in all; kept up to date by the caller.
    started
        How often a good one was sought.
    """

    def __init__(self, probe_size: int) -> None:
        self.asked = 0
        self.started = 0
        self._probe_size = probe_size
        self._kept: list[Checkpoint] = []
        self._last_number = 0
        self._checkpoint: Checkpoint | None = None
        self._doubt: Doubt | None = None
        # Only to mix the pools: any seed will do.
        self._rng = np.random.default_rng(0)

    def keep(self, frontier: Snapshot, arrays: Sequence[NDArray[np.generic]]) -> None:
        """Take a checkpoint; forget some."""
        last = self._last_number = self._last_number + 1
        copies = tuple(array.copy() for array in arrays)
        self._kept.append(Checkpoint(last, self.asked, frontier, copies))
        self._kept = [
            kept
            for place, kept in enumerate(self._kept)
            # Number 8 stays four times as long as number 2 or 6; the first one always.
            if not place or last - kept.number <= 4 * (kept.number & -kept.number)
        ]

    def forget(self) -> None:
        """Forget all checkpoints: later contradictions do not come from so far back."""
        self._kept = []

    def start(self) -> None:
        """Something contradicts: look for a good checkpoint, from the latest on."""
        self.started += 1
        self._try(self._before(self.asked - _LAG))

    def probes(self) -> list[Positions]:
        """Return what to ask; empty when nothing is sought."""
        return self._doubt.probes() if self._doubt else []

    def tell(self, counts: Sequence[tuple[int, ...] | None]) -> tuple[Checkpoint, Doubt] | None:
        """Take the counts of `probes`, or of the first of them.

        Returns
        -------
        tuple or None
            A checkpoint to go on from with `Doubt.right` and `Doubt.counted`; None when there
            is more to ask.
        """
        checkpoint, doubt = self._checkpoint, self._doubt
        if checkpoint is None or doubt is None:
            raise RuntimeError("nothing is sought")
        doubt.tell(counts)
        earlier = self._before(2 * checkpoint.asked - self.asked)
        if doubt.misfits > 1 and earlier is not checkpoint:
            self._try(earlier)
        elif not doubt.probes():
            self._checkpoint = self._doubt = None
            self._kept = [kept for kept in self._kept if kept.number < checkpoint.number]
            return checkpoint, doubt
        return None

    def _before(self, asked: int) -> Checkpoint:
        """Return the last checkpoint after at most `asked` probes, or else the first one."""
        return next((c for c in reversed(self._kept) if c.asked <= asked), self._kept[0])

    def _try(self, checkpoint: Checkpoint) -> None:
        claims = [Claim.of(item) for item in checkpoint.frontier.items()]
        # Mixed, for neighbours are often wrong in opposite ways.
        mixed = [claims[place] for place in self._rng.permutation(len(claims))]
        self._checkpoint = checkpoint
        self._doubt = Doubt(mixed, self._probe_size, least_pools=_LEAST_POOLS)
