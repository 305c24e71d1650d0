"""Guess, then check: what structure saves, and that no guess ever makes a row wrong."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.counting_service import CountingService

from kirim_pandas.grouptesting.attribution import Attribution
from kirim_pandas.grouptesting.outcomes import Outcome, cut_batches
from kirim_pandas.guesses.columns import Column
from kirim_pandas.guesses.search import Guesser


def search(truth, columns, *, seed=0, **service):
    """Send all contacts in batches, and probe to the end with advice; count the probes."""
    counting = CountingService(truth.copy(), **service)
    attribution = Attribution(len(truth))
    for batch in cut_batches(len(truth)):
        attribution.add_batch(batch, counting.ask(batch))
    batches = counting.calls
    guesser = Guesser(columns, seed=seed)
    while True:
        if not guesser.suppose(attribution):
            guesser.explore(attribution)
        probes = attribution.next_round()
        if not probes:
            break
        assert all(0 < len(probe) <= 1000 for probe in probes)
        attribution.tell([counting.probe(probe) for probe in probes])
    return attribution.confirmed(), counting.calls - batches, guesser.findings


def frame(size, seed):
    """Columns that have nothing to do with each other."""
    random = np.random.default_rng(seed)
    return {
        "source": Column("source", random.integers(0, 8, size).astype(np.int32)),
        "team": Column("team", random.integers(0, 3, size).astype(np.int32)),
        "city": Column("city", random.integers(0, 5, size).astype(np.int32)),
        "day": Column("day", (random.permutation(size) // 3).astype(np.int32), ordered=True),
        "place": Column("place", np.arange(size, dtype=np.int32), ordered=True),
    }


def outcomes(marked, kind=Outcome.TEAM_MISMATCH):
    return np.where(marked, kind, Outcome.APPLIED).astype(np.int8)


@pytest.mark.parametrize(("size", "most"), [(1000, 9), (10_000, 12)])
@pytest.mark.parametrize("name", ["source", "team", "day"])
def test_a_column_that_decides_costs_next_to_nothing(size, most, name):
    """Where one column decides, hardly more is asked than what confirms the result."""
    columns = frame(size, 4)
    codes = columns[name].codes
    truth = outcomes(codes < (1 if name == "team" else 3 if name == "source" else size // 9))
    found, probes, findings = search(truth, list(columns.values()))
    assert (found == truth).all()
    assert probes <= most
    assert [(f.outcome, f.column, f.exact) for f in findings] == [
        (Outcome.TEAM_MISMATCH, name, True)
    ]
    assert findings[0].contacts == (truth != Outcome.APPLIED).sum()


def test_two_kinds_each_with_its_rule():
    """Foreign contacts by one column and other teams by another are both named by rules."""
    columns = frame(10_000, 5)
    truth = outcomes(columns["team"].codes == 1)
    truth[columns["source"].codes == 2] = Outcome.CROSS_ORG
    found, probes, findings = search(truth, list(columns.values()))
    assert (found == truth).all()
    assert probes <= 14
    assert {(f.outcome, f.column) for f in findings} == {
        (Outcome.CROSS_ORG, "source"),
        (Outcome.TEAM_MISMATCH, "team"),
    }


@pytest.mark.parametrize(("size", "most"), [(1000, 80), (5000, 260)])
def test_a_rule_with_exceptions_orders_the_search(size, most):
    """One contact in a hundred that breaks the rule costs a search among few, not among all."""
    columns = frame(size, 6)
    random = np.random.default_rng(6)
    truth = outcomes((columns["source"].codes < 2) ^ (random.random(size) < 0.01))
    found, probes, findings = search(truth, list(columns.values()))
    assert (found == truth).all()
    assert probes <= most
    assert [(f.column, f.exact) for f in findings] == [("source", False)]


def _worlds():
    """Reasons that fill more than one family of rules, over 5000 contacts."""
    columns = frame(5000, 11)
    random = np.random.default_rng(11)
    week = random.integers(0, 60, 5000).astype(np.int32)
    city = random.integers(0, 64, 5000).astype(np.int32)
    columns["week"] = Column("week", week, ordered=True)
    columns["area"] = Column("area", city)
    source, team, place = (columns[name].codes for name in ("source", "team", "city"))
    return list(columns.values()), {
        "two stretches": ((week >= 5) & (week < 14)) | ((week >= 30) & (week < 41)),
        "3 of 64 values": np.isin(city, [3, 20, 47]),
        "20 of 64 values": np.isin(city, random.permutation(64)[:20]),
        "three columns": (source < 5) & (team < 2) & (place < 3),
        "a column or a date": (team == 1) | (week < 9),
    }


@pytest.mark.parametrize(
    ("world", "most"), [(name, 45 if name.startswith("20 of") else 14) for name in _worlds()[1]]
)
def test_structure_that_nobody_named_costs_next_to_nothing(world, most):
    """Reasons of many forms are found in about as many requests as it takes to confirm them."""
    columns, worlds = _worlds()
    truth = outcomes(worlds[world])
    found, probes, findings = search(truth, columns)
    assert (found == truth).all()
    assert probes <= most
    assert all(f.exact for f in findings)


def test_three_of_thirty_values_are_found_in_one_batch():
    """A column that one contact in ten follows is told by the first halves, not searched."""
    columns = frame(1000, 13)
    city = np.random.default_rng(13).integers(0, 30, 1000).astype(np.int32)
    truth = outcomes(np.isin(city, [3, 17, 22]))
    found, probes, findings = search(truth, [*columns.values(), Column("area", city)])
    assert (found == truth).all()
    assert probes <= 15
    assert [(f.column, f.chosen, f.of) for f in findings] == [("area", 3, 30)]


def test_without_structure_nothing_is_lost():
    """Columns that explain nothing cost, on average, next to nothing."""
    costs = []
    for seed in range(8):
        random = np.random.default_rng(seed)
        truth = outcomes(random.random(1000) < 0.1)
        columns = list(frame(1000, seed).values())
        costs.append([search(truth, columns, seed=seed)[1], search(truth, [])[1]])
    with_columns, without = np.mean(costs, axis=0)
    assert with_columns <= without + 8  # single runs differ by 16 either way


def test_a_world_that_moves_wears_out_guesses():
    """A rule that moved contacts break is refuted at most twice, and every row comes out right."""
    columns = frame(5000, 7)
    truth = outcomes(columns["team"].codes == 0)
    movers = np.flatnonzero(truth == Outcome.TEAM_MISMATCH)[[3, 900]]
    moves = {6: [(int(movers[0]), Outcome.APPLIED)], 7: [(int(movers[1]), Outcome.APPLIED)]}
    found, _, findings = search(truth, list(columns.values()), moves=moves)
    now = truth.copy()
    now[movers] = Outcome.APPLIED
    known = found != Outcome.UNDETERMINED
    assert (found[known] == now[known]).all()
    assert known.mean() > 0.99
    assert not any(f.exact for f in findings)


def test_what_the_outcomes_contradict_in_the_end_is_no_finding():
    """A guess that fits the counts of other contacts is not told, though nobody looked again."""
    column = Column("tag", (np.arange(4000) % 100 == 0).astype(np.int32))
    for shift, told in ((0, 1), (1, 0)):  # in each batch as many, but the contacts beside them
        truth = outcomes(np.roll(column.codes, shift) == 1)
        counting, attribution = CountingService(truth), Attribution(len(truth))
        for batch in cut_batches(len(truth)):
            attribution.add_batch(batch, counting.ask(batch))
        guesser = Guesser([column])
        assert guesser.suppose(attribution)
        while probes := attribution.next_round():
            attribution.tell([counting.probe(probe) for probe in probes])
        assert len(guesser.findings) == 1
        assert len(guesser.borne_out(attribution.confirmed())) == told


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_no_guess_makes_a_row_wrong(data):
    """Whatever rule, exceptions and columns there are, every contact gets its true outcome."""
    seed = data.draw(st.integers(0, 2**31))
    size = data.draw(st.sampled_from([1, 3, 40, 300, 1300]))
    random = np.random.default_rng(seed)
    columns = frame(size, seed)
    by = columns[data.draw(st.sampled_from(sorted(columns)))].codes
    rate = data.draw(st.sampled_from([0.01, 0.3, 0.9]))
    truth = outcomes(random.random(by.max() + 1)[by] < rate)
    noise = random.random(size) < data.draw(st.sampled_from([0.0, 0.01, 0.2]))
    truth[noise] = random.choice([1, 2, 3], int(noise.sum()))
    found, _, _ = search(truth, list(columns.values()), seed=seed)
    assert (found == truth).all()


def test_a_probe_that_is_refused_ends_no_search():
    """A contact with which no call is answered costs that contact only."""
    columns = frame(2000, 8)
    truth = outcomes(columns["source"].codes < 3)
    gone = int(np.flatnonzero(truth == Outcome.TEAM_MISMATCH)[5])
    found, _, _ = search(truth, list(columns.values()), refused=frozenset({gone}))
    known = found != Outcome.UNDETERMINED
    assert (found[known] == truth[known]).all()
    assert known.sum() >= 1990


def test_a_rule_about_whom_all_is_known_ends_no_search():
    """Where a column explains only what is settled already, the rest is searched as ever."""
    random = np.random.default_rng(3)
    team = np.repeat([0, 1, 2], 1000).astype(np.int32)
    truth = np.where(team == 1, Outcome.TEAM_MISMATCH, 1 + (random.random(3000) < 0.05))
    found, _, _ = search(truth.astype(np.int8), [Column("team", team)])
    assert (found == truth).all()


@pytest.mark.parametrize(("size", "exceptions", "seed"), [(2000, 0.005, 2), (3000, 0.03, 2)])
def test_a_value_of_unknown_level_is_not_left_to_the_search(size, exceptions, seed):
    """A column is not used before it is known of each value whether it is skipped."""
    random = np.random.default_rng(seed)
    codes = random.integers(0, 6, size).astype(np.int32)
    truth = outcomes((codes < 3) ^ (random.random(size) < exceptions))
    found, probes, findings = search(truth, [Column("team", codes)])
    assert (found == truth).all()
    assert probes <= 250
    assert [(f.chosen, f.of) for f in findings] == [(3, 6)]


def test_what_is_left_counts_on_a_guess_only_once_it_is_borne_out():
    """Before a check came back pure, as many requests are expected as without the guess."""
    codes = np.random.default_rng(2).integers(0, 6, 4000).astype(np.int32)
    service = CountingService(outcomes(codes == 1))
    attribution = Attribution(4000)
    for batch in cut_batches(4000):
        attribution.add_batch(batch, service.ask(batch))
    by_search = attribution.expected_probes()
    expected = []
    guesser = Guesser([Column("team", codes)])
    while True:
        if not guesser.suppose(attribution):
            guesser.explore(attribution)
        expected.append(attribution.expected_probes())
        probes = attribution.next_round()
        if not probes:
            break
        attribution.tell([service.probe(probe) for probe in probes])
    assert expected[0] == by_search > 100
    at_first = len([left for left in expected if left > 100])
    assert at_first < len(expected)
    assert max(expected[at_first:]) < 10
