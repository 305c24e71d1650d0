"""How many searches go side by side, so that neither limit nor latency is left unused."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

__all__ = ["ChooseWidth", "least_width"]

MOST_BATCHES = 100
"""Of one search: planning takes longer than in proportion to what is open."""

ChooseWidth: TypeAlias = Callable[[int, float], int]
"""``choose(batches, probes)``: batches to be searched, probes that one search expects to take."""


def least_width(batches: int, _probes: float = 0.0) -> int:
    """Return the fewest searches that none has too many batches of."""
    return -(-batches // MOST_BATCHES)
