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

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, groupby
from operator import attrgetter
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from kirim_pandas.grouptesting.counters import Counters, triple_of
from kirim_pandas.grouptesting.outcomes import SKIPS, Counts, Outcome, Positions

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

    def fits(self, movers: int = 0) -> bool:
        """Whether just so many contacts that came to the outcome explain it."""
        return self.least <= movers <= self.most

    def besides(self, moved: dict[int, int]) -> _Lack:
        """Return what so many movers of each batch leave unexplained; those that left count down.

        They may hide or feign others in a call that holds contacts of several batches.
        """
        if moved.keys().isdisjoint(self.batches):
            return self
        counts = [moved[batch] for batch in self.batches if batch in moved]
        came, left = sum(max(n, 0) for n in counts), sum(min(n, 0) for n in counts)
        return self._with(self.least - came, self.most - left)

    def _with(self, least: int, most: int) -> _Lack:
        return _Lack(self.round, self.positions, least, most, self.batches)

    def mirrored(self) -> _Lack:
        """Return it for all other outcomes."""
        return self._with(-self.most, -self.least)


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

    def beside(self) -> ReplyLog:
        """Return an empty log that goes on from this round, for contacts of batches of its own.

        Rounds of several such logs tell nothing of each other, nor need they: whether a contact
        moved before a call or after it is only asked of calls that hold contacts of its batch.
        """
        log = ReplyLog(self._batch_of)
        log._round = self._round
        return log

    def join(self, logs: Sequence[ReplyLog]) -> None:
        """Take over what was noted side by side; whatever comes now came after all of it."""
        for log in logs:
            self._calls += log._calls
            self._round = max(self._round, log._round)

    def rounds(self) -> Iterator[tuple[list[NDArray[np.int32]], list[Counts]]]:
        """Return probes and replies round by round."""
        for _, group in groupby(self._calls, attrgetter("round")):
            calls = list(group)
            yield [call.positions for call in calls], [call.reply for call in calls]

    def late(
        self,
        outcomes: NDArray[np.int8],
        unknown: Mask,
        counters: Counters,
        found: tuple[NDArray[np.int8], Mask] | None = None,
    ) -> Mask:
        """Return where an outcome is not certain, for the contact may have had another before.

        Parameters
        ----------
        outcomes
            What is true at the end.
        unknown
            Contacts of which nothing is known.
        counters
            How replies are read.
        found
            `outcomes` and `unknown` before those found but not confirmed were taken out of them:
            what all replies must fit where nobody moved. None where they are the same.

        Returns
        -------
        ndarray of bool
            Contacts found skipped that may have passed. Also contacts found passing that may
            have been skipped, where `applied` does not show that they pass now.
        """
        late = np.zeros(len(outcomes), dtype=np.bool_)
        for changes in counters.readings():
            if self._is_still(*(found or (outcomes, unknown)), changes):
                return np.zeros_like(late)
            # What is not confirmed may be wrong, and may be right: both tell of movers.
            for end in ((outcomes, unknown), found or (outcomes, unknown)):
                late |= self._late(*end, changes)
                if (changes, counters.changes) == (False, None):
                    late |= self._perhaps_uncounted(*end)
        return late

    def _is_still(self, outcomes: NDArray[np.int8], unknown: Mask, changes: bool) -> bool:
        """Whether all replies fit the outcomes, if `applied` counts changes or if not."""
        read = self._read(changes)
        if changes and _labeled_again(read):
            return False
        lacks = [_lacks(read, *view, unknown) for view in enumerate(_views(outcomes, changes))]
        return all(lack.fits() for lack in chain.from_iterable(lacks))

    def _late(self, outcomes: NDArray[np.int8], unknown: Mask, changes: bool) -> Mask:
        """Return who it may be, if `applied` counts changes or if not."""
        read, views = self._read(changes), _views(outcomes, changes)
        lacks = [_lacks(read, *view, unknown) for view in enumerate(views)]
        passing = (outcomes > Outcome.UNDETERMINED) & ~views[-1]
        late = np.zeros(len(outcomes), dtype=np.bool_)
        for members, view in zip(views, lacks, strict=True):
            late |= self._movers(members, view)
            if changes:
                # Whoever leaves a kind of skip seems to pass, and may have been deleted.
                late |= self._movers(passing, [lack.mirrored() for lack in view])
        return late | self._began_to_pass(read, lacks[-1]) if changes else late

    def _perhaps_uncounted(self, outcomes: NDArray[np.int8], unknown: Mask) -> Mask:
        """Return who was found passing in a call that counted changes, if it counted contacts."""
        view = SKIPS.index(Outcome.NOT_COUNTED)
        lacks = _lacks(self._read(False), view, outcomes == Outcome.NOT_COUNTED, unknown)
        return self._movers(outcomes == Outcome.APPLIED, [lack.mirrored() for lack in lacks])

    def _read(self, changes: bool) -> list[_Read]:
        """Return the calls with their counts by kind of skip and their batches."""
        return [
            (call, triple, np.unique(self._batch_of[call.positions]).tolist())
            for call in self._calls
            for triple in [triple_of(len(call.positions), call.reply, changes=changes)]
            if triple is not None
        ]

    def _began_to_pass(self, read: Sequence[_Read], lacks: Sequence[_Lack]) -> Mask:
        """Return all of the batches where more began to pass than the batches' calls tell."""
        telling = _labeled_again(read)
        began = -sum(min(lack.most, 0) for lack in lacks if lack.round == 0)
        if sum(call.reply.applied for call, *_ in telling) <= began:
            return np.zeros(len(self._batch_of), dtype=np.bool_)
        return self._in_batches(held for *_, held in telling)

    def _in_batches(self, held: Iterable[list[int]]) -> Mask:
        return np.isin(self._batch_of, list(chain.from_iterable(held)))

    def _movers(self, members: Mask, lacks: Sequence[_Lack]) -> Mask:
        """Return those of `members` that may have come late to what calls have too few of."""
        moved = {
            lack.batches[0]: max(lack.least, 0) + min(lack.most, 0)
            for lack in lacks
            if lack.round == 0 and not lack.fits()
        }
        late = np.zeros_like(members)
        for batch, count in moved.items():
            inside = members & (self._batch_of == batch)
            if count > 1:
                late |= inside
            elif count == 1:
                late |= _who_moved(inside, batch, lacks, moved)
        unexplained = (lack.batches for lack in lacks if not lack.besides(moved).fits())
        return late | members & self._in_batches(unexplained)


