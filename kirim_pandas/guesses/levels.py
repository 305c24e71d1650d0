"""A model of columns, for rules with exceptions: which values are skipped but for a few contacts?

The counts of leaves are sums over contacts of which only the values are known: learning from
label proportions. Three explanations are compared for each column, all with normal
approximations of the counts:

- *nothing*: every contact is skipped at the overall rate;
- *rates*: each value has a rate of its own, drawn around the overall one;
- *two levels*: each value is skipped or passes, but for a share of exceptions.

The second tells that a column matters, the third which of its values do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from operator import attrgetter
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from kirim_pandas.guesses.assignments import EXCEPTIONS, ROUNDING, assignments_of, fit
from kirim_pandas.guesses.columns import Column
from kirim_pandas.guesses.leaves import Leaves
from kirim_pandas.guesses.products import are_few, counts_of, masks_of

Floats = NDArray[np.float64]

SPREADS = (0.15, 0.5, 0.9, 0.99)
"""How much of the variance of one contact the values may explain."""

BINS = 24
"""An ordered column is cut into so many bins of equal size; rules are cuts and stretches."""

MAX_NAMES = 64
"""A column of more values is only searched for exact rules."""

PRIOR_PAIR = 0.3
"""The share of two columns together, of what is not nothing."""

PAIRED = 5
"""Pairs are formed of so many columns that tell most alone."""

KEPT = 64
"""Assignments that are kept."""

MAX_LEAVES = 200
"""More leaves than this tell no more about a column, and cost time."""

PRIOR_NOTHING = 0.3
"""That no column matters; the columns share the rest."""


@dataclass(frozen=True, slots=True, eq=False)
class ColumnModel:
    """What the counts say of one column.

    Attributes
    ----------
    column : Column
        As of the contacts of the leaves; an ordered one is binned. Two together are one, which
        counts as ordered if one of them is.
    names : tuple of str
        Of the column, or of both.
    weight : float
        Probability that this column decides.
    skipped : float array, shape (values,)
        Probability that a value is of the skipped level.
    exceptions : float
        Expected share of exceptions.
    has_levels : float
        Probability that its values have two levels, not a rate each, if it decides.
    assignments : bool array, shape (k, values)
        Assignments of levels, the likeliest of all that were tried.
    odds : float array, shape (k,)
        Their probabilities.
    """

    column: Column
    names: tuple[str, ...]
    weight: float
    skipped: Floats
    exceptions: float
    has_levels: float
    assignments: NDArray[np.bool_]
    odds: Floats


def weigh(
    leaves: Leaves, columns: Sequence[Column], marked: NDArray[np.int64]
) -> list[ColumnModel]:
    """Return a model of each column, the likeliest first.

    Parameters
    ----------
    leaves
        The open leaves.
    columns
        Columns of the contacts of the leaves, in their order.
    marked
        How many contacts of each leaf have the outcome in question, shape (l,).
    """
    chosen = np.argsort(-leaves.sizes, kind="stable")[:MAX_LEAVES]
    seen = _Seen(leaves, chosen, marked[chosen].astype(float))
    single = [
        _explained(seen, _binned(column)) for column in columns if column.ordered or _small(column)
    ]
    likely = sorted(single, key=_evidence, reverse=True)[:PAIRED]
    pairs = [
        _explained_by_both(seen, first.column, second.column)
        for first, second in combinations(likely, 2)
        if are_few(first.column, second.column)
    ]
    logs = [
        np.log((1 - PRIOR_NOTHING) * share / len(some)) + explained.evidence
        for some, share in ((single, 1 - PRIOR_PAIR), (pairs, PRIOR_PAIR))
        for explained in some
    ]
    total = np.logaddexp.reduce([*logs, np.log(PRIOR_NOTHING) + seen.nothing()])
    models = [
        ColumnModel(e.column, e.names, float(np.exp(log - total)), e.odds @ e.assignments, *e[3:])
        for e, log in zip([*single, *pairs], logs, strict=True)
    ]
    return sorted(models, key=attrgetter("weight"), reverse=True)


class _Explained(NamedTuple):
    """A column, and how well it explains the counts: see `ColumnModel`."""

    column: Column
    names: tuple[str, ...]
    evidence: float
    exceptions: float
    has_levels: float
    assignments: NDArray[np.bool_]
    odds: Floats


class _Seen:
    """Counts of some leaves."""

    def __init__(self, leaves: Leaves, chosen: NDArray[np.int64], counts: Floats) -> None:
        self._leaves, self._chosen = leaves, chosen
        self.sizes, self.counts = leaves.sizes[chosen].astype(float), counts
        self.rate = float(counts.sum() / self.sizes.sum())

    def table(self, codes: NDArray[np.int32], values: int) -> Floats:
        """Return how many contacts of each leaf have each value."""
        return self._leaves.table(codes, values)[self._chosen].astype(float)

    def nothing(self) -> float:
        """Return the log likelihood that no column matters."""
        spread = self.rate * (1 - self.rate)
        return _normal(self.counts - self.rate * self.sizes, spread * self.sizes + ROUNDING)


def _small(column: Column) -> bool:
    return column.values <= MAX_NAMES


def _evidence(explained: _Explained) -> float:
    return explained.evidence


def _explained(seen: _Seen, column: Column) -> _Explained:
    table = seen.table(column.codes, column.values)
    assignments = assignments_of(table, seen.sizes, seen.counts, ordered=column.ordered)
    members = len(assignments) if column.ordered else 2.0**column.values
    logs = fit(assignments @ table.T, seen.sizes, seen.counts) - np.log(members)
    levels = _evidence_of(logs)
    both = float(np.logaddexp(levels, _rates(table, seen)))
    best = _likeliest(logs)
    return _Explained(
        column,
        (column.name,),
        both - float(np.log(2.0)),
        _exceptions(logs[best]),
        float(np.exp(levels - both)),
        assignments[best],
        _odds(logs[best]),
    )


def _explained_by_both(seen: _Seen, first: Column, second: Column) -> _Explained:
    """Weigh that some values of both together decide, or of either."""
    cells = first.codes * np.int32(second.values) + second.codes
    table = seen.table(cells, first.values * second.values)
    inside = counts_of(first, second, table)
    logs = fit(np.concatenate([inside, seen.sizes - inside]), seen.sizes, seen.counts)
    best = _likeliest(logs)
    masks = masks_of(first, second, best % len(inside)) ^ (best >= len(inside))[:, np.newaxis]
    names = (first.name, second.name)
    pair = Column(" and ".join(names), cells, ordered=first.ordered or second.ordered)
    evidence = _evidence_of(logs) - float(np.log(len(logs)))
    return _Explained(pair, names, evidence, _exceptions(logs[best]), 1.0, masks, _odds(logs[best]))


def _evidence_of(logs: Floats) -> float:
    return float(np.logaddexp.reduce(logs, axis=None) - np.log(len(EXCEPTIONS)))


def _likeliest(logs: Floats) -> NDArray[np.int64]:
    return np.argsort(-logs.max(axis=1), kind="stable")[:KEPT]


def _odds(logs: Floats) -> Floats:
    return np.asarray(np.exp(logs - np.logaddexp.reduce(logs, axis=None)).sum(axis=1))


def _exceptions(logs: Floats) -> float:
    """Return the expected share of exceptions."""
    odds = np.exp(logs - np.logaddexp.reduce(logs, axis=None))
    return float(odds.sum(axis=0) @ EXCEPTIONS)


def _normal(differences: Floats, variances: Floats) -> float:
    return float(-0.5 * (differences**2 / variances + np.log(2 * np.pi * variances)).sum())


def _binned(column: Column) -> Column:
    """Return an ordered column with at most `BINS` values, each of about as many contacts."""
    if not column.ordered or column.values <= BINS:
        return column
    counts = np.bincount(column.codes)
    middles = np.cumsum(counts) - counts / 2
    bins = np.minimum((middles * BINS / len(column.codes)).astype(np.int32), BINS - 1)
    _, bins = np.unique(bins, return_inverse=True)
    return Column(column.name, bins.astype(np.int32)[column.codes], ordered=True)


def _rates(table: Floats, seen: _Seen) -> float:
    """Return the log evidence of a rate for each value, averaged over `SPREADS`."""
    spread = seen.rate * (1 - seen.rate)
    shared = table @ table.T
    differences = seen.counts - seen.rate * seen.sizes
    logs = []
    for share in SPREADS:
        covariance = share * spread * shared
        own = (1 - share) * spread * seen.sizes + ROUNDING
        covariance[np.diag_indices_from(covariance)] += own
        sign, log_determinant = np.linalg.slogdet(covariance)
        fit = float(differences @ np.linalg.solve(covariance, differences))
        logs.append(-0.5 * (fit + log_determinant + len(own) * np.log(2 * np.pi)) * sign)
    return float(np.logaddexp.reduce(logs) - np.log(len(SPREADS)))
