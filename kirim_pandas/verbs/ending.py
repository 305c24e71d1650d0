"""How a run ends: the state that the journal keeps, what is said, and what is raised."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from kirim_pandas.errors import KirimError, RunInterrupted
from kirim_pandas.frames.ids import NO_CONTACT
from kirim_pandas.frames.results import STATUSES
from kirim_pandas.run.events import EndState, RunEnded

if TYPE_CHECKING:
    from kirim_pandas.verbs.order import Order


SO_FAR = {
    "applied": "applied",
    "skipped": "skipped by the service",
    "failed": "refused by the service",
    "undetermined": "sent, but who of them was skipped is not known yet",
    "no_reply": "sent without an answer, so perhaps {done}",
    "stopped": "not sent",
    "no_contact": "without a contact",
}
"""Status, or the reason where it says more, in words for a message."""

DONE = {"attach": "labeled", "detach": "without the label by now"}


@dataclass(frozen=True, eq=False)
class Ending:
    """The end of one session of a run.

    Attributes
    ----------
    order : Order
        What was to be done.
    ended : RunEnded
        The run's own last word.
    frame : DataFrame
        The result frame, complete or not.
    broken : BaseException or None
        What the journal, or somebody in a callback, raised meanwhile; the run was stopped then.
    """

    order: Order
    ended: RunEnded
    frame: pd.DataFrame
    broken: BaseException | None

    @property
    def state(self) -> EndState:
        """The state for the journal; all but ``finished`` can be resumed."""
        return "failed" if isinstance(self.broken, Exception) else self.ended.state

    @property
    def summary(self) -> dict[str, Any]:
        """Rows by status, ``requests``, and ``found``, what skips follow; for the journal."""
        rows = self.order.figures
        if rows is None:
            counts = self.frame["status"].value_counts()
            rows = {status: int(counts.get(status, 0)) for status in STATUSES}
        return rows | {"requests": self.ended.requests, "found": self.ended.found}

    def conclude(self, *, resumable: bool) -> pd.DataFrame:
        """Return the result of a run that did what it could, or raise what ended it."""
        error = self._error()
        if error is None:
            return self.frame
        how = self._how_to_go_on(resumable=resumable)
        if error is self.broken:
            error.add_note(how)
        else:
            said = str(error).strip()
            error.args = (f"{said[:1].upper()}{said[1:].removesuffix('.')}. {how}",)
        if isinstance(error, KirimError | RunInterrupted):
            error.result, error.run_id = self.frame, self.order.run_id
            error.maybe_applied |= bool(self.ended.outcomes.no_reply.any())
            # From here: how a worker came by it would push the message off an analyst's screen.
            error = error.with_traceback(None)
        raise error

    def _error(self) -> BaseException | None:
        pressed = isinstance(self.broken, KeyboardInterrupt)  # and it found a callback
        if pressed or (self.broken is None and self.ended.interrupted):
            return RunInterrupted("stopped")
        return self.broken or self.ended.error

    def _how_to_go_on(self, *, resumable: bool) -> str:
        """Say where the customers stand and what to do next, in one breath."""
        interrupted = self.state == "stopped"
        if not (self.ended.outcomes.batch >= 0).any() and not interrupted:
            return "No customer was touched: put this right and call again."
        counts = self._rows_by_kind()
        so_far = ", ".join(
            f"{counts[kind]:,} {words.format(done=DONE[self.order.operation])}"
            for kind, words in SO_FAR.items()
            if kind in counts
        )
        counted = self._counted() if "undetermined" in counts else ""
        go_on = "calling again is safe: a label that is set twice stays as it is"
        if resumable:
            go_on = f"{self.order.resume} goes on from here"
            if "no_reply" in counts:
                go_on += ", and asks again about those without an answer"
        when = "At any time" if interrupted else "Once this has passed or is put right,"
        return (
            f"Rows so far: {so_far or 'none'}. {counted}The exception's .result and "
            "kirim_pandas.last_result() hold every row with what is known of it. "
            f"{when} {go_on}."
        )

    def _rows_by_kind(self) -> pd.Series[int]:
        """Count rows by status, or by reason where nothing is known or sent."""
        status = self.frame["status"].astype(str)
        reason = self.frame["reason"].astype(object).fillna("")
        kinds = status.where(~status.isin(["unknown", "not_sent"]), reason)
        return kinds.where(~kinds.isin(NO_CONTACT.values()), "no_contact").value_counts()

    def _counted(self) -> str:
        answered = int(self.ended.outcomes.answered.sum())
        skipped = self.ended.skipped
        return (
            f"Of {answered:,} contacts the service counted {answered - skipped:,} as passing "
            f"and {skipped:,} as skipped. "
        )
