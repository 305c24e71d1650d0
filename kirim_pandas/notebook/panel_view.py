"""The widgets of the panel: core controls that call its methods and show what they say.

All of them are built once, in the thread of the cell; later only their traits change.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any, Final
from uuid import uuid4

from markupsafe import Markup

from kirim_pandas.errors import KirimError
from kirim_pandas.frames.plan import Plan
from kirim_pandas.notebook.job import LabelJob
from kirim_pandas.notebook.job_view import JobWidgets, follow
from kirim_pandas.notebook.kernel import Front, front_end, publish
from kirim_pandas.notebook.panel import HOW_TO_USE, Choices, Panel, PanelLabel
from kirim_pandas.notebook.texts import (
    EMPTY,
    LIVE_CLASS,
    framed,
    heading_html,
    kept,
    many,
    note_html,
    team_shown,
)

__all__ = ["PanelWidgets"]

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

ERROR: Final = Markup(
    '<p role="alert" style="border-left: 4px solid var(--jp-error-color1, #d32f2f); '
    'padding: 4px 10px; white-space: pre-wrap">{}</p>'
)


@dataclass(frozen=True)
class LookUp:
    """The choice of a column to look contacts up by, beside the columns of ids."""

    label: Hashable


class PanelWidgets:
    """What a cell shows of a panel."""

    def __init__(self, panel: Panel) -> None:
        import ipywidgets as widgets

        self._panel = panel
        self._quiet = False
        self._display_id = f"kirim-panel-{uuid4()}"
        self._has_place = False
        self._plan: Plan | None = None
        self._planned: Choices | None = None

        def layout(**settings: Any) -> Any:
            return widgets.Layout(**{"width": "auto", "margin": "0"} | settings)

        def titled(title: str, *controls: Any) -> Any:
            head = widgets.HTML(
                framed(Markup("<strong>{}</strong>").format(title)), layout=layout()
            )
            return widgets.VBox([head, *controls], layout=layout(margin="0 0 10px"))

        def button(text: str, style: str = "") -> Any:
            return widgets.Button(
                description=text, button_style=style, layout=layout(width="max-content")
            )

        self._head = widgets.HTML(layout=layout())
        self._error = widgets.HTML(layout=layout())
        self._id_column = widgets.Dropdown(layout=layout())
        self._filter = widgets.Text(
            placeholder="type to narrow down: name, team or colour",
            continuous_update=True,
            layout=layout(),
        )
        self._label = widgets.Select(rows=7, layout=layout())
        self._label_shown = widgets.HTML(layout=layout())
        self._reload = button("Load labels")
        self._operation = widgets.ToggleButtons(
            options=["attach", "detach"],
            style=widgets.ToggleButtonsStyle(button_width="110px"),
            layout=layout(),
        )
        self._hint = widgets.SelectMultiple(
            options=[(str(name), name) for name in panel.hint_columns],
            rows=min(max(len(panel.hint_columns), 2), 5),
            layout=layout(),
        )
        hint_note = widgets.HTML(
            framed(
                Markup('<span class="soft">Saves requests. Ctrl-click for several or none.</span>')
            ),
            layout=layout(),
        )
        self._plan_button = button("Show the plan", "info")
        self._plan_shown = widgets.HTML(layout=layout())
        self._yes = widgets.Checkbox(indent=False, layout=layout(margin="4px 0"))
        self._run = button("Run now", "danger")
        self._job = JobWidgets(panel.resume, heading=True)
        self._report = widgets.HTML(layout=layout())
        self._question = widgets.HTML(layout=layout())
        self._sure = widgets.VBox(
            [self._question, self._yes, self._run], layout=layout(display="none", margin="10px 0 0")
        )

        column = {"flex": "1 1 290px", "min_width": "0"}
        what = widgets.VBox(
            [
                titled("Label", self._filter, self._label, self._label_shown, self._reload),
            ],
            layout=layout(**column),
        )
        whom = widgets.VBox(
            [
                titled("Operation", self._operation),
                titled("Column of contact ids or phones", self._id_column),
                titled("Columns that may decide who is skipped", self._hint, hint_note),
            ],
            layout=layout(**column),
        )
        picks = widgets.Box([what, whom], layout=layout(flex_flow="row wrap", grid_gap="0 24px"))
        self._job.box.layout.display, self._job.box.layout.margin = "none", "10px 0 0"
        self.box = widgets.VBox(
            [
                self._head,
                picks,
                self._plan_button,
                self._plan_shown,
                self._sure,
                self._error,
                self._job.box,
                self._report,
            ],
            layout=widgets.Layout(
                max_width="820px",
                padding="12px 14px",
                border="1px solid var(--jp-border-color2, #bdbdbd)",
                overflow="hidden",
            ),
        )
        self.box.add_class(LIVE_CLASS)
        self._connect()
        if not panel.known_labels:
            self._try(panel.load_labels)
        self.refresh()

    def show(self) -> None:
        """Show the panel in the cell that runs, and under it the place of what outlives it."""
        fallback = framed(Markup('<p class="soft">{}</p>').format(HOW_TO_USE))
        publish(fallback, repr(self._panel), box=self.box)
        self._has_place = front_end() is Front.PAGE
        if self._has_place:
            publish(EMPTY, "", display_id=self._display_id)

    # -- what the panel tells --------------------------------------------------------------

    def refresh(self) -> None:
        """Show what is picked."""
        panel, chosen = self._panel, self._panel.chosen
        self._quiet = True
        try:
            where = f" of {panel.organization}" if panel.organization else ""
            self._head.value = framed(
                Markup("<p><strong>Label the customers in {}{}</strong></p>").format(
                    many(panel.rows, "row"), where
                )
            )
            self._show_columns()
            self._show_labels()
            self._operation.value = chosen.operation
            self._hint.value = [name for name in chosen.hint if name in panel.hint_columns]
            self._label_shown.value = framed(_label_html(chosen.label)) if chosen.label else EMPTY
            self._reload.layout.display = "none" if panel.known_labels else None
            self._yes.value = panel.confirmed
            if not panel.confirmed and not self._plan_is_current():
                self._plan_shown.value, self._sure.layout.display = "", "none"
            self._run.disabled = not panel.confirmed or panel.running
        finally:
            self._quiet = False

    def show_plan(self, plan: Plan) -> None:
        """Show a plan, and ask."""
        self._plan = plan
        self._planned = self._panel.chosen
        self._plan_shown.value = framed(_made_of_escaped_parts(plan._repr_html_()))
        question = self._panel.question(plan)
        # Widgets of their own for question and answer: a checkbox does not wrap a long line.
        self._question.value = framed(
            Markup("<p><strong>{}?</strong></p>").format(question[0].upper() + question[1:])
        )
        self._yes.description = f"Yes, {many(plan.contacts, 'customer')}"
        self._sure.layout.display = None
        self._error.value = ""

    def watch(self, job: LabelJob) -> None:
        """Show a job, and at its end the report."""
        self._job.box.layout.display = None
        self._plan, self._report.value = None, EMPTY
        self._job.watch(job)
        self.refresh()
        # Written at once: a notebook that is saved and closed now still tells the run's id.
        at_work = note_html(job.facts, job.progress, job.facts.started)
        self._keep(kept(heading_html(job.facts, running=True)) + at_work, repr(job))
        follow(job, self._job.draw, lambda: self._ended(job))

    # -- what people do --------------------------------------------------------------------

    def _connect(self) -> None:
        panel = self._panel
        self._on(self._id_column, self._choose_column)
        self._on(self._label, panel.choose_label)
        self._on(self._operation, panel.choose_operation)
        self._on(self._hint, lambda value: panel.choose_hint(*value))
        self._on(self._filter, lambda _value: self.refresh())
        self._on(self._yes, lambda value: panel.confirm() if value else panel.withdraw())
        self._reload.on_click(lambda _button: self._try(panel.load_labels))
        self._plan_button.on_click(lambda _button: self._try(panel.plan))
        self._run.on_click(lambda _button: self._try(panel.run))

    def _choose_column(self, value: Hashable) -> None:
        if isinstance(value, LookUp):
            self._panel.choose_phone_column(value.label)
        else:
            self._panel.choose_id_column(value)

    def _on(self, control: Any, act: Callable[[Any], object]) -> None:
        def changed(change: dict[str, Any]) -> None:
            # A list that is filled anew says None in between.
            if not self._quiet and change["new"] is not None:
                self._try(lambda: act(change["new"]))

        control.observe(changed, "value")

    def _try(self, act: Callable[[], object]) -> None:
        """Do what was asked; what goes wrong is said in the panel, where the person looks."""
        try:
            self._error.value = ""
            act()
        except Exception as error:
            self._say(error)

    def _say(self, error: Exception) -> None:
        kind = "" if isinstance(error, KirimError) else f"{type(error).__name__}: "
        self._error.value = framed(ERROR.format(f"{kind}{error}"))

    # -- the rest --------------------------------------------------------------------------

    def _show_columns(self) -> None:
        panel, chosen = self._panel, self._panel.chosen
        self._id_column.options = [
            ("choose …", None),
            *((str(choice.label), choice.label) for choice in panel.id_columns),
            *((f"look up by phone: {name}", LookUp(name)) for name in panel.phone_columns),
        ]
        self._id_column.value = chosen.id_column if chosen.phone is None else LookUp(chosen.phone)

    def _show_labels(self) -> None:
        wanted = self._filter.value.casefold().split()
        chosen = self._panel.chosen.label
        options = []
        for label in self._panel.known_labels:
            text = f"{label.name or label.id} · {label.color} · {team_shown(label.team_id)}"
            everything = f"{text} {label.id} {label.team_id}".casefold()
            if all(word in everything for word in wanted):
                options.append((text, label.id))
        if tuple(options) != tuple(self._label.options):
            self._label.value = None
            self._label.options = options
        shown = chosen is not None and any(chosen.id == value for _, value in options)
        self._label.value = chosen.id if chosen is not None and shown else None

    def _plan_is_current(self) -> bool:
        return self._plan is not None and self._planned == self._panel.chosen

    def _ended(self, job: LabelJob) -> None:
        self._job.draw()
        self._plan = None
        self.refresh()
        ending = job.ending
        assert ending is not None  # the job is done
        page, text = ending.html, ending.text
        try:
            report = self._panel.report()
            fragment = _made_of_escaped_parts(report.fragment)
            self._report.value = fragment
            page, text = page + fragment, f"{text}\n{report!r}"
        except Exception as error:  # the summary stands
            self._say(error)
        heading = heading_html(job.facts, running=False)
        # In the widget as well: updates of outputs do not reach a page that was loaded again.
        self._keep(kept(heading + page), text)

    def _keep(self, page: Markup, text: str) -> None:
        """Write what stays in a saved notebook, when the widgets are gone."""
        if self._has_place:
            publish(page, text, display_id=self._display_id, update=True)


def _made_of_escaped_parts(page: str) -> Markup:
    return Markup(page)  # noqa: S704 - HTML of the frames layer, which escapes what it shows


def _label_html(label: PanelLabel) -> Markup:
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
