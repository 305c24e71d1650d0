"""The service as a dictionary: for tests that need no network.

It keeps what the real one keeps (which contact carries the label, which key got which reply) and
fails where it is told to.  `ModelService` takes calls, `WireService` bytes.
"""

from __future__ import annotations

import json
import math
import threading
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import count

import numpy as np

from kirim_pandas.api.models import Reply as Answer
from kirim_pandas.api.models import Request
from kirim_pandas.errors import InvalidRequestError, KirimError, TransportError
from kirim_pandas.grouptesting.outcomes import Counts, Outcome
from kirim_pandas.run.calls import Call, Reply
from kirim_pandas.sandbox.limits import Bucket


@dataclass
class ModelService:
    """`world` holds the true Outcome of each contact; `bad` the contacts the service refuses."""

    world: np.ndarray
    bad: frozenset[int] = frozenset()
    param: str | None = "index"  # "index", "wrong", or None: what a refusal points at
    fault: Callable[[int, Call], KirimError | None] = lambda number, call: None
    commit_before_fault: bool = False
    labeled: set[int] = field(default_factory=set)
    calls: list[Call] = field(default_factory=list)
    replies: dict[str, Reply] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def send(self, call, on_wait, stop):
        """Answer a call, as the pool's sender."""
        with self.lock:
            number = len(self.calls)
            self.calls.append(call)
            error = self.fault(number, call)
            if error is not None:
                if self.commit_before_fault:
                    self._commit(call)
                raise error
            return self._commit(call)

    def _commit(self, call: Call) -> Reply:
        if call.key in self.replies:
            return self.replies[call.key]
        positions = call.positions.tolist()
        assert 1 <= len(positions) <= 1000
        assert len(set(positions)) == len(positions)
        refused = [place for place, contact in enumerate(positions) if contact in self.bad]
        if refused:
            place = {"index": refused[0], "wrong": 0}.get(self.param)
            raise InvalidRequestError(
                "refused",
                status=400,
                code="invalid_field_value",
                param=None if place is None else f"contact_ids[{place}]",
            )
        outcomes = self.world[call.positions]
        self.labeled.update(call.positions[outcomes == Outcome.APPLIED].tolist())
        tally = [int((outcomes == kind).sum()) for kind in (1, 2, 3)]
        reply = Reply(Counts(*tally), f"req_{len(self.replies)}")
        self.replies[call.key] = reply
        return reply


class FakeTime:
    """The time module of a test: only sleeping passes the time, and there is no wall clock in it.

    That one can be moved, so whoever paces by it ends with an AttributeError.
    """

    def __init__(self) -> None:
        self.now = 0.0
        self.wall_offset = 1_800_000_000.0

    def monotonic(self) -> float:
        return self.now

    def wall_time(self) -> float:
        return self.now + self.wall_offset

    def sleep(self, seconds: float) -> None:
        # However short: a real clock has moved on, too.
        self.now = max(self.now + seconds, math.nextafter(self.now, math.inf))


_NUMBERS = count()


def lost(maybe_applied: bool) -> Callable[[Answer], TransportError]:
    return lambda answer: TransportError("no reply", maybe_applied=maybe_applied)


def said(status: int, code: str, param: str | None = None, **headers: str) -> Answer:
    """An error in the service's own words."""
    error = {"type": "some_error", "code": code, "message": "No.", "param": param}
    error["request_id"] = f"req_no_{next(_NUMBERS)}"
    return Answer(status, headers, json.dumps({"error": error}).encode())


def page(status: int) -> Callable[[Answer], Answer]:
    """A web page of something on the way."""
    return lambda answer: Answer(status, {}, b"<html><title>Sign in</title></html>")


FAULTS: dict[str, tuple[bool, Callable[[Answer], Answer | KirimError]]] = {
    # Whether the call is carried out before it goes wrong, and what comes back then.
    "lost before commit": (False, lost(True)),
    "lost after commit": (True, lost(True)),
    "never left": (False, lost(False)),
    "503 before commit": (False, page(503)),
    "503 after commit": (True, page(503)),
    "408 after commit": (True, lambda answer: said(408, "request_timeout")),
    "303 after commit": (True, lambda answer: Answer(303, {"location": "https://x.test/"}, b"")),
    "cut": (True, lambda answer: replace(answer, body=answer.body[:-9])),
    "no counts": (True, lambda answer: Answer(200, {}, b'{"data": {}}')),
    "too many": (True, lambda answer: Answer(200, {}, answer.body.replace(b": ", b": 99"))),
    "login page": (False, page(200)),
    "in progress": (False, lambda answer: said(409, "idempotency_in_progress")),
    "key reused": (True, lambda answer: said(422, "idempotency_key_reuse")),
    "429": (False, lambda answer: said(429, "rate_limit_exceeded", **{"retry-after": "7"})),
    "429 without a time": (False, lambda answer: said(429, "rate_limit_exceeded")),
    # A definite no to this try, which says nothing of an earlier one.
    "401": (False, lambda answer: said(401, "invalid_api_key")),
    "403": (False, lambda answer: said(403, "plan_required")),
    "label gone": (False, lambda answer: said(404, "resource_not_found", "label_id")),
    "400 about the label": (False, lambda answer: said(400, "invalid_field_value", "label_id")),
    "400 of a gateway": (False, page(400)),
    "404 of a gateway": (False, page(404)),
}
KEPT_FAULTS = {"500 kept": False, "500 kept after commit": True}
"""Failures that the service stores under the key, and whether the call was carried out."""
OTHER_FAULTS = ("a bug", "clock forward", "clock back", "the last reply from a cache")
KEPT_SECONDS = 24 * 3600


