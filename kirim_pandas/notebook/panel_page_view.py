"""What every page of the panel shows: its picks, the plan, the question, the run, the report.

All of it is built once, in the thread of the cell; later only traits change.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Protocol
from uuid import uuid4

from markupsafe import Markup

from kirim_pandas.errors import KirimError
from kirim_pandas.notebook.job import LabelJob
from kirim_pandas.notebook.job_view import JobWidgets, follow
from kirim_pandas.notebook.kernel import publish
from kirim_pandas.notebook.panel_page import Page, Planned
from kirim_pandas.notebook.texts import EMPTY, framed, heading_html, kept, many, note_html

ERROR: Final = Markup(
    '<p role="alert" style="border-left: 4px solid var(--jp-error-color1, #d32f2f); '
    'padding: 4px 10px; white-space: pre-wrap">{}</p>'
)


def layout(**settings: Any) -> Any:
    """Make a layout without margins of its own."""
    import ipywidgets as widgets

    return widgets.Layout(**{"width": "auto", "margin": "0"} | settings)


def titled(title: str, *controls: Any) -> Any:
    """Put a title over controls."""
    import ipywidgets as widgets

    head = widgets.HTML(framed(Markup("<strong>{}</strong>").format(title)), layout=layout())
    return widgets.VBox([head, *controls], layout=layout(margin="0 0 10px"))


def soft(text: str) -> Any:
    """Say something beside the point."""
    import ipywidgets as widgets

    page = framed(Markup('<span class="soft">{}</span>').format(text))
    return widgets.HTML(page, layout=layout())


def button(text: str, style: str = "") -> Any:
    """Make a button as wide as its text."""
    import ipywidgets as widgets

    return widgets.Button(description=text, button_style=style, layout=layout(width="max-content"))


class Attempts:
    """Does what was asked; what goes wrong is said where the person looks, in ``.told``."""

    def __init__(self) -> None:
        import ipywidgets as widgets

        self.told = widgets.HTML(layout=layout())
        self.quiet = False

    def attempt(self, act: Callable[[], object]) -> None:
        """Do it, or say why not."""
        try:
            self.told.value = ""
            act()
        except Exception as error:
            self.say(error)

    def say(self, error: Exception) -> None:
        """Say what went wrong."""
        kind = "" if isinstance(error, KirimError) else f"{type(error).__name__}: "
        self.told.value = framed(ERROR.format(f"{kind}{error}"))

    def on(self, control: Any, act: Callable[[Any], object]) -> None:
        """Do something with each value that a person gives a control."""

        def changed(change: dict[str, Any]) -> None:
            # A list that is filled anew says None in between.
            if not self.quiet and change["new"] is not None:
                self.attempt(lambda: act(change["new"]))

        control.observe(changed, "value")


class Picks(Protocol):
    """The controls of a page by which something is picked."""

    box: Any

    def refresh(self) -> None:
        """Show what is picked."""


class StepsWidgets:
    """What a cell shows of a page.

    Parameters
    ----------
    page
        What is shown.
    picks
        Makes its controls, which say by the attempts what goes wrong.
    also
        Called at each refresh, for what is shown elsewhere.
    """

    def __init__(
        self,
        page: Page[Any, Any],
        picks: Callable[[Attempts], Picks],
        *,
        also: Callable[[], object] = lambda: None,
    ) -> None:
        import ipywidgets as widgets

        self._page = page
        self._also = also
        self._display_id = f"kirim-panel-{uuid4()}"
        self._has_place = False
        self._planned: object = None
        self.attempts = Attempts()
        self.picks = picks(self.attempts)
        self.plan_button = button("Show the plan", "info")
        self.plan_shown = widgets.HTML(layout=layout())
        # Widgets of their own for question and answer: a checkbox does not wrap a long line.
        self.question = widgets.HTML(layout=layout())
        self.yes = widgets.Checkbox(indent=False, layout=layout(margin="4px 0"))
        self.run = button("Run now", "danger")
        self._sure = widgets.VBox(
            [self.question, self.yes, self.run], layout=layout(display="none", margin="10px 0 0")
        )
        self._job = JobWidgets(page.resume, heading=True)
        self._job.box.layout.display, self._job.box.layout.margin = "none", "10px 0 0"
        self.report = widgets.HTML(layout=layout())
        self.save = button("Save the list")
        self.saved = widgets.HTML(layout=layout())
        note = soft("who is not among the applied, with your columns, why, and what to do")
        self._list = widgets.VBox(
            [widgets.HBox([self.save, note], layout=layout(grid_gap="0 10px")), self.saved],
            layout=layout(display="none", margin="6px 0 0"),
        )
        told = [self.plan_button, self.plan_shown, self._sure, self.attempts.told]
        self.box = widgets.VBox(
            [self.picks.box, *told, self._job.box, self._list, self.report], layout=layout()
        )
        self.attempts.on(self.yes, lambda value: page.confirm() if value else page.withdraw())
        for control, act in (
            (self.plan_button, page.plan),
            (self.run, page.run),
            (self.save, self._save_list),
        ):
            control.on_click(lambda _button, act=act: self.attempts.attempt(act))
        page.view = self

    def make_place(self) -> None:
        """Make the place of what outlives the widgets, under them."""
        self._has_place = True
        publish(EMPTY, "", display_id=self._display_id)

    # -- what the page tells ---------------------------------------------------------------

    def refresh(self) -> None:
        """Show what is picked."""
        self.attempts.quiet = True
        try:
            self._also()
            self.picks.refresh()
            confirmed = self._page.confirmed
            self.yes.value = confirmed
            if not confirmed and self._planned != self._page.chosen:
                self.plan_shown.value, self._sure.layout.display = "", "none"
            self.run.disabled = not confirmed or self._page.running
        finally:
            self.attempts.quiet = False

    def show_plan(self, plan: Planned) -> None:
        """Show a plan, and ask."""
        self._planned = self._page.chosen
        self.plan_shown.value = framed(_made_of_escaped_parts(plan._repr_html_()))
        question = self._page.question(plan)
        self.question.value = framed(
            Markup("<p><strong>{}?</strong></p>").format(question[0].upper() + question[1:])
        )
        self.yes.description = f"Yes, {many(plan.reached, 'customer')}"
        self._sure.layout.display = None
        self.attempts.told.value = ""

    def watch(self, job: LabelJob) -> None:
        """Show a job, and at its end the report."""
        self._job.box.layout.display, self._list.layout.display = None, "none"
        self._planned, self.report.value, self.saved.value = None, EMPTY, EMPTY
        self._job.watch(job)
        self.refresh()
        # Written at once: a notebook that is saved and closed now still tells the run's id.
        at_work = note_html(job.facts, job.progress, job.facts.started)
        self._keep(kept(heading_html(job.facts, running=True)) + at_work, repr(job))
        follow(job, self._job.draw, lambda: self._ended(job))

    # -- the rest --------------------------------------------------------------------------

    def _save_list(self) -> None:
        path, rows = self._page.listed()
        self.saved.value = framed(
            Markup("<p>{} in <code>{}</code>.</p>").format(many(rows, "row"), path)
        )

    def _ended(self, job: LabelJob) -> None:
        self._job.draw()
        self._planned = None
        self.refresh()
        ending = job.ending
        assert ending is not None  # the job is done
        page, text = ending.html, ending.text
        try:
            report = self._page.report()
            fragment = _made_of_escaped_parts(report.fragment)
            self.report.value, self._list.layout.display = fragment, None
            page, text = page + fragment, f"{text}\n{report!r}"
        except Exception as error:  # the summary stands
            self.attempts.say(error)
        heading = heading_html(job.facts, running=False)
        # In the widget as well: updates of outputs do not reach a page that was loaded again.
        self._keep(kept(heading + page), text)

    def _keep(self, page: Markup, text: str) -> None:
        """Write what stays in a saved notebook, when the widgets are gone."""
        if self._has_place:
            publish(page, text, display_id=self._display_id, update=True)
        else:  # a log is only added to
            print(text, flush=True)


def _made_of_escaped_parts(page: str) -> Markup:
    return Markup(page)  # noqa: S704 - HTML of the frames layer, which escapes what it shows
