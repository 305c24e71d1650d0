"""Calls that are to be sent: numbered, cut to size, and kept within the cap of the run."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace

from kirim_pandas.grouptesting.outcomes import MAX_CONTACTS_PER_CALL, Positions, cut_to_size
from kirim_pandas.run.calls import UNPLANNED, Call, PastCall, Phase
from kirim_pandas.run.refusals import TOO_LARGE


class Outbox:
    """The calls that wait to be sent, in order.

    Parameters
    ----------
    past
        The calls of earlier sessions.
    max_requests
        Cap on the calls of all sessions together; None for none.
    new_key
        Makes a new idempotency key.

    Attributes
    ----------
    requests : int
        Calls numbered so far, in all sessions.
    largest : int
        The most contacts that the service has not found too many for one call.
    tries_sizes : bool
        Whether the last size was too large, and no call of the next one was answered yet.
    cut_short : bool
        Whether the cap has kept calls back.
    """

    def __init__(
        self, past: Sequence[PastCall], max_requests: int | None, new_key: Callable[[], str]
    ) -> None:
        # One number a call, none left out: so a journal that lost a call is found out.
        self.requests = self._before = sum(known.call.number >= 0 for known in past)
        self.largest = MAX_CONTACTS_PER_CALL
        self.tries_sizes = False
        self.cut_short = False
        self._max_requests = max_requests
        self._new_key = new_key
        self._waiting: deque[Call] = deque()
        for known in past:
            if known.code == TOO_LARGE:
                self._learn_size(known.call)

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def planners(self) -> set[int]:
        """Whose probes wait here."""
        return {call.planner for call in self._waiting}

    @property
    def budget(self) -> int | None:
        """Calls that may still be numbered; None for any number."""
        return None if self._max_requests is None else max(0, self._max_requests - self.requests)

    def repeat(self, calls: Sequence[Call]) -> None:
        """Put calls of an earlier session in line, each under its own key."""
        self._waiting += calls

    def add(self, phase: Phase, positions: Positions, **place: int | None) -> None:
        """Put a new call in line."""
        self._waiting.append(self._new(phase, positions, **place))

    def again(self, call: Call, parts: Sequence[Positions] = ()) -> None:
        """Put the contacts of a call, or parts of them, first in line: under new keys."""
        for positions in reversed(parts or [call.positions]):
            again = replace(call, number=UNPLANNED, positions=positions, key=self._new_key())
            self._waiting.appendleft(again)

    def again_smaller(self, call: Call) -> None:
        """Put the contacts of a call that was too large first in line, in smaller calls."""
        self._learn_size(call)
        self.again(call)

    def take(self) -> Call | None:
        """Take the next call; None where there is none, or no more is allowed."""
        if not self._waiting:
            return None
        if self._waiting[0].number != UNPLANNED:
            return self._waiting.popleft()
        if self.budget == 0:
            self.cut_short = True
            self._waiting.clear()
            return None
        call = self._waiting.popleft()
        if len(call.positions) > self.largest:
            self.again(call, cut_to_size(call.positions, self.largest))
            call = self._waiting.popleft()
        self.requests += 1
        return replace(call, number=self.requests - 1)

    def take_back(self, calls: Sequence[Call]) -> None:
        """Forget the numbers of the calls taken last, which nobody was told of."""
        new = [call.number for call in calls if call.number >= self._before]
        self.requests = min([self.requests, *new])

    def _new(self, phase: Phase, positions: Positions, **place: int | None) -> Call:
        return Call(UNPLANNED, phase, positions, self._new_key(), **place)  # type: ignore[arg-type]

    def _learn_size(self, call: Call) -> None:
        self.largest = min(self.largest, (len(call.positions) + 1) // 2)
        self.tries_sizes = True
