"""One run: batches out, counts back, probes out, outcomes back, told as events.

The run is a generator.  It decides; a :class:`~kirim_pandas.labeling.pool.CallPool` sends.  It
yields :class:`~kirim_pandas.labeling.events.CallPlanned` before a call leaves, so whoever keeps
a journal can commit the call first, and a run can be taken up from such a journal (`past`).
"""

from __future__ import annotations

import time
import uuid
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import count
from typing import TypeAlias

import numpy as np

from kirim_pandas.api.errors import KirimError
from kirim_pandas.labeling.attribution import Attribution
from kirim_pandas.labeling.batches import Counts, Outcome, Positions, cut_batches
from kirim_pandas.labeling.events import (
    Call,
    CallAnswered,
    CallLost,
    CallPlanned,
    CallRefused,
    CallUnsent,
    Event,
    Phase,
    PhaseStarted,
    RoundEnded,
    RunEnded,
    Waiting,
)
from kirim_pandas.labeling.job import Job, PastCall
from kirim_pandas.labeling.ledger import Ledger
from kirim_pandas.labeling.pool import CallPool, Done
from kirim_pandas.labeling.refusals import read_refusal, split_refused
from kirim_pandas.labeling.stop import StopButton

__all__ = ["Run"]

SETTLE_SECONDS = 10.0
"""How long a stopped run waits for the replies of calls that are on the wire."""

POLL_SECONDS = 0.05
"""How often a waiting run looks at the stop button."""

MAX_REFUSED_CONTACTS = 20
"""More refused ids than this is a wrong column, not bad luck: the run stops."""

MAX_REKEYS = 3
"""How often a call is sent again under a new key when the service stored a failure."""

Events: TypeAlias = Generator[Event, None, None]
Settle: TypeAlias = Callable[[Done], Iterable[Event | Call]]


class _Halt(Exception):  # noqa: N818 - never leaves this module
    """The run ends here; `error` says why, None after a press of the stop button."""

    def __init__(self, error: BaseException | None) -> None:
        self.error = error


