"""One bar, in contacts: who is labeled, who was skipped, how many requests, why it waits.

The only module that imports tqdm.  It draws in the thread that waits for the run, never in a
worker; after the bar stands one static line, because a saved bar reads 0 % when the notebook is
opened again.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

import pandas as pd

from kirim_pandas.frames.plan import minutes_for
from kirim_pandas.notebook.bar_place import BarPlace
from kirim_pandas.notebook.job_end import cap_note, shares_html
from kirim_pandas.run.events import Event, PhaseStarted, RunEnded, Waiting
from kirim_pandas.run.progress import Progress, Tally

__all__ = ["ProgressBar", "ProgressCallback", "in_notebook"]

VERBS = {"attach": "attaching", "detach": "detaching"}

REDRAW_SECONDS = 0.1
"""Each drawing is several messages to a browser; a fast run has hundreds of events a second."""

LEAST_BAR_COLUMNS = 16
"""A shorter bar shows nothing: on a narrow terminal the words give way."""

IN_CONTACTS = "{desc}: {percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt} contacts [{elapsed}{postfix}]"
IN_REQUESTS = "{desc}: {percentage:3.0f}%|{bar}| [{elapsed}{postfix}]"
"""While the skipped are sought, most contacts get their names late; the requests go evenly."""


def in_notebook() -> bool:
    """Tell whether a notebook's kernel runs this code."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    return hasattr(shell, "kernel")


class ProgressCallback:
    """Calls `callback` with a :class:`Progress` after each event that changes it."""

    def __init__(self, contact_count: int, callback: Callable[[Progress], object]) -> None:
        self._tally = Tally(contact_count)
        self._callback = callback

    def __call__(self, event: Event) -> None:
        """Take one event."""
        before = self._tally.progress
        self._tally(event)
        if self._tally.progress != before:
            self._callback(self._tally.progress)

    def summarise(self, result: pd.DataFrame) -> None:
        """Say nothing: the callable has heard it all."""


class ProgressBar:
    """A tqdm bar in a notebook or on a terminal; elsewhere silent but for its notes.

    Parameters
    ----------
    contact_count
        Distinct contacts of the run.
    operation
        ``"attach"`` or ``"detach"``.
    requests_per_minute
        The pace the notes reckon with, asked when needed.
    """

    def __init__(
        self, contact_count: int, operation: str, requests_per_minute: Callable[[], float]
    ) -> None:
        from tqdm.auto import tqdm
        from tqdm.notebook import tqdm_notebook

        # In a notebook the bar is put in its place here, so that words can take it at the end.
        placed = in_notebook() and issubclass(tqdm, tqdm_notebook)
        self._tally = Tally(contact_count)
        self._operation = operation
        self._verb = VERBS[operation]
        self._started = time.monotonic()
        self._requests_per_minute = requests_per_minute
        make: Any = tqdm
        self._bar = make(
            total=contact_count,
            desc=self._verb,
            unit=" contacts",
            # Only a person is shown a bar: a log file would keep every one of its steps.
            disable=False if in_notebook() else None,
            file=sys.stdout,
            dynamic_ncols=True,
            bar_format=IN_CONTACTS,
            **({"display": False} if placed else {}),
        )
        self._place = BarPlace(self._bar.container) if placed else None
        self._closed = False
        self._drawn_at = 0.0
        self._requests_before = 0

    def __call__(self, event: Event) -> None:
        """Take one event."""
        self._tally(event)
        now = self._tally.progress
        if isinstance(event, RunEnded):
            self._end(now)
            return
        if isinstance(event, PhaseStarted) and event.phase != "apply":
            self._start_probing(event)
        elif isinstance(event, Waiting) or time.monotonic() - self._drawn_at > REDRAW_SECONDS:
            self._draw(now)

    def summarise(self, result: pd.DataFrame) -> None:
        """Print the one line that is still true when the notebook is opened again."""
        seconds = time.monotonic() - self._started
        line = summary_line(result, self._operation, self._tally.progress, seconds)
        if self._place is None:
            print(line)
        else:
            self._place.settle(line, before=shares_html(result))

    def close(self) -> None:
        """Close the bar, whatever happened; a second time does nothing."""
        self._bar.close()
        if self._place is not None and not self._closed:
            now = self._tally.progress
            answers = f"{now.answered:,} of {now.contacts:,} contacts answered for"
            self._place.settle(f"{self._verb}: {now.state}. {answers}, {self._postfix(now)}.")
        self._closed = True

    def _start_probing(self, event: PhaseStarted) -> None:
        now = self._tally.progress
        rate = self._requests_per_minute()
        note = resolve_note(event, self._operation, rate, made=now.requests)
        if self._place is None:
            print_note(self._bar, note)
        else:
            self._place.announce(note)
        self._requests_before = self._tally.progress.requests
        self._bar.set_description_str("finding the skipped", refresh=False)
        self._bar.bar_format = IN_REQUESTS
        self._bar.reset(total=1)
        self._draw(self._tally.progress)

    def _draw(self, now: Progress) -> None:
        if now.phase == "apply":
            self._bar.n = now.answered
        else:
            made = now.requests - self._requests_before
            expected = max(now.requests_expected - self._requests_before, made, 1)
            self._bar.n = made / expected
        if self._place is None:
            self._bar.set_postfix_str(self._fitting(now), refresh=False)
        else:
            self._place.say(self._postfix(now))
        self._bar.refresh()
        self._drawn_at = time.monotonic()

    def _end(self, now: Progress) -> None:
        self._draw(now)
        if now.state == "finished":
            self._bar.n = self._bar.total
        else:
            self._bar.set_description_str(f"{self._verb}: {now.state}", refresh=False)
        self._bar.refresh()
        self.close()

    def _fitting(self, now: Progress) -> str:
        """Say as much as the terminal has room for beside a bar that can be read."""
        columns = self._bar.format_dict["ncols"]
        wordings = [self._postfix(now), *short_postfixes(now)]
        if not columns:
            return wordings[0]
        # With a width of None tqdm draws a bar of ten.
        bare = self._bar.format_meter(**(self._bar.format_dict | {"postfix": None, "ncols": None}))
        room = columns - (len(bare) - 10) - len(", ") - LEAST_BAR_COLUMNS
        return next((words for words in wordings if len(words) <= room), wordings[-1])

    @staticmethod
    def _postfix(now: Progress) -> str:
        about = max(now.requests_expected, now.requests)
        settled = now.to_resolve - now.undetermined
        parts = [
            *([f"{settled:,} of {now.to_resolve:,} settled"] if now.to_resolve else []),
            f"{now.applied:,} applied",
            f"{now.skipped:,} skipped",
            f"request {now.requests:,} of about {about:,}",
        ]
        if now.waiting:
            parts.append(f"waiting: {now.waiting}")
        return ", ".join(parts)


