"""A picture of the service's token bucket, learnt from its headers. No clock, no I/O.

The service's documentation says: each organisation has one bucket for writes and one for
reads; a request takes a token; tokens come back at ``limit`` a minute up to ``limit``.
Replies tell the limit and the *whole* tokens that remained when the request was counted.

The picture counts each of our requests from the moment it leaves, so it is never above the
bucket as long as nobody else uses it, and it keeps the fractions that the headers drop. Each
reply then corrects it: not below what is surely there, not above what can be there at most.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

DOCUMENTED_WRITES_PER_MINUTE = 60
DOCUMENTED_READS_PER_MINUTE = 600
"""The free plan's limits: assumed until the service tells."""

STALE_SECONDS = 30.0
"""After so long without a reply others may have emptied the bucket: one request goes first."""

LOST_SECONDS = 300.0
"""A request not heard of for so long is not in flight any more, whatever became of it."""

SLOWED_BY = ((3, 0.5), (10, 0.7), (math.inf, 0.98))
"""By how many replies came since the last time: what the pace is multiplied by when something on
the way takes fewer requests than the service's headers say. Far from what fits it is halved."""
HELD = 10
SLOWED_NEAR = ((3, 0.97), (math.inf, 0.98))
"""Once so many replies came at a pace, it is near: a little less is enough, for on a busy machine
two requests now and then come too close to each other at any pace. Measured: see test_pacing.py."""
NEAR_AFTER_ALL = 3
"""So often in a row a pace near the last one may not hold, before it is sought afresh."""
FASTEST_PER_SECOND = 100.0
"""Where lowering begins at most: no plan that is documented lets more through."""
FAR_BELOW, FAST_GROWTH = 0.9, 1.02
"""Below so much of the pace that was too fast, each reply makes it so much faster."""
SLOW_GROWTH = 1e-5
"""Near it, the n-th reply since makes it faster by n times this: a fiftieth after 63 replies,
and twice as fast after 370, since who is in the way may be gone."""

MOST_REFUSED_IN_A_ROW = 16
"""And twice those in flight: if no reply comes between so many, it is not the pace."""

_WHOLE = re.compile(r"[0-9]{1,9}")


@dataclass(frozen=True, slots=True)
class RateHeaders:
    """What a reply told of the bucket; None where a header is absent or makes no sense."""

    limit_per_minute: int | None = None
    remaining: int | None = None


def read_rate_headers(headers: Mapping[str, str]) -> RateHeaders:
    """Read ``x-ratelimit-limit`` and ``-remaining``; nonsense is dropped one by one.

    ``x-ratelimit-reset`` is not read: it tells when the bucket is full, which nobody needs.
    """
    limit, remaining = (
        int(text) if _WHOLE.fullmatch(text) else None
        for text in (
            headers.get("x-ratelimit-limit", "").strip(),
            headers.get("x-ratelimit-remaining", "").strip(),
        )
    )
    limit = limit or None
    if limit is not None and remaining is not None and remaining > limit:
        remaining = None
    return RateHeaders(limit, remaining)


@dataclass(frozen=True, slots=True)
class Ticket:
    """One request in flight: when it left, and what had been started and ended before."""

    number: int
    started_at: float
    ended_before: int


ASSUMED_LATENCY_SECONDS = 0.3
"""Until the first reply has come."""

LATENCY_WEIGHT = 0.2
"""How much the last reply counts in the latency: five replies make a new mean."""


