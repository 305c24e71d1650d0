"""Many counting questions in few probes: signed detecting designs.

A question asks for one unknown count ``x`` in ``0 … span - 1``: how many of a node's left
part were skipped. The node's total is known, so a probe that holds the left part reads ``x``,
one that holds the right part reads minus ``x`` (up to known numbers), and one that holds
neither reads nothing of it. A probe thus reads any sum ``Σ v_j x_j`` with signs -1, 0 and +1,
and ``R = 2^r`` probes read ``R`` such sums. Which signs let the fewest probes tell all x_j?

**Construction.** Write the probes ``a`` and the *blocks* ``b`` as subsets of ``r`` bits. A
question of block ``b`` with *weight* ``w <= 2^|b|`` gets a set ``P`` of ``w`` subsets of ``b``
and the column ``v(a) = (-1)^|a∩b|`` where ``a∩b`` lies in ``P``, else 0. In a block the first
weight is 1, and each next one exceeds the largest sum the ones before can reach: mixed-radix
digits. The last question of a block may have any span.

**Decoding.** Let ``h_b = Σ_a (-1)^|a∩b| y_a`` be the Walsh-Hadamard transform of the replies.
A column of block ``b`` contributes ``2^(r-|b|) w`` to ``h_b``, and nothing to ``h_c`` unless
``c`` is a subset of ``b``: for a bit of ``c`` outside ``b`` the terms with and without it
cancel. So go from the largest blocks down; once these are decoded and subtracted,
``h_b / 2^(r-|b|)`` is the number whose digits are the block's unknowns.

``R`` probes hold ``R`` questions of any span and ``r R / 2`` bits of spans: 20 yes-or-no
questions in 8 probes, 256 in 64. Several *kinds* of skip are read by
the same probes: a question takes part in the kinds in which its span exceeds 1, and two
questions without a common kind share a place.

**What is detected.** Every reply must be accounted for: each ``h_b`` divisible, each digit in
its span, each block's number used up, and the residue zero. A reply off by one that breaks
none of these gives other, equally possible unknowns: no decoder could tell (one probe with
one question is the plainest case). The rest is for the caller, who knows more: totals of the
parts must agree in the end.

Sources: B. Lindström, On a combinatorial problem in number theory (1965); D. G. Cantor and
W. H. Mills, Determination of a subset from certain combinatorial properties (1966);
N. H. Bshouty, Optimal algorithms for the coin weighing problem with a spring scale (2009).
Theirs have weights 1, 2, 4, …; letting ``P`` be any set makes every weight possible, so a
count of 0 to 2 takes log2(3) bits of a block instead of two.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]


class Contradiction(Exception):  # noqa: N818 - a finding, not a fault of the program
    """The replies do not fit together: no values in the stated spans explain them."""


@lru_cache(maxsize=16)
def _hadamard(bits: int) -> Ints:
    matrix = np.ones((1, 1), dtype=np.int64)
    for _ in range(bits):
        matrix = np.block([[matrix, matrix], [matrix, -matrix]])
    return matrix


@lru_cache(maxsize=1024)
def _block(bits: int, block: int) -> tuple[Ints, Ints]:
    """Return for each probe the index of ``probe & block`` among the block's subsets; signs."""
    subsets = [subset for subset in range(1 << bits) if subset & block == subset]
    index = {subset: place for place, subset in enumerate(subsets)}
    places = np.array([index[probe & block] for probe in range(1 << bits)], dtype=np.int64)
    signs = np.array([1 - 2 * (subset.bit_count() & 1) for subset in subsets], dtype=np.int64)
    return places, signs


