"""Which rows were skipped? Counts in, outcomes out: no I/O, no clock, no randomness.

The service answers a batch with two skip counts and no names. A *probe* is one more call on
ids that were all sent before; its counts halve what is unknown.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import log2

import numpy as np
from numpy.typing import NDArray

from kirim_pandas.labeling.batches import MAX_CONTACTS_PER_CALL, Counts, Outcome, Positions

__all__ = ["Attribution", "certificate", "check_certificate", "expected_probes_for"]


@dataclass(frozen=True)
class _Node:
    positions: Positions
    cross_org: int
    team_mismatch: int

    @property
    def pure(self) -> Outcome | None:
        size = len(self.positions)
        if self.cross_org == size:
            return Outcome.CROSS_ORG
        if self.team_mismatch == size:
            return Outcome.TEAM_MISMATCH
        return Outcome.APPLIED if self.cross_org + self.team_mismatch == 0 else None

    @property
    def possible(self) -> bool:
        low = min(self.cross_org, self.team_mismatch)
        return low >= 0 and self.cross_org + self.team_mismatch <= len(self.positions)


class Attribution:
    """Names the outcome of every contact from counts."""

    def __init__(
        self,
        contact_count: int,
        *,
        probe_size: int = MAX_CONTACTS_PER_CALL,
        groups: NDArray[np.int64] | None = None,
    ) -> None:
        self.outcomes: NDArray[np.int8] = np.zeros(contact_count, dtype=np.int8)
        self.probed: NDArray[np.bool_] = np.zeros(contact_count, dtype=np.bool_)
        self._probe_size = probe_size
        self._groups = groups
        self._open: list[_Node] = []
        self._asked: list[_Node] = []

    def add_batch(self, positions: Positions, counts: Counts) -> None:
        """Take the reply to a batch of the apply phase."""
        self._settle(_Node(positions, counts.cross_org, counts.team_mismatch), probed=False)

    def next_round(self, budget: int | None = None) -> list[Positions]:
        """Return the probes of the next round."""
        room = len(self._open) if budget is None else max(0, min(budget, len(self._open)))
        self._asked, self._open = self._open[:room], self._open[room:]
        return [node.positions[: len(node.positions) // 2] for node in self._asked]

    def tell(self, replies: Sequence[Counts | None]) -> None:
        """Take the replies to the round, in its order."""
        asked, self._asked = self._asked, []
        for node, reply in zip(asked, replies, strict=True):
            if reply is None:
                continue
            half = len(node.positions) // 2
            left = _Node(node.positions[:half], reply.cross_org, reply.team_mismatch)
            right = _Node(
                node.positions[half:],
                node.cross_org - reply.cross_org,
                node.team_mismatch - reply.team_mismatch,
            )
            if left.possible and right.possible:
                self._settle(left, probed=True)
                self._settle(right, probed=True)

    def expected_probes(self) -> float:
        """Estimate how many probes are left."""
        total = 0.0
        for node in self._open:
            size, skips = len(node.positions), node.cross_org + node.team_mismatch
            rare = min(skips, size - skips) or size / 2
            total += rare * max(1.0, log2(size / rare))
        return total

    def _settle(self, node: _Node, *, probed: bool) -> None:
        if not node.possible:
            return
        self.probed[node.positions] = probed
        pure = node.pure
        if pure is None:
            self._open.append(node)
        else:
            self.outcomes[node.positions] = pure


def expected_probes_for(
    contact_count: int, share_cross_org: float, share_team_mismatch: float = 0.0
) -> float:
    """Estimate the probes for rows skipped at random at the given shares."""
    total = 0.0
    for share in (share_cross_org, share_team_mismatch):
        if 0 < share < 1:
            total += contact_count * min(share, 0.25) * max(1.0, -log2(share))
    return total


def certificate(outcomes: NDArray[np.int8], probed: NDArray[np.bool_]) -> list[Positions]:
    """Cut the rows to certify into calls of one outcome each."""
    calls: list[Positions] = []
    for outcome in (Outcome.CROSS_ORG, Outcome.TEAM_MISMATCH, Outcome.NOT_COUNTED, Outcome.APPLIED):
        chosen = outcomes == outcome
        if outcome == Outcome.APPLIED:
            chosen &= probed
        rows = np.flatnonzero(chosen)
        step = MAX_CONTACTS_PER_CALL
        calls += [rows[start : start + step] for start in range(0, len(rows), step)]
    return calls


def check_certificate(
    outcomes: NDArray[np.int8], calls: Sequence[Positions], replies: Sequence[Counts | None]
) -> NDArray[np.int8]:
    """Turn the rows of every call that came back otherwise into UNDETERMINED."""
    checked = outcomes.copy()
    for rows, reply in zip(calls, replies, strict=True):
        outcome = Outcome(int(outcomes[rows[0]]))
        cross = len(rows) if outcome == Outcome.CROSS_ORG else 0
        team = len(rows) if outcome == Outcome.TEAM_MISMATCH else 0
        if reply is None or (reply.cross_org, reply.team_mismatch) != (cross, team):
            checked[rows] = Outcome.UNDETERMINED
    return checked
