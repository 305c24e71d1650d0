"""The replies of a run, kept to tell when a contact moved."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from kirim_pandas.labeling.batches import Counts, Positions

__all__ = ["History", "shows_changes"]


class History:
    """Probes and counts by round."""

    def __init__(self, contact_count: int) -> None:
        self._rounds: list[tuple[list[NDArray[np.int32]], list[tuple[int, ...] | None]]] = []
        self._contact_count = contact_count

    def add(self, probes: Sequence[Positions], counts: Sequence[tuple[int, ...] | None]) -> None:
        """Note a round."""
        self._rounds.append(([probe.astype(np.int32) for probe in probes], list(counts)))

    def suspects(
        self,
        members: Positions,
        channel: int,
        outcome: int,
        outcomes: NDArray[np.int8],
        extra: int,
    ) -> Positions:
        """Return the contacts that may have been applied first and skipped later.

        Parameters
        ----------
        members
            The contacts of one batch found skipped: more than the batch reported.
        channel, outcome
            The kind of skip.
        outcomes
            What was found.
        extra
            How many more.

        Returns
        -------
        ndarray
            Those of `members` that explain all replies: before some round each reply that
            held the contact counted one skip less than was found, and none did after it.
            All of `members` where no single contact does.
        """
        if extra > 1:
            return members
        skipped = outcomes == outcome
        batch = np.zeros(self._contact_count, dtype=np.bool_)
        batch[members] = True
        possible = batch.copy()
        clear: list[tuple[int, NDArray[np.int32]]] = []
        last_short = -1
        for number, (probes, counts) in enumerate(self._rounds):
            for probe, count in zip(probes, counts, strict=True):
                if count is None or not batch[probe].any():
                    continue
                error = count[channel] - int(skipped[probe].sum())
                if error == 0:
                    clear.append((number, probe))
                elif error == -1:
                    last_short = number
                    inside = np.zeros_like(possible)
                    inside[probe] = True
                    possible &= inside
                else:
                    return members
        for number, probe in clear:
            if number < last_short:
                possible[probe] = False
        suspects = np.flatnonzero(possible)
        return suspects if len(suspects) else members


def shows_changes(probes: Sequence[Positions], replies: Sequence[Counts | None]) -> bool:
    """Tell from probes of labeled contacts whether `applied` counts changes, not contacts."""
    known = [(len(p), reply) for p, reply in zip(probes, replies, strict=True) if reply is not None]
    passing = sum(size - reply.cross_org - reply.team_mismatch for size, reply in known)
    return 2 * sum(reply.applied for _, reply in known) < passing
