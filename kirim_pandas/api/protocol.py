"""The words of the service: requests out, replies in. No I/O, no clock.

What the service's documentation says is marked *says*, what is concluded from it *inferred*.

Who says no?  Only the service's own envelope (type, code and request_id) says that a call was
refused.  Anything on the way may have refused the *reply*, after the call was carried out.
"""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import SplitResult, quote, urljoin, urlsplit

from kirim_pandas.api.address import Address
from kirim_pandas.api.models import (
    Answer,
    BulkLabelReply,
    CheckedIds,
    Reply,
    Request,
    not_understood,
)
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

MAX_CONTACTS_PER_CALL = 1000
"""Says: at most 1000 contacts a call, in one transaction."""
MAX_SEARCH_CHARACTERS = 200  # says
MAX_REPLY_BYTES = 1024 * 1024
"""A true ``bulk_label`` reply is under 300 bytes, a page of 100 contacts some 50 kB."""
MAX_CURSOR_CHARACTERS = 16 * 1024
"""Three times as long when it is quoted, it still fits an address of 64 KiB."""

_CONTACT = re.compile(r"ctc_[0-9A-HJKMNP-TV-Z]{26}")  # says: Crockford base32, upper case
_LIKE_A_KEY = re.compile(r"k(dv|c)_(live|test)_")
_LABEL = re.compile(r"lbl_[0-9A-HJKMNP-TV-Z]{26}")
_IDEMPOTENCY_KEY = re.compile(r"[!-~]{1,255}")  # says: up to 255 characters
_HALF_CHARACTER = re.compile("[\ud800-\udfff]")
_OPERATIONS = ("attach", "detach")
MAX_LABEL_CHARACTERS = 50  # says: name, 1 to 50
MAX_TEAM_CHARACTERS = 64  # says: team_id, 1 to 64
LABEL_COLOURS = (
    *("gray", "red", "orange", "amber", "yellow", "lime", "green", "emerald"),
    *("teal", "sky", "blue", "violet", "pink"),
)
_TITLE = re.compile(r"<title[^>]*>([^<]*)", re.IGNORECASE)
_BETWEEN = "something between you and Kirim"

_MEANINGS: dict[int, tuple[type[ApiError], str, str]] = {
    # status: class, what the service means by it, what something on the way means by it
    400: (InvalidRequestError, "the service refused the request", "did not take the request"),
    401: (
        AuthenticationError,
        "the API key was not accepted: check it, or connect with a new one",
        "asks for a login of its own",
    ),
    403: (
        PermissionDeniedError,
        "the service does not allow this to the key's organisation",
        "refused the request",
    ),
    404: (
        NotFoundError,
        "not found in this organisation: check the label id, and whose key this is",
        "(or another service at this address) has no {call} at this path: check base_url / "
        "phone_number_id",
    ),
    407: (ApiError, "the service refused the request", "(a proxy) asks for a login"),
    408: (ApiError, "the request took too long", "found that the request took too long"),
    409: (
        ConflictError,
        "the idempotency key conflicts with another request",
        "refused the request",
    ),
    413: (
        InvalidRequestError,
        "the request is too large for the service",
        "takes no request of this size",
    ),
    422: (InvalidRequestError, "the service refused the request", "did not take the request"),
    429: (
        RateLimitedError,
        "the organisation's rate limit is reached",
        "takes no more requests for now",
    ),
    511: (
        ServerError,
        "the service failed",
        "wants a login to the network first: log in with a browser",
    ),
}
_REFUSED = (ApiError, "the service refused the request", "refused the request")
_FAILED = (ServerError, "the service failed", "could not pass on the request, or its reply")

_CREATED = {"POST /labels": 201}
_KEY_REUSED = ("idempotency_key_reuse", "idempotency_conflict")
_IN_PROGRESS = "idempotency_in_progress"
_OF_THE_KEY = {
    **dict.fromkeys(
        _KEY_REUSED, "the idempotency key was used for something else, so nothing is sent again"
    ),
    _IN_PROGRESS: "an earlier try of the same request is still in progress: go on later",
}

