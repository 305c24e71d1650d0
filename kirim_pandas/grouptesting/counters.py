"""What the counters of a reply mean, which differs between services and is learnt on the way.

`applied` may count contacts that pass, or only those that had no label yet; and contacts that
the service does not know may be counted as skipped, or nowhere. Only the two skip counters say
the same everywhere. Where a first reply leaves a remainder, one batch sent again tells: if
`applied` shrinks, it counts changes; if not, the remainder is a kind of skip of its own.
"""

from __future__ import annotations

from collections.abc import Sequence

from kirim_pandas.grouptesting.outcomes import Counts, Positions

__all__ = ["Counters"]


_TELLING = 20
"""So many contacts that pass and are counted nowhere are not all deleted ones."""


class Counters:
    """Reads replies as counts of three kinds of skip: cross org, team mismatch, not counted.

    Parameters
    ----------
    changes
        Whether `applied` counts changes rather than contacts; None where it is not known.
    """

    def __init__(self, changes: bool | None) -> None:
        self.changes = changes

    def read(
        self, probes: Sequence[Positions], replies: Sequence[Counts | None]
    ) -> list[tuple[int, ...] | None]:
        """Return a triple for each probe, None where a reply is missing or makes no sense."""
        return [
            None if reply is None else self._read(len(probe), reply)
            for probe, reply in zip(probes, replies, strict=True)
        ]

    def learn(self, first_applied: int, reply: Counts) -> None:
        """Learn from a batch that is sent a second time."""
        # One contact that moved in meanwhile is a change too, so 0 is not asked for.
        self.changes = 2 * reply.applied < first_applied

    def notice(self, probes: Sequence[Positions], replies: Sequence[Counts | None]) -> None:
        """Learn from any probes, whose contacts have the label already unless they are skipped.

        Where `applied` counts contacts, one that disappears (it was deleted, and the service
        counts unknown ids nowhere) is missing in it from now on.
        """
        pairs = zip(probes, replies, strict=True)
        known = [(len(probe), reply) for probe, reply in pairs if reply is not None]
        passing = sum(size - reply.cross_org - reply.team_mismatch for size, reply in known)
        applied = sum(reply.applied for _, reply in known)
        if self.changes is None and 2 * applied > passing:
            self.changes = False
        elif self.changes is None and passing >= _TELLING and 10 * applied < passing:
            self.changes = True

    def _read(self, size: int, reply: Counts) -> tuple[int, ...] | None:
        skips = (reply.cross_org, reply.team_mismatch)
        uncounted = size - reply.applied - sum(skips) if self.changes is False else 0
        triple = (*skips, uncounted)
        return triple if min(triple) >= 0 and sum(triple) <= size else None
