"""From a frame to contact ids: which column, which rows, in which order.

The input is only read.

What is decided here, and why:

- A column is *the* id column by itself only if at least half of its non-missing values are contact
  ids, and no other column or level is.  Anything less could be a column of remarks.
- A column that the caller named (or a Series) may hold any share of malformed ids: each costs its
  row.  But if not one value is a contact id, it is the wrong column, and an error.
- Missing values are no evidence against a column: a named column of nothing but missing values
  is a result in which nothing was sent; so is a frame without rows.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kirim_pandas.errors import InvalidInputError
from kirim_pandas.frames.columns import (
    Place,
    check_label,
    check_names,
    find_place,
    grouped,
    places_of,
)
from kirim_pandas.frames.id_errors import (
    Found,
    no_candidate,
    no_id_among,
    no_text_in,
    several_candidates,
)
from kirim_pandas.frames.packed import PackedIds
from kirim_pandas.frames.shapes import (
    CONTACT_ID,
    NOTHING,
    Kind,
    described,
    held_by,
    kinds_of,
    name_of,
    shape_of,
    told_shape,
)
from kirim_pandas.frames.values import MALFORMED_CODE, MISSING_CODE, Reading, read_ids, readable

USABLE: Final = 0
MISSING: Final = 1
MALFORMED: Final = 2
NOT_FOUND: Final = 3
AMBIGUOUS: Final = 4
MALFORMED_PHONE: Final = 5
MALFORMED_EMAIL: Final = 6

NO_CONTACT: Final = {
    MISSING: "missing_id",
    MALFORMED: "malformed_id",
    NOT_FOUND: "not_found",
    AMBIGUOUS: "ambiguous",
    MALFORMED_PHONE: "malformed_phone",
    MALFORMED_EMAIL: "malformed_email",
}
"""Reasons of rows without a contact."""

_NOBODY: Final = {"missing": MISSING, "not_found": NOT_FOUND, "ambiguous": AMBIGUOUS}
UNMATCHED: Final = {
    "phone": _NOBODY | {"malformed": MALFORMED_PHONE},
    "email": _NOBODY | {"malformed": MALFORMED_EMAIL},
}
"""What a look-up says of rows without a contact, by what was looked up."""

_SAMPLE_ROWS = 200
"""Rows that show whether a long column is worth reading: of a column that is half contact ids,
200 random values hold none once in 10**60 frames."""


@dataclass(frozen=True, eq=False)
class ContactIds:
    """The contacts of a frame, and which of them each row means.

    Attributes
    ----------
    ids : PackedIds, length contacts
        Distinct contact ids in sending order: first appearance in the frame; with a hint,
        contacts of one hint value next to each other.
    position : ndarray of int32, shape (rows,)
        Where in `ids` the row's contact stands; -1 for a row without one.
    unusable : ndarray of int8, shape (rows,)
        ``USABLE`` (0), or one of `NO_CONTACT`.
    groups : ndarray of int64, shape (contacts,), or None
        Number of the contact's hint value, ascending along `ids`; None without a hint.
    index : Index
        The input's, as it is.
    source : str
        Where the ids were found, such as ``"column 'contact_id'"``.
    stripped : int
        Rows whose id had white space around it.
    odd : list
        Malformed values, as `Reading` has them.
    odd_rows : list of int
        How many rows have each.
    given : string array, shape (rows,), or None
        The column itself, if its texts are those that are sent.
    hint : tuple of str
        The columns of the hint, as a message names them; empty without a hint.
    looked_up : str
        ``"phone"`` or ``"email"`` where the contacts were looked up; else empty.
    reads : int
        Requests that the look-up took.
    """

    ids: PackedIds
    position: NDArray[np.int32]
    unusable: NDArray[np.int8]
    groups: NDArray[np.int64] | None
    index: pd.Index[Any]
    source: str
    stripped: int
    odd: list[object]
    odd_rows: list[int]
    hint: tuple[str, ...]
    given: Any = None

    def reordered(self, order: NDArray[np.int64]) -> ContactIds:
        """Return the same rows with their contacts sent in another order."""
        place = np.full(len(order) + 1, -1, dtype=np.int32)  # the last for rows without a contact
        place[order] = np.arange(len(order), dtype=np.int32)
        return replace(self, ids=self.ids[order], position=place[self.position])

    @cached_property
    def text(self) -> Any:
        """The id of each row as it is sent, a string array; NA where there is none."""
        return self.ids.of_rows(self.position) if self.given is None else self.given

    looked_up: str = ""
    reads: int = 0

    @property
    def how(self) -> str:
        """What a resume has to be told of the frame, as it follows the run id in a call."""
        return f", {self.looked_up}=..." if self.looked_up else ""

    @property
    def rows(self) -> int:
        """Rows of the input."""
        return len(self.position)

    @property
    def contacts(self) -> int:
        """Distinct usable ids."""
        return len(self.ids)

    @property
    def missing(self) -> int:
        """Rows without an id, or without what was to be looked up."""
        return self.count(MISSING)

    @property
    def malformed(self) -> int:
        """Rows whose value is no contact id, or nothing that could be looked up."""
        return self.count(MALFORMED, MALFORMED_PHONE, MALFORMED_EMAIL)

    @property
    def not_found(self) -> int:
        """Rows whose look-up found nobody."""
        return self.count(NOT_FOUND)

    @property
    def ambiguous(self) -> int:
        """Rows whose look-up found several contacts."""
        return self.count(AMBIGUOUS)

    def count(self, *kinds: int) -> int:
        """Count the rows of some kinds."""
        return int(np.isin(self.unusable, kinds).sum())

    @cached_property  # judging a column of other things takes a while, and only a plan asks
    def malformed_kinds(self) -> tuple[Kind, ...]:
        """What the malformed values look like, those of most rows first."""
        return kinds_of(self.odd, self.odd_rows)

    @property
    def duplicates(self) -> int:
        """Rows whose contact stands in an earlier row too."""
        return self.count(USABLE) - self.contacts

    def __repr__(self) -> str:
        return (
            f"ContactIds({self.source}: rows={self.rows}, contacts={self.contacts}, "
            f"duplicates={self.duplicates}, missing={self.missing}, malformed={self.malformed}, "
            f"stripped={self.stripped})"
        )


def collect_ids(
    obj: pd.DataFrame | pd.Series[Any] | pd.Index[Any],
    id_column: Hashable | None = None,
    *,
    hint: Hashable | list[Hashable] | None = None,
) -> ContactIds:
    """Find the contact ids of a frame, a Series or an Index.

    Parameters
    ----------
    obj
        What the caller has; it is not changed.
    id_column
        Name of the column or index level with the ids.  By default the one whose non-missing
        values are contact ids; of a Series its values.
    hint
        Column(s) or index level(s) whose equal values become adjacent in sending order.

    Returns
    -------
    ContactIds
        One entry per row and one per contact.

    Raises
    ------
    InvalidInputError
        No usable id column or hint; the message has all problems, one a line.

    Examples
    --------
    >>> import pandas as pd
    >>> df = pd.DataFrame({"contact_id": ["ctc_01HXYZABCDEFGHJKMNPQRSTVWX", None]})
    >>> collect_ids(df)
    ContactIds(column 'contact_id': rows=2, contacts=1, duplicates=0, missing=1, malformed=0, \
stripped=0)
    """
    frame, values = _as_frame(obj)
    problems: list[str] = []
    place, reading, groups = None, None, None
    try:
        place, reading = _id_place(frame, values, id_column)
    except InvalidInputError as error:
        problems.append(str(error))
    try:
        groups = _hint_codes(frame, hint)
    except InvalidInputError as error:
        problems.append(str(error))
    if problems or reading is None:
        raise InvalidInputError("\n".join(problems))
    labels = _hint_labels(hint)
    return _in_sending_order(reading, groups, frame.index, str(place or "no column"), labels)


def collect_matched(
    frame: pd.DataFrame,
    matched: pd.DataFrame,
    *,
    looked_up: str,
    source: str,
    reads: int = 0,
    hint: Hashable | list[Hashable] | None = None,
) -> ContactIds:
    """Take the contacts of a frame from a look-up.

    Parameters
    ----------
    frame
        What the caller has.
    matched
        One row for each of `frame`: contact_id and match.
    looked_up
        ``"phone"`` or ``"email"``.
    source
        Where that was found, such as ``"column 'phone'"``.
    reads
        Requests it took.
    hint
        As for `collect_ids`.

    Raises
    ------
    InvalidInputError
        The hint is not usable.
    """
    groups, labels = _hint_codes(frame, hint), _hint_labels(hint)
    told = f"{source}, looked up"
    ids = _in_sending_order(
        read_ids(matched["contact_id"].array), groups, frame.index, told, labels
    )
    for word, kind in UNMATCHED[looked_up].items():
        ids.unusable[(matched["match"] == word).to_numpy()] = kind
    return replace(ids, looked_up=looked_up, reads=reads)


def _as_frame(obj: object) -> tuple[pd.DataFrame, Place | None]:
    """See everything as a frame; a Series' or a plain Index' values are where its ids are."""
    if isinstance(obj, pd.DataFrame):
        return obj, None
    if isinstance(obj, pd.Series):
        # Not to_frame(): a Series without a name would become a column called 0.
        return pd.DataFrame(index=obj.index), Place(obj.name, "values", obj.array)
    if isinstance(obj, pd.MultiIndex):
        return pd.DataFrame(index=obj), None
    if isinstance(obj, pd.Index):
        return pd.DataFrame(index=obj), Place(obj.name, "index level", obj.array)
    raise InvalidInputError(f"found {described(obj)}, expected a DataFrame, a Series or an Index.")


def _id_place(
    frame: pd.DataFrame, values: Place | None, id_column: Hashable | None
) -> tuple[Place | None, Reading]:
    if id_column is not None:
        check_label(id_column, argument="id_column")
        return _named_place(frame, values, id_column)
    if values is not None:
        return values, _read_chosen(values)
    if len(frame) == 0:
        return None, read_ids(np.empty(0, dtype=object))
    return _the_candidate(frame)


def _named_place(
    frame: pd.DataFrame, values: Place | None, id_column: Hashable
) -> tuple[Place, Reading]:
    if values is None or id_column != values.label:
        place = find_place(frame, id_column, argument="id_column")
        return place, _read_chosen(place)
    if values.kind == "values" and id_column in frame.index.names:
        raise InvalidInputError(
            f"id_column={name_of(id_column)} is ambiguous: it names the Series and a level of "
            "its index, expected one. Leave id_column out to use the values."
        )
    return values, _read_chosen(values)


def _read_chosen(place: Place) -> Reading:
    """Read a column that the caller chose, unless it can only be the wrong one."""
    held = held_by(place.array.dtype)
    if held is not None and not bool(pd.isna(place.array).all()):
        raise no_text_in(place, held)
    reading = read_ids(place.array)
    if reading.present and not reading.usable:
        raise no_id_among(place, reading)
    return reading


def _the_candidate(frame: pd.DataFrame) -> tuple[Place, Reading]:
    """Find the one column or level that holds contact ids."""
    candidates: list[tuple[Place, Reading]] = []
    found: list[Found] = []
    for place in places_of(frame):
        reading, told = looked_at(place)
        found.append(told)
        if reading is not None and reading.is_mostly_ids:
            candidates.append((place, reading))
    repeated = frame.columns[frame.columns.duplicated()]
    for place, _ in candidates:
        if place.kind == "column" and place.label in repeated:
            find_place(frame, place.label, argument="id_column")  # raises, and says what to do
    if len(candidates) == 1:
        return candidates[0]
    if candidates:
        raise several_candidates([place for place, _ in candidates])
    raise no_candidate(found)


def looked_at(place: Place) -> tuple[Reading | None, Found]:
    """Read a place if a sample of it holds ids; in any case say what it holds."""
    held = held_by(place.array.dtype)
    if held is not None:
        return None, Found(place, held, held)
    sample = _sample(readable(place.array))
    # Blanks are missing, so a sample of blanks says nothing about the rest.
    if not any(_is_id_or_blank(value) for value in sample):
        return None, Found(place, shape_of(sample), told_shape(sample))
    reading = read_ids(place.array)
    return reading, _found(place, reading)


def id_places(frame: pd.DataFrame) -> list[tuple[Place, Reading]]:
    """List the columns and index levels in which there are contact ids, and what they hold."""
    readings = ((place, looked_at(place)[0]) for place in places_of(frame))
    return [(place, reading) for place, reading in readings if reading and reading.usable]


def _found(place: Place, reading: Reading) -> Found:
    told = told_shape(reading.odd)
    if reading.usable:
        told = told_usable(reading.usable, reading.present, told)
    return Found(place, shape_of(reading.odd), told, reading.usable)


def told_usable(usable: int, present: int, others: str) -> str:
    """Say how many values are contact ids, and what the others look like, for a message."""
    told = f"{usable:,} contact id{'' if usable == 1 else 's'} among {present:,} values"
    return told if others == NOTHING else f"{told} (the others: {others})"


def _sample(array: Any) -> list[object]:
    """Non-missing values, stripped: all of a short column, some of a long one, always the same."""
    rows = np.flatnonzero(~np.asarray(pd.isna(array)))
    if len(rows) > _SAMPLE_ROWS:
        rows = rows[np.random.default_rng(0).integers(len(rows), size=_SAMPLE_ROWS)]
    return [str.strip(v) if issubclass(type(v), str) else v for v in array[rows]]


def _is_id_or_blank(value: object) -> bool:
    return type(value) is str and (not value or CONTACT_ID.fullmatch(value) is not None)


def _hint_labels(hint: Hashable | list[Hashable] | None) -> list[Hashable]:
    return hint if isinstance(hint, list) else [] if hint is None else [hint]


def _hint_codes(
    frame: pd.DataFrame, hint: Hashable | list[Hashable] | None
) -> NDArray[np.int64] | None:
    """Number each row by its hint values, in order of first appearance, first hint first."""
    labels = _hint_labels(hint)
    if not labels:
        return None
    check_names(labels, frame, argument="hint")
    combined = np.zeros(len(frame), dtype=np.int64)
    for label in labels:
        codes, uniques = grouped(find_place(frame, label, argument="hint"), argument="hint")
        codes = _missing_too(codes)
        # Renumbered at each step, so that the product of two numbers stays below rows².
        combined = np.unique(combined * (len(uniques) + 1) + codes, return_inverse=True)[1]
    return combined.astype(np.int64, copy=False)


def _missing_too(codes: NDArray[np.int64]) -> NDArray[np.int64]:
    """Number a missing value (-1) like any other, by first appearance."""
    return pd.factorize(codes, use_na_sentinel=False)[0]


def _in_sending_order(
    reading: Reading,
    row_groups: NDArray[np.int64] | None,
    index: pd.Index[Any],
    source: str,
    hint: list[Hashable],
) -> ContactIds:
    unusable = np.zeros(len(reading.codes), dtype=np.int8)
    unusable[reading.codes == MISSING_CODE] = MISSING
    unusable[reading.codes == MALFORMED_CODE] = MALFORMED
    position = np.maximum(reading.codes, -1)
    ids = ContactIds(
        ids=reading.ids,
        position=position,
        unusable=unusable,
        groups=None,
        index=index,
        source=source,
        stripped=reading.stripped,
        odd=reading.odd,
        odd_rows=reading.odd_rows,
        hint=tuple(name_of(label) for label in hint),
        given=reading.given,
    )
    if row_groups is None:
        return ids
    # A contact of several rows belongs to the group of its first.
    rows = np.flatnonzero(position >= 0)
    groups = row_groups[rows[~pd.Series(position[rows]).duplicated().to_numpy()]]
    order = np.argsort(groups, kind="stable")
    return replace(ids.reordered(order), groups=groups[order])
