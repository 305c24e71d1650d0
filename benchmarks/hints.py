"""What a hint costs or saves, beside contacts that are only sorted by it.

Run ``python benchmarks/hints.py [contacts]``.  In each world the contacts are sorted by a column.
Then they are searched without a word of it, and told of its values.  A column that decides nothing
must not cost more than none; one that decides with exceptions never more than sorting alone.
"""

from __future__ import annotations

import sys

import numpy as np
from ratios import print_ratio

from kirim_pandas.grouptesting.attribution import Attribution
from kirim_pandas.grouptesting.outcomes import Counts, Outcome, Positions, cut_batches

SEEDS = 3
MOST = {"useless": 1.02, "exceptions": 1.0}
"""What the project promises of probes with a hint, by those without."""

USELESS = ((12, 0.01), (12, 0.05), (40, 0.01))
"""Values, and the share of contacts that is skipped whatever the value."""

EXCEPTIONS = ((12, 0.2), (12, 0.1), (12, 0.05), (12, 0.01), (12, 0.0), (60, 0.05))
"""Values, of which each third is skipped, and the share of contacts for which that is not so."""


def probes(outcomes: np.ndarray, groups: np.ndarray | None) -> int:
    """Name all contacts; return the probes that it takes."""

    def ask(positions: Positions) -> Counts:
        return Counts(*(int(n) for n in np.bincount(outcomes[positions], minlength=4)[1:]))

    attribution, asked = Attribution(len(outcomes), groups=groups), 0
    for batch in cut_batches(len(outcomes)):
        attribution.add_batch(batch, ask(batch))
    while round_ := attribution.next_round():
        asked += len(round_)
        attribution.tell([ask(probe) for probe in round_])
    assert (attribution.confirmed() == outcomes).all(), "a wrong outcome"
    return asked


def ratio(kind: str, contacts: int, values: int, share: float) -> float:
    """Return the probes with a hint by those without, over some seeds."""
    with_hint = without = 0
    for seed in range(SEEDS):
        rng = np.random.default_rng(seed)
        hint = np.sort(rng.integers(0, values, contacts))
        skipped = rng.random(contacts) < share
        if kind == "exceptions":
            skipped ^= hint % 3 == 0
        outcomes = np.where(skipped, Outcome.TEAM_MISMATCH, Outcome.APPLIED).astype(np.int8)
        without += probes(outcomes, None)
        with_hint += probes(outcomes, hint)
    return with_hint / without


def main(contacts: int) -> int:
    """Print the ratios; the exit status is 1 if a promise is broken."""
    kept = [
        print_ratio(
            f"probes_by_sorting_alone_{values}_values_{share:.0%}_{kind}",
            ratio(kind, contacts, values, share),
            at_most=MOST[kind],
        )
        for kind, worlds in (("useless", USELESS), ("exceptions", EXCEPTIONS))
        for values, share in worlds
    ]
    return int(not all(kept))


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 4000))
