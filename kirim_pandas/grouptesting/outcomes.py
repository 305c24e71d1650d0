"""The nouns of a run: contacts by position, calls, counts, outcomes.

A *contact* is an integer position in the run's list of distinct ids, in sending order.
Everything here speaks of positions; ids appear only where a call is sent.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

MAX_CONTACTS_PER_CALL = 1000
"""The service's limit for one ``bulk_label`` call (one transaction)."""

Positions: TypeAlias = NDArray[np.int64]
"""Positions of contacts, each at most once."""


class Outcome(IntEnum):
    """What is known of one contact."""

    UNDETERMINED = 0
    APPLIED = 1
    CROSS_ORG = 2
    TEAM_MISMATCH = 3
    NOT_COUNTED = 4


SKIPS = (Outcome.CROSS_ORG, Outcome.TEAM_MISMATCH, Outcome.NOT_COUNTED)
"""The kinds of skip, in the order in which counts are kept."""


@dataclass(frozen=True, slots=True)
class Counts:
    """The service's answer to one call: counts, never names."""

    applied: int
    cross_org: int
    team_mismatch: int


@dataclass(frozen=True, slots=True, eq=False)
class Outcomes:
    """What a run knows of its contacts, one entry per contact, in sending order.

    Attributes
    ----------
    outcome : int8 array
        Values of :class:`Outcome`.
    batch : int32 array
        The batch the contact was sent in; -1 where it never was.
    probed : bool array
        True where probes were needed to know the outcome.
    answered : bool array
        True where the service answered a batch call that held the contact.
    refusal : int32 array
        Index into `refusal_codes` where the service refused this very contact, else -1.
    refusal_codes : tuple of str
        The service's error codes.
    """

    outcome: NDArray[np.int8]
    batch: NDArray[np.int32]
    probed: NDArray[np.bool_]
    answered: NDArray[np.bool_]
    refusal: NDArray[np.int32]
    refusal_codes: tuple[str, ...]

    @property
    def no_reply(self) -> NDArray[np.bool_]:
        """True where the contact was sent and neither counted nor refused."""
        return (self.batch >= 0) & ~self.answered & (self.refusal < 0)


@dataclass(frozen=True, slots=True, eq=False)
class Leaf:
    """Contacts of one batch whose counts are known; the leaves of a batch are disjoint.

    Attributes
    ----------
    positions : int64 array, shape (k,)
        The contacts.
    counts : tuple of int
        How many of them are skipped, for each of `SKIPS`.
    batch : int
        Their batch.
    """

    positions: Positions
    counts: tuple[int, ...]
    batch: int


def cut(positions: Positions, size: int = MAX_CONTACTS_PER_CALL) -> list[Positions]:
    """Cut positions into parts of `size`, in order; the last may be shorter."""
    return [positions[start : start + size] for start in range(0, len(positions), size)]


def cut_to_size(positions: Positions, size: int) -> list[Positions]:
    """Cut contacts into as few parts of at most `size` as it takes, of about the same length."""
    return np.array_split(positions, -(-len(positions) // size))


def cut_batches(contact_count: int, size: int = MAX_CONTACTS_PER_CALL) -> list[Positions]:
    """Cut positions ``0 … contact_count - 1`` into runs of at most `size`, in order."""
    return cut(np.arange(contact_count, dtype=np.int64), size)
