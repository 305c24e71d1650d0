"""The journal: what a run meant to send, before it sent it, and what came back.

One SQLite file for all runs.  A call is committed with its idempotency key before it leaves, so
whatever happens to the process, a later one can send the very same call again and be given the
first reply.  It holds contact ids and counts; no key of the service, no names, no numbers.

The file is written with a rollback file, ``synchronous=EXTRA`` (a commit survives a power cut)
and ``secure_delete``, for the user alone.  The rollback file holds old pages and is never cut
(``PERSIST``) but when a run is forgotten: then it is overwritten, so the ids are gone from both.
Every row carries a checksum: a damaged journal is refused, never read in part.
"""

from __future__ import annotations

import contextlib
import sqlite3
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from operator import attrgetter
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from kirim_pandas.errors import InvalidInputError, JournalError
from kirim_pandas.journal import files, older_rows, records
from kirim_pandas.journal.records import Entry, Layout, RecordState, RunRecord, Stayed
from kirim_pandas.run.calls import PastCall
from kirim_pandas.run.spec import Column

__all__ = ["BROKEN", "Entry", "Journal", "RecordState", "RunRecord"]

Told = TypeVar("Told")

SCHEMA_VERSION = 1

KEEP_SECONDS = 400 * 24 * 3600.0
"""A finished run is forgotten after this time, where nobody has chosen another: a year and a month,
so that a month can be compared with the same one of the year before."""

CACHED_SECONDS = 24 * 3600
"""So old a reply may come again, out of a cache that ignores what was asked."""

BROKEN = (sqlite3.Error, OSError, UnicodeError)
"""What a journal raises that cannot be used; the last where SQLite quotes damaged bytes."""

BUSY_SECONDS = 30.0
"""How long a commit waits for those of other processes, each of which takes a few milliseconds."""

SCHEMA = """
CREATE TABLE run (
    run_id TEXT PRIMARY KEY, detail TEXT NOT NULL, state TEXT NOT NULL, summary TEXT NOT NULL,
    ended_at REAL, checksum INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE contacts (
    run_id TEXT PRIMARY KEY REFERENCES run ON DELETE CASCADE, ids BLOB NOT NULL, groups BLOB,
    checksum INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE call (
    run_id TEXT NOT NULL REFERENCES run ON DELETE CASCADE, number INTEGER NOT NULL,
    place TEXT NOT NULL, positions BLOB NOT NULL, key TEXT NOT NULL, planned_at REAL NOT NULL,
    state TEXT NOT NULL, answer TEXT, checksum INTEGER NOT NULL,
    PRIMARY KEY (run_id, number)
) WITHOUT ROWID;
"""

OUTCOMES = """
CREATE TABLE IF NOT EXISTS outcomes (
    run_id TEXT PRIMARY KEY REFERENCES run ON DELETE CASCADE, codes BLOB NOT NULL,
    checksum INTEGER NOT NULL
) WITHOUT ROWID
"""
"""What finished runs found, one code a contact; made when it is first needed."""

STAYED = """
CREATE TABLE IF NOT EXISTS stayed (
    run_id TEXT PRIMARY KEY REFERENCES run ON DELETE CASCADE, since TEXT, ids BLOB NOT NULL,
    codes BLOB NOT NULL, checksum INTEGER NOT NULL
) WITHOUT ROWID
"""
"""Whom a sync left as they were, beside its first run; made when it is first needed."""

LAYOUT = """
CREATE TABLE IF NOT EXISTS layout (
    run_id TEXT PRIMARY KEY REFERENCES run ON DELETE CASCADE, detail TEXT NOT NULL,
    codes BLOB NOT NULL, checksum INTEGER NOT NULL
) WITHOUT ROWID
"""
"""How the rows of a frame mean the runs of a series, beside its first run; made likewise."""

COLUMNS = """
CREATE TABLE IF NOT EXISTS columns (
    run_id TEXT NOT NULL REFERENCES run ON DELETE CASCADE, round INTEGER NOT NULL,
    heads TEXT NOT NULL, codes BLOB NOT NULL, checksum INTEGER NOT NULL, PRIMARY KEY (run_id, round)
) WITHOUT ROWID
"""
"""Made when it is first needed: journals of earlier versions have none."""

