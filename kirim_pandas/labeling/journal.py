"""The journal: what a run meant to send, before it sent it, and what came back.

One SQLite file for all runs.  A call is committed with its idempotency key before it leaves, so
whatever happens to the process, a later one can send the very same call again and be given the
first reply.  It holds contact ids and counts; no key of the service, no names, no numbers.

The file is written with a rollback journal, ``synchronous=EXTRA`` (a commit survives a power
cut) and ``secure_delete`` (ids that are forgotten are gone from the disk), for the user alone.
Every row carries a checksum: a damaged journal is refused, never read in part.
"""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import time
import uuid
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np

from kirim_pandas.api.errors import InvalidInputError, JournalError
from kirim_pandas.labeling.batches import Counts
from kirim_pandas.labeling.events import Call, Reply
from kirim_pandas.labeling.job import PastCall

__all__ = ["Journal", "RecordState", "RunRecord", "default_path"]

SCHEMA_VERSION = 1
APPLICATION_ID = 0x4B49524D  # "KIRM", so that no other SQLite file is taken for a journal

REPLAY_SECONDS = 23 * 3600
"""The service keeps a reply for 24 h under its key; an older call needs a new key."""

KEEP_SECONDS = 30 * 24 * 3600
"""A finished run is forgotten after this time."""

RecordState: TypeAlias = Literal["open", "finished", "stopped", "failed"]

SCHEMA = """
CREATE TABLE run (
    run_id TEXT PRIMARY KEY, detail TEXT NOT NULL, contacts BLOB NOT NULL, groups BLOB,
    state TEXT NOT NULL, summary TEXT NOT NULL, ended_at REAL, checksum INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE call (
    run_id TEXT NOT NULL REFERENCES run ON DELETE CASCADE, number INTEGER NOT NULL,
    place TEXT NOT NULL, positions BLOB NOT NULL, key TEXT NOT NULL, planned_at REAL NOT NULL,
    state TEXT NOT NULL, answer TEXT, checksum INTEGER NOT NULL,
    PRIMARY KEY (run_id, number)
) WITHOUT ROWID;
"""


@dataclass(frozen=True, slots=True, eq=False)
class RunRecord:
    """A run as the journal keeps it.

    Attributes
    ----------
    run_id, label_id, operation, target : str
        What was asked, and the full address it is asked of (without any key).
    contact_ids : list of str
        The distinct ids in sending order.
    groups : int64 array or None
        The hint's codes.
    resolve : str
        How far the run resolves.
    max_requests : int or None
        The cap on its calls.
    rows : int
        Rows of the frame.
    started_at : float
        Unix seconds.
    state : {"open", "finished", "stopped", "failed"}
        ``open`` while it runs, and for ever after if its process died.
    summary : dict of str to int
        Rows by status at its end, and ``requests``.
    """

    run_id: str
    label_id: str
    operation: str
    target: str
    contact_ids: list[str]
    groups: Any
    resolve: str
    max_requests: int | None
    rows: int
    started_at: float
    state: RecordState = "open"
    summary: dict[str, int] | None = None


def default_path() -> Path:
    """Return where the journal is: ``KIRIM_JOURNAL``, else the user's state folder."""
    if configured := os.environ.get("KIRIM_JOURNAL"):
        return Path(configured).expanduser()
    import platformdirs

    return platformdirs.user_state_path("kirim-pandas") / "journal.sqlite"


