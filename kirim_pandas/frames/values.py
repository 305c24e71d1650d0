"""Every value of one column, judged: a contact id, missing, or malformed.

Every dtype that can hold text gives the same answer: values become distinct Python strings, each
distinct value is judged once, and rows follow by integer codes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kirim_pandas.frames.packed import PackedIds, Words, are_ids, numbered
from kirim_pandas.frames.shapes import CONTACT_ID, ID_LENGTH

if TYPE_CHECKING:
    import pyarrow as pa


MISSING_CODE: Final = -1
MALFORMED_CODE: Final = -2


_SLICE: Final = 1 << 17
"""Rows that are read together, so that what is needed on the way takes little room."""


@dataclass(frozen=True, eq=False)
class Reading:
    """One column, judged.

    Attributes
    ----------
    codes : ndarray of int32, shape (rows,)
        Into `ids`; ``MISSING_CODE`` or ``MALFORMED_CODE`` for a row without an id.
    ids : PackedIds
        Distinct contact ids, by first appearance.
    stripped : int
        Rows whose id had white space around it.
    odd : list
        Distinct malformed strings, and of each other type the first malformed value.
    odd_rows : list of int
        How many rows have each, or a value of its type.
    given : string array, shape (rows,), or None
        The column itself, if it holds the ids as they are sent and else nothing but NA.
    """

    codes: NDArray[np.int32]
    ids: PackedIds
    stripped: int
    odd: list[object]
    odd_rows: list[int]
    given: Any = None

    @property
    def usable(self) -> int:
        """Rows with a contact id."""
        return int(np.count_nonzero(self.codes >= 0))

    @property
    def text(self) -> Any:
        """The contact id of each row, as a string array; NA where there is none."""
        return self.ids.of_rows(self.codes) if self.given is None else self.given

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
    if not isinstance(array, pd.Categorical):
        reading = _read(readable(array), None)
        return replace(reading, given=_given(array, reading))
    row_codes, used = pd.factorize(array.codes)  # unused categories are neither counted nor shown
    values = np.full(len(used), None, dtype=object)
    values[used >= 0] = _objects(readable(array.categories.array))[used[used >= 0]]
    reading = _read(values, np.bincount(row_codes, minlength=len(used)))
    return replace(reading, codes=reading.codes[row_codes])


def _given(array: Any, reading: Reading) -> Any:
    """Give the column as a string array, if that has what is sent in each row."""
    kinds = (array.dtype, pd.StringDtype())
    stored = [getattr(kind, "storage", None) for kind in kinds]
    missing = int(np.count_nonzero(reading.codes == MISSING_CODE))
    if stored != ["pyarrow", "pyarrow"] or reading.stripped or reading.odd:
        return None
    texts = array.__arrow_array__()
    # Else there are blanks, which are missing, too.
    return pd.arrays.ArrowStringArray(texts) if texts.null_count == missing else None


def _read(values: Any, rows_of: NDArray[np.intp] | None) -> Reading:
    """Judge values, each of which stands for some rows; for one where that is not told."""
    words: Words = np.zeros(len(values), dtype=f"S{ID_LENGTH}")
    codes = np.full(len(values), MISSING_CODE, dtype=np.int32)
    rest = []
    for start in range(0, len(values), _SLICE):
        stop = start + _SLICE
        left = _read_clean(values[start:stop], words[start:stop], codes[start:stop])
        rest.append(start + np.flatnonzero(left))
    rows = np.concatenate([np.empty(0, dtype=np.intp), *rest])
    counts = np.ones(len(rows), dtype=np.intp) if rows_of is None else rows_of[rows]
    padded, odd, odd_rows = _read_rest(_objects(values[rows]), rows, words, codes, counts)
    has = codes >= 0
    numbers, different = numbered(words if has.all() else words[has])
    codes[has] = numbers
    return Reading(codes, PackedIds(different), padded, odd, odd_rows)


def _read_clean(values: Any, words: Words, codes: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Enter the values that are ids as they stand; tell which others are to be looked at."""
    texts = _in_arrow(values)
    if texts is None:
        return np.ones(len(values), dtype=np.bool_)
    lengths = np.diff(np.frombuffer(texts.buffers()[1], np.int64)[texts.offset :][: len(texts) + 1])
    left = texts.is_valid().to_numpy(zero_copy_only=False)
    rows = np.flatnonzero((lengths == ID_LENGTH) & left)
    chosen = texts if len(rows) == len(texts) else texts.take(rows)
    begin = chosen.offset
    first = np.frombuffer(chosen.buffers()[1], np.int64)[begin] if len(rows) else 0
    found = np.frombuffer(chosen.buffers()[2] or b"", f"S{ID_LENGTH}", len(rows), first)
    good = are_ids(found)
    rows = rows[good]
    words[rows], codes[rows], left[rows] = found[good], 0, False
    return left  # type: ignore[no-any-return]