class Pacer:
    """One bucket as the client sees it.

    Not thread-safe and without a clock: the caller holds a lock and passes `now`, seconds of
    a clock that never goes back.

    Parameters
    ----------
    limit_per_minute
        Assumed until a reply tells another.
    """

    def __init__(self, limit_per_minute: int) -> None:
        self.limit_per_minute = limit_per_minute
        self.limit_is_known = False
        self._tokens = 1.0  # the first request goes alone: it brings the headers
        self._counted_at: float | None = None
        self._remaining_is_known = False
        self._alone = True
        self._heard_at = -math.inf
        self._held_until = -math.inf
        self._started = 0
        self._in_flight: dict[int, Ticket] = {}
        self._most_in_flight = 0  # since the last reply that came through
        self._pace: float | None = None  # requests a second; None: only the bucket counts
        self._too_fast = math.inf
        self._near = 0  # as often a pace near this one may not hold
        self._next_at = -math.inf
        self._replies_since_slowed = 0
        self._slowed_at = -math.inf
        self._refused_in_a_row = 0
        self._latency_seconds: float | None = None

    def pace(self, now: float, *, share: float) -> tuple[float, float, float]:
        """Return requests a second, the seconds until a reply, and how many may leave at once."""
        self._count(now)
        latency = self._latency_seconds
        per_second = min(self._per_second, self._pace or math.inf)
        tokens = 0.0 if self._alone or self._pace else self._tokens - self._reserve(share)
        seconds = ASSUMED_LATENCY_SECONDS if latency is None else latency
        return per_second, seconds, max(0.0, tokens)

    def is_held(self, now: float) -> bool:
        """Whether a 429 is why nothing may leave now."""
        return now < self._held_until

    def wait_seconds(self, now: float, *, share: float) -> float:
        """Tell how long to wait before the next request may leave.

        Parameters
        ----------
        now
            Seconds.
        share
            Part of the bucket to use; the rest is left to the organisation's other users.

        Returns
        -------
        float
            Seconds; 0 to go now, infinite to wait for a reply to what is in flight.
        """
        self._count(now)
        if self.is_held(now):
            return self._held_until - now
        if self._in_flight and (self._alone or now - self._heard_at > STALE_SECONDS):
            return math.inf
        missing = 1.0 + self._reserve(share) - self._tokens
        # a billionth of a token is the rounding of floats, not a reason to wait
        seconds = missing / self._per_second if missing > 1e-9 else 0.0
        return max(seconds, self._next_at - now)

    def start(self, now: float) -> Ticket:
        """Count a request that leaves now."""
        self._count(now)
        self._tokens -= 1.0
        if self._pace is not None:
            self._next_at = now + 1.0 / self._pace
        ended = self._started - len(self._in_flight)
        self._started += 1
        ticket = Ticket(self._started, now, ended)
        self._in_flight[ticket.number] = ticket
        self._most_in_flight = max(self._most_in_flight, len(self._in_flight))
        return ticket

    def finish(self, ticket: Ticket, now: float, headers: RateHeaders | None) -> None:
        """Count a request that ended; `headers` is None where no reply came."""
        self._count(now)
        self._in_flight.pop(ticket.number, None)
        if headers is None:
            return
        self._heard_at = now
        took = now - ticket.started_at
        had = took if self._latency_seconds is None else self._latency_seconds
        self._latency_seconds = had + LATENCY_WEIGHT * (took - had)
        if not self.is_held(now):
            self._alone = False
        if headers.limit_per_minute is not None:
            self.set_limit(headers.limit_per_minute)
        remaining = headers.remaining
        if remaining is None or remaining > self.limit_per_minute:
            return
        # Some of our other requests may have been counted after this one, or not yet: all but
        # those that had ended before it started. Between least and most lies the truth.
        unseen = self._started - 1 - ticket.ended_before
        least = remaining - unseen
        most = remaining + 1 + (now - ticket.started_at) * self._per_second
        if self._remaining_is_known:
            self._tokens = min(max(self._tokens, least), most)
        else:  # so far all was assumed: begin with what is surely there
            self._tokens = float(least)
        self._remaining_is_known = True

    def forget_in_flight(self) -> None:
        """Wait no more for replies: whoever sent what is in flight has left."""
        self._in_flight.clear()

    def hold(self, now: float, seconds: float) -> None:
        """Send nothing for `seconds`, then one request alone: the service answered 429.

        Called before :meth:`finish`, so that no other request slips in between.
        """
        self._alone = True
        self._held_until = max(self._held_until, now + seconds)

    def slow_down(self, ticket: Ticket, now: float) -> float | None:
        """Lower the pace: something on the way refused a request that the bucket had a token for.

        Called before :meth:`finish`.

        Returns
        -------
        float or None
            Seconds between two requests from now on. None where it cannot be the pace, since
            nothing comes through any more.
        """
        self._refused_in_a_row += 1
        if self._refused_in_a_row > max(MOST_REFUSED_IN_A_ROW, 2 * self._most_in_flight):
            return None
        # Who left before the pace was lowered, or before a reply since, tells nothing new of it.
        if ticket.started_at > self._slowed_at and self._replies_since_slowed:
            self._too_fast = min(self._pace or FASTEST_PER_SECOND, self._per_second)
            self._pace = self._slower() * self._too_fast
            self._slowed_at, self._replies_since_slowed = now, 0
        return None if self._pace is None else 1.0 / self._pace

    def _slower(self) -> float:
        """Return what to multiply the pace by."""
        replies = self._replies_since_slowed
        if replies >= HELD:
            self._near = NEAR_AFTER_ALL
        elif replies < SLOWED_NEAR[0][0]:
            self._near = max(0, self._near - 1)
        factors = SLOWED_NEAR if self._near else SLOWED_BY
        return next(factor for most, factor in factors if replies < most)

    def speed_up(self) -> None:
        """Count a reply that came through."""
        self._replies_since_slowed += 1
        self._refused_in_a_row = 0
        self._most_in_flight = len(self._in_flight)
        if self._pace is None:
            return
        if self._pace < FAR_BELOW * self._too_fast:
            self._pace *= FAST_GROWTH
        else:
            self._pace *= 1.0 + SLOW_GROWTH * self._replies_since_slowed
        if self._pace >= self._per_second:
            self._pace = None

    def seconds_to_token(self, now: float) -> float:
        """Tell when the bucket should hold one token again, without any reserve."""
        self._count(now)
        return max(0.0, (1.0 - self._tokens) / self._per_second)

    def set_limit(self, limit_per_minute: int) -> None:
        """Take over the limit that the service told; plans may change in the middle."""
        self.limit_per_minute = limit_per_minute
        self.limit_is_known = True

    @property
    def _per_second(self) -> float:
        return self.limit_per_minute / 60.0

    def _reserve(self, share: float) -> float:
        # A bucket of very few tokens must still let one through.
        if not self._remaining_is_known:
            return 0.0
        return min((1.0 - share) * self.limit_per_minute, self.limit_per_minute - 1.0)

    def _count(self, now: float) -> None:
        """Bring the picture to `now`."""
        last = now if self._counted_at is None else self._counted_at
        self._counted_at = max(now, last)
        lost = [t.number for t in self._in_flight.values() if now - t.started_at > LOST_SECONDS]
        for number in lost:
            del self._in_flight[number]
        # A request in flight may still find the bucket full, so its token is not refilled.
        most = self.limit_per_minute - len(self._in_flight)
        refilled = self._tokens + max(0.0, now - last) * self._per_second
        self._tokens = min(refilled, max(self._tokens, most))
