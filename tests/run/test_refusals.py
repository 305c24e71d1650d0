"""What a call without counts leaves behind: who answered, what, and what had left before."""

from dataclasses import dataclass
from itertools import count, product

import numpy as np
import pytest
from support.model_service import ModelService

from kirim_pandas.errors import (
    ApiError,
    AuthenticationError,
    ConfigurationError,
    ConflictError,
    InvalidRequestError,
    KirimError,
    NotFoundError,
    PermissionDeniedError,
    ProtocolError,
    RateLimitedError,
    ServerError,
    TransportError,
)
from kirim_pandas.grouptesting.outcomes import Outcome
from kirim_pandas.run.calls import Call, PastCall
from kirim_pandas.run.events import CallAnswered, CallLost, CallPlanned, CallRefused, CallUnsent
from kirim_pandas.run.loop import Run
from kirim_pandas.run.pool import CallPool
from kirim_pandas.run.refusals import LEAVES, Said
from kirim_pandas.run.replies import MAX_REFUSED_PROBES
from kirim_pandas.run.spec import Job
from kirim_pandas.run.stop import StopButton


def session(service, job=None, *, past=(), own_key=True, send=None):
    """One session of a run: its end, and the journal after it."""
    run = Run(
        job or Job(len(service.world)),
        CallPool(send or service.send, max_in_flight=1 if send else 2),
        stop=StopButton(),
        past=past,
        own_key=own_key,
    )
    journal = {known.call.number: known for known in past}
    for event in run.events():
        match event:
            case CallPlanned(call) | CallLost(call):
                journal[call.number] = PastCall(call, "sent")
            case CallAnswered(call, reply):
                journal[call.number] = PastCall(call, "answered", reply=reply)
            case CallRefused(call, code):
                journal[call.number] = PastCall(call, "refused", code=code)
            case CallUnsent(call):
                journal[call.number] = PastCall(call, "unsent")
    return event, [journal[number] for number in sorted(journal)]


# -- the table -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Answer:
    """What comes back to a call, and what may be concluded from it alone."""

    error: KirimError
    in_doubt: bool = False
    about_ids: bool = False


def own(kind, status, code, param=None):
    """The service's own envelope."""
    return kind("no", status=status, type="t", code=code, param=param, request_id=f"req_{code}")


def page(kind, status):
    """A page of whatever stands on the way."""
    error = kind("no", status=status)
    error.maybe_applied = True
    return error


def redirect():
    error = ConfigurationError("moved")
    error.maybe_applied = True
    return error


ANSWERS = {
    "ids": Answer(own(InvalidRequestError, 400, "gone", "contact_ids[0]"), about_ids=True),
    "ids, unnamed": Answer(own(InvalidRequestError, 400, "invalid"), about_ids=True),
    "ids, 404": Answer(own(NotFoundError, 404, "gone", "contact_ids"), about_ids=True),
    "too large": Answer(own(InvalidRequestError, 413, "too_large")),
    "key": Answer(own(AuthenticationError, 401, "expired_api_key")),
    "plan": Answer(own(PermissionDeniedError, 403, "plan_required")),
    "label": Answer(own(NotFoundError, 404, "resource_not_found", "label_id")),
    "label, 400": Answer(own(InvalidRequestError, 400, "invalid_field_value", "label_id")),
    "limit": Answer(own(RateLimitedError, 429, "rate_limit_exceeded")),
    "own failure": Answer(own(ServerError, 500, "internal_error"), in_doubt=True),
    "in progress": Answer(own(ConflictError, 409, "idempotency_in_progress"), in_doubt=True),
    "key reused": Answer(own(InvalidRequestError, 422, "idempotency_key_reuse"), in_doubt=True),
    "page 400": Answer(page(InvalidRequestError, 400), in_doubt=True),
    "page 401": Answer(page(AuthenticationError, 401), in_doubt=True),
    "page 403": Answer(page(PermissionDeniedError, 403), in_doubt=True),
    "page 404": Answer(page(NotFoundError, 404), in_doubt=True),
    "page 413": Answer(page(InvalidRequestError, 413), in_doubt=True),
    "page 429": Answer(page(RateLimitedError, 429), in_doubt=True),
    "page 451": Answer(page(ApiError, 451), in_doubt=True),
    "page 502": Answer(page(ServerError, 502), in_doubt=True),
    "redirect": Answer(redirect(), in_doubt=True),
    "no JSON": Answer(ProtocolError("a web page"), in_doubt=True),
    "reply lost": Answer(TransportError("cut", maybe_applied=True), in_doubt=True),
    "never left": Answer(TransportError("refused", maybe_applied=False)),
}
EARLIER = ("no try", "this session", "another session")


