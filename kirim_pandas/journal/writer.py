"""The writer of one run: its part of the journal, locked for whoever works on it."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from kirim_pandas.errors import InvalidInputError, JournalError
from kirim_pandas.grouptesting.outcomes import cut_batches
from kirim_pandas.journal.conflicts import refuse_opposites, refuse_undoing
from kirim_pandas.journal.files import shown
from kirim_pandas.journal.locks import RunLock, network_file_system
from kirim_pandas.journal.store import BROKEN, Entry, Journal, RecordState, RunRecord
from kirim_pandas.run.calls import Call, CallState, PastCall
from kirim_pandas.run.events import (
    CallAnswered,
    CallLost,
    CallPlanned,
    CallRefused,
    CallUnsent,
    ColumnsLearnt,
    Event,
)

RUN_ID = re.compile(r"[A-Za-z0-9_]{1,80}")

MOST_UNWRITTEN = 8
"""So many replies wait for the next commit: each that is lost in a kill costs a write request, to
be asked again, and a commit takes one or two milliseconds."""

HURRY_SECONDS = 0.2
"""Once a commit has failed, later ones do not hold up the run for long."""


def lock_path(journal: Journal, run_id: str) -> Path:
    """Return the lock file of a run."""
    if not (isinstance(run_id, str) and RUN_ID.fullmatch(run_id)):
        raise InvalidInputError(
            f"{run_id!r} is no run id: expected something like run_20260131_0123456789. "
            "kirim_pandas.runs() lists the runs there are."
        )
    return journal.path.with_name(f"{journal.path.name}.{run_id}.lock")


class RunWriter:
    """A listener that writes a run's events down, each before the run goes on.

    A call is committed before it is sent.  What became of it may wait for the next commit, of a
    few replies at most: were it lost, the call would be asked again under its key, and answered as
    the first time.

    Use it in a ``with`` block.  Until the first call is sent, what fails raises; once the run is
    under way a journal that fails is given up with a warning, and the run goes on in memory.  All
    that could not be written is tried again with each further step.

    Parameters
    ----------
    path
        Where the journal is; None for the usual place.
    run_id
        The run.
    warn
        Called with a sentence when the journal can no longer be written (once), and when it
        lies where it may not be safe.

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
        self._warned = False
        self._unwritten: list[Entry] = []
        self._journal = Journal(path)
        try:
            self._lock = RunLock(lock_path(self._journal, run_id), run_id)
        except BaseException:
            self._journal.close()
            raise
        try:
            self._was_incomplete = self._lock.incomplete
            self._warn_of_network_disk()
        except BaseException:
            self._close()
            raise

    def _warn_of_network_disk(self) -> None:
        if disk := network_file_system(self._journal.path):
            self._warn(
                f"The journal {self._journal.shown} is on a network file system ({disk}), where "
                "locks and commits may not hold: if the connection breaks, or two notebooks work "
                "on one run, calls may be missing in it, and a resume would not know of them. "
                "Name a place on a disk of this computer with journal=… or KIRIM_JOURNAL."
            )

    def begin(self, record: RunRecord) -> None:
        """Write a new run down, unless one at work does the opposite to its contacts."""
        self._journal.begin(record)
        try:
            refuse_opposites(self._journal, record, lock_path)
        except InvalidInputError:
            self._journal.forget(record.run_id)
            raise

    def rearrange(self, record: RunRecord) -> None:
        """Write down that a run, of which nothing was sent, sends its contacts in another order."""
        self._journal.rearrange(record)

    def load(self) -> tuple[RunRecord, list[PastCall]]:
        """Read what an earlier session left."""
        record, past = self._journal.load(self._run_id)
        if self._lock.incomplete:
            # A session could not write all its calls down: any contact may have been sent.
            for batch, positions in enumerate(cut_batches(len(record.contact_ids))):
                call = Call(-1, "apply", positions, "", batch=batch)
                past.append(PastCall(call, "stale"))
        return record, past

    def answers(self, target: str) -> list[tuple[str, str]]:
        """Read whose replies of `target` are: request ids, and the keys of their calls."""
        return self._journal.answers(target)

    def refuse_opposites(self, record: RunRecord) -> None:
        """Refuse to send more of a run where that would undo, or mix with, what another does."""
        refuse_opposites(self._journal, record, lock_path)
        refuse_undoing(self._journal, record)

    def reopen(self, record: RunRecord) -> None:
        """Write down that the run is at work again, as `record` says."""
        self._journal.reopen(record)

    def __call__(self, event: Event) -> None:
        """Take one event."""
        if self._is_copy:
            raise JournalError(
                f"Run {self._run_id} is at work in process {self._lock.owner}, of which this one "
                f"({os.getpid()}) is a copy (a fork). Nothing was sent from here, and the run goes "
                "on there. To work in several processes, start them before the run."
            )
        match event:
            case CallPlanned(call, more):
                self._note(call, "sent", None)
                if not more:  # the last of those that leave together
                    self._check_lock()
                    self._flush()
            case CallAnswered(call, reply):
                counts = reply.counts
                answer = [counts.applied, counts.cross_org, counts.team_mismatch, reply.request_id]
                self._note(call, "answered", answer)
                if len(self._unwritten) >= MOST_UNWRITTEN:
                    self._flush()
            case CallRefused(call, code, request_id):
                self._note(call, "refused", [code, request_id])
            case CallUnsent(call, code, request_id):
                self._note(call, "unsent", [code, request_id] if code else None)
            case ColumnsLearnt(before_round, columns):
                self._flush(lambda: self._journal.learn(self._run_id, before_round, columns))
            case CallLost(call, _, request_id):
                # To be asked again, also if it was answered before.
                self._note(call, "sent", [request_id] if request_id else None)
            case _:
                self._flush()

    def end(
        self,
        state: RecordState,
        summary: dict[str, Any],
        outcomes: NDArray[np.int8] | None = None,
    ) -> None:
        """Write down how the run ended, and what it found of each contact."""
        if self._is_copy:
            return
        found = outcomes if state == "finished" else None
        self._flush(lambda: self._journal.end_run(self._run_id, state, summary, found))
        # A row in doubt may have been in a call that was never written down.
        if state == "finished" and self.resumable and summary.get("unknown") == 0:
            self._lock.mark(incomplete=False)

    @property
    def resumable(self) -> bool:
        """Whether everything so far is on the disk."""
        return not self._unwritten

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def _close(self) -> None:
        try:
            self._lock.release()
        finally:
            if (
                not self._is_copy
            ):  # SQLite: a connection is not to be used, nor closed, after a fork
                self._journal.close()

    @property
    def _is_copy(self) -> bool:
        return os.getpid() != self._lock.owner

    def _check_lock(self) -> None:
        if not self._lock.is_held():
            raise JournalError(
                f"The lock file of run {self._run_id} was deleted while it was at work, so another "
                "notebook could have begun to work on it too. The run was stopped; do not clean "
                "up beside the journal while a run is going on."
            )

    def _note(self, call: Call, state: CallState, answer: list[Any] | None) -> None:
        self._unwritten.append(Entry(call, state, answer, self._journal.now()))

    def _flush(self, more: Callable[[], None] | None = None) -> None:
        try:
            if self._unwritten:
                self._journal.write(self._run_id, self._unwritten)
                self._unwritten.clear()
                self._lock.mark(incomplete=self._was_incomplete)
            if more is not None:
                more()
        except BROKEN as error:
            self._lock.mark(incomplete=True)
            if self._warned:
                return
            self._warned = True
            self._journal.wait_for_others(HURRY_SECONDS)
            self._warn(
                f"The journal {self._journal.shown} can no longer be written ({shown(error)}). The "
                "run goes on, and its result will be right. But unless the journal can be written "
                "again before the run ends, what this session did cannot be taken up by a later "
                "one: keep this notebook running, and save the result."
            )
