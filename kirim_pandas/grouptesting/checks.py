"""Confirming calls for what is only supposed: contacts of one supposed outcome a call.

The smallest call goes alone: where it comes back mixed, the supposition is wrong, and no other
call is spent on it. What a pure call has counted is proved, whatever becomes of the rest.
"""

from __future__ import annotations

from collections.abc import Sequence

from kirim_pandas.grouptesting.outcomes import SKIPS, Outcome, Positions, cut_to_size

_Call = tuple[Positions, Outcome]


class Checks:
    """The calls that check one supposition.

    Parameters
    ----------
    groups
        Contacts, and the outcome supposed of them.
    probe_size
        The most contacts a call may hold.

    Attributes
    ----------
    refuted, borne_out : bool
        Whether a call came back mixed; whether calls came back, and none of them so.
    """

    def __init__(self, groups: Sequence[_Call], probe_size: int) -> None:
        self.refuted = self.borne_out = False
        calls = [
            (part, outcome)
            for positions, outcome in groups
            if len(positions)
            for part in cut_to_size(positions, probe_size)
        ]
        calls.sort(key=_size)
        self._rounds = [calls[:1], calls[1:]] if len(calls) > 1 else [calls]

    def probes(self) -> list[Positions]:
        """Return what to ask next; empty when the check is over."""
        return [positions for positions, _ in self._rounds[0]] if self._rounds else []

    def tell(self, counts: Sequence[tuple[int, ...] | None]) -> list[_Call]:
        """Take the counts of `probes`, or of the first of them; return what they prove."""
        calls = self._rounds.pop(0)
        proved = []
        for (positions, outcome), count in zip(calls, counts, strict=False):
            if count == tuple(len(positions) * int(outcome == skip) for skip in SKIPS):
                proved.append((positions, outcome))
            else:
                self.refuted = True
        self.borne_out = not self.refuted
        if self.refuted:
            self._rounds = []
        elif len(counts) < len(calls):
            self._rounds.insert(0, calls[len(counts) :])
        return proved


def _size(call: _Call) -> int:
    return len(call[0])
