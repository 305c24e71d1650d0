"""The verbs behind ``df.kirim``: check everything, then put the parts together and go.

Each takes the pandas object first; the accessor only forwards.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from time import time
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, cast

import numpy as np
import pandas as pd

from kirim_pandas import session
from kirim_pandas.api.models import Organization
from kirim_pandas.api.protocol import order_problems
from kirim_pandas.errors import InvalidInputError
from kirim_pandas.frames.ids import ContactIds, collect_ids
from kirim_pandas.frames.plan import Plan, plan_frame
from kirim_pandas.grouptesting.attribution import expected_probes_for
from kirim_pandas.run.progress import Progress
from kirim_pandas.run.spec import Job, Resolve
from kirim_pandas.run.stop import StopButton, stop_on_signals
from kirim_pandas.verbs.execution import Order, execute, has_work, new_run_id

if TYPE_CHECKING:
    from kirim_pandas.api.client import Client
    from kirim_pandas.journal.store import RunRecord
    from kirim_pandas.journal.writer import RunBook
    from kirim_pandas.notebook.progress import ProgressBar, ProgressCallback
    from kirim_pandas.run.calls import PastCall

__all__ = ["Hint", "JournalChoice", "Pandas", "ProgressChoice", "bulk_label", "plan", "resume"]

Pandas: TypeAlias = "pd.DataFrame | pd.Series[Any] | pd.Index[Any]"
Hint: TypeAlias = Hashable | list[Hashable] | None
ProgressChoice: TypeAlias = bool | Callable[[Progress], object]
JournalChoice: TypeAlias = str | Path | Literal[False] | None

DOCUMENTED_WRITES_PER_MINUTE = 60
"""The free plan's; what is reckoned with before the service has told its limit."""

RESOLVE = ("rows", "batches")


def bulk_label(
    obj: Pandas,
    label_id: str,
    op: str,
    *,
    id_column: Hashable | None = None,
    hint: Hint = None,
    resolve: Resolve = "rows",
    max_requests: int | None = None,
    client: Client | None = None,
    progress: ProgressChoice = True,
    journal: JournalChoice = None,
) -> pd.DataFrame:
    """Label the contacts of `obj`; documented where people look, at ``df.kirim.bulk_label``."""
    __tracebackhide__ = True
    order = make_order(
        obj,
        label_id,
        op,
        id_column=id_column,
        hint=hint,
        resolve=resolve,
        max_requests=max_requests,
    )
    client = choose_client(order, client)
    with open_book(order, journal) as book:
        if book is not None and client is not None:
            write_down(order, client, book)
        return run_watched(order, client, book, progress)


def plan(
    obj: Pandas,
    label_id: str,
    op: str,
    *,
    id_column: Hashable | None,
    hint: Hint,
    resolve: Resolve,
    max_requests: int | None,
    client: Client | None,
) -> Plan:
    """Reckon what :func:`bulk_label` would cost; documented at ``df.kirim.plan``."""
    order = make_order(
        obj,
        label_id,
        op,
        id_column=id_column,
        hint=hint,
        resolve=resolve,
        max_requests=max_requests,
    )
    assert order.ids is not None  # an order made from a frame
    client = client or session.known_client()
    return plan_frame(
        order.ids,
        requests_for=expected_probes_for,
        write_per_minute=client.write_per_minute if client else DOCUMENTED_WRITES_PER_MINUTE,
        resolve=resolve,
        max_requests=max_requests,
        limit_is_known=client is not None and client.known_limit,
        label_id=label_id,
        operation=op,
    )


