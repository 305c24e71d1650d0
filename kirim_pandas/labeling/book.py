"""The book of one run: its part of the journal, locked for whoever works on it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from kirim_pandas.labeling.events import (
    CallAnswered,
    CallPlanned,
    CallRefused,
    CallUnsent,
    Event,
)
from kirim_pandas.labeling.job import PastCall
from kirim_pandas.labeling.journal import Journal, RecordState, RunRecord
from kirim_pandas.labeling.locks import RunLock

__all__ = ["RunBook", "lock_path"]


def lock_path(journal: Journal, run_id: str) -> Path:
    """Return the lock file of a run."""
    return journal.path.with_name(f"{journal.path.name}.{run_id}.lock")


class RunBook:
    """A listener that writes a run's events down, each before the run goes on.

    Use it in a ``with`` block.  Until the first call is sent, what fails raises; once the run is
    under way a journal that fails is given up with a warning, and the run goes on in memory.

    Parameters
    ----------
    path
        Where the journal is; None for the usual place.
    run_id
        The run.
    warn
        Called once, with a sentence, when the journal can no longer be written.

    Raises
    ------
    JournalError
        The journal is not usable, or somebody else works on the run.
    """

    def __init__(
        self, path: str | Path | None, run_id: str, *, warn: Callable[[str], None]
    ) -> None:
        self._run_id = run_id
        self._warn = warn
        self._broken = False
        self._journal = Journal(path)
        try:
            self._lock = RunLock(lock_path(self._journal, run_id), run_id)
        except BaseException:
            self._journal.close()
            raise

    def begin(self, record: RunRecord) -> None:
        """Write a new run down."""
        self._journal.begin(record)

    def load(self) -> tuple[RunRecord, list[PastCall]]:
        """Read what an earlier session left."""
        return self._journal.load(self._run_id)

    def __call__(self, event: Event) -> None:
        """Take one event."""
        journal, run_id = self._journal, self._run_id
        match event:
            case CallPlanned(call):
                self._write(lambda: journal.plan_call(run_id, call))
            case CallAnswered(call, reply):
                counts = reply.counts
                answer = [counts.applied, counts.cross_org, counts.team_mismatch, reply.request_id]
                self._write(lambda: journal.answer_call(run_id, call, "answered", answer))
            case CallRefused(call, code, request_id):
                answer = [code, request_id]
                self._write(lambda: journal.answer_call(run_id, call, "refused", answer))
            case CallUnsent(call):
                self._write(lambda: journal.answer_call(run_id, call, "unsent", None))
            case _:
                pass  # above all CallLost: the call stays "sent", to be asked again

    def end(self, state: RecordState, summary: dict[str, int]) -> None:
        """Write down how the run ended."""
        self._write(lambda: self._journal.end_run(self._run_id, state, summary))

    @property
    def resumable(self) -> bool:
        """Whether everything so far is on the disk."""
        return not self._broken

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._lock.release()
        self._journal.close()

    def _write(self, write: Callable[[], None]) -> None:
        if self._broken:
            return
        try:
            write()
        except sqlite3.Error as error:
            self._broken = True
            self._warn(
                f"The journal {self._journal.path} can no longer be written ({error}). The run "
                "goes on and its result will be right, but it cannot be resumed if this process "
                "ends before the run does."
            )
