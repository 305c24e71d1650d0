"""Which values of a column are skipped, but for exceptions? Assignments of levels to values."""

from __future__ import annotations

from functools import lru_cache
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Masks = NDArray[np.bool_]

EXCEPTIONS = np.array([0.002, 0.01, 0.03, 0.06, 0.12])
"""Shares of exceptions that are tried."""

ROUNDING = 1.0 / 12.0
"""Variance of rounding to whole contacts."""

ALL_SUBSETS = 12
"""Up to so many values every assignment of levels is tried; above, it is climbed to."""

DESCENT_STEPS = 300
"""Measured with 64 values: exact from some 30 counts on, in 2 ms; no better with 1500 steps."""


def assignments_of(table: Floats, sizes: Floats, counts: Floats, *, ordered: bool) -> Masks:
    """Return assignments of levels to the values of a column, shape (assignments, values).

    Parameters
    ----------
    table
        Contacts of each leaf by value, shape (l, values).
    sizes, counts
        Contacts and skips of each leaf, shape (l,).
    ordered
        Whether an assignment is a stretch or two; else all sets of values are tried, or for many
        values those that fit well.
    """
    values = table.shape[1]
    if ordered:
        return _stretches(values)
    return subsets(values) if values <= ALL_SUBSETS else _climbed(table, sizes, counts)


def fit(skipped: Floats, sizes: Floats, counts: Floats, shares: Floats = EXCEPTIONS) -> Floats:
    """Return log likelihoods, shape (assignments, shares), from skipped contacts by leaf."""
    logs = np.empty((len(skipped), len(shares)))
    for place, share in enumerate(shares):
        means = share * sizes + (1 - 2 * share) * skipped
        variances = share * (1 - share) * sizes + ROUNDING
        terms = (counts - means) ** 2 / variances
        logs[:, place] = -0.5 * (terms.sum(axis=1) + np.log(2 * np.pi * variances).sum())
    return logs


def subsets(values: int) -> Masks:
    """Return all sets of values, shape (2**values, values)."""
    return np.asarray((np.arange(1 << values)[:, np.newaxis] >> np.arange(values) & 1) == 1)


@lru_cache(maxsize=32)
def _stretches(values: int) -> Masks:
    """Return up to two stretches of values, and those that leave them out."""
    places = np.arange(values)
    found = []
    for number in (2, 4):
        borders = np.array(list(combinations(range(values + 1), number)), dtype=np.int64)
        below = places < borders.reshape(-1, number, 1)
        found.append(np.logical_xor.reduce(below, axis=1))
    inside = np.concatenate(found)
    return np.unique(np.concatenate([inside, ~inside]), axis=0)


def _climbed(table: Floats, sizes: Floats, counts: Floats) -> Masks:
    """Return assignments that no change of one value or swap makes likelier, and those near."""
    values = table.shape[1]
    shares = _shares(table, sizes, counts)
    found = []
    for start in (shares > 0.5, np.random.default_rng(values).random(values) < shares):
        now = start
        for tried in (EXCEPTIONS[-1:], EXCEPTIONS):  # many exceptions make the way smooth
            now = _climb(now, table, sizes, counts, tried)
        found += [now, *(now ^ np.eye(values, dtype=np.bool_))]
    return np.unique(np.array(found), axis=0)


def _climb(now: Masks, table: Floats, sizes: Floats, counts: Floats, shares: Floats) -> Masks:
    best = -np.inf
    while True:
        steps = np.where(now, -1.0, 1.0)[:, np.newaxis] * table.T
        ons, offs = np.flatnonzero(now), np.flatnonzero(~now)
        swaps = (steps[ons, np.newaxis] + steps[offs]).reshape(-1, len(table))
        expected = now @ table.T + np.concatenate([steps, swaps])
        logs = fit(expected, sizes, counts, shares).max(axis=1)
        place = int(logs.argmax())
        if logs[place] <= best:
            return now
        best = float(logs[place])
        on, off = divmod(place - len(now), max(1, len(offs)))
        now = now.copy()
        now[[place] if place < len(now) else [ons[on], offs[off]]] ^= True


def _shares(table: Floats, sizes: Floats, counts: Floats) -> Floats:
    """Return the skipped share of each value that fits best: least squares between 0 and 1.

    By projected gradients with momentum. Bounds are what makes it exact: where the shares are 0
    or 1, half as many counts as values are enough.
    """
    weights = 1.0 / np.sqrt(0.03 * sizes + ROUNDING)
    rows, wanted = table * weights[:, np.newaxis], counts * weights
    gram, pull = rows.T @ rows, rows.T @ wanted
    slope = float(np.linalg.norm(gram, 2))
    now = ahead = np.full(table.shape[1], counts.sum() / sizes.sum())
    momentum = 1.0
    for _ in range(DESCENT_STEPS):
        later = np.clip(ahead - (gram @ ahead - pull) / slope, 0.0, 1.0)
        faster = (1.0 + np.sqrt(1.0 + 4.0 * momentum**2)) / 2.0
        ahead = later + (momentum - 1.0) / faster * (later - now)
        now, momentum = later, faster
    return now
