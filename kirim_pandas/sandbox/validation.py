"""What a ``bulk_label`` body must look like."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Literal

from kirim_pandas.sandbox.messages import CONTACT_ID, LABEL_ID, Refusal
from kirim_pandas.sandbox.switches import Switches

__all__ = ["BulkCall", "param_at", "parse_json", "read_bulk_call"]

MAX_CONTACTS = 1000
"""Most contacts in one call (Kirim API docs, Bulk label)."""


@dataclass(frozen=True)
class BulkCall:
    """A body that passed."""

    contact_ids: list[str]
    label_id: str
    operation: Literal["attach", "detach"]


def parse_json(body: bytes) -> Any:
    """Read JSON, or refuse."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):  # the last: nested too deep
        raise Refusal(400, "invalid_field_value", "The body is not JSON.") from None


def param_at(switches: Switches, position: int) -> str | None:
    """Name the id at a position as the service would."""
    params = {"index": f"contact_ids[{position}]", "field": "contact_ids", "none": None}
    return params[switches.malformed_param]


def read_bulk_call(content: Any, switches: Switches) -> BulkCall:
    """Check a decoded body.

    Raises
    ------
    Refusal
        400, with ``param`` as the switches say.
    """
    if not isinstance(content, dict):
        raise Refusal(400, "invalid_field_value", "The body must be an object.")
    for name in ("contact_ids", "label_id", "operation"):
        if content.get(name) is None:
            raise Refusal(400, "missing_required_field", f"{name} is required.", param=name)
    contact_ids, label_id, operation = (
        content["contact_ids"],
        content["label_id"],
        content["operation"],
    )

    if operation not in ("attach", "detach"):
        raise _refusal("operation", "operation must be attach or detach.")
    if not (isinstance(label_id, str) and LABEL_ID.fullmatch(label_id)):
        raise _refusal("label_id", "label_id is not a label id.")
    return BulkCall(_read_ids(contact_ids, switches), label_id, operation)


def _refusal(param: str | None, message: str) -> Refusal:
    return Refusal(400, "invalid_field_value", message, param=param)


def _read_ids(contact_ids: Any, switches: Switches) -> list[str]:
    if not isinstance(contact_ids, list) or not 1 <= len(contact_ids) <= MAX_CONTACTS:
        raise _refusal("contact_ids", f"contact_ids must be a list of 1 to {MAX_CONTACTS} ids.")
    for position, contact_id in enumerate(contact_ids):
        if not (isinstance(contact_id, str) and CONTACT_ID.fullmatch(contact_id)):
            raise _refusal(param_at(switches, position), "An id is not a contact id.")
    distinct = list(dict.fromkeys(contact_ids))
    if switches.duplicates == "refused" and len(distinct) < len(contact_ids):
        repeated = next(i for i, c in enumerate(contact_ids) if c in contact_ids[:i])
        raise _refusal(param_at(switches, repeated), "An id occurs twice.")
    return contact_ids if switches.duplicates == "each" else distinct