@dataclass
class Customer:
    """A run as the service knows it: what may be sent, and what was carried out."""

    label_id: str
    operation: str
    asked: frozenset[str]
    carried: set[str] = field(default_factory=set)
    sent: int = 0


@dataclass
class WireService:
    """The service as bytes in, bytes out; it notes in `violations` what no client may do.

    `world` holds the Outcome of each contact; `bad` are those that it refuses with a 400 that
    points as `param` says: at the "index", at the "wrong" one, or at none.
    """

    world: dict[str, int]
    clock: FakeTime
    param: str | None = "index"
    bad: set[str] = field(default_factory=set)
    coming: deque[str | None] = field(default_factory=deque)
    lasting: str | None = None
    revoked: bool = False
    label_gone: bool = False
    bodies: dict[str, bytes] = field(default_factory=dict)
    first_sent: dict[str, float] = field(default_factory=dict)
    kept: dict[str, tuple[Answer, float]] = field(default_factory=dict)
    met: Counter[str] = field(default_factory=Counter)
    violations: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.bucket = Bucket(60, 0)
        self.new_session()

    def new_session(self) -> None:
        """A client that knows nothing yet: of it, one request may find the bucket empty."""
        self.not_before = -math.inf
        self.is_first = True
        self.heard: list[Answer] = []

    def must(self, holds: bool, otherwise: str) -> None:
        """Note a broken rule."""
        if not holds:  # noted, not raised: what a sender raises is an end that the run expects
            self.violations.append(otherwise)

    def exchange(self, customer: Customer, request: Request, key: str) -> Answer | KirimError:
        """Answer one try, in place of the client's own exchange."""
        call = json.loads(request.body)
        ids = call["contact_ids"]
        order = (call["label_id"], call["operation"])
        self.must(self.clock.now >= self.not_before, "sooner than a 429 asked for")
        self.must(self.bodies.setdefault(key, request.body) == request.body, "a key, two bodies")
        self.must(set(ids) <= customer.asked, "an id that was not asked for")
        self.must(1 <= len(set(ids)) == len(ids) <= 1000, "an id twice, or too many")
        self.must(order == (customer.label_id, customer.operation), "another order than asked")
        age = self.clock.now - self.first_sent.setdefault(key, self.clock.now)
        self.must(age < KEPT_SECONDS, "a key that the service has forgotten")
        customer.sent += 1
        self.clock.sleep(0.2)
        is_first, self.is_first = self.is_first, False
        fault = self.coming.popleft() if self.coming else self.lasting
        if fault is not None:
            self.met[fault] += 1
        if fault == "a bug":
            raise RuntimeError(fault)
        if fault in ("clock forward", "clock back"):
            self.clock.wall_offset += 7200 if fault == "clock forward" else -60
        if self.revoked:
            return said(401, "invalid_api_key")
        if self.label_gone:
            return said(404, "resource_not_found", "label_id")
        executes, change = FAULTS.get(fault or "", (True, lambda answer: answer))
        if not executes:
            answer = change(Answer(200, {}, b""))
            if isinstance(answer, Answer) and "retry-after" in answer.headers:
                self.not_before = self.clock.now + float(answer.headers["retry-after"])
            return answer
        if not self.bucket.take(self._now_ns()):
            self.must(is_first, "a call beyond the bucket")
            return said(429, "rate_limit_exceeded", **{"retry-after": "1"})
        headers = {
            "x-ratelimit-limit": str(self.bucket.per_minute),
            "x-ratelimit-remaining": str(self.bucket.remaining(self._now_ns())),
        }
        if fault == "the last reply from a cache" and self.heard:
            return self.heard[-1]  # and the service never knew
        answer = change(self._answer(customer, ids, key, fault))
        if not isinstance(answer, Answer):
            return answer
        answer = replace(answer, headers=headers | answer.headers)
        if answer.status == 200 and fault is None and not answer.is_replay:
            self.heard.append(answer)
        return answer

    def _now_ns(self) -> int:
        return round(self.clock.now * 1e9)

    def _answer(self, customer: Customer, ids: list[str], key: str, fault: str | None) -> Answer:
        known = self.kept.get(key)
        if known is not None and self.clock.now - known[1] < KEPT_SECONDS:
            return replace(known[0], headers={"idempotent-replayed": "true"})
        refused = [place for place, contact in enumerate(ids) if contact in self.bad]
        if fault in KEPT_FAULTS:
            answer = said(500, "internal_error")
            if KEPT_FAULTS[fault] and not refused:
                self._carry_out(customer, ids)
        elif refused:
            place = {"index": refused[0], "wrong": 0}.get(self.param)
            param = None if place is None else f"contact_ids[{place}]"
            return said(400, "invalid_field_value", param)
        else:
            answer = self._carry_out(customer, ids)
        self.kept[key] = (answer, self.clock.now)
        return answer

    def _carry_out(self, customer: Customer, ids: list[str]) -> Answer:
        outcomes = [self.world[contact] for contact in ids]
        passing = Outcome.APPLIED
        customer.carried.update(i for i, o in zip(ids, outcomes, strict=True) if o == passing)
        names = ("applied", "skipped_cross_org", "skipped_team_mismatch")
        counts = {name: outcomes.count(kind) for kind, name in enumerate(names, 1)}
        return Answer(
            200, {}, json.dumps({"data": counts, "request_id": f"req_{next(_NUMBERS)}"}).encode()
        )
