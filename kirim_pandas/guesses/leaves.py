"""What counts have told so far, as a guess uses it: disjoint leaves with known counts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from kirim_pandas.grouptesting.outcomes import Leaf

Floats = NDArray[np.float64]


class Leaves:
    """All open leaves as arrays.

    Attributes
    ----------
    positions : int64 array, shape (m,)
        The contacts of all leaves, one leaf after the other.
    leaf : int64 array, shape (m,)
        The leaf of each.
    sizes : int64 array, shape (l,)
        Contacts of each leaf.
    counts : int64 array, shape (l, kinds)
        Skips of each leaf by kind.
    batches : int64 array, shape (l,)
        The batch of each leaf.
    """

    def __init__(self, leaves: Sequence[Leaf]) -> None:
        self.sizes = np.array([len(leaf.positions) for leaf in leaves], dtype=np.int64)
        self.positions = np.concatenate([leaf.positions for leaf in leaves])
        self.leaf = np.repeat(np.arange(len(leaves), dtype=np.int64), self.sizes)
        self.counts = np.array([leaf.counts for leaf in leaves], dtype=np.int64)
        self.batches = np.array([leaf.batch for leaf in leaves], dtype=np.int64)

    def __len__(self) -> int:
        return len(self.sizes)

    def table(self, codes: NDArray[np.int32], values: int) -> NDArray[np.int64]:
        """Return how many contacts of each leaf have each value, shape (l, values)."""
        cells = self.leaf * values + codes
        return np.bincount(cells, minlength=len(self) * values).reshape(len(self), values)


def information_bits(leaves: Leaves, marked: NDArray[np.int64]) -> float:
    """Return about how many bits the counts of `marked` contacts in the leaves are worth.

    A count that spreads like a normal variable with standard deviation s holds log2(4.13 s)
    bits. A batch's own count says nothing where it is the only one, for the rate is not known
    before; a part of a batch adds what a halving adds.

    Parameters
    ----------
    leaves
        The leaves.
    marked
        How many contacts of each leaf have the outcome in question, shape (l,).
    """
    total = leaves.sizes.sum()
    rate = marked.sum() / total
    spread = rate * (1.0 - rate)
    order = np.lexsort((-leaves.sizes, leaves.batches))
    batches = leaves.batches[order]
    first = np.ones(len(order), dtype=np.bool_)
    first[1:] = batches[1:] != batches[:-1]
    whole = np.bincount(leaves.batches, leaves.sizes)[batches[first]]
    deviations = np.concatenate(
        [
            np.sqrt(spread * whole) if first.sum() > 1 else np.zeros(1),
            0.5 * np.sqrt(spread * 2.0 * leaves.sizes[order][~first]),
        ]
    )
    return float(np.log2(np.maximum(4.13 * deviations, 1.0)).sum())