def resume(
    obj: Pandas | None,
    run_id: str,
    *,
    id_column: Hashable | None = None,
    resolve: Resolve | None = None,
    max_requests: int | None = None,
    client: Client | None = None,
    progress: ProgressChoice = True,
    journal: str | Path | None = None,
) -> pd.DataFrame:
    """Go on with a run; documented where people look, at ``df.kirim.resume``."""
    __tracebackhide__ = True
    problems = [*_resolve_problems(resolve or "rows"), *_cap_problems(max_requests)]
    if problems:
        raise InvalidInputError("\n".join(problems))
    from kirim_pandas.journal.writer import RunBook

    with RunBook(journal, run_id, warn=_warn) as book:
        record, past = book.load()
        ids = None if obj is None else _aligned(collect_ids(obj, id_column), record.contact_ids)
        job = Job(
            contact_count=len(record.contact_ids),
            groups=record.groups,
            resolve=resolve or cast(Resolve, record.resolve),
            max_requests=_cap_from_here(past, max_requests),
        )
        figures = None
        if obj is None and record.rows != len(record.contact_ids):
            figures = record.summary or {} if record.state == "finished" else {}
        order = Order(
            run_id,
            record.label_id,
            record.operation,
            record.contact_ids,
            job,
            ids,
            figures,
            source=obj,
        )
        over = record.state in ("finished", "capped")
        idle = client is None and over and not has_work(order, past)
        if not idle:  # else nothing is sent, so no key is needed and nobody is asked for one
            client = choose_client(order, client)
        if client is not None:
            _check_same_place(record, client)
            order = replace(order, own_key=client.key_mark(run_id) == record.key_mark)
        try:
            book.refuse_rivals(record)
        except InvalidInputError:
            if has_work(order, past):  # else its result is still right to give
                raise
        book.reopen(replace(record, resolve=job.resolve))
        return run_watched(order, client, book, progress, past=past)


# -- the steps of a verb -------------------------------------------------------------------


def make_order(
    obj: Pandas,
    label_id: str,
    op: str,
    *,
    id_column: Hashable | None,
    hint: Hint,
    resolve: Resolve,
    max_requests: int | None,
) -> Order:
    """Check all arguments and the frame; report all problems at once."""
    __tracebackhide__ = True
    problems = [
        *order_problems(label_id, op),
        *_resolve_problems(resolve),
        *_cap_problems(max_requests),
    ]
    ids: ContactIds | None = None
    try:
        ids = collect_ids(obj, id_column, hint=hint)
    except InvalidInputError as error:
        problems.append(str(error))
    if problems or ids is None:
        raise InvalidInputError("\n".join(problems))
    job = Job(ids.contacts, groups=ids.groups, resolve=resolve, max_requests=max_requests)
    return Order(new_run_id(), label_id, op, ids.ids.tolist(), job, ids, source=obj)


def choose_client(order: Order, client: Client | None) -> Client | None:
    """Return the client to send with; none, and no key, is needed to send nothing."""
    __tracebackhide__ = True
    if client is not None or not order.contact_ids:
        return client
    return session.current_client()


@contextmanager
def open_book(order: Order, journal: JournalChoice) -> Iterator[RunBook | None]:
    """Open the book of a new run, unless there is nothing to write or nobody wants one."""
    if journal is False or not order.contact_ids:
        yield None
        return
    from kirim_pandas.journal.writer import RunBook

    with RunBook(journal, order.run_id, warn=_warn) as book:
        yield book


def write_down(order: Order, client: Client, book: RunBook) -> None:
    """Commit what the run is going to do, before it does anything."""
    from kirim_pandas.journal.store import RunRecord

    known = client.organization
    book.begin(
        RunRecord(
            run_id=order.run_id,
            label_id=order.label_id,
            operation=order.operation,
            target=client.target,
            contact_ids=list(order.contact_ids),
            groups=order.job.groups,
            resolve=order.job.resolve,
            max_requests=order.job.max_requests,
            rows=order.rows,
            started_at=time(),
            organization=[known.id, known.name or ""] if known else None,
            key_mark=client.key_mark(order.run_id),
        )
    )