def copied(error, *, maybe_applied):
    """The same error once more, for what is said of it changes."""
    again = type(error)(*error.args)
    again.__dict__.update(error.__dict__)
    again.maybe_applied = maybe_applied
    return again


@pytest.mark.parametrize("size", [1, 3])
@pytest.mark.parametrize(
    ("earlier", "own_key"), [*product(EARLIER, [True]), ("another session", False)]
)
@pytest.mark.parametrize("name", ANSWERS)
def test_what_may_have_happened_is_in_doubt_and_nothing_else(name, earlier, own_key, size):
    """Only the service's own no, with no earlier try, and a body that never left deny a call.

    Nor does a refusal of ids deny an earlier try, whatever it points at: the body may have been
    cut on the way. The same holds for the parts of a call that is cut.
    """
    answer = ANSWERS[name]
    service = ModelService(np.full(size, Outcome.APPLIED, dtype=np.int8))
    believed = answer.about_ids and own_key and earlier == "no try"
    tried_before = earlier != "no try" and not believed
    first = Call(0, "apply", np.arange(size), "A", 0)
    past = [PastCall(first, "sent")] if earlier == "another session" else []
    if tried_before:
        service._commit(first)
    # Whoever refuses a reply may do so after the call was carried out.
    service.commit_before_fault = answer.in_doubt
    keys = count()
    service.fault = lambda number, call: copied(
        answer.error,
        maybe_applied=answer.in_doubt or (earlier == "this session" and next(keys) == 0),
    )
    ended, journal = session(service, past=past, own_key=own_key)
    known = ended.outcomes
    expected = answer.in_doubt or tried_before
    assert known.no_reply.tolist() == [expected] * size
    assert not (service.labeled - set(np.flatnonzero(known.no_reply).tolist()))
    if not answer.about_ids:
        assert ended.state == "failed"

    service.fault, service.commit_before_fault = lambda number, call: None, False
    ended, _ = session(service, past=journal)
    if believed:
        assert (ended.outcomes.refusal >= 0).all()
    else:
        assert ended.state == "finished"
        assert ended.outcomes.outcome.tolist() == [Outcome.APPLIED] * size
    if expected and past and "413" not in name and name != "too large":
        assert {call.key for call in service.calls[:1]} == {"A"}


@pytest.mark.parametrize("points", ["contact_ids", "contact_ids[0]", "contact_ids[7]"])
@pytest.mark.parametrize("param", ["index", "wrong", None])
@pytest.mark.parametrize("bad", [[], [0], [7], [3, 4]])
def test_a_bad_id_behind_a_lost_reply_is_told_from_bodies_that_are_cut(param, bad, points):
    """Refused for good is who is refused alone while others are answered, and again then.

    Labeled contacts are never called refused, though all is refused for a while.
    """
    for cut in (0, 1, 3, 40):
        service = ModelService(np.full(8, Outcome.APPLIED, np.int8), frozenset(bad), param)

        def fault(number, call, cut=cut, service=service):
            if number == 0:  # the first try may have been carried out, for a reply was lost
                if not service.bad:
                    service._commit(call)
                error = own(InvalidRequestError, 400, "missing_required_field", points)
                return copied(error, maybe_applied=True)
            if number > cut:
                return None
            return own(InvalidRequestError, 400, "invalid_field_value", points)

        service.fault = fault
        ended, journal = session(service)
        told = np.flatnonzero(ended.outcomes.refusal >= 0).tolist()
        assert not service.labeled.intersection(told)
        if ended.state != "finished":
            assert cut == 40
            service.fault = lambda number, call: None
            ended, _ = session(service, past=journal)
        outcome = np.where(np.isin(range(8), bad), Outcome.UNDETERMINED, Outcome.APPLIED)
        assert ended.outcomes.outcome.tolist() == outcome.tolist()
        assert np.flatnonzero(ended.outcomes.refusal >= 0).tolist() == bad


