"""The run, against a service that is a dictionary."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.model_service import ModelService

from kirim_pandas.errors import (
    AuthenticationError,
    InvalidRequestError,
    NotFoundError,
    ServerError,
    TransportError,
)
from kirim_pandas.grouptesting.frontier import Frontier
from kirim_pandas.grouptesting.outcomes import Counts, Outcome
from kirim_pandas.run.calls import Call, PastCall, Reply
from kirim_pandas.run.events import (
    CallAnswered,
    CallLost,
    CallPlanned,
    CallRefused,
    CallUnsent,
    PhaseStarted,
    RunEnded,
    Waiting,
)
from kirim_pandas.run.loop import Run
from kirim_pandas.run.pool import CallPool
from kirim_pandas.run.replies import MAX_REFUSED_CONTACTS
from kirim_pandas.run.spec import Job
from kirim_pandas.run.stop import StopButton


def random_world(size, share, seed=0):
    rng = np.random.default_rng(seed)
    kinds = rng.choice([1, 2, 3], size=size, p=[1 - share, share / 2, share / 2])
    return kinds.astype(np.int8)


def go(service, job=None, *, past=(), stop=None, on_event=lambda event: None):
    stop = stop or StopButton()
    pool = CallPool(service.send, max_in_flight=4)
    events = []
    run = Run(job or Job(len(service.world)), pool, stop=stop, past=past)
    for event in run.events():
        events.append(event)
        on_event(event)
    return events


def as_past(events):
    """What a journal would remember of these events."""
    past = {}
    for event in events:
        match event:
            case CallPlanned(call) | CallLost(call):
                past[call.number] = PastCall(call, "sent")
            case CallAnswered(call, reply):
                past[call.number] = PastCall(call, "answered", reply=reply)
            case CallRefused(call, code, request_id):
                past[call.number] = PastCall(call, "refused", code=code, request_id=request_id)
            case CallUnsent(call):
                past[call.number] = PastCall(call, "unsent")
    return [past[number] for number in sorted(past)]


def assert_true(service, outcomes):
    """Nothing known is wrong: the invariant of every test here."""
    known = outcomes.outcome != Outcome.UNDETERMINED
    assert (outcomes.outcome[known] == service.world[known]).all()
    applied = set(np.flatnonzero(outcomes.outcome == Outcome.APPLIED).tolist())
    assert applied <= service.labeled


@pytest.mark.parametrize(
    ("size", "share"),
    [(0, 0.0), (1, 0.0), (1, 1.0), (999, 0.0), (1000, 0.02), (1001, 1.0), (2300, 0.01)],
)
def test_every_contact_gets_its_true_outcome(size, share):
    """A run without faults names every contact rightly."""
    service = ModelService(random_world(size, share))
    ended = go(service)[-1]
    assert (ended.outcomes.outcome == service.world).all()
    assert ended.requests == len(service.calls)


@settings(max_examples=8, deadline=None)
@given(
    st.integers(1, 1300),
    st.sampled_from([0.0, 0.004, 0.02, 0.99, 1.0]),
    st.integers(0, 99),
    st.sampled_from(["rows", "batches"]),
)
def test_outcomes_are_true_or_unknown(size, share, seed, resolve):
    """Whatever the world, what the run reports is true, and each contact is sent once first."""
    service = ModelService(random_world(size, share, seed))
    events = go(service, Job(size, resolve=resolve))
    assert_true(service, events[-1].outcomes)
    applied = [c for c in service.calls if c.phase == "apply"]
    assert sorted(np.concatenate([c.positions for c in applied]).tolist()) == list(range(size))
    assert len({call.key for call in service.calls}) == len(service.calls)
    if resolve == "batches":
        assert len(applied) == len(service.calls)


def test_pure_batches_need_no_probe():
    """Wholly applied and wholly skipped batches are settled by their own reply."""
    world = np.repeat(np.array([1, 2, 3], dtype=np.int8), 1000)
    service = ModelService(world)
    ended = go(service)[-1]
    assert len(service.calls) == 3
    assert not ended.outcomes.probed.any()


def test_calls_are_planned_before_they_are_sent():
    """A listener knows of a call before the service can."""
    service = ModelService(random_world(1500, 0.01))
    planned = set()

    def on_event(event):
        if isinstance(event, CallPlanned):
            assert event.call.key not in {call.key for call in service.calls}
            planned.add(event.call.key)

    go(service, on_event=on_event)
    assert planned == {call.key for call in service.calls}


def test_first_call_goes_alone():
    """Nothing else is sent before the first reply has proved the key and the label."""
    service = ModelService(random_world(5000, 0.0))
    service.fault = lambda number, call: AuthenticationError("no", status=401)
    events = go(service)
    assert len(service.calls) == 1
    assert isinstance(events[-1].error, AuthenticationError)
    assert (events[-1].outcomes.batch == -1).all()


@pytest.mark.parametrize("cap", [1, 2, 5, 9, 30])
def test_max_requests_caps_the_run(cap):
    """No more calls than the cap; labels first, and what is not known says so."""
    service = ModelService(random_world(4000, 0.01))
    ended = go(service, Job(4000, max_requests=cap))[-1]
    assert len(service.calls) <= cap
    assert_true(service, ended.outcomes)
    assert (ended.outcomes.batch >= 0).sum() == min(4, cap) * 1000


@pytest.mark.parametrize("param", ["index", "wrong", None])
@pytest.mark.parametrize("bad", [{0}, {999}, {17, 18}, {5, 700, 1500, 1999}])
def test_a_refused_id_costs_its_row_only(param, bad):
    """Fault 53, 54: one id the service refuses fails alone, wherever the refusal points."""
    service = ModelService(random_world(2500, 0.002), bad=frozenset(bad), param=param)
    ended = go(service)[-1]
    assert ended.error is None
    assert set(np.flatnonzero(ended.outcomes.refusal >= 0).tolist()) == bad
    rest = np.setdiff1d(np.arange(2500), sorted(bad))
    assert (ended.outcomes.outcome[rest] == service.world[rest]).all()


def test_many_refused_ids_stop_the_run():
    """Fault 53: more refused ids than bad luck explains end the run with the service's error."""
    service = ModelService(random_world(2000, 0.0), bad=frozenset(range(0, 2000, 3)))
    ended = go(service)[-1]
    assert isinstance(ended.error, InvalidRequestError)
    refused = (ended.outcomes.refusal >= 0).sum()
    assert MAX_REFUSED_CONTACTS < refused <= MAX_REFUSED_CONTACTS + 4  # so many are under way
    assert_true(service, ended.outcomes)


