"""What a result says: counted by status, reason and columns, against another, person by person."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kirim_pandas.errors import InvalidInputError
from kirim_pandas.frames.columns import Place, check_label, check_names, find_place, grouped, listed
from kirim_pandas.frames.ids import NO_CONTACT
from kirim_pandas.frames.pairing import Source, checked_source, pair, result_column
from kirim_pandas.frames.reasons import NO_LABEL, REASONS, reason_for
from kirim_pandas.frames.results import STATUS_DTYPE, STATUSES
from kirim_pandas.frames.shapes import described, name_of

By: TypeAlias = Hashable | Any | list[Any]
"""A column name, an aligned Series or array, or a list of these."""

_CHANGES: Final = ("changed", "only_before", "only_after", "unchanged")
"""What may differ between two results, and what may not."""

_CHANGE_DTYPE: Final = pd.CategoricalDtype(list(_CHANGES))

_OWN_COLUMNS = ("status", "reason", "rows", "contacts", "share")


def statuses_of(result: pd.DataFrame) -> NDArray[np.int64]:
    """Read the statuses as codes into ``STATUSES``; text will do, as from a CSV file.

    Raises
    ------
    InvalidInputError
        A value is no status.
    """
    status = result_column(result, "status").astype("category").cat
    known = pd.Index(STATUSES).get_indexer(status.categories)
    codes = np.append(known, -1)[status.codes].astype(np.int64)  # -1, missing, reads the last
    missing = int((status.codes < 0).sum())
    if missing:
        raise InvalidInputError(
            f"{missing:,} of {len(result):,} rows have no status: a left merge, or pd.concat of "
            "frames with different indexes, leaves them so. Leave them out, with "
            "result.dropna(subset='status')."
        )
    if (codes < 0).any():
        raise InvalidInputError(
            f"the column 'status' holds something else than {', '.join(STATUSES)}; expected a "
            "result of bulk_label."
        )
    return codes


@dataclass(frozen=True, eq=False)
class Counted:
    """What each row of a frame stands for, where the rows themselves were counted elsewhere.

    Attributes
    ----------
    rows, contacts : ndarray of int64, shape (rows of the frame,)
        Rows of a result, and distinct contacts among them.
    """

    rows: NDArray[np.int64]
    contacts: NDArray[np.int64]

    @property
    def customers(self) -> NDArray[np.int64]:
        """Contacts, and each row that means none."""
        return np.where(self.contacts == 0, self.rows, self.contacts)


def checked_result(result: pd.DataFrame) -> None:
    """Refuse a frame without the columns of a result."""
    for name in ("contact_id", "status", "reason"):
        result_column(result, name)


@dataclass(frozen=True, eq=False)
class Grouping:
    """One column to group by.

    Attributes
    ----------
    name : Hashable
        Of the column.
    codes : ndarray of int64, shape (rows,)
        Into `values`.
    values : Index
        Distinct values in the order to show them; may hold one missing value, last.
    """

    name: Hashable
    codes: NDArray[np.int64]
    values: pd.Index[Any]


def groupings(result: pd.DataFrame, by: By, data: Source | None) -> list[Grouping]:
    """Find what to group by, one value per row of the result.

    Parameters
    ----------
    result
        The result frame.
    by
        None; a column or index level of the result or of `data`; a Series with the index of the
        result, or an array as long as it; or a list of these.
    data
        The original frame, whose rows are found by their contact ids.

    Raises
    ------
    InvalidInputError
        A name is unknown, or a length, an index or the contacts do not fit.
    """
    data = checked_source(data)
    found: list[Grouping] = []
    with _pointing_to_data(data, _OR_SERIES):
        check_names(_keys(by), result, *_frames(data), argument="by")
    for key in _keys(by):
        place = _place_of(result, key, data)
        name = "group" if place.label is None else place.label
        own = is_outcome(key)
        if (name in _OWN_COLUMNS and not own) or name in [other.name for other in found]:
            name = f"by_{name}"
        found.append(_grouping(name, place))
    return found


_OR_SERIES: Final = ", or give it as a Series, by=df[...]"


@contextmanager
def _pointing_to_data(data: Source | None, otherwise: str = "") -> Iterator[None]:
    """Say of a name that is not found where else it may be, if that was not looked at."""
    try:
        yield
    except InvalidInputError as error:
        if data is not None:
            raise
        raise InvalidInputError(
            f"{error} A column of the original frame is found with data=df{otherwise}."
        ) from None


def _frames(data: Source | None) -> list[pd.DataFrame]:
    return [] if data is None else [data if isinstance(data, pd.DataFrame) else data.frame]


def _keys(by: By) -> list[Any]:
    return by if isinstance(by, list) else [] if by is None else [by]


def is_outcome(key: object) -> bool:
    """Whether it names the status or the reason, by which everything is counted anyway."""
    return isinstance(key, str) and key in ("status", "reason")


def _place_of(result: pd.DataFrame, key: Any, data: Source | None) -> Place:
    """Find the values of a key, in the rows of the result."""
    if isinstance(key, pd.Series):
        what = f"by ({name_of(key.name)})"
        beside = pair(result, pd.DataFrame(index=key.index), what=what)
        if data is not None and _is_renumbered(result, data):
            raise InvalidInputError(
                f"{what} is a Series, whose rows are found by their index labels, but the result "
                "was put in another order and renumbered since it was made, so its labels mean "
                "other rows now. Give the name of a column, or data= and the name, which go by "
                "contact; or, if it stands row by row beside the result, by=series.array."
            )
        return Place(key.name, "values", beside.take(key.array))
    if isinstance(key, (np.ndarray, pd.Index, pd.api.extensions.ExtensionArray)):
        return _plain_values(result, key)
    check_label(key, argument="by")
    if is_outcome(key):  # also where a column of the caller's frame beside it is called so
        return Place(key, "column", result_column(result, key).array)
    # The result's own columns first: they need no pairing.
    with suppress(InvalidInputError) if data is not None else _pointing_to_data(data, _OR_SERIES):
        return find_place(result, key, argument="by")
    assert data is not None  # else that has raised
    place = find_place(data if isinstance(data, pd.DataFrame) else data.frame, key, argument="by")
    return Place(place.label, place.kind, pair(result, data).take(place.array))


def _is_renumbered(result: pd.DataFrame, data: Source) -> bool:
    """Whether the labels of a result mean other rows of the frame than its contacts do."""
    try:
        rows = pair(result, data).rows
    except InvalidInputError:  # of another result, such as several put together
        return False
    (frame,) = _frames(data)
    in_order = np.array_equal(rows, np.arange(len(frame)))
    return not in_order and not frame.index[rows].equals(result.index)


def _plain_values(result: pd.DataFrame, key: Any) -> Place:
    if key.ndim != 1 or isinstance(key, pd.MultiIndex):
        raise InvalidInputError(
            f"by= is {described(key)} of several columns or levels, expected one value for each "
            "row."
        )
    if len(key) != len(result):
        raise InvalidInputError(
            f"by= has {len(key):,} values, expected one for each of the {len(result):,} rows."
        )
    return Place(getattr(key, "name", None), "values", pd.Series(key).array)


def _grouping(name: Hashable, place: Place) -> Grouping:
    if isinstance(place.array.dtype, pd.CategoricalDtype):  # in the order of the categories
        column = pd.Series(place.array)
        codes, values = column.cat.codes.to_numpy(np.int64), column.cat.categories
    else:
        codes, values = _sorted(*grouped(place, argument="by"))
    if (codes < 0).any():
        codes = np.where(codes < 0, len(values), codes)
        if values.dtype == object:  # before pandas 3, insert() guesses another dtype for them
            values = values.append(pd.Index([np.nan], dtype=object))
        else:
            values = values.insert(len(values), np.nan)
    return Grouping(name, codes.astype(np.int64), values)


def _sorted(
    codes: NDArray[np.int64], values: pd.Index[Any]
) -> tuple[NDArray[np.int64], pd.Index[Any]]:
    try:
        order = values.argsort()
    except TypeError:  # mixed types: first appearance
        return codes, values
    rank = np.empty(len(order) + 1, dtype=np.int64)
    rank[order], rank[-1] = np.arange(len(order)), -1  # code -1 stays -1
    return rank[codes], values[order]


def summary(
    result: pd.DataFrame,
    by: By = None,
    *,
    data: Source | None = None,
    counted: Counted | None = None,
) -> pd.DataFrame:
    """Count rows and contacts by status and reason.

    Parameters
    ----------
    result
        What bulk_label returned.
    by
        A column name of the result or of `data`, an aligned Series or array, or a list of these.
    data
        The original frame, for column names in `by`; its rows are found by their contact ids.
    counted
        What each row of `result` stands for, where it is not one row.

    Returns
    -------
    DataFrame
        One row per combination that occurs, statuses in their fixed order, with a RangeIndex:
        the columns of `by`; status (category), reason (string); rows (int64), contacts (int64,
        distinct ids), share (float64, 0 to 1, of the customers of the group; missing for the
        reason ``no_label``, of those who were not meant).  A customer is a contact, however many
        rows it has; a row without a contact counts as one.

    Raises
    ------
    InvalidInputError
        It is no result frame, or `by` does not fit it.

    Examples
    --------
    >>> import pandas as pd
    >>> result = pd.DataFrame({"contact_id": ["ctc_1", "ctc_2", "ctc_2", None],
    ...                        "status": ["applied", "skipped", "skipped", "not_sent"],
    ...                        "reason": [None, "cross_org", "cross_org", "missing_id"]})
    >>> summary(result)
         status      reason  rows  contacts     share
    0   applied        <NA>     1         1  0.333333
    1   skipped   cross_org     2         1  0.333333
    2  not_sent  missing_id     1         0  0.333333
    """
    checked_result(result)
    # Every count is by status and reason anyway, and shares are of the other groups.
    groups = groupings(result, [key for key in _keys(by) if not is_outcome(key)], data)
    keys = [f"g{i}" for i in range(len(groups))]
    codes = {key: group.codes for key, group in zip(keys, groups, strict=True)}
    sizes, reasons = _sizes(codes, result, counted)
    meant = sizes["customers"].where(_is_meant(sizes, reasons))
    totals = meant.groupby([sizes[key] for key in keys]).transform("sum") if keys else meant.sum()
    return pd.DataFrame(
        {
            group.name: group.values.take(sizes[key].to_numpy())
            for key, group in zip(keys, groups, strict=True)
        }
        | {
            "status": pd.Categorical.from_codes(sizes["status"].to_numpy(), dtype=STATUS_DTYPE),
            "reason": reasons.take(sizes["reason"].to_numpy(), allow_fill=True),
            "rows": sizes["rows"].astype(np.int64),
            "contacts": sizes["contacts"].astype(np.int64),
            "share": (meant / totals).astype(np.float64),
        }
    )


def customers_by(
    codes: dict[str, NDArray[np.int64]], result: pd.DataFrame, counted: Counted | None
) -> pd.DataFrame:
    """Count the customers who were meant, by status, reason and codes.

    Parameters
    ----------
    codes
        Names, and a number for each row of the result.
    result, counted
        As for `summary`.

    Returns
    -------
    DataFrame
        A row per combination that occurs: the names of `codes` and ``customers`` (int64).
    """
    sizes, reasons = _sizes(codes, result, counted)
    return sizes.loc[_is_meant(sizes, reasons), [*codes, "customers"]]


def _is_meant(sizes: pd.DataFrame, reasons: Any) -> NDArray[np.bool_]:
    return (sizes["reason"] != list(reasons).index(NO_LABEL)).to_numpy(dtype=bool)


def _sizes(
    codes: dict[str, NDArray[np.int64]], result: pd.DataFrame, counted: Counted | None
) -> tuple[pd.DataFrame, Any]:
    """Count rows, contacts and customers by codes, status and reason; and what the reasons are."""
    reason, reasons = _reason_codes(result_column(result, "reason"))
    table = pd.DataFrame(codes | {"status": statuses_of(result), "reason": reason})
    names = list(table)
    if counted is not None:
        table = table.assign(
            rows=counted.rows, contacts=counted.contacts, customers=counted.customers
        )
        return table.groupby(names).sum().reset_index(), reasons
    table = table.assign(contact=_contact_codes(result))
    table = table.assign(rows=1, contacts=table["contact"] >= 0, customers=1)
    first = ~table.duplicated([*names, "contact"])
    table["contacts"] &= first
    table["customers"] = np.where(table["contact"] < 0, 1, first)
    return table.drop(columns="contact").groupby(names).sum().reset_index(), reasons


def _contact_codes(result: pd.DataFrame) -> NDArray[np.int64]:
    """Number the contacts; -1 for a row without a usable id, whatever stands in its place."""
    codes = pd.factorize(result_column(result, "contact_id"))[0]
    nobody = result_column(result, "reason").isin(NO_CONTACT.values())
    return np.where(nobody, -1, codes)


def _reason_codes(column: pd.Series[Any]) -> tuple[NDArray[np.int64], Any]:
    """Codes of the reasons, the library's own first in their fixed order, then by name."""
    known = [reason for reason in REASONS if reason]
    others = sorted(set(column.dropna().unique()) - set(known))
    order = [*known, *others]
    codes = pd.Categorical(column, categories=order).codes.astype(np.int64)
    return codes, pd.array(order, dtype="string")


