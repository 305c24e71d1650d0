"""One run: batches out, counts back, probes out, outcomes back, told as events.

The run is a generator.  It decides; a :class:`~kirim_pandas.run.pool.CallPool` sends.  It
yields :class:`~kirim_pandas.run.events.CallPlanned` before a call leaves, so whoever keeps
a journal can commit the call first, and a run can be taken up from such a journal (`past`).
"""

from __future__ import annotations

import math
import time
import uuid
from collections.abc import Callable, Generator, Sequence
from itertools import count
from typing import TypeAlias

import numpy as np

from kirim_pandas.errors import in_our_words
from kirim_pandas.grouptesting.attribution import Attribution
from kirim_pandas.grouptesting.outcomes import Outcome, Outcomes, Positions
from kirim_pandas.guesses.sentences import findings_text
from kirim_pandas.run.advice import Advice, ColumnSource
from kirim_pandas.run.calls import Call, PastCall
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
from kirim_pandas.run.outbox import Outbox
from kirim_pandas.run.pool import CallPool, Done
from kirim_pandas.run.refusals import explain_refused_probes
from kirim_pandas.run.replay import recall_batches, recall_probes, round_budget
from kirim_pandas.run.replies import Halt, ReplyHandler
from kirim_pandas.run.rounds import ProbeRound, RefusedProbes
from kirim_pandas.run.spec import Job
from kirim_pandas.run.stop import StopButton

__all__ = ["Run"]

GRACE_SECONDS = 10.0
"""How long a run that ends early waits for the replies of calls that are on the wire."""

CONTROL = -1
"""The round of a call that is no probe: it only shows whether calls arrive."""

LEAST_ADVISED = 3
"""Under a cap that leaves fewer probes no guess could be confirmed."""

POLL_SECONDS = 0.05
"""How often a waiting run looks at the stop button."""

SILENCE_SECONDS = 2.5
"""After so long without news people are told that the run waits for an answer."""

