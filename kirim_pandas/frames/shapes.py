"""What a value looks like: the one test of a contact id, and words for everything else.

Messages name shapes ("phone numbers", "label ids") and not values: the columns that are *not* the
ids hold names and numbers of customers, which do not belong in a traceback.
"""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from datetime import date
from itertools import islice
from typing import Any, Final

import numpy as np
import pandas as pd
from pandas.api import types

from kirim_pandas.errors import InvalidInputError

ID_CHARACTERS: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
CONTACT_ID: Final = re.compile(rf"ctc_[{ID_CHARACTERS}]{{26}}")
"""A contact id, for ``fullmatch`` (``$`` would let a newline through).

Upper-case Crockford base32 behind the prefix (Kirim API docs, "IDs"); nothing else is ever sent.
"""

ID_LENGTH: Final = 30

NOTHING: Final = "nothing but missing values"

_SAMPLE = 200
"""Values looked at to name a shape; a name needs no more."""

_EXAMPLES = 3
"""Values shown in a message."""

_MOSTLY = "mostly "


# -- the shapes ----------------------------------------------------------------------------


def _masked(text: str) -> str:
    """Hide all but the ends of a phone number, and all but a letter of an e-mail address."""
    name, sign, host = text.rpartition("@")
    if sign:
        return shorten(f"{name[:1]}…@….{host.rpartition('.')[2][:3]}")
    return shorten(f"{text[:3]}…{text[-2:]}")


def _only_ids(text: str) -> str:
    """Show the ids in a text and nothing of what stands around them, which may be a name."""
    return " and ".join(map(shorten, CONTACT_ID.findall(text)[:2]))


@dataclass(frozen=True, slots=True)
class _Shape:
    """What text may look like: `example` writes one for a message, None where it may be a name."""

    name: str
    pattern: re.Pattern[str]
    remedy: str = ""
    example: Callable[[str], str] | None = None


def _shape(
    name: str, pattern: str, remedy: str = "", example: Callable[[str], str] | None = None
) -> _Shape:
    return _Shape(name, re.compile(pattern, re.DOTALL), remedy, example)


_ID: Final = CONTACT_ID.pattern
_STRIP: Final = (
    r"Take the ids out with df[column].str.extract(r'(ctc_[0-9A-Z]{26})', expand=False)."
)
_BYTES: Final = "contact ids as bytes"
_LISTS: Final = "contact ids in lists"
_BY_PHONE: Final = (
    "look the contacts up by phone number: df.kirim.match_contacts(phone=column), or at once with "
    "phone=column in bulk_label or resume."
)

CALLS_ITSELF_PHONE: Final = re.compile(
    r"(?i:phone|mobile|msisdn|whatsapp|telp|telepon|handphone|ponsel|(?:^|[\W_])(?:hp|wa|tel|nomor)"
    r"(?:$|[\W_]))"
)
"""A label that promises phone numbers."""

_EMAILS: Final = "e-mail addresses"

PHONES: Final = ("phone numbers", "long numbers, perhaps phone numbers")
"""Shapes that may be looked up by phone."""

_YEAR, _MONTH, _DAY = r"(?:19|20)\d\d", r"(?:0?[1-9]|1[0-2])", r"(?:0?[1-9]|[12]\d|3[01])"
_MONTH_NAME = "[A-Za-z]{3,9}"
_DATE = (
    rf"(?:{_YEAR}[-/.]{_MONTH}(?:[-/.]{_DAY})?|{_DAY}[-/.]{_MONTH}[-/.](?:{_YEAR}|\d\d)"
    rf"|{_MONTH}[-/.]{_DAY}[-/.](?:{_YEAR}|\d\d)|{_DAY}[ -]{_MONTH_NAME}[ -]{_YEAR}"
    rf"|{_MONTH_NAME} {_DAY}, {_YEAR})(?:[T ,]+\d\d?:\d\d[^\n]{{0,20}})?"
)
"""A date as files have them, with or without a time."""

_NO_NUMBER: Final = (
    "A contact id is no number: if ids stood there, read the file again with dtype=str."
)
_MARKS: Final = r"['\"`´‘’‚‛“”„«»‹›]"


def _numbers(pattern: str) -> _Shape:
    return _shape("numbers", pattern, _NO_NUMBER)


