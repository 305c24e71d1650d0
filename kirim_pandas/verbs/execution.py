"""Where the parts meet: ids from a frame, a run over them, a client that sends, a result frame.

::

    frame -> frames.ids -> run.loop -> api.client -> the service
    result frame <- frames.results <- run.ledger <-'
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import pandas as pd

from kirim_pandas.errors import KirimError, RunInterrupted
from kirim_pandas.frames.results import STATUSES, contacts_frame, result_frame
from kirim_pandas.grouptesting.outcomes import Counts, Outcomes
from kirim_pandas.run.calls import Call, PastCall, Reply
from kirim_pandas.run.events import CallPlanned, Event, Idle, Listener, RunEnded
from kirim_pandas.run.loop import Run
from kirim_pandas.run.pool import CallPool
from kirim_pandas.run.stop import StopButton

if TYPE_CHECKING:
    from kirim_pandas.api.client import Client
    from kirim_pandas.journal.store import RecordState
    from kirim_pandas.journal.writer import RunBook
    from kirim_pandas.verbs.order import Order

__all__ = ["execute", "has_work"]

SO_FAR = {
    "applied": "applied",
    "skipped": "skipped by the service",
    "failed": "refused by the service",
    "undetermined": "sent, but who of them was skipped is not known yet",
    "no_reply": "sent without an answer, so perhaps applied",
    "stopped": "not sent",
    "missing_id": "without a usable id",
}
"""Status, or the reason where it says more, in words for a message."""

MAX_IN_FLIGHT = 8
"""Calls under way together; enough for 600 requests a minute at 0.8 s each."""


def execute(
    order: Order,
    *,
    client: Client | None,
    watchers: Sequence[Listener] = (),
    stop: StopButton,
    book: RunBook | None = None,
    past: Sequence[PastCall] = (),
) -> pd.DataFrame:
    """Carry an order out.

    Parameters
    ----------
    order
        What to do.
    client
        Sends; may be None where there are no contacts.
    watchers
        Told of every event, in this thread.
    stop
        Looked at between any two steps.
    book
        Where the run is written down, if anywhere.
    past
        The calls of earlier sessions, when this is a resumed run.

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
    pool = CallPool(_sender(client, order, past), max_in_flight=MAX_IN_FLIGHT)
    run = Run(order.job, pool, stop=stop, past=past, own_key=order.own_key)
    ended, watcher_error = _listen(run, book, watchers, stop)
    if client is not None and pool.in_flight:
        client.leave_in_flight()  # a resume, or another run, is not to wait for them
    resumable = book is not None and book.resumable
    frame = _result(order, ended.outcomes)
    if book is not None:
        book.end(*_figures(order, frame, ended))
    # A press that found the run inside a callback stopped the run: that is what it was for.
    pressed = ended.interrupted and isinstance(watcher_error, KeyboardInterrupt)
    if watcher_error is not None and not pressed:
        watcher_error.add_note(_how_to_go_on(order, ended, frame, resumable=resumable))
        if isinstance(watcher_error, KirimError):  # of the journal
            watcher_error.result, watcher_error.run_id = frame, order.run_id
        raise watcher_error
    return _finish(order, ended, frame, resumable=resumable)


def has_work(order: Order, past: Sequence[PastCall]) -> bool:
    """Tell whether a resumed run would send anything; sends nothing."""
    run = Run(order.job, CallPool(_sender(None, order)), stop=StopButton(), past=past)
    events = run.events()
    try:
        return any(isinstance(event, CallPlanned) for event in events)
    finally:
        events.close()


def _listen(
    run: Run, book: RunBook | None, watchers: Sequence[Listener], stop: StopButton
) -> tuple[RunEnded, BaseException | None]:
    """Follow the run to its end; a listener that fails stops the run in order."""
    failed: BaseException | None = None
    ended: Event | None = None
    for ended in run.events():
        try:
            if book is not None:
                book(ended)
            if failed is None and not isinstance(ended, Idle):  # nothing to see
                for watcher in watchers:
                    watcher(ended)
        except BaseException as error:  # kept, and raised once the run has ended in order
            failed = failed or error
            stop.press()
    assert isinstance(ended, RunEnded)  # what every run promises
    return ended, failed


