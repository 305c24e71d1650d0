"""The panel: pick, see the plan, confirm, run, read the report.

Everything it does is a method first; the widgets, which are handed in, only call these methods and
show what they say.  So it can be driven without a front end.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Protocol

import pandas as pd

from kirim_pandas.errors import InvalidInputError, ShortTraceback
from kirim_pandas.frames.columns import find_place, hint_columns, id_columns, phone_columns
from kirim_pandas.frames.ids import collect_ids
from kirim_pandas.frames.plan import Plan, SegmentsPlan
from kirim_pandas.frames.shapes import name_of
from kirim_pandas.notebook.kernel import in_notebook
from kirim_pandas.notebook.panel_labels import KnownLabels, PanelLabel, PanelService, check_choice
from kirim_pandas.notebook.panel_page import Page, PageBackend, Whom
from kirim_pandas.notebook.panel_segments import SegmentChoices, SegmentsPage
from kirim_pandas.notebook.texts import many

HOW_TO_USE = (
    "Without its widgets the panel is used by its methods: .labels,\n"
    ".choose_label(name_or_id), .choose_operation('attach'), .choose_id_column(name),\n"
    ".choose_phone_column(name), .choose_hint(*names), .plan(), .confirm(), .run(),\n"
    ".result(), .report(), .save_list(); for segments .segments.choose_column(name),\n"
    ".segments.choose_label(value, name_or_id), .segments.choose_exclusive(True),\n"
    ".segments.confirm() and so on."
)


@dataclass(frozen=True)
class Choices(Whom):
    """What was picked so far."""

    label: PanelLabel | None = None
    operation: str = "attach"
    hint: tuple[Hashable, ...] = ()


class PanelView(Protocol):
    """What shows a panel."""

    def show(self) -> None:
        """Show the panel in the cell that runs."""


class Panel(Page[Choices, Plan]):
    """Label the contacts of a frame by clicks, or by these methods; made by ``df.kirim.panel``.

    Its first page is about one label; the second, for a label a segment, is ``.segments``.

    Parameters
    ----------
    frame
        The contacts.
    service
        Is asked for the labels.
    backend, segments
        Do the work of the two pages.
    view
        Makes what shows the panel, when it is first shown.
    """

    def __init__(
        self,
        frame: pd.DataFrame,
        service: PanelService,
        backend: PageBackend[Choices, Plan],
        segments: PageBackend[SegmentChoices, SegmentsPlan],
        *,
        view: Callable[[Panel], PanelView],
    ) -> None:
        super().__init__(backend, Choices())
        self.known = KnownLabels(service)
        self.segments = SegmentsPage(frame, segments, self.known)
        self.id_columns = id_columns(frame)
        self.phone_columns = phone_columns(frame)
        self.hint_columns = hint_columns(frame)
        self.rows = len(frame)
        self._frame = frame
        self._make_view = view
        self._shown_by: PanelView | None = None
        likely = [choice.label for choice in self.id_columns if choice.likely]
        self._find_in(id_column=likely[0] if len(likely) == 1 else None)

    # -- pick ------------------------------------------------------------------------------

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
        self.known.load()
        self._changed()
        self.segments.labels_changed()
        return self.labels

    @property
    def labels(self) -> pd.DataFrame:
        """The labels to choose from, as far as they are loaded."""
        return self.known.frame

    @ShortTraceback()
    def choose_id_column(self, label: Hashable) -> None:
        """Say which column or index level holds the contact ids, for both pages."""
        labels = [choice.label for choice in self.id_columns]
        check_choice(label, labels, argument="id_column", what="that can hold ids")
        collect_ids(self._frame, label)  # refuses a column of phone numbers here, not at the plan
        self._find_in(id_column=label)

    @ShortTraceback()
    def choose_phone_column(self, label: Hashable) -> None:
        """Say which column or index level holds phone numbers to look the contacts up by."""
        check_choice(label, self.phone_columns, argument="phone", what="of phone numbers")
        self._find_in(phone=label)

    @ShortTraceback()
    def choose_label(self, label: str) -> None:
        """Choose a label by its id, or by its name where only one team has such a label."""
        self._choose(label=self.known.find(label))

    @ShortTraceback()
    def choose_operation(self, operation: str) -> None:
        """Choose ``"attach"`` or ``"detach"``."""
        if (shown := name_of(operation)) not in ("'attach'", "'detach'"):
            raise InvalidInputError(f"{shown} was found, expected 'attach' or 'detach'.")
        self._choose(operation=str.__str__(operation))

    @ShortTraceback()
    def choose_hint(self, *columns: Hashable) -> None:
        """Choose columns likely to decide who is skipped, such as the team; none for no hint."""
        for column in columns:
            find_place(self._frame, column, argument="hint")  # refused here, not at the plan
        self._choose(hint=tuple(columns))

    def question(self, plan: Plan) -> str:
        """Say what a run would do, and to how many customers."""
        chosen = self._chosen
        label = self.known.named(chosen.label) if chosen.label else "the label"
        to = "to" if chosen.operation == "attach" else "from"
        customers = many(plan.contacts, "customer")
        return f"{chosen.operation} {label} {to} {customers}{self.known.of_whom}"

    def _missing(self) -> list[str]:
        return [*["a label"] * (self._chosen.label is None), *self._chosen.missing]

    def _find_in(self, *, id_column: Hashable | None = None, phone: Hashable | None = None) -> None:
        for page in (self, self.segments):
            page.choose_whom(id_column, phone)

    # -- show ------------------------------------------------------------------------------

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
            if self._shown_by is None:
                self._shown_by = self._make_view(self)
            self._shown_by.show()
        except Exception as error:  # the methods work without what is shown
            said = f"The panel cannot be shown ({type(error).__name__}: {error})."
            warnings.warn(f"{said} {HOW_TO_USE}", stacklevel=2)
