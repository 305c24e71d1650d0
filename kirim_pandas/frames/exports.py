"""Text from customers, made safe for a spreadsheet program."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from datetime import datetime, time
from pathlib import Path
from typing import Any, Final

import pandas as pd

from kirim_pandas.errors import InvalidInputError, ShortTraceback
from kirim_pandas.frames.shapes import described
from kirim_pandas.frames.values import readable

_STARTS: Final = "[=+@＝＋－＠-]"
"""Characters that begin a formula (OWASP, "CSV Injection"), with the full-width forms that some
programs fold."""

_UNSEEN: Final = r"[\s\x00-\x20\x7f-\xa0\u200b-\u200f\u2060\ufeff\"]*"
"""What programs pass over before they look whether a cell begins a formula."""

_FORMULA: Final = re.compile(rf"{_UNSEEN}(?:{_STARTS}|\{{=)")  # {=…} is one to a writer of Excel

_NEW_CELL: Final = re.compile(
    rf"([,;|\t\n\x0b\x0c\x1c-\x1e\x85\u2028\u2029]{_UNSEEN})(?={_STARTS})"
)
"""Where a program that expects another separator, or reads a line break as the end of a row, begins
a new cell: half of the world reads CSV files with semicolons."""

_PHONE: Final = re.compile(r"\+(?:\d{6,15}|(?=[^ ]* )\d[\d ().-]{5,22})")
"""A plain phone number: digits, or groups of them of which two stand apart by a blank.  With
hyphens alone it would be a subtraction."""

_SUSPECT: Final = re.compile(rf"{_STARTS}|[\x00-\x08\x0b-\x1f]")
"""What a text must have to be changed; most have nothing of it."""

_UNPRINTED: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")
"""Control characters that no Excel file may hold, and that cut text short in other programs."""


@ShortTraceback()
def spreadsheet_safe(frame: pd.DataFrame, *, target: str = "csv") -> pd.DataFrame:
    """Copy a frame so that no text in it becomes a formula in a spreadsheet program.

    Write the copy with ``to_csv`` or ``to_excel``: free text from customers, such as a name
    ``=HYPERLINK(…)``, then stays text.

    Parameters
    ----------
    frame
        Any frame; it is not changed.
    target
        ``"csv"`` for ``to_csv`` with any separator; ``"excel"`` for ``to_excel``, where text keeps
        its line breaks and separators, as each cell is a cell of its own, and times with a zone
        become the times that the zone shows, as Excel knows no zones.

    Returns
    -------
    DataFrame
        The same shape; an apostrophe before every text that would begin a formula, in cells,
        in column and in index labels, whatever their dtype; for ``"csv"`` also inside of a text
        behind a separator or line break.  A carriage return becomes a line break, other control
        characters are taken out.  Plain phone numbers such as ``+62 812 3456 7890`` stay.  Columns
        in which something had to be changed become plain text.

    Raises
    ------
    InvalidInputError
        It is no DataFrame, or `target` is neither of the two.

    Examples
    --------
    >>> import pandas as pd
    >>> frame = pd.DataFrame({"name": ["Siti;=1+1", "=1+1"], "phone": "+628123456789"})
    >>> spreadsheet_safe(frame).to_numpy().tolist()
    [["Siti;'=1+1", '+628123456789'], ["'=1+1", '+628123456789']]
    """
    if not isinstance(frame, pd.DataFrame):
        raise InvalidInputError(
            f"found {described(frame)}, expected a DataFrame: of a Series take series.to_frame()."
        )
    if not isinstance(target, str) or target not in _GUARDS:
        raise InvalidInputError(f"target= is neither 'csv' nor 'excel', found {described(target)}.")
    guard = _GUARDS[target]
    safe = _COPIES[target](frame)
    for number in range(safe.shape[1]):
        guarded = _guarded(frame.iloc[:, number].array, guard)
        if guarded is not None:
            safe.isetitem(number, pd.Series(guarded, dtype=object, index=safe.index).array)
    safe.columns = _guarded_labels(safe.columns, guard)
    safe.index = _guarded_labels(safe.index, guard)
    return safe


def place_of(path: str | Path) -> Path:
    """Give the path of a file that is to be written; ``~`` is the home folder."""
    # Of a text that is a member of an enumeration, Path() would take the member's name.
    return Path(str.__str__(path) if isinstance(path, str) else path).expanduser()


def save_csv(frame: pd.DataFrame, path: str | Path, *, new: bool) -> Path:
    """Write a frame to a CSV file that Excel opens, too; nothing in it becomes a formula.

    Parameters
    ----------
    frame
        Its index is left out.
    path
        ``~`` is the home folder.
    new
        Whether a file that is there is left as it is.

    Returns
    -------
    Path
        Where it stands.

    Raises
    ------
    InvalidInputError
        There is such a file, or it cannot be written.
    """
    try:
        target = place_of(path)
        safe = spreadsheet_safe(frame)
        with target.open("x" if new else "w", encoding="utf-8-sig", newline="") as file:
            safe.to_csv(file, index=False)  # the encoding's mark is for Excel
    except FileExistsError:
        raise InvalidInputError(
            f"{target} is there already and is left as it is. Choose another name."
        ) from None
    except (OSError, RuntimeError, TypeError, ValueError) as error:  # no home, NUL, full disk
        raise InvalidInputError(
            f"The list was not written: {error}. Choose another path, such as 'people.csv'."
        ) from error
    return target


def _without_zones(frame: pd.DataFrame) -> pd.DataFrame:
    """Copy a frame with the times that its zones show: a cell of Excel holds no zone."""
    safe = frame.copy()
    for number in range(safe.shape[1]):
        if _has_zone(frame.dtypes.iloc[number]):
            safe.isetitem(number, frame.iloc[:, number].dt.tz_localize(None).array)
    safe.index, safe.columns = (
        _labels_without_zones(frame.index),
        _labels_without_zones(frame.columns),
    )
    return safe


def _labels_without_zones(labels: pd.Index[Any]) -> pd.Index[Any]:
    if isinstance(labels, pd.MultiIndex):
        levels: Any = [_labels_without_zones(level) for level in labels.levels]
        return labels.set_levels(levels, verify_integrity=False)  # an hour may stand there twice
    if not _has_zone(labels.dtype):
        return labels
    shown: pd.Index[Any] = pd.Index(labels.to_series().dt.tz_localize(None), name=labels.name)
    return shown


def _has_zone(dtype: Any) -> bool:
    return re.match(r"datetime64\[\w+, |timestamp\[.*tz=", str(dtype)) is not None


def _guard(text: str) -> str:
    """Guard a text that has a cell of its own."""
    text = _UNPRINTED.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))
    if _FORMULA.match(text) and not _PHONE.fullmatch(text):
        return f"'{text}"
    return text


def _guard_for_csv(text: str) -> str:
    """Guard a text in a file that may be read with any separator."""
    return _guard(_NEW_CELL.sub(r"\1'", text.replace("\r\n", "\n").replace("\r", "\n")))


_GUARDS: Final[dict[str, Callable[[str], str]]] = {"csv": _guard_for_csv, "excel": _guard}


_COPIES: Final[dict[str, Callable[[pd.DataFrame], pd.DataFrame]]] = {
    "csv": pd.DataFrame.copy,
    "excel": _without_zones,
}


def _guarded(array: Any, guard: Callable[[str], str]) -> list[Any] | None:
    """Guard the values of a column; None if nothing has to be changed."""
    if not _may_hold_text(array.dtype):
        return None
    read = readable(array)
    values = list(read)
    guarded = [_guarded_value(value, guard) for value in values]
    # What pandas cannot read it cannot write either.
    changed = read is not array or any(map(operator.is_not, guarded, values))
    return guarded if changed else None


def _may_hold_text(dtype: Any) -> bool:
    """Tell text and objects from numbers, dates and durations, which are written as such."""
    if isinstance(dtype, pd.ArrowDtype):  # pandas raises for the numpy type of some of them
        return re.match(r"u?int|double|float|bool|date|time|duration", str(dtype)) is None
    return bool(getattr(dtype, "kind", "O") not in "iufbmM")


def _guarded_value(value: Any, guard: Callable[[str], str]) -> Any:
    """Guard a value as it will be written; objects such as paths are written as their text."""
    kind = type(value)
    if guard is _guard and issubclass(kind, (datetime, time)):
        return value if value.tzinfo is None else value.replace(tzinfo=None)
    if issubclass(kind, (bool, int, float)) or value is None or value is pd.NA or value is pd.NaT:
        return value
    text = str.__str__(value) if issubclass(kind, str) else str(value)
    if _SUSPECT.search(text) is None:
        return value
    safe = guard(text)
    return value if safe == text else safe


def _guarded_labels(labels: pd.Index[Any], guard: Callable[[str], str]) -> pd.Index[Any]:
    names = [_guarded_value(name, guard) for name in labels.names]
    guarded = [_guarded(labels.get_level_values(i).array, guard) for i in range(labels.nlevels)]
    if all(level is None for level in guarded):
        return labels.set_names(names)
    if not isinstance(labels, pd.MultiIndex):
        return pd.Index(guarded[0], dtype=object, name=names[0], tupleize_cols=False)
    arrays = [
        labels.get_level_values(i) if level is None else level for i, level in enumerate(guarded)
    ]
    return pd.MultiIndex.from_arrays(arrays, names=names)
