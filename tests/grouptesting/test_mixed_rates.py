"""Batches of which one holds many skips and another few, and kinds of which one is rare."""

from __future__ import annotations

import numpy as np
from support.counting_service import CountingService, attribute

from kirim_pandas.grouptesting.attribution import Attribution
from kirim_pandas.grouptesting.outcomes import Counts, Outcome, cut_batches


def test_a_rare_kind_is_told_by_the_way() -> None:
    """1 % of one kind and 30 % of another take hardly more probes than the 30 % alone."""
    rng = np.random.default_rng(5)
    batch = np.repeat(
        np.array([Outcome.CROSS_ORG, Outcome.TEAM_MISMATCH, Outcome.APPLIED]), [10, 300, 690]
    )
    truth = np.concatenate([rng.permutation(batch), rng.permutation(batch)])
    service = CountingService(truth)
    assert (attribute(service).outcomes == truth).all()
    assert service.calls - 2 <= 465


def test_dense_batches_are_searched_in_turn_and_sparse_ones_after_them() -> None:
    """The first probes hold contacts of two dense batches only."""
    attribution = Attribution(5000)
    for batch, skipped in zip(cut_batches(5000), (5, 400, 400, 400, 5), strict=True):
        attribution.add_batch(batch, Counts(1000 - skipped, 0, skipped))
    held = np.concatenate(attribution.next_round())
    assert set((held // 1000).tolist()) <= {1, 2}
