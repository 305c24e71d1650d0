"""Whether and when a call is tried again. No clock, no I/O; randomness is passed in.

A repeat carries the same idempotency key and the very same bytes, so it is safe where nobody
knows whether the first try arrived. What the service refused for good is never repeated.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

from kirim_pandas.errors import (
    ApiError,
    ConflictError,
    KirimError,
    ProtocolError,
    RateLimitedError,
    TransportError,
)

LIMITED = "rate limit reached (429)"
SLOWED = "something on the way takes fewer requests than the plan has: going slower"

SHORTEST_SECONDS = 0.1
LONGEST_SECONDS = 30.0
FIRST_SECONDS = 0.5
"""Full jitter: between the shortest and min(longest, first * 2^n), as in other clients."""

LONGEST_WITHOUT_RETRY_AFTER_SECONDS = 60.0
IN_PROGRESS_SECONDS = (1.0, 2.0, 4.0, 8.0, 15.0)
IN_PROGRESS_PATIENCE_SECONDS = 300.0
"""The service holds a repeat for 30 s before it says 409; so long a call has never lasted."""

LEAST_RETRY_AFTER_SECONDS = 1.0
"""Less is not asked by a service that counts in seconds, and would let the client spin."""

STORED_FAILURES = 2
"""After so many replays of one failure the key brings nothing else."""


_SECONDS = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?")


class CallStopped(KirimError):  # noqa: N818 - a request of the caller, not an error
    """The caller's stop event ended a call between two tries."""


@dataclass(frozen=True, slots=True)
class Again:
    """Try again after `seconds`; with `everyone`, no other call may leave before."""

    seconds: float
    reason: str
    everyone: bool = False


