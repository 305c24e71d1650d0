"""Malformed ids by what they look like, with examples that give nobody away."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice

from kirim_pandas.frames.shapes import shape_of_one, shorten

__all__ = ["Kind", "examples_of", "kinds_of"]

_EXAMPLES = 3
"""Values shown in a message."""


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
    if " ids" in shape:
        write = shorten
    elif "phone numbers" in shape or shape == "e-mail addresses":
        write = _masked
    else:
        return ()
    shown = (write(value) for value in values if shape_of_one(value) == shape)
    return tuple(islice(dict.fromkeys(shown), _EXAMPLES))


def _masked(value: object) -> str:
    """Hide all but the ends of a phone number, and all but a letter of an e-mail address."""
    text = str.strip(value)  # type: ignore[arg-type]  # only text has such a shape
    name, sign, host = text.rpartition("@")
    if sign:
        return shorten(f"{name[:1]}…@….{host.rpartition('.')[2][:3]}")
    return shorten(f"{text[:3]}…{text[-2:]}")
