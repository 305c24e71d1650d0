"""Runs of the past, from the journal."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from kirim_pandas.errors import InvalidInputError
from kirim_pandas.frames.results import STATUSES
from kirim_pandas.verbs.door import ShortTraceback

if TYPE_CHECKING:
    from kirim_pandas.journal.store import Journal, RunRecord

__all__ = ["forget", "runs"]


def runs(*, journal: str | Path | None = None) -> pd.DataFrame:
    """List the runs in the journal, newest first.

    Parameters
    ----------
    journal
        A path, or None for the usual place.

    Returns
    -------
    DataFrame
        One row a run: ``run_id``, ``label_id``, ``operation`` (string), ``started_at``
        (datetime, UTC, to the second), ``rows`` (Int64), the rows by status ``applied``,
        ``skipped``, ``failed``, ``unknown``, ``not_sent`` and ``requests`` (Int64, NA for a run
        that has not ended in order), ``state`` (string): running, finished, capped where
        ``max_requests`` left rows open, stopped, failed, or interrupted where its process died;
        and ``target`` (string), the address it was sent to.

    Raises
    ------
    JournalError
        The journal cannot be read.

    Examples
    --------
    >>> import kirim_pandas as kp
    >>> kp.runs().columns[:3].tolist()
    ['run_id', 'label_id', 'operation']
    """
    from kirim_pandas.journal.store import Journal

    with ShortTraceback(), closing(Journal(journal)) as book:
        records = book.runs()
        states = [_state(book, record) for record in records]
    figures = [record.summary or {} for record in records]
    columns = {
        "run_id": pd.array([record.run_id for record in records], dtype="string"),
        "label_id": pd.array([record.label_id for record in records], dtype="string"),
        "operation": pd.array([record.operation for record in records], dtype="string"),
        "started_at": pd.to_datetime([int(r.started_at) for r in records], unit="s", utc=True),
        "rows": pd.array([record.rows for record in records], dtype="Int64"),
    }
    for name in (*STATUSES, "requests"):
        columns[name] = pd.array([figure.get(name, pd.NA) for figure in figures], dtype="Int64")
    columns["state"] = pd.array(states, dtype="string")
    columns["target"] = pd.array([record.target for record in records], dtype="string")
    return pd.DataFrame(columns)


def forget(run_id: str, *, journal: str | Path | None = None) -> None:
    """Delete a run and its contact ids from the journal, for good.

    Parameters
    ----------
    run_id
        The run.
    journal
        A path, or None for the usual place.

    Raises
    ------
    InvalidInputError
        There is no such run in the journal, so nothing was deleted.
    JournalError
        The journal cannot be written, or the run is at work.

    Examples
    --------
    >>> import kirim_pandas as kp
    >>> with kp.sandbox.start(contacts=10, write_per_minute=60_000) as sandbox:
    ...     result = sandbox.contacts.kirim.bulk_label(
    ...         sandbox.labels["id"].iloc[0], "attach", client=sandbox.client(), progress=False
    ...     )
    >>> kp.forget(result.attrs["kirim_run_id"])
    >>> len(kp.runs())
    0
    """
    from kirim_pandas.journal.locks import RunLock
    from kirim_pandas.journal.store import Journal
    from kirim_pandas.journal.writer import lock_path

    with ShortTraceback(), closing(Journal(journal)) as book:
        with RunLock(lock_path(book, run_id), run_id, refused="Nothing was deleted.") as lock:
            forgotten = book.forget(run_id)
            lock.mark(incomplete=False)
        if not forgotten:
            raise InvalidInputError(
                f"There is no run {run_id!r} in the journal {book.path}, so nothing was deleted. "
                "kirim_pandas.runs() lists the runs it knows."
            )


def _state(book: Journal, record: RunRecord) -> str:
    """Tell a run at work from one whose process died: only the first holds its lock."""
    if record.state != "open":
        return record.state
    from kirim_pandas.journal.locks import is_locked
    from kirim_pandas.journal.writer import lock_path

    return "running" if is_locked(lock_path(book, record.run_id)) else "interrupted"
