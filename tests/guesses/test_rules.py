"""Exact rules over columns: found where the counts bear them out, and never where they do not."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kirim_pandas.grouptesting.outcomes import Leaf
from kirim_pandas.guesses.columns import Column, pair_of
from kirim_pandas.guesses.leaves import Leaves
from kirim_pandas.guesses.rules import find_rule

BATCH = 1000


def world(truth, columns):
    """Count a kind of skip batch by batch."""
    leaves = Leaves(
        [
            Leaf(np.arange(start, min(start + BATCH, len(truth))), (int(part.sum()),), number)
            for number, start in enumerate(range(0, len(truth), BATCH))
            for part in [truth[start : start + BATCH]]
        ]
    )
    return leaves, [column.of(leaves.positions) for column in columns]


def rule_of(truth, *columns, seed=1):
    leaves, seen = world(truth, columns)
    return find_rule(leaves, seen, leaves.counts[:, 0], seed)


@pytest.mark.parametrize("values", [2, 8, 24, 36])
def test_a_subset_of_values_is_found(values):
    """The values that are skipped are found from the counts of ten batches alone."""
    random = np.random.default_rng(values)
    codes = random.integers(0, values, 10_000).astype(np.int32)
    truth = np.isin(codes, random.choice(values, max(1, values // 3), replace=False))
    noise = Column("noise", random.integers(0, 5, 10_000).astype(np.int32))
    rule = rule_of(truth, noise, Column("team", codes))
    assert rule is not None
    assert rule.column == "team"
    assert (rule.marked == truth).all()
    assert rule.of == values


def test_two_columns_together_are_found():
    """Where the combination of two columns decides, it is found, and named after both."""
    random = np.random.default_rng(3)
    first, second = (random.integers(0, 5, 10_000).astype(np.int32) for _ in range(2))
    truth = (random.random((5, 5)) < 0.3)[first, second]
    rule = rule_of(truth, Column("a", first), Column("b", second))
    assert rule.column == "a and b"
    assert (rule.marked == truth).all()


@pytest.mark.parametrize("stretch", [(0, 3000), (7000, 10_000), (2000, 5000), None])
def test_a_stretch_of_an_order_is_found(stretch):
    """A cut, a stretch, and all but a stretch of an ordered column are found; values may repeat."""
    random = np.random.default_rng(5)
    days = random.permutation(10_000) // 7
    if stretch is None:
        truth = (days < 400) | (days >= 900)
    else:
        truth = (days >= stretch[0] // 7) & (days < stretch[1] // 7)
    rule = rule_of(truth, Column("day", days.astype(np.int32), ordered=True))
    assert (rule.marked == truth).all()


def _days(values):
    random = np.random.default_rng(values)
    return Column("day", random.integers(0, values, 10_000).astype(np.int32), ordered=True)


def test_two_stretches_of_an_order_are_found():
    """Two stretches of an ordered column, and all but two, are found from ten counts."""
    day = _days(365)
    truth = ((day.codes >= 40) & (day.codes < 100)) | ((day.codes >= 200) & (day.codes < 290))
    for marked in (truth, ~truth):
        rule = rule_of(marked, day)
        assert (rule.marked == marked).all()
        assert rule.of == 0


def test_a_few_of_many_values_are_found():
    """Three of 64 values, and all but three, are found though 64 are too many for every subset."""
    codes = np.random.default_rng(6).integers(0, 64, 10_000).astype(np.int32)
    truth = np.isin(codes, [3, 20, 47])
    for marked in (truth, ~truth):
        rule = rule_of(marked, Column("city", codes))
        assert (rule.marked == marked).all()
        assert (rule.chosen, rule.of) == (len(np.unique(codes[marked])), 64)


def test_columns_that_decide_together_are_found():
    """Values of two or three columns that must all hold, or one of which must, are found."""
    random = np.random.default_rng(8)
    columns = [
        Column(name, random.integers(0, values, 10_000).astype(np.int32))
        for name, values in (("flag", 2), ("city", 6), ("source", 9))
    ]
    some = [column.codes < column.values // 2 for column in columns]
    for number in (2, 3):
        for marked in (np.all(some[-number:], axis=0), np.any(some[-number:], axis=0)):
            rule = rule_of(marked, *columns)
            assert (rule.marked == marked).all()
            assert rule.column.count(" and ") == number - 1


def test_a_cut_and_some_names_are_found():
    """Values of a column before a date, two dates each with a cut, or either, are found."""
    random = np.random.default_rng(9)
    first, second = _days(365), replace(_days(400), name="seen")
    source = Column("source", random.integers(0, 8, 10_000).astype(np.int32))
    before, after = first.codes < 200, second.codes >= 150
    for marked, name in (
        ((source.codes < 3) & before, "source and day"),
        ((source.codes < 3) | after, "source and seen"),
        (before & after, "day and seen"),
        (before | after, "day and seen"),
    ):
        rule = rule_of(marked, source, first, second)
        assert (rule.marked == marked).all()
        assert rule.column == name


def test_chance_is_no_rule():
    """Skips at random fit no rule, whatever columns there are."""
    for seed in range(30):
        random = np.random.default_rng(seed)
        truth = random.random(10_000) < 0.2
        columns = [
            Column("a", random.integers(0, 8, 10_000).astype(np.int32)),
            Column("b", random.integers(0, 6, 10_000).astype(np.int32)),
            Column("place", np.arange(10_000, dtype=np.int32), ordered=True),
        ]
        assert rule_of(truth, *columns, seed=seed) is None


def test_one_count_is_no_evidence():
    """One batch's count fits many rules, so none is believed."""
    codes = np.arange(1000, dtype=np.int32) % 10
    assert rule_of(codes < 3, Column("a", codes)) is None


def test_rules_that_differ_are_no_rule():
    """Two values with the same number of contacts in every batch cannot be told apart."""
    codes = np.tile(np.arange(4, dtype=np.int32), 2500)
    assert rule_of(codes == 1, Column("a", codes)) is None


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_rule_fits_every_count(data):
    """Whatever is found marks in each leaf as many contacts as were counted there."""
    seed = data.draw(st.integers(0, 2**31))
    random = np.random.default_rng(seed)
    size = data.draw(st.integers(2, 6000))
    values = data.draw(st.integers(2, 12))
    codes = random.integers(0, values, size).astype(np.int32)
    truth = random.random(values)[codes] < data.draw(st.floats(0.05, 0.95))
    rule = rule_of(truth, Column("a", codes), Column("o", codes, ordered=True), seed=seed)
    if rule is not None:
        leaves, _ = world(truth, [])
        counted = np.bincount(leaves.leaf, rule.marked, minlength=len(leaves))
        assert (counted == leaves.counts[:, 0]).all()


def test_pairs_number_the_combinations_that_occur():
    """A pair has one number for each combination that occurs, and no gaps."""
    pair = pair_of(Column("a", np.array([0, 1, 1, 0])), Column("b", np.array([2, 0, 2, 2])))
    assert pair.name == "a and b"
    assert pair.codes.tolist() == [0, 1, 2, 0]
