"""A round of probes being asked, and the probes that were refused."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from kirim_pandas.grouptesting.outcomes import Counts, Positions
from kirim_pandas.run.calls import Call


class ProbeRound:
    """The probes of one round, each asked in one call, or in parts where that is too large.

    Counts add up over disjoint contacts, so whoever planned the probes need not know of parts,
    and a resumed run plans the very same probes whatever size the service takes by then.

    Parameters
    ----------
    probes
        The contacts of each probe.
    number
        The round; later ones of one search, or of all together, have higher numbers.
    planner
        Which of several searches side by side asks.

    Attributes
    ----------
    answered_calls, refused_calls : list of Call
        In the order in which they came back.
    """

    def __init__(
        self, probes: Sequence[Positions] = (), *, number: int = -1, planner: int = 0
    ) -> None:
        self.probes = probes
        self.number = number
        self.planner = planner
        self.answered_calls: list[Call] = []
        self.refused_calls: list[Call] = []
        self._counts = [Counts(0, 0, 0)] * len(probes)
        self._missing = [len(probe) for probe in probes]

    def __len__(self) -> int:
        return len(self.probes)

    def answered(self, call: Call, counts: Counts) -> None:
        """Take the counts of a probe or of a part of it."""
        self.answered_calls.append(call)
        had = self._counts[call.slot]
        self._counts[call.slot] = Counts(
            had.applied + counts.applied,
            had.cross_org + counts.cross_org,
            had.team_mismatch + counts.team_mismatch,
        )
        self._missing[call.slot] -= len(call.positions)

    @property
    def replies(self) -> list[Counts | None]:
        """The counts of each probe; None where any part of it has no usable answer."""
        return [
            None if missing else counts
            for counts, missing in zip(self._counts, self._missing, strict=True)
        ]


class RefusedProbes:
    """Tells which contacts are without a name because probes were refused.

    The service has taken each of them before.  So either something on the way cuts what is sent,
    and it is worth asking again, or a contact was deleted.  That one is refused alone, too, and
    again, while others are answered.

    Parameters
    ----------
    contact_count
        Contacts of the run.
    """

    def __init__(self, contact_count: int) -> None:
        self._last_answer: dict[int, int] = {}  # by planner
        # Rounds by contact; 0 for none: such arrays take no memory until they are written to.
        self._answered = np.zeros(contact_count, dtype=np.int32)
        self._refused = np.zeros(contact_count, dtype=np.int32)
        self._first_alone = np.zeros(contact_count, dtype=np.int32)
        self._is_gone = np.zeros(contact_count, dtype=np.bool_)

    def add(self, asked: ProbeRound) -> None:
        """Take a round that is over."""
        number = asked.number + 1  # 0 stands for none
        for call in asked.answered_calls:
            self._answered[call.positions] = self._last_answer[asked.planner] = number
        last_answer = self._last_answer.get(asked.planner, 0)
        if asked.refused_calls:  # then nothing was concluded from the round
            for probe in asked.probes:
                self._refused[probe] = number
        for call in asked.refused_calls:
            self._refused[call.positions] = number
            if len(call.positions) == 1:
                first = self._first_alone[call.positions]
                self._is_gone[call.positions] |= (first > 0) & (first <= last_answer)
                self._first_alone[call.positions] = np.where(first == 0, number, first)

    def open(self, undetermined: NDArray[np.bool_]) -> Positions:
        """Return the contacts among the `undetermined` that may be worth asking about again.

        Where probes are refused, a search may give up others that were to be told apart by them.
        """
        return np.flatnonzero(undetermined & ~self._is_gone & self._refused.any())

    def were_last(self, positions: Positions) -> bool:
        """Whether any of these contacts was refused, and not answered since."""
        refused = self._refused[positions]
        return bool(((refused > 0) & (refused >= self._answered[positions])).any())
