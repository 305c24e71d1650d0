"""How a job ended, as text and as HTML that is still true when the notebook is opened again."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import pandas as pd

from kirim_pandas.errors import RunInterrupted
from kirim_pandas.frames.charts import COLOURS
from kirim_pandas.frames.results import STATUSES
from kirim_pandas.notebook.texts import JobFacts, count_html, duration_text, framed, many

__all__ = ["Ending", "by_status", "cap_note", "shares_html"]


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
    cap : (int, int) or None
        Requests spent and allowed, where ``max_requests`` left rows open.
    """

    facts: JobFacts
    frame: pd.DataFrame | None
    error: BaseException | None
    requests: int
    at: datetime
    notes: Sequence[str] = ()
    cap: tuple[int, int] | None = None

    @property
    def state(self) -> str:
        """``finished``, ``capped``, ``stopped`` or ``failed``."""
        if self.error is None:
            return "finished" if self.cap is None else "capped"
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
            if self.cap is None or self.frame is None:
                return list(self.notes)
            return [cap_note(self.frame, self.cap), *self.notes]
        kind = "" if isinstance(error, RunInterrupted) else f"{type(error).__name__}: "
        return [f"{kind}{error}", *self.notes]


def cap_note(frame: pd.DataFrame, cap: tuple[int, int]) -> str:
    """Say what ``max_requests`` left open, and how to go on.

    Parameters
    ----------
    frame
        The result frame.
    cap
        Requests spent and allowed.
    """
    spent, allowed = cap
    left = allowed - spent
    counts = frame["reason"].value_counts()
    kinds = {"stopped": "not sent yet", "undetermined": "sent but not yet told apart"}
    found = [(int(counts.get(reason, 0)), words) for reason, words in kinds.items()]
    told = [(rows, words) for rows, words in found if rows]
    # The noun stands once: "432 rows are not sent yet, 2,068 are sent but not yet told apart".
    parts = [
        f"{rows:,}{'' if place else ' row' if rows == 1 else ' rows'} "
        f"{'is' if rows == 1 else 'are'} {words}"
        for place, (rows, words) in enumerate(told)
    ]
    open_rows = ", ".join(parts) or "something is left to be asked"
    reached = f"max_requests={allowed} was reached"
    if left:
        reached = (
            f"{spent:,} of {many(allowed, 'request')}; the other {left:,} would not have settled "
            "a row"
        )
    run_id = frame.attrs["kirim_run_id"]
    go_on = f"df.kirim.resume({run_id!r}) goes on, without a cap unless you give one."
    return f"{reached}: {open_rows}. {go_on}"


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
