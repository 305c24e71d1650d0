"""What a run is asked to do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
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