class Run:
    """One run over the contacts of `job`.

    Parameters
    ----------
    job
        What to do.
    pool
        Sends the calls.
    stop
        Looked at between any two steps.
    past
        The calls of earlier sessions of the same run, in the order of their numbers.
    new_key
        Makes a new idempotency key.
    clock
        Seconds that only go forward; used for the bounded wait of a stopped run.
    """

    def __init__(
        self,
        job: Job,
        pool: CallPool,
        *,
        stop: StopButton,
        past: Sequence[PastCall] = (),
        new_key: Callable[[], str] = lambda: str(uuid.uuid4()),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._job = job
        self._pool = pool
        self._stop = stop
        self._new_key = new_key
        self._clock = clock
        self._ledger = Ledger(job.contact_count)
        self._attribution = Attribution(job.contact_count, groups=job.groups)
        self._past = past
        self._next_number = 1 + max((p.call.number for p in past), default=-1)
        self._requests = len(past)
        # Calls of which an earlier try may have been carried out, whatever a later try says.
        self._doubtful = {p.call.number for p in past if p.state == "sent"}
        self._proven = any(p.state == "answered" for p in past)
        self._trust_param = True
        self._rekeys_left = MAX_REKEYS

    def events(self) -> Events:
        """Do the job.

        Yields
        ------
        Event
            What happens; the last one is always a RunEnded.
        """
        error: BaseException | None = None
        interrupted = False
        try:
            yield from self._apply()
            if self._job.resolve != "batches":
                yield from self._resolve()
            if self._job.resolve == "certified":
                yield from self._certify()
        except _Halt as halt:
            error, interrupted = halt.error, halt.error is None
            yield from self._settle_in_flight()
        finally:
            self._pool.close()
        if error is not None and not isinstance(error, KirimError):
            raise error
        outcomes = self._ledger.outcomes(self._attribution.outcomes, self._attribution.probed)
        yield RunEnded(outcomes, self._requests, error, interrupted)

    # -- the phases ------------------------------------------------------------------------

    def _apply(self) -> Events:
        """Send every contact once."""
        todo = self._batches_to_send()
        yield PhaseStarted("apply", len(todo), self._job.contact_count)
        try:
            yield from self._perform(todo, self._settle_batch)
        finally:
            # In the order of the frame, whatever order the replies came in: a resumed run must
            # plan the very same probes.
            for positions, counts in sorted(self._ledger.nodes, key=lambda node: node[0][0]):
                self._attribution.add_batch(positions, counts)

    def _batches_to_send(self) -> deque[Call]:
        """The calls of the apply phase that are still to be made, open ones first."""
        todo: deque[Call] = deque()
        covered = np.zeros(self._job.contact_count, dtype=np.bool_)
        # Backwards: a later call under a new key stands for the earlier ones of its contacts.
        for past in reversed([p for p in self._past if p.call.phase == "apply"]):
            call, positions = past.call, past.call.positions
            if covered[positions].any():
                continue
            if past.reply is not None:
                self._ledger.sent(positions, call.batch)
                self._ledger.answered(positions, past.reply.counts, past.reply.request_id)
            elif past.state == "refused" and len(positions) == 1:
                self._ledger.sent(positions, call.batch)
                self._ledger.refused(positions, past.code or "", past.request_id)
            elif past.state == "sent":
                self._ledger.sent(positions, call.batch)
                todo.appendleft(call)
            else:
                continue
            covered[positions] = True
        for batch, positions in enumerate(cut_batches(self._job.contact_count)):
            rest = positions[~covered[positions]]
            if len(rest):
                todo.append(self._new_call("apply", rest, batch=batch))
        return todo

    def _resolve(self) -> Events:
        """Probe until every skipped contact has a name, or the budget is spent."""
        past = {(p.call.round, p.call.slot): p for p in self._past if p.call.phase == "resolve"}
        for number in count():
            first = past.get((number, 0))
            budget = first.call.budget if first else self._budget_left()
            expected = self._attribution.expected_probes()
            probes = self._attribution.next_round(budget)
            if not probes:
                return
            if number == 0:
                expected = max(len(probes), expected)
                yield PhaseStarted("resolve", expected, self._undetermined())
            replies: list[Counts | None] = [None] * len(probes)
            todo: deque[Call] = deque()
            for slot, positions in enumerate(probes):
                known = past.get((number, slot))
                if known and not np.array_equal(known.call.positions, positions):
                    known = None  # planned by another version of this library: ask anew
                if known and known.reply is not None:
                    replies[slot] = known.reply.counts
                elif known and known.state == "sent":
                    todo.append(known.call)
                elif not (known and known.state == "refused"):
                    place = {"round": number, "slot": slot, "budget": budget}
                    todo.append(self._new_call("resolve", positions, **place))
            yield from self._perform(todo, partial(self._settle_probe, replies))
            self._attribution.tell(replies)
            left = self._attribution.expected_probes()
            yield RoundEnded(number, self._undetermined(), left)

    def _certify(self) -> Events:
        """Ask once more, class by class, whether the names are right."""
        raise NotImplementedError

    # -- what came back --------------------------------------------------------------------

    def _settle_batch(self, done: Done) -> Iterator[Event | Call]:
        call = done.call
        if done.reply is not None:
            self._ledger.answered(call.positions, done.reply.counts, done.reply.request_id)
            if len(call.positions) == 1:
                self._trust_param = False  # if it was singled out, then for nothing
            yield CallAnswered(call, done.reply, self._ledger.answered_count)
            return
        refusal = read_refusal(done.error, len(call.positions))
        if refusal is None:
            yield from self._settle_failure(done)
            return
        yield CallRefused(call, refusal.code, refusal.request_id)
        parts = split_refused(call.positions, refusal.index if self._trust_param else None)
        if parts:
            self._ledger.unsent(call.positions)
            yield from (self._new_call("apply", part, batch=call.batch) for part in parts)
            return
        self._ledger.refused(call.positions, refusal.code, refusal.request_id)
        if self._ledger.refused_count > MAX_REFUSED_CONTACTS:
            raise _Halt(done.error)

    def _settle_probe(self, replies: list[Counts | None], done: Done) -> Iterator[Event | Call]:
        if done.reply is not None:
            replies[done.call.slot] = done.reply.counts
            yield CallAnswered(done.call, done.reply, self._ledger.answered_count)
        elif refusal := read_refusal(done.error, len(done.call.positions)):
            yield CallRefused(done.call, refusal.code, refusal.request_id)
        else:
            yield from self._settle_failure(done)

    def _settle_failure(self, done: Done) -> Iterator[Event | Call]:
        """No counts, and nothing that is wrong with single ids."""
        yield self._note_failure(done)
        if getattr(done.error, "replayed", False) and self._rekeys_left:
            # The service stored its own failure under the key and would repeat it for a day.
            # A new key is safe in effect: attaching and detaching twice is a no-op.
            self._rekeys_left -= 1
            self._requests += 1
            again = replace(done.call, number=self._take_number(), key=self._new_key())
            self._doubtful.add(again.number)
            yield again
            return
        raise _Halt(done.error)

    def _note_failure(self, done: Done) -> CallLost | CallUnsent:
        """Tell a call that may have been carried out from one that certainly was not."""
        call, error = done.call, done.error
        if not isinstance(error, KirimError):
            return CallLost(call, type(error).__name__)
        if error.maybe_applied or call.number in self._doubtful:
            return CallLost(call, str(error))
        if call.phase == "apply":
            self._ledger.unsent(call.positions)
        return CallUnsent(call)

    # -- sending ---------------------------------------------------------------------------

    def _perform(self, todo: deque[Call], settle: Settle) -> Events:
        """Send the calls of `todo`, a few at a time; `settle` may answer with further calls."""
        while todo or self._pool.in_flight:
            if self._stop.presses:
                raise _Halt(None)
            # The first call goes alone: it proves the key, the label and the shape of replies.
            while todo and self._pool.has_room(None if self._proven else 1):
                call = todo.popleft()
                if call.number not in self._doubtful:
                    if self._budget_left() == 0:
                        todo.clear()
                        break
                    self._requests += 1
                if call.phase == "apply":
                    self._ledger.sent(call.positions, call.batch)
                yield CallPlanned(call)
                self._pool.submit(call)
            news = self._pool.take(POLL_SECONDS)
            if isinstance(news, Waiting):
                yield news
            elif news is not None:
                self._proven = True
                for item in settle(news):
                    if isinstance(item, Call):
                        todo.appendleft(item)
                    else:
                        yield item

    def _settle_in_flight(self) -> Events:
        """Wait a bounded time for the replies under way; a second press leaves at once."""
        self._pool.stop()
        deadline = self._clock() + SETTLE_SECONDS
        while self._pool.in_flight and self._clock() < deadline and self._stop.presses < 2:
            news = self._pool.take(POLL_SECONDS)
            if not isinstance(news, Done):
                continue
            if news.reply is None:
                yield self._note_failure(news)
                continue
            call, reply = news.call, news.reply
            if call.phase == "apply":
                self._ledger.answered(call.positions, reply.counts, reply.request_id)
                self._attribution.add_batch(call.positions, reply.counts)
            yield CallAnswered(call, reply, self._ledger.answered_count)

    def _new_call(self, phase: Phase, positions: Positions, **place: int | None) -> Call:
        return Call(self._take_number(), phase, positions, self._new_key(), **place)  # type: ignore[arg-type]

    def _take_number(self) -> int:
        self._next_number += 1
        return self._next_number - 1

    def _budget_left(self) -> int | None:
        cap = self._job.max_requests
        return None if cap is None else max(0, cap - self._requests)

    def _undetermined(self) -> int:
        outcomes = self._ledger.outcomes(self._attribution.outcomes, self._attribution.probed)
        return int((outcomes.answered & (outcomes.outcome == Outcome.UNDETERMINED)).sum())
