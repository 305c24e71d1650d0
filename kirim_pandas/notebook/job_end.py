"""How a run ended, as text and as HTML that is still true when the notebook is opened again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import pandas as pd
from markupsafe import Markup

from kirim_pandas.errors import RunInterrupted
from kirim_pandas.frames.charts import COLOURS
from kirim_pandas.frames.results import RUN_ID_ATTR, STATUSES
from kirim_pandas.notebook.texts import (
    EMPTY,
    JobFacts,
    bar_html,
    count_html,
    duration_text,
    framed,
    many,
)
from kirim_pandas.run.progress import Progress

__all__ = ["Ending", "cap_note", "contacts_by_status"]

_WITHOUT_CONTACT = ("missing_id", "malformed_id")
"""Reasons of rows that mean no contact."""


@dataclass(frozen=True, eq=False)
class Ending:
    """The end of a run.

    Attributes
    ----------
    facts : JobFacts
        What the run was about.
    frame : DataFrame or None
        The result frame, complete or not; None where an unexpected error left none.
    error : BaseException or None
        What ended the run before its end.
    progress : Progress
        Where it stood at the end.
    at : datetime
        When.
    notes : sequence of str
        What people must know beside the rows.
    """

    facts: JobFacts
    frame: pd.DataFrame | None
    error: BaseException | None
    progress: Progress
    at: datetime
    notes: Sequence[str] = ()

    @property
    def state(self) -> str:
        """``finished``, ``capped``, ``stopped`` or ``failed``."""
        if self.error is None:
            return "finished" if self.progress.cap is None else "capped"
        return "stopped" if isinstance(self.error, RunInterrupted) else "failed"

    @property
    def text(self) -> str:
        """The summary as plain text, one sentence a line."""
        told = [f"{self.facts.order}: {self.state}."]
        if self.frame is None:
            told.append("There is no result frame.")
        else:
            counts = contacts_by_status(self.frame)
            shown = ", ".join(f"{number:,} {_shown(status)}" for status, number in counts.items())
            told.append(f"{shown}." if shown else "There was no contact to send.")
            told += [f"The frame has {rows}."] if (rows := self._rows()) else []
        return "\n".join([*told, f"{self.cost} Run {self.facts.run_id}.", *self._messages()])

    @property
    def html(self) -> Markup:
        """The whole summary as HTML."""
        return self.html_of_contacts + self.html_of_next_steps

    @property
    def html_of_contacts(self) -> Markup:
        """What became of the contacts."""
        said = Markup("<p><strong>{}.</strong> {}</p>")
        if self.frame is None:
            return framed(said.format(self.state.capitalize(), "There is no result frame."))
        counts, rows = contacts_by_status(self.frame), self._rows()
        total = sum(counts.values())
        among = f"{many(total, 'contact')}{f' in {rows}' if rows else ''}."
        said = said.format(self.state.capitalize(), among)
        if total:
            bar = bar_html({status: number / total for status, number in counts.items()})
            dots = EMPTY.join(
                count_html(_shown(status), COLOURS[status], number)
                for status, number in counts.items()
            )
            said += bar + Markup("<p>{}</p>").format(dots)
        return framed(said)

    @property
    def html_of_next_steps(self) -> Markup:
        """What it cost, what to look at now, and what went wrong, if anything."""
        # A call that raises is no way to look at the rows: ``.result()`` does after a stop.
        rows = ".result()" if self.error is None else ".frame"
        ways = Markup(
            " <code>{rows}</code> has every row, <code>{rows}.kirim.report()</code> says why "
            "contacts were skipped and what to do."
        ).format(rows=rows)
        cost = Markup('<p class="soft">{}{}</p>').format(
            self.cost, EMPTY if self.frame is None else ways
        )
        messages = (Markup("<p>{}</p>").format(message) for message in self._messages())
        return framed(cost + EMPTY.join(messages))

    @property
    def cost(self) -> str:
        """Requests and time."""
        if not self.progress.requests:
            return "Nothing was left to send."
        seconds = (self.at - self.facts.started).total_seconds()
        return f"{many(self.progress.requests, 'request')} in {duration_text(seconds)}."

    def _rows(self) -> str:
        """Count the rows where they are not as many as the contacts."""
        assert self.frame is not None  # asked only of what there is
        rows = len(self.frame)
        without = int(self.frame["reason"].isin(_WITHOUT_CONTACT).sum())
        if rows == sum(contacts_by_status(self.frame).values()):
            return ""
        unusable = f", {without:,} of them without a usable id" if without else ""
        return f"{many(rows, 'row')}{unusable}"

    def _messages(self) -> list[str]:
        error, frame, now = self.error, self.frame, self.progress
        told = []
        if error is not None:
            kind = "" if isinstance(error, RunInterrupted) else f"{type(error).__name__}: "
            told.append(f"{kind}{error}")
        elif frame is not None and "undetermined" in set(frame["reason"]):
            told.append(
                f"The service counted {now.applied:,} contacts as passing and {now.skipped:,} as "
                "skipped; not of all it is known which."
            )
            if now.cap is None:
                told.append(f"df.kirim.resume({self.facts.run_id!r}, resolve='rows') finds out.")
        if error is None and frame is not None and now.cap is not None:
            told.append(cap_note(frame, now.cap))
        return [*told, *self.notes]


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
    reasons = _contact_rows(frame)["reason"].value_counts()
    kinds = {"stopped": "not sent yet", "undetermined": "sent but not yet told apart"}
    found = [(int(reasons.get(reason, 0)), words) for reason, words in kinds.items()]
    told = [(number, words) for number, words in found if number]
    # The noun stands once: "432 contacts are not sent yet, 2,068 are sent but not yet told apart".
    parts = [
        f"{f'{number:,}' if place else many(number, 'contact')} "
        f"{'is' if number == 1 else 'are'} {words}"
        for place, (number, words) in enumerate(told)
    ]
    open_contacts = ", ".join(parts) or "something is left to be asked"
    reached = f"max_requests={allowed} was reached"
    if left:
        reached = (
            f"{spent:,} of {many(allowed, 'request')}; the other {left:,} would not have settled "
            "a contact"
        )
    run_id = frame.attrs[RUN_ID_ATTR]
    go_on = f"df.kirim.resume({run_id!r}) goes on, without a cap unless you give one."
    return f"{reached}: {open_contacts}. {go_on}"


def contacts_by_status(frame: pd.DataFrame) -> dict[str, int]:
    """Count the distinct contacts of a result frame by status, in the order of the statuses."""
    counts = _contact_rows(frame)["status"].value_counts()
    return {status: int(counts[status]) for status in STATUSES if counts.get(status, 0)}


def _contact_rows(frame: pd.DataFrame) -> pd.DataFrame:
    """Keep one row a contact; rows without a usable id are no contact."""
    usable = frame["contact_id"].notna() & ~frame["reason"].isin(_WITHOUT_CONTACT)
    return frame[usable].drop_duplicates("contact_id")


def _shown(status: str) -> str:
    return status.replace("_", " ")