def _labeled_again(read: Sequence[_Read]) -> list[_Read]:
    """Return the probes that labeled somebody, where `applied` counts changes."""
    return [entry for entry in read if entry[0].round and entry[0].reply.applied]


def _views(outcomes: NDArray[np.int8], changes: bool) -> list[Mask]:
    """Return who is skipped: in one kind each and, in the last view, in any."""
    if changes:
        outcomes = np.where(outcomes == Outcome.NOT_COUNTED, Outcome.APPLIED, outcomes)
    return [*(outcomes == skip for skip in SKIPS), outcomes > Outcome.APPLIED]


def _lacks(read: Sequence[_Read], view: int, members: Mask, unknown: Mask) -> list[_Lack]:
    """Compare each call with the end: one kind of skip, or, in the last view, all of them."""
    lacks = []
    for call, triple, batches in read:
        counted = triple[view] if view < len(triple) else sum(triple)
        least = int(members[call.positions].sum()) - counted
        most = least + int(unknown[call.positions].sum())
        lacks.append(_Lack(call.round, call.positions, least, most, batches))
    return lacks


def _who_moved(members: Mask, batch: int, lacks: Sequence[_Lack], moved: dict[int, int]) -> Mask:
    """Return those of `members` that explain all replies as the one mover of `batch`, else all.

    The mover is in every call that counts one too few, and in none after its move, that is, in
    no call before the last of these that counts them all.
    """
    others = moved | {batch: 0}
    about = [lack.besides(others) for lack in lacks if batch in lack.batches]
    last_short = max((lack.round for lack in about if not lack.fits()), default=0)
    possible = members.copy()
    for lack in about:
        if not lack.fits():  # it takes the mover to explain this one
            inside = np.zeros_like(possible)
            inside[lack.positions] = lack.fits(1)
            possible &= inside
        elif lack.round < last_short and not lack.fits(1):
            possible[lack.positions] = False
    return possible if possible.any() else members
