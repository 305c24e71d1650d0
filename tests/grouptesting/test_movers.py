"""Contacts that change team in the middle of a run: nothing wrong is said, and little left open."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.counting_service import CountingService, attribute

from kirim_pandas.grouptesting.outcomes import Outcome


def moving_world(seed: int, movers: int = 1) -> tuple[CountingService, dict, list[int]]:
    """Return a small world, settings for it, and who moves in it at some call."""
    rng = np.random.default_rng(seed)
    size, batches = int(rng.choice([20, 60, 120])), int(rng.integers(1, 4))
    share = rng.choice([0.03, 0.1, 0.2, 0.5, 0.9])
    truth = np.ones(size * batches, dtype=np.int8)
    skipped = rng.random(len(truth)) < share
    truth[skipped] = rng.choice([2, 3], skipped.sum()) if seed % 2 else 3
    settings = {"probe_size": size}
    if seed % 5 == 0:
        settings["groups"] = np.sort(rng.integers(0, 6, len(truth)))
    quiet = CountingService(truth.copy())
    attribute(quiet, **settings)
    contacts = rng.choice(len(truth), movers, replace=False).tolist()
    moves: dict[int, list[tuple[int, int]]] = {}
    for contact in contacts:
        when = int(rng.integers(2, max(3, quiet.calls + 1)))
        moves.setdefault(when, []).append((contact, int(rng.integers(1, 4))))
    return CountingService(truth, moves=moves), settings, contacts


def wrong(service: CountingService, outcomes: np.ndarray) -> np.ndarray:
    """Return the contacts whose label is not as the outcomes say."""
    applied = (outcomes == Outcome.APPLIED) & ~service.attached
    return np.flatnonzero(applied | ((outcomes > Outcome.APPLIED) & service.attached))


def missing_skips(service: CountingService, skipped: np.ndarray) -> list[tuple[int, set, int]]:
    """Return round, contacts, and how many skips fewer than in the end each call counted."""
    return [
        (round_, set(positions.tolist()), int(skipped[positions].sum()) - skips)
        for round_, positions, skips in service.log
    ]


def can_be_the_mover(contact: int, missing: list[tuple[int, set, int]]) -> bool:
    """Whether all replies fit a world in which `contact` alone moved into its skip."""
    if any(lack not in (0, 1) or (lack and contact not in held) for _, held, lack in missing):
        return False
    before = [round_ for round_, _, lack in missing if lack]
    after = [round_ for round_, held, lack in missing if not lack and contact in held]
    return not before or not after or max(before) <= min(after)


@pytest.mark.parametrize("seed", range(60))
def test_one_mover_leaves_open_only_who_may_have_moved(seed: int) -> None:
    """No contact is wrong, and one is open only if all replies fit that it was the mover."""
    service, options, (mover,) = moving_world(seed)
    outcomes = attribute(service, **options).confirmed()
    assert not len(wrong(service, outcomes))
    missing = missing_skips(service, service.truth > Outcome.APPLIED)
    for contact in np.flatnonzero(outcomes == Outcome.UNDETERMINED).tolist():
        assert contact == mover or can_be_the_mover(contact, missing)


@pytest.mark.parametrize("seed", range(20))
def test_who_moves_to_where_it_passes_leaves_nothing_open(seed: int) -> None:
    """A contact that is found passing in the end has the label, whenever it moved."""
    service, options, (mover,) = moving_world(seed)
    service.moves = {call: [(mover, Outcome.APPLIED)] for call in service.moves}
    outcomes = attribute(service, **options).confirmed()
    assert not len(wrong(service, outcomes))
    assert (outcomes != Outcome.UNDETERMINED).all()


@pytest.mark.parametrize("movers", [2, 3])
@pytest.mark.parametrize("seed", range(20))
def test_more_movers_are_missed_only_where_no_reply_differs(seed: int, movers: int) -> None:
    """A wrong contact needs movers that cancel out in every single reply."""
    service, options, _ = moving_world(seed, movers)
    outcomes = attribute(service, **options).confirmed()
    if len(wrong(service, outcomes)):
        assert (outcomes != Outcome.UNDETERMINED).all()
        missing = missing_skips(service, outcomes > Outcome.APPLIED)
        assert not any(lack for _, _, lack in missing)


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 2**32 - 1), st.booleans())
def test_one_mover_where_changes_are_counted(seed: int, skipped_first: bool) -> None:
    """Where `applied` counts changes, a mover makes no wrong outcome either."""
    rng = np.random.default_rng(seed)
    size = int(rng.choice([60, 300, 600]))
    truth = 1 + rng.choice(3, size, p=[0.95, 0.02, 0.03])
    pool = np.flatnonzero((truth != Outcome.APPLIED) == skipped_first)
    contact = int(rng.choice(pool if len(pool) else np.arange(size)))
    moves = {int(rng.integers(2, 40)): [(contact, int(rng.integers(1, 4)))]}
    service = CountingService(truth, changes=True, moves=moves)
    assert not len(wrong(service, attribute(service).confirmed()))


@pytest.mark.parametrize("seed", range(25))
def test_one_mover_and_a_budget(seed: int) -> None:
    """What is confirmed under a cap is right, too: the confirming calls are kept in reserve."""
    service, options, _ = moving_world(seed)
    budget = int(np.random.default_rng(seed).integers(2, 60))
    assert not len(wrong(service, attribute(service, budget=budget, **options).confirmed()))


def test_a_mover_costs_a_part_of_the_run() -> None:
    """Only what is open is counted afresh, so a mover costs a part of the run."""
    moved, still = 0, 0
    for seed in range(3):
        rng = np.random.default_rng(seed)
        truth = 1 + 2 * (rng.random(4000) < 0.05).astype(np.int8)
        quiet = CountingService(truth.copy())
        attribute(quiet)
        moves = {int(rng.integers(10, quiet.calls)): [(int(rng.integers(4000)), 3)]}
        service = CountingService(truth, moves=moves)
        assert not len(wrong(service, attribute(service).confirmed()))
        moved, still = moved + service.calls, still + quiet.calls
    assert moved < 1.6 * still


def test_a_contact_that_is_refused_costs_itself_only() -> None:
    """When the service comes to refuse a contact, all others are found as before."""
    truth = 1 + 2 * (np.random.default_rng(3).random(800) < 0.06).astype(np.int8)
    gone = int(np.flatnonzero(truth == 3)[5])
    service = CountingService(truth.copy(), refused=frozenset({gone}))
    outcomes = attribute(service, probe_size=400).confirmed()
    assert np.flatnonzero(outcomes == Outcome.UNDETERMINED).tolist() == [gone]
    assert not len(wrong(service, outcomes))


def test_a_contact_that_never_stands_still_ends() -> None:
    """A contact that moves at every call is given up, and the run ends."""
    truth = 1 + 2 * (np.random.default_rng(4).random(600) < 0.05).astype(np.int8)
    moves = {call: [(77, 1 + 2 * (call % 2))] for call in range(2, 5000)}
    service = CountingService(truth, moves=moves)
    outcomes = attribute(service, probe_size=300).confirmed()
    assert service.calls < 3000
    assert not len(wrong(service, outcomes))
