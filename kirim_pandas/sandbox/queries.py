"""The reading side: who am I, labels, contacts, accounts; pages with cursors."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any

from kirim_pandas.sandbox.messages import Refusal
from kirim_pandas.sandbox.store import Store

__all__ = ["accounts", "contact", "contacts", "label", "labels"]

Json = dict[str, Any]

DEFAULT_LIMIT = 25
MAX_LIMIT = 100
"""Page sizes (Kirim API docs, Pagination)."""

MAX_SEARCH_LENGTH = 200
MAX_NUMBER = 2**63  # SQLite's
LIMIT = re.compile(r"[0-9]{1,9}")
E164 = re.compile(r"\+[1-9]\d{6,14}")
BORN = "2026-01-05T02:00:00.000Z"
"""All sample objects were created at once."""

CONTACT = "SELECT number, contact_id, phone_number, name FROM contact WHERE organization = ?"
LABEL = "SELECT number, label_id, name, color, team_id FROM label WHERE organization = ?"


def contacts(store: Store, organization: str, query: Mapping[str, str], whatsapp: str) -> Json:
    """List contacts; neither teams nor labels are shown, as on the service."""
    where = ""
    values: list[str] = []
    phone, search = query.get("phone"), query.get("search")
    if phone is not None:
        if not E164.fullmatch(phone):
            raise Refusal(400, "invalid_field_value", "phone is not E.164.", param="phone")
        where, values = where + " AND phone_number = ?", [*values, phone]
    if search is not None:
        if not 1 <= len(search) <= MAX_SEARCH_LENGTH:
            message = f"search must have 1 to {MAX_SEARCH_LENGTH} characters."
            raise Refusal(400, "invalid_field_value", message, param="search")
        where, values = where + " AND instr(lower(name), lower(?)) > 0", [*values, search]
    page = _page(store, CONTACT + where, [organization, *values], query, f"{phone!r} {search!r}")
    return {**page, "data": [_contact(row, whatsapp) for row in page["data"]]}


def contact(store: Store, organization: str, contact_id: str, whatsapp: str) -> Json:
    """Give one contact; one of another organisation is as unknown as any."""
    found = store.rows(CONTACT + " AND contact_id = ?", (organization, contact_id))
    if not found:
        raise Refusal(404, "resource_not_found", "No such contact.")
    return {"data": _contact(found[0], whatsapp)}


def labels(store: Store, organization: str, query: Mapping[str, str]) -> Json:
    """List labels."""
    page = _page(store, LABEL, [organization], query, "labels")
    return {**page, "data": [_label(row) for row in page["data"]]}


def label(store: Store, organization: str, label_id: str) -> Json:
    """Give one label."""
    found = store.rows(LABEL + " AND label_id = ?", (organization, label_id))
    if not found:
        raise Refusal(404, "resource_not_found", "No such label.")
    return {"data": _label(found[0])}


def accounts(phone_number_id: str, phone_number: str) -> Json:
    """List the connected numbers: one."""
    account = {
        "object": "account",
        "phone_number_id": phone_number_id,
        "phone_number": phone_number,
        "name": "Sandbox number",
        "status": "connected",
    }
    return {"data": [account]}


def _contact(row: tuple[Any, ...], whatsapp: str) -> Json:
    return {
        "id": row[1],
        "object": "contact",
        "phone_number": row[2],
        "name": row[3],
        "email": None,
        "metadata": {},
        "whatsapp_account": {"phone_number": whatsapp},
        "created_at": BORN,
        "updated_at": BORN,
    }


def _label(row: tuple[Any, ...]) -> Json:
    names = ("id", "name", "color", "team_id")
    stamps = {"created_at": BORN, "updated_at": BORN}
    return {"object": "label", **dict(zip(names, row[1:], strict=True)), **stamps}


def _page(
    store: Store, statement: str, values: list[Any], query: Mapping[str, str], filters: str
) -> Json:
    """Cut one page; the cursor holds the last number and a digest of the filters."""
    limit_text = query.get("limit", str(DEFAULT_LIMIT))
    if not (LIMIT.fullmatch(limit_text) and 1 <= int(limit_text) <= MAX_LIMIT):
        message = f"limit must be a whole number from 1 to {MAX_LIMIT}."
        raise Refusal(400, "invalid_limit", message, param="limit")
    limit = int(limit_text)
    digest = hashlib.sha256(f"{statement}{values}{filters}".encode()).hexdigest()[:16]
    after = _read_cursor(query["cursor"], digest) if "cursor" in query else 0
    found = store.rows(
        f"{statement} AND number > ? ORDER BY number LIMIT ?", [*values, after, limit + 1]
    )
    more = len(found) > limit
    found = found[:limit]
    cursor = None
    if more:
        content = json.dumps([found[-1][0], digest]).encode()
        cursor = base64.urlsafe_b64encode(content).decode()
    return {"data": found, "has_more": more, "next_cursor": cursor}


def _read_cursor(cursor: str, digest: str) -> int:
    try:
        after, made_for = json.loads(base64.b64decode(cursor, altchars=b"-_", validate=True))
        if made_for == digest and type(after) is int and 0 <= after < MAX_NUMBER:
            return after
    except (ValueError, TypeError, RecursionError):
        pass
    message = "The cursor is not valid for this request; start without one."
    raise Refusal(400, "invalid_cursor", message, param="cursor")
