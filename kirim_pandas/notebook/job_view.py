"""The look of a job in a notebook: live widgets between two pieces of text that outlive them.

Three outputs stand in the cell: what the job is; the live view, whose place is taken by the
summary at the end; and when the job was last at work, later what to do next.  So whenever
the notebook is saved, closed or exported, what it says is true.

Widgets are built in the thread of the cell.  Afterwards one thread of this module sets their
traits, at most ten times a second, and updates the outputs by their display ids: anything that
it printed would land in another cell.
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
from kirim_pandas.notebook.texts import (
    counts_html,
    done_and_total,
    framed,
    heading_html,
    many,
    note_html,
    pace_html,
    phase_text,
    state_text,
)

if TYPE_CHECKING:
    from kirim_pandas.notebook.job import LabelJob
    from kirim_pandas.notebook.job_end import Ending

__all__ = ["JobDisplay", "JobWidgets", "follow"]

TICK_SECONDS = 0.1
"""Ten pictures a second: more cost the front end and please nobody."""

NOTE_SECONDS = 5.0
"""How old the saved text may be."""

STEPS = {"batches": 1, "rows": 2}


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
            phase = f"The run has {'ended: ' * (ending.state != 'finished')}{ending.state}"
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
    """A job where a cell shows it: the outputs, kept up to date from outside the cell."""

    def __init__(self, job: LabelJob) -> None:
        self._job = job
        self._widgets: JobWidgets | None = None
        self._shown_in: object = None
        self._noted_at = 0.0

    def show(self) -> None:
        """Show the job in the cell that runs, once."""
        from IPython import get_ipython

        cell = get_ipython().execution_count
        if cell == self._shown_in:
            return
        self._shown_in = cell
        job = self._job
        if job.ending is not None:
            self._publish_all(*self._ended(job.ending), update=False)
            return
        first = self._widgets is None
        if self._widgets is None:
            self._widgets = JobWidgets()
            self._widgets.watch(job)
        heading = _bundle(heading_html(job.facts, running=True), f"{job.facts.sentence}.")
        self._publish_all(heading, self._live(self._widgets), self._note(), update=False)
        if first:
            follow(job, self._tick, self._end)

    def _tick(self) -> None:
        assert self._widgets is not None  # built before the thread was started
        self._widgets.draw()
        if time.monotonic() - self._noted_at >= NOTE_SECONDS:
            self._publish("note", self._note(), update=True)

    def _end(self) -> None:
        assert self._widgets is not None
        assert self._job.ending is not None
        self._widgets.draw()
        self._publish_all(*self._ended(self._job.ending), update=True)

    def _note(self) -> dict[str, Any]:
        job = self._job
        self._noted_at = time.monotonic()
        now = datetime.now().astimezone()
        text = f"At {now:%H:%M:%S}: {state_text(job.progress)}. Run {job.run_id}."
        return _bundle(note_html(job.facts, now), text)

    def _ended(self, ending: Ending) -> list[dict[str, Any]]:
        return [
            _bundle(heading_html(ending.facts, running=False), f"{ending.facts.order}."),
            _bundle(ending.html_of_rows, ending.text),
            _bundle(ending.html_of_next_steps, ""),
        ]

    def _live(self, shown: JobWidgets) -> dict[str, Any]:
        data: dict[str, Any] = shown.box._repr_mimebundle_()
        # For front ends without widgets, and for exports of a notebook saved half way.
        data["text/plain"] = "The live view needs the kernel that started the run."
        return data

    def _publish_all(self, *outputs: dict[str, Any], update: bool) -> None:
        for place, data in zip(("heading", "live", "note"), outputs, strict=True):
            self._publish(place, data, update=update)

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
