"""Rate limits: one bucket an organisation and class of request, and the headers about it."""

from __future__ import annotations

import threading
from typing import Literal

from kirim_pandas.sandbox.clock import Clock
from kirim_pandas.sandbox.messages import Refusal
from kirim_pandas.sandbox.switches import check, is_number

Kind = Literal["reads", "writes"]

PLANS = {(60, 600): "free", (600, 6000): "pro"}
"""Writes and reads a minute (Kirim API docs, Rate limits)."""


NANOSECONDS_PER_MINUTE = 60 * 10**9

TOKEN = NANOSECONDS_PER_MINUTE
"""Parts in a token: a rate of one a minute adds one part each nanosecond."""


class Bucket:
    """One class of requests of one organisation.

    The bucket starts full, holds `per_minute` tokens and fills at that rate.

    Parameters
    ----------
    per_minute
        Size and rate.
    now_ns
        Monotonic time of birth, in nanoseconds.
    others_per_minute
        How many tokens another client of the same organisation tries to take, evenly spaced.
    """

    def __init__(self, per_minute: int, now_ns: int, *, others_per_minute: float = 0.0) -> None:
        self.per_minute = per_minute
        self._level = per_minute * TOKEN
        self._at_ns = now_ns
        self._others_gap_ns = (
            round(NANOSECONDS_PER_MINUTE / others_per_minute) if others_per_minute > 0 else 0
        )
        self._others_next_ns = now_ns + self._others_gap_ns

    def take(self, now_ns: int, *, refusal_costs: bool = False) -> bool:
        """Take a token if a whole one is there; a refusal may cost what is left."""
        self._advance(now_ns)
        if self._level >= TOKEN:
            self._level -= TOKEN
            return True
        if refusal_costs:
            self._level = 0
        return False

    def remaining(self, now_ns: int) -> int:
        """Count the whole tokens."""
        self._advance(now_ns)
        return self._level // TOKEN

    def nanoseconds_to_token(self, now_ns: int) -> int:
        """Time until one token is there, if nobody takes any."""
        self._advance(now_ns)
        return self._nanoseconds_to(TOKEN)

    def nanoseconds_to_full(self, now_ns: int) -> int:
        """Time until the bucket is full again, if nobody takes any."""
        self._advance(now_ns)
        return self._nanoseconds_to(self.per_minute * TOKEN)

    def set_rate(self, per_minute: int, now_ns: int) -> None:
        """Change size and rate, as a change of plan does; surplus tokens are lost."""
        self._advance(now_ns)
        self.per_minute = per_minute
        self._level = min(self._level, per_minute * TOKEN)

    def _nanoseconds_to(self, level: int) -> int:
        return max(0, -(-(level - self._level) // self.per_minute))

    def _advance(self, now_ns: int) -> None:
        if self._others_gap_ns:
            while self._others_next_ns <= now_ns:
                self._fill(self._others_next_ns)
                if self._level >= TOKEN:
                    self._level -= TOKEN
                self._others_next_ns += self._others_gap_ns
        self._fill(now_ns)

    def _fill(self, now_ns: int) -> None:
        # max: two threads may read the clock in one order and arrive in the other.
        elapsed_ns = max(0, now_ns - self._at_ns)
        self._level = min(self.per_minute * TOKEN, self._level + elapsed_ns * self.per_minute)
        self._at_ns = max(self._at_ns, now_ns)


class Limits:
    """The buckets of all organisations.

    Parameters
    ----------
    clock
        The sandbox's clock.
    write_per_minute, read_per_minute
        Sizes and rates of the buckets.
    others_per_minute
        Writes that another client of the same organisation tries.
    refusal_costs
        Whether a 429 costs what is left of a token.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        write_per_minute: int,
        read_per_minute: int,
        others_per_minute: float = 0.0,
        refusal_costs: bool = False,
    ) -> None:
        _check(write_per_minute)
        _check(read_per_minute)
        self._clock = clock
        self._per_minute: dict[Kind, int] = {"writes": write_per_minute, "reads": read_per_minute}
        self._others_per_minute = others_per_minute
        self._refusal_costs = refusal_costs
        self._buckets: dict[tuple[str, Kind], Bucket] = {}
        self._lock = threading.Lock()

    def about(self) -> dict[str, str | int]:
        """Describe the limits as ``GET /me`` does."""
        write, read = self._per_minute["writes"], self._per_minute["reads"]
        tier = PLANS.get((write, read), "enterprise")
        return {"tier": tier, "write_per_minute": write, "read_per_minute": read}

    def spend(self, organization: str, kind: Kind) -> None:
        """Take a token, or raise the 429."""
        with self._lock:
            now_ns = self._clock.monotonic_ns()
            bucket = self._bucket(organization, kind, now_ns)
            if bucket.take(now_ns, refusal_costs=self._refusal_costs):
                return
        raise Refusal(429, "rate_limit_exceeded", "Too many requests; see Retry-After.")

    def headers(self, organization: str, kind: Kind, *, refused: bool) -> dict[str, str]:
        """Write the ``X-RateLimit`` headers, and ``Retry-After`` for a 429."""
        with self._lock:
            now_ns = self._clock.monotonic_ns()
            bucket = self._bucket(organization, kind, now_ns)
            full_at = self._clock.unix_seconds() + bucket.nanoseconds_to_full(now_ns) / 1e9
            headers = {
                "X-RateLimit-Limit": str(bucket.per_minute),
                "X-RateLimit-Remaining": str(bucket.remaining(now_ns)),
                "X-RateLimit-Reset": str(-int(-full_at // 1)),
            }
            if refused:
                # Whole seconds, rounded up: who waits that long finds a token.
                wait_ns = bucket.nanoseconds_to_token(now_ns)
                headers["Retry-After"] = str(max(1, -(-wait_ns // 10**9)))
        return headers

    def set_per_minute(self, kind: Kind, per_minute: int) -> None:
        """Change a limit for everyone, as a change of plan does."""
        _check(per_minute)
        with self._lock:
            self._per_minute[kind] = per_minute
            for (_, bucket_kind), bucket in self._buckets.items():
                if bucket_kind == kind:
                    bucket.set_rate(per_minute, self._clock.monotonic_ns())

    def _bucket(self, organization: str, kind: Kind, now_ns: int) -> Bucket:
        if (organization, kind) not in self._buckets:
            others = self._others_per_minute if kind == "writes" else 0.0
            self._buckets[organization, kind] = Bucket(
                self._per_minute[kind], now_ns, others_per_minute=others
            )
        return self._buckets[organization, kind]


def _check(per_minute: int) -> None:
    check({"limit": (per_minute, lambda value: is_number(value, 1), "at least 1 a minute")})
