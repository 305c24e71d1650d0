"""The verbs of a new run: plan it, or carry it out in the thread of the caller."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from time import time
from typing import TYPE_CHECKING

import pandas as pd

from kirim_pandas import session
from kirim_pandas.api.secret import warn_unlocated
from kirim_pandas.errors import KirimError, RunInterrupted
from kirim_pandas.frames.plan import Plan, plan_frame
from kirim_pandas.frames.reports import RunFacts
from kirim_pandas.grouptesting.attribution import expected_probes_for
from kirim_pandas.journal.store import RunRecord
from kirim_pandas.journal.writer import RunWriter
from kirim_pandas.notebook.progress import ProgressBar, ProgressCallback
from kirim_pandas.notebook.texts import JobFacts
from kirim_pandas.run.progress import Tally
from kirim_pandas.run.stop import StopButton, stop_on_signals
from kirim_pandas.verbs.argument_checks import plain
from kirim_pandas.verbs.earlier_runs import with_earlier_runs
from kirim_pandas.verbs.execution import Watcher, execute, warn_not_shown
from kirim_pandas.verbs.order import Order, ready

if TYPE_CHECKING:
    from kirim_pandas.run.events import Listener
    from kirim_pandas.verbs.arguments import Client, ProgressChoice


DOCUMENTED_WRITES_PER_MINUTE = 60
"""The free plan's; what is reckoned with before the service has told its limit."""


def bulk_label(order: Order, *, progress: ProgressChoice = True) -> pd.DataFrame:
    """Carry a new order out; documented where people look, at ``df.kirim.bulk_label``."""
    order, progress = with_earlier_runs(ready(order)), plain(progress)
    with written_down(order, warn) as writer:
        result = run_watched(order, writer, progress)
    if not order.contact_ids:
        warn_of_nothing(order.rows, progress)
    return result


def plan(order: Order) -> Plan:
    """Reckon what an order would cost; documented at ``df.kirim.plan``."""
    assert order.ids is not None  # an order made from a frame
    client = order.client or session.known_client()
    return plan_frame(
        order.ids,
        requests_for=expected_probes_for,
        write_per_minute=pace(client),
        resolve=order.job.resolve,
        max_requests=order.job.max_requests,
        limit_is_known=client is not None and client.known_limit,
        label_id=order.label_id,
        label_name=order.label_name,
        operation=order.operation,
    )


# -- the steps of a verb -------------------------------------------------------------------


@contextmanager
def written_down(order: Order, warn: Callable[[str], None]) -> Iterator[RunWriter | None]:
    """Open the journal for a new run and commit what the run is going to do.

    Gives None, and writes nothing, where nobody wants a journal or there is nothing to send.
    """
    client = order.client
    if order.journal is False or client is None or not order.contact_ids:
        with session.at_work(order.run_id, written_down=False):
            yield None
        return

    with RunWriter(order.journal, order.run_id, warn=warn) as writer:
        client.remember_replies(writer.answers(client.target))
        writer.begin(record_of(order, client))
        with session.at_work(order.run_id, written_down=True):
            yield writer


def record_of(order: Order, client: Client) -> RunRecord:
    """Say what a new run is going to do, as the journal keeps it."""

    known = client.organization
    return RunRecord(
        run_id=order.run_id,
        label_id=order.label_id,
        operation=order.operation,
        target=client.target,
        contact_ids=order.contact_ids,
        groups=order.job.groups,
        columns=order.job.columns,
        resolve=order.job.resolve,
        max_requests=order.job.max_requests,
        rows=order.rows,
        started_at=time(),
        organization=[known.id, known.name or ""] if known else None,
        key_mark=client.key_mark(order.run_id),
        label_name=order.label_name,
        undoes=order.undoes,
        series=order.series,
    )


def carry_out(
    order: Order, *, writer: RunWriter | None, watchers: Sequence[Listener], stop: StopButton
) -> pd.DataFrame:
    """Carry an order out in this thread, and let the process remember what came of it."""
    started = datetime.now().astimezone()
    earlier = sum(past.call.number >= 0 for past in order.past)
    tally = Tally(len(order.contact_ids))
    result: pd.DataFrame | None = None
    try:
        result = execute(order, watchers=[tally, *watchers], stop=stop, writer=writer)
    except (KirimError, RunInterrupted) as error:
        result = error.result
        raise
    finally:
        if result is not None and order.series is None:  # a series is remembered as a whole
            facts = RunFacts(
                run_id=order.run_id,
                label_id=order.label_id,
                label_name=order.label_name,
                operation=order.operation,
                started=started,
                requests=earlier + tally.progress.requests,
                found=tally.progress.found,
                counted=(tally.progress.applied, tally.progress.skipped),
            )
            session.remember(result, order.run_id, order.source, facts)
    return result


def run_watched(order: Order, writer: RunWriter | None, progress: ProgressChoice) -> pd.DataFrame:
    """Carry an order out under the stop button, with its progress shown."""
    stop = StopButton()
    shows = _shows(order, progress)
    if shows is None:
        with stop_on_signals(stop):
            return carry_out(order, writer=writer, watchers=[], stop=stop)
    watcher = Watcher(shows)
    try:
        with stop_on_signals(stop):
            result = carry_out(order, writer=writer, watchers=[watcher], stop=stop)
    finally:
        watcher.attempt(shows.close)
    watcher.attempt(shows.summarise, result)
    return result


def _shows(order: Order, progress: ProgressChoice) -> ProgressBar | ProgressCallback | None:
    """Make what shows the run's progress, if anything is to."""
    if progress is False:
        return None

    if callable(progress):
        return ProgressCallback(len(order.contact_ids), progress)
    try:
        return ProgressBar(facts_of(order), lambda: pace(order.client))
    except Exception as error:  # such as widgets of another version
        warn_not_shown(error)
        return None


def facts_of(order: Order) -> JobFacts:
    """Say what a run is about, to whoever shows it."""

    return JobFacts(
        run_id=order.run_id,
        label_id=order.label_id,
        operation=order.operation,
        contacts=len(order.contact_ids),
        rows=order.rows,
        started=datetime.now().astimezone(),
        label_name=order.label_name,
        steps=1 if order.job.resolve == "batches" else 2,
        has_frame=order.ids is not None,
        how=order.ids.how if order.ids else "",
    )


def pace(client: Client | None) -> int:
    """Return the writes a minute to reckon with."""
    return client.write_per_minute if client else DOCUMENTED_WRITES_PER_MINUTE


def warn_of_nothing(rows: int, progress: ProgressChoice) -> None:
    """Say that there was nobody to label, where no bar has said so."""
    if progress is not True:
        found = "No row has a contact to label" if rows else "The segment is empty"
        warn(f"{found}: nothing was sent.")


def warn(text: str) -> None:
    """Warn of what a run meets, in the thread of its caller, without a place in our own code."""
    warn_unlocated(text)
