"""A pool of calls in virtual time: the project's own pacing, a service's bucket, and a latency."""

from __future__ import annotations

import heapq
import itertools
import math
from collections import deque
from collections.abc import Callable

import numpy as np

from kirim_pandas.api.pacing import Pacer, RateHeaders
from kirim_pandas.grouptesting.outcomes import Counts
from kirim_pandas.run.calls import Call, Reply
from kirim_pandas.run.pool import Done
from kirim_pandas.sandbox.limits import Bucket

__all__ = ["VirtualPool"]


class VirtualPool:
    """Answers from an array of outcomes after `latency_seconds`; no time passes but in `take`.

    Parameters
    ----------
    truth
        The outcome of each contact.
    per_minute
        The service's limit; its bucket begins full.
    latency_seconds
        From the leaving of a call to its reply.
    share
        The part of the bucket that is used.
    most
        Given the pacer and the time, tells how many calls may be under way.

    Attributes
    ----------
    now : float
        Seconds since the beginning.
    calls, refused : int
        Calls that left, and those the bucket had no token for.
    idle_seconds : float
        For how long a call could have left and there was none: the run waited for replies.
    """

    def __init__(
        self,
        truth: np.ndarray,
        *,
        per_minute: int,
        latency_seconds: float,
        share: float = 0.9,
        most: Callable[[Pacer, float], int] = lambda pacer, now: 8,
    ) -> None:
        self.now = self.idle_seconds = 0.0
        self.in_flight = self.calls = self.refused = 0
        self.pacer = Pacer(60)
        self._truth, self._latency, self._share = truth, latency_seconds, share
        self._most = most
        self._bucket = Bucket(per_minute, 0)
        self._waiting: deque[Call] = deque()
        self._coming: list[tuple[float, int, object]] = []
        self._order = itertools.count()

    def room(self, limit: int | None = None) -> int:
        """Return how many more calls may be submitted."""
        most = self._most(self.pacer, self.now)
        return max(0, min(most, limit or most) - self.in_flight)

    def submit(self, call: Call) -> None:
        """Put a call in line for a token."""
        self.in_flight += 1
        self._waiting.append(call)

    def take(self, timeout_seconds: float) -> Done | None:
        """Let calls leave, and time pass, until a reply comes; with a timeout of 0 no time."""
        until = math.inf if timeout_seconds else self.now
        while self.in_flight:
            wait = self._leave()
            next_reply = self._coming[0][0] if self._coming else math.inf
            then = min(next_reply, self.now + wait)
            if then > until:
                return None
            if not self._waiting and self.pacer.wait_seconds(self.now, share=self._share) <= 0.0:
                self.idle_seconds += then - self.now
            self.now = then
            if then == next_reply and (done := self._arrive()) is not None:
                return done
        return None

    def stop(self) -> None:
        """Nothing is to be ended."""

    close = stop

    def _leave(self) -> float:
        """Let calls leave that have a token; return the seconds until the next may."""
        while self._waiting:
            wait = self.pacer.wait_seconds(self.now, share=self._share)
            if wait > 0.0:
                return wait
            call, ticket = self._waiting.popleft(), self.pacer.start(self.now)
            self.calls += 1
            now_ns = round((self.now + self._latency / 2) * 1e9)
            taken = self._bucket.take(now_ns)
            headers = RateHeaders(self._bucket.per_minute, self._bucket.remaining(now_ns))
            event = (self.now + self._latency, next(self._order), (call, ticket, taken, headers))
            heapq.heappush(self._coming, event)
        return math.inf

    def _arrive(self) -> Done | None:
        """Take the next reply; a call that was refused waits again."""
        call, ticket, taken, headers = heapq.heappop(self._coming)[2]
        if not taken:
            self.refused += 1
            self.pacer.hold(self.now, 60.0 / self._bucket.per_minute)
        self.pacer.finish(ticket, self.now, headers)
        if not taken:
            self._waiting.appendleft(call)
            return None
        self.in_flight -= 1
        tally = np.bincount(self._truth[call.positions], minlength=4)[1:]
        return Done(call, Reply(Counts(*tally.tolist()), f"req_{self.calls}_{call.key}"), None)
