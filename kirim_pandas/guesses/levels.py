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

import numpy as np
from numpy.typing import NDArray

from kirim_pandas.guesses.columns import Column
from kirim_pandas.guesses.leaves import Leaves

__all__ = ["ColumnModel", "weigh"]

Floats = NDArray[np.float64]

EXCEPTIONS = np.array([0.002, 0.01, 0.03, 0.06, 0.12])
"""Shares of exceptions that are tried."""

SPREADS = (0.15, 0.5, 0.9, 0.99)
"""How much of the variance of one contact the values may explain."""

ALL_SUBSETS = 12
"""Up to so many values every assignment of levels is tried; above, it is climbed to."""

BINS = 24
"""An ordered column is cut into so many bins of equal size; rules are cuts and stretches."""

MAX_LEAVES = 200
"""More leaves than this tell no more about a column, and cost time."""

PRIOR_NOTHING = 0.3
"""That no column matters; the columns share the rest."""

ROUNDING = 1.0 / 12.0
"""Variance of rounding to whole contacts."""


@dataclass(frozen=True, slots=True, eq=False)
class ColumnModel:
    """What the counts say of one column.

    Attributes
    ----------
    column : Column
        As of the contacts of the leaves; an ordered one is binned.
    weight : float
        Probability that this column decides.
    skipped : float array, shape (values,)
        Probability that a value is of the skipped level.
    exceptions : float
        Expected share of exceptions.
    assignments : bool array, shape (k, values)
        Assignments of levels, the likeliest of all that were tried.
    odds : float array, shape (k,)
        Their probabilities.
    """

    column: Column
    weight: float
    skipped: Floats
    exceptions: float
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
    binned = [_binned(column) for column in columns]
    chosen = np.argsort(-leaves.sizes, kind="stable")[:MAX_LEAVES]
    sizes, counts = leaves.sizes[chosen].astype(float), marked[chosen].astype(float)
    rate = float(counts.sum() / sizes.sum())
    nothing = _normal(counts - rate * sizes, rate * (1 - rate) * sizes + ROUNDING)
    found = []
    for column in binned:
        table = leaves.table(column.codes, column.values)[chosen].astype(float)
        two = _two_levels(table, sizes, counts, ordered=column.ordered)
        rates = _rates(table, sizes, counts, rate)
        found.append((column, np.logaddexp(two[0], rates) - np.log(2.0), *two[1:]))
    prior = np.log((1 - PRIOR_NOTHING) / max(1, len(found)))
    logs = np.array([np.log(PRIOR_NOTHING) + nothing, *(prior + item[1] for item in found)])
    weights = np.exp(logs - np.logaddexp.reduce(logs))[1:]
    models = [
        ColumnModel(column, float(weight), odds @ assignments, exceptions, assignments, odds)
        for weight, (column, _, assignments, odds, exceptions) in zip(weights, found, strict=True)
    ]
    return sorted(models, key=attrgetter("weight"), reverse=True)


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


def _two_levels(
    table: Floats, sizes: Floats, counts: Floats, *, ordered: bool
) -> tuple[float, NDArray[np.bool_], Floats, float]:
    """Return the log evidence of two levels, likely assignments, their odds, the exceptions."""
    values = table.shape[1]
    if ordered:
        assignments = _stretches(values)
        log_prior = -np.log(len(assignments))
    elif values <= ALL_SUBSETS:
        assignments = (np.arange(1 << values)[:, np.newaxis] >> np.arange(values) & 1) == 1
        log_prior = -values * np.log(2.0)
    else:
        assignments = _climbed(table, sizes, counts)
        log_prior = -values * np.log(2.0)
    logs = _fit(assignments @ table.T, sizes, counts) + log_prior - np.log(len(EXCEPTIONS))
    evidence = float(np.logaddexp.reduce(logs, axis=None))
    odds = np.exp(logs - evidence)
    exceptions = float(odds.sum(axis=0) @ EXCEPTIONS)
    by_assignment = odds.sum(axis=1)
    best = np.argsort(-by_assignment)[:64]
    kept = by_assignment[best] / by_assignment[best].sum()
    return evidence, assignments[best], kept, exceptions


def _fit(skipped: Floats, sizes: Floats, counts: Floats) -> Floats:
    """Return log likelihoods, shape (assignments, exceptions), from skipped contacts by leaf."""
    logs = np.empty((len(skipped), len(EXCEPTIONS)))
    for place, share in enumerate(EXCEPTIONS):
        means = share * sizes + (1 - 2 * share) * skipped
        variances = share * (1 - share) * sizes + ROUNDING
        terms = (counts - means) ** 2 / variances
        logs[:, place] = -0.5 * (terms.sum(axis=1) + np.log(2 * np.pi * variances).sum())
    return logs


def _stretches(values: int) -> NDArray[np.bool_]:
    """Return all stretches of values, and those that leave one out."""
    borders = np.array(list(combinations(range(values + 1), 2)))
    places = np.arange(values)
    inside = (places >= borders[:, :1]) & (places < borders[:, 1:])
    return np.unique(np.concatenate([inside, ~inside]), axis=0)


def _climbed(table: Floats, sizes: Floats, counts: Floats) -> NDArray[np.bool_]:
    """Return assignments that no change of one value or swap makes likelier, from few starts."""
    values = table.shape[1]
    random = np.random.default_rng(values)
    rates, *_ = np.linalg.lstsq(table.T @ table + np.eye(values), table.T @ counts, rcond=None)
    starts = [rates > 0.5, *(random.random((7, values)) < counts.sum() / sizes.sum())]
    flips = np.eye(values, dtype=np.bool_)
    found = []
    for start in starts:
        now = start
        best = float(_fit((now[np.newaxis] @ table.T), sizes, counts).max())
        for _ in range(4 * values):
            pairs = _swaps(now)
            tried = np.concatenate([now ^ flips, now ^ pairs])
            logs = _fit(tried @ table.T, sizes, counts).max(axis=1)
            if logs.max() <= best:
                break
            best, now = float(logs.max()), tried[int(logs.argmax())]
        found += [now, *(now ^ flips)]
    return np.unique(np.array(found), axis=0)


def _swaps(now: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return masks of one skipped and one passing value each."""
    ons, offs = np.flatnonzero(now), np.flatnonzero(~now)
    first, second = np.repeat(ons, len(offs)), np.tile(offs, len(ons))
    masks = np.zeros((len(first), len(now)), dtype=np.bool_)
    masks[np.arange(len(first)), first] = True
    masks[np.arange(len(first)), second] = True
    return masks


def _rates(table: Floats, sizes: Floats, counts: Floats, rate: float) -> float:
    """Return the log evidence of a rate for each value, averaged over `SPREADS`."""
    spread = rate * (1 - rate)
    shared = table @ table.T
    differences = counts - rate * sizes
    logs = []
    for share in SPREADS:
        covariance = share * spread * shared
        covariance[np.diag_indices_from(covariance)] += (1 - share) * spread * sizes + ROUNDING
        sign, log_determinant = np.linalg.slogdet(covariance)
        fit = float(differences @ np.linalg.solve(covariance, differences))
        logs.append(-0.5 * (fit + log_determinant + len(sizes) * np.log(2 * np.pi)) * sign)
    return float(np.logaddexp.reduce(logs) - np.log(len(SPREADS)))
