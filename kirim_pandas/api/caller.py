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
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Generic, TypeVar
from weakref import WeakValueDictionary

from kirim_pandas.api.models import Answer, Organization, Reply, Request
from kirim_pandas.api.pacing import (
    DOCUMENTED_READS_PER_MINUTE,
    DOCUMENTED_WRITES_PER_MINUTE,
    Pacer,
    RateHeaders,
    Ticket,
    read_rate_headers,
)
from kirim_pandas.api.protocol import from_a_cache, read_reply
from kirim_pandas.api.retry import LIMITED, Again, CallStopped, Retries
from kirim_pandas.api.secret import Secret, warn_unlocated
from kirim_pandas.errors import ApiError, KirimError, RateLimitedError

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

READ_SECONDS = 10.0
"""So long a read goes on after its first failure: somebody looks at the screen."""

KNOWN_REPLIES = 20_000
"""Request ids that are kept, to know a reply that comes again: 20 million contacts' worth."""

KEYS_ARE_LOST = (
    "Kirim carried out a request again that it had answered before, so something between you and "
    "Kirim takes out Idempotency-Key (or the mark of its replies). Labels that are set twice stay "
    "as they are, but counts of repeated calls may be of the repeat."
)

_LOG = logging.getLogger("kirim_pandas")
_LOG.addHandler(logging.NullHandler())


class Gate:
    """What is known of one organisation, shared by all clients with the same key and host."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.writes = Pacer(DOCUMENTED_WRITES_PER_MINUTE)
        self.reads = Pacer(DOCUMENTED_READS_PER_MINUTE)
        self.organization: Organization | None = None
        self.told_of_keys = False
        self.notes: dict[str, object] = {}
        self._owners: OrderedDict[str, str] = OrderedDict()

    def owner_of(self, request_id: str, claimant: str) -> str:
        """Tell whose a reply was when it came first; each is one call's only."""
        owner = self._owners.setdefault(request_id, claimant)
        if len(self._owners) > KNOWN_REPLIES:
            self._owners.popitem(last=False)
        return owner


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


@dataclass(slots=True, eq=False)
class _Call(Generic[T]):
    """One call while it is being carried out."""

    request: Request
    make: Callable[[Answer], T]
    key: str | None
    is_new: bool  # whether nobody has ever sent its key
    retries: Retries
    pacer: Pacer
    on_wait: OnWait | None
    stop: threading.Event | None
    was_carried_out: bool = False  # a good reply began to come, and was lost on the way

    @property
    def owner(self) -> str:
        """What the replies to this call, and to no other, belong to."""
        return self.key or self.request.url


