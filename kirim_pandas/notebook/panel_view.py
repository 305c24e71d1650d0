"""The widgets of the panel: core controls that call its methods and show what they say."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

from markupsafe import Markup

from kirim_pandas.notebook.kernel import Front, front_end, publish
from kirim_pandas.notebook.panel import HOW_TO_USE, Panel
from kirim_pandas.notebook.panel_controls import LabelPicks, SegmentPicks
from kirim_pandas.notebook.panel_page_view import Attempts, StepsWidgets, layout, titled
from kirim_pandas.notebook.texts import LIVE_CLASS, framed, many


@dataclass(frozen=True)
class LookUp:
    """The choice of a column to look contacts up by, beside the columns of ids."""

    label: Hashable


class PanelWidgets:
    """What a cell shows of a panel: where the contacts are, and its two pages."""

    def __init__(self, panel: Panel) -> None:
        import ipywidgets as widgets

        self._panel = panel
        self._attempts = Attempts()
        self.head = widgets.HTML(layout=layout())
        self.id_column = widgets.Dropdown(
            options=[
                ("choose …", None),
                *((str(choice.label), choice.label) for choice in panel.id_columns),
                *((f"look up by phone: {name}", LookUp(name)) for name in panel.phone_columns),
            ],
            layout=layout(),
        )
        self.one = StepsWidgets(panel, lambda way: LabelPicks(panel, way), also=self._refresh)
        self.many = StepsWidgets(panel.segments, lambda way: SegmentPicks(panel.segments, way))
        pages = widgets.Tab([self.one.box, self.many.box], titles=["One label", "Segments"])
        whom = titled("Column of contact ids or phones", self.id_column, self._attempts.told)
        self.box = widgets.VBox(
            [self.head, whom, pages],
            layout=widgets.Layout(
                max_width="820px",
                padding="12px 14px",
                border="1px solid var(--jp-border-color2, #bdbdbd)",
                overflow="hidden",
            ),
        )
        self.box.add_class(LIVE_CLASS)
        self._attempts.on(self.id_column, self._choose_column)
        if not panel.known.all:
            self.one.attempts.attempt(panel.load_labels)
        self.one.refresh()
        self.many.refresh()

    def show(self) -> None:
        """Show the panel in the cell that runs, and under it the place of what outlives it."""
        fallback = framed(Markup('<p class="soft">{}</p>').format(HOW_TO_USE))
        publish(fallback, repr(self._panel), box=self.box)
        if front_end() is Front.PAGE:
            self.one.make_place()
            self.many.make_place()

    def _refresh(self) -> None:
        """Show whose customers they are, and where their ids stand."""
        panel, chosen = self._panel, self._panel.chosen
        customers = f"Label the customers in {many(panel.rows, 'row')}{panel.known.of_whom}"
        self.head.value = framed(Markup("<p><strong>{}</strong></p>").format(customers))
        self._attempts.quiet = True
        try:
            self.id_column.value = (
                chosen.id_column if chosen.phone is None else LookUp(chosen.phone)
            )
        finally:
            self._attempts.quiet = False

    def _choose_column(self, value: Hashable) -> None:
        if isinstance(value, LookUp):
            self._panel.choose_phone_column(value.label)
        else:
            self._panel.choose_id_column(value)
