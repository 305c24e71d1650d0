"""Searches side by side in a run: resumed anywhere, in any order of answers, under a cap."""

import random

import numpy as np
import pytest
from support.model_service import ModelService
from support.virtual_pool import VirtualPool

from kirim_pandas.errors import InvalidRequestError
from kirim_pandas.grouptesting.outcomes import Outcome
from kirim_pandas.run.calls import Call, PastCall
from kirim_pandas.run.events import CallAnswered, CallPlanned, CallUnsent, PhaseStarted, RoundEnded
from kirim_pandas.run.loop import Run
from kirim_pandas.run.pool import Done
from kirim_pandas.run.side_by_side import Pace, quick_width
from kirim_pandas.run.spec import Job
from kirim_pandas.run.stop import StopButton

SIZE, WIDTH = 5000, 3


class ShuffledPool:
    """Sends in the thread of the run; answers come back in an order of their own."""

    def __init__(self, service, seed):
        self._service = service
        self._chance = random.Random(seed)
        self._under_way = []

    @property
    def in_flight(self):
        return len(self._under_way)

    def room(self, limit=None):
        return max(0, min(12, limit or 12) - self.in_flight)

    def submit(self, call):
        self._under_way.append(call)

    def take(self, timeout_seconds):
        if not self._under_way or not timeout_seconds:
            return None
        call = self._under_way.pop(self._chance.randrange(len(self._under_way)))
        try:
            return Done(call, self._service.send(call, None, None), None)
        except InvalidRequestError as error:
            return Done(call, None, error)

    def stop(self):
        """Nothing waits."""

    close = stop


def world(seed=0, share=0.01, size=SIZE):
    rng = np.random.default_rng(seed)
    return rng.choice([1, 2, 3], size, p=[1 - share, share / 2, share / 2]).astype(np.int8)


def go(service, *, width=WIDTH, seed=0, past=(), cap=None, kill_at=None):
    """Run to the end, or until so many events; return the events."""
    job = Job(len(service.world), max_requests=cap)
    pool = ShuffledPool(service, seed)
    run = Run(job, pool, stop=StopButton(), past=past, choose_width=lambda batches, probes: width)
    events = []
    for event in run.events():
        events.append(event)
        if len(events) == kill_at:
            break
    return events


def as_past(events, past=()):
    """What a journal would remember of these events, after what it knew."""
    known = {earlier.call.number: earlier for earlier in past}
    for event in events:
        match event:
            case CallPlanned(call):
                known[call.number] = PastCall(call, "sent")
            case CallAnswered(call, reply):
                known[call.number] = PastCall(call, "answered", reply=reply)
            case CallUnsent(call):
                known[call.number] = PastCall(call, "unsent")
    return [known[number] for number in sorted(known)]


def probes(events):
    """The probes that were sent, each with its place, but for their keys and numbers."""
    calls = [event.call for event in events if isinstance(event, CallPlanned)]
    return sorted(
        (c.planners, c.planner, c.round, c.slot, c.positions.tobytes())
        for c in calls
        if c.phase == "resolve"
    )


@pytest.mark.parametrize("seed", range(3))
def test_searches_side_by_side_find_everybody(seed):
    """Each contact gets its outcome, the searches say whose calls are whose, and confirm as one."""
    service = ModelService(world(seed))
    events = go(service, seed=seed)
    assert (events[-1].outcomes.outcome == service.world).all()
    calls = [call for call in service.calls if call.phase == "resolve"]
    assert {call.planner for call in calls if call.planners == WIDTH} == set(range(WIDTH))
    last = max(call.round for call in calls if call.planners == WIDTH)
    confirming = [call for call in calls if call.planners == 1]
    assert confirming
    assert all(call.round > last for call in confirming)
    assert sum(isinstance(event, PhaseStarted) for event in events) == 2
    left = [event.undetermined for event in events if isinstance(event, RoundEnded)]
    assert left == sorted(left, reverse=True)
    assert left[-1] == 0


def test_the_order_of_the_answers_changes_no_probe():
    """Whatever search is answered first, the very same probes are sent."""
    first, second = (go(ModelService(world(1)), seed=seed) for seed in (1, 2))
    assert probes(first) == probes(second)


@pytest.fixture(scope="module")
def whole():
    """All events of a run that nobody kills."""
    return go(ModelService(world(2)))


@pytest.mark.parametrize("part", range(6))
def test_a_run_killed_anywhere_plans_the_same_probes(whole, part):
    """A resumed run asks only what is missing, however many searches it would choose itself."""
    begun = next(
        number
        for number, event in enumerate(whole)
        if isinstance(event, CallPlanned) and event.call.planners > 1
    )
    kill_at = begun + 1 + part * (len(whole) - begun - 2) // 5
    service = ModelService(world(2))
    first = go(service, kill_at=kill_at)
    past = as_past(first)
    second = go(service, seed=part, width=WIDTH + 2, past=past)
    assert (second[-1].outcomes.outcome == service.world).all()
    answered = {event.call.key for event in first if isinstance(event, CallAnswered)}
    sent = [event.call for event in second if isinstance(event, CallPlanned)]
    assert not answered & {call.key for call in sent}
    again = [e for e in first if isinstance(e, CallPlanned) and e.call.key in answered]
    assert sorted(probes(again) + probes(second)) == probes(whole)
    assert not probes(go(service, past=as_past(second, past)))


