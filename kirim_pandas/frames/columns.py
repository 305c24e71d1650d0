"""Columns and index levels by name: where ids and hints may stand, and which fit to be chosen."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from operator import attrgetter
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kirim_pandas.errors import InvalidInputError
from kirim_pandas.frames.shapes import (
    CALLS_ITSELF_PHONE,
    CONTACT_ID,
    PHONES,
    described,
    held_by,
    name_of,
    shape_of,
    shorten,
)
from kirim_pandas.frames.values import codes_of, readable

MAX_LISTED = 10
"""Entries of a list in a message; more are counted, not shown."""

MAX_HINT_VALUES = 50
"""More values than this decide nothing: batches would mix them anyway."""

MAX_SEGMENTS = 50
"""More different values than this are no segments, but names, dates or amounts."""

_LOOKED_AT = 200
"""Values that show what a column holds."""


@dataclass(frozen=True, eq=False)
class Place:
    """A column or an index level.

    Attributes
    ----------
    label : Hashable
        Its name; None for an index without one.
    kind : str
        ``"column"``, ``"index level"`` or ``"values"`` (of a Series or a plain Index).
    array : ExtensionArray or ndarray
        Its values, one per row; never written to.
    """

    label: Hashable
    kind: str
    array: Any

    def __str__(self) -> str:
        if self.label is None:
            return "the values" if self.kind == "values" else f"{self.kind} without a name"
        return f"{'values of' if self.kind == 'values' else self.kind} {name_of(self.label)}"


def listed(entries: list[str]) -> str:
    """Join the entries for a message, cut after ten."""
    rest = len(entries) - MAX_LISTED
    return ", ".join(entries[:MAX_LISTED]) + (f" and {rest} more" if rest > 0 else "")


def told_values(values: Sequence[object], rows: int) -> str:
    """Say which values a column of segments has, unless they may be names or numbers of people.

    Parameters
    ----------
    values
        The different ones.
    rows
        How many rows have one: segments are of more than a row each.
    """
    if len(values) > max(1, rows // 2) or shape_of(values) in (*PHONES, "e-mail addresses"):
        return f"its {len(values):,} different values are not shown, as they may name people"
    return f"the values are {listed([shorten(str(value)) for value in values]) or 'none'}"


def _level(index: pd.Index[Any], number: int) -> Place:
    return Place(index.names[number], "index level", index.get_level_values(number).array)


def places_of(frame: pd.DataFrame) -> list[Place]:
    """List every column, then every index level.

    Parameters
    ----------
    frame
        Column labels may repeat: columns are taken by position.

    Returns
    -------
    list of Place
        Nothing is copied; a plain RangeIndex is left out, as it only counts.
    """
    places = [
        Place(frame.columns[i], "column", frame.iloc[:, i].array) for i in range(frame.shape[1])
    ]
    if not isinstance(frame.index, pd.RangeIndex):
        places += [_level(frame.index, i) for i in range(frame.index.nlevels)]
    return places


def _column_numbers(columns: pd.Index[Any], label: Hashable) -> list[int]:
    """Positions of the columns a label names; a partial label of column levels names several."""
    try:
        found = columns.get_loc(label)
    except (KeyError, TypeError, ValueError, pd.errors.InvalidIndexError):
        return []
    every = np.arange(len(columns))
    return [int(found)] if isinstance(found, int) else [int(i) for i in every[found]]


def check_label(label: object, *, argument: str) -> None:
    """Refuse what can be no name, such as a column itself where its name was expected.

    Parameters
    ----------
    label
        What the caller gave.
    argument
        Name of the caller's argument, for the message.

    Raises
    ------
    InvalidInputError
        It cannot be a label.
    """
    try:
        hash(label)
    except Exception:  # a Series, a list or a dictionary; or an object's own __hash__ fails
        raise InvalidInputError(
            f"{argument}= is {described(label)}, expected the name of a column or an index level."
        ) from None


def check_names(labels: list[Any], *frames: pd.DataFrame, argument: str) -> None:
    """Refuse a list of texts of which none is a name: it may be a column's values.

    Parameters
    ----------
    labels
        What the caller gave.
    frames
        Where the names were to be found.
    argument
        Name of the caller's argument, for the message.

    Raises
    ------
    InvalidInputError
        It tells how many there are, and none of them.
    """
    known = {name for frame in frames for name in (*frame.columns, *frame.index.names)}
    texts = [one for one in labels if isinstance(one, str)]
    if len(texts) > 1 and known.isdisjoint(texts):
        raise InvalidInputError(
            f"{argument}= is a list of {len(texts):,} texts, expected names, but none of them is "
            f"that of a column or index level: {listed(list(map(name_of, known - {None})))}."
        )


def find_place(frame: pd.DataFrame, label: Hashable, *, argument: str) -> Place:
    """Find the one column or index level of that name.

    Parameters
    ----------
    frame
        Where to look.
    label
        A column label or the name of an index level.
    argument
        Name of the caller's argument, for messages.

    Returns
    -------
    Place
        The column or the level.

    Raises
    ------
    InvalidInputError
        No column or level has the name, or more than one has.
    """
    check_label(label, argument=argument)
    numbers = _column_numbers(frame.columns, label)
    levels = [i for i, name in enumerate(frame.index.names) if name is not None and name == label]
    _check_one(label, numbers, levels, argument)
    if numbers:
        return Place(frame.columns[numbers[0]], "column", frame.iloc[:, numbers[0]].array)
    if levels:
        return _level(frame.index, levels[0])
    known = [*frame.columns, *(name for name in frame.index.names if name is not None)]
    raise InvalidInputError(f"{argument}={name_of(label)}: {_unknown(label, known)}")


def _check_one(label: Hashable, numbers: list[int], levels: list[int], argument: str) -> None:
    """Refuse a name that more than one column or level has."""
    shown = f"{argument}={name_of(label)}"
    if len(numbers) > 1:
        raise InvalidInputError(
            f"{shown}: {len(numbers)} columns have this label, expected one. "
            f"Rename or drop the others, for example df.loc[:, ~df.columns.duplicated()]."
        )
    if len(numbers) + len(levels) > 1:
        raise InvalidInputError(
            f"{shown} is ambiguous: it names {len(numbers)} column and {len(levels)} index "
            f"level(s), expected one. Rename the index, for example df.rename_axis('row')."
        )


def _unknown(label: Hashable, known: list[Hashable]) -> str:
    """Say that nothing has the label, and which names are near it."""
    near = _near(label, known)
    text = "no column or index level has this name. "
    if near:
        return f"{text}Did you mean {' or '.join(map(name_of, near))}?"
    return text + f"Found: {listed([name_of(name) for name in known]) or 'no columns at all'}."


def _near(label: Hashable, known: list[Hashable]) -> list[Hashable]:
    if not isinstance(label, str):
        return []
    by_fold = {str(name).casefold(): name for name in known if isinstance(name, (str, int))}
    return [by_fold[name] for name in get_close_matches(label.casefold(), by_fold, n=3)]


def grouped(place: Place, *, argument: str) -> tuple[NDArray[np.int64], pd.Index[Any]]:
    """Number the distinct values of a column that rows are to be grouped by.

    Parameters
    ----------
    place
        The column or level.
    argument
        Name of the caller's argument, for messages.

    Returns
    -------
    codes : ndarray of int64, shape (rows,)
        Into `values`; -1 where the value is missing.
    values : Index
        The distinct values, by first appearance.

    Raises
    ------
    InvalidInputError
        The values cannot be grouped: lists and the like.
    """
    try:
        return codes_of(place.array)
    except TypeError as error:
        raise InvalidInputError(
            f"{argument}={name_of(place.label)}: the {place} cannot be grouped by, expected plain "
            "values such as text or numbers. Leave it out, or turn it into text."
        ) from error


# -- columns that fit to be chosen ---------------------------------------------------------


@dataclass(frozen=True)
class IdChoice:
    """A column or index level that could hold ids; `likely` if it looks as if it did."""

    label: Hashable
    likely: bool


def id_columns(frame: pd.DataFrame) -> list[IdChoice]:
    """List the named columns and levels of text, those with contact ids first."""
    choices: dict[Hashable, IdChoice] = {}
    for place in places_of(frame):
        if place.label is not None and held_by(place.array.dtype) is None:
            choices.setdefault(place.label, IdChoice(place.label, _looks_like_ids(place.array)))
    return sorted(choices.values(), key=attrgetter("likely"), reverse=True)


def phone_columns(frame: pd.DataFrame) -> list[Hashable]:
    """List the columns and levels that hold phone numbers, those that are called so first."""
    found: dict[Hashable, bool] = {}
    for place in places_of(frame):
        named = bool(CALLS_ITSELF_PHONE.search(str(place.label)))
        if place.label is not None and _looks_like_phones(place.array, named):
            found.setdefault(place.label, named)
    return sorted(found, key=lambda label: not found[label])


def _looks_like_phones(array: Any, named: bool) -> bool:
    held = held_by(array.dtype)
    if held is not None:  # a phone number that lost its zero is a number like any other
        return named and held == "numbers"
    return shape_of(_first_values(array)) in PHONES


def _first_values(array: Any) -> Any:
    array = readable(array)
    return array[np.flatnonzero(~np.asarray(pd.isna(array)))[:_LOOKED_AT]]


def _looks_like_ids(array: Any) -> bool:
    values = _first_values(array)
    ids = sum(isinstance(v, str) and bool(CONTACT_ID.fullmatch(v.strip())) for v in values)
    return 0 < len(values) <= 2 * ids


def hint_columns(frame: pd.DataFrame) -> list[Hashable]:
    """List the columns with few values, but more than one."""
    labels = frame.columns[~frame.columns.duplicated(keep=False)]
    return [label for label in labels if _may_decide(frame[label].array)]


def _may_decide(array: Any) -> bool:
    different, has_missing = _different(array)
    values = different + has_missing
    return 1 < values <= MAX_HINT_VALUES and values < max(len(array), 3)


def _different(array: Any) -> tuple[int, bool]:
    """Count the values, none where they cannot be told apart, and tell whether some are missing."""
    try:
        codes, distinct = codes_of(array)
    except TypeError:  # lists and the like
        return 0, False
    return len(distinct), bool((codes < 0).any())


def segment_columns(frame: pd.DataFrame) -> list[Hashable]:
    """List the columns and index levels whose values may be segments: not too many of them."""
    found = {
        place.label: place.array
        for place in places_of(frame)
        if place.label is not None and 0 < _different(place.array)[0] <= MAX_SEGMENTS
    }
    return list(found)


def values_in(frame: pd.DataFrame, label: Hashable) -> pd.Series[int]:
    """Count the rows of each value of a column: categories in their order, others sorted.

    Parameters
    ----------
    frame
        Where the column, or index level, is.
    label
        Its name.

    Returns
    -------
    Series
        int64, by value; a category of no row has 0, a missing value no line.
    """
    column = pd.Series(find_place(frame, label, argument="column").array)
    counts = column.value_counts(sort=False).astype("int64")
    if isinstance(column.dtype, pd.CategoricalDtype):
        return counts.reindex(column.cat.categories, fill_value=0)
    try:
        return counts.sort_index()
    except TypeError:  # values of several kinds stand as they come
        return counts
