"""What the service answers, and how long it may take, as frozen values."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

__all__ = ["Account", "BulkLabelReply", "Contact", "Label", "Me", "Organization", "Timeouts"]


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


@dataclass(frozen=True, slots=True)
class Contact:
    """A contact as the service lists it: neither its team nor its labels are shown."""

    id: str
    name: str | None = None
    phone_number: str | None = field(default=None, repr=False)
    email: str | None = field(default=None, repr=False)
    metadata: dict[str, Any] | None = field(default=None, repr=False)
    created_at: str | None = None
    updated_at: str | None = None


@dataclass(frozen=True, slots=True)
class Account:
    """A connected number; its ``phone_number_id`` is part of the path on some hosts."""

    phone_number_id: str
    phone_number: str | None = None
    name: str | None = None
    status: str | None = None


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
