"""A hint changes the cost only, and never for the worse by much."""

import numpy as np
import pytest
from support.counting_service import CountingService

from kirim_pandas.grouptesting.attribution import Attribution
from kirim_pandas.grouptesting.outcomes import cut_batches

SIZE = 2000


def probes(truth, groups):
    """Find all contacts; return how many probes that takes."""
    service = CountingService(truth.copy())
    attribution, asked = Attribution(SIZE, groups=groups), 0
    for batch in cut_batches(SIZE):
        attribution.add_batch(batch, service.ask(batch))
    while round_ := attribution.next_round():
        asked += len(round_)
        attribution.tell([service.probe(probe) for probe in round_])
    assert (attribution.confirmed() == truth).all()
    return asked


def hint_of(values, seed=0):
    return np.sort(np.random.default_rng(seed).integers(0, values, SIZE))


def marked(skipped):
    return np.where(skipped, 3, 1).astype(np.int8)


@pytest.mark.parametrize("values", [12, 40])
def test_a_hint_that_explains_nothing_costs_next_to_nothing(values):
    """Once a few cuts at its borders came out as chance makes them, no more are made."""
    truth = marked(np.random.default_rng(1).random(SIZE) < 0.01)
    assert probes(truth, hint_of(values)) <= 1.1 * probes(truth, None)


def test_a_hint_that_decides_is_cut_at_to_the_end():
    """A first cut between halves that are alike is no reason to give a perfect hint up."""
    hint = hint_of(12)
    assert probes(marked(hint % 3 == 0), hint) <= 15