@pytest.mark.parametrize(
    "error",
    [
        InvalidRequestError("label", status=400, code="invalid_field_value", param="label_id"),
        InvalidRequestError("reuse", status=422, code="idempotency_key_reuse"),
        NotFoundError("no label", status=404, code="resource_not_found"),
    ],
)
def test_errors_about_the_whole_call_stop_at_once(error):
    """Faults 50, 55, 58: what other ids would meet too is not tried with other ids."""
    service = ModelService(random_world(3000, 0.0))
    service.fault = lambda number, call: error
    ended = go(service)[-1]
    assert ended.error is error
    assert len(service.calls) == 1


@pytest.mark.parametrize("commits", [True, False])
def test_a_lost_reply_is_unknown(commits):
    """A call that may have been carried out is neither applied nor unsent."""
    service = ModelService(random_world(3000, 0.0), commit_before_fault=commits)
    service.fault = lambda number, call: ServerError("no", status=500) if number == 1 else None
    events = go(service)
    outcomes = events[-1].outcomes
    lost = (outcomes.batch >= 0) & ~outcomes.answered
    assert lost.sum() in {1000, 2000}  # the lost one, and one that was under way beside it
    assert any(isinstance(event, CallLost) for event in events)


def test_a_call_that_never_left_is_not_sent():
    """A refused connection leaves its contacts certainly not labeled."""
    service = ModelService(random_world(1000, 0.0))
    service.fault = lambda number, call: TransportError("refused", maybe_applied=False)
    outcomes = go(service)[-1].outcomes
    assert (outcomes.batch == -1).all()


def test_a_stored_failure_gets_a_new_key():
    """Fault 26: a failure the service keeps under the key is left behind with that key."""
    service = ModelService(random_world(1000, 0.0))
    stored = ServerError("stored", status=500)
    stored.replayed = True
    service.fault = lambda number, call: stored if number == 0 else None
    ended = go(service)[-1]
    assert ended.error is None
    first, second = service.calls
    assert first.key != second.key
    assert (first.positions == second.positions).all()


