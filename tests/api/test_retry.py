"""Retries: how long to wait after what, and when to stop. No clock, no server."""

from __future__ import annotations

import pickle
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kirim_pandas.api.retry import CallStopped, Retries, parse_retry_after
from kirim_pandas.errors import (
    ApiError,
    AuthenticationError,
    ConfigurationError,
    ConflictError,
    InvalidRequestError,
    KirimError,
    NotFoundError,
    PermissionDeniedError,
    ProtocolError,
    RateLimitedError,
    ServerError,
    TransportError,
)

DATE = "Wed, 21 Oct 2026 07:28:00 GMT"


def retries(
    *,
    max_tries: int = 8,
    patience_seconds: float = 900.0,
    limit_seconds: float | None = None,
    uniform: Callable[[float, float], float] = lambda low, high: high,
) -> Retries:
    return Retries(
        host="kirim.test",
        max_tries=max_tries,
        patience_seconds=patience_seconds,
        limit_seconds=limit_seconds,
        uniform=uniform,
    )


def limited(seconds: float | None = None) -> RateLimitedError:
    error = RateLimitedError("no", status=429, code="rate_limit_exceeded")
    error.retry_after_seconds = seconds
    return error


def in_progress() -> ConflictError:
    return ConflictError("wait", status=409, code="idempotency_in_progress")


@pytest.mark.parametrize(
    "error",
    [
        InvalidRequestError("no", status=400),
        AuthenticationError("no", status=401),
        PermissionDeniedError("no", status=403),
        NotFoundError("no", status=404),
        InvalidRequestError("no", status=413),
        InvalidRequestError("no", status=422, code="idempotency_key_reuse"),
        ConflictError("no", status=409, code="idempotency_conflict"),
        ApiError("no", status=418),
        ConfigurationError("moved"),
    ],
)
def test_final_answers_are_not_repeated(error: KirimError) -> None:
    """What the service refused for good, and a redirect, are never repeated."""
    assert retries().after(error, now=0.0) is None


@pytest.mark.parametrize(
    "error",
    [
        ServerError("no", status=503),
        ApiError("no", status=408),
        TransportError("no", maybe_applied=True),
        ProtocolError("no"),
    ],
)
def test_waits_double_up_to_thirty_seconds(error: KirimError) -> None:
    """The longest wait doubles from half a second to thirty, and the eighth try is the last."""
    state, waits = retries(), []
    while (again := state.after(error, now=0.0)) is not None:
        assert not again.everyone
        waits.append(again.seconds)
    assert waits == [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0]


def test_jitter_is_full() -> None:
    """The shortest wait is a tenth of a second, however often it failed."""
    state = retries(uniform=lambda low, high: low)
    again = [state.after(TransportError("no", maybe_applied=True), now=0.0) for _ in range(7)]
    assert {a and a.seconds for a in again} == {0.1}


def test_patience_ends_the_tries_but_not_the_first() -> None:
    """When patience is over no more is tried, but a first failure is followed by one retry."""
    state = retries(patience_seconds=10.0)
    assert state.after(TransportError("no", maybe_applied=True), now=500.0) is not None
    assert state.after(TransportError("no", maybe_applied=True), now=505.0) is not None
    assert state.after(TransportError("no", maybe_applied=True), now=511.0) is None


def test_an_outage_is_waited_out() -> None:
    """A host that answered before and is out of reach is tried until patience ends."""
    state = retries(max_tries=2)
    for minute in range(15):
        again = state.after(TransportError("no"), now=60.0 * minute)
        assert again is not None
        assert again.reason == "cannot reach kirim.test, trying again for up to 15 min"
    assert state.after(TransportError("no"), now=901.0) is None


def test_a_host_never_reached_is_not() -> None:
    """A host that never answered is tried as often as any other failure."""
    state = retries(max_tries=2)
    assert state.after(TransportError("no"), now=0.0, was_reached=False) is not None
    assert state.after(TransportError("no"), now=0.0, was_reached=False) is None


def test_errors_may_allow_fewer_tries() -> None:
    """An error that asking again will not mend says how often it is worth trying."""
    error = ProtocolError("impossible counts")
    error.tries_allowed = 3
    state = retries()
    assert [state.after(error, now=0.0) is None for _ in range(3)] == [False, False, True]
    untrusted = TransportError("certificate")
    untrusted.tries_allowed = 1
    assert retries().after(untrusted, now=0.0) is None


def test_retry_after_is_obeyed_with_429() -> None:
    """A 429 makes everyone wait at least what the server asks, and costs no try."""
    state = retries(max_tries=1)
    for _ in range(20):
        again = state.after(limited(10.0), now=0.0)
        assert again is not None
        assert again.everyone
        assert 10.0 <= again.seconds <= 11.25


def test_429_without_retry_after_doubles() -> None:
    """A 429 that does not say how long waits for our own token, then twice as long, to 60 s."""
    state = retries(uniform=lambda low, high: low)
    again = [state.after(limited(), now=0.0, token_seconds=3.0) for _ in range(6)]
    assert [a and a.seconds for a in again] == [3.0, 6.0, 12.0, 24.0, 48.0, 60.0]
    first = retries(uniform=lambda low, high: low).after(limited(), now=0.0)
    assert first is not None
    assert first.seconds == 1.0