@pytest.mark.parametrize("own_key", [True, False])
@pytest.mark.parametrize("points", [None, "contact_ids[0]", "contact_ids[5]"])
@pytest.mark.parametrize("bad", [[], [0], [5], [3, 4]])
@pytest.mark.parametrize("cut", [0, 1, 2, 3, 5, 8])
def test_bodies_that_are_cut_in_a_later_session_deny_nothing(cut, bad, points, own_key):
    """Nor does a key that proves itself after them: what it was refused before stays in doubt."""
    service = ModelService(np.full(8, Outcome.APPLIED, np.int8), frozenset(bad))
    first = Call(0, "apply", np.arange(8), "A", 0)
    if not bad:
        service._commit(first)

    def fault(number, call):
        return own(InvalidRequestError, 400, "invalid", points) if number < cut else None

    service.fault = fault
    past = [PastCall(first, "sent")]
    for _ in range(3):
        ended, past = session(service, past=past, own_key=own_key)
        told = np.flatnonzero(ended.outcomes.refusal >= 0).tolist()
        assert not service.labeled.intersection(told)
        own_key = True
        if ended.state == "finished":
            break
    assert np.flatnonzero(ended.outcomes.refusal >= 0).tolist() == bad
    assert np.flatnonzero(ended.outcomes.outcome == Outcome.APPLIED).tolist() == sorted(
        set(range(8)) - set(bad)
    )


@pytest.mark.parametrize("outage", [0, 1, 2, 5])
@pytest.mark.parametrize("is_bad", [True, False])
def test_a_contact_in_doubt_is_asked_about_until_others_are_answered(is_bad, outage):
    """One that was counted shows whether calls arrive: no row is given up before, none stays."""
    service = ModelService(np.full(1001, Outcome.APPLIED, np.int8), frozenset([1000] * is_bad))
    whole, last = (
        Call(i, "apply", np.arange(*ends), f"{i}", i)
        for i, ends in enumerate([(0, 1000), (1000, 1001)])
    )
    past = [PastCall(whole, "answered", reply=service._commit(whole)), PastCall(last, "sent")]
    if not is_bad:
        service._commit(last)
    for sessions in range(outage):
        service.fault = cut_body
        ended, past = session(service, past=past)
        assert ended.state == "failed"
        assert ended.outcomes.no_reply.tolist() == [False] * 1000 + [True]
        assert len(service.calls) == 2 * (sessions + 1)
    service.fault = lambda number, call: None
    ended, past = session(service, past=past)
    assert ended.state == "finished"
    assert (ended.outcomes.refusal >= 0).tolist() == [False] * 1000 + [is_bad]
    before = len(service.calls)
    session(service, past=past)
    assert len(service.calls) == before


def test_the_table_is_whole():
    """Every combination stands in the table; a later doubt never makes a call more certain."""
    assert set(LEAVES) == set(product(Said, [False, True], [False, True]))
    order = ["unsent", "refused", "sent"]
    for said, own_key in product(Said, [False, True]):
        without, with_try = (LEAVES[said, tried, own_key] for tried in (False, True))
        assert order.index(with_try) >= order.index(without)


# -- probes that are refused -----------------------------------------------------------------


def world(size=600, share=0.02):
    rng = np.random.default_rng(1)
    kinds = rng.choice([1, 2, 3], size=size, p=[1 - share, share / 2, share / 2])
    return kinds.astype(np.int8)


def cut_body(number, call):
    """What the service says to a body that was cut on the way: it cannot name an id."""
    return own(InvalidRequestError, 400, "invalid_request")


@pytest.mark.parametrize("refused", [1, 2, 5, 9, MAX_REFUSED_PROBES + 8])
def test_contacts_that_were_taken_before_are_asked_again(refused):
    """Probes refused for a while leave no row open: in the same session, or after a resume."""
    service = ModelService(world())
    times = count()

    def fault(number, call):
        if call.phase == "resolve" and next(times) < refused:
            return cut_body(number, call)
        return None

    service.fault = fault
    ended, journal = session(service)
    if refused > MAX_REFUSED_PROBES:
        assert ended.state == "failed"
        assert "had taken every contact in them before" in str(ended.error)
        ended, journal = session(service, past=journal)
    assert ended.state == "finished"
    assert (ended.outcomes.outcome == service.world).all()
    before = len(service.calls)
    session(service, past=journal)
    assert len(service.calls) == before


def test_who_is_given_up_while_long_bodies_are_cut_is_asked_again():
    """Probes are refused for so long that the search gives up; a resume on a good way ends it."""
    service = ModelService(world(2300, share=0.012))
    service.fault = lambda number, call: (
        cut_body(number, call) if len(call.positions) > 240 else None
    )
    ended, journal = session(service)
    assert ended.state == "failed"
    assert "had taken every contact in them before" in str(ended.error)
    service.fault = lambda number, call: None
    ended, _ = session(service, past=journal)
    assert ended.state == "finished"
    assert (ended.outcomes.outcome == service.world).all()


