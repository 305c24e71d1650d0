"""How the rows of a frame mean the runs of a series: what the journal keeps to give them again."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kirim_pandas.frames.ids import ContactIds
from kirim_pandas.frames.packed import Words
from kirim_pandas.journal.records import Layout

_NO_CODES = np.empty(0, dtype=np.int32)


def layout_of(
    ids: ContactIds,
    unsent: NDArray[np.bool_],
    operation: str,
    label_ids: list[str] | None = None,
    codes: NDArray[np.int64] | None = None,
) -> Layout:
    """Say how the rows of a frame mean the runs of a series.

    Parameters
    ----------
    ids
        The contacts of its rows.
    unsent
        Which of them no run sends.
    operation
        That of the rows.
    label_ids, codes
        The labels, and that of each row, -1 for none; kept only where a contact has rows of
        several, for else the runs tell it.
    """
    others = checksum(ids.ids.words[unsent])
    if codes is None or not _differ(ids, codes):
        return Layout(operation, others, None, [], _NO_CODES)
    return Layout(operation, others, order_of_rows(ids), label_ids or [], codes.astype(np.int32))


def checksum(words: Words) -> str:
    """Give a text that other contacts do not have, in whatever order they stand."""
    return sha256(np.sort(words).tobytes()).hexdigest()


def order_of_rows(ids: ContactIds) -> str:
    """Give a text that rows of other contacts, or in another order, do not have."""
    nobody = np.zeros(1, dtype=ids.ids.words.dtype)
    return sha256(np.append(ids.ids.words, nobody)[ids.position].tobytes()).hexdigest()


def _differ(ids: ContactIds, codes: NDArray[Any]) -> bool:
    """Tell whether a contact has rows of several codes."""
    rows = ids.position >= 0
    contacts, given = ids.position[rows], codes[rows]
    first = np.zeros(ids.contacts, dtype=codes.dtype)
    first[contacts] = given
    return bool((first[contacts] != given).any())
