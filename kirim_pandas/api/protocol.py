"""The words of the service: requests out, replies in. No I/O, no clock.

What the service's documentation says is marked *says*, what is concluded from it *inferred*.
"""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlsplit

from kirim_pandas.api.address import Address
from kirim_pandas.api.models import BulkLabelReply
from kirim_pandas.api.retry import parse_retry_after
from kirim_pandas.api.secret import Secret
from kirim_pandas.errors import (
    ApiError,
    AuthenticationError,
    ConfigurationError,
    ConflictError,
    InvalidInputError,
    InvalidRequestError,
    KirimError,
    NotFoundError,
    PermissionDeniedError,
    ProtocolError,
    RateLimitedError,
    ServerError,
)

__all__ = [
    "MAX_REPLY_BYTES",
    "Reply",
    "Request",
    "bulk_label_request",
    "is_label_id",
    "is_usable_key",
    "not_understood",
    "order_problems",
    "parse_bulk_label",
    "parse_object",
    "read_request",
]

MAX_CONTACTS_PER_CALL = 1000
"""Says: at most 1000 contacts a call, in one transaction."""
MAX_REPLY_BYTES = 1024 * 1024
"""A true ``bulk_label`` reply is under 300 bytes, a page of 100 contacts some 50 kB."""
WHOLE_REPLY_TRIES = 3
"""A reply that came whole and is still not understood is worth two more tries, not eight."""

_CONTACT = re.compile(r"ctc_[0-9A-HJKMNP-TV-Z]{26}")  # says: Crockford base32, upper case
_LABEL = re.compile(r"lbl_[0-9A-HJKMNP-TV-Z]{26}")
_IDEMPOTENCY_KEY = re.compile(r"[!-~]{1,255}")  # says: up to 255 characters
_OPERATIONS = ("attach", "detach")
_TITLE = re.compile(r"<title[^>]*>([^<]*)", re.IGNORECASE)

_ERRORS: dict[int, tuple[type[ApiError], str]] = {
    400: (InvalidRequestError, "the service refused the request"),
    401: (
        AuthenticationError,
        "the API key was not accepted: check it, or connect with a new one",
    ),
    403: (PermissionDeniedError, "the service does not allow this to the key's organisation"),
    404: (
        NotFoundError,
        "not found in this organisation: check the label id, and whose key this is",
    ),
    409: (ConflictError, "the idempotency key conflicts with another request"),
    413: (InvalidRequestError, "the request is too large for the service"),
    422: (InvalidRequestError, "the service refused the request"),
    429: (RateLimitedError, "the organisation's rate limit is reached"),
}
_KEY_REUSED = ("idempotency_key_reuse", "idempotency_conflict")
_IN_PROGRESS = "idempotency_in_progress"


@dataclass(frozen=True, slots=True)
class Request:
    """One call: its body is serialised once, since a repeat must be the very same bytes."""

    method: str
    url: str
    body: bytes | None = field(default=None, repr=False)
    contact_count: int = 0

    @property
    def is_write(self) -> bool:
        """Whether it is counted in the bucket of writes, and may change something."""
        return self.method != "GET"


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back; header names in lower case."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)

    @property
    def is_replay(self) -> bool:
        """Says: a repeated key brings the first reply, so marked."""
        return self.headers.get("idempotent-replayed", "").strip().lower() == "true"


def order_problems(label_id: object, operation: object) -> list[str]:
    """Tell what is wrong with a label id and an operation, a sentence each."""
    problems = []
    if not isinstance(label_id, str) or not _LABEL.fullmatch(label_id):
        problems.append(
            f"label id: found {_shown(label_id)}, expected lbl_ and 26 upper-case letters and "
            "digits: kirim_pandas.labels() lists them"
        )
    if operation not in _OPERATIONS:
        problems.append(f"operation: found {_shown(operation)}, expected 'attach' or 'detach'")
    return problems


