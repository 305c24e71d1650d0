"""What a run is given: the job, and what is left of earlier sessions of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from kirim_pandas.run.events import Call, Reply

__all__ = ["CallState", "Job", "PastCall", "Resolve"]

Resolve: TypeAlias = Literal["rows", "batches", "certified"]
CallState: TypeAlias = Literal["sent", "stale", "answered", "refused", "unsent"]
"""``sent``: it may have been carried out, and its key brings the first reply.  ``stale``: so it
may, but the service has forgotten the key by now."""


@dataclass(frozen=True, slots=True, eq=False)
class Job:
    """What a run is asked to do.

    Attributes
    ----------
    contact_count : int
        How many distinct contacts there are.
    groups : int64 array or None
        One code per contact: the hint's value.
    resolve : {"rows", "batches", "certified"}
        How far to find out who was skipped.
    max_requests : int or None
        Cap on the calls of the run.
    counts_changes : bool or None
        Whether the service's ``applied`` counts changes, not contacts, where that is known
        from an earlier run; a repeated run could not find it out by itself.
    """

    contact_count: int
    groups: NDArray[np.int64] | None = None
    resolve: Resolve = "rows"
    max_requests: int | None = None
    counts_changes: bool | None = None


@dataclass(frozen=True, slots=True, eq=False)
class PastCall:
    """A call of an earlier session of this run, as the journal remembers it."""

    call: Call
    state: CallState
    reply: Reply | None = None
    code: str | None = None
    request_id: str | None = None
