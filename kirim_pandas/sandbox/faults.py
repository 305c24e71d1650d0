"""What can go wrong on the way, as one table, and who decides when it does.

Nothing here acts: a `Fault` says what to do, `server` does it, `wire` sends the bytes.
"""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeAlias

from kirim_pandas.errors import InvalidInputError, ShortTraceback
from kirim_pandas.sandbox.messages import Refusal, Reply

Value: TypeAlias = Any
Event: TypeAlias = str | tuple[Any, ...]

EVENTS = (
    "expire_key",
    "revoke_key",
    "delete_label",
    "move_contact",
    "delete_contact",
    "set_write_per_minute",
    "advance_clock",
)
"""Methods of the sandbox that `Faults.events` may call."""


@dataclass(frozen=True)
class Fault:
    """One way to go wrong.

    Attributes
    ----------
    about
        What happens, in a few words.
    executes
        Whether the call is carried out before it goes wrong.
    value
        Default of the fault's value; its kind depends on the fault.
    change
        Makes another reply of the true one.
    refusal
        What is answered instead of carrying the call out.
    wire
        How the bytes are sent, a name in `wire.SENDERS`.
    """

    about: str
    executes: bool
    value: Value = None
    change: Callable[[Reply, Value], Reply] | None = None
    refusal: Refusal | None = None
    wire: str = "whole"


def _page(status: int, title: str) -> Callable[[Reply, Value], Reply]:
    text = f"<html><head><title>{title}</title></head><body><h1>{title}</h1></body></html>"
    body, headers = text.encode(), {"Content-Type": "text/html; charset=utf-8"}
    return lambda reply, _: replace(reply, status=status, body=body, headers=headers)


def _body(make: Callable[[bytes, Value], bytes], **headers: str) -> Callable[..., Reply]:
    def change(reply: Reply, value: Value) -> Reply:
        body = make(reply.body, value)
        return replace(reply, body=body, headers={**reply.headers, **headers})

    return change


def _counter(name: str, wrong: Any) -> Callable[[Reply, Value], Reply]:
    """Put a wrong value (or none at all, for ``...``) in one counter of a 200."""

    def change(reply: Reply, _: Value) -> Reply:
        if reply.status != 200 or not reply.body:
            return reply
        content = json.loads(reply.body)
        if wrong is ...:
            content["data"].pop(name, None)
        else:
            content["data"][name] = wrong
        return replace(reply, body=json.dumps(content).encode())

    return change


def _limited(reply: Reply, retry_after: Value) -> Reply:
    headers = {k: v for k, v in reply.headers.items() if k != "Retry-After"}
    return replace(reply, headers=headers | ({"Retry-After": retry_after} if retry_after else {}))


def _pad(body: bytes, size: Value) -> bytes:
    return body[:-1] + b', "padding": "' + b"x" * int(float(size)) + b'"}'


def _moved(status: int) -> Callable[[Reply, Value], Reply]:
    return lambda _, url: Reply(status, b"", {"Location": str(url)})


GATEWAY = {502: "Bad Gateway", 503: "Service Unavailable", 504: "Gateway Time-out"}

FAULTS: dict[str, Fault] = {
    # The connection
    "refuse": Fault("closes before the body is read", False, wire="unread"),
    "reset_before_commit": Fault("reads, does nothing, resets", False, wire="reset"),
    "reset_after_commit": Fault("carries out, resets without a reply", True, wire="reset"),
    "reset_in_reply": Fault("carries out, resets in the middle of the reply", True, wire="torn"),
    "cut": Fault("half of the announced body, then closes", True, wire="cut"),
    "cut_without_length": Fault("half a body of unknown length, then closes", True, wire="open"),
    "broken_chunks": Fault("chunked coding that is not", True, wire="broken_chunks"),
    "drop": Fault("does nothing, says nothing for VALUE s, closes", False, 1.0, wire="silent"),
    "stall_before_commit": Fault("works VALUE s before it commits", True, 1.0),
    "stall_after_commit": Fault("commits, replies VALUE s later", True, 1.0, wire="late"),
    "trickle": Fault("one byte of the body each VALUE s", True, 0.01, wire="trickle"),
    "trickle_headers": Fault("one byte of all each VALUE s", True, 0.01, wire="trickle_all"),
    "early_hint": Fault("a 103 before the reply", True, wire="early_hint"),
    "second_reply": Fault("one reply too many", True, wire="twice"),
    # Replies that are none
    "html": Fault("a login page with 200", False, change=_page(200, "Sign in to Wi-Fi")),
    "empty": Fault("200 without a body", True, change=_body(lambda *_: b"")),
    "no_content": Fault("204", True, change=lambda r, _: replace(r, status=204, body=b"")),
    "huge": Fault("VALUE bytes of reply", True, 2_000_000.0, change=_body(_pad)),
    "gzip_bomb": Fault(
        "a small body that unpacks to VALUE bytes",
        True,
        20_000_000.0,
        change=_body(lambda b, size: gzip.compress(_pad(b, size)), **{"Content-Encoding": "gzip"}),
    ),
    "gzip_garbage": Fault(
        "says gzip, is not",
        True,
        change=_body(lambda b, _: b"\x1f\x8b" + b[::-1], **{"Content-Encoding": "gzip"}),
    ),
    "not_found_page": Fault("404 that is not the service's", False, change=_page(404, "Not Found")),
    # Counts that cannot be
    "counts_negative": Fault("applied is -1", True, change=_counter("applied", -1)),
    "counts_float": Fault("applied is 1.5", True, change=_counter("applied", 1.5)),
    "counts_bool": Fault("applied is true", True, change=_counter("applied", True)),
    "counts_text": Fault('applied is "3"', True, change=_counter("applied", "3")),
    "counts_missing": Fault("no applied", True, change=_counter("applied", ...)),
    "counts_too_big": Fault("applied is 1,000,000", True, change=_counter("applied", 10**6)),
    # Refusals
    "rate_limited": Fault(
        "429 with VALUE as Retry-After, or none",
        False,
        change=_limited,
        refusal=Refusal(429, "rate_limit_exceeded", "Too many requests."),
    ),
    "error_403": Fault("403", False, refusal=Refusal(403, "plan_required", "Not in this plan.")),
    "error_408": Fault("408", False, refusal=Refusal(408, "request_timeout", "Too slow.")),
    "error_413": Fault("413", False, refusal=Refusal(413, "request_too_large", "Too large.")),
    "error_418": Fault("a 4xx nobody knows", False, refusal=Refusal(418, "teapot", "No coffee.")),
    "error_500_kept": Fault("500, kept under the key", True),
    "error_500_before_commit": Fault(
        "500", False, refusal=Refusal(500, "internal_error", "Something went wrong.")
    ),
    "error_500_after_commit": Fault(
        "carries out, 500", True, change=_page(500, "Internal Server Error")
    ),
    **{
        f"error_{status}_{when}_commit": Fault(
            f"{title} {when} the commit", when == "after", change=_page(status, title)
        )
        for status, title in GATEWAY.items()
        for when in ("before", "after")
    },
    **{
        f"redirect_{status}": Fault(
            f"{status} to VALUE", False, "http://127.0.0.1:9/", change=_moved(status)
        )
        for status in (301, 302, 303, 307, 308)
    },
}