def test_a_run_that_refusals_left_open_is_not_finished():
    """As long as all probes are refused a session ends bounded and failed; at last it ends well."""
    service = ModelService(world())
    service.fault = lambda number, call: cut_body(number, call) if call.phase != "apply" else None
    journal = []
    for _ in range(3):
        before = len(service.calls)
        ended, journal = session(service, past=journal)
        assert ended.state == "failed"
        assert len(service.calls) - before <= 1 + 3 * MAX_REFUSED_PROBES
    service.fault = lambda number, call: None
    ended, _ = session(service, past=journal)
    assert ended.state == "finished"
    assert (ended.outcomes.outcome == service.world).all()


@pytest.mark.parametrize("param", ["index", None])
@pytest.mark.parametrize("gone", [{7}, {7, 8, 300, 599}])
def test_a_contact_that_was_deleted_meanwhile_costs_its_row_only(gone, param):
    """Refused alone, and again while others are answered: its row stays open, the run is over."""
    service = ModelService(world(), param=param)

    def fault(number, call):
        if call.phase == "resolve":
            service.bad = frozenset(gone)
        return None

    service.fault = fault
    ended, journal = session(service)
    assert ended.state == "finished"
    rest = np.setdiff1d(np.arange(600), sorted(gone))
    named = ended.outcomes.outcome[rest] != Outcome.UNDETERMINED
    assert named.mean() > 0.95  # with some gone, who was skipped may be one that moved
    assert (ended.outcomes.outcome[rest] == service.world[rest])[named].all()
    before = len(service.calls)
    again, _ = session(service, past=journal)
    assert len(service.calls) == before
    assert (again.outcomes.outcome == ended.outcomes.outcome).all()


def test_a_cap_is_kept_where_probes_are_refused():
    """Asking again does not go beyond the cap; the run is capped, then, not failed."""
    service = ModelService(world())
    service.fault = lambda number, call: cut_body(number, call) if number in (2, 3, 4) else None
    for cap in range(2, 14):
        service.calls.clear()
        ended, _ = session(service, Job(600, max_requests=cap))
        assert len(service.calls) <= cap
        assert ended.state in ("capped", "finished")


# -- replies that belong to another call -----------------------------------------------------


@pytest.mark.parametrize("detected", ["here", "by the client"])
@pytest.mark.parametrize(("number", "stale"), [(1, 0), (2, 0), (2, 1), (4, 0), (5, 3), (9, 8)])
def test_an_answer_that_two_calls_share_is_believed_of_neither(number, stale, detected):
    """A repeated request id puts both calls in doubt, and what probes told; a resume is right."""
    service = ModelService(world(2200))
    replies = []

    def send(call, on_wait, stop):
        if len(replies) == number:  # a cache answers, and does not pass the call on
            if detected == "here":
                return replies[stale]
            error = ProtocolError("the reply of another call")
            error.request_id = replies[stale].request_id
            raise error
        replies.append(service.send(call, on_wait, stop))
        return replies[-1]

    ended, journal = session(service, send=send)
    known = ended.outcomes
    assert ended.state == "failed"
    assert isinstance(ended.error, ProtocolError)
    for past in (journal[number], journal[stale]):
        assert past.state == "sent"
        if past.call.phase == "apply":
            assert known.no_reply[past.call.positions].all()
    named = known.outcome != Outcome.UNDETERMINED
    assert not (named & known.probed).any()
    assert (known.outcome[named] == service.world[named]).all()
    ended, _ = session(service, past=journal)
    assert ended.state == "finished"
    assert (ended.outcomes.outcome == service.world).all()


def test_an_answer_of_an_earlier_session_is_taken_back_too():
    """A resumed run knows the request ids of the sessions before it."""
    service = ModelService(np.full(2000, Outcome.APPLIED, dtype=np.int8))
    _, journal = session(service, Job(2000, max_requests=1))
    first = journal[0].reply
    ended, journal = session(service, past=journal, send=lambda *_: first)
    assert ended.outcomes.no_reply.all()
    ended, _ = session(service, past=journal)
    assert ended.outcomes.outcome.tolist() == [Outcome.APPLIED] * 2000
