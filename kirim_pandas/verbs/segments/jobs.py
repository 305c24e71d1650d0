"""The verbs of this folder in the background: checked in the caller's thread, then set going."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from kirim_pandas.notebook.job import LabelJob
from kirim_pandas.notebook.series import SeriesTally
from kirim_pandas.verbs import background
from kirim_pandas.verbs.argument_checks import ShortTraceback
from kirim_pandas.verbs.resuming import Resumption
from kirim_pandas.verbs.segments.resume_and_result import unfinished
from kirim_pandas.verbs.segments.series import Series, runs_of
from kirim_pandas.verbs.segments.undoing import undoing, undoing_series

if TYPE_CHECKING:
    from kirim_pandas.run.spec import Resolve
    from kirim_pandas.verbs.arguments import Client


def series_job(series: Series) -> LabelJob:
    """Set a series going, and show it."""
    job = start_series(series)
    job.announce()
    return job


def start_series(series: Series) -> LabelJob:
    """Set a series going that is written down; shows nothing."""
    notes: list[str] = []  # a warning of the job's thread would appear under whatever cell runs
    series = replace(series, warn=notes.append)
    facts = series.facts()
    tally = SeriesTally(facts.contacts)

    def again() -> LabelJob:
        runs = runs_of(series.series_id, series.journal)
        return start_series(replace(series, runs=runs, max_requests=None, _known={}))

    held = ExitStack()
    held.enter_context(series.at_work())
    return background.set_going(
        held,
        lambda _listener, stop: series.work(tally, stop),
        facts,
        client=series.client,
        resume=again if series.is_kept else None,
        notes=notes,
        tally=tally,
    )


def undo_job(
    run_id: str, *, client: Client | None = None, journal: str | Path | None = None
) -> LabelJob:
    """Do what :func:`undo` does in the background: the cell returns at once.

    Parameters
    ----------
    run_id, client, journal
        As for :func:`undo`.

    Returns
    -------
    LabelJob
        As of ``df.kirim.bulk_label_job``.

    Raises
    ------
    InvalidInputError, ConfigurationError, JournalError
        As for :func:`undo`; nothing was sent.

    Examples
    --------
    >>> import warnings
    >>> import kirim_pandas as kp
    >>> with kp.sandbox.start(contacts=60, seed=1, write_per_minute=60_000) as sandbox:
    ...     client, label_id = sandbox.client(), sandbox.labels["id"].iloc[0]
    ...     made = sandbox.contacts.kirim.bulk_label(
    ...         label_id, "attach", client=client, progress=False
    ...     )
    ...     with warnings.catch_warnings(action="ignore"):  # who had the label before?
    ...         job = kp.undo_job(made.attrs["kirim_run_id"], client=client)
    ...     undone, left = job.result(), sandbox.members(label_id)
    >>> left
    set()
    """
    with ShortTraceback():
        if runs := runs_of(run_id, journal):
            return series_job(undoing_series(runs, client, journal).begun())
        return background.bulk_label_job(undoing(run_id, client, journal))


def resume_job(
    run_id: str,
    *,
    resolve: Resolve | None = None,
    max_requests: int | None = None,
    client: Client | None = None,
    journal: str | Path | None = None,
) -> LabelJob:
    """Do what :func:`resume` does in the background: the cell returns at once.

    Parameters
    ----------
    run_id, resolve, max_requests, client, journal
        As for :func:`resume`.

    Returns
    -------
    LabelJob
        As of ``df.kirim.bulk_label_job``.

    Raises
    ------
    InvalidInputError, ConfigurationError, JournalError
        As for :func:`resume`; nothing was sent.

    Examples
    --------
    >>> import kirim_pandas as kp
    >>> with kp.sandbox.start(contacts=60, seed=1, write_per_minute=60_000) as sandbox:
    ...     client, label_id = sandbox.client(), sandbox.labels["id"].iloc[0]
    ...     part = sandbox.contacts.kirim.bulk_label(
    ...         label_id, "attach", client=client, max_requests=1, progress=False
    ...     )
    ...     whole = kp.resume_job(part.attrs["kirim_run_id"], client=client).result()
    >>> len(whole), int((whole["status"] == "unknown").sum())
    (60, 0)
    """
    with ShortTraceback():
        return resumed_job(Resumption(None, run_id, None, resolve, max_requests, client, journal))


def resumed_job(asked: Resumption) -> LabelJob:
    """Go on with a run or a series in the background, aligned to the frame, if there is one."""
    runs = runs_of(asked.run_id, asked.journal)
    return series_job(unfinished(asked, runs)) if runs else background.resume_job(asked)
