"""How long a run takes by limit and latency, with one search alone and with several side by side.

Run ``python benchmarks/rounds.py``.  A run over contacts skipped at random is carried out on a
virtual clock: the project's own pacing, a bucket as the service has it, and every reply after the
same latency.  So an hour of a run takes some seconds here.  With ``--real`` some cells are also run
on the sandbox, and the seconds are compared.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ratios import print_ratio

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
from support.virtual_pool import VirtualPool

import kirim_pandas as kp
from kirim_pandas.grouptesting.outcomes import Outcome
from kirim_pandas.run.events import CallPlanned, RunEnded
from kirim_pandas.run.loop import Run
from kirim_pandas.run.side_by_side import Pace, quick_width
from kirim_pandas.run.spec import Job
from kirim_pandas.run.stop import StopButton

LIMITS, LATENCIES = (60, 600, 6000), (0.05, 0.2, 1.0)
SHARE = 0.9

TARGETS = {(600, 1.0): (680.0, 1837.0), (6000, 0.2): (77.0, 315.0)}
"""By limit and latency, for 200 batches with 1 % skipped: the seconds that the project promises,
and those of one search alone, which are not measured again each time."""
LARGE = 200

REAL = ((10, 6000, 0.05), (10, 6000, 0.2), (20, 6000, 0.05))
"""Batches, limit and latency that ``--real`` runs on the sandbox, too."""


@dataclass(frozen=True)
class Told:
    """What a run took: searches side by side, rounds, probes, seconds, seconds without a call."""

    width: int
    rounds: int
    probes: int
    seconds: float
    idle_seconds: float
    refused: int


def world(batches: int, share: float) -> np.ndarray:
    """Skip exactly this share of the contacts, at random."""
    outcomes = np.full(1000 * batches, Outcome.APPLIED, dtype=np.int8)
    places = np.random.default_rng(0).permutation(len(outcomes))
    outcomes[places[: round(share * len(outcomes))]] = Outcome.TEAM_MISMATCH
    return outcomes


def pace_of(pool: VirtualPool) -> Pace:
    """Return what a run knows of the service."""
    return Pace(*pool.pacer.pace(pool.now, share=SHARE))


def virtual(truth: np.ndarray, per_minute: int, latency: float, *, alone: bool) -> Told:
    """Carry a run out on a virtual clock."""

    def choose(batches: int, probes: float) -> int:
        return 1 if alone else quick_width(batches, probes, pace_of(pool))

    pool = VirtualPool(
        truth,
        per_minute=per_minute,
        latency_seconds=latency,
        share=SHARE,
        most=lambda pacer, now: Pace(*pacer.pace(now, share=SHARE)).in_flight,
    )
    run = Run(Job(len(truth)), pool, stop=StopButton(), choose_width=choose, clock=lambda: pool.now)
    rounds, probes, width = set(), 0, 1
    for event in run.events():
        if isinstance(event, CallPlanned) and event.call.phase == "resolve":
            rounds.add(event.call.round)
            probes += 1
            width = max(width, event.call.planners)
    assert isinstance(event, RunEnded)
    assert (event.outcomes.outcome == truth).all()
    return Told(width, len(rounds), probes, pool.now, pool.idle_seconds, pool.refused)


def real(batches: int, per_minute: int, latency: float, share: float) -> float:
    """Carry a run out on the sandbox; return its seconds."""
    with kp.sandbox.start(
        contacts=1000 * batches,
        write_per_minute=per_minute,
        skipped_share=share,
        faults=kp.sandbox.Faults(
            rates={"stall_after_commit": 1.0}, values={"stall_after_commit": latency}
        ),
    ) as box:
        column = box.contacts["contact_id"]
        start = time.monotonic()
        column.kirim.bulk_label(
            box.labels["id"].iloc[0],
            "attach",
            client=box.client(share=SHARE),
            journal=False,
            progress=False,
            reads=False,
            hint=None,
        )
        return time.monotonic() - start


def main() -> int:
    """Print the grid; the exit status is 1 if a promise is broken."""
    made = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    made.add_argument("--batches", type=int, default=10)
    made.add_argument("--skipped", type=float, default=0.01)
    made.add_argument("--real", action="store_true")
    made.add_argument("--quick", action="store_true", help="without the two large runs")
    given = made.parse_args()
    print(
        f"{'batches':>7} {'a minute':>8} {'latency':>7} {'searches':>8} {'rounds':>7} "
        f"{'probes':>7} {'seconds':>8} {'waiting':>7} {'429s':>4}"
    )
    truth, ratios, refused = world(given.batches, given.skipped), {}, 0
    for cell in itertools.product(LIMITS, LATENCIES):
        one, more = (virtual(truth, *cell, alone=alone) for alone in (True, False))
        print_line(given.batches, cell, one)
        print_line(given.batches, cell, more)
        ratios[cell] = more.seconds / one.seconds
        refused += one.refused + more.refused
    large, kept = world(LARGE, 0.01), []
    targets = {} if given.quick else TARGETS
    found = {cell: virtual(large, *cell, alone=False) for cell in targets}
    for cell, told in found.items():
        print_line(LARGE, cell, told)
        refused += told.refused
    for (per_minute, latency), ratio in ratios.items():
        print_ratio(f"seconds_by_one_search_{per_minute}_a_minute_{latency}_s", ratio)
    for cell, (most, alone) in targets.items():
        name = "seconds_by_one_search_{}_batches_{}_a_minute_{}_s".format(LARGE, *cell)
        kept.append(print_ratio(name, found[cell].seconds / alone, at_most=most / alone))
    for cell in REAL if given.real else ():
        seconds = real(*cell, given.skipped)
        expected = virtual(world(cell[0], given.skipped), *cell[1:], alone=False).seconds
        name = "real_by_virtual_seconds_{}_batches_{}_a_minute_{}_s".format(*cell)
        print_ratio(name, seconds / expected)
    return int(not (print_ratio("calls_refused_429", refused, at_most=0) and all(kept)))


def print_line(batches: int, cell: tuple[int, float], told: Told) -> None:
    """Print what a run took."""
    per_minute, latency = cell
    print(
        f"{batches:>7} {per_minute:>8,} {latency:>7} {told.width:>8} {told.rounds:>7,} "
        f"{told.probes:>7,} {told.seconds:>8,.1f} {told.idle_seconds / told.seconds:>7.0%} "
        f"{told.refused:>4}",
        flush=True,
    )


if __name__ == "__main__":
    sys.exit(main())
