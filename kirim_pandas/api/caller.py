"""One call from its turn in the bucket to its last try. Knows no HTTP library.

What a call ends with is returned, not raised, until the caller's own frame is reached: then no
traceback holds the frames in which a reply was read.
"""

from __future__ import annotations

import hashlib
import logging
import math
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar
from weakref import WeakValueDictionary

from kirim_pandas.api.models import Answer, Organization, Reply, Request
from kirim_pandas.api.pacing import (
    DOCUMENTED_READS_PER_MINUTE,
    DOCUMENTED_WRITES_PER_MINUTE,
    Pacer,
    Ticket,
    read_rate_headers,
)
from kirim_pandas.api.protocol import read_reply
from kirim_pandas.api.retry import LIMITED, Again, CallStopped, Retries
from kirim_pandas.api.secret import Secret
from kirim_pandas.errors import KirimError, RateLimitedError

__all__ = ["Caller", "Exchange", "Gate", "OnWait", "shared_gate"]

T = TypeVar("T")
OnWait = Callable[[str, float], None]
Exchange = Callable[[Request, str | None], Reply | KirimError]

WORTH_TELLING_SECONDS = 0.3
POLL_SECONDS = 0.05
"""So long may a stop go unnoticed. Sleeping in slices, unlike waiting for an event, leaves no
lock behind when Ctrl-C comes."""
POLL_FOR_REPLY_SECONDS = 0.01

GIVEN_UP_SECONDS = 1.0
"""After a 429 that is not waited for: the other calls of a run are stopped before one leaves."""

_LOG = logging.getLogger("kirim_pandas")
_LOG.addHandler(logging.NullHandler())