def compare(
    result_a: pd.DataFrame, result_b: pd.DataFrame, *, unchanged: bool = False
) -> pd.DataFrame:
    """List the contacts that differ; documented at ``kirim_pandas.compare``.

    Examples
    --------
    >>> import pandas as pd
    >>> first = pd.DataFrame({"contact_id": ["ctc_1", "ctc_2", "ctc_3"],
    ...                       "status": ["applied", "skipped", "applied"],
    ...                       "reason": [None, "cross_org", None]})
    >>> later = first.iloc[:2].assign(status="applied", reason=None)
    >>> compare(first, later)[["contact_id", "change", "status_a", "status_b"]]
      contact_id       change status_a status_b
    0      ctc_2      changed  skipped  applied
    1      ctc_3  only_before  applied      NaN
    >>> len(compare(first, later, unchanged=True))
    3
    """
    a, b = _by_contact(result_a), _by_contact(result_b)
    contacts = a.index.append(b.index.difference(a.index, sort=False))
    both = a.reindex(contacts).add_suffix("_a").join(b.add_suffix("_b"))
    same = (both["status_a"] == both["status_b"]) & (
        both["reason_a"].fillna("") == both["reason_b"].fillna("")
    )
    change = np.select(
        [both["status_a"].isna(), both["status_b"].isna(), same.to_numpy(dtype=bool)],
        [_CHANGES.index("only_after"), _CHANGES.index("only_before"), _CHANGES.index("unchanged")],
        _CHANGES.index("changed"),
    )
    kinds = pd.Categorical.from_codes(change, dtype=_CHANGE_DTYPE)
    both.insert(0, "change", pd.Series(kinds, index=both.index))
    shown = both if unchanged else both[both["change"] != "unchanged"]
    return shown.rename_axis("contact_id").reset_index()


