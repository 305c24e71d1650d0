"""What is left to send, after what earlier sessions of the run did.

Of the calls about a contact the last one counts, so calls are looked at backwards.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from kirim_pandas.grouptesting.outcomes import Positions, cut_batches
from kirim_pandas.run.calls import Call, PastCall
from kirim_pandas.run.ledger import Ledger
from kirim_pandas.run.refusals import TOO_LARGE
from kirim_pandas.run.rounds import ProbeRound

ENOUGH_REFUSALS = 2
"""The first may be of a body that was cut; the second comes when others were answered."""


class PastRounds:
    """The probes of earlier sessions by round, so that each round is planned again alike.

    Parameters
    ----------
    past
        All calls, oldest first.
    """

    def __init__(self, past: Sequence[PastCall]) -> None:
        self._calls: dict[tuple[int, int], list[PastCall]] = {}
        self._widths: dict[int, int] = {}
        for known in past:
            call = known.call
            if call.phase == "resolve":
                self._calls.setdefault((call.planner, call.round), []).append(known)
                self._widths[call.round] = call.planners
        self._last_alone = max((n for n, width in self._widths.items() if width == 1), default=-1)

    def calls(self, planner: int, number: int) -> list[PastCall]:
        """Return the calls of a round, oldest first."""
        return self._calls.get((planner, number), [])

    def budget(self, number: int, otherwise: int | None) -> int | None:
        """Return what a round of one search alone was planned with."""
        return next((known.call.budget for known in self.calls(0, number)), otherwise)

    def width(self, number: int) -> int | None:
        """Return how many searches side by side began with this round; None if it is new."""
        return self._widths.get(number)

    def joined(self, number: int) -> bool:
        """Whether searches that began with this round are one search again."""
        return self._last_alone > number


def recall_batches(
    past: Sequence[PastCall], contact_count: int, ledger: Ledger
) -> tuple[list[Call], list[tuple[int, Positions]]]:
    """Enter the calls of earlier sessions into an empty ledger.

    Parameters
    ----------
    past
        All calls, oldest first.
    contact_count
        Contacts of the run.
    ledger
        Filled.

    Returns
    -------
    open : list of Call
        Calls to be asked again, each under its own key.
    rest : list of (int, int64 array)
        Batch and contacts of what is to be sent in new calls.
    """
    open_calls: list[Call] = []
    covered = np.zeros(contact_count, dtype=np.bool_)
    believed = (p for p in _believed(past, contact_count) if p.call.phase == "apply")
    for known in reversed(list(believed)):
        call, positions = known.call, known.call.positions
        superseded = bool(covered[positions].any())
        if known.state == "stale" or (known.state == "sent" and superseded):
            # Its key was given up, and it may have been carried out for all that.
            ledger.lost(call)
        elif known.tells and not superseded:
            covered[positions] = True
            ledger.sent(positions, call.batch)
            if known.reply is not None:
                ledger.answered(positions, known.reply.counts)
            elif known.refused_contact:
                ledger.refused(positions, known.code or "")
            else:
                open_calls.append(call)
    return open_calls[::-1], _rest(covered)


def _rest(covered: NDArray[np.bool_]) -> list[tuple[int, Positions]]:
    """Return what no call covers, by batch."""
    batches = enumerate(cut_batches(len(covered)))
    if not covered.any():  # the parts of one array, not copied
        return list(batches)
    left = ((batch, positions[~covered[positions]]) for batch, positions in batches)
    return [(batch, rest) for batch, rest in left if len(rest)]


def recall_probes(
    known_calls: Sequence[PastCall], asked: ProbeRound
) -> tuple[list[Call], list[tuple[int, Positions]]]:
    """Enter the calls of earlier sessions into a round of probes.

    Parameters
    ----------
    known_calls
        Those of this round, oldest first.
    asked
        Its probes; filled.

    Returns
    -------
    open : list of Call
        Calls to be asked again, each under its own key.
    rest : list of (int, int64 array)
        Slot and contacts of what is to be asked in new calls.
    """
    by_slot: dict[int, list[PastCall]] = {}
    for known in known_calls:
        by_slot.setdefault(known.call.slot, []).append(known)
    open_calls: list[Call] = []
    rest: list[tuple[int, Positions]] = []
    for slot, left in enumerate(asked.probes):
        for known in reversed(by_slot.get(slot, [])):
            call = known.call
            if not np.isin(call.positions, left).all():
                continue  # superseded, or planned by another version of this library
            if known.reply is not None:
                asked.answered(call, known.reply.counts)
            elif known.state == "sent":
                open_calls.append(call)
            elif known.state == "refused" and known.code != TOO_LARGE:
                asked.refused_calls.append(call)
            else:
                continue
            left = left[~np.isin(left, call.positions)]
        if len(left):
            rest.append((slot, left))
    return open_calls, rest


def _last_lost(past: Sequence[PastCall], contact_count: int) -> NDArray[np.int64]:
    """Return for each contact the number of the last call that may have reached it, else -1."""
    lost_at = np.full(contact_count, -1, dtype=np.int64)
    for known in past:
        if known.state == "sent":
            lost_at[known.call.positions] = known.call.number
    return lost_at


def _believed(past: Sequence[PastCall], contact_count: int) -> list[PastCall]:
    """Leave out refused contacts that a lost call may have reached: they are asked again.

    Unless, since then, each was refused twice, alone, and others were answered: more is not to be
    had from the service, and a resume that asked for ever would never be over.
    """
    lost_at = _last_lost(past, contact_count)
    answered = np.array([p.call.number for p in past if p.reply is not None], dtype=np.int64)
    times, last = np.zeros_like(lost_at), lost_at.copy()
    for known in past:
        at, number = known.call.positions[0], known.call.number
        if known.refused_contact and number > lost_at[at]:
            times[at], last[at] = times[at] + 1, number
    others = np.searchsorted(answered, last) - np.searchsorted(answered, lost_at)
    again = (lost_at >= 0) & ((times < ENOUGH_REFUSALS) | (others == 0))
    return [p for p in past if not (p.refused_contact and again[p.call.positions[0]])]
