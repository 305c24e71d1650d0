"""The controls of the panel's two pages by which something is picked."""

from __future__ import annotations

from collections.abc import Hashable
from functools import partial
from typing import Any, Final

from markupsafe import Markup

from kirim_pandas.notebook.panel import Panel
from kirim_pandas.notebook.panel_labels import PanelLabel
from kirim_pandas.notebook.panel_page_view import Attempts, button, layout, soft, titled
from kirim_pandas.notebook.panel_segments import SegmentsPage
from kirim_pandas.notebook.texts import EMPTY, framed, many, team_shown

COLOURS: Final = {
    "gray": "#6b7280",
    "red": "#ef4444",
    "orange": "#f97316",
    "amber": "#f59e0b",
    "yellow": "#eab308",
    "lime": "#84cc16",
    "green": "#22c55e",
    "emerald": "#10b981",
    "teal": "#14b8a6",
    "sky": "#0ea5e9",
    "blue": "#3b82f6",
    "violet": "#8b5cf6",
    "pink": "#ec4899",
}
"""The service's colour names (Kirim API docs, Labels); any other is shown by its name alone."""

MOST_VALUES_SHOWN: Final = 12
"""Values of a column that are shown at once; a longer list scrolls."""

NO_LABEL: Final = ""
"""The choice of no label: None would be taken for a list that is filled anew."""


class LabelPicks:
    """One label, the operation, and what may decide who is skipped."""

    def __init__(self, panel: Panel, attempts: Attempts) -> None:
        import ipywidgets as widgets

        self._panel = panel
        self.filter = widgets.Text(
            placeholder="type to narrow down: name, team or colour",
            continuous_update=True,
            layout=layout(),
        )
        self.label = widgets.Select(rows=7, layout=layout())
        self._label_shown = widgets.HTML(layout=layout())
        self._reload = button("Load labels")
        self.operation = widgets.ToggleButtons(
            options=["attach", "detach"],
            style=widgets.ToggleButtonsStyle(button_width="110px"),
            layout=layout(),
        )
        self.hint = widgets.SelectMultiple(
            options=[(str(name), name) for name in panel.hint_columns],
            rows=min(max(len(panel.hint_columns), 2), 5),
            layout=layout(),
        )
        column = {"flex": "1 1 290px", "min_width": "0"}
        note = soft("Saves requests. Ctrl-click for several or none.")
        what = titled("Label", self.filter, self.label, self._label_shown, self._reload)
        whom = [
            titled("Operation", self.operation),
            titled("Columns that may decide who is skipped", self.hint, note),
        ]
        self.box = widgets.Box(
            [
                widgets.VBox([what], layout=layout(**column)),
                widgets.VBox(whom, layout=layout(**column)),
            ],
            layout=layout(flex_flow="row wrap", grid_gap="0 24px"),
        )
        attempts.on(self.label, panel.choose_label)
        attempts.on(self.operation, panel.choose_operation)
        attempts.on(self.hint, lambda value: panel.choose_hint(*value))
        attempts.on(self.filter, lambda _value: self.refresh())
        self._reload.on_click(lambda _button: attempts.attempt(panel.load_labels))

    def refresh(self) -> None:
        """Show what is picked."""
        panel, chosen = self._panel, self._panel.chosen
        self._show_labels()
        self.operation.value = chosen.operation
        self.hint.value = [name for name in chosen.hint if name in panel.hint_columns]
        self._label_shown.value = framed(label_html(chosen.label)) if chosen.label else EMPTY
        self._reload.layout.display = "none" if panel.known.all else None

    def _show_labels(self) -> None:
        wanted = self.filter.value.casefold().split()
        chosen = self._panel.chosen.label
        options = [
            (_text(label), label.id)
            for label in self._panel.known.all
            if all(word in _everything(label) for word in wanted)
        ]
        if tuple(options) != tuple(self.label.options):
            self.label.value = None
            self.label.options = options
        shown = chosen is not None and any(chosen.id == value for _, value in options)
        self.label.value = chosen.id if chosen is not None and shown else None