class Gate:
    """What is known of one organisation, shared by all clients with the same key and host."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.writes = Pacer(DOCUMENTED_WRITES_PER_MINUTE)
        self.reads = Pacer(DOCUMENTED_READS_PER_MINUTE)
        self.organization: Organization | None = None


_gates: WeakValueDictionary[tuple[str, str], Gate] = WeakValueDictionary()
_gates_lock = threading.Lock()


def shared_gate(base_url: str, secret: Secret) -> Gate:
    """Find the gate that other clients with this key and host use, or make it."""
    name = (base_url, hashlib.sha256(secret.reveal().encode()).hexdigest())
    with _gates_lock:
        gate = _gates.get(name)
        if gate is None:
            gate = _gates[name] = Gate()
        return gate


@dataclass(slots=True)
class Caller:
    """What settles calls: paced, retried, logged.

    Attributes
    ----------
    exchange : callable
        Sends a request once, with an idempotency key or None; gives a reply, or an error.
    gate : Gate
        Shared with other callers.
    secret : Secret
        Cleans what comes back.
    host : str
        Named in the reasons for waiting.
    max_tries, patience_seconds, share
        As :class:`kirim_pandas.api.client.Client` describes them.
    """

    exchange: Exchange
    gate: Gate
    secret: Secret
    host: str
    max_tries: int
    patience_seconds: float
    share: float
    is_closed: bool = False
    was_reached: bool = False

    def settle(
        self,
        request: Request,
        make: Callable[[Answer], T],
        *,
        key: str | None = None,
        on_wait: OnWait | None = None,
        stop: threading.Event | None = None,
    ) -> T | KirimError:
        """Send `request` until it is answered for good, or there is no point in going on.

        Returns
        -------
        T or KirimError
            What `make` made of the answer, or the error to raise.
        """
        retries = Retries(
            host=self.host,
            max_tries=self.max_tries,
            patience_seconds=self.patience_seconds,
            uniform=random.uniform,
        )
        pacer = self.gate.writes if request.is_write else self.gate.reads
        outcome: T | KirimError
        try:
            again: Again | None = None
            while True:
                ticket = self._turn(pacer, on_wait, stop)
                outcome, again = self._try(request, make, key, pacer, ticket, retries)
                if again is None:
                    break
                if not again.everyone:  # else the next turn does the waiting, for all
                    self._pause(again, on_wait, stop)
        except CallStopped as stopped:
            outcome = _bare(stopped)
        if isinstance(outcome, KirimError):
            outcome.maybe_applied = request.is_write and retries.maybe_applied
        return outcome

    def _turn(self, pacer: Pacer, on_wait: OnWait | None, stop: threading.Event | None) -> Ticket:
        """Wait until the bucket lets a request leave."""
        told = on_wait is None
        while True:
            self._check(stop)
            with self.gate.lock:
                now = time.monotonic()
                seconds = pacer.wait_seconds(now, share=self.share)
                if seconds <= 0.0:
                    return pacer.start(now)
                is_held = pacer.is_held(now)
            if not told and on_wait is not None and WORTH_TELLING_SECONDS < seconds < math.inf:
                told = True
                limit = f"rate limit of {pacer.limit_per_minute:,} requests a minute"
                on_wait(LIMITED if is_held else limit, seconds)
            time.sleep(
                POLL_FOR_REPLY_SECONDS if seconds == math.inf else min(seconds, POLL_SECONDS)
            )

    def _try(
        self,
        request: Request,
        make: Callable[[Answer], T],
        key: str | None,
        pacer: Pacer,
        ticket: Ticket,
        retries: Retries,
    ) -> tuple[T | KirimError, Again | None]:
        """Send once; tell the outcome and, if it is worth it, the next try."""
        outcome: T | KirimError | None = None
        again = headers = None
        try:
            reply = self.exchange(request, key)
            if isinstance(reply, Reply):
                self.was_reached = True
                headers = read_rate_headers(reply.headers)
                outcome = self._read(reply, request, make)
            else:
                outcome = reply
            now = time.monotonic()
            if isinstance(outcome, KirimError):
                with self.gate.lock:
                    token_seconds = pacer.seconds_to_token(now)
                again = retries.after(
                    outcome, now=now, was_reached=self.was_reached, token_seconds=token_seconds
                )
            _log(request, key, reply, outcome, now - ticket.started_at)
            return outcome, again
        finally:
            with self.gate.lock:
                now = time.monotonic()
                if isinstance(outcome, RateLimitedError):
                    pacer.hold(now, again.seconds if again else GIVEN_UP_SECONDS)
                pacer.finish(ticket, now, headers)

    def _read(self, reply: Reply, request: Request, make: Callable[[Answer], T]) -> T | KirimError:
        try:
            return make(read_reply(reply, request, self.secret))
        except KirimError as error:
            return _bare(error)

    def _pause(self, again: Again, on_wait: OnWait | None, stop: threading.Event | None) -> None:
        if on_wait is not None and again.seconds > WORTH_TELLING_SECONDS:
            on_wait(again.reason, again.seconds)
        until = time.monotonic() + again.seconds
        while (left := until - time.monotonic()) > 0.0:
            self._check(stop)
            time.sleep(min(left, POLL_SECONDS))

    def _check(self, stop: threading.Event | None) -> None:
        if stop is not None and stop.is_set():
            raise CallStopped("the call was stopped between two tries")
        if self.is_closed:
            raise CallStopped("the client was closed")


def _bare(error: KirimError) -> KirimError:
    """Take from an error the frames and the other errors that hold a reply."""
    error.__cause__ = error.__context__ = None
    return error.with_traceback(None)


def _log(
    request: Request,
    key: str | None,
    reply: Reply | KirimError,
    outcome: object,
    seconds: float,
) -> None:
    """Log what support needs: no ids of contacts, no search text, no key of the service."""
    _LOG.debug(
        "%s %s, key %s, %.3f s: %s",
        request.method,
        reply.status if isinstance(reply, Reply) else "no reply",
        (key or "-")[:8],
        seconds,
        type(outcome).__name__
        if isinstance(outcome, KirimError)
        else f"request {getattr(outcome, 'request_id', None)}",
    )
