"""Advice before each round: what is read and when, and that a resumed run is advised alike."""

from itertools import pairwise

import numpy as np
import pytest
from support.model_service import ModelService

from kirim_pandas.grouptesting.attribution import Attribution
from kirim_pandas.grouptesting.outcomes import Counts, Outcome, cut_batches
from kirim_pandas.guesses.columns import CONNECTED_NUMBER, Column
from kirim_pandas.run.advice import Advice
from kirim_pandas.run.calls import Call, PastCall
from kirim_pandas.run.events import (
    CallAnswered,
    CallPlanned,
    ColumnsLearnt,
    RunEnded,
    Waiting,
)
from kirim_pandas.run.loop import Run
from kirim_pandas.run.pool import CallPool
from kirim_pandas.run.spec import Job
from kirim_pandas.run.stop import StopButton

SIZE = 4000


class FakeSource:
    """Reads for so many polls, then gives its columns, or fails as a source may: with nothing."""

    def __init__(self, columns, polls=2):
        self.columns, self.polls = columns, polls
        self.started, self.stopped, self.taken = [], 0, 0
        self.progress = "reading"

    def start(self, *, probes, missing):
        self.started.append((probes, missing))

    def take(self, timeout_seconds):
        self.taken += 1
        return self.columns if self.taken > self.polls else None

    def stop(self):
        self.stopped += 1


def account(seed=1, size=SIZE, numbers=6):
    codes = np.random.default_rng(seed).integers(0, numbers, size).astype(np.int32)
    return Column(CONNECTED_NUMBER, codes)


def noise(seed=2, size=SIZE):
    return Column("city", np.random.default_rng(seed).integers(0, 5, size).astype(np.int32))


def world(column, *, exceptions=0.0):
    """Contacts of the first two values are of another team, but for some."""
    other = np.random.default_rng(3).random(len(column.codes)) < exceptions
    skipped = (column.codes < 2) ^ other
    return np.where(skipped, Outcome.TEAM_MISMATCH, Outcome.APPLIED).astype(np.int8)


def counted(truth):
    """An attribution that has the replies to all batches."""
    attribution = Attribution(len(truth))
    for batch in cut_batches(len(truth)):
        tally = np.bincount(truth[batch], minlength=4)
        attribution.add_batch(batch, Counts(*(int(n) for n in tally[1:])))
    return attribution


def advise(advice, attribution, number=0):
    return list(advice.before_round(number, attribution))


def make(columns=(), *, source=None, learnt=None, past=(), stopped=lambda: False):
    return Advice(columns, learnt=learnt or {}, past=past, source=source, stopped=stopped)


def test_what_the_frame_explains_is_not_read():
    """A rule over a column of the frame is checked before anything is read."""
    column, source = account(), FakeSource([noise()])
    advice = make([column], source=source)
    assert advise(advice, counted(world(column))) == []
    assert source.started == []
    assert [finding.column for finding in advice.findings] == [CONNECTED_NUMBER]


def test_what_is_read_is_told_and_used():
    """Columns that were read are told before the round that they decide, and explain it."""
    column = account()
    source = FakeSource([column])
    advice = make([noise()], source=source)
    attribution = counted(world(column))
    told = advise(advice, attribution)
    assert [type(event) for event in told] == [Waiting, Waiting, ColumnsLearnt]
    assert told[-1].columns == (column,)
    assert [finding.exact for finding in advice.findings] == [True]
    assert source.stopped == 1
    assert all(len(np.unique(column.codes[probe] < 2)) == 1 for probe in attribution.next_round())


def test_a_source_is_read_once():
    """Whatever came of it, a source is not started a second time."""
    source = FakeSource([])
    advice = make([noise()], source=source)
    attribution = counted(world(account()))
    for number in range(3):
        assert not any(isinstance(e, ColumnsLearnt) for e in advise(advice, attribution, number))
    assert len(source.started) == 1
    probes, missing = source.started[0]
    assert probes > 0
    assert missing == 0


def test_little_is_not_worth_reading():
    """Where a few probes name the skipped, nothing is read."""
    truth = np.full(SIZE, Outcome.APPLIED, dtype=np.int8)
    truth[7] = Outcome.CROSS_ORG
    source = FakeSource([account()])
    advise(make(source=source), counted(truth))
    assert source.started == []


def test_a_stop_ends_the_reading():
    """Whoever stops the run does not wait for the list, which is read no further."""
    presses = iter([False, False, True])
    source = FakeSource([account()], polls=10**6)
    told = advise(make(source=source, stopped=lambda: next(presses)), counted(world(account())))
    assert len(told) == 2
    assert source.stopped == 1


