"""The reading side: labels, contacts, connected numbers; pages with cursors."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kirim_pandas.sandbox.messages import Refusal
from kirim_pandas.sandbox.store import Store
from kirim_pandas.sandbox.switches import Switches

Json = dict[str, Any]

DEFAULT_LIMIT = 25
MAX_LIMIT = 100
"""Page sizes (Kirim API docs, Pagination)."""

MAX_SEARCH_LENGTH = 200
MAX_NUMBER = 2**63  # SQLite's
LIMIT = re.compile(r"[0-9]{1,9}")
E164 = re.compile(r"\+[1-9]\d{6,14}")

CONTACT = """
SELECT number, contact_id, phone_number, name, email, metadata, created_at, updated_at,
       (SELECT phone_number FROM account WHERE account.number = contact.account)
FROM contact WHERE organization = ?"""
OF_NUMBER = " AND account = (SELECT number FROM account WHERE phone_number_id = ?)"
LABEL = (
    "SELECT number, label_id, name, color, team_id, created_at FROM label WHERE organization = ?"
)
ACCOUNT = "SELECT number, phone_number_id, phone_number, name FROM account WHERE organization = ?"

HIDDEN_OF_TEN = {"always": 0, "sometimes": 3, "never": 10}


@dataclass(frozen=True)
class Reader:
    """What a key of an organisation can read.

    Attributes
    ----------
    organization
        Whose objects are shown.
    phone_number_id
        The connected number that the path names; only its contacts are shown.
    """

    store: Store
    switches: Switches
    organization: str
    phone_number_id: str | None = None

    def contacts(self, query: Mapping[str, str]) -> Json:
        """List contacts; neither teams nor labels are shown, as on the service."""
        statement, values = self._contacts()
        phone, search = query.get("phone"), query.get("search")
        if phone is not None:
            if not E164.fullmatch(phone):
                raise Refusal(400, "invalid_field_value", "phone is not E.164.", param="phone")
            statement, values = statement + " AND phone_number = ?", [*values, phone]
        if search is not None:
            if not 1 <= len(search) <= MAX_SEARCH_LENGTH:
                message = f"search must have 1 to {MAX_SEARCH_LENGTH} characters."
                raise Refusal(400, "invalid_field_value", message, param="search")
            statement += " AND instr(lower(name), lower(?)) > 0"
            values = [*values, search]
        page = _page(self.store, statement, values, query, f"{phone!r} {search!r}")
        return {**page, "data": [self._contact(row) for row in page["data"]]}

    def contact(self, contact_id: str) -> Json:
        """Give one contact; one of another organisation is as unknown as any."""
        statement, values = self._contacts()
        found = self.store.rows(statement + " AND contact_id = ?", [*values, contact_id])
        if not found:
            raise Refusal(404, "resource_not_found", "No such contact.")
        return {"data": self._contact(found[0])}

    def labels(self, query: Mapping[str, str]) -> Json:
        """List labels."""
        page = _page(self.store, LABEL, [self.organization], query, "labels")
        return {**page, "data": [label_fields(*row[1:]) for row in page["data"]]}

    def label(self, label_id: str) -> Json:
        """Give one label."""
        found = self.store.rows(LABEL + " AND label_id = ?", (self.organization, label_id))
        if not found:
            raise Refusal(404, "resource_not_found", "No such label.")
        return {"data": label_fields(*found[0][1:])}

    def accounts(self, query: Mapping[str, str]) -> Json:
        """List the connected numbers; their teams are not shown."""
        page = _page(self.store, ACCOUNT, [self.organization], query, "accounts")
        names = ("phone_number_id", "phone_number", "name")
        data = [
            {"object": "account", **dict(zip(names, row[1:], strict=True)), "status": "connected"}
            for row in page["data"]
        ]
        return {**page, "data": data}

    def _contacts(self) -> tuple[str, list[str]]:
        if self.phone_number_id is None:
            return CONTACT, [self.organization]
        return CONTACT + OF_NUMBER, [self.organization, self.phone_number_id]

    def _contact(self, row: tuple[Any, ...]) -> Json:
        number, contact_id, phone_number, name, email, metadata, created, updated, account = row
        hidden = number % 10 < HIDDEN_OF_TEN[self.switches.account_shown]
        return {
            "id": contact_id,
            "object": "contact",
            "phone_number": phone_number,
            "name": name,
            "email": email,
            "metadata": json.loads(metadata),
            "whatsapp_account": {"phone_number": None if hidden else account},
            "created_at": created,
            "updated_at": updated,
        }


def label_fields(label_id: str, name: str, color: str, team_id: str, created_at: str) -> Json:
    """Show a label."""
    return {
        "object": "label",
        "id": label_id,
        "name": name,
        "color": color,
        "team_id": team_id,
        "created_at": created_at,
        "updated_at": created_at,
    }


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
