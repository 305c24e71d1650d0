"""What a run is asked to do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = ["Job", "Resolve"]

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
    resolve : {"rows", "batches"}
        How far to find out who was skipped.
    max_requests : int or None
        Cap on the calls of the run.
    """

    contact_count: int
    groups: NDArray[np.int64] | None = None
    resolve: Resolve = "rows"
    max_requests: int | None = None
