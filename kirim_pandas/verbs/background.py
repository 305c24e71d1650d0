"""Runs in the background and the panel: checked here, in the caller's thread, then set going."""

from __future__ import annotations

import os
from collections.abc import Hashable
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pandas as pd

from kirim_pandas import session
from kirim_pandas.errors import ConfigurationError
from kirim_pandas.frames.plan import Plan
from kirim_pandas.frames.reports import Report
from kirim_pandas.notebook.job import LabelJob
from kirim_pandas.notebook.panel import Choices, Panel
from kirim_pandas.notebook.progress import in_notebook
from kirim_pandas.notebook.texts import JobFacts
from kirim_pandas.run.events import Listener
from kirim_pandas.run.spec import Resolve
from kirim_pandas.run.stop import StopButton
from kirim_pandas.verbs import reporting
from kirim_pandas.verbs.execution import Order, execute
from kirim_pandas.verbs.labeling import (
    DOCUMENTED_WRITES_PER_MINUTE,
    Hint,
    JournalChoice,
    Pandas,
    choose_client,
    make_order,
    plan,
    write_down,
)

if TYPE_CHECKING:
    from kirim_pandas.api.client import Client
    from kirim_pandas.api.models import Label
    from kirim_pandas.journal.writer import RunBook

__all__ = ["bulk_label_job", "panel", "start_job"]


def bulk_label_job(
    obj: Pandas,
    label_id: str,
    op: str,
    *,
    id_column: Hashable | None = None,
    hint: Hint = None,
    resolve: Resolve = "rows",
    max_requests: int | None = None,
    client: Client | None = None,
    journal: JournalChoice = None,
) -> LabelJob:
    """Start a run and return; documented where people look, at ``df.kirim.bulk_label_job``."""
    job = start_job(
        obj,
        label_id,
        op,
        id_column=id_column,
        hint=hint,
        resolve=resolve,
        max_requests=max_requests,
        client=client,
        journal=journal,
    )
    if in_notebook():
        job._ipython_display_()
    return job


def start_job(
    obj: Pandas,
    label_id: str,
    op: str,
    *,
    id_column: Hashable | None = None,
    hint: Hint = None,
    resolve: Resolve = "rows",
    max_requests: int | None = None,
    client: Client | None = None,
    journal: JournalChoice = None,
    label_name: str | None = None,
) -> LabelJob:
    """Check everything, write the run down, and set it going; shows nothing."""
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
    facts = JobFacts(
        run_id=order.run_id,
        label_id=label_id,
        operation=op,
        contacts=len(order.contact_ids),
        rows=order.rows,
        started=datetime.now().astimezone(),
        label_name=label_name,
    )
    notes: list[str] = []
    book = _open_book(order, client, journal, notes)

    def work(listener: Listener, stop: StopButton) -> pd.DataFrame:
        try:
            return execute(order, client=client, watchers=[listener], stop=stop, book=book)
        finally:
            if book is not None:
                book.__exit__(None, None, None)

    job = LabelJob(
        work,
        facts,
        len(order.contact_ids),
        resolve=resolve,
        requests_per_minute=lambda: (
            client.write_per_minute if client else DOCUMENTED_WRITES_PER_MINUTE
        ),
        notes=notes,
    )
    try:
        job.start()
    except BaseException:  # no thread to be had
        if book is not None:
            book.__exit__(None, None, None)
        raise
    return job


def _open_book(
    order: Order, client: Client | None, journal: JournalChoice, notes: list[str]
) -> RunBook | None:
    """Write the run down before the caller goes on, so that what fails there raises there."""
    if journal is False or client is None or not order.contact_ids:
        return None
    from kirim_pandas.journal.writer import RunBook

    # A warning of the job's thread would appear under whatever cell runs: the job shows it.
    book = RunBook(journal, order.run_id, warn=notes.append)
    try:
        write_down(order, client, book)
    except BaseException:
        book.__exit__(None, None, None)
        raise
    return book


def panel(frame: pd.DataFrame, *, client: Client | None = None) -> Panel:
    """Make a panel; documented where people look, at ``df.kirim.panel``."""
    return Panel(frame, _Backend(frame, client))


class _Backend:
    """What a panel works with: the same verbs as everybody."""

    def __init__(self, frame: pd.DataFrame, client: Client | None) -> None:
        self._frame = frame
        self._given = client

    def labels(self) -> list[Label]:
        return list(self._client().labels())

    def organization(self) -> str | None:
        return self._client().me().organization_name

    def plan(self, chosen: Choices) -> Plan:
        return plan(
            self._frame,
            **_arguments(chosen),
            resolve="rows",
            max_requests=None,
            client=self._client(),
        )

    def start(self, chosen: Choices) -> LabelJob:
        name = chosen.label.name if chosen.label else None
        return start_job(self._frame, **_arguments(chosen), client=self._client(), label_name=name)

    def report(self, result: pd.DataFrame, chosen: Choices) -> Report:
        by = list(chosen.hint) or None
        name = chosen.label.name if chosen.label else None
        return reporting.report(result, by, data=self._frame, label_name=name)

    def _client(self) -> Client:
        """Find a client without ever asking for a key: a panel has no place to type one."""
        found = self._given or session.known_client()
        if found is not None:
            return found
        if not (os.environ.get("KIRIM_API_KEY") or os.environ.get("KIRIM_KEY")):
            raise ConfigurationError(
                "There is no Kirim API key. Run kirim_pandas.connect() in a cell, which asks for "
                "it hidden, or set KIRIM_API_KEY before the kernel starts; then load the labels."
            )
        return session.current_client()


def _arguments(chosen: Choices) -> dict[str, Any]:
    return {
        "label_id": chosen.label.id if chosen.label else "",
        "op": chosen.operation,
        "id_column": chosen.id_column,
        "hint": list(chosen.hint) or None,
    }
