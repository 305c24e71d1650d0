"""A token bucket that counts exactly: integers of nanoseconds, no floats, no drift."""

from __future__ import annotations

__all__ = ["Bucket"]

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
