"""What a run is asked to do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from kirim_pandas.guesses.columns import Column

__all__ = ["Column", "Job", "Resolve"]

Resolve: TypeAlias = Literal["rows", "batches"]


@dataclass(frozen=True, slots=True, eq=False)
class Job:
    """What a run is asked to do.

    Attributes
    ----------
    contact_count : int
        How many distinct contacts there are.
    groups : int64 array or None
        One code per contact: the hint's value.
    columns : tuple of Column
        What the frame says of each contact; it may explain who is skipped.
    learnt : dict of int to tuple of Column
        What earlier sessions read, by the round of probes before which they did.
    resolve : {"rows", "batches"}
        How far to find out who was skipped.
    max_requests : int or None
        Cap on the calls of the run.
    """

    contact_count: int
    groups: NDArray[np.int64] | None = None
    columns: tuple[Column, ...] = ()
    learnt: Mapping[int, tuple[Column, ...]] = field(default_factory=dict)
    resolve: Resolve = "rows"
    max_requests: int | None = None

    @property
    def may_be_ordered(self) -> bool:
        """Whether columns may decide the order of sending: no hint of the caller's does."""
        return self.groups is None and bool(self.columns)

    def reordered(self, order: NDArray[np.int64], groups: NDArray[np.int64], known: Column) -> Job:
        """Return the same job for contacts in another order, of which a column more is known."""
        columns = (known, *(column.take(order) for column in self.columns))
        return replace(self, groups=groups, columns=columns)