@settings(max_examples=8, deadline=None)
@given(
    size=st.integers(1, 2200),
    share=st.sampled_from([0.0, 0.004, 1.0]),
    seed=st.integers(0, 9),
    kill_after=st.integers(0, 60),
    commits=st.booleans(),
)
def test_a_run_goes_on_where_it_stood(size, share, seed, kill_after, commits):
    """Killed anywhere and taken up from its journal, a run ends as if nothing had happened."""
    service = ModelService(random_world(size, share, seed), commit_before_fault=commits)
    seen = []
    pool = CallPool(service.send, max_in_flight=1)
    run = Run(Job(size), pool, stop=StopButton())
    events = run.events()
    for _, event in zip(range(kill_after), events, strict=False):
        seen.append(event)
    past = as_past(seen)
    events.close()
    ended = go(service, past=past)[-1]
    assert (ended.outcomes.outcome == service.world).all()
    bodies = {}
    for call in service.calls:  # one key, one body
        assert bodies.setdefault(call.key, call.positions.tobytes()) == call.positions.tobytes()
    # A run that is over sends nothing more.
    before = len(service.calls)
    again = go(service, past=as_past(seen + go(service, past=past)))
    assert len(service.calls) >= before
    assert isinstance(again[-1], RunEnded)


def test_resuming_a_finished_run_sends_nothing():
    """What is settled is not asked again."""
    service = ModelService(random_world(1500, 0.01))
    events = go(service)
    before = len(service.calls)
    again = go(service, past=as_past(events))
    assert len(service.calls) == before
    assert (again[-1].outcomes.outcome == service.world).all()
    assert (again[-1].outcomes.probed == events[-1].outcomes.probed).all()


def test_a_doubtful_call_stays_doubtful():
    """A later try that certainly failed says nothing of an earlier one that may have worked."""
    service = ModelService(random_world(1000, 0.0), commit_before_fault=True)
    service.fault = lambda number, call: ServerError("lost", status=502)
    events = go(service)
    service.commit_before_fault = False
    service.fault = lambda number, call: AuthenticationError("expired", status=401)
    outcomes = go(service, past=as_past(events))[-1].outcomes
    assert (outcomes.batch == 0).all()
    assert not outcomes.answered.any()


def test_stop_settles_what_is_in_flight():
    """One press: replies under way are collected, nothing new is sent, the rest is unsent."""
    service = ModelService(random_world(20_000, 0.0))
    stop = StopButton()

    def on_event(event):
        if isinstance(event, CallAnswered) and not stop.presses and event.call.batch >= 3:
            stop.press()

    ended = go(service, stop=stop, on_event=on_event)[-1]
    assert ended.interrupted
    assert ended.error is None
    assert ended.outcomes.answered.sum() == 1000 * len(service.calls)
    assert_true(service, ended.outcomes)
    assert (ended.outcomes.outcome == 0).sum() == (ended.outcomes.batch == -1).sum()


def test_resolve_phase_announces_its_cost():
    """Before the first probe the run says how many requests it expects."""
    service = ModelService(random_world(1000, 0.05))
    events = go(service)
    (start,) = [e for e in events if isinstance(e, PhaseStarted) and e.phase == "resolve"]
    probes = sum(call.phase == "resolve" for call in service.calls)
    assert 0.4 * probes <= start.requests <= 2.5 * probes
    assert start.contacts == 1000


def lost(number, positions, key="A", state="sent", **place):
    """A call of an earlier session that may have been carried out."""
    return PastCall(Call(number, "apply", np.asarray(positions), key, **place), state)


@pytest.mark.parametrize("state", ["sent", "stale"])
@pytest.mark.parametrize(
    "error",
    [
        AuthenticationError("expired", status=401),
        TransportError("refused", maybe_applied=False),
        InvalidRequestError("no such id", status=400, code="gone", param="contact_ids[0]"),
    ],
    ids=["401", "never left", "refused"],
)
def test_what_may_have_happened_is_never_denied(state, error):
    """A lost call is neither failed nor unsent, whatever its repeat under a new key meets."""
    service = ModelService(random_world(1, 0.0))
    service.fault = lambda number, call: error
    past = [lost(0, [0], batch=0, state=state)]
    outcomes = go(service, past=past)[-1].outcomes
    assert service.calls[0].key == "A" or state == "stale"
    assert outcomes.batch[0] == 0
    assert outcomes.refusal[0] == -1
    assert not outcomes.answered[0]


