"""Several searches side by side: what is found is as true as with one, in any order."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.counting_service import CountingService

from kirim_pandas.grouptesting.attribution import Attribution
from kirim_pandas.grouptesting.outcomes import Outcome, cut_batches

BATCH = 30  # how searches part and join is the same for larger ones, which take ten times as long


def world(seed: int, batches: int, shares: tuple[float, float]) -> np.ndarray:
    """Return the outcomes of some batches, skipped at random."""
    rng = np.random.default_rng(seed)
    kinds = rng.choice([1, 2, 3], batches * BATCH, p=[1 - sum(shares), *shares])
    return kinds.astype(np.int8)


def attribute(
    service: CountingService, width: int, order: int, *, join_after: int | None = None
) -> tuple[Attribution, list[bytes]]:
    """Probe to the end, and return all probes; `order` seeds which search is answered next."""
    rng = np.random.default_rng(order)
    attribution = Attribution(len(service.truth), probe_size=BATCH)
    for batch in cut_batches(len(service.truth), BATCH):
        attribution.add_batch(batch, service.ask(batch))
    asked: list[bytes] = []
    while True:
        if attribution.begins_search:
            parts = attribution.split(min(width, attribution.open_batches))
            waiting = {part: probes for part in parts if (probes := part.next_round())}
            while waiting and join_after != 0:
                part = list(waiting)[int(rng.integers(len(waiting)))]
                probes = waiting.pop(part)
                asked += [probe.tobytes() for probe in probes]
                part.tell([service.probe(probe) for probe in probes])
                join_after = None if join_after is None else join_after - 1
                if more := part.next_round():
                    waiting[part] = more
            attribution.join()
        probes = attribution.next_round()
        if not probes:
            return attribution, asked
        asked += [probe.tobytes() for probe in probes]
        attribution.tell([service.probe(probe) for probe in probes])


worlds = st.builds(
    world,
    st.integers(0, 10**6),
    st.integers(1, 6),
    st.sampled_from([(0.0, 0.02), (0.05, 0.0), (0.03, 0.05), (0.3, 0.2)]),
)
widths = st.integers(1, 4)


@settings(max_examples=40, deadline=None)
@given(worlds, widths, st.booleans(), st.integers(0, 99))
def test_every_contact_is_found_by_any_number_of_searches(truth, width, changes, order):
    """Where nobody moves each contact gets its outcome, whatever `applied` counts."""
    service = CountingService(truth.copy(), changes=changes)
    attribution, _ = attribute(service, width, order)
    assert (attribution.confirmed() == truth).all()
    assert attribution.undetermined == 0


@settings(max_examples=40, deadline=None)
@given(worlds, st.integers(2, 4), st.integers(0, 99))
def test_the_order_of_the_answers_changes_nothing(truth, width, order):
    """Each search asks what follows from its own replies, so the same probes are sent."""
    first = attribute(CountingService(truth.copy()), width, order)[1]
    second = attribute(CountingService(truth.copy()), width, order + 1)[1]
    assert sorted(first) == sorted(second)


@settings(max_examples=40, deadline=None)
@given(worlds, st.integers(2, 4), st.integers(0, 99), st.integers(0, 12))
def test_what_searches_leave_open_is_found_by_one(truth, width, order, join_after):
    """Searches that are joined before they are done go on as one, from what they know."""
    service = CountingService(truth.copy())
    attribution, _ = attribute(service, width, order, join_after=join_after)
    assert (attribution.confirmed() == truth).all()


@settings(max_examples=60, deadline=None)
@given(worlds, widths, st.integers(0, 99), st.booleans(), st.data())
def test_one_mover_makes_nothing_untrue(truth, width, order, changes, data):
    """Whoever changes team at any call: nobody is named who is not as named."""
    quiet = CountingService(truth.copy(), changes=changes)
    attribute(quiet, width, order)
    when = data.draw(st.integers(2, max(3, quiet.calls)))
    mover = data.draw(st.integers(0, len(truth) - 1))
    moves = {when: [(mover, data.draw(st.sampled_from([1, 2, 3])))]}
    service = CountingService(truth.copy(), changes=changes, moves=moves)
    outcomes = attribute(service, width, order)[0].confirmed()
    applied = (outcomes == Outcome.APPLIED) & ~service.attached
    skipped = (outcomes > Outcome.APPLIED) & service.attached
    assert not (applied | skipped).any()


@pytest.mark.parametrize("refused", [(3,), (3, 130, 131)])
def test_whom_no_probe_is_answered_for_is_left_out_alone(refused):
    """A search whose probes are refused counts afresh what it asked, and the others go on."""
    truth = world(1, 4, (0.05, 0.0))
    service = CountingService(truth.copy(), refused=frozenset(refused))
    attribution, _ = attribute(service, 3, 0)
    known = attribution.outcomes != Outcome.UNDETERMINED
    assert set(np.flatnonzero(~known).tolist()) <= set(refused)
    assert (attribution.outcomes[known] == truth[known]).all()


def test_batches_are_dealt_whole_and_evenly():
    """No two searches ask about one batch, and each has about as many of them."""
    truth = world(0, 8, (0.2, 0.0))
    service = CountingService(truth.copy())
    attribution = Attribution(len(truth), probe_size=BATCH)
    for batch in cut_batches(len(truth), BATCH):
        attribution.add_batch(batch, service.ask(batch))
    parts = attribution.split(3)
    held = [
        {int(at) // BATCH for node in part.frontier.nodes() for at in node.positions}
        for part in parts
    ]
    assert sorted(map(len, held)) == [2, 3, 3]
    assert len(set().union(*held)) == 8
