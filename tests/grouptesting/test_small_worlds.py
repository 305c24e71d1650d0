"""All small worlds in which two contacts move: nothing untrue is said of anybody.

`KIRIM_SMALL_WORLDS` sets how many worlds of each sort are tried, evenly chosen among all of them
(``KIRIM_SMALL_WORLDS=100000``: some ten minutes).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import combinations_with_replacement, islice, product

import numpy as np
import pytest
from support.counting_service import CountingService
from support.reply_tree import ALL, LABELED, SORTS, ReplyTree

from kirim_pandas.grouptesting.attribution import Attribution
from kirim_pandas.grouptesting.counters import Counters
from kirim_pandas.grouptesting.late_skips import ReplyLog
from kirim_pandas.grouptesting.outcomes import Counts, Outcome, Positions, cut_batches

WORLDS = int(os.environ.get("KIRIM_SMALL_WORLDS", "450"))
ADVISED = WORLDS // 3
CAPPED = WORLDS // 9
SHARE = 0.6180339887  # steps of the golden ratio fall everywhere evenly
Move = tuple[int, int, int]  # before which call, which contact, to which state


@dataclass
class RecordingService(CountingService):
    """Also keeps the calls with their replies, and what each contact was in its last call."""

    replies: list[tuple[Positions, Counts]] = field(default_factory=list)

    def __post_init__(self) -> None:
        labeled = self.truth == LABELED
        self.truth = np.where(labeled, Outcome.APPLIED, self.truth)
        super().__post_init__()
        self.attached |= labeled
        self.before = self.attached.copy()
        self.last = self.truth.copy()

    def ask(self, positions: Positions) -> Counts:
        """Carry a call out, and note it."""
        counts = super().ask(positions)
        self.replies.append((positions, counts))
        self.last[positions] = self.truth[positions]
        return counts


def advise(attribution: Attribution, rng: np.random.Generator) -> None:
    """Advise what to ask next, wisely or not: suppose outcomes, halve a leaf, or order the search.

    What is supposed fits the counts of all mixed leaves, or none.
    """
    leaves = attribution.leaves()
    mixed = [leaf for leaf in leaves if any(0 < n < len(leaf.positions) for n in leaf.counts)]
    what = rng.integers(5)
    if not mixed or what == 4:
        return
    if what == 0:
        leaf = mixed[rng.integers(len(mixed))]
        attribution.halve(leaf, rng.permutation(len(leaf.positions)))
        return
    positions = np.concatenate([leaf.positions for leaf in mixed])
    if what == 1:
        attribution.order(positions, rng.integers(0, 3, len(positions)))
        return
    kinds = [(*leaf.counts, len(leaf.positions) - sum(leaf.counts)) for leaf in mixed]
    supposed = np.concatenate([rng.permutation(np.repeat([2, 3, 4, 1], kind)) for kind in kinds])
    if what == 2:
        supposed = rng.integers(1, 5, len(positions))
    attribution.suppose([(positions[supposed == kind], Outcome(kind)) for kind in range(1, 5)])


def run(
    service: RecordingService,
    batch_size: int,
    advice: np.random.Generator | None = None,
    cap: int | None = None,
    few: int = 6,
) -> tuple[np.ndarray, np.ndarray]:
    """Do a run of at most `cap` probes; return the outcomes reported, and where it took probes."""
    attribution = Attribution(len(service.truth), probe_size=batch_size, few=few)
    for batch in cut_batches(len(service.truth), batch_size):
        attribution.add_batch(batch, service.ask(batch))
    while True:
        if advice is not None:
            advise(attribution, advice)
        probes = attribution.next_round(cap)
        if not probes:
            break
        cap = None if cap is None else cap - len(probes)
        attribution.tell([service.ask(probe) for probe in probes])
    return attribution.confirmed(), attribution.probed


def untrue(service: RecordingService, outcomes: np.ndarray, probed: np.ndarray) -> np.ndarray:
    """Return which outcomes are other than what README says that they mean."""
    left = probed & np.isin(service.last, [Outcome.CROSS_ORG, Outcome.TEAM_MISMATCH])
    applied = (outcomes == Outcome.APPLIED) & (~service.attached | left)
    changed = (outcomes > Outcome.APPLIED) & service.attached & ~service.before
    absent = (outcomes == Outcome.NOT_COUNTED) & service.before
    return applied | changed | absent


def fits_a_still_world(service: RecordingService) -> bool:
    """Whether some world in which nobody moves, at either service, gives all replies of a run."""
    return any(
        all(
            CountingService.ask(still, positions) == counts for positions, counts in service.replies
        )
        for changes, states in [(False, ALL), (True, (LABELED, *ALL))]
        for world in product(states, repeat=len(service.truth))
        for still in [RecordingService(np.array(world), changes=changes)]
    )


def pairs_of_moves(contacts: int, states: tuple[int, ...]) -> list[tuple[Move, Move]]:
    """Return all pairs of moves, each before one of the calls that a run of that size makes."""
    instants = range(2, 3 * contacts + 5)
    return list(combinations_with_replacement(product(instants, range(contacts), states), 2))


def by_call(pair: tuple[Move, Move]) -> dict[int, list[tuple[int, int]]]:
    """Return who moves where before which call."""
    moves: dict[int, list[tuple[int, int]]] = {}
    for when, contact, state in pair:
        moves.setdefault(when, []).append((contact, state))
    return moves


def worlds(contacts: int, states: tuple[int, ...], moved: tuple[int, ...]) -> Iterator[tuple]:
    """Yield first outcomes, moves and the size of a batch; `WORLDS` of them, or all."""
    pairs = pairs_of_moves(contacts, moved)
    sizes = sorted({contacts, -(-contacts // 2)} - {1})
    count = len(states) ** contacts * len(pairs) * len(sizes)
    chosen = (
        range(count) if count <= WORLDS else (int(count * (SHARE * n % 1)) for n in range(WORLDS))
    )
    for number in chosen:
        number, size = divmod(number, len(sizes))
        number, pair = divmod(number, len(pairs))
        first = [states[number // len(states) ** place % len(states)] for place in range(contacts)]
        yield np.array(first), by_call(pairs[pair]), sizes[size]


OF_EACH_SORT = pytest.mark.parametrize(("changes", "states", "moved"), SORTS.values(), ids=SORTS)


@pytest.mark.parametrize("few", [0, 6])
@pytest.mark.parametrize("sort", SORTS)
def test_every_world_of_two_contacts(sort: str, few: int) -> None:
    """The same promise along all sequences of replies; `benchmarks/small_worlds.py` has more."""
    tree = ReplyTree(2, 2, sort, cap=4 if "unknown" in sort else None, stops=True, few=few)
    assert sum(1 for _ in tree.follow()) == tree.sequences > 20
    assert tree.untrue == []


@pytest.mark.parametrize("contacts", [2, 3, 4, 5])
@OF_EACH_SORT
def test_what_is_said_is_true_unless_a_still_world_explains_all(
    contacts: int, changes: bool, states: tuple[int, ...], moved: tuple[int, ...]
) -> None:
    """Applied has the label, skipped got none; else a still world gives all the replies."""
    for number, (truth, moves, size) in enumerate(worlds(contacts, states, moved)):
        service = RecordingService(truth.copy(), changes=changes, moves=moves)
        wrong = untrue(service, *run(service, size, few=number % 2 * 6))
        assert not wrong.any() or fits_a_still_world(service), (truth, moves, size)


@pytest.mark.parametrize("contacts", [3, 4, 5])
@OF_EACH_SORT
def test_no_advice_makes_anything_said_untrue(
    contacts: int, changes: bool, states: tuple[int, ...], moved: tuple[int, ...]
) -> None:
    """The same holds whatever is guessed and explored on the way, and nothing is asked twice."""
    tried = islice(worlds(contacts, states, moved), ADVISED)
    for number, (truth, moves, size) in enumerate(tried):
        service = RecordingService(truth.copy(), changes=changes, moves=moves)
        advice, few = np.random.default_rng(number), number % 2 * 6
        wrong = untrue(service, *run(service, size, advice, few=few))
        assert not wrong.any() or fits_a_still_world(service), (truth, moves, size, number)


@pytest.mark.parametrize("contacts", [3, 4])
@OF_EACH_SORT
def test_no_cap_makes_anything_said_untrue(
    contacts: int, changes: bool, states: tuple[int, ...], moved: tuple[int, ...]
) -> None:
    """The same holds wherever a cap ends the run, with some of what was found not confirmed."""
    for number, (truth, moves, size) in enumerate(islice(worlds(contacts, states, moved), CAPPED)):
        service = RecordingService(truth.copy(), changes=changes, moves=moves)
        wrong = untrue(service, *run(service, size, cap=1 + number % 6, few=number // 6 % 2 * 6))
        assert not wrong.any() or fits_a_still_world(service), (truth, moves, size, number)


def test_a_deleted_contact_under_a_cap() -> None:
    """Rows that the cap leaves unconfirmed do not explain away a call that fits no still world."""
    moves = {3: [(3, Outcome.CROSS_ORG)], 4: [(2, Outcome.NOT_COUNTED)]}
    service = RecordingService(np.array([3, 1, 2, 1]), moves=moves)
    outcomes, _ = run(service, 2, cap=3)
    assert [reply for _, reply in service.replies][3] == Counts(1, 0, 0)  # of two
    assert outcomes[2] == Outcome.UNDETERMINED


def test_a_late_skip_beside_a_contact_that_a_cap_leaves_unconfirmed() -> None:
    """What fits only with a mover is not explained by what is not confirmed."""
    rounds = [([0, 3], 1, 1), ([1, 3], 0, 2), ([0, 2], 1, 1), ([1, 3], 0, 2), ([2], 1, 0)]
    log = ReplyLog(np.array([0, 0, 1, 1], dtype=np.int32))
    for batch in ([0, 1], [2, 3]):
        log.add_batch(np.array(batch), Counts(1, 0, 1))
    for contacts, applied, team in rounds:
        log.add_round([np.array(contacts)], [Counts(applied, 0, team)])
    found = np.array([1, 3, 1, 3], dtype=np.int8)
    unknown = np.array([True, True, False, False])
    counters, none = Counters(), np.zeros(4, dtype=np.bool_)
    counters.prove(changes=False)
    late = log.late(np.where(unknown, np.int8(0), found), unknown, counters, (found, none))
    assert late[3]


def test_who_is_deleted_before_its_batch_is_sent_again() -> None:
    """A resend of another batch that counts somebody says that `applied` may count contacts."""
    moves = {3: [(0, Outcome.NOT_COUNTED), (1, Outcome.TEAM_MISMATCH)]}
    service = RecordingService(np.array([3, 1, 1, 4]), moves=moves)
    outcomes, _ = run(service, 2)
    assert [reply for _, reply in service.replies][2:4] == [Counts(0, 0, 1), Counts(1, 0, 0)]
    assert outcomes[0] == Outcome.UNDETERMINED


def test_a_half_that_counts_more_than_its_whole() -> None:
    """Where a half has a kind of skip that the whole had not, all of it is counted afresh."""
    attribution = Attribution(6)
    attribution.add_batch(np.arange(6), Counts(4, 2, 0))
    (leaf,) = attribution.leaves()
    attribution.halve(leaf, np.arange(6))
    assert [probe.tolist() for probe in attribution.next_round()] == [[0, 1, 2]]
    attribution.tell([Counts(2, 0, 1)])
    assert [probe.tolist() for probe in attribution.next_round()] == [[0, 1, 2, 3, 4, 5]]


def test_leaves_hold_each_contact_once() -> None:
    """A part that was settled, and sought again because it moved, is no leaf beside its search."""
    moves = {4: [(0, Outcome.CROSS_ORG)], 6: [(3, Outcome.TEAM_MISMATCH)]}
    for seed in range(60):
        service = RecordingService(np.array([1, 1, 2, 1, 3, 1]), moves=moves)
        attribution = Attribution(6)
        attribution.add_batch(np.arange(6), service.ask(np.arange(6)))
        rng = np.random.default_rng(seed)
        while True:
            held = [place for leaf in attribution.leaves() for place in leaf.positions.tolist()]
            assert len(held) == len(set(held))
            advise(attribution, rng)
            probes = attribution.next_round()
            if not probes:
                break
            attribution.tell([service.ask(probe) for probe in probes])


def test_who_is_not_counted_has_not_passed_where_contacts_may_be_counted() -> None:
    """A call of two that counts one proves neither while it is open what `applied` counts."""
    rounds = [
        ([1], Counts(0, 0, 1)),
        ([1, 3], Counts(1, 0, 0)),  # by now contact 1 is deleted
        ([0, 1, 2, 3], Counts(1, 0, 2)),
        ([1, 3], Counts(1, 0, 0)),
        ([0, 2], Counts(0, 0, 2)),
    ]
    log, counters = ReplyLog(np.zeros(4, dtype=np.int32)), Counters()
    log.add_batch(np.arange(4), Counts(1, 0, 3))
    for contacts, reply in rounds:
        log.add_round([np.array(contacts)], [reply])
        counters.notice([np.array(contacts)], [reply])
    found = np.array([3, 1, 3, 1], dtype=np.int8)
    assert log.late(found, np.zeros(4, dtype=np.bool_), counters)[1]


def test_a_late_skip_beside_a_change_of_kind() -> None:
    """Nobody is named whose late skip another contact's change from kind to kind may hide."""
    moves = {2: [(0, Outcome.CROSS_ORG), (1, Outcome.TEAM_MISMATCH)]}
    service = RecordingService(np.array([3, 1]), moves=moves)
    assert run(service, 2)[0].tolist() == [Outcome.UNDETERMINED, Outcome.UNDETERMINED]


@pytest.mark.parametrize("seed", range(20))
def test_six_movers_in_a_larger_world(seed: int) -> None:
    """Where up to six contacts move, no contact is wrong unless the replies fit that none did."""
    rng = np.random.default_rng(seed)
    size = int(rng.integers(60, 300))
    truth = 1 + rng.choice(3, size, p=[0.8, 0.08, 0.12])
    moves: dict[int, list[tuple[int, int]]] = {}
    for contact in rng.choice(size, int(rng.integers(2, 7)), replace=False).tolist():
        moves.setdefault(int(rng.integers(2, 60)), []).append((contact, int(rng.integers(1, 4))))
    service = RecordingService(truth, moves=moves)
    outcomes, probed = run(service, 100)
    if untrue(service, outcomes, probed).any():
        still = RecordingService(np.where(outcomes == 0, service.last, outcomes))
        assert all(still.ask(positions) == counts for positions, counts in service.replies)
