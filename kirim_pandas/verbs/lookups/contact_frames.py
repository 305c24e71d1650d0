"""Contacts as a frame: one row a contact, dtypes that survive a file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any, Literal, TypeAlias

import numpy as np
import pandas as pd

Metadata: TypeAlias = Literal["dict", "columns"]

_TEXTS = {
    "contact_id": "id",
    "phone_number": "phone_number",
    "name": "name",
    "email": "email",
    "account": "account",
}
_TIMES = ("created_at", "updated_at")


def contacts_table(contacts: Sequence[Any], metadata: Metadata = "dict") -> pd.DataFrame:
    """Return contacts as a frame.

    Parameters
    ----------
    contacts
        What the service listed.
    metadata
        ``"dict"`` for one column of dicts, ``"columns"`` for a column ``metadata.KEY`` each.

    Returns
    -------
    DataFrame
        One row a contact, with a RangeIndex: contact_id, phone_number, name, email, account
        (string), created_at, updated_at (datetime, in UTC without a zone), metadata (object).
    """
    columns: dict[str, Any] = {
        name: pd.array([getattr(contact, field) for contact in contacts], dtype="string")
        for name, field in _TEXTS.items()
    }
    for name in _TIMES:
        columns[name] = times([getattr(contact, name) for contact in contacts])
    held = [contact.metadata for contact in contacts]
    columns |= {"metadata": _dicts(held)} if metadata == "dict" else _by_key(held)
    return pd.DataFrame(columns)


def texts_of(items: Sequence[Any], *names: str) -> pd.DataFrame:
    """Return these fields of what the service listed, as text."""
    return pd.DataFrame(
        {name: pd.array([getattr(item, name) for item in items], "string") for name in names}
    )


def _dicts(held: list[Mapping[str, Any] | None]) -> pd.Series[Any]:
    values = np.empty(len(held), dtype=object)
    values[:] = [pd.NA if value is None else dict(value) for value in held]
    return pd.Series(values, dtype=object)


def _by_key(held: list[Mapping[str, Any] | None]) -> dict[str, pd.Series[Any]]:
    rows = [value or {} for value in held]
    return {
        f"metadata.{key}": pd.Series([row.get(key) for row in rows], dtype=object).infer_objects()
        for key in dict.fromkeys(chain.from_iterable(rows))
    }


def times(texts: Sequence[str | None]) -> pd.Series[Any]:
    """Read times in UTC without a zone, as Excel takes them; one that cannot be read is missing."""
    given: pd.Series[Any] = pd.Series(list(texts), dtype="string")
    times = pd.to_datetime(given, utc=True, errors="coerce", format="ISO8601")
    return times.dt.tz_localize(None).astype("datetime64[ms]")
