"""The panel: pick, see the plan, confirm, run, read the report.

Everything it does is a method first; the widgets, which are handed in, only call these methods and
show what they say.  So it can be driven without a front end.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import pandas as pd

from kirim_pandas.errors import InvalidInputError
from kirim_pandas.frames.columns import (
    check_label,
    find_place,
    hint_columns,
    id_columns,
    listed,
    phone_columns,
)
from kirim_pandas.frames.ids import collect_ids
from kirim_pandas.frames.plan import Plan
from kirim_pandas.frames.reports import Report
from kirim_pandas.frames.shapes import expect, name_of
from kirim_pandas.notebook.job import LabelJob
from kirim_pandas.notebook.kernel import in_notebook
from kirim_pandas.notebook.texts import many, team_shown

__all__ = ["HOW_TO_USE", "Choices", "Panel", "PanelBackend", "PanelLabel", "PanelView"]

HOW_TO_USE = (
    "Without its widgets the panel is used by its methods: .labels,\n"
    ".choose_label(name_or_id), .choose_operation('attach'), .choose_id_column(name),\n"
    ".choose_phone_column(name), .choose_hint(*names), .plan(), .confirm(), .run(),\n"
    ".result(), .report()."
)


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


@dataclass(frozen=True)
class Choices:
    """What was picked so far."""

    id_column: Hashable | None = None
    phone: Hashable | None = None
    label: PanelLabel | None = None
    operation: str = "attach"
    hint: tuple[Hashable, ...] = ()


class PanelBackend(Protocol):
    """What the panel is given to work with."""

    def labels(self) -> Sequence[PanelLabel]:
        """Ask the service for the organisation's labels."""

    def organization(self) -> str | None:
        """Ask the service whose key this is."""

    def plan(self, chosen: Choices) -> Plan:
        """Reckon what a run would cost."""

    def start(self, chosen: Choices) -> LabelJob:
        """Start the run."""

    def report(self, result: pd.DataFrame, chosen: Choices) -> Report:
        """Report on a result."""


class PanelView(Protocol):
    """What shows a panel."""

    def show(self) -> None:
        """Show the panel in the cell that runs."""

    def refresh(self) -> None:
        """Show what is picked."""

    def show_plan(self, plan: Plan) -> None:
        """Show a plan, and ask."""

    def watch(self, job: LabelJob) -> None:
        """Show a job, and at its end the report."""


def _check_choice(label: Hashable, labels: Sequence[Hashable], *, argument: str, what: str) -> None:
    check_label(label, argument=argument)
    if label not in set(labels):
        names = listed(list(map(name_of, labels))) or "none"
        raise InvalidInputError(
            f"{name_of(label)} is no column or index level {what}; found: {names}."
        )


