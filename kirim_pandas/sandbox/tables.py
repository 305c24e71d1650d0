"""Frames into the store and out of it."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pandas as pd

from kirim_pandas.sandbox.messages import make_id
from kirim_pandas.sandbox.people import LABELS
from kirim_pandas.sandbox.store import OUTCOMES, Label, Store

__all__ = ["derive_id", "fill", "labels", "outcome", "requests"]

CONTACT_COLUMNS = ["contact_id", "team", "organization", "name", "phone_number"]
LABEL_COLUMNS = ["id", "name", "color", "team_id", "team"]
REQUEST_COLUMNS = [
    "sequence",
    "seconds",
    "method",
    "path",
    "idempotency_key",
    "try_number",
    "fault",
    "status",
    "replayed",
    "executed",
    "request_id",
    "body",
    "headers",
]
REQUEST_DTYPES = {
    "sequence": "int64",
    "seconds": "float64",
    "try_number": "int64",
    "status": "Int64",
    "replayed": "bool",
    "executed": "bool",
}


def derive_id(prefix: str, seed: int, name: str) -> str:
    """Derive an id: the same seed and name give the same."""
    digest = hashlib.sha256(f"{seed} {prefix} {name}".encode()).digest()
    return make_id(prefix, int.from_bytes(digest[:16], "big"))


def fill(store: Store, frame: pd.DataFrame, seed: int) -> None:
    """Put contacts into an empty store, and the labels of their teams.

    Raises
    ------
    ValueError
        A column is missing, or an id is missing or repeated.
    """
    missing = {"contact_id", "team"} - set(frame.columns)
    if missing:
        raise ValueError(f"contacts lacks {sorted(missing)}; found {list(frame.columns)[:10]}")
    table = frame.reindex(columns=CONTACT_COLUMNS).astype(object)
    table = table.where(table.notna(), None)
    if table["contact_id"].isna().any() or table["contact_id"].duplicated().any():
        raise ValueError("contacts has missing or repeated ids; expected each contact once")
    organizations = {
        name: derive_id("org_", seed, name or "own") for name in table["organization"].unique()
    }
    table["organization"] = table["organization"].map(organizations)
    store.insert(
        "INSERT INTO contact (contact_id, team, organization, name, phone_number)"
        " VALUES (?, ?, ?, ?, ?)",
        table.itertuples(index=False, name=None),
    )
    own = derive_id("org_", seed, "own")
    teams = dict.fromkeys([*LABELS, *(team for team in table["team"].unique() if team)])
    rows = [
        (
            derive_id("lbl_", seed, f"{team} {name}"),
            own,
            name,
            color,
            derive_id("team_", seed, team),
            team,
        )
        for team in teams
        for name, color in LABELS.get(team, {"VIP": "amber"}).items()
    ]
    store.insert(
        "INSERT INTO label (label_id, organization, name, color, team_id, team)"
        " VALUES (?, ?, ?, ?, ?, ?)",
        rows,
    )


def labels(store: Store) -> pd.DataFrame:
    """List the labels."""
    rows = store.rows("SELECT label_id, name, color, team_id, team FROM label ORDER BY number")
    return pd.DataFrame(rows, columns=LABEL_COLUMNS)


def outcome(store: Store, label: Label) -> pd.Series[str]:
    """Tell what a call for a label would do to each contact."""
    rows = store.rows(OUTCOMES, {"organization": label.organization, "team": label.team})
    index = pd.Index([row[0] for row in rows], name="contact_id")
    return pd.Series([row[1] for row in rows], index=index, name="outcome", dtype=object)


def requests(store: Store) -> pd.DataFrame:
    """List the requests; bodies and headers are taken apart."""
    rows = store.rows("SELECT * FROM request ORDER BY sequence")
    # As objects: a text that is not there stays None, whatever this pandas makes of text.
    log = pd.DataFrame(rows, columns=REQUEST_COLUMNS, dtype=object)
    bodies = [_object(body) for body in log.pop("body")]
    ids = [body.get("contact_ids") for body in bodies]
    headers = [json.loads(text) for text in log.pop("headers")]
    log = log.astype(REQUEST_DTYPES)
    log["label_id"] = pd.Series([body.get("label_id") for body in bodies], dtype=object)
    log["operation"] = pd.Series([body.get("operation") for body in bodies], dtype=object)
    log["contacts"] = [len(sent) if isinstance(sent, list) else 0 for sent in ids]
    log["contact_ids"] = pd.Series(ids, dtype=object)
    log["headers"] = pd.Series(headers, dtype=object)
    return log


def _object(body: bytes) -> dict[str, Any]:
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}
