"""Attribution: names every outcome, with few probes, and never a wrong one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.bisection import bisect
from support.counting_service import CountingService, attribute

from kirim_pandas.grouptesting.attribution import (
    Attribution,
    expected_probes_for,
)
from kirim_pandas.grouptesting.clusters import Cluster
from kirim_pandas.grouptesting.hypotheses import Hypotheses
from kirim_pandas.grouptesting.outcomes import Counts, Outcome, cut_batches


@st.composite
def worlds(draw: st.DrawFn) -> np.ndarray:
    size = draw(st.integers(1, 400))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    shares = draw(
        st.sampled_from([(1, 0, 0, 0), (0.98, 0.02, 0, 0), (0.8, 0.2, 0, 0), (0.9, 0.06, 0.04, 0)])
        | st.sampled_from([(0.9, 0, 0.05, 0.05), (0.4, 0.3, 0.2, 0.1), (0, 0.5, 0.5, 0)])
    )
    truth = 1 + rng.choice(4, size, p=shares).astype(np.int8)
    if draw(st.booleans()):  # runs
        truth.sort()
        truth = np.roll(truth, int(rng.integers(size)))
    return truth


@settings(max_examples=30, deadline=None)
@given(worlds(), st.sampled_from([7, 50, 1000]), st.booleans())
def test_names_what_bisection_names(truth: np.ndarray, size: int, grouped: bool) -> None:
    """In any world every outcome is the one that counted bisection names."""
    if (truth != Outcome.APPLIED).all() and (truth == Outcome.NOT_COUNTED).any():
        truth[0] = Outcome.APPLIED  # otherwise nothing shows what kind of service it is
    oracle, _ = bisect(
        len(truth), cut_batches(len(truth), size), CountingService(truth).ask, uncounted=True
    )
    groups = np.sort(np.arange(len(truth)) % 3) if grouped else None
    attribution = attribute(CountingService(truth.copy()), probe_size=size, groups=groups)
    assert (attribution.outcomes == oracle).all()
    assert (oracle == truth).all()


@pytest.mark.parametrize(("skipped", "most"), [(1, 12), (10, 44), (50, 111), (200, 229)])
def test_few_probes(skipped: int, most: int) -> None:
    """One batch needs at most one and a half times what information theory asks for."""
    truth = np.full(1000, Outcome.APPLIED)
    truth[np.random.default_rng(3).permutation(1000)[:skipped]] = Outcome.TEAM_MISMATCH
    service = CountingService(truth)
    assert (attribute(service).outcomes == truth).all()
    assert service.calls - 1 <= most


@pytest.mark.parametrize("outcome", [Outcome.APPLIED, Outcome.CROSS_ORG, Outcome.TEAM_MISMATCH])
def test_a_pure_batch_needs_no_probe(outcome: Outcome) -> None:
    """A batch that one outcome explains is settled by its own reply."""
    service = CountingService(np.full(1500, outcome))
    attribution = attribute(service)
    assert service.calls == 2
    assert (attribution.outcomes == outcome).all()
    assert not attribution.probed.any()


@pytest.mark.parametrize("seed", range(3))
def test_a_hint_that_decides(seed: int) -> None:
    """With a hint that decides the skips, at most three probes for each of its values."""
    rng = np.random.default_rng(seed)
    groups = np.sort(rng.integers(0, 8, 5000))
    outcome_of = 1 + rng.integers(0, 3, 8)
    service = CountingService(outcome_of[groups])
    attribution = attribute(service, groups=groups)
    assert (attribution.outcomes == outcome_of[groups]).all()
    assert service.calls - 5 <= 3 * 8


def test_a_service_that_counts_changes() -> None:
    """Where `applied` counts changes, contacts labelled before are found applied, not uncounted."""
    truth = np.full(2000, Outcome.APPLIED)
    truth[::40] = Outcome.CROSS_ORG
    service = CountingService(truth, changes=True)
    service.attached[:700:2] = True
    assert (attribute(service).confirmed() == truth).all()


@pytest.mark.parametrize("new", [0, 19])
def test_few_or_none_counted_as_applied(new: int) -> None:
    """Where too few contacts are counted as applied to prove anything, only skips are known."""
    truth = np.full(300, Outcome.APPLIED)
    truth[::30] = Outcome.CROSS_ORG
    service = CountingService(truth.copy(), changes=True)
    service.attached[np.flatnonzero(truth == Outcome.APPLIED)[new:]] = True
    outcomes = attribute(service).confirmed()
    assert (outcomes[truth == Outcome.CROSS_ORG] == Outcome.CROSS_ORG).all()
    assert (outcomes[truth == Outcome.APPLIED] == Outcome.UNDETERMINED).all()


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_nonsense_ends(seed: int) -> None:
    """Replies that make no sense end within a bound, and are not taken for knowledge."""
    rng = np.random.default_rng(seed)
    attribution = Attribution(200)
    for batch in cut_batches(200, 50):
        attribution.add_batch(batch, Counts(40, 6, 4))
    asked = 0
    while probes := attribution.next_round():
        asked += len(probes)
        replies = [Counts(*(int(n) for n in rng.integers(-2, 60, 3))) for _ in probes]
        attribution.tell([None if rng.random() < 0.2 else reply for reply in replies])
        assert asked < 5000


def test_lost_replies_are_asked_again() -> None:
    """A probe without a usable reply costs requests, never an outcome."""
    rng = np.random.default_rng(0)
    truth = 1 + (rng.random(600) < 0.05).astype(np.int8)
    service = CountingService(truth)
    attribution = Attribution(600)
    for batch in cut_batches(600, 300):
        attribution.add_batch(batch, service.ask(batch))
    while probes := attribution.next_round():
        replies = [service.ask(probe) for probe in probes]
        attribution.tell([None if rng.random() < 0.1 else reply for reply in replies])
    assert (attribution.outcomes == truth).all()


@pytest.mark.parametrize("budget", [0, 1, 5, 30, 60])
def test_a_budget_is_kept(budget: int) -> None:
    """No more probes than allowed; what they did not settle is undetermined, the rest right."""
    truth = 1 + (np.random.default_rng(1).random(3000) < 0.01).astype(np.int8)
    service = CountingService(truth)
    outcomes = attribute(service, budget=budget).outcomes
    assert service.calls <= 3 + budget
    known = outcomes != Outcome.UNDETERMINED
    assert (outcomes[known] == truth[known]).all()
    assert known.any() or budget < 30


def test_nothing_is_confirmed_before_its_confirming_call() -> None:
    """A run that is stopped while it probes names nobody whom only probes have found."""
    truth = 1 + (np.random.default_rng(7).random(900) < 0.03).astype(np.int8)
    service = CountingService(truth)
    attribution = Attribution(900)
    for batch in cut_batches(900, 300):
        attribution.add_batch(batch, service.ask(batch))
    named = []
    while probes := attribution.next_round():
        attribution.tell([service.ask(probe) for probe in probes])
        confirmed = attribution.confirmed()
        named.append(int((confirmed[attribution.probed] != Outcome.UNDETERMINED).sum()))
    assert attribution.probed.any()
    assert not any(named[:-1])
    assert (attribution.confirmed() == truth).all()


def test_the_same_replies_give_the_same_probes() -> None:
    """Planning is deterministic: a resumed run asks the very same probes."""
    truth = 1 + (np.random.default_rng(2).random(400) < 0.1).astype(np.int8)
    runs = []
    for _ in range(2):
        service, asked = CountingService(truth.copy()), []
        attribution = Attribution(400)
        attribution.add_batch(np.arange(400), service.ask(np.arange(400)))
        while probes := attribution.next_round():
            asked += [probe.tolist() for probe in probes]
            attribution.tell([service.ask(probe) for probe in probes])
        runs.append(asked)
    assert runs[0] == runs[1]


def test_expected_probes_are_near() -> None:
    """The estimates are within a factor of two of what is needed."""
    for share in (0.01, 0.05):
        truth = 1 + (np.random.default_rng(4).random(2000) < share).astype(np.int8)
        service = CountingService(truth)
        attribute(service)
        assert 0.5 < expected_probes_for(2000, share) / (service.calls - 2) < 2
    assert expected_probes_for(2000, 0.0) == expected_probes_for(0, 0.5) == 0


def test_a_hypothesis_that_is_nearly_sure_is_still_asked_about():
    """Spreads too small for floats end no search: some question tells the hypotheses apart."""
    cluster = Cluster(1)
    cluster.cells = [np.arange(500), np.arange(500, 1000)]
    counts = np.array([[4, 5, 6], [4, 3, 2]], dtype=np.int16)  # together always 8
    cluster._kinds = {0: Hypotheses(counts, np.array([1.0, 1e-17, 1e-18]))}
    for seed in range(20):
        cluster.choose(np.random.default_rng(seed), 1000, 3)
        assert cluster.lows < cluster.highs
