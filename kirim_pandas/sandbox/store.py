"""The truth, in SQLite: who exists, who carries which label, what was asked and answered."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import astuple, dataclass
from typing import Any, Literal

SCHEMA = """
CREATE TABLE contact (
    number INTEGER PRIMARY KEY, contact_id TEXT NOT NULL UNIQUE,
    organization TEXT NOT NULL, team TEXT, name TEXT, phone_number TEXT, email TEXT,
    metadata TEXT NOT NULL, created_at TEXT NOT NULL, updated_at TEXT NOT NULL, account INTEGER
);
CREATE TABLE account (
    number INTEGER PRIMARY KEY, phone_number_id TEXT NOT NULL UNIQUE, organization TEXT NOT NULL,
    phone_number TEXT NOT NULL, name TEXT NOT NULL, team_id TEXT NOT NULL, team TEXT NOT NULL
);
CREATE TABLE label (
    number INTEGER PRIMARY KEY, label_id TEXT NOT NULL UNIQUE, organization TEXT NOT NULL,
    name TEXT NOT NULL, color TEXT NOT NULL, team_id TEXT NOT NULL, team TEXT NOT NULL,
    created_at TEXT NOT NULL, UNIQUE (team_id, name)
);
CREATE TABLE attached (
    label INTEGER NOT NULL, contact INTEGER NOT NULL, PRIMARY KEY (label, contact)
) WITHOUT ROWID;
CREATE TABLE idempotency (
    organization TEXT NOT NULL, key TEXT NOT NULL, fingerprint TEXT NOT NULL,
    status INTEGER NOT NULL, body BLOB NOT NULL, request_id TEXT NOT NULL,
    stored_ns INTEGER NOT NULL, PRIMARY KEY (organization, key)
) WITHOUT ROWID;
CREATE TABLE request (
    sequence INTEGER PRIMARY KEY, seconds REAL NOT NULL, method TEXT NOT NULL,
    path TEXT NOT NULL, idempotency_key TEXT, try_number INTEGER NOT NULL, fault TEXT,
    status INTEGER, replayed INTEGER NOT NULL, executed INTEGER NOT NULL, request_id TEXT,
    body BLOB NOT NULL, headers TEXT NOT NULL
);
"""

OUTCOMES = """
SELECT contact_id,
       CASE WHEN organization <> :organization THEN 'cross_org'
            WHEN team IS :team THEN 'applied' ELSE 'team_mismatch' END
FROM contact ORDER BY number
"""


@dataclass(frozen=True)
class Label:
    """A label and the team it belongs to."""

    number: int
    label_id: str
    organization: str
    name: str
    color: str
    team_id: str
    team: str
    created_at: str


@dataclass(frozen=True)
class BulkCounts:
    """What one bulk call found; the four numbers add up to the ids looked at."""

    passing: int
    changed: int
    cross_org: int
    team_mismatch: int
    unknown: int


class Store:
    """An in-memory database behind one lock: one writer at a time, one truth."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._database = sqlite3.connect(":memory:", check_same_thread=False, isolation_level=None)
        self._database.executescript(SCHEMA)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Hold the lock; all that is done inside is kept or dropped together."""
        with self._lock:
            self._database.execute("BEGIN")
            try:
                yield
            except BaseException:
                self._database.execute("ROLLBACK")
                raise
            self._database.execute("COMMIT")

    def rows(self, statement: str, values: Any = ()) -> list[tuple[Any, ...]]:
        """Run one statement and fetch everything."""
        with self._lock:
            return self._database.execute(statement, values).fetchall()

    def table(self, statement: str) -> tuple[list[tuple[Any, ...]], list[str]]:
        """Run one statement and fetch everything, and the names of its columns."""
        with self._lock:
            cursor = self._database.execute(statement)
            return cursor.fetchall(), [name for name, *_ in cursor.description]

    def insert(self, statement: str, rows: Iterable[Sequence[Any]]) -> None:
        """Run one statement for many rows, in one transaction."""
        with self.transaction():
            self._database.executemany(statement, rows)

    def close(self) -> None:
        """Forget everything."""
        with self._lock:
            self._database.close()

    # The job itself

    def find_label(self, label_id: str, organization: str) -> Label | None:
        """Look up a label of an organisation."""
        found = self.rows(
            "SELECT * FROM label WHERE label_id = ? AND organization = ?", (label_id, organization)
        )
        return Label(*found[0]) if found else None

    def teams(self, organization: str) -> dict[str, str]:
        """Give the teams of an organisation: the name of each id."""
        return dict(
            self.rows(
                "SELECT DISTINCT team_id, team FROM account WHERE organization = ?",
                (organization,),
            )
        )

    def create_label(self, label: Label) -> bool:
        """Keep a new label, unless its team has one of that name; give whether it was kept."""
        made = self.rows(
            "INSERT OR IGNORE INTO label VALUES (NULL, ?, ?, ?, ?, ?, ?, ?) RETURNING 1",
            astuple(label)[1:],
        )
        return bool(made)

    def first_unknown(self, contact_ids: list[str]) -> int | None:
        """Find the position of the first id that no organisation has."""
        found = self.rows(
            "SELECT min(sent.key) FROM json_each(?) AS sent"
            " LEFT JOIN contact ON contact_id = sent.value WHERE contact_id IS NULL",
            (json.dumps(contact_ids),),
        )
        position: int | None = found[0][0]
        return position

    def bulk_label(
        self, contact_ids: list[str], label: Label, operation: Literal["attach", "detach"]
    ) -> BulkCounts:
        """Attach or detach, and count; call it inside a transaction."""
        passing: list[tuple[int, int]] = []
        cross_org = team_mismatch = unknown = 0
        for number, organization, team in self._database.execute(
            "SELECT number, organization, team FROM json_each(?) AS sent"
            " LEFT JOIN contact ON contact_id = sent.value",
            (json.dumps(contact_ids),),
        ):
            if number is None:
                unknown += 1
            elif organization != label.organization:
                cross_org += 1
            elif team != label.team:
                team_mismatch += 1
            else:
                passing.append((label.number, number))
        before = self._database.total_changes
        if operation == "attach":
            change = "INSERT OR IGNORE INTO attached VALUES (?, ?)"
        else:
            change = "DELETE FROM attached WHERE label = ? AND contact = ?"
        self._database.executemany(change, passing)
        changed = self._database.total_changes - before
        return BulkCounts(len(passing), changed, cross_org, team_mismatch, unknown)

    # Replies kept under an idempotency key

    def find_reply(self, organization: str, key: str) -> tuple[Any, ...] | None:
        """Look up (fingerprint, status, body, request_id, stored_ns)."""
        found = self.rows(
            "SELECT fingerprint, status, body, request_id, stored_ns FROM idempotency"
            " WHERE organization = ? AND key = ?",
            (organization, key),
        )
        return found[0] if found else None

    def keep_reply(
        self, organization: str, key: str, fingerprint: str, kept: tuple[int, bytes, str, int]
    ) -> None:
        """Keep (status, body, request_id, stored_ns), in place of an expired one."""
        self.rows(
            "INSERT OR REPLACE INTO idempotency VALUES (?, ?, ?, ?, ?, ?, ?)",
            (organization, key, fingerprint, *kept),
        )
