"""Runs of the past, from the journal."""

from __future__ import annotations

from contextlib import ExitStack, closing
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from kirim_pandas.errors import InvalidInputError
from kirim_pandas.frames.results import STATUSES
from kirim_pandas.journal.locks import RunLock, is_locked
from kirim_pandas.journal.store import Journal, RunRecord
from kirim_pandas.journal.writer import lock_path
from kirim_pandas.verbs.argument_checks import (
    ShortTraceback,
    flag_problems,
    journal_problems,
    past_run,
    plain,
    refuse,
    shown,
)

if TYPE_CHECKING:
    from kirim_pandas.run.calls import PastCall


def runs(*, split_series: bool = False, journal: str | Path | None = None) -> pd.DataFrame:
    """List the runs in the journal, newest first.

    Parameters
    ----------
    split_series
        A call of ``df.kirim.label_segments`` or ``sync_label`` is a series of runs, one a label and
        operation, and has one row here; True lists each of its runs.
    journal
        A path, or None for the usual place.

    Returns
    -------
    DataFrame
        One row a run or series, with a RangeIndex: ``run_id`` (string), ``state`` (string: running,
        finished, capped where ``max_requests`` left rows open, stopped, failed, or interrupted
        where its process died), ``label`` (string: its name, or its id where the name is not
        known; of a series all of them), ``operation`` (string), ``started_at`` (datetime, local
        time, to the second), ``rows`` (Int64), the rows by status ``applied``, ``skipped``,
        ``failed``, ``unknown``, ``not_sent`` and ``requests`` (Int64, NA for a run that has not
        ended in order; of a series those that were sent: of ``label_segments`` each contact for
        its own label), ``undoes`` (string: the run or series that this one takes back, if any),
        ``series`` (string: the id of the series), ``label_id`` (string, NA for a series of several
        labels), ``target`` (string), the address it was sent to, and ``found`` (string), what the
        skips follow, NA where nothing was found.

    Raises
    ------
    InvalidInputError
        `journal` is no place, or `split_series` is neither True nor False.
    JournalError
        The journal cannot be read.

    Examples
    --------
    >>> import kirim_pandas as kp
    >>> kp.runs().columns[:5].tolist()
    ['run_id', 'state', 'label', 'operation', 'started_at']
    """
    with ShortTraceback():
        problems = flag_problems(split_series=split_series)
        refuse([*problems, *journal_problems(journal, needed=True)])

        with closing(Journal(plain(journal))) as store:
            found = store.runs()
            rows = [_summed_up(store, record) for record in found]
            told = pd.DataFrame(rows, columns=list(_RUN_COLUMNS), dtype=object)
            if not split_series:
                told = _one_row_a_series(store, told, found)
    return told.astype(_RUN_COLUMNS)


_RUN_COLUMNS = {
    **dict.fromkeys(("run_id", "state", "label", "operation"), "string"),
    "started_at": "datetime64[s]",
    **dict.fromkeys(("rows", *STATUSES, "requests"), "Int64"),
    **dict.fromkeys(("undoes", "series", "label_id", "target", "found"), "string"),
}


def _summed_up(store: Journal, record: RunRecord) -> tuple[object, ...]:
    """Return what the journal remembers of a run, in the order of the columns."""
    label = record.label_name or record.label_id
    # Local and without a zone, as people read it, and as Excel takes it.
    started = datetime.fromtimestamp(int(record.started_at))
    summary = record.summary or {}
    figures, found = map(summary.get, (*STATUSES, "requests")), summary.get("found") or None
    about = (record.run_id, _state(store, record), label, record.operation, started, record.rows)
    place = (record.undoes, record.series, record.label_id, record.target, found)
    return *about, *figures, *place


_FIGURES = ("rows", *STATUSES)

_STATES = ("running", "interrupted", "failed", "stopped", "capped", "finished")
"""Of a series the first that one of its runs is in."""


