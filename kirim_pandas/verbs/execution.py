"""Where the parts meet: ids from a frame, a run over them, a client that sends, a result frame.

::

    frame -> frames.ids -> run.loop -> api.client -> the service
    result frame <- frames.results <- run.ledger <-'
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeVarTuple

import pandas as pd

from kirim_pandas.api.models import CheckedIds
from kirim_pandas.api.secret import warn_unlocated
from kirim_pandas.frames.packed import PackedIds
from kirim_pandas.frames.results import contacts_frame, result_frame
from kirim_pandas.grouptesting.outcomes import Counts, Outcomes
from kirim_pandas.run.calls import Call, Reply
from kirim_pandas.run.events import CallPlanned, Event, Idle, Listener, RunEnded
from kirim_pandas.run.loop import Run
from kirim_pandas.run.pool import CallPool, SendCall
from kirim_pandas.run.side_by_side import Pace, quick_width
from kirim_pandas.run.stop import StopButton
from kirim_pandas.verbs.ending import Ending
from kirim_pandas.verbs.lookups.contact_list import ContactListSource

if TYPE_CHECKING:
    from kirim_pandas.api.client import Client
    from kirim_pandas.journal.writer import RunWriter
    from kirim_pandas.verbs.order import Order


Told = TypeVarTuple("Told")


def execute(
    order: Order,
    *,
    watchers: Sequence[Listener] = (),
    stop: StopButton,
    writer: RunWriter | None = None,
) -> pd.DataFrame:
    """Carry an order out.

    Parameters
    ----------
    order
        What to do.
    watchers
        Told of every event, in this thread.
    stop
        Looked at between any two steps.
    writer
        Where the run is written down, if anywhere.

    Returns
    -------
    DataFrame
        The result frame.

    Raises
    ------
    KirimError
        What ended the run, with ``.result`` and ``.run_id``.
    RunInterrupted
        Somebody stopped it; likewise.
    """
    __tracebackhide__ = True
    client = order.client
    pool = CallPool(sender(order), max_in_flight=lambda: pace_of(client).in_flight)
    source = ContactListSource(client, order.contact_ids) if client and order.reads else None
    run = Run(
        order.job,
        pool,
        stop=stop,
        past=order.past,
        own_key=order.own_key,
        source=source,
        choose_width=lambda batches, probes: quick_width(batches, probes, pace_of(client)),
        patience_seconds=client.patience_seconds if client else 0.0,
    )
    ended, broken = _listen(run, writer, watchers, stop)
    del run  # its books take room, and the result needs some
    if client is not None and pool.in_flight:
        client.leave_in_flight()  # a resume, or another run, is not to wait for them
    ending = Ending(order, ended, frame_of(order, ended.outcomes), broken)
    resumable = writer is not None and writer.resumable and order.journal is not False
    if writer is not None:
        writer.end(ending.state, ending.summary, ended.outcomes.outcome)
    return ending.conclude(resumable=resumable)


def pace_of(client: Client | None) -> Pace:
    """Return what is known of the service now."""
    return Pace(*client.write_pace()) if client is not None else Pace(1.0, 0.0, 0.0)


def has_work(order: Order) -> bool:
    """Tell whether a resumed run would send anything; sends nothing."""
    run = Run(order.job, CallPool(sender(order)), stop=StopButton(), past=order.past)
    events = run.events()
    try:
        return any(isinstance(event, CallPlanned) for event in events)
    finally:
        events.close()


def recalled(order: Order) -> RunEnded:
    """Put together what the past calls of a run tell of its contacts; sends nothing."""
    stop = StopButton()
    ended: Event | None = None
    run = Run(order.job, CallPool(sender(order)), stop=stop, past=order.past)
    for ended in run.events():
        if isinstance(ended, CallPlanned):  # what no earlier session has asked is not asked now
            stop.press()
    assert isinstance(ended, RunEnded)  # what every run promises
    return ended


def _listen(
    run: Run, writer: RunWriter | None, watchers: Sequence[Listener], stop: StopButton
) -> tuple[RunEnded, BaseException | None]:
    """Follow the run to its end; a journal that fails, or Ctrl-C in a callback, stops it."""
    broken: BaseException | None = None
    ended: Event | None = None
    shown = [Watcher(watcher) for watcher in watchers]
    for ended in run.events():
        try:
            if writer is not None:
                writer(ended)
            if not isinstance(ended, Idle):  # nothing to see
                for watcher in shown:
                    watcher(ended)
        except BaseException as error:  # kept, and raised once the run has ended in order
            broken = broken or error
            stop.press()
    assert isinstance(ended, RunEnded)  # what every run promises
    return ended, broken


class Watcher:
    """A listener that only shows a run: where it fails first is warned of, and it is left alone.

    Parameters
    ----------
    show
        Told of every event in its place; what it raises ends nothing, but for Ctrl-C.
    """

    def __init__(self, show: Listener) -> None:
        self._show = show
        self._works = True

    def __call__(self, event: Event) -> None:
        """Show an event."""
        self.attempt(self._show, event)

    def attempt(self, act: Callable[[*Told], object], *told: *Told) -> None:
        """Do what shows the run, unless that has failed before."""
        if self._works:
            try:
                act(*told)
            except Exception as error:
                self._works = False
                warn_not_shown(error)


def warn_not_shown(error: Exception) -> None:
    """Warn that a run goes on unseen."""
    # A run is not to be lost where somebody has turned warnings into errors.
    with contextlib.suppress(Warning):
        warn_unlocated(
            f"The progress of the run cannot be shown any more ({type(error).__name__}: {error}). "
            "The run goes on all the same."
        )


def sender(order: Order) -> SendCall:
    """Bind the client to the order: positions become ids, and only here."""

    client, sent_before = order.client, {known.call.key for known in order.past}
    words = PackedIds.of(order.contact_ids).words

    def send(call: Call, on_wait: Callable[[str, float], None], stop: threading.Event) -> Reply:
        assert client is not None  # it may only be missing where there is no contact
        reply = client.bulk_label(
            CheckedIds.of(words[call.positions].tolist()),
            order.label_id,
            order.operation,
            idempotency_key=call.key,
            sent_before=call.key in sent_before,
            on_wait=on_wait,
            stop=stop,
        )
        counts = Counts(reply.applied, reply.cross_org, reply.team_mismatch)
        return Reply(counts, reply.request_id)

    return send


def frame_of(order: Order, outcomes: Outcomes) -> pd.DataFrame:
    """Give each row of the order what is known of its contact."""
    if order.ids is None:
        return contacts_frame(order.contact_ids, outcomes, run_id=order.run_id)
    return result_frame(order.ids, outcomes, run_id=order.run_id)