# The first that fits the whole text, stripped, names it.
_SHAPES: Final = (
    _shape("contact ids", _ID, example=lambda text: shorten(text)),
    _shape(
        "several contact ids in one cell",
        f".*{_ID}.*{_ID}.*",
        "Give each id its row: df.assign(contact_id=df[column].str.findall(r'ctc_[0-9A-Z]{26}'))"
        ".explode('contact_id').",
        _only_ids,
    ),
    _shape(
        _BYTES,
        rf"[bB](['\"]){_ID}\1",
        _STRIP.replace(".str", ".astype(str).str"),
        lambda text: shorten(text),
    ),
    _shape("contact ids in a spreadsheet formula", f"=.*{_ID}.*", _STRIP, _only_ids),
    _shape(
        "contact ids in quotes or apostrophes",
        rf"{_MARKS}+\s*{_ID}\s*{_MARKS}*|{_ID}\s*{_MARKS}+",
        _STRIP,
        lambda text: shorten(text),
    ),
    _shape(
        "contact ids in brackets",
        rf"[\[({{<]+[\s'\"]*{_ID}[\s'\",;]*[\])}}>]*|{_ID}[\])}}>]+",
        _STRIP,
        lambda text: shorten(text),
    ),
    _shape("contact ids in links", rf"\S*[/=]{_ID}\S*", _STRIP, _only_ids),
    _shape(
        "contact ids with invisible or foreign characters",
        r"(?=.*[^ -~])(?:.*ctc_.*|\S{3}[_\uff3f]\S{26})",
        "Remove those characters at the source.",
        lambda text: shorten(text),
    ),
    _shape(
        "contact ids with the letter I, L, O or U, which ids never have",
        "ctc_[0-9A-Z]{26}",
        "Where O stands for 0, or I or L for 1, they were typed or read by a machine: take them "
        "from their source again.",
        lambda text: shorten(text),
    ),
    _shape(
        "contact ids in the wrong case",
        "(?i:ctc_[0-9a-z]{26})",
        "Ids are upper case behind ctc_, and are not changed here: take them from their source "
        "again.",
        lambda text: shorten(text),
    ),
    _shape("contact ids within other text", rf"(?:.*[^\w])?{_ID}(?:[^\w].*)?", _STRIP, _only_ids),
    _shape(
        "contact ids with characters missing, added or changed",
        "ctc_.*",
        "Take them from their source again.",
        lambda text: shorten(text),
    ),
    _shape("contact ids within other text", rf".*{_ID}.*", _STRIP, _only_ids),
    _shape(
        "texts like contact ids without ctc_",
        f"[{ID_CHARACTERS}]{{26}}",
        "If they are Kirim's contact ids, put the prefix before them: 'ctc_' + df[column].",
    ),
    _shape(
        _LISTS,
        r"(?!)",  # no text is a list
        "Give each id its row: df.explode(column).",
    ),
    _shape(
        "label ids",
        "lbl_.*",
        "A label id is the first argument; the column has to hold contacts.",
        lambda text: shorten(text),
    ),
    _shape(
        _EMAILS,
        r"\S+@\S+\.\S+",
        _BY_PHONE.replace("phone number", "e-mail address")
        .replace("phone=", "email=")
        .capitalize(),
        _masked,
    ),
    _shape("dates", _DATE),  # before phone numbers: it looks like one
    # With separators of thousands, which differ from country to country.
    _numbers(r"-?\d{1,3}(?:\.\d{3})+(?:,\d+)?|-?\d{1,3}(?:,\d{3})+(?:\.\d+)?"),
    _numbers(r"-?[1-9]\d{0,8}|0|-?\d+[.,]\d+(?:[eE][+-]?\d+)?"),
    _shape(
        "phone numbers",
        r"(?=(?:\D*\d){8,15}\D*\Z)(?:\+|\(|0|\d+[\s.()-])[\d\s().-]+",
        _BY_PHONE.capitalize(),
        _masked,
    ),
    _shape(
        "long numbers, perhaps phone numbers", r"\d{10,15}", f"If they are, {_BY_PHONE}", _masked
    ),
    _numbers(r"-?\d+"),
)
_BY_NAME: Final = {shape.name: shape for shape in reversed(_SHAPES)}