@pytest.mark.parametrize("seconds", [121.0, 600.0, 800.0])
def test_37_a_long_wait_is_waited_and_named(seconds: float) -> None:
    """Up to a quarter of an hour a wait is never cut short, and its reason is told."""
    again = retries().after(limited(seconds), now=0.0)
    assert again is not None
    assert again.seconds >= seconds
    assert "429" in again.reason


def test_429_that_asks_too_long_gives_up() -> None:
    """A wait beyond the patience is not begun; the error says how long the server asks."""
    error = limited(86_400.0)
    assert retries().after(error, now=0.0) is None
    assert "the server asks to wait 24 h" in str(error)
    storm, waited = retries(), 0.0
    while (again := storm.after(limited(50.0), now=waited)) is not None:
        waited += again.seconds
    assert 840.0 <= waited <= 960.0


def test_in_progress_is_waited_for() -> None:
    """A 409 in progress waits 1, 2, 4, 8, 15, 15 … s for up to five minutes, at no try."""
    state, waits = retries(max_tries=1), []
    while (again := state.after(in_progress(), now=0.0)) is not None:
        waits.append(again.seconds)
    assert waits[:6] == [1.0, 2.0, 4.0, 8.0, 15.0, 15.0]
    assert 300.0 <= sum(waits) <= 315.0


def test_retry_after_is_obeyed_with_503() -> None:
    """A 503 that says how long is not tried sooner; one that asks too long is given up."""
    error = ServerError("no", status=503)
    error.retry_after_seconds = 7.0
    again = retries().after(error, now=0.0)
    assert again is not None
    assert again.seconds == 7.0
    error.retry_after_seconds = 86_400.0
    assert retries().after(error, now=0.0) is None


def test_a_503_that_asks_too_long_says_why_it_ends() -> None:
    """An error whose wait is not waited says how long the server asks."""
    error = ServerError("the service failed (HTTP 503)", status=503)
    error.retry_after_seconds = 7200.0
    assert retries().after(error, now=0.0) is None
    assert str(error) == "the server asks to wait 2 h: go on later. the service failed (HTTP 503)"


def test_what_the_pace_mends_costs_no_try() -> None:
    """Where the pace was lowered, the next try comes after it, as long as limits are waited for."""
    state, waited = retries(max_tries=1, limit_seconds=60.0), 0.0
    error = ServerError("no", status=503)
    while (again := state.after(error, now=waited, pace_seconds=0.5)) is not None:
        assert not again.everyone
        assert 0.5 <= again.seconds <= 0.55
        waited += again.seconds
    assert 60.0 <= waited <= 70.0


def test_a_slip_of_the_pen_is_no_outage() -> None:
    """What a wrong setting explains is not repeated, unless the host was reached before."""
    error = TransportError("not found")
    error.maybe_mistyped = True
    assert retries().after(error, now=0.0, was_reached=False) is None
    assert retries().after(error, now=0.0, was_reached=True) is not None


def test_a_stored_failure_is_given_up() -> None:
    """A failure that the service replays is the end after the second replay."""
    error = ServerError("no", status=500)
    error.replayed = True
    state = retries()
    assert state.after(ServerError("no", status=500), now=0.0) is not None
    assert state.after(error, now=0.0) is not None
    assert state.after(error, now=0.0) is None


def test_what_is_unknown_is_remembered() -> None:
    """One try that may have been carried out makes the whole call one that may have been."""
    state = retries()
    state.after(TransportError("no"), now=0.0)
    assert not state.maybe_applied
    state.after(TransportError("no", maybe_applied=True), now=0.0)
    state.after(AuthenticationError("no", status=401), now=0.0)
    assert state.maybe_applied


@pytest.mark.parametrize(
    "text",
    [
        *("", "0", "0.0", "-1", "+5", "abc", "²", "٣", "1e3", "5, 10", "5\0", "1" * 35, "1."),
        *("inf", "nan", "0x10", "1_000"),
        "Wed, 21 Oct 2020 07:28:00 GMT",
        "Wed, 21 Oct 100000 07:28:00 GMT",
    ],
)
def test_bad_retry_after_is_as_if_missing(text: str) -> None:
    """Zero, negative, past and senseless values are as if the header was missing."""
    assert parse_retry_after(text, date=DATE) is None


def test_retry_after_is_read() -> None:
    """Seconds are read, one at least, a date against the date of the reply and no other clock."""
    assert parse_retry_after(" 5 ") == 5.0
    for less in ("0.5", "0.0000001", "1"):
        assert parse_retry_after(less) == 1.0
    assert parse_retry_after("Wed, 21 Oct 2026 07:28:30 GMT", date=DATE) == 30.0
    assert parse_retry_after("Wed, 21 Oct 2026 07:28:30 GMT") is None
    assert parse_retry_after(None) is None


@given(st.text(max_size=40), st.one_of(st.none(), st.text(max_size=40)))
def test_retry_after_never_breaks(text: str, date: str | None) -> None:
    """Whatever stands in the headers, the wait is a second or more, or unknown."""
    seconds = parse_retry_after(text, date=date)
    assert seconds is None or 1.0 <= seconds < 1e12


def test_stop_pickles() -> None:
    """The sign that a call was stopped survives a pickle."""
    assert str(pickle.loads(pickle.dumps(CallStopped("x")))) == "x"