def bulk_label_request(
    address: Address, contact_ids: Sequence[str], *, label_id: str, operation: str
) -> Request:
    """Check everything, then build the call that labels contacts.

    Raises
    ------
    InvalidInputError
        No id or more than 1000, a malformed or repeated id, a malformed label id, another
        operation than attach and detach.
    """
    problems = order_problems(label_id, operation)
    if not 1 <= len(contact_ids) <= MAX_CONTACTS_PER_CALL:
        problems.append(
            f"contact ids: found {len(contact_ids):,}, expected 1 to {MAX_CONTACTS_PER_CALL}: "
            "use df.kirim.bulk_label for any number"
        )
    bad = [i for i in contact_ids if not isinstance(i, str) or not _CONTACT.fullmatch(i)]
    if bad:
        problems.append(
            f"contact ids: {len(bad):,} are malformed, the first is {_shown(bad[0])}; expected "
            "ctc_ and 26 upper-case letters and digits"
        )
    elif len(set(contact_ids)) < len(contact_ids):
        problems.append("contact ids: some are repeated, expected each once")
    if problems:
        raise InvalidInputError("; ".join(problems))
    body = {"contact_ids": list(contact_ids), "label_id": label_id, "operation": operation}
    return Request(
        "POST",
        address.url("/contacts/bulk_label", with_number=True),
        json.dumps(body, separators=(",", ":")).encode("ascii"),
        len(contact_ids),
    )


def read_request(address: Address, path: str, **query: str | int | None) -> Request:
    """Build a GET; each part of `path` is quoted."""
    quoted = "/".join(quote(part, safe="") for part in path.split("/"))
    return Request("GET", address.url(quoted, with_number=path == "/contacts", **query))


def is_label_id(text: object) -> bool:
    """Whether `text` has the shape of a label id."""
    return isinstance(text, str) and _LABEL.fullmatch(text) is not None


def is_usable_key(text: object) -> bool:
    """Whether `text` can be an idempotency key."""
    return isinstance(text, str) and _IDEMPOTENCY_KEY.fullmatch(text) is not None


def _shown(value: object) -> str:
    text = ascii(value) if isinstance(value, str) else f"a {type(value).__name__}"
    return text if len(text) <= 40 else text[:37] + "…'"


def parse_bulk_label(reply: Reply, request: Request, secret: Secret) -> BulkLabelReply:
    """Read the counts of a ``bulk_label`` call.

    Raises
    ------
    ProtocolError
        A count is missing, negative, not an integer, or the sum is above the ids sent.
    KirimError
        As :func:`parse_object`.
    """
    body = parse_object(reply, secret)
    data = body.get("data")
    if not isinstance(data, dict):
        raise not_understood("the reply has no data object")
    names = ("applied", "skipped_cross_org", "skipped_team_mismatch")
    counts = [data.get(name) for name in names]
    # bool is an int to Python, so the type itself is compared
    if not all(type(count) is int and count >= 0 for count in counts) or (
        sum(counts) > request.contact_count  # type: ignore[arg-type]
    ):
        found = ", ".join(
            f"{name} {secret.clean(repr(count), limit=30)}"
            for name, count in zip(names, counts, strict=True)
        )
        raise not_understood(
            f"the counts are not possible for {request.contact_count:,} contacts: {found}"
        )
    applied, cross_org, team_mismatch = counts
    return BulkLabelReply(
        applied,  # type: ignore[arg-type]
        cross_org,  # type: ignore[arg-type]
        team_mismatch,  # type: ignore[arg-type]
        _request_id(body, reply, secret),
        reply.is_replay,
    )


def parse_object(reply: Reply, secret: Secret, *, call: str = "bulk_label") -> dict[str, Any]:
    """Read the JSON object of a good reply to `call`.

    Raises
    ------
    ApiError
        The service, or something on the way, answered with an error status.
    ConfigurationError
        It answered with a redirect, which is never followed: the key would go along.
    ProtocolError
        The reply is cut, or is no JSON object.
    """
    if 300 <= reply.status < 400:
        raise _redirected(reply, secret)
    if reply.status >= 400:
        raise _api_error(reply, secret, call)
    body = _decoded(reply)
    parsed = _json_object(body)
    if parsed is not None:
        return parsed
    if body.lstrip()[:1] == b"<":
        raise not_understood(
            "something between you and Kirim answered with a web page"
            f"{_title(body, secret)}: log in to the network, or check base_url"
        )
    raise ProtocolError(
        f"the reply (HTTP {reply.status}, {len(body):,} bytes) is not the JSON object expected; "
        "it may have been cut on the way"
    )


