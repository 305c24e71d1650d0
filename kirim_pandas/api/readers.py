"""What the reading calls answer, taken from JSON. No I/O; tolerant of absent fields."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from kirim_pandas.api.models import Account, Contact, Label, Me
from kirim_pandas.api.secret import Secret
from kirim_pandas.errors import ProtocolError

__all__ = ["read_account", "read_contact", "read_label", "read_me", "read_page", "single"]

T = TypeVar("T")


def single(body: Mapping[str, Any]) -> Mapping[str, Any]:
    """Take the object out of its ``data``, where it is wrapped."""
    data = body.get("data", body)
    if not isinstance(data, dict):
        raise ProtocolError("the reply has no data object")
    return data


def read_page(
    body: Mapping[str, Any], secret: Secret
) -> tuple[list[Mapping[str, Any]], str | None]:
    """Take a page apart: its items, and the cursor of the next one or None.

    Raises
    ------
    ProtocolError
        There is no list of objects, or more is promised without a cursor.
    """
    items, cursor = body.get("data"), body.get("next_cursor")
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise ProtocolError("the reply has no list of objects")
    if not body.get("has_more"):
        return items, None
    if not isinstance(cursor, str) or not cursor:
        raise ProtocolError(f"the list goes on, but the cursor is {secret.clean(cursor)}")
    return items, cursor


def read_me(item: Mapping[str, Any]) -> Me:
    """Read ``GET /me``; every field is optional."""
    limits = _object(item, "rate_limits")
    organization = _object(item, "organization")
    return Me(
        tier=_text(limits, "tier"),
        write_per_minute=_count(limits, "write_per_minute"),
        read_per_minute=_count(limits, "read_per_minute"),
        organization_id=_text(item, "organization_id") or _text(organization, "id"),
        organization_name=_text(item, "organization_name") or _text(organization, "name"),
    )


def read_label(item: Mapping[str, Any]) -> Label:
    """Read a label; only its id is required."""
    return Label(_id(item, "id"), _text(item, "name"), _text(item, "color"), _text(item, "team_id"))


def read_contact(item: Mapping[str, Any]) -> Contact:
    """Read a contact; only its id is required."""
    return Contact(
        _id(item, "id"),
        name=_text(item, "name"),
        phone_number=_text(item, "phone_number"),
        email=_text(item, "email"),
        metadata=_object(item, "metadata") or None,
        created_at=_text(item, "created_at"),
        updated_at=_text(item, "updated_at"),
    )


def read_account(item: Mapping[str, Any]) -> Account:
    """Read a connected number; only its ``phone_number_id`` is required."""
    return Account(
        _id(item, "phone_number_id"),
        phone_number=_text(item, "phone_number"),
        name=_text(item, "name"),
        status=_text(item, "status"),
    )


def _object(item: Mapping[str, Any], name: str) -> dict[str, Any]:
    value = item.get(name)
    return value if isinstance(value, dict) else {}


def _text(item: Mapping[str, Any], name: str) -> str | None:
    value = item.get(name)
    return value if isinstance(value, str) else None


def _count(item: Mapping[str, Any], name: str) -> int | None:
    value = item.get(name)
    return value if type(value) is int and 0 < value < 10**9 else None


def _id(item: Mapping[str, Any], name: str) -> str:
    value = item.get(name)
    if not isinstance(value, str) or not value:
        raise ProtocolError(f"the reply has no {name}")
    return value
