"""Columns and index levels by name: where ids and hints may stand."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

import numpy as np
import pandas as pd

from kirim_pandas.errors import InvalidInputError
from kirim_pandas.frames.shapes import name_of

__all__ = ["MAX_LISTED", "Place", "find_place", "listed", "places_of"]

MAX_LISTED = 10
"""Entries of a list in a message; more are counted, not shown."""


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
    numbers = _column_numbers(frame.columns, label)
    levels = [i for i, name in enumerate(frame.index.names) if name is not None and name == label]
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
    if numbers:
        return Place(frame.columns[numbers[0]], "column", frame.iloc[:, numbers[0]].array)
    if levels:
        return _level(frame.index, levels[0])
    known = [*frame.columns, *(name for name in frame.index.names if name is not None)]
    raise InvalidInputError(f"{shown}: {_unknown(label, known)}")


def _unknown(label: Hashable, known: list[Hashable]) -> str:
    """Say that nothing has the label, and which names are near it."""
    by_fold = {str(name).casefold(): name for name in known if isinstance(name, (str, int))}
    near = get_close_matches(str(label).casefold(), by_fold, n=3) if isinstance(label, str) else []
    text = "no column or index level has this name. "
    if near:
        return text + f"Did you mean {' or '.join(name_of(by_fold[name]) for name in near)}?"
    return text + f"Found: {listed([name_of(name) for name in known]) or 'no columns at all'}."
