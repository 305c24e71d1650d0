"""The progress of a call that waits for its run: a bar, or a callable of the caller's.

Both only show: what they cannot draw never ends the run.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime

import pandas as pd

from kirim_pandas.frames.plan import least_probes, minutes_for
from kirim_pandas.notebook.bar_place import BarPlace, place_for, show_summary
from kirim_pandas.notebook.job_end import Ending
from kirim_pandas.notebook.texts import JobFacts, StepShare, many
from kirim_pandas.run.events import Event, PhaseStarted, RunEnded, Waiting
from kirim_pandas.run.progress import Progress, Tally

REDRAW_SECONDS = 0.1
"""Each drawing is a message to a browser; a fast run has hundreds of events a second."""


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

    def close(self) -> None:
        """Do nothing: there is no bar."""


class ProgressBar:
    """A bar in a notebook or on a terminal, lines elsewhere.

    Parameters
    ----------
    facts
        What the run is about.
    requests_per_minute
        The pace the time left is reckoned with, asked when needed.
    """

    def __init__(self, facts: JobFacts, requests_per_minute: Callable[[], float]) -> None:
        self._facts = facts
        self._requests_per_minute = requests_per_minute
        self._tally = Tally(facts.contacts)
        self._share = StepShare()
        # Made with the first event: what cannot be shown must not keep a run from beginning.
        self._place: BarPlace | None = None
        self._drawn_at = 0.0
        self._is_open = True

    def __call__(self, event: Event) -> None:
        """Take one event."""
        self._tally(event)
        place = self._place = self._place or place_for(self._facts)
        if isinstance(event, PhaseStarted) and event.phase == "resolve":
            made = self._tally.progress.requests
            rate = self._requests_per_minute()
            place.say(resolve_note(event, self._facts.operation, rate, made=made))
        if isinstance(event, RunEnded | PhaseStarted | Waiting) or self._is_time():
            self._draw(place)
        if isinstance(event, RunEnded):
            self.close()

    def summarise(self, result: pd.DataFrame) -> None:
        """Show what is still true when the notebook is opened again."""
        if self._place is not None:
            now = datetime.now().astimezone()
            show_summary(Ending(self._facts, result, None, self._tally.progress, now))

    def close(self) -> None:
        """Close the bar, whatever happened; a second time does nothing."""
        if self._place is None or not self._is_open:
            return
        self._is_open = False
        now = self._tally.progress
        answers = f"{now.answered:,} of {many(now.contacts, 'contact')} answered for"
        counts = f"{now.applied:,} applied, {now.skipped:,} skipped"
        state = "ended early" if now.state == "running" else now.state
        last_word = f"{state.capitalize()}. {answers}, {counts}."
        self._place.close("" if state == "finished" else last_word)

    def _is_time(self) -> bool:
        return time.monotonic() - self._drawn_at > REDRAW_SECONDS

    def _draw(self, place: BarPlace) -> None:
        now = self._tally.progress
        share = 1.0 if now.state == "finished" else self._share(now)
        place.draw(now, share, per_minute=self._requests_per_minute())
        self._drawn_at = time.monotonic()


def resolve_note(
    event: PhaseStarted, operation: str, requests_per_minute: float, *, made: int = 0
) -> str:
    """Say what finding the skipped contacts will cost, before it is spent.

    Nobody knows yet whether something explains the skips, so both ends are told.

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
    most = max(1, round(event.requests))
    least = least_probes(event.contacts)
    before = minutes_for(made, requests_per_minute)
    minutes = minutes_for(made + most, requests_per_minute) - before
    duration = "under a minute" if minutes < 1 else f"about {minutes:,.0f} min"
    lasts = f"({duration} at {requests_per_minute:,.0f} a minute)"
    cost = f"up to about {many(most, 'more request')} {lasts}"
    if least < most:
        cost = (
            f"about {many(least, 'more request')} where a column or the connected number decides "
            f"it, up to about {most:,} {lasts} where nothing does"
        )
    state = {"attach": "set", "detach": "removed"}[operation]
    return (
        f"All batches are sent. To name the skipped among {many(event.contacts, 'contact')} takes "
        f"{cost}. You can stop at any time without loss: the labels are already {state}."
    )
