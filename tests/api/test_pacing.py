"""Pacing: against a simulated bucket in virtual time."""

from __future__ import annotations

import heapq
import itertools
import math
import random
from dataclasses import dataclass

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kirim_pandas.api.pacing import (
    STALE_SECONDS,
    Pacer,
    RateHeaders,
    read_rate_headers,
)

SHARE = 0.9


class ServerBucket:
    """The service's bucket, exact."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.tokens = float(limit)
        self.at = 0.0

    def refill(self, now: float) -> None:
        self.tokens = min(self.limit, self.tokens + (now - self.at) * self.limit / 60)
        self.at = now

    def take(self, now: float) -> bool:
        self.refill(now)
        if self.tokens < 1.0:
            return False
        self.tokens -= 1.0
        return True


@dataclass
class Outcome:
    sent: int
    refused: int
    seconds: float
    used: float


def simulate(
    limit: int,
    *,
    calls: int,
    workers: int = 8,
    latency: float = 0.4,
    foreign: float = 0.0,
    seed: int = 0,
    change: tuple[float, int] | None = None,
    headers: bool = True,
) -> Outcome:
    """Let workers make calls through one pacer; others take a part of the refill meanwhile."""
    rng = random.Random(seed)
    bucket, pacer = ServerBucket(limit), Pacer(60)
    order = itertools.count()
    events: list[tuple[float, int, str, object]] = []

    def at(when: float, what: str, data: object = None) -> None:
        heapq.heappush(events, (when, next(order), what, data))

    for _ in range(workers):
        at(0.0, "ready")
    if foreign:
        at(rng.expovariate(foreign * limit / 60), "foreign")
    if change:
        at(change[0], "change", change[1])
    waiting = 0  # workers that wait for a reply to what is in flight
    left, done, refused, last = calls, 0, 0, 0.0
    while done < calls:
        now, _, what, data = heapq.heappop(events)
        if what == "foreign":
            bucket.take(now)
            at(now + rng.expovariate(foreign * bucket.limit / 60), "foreign")
        elif what == "change":
            bucket.refill(now)
            bucket.limit = int(data)  # type: ignore[call-overload]
            bucket.tokens = min(bucket.tokens, bucket.limit)
        elif what == "ready":
            if left == 0:
                continue
            seconds = pacer.wait_seconds(now, share=SHARE)
            if seconds == math.inf:
                waiting += 1
            elif seconds > 0:
                at(now + seconds, "ready")
            else:
                left -= 1
                there = latency * rng.uniform(0.1, 0.9)
                at(now + there, "arrives", (pacer.start(now), latency * rng.uniform(0.5, 1.5)))
        elif what == "arrives":
            ticket, back = data  # type: ignore[misc]
            good = bucket.take(now)
            at(now + back, "reply", (ticket, good, int(bucket.tokens), bucket.limit))
        else:
            ticket, good, remaining, told = data  # type: ignore[misc]
            if not good:
                pacer.hold(now, 60 / told * 1.05)
            pacer.finish(ticket, now, RateHeaders(told, remaining) if headers else RateHeaders())
            done, refused, left = done + good, refused + (not good), left + (not good)
            last = now
            for _ in range(waiting + 1):
                at(now, "ready")
            waiting = 0
    offered = limit * SHARE + last * limit / 60
    return Outcome(calls, refused, last, done / offered)


@pytest.mark.parametrize("limit", [5, 20, 60, 600, 6000])
@pytest.mark.parametrize("workers", [1, 4, 8])
def test_alone_no_refusal(limit: int, workers: int) -> None:
    """Alone on the bucket no request is ever refused, whatever the plan and the workers."""
    for seed in range(3):
        assert simulate(limit, calls=3 * limit + 50, workers=workers, seed=seed).refused == 0


@pytest.mark.parametrize(("limit", "calls"), [(60, 300), (60, 1000), (600, 2000), (6000, 20_000)])
def test_alone_uses_the_bucket(limit: int, calls: int) -> None:
    """Alone, with workers enough, at least 97 % of what lies beyond the reserve is used."""
    workers = max(8, int(limit / 60 * 0.4 * 2.5))
    outcome = simulate(limit, calls=calls, workers=workers)
    assert outcome.used >= 0.97


@pytest.mark.parametrize("limit", [60, 600])
@pytest.mark.parametrize(("foreign", "most_refused"), [(0.3, 0.005), (0.6, 0.05)])
def test_others_drain_the_bucket(limit: int, foreign: float, most_refused: float) -> None:
    """Where others use the bucket too, we follow the headers and are hardly ever refused."""
    outcome = simulate(limit, calls=1000, foreign=foreign)
    assert outcome.refused / outcome.sent <= most_refused


def test_plan_changes_midway() -> None:
    """A plan that changes in the middle is used from the next reply on, both ways."""
    up = simulate(60, calls=1000, change=(60.0, 600))
    assert up.seconds < 200
    assert up.refused == 0
    down = simulate(600, calls=1000, change=(30.0, 60))
    assert down.refused <= 16  # what was in flight, and what the old picture let out


def test_no_headers() -> None:
    """Without headers the documented free limit is kept."""
    outcome = simulate(60, calls=120, headers=False)
    assert outcome.refused == 0
    assert outcome.seconds == pytest.approx(120, abs=5)


def test_first_request_goes_alone() -> None:
    """Before the first reply nothing else leaves, however long it takes."""
    pacer = Pacer(60)
    assert pacer.wait_seconds(0.0, share=SHARE) == 0.0
    ticket = pacer.start(0.0)
    assert pacer.wait_seconds(100.0, share=SHARE) == math.inf
    pacer.finish(ticket, 100.0, RateHeaders(60, 59))
    assert pacer.wait_seconds(100.0, share=SHARE) == 0.0


def test_after_a_refusal_all_wait_then_one_goes() -> None:
    """After a 429 nothing leaves before its time, even if an older request ends well."""
    pacer = Pacer(60)
    first = pacer.start(0.0)
    pacer.finish(first, 0.0, RateHeaders(60, 59))
    older, refused = pacer.start(1.0), pacer.start(1.0)
    pacer.hold(2.0, 10.0)
    pacer.finish(refused, 2.0, RateHeaders(60, 0))
    pacer.finish(older, 3.0, RateHeaders(60, 30))
    assert pacer.wait_seconds(3.0, share=SHARE) == pytest.approx(9.0)
    assert pacer.is_held(11.9)
    assert pacer.wait_seconds(40.0, share=SHARE) == 0.0
    pacer.start(40.0)
    assert pacer.wait_seconds(40.0, share=SHARE) == math.inf


def test_long_silence_sends_one_ahead() -> None:
    """After a long pause others may have emptied the bucket, so one request goes first."""
    pacer = Pacer(60)
    pacer.finish(pacer.start(0.0), 0.0, RateHeaders(60, 59))
    later = STALE_SECONDS + 1
    pacer.start(later)
    assert pacer.wait_seconds(later, share=SHARE) == math.inf


def test_lost_request_does_not_stall() -> None:
    """A request whose end was never counted holds nobody up for ever."""
    pacer = Pacer(60)
    pacer.start(0.0)
    assert pacer.wait_seconds(1000.0, share=SHARE) == 0.0


@pytest.mark.parametrize("limit", [1, 2, 5])
def test_tiny_bucket_runs(limit: int) -> None:
    """A bucket smaller than its reserve still lets requests through."""
    assert simulate(limit, calls=3 * limit, workers=4).refused == 0


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # machines may be busy
@given(
    st.dictionaries(
        st.sampled_from(["x-ratelimit-limit", "x-ratelimit-remaining"]),
        st.one_of(st.text(max_size=12), st.integers(-5, 10**12).map(str)),
    )
)
def test_nonsense_headers_are_dropped(headers: dict[str, str]) -> None:
    """Headers that make no sense are dropped one by one, and none breaks the pacing."""
    found = read_rate_headers(headers)
    assert found.limit_per_minute is None or found.limit_per_minute > 0
    assert found.remaining is None or found.remaining >= 0
    pacer = Pacer(60)
    pacer.finish(pacer.start(0.0), 0.1, found)
    assert math.isfinite(pacer.wait_seconds(0.2, share=SHARE))
    assert pacer.wait_seconds(0.2, share=SHARE) <= 60.0


def test_headers_are_read() -> None:
    """Limit and remaining are read; a remainder above the limit is not believed."""
    good = {"x-ratelimit-limit": "60", "x-ratelimit-remaining": " 12 ", "x-ratelimit-reset": "1"}
    assert read_rate_headers(good) == RateHeaders(60, 12)
    assert read_rate_headers({**good, "x-ratelimit-remaining": "61"}) == RateHeaders(60, None)
    assert read_rate_headers({**good, "x-ratelimit-limit": "٦٠"}) == RateHeaders(None, 12)
