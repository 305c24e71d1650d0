"""The replies of a run, kept to tell who may carry the label although skipped at the end.

A contact that passed in one call and is skipped in the last one moved out in between, with the
label on. Nothing shows the label, but the replies show the move: those before it count one skip
less than the outcomes found in the end. *Late skips* are sought by the rule of the fewest
movers: where the replies of a batch can be explained without one, there is none; where one
mover explains them, the contacts that can be it are left open, and only those.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kirim_pandas.labeling.batches import Outcome, Positions

__all__ = ["History"]

Mask = NDArray[np.bool_]


@dataclass(slots=True, eq=False)
class _Reply:
    """What a call says, seen from the end.

    Attributes
    ----------
    round
        Calls of one round are under way together: their order is not known.
    least, most
        Contacts that passed then and are skipped now, less those the other way round. A range
        where contacts were given up: how these stood then is not known.
    batches
        The batches it holds contacts of.
    """

    round: int
    positions: NDArray[np.int32]
    least: int
    most: int
    batches: NDArray[np.int32]


class History:
    """Calls and counts by round.

    Parameters
    ----------
    contact_count
        Contacts of the run.
    """

    def __init__(self, contact_count: int) -> None:
        self._contact_count = contact_count
        self._calls: list[tuple[int, NDArray[np.int32], tuple[int, ...] | None]] = []
        self._round = 0

    def add_batch(self, positions: Positions, counts: tuple[int, ...] | None) -> None:
        """Note the call of a batch."""
        self._calls.append((0, positions.astype(np.int32), counts))

    def add_round(
        self, probes: Sequence[Positions], counts: Sequence[tuple[int, ...] | None]
    ) -> None:
        """Note a round of probes."""
        self._round += 1
        self._calls += [
            (self._round, probe.astype(np.int32), count)
            for probe, count in zip(probes, counts, strict=True)
        ]

    def late_skips(
        self, outcomes: NDArray[np.int8], batch_of: NDArray[np.int32], given_up: Mask
    ) -> Positions:
        """Return the contacts found skipped that may have passed in an earlier call.

        Parameters
        ----------
        outcomes
            What is true at the end.
        batch_of
            For each position the number of its batch, -1 for none.
        given_up
            Contacts of which nothing is known; few.
        """
        skipped = outcomes > Outcome.APPLIED
        replies = self._seen_from(skipped, batch_of, given_up)
        if all(reply.least <= 0 <= reply.most for reply in replies):
            return np.zeros(0, dtype=np.int64)
        # The call of a batch holds nobody else, so it tells how many moved for good.
        movers = {
            int(reply.batches[0]): max(reply.least, 0) + min(reply.most, 0)
            for reply in replies
            if reply.round == 0 and not reply.least <= 0 <= reply.most
        }
        late = np.zeros(self._contact_count, dtype=np.bool_)
        for batch, moved in movers.items():
            members = skipped & (batch_of == batch)
            if moved == 1:
                others = {other: m for other, m in movers.items() if other != batch}
                possible = self._who_moved(members, batch, replies, others)
                members = possible if possible.any() else members
            if moved > 0:
                late |= members
        for reply in replies:
            if reply.least <= 0 <= reply.most or any(b in movers for b in reply.batches.tolist()):
                continue
            # Two movers of one batch that cancel out in its totals, or a wrong reply.
            inside = np.zeros_like(late)
            inside[reply.positions] = True
            there = skipped & np.isin(batch_of, reply.batches)
            late |= there & (inside if reply.least > 0 else ~inside)
        return np.flatnonzero(late)

    def _seen_from(
        self, skipped: Mask, batch_of: NDArray[np.int32], given_up: Mask
    ) -> list[_Reply]:
        replies = []
        for number, positions, counts in self._calls:
            if counts is not None:
                least = int(skipped[positions].sum()) - sum(counts)
                most = least + int(given_up[positions].sum())
                batches = np.unique(batch_of[positions])
                replies.append(_Reply(number, positions, least, most, batches))
        return replies

    def _who_moved(
        self,
        members: Mask,
        batch: int,
        replies: Sequence[_Reply],
        others: dict[int, int],
    ) -> Mask:
        """Return those of `members` that explain all replies as the one late skip of `batch`.

        The one late skip is in every reply that counts a skip too few, and in none after the
        last of them that counts them all. Movers of other batches may hide or feign it in
        replies that hold contacts of both.
        """
        possible = members.copy()
        last_short = 0
        clear: list[_Reply] = []
        for reply in replies:
            if batch not in reply.batches:
                continue
            moved = [others[other] for other in reply.batches.tolist() if other in others]
            least = reply.least - sum(max(count, 0) for count in moved)
            most = reply.most - sum(min(count, 0) for count in moved)
            if not least <= 0 <= most:  # it takes the mover to explain this one
                inside = np.zeros_like(possible)
                inside[reply.positions] = least <= 1 <= most
                possible &= inside
                last_short = max(last_short, reply.round)
            elif not least <= 1 <= most:
                clear.append(reply)
        for reply in clear:
            if reply.round < last_short:
                possible[reply.positions] = False
        return possible
