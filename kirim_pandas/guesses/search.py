"""Guess, then check: what to suppose next of contacts whose outcome is open.

Rules that fit every count come first: they are exact, and checking them costs what confirming
costs anyway. While no rule fits, a few balanced halves are asked, in an order that tells columns
apart; each is a question that a search without columns could have asked as well. A column that
explains the counts but for some exceptions orders the search that follows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from kirim_pandas.grouptesting.attribution import Attribution
from kirim_pandas.grouptesting.outcomes import SKIPS, Leaf, Outcome, Positions
from kirim_pandas.guesses.columns import Column
from kirim_pandas.guesses.leaves import Leaves
from kirim_pandas.guesses.levels import ColumnModel, weigh
from kirim_pandas.guesses.rules import Rule, find_rule, tells_rules

MAX_WRONG = 2
"""Wrong guesses a run: counts that two rules fitted by chance, or a world that moves."""

LEAST_CONTACTS = 60
"""A smaller part is not halved to tell columns apart: its halves tell too little."""

WORTH_PROBES = 6.0
"""Where the search needs hardly more probes than this, nothing is explored."""

SPLIT_SHARE, LEAST_SPLITS, MOST_SPLITS = 0.06, 3, 40
"""Halves that are explored: a share of the probes expected, within bounds."""

SMALL_SHARE, ENOUGH_SPLITS = 0.1, 10
"""Of a small search a larger share, up to what tells a few of 30 values that one contact in ten
has. Measured with 100 and 50 of 1000 skipped for no reason: less than one probe more."""

SURE_WEIGHT = 0.98
SURE_LEVEL = 0.95
"""A column is believed to matter from this weight on, a value's level from this probability on."""

HAS_LEVELS = 0.5
"""Probability from which on the values of a column are taken to be skipped or pass."""

OPEN_LEVEL = 1
"""Of a value that may be skipped or pass."""

