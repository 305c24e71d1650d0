"""What goes to the service and what comes back, as frozen values. No I/O.

Every field of the service's objects may be absent. Their text comes in by
:meth:`~kirim_pandas.api.secret.Secret.text`, so it holds no control characters and has an end.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

from kirim_pandas.api.secret import Secret
from kirim_pandas.errors import ProtocolError

ID_CHARACTERS = 100
NAME_CHARACTERS = 300
"""Says: names of labels have up to 50 characters. Longer ones are taken, but not any length."""
VALUE_CHARACTERS = 2000
"""Of one text in a contact's metadata, which an organisation fills as it likes."""
WHOLE_REPLY_TRIES = 3
"""A reply that came whole and is still not understood is worth two more tries, not eight."""
DEEPEST = 20
"""Levels of nesting that are kept of a contact's metadata."""


@dataclass(frozen=True, slots=True)
class Request:
    """One call: its body is serialised once, since a repeat must be the very same bytes.

    Attributes
    ----------
    method, url, body
        As they are sent.
    call : str
        Named in messages: ``"bulk_label"``, ``"GET /labels"``.
    contact_count : int
        Ids in the body.
    """

    method: str
    url: str = field(repr=False)
    body: bytes | None = field(default=None, repr=False)
    call: str = "bulk_label"
    contact_count: int = 0

    @property
    def is_write(self) -> bool:
        """Whether it is counted in the bucket of writes, and may change something."""
        return self.method != "GET"


@dataclass(frozen=True, slots=True)
class CheckedIds:
    """Distinct contact ids that were checked when they came in, so that no call need do it again.

    Attributes
    ----------
    json : bytes
        As they stand in a body: in quotation marks, with commas between.
    count : int
        How many.
    """

    json: bytes = field(repr=False)
    count: int

    @classmethod
    def of(cls, ids: Sequence[bytes]) -> Self:
        """Take ids, in ASCII, as they are."""
        return cls(b'"%b"' % b'","'.join(ids), len(ids))


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


@dataclass(frozen=True, slots=True)
class Answer:
    """The JSON object of a good reply, and what tells whose it is."""

    body: Mapping[str, Any] = field(repr=False)
    request_id: str | None = None
    replayed: bool = False
    size: int = 0  # bytes
    header_names: frozenset[str] = frozenset()

    @property
    def data(self) -> Mapping[str, Any]:
        """The object in ``data``, where it is wrapped, else the whole."""
        data = self.body.get("data", self.body)
        if not isinstance(data, dict):
            raise not_understood("the reply has no data object")
        return data


@dataclass(frozen=True, slots=True)
class BulkLabelReply:
    """The counts of one ``bulk_label`` call; the service names no contact.

    Attributes
    ----------
    applied, cross_org, team_mismatch : int
        Contacts counted as passing, and as skipped by reason; their sum may be below the
        number sent.
    request_id : str or None
        For the service's support.
    replayed : bool
        Whether the service answered from its memory of an earlier try with the same key.
    """

    applied: int
    cross_org: int
    team_mismatch: int
    request_id: str | None = None
    replayed: bool = False


@dataclass(frozen=True, slots=True)
class Me:
    """Whose key this is, and what its plan allows; None where the service does not say."""

    tier: str | None = None
    write_per_minute: int | None = None
    read_per_minute: int | None = None
    organization_id: str | None = None
    organization_name: str | None = None

    @classmethod
    def read(cls, item: Mapping[str, Any], secret: Secret) -> Self:
        """Read ``GET /me``."""
        limits, organization = _object(item, "rate_limits"), _object(item, "organization")
        return cls(
            tier=_text(limits, "tier", secret),
            write_per_minute=_count(limits, "write_per_minute"),
            read_per_minute=_count(limits, "read_per_minute"),
            organization_id=_text(item, "organization_id", secret, ID_CHARACTERS)
            or _text(organization, "id", secret, ID_CHARACTERS),
            organization_name=_text(item, "organization_name", secret)
            or _text(organization, "name", secret),
        )


@dataclass(frozen=True, slots=True)
class Organization:
    """An organisation, as a key's ``GET /me`` names it."""

    id: str
    name: str | None = None

    def __str__(self) -> str:
        return f"{self.name} ({self.id})" if self.name else self.id


@dataclass(frozen=True, slots=True)
class Label:
    """A label; it belongs to a team."""

    id: str
    name: str | None = None
    color: str | None = None
    team_id: str | None = None
    created_at: str | None = None

    @classmethod
    def read(cls, item: Mapping[str, Any], secret: Secret) -> Self:
        """Read a label; only its id is required."""
        return cls(
            _id(item, "id", secret),
            name=_text(item, "name", secret),
            color=_text(item, "color", secret, ID_CHARACTERS),
            team_id=_text(item, "team_id", secret, ID_CHARACTERS),
            created_at=_text(item, "created_at", secret, ID_CHARACTERS),
        )