def _by_contact(result: pd.DataFrame) -> pd.DataFrame:
    """Status and reason by contact; refused if the rows of one contact contradict each other."""
    frame = pd.DataFrame(
        {
            "contact_id": result_column(result, "contact_id").astype("string").array,
            "status": pd.Categorical.from_codes(statuses_of(result), dtype=STATUS_DTYPE),
            "reason": result_column(result, "reason").astype("string").array,
        }
    )
    told = frame.dropna(subset="contact_id").drop_duplicates()
    twice = told.loc[told["contact_id"].duplicated(), "contact_id"].unique()
    if len(twice):
        raise InvalidInputError(
            f"a result tells two outcomes of the same contact, for {len(twice):,} contacts: "
            f"{listed(list(twice))}. Compare results in which each contact has one outcome: those "
            "of one run, or the rows of one label."
        )
    return told.set_index("contact_id")


# -- who is meant --------------------------------------------------------------------------

_PEOPLE: Final = ("contact_id", "status", "reason", "why", "what_to_do")


def people(
    result: pd.DataFrame,
    *,
    status: str | list[str] | None = None,
    reason: str | list[str] | None = None,
    columns: list[Hashable] | None = None,
    data: Source | None = None,
) -> pd.DataFrame:
    """List the rows of an outcome; documented at ``result.kirim.people``."""
    data = checked_source(data)
    statuses = pd.Series(np.array(STATUSES, dtype=object)[statuses_of(result)])
    reasons = result_column(result, "reason").astype("string").reset_index(drop=True)
    wanted = _is_one_of(statuses, status, "status", [*STATUSES])
    if status is not None and reason is None:  # of these nothing was wanted
        wanted = wanted & reasons.ne(NO_LABEL).fillna(value=True).to_numpy(dtype=bool)
    right = _is_one_of(reasons, reason, "reason", sorted(reasons.dropna().unique()))
    rows = np.flatnonzero(wanted & right)
    frame = pd.DataFrame(index=result.index[rows])
    for number, (name, values) in enumerate(_own_columns(result, columns, data)):
        label = f"own_{name}" if name in _PEOPLE else name
        frame.insert(number, label, values.take(rows), allow_duplicates=True)
    frame["contact_id"] = result_column(result, "contact_id").array.take(rows)
    frame["status"] = pd.Categorical(statuses.to_numpy()[rows], dtype=STATUS_DTYPE)
    frame["reason"] = reasons.array.take(rows)
    return frame.assign(**_words(frame["status"], frame["reason"]))


