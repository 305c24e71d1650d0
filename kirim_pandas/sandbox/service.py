"""The service: a request in, a reply out, the truth kept; no sockets."""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from kirim_pandas.sandbox.clock import Clock
from kirim_pandas.sandbox.idempotency import Idempotency, fingerprint_of
from kirim_pandas.sandbox.limits import Kind, Limits
from kirim_pandas.sandbox.messages import Refusal, Reply, Request, make_id
from kirim_pandas.sandbox.queries import Reader, label_fields
from kirim_pandas.sandbox.store import BulkCounts, Label, Store
from kirim_pandas.sandbox.switches import Switches
from kirim_pandas.sandbox.validation import param_at, parse_json, read_bulk_call, read_new_label

ROUTE = re.compile(
    r"/v1(?:/(?P<number>\d{6,20}))?/(?:"
    r"(?P<bulk>contacts/bulk_label)|(?P<contacts>contacts)|contacts/(?P<contact>[^/]+)|"
    r"(?P<me>me)|(?P<labels>labels)|labels/(?P<label>[^/]+)|(?P<accounts>accounts))"
)
NUMBERED = {"bulk", "contacts", "contact"}
"""Routes that may stand under a phone number; the others stay at the root."""

METHODS = {"bulk": ("POST",), "labels": ("GET", "HEAD", "POST")}
"""What each route takes; the others are only read."""


@dataclass
class Key:
    """An API key: whose it is and whether it still works."""

    organization: str
    state: str = "valid"


