"""One run: batches out, counts back, probes out, outcomes back, told as events.

The run is a generator.  It decides; a :class:`~kirim_pandas.run.pool.CallPool` sends.  It
yields :class:`~kirim_pandas.run.events.CallPlanned` before a call leaves, so whoever keeps
a journal can commit the call first, and a run can be taken up from such a journal (`past`).
"""

from __future__ import annotations

import time
import uuid
from collections import deque
from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import replace
from itertools import count
from typing import TypeAlias

from kirim_pandas.errors import in_our_words
from kirim_pandas.grouptesting.attribution import Attribution
from kirim_pandas.grouptesting.outcomes import Outcome, Outcomes, Positions
from kirim_pandas.run.advice import Advice, ColumnSource
from kirim_pandas.run.calls import UNPLANNED, Call, PastCall
from kirim_pandas.run.events import (
    CallPlanned,
    CallUnsent,
    Event,
    Idle,
    PhaseStarted,
    RoundEnded,
    RunEnded,
    Waiting,
)
from kirim_pandas.run.ledger import Ledger
from kirim_pandas.run.pool import CallPool, Done
from kirim_pandas.run.replay import recall_batches, recall_probes, round_budget
from kirim_pandas.run.replies import Halt, Settler
from kirim_pandas.run.rounds import ProbeRound
from kirim_pandas.run.spec import Job
from kirim_pandas.run.stop import StopButton

__all__ = ["Run"]

SETTLE_SECONDS = 10.0
"""How long a stopped run waits for the replies of calls that are on the wire."""

POLL_SECONDS = 0.05
"""How often a waiting run looks at the stop button."""

