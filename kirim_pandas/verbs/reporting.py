"""Reports on a result frame, with what this process still knows of its run."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pandas as pd

from kirim_pandas import session
from kirim_pandas.errors import InvalidInputError, KirimError
from kirim_pandas.frames import reports
from kirim_pandas.frames.reports import Report, RunFacts
from kirim_pandas.frames.results import RUN_ID_ATTR
from kirim_pandas.frames.summary import By

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["compare", "plot", "report", "summary"]


def summary(
    result: pd.DataFrame, by: By = None, *, data: pd.DataFrame | None = None
) -> pd.DataFrame:
    """Count; documented at ``result.kirim.summary``."""
    return reports.summary(result, by, data=_data(result, data))


def compare(
    result_a: pd.DataFrame, result_b: pd.DataFrame, *, unchanged: bool = False
) -> pd.DataFrame:
    """List the contacts that differ between two results: another outcome, or in one of them only.

    Parameters
    ----------
    result_a, result_b
        Two results of one label and operation.  Rows without a usable id are no contacts and are
        left out.
    unchanged
        True lists the contacts with the same outcome, too; then every contact of either result
        has its row, so that ``["change"].value_counts()`` adds up.

    Returns
    -------
    DataFrame
        One row per contact, those of `result_a` in its order, then those of `result_b` alone, with
        a RangeIndex: contact_id (string), change (category: changed, only_a, only_b, unchanged),
        status_a (category), reason_a (string), status_b (category), reason_b (string).  Status and
        reason are missing on the side that does not have the contact.

    Raises
    ------
    InvalidInputError
        One of them is no result frame; or they are known, in this process or the journal, to be
        of different labels or operations, so that ``applied`` does not mean the same.

    Examples
    --------
    >>> import kirim_pandas as kp
    >>> with kp.sandbox.start(contacts=30, write_per_minute=6000) as sandbox:
    ...     label_id = sandbox.labels["id"].iloc[0]
    ...     settings = {"client": sandbox.client(), "progress": False}
    ...     first = sandbox.contacts.kirim.bulk_label(label_id, "attach", **settings)
    ...     again = sandbox.contacts.kirim.bulk_label(label_id, "attach", **settings)
    >>> len(kp.compare(first, again)), len(kp.compare(first, again, unchanged=True))
    (0, 30)
    """
    facts = [_facts(result.attrs.get(RUN_ID_ATTR)) for result in (result_a, result_b)]
    for what in ("operation", "label_id"):
        a, b = (getattr(known, what) for known in facts)
        if a and b and a != b:
            raise InvalidInputError(
                f"The first result is of {what} {a}, the second of {b}, so applied does not mean "
                "the same in both: compare two results of one label and operation."
            )
    return reports.compare(result_a, result_b, unchanged=unchanged)


def plot(
    result: pd.DataFrame,
    by: By = None,
    *,
    data: pd.DataFrame | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw; documented at ``result.kirim.plot``."""
    return reports.plot(result, by, data=_data(result, data), ax=ax)


def report(
    result: pd.DataFrame,
    by: By = None,
    *,
    data: pd.DataFrame | None = None,
    label_name: str | None = None,
) -> Report:
    """Write a report; documented at ``result.kirim.report``."""
    facts = replace(_facts(result.attrs.get(RUN_ID_ATTR)), label_name=label_name)
    return reports.report(result, facts, by=by, data=_data(result, data))


def _data(result: pd.DataFrame, data: pd.DataFrame | None) -> pd.DataFrame | None:
    """Find the frame the result was made from, unless the caller names one."""
    if data is not None:
        return data
    known = session.recall(result.attrs.get(RUN_ID_ATTR))
    fits = known and known.source is not None and len(known.source) == len(result)
    return known.source if known and fits else None


def _facts(run_id: str | None) -> RunFacts:
    """Find what is known of a run: in this process, else in the journal, else nothing."""
    known = session.recall(run_id)
    if known is not None or run_id is None:
        return known.facts if known else RunFacts()
    from kirim_pandas.journal.store import Journal

    try:
        journal = Journal()
        try:
            record, past = journal.load(run_id)
        finally:
            journal.close()
    except KirimError:  # a frame from another machine: its rows are all there is
        return RunFacts(run_id=run_id)
    started = datetime.fromtimestamp(record.started_at, UTC).astimezone()
    return RunFacts(
        run_id=run_id,
        label_id=record.label_id,
        operation=record.operation,
        started=started,
        requests=len(past),
    )