Events: TypeAlias = Generator[Event, None, None]


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
    patience_seconds
        How long a call is tried by who sends it; only to be told.
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
        patience_seconds: float = 900.0,
        source: ColumnSource | None = None,
        new_key: Callable[[], str] = lambda: str(uuid.uuid4()),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._job = job
        self._pool = pool
        self._stop = stop
        self._patience_seconds = patience_seconds
        self._clock = clock
        self._past = past
        self._ledger = Ledger(job.contact_count)
        self._attribution = Attribution(job.contact_count, groups=job.groups)
        self._advice = Advice(
            job.columns,
            learnt=job.learnt,
            past=past,
            source=source,
            stopped=stop.is_pressed,
        )
        self._outbox = Outbox(past, job.max_requests, new_key)
        self._requests_before = self._outbox.requests
        self._handler = ReplyHandler(self._ledger, self._outbox, past, own_key=own_key)
        self._refused = RefusedProbes(job.contact_count)
        self._probes = 0
        self._asks_again = False
        self._proven = False
        self._heard_at = clock()

    def events(self) -> Events:
        """Do the job.

        Yields
        ------
        Event
            What happens; the last one is always a RunEnded.
        """
        halt: Halt | None = None
        try:
            try:
                yield from self._work()
            except Halt as raised:
                halt = raised
            except Exception as fault:  # ours: no reason to lose what is known
                halt = Halt(fault)
            if halt is not None:
                yield from self._end_early()
        finally:
            self._pool.close()
        cap = None if halt else self._cap()
        whole = halt is None and cap is None
        yield RunEnded(
            self._outcomes(),
            self._outbox.requests,
            in_our_words(halt.error) if halt else None,
            interrupted=halt is not None and halt.error is None,
            skipped=self._ledger.counted[1],
            cap=cap,
            found=self._found() if whole else "",
        )

    # -- the phases ------------------------------------------------------------------------

    def _work(self) -> Events:
        yield from self._apply()
        if self._job.resolve != "batches":
            yield from self._resolve()
        self._handler.check_key()

    def _apply(self) -> Events:
        """Send every contact once."""
        open_calls, rest = recall_batches(self._past, self._job.contact_count, self._ledger)
        self._outbox.repeat(open_calls)
        for batch, positions in rest:
            self._outbox.add("apply", positions, batch=batch)
        answered, skipped = self._ledger.counted
        yield PhaseStarted("apply", len(self._outbox), self._job.contact_count, answered, skipped)
        try:
            yield from self._send()
            yield from self._send_control()
        finally:
            # In the order of the frame, whatever order the replies came in: a resumed run must
            # plan the very same probes.
            for positions, counts in sorted(self._ledger.nodes, key=lambda node: node[0][0]):
                self._attribution.add_batch(positions, counts)

    def _send_control(self) -> Events:
        """Send a contact once more that was counted, if refusals are in doubt and none was since.

        They are believed where this one is answered: then bodies arrive as they were sent.
        """
        counted = self._ledger.counted_first
        if self._handler.doubts_refusals and len(counted):
            self._handler.round = ProbeRound([counted])
            self._outbox.add("resolve", counted, round=CONTROL, slot=0)
            yield from self._send()
            self._handler.round = ProbeRound()
        self._handler.check_refused()

    def _resolve(self) -> Events:
        """Probe until every skipped contact has a name, or the budget is spent."""
        announced = False
        for number in count():
            budget = round_budget(self._past, number, self._outbox.budget)
            if budget is None or budget >= LEAST_ADVISED:
                yield from self._advice.before_round(number, self._attribution)
            self._look_at_button()
            # A search that begins is told what it may take; then each round's end tells it anew.
            expected = 0.0 if announced else self._attribution.expected_probes()
            probes = self._attribution.next_round(budget) or self._ask_again(budget)
            if not probes:
                return
            self._ask(number, probes, budget)
            if len(self._outbox) and not announced:  # not for what earlier sessions have asked
                announced = True
                requests = max(len(self._outbox), expected)
                yield PhaseStarted("resolve", requests, self._attribution.undetermined)
            yield from self._send()
            asked, self._handler.round = self._handler.round, ProbeRound()
            self._attribution.tell(asked.replies)
            self._refused.add(asked)
            if announced:
                left = self._attribution.expected_probes()
                yield RoundEnded(number, self._attribution.undetermined, left)

    def _ask(self, number: int, probes: list[Positions], budget: int | None) -> None:
        """Put into the outbox what no earlier session has an answer to."""
        asked = self._handler.round = ProbeRound(probes)
        self._probes += len(probes)
        open_calls, rest = recall_probes(self._past, number, asked)
        self._outbox.repeat(open_calls)
        for slot, positions in rest:
            self._outbox.add("resolve", positions, round=number, slot=slot, budget=budget)

    def _ask_again(self, budget: int | None) -> list[Positions]:
        """Return probes of what is open only because probes were refused; once in a session."""
        again = self._open_again()
        if not len(again) or self._attribution.next_round():  # it is the budget that ends it
            return []
        if self._asks_again and self._handler.refused_probe is not None:
            explain_refused_probes(self._handler.refused_probe)
            raise Halt(self._handler.refused_probe)
        self._asks_again, self._handler.refused_probe = True, None
        self._attribution.count_again(again)
        return self._attribution.next_round(budget)

    # -- sending ---------------------------------------------------------------------------

    def _send(self) -> Events:
        """Send what is in the outbox, a few calls at a time, and take what comes back."""
        while len(self._outbox) or self._pool.in_flight:
            room, calls = self._pool.room(self._room()), list[Call]()
            while len(calls) < room and (call := self._outbox.take()):
                calls.append(call)
            yield from self._submit(calls)
            yield Idle()
            yield from self._hear()

    def _submit(self, calls: Sequence[Call]) -> Events:
        """Send calls that are told of first: all of them, so that one commit does for all."""
        if calls:
            self._look_at_button()
        for told, call in enumerate(calls, start=1):
            yield CallPlanned(call, more=told < len(calls))
            if self._stop.presses:  # pressed by whoever was told of it
                self._outbox.take_back(calls[told:])
                yield from self._unsent(calls[:told])
                raise Halt(None)
        for call in calls:
            if call.phase == "apply":
                self._ledger.sent(call.positions, call.batch)
            self._heard_at = max(self._heard_at, self._clock())
            self._pool.submit(call)

    def _unsent(self, calls: Sequence[Call]) -> Events:
        """Say of calls that were told of that they do not leave."""
        for call in calls:
            if not self._handler.may_have_happened(call):
                yield CallUnsent(call)

    def _hear(self) -> Events:
        """Wait a moment for news, and take all there are: what they make room for goes together."""
        news = self._pool.take(POLL_SECONDS)
        if news is None:
            yield from self._silence()
        while news is not None:
            yield from self._listen(news)
            news = self._pool.take(0.0)

    def _silence(self) -> Events:
        self._look_at_button()
        if self._pool.in_flight and self._clock() - self._heard_at > SILENCE_SECONDS:
            self._heard_at = math.inf  # said once
            minutes = f"{self._patience_seconds / 60:.3g} min"
            yield Waiting(
                f"no answer from the service yet, trying for up to {minutes}", SILENCE_SECONDS
            )

    def _listen(self, news: Done | Waiting) -> Events:
        if isinstance(news, Done):
            self._heard_at = self._clock()
            self._proven = True
            yield from self._handler.handle(news)
        else:
            self._look_at_button()
            self._heard_at = self._clock() + news.seconds
            yield news

    def _look_at_button(self) -> None:
        if self._stop.presses:
            raise Halt(None)

    def _room(self) -> int | None:
        """Return how many calls may be under way; None for any number.

        The first call goes alone: it proves the key, the label and the shape of replies. So does
        the first of another size.
        """
        return None if self._proven and not self._outbox.tries_sizes else 1

    def _end_early(self) -> Events:
        """Wait a bounded time for the replies under way; a second press leaves at once."""
        self._pool.stop()
        deadline = self._clock() + GRACE_SECONDS
        while self._pool.in_flight and self._clock() < deadline and self._stop.presses < 2:
            news = self._pool.take(POLL_SECONDS)
            if not isinstance(news, Done):
                continue
            failure = yield from self._handler.enter(news)
            if failure is None and news.reply is not None and news.call.phase == "apply":
                self._attribution.add_batch(news.call.positions, news.reply.counts)
        half = self._handler.round
        if len(half):  # it tells something, too
            self._attribution.tell(half.replies)

    # -- what is known ---------------------------------------------------------------------

    def _cap(self) -> tuple[int, int] | None:
        """Return requests spent and allowed if the cap left something to be asked; asked last."""
        cap = self._job.max_requests
        if cap is None:
            return None
        probing = self._job.resolve != "batches"
        left = probing and (self._attribution.next_round() or len(self._open_again()))
        if not self._outbox.cut_short and not left:
            return None
        return self._outbox.requests - self._requests_before, cap - self._requests_before

    def _found(self) -> str:
        return findings_text(self._advice.findings, self._probes)

    def _open_again(self) -> Positions:
        return self._refused.open(self._ledger.undetermined(self._attribution.outcomes))

    def _outcomes(self) -> Outcomes:
        outcome, probed = self._attribution.confirmed(), self._attribution.probed
        if not self._handler.trusts_probes:
            outcome = np.where(probed, np.int8(Outcome.UNDETERMINED), outcome)
        return self._ledger.outcomes(outcome, probed)