def test_under_a_cap_one_search_goes_alone():
    """What a cap leaves is spent on batches that can be finished: that takes one search for all."""
    service = ModelService(world(3))
    ended = go(service, cap=40)[-1]
    assert {call.planners for call in service.calls} == {1}
    assert len(service.calls) <= 40
    known = ended.outcomes.outcome != Outcome.UNDETERMINED
    assert (ended.outcomes.outcome[known] == service.world[known]).all()


@pytest.mark.parametrize("kill_share", [0.3, 0.6, 0.9])
def test_searches_that_are_resumed_under_a_cap_go_on_as_one(kill_share):
    """Nothing they asked is asked again, the cap holds, and a later session finds the rest."""
    whole = go(ModelService(world(4)))
    service = ModelService(world(4))
    past = as_past(go(service, kill_at=int(kill_share * len(whole))))
    cap = len(past) + 25
    capped = go(service, past=past, cap=cap)
    past = as_past(capped, past)
    assert len(past) <= cap
    known = capped[-1].outcomes.outcome != Outcome.UNDETERMINED
    assert (capped[-1].outcomes.outcome[known] == service.world[known]).all()
    last = go(service, past=past)
    assert (last[-1].outcomes.outcome == service.world).all()
    sent = {call.positions.tobytes() for call in service.calls}
    assert len(sent) >= 0.9 * len(service.calls)
    past = as_past(last, past)
    assert not probes(go(service, past=past))


def test_a_contact_that_is_refused_meanwhile_is_left_out_alone():
    """Whoever is deleted while searches go side by side is not named, and all others are."""
    service = ModelService(world(5), param=None)
    gone = 4321

    def fault(number, call):
        if call.phase == "resolve" and gone in call.positions:
            return InvalidRequestError("no", status=400, code="invalid_field_value")
        return None

    service.fault = fault
    ended = go(service)[-1]
    known = ended.outcomes.outcome != Outcome.UNDETERMINED
    assert (ended.outcomes.outcome[known] == service.world[known]).all()
    assert (~known[:4000]).sum() == 0


def seconds(per_minute, latency, *, width=None):
    """How long five batches with 1 % skipped take, in virtual time; and how many 429s came."""
    truth = world(6)
    pool = VirtualPool(truth, per_minute=per_minute, latency_seconds=latency, most=in_flight)

    def choose(batches, probes):
        return width or quick_width(batches, probes, Pace(*pool.pacer.pace(pool.now, share=0.9)))

    run = Run(Job(SIZE), pool, stop=StopButton(), choose_width=choose, clock=lambda: pool.now)
    *_, ended = run.events()
    assert (ended.outcomes.outcome == truth).all()
    assert pool.refused == 0
    return pool.now


def in_flight(pacer, now):
    return Pace(*pacer.pace(now, share=0.9)).in_flight


def test_where_a_run_would_wait_for_itself_more_searches_are_quicker():
    """With tokens at hand and a slow service, searches side by side take less than half as long."""
    assert seconds(600, 1.0) < 0.5 * seconds(600, 1.0, width=1)


def test_where_the_limit_decides_no_search_more_is_begun():
    """On the smallest plan one search alone uses all tokens, so no probe more is spent."""
    assert seconds(60, 0.2) == seconds(60, 0.2, width=1)


@pytest.mark.parametrize(
    ("pace", "least", "most"),
    [
        (Pace(1.0, 1.0, 50.0), 2, 2),  # the tokens of a minute decide
        (Pace(10.0, 1.0, 400.0), 5, 16),
        (Pace(100.0, 0.2, 5000.0), 16, 64),
        (Pace(100.0, 0.002, 5000.0), 2, 2),  # the service is as quick as the planning
    ],
)
def test_searches_follow_limit_and_latency(pace, least, most):
    """Of 200 batches with 1 % skipped: as many searches as limit, latency and tokens ask for."""
    assert least <= quick_width(200, 3900.0, pace) <= most


@pytest.mark.parametrize(
    ("calls", "per_minute", "latency", "most"),
    [(700, 600, 0.8, 21.0), (1500, 6000, 0.2, 10.0)],
)
def test_calls_under_way_follow_limit_and_latency(calls, per_minute, latency, most):
    """While tokens are at hand up to 64 calls are under way, and none is refused."""
    pool = VirtualPool(
        np.ones(calls, dtype=np.int8),
        per_minute=per_minute,
        latency_seconds=latency,
        most=in_flight,
    )
    waiting = [Call(n, "apply", np.array([n]), f"key-{n}") for n in range(calls)]
    first = True
    while waiting or pool.in_flight:
        for _ in range(1 if first else min(pool.room(), len(waiting))):
            pool.submit(waiting.pop())
        first = False
        pool.take(1.0)
    assert pool.refused == 0
    assert pool.now <= most