_DETAILS = ("type", "code", "param")
_COMPRESSIONS = {"br": "brotli", "zstd": "zstandard"}
_HIT = re.compile(r"hit(?![a-z])|stale|updating|revalidated", re.IGNORECASE)
_STATUS_OF_CACHES = ("x-cache", "x-cache-status", "x-proxy-cache", "cf-cache-status")


def maybe_applied(status: int, code: str | None) -> bool:
    """Tell whether a call that was answered with an error may have been carried out.

    Parameters
    ----------
    status
        HTTP status, 400 or more.
    code
        Of the service's envelope; None where something else answered.
    """
    return code is None or status >= 500 or status == 408 or code in _OF_THE_KEY


def label_problems(label_id: object) -> list[str]:
    """Tell what is wrong with a label id, if anything is."""
    if is_label_id(label_id):
        return []
    return [
        f"label id: found {_shown(label_id)}, expected lbl_ and 26 upper-case letters and "
        "digits: kirim_pandas.labels() lists them"
    ]


def operation_problems(operation: object) -> list[str]:
    """Tell what is wrong with an operation, if anything is."""
    if isinstance(operation, str) and operation in _OPERATIONS:
        return []
    return [f"operation: found {_shown(operation)}, expected 'attach' or 'detach'"]


def bulk_label_request(
    address: Address,
    contact_ids: Sequence[str] | CheckedIds,
    *,
    label_id: str,
    operation: str,
    repeats: bool = False,
) -> Request:
    """Check everything, then build the call that labels contacts.

    Raises
    ------
    InvalidInputError
        No id or more than 1000, a malformed id, a repeated one unless `repeats`, a malformed
        label id, another operation than attach and detach.
    """
    problems = [*label_problems(label_id), *operation_problems(operation)]
    if not isinstance(contact_ids, CheckedIds):
        problems += _id_problems(contact_ids, repeats)
    if problems:
        raise InvalidInputError("; ".join(problems))
    ids = contact_ids
    if not isinstance(ids, CheckedIds):
        ids = CheckedIds.of([one.encode("ascii") for one in ids])
    rest = f'],"label_id":"{label_id}","operation":"{operation}"}}'
    return Request(
        "POST",
        address.url("/contacts/bulk_label", with_number=True),
        b'{"contact_ids":[' + ids.json + rest.encode("ascii"),
        contact_count=ids.count,
    )


def _id_problems(contact_ids: Sequence[str], repeats: bool) -> list[str]:
    problems = []
    if not 1 <= len(contact_ids) <= MAX_CONTACTS_PER_CALL:
        problems.append(
            f"contact ids: found {len(contact_ids):,}, expected 1 to {MAX_CONTACTS_PER_CALL}: "
            "use df.kirim.bulk_label for any number"
        )
    bad = [i for i in contact_ids if not isinstance(i, str) or not _CONTACT.fullmatch(i)]
    if bad:
        problems.append(
            f"contact ids: {len(bad):,} are malformed, the first is {_kind(bad[0])}; expected "
            "ctc_ and 26 upper-case letters and digits"
        )
    elif not repeats and len(set(contact_ids)) < len(contact_ids):
        problems.append("contact ids: some are repeated, expected each once")
    return problems


def create_label_request(
    address: Address, *, name: object, color: object, team_id: object
) -> Request:
    """Check a new label, then build the call that makes it.

    Raises
    ------
    InvalidInputError
        The name has not 1 to 50 characters, the colour is none of the service's, or the team id
        has not 1 to 64 characters.
    """
    text = "text of 1 to {} characters".format
    colours = f"one of {', '.join(LABEL_COLOURS)}, or None"
    of_team = f"{text(MAX_TEAM_CHARACTERS)}, or None"
    expected = [
        ("name", name, _is_text(name, MAX_LABEL_CHARACTERS), text(MAX_LABEL_CHARACTERS)),
        ("color", color, color is None or _is_colour(color), colours),
        ("team_id", team_id, team_id is None or _is_text(team_id, MAX_TEAM_CHARACTERS), of_team),
    ]
    problems = [
        f"{field}: found {_shown(value)}, expected {what}"
        for field, value, is_usable, what in expected
        if not is_usable
    ]
    if problems:
        raise InvalidInputError("; ".join(problems))
    body = {field: value for field, value, *_ in expected if value is not None}
    return Request("POST", address.url("/labels"), json.dumps(body).encode(), call="POST /labels")


