"""Reports on a result frame, with what this process still knows of its run."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pandas as pd

from kirim_pandas import session
from kirim_pandas.api.errors import KirimError
from kirim_pandas.frames import reports
from kirim_pandas.frames.reports import Report, RunFacts
from kirim_pandas.frames.results import RUN_ID_ATTR
from kirim_pandas.frames.summary import By

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot", "report", "summary"]


def summary(
    result: pd.DataFrame, by: By = None, *, data: pd.DataFrame | None = None
) -> pd.DataFrame:
    """Count; documented at ``result.kirim.summary``."""
    return reports.summary(result, by, data=_data(result, data))


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
    from kirim_pandas.labeling.journal import Journal

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
