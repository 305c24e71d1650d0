"""Where each contact stands: filled call by call, read as arrays at the end."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kirim_pandas.grouptesting.outcomes import Counts, Outcome, Outcomes, Positions

__all__ = ["Ledger"]


class Ledger:
    """The books of a run over `contact_count` contacts."""

    def __init__(self, contact_count: int) -> None:
        self.nodes: list[tuple[Positions, Counts]] = []
        self._batch = np.full(contact_count, -1, dtype=np.int64)
        self._answered = np.zeros(contact_count, dtype=np.bool_)
        self._refusal = np.full(contact_count, -1, dtype=np.int64)
        self._request = np.full(contact_count, -1, dtype=np.int64)
        self._refusal_codes: list[str] = []
        self._request_ids: list[str | None] = []
        # Calls that may have been carried out and are not asked again.
        self._doubts: list[tuple[Positions, int]] = []

    def sent(self, positions: Positions, batch: int) -> None:
        """A batch call is on its way: from now on its contacts may be labeled."""
        self._batch[positions] = batch

    def unsent(self, positions: Positions) -> None:
        """The call certainly did not reach the contacts after all."""
        self._batch[positions] = -1

    def doubted(self, positions: Positions, batch: int) -> None:
        """A call may have been carried out, and nobody will ever know from its key.

        From now on only an answer tells where these contacts stand: that later calls do not
        reach them, or are refused, says nothing of the first.
        """
        self._doubts.append((positions, batch))

    def cleared(self, positions: Positions) -> None:
        """The doubt of the call with just this array is over: it was not carried out."""
        self._doubts = [doubt for doubt in self._doubts if doubt[0] is not positions]

    def answered(self, positions: Positions, counts: Counts, request_id: str | None) -> None:
        """The service counted these contacts."""
        self.nodes.append((positions, counts))
        self._answered[positions] = True
        self._note_request(positions, request_id)

    def refused(self, positions: Positions, code: str, request_id: str | None) -> None:
        """The service refused exactly these contacts."""
        self._refusal[positions] = len(self._refusal_codes)
        self._refusal_codes.append(code)
        self._note_request(positions, request_id)

    @property
    def counted(self) -> tuple[int, int]:
        """Contacts the service has answered for, and how many of them it counted as skipped."""
        skipped = sum(counts.cross_org + counts.team_mismatch for _, counts in self.nodes)
        return self.answered_count, skipped

    @property
    def answered_count(self) -> int:
        """How many contacts are in an answered batch call."""
        return int(self._answered.sum())

    def outcomes(self, outcome: NDArray[np.int8], probed: NDArray[np.bool_]) -> Outcomes:
        """Close the books with what attribution found."""
        last = np.full(len(self._batch), -1, dtype=np.int64)
        for positions, batch in self._doubts:
            last[positions] = batch
        doubted = (last >= 0) & ~self._answered
        return Outcomes(
            outcome=np.where(self._answered, outcome, np.int8(Outcome.UNDETERMINED)),
            probed=probed.copy(),
            batch=np.where(doubted & (self._batch < 0), last, self._batch),
            answered=self._answered.copy(),
            refusal=np.where(doubted, -1, self._refusal),
            refusal_codes=tuple(self._refusal_codes),
            request=self._request.copy(),
            request_ids=tuple(self._request_ids),
        )

    def _note_request(self, positions: Positions, request_id: str | None) -> None:
        self._request[positions] = len(self._request_ids)
        self._request_ids.append(request_id)
