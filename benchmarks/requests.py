"""How many requests does it take to name every skipped contact?

Compares, in one run and in memory (no network), one call a contact, counted bisection, this
library and the floor of information theory; prints a markdown table, and with ``--plot FILE``
draws the minutes on the free plan.  Two more tables, for 1,000 and for 10,000 contacts, have the
worlds of `worlds.py`, in which skips have a reason: without columns, sorted by a hint that decides,
and with the reason to be found (``hint="auto"``).

    python benchmarks/requests.py [--seeds 3] [--plot requests.png] [--only random|reasons]

The apply phase (one request for each 1000 contacts) is the same for all and not counted; the
library's confirming calls are.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial
from math import lgamma, log
from pathlib import Path

import numpy as np
from ratios import print_ratio

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from support.bisection import bisect
from worlds import Reasons, counts_of, reasons, search

from kirim_pandas.grouptesting.outcomes import Outcome, cut_batches

PER_MINUTE = 60  # write requests on the free plan
BATCH = 1000

MOST_MEAN, MOST_EVER = 1.25, 1.48
"""Probes by the floor: mean over the random worlds, and of any single run."""


@dataclass(frozen=True)
class World:
    """A named way to make outcomes, and perhaps a hint."""

    name: str
    make: Callable[[np.random.Generator], tuple[np.ndarray, np.ndarray | None]]
    in_target: bool = False


def scattered(batches: int, cross: int, team: int = 0) -> Callable:
    """Skips in random places: so many of 1000 on average."""

    def make(rng: np.random.Generator) -> tuple[np.ndarray, None]:
        outcomes = np.full(BATCH * batches, Outcome.APPLIED, dtype=np.int8)
        places = rng.permutation(len(outcomes))
        outcomes[places[: cross * batches]] = Outcome.CROSS_ORG
        outcomes[places[cross * batches : (cross + team) * batches]] = Outcome.TEAM_MISMATCH
        return outcomes, None

    return make


def clustered(batches: int, runs: int, length: int) -> Callable:
    """Skips in contiguous runs, as in sorted exports."""

    def make(rng: np.random.Generator) -> tuple[np.ndarray, None]:
        outcomes = np.full(BATCH * batches, Outcome.APPLIED, dtype=np.int8)
        for start in rng.integers(0, len(outcomes) - length, runs):
            outcomes[start : start + length] = Outcome.TEAM_MISMATCH
        return outcomes, None

    return make


def hinted(batches: int, values: int) -> Callable:
    """Sorted by a hint whose value decides the outcome."""

    def make(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        groups = np.sort(rng.integers(0, values, BATCH * batches))
        return (1 + rng.integers(0, 3, values)).astype(np.int8)[groups], groups

    return make


WORLDS = [
    *(
        World(f"1 batch, {skips} skipped", scattered(1, skips), True)
        for skips in (1, 2, 5, 10, 20, 50, 100, 200, 500)
    ),
    World("10 batches, 1 %", scattered(10, 10), True),
    World("10 batches, 5 %", scattered(10, 50), True),
    World("10 batches, 20 %", scattered(10, 200), True),
    World("10 batches, 3 % + 2 %", scattered(10, 30, 20), True),
    World("10 batches, 20 runs of 100", clustered(10, 20, 100)),
    World("10 batches, hint of 12 values", hinted(10, 12)),
]


def print_reasons(seeds: int, size: int) -> None:
    """Print the probes of the worlds with a reason, means over seeds."""
    print(
        f"\n| {size:,} contacts in random order | bisection | no columns | perfect hint | found ",
        end="",
    )
    print("| floor |\n|---|--:|--:|--:|--:|--:|")
    worlds = [reasons(np.random.default_rng(seed), size) for seed in range(seeds)]
    for name in worlds[0]:
        rows = [measure_reasons(world[name], seed) for seed, world in enumerate(worlds)]
        cells = " | ".join(f"{mean:.1f}" for mean in np.mean(rows, axis=0))
        print(f"| {name} | {cells} |", flush=True)


def measure_reasons(made: Reasons, seed: int) -> tuple[float, ...]:
    """Return the probes of bisection, without columns, with the hint, with columns; the floor.

    The first, the second and the floor are those of the same outcomes in random places.
    """
    order = np.argsort(made.hint, kind="stable")
    hint = made.hint.astype(np.int64)
    shuffled = made.outcomes[np.random.default_rng(seed).permutation(len(order))]
    return (
        bisection_of(shuffled),
        search(shuffled, None),
        search(made.outcomes[order], None, hint[order]),
        search(made.outcomes, made.columns, hint if made.known else None),
        floor(shuffled),
    )


def _log2_ways(total: int, *parts: int) -> float:
    rest = total - sum(parts)
    return (lgamma(total + 1) - sum(lgamma(part + 1) for part in (*parts, rest))) / log(2)


def _entropy(shares: np.ndarray) -> float:
    shares = shares[shares > 0]
    return float(-(shares * np.log2(shares)).sum())


@lru_cache(maxsize=64)
def probe_bits(batches: tuple[tuple[int, int, int], ...]) -> float:
    """Return the bits the best probe can carry.

    One batch: the joint entropy of both counts in a random half. More: that of the counts
    among 1000 contacts drawn at the overall rates.
    """
    if len(batches) == 1:
        size, cross, team = batches[0]
        half, rest = size // 2, size - cross - team
        shares = [
            2.0
            ** (
                _log2_ways(cross, a)
                + _log2_ways(team, b)
                + _log2_ways(rest, half - a - b)
                - _log2_ways(size, half)
            )
            for a in range(min(cross, half) + 1)
            for b in range(min(team, half - a) + 1)
            if 0 <= half - a - b <= rest
        ]
        return _entropy(np.array(shares))
    contacts = sum(size for size, _, _ in batches)
    odds = [sum(batch[kind] for batch in batches) / contacts for kind in (1, 2)]
    logs = np.array([lgamma(n + 1) for n in range(BATCH + 1)])
    a, b = np.meshgrid(np.arange(BATCH + 1), np.arange(BATCH + 1), indexing="ij")
    a, b = a[a + b <= BATCH], b[a + b <= BATCH]
    for kind, counts in enumerate((a, b)):
        if not odds[kind]:
            kept = counts == 0
            a, b = a[kept], b[kept]
    rest = BATCH - a - b
    weights = logs[BATCH] - logs[a] - logs[b] - logs[rest]
    for share, counts in zip((*odds, 1 - sum(odds)), (a, b, rest), strict=True):
        weights = weights + (counts * log(share) if share > 0 else 0.0)
    return _entropy(np.exp(weights))


def floor(outcomes: np.ndarray) -> float:
    """Return the missing bits of all mixed batches, divided by what a probe can carry."""
    batches = []
    for batch in cut_batches(len(outcomes)):
        cross, team = ((outcomes[batch] == kind).sum() for kind in (2, 3))
        if cross + team > 0 and max(cross, team) < len(batch):
            batches.append((len(batch), int(cross), int(team)))
    if not batches:
        return 0.0
    return sum(_log2_ways(*batch) for batch in batches) / probe_bits(tuple(batches))


def bisection_of(outcomes: np.ndarray) -> int:
    """Return the probes of counted bisection."""
    named, probes = bisect(len(outcomes), cut_batches(len(outcomes)), partial(counts_of, outcomes))
    assert (named == outcomes).all(), "a wrong outcome"
    return probes


def measure(world: World, seed: int) -> tuple[int, float, int, int, float]:
    """Return contacts in mixed batches, floor, probes of bisection and of this, CPU seconds."""
    outcomes, groups = world.make(np.random.default_rng(seed))
    bisection = bisection_of(outcomes)
    start = time.process_time()
    probes = search(outcomes, None, groups)
    seconds = time.process_time() - start
    batches = cut_batches(len(outcomes))
    mixed = sum(len(batch) for batch in batches if len(np.unique(outcomes[batch])) > 1)
    return mixed, floor(outcomes), bisection, probes, seconds


def main() -> int:
    """Measure, print, draw; the exit status is 1 if a promise is broken."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--plot", type=Path)
    parser.add_argument("--only", choices=("random", "reasons"))
    options = parser.parse_args()
    kept = options.only == "reasons" or print_random(options.seeds, options.plot)
    if options.only != "random":
        for size in (BATCH, 10 * BATCH):
            print_reasons(options.seeds, size)
    return int(not kept)