@dataclass(frozen=True)
class Chosen:
    """The fault of one try."""

    name: str
    fault: Fault
    value: Value


@dataclass(frozen=True)
class Faults:
    """Which faults a sandbox plays, and when.

    Chance is a pure function of `seed`, idempotency key and try number: the same call meets
    the same fault, whatever else goes on. ``FAULTS`` lists the names.

    Attributes
    ----------
    rates
        Probability of each fault per try, for example ``{"reset_after_commit": 0.1}``.
    script
        Exact faults by call number from 0, in order of arrival and counting every try:
        ``{2: "cut", 3: ("rate_limited", "7")}``. A scripted call meets nothing else.
    values
        Values for faults that take one, where neither script nor default will do.
    events
        What happens just before a write call (with ``on="reads"`` a read), by number from 0: a
        method of the sandbox with arguments, or several:
        ``{5: "expire_key", 7: [("move_contact", 17, "Care")]}``.
    on
        Which calls are counted and can fail: ``"writes"``, ``"reads"`` or ``"all"``.
    first_tries
        Spares a key from chance after so many tries; ``None``: never.
    others_per_minute
        Writes of another client of the same organisation, out of the same bucket.
    clock_skew_seconds
        How far ``Date`` and ``X-RateLimit-Reset`` are off.
    seed
        Of the chance.
    """

    rates: Mapping[str, float] = field(default_factory=dict)
    script: Mapping[int, str | tuple[str, Value]] = field(default_factory=dict)
    values: Mapping[str, Value] = field(default_factory=dict)
    events: Mapping[int, Event | Sequence[Event]] = field(default_factory=dict)
    on: Literal["writes", "reads", "all"] = "writes"
    first_tries: int | None = None
    others_per_minute: float = 0.0
    clock_skew_seconds: float = 0.0
    seed: int = 0

    @ShortTraceback()
    def __post_init__(self) -> None:
        scripted = [s if isinstance(s, str) else s[0] for s in self.script.values()]
        for name in (*self.rates, *self.values, *scripted):
            if name not in FAULTS:
                raise InvalidInputError(
                    f"no fault is called {name!r}; there are: {', '.join(FAULTS)}"
                )
        for number in self.events:
            for name, *_ in self.events_before(number):
                if name not in EVENTS:
                    raise InvalidInputError(
                        f"no event is called {name!r}; there are: {', '.join(EVENTS)}"
                    )
        total = sum(self.rates.values())
        if min(self.rates.values(), default=0) < 0 or total > 1:
            raise InvalidInputError(
                f"rates add up to {total}; expected probabilities, at most 1 in all"
            )

    def choose(self, call_number: int, key: str, try_number: int) -> Chosen | None:
        """Decide what befalls one try.

        Parameters
        ----------
        call_number
            Position among all calls that can fail, from 0.
        key
            The idempotency key; method and path where there is none.
        try_number
            How often the key was seen before, from 0.
        """
        if call_number in self.script:
            scripted = self.script[call_number]
            name, *value = (scripted,) if isinstance(scripted, str) else scripted
            return self._chosen(name, *value)
        if self.first_tries is not None and try_number >= self.first_tries:
            return None
        digest = hashlib.sha256(f"{self.seed}\n{key}\n{try_number}".encode()).digest()
        draw = int.from_bytes(digest[:8], "big") / 2**64
        for name, rate in self.rates.items():
            if draw < rate:
                return self._chosen(name)
            draw -= rate
        return None

    def events_before(self, number: int) -> list[tuple[Any, ...]]:
        """List what happens before a call that `events` counts, as (name, arguments …)."""
        found = self.events.get(number, [])
        listed = [found] if isinstance(found, str | tuple) else found
        return [(event,) if isinstance(event, str) else event for event in listed]

    def _chosen(self, name: str, *value: Value) -> Chosen:
        fault = FAULTS[name]
        return Chosen(name, fault, value[0] if value else self.values.get(name, fault.value))
