"""The look of a job: live widgets between two pieces of text that outlive them.

On a page three outputs stand in the cell: what the job is; the live view, whose place is taken at
the end by the next steps; and where the run stood, for readers without the live view.  Consoles
and logs get a sentence at once and the summary at the end.

Widgets are built in the thread of the cell.  Afterwards one thread of this module sets their
traits, at most ten times a second, and updates the outputs by their display ids.
"""

from __future__ import annotations

import threading
import time
import warnings
from collections.abc import Callable
from datetime import datetime
from typing import Any
from uuid import uuid4

from markupsafe import Markup

from kirim_pandas.notebook.job import HOW_TO_ASK, LabelJob
from kirim_pandas.notebook.job_end import Ending
from kirim_pandas.notebook.kernel import (
    Front,
    clicks_wait,
    front_end,
    in_notebook,
    let_clicks_pass,
    publish,
    show,
    wrapped,
)
from kirim_pandas.notebook.texts import (
    EMPTY,
    LIVE_CLASS,
    StepShare,
    framed,
    heading_html,
    note_html,
    running_html,
)

TICK_SECONDS = 0.1
"""Ten pictures a second: more cost the front end and please nobody."""

NOTE_SECONDS = 5.0
"""How old the saved text may be."""

CLICKS_WAIT = "A click waits until the running cell has ended."


class JobWidgets:
    """What a job tells, a Cancel button, and a Resume button, for one job after another.

    Parameters
    ----------
    resume
        Called when Resume is clicked.
    heading
        Whether the box says what the job is; where nothing above it does.
    """

    def __init__(self, resume: Callable[[], object], *, heading: bool) -> None:
        import ipywidgets as widgets

        def button(text: str, icon: str, tip: str, press: Callable[[], object]) -> Any:
            made = widgets.Button(description=text, icon=icon, tooltip=tip)
            made.layout.margin = "0 8px 0 0"
            made.on_click(lambda _button: self._try(press))
            let_clicks_pass(made)
            return made

        # No widths: the children fill the box, whose margins would add to a width of 100 %.
        self._page = widgets.HTML(layout=widgets.Layout(margin="0"))
        self._error = widgets.HTML(layout=widgets.Layout(margin="0"))
        tip = "Stop in order; everything done so far is kept"
        self._cancel = button("Cancel", "stop", tip, self._press_cancel)
        tip = "Go on from here; nothing is sent twice"
        self._resume = button("Resume", "play", tip, resume)
        self._note = widgets.HTML(
            framed(Markup('<span class="soft">{}</span>').format(CLICKS_WAIT))
        )
        self._note.layout.display = None if clicks_wait() else "none"
        self._heading = heading
        self._job: LabelJob | None = None
        self._share = StepShare()
        self.buttons = widgets.HBox([self._cancel, self._resume, self._note])
        self.buttons.layout.display = "none"
        self.box = widgets.VBox(
            [self._page, self.buttons, self._error],
            layout=widgets.Layout(max_width="760px", overflow="hidden"),
        )
        self.box.add_class(LIVE_CLASS)

    def watch(self, job: LabelJob) -> None:
        """Show this job from now on."""
        self._job, self._share = job, StepShare()
        self._error.value = ""
        self.draw()

    def draw(self) -> None:
        """Set every trait to where the job stands; unchanged ones cost nothing."""
        job = self._job
        if job is None:
            return
        self._cancel.description = "Stopping …" if job.stopping else "Cancel"
        self._cancel.disabled = job.stopping
        self._cancel.layout.display = "none" if job.done else None
        self._resume.layout.display = None if job.resumable else "none"
        self.buttons.layout.display = None if job.resumable or not job.done else "none"
        heading = heading_html(job.facts, running=not job.done) if self._heading else EMPTY
        self._page.value = heading + (job.ending.html if job.ending else self._running(job))

    def _running(self, job: LabelJob) -> Markup:
        share = self._share(job.progress)
        return running_html(job.facts, job.progress, share, per_minute=job.requests_per_minute())

    def _press_cancel(self) -> None:
        if self._job is not None:
            self._job.cancel()

    def _try(self, act: Callable[[], object]) -> None:
        """Do what was asked; what goes wrong is said where the person looks."""
        try:
            act()
        except Exception as error:
            self._error.value = framed(Markup('<p role="alert">{}</p>').format(str(error)))