def not_understood(message: str) -> ProtocolError:
    """Make the error for a reply that came whole and makes no sense."""
    error = ProtocolError(message)
    error.tries_allowed = WHOLE_REPLY_TRIES
    return error


def _decoded(reply: Reply) -> bytes:
    """Undo a compression that was not asked for, to a bounded size."""
    encoding = reply.headers.get("content-encoding", "identity").strip().lower()
    if encoding in ("", "identity"):
        return reply.body
    if encoding not in ("gzip", "x-gzip", "deflate"):
        raise ProtocolError("the reply is compressed in a way that was not asked for")
    try:
        body = zlib.decompressobj(wbits=47).decompress(reply.body, MAX_REPLY_BYTES + 1)
    except zlib.error:
        raise ProtocolError("the reply's compression is broken") from None
    if len(body) > MAX_REPLY_BYTES:
        raise ProtocolError(f"the reply is larger than {MAX_REPLY_BYTES:,} bytes")
    return body


def _json_object(body: bytes) -> dict[str, Any] | None:
    try:
        parsed = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return parsed if isinstance(parsed, dict) else None


def _title(body: bytes, secret: Secret) -> str:
    found = _TITLE.search(body[:20_000].decode("utf-8", "replace"))
    return f" (title: {secret.clean(found[1], limit=200)!r})" if found else ""


def _request_id(body: Mapping[str, Any], reply: Reply, secret: Secret) -> str | None:
    value = body.get("request_id") or reply.headers.get("x-request-id")
    return secret.clean(value, limit=100) if isinstance(value, str) and value else None


def _redirected(reply: Reply, secret: Secret) -> ConfigurationError:
    try:
        host = urlsplit(reply.headers.get("location", "")).netloc.rpartition("@")[2]
    except ValueError:
        host = ""
    where = f"moved to {secret.clean(host, limit=100)}" if host else "moved"
    error = ConfigurationError(
        f"the service has {where} (HTTP {reply.status}); redirects are not followed, since the "
        "key would go along: set base_url to the new address if you trust it"
    )
    error.maybe_applied = True  # a 303 may follow a request that was carried out
    return error


def _api_error(reply: Reply, secret: Secret, call: str) -> ApiError:
    status = reply.status
    kind, meaning = _ERRORS.get(status, (ApiError, "the service refused the request"))
    if status >= 500:
        kind, meaning = ServerError, "the service failed"
    try:
        body = _decoded(reply)
    except KirimError:
        body = b""
    envelope = (_json_object(body) or {}).get("error")
    details: dict[str, str | None] = {}
    if isinstance(envelope, dict):
        for name in ("type", "code", "param"):
            value = envelope.get(name)
            details[name] = secret.clean(value, limit=200) if isinstance(value, str) else None
        said = envelope.get("message")
        if isinstance(said, str) and said:
            meaning += f'. The service says: "{secret.clean(said)}"'
    elif status == 404:
        meaning = f"this host has no {call} at this path: check base_url / phone_number_id"
    else:
        meaning += f"; the answer was not Kirim's own{_title(body, secret)}"
    request_id = _request_id(envelope if isinstance(envelope, dict) else {}, reply, secret)
    marks = [f"HTTP {status}", details.get("code"), request_id and f"request {request_id}"]
    if details.get("code") in _KEY_REUSED:
        meaning = "the idempotency key was used for something else, so nothing is sent again"
    elif details.get("code") == _IN_PROGRESS:
        meaning = "an earlier try of the same request is still in progress: go on later"
    error = kind(
        f"{meaning} ({', '.join(mark for mark in marks if mark)})",
        status=status,
        request_id=request_id,
        **details,
    )
    error.retry_after_seconds = parse_retry_after(
        reply.headers.get("retry-after"), date=reply.headers.get("date")
    )
    error.replayed = reply.is_replay
    if status == 408 or error.code in (*_KEY_REUSED, _IN_PROGRESS):
        error.maybe_applied = True
    return error