def remedy_for(shape: str) -> str:
    """Say what to do about malformed ids of a shape; empty where nothing special is known.

    Parameters
    ----------
    shape
        As `shape_of` names it.
    """
    known = _BY_NAME.get(shape)
    return known.remedy if known else ""


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
        return next((shape.name for shape in _SHAPES if shape.pattern.fullmatch(text)), "text")
    if issubclass(kind, (bool, np.bool_)):
        return "true/false values"
    if issubclass(kind, (int, float, np.number)):
        return "numbers"
    if issubclass(kind, bytes):
        text = bytes.decode(value, "latin-1")  # type: ignore[arg-type]  # it is bytes
        if CONTACT_ID.fullmatch(text.strip()):
            return _BYTES
    if kind in (list, tuple) and any(map(_is_id, value[:_EXAMPLES])):  # type: ignore[index]
        return _LISTS
    return f"objects of type {kind.__name__}"


def _is_id(value: object) -> bool:
    return type(value) is str and CONTACT_ID.fullmatch(value.strip()) is not None


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


# -- malformed values by shape -------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Kind:
    """Malformed values of one shape.

    Attributes
    ----------
    shape : str
        Such as ``"phone numbers"``.
    rows : int
        How many rows have one.
    examples : tuple of str
        Some of them, fit to be shown.
    """

    shape: str
    rows: int
    examples: tuple[str, ...] = ()


