"""What `applied` counts is proven by resends only, and nobody is named by less."""

from __future__ import annotations

import numpy as np
import pytest
from support.counting_service import CountingService, attribute

from kirim_pandas.grouptesting.outcomes import Outcome

INSTANTS = [2, 4, 5, 9]


def segment(seed: int) -> np.ndarray:
    """Return outcomes of three batches of 200: mostly passing, some skipped."""
    return 1 + np.random.default_rng(seed).choice(3, 600, p=[0.94, 0.03, 0.03])


def wrong(outcomes: np.ndarray, truth: np.ndarray) -> int:
    return int(((outcomes != truth) & (outcomes != Outcome.UNDETERMINED)).sum())


@pytest.mark.parametrize("instant", INSTANTS)
@pytest.mark.parametrize("detached", [range(600), range(400), range(200, 600), range(0, 600, 2)])
def test_a_mass_detach_in_the_middle(instant: int, detached: range) -> None:
    """Labels that a colleague takes off make nobody look uncounted where changes are counted."""
    truth = segment(instant)
    service = CountingService(truth.copy(), changes=True, detaches={instant: detached})
    service.attached[329:] = True
    assert not wrong(attribute(service, probe_size=200).confirmed(), truth)


@pytest.mark.parametrize("instant", INSTANTS)
@pytest.mark.parametrize("deleted", [range(600), range(400), range(200), range(0, 600, 2)])
@pytest.mark.parametrize("unknown", [range(400, 500), range(5, 600, 7)])
def test_deletions_in_the_middle(instant: int, deleted: range, unknown: range) -> None:
    """Ids that do not exist are never applied, whoever else is deleted while the run works."""
    truth = segment(instant)
    truth[unknown] = Outcome.NOT_COUNTED
    moves = {instant: [(contact, Outcome.NOT_COUNTED) for contact in deleted]}
    service = CountingService(truth.copy(), moves=moves)
    outcomes = attribute(service, probe_size=200).confirmed()
    assert (outcomes[unknown] != Outcome.APPLIED).all()
    assert not ((outcomes > Outcome.APPLIED) & service.attached).any()


@pytest.mark.parametrize("changes", [False, True])
def test_a_quiet_service_is_proven(changes: bool) -> None:
    """While nothing moves, two resends prove what `applied` counts, and everybody is named."""
    truth = segment(0)
    if not changes:
        truth[450:460] = Outcome.NOT_COUNTED
    service = CountingService(truth.copy(), changes=changes)
    service.attached[450:460] = changes
    assert (attribute(service, probe_size=200).confirmed() == truth).all()


def test_a_mover_between_resends_costs_one_more() -> None:
    """Resends that differ by a mover are repeated until two in a row agree."""
    truth = segment(1)
    truth[450:460] = Outcome.NOT_COUNTED
    mover = int(np.flatnonzero(truth[:200] == Outcome.APPLIED)[3])
    moves = {5: [(mover, Outcome.TEAM_MISMATCH)]}
    outcomes = attribute(CountingService(truth.copy(), moves=moves), probe_size=200).confirmed()
    assert (outcomes[450:460] == Outcome.NOT_COUNTED).all()
    assert outcomes[mover] == Outcome.UNDETERMINED
