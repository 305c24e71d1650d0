"""Fresh counts for contacts whose known counts cannot be trusted any more.

When a contact changes its team in the middle of a run, replies from before and after the move
are decoded together, and they contradict each other at once or a few rounds later. Where the
first wrong conclusion lies cannot be told from that. So all that is open is counted afresh, in
as few probes as hold it; what was concluded wrongly meanwhile fails its confirming call.

A probe that is not answered is halved and asked again, down to the one contact with which no
probe is answered (the service refuses a contact that was deleted).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kirim_pandas.grouptesting.clusters import Node
from kirim_pandas.grouptesting.outcomes import Positions, cut_to_size


class Recount:
    """Contacts that wait for fresh counts.

    Parameters
    ----------
    probe_size
        The most contacts a probe may hold.
    """

    def __init__(self, probe_size: int) -> None:
        self._probe_size = probe_size
        self._probes: list[Positions] = []

    def __len__(self) -> int:
        return len(self._probes)

    def add(self, positions: Positions) -> None:
        """Put contacts in line, in the order of the run, for nearby contacts are often alike."""
        self._probes += cut_to_size(np.sort(positions), self._probe_size)

    def take(self, other: Recount) -> None:
        """Take over what waits in another."""
        self._probes += other._probes

    def probes(self) -> list[Positions]:
        """Return what is to be asked; empty when nothing waits."""
        return list(self._probes)

    def tell(self, counts: Sequence[tuple[int, ...] | None]) -> tuple[list[Node], list[Positions]]:
        """Take the counts of `probes`, or of the first of them.

        Parameters
        ----------
        counts
            One count for each kind of skip; None where a probe has no usable reply.

        Returns
        -------
        nodes : list of Node
            Contacts with fresh counts.
        unanswered : list of ndarray
            Single contacts with which no probe is answered.
        """
        asked, self._probes = self._probes[: len(counts)], self._probes[len(counts) :]
        nodes, unanswered = [], []
        for positions, count in zip(asked, counts, strict=True):
            if count is not None:
                nodes.append(Node(positions, count))
            elif len(positions) == 1:
                unanswered.append(positions)
            else:
                self._probes += np.array_split(positions, 2)
        return nodes, unanswered
