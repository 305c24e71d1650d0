"""How the counts of a cluster's cells vary together, and which cells to ask about for it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["climb", "spread_of"]

Floats = NDArray[np.float64]

_ONE_THREAD_PRODUCTS = 200_000  # OpenBLAS works alone on up to 2**18 multiplications
_ENOUGH = 512
"""Hypotheses that show how counts vary together: of more, every second or third is looked at.
Measured in units of the floor, nine worlds of one batch with up to 8192 hypotheses: 1.192 with 512,
1.193 with 1024, 1.205 with 2048, 1.214 with all."""

_SPREAD_FLOOR = 0.08  # 1/12, the variance of rounding: keeps the logarithm of a spread finite


def spread_of(hypotheses: NDArray[np.int16], odds: Floats) -> Floats:
    """Return the covariance of the cells' counts.

    In small pieces: on large products the linear algebra library starts threads, which wait for
    each other on a busy machine, and whose number would change the last digits, and with them
    the questions that a resumed run plans. Of some hypotheses, spread evenly over all.
    """
    step = max(1, len(odds) // _ENOUGH)
    hypotheses, odds = hypotheses[:, ::step], odds[::step] / odds[::step].sum()
    centred = hypotheses - (hypotheses * odds).sum(axis=1)[:, np.newaxis]
    weighted = centred * odds
    cells = len(hypotheses)
    spread = np.zeros((cells, cells))
    step = max(1, _ONE_THREAD_PRODUCTS // (cells * cells))
    for start in range(0, len(odds), step):
        spread += weighted[:, start : start + step] @ centred[:, start : start + step].T
    return spread


def _log_spread(spreads: Floats) -> Floats:
    return np.log(np.maximum(spreads, 0.0) + _SPREAD_FLOOR)


def climb(
    spreads: list[Floats], sizes: NDArray[np.int64], start: NDArray[np.bool_], probe_size: int
) -> NDArray[np.bool_]:
    """Put cells in and out while the spread of the summed count grows.

    For sums of many counts the spread tells the information, and is far cheaper than it.
    """
    asked = start.copy()
    while sizes @ asked > probe_size:
        asked[np.flatnonzero(asked)[0]] = False
    held = int(sizes @ asked)
    slopes = [spread[:, asked].sum(axis=1) for spread in spreads]
    values = [float(slope[asked].sum()) for slope in slopes]
    diagonals = [spread.diagonal() for spread in spreads]
    best = float(_log_spread(np.array(values)).sum())
    for _ in range(3 * len(sizes)):
        signs = 1 - 2 * asked.astype(np.int64)
        gains = np.zeros(len(sizes))
        for value, slope, diagonal in zip(values, slopes, diagonals, strict=True):
            gains += _log_spread(value + 2 * signs * slope + diagonal)
        gains[~asked & (held + sizes > probe_size)] = -np.inf
        cell = int(gains.argmax())
        if gains[cell] <= best + 1e-9:
            break
        best, sign = float(gains[cell]), int(signs[cell])
        for kind, spread in enumerate(spreads):
            values[kind] += 2 * sign * slopes[kind][cell] + diagonals[kind][cell]
            slopes[kind] = slopes[kind] + sign * spread[:, cell]
        held += sign * int(sizes[cell])
        asked[cell] = sign > 0
    return asked