@dataclass(frozen=True, slots=True)
class Contact:
    """A contact as the service lists it: neither its team nor its labels are shown.

    `account` is the connected number it belongs to, digits and plus only; None where it is hidden.
    """

    id: str
    name: str | None = None
    phone_number: str | None = field(default=None, repr=False)
    email: str | None = field(default=None, repr=False)
    metadata: dict[str, Any] | None = field(default=None, repr=False)
    account: str | None = field(default=None, repr=False)
    created_at: str | None = None
    updated_at: str | None = None

    @classmethod
    def read(cls, item: Mapping[str, Any], secret: Secret) -> Self:
        """Read a contact; only its id is required."""
        account = _text(_object(item, "whatsapp_account"), "phone_number", secret, ID_CHARACTERS)
        return cls(
            _id(item, "id", secret),
            name=_text(item, "name", secret),
            phone_number=_text(item, "phone_number", secret, ID_CHARACTERS),
            email=_text(item, "email", secret, NAME_CHARACTERS),
            metadata=_value(_object(item, "metadata"), secret) or None,
            # It is written in several ways: with blanks and hyphens, and without.
            account=re.sub(r"[^0-9+]", "", account or "") or None,
            created_at=_text(item, "created_at", secret, ID_CHARACTERS),
            updated_at=_text(item, "updated_at", secret, ID_CHARACTERS),
        )


@dataclass(frozen=True, slots=True)
class Account:
    """A connected number; its ``phone_number_id`` is part of the path on some hosts."""

    phone_number_id: str
    phone_number: str | None = None
    name: str | None = None
    status: str | None = None

    @classmethod
    def read(cls, item: Mapping[str, Any], secret: Secret) -> Self:
        """Read a connected number; only its ``phone_number_id`` is required."""
        return cls(
            _id(item, "phone_number_id", secret),
            phone_number=_text(item, "phone_number", secret, ID_CHARACTERS),
            name=_text(item, "name", secret),
            status=_text(item, "status", secret, ID_CHARACTERS),
        )


READ_SECONDS = 10.0
"""A page of 100 contacts takes well under a second, and nobody waits a minute for a list."""


@dataclass(frozen=True, slots=True)
class Timeouts:
    """How long one try may take.

    Attributes
    ----------
    connect_seconds, write_seconds : float
        To get a connection, and to send some bytes of the body (33 kB at most).
    read_seconds : float
        Without a byte of the reply. The service may hold a repeated request for 30 s before it
        answers, so this must be more.
    try_seconds : float
        For the whole try, even if the reply trickles.
    """

    connect_seconds: float = 10.0
    write_seconds: float = 30.0
    read_seconds: float = 60.0
    try_seconds: float = 90.0

    def of(self, request: Request) -> Timeouts:
        """Return the timeouts of a try of `request`: a read is not held, and somebody waits."""
        if request.is_write:
            return self
        return replace(
            self,
            connect_seconds=min(self.connect_seconds, READ_SECONDS / 2),
            read_seconds=min(self.read_seconds, READ_SECONDS),
            try_seconds=min(self.try_seconds, 2 * READ_SECONDS),
        )


def not_understood(message: str, *, tries: int = WHOLE_REPLY_TRIES) -> ProtocolError:
    """Make the error for a reply that came whole and makes no sense."""
    error = ProtocolError(message)
    error.tries_allowed = tries
    return error


def _object(item: Mapping[str, Any], name: str) -> dict[str, Any]:
    value = item.get(name)
    return value if isinstance(value, dict) else {}


def _text(
    item: Mapping[str, Any], name: str, secret: Secret, limit: int = NAME_CHARACTERS
) -> str | None:
    value = item.get(name)
    return secret.text(value, limit=limit) if isinstance(value, str) else None


def _count(item: Mapping[str, Any], name: str) -> int | None:
    value = item.get(name)
    return value if type(value) is int and 0 < value < 10**9 else None


def _id(item: Mapping[str, Any], name: str, secret: Secret) -> str:
    found = _text(item, name, secret, ID_CHARACTERS)
    if not found:
        raise not_understood(f"the reply has no {name}")
    return found


def _value(value: Any, secret: Secret, depth: int = 0) -> Any:
    """Take in a JSON value, whatever it holds."""
    if depth > DEEPEST:
        return None
    if isinstance(value, str):
        return secret.text(value, limit=VALUE_CHARACTERS)
    if isinstance(value, list):
        return [_value(part, secret, depth + 1) for part in value]
    if isinstance(value, dict):
        return {
            secret.text(name, limit=NAME_CHARACTERS): _value(part, secret, depth + 1)
            for name, part in value.items()
        }
    return value