def _one_row_a_series(store: Journal, told: pd.DataFrame, records: list[RunRecord]) -> pd.DataFrame:
    """Put the runs of each series into one row, where its newest stands."""
    series_of = {run.run_id: run.series or run.run_id for run in records}
    of_series = told["series"].notna()
    rows = [
        _together(store, series_id, lines[::-1], series_of)
        for series_id, lines in told[of_series].groupby("series", sort=False)
    ]
    if not rows:
        return told
    # Old pandas warns of parts without rows.
    parts = [part for part in (told[~of_series], *rows) if len(part)]
    return pd.concat(parts).sort_index().reset_index(drop=True)


def _together(
    store: Journal, series_id: object, lines: pd.DataFrame, series_of: dict[str, str]
) -> pd.DataFrame:
    """Sum the runs of a series up, the first of them first."""
    first = lines["run_id"].iloc[0]
    counts = lines.astype(dict.fromkeys((*_FIGURES, "requests"), "Int64"))
    its, layout = counts, store.layout(first)
    if layout is not None and store.stayed(first) is None:  # others take the labels off
        its = counts.loc[counts["operation"] == layout.operation]
    figures = {name: its[name].sum(skipna=False) for name in _FIGURES}
    undone = lines["undoes"].dropna().map(lambda run: series_of.get(run, run))
    labels = lines["label_id"].unique()
    whole = {
        "run_id": series_id,
        "state": next(state for state in _STATES if state in set(lines["state"])),
        "label": ", ".join(lines["label"].unique()),
        "operation": ", ".join(lines["operation"].unique()),
        "started_at": lines["started_at"].min(),
        "requests": counts["requests"].sum(skipna=False),
        "undoes": ", ".join(undone.unique()) or None,
        "label_id": labels[0] if len(labels) == 1 else None,
        "found": "; ".join(lines["found"].dropna().unique()) or None,
        **figures,
    }
    return lines.iloc[-1:].assign(**{name: [value] for name, value in whole.items()})


def _table(rows: list[tuple[object, ...]], dtypes: dict[str, str]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=list(dtypes), dtype=object).astype(dtypes)


def keep_history(days: float | None, *, journal: str | Path | None = None) -> None:
    """Choose for how long the journal keeps finished runs; it is 400 days where nobody chooses.

    The choice is written into the journal, so it holds for every later session, and at once: runs
    that ended longer ago are deleted, and their ids overwritten.  Unfinished runs always stay.

    Parameters
    ----------
    days
        Days from the end of a run, above 0; None keeps runs for ever.
    journal
        A path, or None for the usual place.

    Raises
    ------
    InvalidInputError
        `days` is no such number, or `journal` is no place; nothing was changed.
    JournalError
        The journal cannot be written.

    Examples
    --------
    >>> import kirim_pandas as kp
    >>> kp.keep_history(days=None)
    >>> kp.keep_history(days=400)
    """
    with ShortTraceback():
        days = plain(days)
        problems = journal_problems(journal, needed=True)
        is_number = type(days) in (int, float) and 0 < float(days or 0) < float("inf")
        if not (days is None or is_number):
            problems.append(
                f"days: found {shown(days)}, expected a number above 0, or None to keep finished "
                "runs for ever."
            )
        refuse(problems)

        with closing(Journal(plain(journal))) as store:
            store.keep(None if days is None else days * 24 * 3600.0)