Events: TypeAlias = Generator[Event, None, None]
Settle: TypeAlias = Callable[[Done], Iterable[Event | Call]]


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
    own_key
        Whether the calls of `past` were sent under the key that is used now.
    source
        Reads what explains skips, where the columns of the job do not.
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
        own_key: bool = False,
        source: ColumnSource | None = None,
        new_key: Callable[[], str] = lambda: str(uuid.uuid4()),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._job = job
        self._pool = pool
        self._stop = stop
        self._clock = clock
        self._past = past
        self._ledger = Ledger(job.contact_count)
        self._attribution = Attribution(job.contact_count, groups=job.groups)
        self._advice = Advice(
            job.columns,
            learnt=job.learnt,
            past=past,
            source=source,
            stopped=lambda: bool(stop.presses),
        )
        # One number a call, none left out: so a journal that lost a call is found out.
        self._requests = sum(p.call.number >= 0 for p in past)
        self._settler = Settler(self._ledger, past, new_key, own_key=own_key)
        self._requests_before = self._requests
        self._cut_short = False
        self._proven = False

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
            try:
                yield from self._apply()
                if self._job.resolve != "batches":
                    yield from self._resolve()
                self._settler.check_key()
            except Halt as halt:
                error, interrupted = halt.error, halt.error is None
            except Exception as fault:  # ours: no reason to lose what is known
                error = fault
            if error is not None or interrupted:
                yield from self._settle_in_flight()
                half = self._settler.round  # it tells something, too
                if len(half):
                    self._attribution.tell(half.replies)
        finally:
            self._pool.close()
        _, skipped = self._ledger.counted
        ended = (self._outcomes(), self._requests, in_our_words(error), interrupted)
        cap = None if error is not None or interrupted else self._cap()
        yield RunEnded(*ended, skipped, cap)

    # -- the phases ------------------------------------------------------------------------

    def _apply(self) -> Events:
        """Send every contact once."""
        past = [p for p in self._past if p.call.phase == "apply"]
        open_calls, rest = recall_batches(past, self._job.contact_count, self._ledger)
        todo = deque(open_calls)
        todo += (
            self._settler.new_call("apply", positions, batch=batch) for batch, positions in rest
        )
        answered, skipped = self._ledger.counted
        yield PhaseStarted("apply", len(todo), self._job.contact_count, answered, skipped)
        try:
            yield from self._perform(todo, self._settler.batch)
        finally:
            # In the order of the frame, whatever order the replies came in: a resumed run must
            # plan the very same probes.
            for positions, counts in sorted(self._ledger.nodes, key=lambda node: node[0][0]):
                self._attribution.add_batch(positions, counts)

    def _resolve(self) -> Events:
        """Probe until every skipped contact has a name, or the budget is spent."""
        announced = False
        for number in count():
            budget = round_budget(self._past, number, self._budget_left())
            yield from self._advice.before_round(number, self._attribution)
            if self._stop.presses:
                raise Halt(None)
            expected = self._attribution.expected_probes()
            probes = self._attribution.next_round(budget)
            if not probes:
                return
            todo = self._to_ask(number, probes, budget)
            if todo and not announced:  # not for what earlier sessions have asked already
                announced = True
                yield PhaseStarted("resolve", max(len(todo), expected), self._undetermined())
            yield from self._perform(todo, self._settler.probe)
            asked, self._settler.round = self._settler.round, ProbeRound()
            self._attribution.tell(asked.replies)
            if announced:
                left = self._attribution.expected_probes()
                yield RoundEnded(number, self._undetermined(), left)

    def _to_ask(self, number: int, probes: list[Positions], budget: int | None) -> deque[Call]:
        """Return calls for the probes of a round that no earlier session has an answer to."""
        asked = self._settler.round = ProbeRound(probes)
        open_calls, rest = recall_probes(self._past, number, asked)
        todo = deque(open_calls)
        for slot, positions in rest:
            place = {"round": number, "slot": slot, "budget": budget}
            todo.append(self._settler.new_call("resolve", positions, **place))
        return todo

    # -- sending ---------------------------------------------------------------------------

    def _perform(self, todo: deque[Call], settle: Settle) -> Events:
        """Send the calls of `todo`, a few at a time; `settle` may answer with further calls."""
        while todo or self._pool.in_flight:
            # The first call goes alone: it proves the key, the label and the shape of replies.
            # So does the first of another size.
            while todo and self._pool.has_room(self._room()):
                call = todo.popleft()
                if call.number == UNPLANNED:
                    if self._budget_left() == 0:
                        self._cut_short = True
                        todo.clear()
                        break
                    call, *parts = self._settler.cut(call)
                    todo.extendleft(reversed(parts))
                    call = replace(call, number=self._requests)
                    self._requests += 1
                if self._stop.presses:
                    raise Halt(None)
                yield CallPlanned(call)
                if self._stop.presses:  # pressed by whoever was told of it
                    if not self._settler.may_have_happened(call):
                        yield CallUnsent(call)
                    raise Halt(None)
                if call.phase == "apply":
                    self._ledger.sent(call.positions, call.batch)
                self._pool.submit(call)
            yield Idle()
            news = self._pool.take(POLL_SECONDS)
            if self._stop.presses and not isinstance(news, Done):
                raise Halt(None)
            if isinstance(news, Waiting):
                yield news
            elif news is not None:
                self._proven = True
                for item in settle(news):
                    if isinstance(item, Call):
                        todo.appendleft(item)
                    else:
                        yield item

    def _room(self) -> int | None:
        return None if self._proven and not self._settler.tries_sizes else 1

    def _settle_in_flight(self) -> Events:
        """Wait a bounded time for the replies under way; a second press leaves at once."""
        self._pool.stop()
        deadline = self._clock() + SETTLE_SECONDS
        while self._pool.in_flight and self._clock() < deadline and self._stop.presses < 2:
            news = self._pool.take(POLL_SECONDS)
            if not isinstance(news, Done):
                continue
            if news.reply is None:
                yield self._settler.note_failure(news)
                continue
            call, reply = news.call, news.reply
            yield from self._settler.answered(call, reply)
            if call.phase == "apply":
                self._attribution.add_batch(call.positions, reply.counts)

    def _budget_left(self) -> int | None:
        cap = self._job.max_requests
        return None if cap is None else max(0, cap - self._requests)

    def _cap(self) -> tuple[int, int] | None:
        """Return requests spent and allowed if the cap left something to be asked; asked last."""
        cap = self._job.max_requests
        if cap is None:
            return None
        probing = self._job.resolve != "batches"
        if not self._cut_short and not (probing and self._attribution.next_round()):
            return None
        return self._requests - self._requests_before, cap - self._requests_before

    def _undetermined(self) -> int:
        found = self._ledger.outcomes(self._attribution.outcomes, self._attribution.probed)
        return int((found.answered & (found.outcome == Outcome.UNDETERMINED)).sum())

    def _outcomes(self) -> Outcomes:
        outcome = self._attribution.confirmed()
        return self._ledger.outcomes(outcome, self._attribution.probed)
