"""A run in the background: the cell returns at once, the kernel stays free.

The run has a thread of its own, and that thread draws nothing: what it knows is read from here by
whoever shows it.  What shows it is handed in.
"""

from __future__ import annotations

import threading
import time
import warnings
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any, Protocol, TypeAlias

import numpy as np
import pandas as pd

from kirim_pandas.errors import InvalidInputError, KirimError, RunInterrupted, ShortTraceback
from kirim_pandas.frames.shapes import expect
from kirim_pandas.notebook.job_end import Ending
from kirim_pandas.notebook.kernel import in_notebook, somebody_watches
from kirim_pandas.notebook.series import SeriesTally
from kirim_pandas.notebook.texts import JobFacts, state_text, time_left_text
from kirim_pandas.run.events import Listener
from kirim_pandas.run.progress import Progress, Tally
from kirim_pandas.run.stop import StopButton

POLL_SECONDS = 0.05
"""How often a waiting call looks whether the run has ended."""

HOW_TO_ASK = (
    "It runs in the background: the job in a line of its own tells where it stands, .result() "
    "waits for it, .cancel() stops it."
)

Work: TypeAlias = Callable[[Listener, StopButton], pd.DataFrame]
"""``work(listener, stop)``: does the whole run in the thread that calls it."""


class JobView(Protocol):
    """What shows a job."""

    def show(self) -> None:
        """Show the job where this is called, and keep it up to date."""

    def finish(self) -> None:
        """Show now how the job has ended, unless that was shown before."""


