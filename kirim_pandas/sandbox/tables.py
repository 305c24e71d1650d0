"""Frames into the store and out of it."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import numpy as np
import pandas as pd

from kirim_pandas.errors import InvalidInputError
from kirim_pandas.sandbox.messages import make_id
from kirim_pandas.sandbox.people import LABELS
from kirim_pandas.sandbox.store import OUTCOMES, Label, Store

CONTACT_COLUMNS = [
    *("contact_id", "organization", "team", "name", "phone_number", "email"),
    *("metadata", "created_at", "updated_at", "account"),
]
METADATA_COLUMNS = ["city", "source"]
"""What a frame says of people, and the service keeps as their metadata."""

FIRST_ACCOUNT_ID, FIRST_ACCOUNT_NUMBER = 100_000_000_000_001, 62_000_000_000_01
BORN = pd.Timestamp("2026-01-05T02:00:00Z")
"""When labels were made; contacts came in the days that follow."""

DAYS = 150
"""In so many days the contacts were made and changed."""

ELSEWHERE_OF_TEN = {"all": 0, "most": 1}
"""Contacts in ten that are listed under another team's number."""

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


def fill(
    store: Store, frame: pd.DataFrame, seed: int, *, account_teams: str, phone_number_id: str | None
) -> None:
    """Put contacts into an empty store, and the labels and connected numbers of their teams.

    Parameters
    ----------
    store
        Empty.
    frame
        The contacts.
    seed
        Of the ids.
    account_teams
        The switch of this name.
    phone_number_id
        Of the first team's connected number; None for a made-up one.

    Raises
    ------
    ValueError
        A column is missing, or an id is missing or repeated.
    """
    missing = {"contact_id", "team"} - set(frame.columns)
    if missing:
        raise InvalidInputError(
            f"contacts lacks {sorted(missing)}; found {list(frame.columns)[:10]}"
        )
    told = _told_to_the_service(frame, seed)
    table = told.reindex(columns=CONTACT_COLUMNS).astype(object)
    table = table.where(table.notna(), None)
    if table["contact_id"].isna().any() or table["contact_id"].duplicated().any():
        raise InvalidInputError("contacts has missing or repeated ids; expected each contact once")
    organizations = {
        name: derive_id("org_", seed, name or "own") for name in table["organization"].unique()
    }
    own = derive_id("org_", seed, "own")
    teams = list(dict.fromkeys([*LABELS, *(team for team in table["team"].unique() if team)]))
    table["organization"] = table["organization"].map(organizations)
    table["account"] = _accounts_of(table, teams, own, ELSEWHERE_OF_TEN[account_teams])
    store.insert(
        "INSERT INTO contact (contact_id, organization, team, name, phone_number, email, metadata,"
        " created_at, updated_at, account) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        table.itertuples(index=False, name=None),
    )
    _insert_accounts(store, teams, own, seed, phone_number_id)
    _insert_labels(store, teams, own, seed)


def _insert_accounts(
    store: Store, teams: list[str], own: str, seed: int, phone_number_id: str | None
) -> None:
    store.insert(
        "INSERT INTO account VALUES (?, ?, ?, ?, ?, ?, ?)",
        [
            (
                number,
                (phone_number_id if number == 1 else None) or str(FIRST_ACCOUNT_ID + number - 1),
                own,
                f"+{FIRST_ACCOUNT_NUMBER + number - 1}",
                f"{team} number",
                derive_id("team_", seed, team),
                team,
            )
            for number, team in enumerate(teams, start=1)
        ],
    )


def _insert_labels(store: Store, teams: list[str], own: str, seed: int) -> None:
    rows = [
        (
            derive_id("lbl_", seed, f"{team} {name}"),
            own,
            name,
            color,
            derive_id("team_", seed, team),
            team,
            _written(BORN),
        )
        for team in teams
        for name, color in LABELS.get(team, {"VIP": "amber"}).items()
    ]
    store.insert(
        "INSERT INTO label (label_id, organization, name, color, team_id, team, created_at)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        rows,
    )


def _told_to_the_service(frame: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Add metadata and dates, which differ from contact to contact."""
    random = np.random.default_rng(seed)
    days = np.sort(random.random((len(frame), 2)), axis=1) * DAYS
    times = {
        name: [_written(BORN + pd.Timedelta(days=day)) for day in days[:, column]]
        for column, name in enumerate(("created_at", "updated_at"))
    }
    known = [name for name in METADATA_COLUMNS if name in frame]
    metadata = [
        json.dumps({key: str(value) for key, value in record.items() if pd.notna(value)})
        for record in frame[known].to_dict("records")
    ]
    return frame.assign(metadata=metadata if known else "{}", **times)


def _accounts_of(table: pd.DataFrame, teams: list[str], own: str, elsewhere: int) -> list[Any]:
    """Number the account of each contact of the own organisation: that of its team."""
    codes = pd.Categorical(table["team"], categories=teams).codes.astype("int64")
    moved = np.arange(len(codes)) % 10 < elsewhere
    numbers = np.where(moved, (codes + 1) % len(teams), codes) + 1
    has_one = (codes >= 0) & (table["organization"] == own).to_numpy()
    return [int(number) if known else None for number, known in zip(numbers, has_one, strict=True)]


def _written(time: pd.Timestamp) -> str:
    return time.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def labels(store: Store) -> pd.DataFrame:
    """List the labels."""
    rows, columns = store.table(
        "SELECT label_id AS id, name, color, team_id, created_at FROM label ORDER BY number"
    )
    frame = pd.DataFrame(rows, columns=columns)
    return frame.assign(created_at=pd.to_datetime(frame["created_at"], format="ISO8601"))


def accounts(store: Store) -> pd.DataFrame:
    """List the connected numbers, and the teams they belong to."""
    rows, columns = store.table(
        "SELECT phone_number_id, phone_number, name, team_id, team FROM account ORDER BY number"
    )
    return pd.DataFrame(rows, columns=columns)


def outcome(store: Store, label: Label) -> pd.Series[str]:
    """Tell what a call for a label would do to each contact."""
    rows = store.rows(OUTCOMES, {"organization": label.organization, "team": label.team})
    index = pd.Index([row[0] for row in rows], name="contact_id")
    return pd.Series([row[1] for row in rows], index=index, name="outcome", dtype=object)


def requests(store: Store) -> pd.DataFrame:
    """List the requests; bodies and headers are taken apart."""
    rows, columns = store.table("SELECT * FROM request ORDER BY sequence")
    # As objects: a text that is not there stays None, whatever this pandas makes of text.
    log = pd.DataFrame(rows, columns=columns, dtype=object)
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
