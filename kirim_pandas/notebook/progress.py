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

from kirim_pandas.labeling.events import Event, PhaseStarted, RunEnded
from kirim_pandas.labeling.tally import Progress, Tally

__all__ = ["ProgressBar", "ProgressCallback", "in_notebook"]

VERBS = {"attach": "attaching", "detach": "detaching"}


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

        self._tally = Tally(contact_count)
        self._operation = operation
        self._verb = VERBS[operation]
        self._started = time.monotonic()
        self._requests_per_minute = requests_per_minute
        self._bar: Any = tqdm(
            total=contact_count,
            desc=self._verb,
            unit=" contacts",
            # Only a person is shown a bar: a log file would keep every one of its steps.
            disable=False if in_notebook() else None,
            file=sys.stdout,
            dynamic_ncols=True,
            bar_format="{desc}: {percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt} [{elapsed}{postfix}]",
        )

    def __call__(self, event: Event) -> None:
        """Take one event."""
        self._tally(event)
        now = self._tally.progress
        if isinstance(event, RunEnded):
            self._end(now)
            return
        if isinstance(event, PhaseStarted) and event.phase != "apply":
            self._start_resolving(event)
        done = now.answered if now.phase == "apply" else now.to_resolve - now.undetermined
        self._bar.set_postfix_str(self._postfix(now), refresh=False)
        self._bar.n = done
        self._bar.refresh()

    def summarise(self, result: pd.DataFrame) -> None:
        """Print the one line that is still true when the notebook is opened again."""
        seconds = time.monotonic() - self._started
        print(summary_line(result, self._operation, self._tally.progress.requests, seconds))

    def close(self) -> None:
        """Close the bar, whatever happened; a second time does nothing."""
        self._bar.close()

    def _start_resolving(self, event: PhaseStarted) -> None:
        if event.phase == "resolve":
            print_note(self._bar, resolve_note(event, self._requests_per_minute()))
            self._bar.set_description_str("finding the skipped", refresh=False)
            self._bar.reset(total=event.contacts)
        else:
            self._bar.set_description_str("checking", refresh=False)

    def _end(self, now: Progress) -> None:
        if now.state == "finished":
            self._bar.n = self._bar.total
            self._bar.set_postfix_str(self._postfix(now), refresh=False)
        else:
            self._bar.set_description_str(f"{self._verb}: {now.state}", refresh=False)
        self._bar.refresh()
        self.close()

    @staticmethod
    def _postfix(now: Progress) -> str:
        about = max(now.requests_expected, now.requests)
        parts = [
            f"{now.applied:,} applied",
            f"{now.skipped:,} skipped",
            f"request {now.requests:,} of about {about:,}",
        ]
        if now.waiting:
            parts.append(f"waiting: {now.waiting}")
        return ", ".join(parts)


def resolve_note(event: PhaseStarted, requests_per_minute: float) -> str:
    """Say what finding the skipped contacts will cost, before it is spent."""
    requests = max(1, round(event.requests))
    minutes = requests / requests_per_minute
    duration = "under a minute" if minutes < 1 else f"about {minutes:,.0f} min"
    return (
        f"All batches are sent. To name the skipped among {event.contacts:,} contacts takes about "
        f"{requests:,} more requests ({duration} at {requests_per_minute:,.0f} a minute). "
        "You can stop at any time without loss: the labels are already set."
    )


def summary_line(result: pd.DataFrame, operation: str, requests: int, seconds: float) -> str:
    """Say in one line what became of the rows."""
    counts = result["status"].value_counts(sort=False)
    statuses = ", ".join(f"{rows:,} {status}" for status, rows in counts.items() if rows)
    minutes, rest = divmod(round(seconds), 60)
    took = f"{minutes} min {rest} s" if minutes else f"{seconds:.1f} s"
    return (
        f"{operation}: {len(result):,} rows: {statuses or 'none'}. "
        f"{requests:,} requests in {took}. Run {result.attrs['kirim_run_id']}."
    )


def print_note(bar: Any, text: str) -> None:
    """Print one line beside the bar."""
    bar.write(text, file=sys.stdout)