def calls(run_id: str, *, journal: str | Path | None = None) -> pd.DataFrame:
    """List the calls of a run, with the ids by which the service's support finds them.

    Parameters
    ----------
    run_id
        From ``result.attrs``, from an exception, or from :func:`runs`.
    journal
        A path, or None for the usual place.

    Returns
    -------
    DataFrame
        One row a call, in the order in which they were made, with a RangeIndex: ``number``
        (Int64, from 0), ``phase`` (string: apply for a batch, resolve for a probe), ``batch``
        (Int64, as in the result frame, NA for a probe), ``contacts`` (Int64, how many were
        sent), ``state`` (string: answered, refused, no_reply where the answer is missing, unsent
        where it surely changed nothing and a resume sends it again), ``applied``, ``cross_org``,
        ``team_mismatch`` (Int64, the counts of the answer, NA without one), ``code`` (string, of
        a refusal, also of one that a resume may not meet again, such as a label that was not
        found), ``request_id`` (string, NA where the service gave none) and ``run_id`` (string; of
        a series the calls of all its runs are listed, one run after the other).

    Raises
    ------
    InvalidInputError
        There is no such run in the journal.
    JournalError
        The journal cannot be read.

    Examples
    --------
    >>> import kirim_pandas as kp
    >>> with kp.sandbox.start(contacts=1500, seed=1, write_per_minute=60_000) as sandbox:
    ...     result = sandbox.contacts.kirim.bulk_label(
    ...         sandbox.labels["id"].iloc[0], "attach", client=sandbox.client(),
    ...         resolve="batches", progress=False,
    ...     )
    >>> made = kp.calls(result.attrs["kirim_run_id"])
    >>> made.loc[made["phase"] == "apply", ["batch", "contacts", "state"]].values.tolist()
    [[0, 1000, 'answered'], [1, 500, 'answered']]
    """
    with ShortTraceback():
        run_id, journal = past_run(run_id, journal)

        with closing(Journal(journal)) as store:
            runs = [run.run_id for run in store.named(run_id)] or [run_id]
            rows = [(*_told(past), run) for run in runs for past in store.load(run)[1]]
    return _table(rows, _CALL_COLUMNS)


_CALL_COLUMNS = {
    "number": "Int64",
    "phase": "string",
    "batch": "Int64",
    "contacts": "Int64",
    "state": "string",
    **dict.fromkeys(("applied", "cross_org", "team_mismatch"), "Int64"),
    **dict.fromkeys(("code", "request_id", "run_id"), "string"),
}


def _told(past: PastCall) -> tuple[object, ...]:
    """Return what the journal remembers of a call, in the order of the columns."""
    call, reply = past.call, past.reply
    state = "no_reply" if past.state in ("sent", "stale") else past.state
    batch = call.batch if call.batch >= 0 else None
    sent = (call.number, call.phase, batch, len(call.positions))
    if reply is None:
        return *sent, state, None, None, None, past.code, past.request_id
    counts = reply.counts
    told = (counts.applied, counts.cross_org, counts.team_mismatch)
    return *sent, state, *told, past.code, reply.request_id


def forget(run_id: str, *, journal: str | Path | None = None) -> None:
    """Delete a run and its contact ids from the journal, for good.

    Parameters
    ----------
    run_id
        The run, or a series of runs, as ``df.kirim.label_segments`` and ``sync_label`` make them.
        That the label was changed by a run that is forgotten stays known, so that
        ``since="last"`` does not compare with what was before it.
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
    >>> result.attrs["kirim_run_id"] in kp.runs()["run_id"].tolist()
    False
    """
    with ShortTraceback():
        run_id, journal = past_run(run_id, journal)

        with closing(Journal(journal)) as store, ExitStack() as held:
            runs = [run.run_id for run in store.named(run_id)]
            for one in dict.fromkeys((run_id, *runs)):
                lock = RunLock(lock_path(store, one), one, refused="Nothing was deleted.")
                held.enter_context(lock).mark(incomplete=False)
            if not sum(map(store.forget, runs)):
                raise InvalidInputError(
                    f"There is no run {run_id!r} in the journal {store.shown}, so nothing was "
                    "deleted. kirim_pandas.runs() lists the runs it knows."
                )


def _state(store: Journal, record: RunRecord) -> str:
    """Tell a run at work from one whose process died: only the first holds its lock."""
    if record.state != "open":
        return record.state

    holders = filter(None, (record.run_id, record.series))  # of a series, one run after the other
    at_work = any(is_locked(lock_path(store, holder)) for holder in holders)
    return "running" if at_work else "interrupted"