@dataclass
class Service:
    """Everything behind the door: keys, limits, validation, idempotency, the job.

    Attributes
    ----------
    pause
        Waits some seconds, or less if the sandbox closes; passed in.
    """

    store: Store
    clock: Clock
    switches: Switches
    limits: Limits
    keys: dict[str, Key]
    idempotency: Idempotency
    pause: Callable[[float], object]

    def answer(
        self, request: Request, *, stall_seconds: float = 0.0, fail_and_keep: bool = False
    ) -> Reply:
        """Answer one request.

        Parameters
        ----------
        request
            As it came.
        stall_seconds
            How long a write takes before it commits; its key is in progress meanwhile.
        fail_and_keep
            Whether a write fails with a 500 that is kept under its key.
        """
        request_id = self.next_request_id()
        match = ROUTE.fullmatch(request.path)
        if match is None or not self._path_allowed(match):
            # A router that does not know the path answers before the application.
            return Reply(404, b"404 page not found\n", {"Content-Type": "text/plain"})
        route = match.lastgroup or ""
        bucket: tuple[str, Kind] | None = None
        try:
            if request.method not in METHODS.get(route, ("GET", "HEAD")):
                return Reply(405, b"405 method not allowed\n", {"Content-Type": "text/plain"})
            key = self._authenticate(request)
            writes = request.method == "POST"
            bucket = (key.organization, "writes" if writes else "reads")
            self._check_number(match["number"], key)
            if writes:
                reply = self._write(request, key, request_id, stall_seconds, fail_and_keep)
            else:
                self.limits.spend(key.organization, "reads")
                read = self._read(route, match, key, request)
                reply = Reply.of(200, read, request_id)
        except Refusal as refusal:
            reply = refusal.reply(request_id)
        return self.dress(reply, bucket)

    def refuse(self, refusal: Refusal, request: Request) -> Reply:
        """Make the reply of a refusal that is played, not meant (a fault)."""
        key = self.keys.get(_token(request))
        kind: Kind = "reads" if request.method in ("GET", "HEAD") else "writes"
        bucket = (key.organization, kind) if key else None
        return self.dress(refusal.reply(self.next_request_id()), bucket)

    def next_request_id(self) -> str:
        """Make a request id; a sandbox that is started again repeats none, as a cache would."""
        return make_id("req_", secrets.randbits(128))

    def dress(self, reply: Reply, bucket: tuple[str, Kind] | None) -> Reply:
        """Add the documented headers."""
        headers = {**reply.headers, "Content-Type": "application/json; charset=utf-8"}
        if reply.request_id:
            headers["X-Request-Id"] = reply.request_id
        if reply.replayed:
            headers["Idempotent-Replayed"] = "true"
        if bucket and (reply.status < 500 or self.switches.rate_headers_on_5xx):
            headers.update(self.limits.headers(*bucket, refused=reply.status == 429))
        return replace(reply, headers=headers)

    def _path_allowed(self, match: re.Match[str]) -> bool:
        if match.lastgroup not in NUMBERED:
            return match["number"] is None
        rule = self.switches.phone_number_path
        return rule == "optional" or (match["number"] is not None) == (rule == "required")

    def _authenticate(self, request: Request) -> Key:
        key = self.keys.get(_token(request))
        if key is not None and key.state == "expired":
            raise Refusal(401, "expired_api_key", "The API key has expired.")
        if key is None or key.state != "valid":
            raise Refusal(401, "invalid_api_key", "The API key is missing or not valid.")
        return key

    def _check_number(self, phone_number_id: str | None, key: Key) -> None:
        if phone_number_id is None:
            return
        own = "SELECT 1 FROM account WHERE phone_number_id = ? AND organization = ?"
        if not self.store.rows(own, (phone_number_id, key.organization)):
            message = "This number belongs to another organisation."
            raise Refusal(403, "phone_number_forbidden", message)

    def _read(self, route: str, match: re.Match[str], key: Key, request: Request) -> dict[str, Any]:
        if route == "me":
            return self._me(key.organization, request)
        reader = Reader(self.store, self.switches, key.organization, match["number"])
        if route in ("contact", "label"):
            one: dict[str, Any] = getattr(reader, route)(match[route])
            return one
        listed: dict[str, Any] = getattr(reader, route)(request.query)
        return listed

    def _me(self, organization: str, request: Request) -> dict[str, Any]:
        token = _token(request)
        about = {
            "organization": {"id": organization, "object": "organization", "name": "Sandbox"},
            "api_key": {
                "id": make_id("key_", int.from_bytes(hashlib.sha256(token.encode()).digest()[:16])),
                "object": "api_key",
                "label": "Sandbox key",
                "last4": token[-4:],
            },
            "rate_limits": self.limits.about(),
        }
        return {"data": about}

    def _write(
        self, request: Request, key: Key, request_id: str, stall_seconds: float, fail: bool
    ) -> Reply:
        organization = key.organization
        name = request.headers.get("idempotency-key", "")
        content, fingerprint, kept = self._begin(request, organization, name)
        if kept is not None:
            if self.switches.replay_costs:
                self.limits.spend(organization, "writes")
            return kept
        try:
            self.limits.spend(organization, "writes")
            if stall_seconds:
                self.pause(stall_seconds)
            with self.store.transaction():
                try:
                    reply = self._execute(content, request.path, organization, request_id, fail)
                except Refusal as refusal:
                    reply = refusal.reply(request_id)
                if name and (reply.executed or fail or self.switches.cache_failures):
                    self.idempotency.keep(organization, name, fingerprint, reply)
            return reply
        finally:
            if name:
                self.idempotency.release(organization, name)

    def _begin(
        self, request: Request, organization: str, name: str
    ) -> tuple[Any, str, Reply | None]:
        """Read the body, and mark the key as in progress; or give the reply kept under it."""
        try:
            content = parse_json(request.body)
            fingerprint = fingerprint_of(request.method, request.path, content)
            kept = self.idempotency.begin(organization, name, fingerprint) if name else None
        except Refusal:
            self.limits.spend(organization, "writes")
            raise
        return content, fingerprint, kept

    def _execute(
        self, content: Any, path: str, organization: str, request_id: str, fail: bool
    ) -> Reply:
        if fail:
            raise Refusal(500, "internal_error", "Something went wrong.")
        if path.endswith("/labels"):
            return self._create_label(content, organization, request_id)
        call = read_bulk_call(content, self.switches)
        label = self.store.find_label(call.label_id, organization)
        if label is None:
            raise Refusal(404, "resource_not_found", "No such label.", param="label_id")
        unknown_ids = self.switches.unknown_ids
        if unknown_ids in ("404", "400"):
            position = self.store.first_unknown(call.contact_ids)
            if position is not None:
                code = "resource_not_found" if unknown_ids == "404" else "invalid_field_value"
                param = param_at(self.switches, position)
                raise Refusal(int(unknown_ids), code, "No such contact.", param=param)
        counts = self.store.bulk_label(call.contact_ids, label, call.operation)
        return Reply.of(200, {"data": self._counters(counts)}, request_id, executed=True)

    def _create_label(self, content: Any, organization: str, request_id: str) -> Reply:
        teams = self.store.teams(organization)
        name, color, team_id = read_new_label(content, teams)
        digest = hashlib.sha256(f"label {request_id}".encode()).digest()
        label_id = make_id("lbl_", int.from_bytes(digest[:16], "big"))
        now = datetime.fromtimestamp(self.clock.unix_seconds(), UTC)
        made_at = now.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        label = Label(0, label_id, organization, name, color, team_id, teams[team_id], made_at)
        if not self.store.create_label(label):
            message = "The team has a label of this name."
            raise Refusal(400, "invalid_field_value", message, param="name")
        shown = label_fields(label_id, name, color, team_id, made_at)
        return Reply.of(201, {"data": shown}, request_id, executed=True)

    def _counters(self, counts: BulkCounts) -> dict[str, int]:
        by_contact = self.switches.applied == "contacts"
        unknown = counts.unknown if self.switches.unknown_ids == "cross_org" else 0
        return {
            "applied": counts.passing if by_contact else counts.changed,
            "skipped_cross_org": counts.cross_org + unknown,
            "skipped_team_mismatch": counts.team_mismatch,
        }


def _token(request: Request) -> str:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token if scheme.lower() == "bearer" else ""
