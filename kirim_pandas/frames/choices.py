"""Columns a person may choose from: for ids, and for hints."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from kirim_pandas.frames.columns import places_of
from kirim_pandas.frames.shapes import CONTACT_ID, holds_no_text

__all__ = ["MAX_HINT_VALUES", "IdChoice", "hint_columns", "id_columns"]

MAX_HINT_VALUES = 50
"""More values than this decide nothing: batches would mix them anyway."""

_LOOKED_AT = 200
"""Values that show what a column holds."""


@dataclass(frozen=True)
class IdChoice:
    """A column or index level that could hold ids; `likely` if it looks as if it did."""

    label: Hashable
    likely: bool


def id_columns(frame: pd.DataFrame) -> list[IdChoice]:
    """List the named columns and levels of text, those with contact ids first."""
    choices: dict[Hashable, IdChoice] = {}
    for place in places_of(frame):
        if place.label is None or holds_no_text(place.array.dtype) is not None:
            continue
        values = place.array[np.flatnonzero(~np.asarray(pd.isna(place.array)))[:_LOOKED_AT]]
        ids = sum(isinstance(v, str) and bool(CONTACT_ID.fullmatch(v.strip())) for v in values)
        choices.setdefault(place.label, IdChoice(place.label, 0 < len(values) <= 2 * ids))
    return sorted(choices.values(), key=lambda choice: not choice.likely)


def hint_columns(frame: pd.DataFrame) -> list[Hashable]:
    """List the columns with few values, but more than one."""
    found: list[Hashable] = []
    for label in frame.columns[~frame.columns.duplicated(keep=False)]:
        try:
            values = frame[label].nunique(dropna=False)
        except TypeError:  # lists and the like
            continue
        if 1 < values <= MAX_HINT_VALUES and values < max(len(frame), 3):
            found.append(label)
    return found