class JobDisplay:
    """A job where a cell shows it, kept up to date from outside the cell.

    Parameters
    ----------
    job
        The job; when Resume is clicked, its successor takes its place.
    """

    def __init__(self, job: LabelJob) -> None:
        self._job = job
        self._widgets: JobWidgets | None = None
        self._shown_in: object = None
        self._noted_at = 0.0
        self._name = f"kirim-job-{uuid4()}"
        self._front = Front.LOG
        self._finished: LabelJob | None = None
        self._finishing = threading.Lock()

    def show(self) -> None:
        """Show the job where this is called: in a notebook once a cell, elsewhere at each call."""
        job, cell = self._job, _cell()
        if cell is not None and cell == self._shown_in:
            return
        first, self._shown_in = self._shown_in is None, cell or "terminal"
        if job.ending is not None:
            show(self._summary(job.ending) + job.ending.html_of_next_steps, job.ending.text)
            return
        if first:
            self._front = front_end()
            self._widgets = self._built() if in_notebook() else None
        self._publish_running(update=False)
        if first:
            follow(job, self._tick, self.finish)

    def finish(self) -> None:
        """Show how the job has ended, once, whoever comes first: its follower or who waits."""
        with self._finishing:
            if self._job is self._finished:
                return
            self._finished = self._job
            self._end()

    def _built(self) -> JobWidgets | None:
        """Build the widgets; a page without them still follows the run by its texts."""
        try:
            widgets = JobWidgets(self._go_on, heading=self._front is not Front.PAGE)
            widgets.watch(self._job)
        except Exception as error:
            warnings.warn(
                f"The widgets cannot be shown ({type(error).__name__}: {error}); the run is at "
                f"work all the same. {self._job!r}",
                stacklevel=2,
            )
            return None
        return widgets

    def _go_on(self) -> None:
        """Follow the job that goes on with this run."""
        assert self._widgets is not None  # whose button was clicked
        self._job = self._job.resume()
        self._widgets.watch(self._job)
        self._publish_running(update=True)
        follow(self._job, self._tick, self.finish)

    def _publish_running(self, *, update: bool) -> None:
        job = self._job
        box = self._widgets.box if self._widgets else None
        if self._front is not Front.PAGE:
            show(heading_html(job.facts, running=True), repr(job), box=box)
            return
        sentence = f"{job.facts.sentence}. Run {job.run_id}."
        self._put("heading", heading_html(job.facts, running=True), sentence, update=update)
        no_widgets = Markup('<p class="soft">{}</p>').format(HOW_TO_ASK)
        self._put("live", framed(no_widgets), repr(job), update=update, box=box)
        self._put_note(update=update)

    def _tick(self) -> None:
        if self._widgets is not None:
            self._widgets.draw()
        if self._front is Front.PAGE and time.monotonic() - self._noted_at >= NOTE_SECONDS:
            self._put_note(update=True)

    def _end(self) -> None:
        job, ending = self._job, self._job.ending
        assert ending is not None  # the job is done
        if self._widgets is not None:
            self._widgets.draw()
        if self._front is not Front.PAGE:
            print(wrapped(ending.text) if self._front is Front.LINE else ending.text, flush=True)
            return
        self._put("heading", self._summary(ending), ending.text, update=True)
        if self._widgets is not None and job.resumable:
            self._put("live", EMPTY, "", update=True, box=self._widgets.buttons)
        else:
            self._put("live", EMPTY, "", update=True)
        self._put("note", ending.html_of_next_steps, "", update=True)

    def _put_note(self, *, update: bool) -> None:
        self._noted_at = time.monotonic()
        page = note_html(self._job.facts, self._job.progress, datetime.now().astimezone())
        self._put("note", page, repr(self._job), update=update)

    def _put(self, place: str, page: Markup, text: str, *, update: bool, box: Any = None) -> None:
        publish(page, text, display_id=f"{self._name}-{place}", update=update, box=box)

    @staticmethod
    def _summary(ending: Ending) -> Markup:
        return heading_html(ending.facts, running=False) + ending.html_of_contacts


def follow(job: LabelJob, tick: Callable[[], None], end: Callable[[], None]) -> None:
    """Call `tick` while the job runs and `end` after it, in a thread of their own."""

    def loop() -> None:
        try:
            while not job.done:
                tick()
                time.sleep(TICK_SECONDS)
        finally:  # a picture that could not be drawn takes nobody's last line
            while not job.done:
                time.sleep(TICK_SECONDS)
            end()

    threading.Thread(target=loop, name="kirim-pandas-view", daemon=True).start()


def _cell() -> object:
    """Return the number of the cell that runs; None outside a notebook."""
    if not in_notebook():
        return None
    from IPython import get_ipython

    return get_ipython().execution_count