def kinds_of(values: Iterable[object], rows: Iterable[int]) -> tuple[Kind, ...]:
    """Sort malformed values by what they look like, those of most rows first.

    Parameters
    ----------
    values
        Distinct, without missing ones.
    rows
        How many rows have each.

    Returns
    -------
    tuple of Kind
        Three examples in all.
    """
    members: dict[str, list[object]] = {}
    counts: Counter[str] = Counter()
    for value, number in zip(values, rows, strict=True):
        shape = shape_of_one(value)
        counts[shape] += number
        members.setdefault(shape, []).append(value)
    kinds = []
    room = _EXAMPLES
    for left, (shape, number) in zip(range(len(counts), 0, -1), counts.most_common(), strict=True):
        # Each kind gets its share of the examples, the more frequent one before the others.
        shown = examples_of(shape, members[shape])[: -(-room // left)]
        room -= len(shown)
        kinds.append(Kind(shape, number, shown))
    return tuple(kinds)


def examples_of(shape: str, values: Iterable[object]) -> tuple[str, ...]:
    """Write up to three values for a message, with nothing in them that tells who is meant.

    Parameters
    ----------
    shape
        As `shape_of` names it.
    values
        Those of another shape are left out.

    Returns
    -------
    tuple of str
        Ids shortened, phone numbers and e-mail addresses with their middle hidden; none of other
        values, which may be names.
    """
    write = _BY_NAME[shape].example if shape in _BY_NAME else None
    if write is None:
        return ()
    texts = (
        str.strip(value)  # type: ignore[arg-type]  # it is a str
        for value in values
        if issubclass(type(value), str) and shape_of_one(value) == shape
    )
    return tuple(islice(dict.fromkeys(map(write, texts)), _EXAMPLES))


# -- dtypes, objects and labels in words ---------------------------------------------------

_ARROW_TEXT: Final = re.compile(
    r"null|(?:large_)?(?:string|binary)(?:_view)?|fixed_size_binary.*"
    r"|dictionary<values=(?:large_)?(?:string|binary).*|run_end_encoded<.*values: .*string.*"
)
_ARROW_WORDS: Final = (
    ("true/false values", "bool"),
    ("numbers", r"u?int\d+|double|float|halffloat|decimal\d+.*|dictionary<values=u?int.*"),
    ("dates", r"date\d+.*|timestamp.*"),
    ("times of day", r"time\d+.*"),
    ("durations", "duration.*|month_day_nano_interval"),
)


def held_by(dtype: Any) -> str | None:
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
    if isinstance(dtype, pd.ArrowDtype):  # pandas raises for the numpy type of some of them
        return _held_by_arrow(str(dtype.pyarrow_dtype))
    checks: tuple[tuple[str, bool], ...] = (
        ("true/false values", types.is_bool_dtype(dtype)),
        ("numbers", types.is_numeric_dtype(dtype)),
        ("dates", types.is_datetime64_any_dtype(dtype) or isinstance(dtype, pd.PeriodDtype)),
        ("durations", types.is_timedelta64_dtype(dtype)),
        ("intervals", isinstance(dtype, pd.IntervalDtype)),
    )
    return next((words for words, holds in checks if holds), None)


def _held_by_arrow(arrow_type: str) -> str | None:
    if _ARROW_TEXT.fullmatch(arrow_type):
        return None
    words = (words for words, pattern in _ARROW_WORDS if re.fullmatch(pattern, arrow_type))
    nested = re.split(r"[<\[]", arrow_type.removeprefix("extension<arrow."))[0].rstrip(">")
    return next(words, f"{nested} values")


def described(value: object) -> str:
    """Write a foreign object for a message: its type and shape, nothing of what it holds.

    Parameters
    ----------
    value
        Anything.

    Returns
    -------
    str
        Such as ``"None"``, ``"a DataFrame of 3 rows and 2 columns"``, ``"a list"``.
    """
    kind = type(value)
    if value is None:
        return "None"
    if issubclass(kind, pd.DataFrame):
        rows, columns = value.shape  # type: ignore[attr-defined]  # it is a frame
        return f"a DataFrame of {rows:,} rows and {columns:,} columns"
    if issubclass(kind, (pd.Series, pd.Index, np.ndarray)):
        return f"{_article(kind.__name__)} {kind.__name__} of {value.size:,} values"  # type: ignore[attr-defined]
    if issubclass(kind, type):
        return f"the class {value.__name__}"  # type: ignore[attr-defined]
    return f"{_article(kind.__name__)} {kind.__name__}"


def expect(value: object, kinds: Any, *, argument: str, expected: str) -> None:
    """Refuse an argument of another type, in our words.

    Raises
    ------
    InvalidInputError
        It is of none of the types.
    """
    if not isinstance(value, kinds):
        raise InvalidInputError(f"{argument}: found {described(value)}, expected {expected}.")


def _article(word: str) -> str:
    return "an" if word[:1].lower() in "aeiou" else "a"


def shorten(value: object) -> str:
    """Write a value for a message: cut in the middle, every odd character as a code point.

    Parameters
    ----------
    value
        Anything; of an object that is no text only the type is told (its ``__str__`` may raise).

    Returns
    -------
    str
        At most 60 or so printable ASCII characters, such as ``'ctc_01HXYZ…VWX'``; a text that is
        cut and has not the length of an id says how long it is.
    """
    if not issubclass(type(value), str):
        return f"<{type(value).__name__}>"
    text = str.strip(value)  # type: ignore[arg-type]  # it is a str
    length = len(text)
    if length > 16:
        text = f"{text[:10]}…{text[-4:]}"
    shown = (c if " " <= c <= "~" or c == "…" else f"<U+{ord(c):04X}>" for c in text)
    told = f" ({length} characters)" if length > 16 and length != ID_LENGTH else ""
    return f"'{''.join(shown)}'{told}"


_LABEL_TYPES: Final = (bool, int, float, date, pd.Timedelta, pd.Interval, pd.Period)


def name_of(label: Hashable) -> str:
    """Write a column or level label for a message.

    Parameters
    ----------
    label
        Any label; its ``repr`` is cut at 60 characters.  Of what is no label, such as a column
        where its name was expected, only type and shape are told.
    """
    kind = type(label)
    if issubclass(kind, str):
        plain = str.__str__(label)
        text = hidden(plain) or (repr(plain) if plain.isprintable() else ascii(plain))
    elif issubclass(kind, tuple):
        text = f"({', '.join(map(name_of, label))})"  # type: ignore[call-overload]
    elif issubclass(kind, np.generic):
        text = repr(label.item())  # type: ignore[attr-defined]
    elif label is None or issubclass(kind, _LABEL_TYPES):
        text = repr(label)
    else:
        text = f"<{described(label)}>"
    return text if len(text) <= 60 else f"{text[:45]}…{text[-12:]}"


def hidden(text: str) -> str:
    """Hide the middle of a text that is a phone number or an e-mail address; "" for any other."""
    return _masked(text.strip()) if shape_of_one(text) in (*PHONES, _EMAILS) else ""


def printable(text: str) -> str:
    """Make a text that ``print`` can write here, whatever the encoding of the output is.

    Parameters
    ----------
    text
        Any text.

    Returns
    -------
    str
        The same; where the output cannot write a character, three dots for an ellipsis and a
        backslash escape for any other.
    """
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    try:
        text.encode(encoding)
    except UnicodeError:
        plain = text.replace("…", "...").replace("–", "-")
        return plain.encode(encoding, "backslashreplace").decode(encoding)
    return text
