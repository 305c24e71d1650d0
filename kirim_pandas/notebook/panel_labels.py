"""The labels of the organisation, as both pages of the panel choose among them."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Protocol

import pandas as pd

from kirim_pandas.errors import InvalidInputError
from kirim_pandas.frames.columns import check_label, listed
from kirim_pandas.frames.shapes import expect, name_of
from kirim_pandas.notebook.texts import team_shown


class PanelLabel(Protocol):
    """What the panel needs to know of a label."""

    @property
    def id(self) -> str:
        """``lbl_`` and 26 characters."""

    @property
    def name(self) -> str | None:
        """As people gave it; unique within a team only."""

    @property
    def color(self) -> str | None:
        """One of the service's colour names."""

    @property
    def team_id(self) -> str | None:
        """The team it belongs to."""


class PanelService(Protocol):
    """What the panel asks the service itself."""

    def labels(self) -> Sequence[PanelLabel]:
        """Ask for the organisation's labels."""

    def organization(self) -> str | None:
        """Ask whose key this is."""


class KnownLabels:
    """The labels as far as they are loaded, and whose they are.

    Parameters
    ----------
    service
        Is asked for them.
    """

    def __init__(self, service: PanelService) -> None:
        self._service = service
        self.organization: str | None = None
        self.all: list[PanelLabel] = []

    def load(self) -> None:
        """Ask the service."""
        self.organization = self._service.organization()
        self.all = list(self._service.labels())

    @property
    def frame(self) -> pd.DataFrame:
        """The labels to choose from."""
        names = ["id", "name", "color", "team_id"]
        rows = [[getattr(label, name) for name in names] for label in self.all]
        return pd.DataFrame(rows, columns=names)

    @property
    def of_whom(self) -> str:
        """Say whose customers they are: `` of Acme``; nothing where that is not known."""
        return f" of {self.organization}" if self.organization else ""

    def find(self, label: str) -> PanelLabel:
        """Find a label by its id, or by its name where only one team has such a label."""
        expect(label, str, argument="label", expected="a name or an id")
        label = str.__str__(label)
        if not self.all:
            self.load()
        found = [known for known in self.all if label in (known.id, known.name)]
        if len(found) > 1:
            ids = ", ".join(f"{known.id} (team {known.team_id})" for known in found[:10])
            raise InvalidInputError(
                f"{len(found)} labels are called {name_of(label)}, one a team: {ids}. Pass the id."
            )
        if not found:
            names = ", ".join(sorted({str(known.name) for known in self.all})[:10])
            raise InvalidInputError(
                f"No label has the id or name {name_of(label)}; found: {names}."
            )
        return found[0]

    def named(self, label: PanelLabel) -> str:
        """Name a label, with its team where another label has the same name."""
        team = f" ({team_shown(label.team_id)})" if len(self.called(label.name)) > 1 else ""
        return f"{label.name or label.id}{team}"

    def called(self, name: object) -> list[PanelLabel]:
        """List the labels of a name."""
        return [known for known in self.all if known.name == name]


def check_choice(label: Hashable, labels: Sequence[Hashable], *, argument: str, what: str) -> None:
    """Refuse a name that is none of those to choose from."""
    check_label(label, argument=argument)
    if label not in set(labels):
        names = listed(list(map(name_of, labels))) or "none"
        raise InvalidInputError(
            f"{name_of(label)} is no column or index level {what}; found: {names}."
        )
