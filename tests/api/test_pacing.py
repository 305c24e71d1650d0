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


class Gateway:
    """Something on the way that takes one request each so many seconds, and not one more."""

    def __init__(self, per_second: float, burst: int = 0) -> None:
        self.per_second = per_second
        self.burst = burst
        self.excess = 0.0
        self.at = -math.inf

    def take(self, now: float) -> bool:
        excess = max(0.0, self.excess - self.per_second * (now - self.at))
        if excess > self.burst + 1e-9:
            return False
        self.excess, self.at = excess + 1.0, now
        return True


def behind(
    gateway: Gateway,
    *,
    limit: int = 6000,
    calls: int = 1000,
    workers: int = 8,
    latency: float = 0.02,
    jitter: float = 0.0,
    busy: float = 0.0,
    lasts: float = math.inf,
    seed: int = 1,
) -> tuple[float, int]:
    """Part of the gateway's rate that is reached, and how many requests it refused.

    Refusals are 429s without Retry-After, and without the headers of the service; what comes
    through tells of a bucket that is nearly full. After `lasts` seconds the gateway is gone.
    A part `busy` of the requests is on its way for longer, by 12 ms on average.
    """
    chance, pacer = random.Random(seed), Pacer(limit)
    order, events = itertools.count(), []
    now, done, refused, left = 0.0, 0, 0, calls

    def at(seconds: float, event: str, *what: object) -> None:
        heapq.heappush(events, (seconds, next(order), event, *what))

    for _ in range(workers):
        at(0.0, "turn", False)
    while done < calls:
        now, _, event, *what = heapq.heappop(events)
        if event == "turn":
            (is_retry,) = what
            if not is_retry and not left:
                continue
            wait = pacer.wait_seconds(now, share=SHARE)
            if wait > 0.0:
                at(now + min(wait, 0.05) + chance.uniform(0.0, 0.0003), "turn", is_retry)
                continue
            left -= not is_retry
            arrives = now + latency / 2 + chance.uniform(0.0, jitter)
            if chance.random() < busy:
                arrives += chance.expovariate(1 / 0.012)
            at(arrives, "arrives", pacer.start(now))
        elif event == "arrives":
            passes = now > lasts or gateway.take(now)
            at(now + latency / 2, "reply", what[0], passes)
        elif what[1]:
            done += 1
            pacer.speed_up()
            pacer.finish(what[0], now, RateHeaders(limit, limit - 1))
            at(now, "turn", False)
        else:
            refused += 1
            seconds = pacer.slow_down(what[0], now)
            pacer.finish(what[0], now, RateHeaders())
            at(now + (seconds or 2.0) * chance.uniform(1.0, 1.1), "turn", True)
    return done / now / gateway.per_second, refused


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"limit": 60_000},
        {"calls": 200},
        {"latency": 0.4},
        {"latency": 0.005, "jitter": 0.002},
        {"workers": 1},
        {"workers": 2, "latency": 0.1},
    ],
)
def test_a_gateway_with_20_a_second_and_no_burst_is_used(settings: dict[str, float]) -> None:
    """Where something on the way takes less than the plan allows, nine tenths of it are used."""
    share, refused = behind(Gateway(20.0), **settings)  # type: ignore[arg-type]
    assert 0.9 <= share <= 1.0
    assert refused <= 80


def test_a_gateway_is_used_by_a_busy_machine() -> None:
    """Requests that come too close by chance hardly lower the pace, as no pace avoids them."""
    shares = [behind(Gateway(20.0), busy=0.06, jitter=0.003, seed=seed)[0] for seed in range(6)]
    assert sum(shares) / len(shares) >= 0.78


def test_a_gateway_of_another_pace_is_used() -> None:
    """The pace is found out, whatever it is; a burst is taken with it."""
    assert behind(Gateway(3.0), calls=400)[0] >= 0.9
    assert behind(Gateway(70.0), calls=4000)[0] >= 0.8
    assert behind(Gateway(20.0, burst=5))[0] >= 0.95


def test_a_gateway_that_is_gone_is_forgotten() -> None:
    """When nothing stands in the way any more, the pace comes back to the plan's."""
    share, _ = behind(Gateway(20.0), calls=4000, lasts=10.0)
    assert share >= 2.0


def test_many_in_flight_may_be_refused_together() -> None:
    """Of 64 requests that left together all may be refused, and it is still a matter of pace."""
    pacer = Pacer(6000)
    first = pacer.start(0.0)
    pacer.speed_up()
    pacer.finish(first, 0.1, RateHeaders(6000, 5999))
    for ticket in [pacer.start(1.0) for _ in range(64)]:
        assert pacer.slow_down(ticket, 1.2) is not None
        pacer.finish(ticket, 1.2, None)


def test_what_refuses_everything_is_not_a_matter_of_pace() -> None:
    """Where nothing comes through any more, the pace is not what is wrong."""
    pacer = Pacer(6000)
    first = pacer.start(0.0)
    pacer.speed_up()
    pacer.finish(first, 0.1, RateHeaders(6000, 5999))
    told = []
    for number in range(20):
        now = 1.0 + number
        ticket = pacer.start(now)
        told.append(pacer.slow_down(ticket, now))
        pacer.finish(ticket, now, None)
    assert None not in told[:16]
    assert told[16:] == [None] * 4
    pacer.speed_up()
    assert pacer.slow_down(pacer.start(30.0), 30.0) is not None
