"""Two frames side by side: which row of the one means which row of the other.

Contact ids decide wherever both frames have them.  An index is renumbered, sorted or lost on the
way through a file, so it counts only if one side has no ids at all, or if the ids bear it out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kirim_pandas.errors import InvalidInputError
from kirim_pandas.frames.columns import listed
from kirim_pandas.frames.ids import ContactIds, id_places
from kirim_pandas.frames.shapes import described
from kirim_pandas.frames.values import codes_of, read_ids, readable


@dataclass(frozen=True, eq=False)
class Kept:
    """The frame of a run as it was when the run started.

    Attributes
    ----------
    frame : DataFrame
        Nothing that is done to the caller's frame later reaches it.
    contact_id : string array, shape (rows,)
        The contact of each row; NA for a row without a usable id.
    """

    frame: pd.DataFrame
    contact_id: Any


Source = pd.DataFrame | Kept


def keep(obj: object, ids: ContactIds) -> Kept | None:
    """Keep a frame as it is now, for the reports of a run.

    Parameters
    ----------
    obj
        What the ids were taken from.
    ids
        The contacts of its rows.

    Returns
    -------
    Kept or None
        None for a Series or an Index, which have no columns to report by.  Under copy-on-write
        (always since pandas 3) the copy costs nothing until one of the two is changed; before, it
        is a whole one: a sort in place moves the values under a shallow copy.
    """
    if not isinstance(obj, pd.DataFrame):
        return None
    return Kept(obj.copy(deep=not _copies_on_write()), ids.text)


def _copies_on_write() -> bool:
    if int(pd.__version__.split(".")[0]) >= 3:
        return True
    return pd.get_option("mode.copy_on_write") is True


def result_column(result: pd.DataFrame, name: str) -> pd.Series[Any]:
    """Take a column of the contract out of a result, or out of input and result side by side.

    Parameters
    ----------
    result
        A result frame, or ``pd.concat([df, result], axis=1)``.
    name
        The column; of two columns of this name the last, as the result stands on the right.

    Raises
    ------
    InvalidInputError
        It is no result frame; or two columns ``contact_id`` name other contacts in one row.
    """
    if not isinstance(result, pd.DataFrame):
        raise InvalidInputError(
            f"found {described(result)}, expected a result of bulk_label: a DataFrame with the "
            "columns contact_id, status, reason …"
        )
    found = np.flatnonzero(result.columns == name)
    if not len(found):
        raise InvalidInputError(
            f"found no column {name!r}, expected a result of bulk_label (columns contact_id, "
            "status, reason …). Call this on what bulk_label returned."
        )
    if name == "contact_id" and len(found) > 1:
        _check_concatenated([result.iloc[:, int(number)].array for number in found])
    return result.iloc[:, int(found[-1])]


def _check_concatenated(columns: list[Any]) -> None:
    """Refuse a frame and a result side by side whose rows are those of other contacts."""
    *others, last = [read_ids(column).text for column in columns]
    for other in others:
        differ = int((other != last).fillna(False).sum())
        if differ:
            raise InvalidInputError(
                f"two columns are called contact_id, and in {differ:,} rows they name different "
                "contacts: the frame and the result beside it are not in the same order. Put them "
                "together by contact: frame.merge(result.drop_duplicates('contact_id'), "
                "on='contact_id')."
            )


@dataclass(frozen=True, eq=False)
class Pairing:
    """Which row of another frame each row of a result means.

    Attributes
    ----------
    rows : ndarray of int64, shape (rows of the result,)
        Positions in the other frame.
    first : ndarray of int64, shape (rows of the other frame,), or None
        Where rows were found by their contact alone: the first row of each row's contact.
    what : str
        The other frame, for messages.
    """

    rows: NDArray[np.int64]
    first: NDArray[np.int64] | None
    what: str

    def take(self, values: Any) -> Any:
        """Bring a column of the other frame into the rows of the result.

        Raises
        ------
        InvalidInputError
            One contact has several values there, so nobody can tell which row is meant.
        """
        values = readable(values)
        if self.first is not None:
            codes = codes_of(values)[0]
            several = np.unique(self.first[codes != codes[self.first]])
            concerned = int(np.isin(several, self.rows).sum())
            if concerned:
                raise InvalidInputError(
                    f"{self.what} stands in another order than the result, and {concerned:,} "
                    "contacts have several rows with different values there, so which row is which "
                    "cannot be told. Give both in the same order, or one row for each contact."
                )
        return values.take(self.rows)


def checked_source(data: object) -> Source | None:
    """Return `data` if it is a frame, and refuse anything else.

    Raises
    ------
    InvalidInputError
        It is a list, a Series, a frame of another library …
    """
    if data is None or isinstance(data, (pd.DataFrame, Kept)):
        return data
    raise InvalidInputError(
        f"data= is {described(data)}, expected the DataFrame that bulk_label was called on (of "
        "Dask: data=ddf.compute(), of another library: data=frame.to_pandas())."
    )


def pair(result: pd.DataFrame, source: Source, *, what: str = "data") -> Pairing:
    """Find the row of another frame that each row of a result means.

    Parameters
    ----------
    result
        A result frame, whole or filtered, sorted, renumbered, or read from a file.
    source
        The frame the run was made from, or one with the same contacts.
    what
        How messages call it.

    Returns
    -------
    Pairing
        Row by row where the contacts are the same in the same order; else by index labels if the
        contacts of all rows bear them out; else by contact.  Where one side has no contact ids,
        row by row if the indexes are equal.

    Raises
    ------
    InvalidInputError
        The rows cannot be paired for certain.
    """
    contact = result_column(result, "contact_id").astype("string")
    frame = source.frame if isinstance(source, Kept) else source
    columns = list(_id_columns(source, contact))
    for find in (_in_order, _by_labels, _by_contact):
        found = [find(one, result.index, frame.index, what) for one in columns]
        pairings = [pairing for pairing in found if pairing is not None]
        if pairings:
            _check_equal(pairings, columns, what)
            return pairings[0]
    if len(result) == 0 or (not columns and frame.index.equals(result.index)):
        return Pairing(np.arange(len(result)), None, what)
    raise InvalidInputError(_refusal(result, frame, columns, what))


def _check_equal(pairings: list[Pairing], columns: list[_Ids], what: str) -> None:
    if any(not np.array_equal(one.rows, pairings[0].rows) for one in pairings):
        raise InvalidInputError(
            f"{what} has contact ids in several columns, which pair its rows with the result's "
            f"in different ways: {listed([one.name for one in columns])}. Drop those that are "
            "not the ids of the rows."
        )


@dataclass(frozen=True, eq=False)
class _Ids:
    """A column of ids: its rows' contacts and the result's, as common numbers; -1 for none."""

    name: str
    own: NDArray[np.int64]
    other: NDArray[np.int64]


def _id_columns(source: Source, contact: pd.Series[str]) -> Iterator[_Ids]:
    if contact.isna().all():
        return
    if isinstance(source, Kept):
        columns = [("contact ids", source.contact_id, True)]
    else:
        columns = [
            (str(place), reading.text, reading.is_mostly_ids)
            for place, reading in id_places(source)
        ]
    for name, ids, likely in columns:
        every = pd.concat([contact, pd.Series(ids)], ignore_index=True)
        codes = every.factorize()[0].astype(np.int64)
        own, other = codes[: len(contact)], codes[len(contact) :]
        # A few ids of others in a column of remarks are no reason to distrust an index.
        if likely or np.isin(own[own >= 0], other).any():
            yield _Ids(name, own, other)


def _in_order(ids: _Ids, own: pd.Index[Any], other: pd.Index[Any], what: str) -> Pairing | None:  # noqa: ARG001 - one of three ways
    """Pair row by row, if the contacts are the same in the same order."""
    if not np.array_equal(ids.own, ids.other):
        return None
    return Pairing(np.arange(len(ids.own)), None, what)


def _by_labels(ids: _Ids, own: pd.Index[Any], other: pd.Index[Any], what: str) -> Pairing | None:
    """Pair by index labels, if each stands for one row and the contacts of all rows agree."""
    if not (own.is_unique and other.is_unique):
        return None
    try:
        rows = other.get_indexer(own)
    except (TypeError, ValueError):  # labels of other types, or of other levels
        return None
    if (rows < 0).any() or not np.array_equal(ids.own, ids.other[rows]):
        return None
    return Pairing(rows.astype(np.int64), None, what)


def _by_contact(ids: _Ids, own: pd.Index[Any], other: pd.Index[Any], what: str) -> Pairing | None:  # noqa: ARG001 - one of three ways
    """Pair each row with the first one of its contact, if every row has its contact there."""
    if (ids.own < 0).any() or not np.isin(ids.own, ids.other).all():
        return None
    contacts, first, number = np.unique(ids.other, return_index=True, return_inverse=True)
    first_of_row = first[number]
    nobody = np.flatnonzero(ids.other < 0)
    first_of_row[nobody] = nobody  # a row without a contact is nobody's twin
    return Pairing(first[np.searchsorted(contacts, ids.own)], first_of_row, what)


def _refusal(result: pd.DataFrame, frame: pd.DataFrame, columns: list[_Ids], what: str) -> str:
    if not columns:
        return (
            f"{what} has {len(frame):,} rows and another index than the result's {len(result):,} "
            "rows, and there are no contact ids on both sides to compare, so which row is which "
            "cannot be told. Give the frame (or the Series) that bulk_label was called on, or one "
            "with the contact ids."
        )
    ids = columns[0]
    absent = int((~np.isin(ids.own[ids.own >= 0], ids.other)).sum())
    if absent:
        return (
            f"{what}: {absent:,} of the result's {len(result):,} rows are of contacts that are not "
            f"in its {ids.name}. Give the frame that bulk_label was called on."
        )
    nobody = int((ids.own < 0).sum())
    return (
        f"{what} stands in another order than the result, and {nobody:,} rows of the result have "
        "no contact id to find them by. Give both in the same order, or leave those rows out with "
        "result.dropna(subset='contact_id')."
    )
