"""Going on with, and looking back at, what a run id means: one run, or a series of runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from kirim_pandas.verbs.argument_checks import (
    ShortTraceback,
    flag_problems,
    plain,
    progress_problems,
    refuse,
    used_client,
)
from kirim_pandas.verbs.order import option_problems
from kirim_pandas.verbs.resuming import Resumption, check_same_place, go_on, recall
from kirim_pandas.verbs.segments.past_series import Past, no_frame
from kirim_pandas.verbs.segments.series import Series, known_of, runs_of

if TYPE_CHECKING:
    from kirim_pandas.journal.store import RunRecord
    from kirim_pandas.run.spec import Resolve
    from kirim_pandas.verbs.arguments import Client, ProgressChoice


def resume(
    run_id: str,
    *,
    resolve: Resolve | None = None,
    max_requests: int | None = None,
    client: Client | None = None,
    progress: ProgressChoice = True,
    journal: str | Path | None = None,
) -> pd.DataFrame:
    """Go on with a run of which no frame is at hand; see ``df.kirim.resume``.

    A series of runs, of ``df.kirim.label_segments``, goes on with those that have not finished.

    Parameters
    ----------
    run_id
        From an exception, a result's ``attrs`` or :func:`runs`.
    resolve, max_requests, client, progress, journal
        As for ``df.kirim.resume``.

    Returns
    -------
    DataFrame
        The columns of a result frame, one row per contact, with a RangeIndex; of a series as of
        :func:`result`.

    Raises
    ------
    InvalidInputError, KirimError, RunInterrupted
        As for ``df.kirim.resume``.

    Examples
    --------
    >>> import kirim_pandas as kp
    >>> with kp.sandbox.start(contacts=60, seed=1, write_per_minute=60_000) as sandbox:
    ...     client, label_id = sandbox.client(), sandbox.labels["id"].iloc[0]
    ...     part = sandbox.contacts.kirim.bulk_label(
    ...         label_id, "attach", client=client, max_requests=1, progress=False
    ...     )
    ...     whole = kp.resume(part.attrs["kirim_run_id"], client=client, progress=False)
    >>> len(whole), int((whole["status"] == "unknown").sum())
    (60, 0)
    """
    with ShortTraceback():
        asked = Resumption(None, run_id, None, resolve, max_requests, client, journal)
        return resumed(asked, progress)


def result(
    run_id: str, *, every_run: bool = False, journal: str | Path | None = None
) -> pd.DataFrame:
    """Give the result of a run of the past, without sending anything.

    Parameters
    ----------
    run_id
        From ``result.attrs``, from an exception, or from :func:`runs`.
    every_run
        Of a series: True lists all that its runs sent, one row per contact and run, also whom a
        label of another segment was taken off.
    journal
        A path, or None for the usual place.

    Returns
    -------
    DataFrame
        The columns of a result frame, one row a contact in the order of sending, with a
        RangeIndex.  Of a run that did not finish, what is known of each contact: the others are
        ``unknown`` or ``not_sent``, and :func:`resume` goes on with them.  Of a series also
        ``label_id``, ``label`` and ``operation`` (string): of ``label_segments`` one row for each
        contact and label that it was to get (or with ``op="detach"`` to lose); of ``sync_label``
        one for each contact that was sent or was to have the label before, with ``change``
        (category); of :func:`undo` one for each contact and run.  The rows of the frame itself
        gives ``df.kirim.resume(run_id)``.

    Raises
    ------
    InvalidInputError
        There is no such run in the journal.
    JournalError
        The journal cannot be read, or the run is at work.

    Examples
    --------
    >>> import kirim_pandas as kp
    >>> with kp.sandbox.start(contacts=60, seed=1, write_per_minute=60_000) as sandbox:
    ...     made = sandbox.contacts.kirim.bulk_label(
    ...         sandbox.labels["id"].iloc[0], "attach", client=sandbox.client(), progress=False
    ...     )
    >>> again = kp.result(made.attrs["kirim_run_id"])  # also in another month, and without a key
    >>> again["status"].tolist() == made["status"].tolist()
    True
    """
    with ShortTraceback():
        refuse(flag_problems(every_run=every_run))
        return recalled(run_id, journal, every_run=every_run)


def recalled(
    run_id: str, journal: str | Path | None = None, *, every_run: bool = False
) -> pd.DataFrame:
    """Give what the journal tells of a run or a series; as :func:`result`."""
    runs = runs_of(run_id, journal)
    if not runs:
        return recall(run_id, journal).frame
    known = known_of([recall(record.run_id, journal) for record in runs])
    return known if every_run else Past(runs, journal).arrange(known)


def resumed(asked: Resumption, progress: ProgressChoice) -> pd.DataFrame:
    """Go on with a run or a series, aligned to the frame that is asked of, if one is."""
    runs = runs_of(asked.run_id, asked.journal)
    if not runs:
        return go_on(asked, progress)
    refuse(progress_problems(progress := plain(progress)))
    return unfinished(asked, runs).carry_out(progress)


def check_whole(asked: Resumption) -> None:
    """Refuse a series where one run is meant.

    Raises
    ------
    InvalidInputError
        The id is that of a series.
    """
    if isinstance(asked.run_id, str) and runs_of(asked.run_id, asked.journal):
        raise no_frame(asked.run_id)


def unfinished(asked: Resumption, runs: list[RunRecord]) -> Series:
    """Check what speaks against going on with a series, and take it up.

    Raises
    ------
    InvalidInputError
        An option is none, it is at another address, or it was made of another frame.
    """
    refuse(option_problems(asked.resolve or "rows", asked.max_requests))
    past = Past(runs, asked.journal)
    arrange, rows, source = past.shape(asked)
    client, journal = used_client(asked.client), plain(asked.journal)
    check_same_place(runs[0], client)
    return Series(
        plain(asked.run_id),
        runs,
        client,
        journal,
        arrange,
        rows,
        source=source,
        max_requests=plain(asked.max_requests),
        resolve=plain(asked.resolve),
        names=any(record.resolve == "rows" for record in runs) or past.is_of_leavers,
    )
