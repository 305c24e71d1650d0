"""The panel, and what it works with: the same verbs as everybody."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

import pandas as pd

from kirim_pandas import session
from kirim_pandas.errors import ConfigurationError, InvalidInputError
from kirim_pandas.frames.plan import Plan
from kirim_pandas.frames.reports import Report
from kirim_pandas.notebook.job import LabelJob
from kirim_pandas.notebook.panel import Choices, Panel
from kirim_pandas.notebook.panel_view import PanelWidgets
from kirim_pandas.verbs import background, labeling, reporting
from kirim_pandas.verbs.door import client_problems, refuse
from kirim_pandas.verbs.order import Order, prepare

if TYPE_CHECKING:
    from kirim_pandas.api.client import Client
    from kirim_pandas.api.models import Label

__all__ = ["panel"]


def panel(frame: pd.DataFrame, client: Client | None) -> Panel:
    """Make a panel; documented where people look, at ``df.kirim.panel``."""
    refuse(client_problems(client))
    return Panel(frame, _Backend(frame, client), view=PanelWidgets)


class _Backend:
    """What a panel works with."""

    def __init__(self, frame: pd.DataFrame, client: Client | None) -> None:
        self._frame = frame
        self._given = client

    def labels(self) -> list[Label]:
        return list(self._client().labels())

    def organization(self) -> str | None:
        return self._client().me().organization_name

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
        order = prepare(
            self._frame,
            chosen.label.id,
            chosen.operation,
            id_column=chosen.id_column,
            phone=chosen.phone,
            hint=list(chosen.hint) or "auto",
            client=self._client(),
        )
        return replace(order, label_name=chosen.label.name)

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