def other_organisation(number, call):
    """What the key of another organisation meets where ids are checked before the label."""
    code, param = "invalid_field_value", "contact_ids[0]"
    return InvalidRequestError("no such contact", status=400, code=code, param=param)


def test_refusals_under_a_foreign_key_are_not_believed():
    """Fault 48: of calls under way nothing is known, and what was refused is asked again."""
    service = ModelService(random_world(6, 0.0))
    answered = PastCall(
        Call(0, "apply", np.array([0, 1]), "A", 0), "answered", Reply(Counts(2, 0, 0), "r")
    )
    past = [answered, lost(1, [2, 3], "B", batch=0)]
    service.fault = other_organisation
    events = go(service, past=past)
    outcomes = events[-1].outcomes
    assert outcomes.answered.tolist() == [True, True, False, False, False, False]
    assert (outcomes.batch[2:4] == 0).all()
    assert outcomes.refusal.tolist() == [-1, -1, -1, -1, *outcomes.refusal[4:]]
    assert (outcomes.refusal[4:] >= 0).all()  # certainly not labeled, so this is no lie
    service.fault = lambda number, call: None
    outcomes = go(service, past=merged(past, events))[-1].outcomes
    assert outcomes.outcome.tolist() == [Outcome.APPLIED] * 6


def merged(past, events):
    """The journal after a further session."""
    calls = {known.call.number: known for known in past}
    return sorted(
        (calls | {known.call.number: known for known in as_past(events)}).values(),
        key=lambda known: known.call.number,
    )


@pytest.mark.parametrize("positions", [[0], [0, 1]])
def test_refusals_are_believed_once_the_key_has_proved_itself(positions):
    """A call that is counted shows whose key it is; then a refusal is the key's first reply."""
    service = ModelService(random_world(4, 0.0), bad=frozenset({0}))
    past = [lost(0, positions, batch=0)]
    events = go(service, past=past)
    outcomes = events[-1].outcomes
    assert outcomes.refusal[0] >= 0
    assert outcomes.answered.tolist() == [False, True, True, True]
    before = len(service.calls)
    again = go(service, past=merged(past, events))[-1].outcomes
    assert len(service.calls) == before
    assert again.refusal[0] >= 0


def test_probes_refused_under_a_foreign_key_end_the_run():
    """Fault 48: nobody asks another organisation about contacts of this one for ever."""
    service = ModelService(random_world(1000, 0.05))
    events = go(service, Job(1000, resolve="batches"))
    before = len(service.calls)
    service.fault = other_organisation
    ended = go(service, Job(1000), past=as_past(events))[-1]
    assert "belongs to another organisation" in str(ended.error)
    assert len(service.calls) - before <= MAX_REFUSED_CONTACTS + 8
    assert_true(service, ended.outcomes)


@pytest.mark.parametrize(
    ("found", "told", "not_told"),
    [
        ("now", "was deleted since", "another organisation"),
        ("before", "this key belongs to another organisation", "check the label id"),
        ("never", "check the label id", "was there when"),
    ],
)
def test_51_a_label_that_was_there_is_said_so(found, told, not_told):
    """A 404 for the label says what it can mean: that depends on who has found it before."""
    service = ModelService(random_world(2000, 0.0))
    missing = NotFoundError("check the label id", status=404, code="x", param="label_id")
    fails_from = {"now": 1, "before": 0, "never": 0}[found]
    service.fault = lambda number, call: missing if number >= fails_from else None
    past = []
    if found == "before":
        reply = Reply(Counts(1000, 0, 0), "r")
        past = [PastCall(Call(0, "apply", np.arange(1000), "A", 0), "answered", reply)]
    error = go(service, past=past)[-1].error
    assert told in str(error)
    assert not_told not in str(error)


def refuse_above(size, kinds=("apply", "resolve")):
    """A service, or something before it, that takes no more than `size` contacts a call."""

    def fault(number, call):
        if len(call.positions) > size and call.phase in kinds:
            return InvalidRequestError("too large", status=413, code="whatever")
        return None

    return fault


