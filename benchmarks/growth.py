"""How the CPU time of a run grows with its contacts.

Run ``python benchmarks/growth.py [contacts ...]``.  Runs over contacts of which 1 % are skipped at
random are carried out on a virtual clock, so that nothing waits: what is measured is planning,
decoding and bookkeeping, without HTTP and without a journal.  The exponent is that of CPU time by
contacts from 10,000 on, fitted to all sizes; 1 is linear.
"""

from __future__ import annotations

import sys
import time

import numpy as np
from ratios import print_ratio
from rounds import virtual, world

SIZES = (1_000, 10_000, 100_000, 300_000, 1_000_000)
SKIPPED = 0.01
FROM = 10_000
"""Smaller runs have another share of what is done once."""

MOST_MS, MOST_EXPONENT = 1.0, 1.05
"""What the project promises: CPU time of a probe, and of growth."""

PACE = (60, 0.05)
"""Limit and latency with which no more searches go side by side than the size asks for."""


def main(sizes: list[int]) -> int:
    """Print a line a size; the exit status is 1 if a promise is broken."""
    virtual(world(1, SKIPPED), *PACE, alone=False)  # tables that are filled once
    print(f"{'contacts':>10} {'searches':>8} {'probes':>8} {'CPU s':>8} {'ms a probe':>10}")
    seconds, most = [], 0.0
    for size in sizes:
        truth = world(size // 1000, SKIPPED)
        start = time.process_time()
        told = virtual(truth, *PACE, alone=False)
        seconds.append(time.process_time() - start)
        ms = 1000 * seconds[-1] / told.probes
        most = max(most, ms)
        print(
            f"{size:>10,} {told.width:>8} {told.probes:>8,} {seconds[-1]:>8.2f} {ms:>10.2f}",
            flush=True,
        )
    kept = print_ratio("most_cpu_ms_a_probe", most, at_most=MOST_MS)
    large = [(size, spent) for size, spent in zip(sizes, seconds, strict=True) if size >= FROM]
    if len(large) > 1:
        exponent = float(np.polyfit(*np.log(np.array(large).T), 1)[0])
        kept &= print_ratio("exponent_of_cpu_by_contacts", exponent, at_most=MOST_EXPONENT)
    return int(not kept)


if __name__ == "__main__":
    sys.exit(main([int(size) for size in sys.argv[1:]] or list(SIZES)))
