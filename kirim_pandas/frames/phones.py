"""Phone numbers and e-mail addresses as people write them, in the one form they are looked up in.

Numbers are read by the port of Google's libphonenumber. What cannot be one certain number is
malformed, never guessed: a cell with two numbers, a number that a spreadsheet has rounded, a
number with an extension.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from difflib import get_close_matches
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kirim_pandas.errors import InvalidInputError
from kirim_pandas.frames.shapes import described, name_of

GIVEN: Final = 0
MISSING: Final = 1
MALFORMED: Final = 2

EXACT_FLOAT = 2.0**53
"""Up to here a float holds every whole number; a phone number has at most 15 digits."""

_SEVERAL = re.compile(r"[,;/|&\n]")
_EMAIL = re.compile(r"[^@\s,;<>]+@[^@\s,;<>]+\.[^@\s,;<>]+")
MOST_DIGITS = 15
"""With the country code, by E.164; plans of some countries are given longer ones as possible."""

LEAST_DIGITS = 6
"""A part of a cell with fewer digits is no number of its own: an area code, say."""


def check_country(country: object) -> str:
    """Return an ISO code of a country, in capitals.

    Raises
    ------
    InvalidInputError
        There is no such country.
    """
    from phonenumbers import SUPPORTED_REGIONS

    code = country.strip().upper() if isinstance(country, str) else ""
    if code in SUPPORTED_REGIONS:
        return code
    near = get_close_matches(code, sorted(SUPPORTED_REGIONS), n=3, cutoff=0.5) if code else []
    hint = f"; near it are {', '.join(near)}" if near else ""
    shown = name_of(country) if isinstance(country, str) else described(country)
    raise InvalidInputError(
        f"country: found {shown}, expected two letters of ISO 3166, such as 'ID' for "
        f"Indonesia{hint}. Numbers with a country code, such as +62…, are read whatever it is."
    )


def read_phones(values: pd.Series[Any], country: str) -> tuple[NDArray[np.object_], NDArray[Any]]:
    """Read phone numbers.

    Parameters
    ----------
    values
        Text or whole numbers.
    country
        Where numbers without a country code are from (ISO 3166, two letters).

    Returns
    -------
    numbers : ndarray of object, shape (rows,)
        In the form ``+6281234567890`` (E.164); None where there is none.
    found : ndarray of int8, shape (rows,)
        ``GIVEN``, ``MISSING`` or ``MALFORMED``.
    """
    return _read(values, lambda text: _phone(text, country))


def read_emails(values: pd.Series[Any]) -> tuple[NDArray[np.object_], NDArray[Any]]:
    """Read e-mail addresses, in small letters; returns as :func:`read_phones`."""
    return _read(values, lambda text: text.lower() if _EMAIL.fullmatch(text) else None)


def _read(
    values: pd.Series[Any], read: Callable[[str], str | None]
) -> tuple[NDArray[np.object_], NDArray[Any]]:
    """Read each different value once."""
    try:
        codes, different = pd.factorize(values.astype(object), use_na_sentinel=True)
    except TypeError:  # lists, dicts
        codes, different = pd.factorize(values.map(type, na_action="ignore").astype(object))
    texts = [_text(value) for value in different]
    numbers = np.empty(len(texts) + 1, dtype=object)
    numbers[: len(texts)] = [read(text) if text else None for text in texts]
    kinds = [
        MISSING if text == "" else GIVEN if number is not None else MALFORMED
        for text, number in zip(texts, numbers, strict=False)
    ]
    return numbers[codes], np.array([*kinds, MISSING], dtype=np.int8)[codes]


def _text(value: object) -> str | None:
    """Return a value as text without white space around it; None for what cannot be a text."""
    if isinstance(value, str):
        return value.strip().strip("\ufeff\u200b\u200e\u200f\u202a\u202c'").strip()
    if isinstance(value, bool | np.bool_):
        return None
    if isinstance(value, int | np.integer):
        return str(int(value))
    if isinstance(value, float | np.floating):
        # One missing value turns a column of whole numbers into floats.
        number = float(value)
        return str(int(number)) if number.is_integer() and abs(number) < EXACT_FLOAT else None
    return None


def _phone(text: str, country: str) -> str | None:
    from phonenumbers import (
        NumberParseException,
        PhoneNumberFormat,
        format_number,
        is_possible_number,
        parse,
    )

    text = text.removeprefix("tel:").removesuffix(".0")  # a float before it became text
    if not _may_be_one(text):
        return None
    text = re.sub(r"\A00(?=[1-9])", "+", text)  # the international prefix of most countries
    try:
        number = parse(text, country)
    except NumberParseException:
        return None
    # Possible is enough: numbering plans change faster than lists of valid numbers.
    if number.extension or not is_possible_number(number):
        return None
    written = str(format_number(number, PhoneNumberFormat.E164))
    return written if _digits(written) <= MOST_DIGITS else None


def _may_be_one(text: str) -> bool:
    """Whether a text is not several numbers, and no letters, which libphonenumber would dial."""
    numbers = sum(_digits(part) >= LEAST_DIGITS for part in _SEVERAL.split(text))
    return numbers <= 1 and not any(map(str.isalpha, text))


def _digits(text: str) -> int:
    return sum(character.isdigit() for character in text)
