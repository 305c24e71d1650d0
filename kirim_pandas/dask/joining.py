"""What the workers join: the outcome of each row's contact, found by the contact's id.

Outcomes travel in the graph of the result, so that a worker that dies takes none with it.  They
travel without ids: a contact is told by 64 bits of a hash, which the client has found to differ
for all of its contacts.  Nothing here knows Dask.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kirim_pandas.dask.reading import Sought, text_of
from kirim_pandas.errors import InvalidInputError
from kirim_pandas.frames.columns import find_place
from kirim_pandas.frames.ids import USABLE

_SALTS = ("kirim-pandas/000", "kirim-pandas/001", "kirim-pandas/002", "kirim-pandas/003")
"""Keys of the hash: the first under which all contacts differ is taken."""


@dataclass(frozen=True, eq=False)
class Answers:
    """What is known of each contact, to be found by its id.

    Attributes
    ----------
    hashes : ndarray of uint64, shape (contacts,)
        Ascending.
    salt : str
        The key of the hash.
    known : DataFrame
        A row for each of `hashes`; then one for each kind of row without a contact, by its number
        less one; then one for a contact that was not there when the frame was read.  Columns take
        little space: texts are categories, whole numbers as small as they can be.
    dtypes : dict
        Of the result's columns.
    attrs : dict
        Of the result: its run.
    """

    hashes: NDArray[np.uint64]
    salt: str
    known: pd.DataFrame
    dtypes: dict[Hashable, Any]
    attrs: dict[Hashable, Any]

    @classmethod
    def of(
        cls,
        frame: pd.DataFrame,
        known: pd.DataFrame,
        nobody: pd.DataFrame,
        *,
        sought: Sought,
        own: str | None,
    ) -> Answers:
        """Make what is sent to the workers.

        Parameters
        ----------
        frame
            The contacts in the first column, and their segment.
        known
            What is known of each, row by row.
        nobody
            The rows for rows without a contact, and the row for a contact that is not there;
            columns that `known` has not are left out.
        sought
            What the contacts are told by.
        own
            The column of `known` that each row has in itself, and that is not sent.

        Raises
        ------
        InvalidInputError
            Two values of a segment are written alike.
        """
        text = frame.iloc[:, 0].array
        for salt in _SALTS:
            hashes = _hashes(text, _segment(frame, sought), salt)
            order = np.argsort(hashes, kind="stable")
            if (np.diff(hashes[order]) > 0).all():
                break
        else:
            raise InvalidInputError(
                "by: different values are written alike, such as 1 and '1', and cannot be told "
                "apart. Give them one dtype first, such as ddf[column].astype(str)."
            )
        every = pd.concat([known.iloc[order], nobody[list(known)]], ignore_index=True)
        small = pd.DataFrame({name: _small(every[name]) for name in known if name != own})
        return cls(hashes[order], salt, small, dict(known.dtypes), known.attrs)

    def rows(self, part: pd.DataFrame, sought: Sought) -> tuple[Any, NDArray[np.int64]]:
        """Tell the text that each row of a partition is found by, and its row in `known`."""
        text, kinds = text_of(part, sought)
        hashes = _hashes(text, _segment(part, sought), self.salt)
        place = np.searchsorted(self.hashes, hashes)
        last = len(self.hashes)
        is_there = np.append(self.hashes, np.uint64(0))[place] == hashes
        place = np.where(is_there & (place < last), place, len(self.known) - 1)
        return text, np.where(kinds == USABLE, place, last + kinds.astype(np.int64) - 1)


def answered(
    part: pd.DataFrame, answers: Answers, *, sought: Sought, own: str | None
) -> pd.DataFrame:
    """Give each row of a partition what is known of its contact.

    Parameters
    ----------
    part
        The partition.
    answers
        From the client.
    sought
        What says which contact a row means.
    own
        The column of the result that holds what the row is found by; None where none does.

    Returns
    -------
    DataFrame
        One row for each of `part`, with its index.
    """
    text, rows = answers.rows(part, sought)
    frame = answers.known.take(rows)
    frame.index = part.index.copy(deep=False)
    if own is not None:
        frame[own] = text
    frame = frame[list(answers.dtypes)].astype(answers.dtypes)
    frame.attrs = answers.attrs
    return frame


def _segment(frame: pd.DataFrame, sought: Sought) -> Any:
    if sought.segment is None:
        return None
    return find_place(frame, sought.segment, argument="by").array


def _hashes(text: Any, segment: Any, salt: str) -> NDArray[np.uint64]:
    hashes = _hashed(text, salt)
    if segment is not None:
        hashes = hashes * np.uint64(0x9E3779B97F4A7C15) + _hashed(segment, salt)
    return hashes


def _hashed(values: Any, salt: str) -> NDArray[np.uint64]:
    """Hash each different value once, as it is written; missing values are one value."""
    codes, different = pd.factorize(values)
    texts = np.array([str(value) for value in different] + ["\0missing"], dtype=object)
    return pd.util.hash_array(texts, hash_key=salt, categorize=False)[codes]


def _small(column: pd.Series[Any]) -> pd.Series[Any]:
    if isinstance(column.dtype, pd.StringDtype):
        return column.astype("category")
    if column.dtype == "Int64":
        return pd.to_numeric(column, downcast="integer")
    return column
