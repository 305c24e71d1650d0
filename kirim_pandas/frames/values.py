"""Every value of one column, judged: a contact id, missing, or malformed.

Every dtype that can hold text gives the same answer: values become distinct Python strings, each
distinct value is judged once, and rows follow by integer codes.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import compress
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kirim_pandas.frames.shapes import CONTACT_ID

__all__ = ["MALFORMED_CODE", "MISSING_CODE", "Reading", "codes_of", "read_ids", "readable"]

MISSING_CODE: Final = -1
MALFORMED_CODE: Final = -2


@dataclass(frozen=True, eq=False)
class Reading:
    """One column, judged.

    Attributes
    ----------
    codes : ndarray of int64, shape (rows,)
        Into `texts`; ``MISSING_CODE`` or ``MALFORMED_CODE`` for a row without an id.
    texts : list of str
        Distinct contact ids, in no order to rely on.
    stripped : int
        Rows whose id had white space around it.
    odd : list
        Distinct malformed strings, and of each other type the first malformed value.
    odd_rows : list of int
        How many rows have each, or a value of its type.
    """

    codes: NDArray[np.int64]
    texts: list[str]
    stripped: int
    odd: list[object]
    odd_rows: list[int]

    @property
    def usable(self) -> int:
        """Rows with a contact id."""
        return int(np.count_nonzero(self.codes >= 0))

    @property
    def text(self) -> Any:
        """The contact id of each row, as a string array; NA where there is none."""
        return pd.array(self.texts, dtype="string").take(
            np.maximum(self.codes, MISSING_CODE), allow_fill=True
        )

    @property
    def present(self) -> int:
        """Rows that are not missing."""
        return int(np.count_nonzero(self.codes != MISSING_CODE))

    @property
    def is_mostly_ids(self) -> bool:
        """Whether at least half of the values are contact ids."""
        return self.usable > 0 and self.present <= 2 * self.usable


def readable(array: Any) -> Any:
    """Give the values of a column in a form that pandas can take apart.

    Parameters
    ----------
    array
        Of any dtype; not changed.

    Returns
    -------
    ExtensionArray or ndarray
        The same array; of an Arrow type that pandas itself cannot read (views, dictionaries,
        nested and extension types), an object array of its values.
    """
    dtype = array.dtype
    if not isinstance(dtype, pd.ArrowDtype) or str(dtype.pyarrow_dtype) in _ARROW_READ:
        return array
    values = array.__arrow_array__().to_pylist()
    objects = np.empty(len(values), dtype=object)
    objects[:] = values
    return objects


_ARROW_READ: Final = frozenset(
    ["string", "large_string", "bool", "double", "float"]
    + [f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)]
)
"""Arrow types that pandas reads itself; the others are read by Arrow, which takes longer."""


def codes_of(array: Any) -> tuple[NDArray[np.int64], pd.Index[Any]]:
    """Number the distinct values of a column, so that rows can be grouped by them.

    Parameters
    ----------
    array
        Of any dtype; not changed.

    Returns
    -------
    codes : ndarray of int64, shape (rows,)
        Into `values`; -1 where the value is missing.
    values : Index
        The distinct values, by first appearance.

    Raises
    ------
    TypeError
        The values cannot be grouped: lists and the like.
    """
    try:
        codes, values = pd.Series(readable(array)).factorize()
        return codes.astype(np.int64, copy=False), pd.Index(values)
    except (TypeError, ValueError, NotImplementedError) as error:
        raise TypeError("the values cannot be grouped") from error


def read_ids(array: Any) -> Reading:
    """Judge the values of a column.

    Parameters
    ----------
    array
        One-dimensional, of any dtype; not changed.

    Returns
    -------
    Reading
        White space around an id (ASCII and Unicode) is taken off; upper and lower case and
        zero-width characters stay, and make it malformed.
    """
    value_codes, distinct = _distinct(array)
    texts = [value.strip() if type(value) is str else None for value in distinct]
    is_id = CONTACT_ID.fullmatch
    good = np.array([text is not None and is_id(text) is not None for text in texts], dtype=bool)
    # Blank is missing, not odd.
    odd = np.array([i for i in np.flatnonzero(~good) if texts[i] != ""], dtype=np.int64)
    padded = np.array(
        [
            text is not None and len(text) < len(value)
            for text, value in zip(texts, distinct, strict=True)
        ],
        dtype=bool,
    )
    ids = np.array(list(compress(texts, good)), dtype=object)
    id_codes = np.arange(len(ids))
    if (padded & good).any():  # else they are distinct already
        id_codes, ids = pd.factorize(ids)

    # Value code -1 (missing) reads the last entry, here and below.
    verdicts = np.full(len(distinct) + 1, MISSING_CODE, dtype=np.int64)
    verdicts[odd] = MALFORMED_CODE
    verdicts[:-1][good] = id_codes
    stripped = np.append(padded & good, False)[value_codes]
    return Reading(
        codes=verdicts[value_codes],
        texts=ids.tolist(),
        stripped=int(np.count_nonzero(stripped)),
        odd=[distinct[i] for i in odd],
        odd_rows=np.bincount(value_codes[value_codes >= 0], minlength=len(distinct))[odd].tolist(),
    )


def _distinct(array: Any) -> tuple[NDArray[np.int64], list[Any]]:
    """Factorize without trusting the values: no ``__str__``, ``__eq__`` or ``__hash__`` of theirs.

    Returns
    -------
    codes : ndarray of int64, shape (rows,)
        Into `distinct`; -1 where the value is missing.
    distinct : list
        Plain str objects; the last entries may stand for what is no text, one for each type.
    """
    if isinstance(array, pd.Categorical):
        codes, distinct = _distinct(array.categories.array)
        row_codes = np.append(codes, -1)[array.codes]
        # Unused categories are dropped, so that they are neither counted nor shown.
        used = np.bincount(row_codes[row_codes >= 0], minlength=len(distinct)) > 0
        return np.append(np.cumsum(used) - 1, -1)[row_codes], list(compress(distinct, used))
    objects = np.asarray(readable(array), dtype=object)
    texts = np.empty(len(objects), dtype=object)
    # type(), not isinstance(): that asks the value for its __class__.
    texts[:] = [str.__str__(v) if issubclass(type(v), str) else None for v in objects]
    codes, uniques = pd.factorize(texts)
    other = (codes == -1) & ~pd.isna(objects)
    distinct = list(uniques)
    types: dict[type, int] = {}
    for row in np.flatnonzero(other):
        code = types.setdefault(type(objects[row]), len(distinct))
        if code == len(distinct):
            distinct.append(objects[row])
        codes[row] = code
    return codes.astype(np.int64, copy=False), distinct