class Design:
    """A set of questions for ``2^bits`` probes, filled one question at a time.

    Parameters
    ----------
    bits
        Binary logarithm of the number of probes.
    kind_count
        How many counts each reply holds.
    probe_size
        The most contacts a probe may hold.

    Attributes
    ----------
    columns
        For each question the signs of its left part in the probes, shape ``(2^bits,)``: +1
        the probe holds the left part, -1 the right part, 0 neither.
    loads
        Contacts in each probe, shape ``(2^bits,)``.
    """

    def __init__(self, bits: int, kind_count: int, *, probe_size: int) -> None:
        self.probe_count = 1 << bits
        self.columns: list[Ints] = []
        self.loads: Ints = np.zeros(self.probe_count, dtype=np.int64)
        self.bits = bits
        self._probe_size = probe_size
        self._sizes = np.array([block.bit_count() for block in range(self.probe_count)])
        self._capacity = 1 << self._sizes
        self._reach = np.zeros((self.probe_count, kind_count), dtype=np.int64)
        self._members: list[list[int]] = [[] for _ in range(self.probe_count)]
        self._spans: list[tuple[int, ...]] = []
        self._weights: list[int] = []
        self._blocks_by_size = [
            [int(block) for block in np.flatnonzero(self._sizes == size)]
            for size in range(bits, -1, -1)
        ]

    def add_digit(self, spans: tuple[int, ...], left: int, right: int) -> bool:
        """Add a question below the last place of a block, where it wastes least.

        Parameters
        ----------
        spans
            Number of possible values in each kind, at least 1; 1 means known.
        left, right
            Contacts in the two parts.

        Returns
        -------
        bool
            Whether there was room.
        """
        span = max(spans)
        room = self._capacity // self._next_weights(spans)
        fits = room >= span
        if not fits.any():
            return False
        # Best fit: no room for a further digit beats a little of it; then the least waste.
        share = room / span
        waste = np.where(fits, 10.0 * (share >= 2) + share % 1 + 1e-4 * room, np.inf)
        return self._place(int(waste.argmin()), spans, left, right)

    def add_last(self, spans: tuple[int, ...], left: int, right: int) -> bool:
        """Add a question of any span in the last place of a block; see `add_digit`."""
        shares = self._next_weights(spans) / self._capacity
        # A small weight loads few probes, but a question that fills its block closes it best.
        for block in np.argsort(shares, kind="stable"):
            if shares[block] > 1:
                return False
            if self._place(int(block), spans, left, right):
                return True
        return False

    def _next_weights(self, spans: tuple[int, ...]) -> Ints:
        """Return the least weight a question could have in each block."""
        kinds = [kind for kind, span in enumerate(spans) if span > 1]
        if len(kinds) == 1:
            return self._reach[:, kinds[0]] + 1
        return np.asarray(self._reach[:, kinds].max(axis=1) + 1)

    def _place(self, block: int, spans: tuple[int, ...], left: int, right: int) -> bool:
        kinds = [kind for kind, span in enumerate(spans) if span > 1]
        weight = 1 + int(self._reach[block, kinds].max())
        if self.loads.min() + min(left, right) > self._probe_size:
            return False
        places, signs = _block(self.bits, block)
        values = signs
        if weight < len(signs):
            # Any points will do: take those whose probes hold the fewest contacts.
            loads = np.zeros(len(signs), dtype=np.int64)
            np.maximum.at(loads, places, self.loads)
            loads += np.where(signs > 0, left, right)
            chosen = np.argsort(loads, kind="stable")[:weight]
            values = np.zeros_like(signs)
            values[chosen] = signs[chosen]
        column = values[places]
        loads = self.loads + np.where(column > 0, left, np.where(column < 0, right, 0))
        if loads.max() > self._probe_size:
            return False
        self.loads = loads
        for kind in kinds:
            self._reach[block, kind] += (spans[kind] - 1) * weight
        self._members[block].append(len(self.columns))
        self.columns.append(column)
        self._spans.append(spans)
        self._weights.append(weight)
        return True

    def decode(self, sums: Ints) -> Ints:
        """Return the unknowns behind the sums.

        Parameters
        ----------
        sums
            The signed sums ``Σ v_j x_j`` that the probes read, shape ``(2^bits, kinds)``.

        Returns
        -------
        ndarray
            The value of each question in each kind, shape ``(questions, kinds)``.

        Raises
        ------
        Contradiction
            If no values in the spans give these sums.
        """
        values = np.zeros((len(self.columns), sums.shape[1]), dtype=np.int64)
        matrix = np.array(self.columns, dtype=np.int64).reshape(-1, self.probe_count).T
        for kind in range(sums.shape[1]):
            values[:, kind] = self._decode_kind(sums[:, kind], kind, matrix)
        return values

    def _decode_kind(self, sums: Ints, kind: int, matrix: Ints) -> Ints:
        values = np.zeros(len(self.columns), dtype=np.int64)
        residue = sums.astype(np.int64)
        for blocks in self._blocks_by_size:
            transform = _hadamard(self.bits) @ residue
            decoded: list[int] = []
            for block in blocks:
                number, odd = divmod(
                    int(transform[block]), self.probe_count >> int(self._sizes[block])
                )
                for question in reversed(self._members[block]):
                    span = self._spans[question][kind]
                    if span > 1:
                        value, number = divmod(number, self._weights[question])
                        odd |= not 0 <= value < span
                        values[question] = value
                        decoded.append(question)
                if odd or number:
                    raise Contradiction
            residue = residue - matrix[:, decoded] @ values[decoded]
        if residue.any():
            raise Contradiction
        return values
