"""Where each contact stands: filled call by call, read as arrays at the end."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kirim_pandas.grouptesting.outcomes import Counts, Outcome, Outcomes, Positions
from kirim_pandas.run.calls import Call


class Ledger:
    """What is known of each of `contact_count` contacts from the calls of the apply phase.

    Attributes
    ----------
    nodes : list of (int64 array, Counts)
        Contacts and counts of each call that was answered.
    answered_count : int
        How many contacts these calls hold.
    """

    def __init__(self, contact_count: int) -> None:
        self.nodes: list[tuple[Positions, Counts]] = []
        self.answered_count = 0
        self._batch = np.full(contact_count, -1, dtype=np.int32)
        self._answered = np.zeros(contact_count, dtype=np.bool_)
        self._refusal = np.full(contact_count, -1, dtype=np.int32)
        self._refusal_codes: list[str] = []
        # Calls that may have been carried out and were not answered.
        self._in_doubt: list[Call] = []

    def sent(self, positions: Positions, batch: int) -> None:
        """A batch call is on its way: from now on its contacts may be labeled."""
        self._batch[positions] = batch

    def unsent(self, positions: Positions) -> None:
        """The call certainly did not reach the contacts after all."""
        self._batch[positions] = -1

    def lost(self, call: Call) -> None:
        """A call may have been carried out, and perhaps nobody will know from its key.

        From now on only an answer tells where its contacts stand: that later calls do not
        reach them, or are refused, says nothing of this one.
        """
        self._in_doubt.append(call)

    def not_lost(self, call: Call) -> None:
        """The call was not carried out after all, under its key."""
        self._in_doubt = [lost for lost in self._in_doubt if lost.key != call.key]

    def answered(self, positions: Positions, counts: Counts) -> None:
        """The service counted these contacts."""
        self.nodes.append((positions, counts))
        self.answered_count += int(np.count_nonzero(~self._answered[positions]))
        self._answered[positions] = True
        self._refusal[positions] = -1  # it was of a body that was cut or changed on the way

    def withdrawn(self, call: Call) -> None:
        """The answer to a call may be another call's."""
        self.nodes = [node for node in self.nodes if node[0] is not call.positions]
        self.answered_count -= int(np.count_nonzero(self._answered[call.positions]))
        self._answered[call.positions] = False
        self.lost(call)

    def refused(self, positions: Positions, code: str) -> None:
        """The service refused exactly these contacts."""
        self._refusal[positions] = len(self._refusal_codes)
        self._refusal_codes.append(code)

    @property
    def counted(self) -> tuple[int, int]:
        """Contacts the service has answered for, and how many of them it counted as skipped."""
        skipped = sum(counts.cross_org + counts.team_mismatch for _, counts in self.nodes)
        return self.answered_count, skipped

    @property
    def counted_first(self) -> Positions:
        """One contact that the service has answered for, if there is any."""
        return np.flatnonzero(self._answered)[:1]

    def undetermined(self, outcome: NDArray[np.int8]) -> NDArray[np.bool_]:
        """Tell the contacts that were answered for and have no outcome yet."""
        open_rows: NDArray[np.bool_] = self._answered & (outcome == Outcome.UNDETERMINED)
        return open_rows

    def outcomes(self, outcome: NDArray[np.int8], probed: NDArray[np.bool_]) -> Outcomes:
        """Put together what calls and attribution found."""
        batch, refusal = self._batch.copy(), self._refusal.copy()
        for call in self._in_doubt:  # the last that held a contact tells its batch
            open_ = call.positions[~self._answered[call.positions]]
            refusal[open_] = -1
            never = open_[self._batch[open_] < 0]
            batch[never] = call.batch
        return Outcomes(
            outcome=np.where(self._answered, outcome, np.int8(Outcome.UNDETERMINED)),
            batch=batch,
            probed=probed.copy(),
            answered=self._answered.copy(),
            refusal=refusal,
            refusal_codes=tuple(self._refusal_codes),
        )
