"""What a value looks like: the one test of a contact id, and words for everything else.

Messages name shapes ("phone numbers", "label ids") and not values: the columns that are *not* the
ids hold names and numbers of customers, which do not belong in a traceback.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Hashable, Iterable
from itertools import islice
from typing import Any, Final

import numpy as np
import pandas as pd
from pandas.api import types

__all__ = [
    "CONTACT_ID",
    "NOTHING",
    "holds_no_text",
    "name_of",
    "remedy_for",
    "shape_of",
    "shape_of_one",
    "shorten",
    "told_shape",
]

CONTACT_ID: Final = re.compile(r"ctc_[0-9A-HJKMNP-TV-Z]{26}")
"""A contact id, for ``fullmatch`` (``$`` would let a newline through).

Upper-case Crockford base32 behind the prefix (Kirim API docs, "IDs"); nothing else is ever sent.
"""

NOTHING: Final = "nothing but missing values"

_SAMPLE = 200
"""Values looked at to name a shape; a name needs no more."""

_MOSTLY = "mostly "

_YEAR, _MONTH, _DAY = r"(?:19|20)\d\d", r"(?:0?[1-9]|1[0-2])", r"(?:0?[1-9]|[12]\d|3[01])"
_MONTH_NAME = "[A-Za-z]{3,9}"
_DATE = re.compile(
    rf"(?:{_YEAR}[-/.]{_MONTH}(?:[-/.]{_DAY})?|{_DAY}[-/.]{_MONTH}[-/.](?:{_YEAR}|\d\d)"
    rf"|{_MONTH}[-/.]{_DAY}[-/.](?:{_YEAR}|\d\d)|{_DAY}[ -]{_MONTH_NAME}[ -]{_YEAR}"
    rf"|{_MONTH_NAME} {_DAY}, {_YEAR})(?:[T ,]+\d\d?:\d\d.{{0,20}})?"
)
"""A date as files have them, with or without a time."""

_SHAPES: Final = (
    ("contact ids", CONTACT_ID),
    ("contact ids with invisible or foreign characters", re.compile(r"(?s)(?=.*[^ -~]).*ctc_.*")),
    ("contact ids in the wrong case", re.compile(r"ctc_[0-9a-z]{26}", re.IGNORECASE)),
    ("contact ids with characters missing, added or changed", re.compile(r"ctc_.*", re.DOTALL)),
    ("label ids", re.compile(r"lbl_.*", re.DOTALL)),
    ("e-mail addresses", re.compile(r"\S+@\S+\.\S+")),
    ("dates", _DATE),  # before phone numbers: it looks like one
    # With separators of thousands, which differ from country to country.
    ("numbers", re.compile(r"-?\d{1,3}(?:\.\d{3})+(?:,\d+)?|-?\d{1,3}(?:,\d{3})+(?:\.\d+)?")),
    ("numbers", re.compile(r"-?[1-9]\d{0,8}|0|-?\d+[.,]\d+(?:e[+-]?\d+)?", re.IGNORECASE)),
    ("phone numbers", re.compile(r"(?=(?:\D*\d){8,15}\D*\Z)(?:\+|\(|0|\d+[\s.()-])[\d\s().-]+")),
    ("long numbers, perhaps phone numbers", re.compile(r"\d{10,15}")),
    ("numbers", re.compile(r"-?\d+")),
)

_BY_PHONE = "look the contacts up by phone number first, and merge their ids."

_REMEDIES: Final = {
    "contact ids in the wrong case": "Ids are upper case behind ctc_, and are not changed here: "
    "take them from their source again.",
    "contact ids with invisible or foreign characters": "Remove those characters at the source.",
    "contact ids with characters missing, added or changed": "Take them from their source again.",
    "label ids": "A label id is the first argument; the column has to hold contacts.",
    "phone numbers": _BY_PHONE.capitalize(),
    "long numbers, perhaps phone numbers": f"If they are, {_BY_PHONE}",
    "e-mail addresses": "Merge the contact ids from the export first.",
    "numbers": "A contact id is no number: if ids stood there, read the file again with dtype=str.",
}


def remedy_for(shape: str) -> str:
    """Say what to do about malformed ids of a shape; empty where nothing special is known.

    Parameters
    ----------
    shape
        As `shape_of` names it.
    """
    return _REMEDIES.get(shape, "")


def holds_no_text(dtype: Any) -> str | None:
    """Name what a dtype that can hold no text holds, such as ``"numbers"``.

    Parameters
    ----------
    dtype
        Of a column or an index level.

    Returns
    -------
    str or None
        None where the dtype may hold text.
    """
    if types.is_bool_dtype(dtype):
        return "true/false values"
    if types.is_numeric_dtype(dtype):
        return "numbers"
    if types.is_datetime64_any_dtype(dtype) or isinstance(dtype, pd.PeriodDtype):
        return "dates"
    if types.is_timedelta64_dtype(dtype):
        return "durations"
    return None


def shape_of_one(value: object) -> str:
    """Name what one value looks like; none of its own methods is called.

    Parameters
    ----------
    value
        Anything but a missing value.
    """
    kind = type(value)  # not isinstance(), which asks the value for its __class__
    if issubclass(kind, str):
        text = str.strip(value)  # type: ignore[arg-type]  # it is a str
    elif issubclass(kind, (bool, np.bool_)):
        return "true/false values"
    elif issubclass(kind, (int, float, np.number)):
        return "numbers"
    else:
        return f"objects of type {kind.__name__}"
    return next((name for name, pattern in _SHAPES if pattern.fullmatch(text)), "text")


def shape_of(values: Iterable[object]) -> str:
    """Name what most of the values look like.

    Parameters
    ----------
    values
        Without missing ones; only the first 200 are looked at.

    Returns
    -------
    str
        Such as ``"label ids"``; ``"nothing but missing values"`` for no value at all.
    """
    return told_shape(values).removeprefix(_MOSTLY)


def told_shape(values: Iterable[object]) -> str:
    """Name what the values look like, and say "mostly" where some look otherwise.

    Parameters
    ----------
    values
        As for `shape_of`.
    """
    shapes = Counter(shape_of_one(value) for value in islice(values, _SAMPLE))
    if not shapes:
        return NOTHING
    return f"{_MOSTLY if len(shapes) > 1 else ''}{shapes.most_common(1)[0][0]}"


def shorten(value: object) -> str:
    """Write a value for a message: cut in the middle, every odd character as a code point.

    Parameters
    ----------
    value
        Anything; of an object that is no text only the type is told (its ``__str__`` may raise).

    Returns
    -------
    str
        At most 40 or so printable ASCII characters, such as ``'ctc_01HXYZ…VWX'``.
    """
    if not issubclass(type(value), str):
        return f"<{type(value).__name__}>"
    text = str.strip(value)  # type: ignore[arg-type]  # it is a str
    if len(text) > 16:
        text = f"{text[:10]}…{text[-4:]}"
    shown = (c if " " <= c <= "~" or c == "…" else f"<U+{ord(c):04X}>" for c in text)
    return f"'{''.join(shown)}'"


def name_of(label: Hashable) -> str:
    """Write a column or level label for a message.

    Parameters
    ----------
    label
        Any label; its ``repr`` is cut at 60 characters.
    """
    try:
        text = ascii(label) if isinstance(label, str) and not label.isprintable() else repr(label)
    except Exception:  # a label's own __repr__ may do anything
        text = f"<{type(label).__name__}>"
    return text if len(text) <= 60 else f"{text[:45]}…{text[-12:]}"
