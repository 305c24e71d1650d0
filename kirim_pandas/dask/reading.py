"""What the workers read: which contact each row of a partition means, and each contact once.

The rules are those of pandas frames (``frames/ids.py``, ``frames/phones.py``); here they are
applied to one partition at a time, and what was found in several partitions is put together.
Nothing here knows Dask.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kirim_pandas.frames.columns import Place, find_place, places_of
from kirim_pandas.frames.features import MOST_COLUMNS, columns_of, has_order, may_explain
from kirim_pandas.frames.id_errors import Found
from kirim_pandas.frames.ids import (
    MALFORMED,
    MISSING,
    NO_CONTACT,
    UNMATCHED,
    USABLE,
    looked_at,
    told_usable,
)
from kirim_pandas.frames.phones import GIVEN, read_emails, read_phones
from kirim_pandas.frames.phones import MISSING as NOTHING_GIVEN
from kirim_pandas.frames.shapes import Kind, held_by, kinds_of, shape_of, told_shape
from kirim_pandas.frames.values import MISSING_CODE, Reading, read_ids

MOST_KEPT = 200
"""Malformed values that are kept to say what a column holds."""

Where = tuple[str, Hashable]
"""A place by kind and number or name: the same in all partitions."""


@dataclass(frozen=True)
class Sought:
    """What says which contact a row means, and what else is read of a frame.

    Attributes
    ----------
    by : str
        ``"id"``, ``"phone"`` or ``"email"``.
    column : Hashable
        The column or index level; None for the one that holds contact ids, to be found.
    beside : tuple of Hashable, or None
        Columns and levels that are read beside; None for all that may explain who is skipped.
    segment : Hashable
        One of `beside`: each contact is kept once for each of its values, and so are rows without
        a contact.  None without one.
    country : str
        Where phone numbers without a country code are from.
    """

    by: Literal["id", "phone", "email"] = "id"
    column: Hashable | None = None
    beside: tuple[Hashable, ...] | None = ()
    segment: Hashable | None = None
    country: str = "ID"


@dataclass(frozen=True, eq=False)
class Once:
    """Each contact once, by first appearance.

    Attributes
    ----------
    frame : DataFrame
        The contacts (string) in the first column, what was read beside in the others; a contact of
        several rows has the values of its first.
    rows : ndarray of int64, shape (contacts,)
        How many rows each has.
    """

    frame: pd.DataFrame
    rows: NDArray[np.int64]

    @classmethod
    def of(cls, frame: pd.DataFrame, rows: NDArray[np.int64], segment: Hashable | None) -> Once:
        """Keep the first row of each contact, and of each value of its segment."""
        keys = frame.columns[:1].tolist() + [segment] * (segment is not None)
        number = frame.groupby(keys, sort=False, dropna=False, observed=True).ngroup()
        first = ~number.duplicated().to_numpy()
        count = np.bincount(number, weights=rows).astype(np.int64)
        return cls(frame[first].reset_index(drop=True), count)


@dataclass(frozen=True, eq=False)
class Seen:
    """What a column or level holds in the partitions that were read.

    Attributes
    ----------
    place : Place
        Which, without its values.
    kinds : ndarray of int64
        Rows by what they are: ``USABLE``, or one of ``NO_CONTACT``.
    stripped : int
        Rows whose id had white space around it.
    odd : list
        Some malformed values.
    odd_kinds : tuple of Kind
        What all of them look like.
    once : Once or None
        The contacts; None where no partition was read, but a sample of each.
    unread : bool
        Whether there are partitions of which a sample was looked at, and held no contact id.
    """

    place: Place
    kinds: NDArray[np.int64]
    stripped: int
    odd: list[object]
    odd_kinds: tuple[Kind, ...]
    once: Once | None
    unread: bool = False

    @property
    def rows(self) -> int:
        """Rows."""
        return int(self.kinds.sum())

    @property
    def usable(self) -> int:
        """Rows that mean a contact."""
        return int(self.kinds[USABLE])

    @property
    def present(self) -> int:
        """Rows that are not missing."""
        return self.rows - int(self.kinds[MISSING])

    @property
    def is_mostly_ids(self) -> bool:
        """Whether at least half of the values are contact ids."""
        return self.usable > 0 and self.present <= 2 * self.usable

    @property
    def found(self) -> Found:
        """The same in the words of a message."""
        held = held_by(self.place.array.dtype)
        if held is not None:
            return Found(self.place, held, held)
        told = told_shape(self.odd)
        if self.usable:
            told = told_usable(self.usable, self.present, told)
        return Found(self.place, shape_of(self.odd), told, self.usable)


def text_of(part: pd.DataFrame, sought: Sought) -> tuple[Any, NDArray[np.int8]]:
    """Tell which contact each row of a partition means.

    Parameters
    ----------
    part
        The partition.
    sought
        With a column.

    Returns
    -------
    text : string array, shape (rows,)
        The contact id, or the phone number or address to look it up by; NA where there is none.
    kinds : ndarray of int8, shape (rows,)
        ``USABLE``, or one of ``NO_CONTACT``.
    """
    place = find_place(part, sought.column, argument=sought.by)
    if sought.by == "id":
        reading = read_ids(place.array)
        return reading.text, _kinds_of_ids(reading)
    return _looked_up(place, sought)


def _kinds_of_ids(reading: Reading) -> NDArray[np.int8]:
    kinds = np.where(reading.codes == MISSING_CODE, MISSING, MALFORMED)
    return np.where(reading.codes >= 0, USABLE, kinds).astype(np.int8)


def _looked_up(place: Place, sought: Sought) -> tuple[Any, NDArray[np.int8]]:
    values = pd.Series(place.array)
    if sought.by == "phone":
        texts, found = read_phones(values, sought.country)
    else:
        texts, found = read_emails(values)
    malformed = UNMATCHED[sought.by]["malformed"]
    kinds = np.where(found == NOTHING_GIVEN, MISSING, malformed)
    return pd.array(texts, dtype="string"), np.where(found == GIVEN, USABLE, kinds).astype(np.int8)


# -- one partition -------------------------------------------------------------------------


def look(part: pd.DataFrame, sought: Sought) -> dict[Where, Seen]:
    """Read a partition.

    Parameters
    ----------
    part
        The partition; only read.
    sought
        What is sought.

    Returns
    -------
    dict
        What the column that was named holds; where none was, what each column and level holds.
    """
    if sought.by != "id":
        text, kinds = text_of(part, sought)
        place = find_place(part, sought.column, argument=sought.by)
        odd = pd.Series(place.array)[kinds == UNMATCHED[sought.by]["malformed"]]
        seen = Seen(_bare(place), _counted(kinds), 0, odd[:MOST_KEPT].tolist(), (), None)
        return {("", 0): replace(seen, once=_once(part, place, text, kinds, sought))}
    if sought.column is not None:
        place = find_place(part, sought.column, argument="id_column")
        return {("", 0): _read(part, place, read_ids(place.array), sought)}
    return dict(_each_place(part, sought))


def _each_place(part: pd.DataFrame, sought: Sought) -> Iterator[tuple[Where, Seen]]:
    for number, place in enumerate(places_of(part)):
        where = (place.kind, number if place.kind == "column" else place.label)
        reading, _ = looked_at(place)
        if reading is not None:
            yield where, _read(part, place, reading, sought)
        else:
            missing = np.asarray(pd.isna(place.array))
            kinds = _counted(np.where(missing, MISSING, MALFORMED))
            sample = pd.Series(place.array)[~missing][:MOST_KEPT].tolist()
            unread = not missing.all()
            yield where, Seen(_bare(place), kinds, 0, sample, (), None, unread)


def _read(part: pd.DataFrame, place: Place, reading: Reading, sought: Sought) -> Seen:
    kinds = _kinds_of_ids(reading)
    return Seen(
        _bare(place),
        _counted(kinds),
        reading.stripped,
        reading.odd[:MOST_KEPT],
        kinds_of(reading.odd, reading.odd_rows),
        _once(part, place, reading.text, kinds, sought),
    )


def _bare(place: Place) -> Place:
    return replace(place, array=place.array[:0])


def _counted(kinds: NDArray[Any]) -> NDArray[np.int64]:
    return np.bincount(kinds, minlength=1 + max(NO_CONTACT)).astype(np.int64)


def _once(
    part: pd.DataFrame, place: Place, text: Any, kinds: NDArray[np.int8], sought: Sought
) -> Once:
    """Keep each contact of a partition once, with what is read beside it."""
    label = "contact_id" if place.label is None else place.label
    columns = {label: text} | _beside(part, sought, label)
    frame = pd.DataFrame(columns, index=pd.RangeIndex(len(part)))
    if sought.segment is None:
        frame = frame[kinds == USABLE]
    once = Once.of(frame, np.ones(len(frame), dtype=np.int64), sought.segment)
    return replace(once, frame=once.frame[_telling(once.frame, sought)])


def _beside(part: pd.DataFrame, sought: Sought, label: Hashable) -> dict[Hashable, Any]:
    if sought.beside is None:
        read = {name: values.array for name, values in columns_of(part)}
    else:
        read = {name: find_place(part, name, argument="hint").array for name in sought.beside}
    read.pop(label, None)
    return read


def _telling(frame: pd.DataFrame, sought: Sought) -> list[Hashable]:
    """List the contacts and what is worth keeping beside them."""
    contacts, *beside = frame.columns
    if sought.beside is not None:
        return [contacts, *beside]
    telling = [name for name in beside if name == sought.segment or may_explain(frame[name])]
    orders = [name for name in telling if has_order(frame[name].dtype)]
    few = [name for name in telling if name not in orders]
    kept = {*orders[:MOST_COLUMNS], *few[: 2 * MOST_COLUMNS], sought.segment}
    return [contacts, *(name for name in telling if name in kept)]


# -- several partitions --------------------------------------------------------------------


def merged(parts: Iterable[dict[Where, Seen]], sought: Sought) -> dict[Where, Seen]:
    """Put together what was found in partitions that follow each other.

    Parameters
    ----------
    parts
        As `look` has them, in the order of the partitions.
    sought
        What was sought.
    """
    found: dict[Where, list[Seen]] = {}
    for part in parts:
        for where, seen in part.items():
            found.setdefault(where, []).append(seen)
    return {where: _together(seen, sought) for where, seen in found.items()}


def _together(found: list[Seen], sought: Sought) -> Seen:
    odd = [value for seen in found for value in seen.odd]
    return Seen(
        place=found[0].place,
        kinds=np.sum([seen.kinds for seen in found], axis=0),
        stripped=sum(seen.stripped for seen in found),
        odd=odd[:MOST_KEPT],
        odd_kinds=_summed([kind for seen in found for kind in seen.odd_kinds]),
        once=_joined([seen.once for seen in found if seen.once is not None], sought),
        unread=any(seen.unread for seen in found),
    )


def _summed(kinds: list[Kind]) -> tuple[Kind, ...]:
    """Count each shape once, those of most rows first, with the examples that were met first."""
    found: dict[str, Kind] = {}
    for kind in kinds:
        known = found.get(kind.shape, Kind(kind.shape, 0))
        examples = known.examples or kind.examples
        found[kind.shape] = Kind(kind.shape, known.rows + kind.rows, examples)
    return tuple(sorted(found.values(), key=lambda kind: -kind.rows))


def _joined(parts: list[Once], sought: Sought) -> Once | None:
    if not parts:
        return None
    frame = pd.concat([part.frame for part in parts], join="inner", ignore_index=True)
    once = Once.of(frame, np.concatenate([part.rows for part in parts]), sought.segment)
    return replace(once, frame=once.frame[_telling(once.frame, sought)])
