"""Runs in the background: checked here, in the caller's thread, then set going."""

from __future__ import annotations

from contextlib import ExitStack
from datetime import datetime
from typing import TYPE_CHECKING

import pandas as pd

from kirim_pandas.notebook.job import LabelJob
from kirim_pandas.notebook.progress import in_notebook
from kirim_pandas.notebook.texts import JobFacts
from kirim_pandas.verbs.labeling import carry_out, pace, written_down
from kirim_pandas.verbs.order import Order, ready

if TYPE_CHECKING:
    from kirim_pandas.run.events import Listener
    from kirim_pandas.run.stop import StopButton

__all__ = ["bulk_label_job", "start"]


def bulk_label_job(order: Order) -> LabelJob:
    """Start a run and show it; documented where people look, at ``df.kirim.bulk_label_job``."""
    job = start(order)
    if in_notebook():
        job._ipython_display_()
    return job


def start(order: Order) -> LabelJob:
    """Write a new run down and set it going; shows nothing."""
    order = ready(order)
    notes: list[str] = []  # a warning of the job's thread would appear under whatever cell runs
    held = ExitStack()
    try:
        book = held.enter_context(written_down(order, notes.append))

        def work(listener: Listener, stop: StopButton) -> pd.DataFrame:
            with held:
                return carry_out(order, book=book, watchers=[listener], stop=stop)

        job = LabelJob(
            work,
            _facts(order),
            len(order.contact_ids),
            resolve=order.job.resolve,
            requests_per_minute=lambda: pace(order.client),
            notes=notes,
        )
        job.start()
    except BaseException:  # such as no thread to be had
        held.close()
        raise
    return job


def _facts(order: Order) -> JobFacts:
    return JobFacts(
        run_id=order.run_id,
        label_id=order.label_id,
        operation=order.operation,
        contacts=len(order.contact_ids),
        rows=order.rows,
        started=datetime.now().astimezone(),
        label_name=order.label_name,
    )
