"""Going on with, and looking back at, what a run id means: one run, or a series of runs."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from kirim_pandas.errors import InvalidInputError
from kirim_pandas.verbs.door import (
    ShortTraceback,
    plain,
    progress_problems,
    refuse,
    used_client,
)
from kirim_pandas.verbs.order import option_problems
from kirim_pandas.verbs.resuming import Resumption, check_same_place, go_on, recall
from kirim_pandas.verbs.segments.changes import past_sync
from kirim_pandas.verbs.segments.series import Series, known_of, runs_of

if TYPE_CHECKING:
    from kirim_pandas.journal.records import Stayed
    from kirim_pandas.journal.store import RunRecord
    from kirim_pandas.run.spec import Resolve
    from kirim_pandas.verbs.arguments import Client, ProgressChoice

__all__ = ["check_whole", "result", "resume", "resumed", "unfinished"]


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
        The columns of a result frame, one row per contact, with a RangeIndex; of a series one row
        per contact and run, and ``label_id``, ``label`` and ``operation`` (string).

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
        runs = runs_of(run_id, journal)
        if runs:
            refuse(progress_problems(progress := plain(progress)))
            return unfinished(asked, runs).carry_out(progress)
        return go_on(asked, progress)


def result(run_id: str, *, journal: str | Path | None = None) -> pd.DataFrame:
    """Give the result of a run of the past, without sending anything.

    Parameters
    ----------
    run_id
        From ``result.attrs``, from an exception, or from :func:`runs`.
    journal
        A path, or None for the usual place.

    Returns
    -------
    DataFrame
        The columns of a result frame, one row a contact in the order of sending, with a
        RangeIndex.  Of a run that did not finish, what is known of each contact: the others are
        ``unknown`` or ``not_sent``, and :func:`resume` goes on with them.  Of a series one row per
        contact and run, and ``label_id``, ``label`` and ``operation`` (string); of a sync also one
        row for each member whose label was left as it was, and ``change`` (category).

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
        runs = runs_of(run_id, journal)
        if runs:
            known = known_of([recall(record.run_id, journal) for record in runs])
            return _arrangement(runs, journal)(known)
        return recall(run_id, journal).frame


def resumed(asked: Resumption, progress: ProgressChoice) -> pd.DataFrame:
    """Go on with a run, aligned to the frame that is asked of."""
    check_whole(asked)
    return go_on(asked, progress)


def check_whole(asked: Resumption) -> None:
    """Refuse a series where one run is meant.

    Raises
    ------
    InvalidInputError
        The id is that of a series.
    """
    if isinstance(asked.run_id, str) and runs_of(asked.run_id, asked.journal):
        raise InvalidInputError(
            f"{asked.run_id} is a series of runs of several labels. Nothing was sent. "
            f'kirim_pandas.resume("{asked.run_id}") goes on with it, and gives one row for each '
            "contact and label."
        )


def unfinished(asked: Resumption, runs: list[RunRecord]) -> Series:
    """Check what speaks against going on with a series, and take it up.

    Raises
    ------
    InvalidInputError
        An option is none, or it is at another address.
    """
    refuse(option_problems(asked.resolve or "rows", asked.max_requests))
    client, journal = used_client(asked.client), plain(asked.journal)
    check_same_place(runs[0], client)
    rows = sum(record.rows for record in runs)
    return Series(
        plain(asked.run_id),
        runs,
        client,
        journal,
        _arrangement(runs, journal),
        rows,
        max_requests=plain(asked.max_requests),
        resolve=plain(asked.resolve),
        names=any(record.resolve == "rows" for record in runs) or _are_leavers(runs, journal),
    )


def _arrangement(
    runs: list[RunRecord], journal: str | Path | None
) -> Callable[[pd.DataFrame], pd.DataFrame]:
    """Return what makes a result of what is known of a series: a sync says what changed."""
    stayed = _stayed(runs, journal)
    if stayed is None:
        return _as_it_is
    return lambda known: past_sync(known, stayed, runs)


def _are_leavers(runs: list[RunRecord], journal: str | Path | None) -> bool:
    """Tell whether a series is a sync of which nobody entered."""
    return runs[0].operation == "detach" and _stayed(runs, journal) is not None


def _stayed(runs: list[RunRecord], journal: str | Path | None) -> Stayed | None:
    from kirim_pandas.journal.store import Journal

    with closing(Journal(plain(journal))) as store:
        return store.stayed(runs[0].run_id)


def _as_it_is(known: pd.DataFrame) -> pd.DataFrame:
    return known
