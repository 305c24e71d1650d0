"""One run: batches out, counts back, probes out, outcomes back, told as events.

The run is a generator.  It decides; a :class:`~kirim_pandas.run.pool.CallPool` sends.  It
yields :class:`~kirim_pandas.run.events.CallPlanned` before a call leaves, so whoever keeps
a journal can commit the call first, and a run can be taken up from such a journal (`past`).
"""

from __future__ import annotations

import math
import time
import uuid
from collections import Counter
from collections.abc import Callable, Generator, Mapping, Sequence
from typing import TypeAlias

import numpy as np

from kirim_pandas.errors import in_our_words
from kirim_pandas.grouptesting.attribution import Attribution
from kirim_pandas.grouptesting.outcomes import Outcome, Outcomes, Positions
from kirim_pandas.grouptesting.search import Search
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
from kirim_pandas.run.replay import PastRounds, recall_batches, recall_probes
from kirim_pandas.run.replies import Halt, ReplyHandler
from kirim_pandas.run.rounds import ProbeRound, RefusedProbes
from kirim_pandas.run.side_by_side import ChooseWidth, least_width
from kirim_pandas.run.spec import Job
from kirim_pandas.run.stop import StopButton

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
    choose_width
        Told how many batches are to be searched and how many probes that may take, returns how
        many searches are to go side by side; see `side_by_side`.
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
        choose_width: ChooseWidth = least_width,
        new_key: Callable[[], str] = lambda: str(uuid.uuid4()),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._job = job
        self._pool = pool
        self._stop = stop
        self._patience_seconds = patience_seconds
        self._clock = clock
        self._past = past
        self._past_rounds = PastRounds(past)
        self._choose_width = choose_width
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
        # Who asks: the one search alone, or several side by side, each of a number.
        self._seekers: Mapping[int, Attribution | Search] = {}
        self._width: int | None = None
        self._under_way: Counter[int] = Counter()  # calls by planner
        self._probes = 0
        self._asked_again = math.inf  # contacts, when refused probes were last asked again
        self._announced = False
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
            self._handler.rounds[0] = ProbeRound([counted])
            self._outbox.add("resolve", counted, round=CONTROL, slot=0)
            yield from self._send()
            self._handler.rounds.clear()
        self._handler.check_refused()

    def _resolve(self) -> Events:
        """Probe until every skipped contact has a name, or the budget is spent."""
        self._seekers = {0: self._attribution}
        number = 0
        while True:
            budget = self._past_rounds.budget(number, self._outbox.budget)
            if budget is None or budget >= LEAST_ADVISED:
                yield from self._advice.before_round(number, self._attribution)
            self._look_at_button()
            if (width := self._side_by_side(number)) > 1:
                number = yield from self._resolve_side_by_side(width, number)
                continue
            # A search that begins is told what it may take; then each round's end tells it anew.
            expected = 0.0 if self._announced else self._attribution.expected_probes()
            probes = self._attribution.next_round(budget) or self._ask_again(budget)
            if not probes:
                if stranded := self._attribution.stranded:
                    raise RuntimeError(f"no question was found for {stranded} open contacts")
                return
            self._ask(ProbeRound(probes, number=number), budget=budget)
            yield from self._announce(expected)
            yield from self._send()
            yield from self._tell(0)
            number += 1

    def _side_by_side(self, number: int) -> int:
        """Return how many searches go side by side from this round on; decided only once."""
        if self._width is not None or not self._attribution.begins_search:
            return 1
        self._width = self._past_rounds.width(number)
        if self._width is None:
            most = self._attribution.open_batches if self._job.max_requests is None else 1
            wanted = self._choose_width(most, self._attribution.expected_probes())
            self._width = max(1, min(most, wanted))
        return self._width

    def _resolve_side_by_side(self, width: int, first: int) -> Generator[Event, None, int]:
        """Let so many searches ask side by side until all is found; return the next round.

        None waits for another: each asks on as soon as it is answered. Under a cap, and once an
        earlier session has gone on as one search, they only do again what was done before.
        """
        expected = self._attribution.expected_probes()
        parts = self._seekers = dict(enumerate(self._attribution.split(width)))
        repeats = self._job.max_requests is not None or self._past_rounds.joined(first)
        numbers, last = dict.fromkeys(parts, first), first
        rounds = self._handler.rounds
        while numbers:
            busy = self._outbox.planners.union(+self._under_way)
            for planner in [planner for planner in numbers if planner not in busy]:
                if planner in rounds:
                    yield from self._tell(planner)
                    numbers[planner] += 1
                known = self._past_rounds.calls(planner, numbers[planner])
                probes = parts[planner].next_round() if known or not repeats else []
                if probes:
                    asked = ProbeRound(probes, number=numbers[planner], planner=planner)
                    self._ask(asked, planner=planner, planners=width)
                else:
                    last = max(last, numbers.pop(planner))
            yield from self._announce(expected)
            if len(self._outbox) or self._pool.in_flight:
                yield from self._step()
        self._attribution.join()
        self._seekers = {0: self._attribution}
        return last

    def _announce(self, requests: float) -> Events:
        """Say that this session probes; not for what earlier ones have asked."""
        if len(self._outbox) and not self._announced:
            self._announced = True
            requests = max(len(self._outbox), requests)
            yield PhaseStarted("resolve", requests, self._attribution.undetermined)

    def _ask(self, asked: ProbeRound, **place: int | None) -> None:
        """Put into the outbox what no earlier session has an answer to."""
        self._handler.rounds[asked.planner] = asked
        self._probes += len(asked)
        known = self._past_rounds.calls(asked.planner, asked.number)
        open_calls, rest = recall_probes(known, asked)
        self._outbox.repeat(open_calls)
        for slot, positions in rest:
            self._outbox.add("resolve", positions, round=asked.number, slot=slot, **place)

    def _tell(self, planner: int) -> Events:
        """Hand over the replies to a round."""
        asked = self._handler.rounds.pop(planner)
        self._seekers[planner].tell(asked.replies)
        self._refused.add(asked)
        if self._announced:
            left = self._attribution.expected_probes()
            yield RoundEnded(asked.number, self._attribution.undetermined, left)

    def _ask_again(self, budget: int | None) -> list[Positions]:
        """Return probes of what is open because probes were refused.

        Once in a session where they are refused again, else as long as it settles a half.
        """
        again = self._open_again()
        if not len(again) or self._attribution.next_round():  # it is the budget that ends it
            return []
        refusal = self._handler.refused_probe
        if self._asked_again < math.inf and refusal is not None and self._refused.were_last(again):
            explain_refused_probes(refusal)
            raise Halt(refusal)
        self._asked_again, self._handler.refused_probe = len(again), None
        self._attribution.count_again(again)
        return self._attribution.next_round(budget)

    # -- sending ---------------------------------------------------------------------------

    def _send(self) -> Events:
        """Send what is in the outbox, a few calls at a time, and take what comes back."""
        while len(self._outbox) or self._pool.in_flight:
            yield from self._step()

    def _step(self) -> Events:
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
            self._under_way[call.planner] += 1
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
            self._under_way[news.call.planner] -= 1
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
        for planner, half in self._handler.rounds.items():  # they tell something, too
            if planner in self._seekers and len(half):
                self._seekers[planner].tell(half.replies)
        self._attribution.join()

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
        findings = self._advice.borne_out(self._attribution.confirmed())
        # A resume that makes no call says what the run has said.
        is_resumed = 0 < self._requests_before < self._outbox.requests
        return findings_text(findings, self._probes, is_resumed=is_resumed)

    def _open_again(self) -> Positions:
        again = self._refused.open(self._ledger.undetermined(self._attribution.outcomes))
        is_worth_it = 2 * len(again) <= self._asked_again or self._refused.were_last(again)
        return again if is_worth_it else again[:0]

    def _outcomes(self) -> Outcomes:
        outcome, probed = self._attribution.confirmed(), self._attribution.probed
        if not self._handler.trusts_probes:
            outcome = np.where(probed, np.int8(Outcome.UNDETERMINED), outcome)
        return self._ledger.outcomes(outcome, probed)
