"""The replies of a run, kept to tell who may carry the label although skipped at the end.

A contact that passed in one call and is skipped in the last one moved out in between, with the
label on. Nothing shows the label, but the replies show the move: those before it count one skip
less, of the kind that was found in the end. *Late skips* are sought kind by kind and by the rule
of the fewest movers: where the replies of a batch can be explained without one, there is none;
where one mover explains them, the contacts that can be it are left open, and only those. (Kind
by kind, for one that leaves a kind and one that comes to another look like one that changed.)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kirim_pandas.grouptesting.outcomes import SKIPS, Positions

__all__ = ["History"]

Mask = NDArray[np.bool_]


@dataclass(slots=True, eq=False)
class _Reply:
    """What a call says of one kind of skip, seen from the end.

    Attributes
    ----------
    round
        Calls of one round are under way together: their order is not known.
    least, most
        Contacts that were not skipped then and are now, less those the other way round. A range
        where contacts were given up: how these stood then is not known.
    batches
        The batches it holds contacts of.
    """

    round: int
    positions: NDArray[np.int32]
    least: int
    most: int
    batches: list[int]

    def fits(self, out: int, back: int) -> bool:
        """Whether up to `out` late skips and up to `back` moves the other way explain it."""
        return self.least <= out and -back <= self.most


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

    def add_batch(self, positions: Positions, counts: tuple[int, ...]) -> None:
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
        held = [np.unique(batch_of[positions]).tolist() for _, positions, _ in self._calls]
        late = np.zeros(self._contact_count, dtype=np.bool_)
        for kind, skip in enumerate(SKIPS):
            skipped = outcomes == skip
            replies = [
                _Reply(number, positions, lack, lack + int(given_up[positions].sum()), batches)
                for (number, positions, counts), batches in zip(self._calls, held, strict=True)
                if counts is not None
                for lack in [int(skipped[positions].sum()) - counts[kind]]
            ]
            if not all(reply.fits(0, 0) for reply in replies):
                late |= self._late_skips_of(skipped, replies, batch_of)
        return np.flatnonzero(late)

    def _late_skips_of(
        self, skipped: Mask, replies: Sequence[_Reply], batch_of: NDArray[np.int32]
    ) -> Mask:
        # The call of a batch holds nobody else, so it tells how many moved for good.
        movers = {
            reply.batches[0]: max(reply.least, 0) + min(reply.most, 0)
            for reply in replies
            if reply.round == 0 and not reply.fits(0, 0)
        }
        late = np.zeros_like(skipped)
        for batch, moved in movers.items():
            members = skipped & (batch_of == batch)
            if moved == 1:
                others = {other: m for other, m in movers.items() if other != batch}
                possible = self._who_moved(members, batch, replies, others)
                members = possible if possible.any() else members
            if moved > 0:
                late |= members
        for reply in replies:
            moves = [movers.get(batch, 0) for batch in reply.batches]
            out, back = sum(m for m in moves if m > 0), -sum(m for m in moves if m < 0)
            if not reply.fits(out, back):
                # Movers of one batch that cancel out in its totals, or a wrong reply.
                inside = np.zeros_like(late)
                inside[reply.positions] = True
                there = skipped & np.isin(batch_of, reply.batches)
                late |= there & (inside if reply.least > out else ~inside)
        return late

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
            moved = [others[other] for other in reply.batches if other in others]
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
