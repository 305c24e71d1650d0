"""Batches of mixed rates, and kinds of which one is rare: probes by the best possible floor.

    python benchmarks/mixed.py [--seeds 2]

The floor of `requests.py` draws a probe at the overall rates. Where batches differ, and where few
of them share the probes, that is not the best probe. Here the counts of the batches are known:

- A probe takes as many contacts of each batch as make its counts vary most, at most 1000. Its bits
  are the entropy of a sum of hypergeometric counts.
- One kind may be told for nothing: then the other must still be found, among the contacts that are
  left, and only its own counts tell of it (Scarlett and Cevher 2017). The largest of the floors of
  both kinds together and of each alone holds. 1 % of one kind beside 30 % of another ask for all
  replies that the 30 % ask for.
"""

from __future__ import annotations

import argparse
from math import lgamma, log

import numpy as np
from numpy.typing import NDArray
from worlds import search

from kirim_pandas.grouptesting.outcomes import Outcome

PROBE = 1000
_LOGS = np.array([lgamma(n + 1) for n in range(PROBE + 1)]) / log(2)

Floats = NDArray[np.float64]
Batch = tuple[int, int, int]
"""Contacts, and those of each kind."""

HALF = [*[(5, 0)] * 5, *[(400, 0)] * 5]
WORLDS = {
    "five batches 0.5 %, five 40 %": HALF,
    "the same, two kinds": [*[(3, 2)] * 5, *[(200, 200)] * 5],
    "two batches, 0.5 % and 40 %": [(5, 0), (400, 0)],
    "three batches, 2 %, 10 % and 50 %": [(20, 0), (100, 0), (500, 0)],
    "all skipped, 5 % and 30 %": [(1000, 0), (50, 0), (300, 0)],
    "five batches of 40 %": [(400, 0)] * 5,
    "five batches, 0 to 50 %": [(50 + 100 * number, 0) for number in range(5)],
    "one batch, 1 % + 30 %": [(10, 300)],
    "one batch, 5 % + 45 %": [(50, 450)],
    "five batches, 1 % + 30 %": [(10, 300)] * 5,
    "one batch, 1 % + 1 %; one of 30 %": [(10, 10), (300, 0)],
    "one batch, 10 % + 10 %": [(100, 100)],
    "one batch, 25 % + 25 %": [(250, 250)],
    "one batch, 33 % + 33 %": [(330, 330)],
    "two batches, 25 % + 25 %": [(250, 250)] * 2,
    "ten batches, 10 % + 10 %": [(100, 100)] * 10,
    "two batches, a kind each, 20 %": [(200, 0), (0, 200)],
}
"""Skips of each kind in each batch of 1000."""


def floor(batches: list[Batch]) -> float:
    """Return the fewest probes that may name all contacts."""
    alone = [
        [(size - other, count, 0) for size, count, other in batches],
        [(size - other, count, 0) for size, other, count in batches],
    ]
    return max(map(_floor, [batches, *alone]))


def _floor(batches: list[Batch]) -> float:
    mixed = [b for b in batches if b[1] + b[2] > 0 and max(b[1:]) < b[0]]
    bits = sum(_LOGS[n] - _LOGS[a] - _LOGS[b] - _LOGS[n - a - b] for n, a, b in mixed)
    return float(bits) / _best_bits(mixed) if mixed else 0.0


def _best_bits(batches: list[Batch]) -> float:
    """Return the bits of the best probe, of those that favour one kind, both, or none."""
    table = np.array(batches, dtype=float)
    shares = table[:, 1:] / table[:, :1]
    spreads = (shares * (1 - shares)).T
    return max(
        _entropy(batches, _held(table[:, 0], spread))
        for spread in (*spreads, spreads.sum(axis=0), np.ones(len(batches)))
        if spread.any()
    )


def _held(sizes: Floats, spreads: Floats) -> list[int]:
    """Return how many contacts of each batch make the count vary most: at best half of each."""
    low, high = 0.0, float(spreads.max())
    held = np.where(spreads > 0, sizes // 2, 0.0)
    for _ in range(60 if held.sum() > PROBE else 0):
        price = (low + high) / 2
        held = sizes / 2 * np.clip(1 - price / np.maximum(spreads, 1e-12), 0.0, None)
        low, high = (price, high) if held.sum() > PROBE else (low, price)
    return [int(number) for number in held]


def _entropy(batches: list[Batch], held: list[int]) -> float:
    """Return the joint entropy of both counts of a probe."""
    parts = [_odds(*batch, number) for batch, number in zip(batches, held, strict=True)]
    shape = tuple(1 + sum(part.shape[axis] - 1 for part in parts) for axis in (0, 1))
    odds = np.fft.irfft2(np.prod([np.fft.rfft2(part, shape) for part in parts], axis=0), shape)
    odds = odds[odds > 1e-15]
    return float(-(odds * np.log2(odds)).sum())


def _odds(size: int, first: int, second: int, held: int) -> Floats:
    """Return the odds of each pair of counts among `held` contacts of a batch."""
    a, b = np.ogrid[: min(first, held) + 1, : min(second, held) + 1]
    rest, passing = held - a - b, size - first - second
    possible = (rest >= 0) & (rest <= passing)
    rest = np.where(possible, rest, 0)
    ways = _ways(first, a) + _ways(second, b) + _ways(passing, rest) - _ways(size, held)
    return np.where(possible, np.exp2(np.where(possible, ways, 0.0)), 0.0)


def _ways(size: int, part: NDArray[np.int64] | int) -> Floats:
    return _LOGS[size] - _LOGS[part] - _LOGS[np.subtract(size, part)]


def outcomes_of(skips: list[tuple[int, int]], rng: np.random.Generator) -> NDArray[np.int8]:
    """Return outcomes with so many skips of each kind in each batch, in random places."""
    kinds = np.array([Outcome.CROSS_ORG, Outcome.TEAM_MISMATCH, Outcome.APPLIED], dtype=np.int8)
    return np.concatenate(
        [rng.permutation(np.repeat(kinds, [a, b, PROBE - a - b])) for a, b in skips]
    )


def main() -> None:
    """Print a line for each world: means over the seeds."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=2)
    seeds = parser.parse_args().seeds
    print("| skipped at random | floor | kirim-pandas | × floor |\n|---|--:|--:|--:|")
    for name, skips in WORLDS.items():
        least = floor([(PROBE, *pair) for pair in skips])
        seen = [search(outcomes_of(skips, np.random.default_rng(s)), None) for s in range(seeds)]
        probes = float(np.mean(seen))
        print(f"| {name} | {least:.1f} | {probes:.0f} | {probes / least:.2f} |", flush=True)


if __name__ == "__main__":
    main()
