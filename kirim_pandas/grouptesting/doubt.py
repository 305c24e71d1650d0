"""Count contacts afresh, and find out whose counts are out of date.

When a contact changes its team in the middle of a run, the counts known of the node or cluster
that holds it are wrong from then on. A doubt counts all suspects again in pools of as many
contacts as a probe holds: a pool whose fresh counts are the sum of the known ones fits, any
other is halved, and the second half's counts follow from the first's. One mover among a hundred
nodes is found in some ten probes.

A reply that never comes (the service refuses a contact that was deleted) is searched for in the
same way, down to the one contact that no call can hold any more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kirim_pandas.grouptesting.clusters import Cluster, Node
from kirim_pandas.grouptesting.outcomes import Positions, cut_to_size

__all__ = ["Claim", "Doubt"]

_Counts = tuple[int, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Claim:
    """Contacts, and the counts that are believed of them; None where nothing is any more.

    Attributes
    ----------
    holder
        The node or cluster whose counts they are.
    """

    positions: Positions
    counts: _Counts | None = None
    holder: Node | Cluster | None = None

    @classmethod
    def of(cls, holder: Node | Cluster) -> Claim:
        """Return what is believed of a node or cluster."""
        if isinstance(holder, Node):
            return cls(holder.positions, holder.counts, holder)
        return cls(np.concatenate(holder.cells), holder.totals(), holder)


@dataclass(slots=True, eq=False)
class _Pool:
    """Claims that are counted together, in one probe unless a single one is larger."""

    claims: list[Claim]
    probes: list[Positions]
    sibling: _Pool | None = None
    """The other half of a pool whose counts are known: it follows by subtraction."""
    both: _Counts | None = None
    """The counts of this pool and its sibling together."""


class Doubt:
    """A search for out-of-date counts.

    Parameters
    ----------
    claims
        Whose counts are in doubt; those without counts are only counted. Which of them share a
        pool follows from their order.
    probe_size
        The most contacts a probe may hold.
    least_pools
        Pools to begin with, if there are as many claims: the more of them, the less likely
        that two wrong counts of a pool cancel out.

    Attributes
    ----------
    right
        Holders whose counts have proved right.
    counted
        Nodes with fresh counts, where there were none or others.
    lost
        Single contacts with which no probe is answered.
    misfits
        Pools of the first round whose counts are not those known.
    """

    def __init__(self, claims: Sequence[Claim], probe_size: int, *, least_pools: int = 1) -> None:
        self.right: list[Node | Cluster] = []
        self.counted: list[Node] = []
        self.lost: list[Positions] = []
        self.misfits = 0
        self._probe_size = probe_size
        self._pools: list[_Pool] = []
        contacts = sum(len(claim.positions) for claim in claims)
        most = min(probe_size, -(-contacts // least_pools))
        group: list[Claim] = []
        room = 0
        for claim in claims:
            size = len(claim.positions) if claim.counts is not None else probe_size
            if group and size > room:
                self._pools.append(self._pool(group))
                group = []
            room = (room if group else most) - size
            group.append(claim)
        if group:
            self._pools.append(self._pool(group))
        self._first_round = list(self._pools)

    def probes(self) -> list[Positions]:
        """Return what to ask next; empty when the search is over."""
        return [probe for pool in self._pools for probe in pool.probes]

    def tell(self, counts: Sequence[_Counts | None]) -> None:
        """Take the counts of `probes`, or of the first of them; None for no usable reply."""
        pools, self._pools = self._pools, []
        for pool in pools:
            told, counts = counts[: len(pool.probes)], counts[len(pool.probes) :]
            if len(told) < len(pool.probes):
                self._pools.append(pool)
                continue
            parts = [part for part in told if part is not None]
            if len(parts) < len(told):
                self._search_the_lost(pool, told)
            else:
                self._take(pool, parts)
            if pool.sibling and pool.both:
                rest = _minus(pool.both, _sum(parts)) if len(parts) == len(told) else (-1,)
                if min(rest) >= 0 and len(pool.sibling.probes) == 1:
                    self._take(pool.sibling, [rest])
                else:
                    self._pools.append(pool.sibling)

    def _pool(self, claims: list[Claim]) -> _Pool:
        positions = np.concatenate([claim.positions for claim in claims])
        parts = cut_to_size(positions, self._probe_size)
        return _Pool(claims, [np.sort(part) for part in parts])

    def _take(self, pool: _Pool, parts: list[_Counts]) -> None:
        """Accept the pool or narrow it down."""
        known = [claim.counts for claim in pool.claims if claim.counts is not None]
        fits = len(known) == len(pool.claims) and _sum(parts) == _sum(known)
        self.misfits += not fits and pool in self._first_round
        if fits:
            self.right += [claim.holder for claim in pool.claims if claim.holder is not None]
        elif len(pool.claims) == 1:
            self.counted += map(Node, pool.probes, parts)
        else:
            first, second = self._halves(pool)
            first.sibling, first.both = second, _sum(parts)
            self._pools.append(first)

    def _search_the_lost(self, pool: _Pool, told: Sequence[_Counts | None]) -> None:
        """Some probe of the pool is not answered: narrow that down instead."""
        if len(pool.claims) > 1:
            self._pools += self._halves(pool)
            return
        for positions, counts in zip(pool.probes, told, strict=True):
            if counts is not None:
                self.counted.append(Node(positions, counts))
            elif len(positions) == 1:
                self.lost.append(positions)
            else:
                halves = np.array_split(positions, 2)
                self._pools += [self._pool([Claim(half)]) for half in halves]

    def _halves(self, pool: _Pool) -> tuple[_Pool, _Pool]:
        middle = len(pool.claims) // 2
        return self._pool(pool.claims[:middle]), self._pool(pool.claims[middle:])


def _sum(counts: Sequence[_Counts]) -> _Counts:
    return tuple(map(sum, zip(*counts, strict=True)))


def _minus(counts: _Counts, part: _Counts) -> _Counts:
    return tuple(a - b for a, b in zip(counts, part, strict=True))
