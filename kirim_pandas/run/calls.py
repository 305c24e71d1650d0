"""A call of a run: what is sent, what came back, and what the journal remembers of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, TypeAlias

from kirim_pandas.grouptesting.outcomes import Counts, Positions

Phase: TypeAlias = Literal["apply", "resolve"]
CallState: TypeAlias = Literal["sent", "stale", "answered", "refused", "unsent"]
"""``sent``: it may have been carried out, and its key brings the first reply.  ``stale``: so it
may, but the service has forgotten the key by now."""

UNPLANNED = -1
"""The number of a call that may still be left out."""


@dataclass(frozen=True, slots=True, eq=False)
class Call:
    """One request, with the key under which every try of it is sent.

    Attributes
    ----------
    number : int
        From 0, in the order of planning, unique within the run.
    phase : {"apply", "resolve"}
        ``apply`` sends batches, ``resolve`` sends probes.
    positions : int64 array, shape (k,), 1 <= k <= 1000
        The contacts, in the order in which they are sent.
    key : str
        The idempotency key.
    batch : int
        The batch, for calls of the apply phase; -1 otherwise.
    round, slot : int
        The round of probes and the place in it; -1 in the apply phase.
    budget : int or None
        How many probes the round's plan was allowed, so that a resumed run plans it again alike.
    planner, planners : int
        Which of how many searches side by side asks; 0 and 1 where there is one search alone.
    """

    number: int
    phase: Phase
    positions: Positions
    key: str
    batch: int = -1
    round: int = -1
    slot: int = -1
    budget: int | None = None
    planner: int = 0
    planners: int = 1


@dataclass(frozen=True, slots=True)
class Reply:
    """The service's answer to a call."""

    counts: Counts
    request_id: str | None


@dataclass(frozen=True, slots=True, eq=False)
class PastCall:
    """A call of an earlier session of this run, as the journal remembers it."""

    call: Call
    state: CallState
    reply: Reply | None = None
    code: str | None = None
    request_id: str | None = None

    @property
    def refused_contact(self) -> bool:
        """Whether the service refused the one contact that the call was about."""
        return self.state == "refused" and len(self.call.positions) == 1

    @property
    def tells(self) -> bool:
        """Whether it says what was sent for its contacts, or what the service made of them."""
        return self.reply is not None or self.state == "sent" or self.refused_contact


def counted_in(calls: Iterable[PastCall]) -> tuple[int, int]:
    """Sum up how many contacts the service counted as passing, and as skipped, at the first try."""
    counts = [known.reply.counts for known in calls if known.reply and known.call.phase == "apply"]
    skipped = sum(one.cross_org + one.team_mismatch for one in counts)
    return sum(one.applied for one in counts), skipped