class Panel:
    """Label the contacts of a frame by clicks, or by these methods; made by ``df.kirim.panel``.

    Parameters
    ----------
    frame
        The contacts.
    backend
        Does the work.
    view
        Makes what shows the panel, when it is first shown.
    """

    def __init__(
        self, frame: pd.DataFrame, backend: PanelBackend, *, view: Callable[[Panel], PanelView]
    ) -> None:
        self.id_columns = id_columns(frame)
        self.phone_columns = phone_columns(frame)
        self.hint_columns = hint_columns(frame)
        self.rows = len(frame)
        self._frame = frame
        self.organization: str | None = None
        self.job: LabelJob | None = None
        self._backend = backend
        self.known_labels: list[PanelLabel] = []
        self._confirmed: Choices | None = None
        self._ran: Choices | None = None
        self._make_view = view
        self._view: PanelView | None = None
        likely = [choice.label for choice in self.id_columns if choice.likely]
        self._chosen = Choices(id_column=likely[0] if len(likely) == 1 else None)

    # -- pick ------------------------------------------------------------------------------

    @property
    def chosen(self) -> Choices:
        """What was picked so far."""
        return self._chosen

    def load_labels(self) -> pd.DataFrame:
        """Ask the service for the labels; done by itself when the panel is first needed.

        Returns
        -------
        DataFrame
            Columns ``id``, ``name``, ``color``, ``team_id`` (object).

        Raises
        ------
        ConfigurationError
            There is no key: run ``kirim_pandas.connect()`` in a cell first.
        KirimError
            The service could not be asked.
        """
        self.organization = self._backend.organization()
        self.known_labels = list(self._backend.labels())
        self._changed()
        return self.labels

    @property
    def labels(self) -> pd.DataFrame:
        """The labels to choose from, as far as they are loaded."""
        names = ["id", "name", "color", "team_id"]
        rows = [[getattr(label, name) for name in names] for label in self.known_labels]
        return pd.DataFrame(rows, columns=names)

    def choose_id_column(self, label: Hashable) -> None:
        """Say which column or index level holds the contact ids."""
        labels = [choice.label for choice in self.id_columns]
        _check_choice(label, labels, argument="id_column", what="that can hold ids")
        collect_ids(self._frame, label)  # refuses a column of phone numbers here, not at the plan
        self._choose(id_column=label, phone=None)

    def choose_phone_column(self, label: Hashable) -> None:
        """Say which column or index level holds phone numbers to look the contacts up by."""
        _check_choice(label, self.phone_columns, argument="phone", what="of phone numbers")
        self._choose(id_column=None, phone=label)

    def choose_label(self, label: str) -> None:
        """Choose a label by its id, or by its name where only one team has such a label."""
        expect(label, str, argument="label", expected="a name or an id")
        label = str.__str__(label)
        if not self.known_labels:
            self.load_labels()
        found = [known for known in self.known_labels if label in (known.id, known.name)]
        if len(found) > 1:
            ids = ", ".join(f"{known.id} (team {known.team_id})" for known in found[:10])
            raise InvalidInputError(
                f"{len(found)} labels are called {name_of(label)}, one a team: {ids}. Pass the id."
            )
        if not found:
            names = ", ".join(sorted({str(known.name) for known in self.known_labels})[:10])
            raise InvalidInputError(
                f"No label has the id or name {name_of(label)}; found: {names}."
            )
        self._choose(label=found[0])

    def choose_operation(self, operation: str) -> None:
        """Choose ``"attach"`` or ``"detach"``."""
        if (shown := name_of(operation)) not in ("'attach'", "'detach'"):
            raise InvalidInputError(f"{shown} was found, expected 'attach' or 'detach'.")
        self._choose(operation=str.__str__(operation))

    def choose_hint(self, *columns: Hashable) -> None:
        """Choose columns likely to decide who is skipped, such as the team; none for no hint."""
        for column in columns:
            find_place(self._frame, column, argument="hint")  # refused here, not at the plan
        self._choose(hint=tuple(columns))

    # -- see, confirm, run -----------------------------------------------------------------

    def plan(self) -> Plan:
        """Reckon what the run would touch and cost; sends nothing but look-ups by phone.

        Returns
        -------
        Plan
            As of ``df.kirim.plan``.

        Raises
        ------
        InvalidInputError
            Something is not picked yet, or the frame is not usable.
        """
        missing = []
        if self._chosen.label is None:
            missing.append("a label")
        if self._chosen.id_column is None and self._chosen.phone is None:
            missing.append("the column of contact ids, or of phone numbers")
        if missing:
            raise InvalidInputError(f"Choose {' and '.join(missing)} first.")
        plan = self._backend.plan(self._chosen)
        if self._view is not None:
            self._view.show_plan(plan)
        return plan

    def confirm(self) -> str:
        """Allow :meth:`run` for exactly what is picked now.

        Returns
        -------
        str
            What will be done, and to how many customers.

        Raises
        ------
        InvalidInputError
            As for :meth:`plan`.
        """
        sentence = self.question(self.plan())
        self._confirmed = self._chosen
        self._changed()
        return sentence

    def question(self, plan: Plan) -> str:
        """Say what a run would do, and to how many customers."""
        chosen = self._chosen
        label = self._named(chosen.label) if chosen.label else "the label"
        to = "to" if chosen.operation == "attach" else "from"
        where = f" of {self.organization}" if self.organization else ""
        return f"{chosen.operation} {label} {to} {many(plan.contacts, 'customer')}{where}"

    def _named(self, label: PanelLabel) -> str:
        """Name a label, with its team where another label has the same name."""
        same = [known for known in self.known_labels if known.name == label.name]
        team = f" ({team_shown(label.team_id)})" if len(same) > 1 else ""
        return f"{label.name or label.id}{team}"

    def withdraw(self) -> None:
        """Take the confirmation back."""
        self._confirmed = None
        self._changed()

    @property
    def confirmed(self) -> bool:
        """Whether exactly what is picked now was confirmed."""
        return self._confirmed is not None and self._confirmed == self._chosen

    @property
    def running(self) -> bool:
        """Whether a run of this panel is under way."""
        return self.job is not None and not self.job.done

    def run(self) -> LabelJob:
        """Start the run in the background.

        Returns
        -------
        LabelJob
            Also kept as ``.job``.

        Raises
        ------
        InvalidInputError
            It was not confirmed, or a run of this panel is under way.
        ConfigurationError, JournalError
            It could not be started; nothing was sent.
        """
        if self.running:
            raise InvalidInputError("A run is under way; wait for it, or cancel it first.")
        if not self.confirmed:
            raise InvalidInputError(
                "Not confirmed yet: .confirm() says what will be done, and to how many customers."
            )
        job = self._backend.start(self._chosen)
        self._ran, self._confirmed = self._chosen, None  # one confirmation, one run
        return self._watched(job)

    def resume(self) -> LabelJob:
        """Go on with a run that was cancelled or ended by an error; as ``.job.resume()``.

        Returns
        -------
        LabelJob
            Also kept as ``.job``.
        """
        return self._watched(self._started().resume())

    def result(self, timeout_seconds: float | None = None) -> pd.DataFrame:
        """Wait for the run; as ``.job.result()``."""
        return self._started().result(timeout_seconds)

    def report(self) -> Report:
        """Report on the run that has ended, complete or not.

        Raises
        ------
        InvalidInputError
            No run has ended yet.
        """
        ending = self._started().ending
        if ending is None or ending.frame is None or self._ran is None:
            raise InvalidInputError("There is no result yet; .result() waits for it.")
        return self._backend.report(ending.frame, self._ran)

    def __repr__(self) -> str:
        chosen = self._chosen
        label = chosen.label.name if chosen.label else None
        return (
            f"Panel({self.rows:,} rows, id_column={chosen.id_column!r}, "
            f"phone={chosen.phone!r}, label={label!r}, "
            f"operation={chosen.operation!r}, hint={chosen.hint!r}).\n{HOW_TO_USE}"
        )

    def _ipython_display_(self) -> None:
        if not in_notebook():
            raise NotImplementedError  # a terminal shows the repr
        try:
            if self._view is None:
                self._view = self._make_view(self)
            self._view.show()
        except Exception as error:  # the methods work without what is shown
            said = f"The panel cannot be shown ({type(error).__name__}: {error})."
            warnings.warn(f"{said} {HOW_TO_USE}", stacklevel=2)

    def _watched(self, job: LabelJob) -> LabelJob:
        self.job = job
        if self._view is not None:
            self._view.watch(job)
        return job

    def _started(self) -> LabelJob:
        if self.job is None:
            raise InvalidInputError("Nothing was run yet: .confirm(), then .run().")
        return self.job

    def _choose(self, **changes: Any) -> None:
        self._chosen = replace(self._chosen, **changes)
        self._changed()

    def _changed(self) -> None:
        if self._view is not None:
            self._view.refresh()
