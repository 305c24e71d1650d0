"""Rows whose checksum an earlier version made of how a run id was written, not of its text.

It summed ``repr(run_id)``: of a NumPy text, ``np.str_('run_…')``, of a member of a ``StrEnum``,
``<Runs.MAY: 'run_…'>``, with names that stand nowhere in the journal.  What was written first
enters a CRC-32 as one number, which every such row of a run shares.  So the number that fits a row
can be worked out, and where a second row of the run gives the same one, neither is damaged.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterator
from enum import Enum
from typing import Any

from kirim_pandas.journal import records

LOOKED_AT = 50
"""Rows of a run that are compared; two suffice, but some may be damaged as well."""

_BITS = range(32)


def beginnings(db: sqlite3.Connection, run_id: str) -> set[int]:
    """Work out the sums that rows of a run may begin with.

    Parameters
    ----------
    db
        The journal.
    run_id
        Of the run.

    Returns
    -------
    set of int
        That of a NumPy text, of members of enumerations that this process knows, and what two rows
        of the run share.
    """
    written = [f"np.str_({run_id!r})", *map(repr, _members(run_id))]
    found = {records.added(text.encode()) for text in written}
    rows = [
        row
        for table in ("run", "call")
        for row in db.execute(f"SELECT * FROM {table} WHERE run_id = ?", (run_id,))  # noqa: S608
        if not records.is_whole(row)
    ]
    shared = Counter(map(_beginning, rows[:LOOKED_AT]))
    return found | {start for start, times in shared.items() if times > 1}


def mended(row: tuple[Any, ...], starts: set[int]) -> tuple[Any, ...]:
    """Give a row the checksum of its values where it is whole but for how its id was written."""
    *values, checksum = row
    if any(records.checksum_of(values[1:], start) == checksum for start in starts):
        return (*values, records.checksum_of(values))
    return row


def _beginning(row: tuple[Any, ...]) -> int:
    """Work out what the first value's sum was: a CRC-32 is linear in what it begins with."""
    _first, *values, checksum = row
    constant = records.checksum_of(values, 0)
    solved: list[tuple[int, int]] = []  # sums that are independent, each with what begins it
    for bit in _BITS:
        image, source = _reduced(records.checksum_of(values, 1 << bit) ^ constant, 1 << bit, solved)
        solved.append((image, source))
        solved.sort(reverse=True)
    return _reduced(checksum ^ constant, 0, solved)[1]


def _reduced(image: int, source: int, solved: list[tuple[int, int]]) -> tuple[int, int]:
    """Take off all that is known."""
    for known, begun in solved:
        if image ^ known < image:
            image, source = image ^ known, source ^ begun
    return image, source


def _members(text: str, kind: type = str) -> Iterator[object]:
    """List the members of enumerations of texts that are equal to a text."""
    below: Any
    for below in type.__subclasses__(kind):
        if issubclass(below, Enum):
            yield from (member for member in below if str.__eq__(member, text))
        yield from _members(text, below)
