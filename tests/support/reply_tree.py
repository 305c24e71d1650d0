"""All small worlds at once: what a run says is judged along each sequence of replies there can be.

What a run does next depends on the replies alone. So worlds that give the same replies so far are
followed together, and each sequence of replies is carried out once, whatever number of worlds
gives it: contacts that no reply tells apart yet need not be tried in each order, and a contact
moves only before calls that hold it, for at any other instant nothing differs.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import combinations, product
from typing import NamedTuple, TypeAlias

from kirim_pandas.grouptesting.attribution import Attribution
from kirim_pandas.grouptesting.outcomes import Counts, Outcome, Positions, cut_batches

LABELED = 0  # passes, and had the label before the run
STANDING = (1, 2, 3)  # passes, another organisation's, another team's
ALL = (1, 2, 3, 4)  # also: counted nowhere, as an unknown id

SORTS = {
    # whether `applied` counts changes, what contacts are at first, and what they may become
    "contacts counted": (False, STANDING, STANDING),
    "contacts counted, some unknown": (False, ALL, ALL),
    "changes counted": (True, (LABELED, *STANDING), STANDING),
    "some deleted": (True, STANDING, ALL),
}


class Contact(NamedTuple):
    """One contact of a world, as it was in the last call that held it."""

    outcome: int
    attached: bool
    before: bool


World: TypeAlias = tuple[Contact, ...]
Reply: TypeAlias = tuple[int, int, int]
Worlds: TypeAlias = dict[World, int]
"""Worlds, each with the fewest moves that lead to it."""


def still(states: Sequence[int], contacts: int) -> Worlds:
    """Return all worlds before the first call."""
    first = [Contact(s or Outcome.APPLIED, s == LABELED, s == LABELED) for s in states]
    return dict.fromkeys(product(first, repeat=contacts), 0)


@cache
def answers(
    called: World, moves: int, moved: tuple[int, ...], *, changes: bool
) -> tuple[tuple[Reply, World, int], ...]:
    """Return each reply to a call, what its contacts are afterwards, and how many moved before."""
    found = set()
    for count in range(min(moves, len(called)) + 1):
        for who in combinations(range(len(called)), count):
            for outcomes in product(moved, repeat=count):
                now = list(called)
                for place, outcome in zip(who, outcomes, strict=True):
                    now[place] = now[place]._replace(outcome=outcome)
                found.add((*_carried_out(now, changes=changes), count))
    return tuple(found)


def _carried_out(called: Iterable[Contact], *, changes: bool) -> tuple[Reply, World]:
    counted, after = [0, 0, 0], []
    for contact in called:
        if contact.outcome == Outcome.APPLIED:
            counted[0] += not (changes and contact.attached)
        elif contact.outcome != Outcome.NOT_COUNTED:
            counted[contact.outcome - 1] += 1
        passes = contact.outcome == Outcome.APPLIED
        after.append(contact._replace(attached=contact.attached or passes))
    return (counted[0], counted[1], counted[2]), tuple(after)


def after_call(
    worlds: Worlds, positions: Sequence[int], most: int, moved: tuple[int, ...], *, changes: bool
) -> dict[Reply, Worlds]:
    """Return by reply what the worlds are after a call, with at most so many moves in all."""
    found: dict[Reply, Worlds] = {}
    for world, moves in worlds.items():
        called = tuple(world[place] for place in positions)
        for reply, after, more in answers(called, most - moves, moved, changes=changes):
            now = list(world)
            for place, contact in zip(positions, after, strict=True):
                now[place] = contact
            group = found.setdefault(reply, {})
            key = tuple(now)
            group[key] = min(moves + more, group.get(key, most))
    return found


def is_untrue(contact: Contact, outcome: int, probed: bool) -> bool:
    """Whether an outcome is another than what README says that it means."""
    if outcome == Outcome.APPLIED:
        skipped = contact.outcome in (Outcome.CROSS_ORG, Outcome.TEAM_MISMATCH)
        return not contact.attached or (probed and skipped)
    changed = outcome > Outcome.APPLIED and contact.attached and not contact.before
    return changed or (outcome == Outcome.NOT_COUNTED and contact.before)


@dataclass(frozen=True)
class _Place:
    """Where a sequence of replies has led: the round being asked, and all worlds that fit."""

    attribution: bytes
    asked: list[Positions]
    replies: list[Counts]
    left: int | None
    worlds: Worlds
    still: tuple[Worlds, Worlds]  # by whether changes are counted
    trace: tuple[tuple[tuple[int, ...], Reply], ...] = ()


@dataclass
class ReplyTree:
    """Follows every sequence of replies to runs of one size.

    Attributes
    ----------
    contacts, batch_size
        Of the run.
    sort
        A key of `SORTS`.
    moves
        At most so many contacts move.
    cap
        At most so many probes are asked; None for no cap.
    stops
        Whether a run is also judged as if it were stopped after any round.
    few
        So many contacts are asked about one by one; 0 leads to the search of larger worlds.
    sequences : int
        Sequences of replies that were followed to the end.
    untrue : list
        Replies, a world and outcomes, where something untrue is said and no still world gives the
        replies.
    """

    contacts: int
    batch_size: int
    sort: str
    moves: int = 2
    cap: int | None = None
    stops: bool = False
    few: int = 6
    sequences: int = 0
    untrue: list[tuple[object, ...]] = field(default_factory=list)

    def follow(self) -> Iterator[None]:
        """Follow all; yields now and then, so that who counts the time can end it."""
        changes, states, moved = SORTS[self.sort]
        attribution = Attribution(self.contacts, probe_size=self.batch_size, few=self.few)
        batches = cut_batches(self.contacts, self.batch_size)
        worlds = still(states, self.contacts)
        motionless = still(ALL, self.contacts), still((LABELED, *ALL), self.contacts)
        open_ = [
            _Place(pickle.dumps(attribution), batches, [], self.cap, worlds, motionless),
        ]
        while open_:
            place = open_.pop()
            if len(place.replies) == len(place.asked):
                asked = self._told(place)
                if asked is None:
                    yield
                    continue
                place = asked
            open_ += self._branches(place, moved, changes=changes)

    def _branches(
        self, place: _Place, moved: tuple[int, ...], *, changes: bool
    ) -> Iterator[_Place]:
        held = tuple(place.asked[len(place.replies)].tolist())
        groups = after_call(place.worlds, held, self.moves, moved, changes=changes)
        motionless = [
            after_call(worlds, held, 0, (), changes=bool(counted))
            for counted, worlds in enumerate(place.still)
        ]
        for reply, worlds in groups.items():
            fitting = motionless[0].get(reply, {}), motionless[1].get(reply, {})
            trace = (*place.trace, (held, reply))
            replies = [*place.replies, Counts(*reply)]
            yield _Place(
                place.attribution, place.asked, replies, place.left, worlds, fitting, trace
            )

    def _told(self, place: _Place) -> _Place | None:
        """Hand over a round; return the place with the next one, None at the end."""
        attribution: Attribution = pickle.loads(place.attribution)
        if len(place.trace) == len(place.asked):  # the batches
            for batch, reply in zip(place.asked, place.replies, strict=True):
                attribution.add_batch(batch, reply)
        else:
            attribution.tell(place.replies)
        if self.stops:
            self._judge(attribution, place)
        asked = attribution.next_round(place.left)
        if not asked:
            self.sequences += 1
            self._judge(attribution, place)
            return None
        left = None if place.left is None else place.left - len(asked)
        kept = pickle.dumps(attribution)
        return _Place(kept, asked, [], left, place.worlds, place.still, place.trace)

    def _judge(self, attribution: Attribution, place: _Place) -> None:
        if any(place.still):
            return
        probed = attribution.probed.tolist()
        # What is reported is what was found, less what is not certain: look there first.
        if not _untrue_in(place.worlds, attribution.outcomes.tolist(), probed):
            return
        outcomes = attribution.confirmed().tolist()
        if found := _untrue_in(place.worlds, outcomes, probed):
            self.untrue.append((place.trace, found, outcomes))


def _untrue_in(worlds: Worlds, outcomes: Sequence[int], probed: Sequence[bool]) -> World | None:
    """Return a world in which something untrue is said, if there is one."""
    said = [place for place, outcome in enumerate(outcomes) if outcome]
    for world in worlds:
        if any(is_untrue(world[place], outcomes[place], probed[place]) for place in said):
            return world
    return None