class Journal:
    """The journal at `path`, created if missing.

    Parameters
    ----------
    path
        A file, or a folder to hold ``journal.sqlite``; by default :func:`default_path`.
    wall_clock
        Unix seconds.

    Raises
    ------
    JournalError
        When the file cannot be read or written, is damaged, or was written by a newer version.
    """

    def __init__(
        self, path: str | Path | None = None, *, wall_clock: Callable[[], float] = time.time
    ) -> None:
        path = default_path() if path is None else Path(path).expanduser()
        self.path = path / "journal.sqlite" if path.is_dir() else path
        self._wall_clock = wall_clock
        with self._translated("opened"):
            self._db = self._open()

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def begin(self, record: RunRecord) -> None:
        """Write a new run down, before anything of it is sent."""
        detail = json.dumps(
            {
                "label_id": record.label_id,
                "operation": record.operation,
                "target": record.target,
                "resolve": record.resolve,
                "max_requests": record.max_requests,
                "rows": record.rows,
                "started_at": record.started_at,
            }
        )
        contacts = zlib.compress("\n".join(record.contact_ids).encode("ascii"), 1)
        groups = None if record.groups is None else record.groups.astype("<i8").tobytes()
        row = (record.run_id, detail, contacts, groups)
        with self._translated("written"), self._db:
            self._db.execute(
                "INSERT INTO run VALUES (?, ?, ?, ?, 'open', '{}', NULL, ?)", (*row, _checksum(row))
            )

    def load(self, run_id: str) -> tuple[RunRecord, list[PastCall]]:
        """Read a run and its calls.

        Raises
        ------
        InvalidInputError
            When there is no such run.
        JournalError
            When a row is damaged.
        """
        with self._translated("read"):
            row = self._db.execute("SELECT * FROM run WHERE run_id = ?", (run_id,)).fetchone()
            calls = self._db.execute(
                "SELECT * FROM call WHERE run_id = ? ORDER BY number", (run_id,)
            ).fetchall()
        if row is None:
            raise InvalidInputError(
                f"There is no run {run_id!r} in the journal {self.path}. "
                "kirim_pandas.runs() lists the runs it knows."
            )
        return self._read_run(row), [self._read_call(call) for call in calls]

    def runs(self) -> list[RunRecord]:
        """Read all runs, newest first, without their contacts."""
        with self._translated("read"):
            rows = self._db.execute("SELECT * FROM run").fetchall()
        records = [replace(self._read_run(row), contact_ids=[], groups=None) for row in rows]
        return sorted(records, key=lambda record: record.started_at, reverse=True)

    def forget(self, run_id: str) -> None:
        """Delete a run for good."""
        with self._translated("written"), self._db:
            self._db.execute("DELETE FROM run WHERE run_id = ?", (run_id,))

    def plan_call(self, run_id: str, call: Call) -> None:
        """Commit a call that is about to be sent."""
        place = json.dumps([call.phase, call.batch, call.round, call.slot, call.budget])
        positions = call.positions.astype("<i4").tobytes()
        row = (run_id, call.number, place, positions, call.key)
        checksum = _checksum((*row, None))
        with self._db:
            self._db.execute(
                "INSERT INTO call VALUES (?, ?, ?, ?, ?, ?, 'sent', NULL, ?) ON CONFLICT DO UPDATE "
                "SET planned_at = iif(key = excluded.key, planned_at, excluded.planned_at), "
                "key = excluded.key, state = 'sent', answer = NULL, checksum = excluded.checksum",
                (*row, self._wall_clock(), checksum),
            )

    def answer_call(self, run_id: str, call: Call, state: str, answer: list[Any] | None) -> None:
        """Commit what became of a call."""
        text = None if answer is None else json.dumps(answer)
        place = json.dumps([call.phase, call.batch, call.round, call.slot, call.budget])
        positions = call.positions.astype("<i4").tobytes()
        checksum = _checksum((run_id, call.number, place, positions, call.key, text))
        with self._db:
            self._db.execute(
                "UPDATE call SET state = ?, answer = ?, checksum = ? "
                "WHERE run_id = ? AND number = ?",
                (state, text, checksum, run_id, call.number),
            )

    def end_run(self, run_id: str, state: RecordState, summary: dict[str, int]) -> None:
        """Commit how the run ended."""
        with self._db:
            self._db.execute(
                "UPDATE run SET state = ?, summary = ?, ended_at = ? WHERE run_id = ?",
                (state, json.dumps(summary), self._wall_clock(), run_id),
            )

    # -- inside ----------------------------------------------------------------------------

    def _open(self) -> sqlite3.Connection:
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Created here, and not by SQLite, so that it is the user's alone from its first moment.
        os.close(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600))
        # The run's thread is the only one that uses it, but not always the one that opens it.
        db = sqlite3.connect(self.path, timeout=30.0, check_same_thread=False)
        try:
            for pragma in (
                "journal_mode = TRUNCATE",
                "synchronous = EXTRA",
                "fullfsync = ON",
                "secure_delete = ON",
                "foreign_keys = ON",
                "trusted_schema = OFF",
            ):
                db.execute(f"PRAGMA {pragma}")
            self._check_schema(db)
            with db:  # also proves that the file can be written
                db.execute(
                    "DELETE FROM run WHERE state = 'finished' AND ended_at < ?",
                    (self._wall_clock() - KEEP_SECONDS,),
                )
                db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        except BaseException:
            db.close()
            raise
        return db

    def _check_schema(self, db: sqlite3.Connection) -> None:
        with db:
            db.execute("BEGIN IMMEDIATE")
            (version,) = db.execute("PRAGMA user_version").fetchone()
            (tables,) = db.execute("SELECT count(*) FROM sqlite_schema").fetchone()
            if version == 0 and tables == 0:
                for statement in SCHEMA.split(";\n")[:-1]:
                    db.execute(statement)
                db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
            elif (
                version != SCHEMA_VERSION
                or db.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID
            ):
                raise JournalError(
                    f"{self.path} is not a journal this version can read (its format is "
                    f"{version}, expected {SCHEMA_VERSION}). Upgrade kirim-pandas, or name "
                    "another file with journal=… or KIRIM_JOURNAL."
                )
        if db.execute("PRAGMA quick_check(1)").fetchone() != ("ok",):
            raise sqlite3.DatabaseError("the file is damaged")

    def _read_run(self, row: tuple[Any, ...]) -> RunRecord:
        run_id, detail, contacts, groups, state, summary, _ended_at, checksum = row
        if _checksum((run_id, detail, contacts, groups)) != checksum:
            raise self._damaged(run_id)
        return RunRecord(
            run_id=run_id,
            contact_ids=zlib.decompress(contacts).decode("ascii").split("\n"),
            groups=None if groups is None else np.frombuffer(groups, "<i8").astype(np.int64),
            state=state,
            summary=json.loads(summary),
            **json.loads(detail),
        )

    def _read_call(self, row: tuple[Any, ...]) -> PastCall:
        run_id, number, place, positions, key, planned_at, state, answer, checksum = row
        if _checksum((run_id, number, place, positions, key, answer)) != checksum:
            raise self._damaged(run_id)
        if state == "sent" and self._wall_clock() - planned_at > REPLAY_SECONDS:
            key = str(uuid.uuid4())
        phase, batch, round_, slot, budget = json.loads(place)
        where = np.frombuffer(positions, "<i4").astype(np.int64)
        call = Call(number, phase, where, key, batch, round_, slot, budget)
        match state, json.loads(answer or "null"):
            case "answered", [applied, cross_org, team_mismatch, request_id]:
                counts = Counts(applied, cross_org, team_mismatch)
                return PastCall(call, state, reply=Reply(counts, request_id))
            case "refused", [code, request_id]:
                return PastCall(call, state, code=code, request_id=request_id)
        return PastCall(call, state)

    def _damaged(self, run_id: str) -> JournalError:
        return JournalError(
            f"The journal {self.path} is damaged: run {run_id} does not match its checksum. "
            "Nothing was sent. Move the file aside (keep it for support) and start again: "
            "a label that is set twice stays as it is."
        )

    @contextlib.contextmanager
    def _translated(self, verb: str) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise JournalError(
                f"The journal {self.path} cannot be {verb}: {error}. Nothing was sent. "
                "Free some space or mend its permissions, move a damaged file aside, name another "
                "place with journal=… or KIRIM_JOURNAL, or do without with journal=False "
                "(then a run whose process dies cannot be resumed)."
            ) from error


def _checksum(values: tuple[Any, ...]) -> int:
    return zlib.crc32(repr(values).encode())
