"""Counted bisection: the plain method, kept as the oracle of the tests and as a benchmark peer.

Probe one half of a node; the other half follows by subtraction. It is easy to see that it is
right, and it needs three times the requests.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from kirim_pandas.grouptesting.outcomes import Counts, Outcome, Positions

Ask = Callable[[Positions], Counts]


def bisect(
    contact_count: int, batches: Sequence[Positions], ask: Ask, *, uncounted: bool = False
) -> tuple[NDArray[np.int8], int]:
    """Name every outcome; return the outcomes and the number of probes.

    With `uncounted`, contacts that no counter counts are an outcome of their own.
    """
    outcomes = np.zeros(contact_count, dtype=np.int8)
    probes = 0

    def triple(positions: Positions) -> NDArray[np.int64]:
        reply = ask(positions)
        skips = reply.cross_org + reply.team_mismatch
        rest = len(positions) - reply.applied - skips if uncounted else 0
        return np.array([reply.cross_org, reply.team_mismatch, rest])

    stack = [(batch, triple(batch)) for batch in batches]
    while stack:
        positions, counts = stack.pop()
        if not counts.any():
            outcomes[positions] = Outcome.APPLIED
        elif counts.max() == len(positions):
            outcomes[positions] = Outcome.CROSS_ORG + int(counts.argmax())
        else:
            half = len(positions) // 2
            left = triple(positions[:half])
            probes += 1
            stack += [(positions[:half], left), (positions[half:], counts - left)]
    return outcomes, probes
