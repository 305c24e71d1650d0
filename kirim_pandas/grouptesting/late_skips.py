"""The replies of a run, kept to tell who may carry the label although skipped at the end.

A contact that passed in one call and is skipped in the last one moved out in between, with the
label on: a *late skip*. Nothing shows the label, but the replies show the move: a call before it
counts fewer skips than the same contacts have in the end. Where every reply fits the outcomes
found, nobody moved (or nobody could ever tell), and nobody is left open.

Any other reply is evidence of movers. They are sought in four counts: each kind of skip, and
all skips together, which is what the drop of `applied` shows. One kind alone would take a
contact that leaves the kind and a late skip that comes to it for one contact that changed; all
skips alone would take one that begins to pass and a late skip for nobody. In each count:

- The call of a batch holds nobody else, so it tells how many of the batch moved. One mover: the
  contacts that can be it are left open. More: all skipped contacts of the batch.
- A reply that these movers do not explain leaves open all skipped contacts of its batches.

So nothing wrong is named where up to two contacts move. Three or more may pass for one that does
no harm.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from kirim_pandas.grouptesting.counters import Counters, triple_of
from kirim_pandas.grouptesting.outcomes import SKIPS, Counts, Outcome, Positions

__all__ = ["ReplyLog"]

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class _Call:
    """A call of the run.

    Attributes
    ----------
    round
        0 for the calls of batches. Calls of one round are under way together: their order is
        not known.
    """

    round: int
    positions: NDArray[np.int32]
    reply: Counts


_Read: TypeAlias = tuple[_Call, tuple[int, ...], list[int]]
"""A call, its counts by kind of skip, and the batches it holds contacts of."""


@dataclass(frozen=True, slots=True, eq=False)
class _Lack:
    """By how much a call counted fewer contacts of some outcome than have it in the end.

    Attributes
    ----------
    least, most
        A range where the outcomes of some of the contacts are not known.
    batches
        The batches it holds contacts of.
    """

    round: int
    positions: NDArray[np.int32]
    least: int
    most: int
    batches: list[int]

    def fits(self, late: int, early: int) -> bool:
        """Whether up to `late` contacts that came to the outcome, `early` that left, explain it."""
        return self.least <= late and -early <= self.most


class ReplyLog:
    """Calls and replies by round.

    Parameters
    ----------
    batch_of
        For each position the number of its batch, -1 for none; kept up to date by the caller.
    """

    def __init__(self, batch_of: NDArray[np.int32]) -> None:
        self._batch_of = batch_of
        self._calls: list[_Call] = []
        self._round = 0

    def add_batch(self, positions: Positions, reply: Counts) -> None:
        """Note the call of a batch."""
        self._calls.append(_Call(0, positions.astype(np.int32), reply))

    def add_round(self, probes: Sequence[Positions], replies: Sequence[Counts | None]) -> None:
        """Note a round of probes."""
        self._round += 1
        self._calls += [
            _Call(self._round, probe.astype(np.int32), reply)
            for probe, reply in zip(probes, replies, strict=True)
            if reply is not None
        ]

    def late(self, outcomes: NDArray[np.int8], unknown: Mask, counters: Counters) -> Mask:
        """Return where an outcome is not certain, for the contact may have had another before.

        Parameters
        ----------
        outcomes
            What is true at the end.
        unknown
            Contacts of which nothing is known.
        counters
            How replies are read.

        Returns
        -------
        ndarray of bool
            Contacts found skipped that may have passed. Also contacts found passing that may
            have been skipped, where `applied` does not show that they pass now.
        """
        late = np.zeros(len(outcomes), dtype=np.bool_)
        for changes in counters.readings():
            found = self._late(outcomes, unknown, changes)
            if found is None:
                return np.zeros_like(late)
            late |= found
        return late

    def _late(self, outcomes: NDArray[np.int8], unknown: Mask, changes: bool) -> Mask | None:
        """Do so if `applied` counts changes, or if not; None where all replies fit."""
        read = [
            (call, triple, np.unique(self._batch_of[call.positions]).tolist())
            for call in self._calls
            for triple in [triple_of(len(call.positions), call.reply, changes=changes)]
            if triple is not None
        ]
        kinds = np.array([triple for _, triple, _ in read], dtype=np.int64).reshape(-1, len(SKIPS))
        counted = np.column_stack([kinds, kinds.sum(axis=1)])
        if changes:
            outcomes = np.where(outcomes == Outcome.NOT_COUNTED, Outcome.APPLIED, outcomes)
        passing, skipped = outcomes == Outcome.APPLIED, outcomes > Outcome.APPLIED
        columns = [*(outcomes == skip for skip in SKIPS), skipped]
        found = np.array([[c[call.positions].sum() for c in columns] for call, _, _ in read])
        spare = np.array([[unknown[call.positions].sum()] for call, _, _ in read])
        least = found - counted
        most = least + spare
        again = sum(call.reply.applied for call, *_ in read if call.round) if changes else 0
        if not again and ((least <= 0) & (most >= 0)).all():
            return None
        late = np.zeros(len(outcomes), dtype=np.bool_)
        for column, members in enumerate(columns):
            low, high = least[:, column], most[:, column]
            late |= self._movers(members, read, low, high)
            if changes:
                # Whoever leaves a kind of skip seems to pass, and may have been deleted.
                late |= self._movers(passing, read, -high, -low)
        first = np.array([call.round == 0 for call, *_ in read])
        if again > -np.minimum(most[first, -1], 0).sum():
            # More contacts began to pass than the calls of the batches tell.
            telling = [held for call, _, held in read if call.round and call.reply.applied]
            late |= np.isin(self._batch_of, np.concatenate(telling))
        return late

    def _movers(
        self,
        members: Mask,
        read: Sequence[_Read],
        least: NDArray[np.int64],
        most: NDArray[np.int64],
    ) -> Mask:
        """Return those of `members` that may have come late to what each call has too few of."""
        late = np.zeros_like(members)
        if ((least <= 0) & (most >= 0)).all():
            return late
        lacks = [
            _Lack(call.round, call.positions, int(low), int(high), batches)
            for (call, _, batches), low, high in zip(read, least, most, strict=True)
        ]
        moved = {
            lack.batches[0]: max(lack.least, 0) + min(lack.most, 0)
            for lack in lacks
            if lack.round == 0 and not lack.fits(0, 0)
        }
        for batch, count in moved.items():
            inside = members & (self._batch_of == batch)
            if count == 1:
                others = {other: number for other, number in moved.items() if other != batch}
                possible = _who_moved(inside, batch, lacks, others)
                inside = possible if possible.any() else inside
            if count > 0:
                late |= inside
        for lack in lacks:
            numbers = [moved.get(batch, 0) for batch in lack.batches]
            if not lack.fits(sum(n for n in numbers if n > 0), -sum(n for n in numbers if n < 0)):
                late |= members & np.isin(self._batch_of, lack.batches)
        return late


def _who_moved(members: Mask, batch: int, lacks: Sequence[_Lack], others: dict[int, int]) -> Mask:
    """Return those of `members` that explain all replies as the one mover of `batch`.

    The mover is in every call that counts one too few, and in none after its move, that is, in
    no call before the last of these that counts them all. Movers of other batches (`others`,
    by batch how many came to the outcome, negative: left it) may hide or feign it in calls that
    hold contacts of both.
    """
    possible = members.copy()
    last_short = 0
    full: list[_Lack] = []
    for lack in lacks:
        if batch not in lack.batches:
            continue
        moved = [others[other] for other in lack.batches if other in others]
        least = lack.least - sum(max(count, 0) for count in moved)
        most = lack.most - sum(min(count, 0) for count in moved)
        if not least <= 0 <= most:  # it takes the mover to explain this one
            inside = np.zeros_like(possible)
            inside[lack.positions] = least <= 1 <= most
            possible &= inside
            last_short = max(last_short, lack.round)
        elif not least <= 1 <= most:
            full.append(lack)
    for lack in full:
        if lack.round < last_short:
            possible[lack.positions] = False
    return possible
