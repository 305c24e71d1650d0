"""Runs in the background: checked here, in the caller's thread, then set going."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pandas as pd

from kirim_pandas.notebook.job import LabelJob
from kirim_pandas.notebook.job_view import JobDisplay
from kirim_pandas.verbs.earlier_runs import with_earlier_runs
from kirim_pandas.verbs.labeling import carry_out, facts_of, pace, written_down
from kirim_pandas.verbs.order import Order, ready
from kirim_pandas.verbs.resuming import Resumption, taken_up

if TYPE_CHECKING:
    from kirim_pandas.journal.writer import RunWriter
    from kirim_pandas.notebook.job import Work
    from kirim_pandas.notebook.texts import JobFacts
    from kirim_pandas.run.events import Listener
    from kirim_pandas.run.stop import StopButton
    from kirim_pandas.verbs.arguments import Client


def bulk_label_job(order: Order) -> LabelJob:
    """Start a run and show it; documented where people look, at ``df.kirim.bulk_label_job``."""
    job = start(order)
    job.announce()
    return job


def resume_job(asked: Resumption) -> LabelJob:
    """Go on with a run and show it; documented at ``kirim_pandas.resume_job``."""
    notes: list[str] = []
    job = _set_going(taken_up(asked, notes.append), notes)
    job.announce()
    return job


def start(order: Order) -> LabelJob:
    """Write a new run down and set it going; shows nothing."""
    order = with_earlier_runs(ready(order))
    notes: list[str] = []  # a warning of the job's thread would appear under whatever cell runs
    return _set_going(_begun(order, notes.append), notes)


def _go_on(first: Order) -> LabelJob:
    """Set a run going again that has ended before its end; shows nothing."""
    notes: list[str] = []
    return _set_going(_taken_up(first, notes.append), notes)


def _set_going(
    opened: AbstractContextManager[tuple[Order, RunWriter | None]], notes: list[str]
) -> LabelJob:
    held = ExitStack()
    order, writer = held.enter_context(opened)
    return set_going(
        held,
        lambda listener, stop: carry_out(order, writer=writer, watchers=[listener], stop=stop),
        facts_of(order),
        client=order.client,
        resume=None if writer is None else lambda: _go_on(order),
        notes=notes,
    )


def set_going(
    held: ExitStack, work: Work, facts: JobFacts, *, client: Client | None, **about: Any
) -> LabelJob:
    """Start a job that lets go of what is held when it ends, or cannot begin; shows nothing."""

    def whole(listener: Listener, stop: StopButton) -> pd.DataFrame:
        with held:
            return work(listener, stop)

    try:
        about |= {"view": JobDisplay, "requests_per_minute": lambda: pace(client)}
        job = LabelJob(whole, facts, **about)
        job.start()
    except BaseException:  # such as no thread to be had
        held.close()
        raise
    return job


@contextmanager
def _begun(order: Order, warn: Callable[[str], None]) -> Iterator[tuple[Order, RunWriter | None]]:
    with written_down(order, warn) as writer:
        yield order, writer


@contextmanager
def _taken_up(
    first: Order, warn: Callable[[str], None]
) -> Iterator[tuple[Order, RunWriter | None]]:
    asked = Resumption(None, first.run_id, client=first.client, journal=first.journal or None)
    with taken_up(asked, warn) as (order, writer):
        # The contacts are the same in the same order, so the rows stand where they stood.
        kept = {"ids": first.ids, "source": first.source, "label_name": first.label_name}
        yield replace(order, figures=None, **kept), writer