def _is_colour(value: object) -> bool:
    return isinstance(value, str) and value in LABEL_COLOURS


def _is_text(value: object, most: int) -> bool:
    return isinstance(value, str) and 1 <= len(value.strip()) <= most


def read_request(address: Address, path: str, **query: str | int | None) -> Request:
    """Build a GET; each part of `path` is quoted."""
    quoted = "/".join(quote(part, safe="") for part in path.split("/"))
    url = address.url(quoted, with_number=path == "/contacts", **query)
    return Request("GET", url, call=f"GET {path}")


def check_filters(search: str | None, phone: str | None) -> None:
    """Check what contacts are searched by.

    Raises
    ------
    InvalidInputError
        `search` has not 1 to 200 characters, or one of the two cannot be sent.
    """
    for name, value in (("search", search), ("phone", phone)):
        if not isinstance(value, str | None):
            raise InvalidInputError(f"{name}: found {type(value).__name__}, expected a text")
    if search is not None and not 1 <= len(search) <= MAX_SEARCH_CHARACTERS:
        raise InvalidInputError(
            f"search: found {len(search)} characters, expected 1 to {MAX_SEARCH_CHARACTERS}"
        )
    for name, text in (("search", search), ("phone", phone)):
        if _HALF_CHARACTER.search(text or ""):
            raise InvalidInputError(f"{name}: found half a character, which cannot be sent")


def is_label_id(text: object) -> bool:
    """Whether `text` has the shape of a label id."""
    return isinstance(text, str) and _LABEL.fullmatch(text) is not None


def is_usable_key(text: object) -> bool:
    """Whether `text` can be an idempotency key."""
    return isinstance(text, str) and _IDEMPOTENCY_KEY.fullmatch(text) is not None


def _kind(value: object) -> str:
    """Say what a value is and not what it says: it may be a customer's name or number."""
    if isinstance(value, str):
        return f"a text of {len(value)} characters"
    return f"a {type(value).__name__}"


def _shown(value: object) -> str:
    if isinstance(value, str) and _LIKE_A_KEY.search(value):
        return "what looks like a key"
    plain = value is None or isinstance(value, str)
    text = ascii(value) if plain else f"a {type(value).__name__}"
    return text if len(text) <= 40 else text[:37] + "…'"


def read_counts(answer: Answer, request: Request, secret: Secret) -> BulkLabelReply:
    """Read the counts of a ``bulk_label`` call.

    Raises
    ------
    ProtocolError
        A count is missing, negative, not an integer, or the sum is above the ids sent.
    """
    names = ("applied", "skipped_cross_org", "skipped_team_mismatch")
    given = [answer.data.get(name) for name in names]
    # bool is an int to Python, so the type itself is compared
    counts = [count for count in given if type(count) is int and count >= 0]
    if len(counts) < len(names) or sum(counts) > request.contact_count:
        found = ", ".join(
            f"{name} {secret.clean(repr(count), limit=30)}"
            for name, count in zip(names, given, strict=True)
        )
        raise not_understood(
            f"the counts are not possible for {request.contact_count:,} contacts: {found}"
        )
    applied, cross_org, team_mismatch = counts
    return BulkLabelReply(
        applied, cross_org, team_mismatch, answer.request_id, replayed=answer.replayed
    )


