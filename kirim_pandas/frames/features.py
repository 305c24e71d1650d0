"""What a frame tells about its contacts besides their ids: columns that may explain skips.

Only numbers leave this module: for each contact a code of its value, never the value itself.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kirim_pandas.frames.ids import ContactIds
from kirim_pandas.frames.shapes import CONTACT_ID

MOST_NAMES = 64
"""A column of more different values than this is free text, unless its values have an order."""

_PARTS = {"weekday": "day_of_week", "month": "month", "hour": "hour"}
"""Parts of a date that may decide by themselves, and what pandas calls them."""

MOST_DATES = 4
"""Columns of dates of which any two are compared, row by row."""

MOST_COLUMNS = 24
"""Columns of each sort that are used, those of fewest values first."""

SAMPLE = 2000
"""Values that show whether a column of text holds names or free text."""


class Feature(NamedTuple):
    """One column: its name, a code for each contact (int32), and whether greater means more."""

    name: str
    codes: NDArray[np.int32]
    ordered: bool


def features_of(obj: Any, ids: ContactIds, *, only: list[Hashable] | None = None) -> list[Feature]:
    """Return the columns of a frame that may explain which contacts are skipped.

    Columns and index levels of 2 to 64 different values are names; numbers, dates and ordered
    categories of more than two values have an order as well, and so has the place in the frame.
    Of dates the weekday, the month and the hour are names too, and which of two is earlier; of
    any column whether its value is missing. The order of the ids is one, too, where they begin with
    different characters and the frame does not stand in it.
    A contact of several rows has the values of its first.

    Parameters
    ----------
    obj
        The DataFrame, Series or Index that the ids were taken from; only read.
    ids
        The contacts, and which row means which.
    only
        Columns to look at; None for all.

    Returns
    -------
    list of Feature
        The fewest values first; the place in the frame last.
    """
    if not ids.contacts:
        return []
    rows = _first_rows(ids)
    names: list[Feature] = []
    orders: list[Feature] = []
    dates: list[tuple[str, pd.DatetimeIndex]] = []
    for name, values in columns_of(obj):
        if only is not None and name not in only:
            continue
        taken = values.take(rows)
        if _is_date(taken.dtype):
            dates.append((str(name), pd.DatetimeIndex(taken)))
        for feature in _features(str(name), taken):
            (orders if feature.ordered else names).append(feature)
    for name, date in dates:
        names += _parts(name, date)
    names += _comparisons(dates[:MOST_DATES])
    names.sort(key=lambda feature: int(feature.codes.max()))
    place = Feature("the place in the frame", np.argsort(np.argsort(rows)).astype(np.int32), True)
    found = [*names[:MOST_COLUMNS], *orders[:MOST_COLUMNS]]
    if only is None:
        found += _order_of_ids(ids, rows)
    return [*found, place] if only is None and ids.contacts > 1 else found


def _order_of_ids(ids: ContactIds, rows: NDArray[np.int64]) -> Iterator[Feature]:
    """Give the order of the ids, unless the frame stands in it: ids may begin with a time."""
    ranks = ids.ids.ranks()
    steps = np.diff(ranks[np.argsort(rows)])
    if int(ranks.max()) > 1 and (steps > 0).any() and (steps < 0).any():
        yield Feature("the order of the ids", ranks, ordered=True)


def _first_rows(ids: ContactIds) -> NDArray[np.int64]:
    """Return the first row of each contact, in the order of the contacts."""
    usable = np.flatnonzero(ids.position >= 0)
    _, first = np.unique(ids.position[usable], return_index=True)
    return usable[first]


def columns_of(obj: Any) -> Iterator[tuple[Hashable, pd.Series[Any] | pd.Index[Any]]]:
    """Go through columns and index levels that have a name of their own."""
    index = obj if isinstance(obj, pd.Index) else obj.index
    if isinstance(obj, pd.DataFrame):
        for place, name in enumerate(obj.columns):
            yield name, obj.iloc[:, place]
    for level, name in enumerate(index.names):
        if name is not None:
            yield name, index.get_level_values(level)


def may_explain(values: pd.Series[Any] | pd.Index[Any]) -> bool:
    """Whether values have an order or are a few names, as far as the first of them show."""
    if has_order(values.dtype):
        return True
    try:
        sample = pd.unique(values[:SAMPLE])
    except (TypeError, ValueError, NotImplementedError):  # lists, dicts, what has no equality
        return False
    return len(sample) <= MOST_NAMES and not any(map(_is_contact_id, sample))


def _features(name: str, values: pd.Series[Any] | pd.Index[Any]) -> Iterator[Feature]:
    missing = np.asarray(values.isna(), dtype=np.int32)
    if not may_explain(values):
        yield from _names(f"whether {name} is missing", missing)
        return
    ordered = has_order(values.dtype)
    try:
        found, different = pd.factorize(values, sort=ordered)
    except (TypeError, ValueError, NotImplementedError):  # lists, dicts, what has no equality
        return
    codes: NDArray[np.int32] = found.astype(np.int32)
    codes[codes < 0] = len(different)  # missing: a value of its own, the last
    yield from _names(name, codes)
    if int(codes.max()) > 1:
        if ordered:
            yield Feature(name, codes, ordered=True)
        if len(different) > MOST_NAMES:
            yield from _names(f"whether {name} is missing", missing)


def _names(name: str, codes: NDArray[np.int32]) -> Iterator[Feature]:
    """Give codes as names, where they are neither one nor too many."""
    if 2 <= len(np.unique(codes)) <= MOST_NAMES:
        yield Feature(name, codes, ordered=False)


def _is_date(dtype: Any) -> bool:
    return bool(pd.api.types.is_datetime64_any_dtype(dtype))


def _parts(name: str, dates: pd.DatetimeIndex) -> Iterator[Feature]:
    for part, attribute in _PARTS.items():
        found = np.nan_to_num(np.asarray(getattr(dates, attribute), dtype=float), nan=24.0)
        yield from _names(f"the {part} of {name}", found.astype(np.int32))


def _comparisons(dates: Sequence[tuple[str, pd.DatetimeIndex]]) -> Iterator[Feature]:
    for (name, first), (other, second) in combinations(dates, 2):
        if (first.tz is None) == (second.tz is None):
            codes = np.asarray(first > second, dtype=np.int32) + 2 * (first < second)
            yield from _names(f"which of {name} and {other} is earlier", codes.astype(np.int32))


def has_order(dtype: Any) -> bool:
    """Whether a greater value of this dtype means more."""
    types = pd.api.types
    if isinstance(dtype, pd.CategoricalDtype):
        return bool(dtype.ordered)
    if types.is_bool_dtype(dtype):
        return False
    return (
        types.is_numeric_dtype(dtype) or types.is_datetime64_any_dtype(dtype) or dtype.kind == "m"
    )


def _is_contact_id(value: object) -> bool:
    return isinstance(value, str) and CONTACT_ID.fullmatch(value) is not None