@dataclass(slots=True)
class Caller:
    """What carries calls out: paced, retried, logged.

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

    def carry_out(
        self,
        request: Request,
        make: Callable[[Answer], T],
        *,
        key: str | None = None,
        is_new: bool = False,
        on_wait: OnWait | None = None,
        stop: threading.Event | None = None,
    ) -> T | KirimError:
        """Send `request` until it is answered for good, or there is no point in going on.

        Parameters
        ----------
        request
            What to send.
        make
            Makes the result of a good answer.
        key
            Sent as idempotency key, if any.
        is_new
            Whether nobody has ever sent `key`: then no reply to it can be a stored one.
        on_wait
            Called with a reason and seconds before each wait worth telling.
        stop
            Ends a wait at once when set.

        Returns
        -------
        T or KirimError
            What `make` made of the answer, or the error to raise.
        """
        patience = self.patience_seconds
        retries = Retries(
            host=self.host,
            max_tries=self.max_tries,
            patience_seconds=patience if request.is_write else min(patience, READ_SECONDS),
            limit_seconds=patience,
            uniform=random.uniform,
        )
        pacer = self.gate.writes if request.is_write else self.gate.reads
        call = _Call(request, make, key, is_new, retries, pacer, on_wait, stop)
        outcome: T | KirimError
        try:
            again: Again | None = None
            while True:
                ticket = self._turn(call)
                tried = self._try(call, ticket)
                outcome, again = tried
                if again is None:
                    break
                if not again.everyone:  # else the next turn does the waiting, for all
                    self._pause(call, again)
        except CallStopped as stopped:
            outcome = _bare(stopped)
        if isinstance(outcome, KirimError):
            outcome.maybe_applied = request.is_write and retries.maybe_applied
        return outcome

    def _turn(self, call: _Call[T]) -> Ticket:
        """Wait until the bucket lets a request leave."""
        told, pacer = call.on_wait is None, call.pacer
        while True:
            self._check(call.stop)
            with self.gate.lock:
                now = time.monotonic()
                seconds = pacer.wait_seconds(now, share=self.share)
                if seconds <= 0.0:
                    return pacer.start(now)
                is_held = pacer.is_held(now)
            if not told and call.on_wait and WORTH_TELLING_SECONDS < seconds < math.inf:
                told = True
                limit = f"rate limit of {pacer.limit_per_minute:,} requests a minute"
                call.on_wait(LIMITED if is_held else limit, seconds)
            time.sleep(
                POLL_FOR_REPLY_SECONDS if seconds == math.inf else min(seconds, POLL_SECONDS)
            )

    def _try(self, call: _Call[T], ticket: Ticket) -> tuple[T | KirimError, Again | None]:
        """Send once; tell the outcome and, if it is worth it, the next try."""
        outcome: T | KirimError | None = None
        again = headers = None
        try:
            reply = self.exchange(call.request, call.key)
            if isinstance(reply, Reply):
                self.was_reached = True
                headers = read_rate_headers(reply.headers)
                outcome = self._read(call, reply)
            else:
                outcome = reply
                call.is_new &= not reply.maybe_applied
            if isinstance(outcome, KirimError):
                again = self._after(call, outcome, ticket, headers)
            else:
                with self.gate.lock:
                    call.pacer.speed_up()
            _log(call, reply, outcome, time.monotonic() - ticket.started_at)
            return outcome, again
        finally:
            with self.gate.lock:
                now = time.monotonic()
                if isinstance(outcome, RateLimitedError) and (again is None or again.everyone):
                    call.pacer.hold(now, again.seconds if again else GIVEN_UP_SECONDS)
                call.pacer.finish(ticket, now, headers)

    def _after(
        self, call: _Call[T], error: KirimError, ticket: Ticket, headers: RateHeaders | None
    ) -> Again | None:
        """Decide what follows an error; one that is about the pace lowers it, for all calls."""
        now, pace_seconds = time.monotonic(), None
        with self.gate.lock:
            token_seconds = call.pacer.seconds_to_token(now)
            if token_seconds <= 0.0 and _is_about_pace(error, headers):
                pace_seconds = call.pacer.slow_down(ticket, now)
        return call.retries.after(
            error,
            now=now,
            was_reached=self.was_reached,
            token_seconds=token_seconds,
            pace_seconds=pace_seconds,
        )

    def _read(self, call: _Call[T], reply: Reply) -> T | KirimError:
        """Read a reply, if it can be the reply to this call."""
        said: Answer | ApiError
        try:
            try:
                said = read_reply(reply, call.request, self.secret)
            except ApiError as refusal:
                said = refusal
            if isinstance(said, Answer) or said.code is not None:
                self._check_own(call, said)
            if isinstance(said, ApiError):
                return _bare(said)
            self._check_repeats(call, said)
            return call.make(said)
        except KirimError as error:
            call.was_carried_out |= reply.status == 200 and reply.body[:1] == b"{"
            return _bare(error)
        finally:
            call.is_new = False

    def _check_own(self, call: _Call[T], said: Answer | ApiError) -> None:
        """Refuse a reply that another call had before, or that a new key cannot bring."""
        if said.replayed and call.is_new:
            raise from_a_cache("it is marked Idempotent-Replayed, and its key is new")
        if said.request_id is None:
            return
        with self.gate.lock:
            owner = self.gate.owner_of(said.request_id, call.owner)
        if owner != call.owner:
            error = from_a_cache(f"request {said.request_id} was answered before")
            error.request_id = said.request_id
            raise error

    def _check_repeats(self, call: _Call[T], answer: Answer) -> None:
        """Say, once, that idempotency keys do not reach the service, where it shows."""
        lost = call.request.is_write and call.was_carried_out and not answer.replayed
        if lost and not self.gate.told_of_keys:
            self.gate.told_of_keys = True
            with suppress(UserWarning):  # as an error it would cost a good reply
                warn_unlocated(KEYS_ARE_LOST)

    def _pause(self, call: _Call[T], again: Again) -> None:
        if call.on_wait is not None and again.seconds > WORTH_TELLING_SECONDS:
            call.on_wait(again.reason, again.seconds)
        until = time.monotonic() + again.seconds
        while (left := until - time.monotonic()) > 0.0:
            self._check(call.stop)
            time.sleep(min(left, POLL_SECONDS))

    def _check(self, stop: threading.Event | None) -> None:
        if stop is not None and stop.is_set():
            raise CallStopped("the call was stopped between two tries")
        if self.is_closed:
            raise CallStopped("the client was closed")


def _is_about_pace(error: KirimError, headers: RateHeaders | None) -> bool:
    """Whether something on the way, and not the organisation's bucket, was asked too often."""
    return (
        isinstance(error, ApiError)
        and error.status in (429, 503)
        and error.retry_after_seconds is None
        and headers is not None
        and headers.remaining != 0
    )


def _bare(error: KirimError) -> KirimError:
    """Take from an error the frames and the other errors that hold a reply."""
    error.__cause__ = error.__context__ = None
    return error.with_traceback(None)


def _log(call: _Call[T], reply: Reply | KirimError, outcome: object, seconds: float) -> None:
    """Log what support needs: no ids of contacts, no search text, no key of the service."""
    _LOG.debug(
        "%s %s, key %s, %.3f s: %s",
        call.request.method,
        reply.status if isinstance(reply, Reply) else "no reply",
        (call.key or "-")[:8],
        seconds,
        type(outcome).__name__
        if isinstance(outcome, KirimError)
        else f"request {getattr(outcome, 'request_id', None)}",
    )
