"""What the workers count for a summary or a report: rows and contacts, by outcome and group."""

from __future__ import annotations

from collections.abc import Hashable
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from kirim_pandas.errors import InvalidInputError
from kirim_pandas.frames.columns import listed
from kirim_pandas.frames.ids import NO_CONTACT
from kirim_pandas.frames.shapes import described, name_of
from kirim_pandas.frames.summary import Counted, checked_result

if TYPE_CHECKING:
    import dask.dataframe as dd


Counts = tuple[pd.DataFrame, list["pd.Series[Any]"], Counted]
"""One row for each combination that occurs, what it is grouped by, and what each row stands for."""

_OUTCOME = ["status", "reason"]


def counts_of(result: dd.DataFrame, by: Any, data: dd.DataFrame | None) -> Counts:
    """Let the workers count a result.

    Parameters
    ----------
    result
        A result of this package's.
    by
        A column of the result or of `data`, a Dask Series of the same partitions, or a list of
        these; None for none.
    data
        The frame that the result was made from.

    Raises
    ------
    InvalidInputError
        It is no result, or something of `by` is not there or is not of the same rows.
    """
    checked_result(result._meta)
    keys = by if isinstance(by, list) else [] if by is None else [by]
    columns = [_column(result, key, data) for key in keys]
    meta = _tallied(result._meta, *(column._meta for column in columns))
    parts = result.map_partitions(_tallied, *columns, meta=meta, align_dataframes=False).compute()
    names = [f"by{number}" for number in range(len(columns))]
    each = _sums([*names, *_OUTCOME, "contact"], parts)
    each["contacts"] = (each["contact"] != 0).astype(np.int64)
    table = each.groupby([*names, *_OUTCOME], dropna=False, observed=True, sort=False)
    sums = table[["rows", "contacts"]].sum().reset_index()
    groups = [
        pd.Series(sums[name].array, name=column.name)
        for name, column in zip(names, columns, strict=True)
    ]
    counted = Counted(sums["rows"].to_numpy(np.int64), sums["contacts"].to_numpy(np.int64))
    return sums[_OUTCOME].assign(contact_id=pd.array([None] * len(sums), "string")), groups, counted


def _tallied(part: pd.DataFrame, *columns: pd.Series[Any]) -> pd.DataFrame:
    """Count the rows of a partition by group, outcome and contact, which a number stands for."""
    for column in columns:
        if len(column) != len(part) or not column.index.equals(part.index):
            raise InvalidInputError(
                f"by ({name_of(column.name)}) has other rows than the result: give a column of the "
                "very frame that was labeled, with the same partitions."
            )
    names = [f"by{number}" for number in range(len(columns))]
    table = pd.DataFrame({n: column.array for n, column in zip(names, columns, strict=True)})
    table = table.assign(status=part["status"].array, reason=part["reason"].array)
    contact = pd.util.hash_array(part["contact_id"].astype(object).to_numpy(), categorize=False)
    nobody = part["contact_id"].isna() | part["reason"].isin(NO_CONTACT.values())
    table["contact"] = np.where(nobody, np.uint64(0), contact | np.uint64(1))
    return _sums([*names, *_OUTCOME, "contact"], table.assign(rows=1))


def _sums(names: list[str], table: pd.DataFrame) -> pd.DataFrame:
    grouped = table.groupby(names, dropna=False, observed=True, sort=False)
    return grouped["rows"].sum().reset_index()


def _column(result: dd.DataFrame, key: Any, data: dd.DataFrame | None) -> dd.Series:
    """Find what to group by, as a Dask Series of the partitions of the result."""
    if hasattr(key, "npartitions"):
        return _beside(result, key, "by")
    if not isinstance(key, Hashable):
        raise InvalidInputError(
            f"by= is {described(key)}, expected the name of a column, or a Dask Series such as "
            "by=ddf['city']."
        )
    if key in result.columns:
        return result[key]
    if data is None:
        raise InvalidInputError(
            f"by: the result has no column {name_of(key)}; its columns are "
            f"{listed([name_of(name) for name in result.columns])}. A column of the original frame "
            "is found with data=ddf, or give it as by=ddf[...]."
        )
    if key not in data.columns:
        raise InvalidInputError(f"by: neither the result nor data= has a column {name_of(key)}.")
    return _beside(result, data[key], "data")


def _beside(result: dd.DataFrame, column: dd.Series, argument: str) -> dd.Series:
    if (column.npartitions, column.divisions) != (result.npartitions, result.divisions):
        raise InvalidInputError(
            f"{argument}= has other partitions than the result: give the very frame that was "
            "labeled, or a column of it."
        )
    return column