def print_random(seeds: int, plot: Path | None) -> bool:
    """Print and draw the worlds without a reason, means over seeds; tell whether it is as told."""
    print("| world | one call a contact | bisection | kirim-pandas | floor | × floor | worst |")
    print("|---|--:|--:|--:|--:|--:|--:|")
    rows, ratios, peers, worst, seconds, requests = [], [], [], 0.0, 0.0, 0
    for world in WORLDS:
        runs = np.array([measure(world, seed) for seed in range(seeds)])
        mixed, least, bisection, probes, _ = runs.mean(axis=0)
        ratio = (runs[:, 3] / runs[:, 1]).mean()
        most = (runs[:, 3] / runs[:, 1]).max()
        if world.in_target:
            ratios.append(ratio)
            peers.append((runs[:, 2] / runs[:, 1]).mean())
            worst = max(worst, most)
        seconds, requests = seconds + runs[:, 4].sum(), requests + int(runs[:, 3].sum())
        # Runs and hints hold far less information than the floor of random places assumes.
        marks = (f"{ratio:.2f}", f"{most:.2f}") if world.in_target else ("", "")
        floor_text = f"{least:.1f}" if world.in_target else ""
        print(
            f"| {world.name} | {mixed:.0f} | {bisection:.1f} | {probes:.1f} | {floor_text} "
            f"| {marks[0]} | {marks[1]} |",
            flush=True,
        )
        rows.append((world.name, mixed, bisection, probes))
    print(
        f"\nMean over the {len(ratios)} random worlds, {seeds} seeds each: "
        f"{np.mean(ratios):.3f} × the floor (bisection {np.mean(peers):.2f} ×), "
        f"worst single run {worst:.3f} ×. Planning and decoding: "
        f"{1000 * seconds / requests:.1f} ms of CPU a request."
    )
    if plot:
        draw(rows, plot)
    kept = print_ratio("probes_by_floor_mean", float(np.mean(ratios)), at_most=MOST_MEAN)
    return print_ratio("probes_by_floor_worst", worst, at_most=MOST_EVER) and kept


