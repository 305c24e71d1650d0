"""A handful of contacts: each is asked about alone, and no request more is sent."""

import itertools

import numpy as np
import pytest
from support.counting_service import CountingService

from kirim_pandas.grouptesting.attribution import Attribution


@pytest.mark.parametrize("size", range(1, 7))
def test_never_more_probes_than_one_a_contact(size):
    """Whatever became of one to six contacts, each is named, with at most one probe for it."""
    for outcomes in itertools.product((1, 2, 3), repeat=size):
        truth = np.array(outcomes, dtype=np.int8)
        service = CountingService(truth)
        attribution, asked = Attribution(size), 0
        attribution.add_batch(np.arange(size), service.ask(np.arange(size)))
        while round_ := attribution.next_round():
            asked += len(round_)
            attribution.tell([service.probe(probe) for probe in round_])
        assert (attribution.confirmed() == truth).all()
        assert asked <= (size if len(set(outcomes)) > 1 else 0)


def test_who_is_not_answered_for_is_left_out_alone():
    """A contact whose probe gets no reply stays open, and the others are named."""
    truth = np.array([1, 3, 2, 1], dtype=np.int8)
    service = CountingService(truth, refused=frozenset({2}))
    attribution = Attribution(4)
    attribution.add_batch(np.arange(4), service.ask(np.arange(4)))
    for _ in range(20):
        round_ = attribution.next_round()
        attribution.tell([service.probe(probe) for probe in round_])
    assert not round_
    assert attribution.outcomes.tolist() == [1, 3, 0, 1]
