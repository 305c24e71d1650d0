"""Text from customers, made safe for a spreadsheet program."""

from __future__ import annotations

from typing import Any, Final

import pandas as pd

__all__ = ["spreadsheet_safe"]

_FORMULA_STARTS: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
"""First characters that make a spreadsheet program read a cell as a formula (OWASP, "CSV
Injection"), full-width forms included, which some programs fold."""


def spreadsheet_safe(frame: pd.DataFrame) -> pd.DataFrame:
    """Copy a frame so that no text in it starts a formula in a spreadsheet program.

    Write the copy with ``to_csv`` or ``to_excel``: free text from customers, such as a name
    ``=HYPERLINK(…)``, then stays text.  Phone numbers with a plus get the apostrophe too.

    Parameters
    ----------
    frame
        Any frame; it is not changed.

    Returns
    -------
    DataFrame
        The same shape; an apostrophe before every text cell, column label and index label that
        begins with ``= + - @``, a tab or a line break.  Categories become plain text.
    """
    safe = frame.copy()
    for number in range(safe.shape[1]):
        column = frame.iloc[:, number]
        if _holds_text(column.dtype):
            guarded = [_guarded(value) for value in column.array]
            safe.isetitem(number, pd.Series(guarded, dtype=object, index=safe.index).array)
    safe.columns = _guarded_labels(frame.columns)
    safe.index = _guarded_labels(frame.index)
    return safe


def _holds_text(dtype: Any) -> bool:
    return (
        isinstance(dtype, pd.CategoricalDtype)
        or pd.api.types.is_object_dtype(dtype)
        or pd.api.types.is_string_dtype(dtype)
    )


def _guarded(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA_STARTS) else value


def _guarded_labels(labels: pd.Index[Any]) -> pd.Index[Any]:
    names = [_guarded(name) for name in labels.names]
    if isinstance(labels, pd.MultiIndex):
        levels = [
            [_guarded(value) for value in labels.get_level_values(i)] for i in range(len(names))
        ]
        return pd.MultiIndex.from_arrays(levels, names=names)
    if not _holds_text(labels.dtype):
        return labels.set_names(names)
    guarded: pd.Index[Any] = pd.Index([_guarded(v) for v in labels], dtype=object, name=names[0])
    return guarded