@pytest.mark.parametrize("size", [500, 499, 60])
def test_56_a_size_once_refused_is_not_sent_again(size):
    """After a 413 the run halves until it fits, and every later call, probes too, is so small."""
    service = ModelService(random_world(3300, 0.01), fault=refuse_above(size))
    ended = go(service)[-1]
    assert ended.error is None
    assert (ended.outcomes.outcome == service.world).all()
    too_large = [len(call.positions) for call in service.calls if len(call.positions) > size]
    assert too_large == [1000, 500, 250, 125, 63][: len(too_large)]


def test_56_probes_that_are_too_large_are_asked_in_parts():
    """A 413 that comes with the first probe costs a request for each halving, and no row."""
    service = ModelService(random_world(1000, 0.05), fault=refuse_above(100, ("resolve",)))
    ended = go(service)[-1]
    assert ended.error is None
    assert (ended.outcomes.outcome == service.world).all()


def test_56_a_single_contact_too_large_ends_the_run():
    """A 413 for one contact says nothing about that contact."""
    service = ModelService(random_world(3, 0.0), fault=refuse_above(0))
    ended = go(service)[-1]
    assert ended.error.status == 413
    assert (ended.outcomes.refusal == -1).all()
    assert (ended.outcomes.batch == -1).all()


def refused_on_the_way(status, when):
    """A fault: something on the way answers so, and nobody knows what the service did."""

    def fault(number, call):
        if not when(number, call):
            return None
        error = (ServerError if status >= 500 else InvalidRequestError)("no", status=status)
        error.maybe_applied = True
        return error

    return fault


@pytest.mark.parametrize("status", [400, 502])
def test_56_a_size_that_is_refused_in_other_words_is_found_out(status):
    """What comes with large bodies only is answered with smaller ones, before the run gives up."""
    fault = refused_on_the_way(status, lambda number, call: len(call.positions) > 240)
    service = ModelService(random_world(3000, 0.01), fault=fault, commit_before_fault=True)
    ended = go(service)[-1]
    assert ended.error is None
    assert (ended.outcomes.outcome == service.world).all()


@pytest.mark.parametrize("status", [400, 502])
def test_56_what_let_a_body_through_does_not_find_it_too_large(status):
    """Once a call as large was answered, an outage ends the run and cuts no call."""
    fault = refused_on_the_way(status, lambda number, call: number > 1)
    service = ModelService(random_world(4000, 0.0), fault=fault)
    ended = go(service)[-1]
    assert ended.error.status == status
    assert {len(call.positions) for call in service.calls} == {1000}


def test_56_what_refuses_everything_is_not_asked_down_to_one():
    """A gateway that lets nothing through is told from one that limits the size in a few calls."""
    service = ModelService(random_world(2000, 0.0), fault=refused_on_the_way(400, lambda *_: True))
    ended = go(service)[-1]
    assert ended.error.status == 400
    assert [len(call.positions) for call in service.calls] == [1000, 500, 250, 125, 63, 32, 16]
    assert not ended.outcomes.answered.any()


@pytest.mark.parametrize("earlier_try", [True, False])
def test_56_a_413_does_not_undo_a_lost_try(earlier_try):
    """A proxy that refuses today what it let through yesterday says nothing of yesterday."""
    service = ModelService(random_world(1000, 0.0), commit_before_fault=True)
    expired = AuthenticationError("expired", status=401)
    too_large = InvalidRequestError("too large", status=413)
    too_large.maybe_applied = not earlier_try  # or of an earlier try in this session
    service.fault = lambda number, call: too_large if number == 0 else expired
    past = [lost(0, range(1000), batch=0)] if earlier_try else []
    outcomes = go(service, past=past)[-1].outcomes
    assert (outcomes.batch == 0).all()
    assert not outcomes.answered.any()