def draw(rows: list[tuple[str, float, float, float]], path: Path) -> None:
    """Draw minutes on the free plan, one line of dots for each world."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(9, 6), layout="constrained")
    heights = np.arange(len(rows))[::-1]
    series = [
        ("one call a contact", 1, "#0072B2", "s"),
        ("counted bisection", 2, "#E69F00", "^"),
        ("kirim-pandas", 3, "#009E73", "o"),
    ]
    for height, row in zip(heights, rows, strict=True):
        axes.plot(
            [row[3] / PER_MINUTE, row[1] / PER_MINUTE], [height] * 2, color="#cccccc", zorder=1
        )
        axes.annotate(
            f"{row[3] / PER_MINUTE:.1f} min",
            (row[3] / PER_MINUTE, height),
            textcoords="offset points",
            xytext=(-9, -3.5),
            ha="right",
            fontsize=8,
        )
    for label, column, colour, marker in series:
        minutes = [row[column] / PER_MINUTE for row in rows]
        axes.scatter(minutes, heights, label=label, color=colour, marker=marker, s=46, zorder=2)
    axes.set_xscale("log")
    axes.set_xlim(0.03, 400)
    axes.set_xticks([0.1, 1, 10, 100], ["6 s", "1 min", "10 min", "100 min"])
    axes.set_yticks(heights, [row[0] for row in rows])
    axes.set_title("Time to learn which contacts were skipped (free plan, 60 requests a minute)")
    axes.grid(axis="x", color="#eeeeee")
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(axis="y", length=0)
    axes.legend(loc="upper center", bbox_to_anchor=(0.4, -0.05), ncols=3, frameon=False)
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    sys.exit(main())