def short_postfixes(now: Progress) -> list[str]:
    """Say it in fewer and fewer words; that the run waits comes before its counts."""
    about = max(now.requests_expected, now.requests)
    requests = f"request {now.requests:,}/{about:,}"
    counts = f"{now.applied:,} applied, {now.skipped:,} skipped"
    if now.waiting:
        return [f"{requests}, waiting: {now.waiting}", f"{requests}, waiting", "waiting"]
    if now.to_resolve:
        settled = now.to_resolve - now.undetermined
        return [f"{settled:,}/{now.to_resolve:,} settled, {requests}", requests]
    return [f"{counts}, {requests}", requests]


def resolve_note(
    event: PhaseStarted, operation: str, requests_per_minute: float, *, made: int = 0
) -> str:
    """Say what finding the skipped contacts will cost, before it is spent.

    Parameters
    ----------
    event
        The start of the phase.
    operation
        ``"attach"`` or ``"detach"``.
    requests_per_minute
        The pace.
    made
        Requests the run has made: a full bucket lets the first ones go at once.
    """
    requests = max(1, round(event.requests))
    before = minutes_for(made, requests_per_minute)
    minutes = minutes_for(made + requests, requests_per_minute) - before
    duration = "under a minute" if minutes < 1 else f"about {minutes:,.0f} min"
    state = {"attach": "set", "detach": "removed"}[operation]
    return (
        f"All batches are sent. To name the skipped among {many(event.contacts, 'contact')} takes "
        f"about {many(requests, 'more request')} ({duration} at {requests_per_minute:,.0f} a "
        f"minute). You can stop at any time without loss: the labels are already {state}."
    )


def summary_line(result: pd.DataFrame, operation: str, progress: Progress, seconds: float) -> str:
    """Say in one line what became of the rows."""
    counts = result["status"].value_counts(sort=False)
    statuses = ", ".join(f"{rows:,} {status}" for status, rows in counts.items() if rows)
    minutes, rest = divmod(round(seconds), 60)
    took = f"{minutes} min {rest} s" if minutes else f"{seconds:.1f} s"
    run_id = result.attrs["kirim_run_id"]
    spent = "Nothing was left to send."
    if progress.requests:
        spent = f"{many(progress.requests, 'request')} in {took}."
    unsettled = ""
    if counts["unknown"]:
        unsettled = (
            f" The service counted {progress.applied:,} contacts as passing and "
            f"{progress.skipped:,} as skipped"
        )
        find_out = f"; df.kirim.resume({run_id!r}, resolve='rows') finds out who."
        unsettled += "." if progress.cap else find_out
    if progress.cap:
        unsettled += f" {cap_note(result, progress.cap)}"
    return (
        f"{operation}: {len(result):,} rows: {statuses or 'none'}. {spent} Run {run_id}.{unsettled}"
    )


def many(number: int, noun: str) -> str:
    """Write a number of things: ``1 request``, ``2 requests``."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def print_note(bar: Any, text: str) -> None:
    """Print one line beside the bar."""
    bar.write(text, file=sys.stdout)