@settings(max_examples=12, deadline=None)
@given(
    seed=st.integers(0, 9),
    kill_after=st.integers(0, 90),
    size=st.sampled_from([700, 300, 90]),
    changes=st.sampled_from([1000, 90, 50]),
)
def test_56_a_run_cut_small_goes_on_where_it_stood(seed, kill_after, size, changes):
    """A resumed run plans the same probes, whatever size is taken before and after."""
    service = ModelService(random_world(1200, 0.01, seed), fault=refuse_above(size))
    seen = []
    generator = Run(Job(1200), CallPool(service.send), stop=StopButton()).events()
    for _, event in zip(range(kill_after), generator, strict=False):
        seen.append(event)
    generator.close()
    service.fault = refuse_above(changes)
    past = as_past(seen)
    learnt = min((len(p.call.positions) for p in past if p.state == "refused"), default=2000)
    before = len(service.calls)
    events = go(service, past=past)
    assert (events[-1].outcomes.outcome == service.world).all()
    new = [call for call in service.calls[before:] if call.key not in {p.call.key for p in past}]
    assert all(len(call.positions) <= (learnt + 1) // 2 for call in new)
    before = len(service.calls)
    go(service, past=merged(past, events))
    assert len(service.calls) == before


@pytest.mark.parametrize("part", ["unsent", "refused", "answered", "planned"])
def test_a_given_up_key_keeps_its_doubt(part):
    """Key A lost, key B refused and split: only an answer to a part ends the doubt of A."""
    service = ModelService(random_world(2, 0.0))
    service.fault = lambda number, call: AuthenticationError("expired", status=401)
    both, first = np.array([0, 1]), np.array([0])
    reply = Reply(Counts(1, 0, 0), "r")
    last = {
        "unsent": PastCall(Call(2, "apply", first, "C", 0), "unsent"),
        "refused": PastCall(Call(2, "apply", first, "C", 0), "refused", code="bad"),
        "answered": PastCall(Call(2, "apply", first, "C", 0), "answered", reply=reply),
        "planned": PastCall(Call(2, "apply", first, "C", 0), "sent"),
    }[part]
    past = [
        lost(0, both, batch=0),
        PastCall(Call(1, "apply", both, "B", 0), "refused", code="bad"),
        last,
    ]
    outcomes = go(service, past=past)[-1].outcomes
    assert outcomes.answered.tolist() == [part == "answered", False]
    assert (outcomes.batch == 0).all()
    assert (outcomes.refusal == -1).all()


def test_a_new_key_after_a_stored_failure_keeps_the_doubt():
    """Fault 26: the stored failure may hide an executed call, so its contacts stay unknown."""
    service = ModelService(random_world(3, 0.0))
    stored = ServerError("stored", status=500)
    stored.replayed = True
    expired = AuthenticationError("expired", status=401)
    service.fault = lambda number, call: stored if number == 0 else expired
    outcomes = go(service)[-1].outcomes
    assert (outcomes.batch == 0).all()
    assert not outcomes.answered.any()


def test_a_key_that_proves_itself_does_not_clear_a_key_given_up():
    """Key A lost and given up, key B refused before the key was known: A stays in doubt."""
    service = ModelService(random_world(2, 0.0), bad=frozenset({0}))
    stored = ServerError("stored", status=500)
    stored.replayed = True
    service.fault = lambda number, call: stored if number == 0 else None
    past = [lost(0, [0], batch=0)]
    outcomes = go(service, past=past)[-1].outcomes
    assert outcomes.answered.tolist() == [False, True]
    assert outcomes.refusal.tolist() == [-1, -1]
    assert (outcomes.batch == 0).all()


def test_half_a_round_of_probes_counts():
    """A run stopped among its probes names what the answered ones tell, and nothing else."""
    service = ModelService(random_world(1000, 0.02))
    stop = StopButton()

    def on_event(event):
        if isinstance(event, CallAnswered) and event.call.phase == "resolve":
            stop.press()

    outcomes = go(service, stop=stop, on_event=on_event)[-1].outcomes
    assert_true(service, outcomes)


def test_a_press_between_plan_and_send_keeps_the_call_back():
    """Whoever hears of a call can still stop it."""
    service = ModelService(random_world(10, 0.0))
    stop = StopButton()

    def on_event(event):
        if isinstance(event, CallPlanned):
            stop.press()

    events = go(service, stop=stop, on_event=on_event)
    assert service.calls == []
    assert any(isinstance(event, CallUnsent) for event in events)
    assert (events[-1].outcomes.batch == -1).all()


def test_numbers_of_calls_have_no_gaps():
    """Calls are numbered as they are planned, over all sessions."""
    service = ModelService(random_world(4000, 0.001))
    first = go(service, Job(4000, max_requests=3))
    both = first + go(service, past=as_past(first))
    numbers = [event.call.number for event in both if isinstance(event, CallPlanned)]
    assert numbers == list(range(len(numbers)))


def test_our_own_fault_does_not_lose_the_result():
    """An error that nobody foresaw ends the run in order, with what is known."""

    def send(call, on_wait, stop):
        if call.batch == 1:
            raise RuntimeError("a bug")
        return service.send(call, on_wait, stop)

    service = ModelService(random_world(2000, 0.0))
    run = Run(Job(2000), CallPool(send), stop=StopButton())
    ended = list(run.events())[-1]
    assert "kirim_pandas itself failed (RuntimeError: a bug)" in str(ended.error)
    assert isinstance(ended.error.__cause__, RuntimeError)
    assert ended.outcomes.answered[:1000].all()
    assert (ended.outcomes.batch[1000:] == 1).all()


def test_batches_can_be_resolved_later():
    """A run that was to send no probe can be taken up to find out every row."""
    service = ModelService(random_world(1200, 0.01))
    events = go(service, Job(1200, resolve="batches"))
    ended = go(service, Job(1200), past=as_past(events))[-1]
    assert (ended.outcomes.outcome == service.world).all()


@pytest.mark.parametrize("kill_after", [3, 6, 9, 12, 15])
def test_a_capped_run_goes_on_without_its_cap(kill_after):
    """Rounds planned under a cap are planned alike again, whatever cap the next session has."""
    service = ModelService(random_world(600, 0.02))
    events = []
    run = Run(Job(600, max_requests=9), CallPool(service.send), stop=StopButton())
    for _, event in zip(range(kill_after), generator := run.events(), strict=False):
        events.append(event)
    generator.close()
    ended = go(service, past=as_past(events))[-1]
    assert (ended.outcomes.outcome == service.world).all()


def test_probes_of_a_phase_that_is_gone_count_and_say_nothing():
    """Calls that an earlier version made to certify keep their numbers; the run is finished."""
    service = ModelService(random_world(1200, 0.01))
    events = go(service, Job(1200, max_requests=4))
    past = as_past(events)
    call = Call(len(past), "certify", np.arange(40), "old", round=0, slot=0)
    for last in (PastCall(call, "answered", Reply(Counts(0, 40, 0), "r")), PastCall(call, "sent")):
        again = go(service, past=[*past, last])
        numbers = [event.call.number for event in again if isinstance(event, CallPlanned)]
        assert numbers[0] == len(past) + 1
        assert (again[-1].outcomes.outcome == service.world).all()


class SilentPool(CallPool):
    """Takes a call and brings nothing back; each look takes a second of the clock it is given."""

    def __init__(self):
        super().__init__(lambda call, on_wait, stop: None)
        self.now = 0.0

    def submit(self, call):
        self.in_flight += 1

    def take(self, timeout_seconds):
        self.now += 1.0


def test_silence_is_told_within_three_seconds():
    """Whoever waits for a first answer hears of it once, and for how long that may go on."""
    pool, stop, told = SilentPool(), StopButton(), []
    run = Run(Job(3), pool, stop=stop, patience_seconds=900.0, clock=lambda: pool.now)
    for event in run.events():
        if isinstance(event, Waiting):
            told.append((pool.now, event.reason))
        if pool.now > 60 and not stop.presses:
            stop.press()
    assert told == [(3.0, "no answer from the service yet, trying for up to 15 min")]
    assert event.state == "stopped"


@pytest.mark.parametrize("round_", [1, 2, 4])
def test_a_search_that_ends_before_all_is_found_says_so(monkeypatch, round_):
    """Where no question is found for open contacts, that is told, and they stay unknown."""
    rounds, whole = [], Frontier.next_plan

    def next_plan(self, *args):
        rounds.append(0)
        return whole(self, *args) if len(rounds) < round_ else None

    monkeypatch.setattr(Frontier, "next_plan", next_plan)
    service = ModelService(random_world(1500, 0.02))
    ended = go(service)[-1]
    assert ended.state == "failed"
    assert "itself failed" in str(ended.error)
    open_ = int((ended.outcomes.outcome == Outcome.UNDETERMINED).sum())
    assert f"for {open_} open contacts" in str(ended.error)
    assert_true(service, ended.outcomes)
