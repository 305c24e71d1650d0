"""The look of a job in a notebook: live widgets, and under them text that outlives them.

Two outputs stand in the cell.  The first is plain HTML: what the job is, and where it stood some
seconds ago.  The second is live, and at the end its place is taken by the summary.  So whenever
the notebook is saved, closed or exported, what it says is true.

Widgets are built in the thread of the cell.  Afterwards one thread of this module sets their
traits, at most ten times a second, and updates the two outputs by their display ids: anything
that it printed would land in another cell.
"""

from __future__ import annotations

import html
import threading
import time
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any

from kirim_pandas.frames.charts import COLOURS
from kirim_pandas.notebook.clicks import watch_clicks
from kirim_pandas.notebook.jobtext import (
    counts_html,
    done_and_total,
    framed,
    heading_html,
    many,
    pace_html,
    phase_text,
    state_text,
)

if TYPE_CHECKING:
    from kirim_pandas.notebook.job import LabelJob

__all__ = ["JobDisplay", "JobWidgets", "follow"]

TICK_SECONDS = 0.1
"""Ten pictures a second: more cost the front end and please nobody."""

HEADING_SECONDS = 5.0
"""How old the saved text may be."""

STEPS = {"batches": 1, "rows": 2, "certified": 3}


class JobWidgets:
    """A bar, the counts, the pace and a Cancel button, for one job after another."""

    def __init__(self) -> None:
        import ipywidgets as widgets

        # No widths: the children fill the box, whose margins would add to a width of 100 %.
        self._phase = widgets.HTML(layout=widgets.Layout(margin="0"))
        self._bar = widgets.FloatProgress(
            max=1, layout=widgets.Layout(width="auto", margin="4px 0")
        )
        self._bar.style.bar_color = COLOURS["applied"]
        self._text = widgets.HTML(layout=widgets.Layout(margin="0"))
        self._cancel = widgets.Button(
            icon="stop",
            tooltip="Stop in order; everything done so far is kept",
            layout=widgets.Layout(margin="0"),
        )
        self._cancel.on_click(lambda _button: self._press())
        self._job: LabelJob | None = None
        self._sent_before = 0
        self._nudge = watch_clicks(self._cancel, self._press)
        self.box = widgets.VBox(
            [self._phase, self._bar, self._text, self._cancel],
            layout=widgets.Layout(max_width="760px", overflow="hidden"),
        )
        self._reset()

    def watch(self, job: LabelJob) -> None:
        """Show this job from now on."""
        self._job = job
        self._sent_before = 0
        self._reset()
        self.draw()

    def draw(self) -> None:
        """Set every trait to where the job stands; unchanged ones cost nothing."""
        job = self._job
        if job is None:
            return
        self._nudge()
        if job.stopping:
            self._cancel.description, self._cancel.disabled = "Stopping …", True
        now, ending = job.progress, job.ending
        phase = phase_text(job.facts.operation, now, STEPS[job.resolve])
        done, total = done_and_total(now)
        if ending is not None:
            phase = f"The run has {'ended: ' * (ending.error is not None)}{ending.state}"
            done, total = now.answered, now.contacts
            self._cancel.layout.display = "none"
        share = done / total if total else 1.0
        if ending is None and now.phase != "apply":
            # Contacts get their outcomes round by round; requests go on steadily.
            self._sent_before = self._sent_before or now.requests
            made = now.requests - self._sent_before
            share = made / max(now.requests_expected - self._sent_before, made, 1)
        self._bar.value = share
        self._phase.value = framed(
            f"<strong>{phase}</strong> · {done:,} of {many(total, 'contact')}"
        )
        if ending is not None:
            pace = html.escape(ending.cost)
        else:
            seconds = (datetime.now().astimezone() - job.facts.started).total_seconds()
            pace = pace_html(now, job.requests_per_minute(), seconds)
        self._text.value = framed(f'<p>{counts_html(now)}</p><p class="soft">{pace}</p>')

    def _reset(self) -> None:
        self._cancel.description, self._cancel.disabled = "Cancel", False
        self._cancel.layout.display = None

    def _press(self) -> None:
        # Only this: it may be called in the middle of anything.
        if self._job is not None:
            self._job.cancel()


class JobDisplay:
    """A job where a cell shows it: the two outputs, kept up to date from outside the cell."""

    def __init__(self, job: LabelJob) -> None:
        self._job = job
        self._widgets: JobWidgets | None = None
        self._shown_in: object = None
        self._heading_at = 0.0

    def show(self) -> None:
        """Show the job in the cell that runs, once."""
        from IPython import get_ipython

        cell = get_ipython().execution_count
        if cell == self._shown_in:
            return
        self._shown_in = cell
        job = self._job
        if job.done:
            self._publish("heading", self._heading(), update=False)
            self._publish("live", self._ending(), update=False)
            return
        first = self._widgets is None
        if self._widgets is None:
            self._widgets = JobWidgets()
            self._widgets.watch(job)
        self._publish("heading", self._heading(), update=False)
        self._publish("live", self._live(self._widgets), update=False)
        if first:
            follow(job, self._tick, self._end)

    def _tick(self) -> None:
        assert self._widgets is not None  # built before the thread was started
        self._widgets.draw()
        if time.monotonic() - self._heading_at >= HEADING_SECONDS:
            self._publish("heading", self._heading(), update=True)

    def _end(self) -> None:
        assert self._widgets is not None
        self._widgets.draw()
        self._publish("heading", self._heading(), update=True)
        self._publish("live", self._ending(), update=True)

    def _heading(self) -> dict[str, Any]:
        job = self._job
        self._heading_at = time.monotonic()
        if job.done:
            return _bundle(heading_html(job.facts, job.progress), f"Run {job.run_id}.")
        text = f"{job.facts.sentence}: {state_text(job.progress)}. Run {job.run_id}."
        return _bundle(heading_html(job.facts, job.progress, datetime.now().astimezone()), text)

    def _ending(self) -> dict[str, Any]:
        ending = self._job.ending
        assert ending is not None  # asked only once the job is done
        return _bundle(ending.html, ending.text)

    def _live(self, shown: JobWidgets) -> dict[str, Any]:
        data: dict[str, Any] = shown.box._repr_mimebundle_()
        # For front ends without widgets, and for exports of a notebook saved half way.
        data["text/plain"] = "The live view needs the kernel that started the run."
        return data

    def _publish(self, place: str, data: dict[str, Any], *, update: bool) -> None:
        from IPython.display import publish_display_data

        transient = {"display_id": f"{self._job.run_id}-{place}"}
        publish_display_data(data, transient=transient, update=update)  # type: ignore[no-untyped-call]


def follow(job: LabelJob, tick: Callable[[], None], end: Callable[[], None]) -> None:
    """Call `tick` while the job runs and `end` after it, in a thread of their own."""

    def loop() -> None:
        while not job.done:
            tick()
            time.sleep(TICK_SECONDS)
        end()

    threading.Thread(target=loop, name="kirim-pandas-view", daemon=True).start()


def _bundle(page: str, text: str) -> dict[str, Any]:
    return {"text/html": page, "text/plain": text}
