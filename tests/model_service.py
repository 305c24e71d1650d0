"""The service as a dictionary: for tests of the run that need no network.

It keeps what the real one keeps (which contact carries the label, which key got which reply) and
fails where it is told to.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from kirim_pandas.api.errors import InvalidRequestError, KirimError
from kirim_pandas.labeling.batches import Counts, Outcome
from kirim_pandas.labeling.events import Call, Reply


@dataclass
class ModelService:
    """`world` holds the true Outcome of each contact; `bad` the contacts the service refuses."""

    world: np.ndarray
    bad: frozenset[int] = frozenset()
    param: str | None = "index"  # "index", "wrong", or None: what a refusal points at
    fault: Callable[[int, Call], KirimError | None] = lambda number, call: None
    commit_before_fault: bool = False
    labeled: set[int] = field(default_factory=set)
    calls: list[Call] = field(default_factory=list)
    replies: dict[str, Reply] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def send(self, call, on_wait, stop):
        """Answer a call, as the pool's sender."""
        with self.lock:
            number = len(self.calls)
            self.calls.append(call)
            error = self.fault(number, call)
            if error is not None:
                if self.commit_before_fault:
                    self._commit(call)
                raise error
            return self._commit(call)

    def _commit(self, call: Call) -> Reply:
        if call.key in self.replies:
            return self.replies[call.key]
        positions = call.positions.tolist()
        assert 1 <= len(positions) <= 1000
        assert len(set(positions)) == len(positions)
        refused = [place for place, contact in enumerate(positions) if contact in self.bad]
        if refused:
            place = {"index": refused[0], "wrong": 0}.get(self.param)
            raise InvalidRequestError(
                "refused",
                status=400,
                code="invalid_field_value",
                param=None if place is None else f"contact_ids[{place}]",
            )
        outcomes = self.world[call.positions]
        self.labeled.update(call.positions[outcomes == Outcome.APPLIED].tolist())
        tally = [int((outcomes == kind).sum()) for kind in (1, 2, 3)]
        reply = Reply(Counts(*tally), f"req_{len(self.replies)}")
        self.replies[call.key] = reply
        return reply
