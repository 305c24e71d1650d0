"""Which label each row is to carry: a column, a Series or a mask, and a label for each value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kirim_pandas.errors import InvalidInputError
from kirim_pandas.frames.columns import MAX_SEGMENTS, find_place, listed, told_values
from kirim_pandas.frames.shapes import described
from kirim_pandas.verbs.argument_checks import plain, shown

if TYPE_CHECKING:
    from kirim_pandas.verbs.arguments import Labels, Pandas


@dataclass(frozen=True, eq=False)
class Segments:
    """Which label each row is to carry.

    Attributes
    ----------
    labels : list of str
        Ids or names, as they were given; each once.
    codes : int64 array, shape (rows,)
        Place in `labels`; -1 for a row that is to carry none of them.
    given : list of str
        The label of each value that is mapped.
    """

    labels: list[str]
    codes: NDArray[np.int64]
    given: list[str]


def segments_of(obj: Pandas, by: object, labels: Labels) -> Segments:
    """Find out which label each row is to carry.

    Parameters
    ----------
    obj
        The frame.
    by
        A column or an index level, a Series with the frame's index, or an array of its length.
    labels
        A label for each value; of a mask the label itself; None where the values are the names.

    Raises
    ------
    InvalidInputError
        They do not fit each other, or the frame.
    """
    values = _values_of(obj, by)
    if _is_mask(values):
        values, labels = _checked_mask(values, labels)
    codes, different = _numbered(values)
    wanted = _wanted(labels, [different[code] for code in np.unique(codes[codes >= 0])])
    # A frame without rows is a result in which nothing was sent, whatever is mapped.
    place_of = _places(wanted, different, int((codes >= 0).sum())) if len(values) else {}
    names = list(dict.fromkeys(wanted.values()))
    label_of = np.full(len(different) + 1, -1, dtype=np.int64)  # the last for missing values
    for key, place in place_of.items():
        label_of[place] = names.index(wanted[key])
    return Segments(names, label_of[codes], list(wanted.values()))


def members_of(obj: Pandas, members: object) -> NDArray[np.bool_]:
    """Tell which rows are members of one segment.

    Raises
    ------
    InvalidInputError
        There is no value for each row, or one that is neither true nor false.
    """
    values = _values_of(obj, members, argument="members")
    if len(values) and not _is_mask(values):
        raise InvalidInputError(
            f"members: found {described(values)}, expected a boolean for each row, such as "
            'df["spend"] > 500.'
        )
    _refuse_missing(values, argument="members")
    return values.to_numpy(bool)


def _values_of(obj: Pandas, by: object, *, argument: str = "by") -> pd.Series[Any]:
    """Give the value of each row, numbered from 0."""
    index = obj if isinstance(obj, pd.Index) else obj.index
    if isinstance(by, pd.Series):
        return _aligned(by, index, argument)
    if isinstance(by, np.ndarray | pd.api.extensions.ExtensionArray | pd.Index | list):
        if getattr(by, "ndim", 1) != 1:
            raise InvalidInputError(
                f"{argument}: found {described(by)}, expected one value for each row."
            )
        if len(by) != len(index):
            raise InvalidInputError(
                f"{argument}: {len(by):,} values were found, expected one for each of "
                f"{len(index):,} rows."
            )
        return pd.Series(by).reset_index(drop=True)
    frame = obj if isinstance(obj, pd.DataFrame) else pd.DataFrame(index=index)
    return pd.Series(find_place(frame, plain(by), argument=argument).array)


def _aligned(by: pd.Series[Any], index: pd.Index[Any], argument: str) -> pd.Series[Any]:
    if not index.equals(by.index):
        raise InvalidInputError(
            f"{argument}: the index of the Series ({len(by):,} rows) is not that of the frame "
            f"({len(index):,} rows), expected the same labels in the same order. Use a column "
            f"of the frame, or {argument}.reindex(df.index)."
        )
    return by.reset_index(drop=True)


def _is_mask(values: pd.Series[Any]) -> bool:
    return pd.api.types.infer_dtype(values, skipna=True) == "boolean"


def _checked_mask(values: pd.Series[Any], labels: Labels) -> tuple[pd.Series[Any], Labels]:
    _refuse_missing(values, argument="by")
    if labels is None:
        raise InvalidInputError(
            'by: found a mask, which names no label. Pass labels="VIP", or '
            'labels={True: "VIP", False: "Regular"}.'
        )
    both = pd.Categorical(values.astype(bool), categories=[False, True])  # also where one is empty
    return pd.Series(both), {True: labels} if isinstance(labels, str) else labels


def _refuse_missing(values: pd.Series[Any], *, argument: str) -> None:
    missing = int(values.isna().sum())
    if missing:
        raise InvalidInputError(
            f"{argument}: {missing:,} values of the mask are missing, so it does not say whether "
            "their rows belong to the segment. Fill them in, such as mask.fillna(False)."
        )


def _numbered(values: pd.Series[Any]) -> tuple[NDArray[np.int64], list[Any]]:
    """Number the values of the rows, -1 for missing; a category of no row is a value, too."""
    if isinstance(values.dtype, pd.CategoricalDtype):
        return values.cat.codes.to_numpy().astype(np.int64), list(values.cat.categories)
    try:
        codes, different = pd.factorize(values)
    except TypeError:  # lists, dictionaries
        raise InvalidInputError(
            "by: found values such as lists, which cannot be told apart; expected text, numbers, "
            "categories, intervals or booleans."
        ) from None
    return codes.astype(np.int64), list(different)


def _wanted(labels: Labels, present: list[Any]) -> dict[Any, str]:
    """Give the label of each value that is to have one."""
    return _names(present) if labels is None else _checked_mapping(labels)


def _names(present: list[Any]) -> dict[Any, str]:
    if len(present) > MAX_SEGMENTS:
        raise InvalidInputError(
            f"by: {len(present):,} different values were found, expected at most {MAX_SEGMENTS} "
            "as names of labels. Choose some with labels={value: label}, or cut numbers into "
            "classes with pd.cut."
        )
    return {value: str(value) for value in present}


def _checked_mapping(labels: object) -> dict[Any, str]:
    if isinstance(labels, pd.Series):
        if not labels.index.is_unique:
            raise InvalidInputError(
                "labels: a value stands in the index of the Series twice, expected one label a "
                "value."
            )
        labels = labels.to_dict()
    if not isinstance(labels, Mapping):
        raise InvalidInputError(
            f"labels: found {shown(labels)}, expected a dictionary with a label for each value, "
            "or None where the values are the names. A single label goes with a mask."
        )
    return _texts(labels)


def _texts(labels: Mapping[Any, object]) -> dict[Any, str]:
    wrong = [shown(label) for label in labels.values() if not isinstance(label, str)]
    if wrong:
        raise InvalidInputError(
            f"labels: found {listed(list(dict.fromkeys(wrong)))}, expected the name or id of one "
            "label for each value."
        )
    missing = [plain(label) for key, label in labels.items() if _is_missing(key)]
    if missing:
        raise InvalidInputError(
            f"labels: {listed([*map(shown, missing)])} is given to missing values, which are in no "
            "segment. Fill them in first, such as df[column].fillna('none'), and map that."
        )
    return {key: plain(label) for key, label in labels.items()}


def _is_missing(key: object) -> bool:
    missing = pd.isna(key)  # type: ignore[call-overload]  # a key may be anything
    return isinstance(missing, bool | np.bool_) and bool(missing)


def _places(wanted: dict[Any, str], different: list[Any], rows: int) -> dict[Any, int]:
    """Find the values that are meant: equal, or, such as an interval, written alike."""
    equal = dict(zip(different, range(len(different)), strict=True))
    alike = dict(zip(map(str, different), range(len(different)), strict=True))
    found = {key: equal.get(key, alike.get(str(key), -1)) for key in wanted}
    _refuse_unknown(found, different, rows)
    places = list(found.values())
    twice = [str(key) for key, place in found.items() if places.count(place) > 1]
    if twice:
        raise InvalidInputError(
            f"labels: a value is mapped twice: {listed(twice)}. It takes one label."
        )
    return found


def _refuse_unknown(found: dict[Any, int], different: list[Any], rows: int) -> None:
    unknown = [shown(str(key)) for key, place in found.items() if place < 0]
    if unknown:
        raise InvalidInputError(
            f"labels: no row has {listed(unknown)}; {told_values(different, rows)}. A segment "
            "that may be empty is a category: df[column].astype(pd.CategoricalDtype([…]))."
        )
