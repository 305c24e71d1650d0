"""What the counters of a reply mean, which differs between services and is found out on the way.

`applied` may count contacts that pass, or only those that had no label yet; and contacts that
the service does not know may be counted as cross-org, or nowhere. Only the two skip counters
say the same everywhere. So a *remainder* of a first reply, contacts that no counter counts, had
the label already (`applied` counts changes) or were skipped (`applied` counts contacts).

`Counters` reads replies by what seems likely so far. Only `Resends` prove it, for contacts that
move, are deleted or lose the label in the middle of the run can make either look like the other.
"""

from __future__ import annotations

from collections.abc import Sequence, Sized
from dataclasses import dataclass
from operator import attrgetter

from kirim_pandas.grouptesting.outcomes import Counts, Positions

_TELLING = 20
"""Contacts that pass. If none of so many is counted again, `applied` counts changes: that all of
them were deleted in the meantime, while no other contact moved, is not taken for possible."""

_MOVERS = 2
"""So many contacts that begin to pass may be counted again although `applied` counts changes."""

_MAX_RESENDS = 6
"""Two or three resends prove it while nothing moves; in a run where each of more finds another
change, nothing can be proven."""


@dataclass(slots=True, eq=False)
class Batch:
    """A call of the apply phase and its reply.

    Attributes
    ----------
    remainder
        Contacts that no counter counts.
    sound
        Whether the counts make sense.
    """

    positions: Positions
    reply: Counts

    def __len__(self) -> int:
        return len(self.positions)

    @property
    def remainder(self) -> int:
        """Number of contacts that no counter counts."""
        reply = self.reply
        return len(self.positions) - reply.applied - reply.cross_org - reply.team_mismatch

    @property
    def sound(self) -> bool:
        """Whether the counts make sense."""
        reply = self.reply
        return min(reply.applied, reply.cross_org, reply.team_mismatch, self.remainder) >= 0


class Counters:
    """Reads replies as counts of three kinds of skip: cross org, team mismatch, not counted.

    Attributes
    ----------
    changes
        Whether `applied` seems to count changes rather than contacts; None while nothing tells.
    proven
        Whether that is certain enough to name contacts by it.
    """

    def __init__(self) -> None:
        self.changes: bool | None = None
        self.proven = False
        self._counted_again = 0
        self._resend_counted = False

    def prove(self, changes: bool) -> None:
        """Take a proof of what `applied` counts."""
        self.changes, self.proven = changes, True

    def read(
        self, calls: Sequence[Sized], replies: Sequence[Counts | None]
    ) -> list[tuple[int, ...] | None]:
        """Return a triple for each call, None where a reply is missing or makes no sense."""
        return [
            None
            if reply is None
            else triple_of(len(call), reply, changes=self.changes is not False)
            for call, reply in zip(calls, replies, strict=True)
        ]

    def notice(self, probes: Sequence[Sized], replies: Sequence[Counts | None]) -> bool:
        """Learn from any probes, whose contacts have the label already unless they are skipped.

        Returns
        -------
        bool
            Whether replies are read otherwise from now on: where `applied` counts contacts, one
            that disappears (it was deleted, and the service counts unknown ids nowhere) is
            missing in it.
        """
        pairs = zip(probes, replies, strict=True)
        known = [(len(probe), reply) for probe, reply in pairs if reply is not None]
        passing = sum(size - reply.cross_org - reply.team_mismatch for size, reply in known)
        applied = sum(reply.applied for _, reply in known)
        self._counted_again += applied
        if self.proven:
            self.proven = not (self.changes and applied)
        if self.proven or self.changes is not None:
            return False
        self.changes = _counts_changes(applied, passing)
        return self.changes is False

    def notice_resend(self, reply: Counts | None) -> None:
        """Learn from a batch that was sent again; what it proves is for `Resends` to say."""
        self._resend_counted |= bool(reply and reply.applied)

    def readings(self) -> list[bool]:
        """Return what `applied` may count, changes or not, by the replies so far."""
        if self.proven or self.changes or self._counted_again > _MOVERS:
            return [bool(self.changes)]
        return [False, True] if self._counted_again or self._resend_counted else [True]


class Resends:
    """Sends batches again to prove what `applied` counts.

    `applied` counts *contacts* if two resends of a batch in a row agree on a number above zero:
    the first of them has labeled whoever passes, so a count of changes would be zero in the
    second. It counts *changes* if a resend counts nobody, though enough contacts were counted
    the first time and the skips are the same; a second batch, where there is one, must agree.

    Attributes
    ----------
    over
        Whether there is nothing more to ask.
    changes
        What was proven; None for nothing.
    """

    def __init__(self) -> None:
        self.over = False
        self.changes: bool | None = None
        self._batch: Batch | None = None
        self._before: Counts | None = None
        self._tried: list[Batch] = []
        self._uncounted_again: list[int] = []
        self._asked = 0

    def probe(self, batches: Sequence[Batch]) -> Positions | None:
        """Return the contacts of the batch to send again; None when it is over."""
        if self._batch is None and not self.over:
            self._choose([b for b in batches if b.sound and b.reply.applied])
        return self._batch.positions if self._batch else None

    def _choose(self, batches: Sequence[Batch]) -> None:
        left = [batch for batch in batches if batch not in self._tried]
        if left:
            self._batch = max(left, key=attrgetter("reply.applied"))
            self._tried.append(self._batch)
        else:
            self._end(changes=True)

    def tell(self, reply: Counts | None) -> None:
        """Take the reply; None where there is no usable one."""
        batch, before = self._batch, self._before
        if batch is None:
            raise RuntimeError("nothing was sent again")
        self._asked += 1
        self._batch = self._before = None
        if reply is not None and reply.applied:
            self._tell_counted(batch, before, reply)
        elif reply is not None:
            self._tell_uncounted(batch, before, reply)
        if self._asked >= _MAX_RESENDS and not self.over:
            self._end()

    def _tell_counted(self, batch: Batch, before: Counts | None, reply: Counts) -> None:
        if reply == before:
            self._end(changes=False)
        elif self._uncounted_again:
            self._end()
        else:
            self._batch, self._before = batch, reply

    def _tell_uncounted(self, batch: Batch, before: Counts | None, reply: Counts) -> None:
        if before is not None or _skips(reply) != _skips(batch.reply):
            self._end()
            return
        self._uncounted_again.append(batch.reply.applied)
        if len(self._uncounted_again) == 2:
            self._end(changes=True)

    def _end(self, changes: bool | None = None) -> None:
        self.over, self._batch = True, None
        if not changes or sum(self._uncounted_again) >= _TELLING:
            self.changes = changes


def _counts_changes(applied: int, passing: int) -> bool | None:
    """Tell it by probes in which so many passed who have the label; None where nothing tells."""
    if 2 * applied > passing:
        return False
    return True if passing >= _TELLING and 10 * applied < passing else None


def _skips(reply: Counts) -> tuple[int, int]:
    return reply.cross_org, reply.team_mismatch


def triple_of(size: int, reply: Counts, *, changes: bool) -> tuple[int, ...] | None:
    """Return the counts of the three kinds of skip; None for counts that make no sense."""
    skips = (reply.cross_org, reply.team_mismatch)
    triple = (*skips, 0 if changes else size - reply.applied - sum(skips))
    return triple if min(triple) >= 0 and sum(triple) <= size else None