def read_page(answer: Answer, secret: Secret) -> tuple[list[Mapping[str, Any]], str | None]:
    """Take a page apart: its items, and the cursor of the next one or None.

    Raises
    ------
    ProtocolError
        There is no list of objects, or more is promised without a usable cursor.
    """
    items, cursor = answer.body.get("data"), answer.body.get("next_cursor")
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise not_understood("the reply has no list of objects")
    if not answer.body.get("has_more"):
        return items, None
    if not isinstance(cursor, str) or not cursor:
        raise not_understood(f"the list goes on, but the cursor is {secret.clean(cursor)}")
    if len(cursor) > MAX_CURSOR_CHARACTERS or not cursor.isascii():
        raise not_understood(
            f"the list goes on, but its cursor has {len(cursor):,} characters; expected at most "
            f"{MAX_CURSOR_CHARACTERS:,}, all of them ASCII",
            tries=1,
        )
    return items, cursor


def read_reply(reply: Reply, request: Request, secret: Secret) -> Answer:
    """Read the JSON object of a good reply.

    Raises
    ------
    ApiError
        The service, or something on the way, answered with an error status.
    ConfigurationError
        It answered with a redirect, which is never followed: the key would go along.
    ProtocolError
        The reply is cut, or is no JSON object, or is another call's out of a cache.
    """
    if 300 <= reply.status < 400:
        raise _redirected(reply, request, secret)
    if reply.status >= 400:
        raise _refused(reply, request, secret)
    body = _decoded(reply)
    parsed = _json_object(body)
    if parsed is not None:
        _check_own_status(reply, request)
        _check_fresh(reply)
        request_id = _request_id(parsed, reply, secret)
        names = frozenset(reply.headers)
        return Answer(parsed, request_id, reply.is_replay, len(body), names)
    if body.lstrip()[:1] == b"<":
        raise not_understood(
            f"{_BETWEEN} answered with a web page{_title(body, secret)}: log in to the network, "
            "or check base_url"
        )
    raise ProtocolError(
        f"the reply (HTTP {reply.status}, {len(body):,} bytes) is not the JSON object expected; "
        "it may have been cut on the way"
    )


def _check_own_status(reply: Reply, request: Request) -> None:
    """Refuse a success that the service does not know: queues and partial copies answer so."""
    if reply.status not in (200, _CREATED.get(request.call)):
        raise not_understood(
            f"the answer has HTTP {reply.status}, with which Kirim does not answer: {_BETWEEN} "
            "(or another service at this address) does, so nothing is concluded from it"
        )


def from_a_cache(mark: str) -> ProtocolError:
    """Make the error for a reply that is not this call's; nothing may be concluded from it."""
    return not_understood(
        f"a cache between you and Kirim answered with the reply to another call ({mark}), so "
        "nothing is concluded from it: whoever runs the network must let the cache pass over "
        "Kirim's address",
        tries=1,
    )


def _check_fresh(reply: Reply) -> None:
    """Refuse what its headers mark as kept by a cache (RFC 9111, RFC 9211 and their elders)."""
    headers = reply.headers
    ages = re.findall(r"[0-9]+", headers.get("age", ""))
    if any(age.strip("0") for age in ages):
        raise from_a_cache(f"Age: {ages[0][:12]}")
    for name in _STATUS_OF_CACHES:
        if found := _HIT.search(headers.get(name, "")):
            raise from_a_cache(f"{name.title()}: {found[0]}")
    if re.search(r";\s*hit\b(?!=\?0)", headers.get("cache-status", "")):
        raise from_a_cache("Cache-Status: hit")
    # Varnish names the request; and a second number only where another one's reply is used.
    if re.search(r"[0-9]+ +[0-9]+", headers.get("x-varnish", "")):
        raise from_a_cache("X-Varnish with two numbers")


