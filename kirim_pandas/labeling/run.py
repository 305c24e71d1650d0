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
from itertools import count
from typing import TypeAlias

from kirim_pandas.api.errors import KirimError, in_our_words
from kirim_pandas.labeling.attribution import Attribution
from kirim_pandas.labeling.batches import Counts, Outcome, Positions
from kirim_pandas.labeling.certificate import certificate, check_certificate
from kirim_pandas.labeling.events import (
    Call,
    CallAnswered,
    CallLost,
    CallPlanned,
    CallRefused,
    CallUnsent,
    Event,
    Idle,
    Phase,
    PhaseStarted,
    RoundEnded,
    RunEnded,
    Waiting,
)
from kirim_pandas.labeling.job import Job, PastCall
from kirim_pandas.labeling.ledger import Ledger, Outcomes
from kirim_pandas.labeling.pool import CallPool, Done
from kirim_pandas.labeling.recall import recall_batches, recall_round, round_budget
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
"""How often in a row a call is sent again under a new key when the service stored a failure."""

UNPLANNED = -1
"""The number of a call that may still be left out."""

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
        self._past = past
        self._ledger = Ledger(job.contact_count)
        self._attribution = Attribution(
            job.contact_count, groups=job.groups, counts_changes=job.counts_changes
        )
        self._round: list[Counts | None] = []  # replies to the probes being asked
        self._certificate: list[Positions] = []
        # One number a call, none left out: so a journal that lost a call is found out.
        self._requests = sum(p.call.number >= 0 for p in past)
        # Of these an earlier try may have been carried out, whatever a later try says.
        self._doubtful = {p.call.number for p in past if p.state == "sent"}
        self._proven = False
        self._singled_out: set[bytes] = set()
        self._trust_param = True
        self._refused_left = MAX_REFUSED_CONTACTS
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
            try:
                yield from self._apply()
                if self._job.resolve != "batches":
                    yield from self._resolve()
                if self._job.resolve == "certified":
                    yield from self._certify()
            except _Halt as halt:
                error, interrupted = halt.error, halt.error is None
            except Exception as fault:  # ours: no reason to lose what is known
                error = fault
            if error is not None or interrupted:
                yield from self._settle_in_flight()
                if self._round and not self._certificate:  # half a round tells something, too
                    self._attribution.tell(self._round)
        finally:
            self._pool.close()
        learnt, (_, skipped) = self._attribution.counts_changes, self._ledger.counted
        ended = (self._outcomes(), self._requests, in_our_words(error), interrupted)
        yield RunEnded(*ended, learnt, skipped)

    # -- the phases ------------------------------------------------------------------------

    def _apply(self) -> Events:
        """Send every contact once."""
        past = [p for p in self._past if p.call.phase == "apply"]
        open_calls, rest = recall_batches(past, self._job.contact_count, self._ledger)
        todo = deque(open_calls)
        todo += (self._new_call("apply", positions, batch=batch) for batch, positions in rest)
        answered, skipped = self._ledger.counted
        yield PhaseStarted("apply", len(todo), self._job.contact_count, answered, skipped)
        try:
            yield from self._perform(todo, self._settle_batch)
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
            expected = self._attribution.expected_probes()
            probes = self._attribution.next_round(budget)
            if not probes:
                return
            todo = self._to_ask("resolve", number, probes, budget)
            if todo and not announced:  # not for what earlier sessions have asked already
                announced = True
                yield PhaseStarted("resolve", max(len(todo), expected), self._undetermined())
            yield from self._perform(todo, self._settle_probe)
            replies, self._round = self._round, []
            self._attribution.tell(replies)
            if announced:
                left = self._attribution.expected_probes()
                yield RoundEnded(number, self._undetermined(), left)

    def _certify(self) -> Events:
        """Ask once more, outcome by outcome, whether the names found are right."""
        calls = certificate(self._attribution.confirmed(), self._attribution.probed)
        if not calls:
            return
        yield PhaseStarted("certify", len(calls), sum(len(call) for call in calls))
        self._certificate = calls
        yield from self._perform(self._to_ask("certify", 0, calls, None), self._settle_probe)

    def _to_ask(
        self, phase: Phase, number: int, probes: list[Positions], budget: int | None
    ) -> deque[Call]:
        """Return calls for the probes of a round that no earlier session has an answer to."""
        self._round, open_calls, unasked = recall_round(self._past, phase, number, probes)
        todo = deque(open_calls)
        for slot in unasked:
            place = {"round": number, "slot": slot, "budget": budget}
            todo.append(self._new_call(phase, probes[slot], **place))
        return todo

    # -- what came back --------------------------------------------------------------------

    def _settle_batch(self, done: Done) -> Iterator[Event | Call]:
        call, positions = done.call, done.call.positions
        if done.reply is not None:
            self._ledger.answered(positions, done.reply.counts, done.reply.request_id)
            if positions.tobytes() in self._singled_out:
                self._trust_param = False  # the service pointed at an id that it takes
            yield CallAnswered(call, done.reply, self._ledger.answered_count)
            return
        refusal = read_refusal(done.error, len(positions))
        if refusal is None:
            yield from self._settle_failure(done)
            return
        # The key's first reply is a refusal, so no try under this key was carried out.
        yield CallRefused(call, refusal.code, refusal.request_id)
        index = refusal.index if self._trust_param else None
        parts = split_refused(positions, index)
        if parts:
            self._ledger.unsent(positions)
            if index is not None:
                self._singled_out.add(parts[0].tobytes())
            yield from (self._new_call("apply", part, batch=call.batch) for part in parts)
            return
        self._ledger.refused(positions, refusal.code, refusal.request_id)
        self._refused_left -= 1
        if self._refused_left < 0:
            raise _Halt(done.error)

    def _settle_probe(self, done: Done) -> Iterator[Event | Call]:
        if done.reply is not None:
            self._round[done.call.slot] = done.reply.counts
            yield CallAnswered(done.call, done.reply, self._ledger.answered_count)
        elif refusal := read_refusal(done.error, len(done.call.positions)):
            yield CallRefused(done.call, refusal.code, refusal.request_id)
        else:
            yield from self._settle_failure(done)

    def _settle_failure(self, done: Done) -> Iterator[Event | Call]:
        """No counts, and nothing that is wrong with single ids."""
        noted = self._note_failure(done)
        yield noted
        if getattr(done.error, "replayed", False) and self._rekeys_left:
            # The service stored its own failure under the key and would repeat it for a day.
            # A new key is safe in effect: attaching and detaching twice is a no-op.
            self._rekeys_left -= 1
            if done.call.phase == "apply" and isinstance(noted, CallLost):
                self._ledger.doubted(done.call.positions, done.call.batch)
            yield replace(done.call, number=UNPLANNED, key=self._new_key())
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
            # The first call goes alone: it proves the key, the label and the shape of replies.
            while todo and self._pool.has_room(None if self._proven else 1):
                call = todo.popleft()
                if call.number == UNPLANNED:
                    if self._budget_left() == 0:
                        todo.clear()
                        break
                    call = replace(call, number=self._requests)
                    self._requests += 1
                if self._stop.presses:
                    raise _Halt(None)
                yield CallPlanned(call)
                if self._stop.presses:  # pressed by whoever was told of it
                    if call.number not in self._doubtful:
                        yield CallUnsent(call)
                    raise _Halt(None)
                if call.phase == "apply":
                    self._ledger.sent(call.positions, call.batch)
                self._pool.submit(call)
            yield Idle()
            news = self._pool.take(POLL_SECONDS)
            if self._stop.presses and not isinstance(news, Done):
                raise _Halt(None)
            if isinstance(news, Waiting):
                yield news
            elif news is not None:
                self._proven = True
                if news.reply is not None:
                    self._rekeys_left = MAX_REKEYS
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
            else:
                self._round[call.slot] = reply.counts
            yield CallAnswered(call, reply, self._ledger.answered_count)

    def _new_call(self, phase: Phase, positions: Positions, **place: int | None) -> Call:
        return Call(UNPLANNED, phase, positions, self._new_key(), **place)  # type: ignore[arg-type]

    def _budget_left(self) -> int | None:
        cap = self._job.max_requests
        return None if cap is None else max(0, cap - self._requests)

    def _undetermined(self) -> int:
        found = self._ledger.outcomes(self._attribution.outcomes, self._attribution.probed)
        return int((found.answered & (found.outcome == Outcome.UNDETERMINED)).sum())

    def _outcomes(self) -> Outcomes:
        outcome = self._attribution.confirmed()
        if self._certificate:
            outcome = check_certificate(outcome, self._certificate, self._round)
        return self._ledger.outcomes(outcome, self._attribution.probed)