def test_rounds_of_earlier_sessions_are_not_advised_by_what_is_read_now():
    """Reading waits until all rounds are replayed that earlier sessions planned without it."""
    past = [PastCall(Call(9, "resolve", np.arange(5), "K", round=1), "sent")]
    source = FakeSource([account()], polls=0)
    advice = make(source=source, past=past)
    attribution = counted(world(account()))
    assert advise(advice, attribution, 0) == advise(advice, attribution, 1) == []
    assert source.started == []
    assert isinstance(advise(advice, attribution, 2)[0], ColumnsLearnt)


def test_what_an_earlier_session_learnt_is_used_where_it_was():
    """Learnt columns come back before the very round they came before, and nothing is read."""
    column, source = account(), FakeSource([])
    advice = make(source=source, learnt={1: [column]})
    attribution = counted(world(column))
    assert advise(advice, attribution, 0) == []
    assert advice.findings == []
    assert advise(advice, attribution, 1) == []
    assert len(advice.findings) == 1
    assert source.started == []


# -- whole runs, killed and taken up again ---------------------------------------------------


def run(service, job, source, *, past=(), kill_at=None):
    """Follow a run, at most to event `kill_at`, where its process is gone."""
    pool = CallPool(service.send, max_in_flight=1)
    events = []
    stream = Run(job, pool, stop=StopButton(), past=past, source=source).events()
    for event in stream:
        events.append(event)
        if kill_at is not None and len(events) > kill_at:
            stream.close()
            break
    return events


def as_past(events):
    past = {}
    for event in events:
        match event:
            case CallPlanned(call):
                past[call.number] = PastCall(call, "sent")
            case CallAnswered(call, reply):
                past[call.number] = PastCall(call, "answered", reply=reply)
    return [past[number] for number in sorted(past)]


def asked(events):
    """Each call as the service sees it, but for its key."""
    calls = [event.call for event in events if isinstance(event, CallPlanned)]
    return [(c.phase, c.batch, c.round, c.slot, c.positions.tolist()) for c in calls]


@pytest.mark.parametrize("exceptions", [0.0, 0.01])
@pytest.mark.parametrize("in_frame", [True, False])
def test_a_run_killed_anywhere_plans_the_same_probes(exceptions, in_frame):
    """Killed while it reads, explores or checks, a run asks on what it would have asked."""
    column = account()
    truth = world(column, exceptions=exceptions)
    columns = (noise(), column) if in_frame else (noise(),)
    job = Job(SIZE, columns=columns)

    def source():
        return FakeSource([] if in_frame else [column])

    whole = run(ModelService(truth), job, source())
    if exceptions == 0.0:
        assert len(asked(whole)) <= 4 + 9
    places = [
        place
        for place, (event, after) in enumerate(pairwise(whole))
        if isinstance(event, CallPlanned | CallAnswered | ColumnsLearnt | Waiting)
        and type(event) is not type(after)
    ]
    for kill_at in places[:: max(1, len(places) // 5)]:
        service = ModelService(truth)
        first = run(service, job, source(), kill_at=kill_at)
        learnt = {e.round: e.columns for e in first if isinstance(e, ColumnsLearnt)}
        job_again = Job(SIZE, columns=columns, learnt=learnt)
        second = run(service, job_again, source(), past=as_past(first))
        assert (second[-1].outcomes.outcome == truth).all()
        answered = [call for call in asked(first) if call not in asked(second)]
        assert sorted(answered + asked(second)) == sorted(asked(whole))
        assert len(service.replies) == len(asked(whole))


@pytest.mark.parametrize("cap", [5, 6, 7, 9, 14, 30])
def test_a_cap_leaves_nothing_wrong_and_a_resume_ends_it(cap):
    """Under a cap guesses are checked within it; what it leaves open a resume finds out."""
    column = account()
    truth = world(column, exceptions=0.005)
    service = ModelService(truth)
    job = Job(SIZE, columns=(column,), max_requests=cap)
    first = run(service, job, None)
    ended = first[-1]
    assert isinstance(ended, RunEnded)
    known = ended.outcomes.outcome != Outcome.UNDETERMINED
    assert (ended.outcomes.outcome[known] == truth[known]).all()
    assert len(service.replies) <= cap
    second = run(service, Job(SIZE, columns=(column,)), None, past=as_past(first))
    assert (second[-1].outcomes.outcome == truth).all()
