"""A round of probes being asked: which calls it takes, and what is known of each probe."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kirim_pandas.grouptesting.outcomes import Counts, Positions
from kirim_pandas.run.events import Call, Phase
from kirim_pandas.run.refusals import TOO_LARGE
from kirim_pandas.run.spec import PastCall

__all__ = ["ProbeRound", "round_budget"]


class ProbeRound:
    """The probes of one round, each asked in one call, or in parts where that is too large.

    Counts add up over disjoint contacts, so whoever planned the probes need not know of parts,
    and a resumed run plans the very same probes whatever size the service takes by then.

    Parameters
    ----------
    probes
        The contacts of each probe.
    """

    def __init__(self, probes: Sequence[Positions] = ()) -> None:
        self._probes = probes
        self._counts = [Counts(0, 0, 0)] * len(probes)
        self._missing = [len(probe) for probe in probes]

    def __len__(self) -> int:
        return len(self._probes)

    def answered(self, call: Call, counts: Counts) -> None:
        """Take the counts of a probe or of a part of it."""
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

    def recall(
        self, past: Sequence[PastCall], phase: Phase, number: int
    ) -> tuple[list[Call], list[tuple[int, Positions]]]:
        """Enter what earlier sessions asked in the round.

        Returns
        -------
        open : list of Call
            Calls to be asked again, each under its own key.
        rest : list of (int, int64 array)
            Slot and contacts of what needs a new call.
        """
        by_slot: dict[int, list[PastCall]] = {}
        for known in past:
            if (known.call.phase, known.call.round) == (phase, number):
                by_slot.setdefault(known.call.slot, []).append(known)
        open_calls: list[Call] = []
        rest: list[tuple[int, Positions]] = []
        for slot, probe in enumerate(self._probes):
            left = probe
            # Backwards: a later call stands for the earlier ones of its contacts.
            for known in reversed(by_slot.get(slot, [])):
                call = known.call
                if not np.isin(call.positions, left).all():
                    continue  # superseded, or planned by another version of this library
                if known.reply is not None:
                    self.answered(call, known.reply.counts)
                elif known.state == "sent":
                    open_calls.append(call)
                elif known.state != "refused" or known.code == TOO_LARGE:
                    continue
                left = left[~np.isin(left, call.positions)]
            if len(left):
                rest.append((slot, left))
        return open_calls, rest


def round_budget(past: Sequence[PastCall], number: int, otherwise: int | None) -> int | None:
    """Return what a round of the resolve phase was planned with, so that it is planned alike."""
    for known in past:
        if (known.call.phase, known.call.round) == ("resolve", number):
            return known.call.budget
    return otherwise
