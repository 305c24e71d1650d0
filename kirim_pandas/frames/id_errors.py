"""What to say where no contact ids were found: what is there, what was expected, what to do."""

from __future__ import annotations

import re
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Final, Protocol

from kirim_pandas.errors import InvalidInputError
from kirim_pandas.frames.columns import Place, listed
from kirim_pandas.frames.shapes import (
    CALLS_ITSELF_PHONE,
    NOTHING,
    PHONES,
    examples_of,
    name_of,
    remedy_for,
    shape_of,
    shape_of_one,
    told_shape,
)

_CALLS_ITSELF_ID: Final = re.compile(r"(?i:(?:^|[\W_])id(?:$|[\W_])|contact|kontak)|[a-z]I[dD]$")
"""A label that promises ids: ``id``, ``contact_id``, ``CustomerId`` …"""


@dataclass(frozen=True)
class Found:
    """What a place holds that is not the place of the ids.

    Attributes
    ----------
    place : Place
        Where.
    shape : str
        As `shape_of` names it.
    told : str
        The same in the words of a message.
    usable : int
        Rows with a contact id.
    """

    place: Place
    shape: str
    told: str
    usable: int = 0


def no_text_in(place: Place, held: str) -> InvalidInputError:
    """Refuse a chosen column whose dtype can hold no ids.

    Parameters
    ----------
    place
        The column.
    held
        What it holds, such as ``"numbers"``.
    """
    if held == "numbers" and _calls_itself_phone(place):
        remedy = _remedy("phone numbers", place)
    elif held == "numbers":
        remedy = (
            "A number cannot keep an id (a float loses digits from the 16th on): if the file has "
            f"ids there, read it again with {_read_as_text(place.label)}. {_right_one(place)}"
        )
    else:
        remedy = _right_one(place)
    return InvalidInputError(
        f"{place}: found {held} ({place.array.dtype}), expected contact ids, which are text (ctc_ "
        f"and 26 characters). {remedy}"
    )


class Judged(Protocol):
    """The values of a column, judged."""

    @property
    def present(self) -> int:
        """Rows that are not missing."""

    @property
    def odd(self) -> list[object]:
        """Malformed values."""


def no_id_among(place: Place, reading: Judged) -> InvalidInputError:
    """Refuse a chosen column of which not one value is a contact id.

    Parameters
    ----------
    place
        The column.
    reading
        Its values.
    """
    shape = shape_of(reading.odd)
    shown = examples_of(shape, reading.odd)
    such = f", such as {listed(list(shown))}" if shown else ""
    return InvalidInputError(
        f"{place}: none of its {reading.present:,} values is a contact id; found "
        f"{told_shape(reading.odd)}{such}; expected ctc_ and 26 characters of 0-9 and A-Z without "
        f"I, L, O, U. {_remedy(shape, place) or _right_one(place)}"
    )


def several_candidates(places: list[Place]) -> InvalidInputError:
    """Refuse to choose between places that all hold contact ids."""
    return InvalidInputError(
        f"found {len(places)} places with contact ids, expected one: "
        f"{listed([str(place) for place in places])}. "
        "Say which with id_column=, or drop or rename the others (an index without a name "
        "gets one with df.rename_axis('contact_id'))."
    )


def no_candidate(found: list[Found]) -> InvalidInputError:
    """Refuse a frame without a column or index level of contact ids.

    Parameters
    ----------
    found
        What its places hold.
    """
    holdings = listed([f"{one.place}: {one.told}" for one in found]) or "no columns at all"
    return InvalidInputError(
        "found no column or index level of which at least half of the values are contact ids "
        f"(ctc_ and 26 characters). Found: {holdings}. {_advice(found)}"
    )


def _advice(found: list[Found]) -> str:
    """Say what helps with these columns: the likeliest place of ids first."""
    named = [one for one in found if one.place.label is not None]
    if any(shape_of_one(one.place.label) in _NO_LABELS for one in named):
        return (
            "The first row of the file seems to have been taken for the names of its columns: read "
            "it again with pd.read_csv(..., header=None, names=[...])."
        )
    some = [name_of(one.place.label) for one in named if one.usable]
    if some:
        named_so = f"name it: id_column={' or id_column='.join(some[:3])}"
        broken = _shape_advices([one for one in named if one.usable], _LIKE_IDS)
        return " ".join([f"If one of these is meant, {named_so}.", *broken[:1]])
    called_ids = [one for one in named if _CALLS_ITSELF_ID.search(str(one.place.label))]
    advice = [
        *_shape_advices(found, _LIKE_IDS),
        *(_name_advice(one) for one in called_ids if _is_of_contacts(one.place)),
        *_shape_advices(found, *PHONES),
        *map(_number_advice, named),
        *map(_name_advice, called_ids),
        *_shape_advices(found, "e-mail addresses"),
        "Add the contact ids first, as Kirim has them, for example with df.merge().",
    ]
    return next(filter(None, advice))


_NO_LABELS: Final = ("contact ids", "e-mail addresses", "phone numbers")
"""Shapes of what no column is called."""

_LIKE_IDS: Final = ("contact ids", "several contact ids", "texts like contact ids")


def _shape_advices(found: list[Found], *shapes: str | tuple[str, ...]) -> list[str]:
    """Say what helps with columns of these shapes, the first shape's columns first."""
    return [_shape_advice(one) for shape in shapes for one in found if one.shape.startswith(shape)]


def _shape_advice(one: Found) -> str:
    return f"{_head(one.place)}: {_remedy(one.shape, one.place)}"


def _number_advice(one: Found) -> str:
    """Say what helps with a column of numbers that calls itself phone."""
    if one.shape != "numbers" or not _calls_itself_phone(one.place):
        return ""
    return f"{_head(one.place)}: {_remedy('phone numbers', one.place)}"


def _calls_itself_phone(place: Place) -> bool:
    return place.label is not None and bool(CALLS_ITSELF_PHONE.search(str(place.label)))


def _is_of_contacts(place: Place) -> bool:
    """Whether a column promises Kirim's own ids, and not those of another system."""
    says_so = re.search("(?i:contact|kontak)", str(place.label))
    return bool(says_so) and not _calls_itself_phone(place)


def _remedy(shape: str, place: Place) -> str:
    """Say what to do about a shape, with the column's own name where there is one."""
    remedy = remedy_for(shape)
    if place.kind == "values" and "match_contacts" in remedy:
        return "Look the contacts up: series.kirim.match_contacts() gives their ids."
    if place.label is None:
        return remedy
    name = name_of(place.label)
    return re.sub(r"(?<=[=\[(])column\b", lambda _found: name, remedy)


def _name_advice(one: Found) -> str:
    """Say what helps with a column that calls itself ids and holds numbers or nothing."""
    if one.shape == "numbers":
        return (
            f"{_head(one.place)}: a contact id is no number; if the file has ids there, read "
            f"it again with {_read_as_text(one.place.label)}."
        )
    if one.shape == NOTHING:
        return f"{_head(one.place)} has no value in any row: fill the ids in from their source."
    return ""


def _head(place: Place) -> str:
    """Name a place at the head of a sentence."""
    text = str(place)
    return text[:1].upper() + text[1:]


def _right_one(place: Place) -> str:
    if place.kind == "values":  # a Series: there is nothing to choose from
        return "Is it the wrong column? Take the one of contact ids."
    return "Is it the wrong column? Name the right one with id_column=."


def _read_as_text(label: Hashable) -> str:
    return f"pd.read_csv(..., dtype={'str' if label is None else f'{{{name_of(label)}: str}}'})"