class LabelJob:
    """A run that goes on in the background; made by ``df.kirim.bulk_label_job`` and its like.

    In a notebook it shows itself: a bar, what happened so far, a Cancel button, and at the end a
    summary that is still there when the notebook is opened again.

    Parameters
    ----------
    work
        Does the run.
    facts
        What the run is about.
    view
        Makes what shows the job, when it is first shown.
    resume
        Starts a job that goes on with the run; None for a run that is not written down.
    requests_per_minute
        The pace the time left is reckoned with, asked when needed.
    notes
        What people must know beside the result; may grow while the job runs.
    tally
        Knows where it stands; by default one that is told the events of one run.
    """

    def __init__(
        self,
        work: Work,
        facts: JobFacts,
        *,
        view: Callable[[LabelJob], JobView],
        resume: Callable[[], LabelJob] | None = None,
        requests_per_minute: Callable[[], float] = lambda: 60.0,
        notes: Sequence[str] = (),
        tally: SeriesTally | None = None,
    ) -> None:
        self.facts = facts
        self.requests_per_minute = requests_per_minute
        self.notes = notes
        self._work = work
        self._make_view = view
        self._resume = resume
        self._tally: Tally | SeriesTally = tally or Tally(facts.contacts)
        self._stop = StopButton()
        self._result: pd.DataFrame | None = None
        self._error: BaseException | None = None
        self._ending: Ending | None = None
        self._view: JobView | None = None
        self._thread = threading.Thread(target=self._run, name="kirim-pandas-job", daemon=True)

    def start(self) -> None:
        """Begin; called once, by what makes the job."""
        self._thread.start()

    def announce(self) -> None:
        """Show the job where somebody watches; called once, by what started it."""
        with self._only_shown():
            if somebody_watches():
                self._show()

    # -- what people use -------------------------------------------------------------------

    @property
    def run_id(self) -> str:
        """The run's id, for ``df.kirim.resume`` and ``kirim_pandas.runs``."""
        return self.facts.run_id

    @property
    def done(self) -> bool:
        """Whether the run has ended, however it did."""
        return self._ending is not None

    @property
    def progress(self) -> Progress:
        """Where the run stands now."""
        return self._tally.progress

    @property
    def frame(self) -> pd.DataFrame | None:
        """The result frame once the run has ended, complete or not; None before."""
        return self._ending.frame if self._ending is not None else None

    @property
    def resumable(self) -> bool:
        """Whether the run has ended before its end, and :meth:`resume` goes on with it."""
        ending = self._ending
        return ending is not None and ending.state != "finished" and self._resume is not None

    def cancel(self) -> None:
        """Stop the run in order: calls under way are settled, everything done so far is kept.

        Returns at once, from any thread; a second call changes nothing.
        """
        if not self._stop.presses:
            self._stop.press()

    @ShortTraceback()
    def resume(self) -> LabelJob:
        """Go on with a run that was cancelled, capped, or ended by an error.

        Returns
        -------
        LabelJob
            A new job for the same run, started; this one stays as it ended.

        Raises
        ------
        InvalidInputError
            The run has not ended, nothing is left to do, or it was not written down.
        ConfigurationError, JournalError
            It could not be started; nothing was sent.
        """
        if self._ending is None:
            raise InvalidInputError("The run is under way: wait for it, or cancel it first.")
        if self._ending.state == "finished":
            raise InvalidInputError("The run has finished: nothing is left to resume.")
        if self._resume is None:
            raise InvalidInputError(
                "The run was not written down (journal=False), so it cannot be resumed; labeling "
                "again is safe: a label that is set twice stays as it is."
            )
        return self._resume()

    def result(self, timeout_seconds: float | None = None) -> pd.DataFrame:
        """Wait for the end of the run.

        An interrupt (Ctrl-C, the stop button) ends the waiting only: the run goes on, and
        :meth:`cancel` stops it.

        Parameters
        ----------
        timeout_seconds
            How long to wait; None waits to the end.

        Returns
        -------
        DataFrame
            The result frame, as of ``df.kirim.bulk_label``.

        Raises
        ------
        InvalidInputError
            `timeout_seconds` is no number.
        TimeoutError
            The run still goes on.
        KirimError
            What ended the run, with the full-length partial frame as ``.result``, and
            ``.run_id``.
        RunInterrupted
            It was cancelled; likewise.
        """
        seconds = int | float | np.number | None
        expect(timeout_seconds, seconds, argument="timeout_seconds", expected="seconds, or None")
        deadline = None if timeout_seconds is None else time.monotonic() + timeout_seconds
        # Short sleeps instead of a lock: an interrupt leaves nothing behind that is half held.
        while not self.done:
            if deadline is not None and time.monotonic() >= deadline:
                raise TimeoutError(
                    f"The run goes on in the background: {state_text(self.progress)}. "
                    "result() waits on, cancel() stops it."
                )
            time.sleep(POLL_SECONDS)
        return self._outcome()

    def show(self) -> None:
        """Show the job here; what fails to be drawn is told in a warning, and the run goes on."""
        with self._only_shown():
            self._show()

    def __await__(self) -> Generator[Any, None, pd.DataFrame]:
        return self._waited().__await__()

    def __repr__(self) -> str:
        if self._ending is not None:
            return self._ending.text
        now = self.progress
        left = time_left_text(now, self.requests_per_minute(), self.facts.seconds)
        goes_on = f"{left} for this step"
        if self._stop.presses:
            goes_on = "stopping: calls under way are waited for"
        waiting = f" Waiting: {now.waiting}." if now.waiting else ""
        return (
            f"{self.facts.sentence}. Run {self.run_id}.\n"
            f"{state_text(now).capitalize()}, {goes_on}.{waiting}\n{HOW_TO_ASK}"
        )

    def _ipython_display_(self) -> None:
        if not in_notebook():
            raise NotImplementedError  # a terminal shows the repr
        self.show()

    # -- what shows the job uses -----------------------------------------------------------

    @property
    def stopping(self) -> bool:
        """Whether somebody has cancelled it."""
        return self._stop.presses > 0

    @property
    def ending(self) -> Ending | None:
        """How the run ended, to be shown; None before."""
        return self._ending

    # -- the thread ------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            self._result = self._work(self._tally, self._stop)
        except BaseException as error:  # raised where somebody waits for it
            self._error = error
        frame = getattr(self._error, "result", None) if self._error else self._result
        now = datetime.now().astimezone()
        # The last step: whoever sees an ending also sees the result, or the error.
        self._ending = Ending(
            self.facts,
            frame,
            self._error,
            self.progress,
            now,
            self.notes,
            is_job=True,
            resumable=self._resume is not None,
        )

    def _show(self) -> None:
        if self._view is None:
            self._view = self._make_view(self)
        self._view.show()

    @contextmanager
    def _only_shown(self) -> Iterator[None]:
        """What is only shown never decides what is done."""
        try:
            yield
        except Exception as error:
            failed = f"{type(error).__name__}: {error}"
            warnings.warn(f"The job cannot be shown ({failed}). {self!r}", stacklevel=4)

    def _outcome(self) -> pd.DataFrame:
        if self._view is not None:  # so the last line stands where somebody waits for it
            with self._only_shown():
                self._view.finish()
        error = self._error
        if error is None:
            assert self._result is not None  # the thread has ended without an error
            return self._result
        # What the library says on purpose needs no traceback of a thread nobody has seen.
        own = isinstance(error, (KirimError, RunInterrupted))
        raise error.with_traceback(None) if own else error

    async def _waited(self) -> pd.DataFrame:
        import asyncio

        while not self.done:
            await asyncio.sleep(POLL_SECONDS)
        try:
            return self._outcome()
        except RunInterrupted as error:
            # A KeyboardInterrupt that leaves a task ends its loop, and with it the kernel.
            cancelled: Any = asyncio.CancelledError(str(error))
            cancelled.result, cancelled.run_id = error.result, error.run_id
            raise cancelled from None
