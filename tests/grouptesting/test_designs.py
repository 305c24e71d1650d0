"""Signed detecting designs: what they hold, that they decode, and what they notice."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kirim_pandas.grouptesting.designs import Contradiction, Design


def filled(bits: int, kinds: int, seed: int, *, limit: int = 10**6) -> tuple[Design, list]:
    """Return a design filled at random, and the spans of its questions."""
    rng = np.random.default_rng(seed)
    design, spans = Design(bits, kinds, probe_size=limit), []
    for _ in range(3 << bits):
        span = tuple(int(value) for value in rng.integers(1, 6, kinds))
        sizes = (int(rng.integers(1, 9)), int(rng.integers(1, 9)))
        if max(span) > 1 and design.add_digit(span, *sizes):
            spans.append(span)
    for _ in range(1 << bits):
        span = tuple(int(value) for value in rng.integers(2, 500, kinds))
        if design.add_last(span, 3, 3):
            spans.append(span)
    return design, spans


def values_and_sums(design: Design, spans: list, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    values = np.array([[rng.integers(0, top) for top in span] for span in spans])
    return values, np.array(design.columns).T @ values


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 7), st.integers(1, 3), st.integers(0, 2**32 - 1))
def test_any_values_decode(bits: int, kinds: int, seed: int) -> None:
    """Any values within their spans are decoded exactly, in every kind."""
    design, spans = filled(bits, kinds, seed)
    values, sums = values_and_sums(design, spans, seed)
    assert (design.decode(sums) == values).all()


@pytest.mark.parametrize(
    ("bits", "questions"), [(0, 1), (1, 3), (2, 8), (3, 20), (4, 48), (5, 112), (6, 256)]
)
def test_capacity(bits: int, questions: int) -> None:
    """2^r probes hold 2^r + r 2^(r-1) yes-or-no questions."""
    design = Design(bits, 1, probe_size=10**6)
    held = 0
    while design.add_digit((2,), 1, 1):
        held += 1
    while design.add_last((2,), 1, 1):
        held += 1
    assert held == questions


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 6), st.integers(0, 2**32 - 1), st.sampled_from([-1, 1]))
def test_a_wrong_reply_is_noticed_or_cannot_be(bits: int, seed: int, error: int) -> None:
    """A reply off by one is noticed, unless other values in the spans explain all replies."""
    design, spans = filled(bits, 1, seed)
    _, sums = values_and_sums(design, spans, seed)
    wrong = sums.copy()
    wrong[seed % len(sums), 0] += error
    try:
        values = design.decode(wrong)
    except Contradiction:
        return
    assert (np.array(design.columns).T @ values == wrong).all()
    assert all(0 <= value < span[0] for value, span in zip(values[:, 0], spans, strict=True))


def test_one_question_in_one_probe_notices_nothing() -> None:
    """Without redundancy a wrong reply is just another value."""
    design = Design(0, 1, probe_size=10)
    assert design.add_last((5,), 2, 2)
    assert design.decode(np.array([[3]])).tolist() == [[3]]
    with pytest.raises(Contradiction):
        design.decode(np.array([[5]]))


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 6), st.integers(0, 2**32 - 1), st.integers(20, 200))
def test_no_probe_is_overfull(bits: int, seed: int, limit: int) -> None:
    """No probe holds more contacts than it may, and the loads say what each holds."""
    design, _ = filled(bits, 2, seed, limit=limit)
    assert design.loads.max() <= limit
