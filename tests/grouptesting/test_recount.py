"""Fresh counts: few probes, and no contact is lost on the way."""

from __future__ import annotations

import numpy as np
import pytest
from support.counting_service import CountingService

from kirim_pandas.grouptesting.outcomes import Outcome
from kirim_pandas.grouptesting.recount import Recount


@pytest.mark.parametrize("refused", [(), (7,), (7, 8), (0, 250, 499)])
def test_a_recount_leaves_out_only_contacts_that_are_refused(refused: tuple[int, ...]) -> None:
    """Each contact is in one node with its true counts, or alone among the unanswered."""
    truth = 1 + 2 * (np.random.default_rng(1).random(500) < 0.1).astype(np.int8)
    service = CountingService(truth, refused=frozenset(refused))
    recount = Recount(200)
    recount.add(np.random.default_rng(2).permutation(500))
    nodes, unanswered = [], []
    while probes := recount.probes():
        assert max(map(len, probes)) <= 200
        replies = [service.probe(probe) for probe in probes]
        found = recount.tell([r and (r.cross_org, r.team_mismatch, 0) for r in replies])
        nodes += found[0]
        unanswered += found[1]
    assert sorted(positions.tolist() for positions in unanswered) == [[c] for c in refused]
    held = np.concatenate([node.positions for node in nodes])
    assert sorted([*held, *refused]) == list(range(500))
    for node in nodes:
        team = int((truth[node.positions] == Outcome.TEAM_MISMATCH).sum())
        assert node.counts == (0, team, 0)
    # Each refused contact is found by halving, two probes a step.
    assert service.calls <= 3 + 2 * 9 * len(refused)


def test_replies_to_the_first_probes_leave_the_others_in_line() -> None:
    """Under a cap only some of the probes are sent, and the others are asked afterwards."""
    recount = Recount(10)
    recount.add(np.arange(30))
    first, *others = recount.probes()
    recount.tell([(0, 0, 0)])
    assert [probe.tolist() for probe in recount.probes()] == [probe.tolist() for probe in others]
    assert first.tolist() == list(range(10))