def _strange(names: list[Any], known: list[str]) -> list[str]:
    return [name_of(name) for name in names if not isinstance(name, str) or name not in known]


def _is_one_of(values: pd.Series[Any], wanted: Any, argument: str, known: list[str]) -> Any:
    if wanted is None:
        return np.ones(len(values), dtype=bool)
    names = list(wanted) if isinstance(wanted, (list, tuple)) else [wanted]
    strange = _strange(names, known)
    if strange:  # of a list only how many: it may be a column's values
        is_one = not isinstance(wanted, (list, tuple))
        told = strange[0] if is_one else f"{len(strange)} of {len(names)} values"
        raise InvalidInputError(
            f"{argument}={told} does not occur, expected one of "
            f"{listed([repr(name) for name in known]) or 'none at all'}, or a list of these."
        )
    return values.isin(names).to_numpy(dtype=bool)


def _own_columns(
    result: pd.DataFrame, columns: list[Hashable] | None, data: Source | None
) -> list[tuple[Hashable, Any]]:
    """Find the analyst's columns, in the rows of the result."""
    if columns is not None and not isinstance(columns, list):
        raise InvalidInputError("columns= takes a list of names, such as ['name', 'city'].")
    if data is None:
        with _pointing_to_data(data):
            return [(place.label, place.array) for place in _named(result, columns or [])]
    frame = data if isinstance(data, pd.DataFrame) else data.frame
    beside = pair(result, data)
    own = _all_but_results(frame) if columns is None else _named(frame, columns)
    return [(place.label, beside.take(place.array)) for place in own]


def _named(frame: pd.DataFrame, names: list[Hashable]) -> list[Place]:
    check_names(names, frame, argument="columns")
    return [find_place(frame, name, argument="columns") for name in names]


def _all_but_results(frame: pd.DataFrame) -> list[Place]:
    return [
        Place(name, "column", frame.iloc[:, number].array)
        for number, name in enumerate(frame.columns)
        if name not in _PEOPLE
    ]


def _words(status: pd.Series[Any], reason: pd.Series[Any]) -> dict[str, Any]:
    """Say of each row why it is so and what to do, in words."""
    codes, distinct = (status.astype("string") + "\n" + reason.fillna("")).factorize()
    told = [reason_for(*outcome.split("\n", 1)) for outcome in distinct]
    why = pd.array([words.meaning for words in told], dtype="string")
    what_to_do = pd.array([words.action for words in told], dtype="string")
    return {"why": why.take(codes), "what_to_do": what_to_do.take(codes)}