class Retries:
    """What one call has met so far.

    Parameters
    ----------
    host
        Named in the reasons.
    max_tries
        Most tries, not counting those that met a 429, a 409 in progress, or a host that was
        reached before and cannot be reached now.
    patience_seconds
        Longest time to go on after the first failure.
    limit_seconds
        Longest wait for a rate limit; None: as `patience_seconds`.
    uniform
        ``random.uniform``, or what a test wants.

    Attributes
    ----------
    maybe_applied : bool
        Whether any try may have been carried out.
    """

    def __init__(
        self,
        *,
        host: str,
        max_tries: int,
        patience_seconds: float,
        limit_seconds: float | None = None,
        uniform: Callable[[float, float], float],
    ) -> None:
        self.maybe_applied = False
        self._host = host
        self._max_tries = max_tries
        self._patience_seconds = patience_seconds
        self._limit_seconds = patience_seconds if limit_seconds is None else limit_seconds
        self._uniform = uniform
        self._failing_since: float | None = None
        self._failures = 0
        self._tries = 0
        self._hopeless_tries = 0
        self._replays = 0
        self._limited = 0
        self._limited_seconds = 0.0
        self._in_progress = 0
        self._in_progress_seconds = 0.0

    def after(
        self,
        error: KirimError,
        *,
        now: float,
        was_reached: bool = True,
        token_seconds: float = 0.0,
        pace_seconds: float | None = None,
    ) -> Again | None:
        """Decide what follows a try that ended in `error`.

        Parameters
        ----------
        error
            How the try ended.
        now
            Seconds of a clock that never goes back.
        was_reached
            Whether the host has ever answered this client.
        token_seconds
            When our picture of the bucket holds a token; used where a 429 does not say.
        pace_seconds
            Seconds between two requests, where the pace was lowered for this error: it is the
            pace that mends it, so no try is counted.

        Returns
        -------
        Again or None
            None to give up with `error`.
        """
        self.maybe_applied |= error.maybe_applied
        if self._is_stored(error):
            return None
        if pace_seconds is not None and self._limited_seconds <= self._limit_seconds:
            self._limited_seconds += pace_seconds
            return Again(pace_seconds + self._uniform(0.0, 0.1 * pace_seconds), SLOWED)
        if isinstance(error, RateLimitedError):
            return self._after_limit(error, token_seconds)
        if isinstance(error, ConflictError) and error.code == "idempotency_in_progress":
            return self._after_in_progress()
        if _may_pass(error):
            return self._after_failure(error, now, was_reached=was_reached)
        return None

    def _is_stored(self, error: KirimError) -> bool:
        """Whether the key brings nothing but this error any more."""
        self._replays += isinstance(error, ApiError) and error.replayed
        return self._replays >= STORED_FAILURES

    def _after_limit(self, error: RateLimitedError, token_seconds: float) -> Again | None:
        seconds = error.retry_after_seconds
        if seconds is None:
            seconds = max(1.0, token_seconds) * 2.0**self._limited
            seconds = min(seconds, LONGEST_WITHOUT_RETRY_AFTER_SECONDS)
        if self._limited_seconds + seconds > self._limit_seconds:
            waited = self._limited_seconds
            after = f", after {_spoken(waited)} of waiting" if waited else ""
            error.args = (
                f"the server asks to wait {_spoken(seconds)}{after}: go on later. {error}",
            )
            return None
        self._limited = min(self._limited + 1, 10)
        # Never sooner than asked, and not all waiting clients at the same instant.
        seconds += self._uniform(0.0, 0.1 * seconds) + self._uniform(0.0, 0.25)
        self._limited_seconds += seconds
        return Again(seconds, LIMITED, everyone=True)

    def _after_in_progress(self) -> Again | None:
        if self._in_progress_seconds >= IN_PROGRESS_PATIENCE_SECONDS:
            return None
        seconds = IN_PROGRESS_SECONDS[min(self._in_progress, len(IN_PROGRESS_SECONDS) - 1)]
        self._in_progress += 1
        self._in_progress_seconds += seconds
        return Again(seconds, "the same request is still in progress")

    def _after_failure(self, error: KirimError, now: float, *, was_reached: bool) -> Again | None:
        if self._failing_since is None:
            self._failing_since = now
        # A host that answered before and is out of reach now is an outage, and nothing was
        # sent: only patience ends the waiting. All else may be our own fault, so it is counted.
        outage = isinstance(error, TransportError) and not error.maybe_applied and was_reached
        self._tries += not outage or error.tries_allowed is not None
        self._failures += 1
        if self._is_hopeless(error, was_reached=was_reached):
            return None
        if self._tries >= self._max_tries or now - self._failing_since > self._patience_seconds:
            return None
        return self._after_a_while(error)

    def _after_a_while(self, error: KirimError) -> Again | None:
        """Wait for longer after each failure, or as long as the server asks."""
        asked = getattr(error, "retry_after_seconds", None) or 0.0
        if asked > self._patience_seconds:
            error.args = (f"the server asks to wait {_spoken(asked)}: go on later. {error}",)
            return None
        most = min(LONGEST_SECONDS, FIRST_SECONDS * 2.0 ** min(self._failures - 1, 10))
        seconds = max(asked, self._uniform(SHORTEST_SECONDS, most))
        how_long = _spoken(self._patience_seconds)
        return Again(seconds, f"{self._reason(error)}, trying again for up to {how_long}")

    def _is_hopeless(self, error: KirimError, *, was_reached: bool) -> bool:
        """Whether asking again will not mend `error`."""
        if isinstance(error, TransportError) and error.maybe_mistyped and not was_reached:
            return True
        if error.tries_allowed is None:
            return False
        # Of these only: a passing fault before them is no reason to give up sooner.
        self._hopeless_tries += 1
        return self._hopeless_tries >= error.tries_allowed

    def _reason(self, error: KirimError) -> str:
        if isinstance(error, ApiError):
            who = "the service" if error.code else "something on the way"
            return f"{who} answered {error.status}"
        if isinstance(error, ProtocolError):
            return "the reply was not understood"
        return "the reply was lost" if error.maybe_applied else f"cannot reach {self._host}"


def _may_pass(error: KirimError) -> bool:
    """Whether another try may end otherwise: the service refused nothing for good."""
    if isinstance(error, ApiError):
        return error.status == 408 or error.status >= 500
    return isinstance(error, TransportError | ProtocolError)


def parse_retry_after(value: str | None, *, date: str | None = None) -> float | None:
    """Read ``Retry-After``: seconds, or a date measured against the reply's own ``Date``.

    Returns
    -------
    float or None
        Seconds, at least one. None where the header is absent, not understood, zero or past:
        a zero must not make the client spin.
    """
    text = (value or "").strip(" \t")
    try:
        seconds = float(text) if _SECONDS.fullmatch(text) else _until(text, date)
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
    return max(seconds, LEAST_RETRY_AFTER_SECONDS) if seconds > 0 else None


def _until(text: str, date: str | None) -> float:
    return (parsedate_to_datetime(text) - parsedate_to_datetime(date or "")).total_seconds()


def _spoken(seconds: float) -> str:
    for size, unit in ((3600.0, "h"), (60.0, "min")):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds:.0f} s"