def run_watched(
    order: Order,
    client: Client | None,
    book: RunBook | None,
    progress: ProgressChoice,
    **options: Any,
) -> pd.DataFrame:
    """Run the order in this thread, under the stop button, with its progress shown."""
    __tracebackhide__ = True
    stop = StopButton()
    with watching(order, client, progress) as watcher, stop_on_signals(stop):
        watchers = [] if watcher is None else [watcher]
        result = execute(order, client=client, watchers=watchers, stop=stop, book=book, **options)
    if watcher is not None:
        watcher.summarise(result)
    return result


@contextmanager
def watching(
    order: Order, client: Client | None, progress: ProgressChoice
) -> Iterator[ProgressBar | ProgressCallback | None]:
    """Give what shows the run's progress, and close it whatever happens."""
    if progress is False or client is None:
        yield None
        return
    from kirim_pandas.notebook.progress import ProgressBar, ProgressCallback

    contacts = len(order.contact_ids)
    if callable(progress):
        yield ProgressCallback(contacts, progress)
        return
    bar = ProgressBar(contacts, order.operation, lambda: client.write_per_minute)
    try:
        yield bar
    finally:
        bar.close()


# -- checks --------------------------------------------------------------------------------


def _resolve_problems(resolve: object) -> list[str]:
    if resolve in RESOLVE:
        return []
    gone = ""
    if resolve == "certified":
        gone = ' Every name is confirmed by a call of its own by now: use resolve="rows".'
    return [
        f"resolve={resolve!r} was found, expected one of {', '.join(map(repr, RESOLVE))}.{gone}"
    ]


def _cap_problems(max_requests: object) -> list[str]:
    if max_requests is None:
        return []
    whole = isinstance(max_requests, (int, np.integer)) and not isinstance(max_requests, bool)
    if whole and cast(int, max_requests) >= 1:
        return []
    return [f"max_requests={max_requests!r} was found, expected a whole number from 1 up, or None."]


def _cap_from_here(past: list[PastCall], max_requests: int | None) -> int | None:
    """A resumed run may make so many calls more, whatever its earlier sessions made."""
    if max_requests is None:
        return None
    return max_requests + sum(known.call.number >= 0 for known in past)


def _check_same_place(record: RunRecord, client: Client) -> None:
    """Refuse to go on with a run at another address, or in another organisation."""
    if client.target != record.target:
        raise InvalidInputError(
            f"Run {record.run_id} was sent to {record.target}, but this client sends to "
            f"{client.target}. Nothing was sent there. Connect to the first address (base_url, "
            "phone_number_id) to go on with the run; or, if the service has moved, label the "
            "contacts again at the new one: a label that is set twice stays as it is."
        )
    here = client.organization
    if here is None or record.organization is None or here.id == record.organization[0]:
        return
    there = Organization(*record.organization)
    raise InvalidInputError(
        f"Run {record.run_id} belongs to the organisation {there}, but this key to {here}. "
        f"Nothing was sent. Connect with a key of {there} to go on with the run."
    )


def _aligned(ids: ContactIds, contact_ids: list[str]) -> ContactIds:
    """Point the rows of a frame at the contacts of an earlier run."""
    place = pd.Index(contact_ids).get_indexer(pd.Index(ids.ids))
    new, gone = int((place < 0).sum()), len(contact_ids) - int((place >= 0).sum())
    if new or gone:
        more = f" (such as {ids.ids[place < 0][0]})" if new else ""
        raise InvalidInputError(
            f"This frame has other contacts than the run. {new:,} of its {ids.contacts:,} contacts "
            f"are not in the run{more}, and {gone:,} of the run's {len(contact_ids):,} are not in "
            "the frame. Nothing was sent. Pass the frame the run was started with (its rows may "
            "stand in another order), or call kirim_pandas.resume(run_id), which needs no frame "
            "and gives one row per contact."
        )
    position = np.append(place, -1)[ids.position]
    return replace(ids, ids=np.array(contact_ids, dtype=object), position=position, groups=None)


def _warn(text: str) -> None:
    warnings.warn(text, stacklevel=2)
