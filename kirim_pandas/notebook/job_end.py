"""How a run ended, as text and as HTML that is still true when the notebook is opened again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import pandas as pd
from markupsafe import Markup

from kirim_pandas.errors import RunInterrupted
from kirim_pandas.frames.charts import COLOURS
from kirim_pandas.frames.ids import NO_CONTACT
from kirim_pandas.frames.results import STATUSES
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

_WITHOUT_CONTACT = tuple(NO_CONTACT.values())
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
    is_job : bool
        Whether it ran in the background, where a job is at hand to ask.
    resumable : bool
        Whether it is written down, so that it can be resumed.
    """

    facts: JobFacts
    frame: pd.DataFrame | None
    error: BaseException | None
    progress: Progress
    at: datetime
    notes: Sequence[str] = ()
    is_job: bool = False
    resumable: bool = True

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
            shown = f"{of_whom}: {shown}" if (of_whom := self._of_whom(counts)) else shown
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
        among = self._of_whom(counts) or f"{many(total, 'contact')}{f' in {rows}' if rows else ''}"
        said = said.format(self.state.capitalize(), f"{among}.")
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
        way = Markup(" {} every row, {} says why contacts were skipped and what to do.")
        code = Markup("<code>{}</code>")
        if self.frame is None:
            way = EMPTY
        elif not self.is_job:
            way = way.format("The result has", code.format("result.kirim.report()"))
        else:
            # A call that raises is no way to look at the rows: ``.result()`` does after a stop.
            rows = ".result()" if self.error is None else ".frame"
            report = code.format(f"{rows}.kirim.report()")
            way = way.format(Markup("The job's {} has").format(code.format(rows)), report)
        cost = Markup('<p class="soft">{}{}</p>').format(self.cost, way)
        messages = (Markup("<p>{}</p>").format(message) for message in self._messages())
        return framed(cost + EMPTY.join(messages))

    @property
    def cost(self) -> str:
        """Requests and time."""
        if not self.progress.requests:
            return f"Nothing was {'left to send' if self.facts.contacts else 'sent'}."
        seconds = (self.at - self.facts.started).total_seconds()
        return f"{many(self.progress.requests, 'request')} in {duration_text(seconds)}."

    def _of_whom(self, counts: dict[str, int]) -> str:
        """Say whom a sync's counts are of, where they are of more than it was sent for."""
        total = sum(counts.values())
        if self.frame is None or "change" not in self.frame or total == self.facts.contacts:
            return ""
        return f"All {many(total, 'contact')} of the frame, those left as they were included"

    def _rows(self) -> str:
        """Count the rows where they are not as many as the contacts."""
        assert self.frame is not None  # asked only of what there is
        rows = len(self.frame)
        without = int(self.frame["reason"].isin(_WITHOUT_CONTACT).sum())
        if rows == sum(contacts_by_status(self.frame).values()):
            return ""
        unusable = f", {without:,} of them without a contact" if without else ""
        return f"{many(rows, 'row')}{unusable}"

    def _messages(self) -> list[str]:
        """Say what ended the run, what is left open, and how to go on."""
        error, frame, cap = self.error, self.frame, self.progress.cap
        stopped = isinstance(error, RunInterrupted)
        told = [f"{type(error).__name__}: {error}"] if error is not None and not stopped else []
        if frame is not None and not told:
            told += self._open_ends(set(frame["reason"].dropna()))
            if cap is not None:
                told.append(cap_note(frame, cap, self.facts))
        if stopped:
            told.append(self._how_to_go_on())
        found = [self.progress.found] if self.progress.found else []
        return [*found, *told, *self.notes]

    def _open_ends(self, reasons: set[str]) -> list[str]:
        now, told = self.progress, []
        if "undetermined" in reasons:
            passing, skipped = self.facts.counted
            told.append(
                f"The service counted {now.applied + passing:,} contacts as passing and "
                f"{now.skipped + skipped:,} as skipped; not of all it is known which."
            )
            if self.state == "finished":
                told.append(f"{self.facts.resume[:-1]}, resolve='rows') finds out.")
        if "no_reply" in reasons:
            told.append(
                "Contacts whose call had no answer are unknown: they may be labeled. A resume asks "
                "again about them."
            )
        return told

    def _how_to_go_on(self) -> str:
        if not self.resumable:
            return "Calling again is safe: a label that is set twice stays as it is."
        now = "; so does .resume() of the job" if self.is_job else ""
        return f"{self.facts.resume} goes on from here, at any time{now}."


def cap_note(frame: pd.DataFrame, cap: tuple[int, int], facts: JobFacts) -> str:
    """Say what ``max_requests`` left open, and how to go on.

    Parameters
    ----------
    frame
        The result frame.
    cap
        Requests spent and allowed.
    facts
        What the run was about.
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
    unless = "" if facts.task else " unless you give one"  # several runs take no other cap
    return f"{reached}: {open_contacts}. {facts.resume} goes on, without a cap{unless}."


def contacts_by_status(frame: pd.DataFrame) -> dict[str, int]:
    """Count the distinct contacts of a result frame by status, in the order of the statuses."""
    counts = _contact_rows(frame)["status"].value_counts()
    return {status: int(counts[status]) for status in STATUSES if counts.get(status, 0)}


def _contact_rows(frame: pd.DataFrame) -> pd.DataFrame:
    """Keep one row a contact and label; rows without a usable id are no contact."""
    usable = frame["contact_id"].notna() & ~frame["reason"].isin(_WITHOUT_CONTACT)
    keys = [name for name in ("contact_id", "label_id", "operation") if name in frame]
    return frame[usable].drop_duplicates(keys)


def _shown(status: str) -> str:
    return status.replace("_", " ")
