"""A round of probes being asked: what is known of each probe."""

from __future__ import annotations

from collections.abc import Sequence

from kirim_pandas.grouptesting.outcomes import Counts, Positions
from kirim_pandas.run.calls import Call

__all__ = ["ProbeRound"]


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
        self.probes = probes
        self._counts = [Counts(0, 0, 0)] * len(probes)
        self._missing = [len(probe) for probe in probes]

    def __len__(self) -> int:
        return len(self.probes)

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