def _sender(
    client: Client | None, order: Order, past: Sequence[PastCall] = ()
) -> Callable[[Call, Callable[[str, float], None], threading.Event], Reply]:
    """Bind the client to the order: positions become ids, and only here."""
    sent_before = {known.call.key for known in past}

    def send(call: Call, on_wait: Callable[[str, float], None], stop: threading.Event) -> Reply:
        assert client is not None  # it may only be missing where there is no contact
        ids = [order.contact_ids[position] for position in call.positions.tolist()]
        reply = client.bulk_label(
            ids,
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


def _figures(
    order: Order, frame: pd.DataFrame, ended: RunEnded
) -> tuple[RecordState, dict[str, int]]:
    counts = frame["status"].value_counts()
    summary = {status: int(counts.get(status, 0)) for status in STATUSES}
    if order.figures is not None:
        summary = order.figures
    state: RecordState = "stopped" if ended.interrupted else "failed" if ended.error else "finished"
    if ended.cap is not None:
        state = "capped"
    return state, summary | {"requests": ended.requests}


def _result(order: Order, outcomes: Outcomes) -> pd.DataFrame:
    if order.ids is None:
        return contacts_frame(order.contact_ids, outcomes, run_id=order.run_id)
    return result_frame(order.ids, outcomes, run_id=order.run_id)


def _finish(order: Order, ended: RunEnded, frame: pd.DataFrame, *, resumable: bool) -> pd.DataFrame:
    __tracebackhide__ = True
    if ended.interrupted:
        interrupted = RunInterrupted(
            f"Stopped. {_how_to_go_on(order, ended, frame, resumable=resumable)}"
        )
        interrupted.result, interrupted.run_id = frame, order.run_id
        raise interrupted
    if ended.error is not None:
        error = ended.error
        said = str(error).strip()
        said = said[:1].upper() + said[1:].removesuffix(".")
        error.args = (f"{said}. {_how_to_go_on(order, ended, frame, resumable=resumable)}",)
        error.result, error.run_id = frame, order.run_id
        # From here: how a worker came by it would push the message off an analyst's screen.
        raise error.with_traceback(None)
    return frame


def _how_to_go_on(order: Order, ended: RunEnded, frame: pd.DataFrame, *, resumable: bool) -> str:
    """Say where the customers stand and what to do next, in one breath."""
    if not (ended.outcomes.batch >= 0).any() and not ended.interrupted:
        return "No customer was touched: put this right and call again."
    status = frame["status"].astype(str)
    reason = frame["reason"].astype(object).fillna("")
    kinds = status.where(~status.isin(["unknown", "not_sent"]), reason)
    counts = kinds.replace("malformed_id", "missing_id").value_counts()
    so_far = ", ".join(
        f"{counts[kind]:,} {words}" for kind, words in SO_FAR.items() if kind in counts
    )
    counted = ""
    if "undetermined" in counts:
        answered = int(ended.outcomes.answered.sum())
        counted = (
            f"Of {answered:,} contacts the service counted {answered - ended.skipped:,} as passing "
            f"and {ended.skipped:,} as skipped. "
        )
    if resumable:
        go_on = f'df.kirim.resume("{order.run_id}") goes on from here'
        if "no_reply" in counts:
            go_on += ", and asks again about those without an answer"
    else:
        go_on = "calling again is safe: a label that is set twice stays as it is"
    when = "At any time" if ended.interrupted else "Once this has passed or is put right,"
    return (
        f"Rows so far: {so_far or 'none'}. {counted}The exception's .result and "
        "kirim_pandas.last_result() hold every row with what is known of it. "
        f"{when} {go_on}."
    )