def _read_rest(
    values: NDArray[np.object_],
    rows: NDArray[np.intp],
    words: Words,
    codes: NDArray[np.int32],
    counts: NDArray[np.intp],
) -> tuple[int, list[object], list[int]]:
    """Enter values of any type; return the rows with white space, and what was malformed."""
    value_codes, distinct = _distinct(values)
    texts = [value.strip() if type(value) is str else None for value in distinct]
    is_id = CONTACT_ID.fullmatch
    good = np.array([text is not None and is_id(text) is not None for text in texts], dtype=bool)
    # Blank is missing, not odd.
    odd = np.array([i for i in np.flatnonzero(~good) if texts[i] != ""], dtype=np.intp)
    padded = np.array(
        [
            text is not None and len(text) < len(value)
            for text, value in zip(texts, distinct, strict=True)
        ],
        dtype=bool,
    )
    # Value code -1 (missing) reads the last entry, here and below.
    verdicts = np.full(len(distinct) + 1, MISSING_CODE, dtype=np.int32)
    verdicts[odd] = MALFORMED_CODE
    verdicts[:-1][good] = 0
    codes[rows] = verdicts[value_codes]
    here = codes[rows] == 0
    ids = PackedIds.of(text if text and is_id(text) else "" for text in texts)
    words[rows[here]] = ids.words[value_codes[here]]
    times = np.bincount(value_codes + 1, weights=counts, minlength=len(distinct) + 1)[1:]
    times = times.astype(np.intp)
    return int(times[padded & good].sum()), [distinct[i] for i in odd], times[odd].tolist()


def _objects(array: Any) -> NDArray[np.object_]:
    return np.asarray(array, dtype=object)


def _in_arrow(array: Any) -> pa.LargeStringArray | None:
    """Give texts and missing values as Arrow has them, if Arrow is there and nothing else is."""
    try:
        import pyarrow as pa
    except ImportError:
        return None
    if isinstance(array.dtype, (pd.StringDtype, pd.ArrowDtype)):
        found = array.__arrow_array__()
    elif array.dtype == object:
        try:
            found = pa.array(_objects(array), from_pandas=True)
        except (pa.ArrowException, TypeError, ValueError, OverflowError):
            return None
    else:
        return None
    if not (pa.types.is_string(found.type) or pa.types.is_large_string(found.type)):
        return None
    found = found.cast(pa.large_string())
    return found.combine_chunks() if isinstance(found, pa.ChunkedArray) else found


def _distinct(objects: NDArray[np.object_]) -> tuple[NDArray[np.int64], list[Any]]:
    """Factorize without trusting the values: no ``__str__``, ``__eq__`` or ``__hash__`` of theirs.

    Returns
    -------
    codes : ndarray of int64, shape (rows,)
        Into `distinct`; -1 where the value is missing.
    distinct : list
        Plain str objects; the last entries may stand for what is no text, one for each type.
    """
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