_NOBODY: Positions = np.zeros(0, dtype=np.int64)


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found, for a sentence.

    Attributes
    ----------
    outcome : Outcome
        Of the contacts that the rule marks.
    column : str
        What the outcome follows.
    chosen, of : int
        How many values are marked, of how many; 0 where it is a stretch of an ordered column.
    contacts : int
        Contacts marked.
    exact : bool
        Whether the rule has no exceptions.
    """

    outcome: Outcome
    column: str
    chosen: int
    of: int
    contacts: int
    exact: bool


class Guesser:
    """Advises an attribution what to ask, from columns.

    Parameters
    ----------
    columns
        What is known of each contact of the run; empty for no advice.
    seed
        Of the random numbers; the same seed and replies give the same advice.

    Attributes
    ----------
    findings : list of Finding
        What was supposed and is not refuted.
    """

    def __init__(self, columns: Sequence[Column], *, seed: int = 0) -> None:
        self.findings: list[Finding] = []
        self._confirmed: list[Finding] = []
        self._marked: dict[Finding, Positions] = {}
        self._columns = columns
        self._rng = np.random.default_rng(seed)
        self._wrong = 0
        self._splits = 0
        # By outcome, kinds that are counted, and contacts: families that hold no rule.
        self._ruled_out: dict[tuple[Outcome, int, int], set[int]] = {}
        self._splits_allowed: int | None = None
        self._seen = 0
        self._over = not columns
        self._supposed: list[Positions] = []

    def learn(self, columns: Sequence[Column]) -> None:
        """Take more columns; what was not found with those before may be found now."""
        self._columns = [*self._columns, *columns]
        self._over = not self._columns
        self._seen = 0
        self._ruled_out = {}

    def suppose(self, attribution: Attribution) -> bool:
        """Look for rules that fit every count, and have what they say checked next.

        Returns
        -------
        bool
            Whether there is nothing else to advise now.
        """
        leaves = attribution.leaves()
        mixed = [leaf for leaf in leaves if _is_mixed(leaf)]
        if not mixed:
            return True
        if self._is_refuted(mixed):
            self.findings = self._confirmed
            self._wrong += 1
            self._over |= self._wrong >= MAX_WRONG
        self._confirmed = self.findings
        if self._over or len(leaves) == self._seen:  # nothing new was told
            return False
        self._seen = len(leaves)
        return self._suppose(attribution, leaves)

    def borne_out(self, outcomes: NDArray[np.int8]) -> list[Finding]:
        """Return the findings that the outcomes in the end do not contradict.

        Parameters
        ----------
        outcomes
            An `Outcome` for each contact of the run. What is undetermined contradicts nothing.
        """
        return [
            finding
            for finding in self.findings
            if np.isin(
                outcomes[self._marked.get(finding, _NOBODY)],
                (finding.outcome, Outcome.UNDETERMINED),
            ).all()
        ]

    def explore(self, attribution: Attribution) -> None:
        """Order the search by a column, or ask one half that tells columns apart."""
        leaves = attribution.leaves()
        mixed = [leaf for leaf in leaves if _is_mixed(leaf)]
        if mixed and not self._over:
            self._over = not self._explore(attribution, leaves, mixed)

    def _is_refuted(self, mixed: Sequence[Leaf]) -> bool:
        """Whether contacts of the last guess are open still: then a call about them was mixed."""
        supposed, self._supposed = self._supposed, []
        if not supposed:
            return False
        still_open = np.concatenate([leaf.positions for leaf in mixed])
        return bool(np.isin(np.concatenate(supposed), still_open).any())

    # -- exact rules -----------------------------------------------------------------------

    def _suppose(self, attribution: Attribution, leaves: Sequence[Leaf]) -> bool:
        findings: list[Finding] = []
        groups: list[tuple[Positions, Outcome]] = []
        kinds = [kind for kind in range(len(SKIPS)) if any(leaf.counts[kind] for leaf in leaves)]
        for rule, outcome, positions in self._rules(leaves, kinds):
            found = Finding(outcome, rule.column, rule.chosen, rule.of, len(positions), exact=True)
            self._marked[found] = positions
            findings.append(found)
            groups.append((positions, outcome))
        if groups:
            self.findings = [*self._confirmed, *findings]
            self._supposed = [positions for positions, _ in groups]
            attribution.suppose(groups)
        return bool(groups)

    def _rules(
        self, leaves: Sequence[Leaf], kinds: Sequence[int]
    ) -> list[tuple[Rule, Outcome, Positions]]:
        """Find a rule for one kind after the other, each among the contacts that are left."""
        world = Leaves(leaves)
        columns = [column.of(world.positions) for column in self._columns]
        passing = world.sizes - world.counts.sum(axis=1)
        most_first = sorted(kinds, key=world.counts.sum(axis=0).__getitem__, reverse=True)
        wanted = [(SKIPS[kind], world.counts[:, kind]) for kind in most_first]
        if len(kinds) > 1:
            wanted.append((Outcome.APPLIED, passing))

        def ruled_out(outcome: Outcome) -> set[int]:
            return self._ruled_out.setdefault((outcome, len(kinds), len(world.positions)), set())

        found = [
            (rule, outcome)
            for outcome, marked in wanted
            if (rule := find_rule(world, columns, marked, len(leaves), ruled_out(outcome)))
        ]
        if not found:
            return []
        # The simplest first: what one column says of foreign contacts leaves others a simple rule.
        rule, outcome = min(found, key=lambda item: item[0].bits)
        rest = [kind for kind in kinds if SKIPS[kind] != outcome]
        more = []
        if outcome != Outcome.APPLIED and rest:
            more = self._rules(_without(leaves, world, rule, outcome), rest)
        return [(rule, outcome, world.positions[rule.marked]), *more]

    # -- rules with exceptions -------------------------------------------------------------

    def _explore(
        self, attribution: Attribution, leaves: Sequence[Leaf], mixed: Sequence[Leaf]
    ) -> bool:
        """Advise, and tell whether there may be more advice later."""
        if self._splits_allowed is None:
            self._splits_allowed = _splits_worth(attribution.expected_probes())
        world = Leaves(leaves)
        columns = [column.of(world.positions) for column in self._columns]
        kind = int(world.counts.sum(axis=0).argmax())
        models = weigh(world, columns, world.counts[:, kind])
        best = models[0]
        large = [leaf for leaf in mixed if len(leaf.positions) >= LEAST_CONTACTS]
        is_sure = best.weight > SURE_WEIGHT
        allowed = self._splits_allowed + is_sure * best.column.values // 2
        is_last = self._splits >= allowed or not large
        if is_sure and self._suppose_levels(attribution, world, best, kind):
            return True
        if is_sure and (is_last or self._is_known(world, columns, best, kind)):
            levels = _levels(best)
            if _tells_apart(levels, is_last=is_last):
                self._order(attribution, world, columns, best, levels, SKIPS[kind])
                return False
        if is_last:
            return False
        self._splits += 1
        leaf = max(large, key=_missing_bits)
        place = next(number for number, other in enumerate(leaves) if other is leaf)
        score = self._score(models, world.leaf == place)
        attribution.halve(leaf, np.argsort(-score, kind="stable"))
        return True

    def _is_known(
        self, world: Leaves, columns: Sequence[Column], model: ColumnModel, kind: int
    ) -> bool:
        """Whether more counts would find neither an exact rule nor another column beside this."""
        counts = world.counts[:, kind]
        return model.has_levels > HAS_LEVELS and tells_rules(world, columns, counts, model.names)

    def _suppose_levels(
        self, attribution: Attribution, world: Leaves, model: ColumnModel, kind: int
    ) -> bool:
        """Have the likeliest levels checked where they leave no doubt and explain every count."""
        likeliest = int(model.odds.argmax())
        marked = model.assignments[likeliest][model.column.codes]
        counts = np.bincount(world.leaf, marked, minlength=len(world))
        if model.odds[likeliest] < SURE_LEVEL or (counts != world.counts[:, kind]).any():
            return False
        chosen = 0 if model.column.ordered else int(model.assignments[likeliest].sum())
        of = 0 if model.column.ordered else model.column.values
        found = Finding(
            SKIPS[kind], " and ".join(model.names), chosen, of, int(marked.sum()), exact=True
        )
        self.findings = [*self._confirmed, found]
        self._marked[found] = world.positions[marked]
        self._supposed = [world.positions[marked]]
        attribution.suppose([(world.positions[marked], SKIPS[kind])])
        return True

    def _order(
        self,
        attribution: Attribution,
        world: Leaves,
        columns: Sequence[Column],
        model: ColumnModel,
        levels: NDArray[np.int64],
        outcome: Outcome,
    ) -> None:
        level = levels[model.column.codes]
        chosen = int((levels == 2).sum())
        of = 0 if model.column.ordered else model.column.values
        count = int((level == 2).sum())
        found = Finding(outcome, model.column.name, chosen, of, count, exact=False)
        self.findings = [*self._confirmed, found]
        finest = next(
            (column for column in columns if (column.name,) == model.names and column.ordered),
            model.column,
        )
        if finest is not model.column and finest.values > model.column.values:
            level = _blurred(levels)[model.column.codes]  # a bin next to a border may hold it
        # Open values in their order, between those that pass and those that are skipped.
        within = np.where(level == OPEN_LEVEL, finest.codes.astype(np.int64), 0)
        attribution.order(world.positions, level * (int(within.max()) + 1) + within)

    def _score(
        self, models: Sequence[ColumnModel], chosen: NDArray[np.bool_]
    ) -> NDArray[np.float64]:
        """Draw a rate for each value of each column, and add up what they say of each contact."""
        score = np.zeros(int(chosen.sum()))
        for model in models:
            rates = self._draw(model)[model.column.codes[chosen]]
            spread = rates.std()
            if spread > 0:
                score += np.sqrt(model.weight) * (rates - rates.mean()) / spread
        return score

    def _draw(self, model: ColumnModel) -> NDArray[np.float64]:
        """Draw a rate for each value: what is likely, or anything while no levels are."""
        if model.column.ordered or model.has_levels > HAS_LEVELS:
            likely = model.assignments[self._rng.choice(len(model.odds), p=model.odds)]
            return np.asarray(likely, dtype=np.float64)
        return self._rng.random(model.column.values)


def _splits_worth(expected_probes: float) -> int:
    """Return how many halvings it is worth to learn from."""
    if expected_probes <= WORTH_PROBES:
        return 0
    most = max(SPLIT_SHARE * expected_probes, min(SMALL_SHARE * expected_probes, ENOUGH_SPLITS))
    return int(np.clip(most, LEAST_SPLITS, MOST_SPLITS))


def _is_mixed(leaf: Leaf) -> bool:
    size = len(leaf.positions)
    return any(0 < count < size for count in leaf.counts)


def _missing_bits(leaf: Leaf) -> float:
    size = len(leaf.positions)
    shares = np.array([*leaf.counts, size - sum(leaf.counts)]) / size
    shares = shares[shares > 0]
    return float(-size * (shares @ np.log2(shares)))


def _levels(model: ColumnModel) -> NDArray[np.int64]:
    """Return for each value 2 where it is skipped, 0 where it passes, 1 where that is open."""
    return 1 + (model.skipped > SURE_LEVEL).astype(np.int64) - (model.skipped < 1 - SURE_LEVEL)


def _blurred(levels: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return levels along an order, open on both sides of a border."""
    changes = np.diff(levels) != 0
    at_border = np.append(changes, False) | np.append(False, changes)
    return np.where(at_border, OPEN_LEVEL, levels)


def _tells_apart(levels: NDArray[np.int64], *, is_last: bool) -> bool:
    """Whether levels are worth ordering by: open ones only where no more halves may be asked."""
    # A value of an open level is as dear as without a column, and a few halves tell it.
    return len(np.unique(levels)) > 1 and (is_last or OPEN_LEVEL not in levels)


def _without(leaves: Sequence[Leaf], world: Leaves, rule: Rule, outcome: Outcome) -> list[Leaf]:
    """Return the leaves without the contacts that a rule marks."""
    kind = SKIPS.index(outcome)
    rest = []
    parts = np.split(~rule.marked, np.cumsum(world.sizes)[:-1])
    for leaf, kept in zip(leaves, parts, strict=True):
        counts = tuple(chain(leaf.counts[:kind], (0,), leaf.counts[kind + 1 :]))
        if kept.any():
            rest.append(Leaf(leaf.positions[kept], counts, leaf.batch))
    return rest
