"""Certify outcomes: send each kind once more, and believe only what comes back pure."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from kirim_pandas.grouptesting.outcomes import SKIPS, Counts, Outcome, Positions, cut

__all__ = ["certificate", "check_certificate"]


def certificate(outcomes: NDArray[np.int8], probed: NDArray[np.bool_]) -> list[Positions]:
    """Cut what is to be certified into calls of one outcome each.

    Parameters
    ----------
    outcomes
        An `Outcome` for each position.
    probed
        Where probes were needed to know it. Contacts found applied are certified only there:
        elsewhere the reply to their own batch says it.

    Returns
    -------
    list of ndarray
        Positions of each call, at most 1000.
    """
    calls: list[Positions] = []
    for outcome in (*SKIPS, Outcome.APPLIED):
        chosen = outcomes == outcome
        if outcome == Outcome.APPLIED:
            chosen &= probed
        calls += cut(np.flatnonzero(chosen))
    return calls


def check_certificate(
    outcomes: NDArray[np.int8], calls: Sequence[Positions], replies: Sequence[Counts | None]
) -> NDArray[np.int8]:
    """Return the outcomes, undetermined in every call that did not come back as expected.

    Parameters
    ----------
    outcomes
        What was found, as given to `certificate`.
    calls
        What `certificate` returned.
    replies
        One for each call, in order; None where there was no usable reply.
    """
    checked = outcomes.copy()
    for rows, reply in zip(calls, replies, strict=True):
        outcome = Outcome(int(outcomes[rows[0]]))
        cross = len(rows) if outcome == Outcome.CROSS_ORG else 0
        team = len(rows) if outcome == Outcome.TEAM_MISMATCH else 0
        wrong = reply is None or (reply.cross_org, reply.team_mismatch) != (cross, team)
        if reply is not None and outcome == Outcome.NOT_COUNTED:
            wrong |= reply.applied != 0
        if wrong:
            checked[rows] = Outcome.UNDETERMINED
    return checked
