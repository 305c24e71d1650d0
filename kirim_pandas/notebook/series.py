"""One progress for runs that are carried out one after the other; it names the label at work."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

import pandas as pd

from kirim_pandas.notebook.bar_place import BarPlace, place_for, show_summary
from kirim_pandas.notebook.job_end import Ending
from kirim_pandas.notebook.progress import REDRAW_SECONDS
from kirim_pandas.notebook.texts import JobFacts, StepShare
from kirim_pandas.run.events import Event, PhaseStarted, Waiting
from kirim_pandas.run.progress import Progress, RunState, Tally


class SeriesTally:
    """A listener of several runs, which it adds up to one progress.

    Parameters
    ----------
    contact_count
        Contacts of all runs together, each counted once a run.
    """

    def __init__(self, contact_count: int) -> None:
        self._before = self.progress = Progress(contact_count)
        self._tally, self._later, self._at_work = Tally(0), 0, ""

    def begin(self, at_work: str, contacts: int, later: int) -> None:
        """Take what comes from now on as the next run's; `later` batches of others follow it."""
        self._before, self._tally, self._later = self.progress, Tally(contacts), later
        self._at_work = at_work

    def begin_again(self, at_work: str) -> None:
        """Go on with the run that ended last."""
        made = self.progress.requests
        self.progress = replace(self._before, requests=made, requests_expected=made)
        self.begin(at_work, self._tally.progress.contacts, self._later)

    def __call__(self, event: Event) -> None:
        """Take one event of the run at work."""
        self._tally(event)
        self._tell(self._added_up("running"), now=isinstance(event, PhaseStarted | Waiting))

    def end(self, state: RunState, cap: tuple[int, int] | None = None) -> None:
        """Take it that no further run follows; `cap` as of `Progress`, where one left rows open."""
        self._tell(replace(self._added_up(state), cap=cap), now=True)

    def summarise(self, result: pd.DataFrame) -> None:
        """Show what became of the rows, where that is shown here."""

    def _tell(self, progress: Progress, *, now: bool) -> None:  # noqa: ARG002 - for what draws
        self.progress = progress

    def _added_up(self, state: RunState) -> Progress:
        before, now = self._before, self._tally.progress
        return replace(
            now,
            contacts=before.contacts,
            state=state,
            cap=None,  # that of the run at work is a part of what all may cost
            answered=before.answered + now.answered,
            applied=before.applied + now.applied,
            skipped=before.skipped + now.skipped,
            requests=before.requests + now.requests,
            requests_expected=before.requests + now.requests_expected + self._later,
            at_work=self._at_work,
        )


class SeriesProgress(SeriesTally):
    """The same, drawn as a bar or told to a callable.

    Parameters
    ----------
    facts
        What all of them are about.
    requests_per_minute
        The pace the time left is reckoned with, asked when needed.
    callback
        Told of each change, instead of a bar.
    """

    def __init__(
        self,
        facts: JobFacts,
        requests_per_minute: Callable[[], float],
        callback: Callable[[Progress], object] | None = None,
    ) -> None:
        super().__init__(facts.contacts)
        self._facts = facts
        self._requests_per_minute = requests_per_minute
        self._callback = callback
        self._place: BarPlace | None = None
        self._is_open = True
        self._share = StepShare()
        self._drawn_at = 0.0

    def begin(self, at_work: str, contacts: int, later: int) -> None:
        """Take what comes from now on as the next run's."""
        super().begin(at_work, contacts, later)
        if self._callback is None:
            self._place = self._place or place_for(self._facts)
            self._place.say(f"{at_work}.")

    def end(self, state: RunState, cap: tuple[int, int] | None = None) -> None:
        """Show that no further run follows; a second time does nothing."""
        if self._is_open:
            self._is_open = False
            super().end(state, cap)
            if self._place is not None:
                self._place.close("" if state == "finished" else f"{state.capitalize()}.")

    def summarise(self, result: pd.DataFrame) -> None:
        """Show what is still true when the notebook is opened again."""
        if self._callback is None:
            now = datetime.now().astimezone()
            show_summary(Ending(self._facts, result, None, self.progress, now))

    def _tell(self, progress: Progress, *, now: bool) -> None:
        changed, self.progress = progress != self.progress, progress
        if self._callback is None:
            self._draw(now=now)
        elif changed:
            self._callback(progress)

    def _draw(self, *, now: bool) -> None:
        if self._place is not None and (now or time.monotonic() - self._drawn_at > REDRAW_SECONDS):
            share = self._share(self.progress)
            self._place.draw(self.progress, share, per_minute=self._requests_per_minute())
            self._drawn_at = time.monotonic()
