"""The panel, and what its pages work with: the same verbs as everybody."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from kirim_pandas import session
from kirim_pandas.errors import ConfigurationError, InvalidInputError
from kirim_pandas.frames.exports import save_csv
from kirim_pandas.frames.plan import Plan, SegmentsPlan
from kirim_pandas.frames.reports import Report
from kirim_pandas.frames.results import RUN_ID_ATTR
from kirim_pandas.journal.files import located
from kirim_pandas.notebook.job import LabelJob
from kirim_pandas.notebook.panel import Choices, Panel
from kirim_pandas.notebook.panel_segments import SegmentChoices
from kirim_pandas.notebook.panel_view import PanelWidgets
from kirim_pandas.verbs import background, labeling, reporting
from kirim_pandas.verbs.argument_checks import client_problems, journal_problems, plain, refuse
from kirim_pandas.verbs.arguments import LabelArguments, SegmentsArguments
from kirim_pandas.verbs.order import Order, prepare
from kirim_pandas.verbs.segments import jobs
from kirim_pandas.verbs.segments import labeling as segments
from kirim_pandas.verbs.segments.planning import planned
from kirim_pandas.verbs.segments.prepared import Prepared

if TYPE_CHECKING:
    from kirim_pandas.api.client import Client
    from kirim_pandas.api.models import Label
    from kirim_pandas.verbs.arguments import JournalChoice


def panel(frame: pd.DataFrame, client: Client | None, journal: JournalChoice) -> Panel:
    """Make a panel; documented where people look, at ``df.kirim.panel``."""
    journal = plain(journal)
    refuse([*client_problems(client), *journal_problems(journal)])
    journal = located(journal) if journal else journal  # the folder may be another one later
    service = _Service(client)
    pages = (_OneLabel(frame, service, journal), _Segments(frame, service, journal))
    return Panel(frame, service, *pages, view=PanelWidgets)


class _Service:
    """What the panel asks the service itself."""

    def __init__(self, client: Client | None) -> None:
        self._given = client

    def labels(self) -> list[Label]:
        return session.read_labels(self.client())  # remembered: the plan looks at their teams

    def organization(self) -> str | None:
        return self.client().me().organization_name

    def client(self) -> Client:
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


class _Tasks:
    """What every page works with."""

    def __init__(self, frame: pd.DataFrame, service: _Service, journal: JournalChoice) -> None:
        self._frame = frame
        self._service = service
        self._journal = journal

    def save_list(self, result: pd.DataFrame, path: str | Path | None) -> tuple[Path, int]:
        people = reporting.not_applied(result)
        usual = f"not-applied-{result.attrs[RUN_ID_ATTR]}.csv"
        return save_csv(people, usual if path is None else path, new=path is not None), len(people)


class _OneLabel(_Tasks):
    """What the page of one label works with."""

    def plan(self, chosen: Choices) -> Plan:
        return labeling.plan(self._order(chosen))

    def start(self, chosen: Choices) -> LabelJob:
        return background.start(self._order(chosen))

    def report(self, result: pd.DataFrame, chosen: Choices) -> Report:
        name = chosen.label.name if chosen.label else None
        return reporting.report(result, list(chosen.hint) or None, label_name=name)

    def _order(self, chosen: Choices) -> Order:
        if chosen.label is None:
            raise InvalidInputError("Choose a label first.")
        asked = LabelArguments(
            chosen.label.id,
            chosen.operation,
            id_column=chosen.id_column,
            phone=chosen.phone,
            hint=list(chosen.hint) or "auto",
            client=self._service.client(),
            journal=self._journal,
        )
        return replace(prepare(self._frame, asked), label_name=chosen.label.name)


class _Segments(_Tasks):
    """What the page of segments works with."""

    def plan(self, chosen: SegmentChoices) -> SegmentsPlan:
        return planned(self._prepared(chosen))

    def start(self, chosen: SegmentChoices) -> LabelJob:
        return jobs.start_series(self._prepared(chosen).begun(quiet=True))  # the plan has told

    def report(self, result: pd.DataFrame, chosen: SegmentChoices) -> Report:
        return reporting.report(result, [chosen.column])

    def _prepared(self, chosen: SegmentChoices) -> Prepared:
        labels = {value: label.id for value, label in chosen.labels}
        asked = SegmentsArguments(
            chosen.column,
            labels,
            exclusive=chosen.exclusive,
            id_column=chosen.id_column,
            phone=chosen.phone,
            client=self._service.client(),
            progress=False,
            journal=self._journal,
        )
        prepared = segments.prepare(self._frame, asked)
        names = {label.id: label.name for _, label in chosen.labels}
        orders = [replace(one, label_name=names[one.label_id]) for one in prepared.orders]
        return replace(prepared, orders=orders)