def _decoded(reply: Reply) -> bytes:
    """Undo a compression that was not asked for, to a bounded size."""
    encoding = reply.headers.get("content-encoding", "").strip().lower()
    if encoding in ("", "identity"):
        return reply.body
    if encoding not in ("gzip", "x-gzip", "deflate"):
        name = _COMPRESSIONS.get(encoding, "a method that is not known here")
        raise ProtocolError(
            f"the reply is compressed with {name}, which was not asked for: {_BETWEEN} changes "
            "replies"
        )
    body = _inflated(reply.body, wbits=47)
    if body is None and encoding == "deflate":
        body = _inflated(reply.body, wbits=-15)  # without the frame that the standard wants
    if body is None:
        raise ProtocolError("the reply's compression is broken")
    if len(body) > MAX_REPLY_BYTES:
        raise not_understood(f"the reply is larger than {MAX_REPLY_BYTES:,} bytes")
    return body


def _inflated(data: bytes, *, wbits: int) -> bytes | None:
    try:
        return zlib.decompressobj(wbits=wbits).decompress(data, MAX_REPLY_BYTES + 1)
    except zlib.error:
        return None


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


def _redirected(reply: Reply, request: Request, secret: Secret) -> ConfigurationError:
    target = _target(reply, request)
    shown = secret.clean(f"{target.scheme}://{_host(target)}{target.path}", limit=200)
    where = f" to {shown}" if target.netloc else ""
    if reply.status in (302, 303, 307) and _host(target) not in ("", _host(urlsplit(request.url))):
        text = (
            f"{_BETWEEN} answered with a redirect{where} (HTTP {reply.status}), as networks do "
            "that want a login first: log in to the network with a browser, then go on"
        )
    else:
        text = (
            f"this address answered with a redirect{where} (HTTP {reply.status}): compare base_url "
            "with the address in Kirim's documentation"
        )
    error = ConfigurationError(f"{text}. Redirects are not followed, since the key would go along")
    error.maybe_applied = True  # a 303 may follow a request that was carried out
    return error


def _target(reply: Reply, request: Request) -> SplitResult:
    location = reply.headers.get("location", "").strip()
    try:
        return urlsplit(urljoin(request.url, location) if location else "")
    except ValueError:
        return urlsplit("")


def _host(address: SplitResult) -> str:
    return address.netloc.rpartition("@")[2].lower()


def _refused(reply: Reply, request: Request, secret: Secret) -> ApiError:
    status = reply.status
    envelope = _envelope(reply)
    kind, meaning, of_others = _MEANINGS.get(status, _FAILED if status >= 500 else _REFUSED)
    if envelope:
        _check_fresh(reply)
        meaning = _as_the_service_says(meaning, envelope, secret)
    else:
        meaning = _of_another(of_others, reply, request, secret)
    details = {name: _short(envelope.get(name), secret) for name in _DETAILS}
    code = details["code"]
    request_id = _request_id(envelope, reply, secret)
    marks = [f"HTTP {status}", code, request_id and f"request {request_id}"]
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
    error.maybe_applied = maybe_applied(status, code)
    return error


def _envelope(reply: Reply) -> dict[str, Any]:
    """Find what only the service says, else nothing: gateways have errors of other shapes."""
    try:
        error = (_json_object(_decoded(reply)) or {}).get("error")
    except KirimError:
        return {}
    if isinstance(error, dict) and all(
        isinstance(error.get(name), str) and error[name] for name in ("type", "code", "request_id")
    ):
        return error
    return {}


def _as_the_service_says(meaning: str, envelope: Mapping[str, Any], secret: Secret) -> str:
    if envelope["code"] in _OF_THE_KEY:
        return _OF_THE_KEY[envelope["code"]]
    said = envelope.get("message")
    return f'{meaning}. The service says: "{secret.clean(said)}"' if said else meaning


def _short(value: object, secret: Secret) -> str | None:
    return secret.clean(value, limit=200) if isinstance(value, str) else None


def _of_another(meaning: str, reply: Reply, request: Request, secret: Secret) -> str:
    """Say what something on the way did, and that the service itself has said nothing."""
    text = f"{_BETWEEN} {meaning.format(call=request.call)}; the answer was not Kirim's own"
    try:
        text += _title(_decoded(reply), secret)
    except KirimError:
        text += ", and cannot be read"
    if request.is_write:
        text += ", so it does not tell whether Kirim carried the request out"
    return text
