"""How a job ended, as text and as HTML that is still true when the notebook is opened again."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import pandas as pd

from kirim_pandas.api.errors import RunInterrupted
from kirim_pandas.frames.charts import COLOURS
from kirim_pandas.frames.results import STATUSES
from kirim_pandas.notebook.jobtext import JobFacts, count_html, duration_text, framed, many

__all__ = ["Ending", "by_status", "shares_html"]


@dataclass(frozen=True, eq=False)
class Ending:
    """The end of a job.

    Attributes
    ----------
    facts : JobFacts
        What the job was about.
    frame : DataFrame or None
        The result frame, complete or not; None where an unexpected error left none.
    error : BaseException or None
        What ended the run before its end.
    requests : int
        Calls made.
    at : datetime
        When.
    notes : sequence of str
        What people must know beside the rows.
    """

    facts: JobFacts
    frame: pd.DataFrame | None
    error: BaseException | None
    requests: int
    at: datetime
    notes: Sequence[str] = ()

    @property
    def state(self) -> str:
        """``finished``, ``stopped`` or ``failed``."""
        if self.error is None:
            return "finished"
        return "stopped" if isinstance(self.error, RunInterrupted) else "failed"

    @property
    def text(self) -> str:
        """The summary as plain text."""
        facts = self.facts
        lines = [f"{facts.order}: {self.state}."]
        if self.frame is not None:
            told = ", ".join(f"{rows:,} {status}" for status, rows in by_status(self.frame))
            lines.append(f"{many(len(self.frame), 'row')}: {told or 'none'}.")
        lines.append(f"{self.cost} Run {facts.run_id}.")
        return "\n".join([*lines, *self._messages()])

    @property
    def html(self) -> str:
        """The whole summary as HTML."""
        return self.html_of_rows + self.html_of_next_steps

    @property
    def html_of_rows(self) -> str:
        """What became of the rows."""
        frame = self.frame
        parts = [f"<p><strong>{self.state.capitalize()}.</strong> {self._rows()}</p>"]
        if frame is not None and len(frame):
            counts = "".join(
                count_html(status.replace("_", " "), COLOURS[status], rows)
                for status, rows in by_status(frame)
            )
            parts.append(f"{shares_html(frame)}<p>{counts}</p>")
        return framed("".join(parts))

    @property
    def html_of_next_steps(self) -> str:
        """What it cost, what to look at now, and what went wrong, if anything."""
        cost = (
            f'<p class="soft">{html.escape(self.cost)} <code>.result()</code> has every row, '
            "<code>.result().kirim.report()</code> says why rows were skipped and what to do.</p>"
        )
        messages = (f"<p>{html.escape(message)}</p>" for message in self._messages())
        return framed("".join([cost, *messages]))

    def _rows(self) -> str:
        if self.frame is None:
            return "There is no result frame."
        contacts = int(self.frame["contact_id"].nunique())
        return f"{many(len(self.frame), 'row')}, {many(contacts, 'contact')}."

    @property
    def cost(self) -> str:
        """Requests and time."""
        seconds = (self.at - self.facts.started).total_seconds()
        return f"{many(self.requests, 'request')} in {duration_text(seconds)}."

    def _messages(self) -> list[str]:
        error = self.error
        if error is None:
            return list(self.notes)
        kind = "" if isinstance(error, RunInterrupted) else f"{type(error).__name__}: "
        return [f"{kind}{error}", *self.notes]


def by_status(frame: pd.DataFrame) -> list[tuple[str, int]]:
    """Count the rows of a result frame by status, in the order of the statuses."""
    counts = frame["status"].value_counts()
    return [(status, int(counts[status])) for status in STATUSES if counts.get(status, 0)]


def shares_html(frame: pd.DataFrame) -> str:
    """Draw the shares of the statuses as one bar."""
    parts = "".join(
        f'<span style="flex: {rows} 0 0; background: {COLOURS[status]}"></span>'
        for status, rows in by_status(frame)
    )
    return f'<div class="bar">{parts}</div>'
