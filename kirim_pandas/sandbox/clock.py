"""The sandbox's clock: real time plus what a test has moved it by."""

from __future__ import annotations

import time

from kirim_pandas.sandbox.switches import check, is_number


class Clock:
    """Time as the sandbox sees it: for buckets, the 24 hours of a key, and dates.

    Parameters
    ----------
    skew_seconds
        How far the service's calendar clock is off; shows in ``Date`` and
        ``X-RateLimit-Reset`` only, as a wrongly set clock would.
    """

    def __init__(self, *, skew_seconds: float = 0.0) -> None:
        self._skew_seconds = skew_seconds
        self._moved_ns = 0

    def monotonic_ns(self) -> int:
        """Nanoseconds from an arbitrary start; never goes back."""
        return time.monotonic_ns() + self._moved_ns

    def unix_seconds(self) -> float:
        """Calendar time, in seconds since 1970."""
        return time.time() + self._moved_ns / 1e9 + self._skew_seconds

    def advance(self, seconds: float) -> None:
        """Move the clock forward.

        Parameters
        ----------
        seconds
            How far; not negative.
        """
        forward = "0 or more: a clock only goes forward"
        check({"seconds": (seconds, lambda value: is_number(value, 0, 1e9), forward)})
        self._moved_ns += round(float(seconds) * 1e9)