class SegmentPicks:
    """A column, a label for each of its values, and whether a customer has just one of them."""

    def __init__(self, page: SegmentsPage, attempts: Attempts) -> None:
        import ipywidgets as widgets

        self._page = page
        self._attempts = attempts
        self._shown: object = None
        self.column = widgets.Dropdown(
            options=[("choose …", None), *((str(name), name) for name in page.columns)],
            layout=layout(),
        )
        self.labels: list[Any] = []
        self._values = widgets.VBox(layout=layout())
        self._missing = widgets.HTML(layout=layout())
        self.exclusive = widgets.Checkbox(
            description="One label for each customer",
            indent=False,
            layout=layout(),
        )
        note = soft("Also takes each label off the customers of this frame in other segments.")
        self.box = widgets.VBox(
            [
                titled("Column of segments", self.column),
                titled("Label for each value", self._values, self._missing),
                titled("Exclusive", self.exclusive, note),
            ],
            layout=layout(),
        )
        attempts.on(self.column, page.choose_column)
        attempts.on(self.exclusive, page.choose_exclusive)

    def refresh(self) -> None:
        """Show what is picked."""
        page, chosen = self._page, self._page.chosen
        self.column.value = chosen.column
        self.exclusive.value = chosen.exclusive
        values = page.values
        options = [("no label", NO_LABEL), *((_text(one), one.id) for one in page.known.all)]
        if self._shown != (chosen.column, options):
            self._shown = (chosen.column, options)
            self._show_values(values["value"].tolist(), values["rows"].tolist(), options)
        labels = dict(chosen.labels)
        for control, value in zip(self.labels, values["value"].tolist(), strict=True):
            control.value = labels[value].id if value in labels else NO_LABEL
        missing = page.without_value if chosen.column is not None else 0
        told = f"{many(missing, 'row')} without a value, which get no label." if missing else ""
        self._missing.value = framed(Markup('<span class="soft">{}</span>').format(told))

    def _show_values(
        self, values: list[Hashable], rows: list[int], options: list[tuple[str, str]]
    ) -> None:
        import ipywidgets as widgets

        self.labels, lines = [], []
        for value, number in zip(values, rows, strict=True):
            told = Markup('{} <span class="soft">· {}</span>').format(value, many(number, "row"))
            name = widgets.HTML(framed(told), layout=layout(flex="1 1 150px", min_width="0"))
            label = widgets.Dropdown(options=options, layout=layout(flex="1 1 250px"))
            self._attempts.on(label, partial(self._choose, value))
            self.labels.append(label)
            line = layout(
                flex_flow="row wrap", grid_gap="0 12px", margin="0 0 2px", flex="0 0 auto"
            )
            lines.append(widgets.Box([name, label], layout=line))
        self._values.children = lines
        scrolls = len(lines) > MOST_VALUES_SHOWN
        self._values.layout.max_height = "420px" if scrolls else None
        self._values.layout.overflow = "auto" if scrolls else None

    def _choose(self, value: Hashable, label_id: str) -> None:
        self._page.choose_label(value, label_id or None)


def _text(label: PanelLabel) -> str:
    return f"{label.name or label.id} · {label.color} · {team_shown(label.team_id)}"


def _everything(label: PanelLabel) -> str:
    """All that a label may be found by."""
    return f"{_text(label)} {label.id} {label.team_id}".casefold()


def label_html(label: PanelLabel) -> Markup:
    """Show a label with its colour."""
    return Markup(
        '<p><span class="dot" style="background: {}"></span><strong>{}</strong> '
        '<span class="soft">{}<br>{}<br>{}</span></p>'
    ).format(
        COLOURS.get(label.color or "", "transparent"),
        label.name or label.id,
        label.color or "",
        label.id,
        label.team_id or "no team",
    )
