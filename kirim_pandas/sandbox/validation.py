"""What the bodies of writes must look like."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from kirim_pandas.sandbox.messages import CONTACT_ID, LABEL_ID, Refusal
from kirim_pandas.sandbox.switches import Switches

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


COLORS = (
    *("gray", "red", "orange", "amber", "yellow", "lime", "green", "emerald", "teal", "sky"),
    *("blue", "violet", "pink"),
)
MAX_NAME_LENGTH = 50
"""Of labels (Kirim API docs, Labels)."""


def read_new_label(content: Any, teams: Mapping[str, str]) -> tuple[str, str, str]:
    """Check a decoded body; give name, colour and team id.

    Parameters
    ----------
    content
        The body.
    teams
        The teams of the organisation: the name of each id.

    Raises
    ------
    Refusal
        400, with the field as ``param``.
    """
    if not isinstance(content, dict):
        raise Refusal(400, "invalid_field_value", "The body must be an object.")
    name, color = content.get("name"), content.get("color", COLORS[0])
    if name is None:
        raise Refusal(400, "missing_required_field", "name is required.", param="name")
    if not (isinstance(name, str) and 1 <= len(name) <= MAX_NAME_LENGTH):
        raise _refusal("name", f"name must have 1 to {MAX_NAME_LENGTH} characters.")
    if color not in COLORS:
        raise _refusal("color", f"color must be one of {', '.join(COLORS)}.")
    return name, color, _read_team(content.get("team_id"), teams)


def _read_team(team_id: Any, teams: Mapping[str, str]) -> str:
    if team_id is None:
        if len(teams) != 1:
            message = "team_id is required where there are several teams."
            raise Refusal(400, "missing_required_field", message, param="team_id")
        return next(iter(teams))
    if not isinstance(team_id, str) or team_id not in teams:
        raise _refusal("team_id", "No such team.")
    return team_id


def _refusal(param: str | None, message: str) -> Refusal:
    return Refusal(400, "invalid_field_value", message, param=param)


def _is_contact_id(value: object) -> bool:
    return isinstance(value, str) and CONTACT_ID.fullmatch(value) is not None


def _read_ids(contact_ids: Any, switches: Switches) -> list[str]:
    if not isinstance(contact_ids, list) or not 1 <= len(contact_ids) <= MAX_CONTACTS:
        raise _refusal("contact_ids", f"contact_ids must be a list of 1 to {MAX_CONTACTS} ids.")
    for position, contact_id in enumerate(contact_ids):
        if not _is_contact_id(contact_id):
            raise _refusal(param_at(switches, position), "An id is not a contact id.")
    distinct = list(dict.fromkeys(contact_ids))
    if switches.duplicates == "refused" and len(distinct) < len(contact_ids):
        repeated = next(i for i, c in enumerate(contact_ids) if c in contact_ids[:i])
        raise _refusal(param_at(switches, repeated), "An id occurs twice.")
    return contact_ids if switches.duplicates == "each" else distinct