SETTINGS = """
CREATE TABLE IF NOT EXISTS setting (
    name TEXT PRIMARY KEY, value REAL, checksum INTEGER NOT NULL
) WITHOUT ROWID
"""
"""Made when it is first needed, too."""

KEPT = "keep_seconds"

ANSWERS = """
SELECT json_extract(answer, '$[#-1]') AS request_id, key FROM call JOIN run USING (run_id)
WHERE json_extract(detail, '$.target') = ? AND planned_at > ? AND request_id NOT NULL
ORDER BY planned_at
"""
"""The request id stands last in an answer, be it counts or a refusal."""

PRAGMAS = (
    "journal_mode = PERSIST",
    "synchronous = EXTRA",
    "fullfsync = ON",
    "secure_delete = ON",
    "foreign_keys = ON",
    "temp_store = MEMORY",  # old pages are in no temporary file either
    "trusted_schema = OFF",
)


class Journal:
    """The journal at `path`, created if missing.

    Parameters
    ----------
    path
        A file, or a folder to hold ``journal.sqlite``; None for the usual place.
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
        self.path = files.located(path)
        self.shown = files.shown(self.path)
        self.now = wall_clock
        self._starts: dict[str, set[int]] = {}
        with self._translated("opened"):
            files.make(self.path)
            files.look(self.path)
            # The run's thread is the only one that uses it, but not always the one that opens it.
            self._db = sqlite3.connect(self.path, timeout=BUSY_SECONDS, check_same_thread=False)
            try:
                self._set_up()
                self._inode = self.path.stat().st_ino
            except BaseException:
                self._db.close()
                raise

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def begin(
        self, *new: RunRecord, stayed: Stayed | None = None, layout: Layout | None = None
    ) -> None:
        """Write new runs down as the latest, all or none, before anything of them is sent.

        Parameters
        ----------
        new
            The runs.
        stayed
            Where they are a sync, whom it leaves as they were.
        layout
            Where they are a series of a frame, how its rows mean them.
        """
        with self._translated("written"), self._db:
            self._db.execute("BEGIN IMMEDIATE")  # the number is nobody else's
            latest = max([self._forgotten(), *(known.sequence for known in self.runs())])
            for sequence, unnumbered in enumerate(new, start=latest + 1):
                record = replace(unnumbered, sequence=sequence)
                run = records.run_row(record)
                self._db.execute("INSERT INTO run VALUES (?, ?, ?, ?, ?, ?)", run)
                self._put_contacts(record)
            if stayed is not None:
                self._db.execute(STAYED)
                row = records.stayed_row(new[0].run_id, stayed)
                self._db.execute("INSERT INTO stayed VALUES (?, ?, ?, ?, ?)", row)
            if layout is not None:
                self._db.execute(LAYOUT)
                row = records.layout_row(new[0].run_id, layout)
                self._db.execute("INSERT INTO layout VALUES (?, ?, ?, ?)", row)

    def rearrange(self, record: RunRecord) -> None:
        """Write down in which order a run, of which nothing was sent, sends its contacts."""
        with self._translated("written"), self._db:
            self._put_contacts(record)

    def learn(self, run_id: str, before_round: int, columns: Sequence[Column]) -> None:
        """Write down what a run has read, and before which round of probes it did."""
        with self._db:
            self._check_place()
            self._add_columns(run_id, before_round, columns)

    def reopen(self, record: RunRecord) -> None:
        """Note that a run is at work again, before anything more of it is sent."""
        with self._translated("written"), self._db:
            self._update_run(records.run_row(record))

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
            head = self._db.execute("SELECT * FROM run WHERE run_id = ?", (run_id,)).fetchone()
            body = self._db.execute("SELECT * FROM contacts WHERE run_id = ?", (run_id,)).fetchone()
            # All rows, whosesoever: a search in a damaged tree would miss some silently.
            with self._whole(run_id):
                calls = [
                    past
                    for row in self._db.execute("SELECT * FROM call")
                    if (past := self._read(records.read_call, row, run_id, self.now())) is not None
                ]
                learnt = dict(self._columns(run_id))
        if head is None:
            raise InvalidInputError(
                f"There is no run {run_id!r} in the journal {self.shown}. "
                "kirim_pandas.runs() lists the runs it knows."
            )
        with self._whole(run_id):
            contact_ids, groups = records.read_contacts(body or ())
            if [past.call.number for past in calls] != list(range(len(calls))):
                raise records.DamagedRow
            record = self._read(records.read_run, head)
        columns = learnt.pop(records.AT_START, ())
        return replace(
            record, contact_ids=contact_ids, groups=groups, columns=columns, learnt=learnt
        ), calls

    def answers(self, target: str) -> list[tuple[str, str]]:
        """Read the request ids of the last day's replies, each with the key of its call.

        Parameters
        ----------
        target
            Of the runs that were sent to this address.
        """
        with self._translated("read"):
            return self._db.execute(ANSWERS, (target, self.now() - CACHED_SECONDS)).fetchall()

    def runs(self) -> list[RunRecord]:
        """Read all runs, newest first, without their contacts."""
        with self._translated("read"):
            rows = self._db.execute("SELECT * FROM run").fetchall()
        found = []
        for row in rows:
            with self._whole(row[0]):
                found.append(self._read(records.read_run, row))
        return sorted(found, key=attrgetter("order"), reverse=True)

    def named(self, run_id: str) -> list[RunRecord]:
        """Read the run of an id, or the runs of a series in their order, without contacts."""
        return [run for run in self.runs()[::-1] if run_id in (run.run_id, run.series)]

    def forgotten(self, label: RunRecord) -> int:
        """Read the place of the latest run of a label that was forgotten; 0 without one."""
        with self._translated("read"):
            return int(self._setting(f"forgotten {label.label_id} {label.target}", 0) or 0)

    def contact_ids(self, run_id: str) -> list[str]:
        """Read the contacts of a run; none where there is no such run."""
        with self._translated("read"):
            row = self._db.execute("SELECT * FROM contacts WHERE run_id = ?", (run_id,)).fetchone()
        with self._whole(run_id):
            return records.read_contacts(row)[0] if row else []

    def sent_ids(self, run_id: str) -> list[str]:
        """Read the contacts of a run that were sent, and not surely refused."""
        with self._translated("read"):
            rows = self._db.execute("SELECT * FROM call WHERE run_id = ?", (run_id,)).fetchall()
        with self._whole(run_id):
            calls = [self._read(records.read_call, row, run_id, self.now()) for row in rows]
        sent = {
            position
            for past in calls
            if past is not None and past.state not in ("refused", "unsent")
            for position in past.call.positions.tolist()
        }
        if not sent:
            return []
        ids = self.contact_ids(run_id)
        return [ids[position] for position in sorted(sent)]

    def forget(self, run_id: str) -> bool:
        """Delete a run for good; tell whether there was one.

        Of one that sent something its label and its place in the journal are kept: what is known
        of the label by earlier runs is old.
        """
        changed = bool(self.sent_ids(run_id))
        for run in (run for run in self.runs() if changed and run.run_id == run_id):
            self._set(f"forgotten {run.label_id} {run.target}", run.sequence)
        with self._translated("written"):
            return self._delete("run_id = ?", run_id)

    def keep(self, seconds: float | None) -> None:
        """Keep finished runs for so long from now on, None for ever; delete what is older."""
        self._set(KEPT, seconds)
        with self._translated("written"):
            self._forget_old()

    def write(self, run_id: str, entries: Sequence[Entry]) -> None:
        """Commit what is new of some calls, in one go; raises one of ``BROKEN``."""
        self._check_place()
        with self._db:
            for entry in entries:
                known = self._db.execute(
                    "SELECT key, planned_at FROM call WHERE run_id = ? AND number = ?",
                    (run_id, entry.call.number),
                ).fetchone()
                # The age of a key is counted from the first time it was sent.
                planned_at = known[1] if known and known[0] == entry.call.key else entry.at
                self._db.execute(
                    "REPLACE INTO call VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                    records.call_row(run_id, entry, planned_at),
                )

    def end_run(
        self,
        run_id: str,
        state: RecordState,
        summary: dict[str, Any],
        outcomes: NDArray[np.int8] | None = None,
    ) -> None:
        """Commit how the run ended, and what it found; raises one of ``BROKEN``."""
        self._check_place()
        with self._db:
            (detail,) = self._db.execute(
                "SELECT detail FROM run WHERE run_id = ?", (run_id,)
            ).fetchone() or ("",)
            self._update_run(records.end_row(run_id, detail, state, summary, self.now()))
            if outcomes is not None:
                self._db.execute(OUTCOMES)
                row = records.outcomes_row(run_id, outcomes)
                self._db.execute("INSERT OR REPLACE INTO outcomes VALUES (?, ?, ?)", row)

    def outcomes(self, run_id: str) -> NDArray[np.int8] | None:
        """Read what a finished run found of each contact; None where it was not written down."""
        return self._beside(run_id, "outcomes", records.read_outcomes)

    def stayed(self, run_id: str) -> Stayed | None:
        """Read whom a sync knew before; None where `run_id` is not the first of a sync."""
        return self._beside(run_id, "stayed", records.read_stayed)

    def layout(self, run_id: str) -> Layout | None:
        """Read how rows mean a series; None where `run_id` is not the first of one of a frame."""
        return self._beside(run_id, "layout", records.read_layout)

    def wait_for_others(self, seconds: float) -> None:
        """Set how long a commit waits while another process writes."""
        self._db.execute(f"PRAGMA busy_timeout = {round(seconds * 1000)}")

    # -- inside ----------------------------------------------------------------------------

    def _set_up(self) -> None:
        for pragma in PRAGMAS:
            self._db.execute(f"PRAGMA {pragma}")
        self._check_schema(self._db)
        self._forget_old()

    def _forget_old(self) -> None:
        kept_seconds = self._setting(KEPT, KEEP_SECONDS)
        if kept_seconds is None:
            return
        old = self.now() - kept_seconds
        which = "state = 'finished' AND ended_at < ?"
        if self._db.execute(f"SELECT 1 FROM run WHERE {which}", (old,)).fetchone():  # noqa: S608
            self._delete(which, old)

    def _forgotten(self) -> int:
        """Read the place of the latest run that was forgotten: no later one may be given it."""
        chosen = "SELECT max(value) FROM setting WHERE name LIKE 'forgotten %'"
        (place,) = self._db.execute(chosen).fetchone() if self._has("setting") else (0,)
        return int(place or 0)

    def _set(self, name: str, value: float | None) -> None:
        with self._translated("written"), self._db:
            self._db.execute(SETTINGS)
            row = records.setting_row(name, value)
            self._db.execute("INSERT OR REPLACE INTO setting VALUES (?, ?, ?)", row)

    def _setting(self, name: str, default: float | None) -> float | None:
        chosen = "SELECT * FROM setting WHERE name = ?"
        row = self._has("setting") and self._db.execute(chosen, (name,)).fetchone()
        with self._whole(name, "the setting"):
            return records.read_setting(row) if row else default

    def _has(self, table: str) -> bool:
        known = "SELECT 1 FROM sqlite_schema WHERE name = ?"
        return self._db.execute(known, (table,)).fetchone() is not None

    def _delete(self, which: str, value: str | float) -> bool:
        """Delete runs, and what the rollback file holds of them."""
        with self._db as db:
            found = db.execute(f"DELETE FROM run WHERE {which}", (value,)).rowcount > 0  # noqa: S608
        with self._db as db:
            db.execute("BEGIN IMMEDIATE")  # nobody else writes, so nobody needs the rollback file
            files.overwrite(self.path.with_name(f"{self.path.name}-journal"))
        return found

    def _check_schema(self, db: sqlite3.Connection) -> None:
        if _is_empty(db):
            with db:
                db.execute("BEGIN IMMEDIATE")
                if _is_empty(db):  # still, now that no other process can write
                    for statement in SCHEMA.split(";\n")[:-1]:
                        db.execute(statement)
                    db.execute(f"PRAGMA application_id = {files.APPLICATION_ID}")
                    db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        if db.execute("PRAGMA quick_check(1)").fetchone() != ("ok",):
            raise sqlite3.DatabaseError("the file is damaged")
        (version,) = db.execute("PRAGMA user_version").fetchone()
        if version != SCHEMA_VERSION:
            raise JournalError(
                f"The journal {self.shown} was written by another version of kirim-pandas (its "
                f"format is {version}, this version reads {SCHEMA_VERSION}). Nothing was sent. "
                "Upgrade kirim-pandas, or name another file with journal=… or KIRIM_JOURNAL."
            )

    def _put_contacts(self, record: RunRecord) -> None:
        row = records.contacts_row(record)
        self._db.execute("REPLACE INTO contacts VALUES (?, ?, ?, ?)", row)
        if record.columns:
            self._add_columns(record.run_id, records.AT_START, record.columns)

    def _add_columns(self, run_id: str, before_round: int, columns: Sequence[Column]) -> None:
        self._db.execute(COLUMNS)
        row = records.columns_row(run_id, before_round, columns)
        self._db.execute("INSERT OR REPLACE INTO columns VALUES (?, ?, ?, ?, ?)", row)

    def _columns(self, run_id: str) -> list[tuple[int, tuple[Column, ...]]]:
        """Read what a run knew of its contacts, the columns of its frame first."""
        if not self._has("columns"):
            return []
        chosen = "SELECT * FROM columns WHERE run_id = ? ORDER BY round"
        return [records.read_columns(row) for row in self._db.execute(chosen, (run_id,))]

    def _beside(self, run_id: str, table: str, read: Callable[[records.Row], Told]) -> Told | None:
        """Read what stands beside a run, if anything does."""
        with self._translated("read"):
            if not self._has(table):
                return None
            chosen = f"SELECT * FROM {table} WHERE run_id = ?"  # noqa: S608 - a name of ours
            row = self._db.execute(chosen, (run_id,)).fetchone()
        with self._whole(run_id):
            return read(row) if row else None

    def _read(self, read: Callable[..., Told], row: tuple[Any, ...], *more: Any) -> Told:
        """Read a row of a run or a call, also one whose id an earlier version wrote otherwise."""
        try:
            return read(row, *more)
        except records.DamagedRow:
            starts = self._starts.get(row[0]) or older_rows.beginnings(self._db, row[0])
            self._starts[row[0]] = starts
            return read(older_rows.mended(row, starts), *more)

    def _update_run(self, row: tuple[object, ...]) -> None:
        self._db.execute(
            "UPDATE run SET detail = ?, state = ?, summary = ?, ended_at = ?, checksum = ? "
            "WHERE run_id = ?",
            (*row[1:], row[0]),
        )

    def _check_place(self) -> None:
        """Refuse to write to a file that was deleted or replaced: nobody would find it again."""
        try:
            here = self.path.stat().st_ino == self._inode
        except OSError:
            here = False
        if not here:
            raise sqlite3.OperationalError("the file was deleted or moved")

    @contextlib.contextmanager
    def _whole(self, name: object, what: str = "run") -> Iterator[None]:
        try:
            yield
        except (ValueError, TypeError, IndexError, zlib.error) as error:
            raise JournalError(
                f"The journal {self.shown} is damaged: {what} {name} does not match its checksum. "
                "Nothing was sent. Move the file aside (keep it for support) and label the "
                "contacts again: a label that is set twice stays as it is."
            ) from error

    @contextlib.contextmanager
    def _translated(self, verb: str) -> Iterator[None]:
        try:
            yield
        except BROKEN as error:
            raise JournalError(
                f"The journal {self.shown} cannot be {verb}: {files.shown(error)}. "
                f"Nothing was sent. {files.advice(error)}, or name another place with "
                "journal=… or KIRIM_JOURNAL, or do without a journal with journal=False (then a "
                "run that stops half-way cannot be resumed)."
            ) from error


def _is_empty(db: sqlite3.Connection) -> bool:
    (version,) = db.execute("PRAGMA user_version").fetchone()
    (tables,) = db.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    return bool(version == 0 and tables == 0)
