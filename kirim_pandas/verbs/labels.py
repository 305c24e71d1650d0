"""The labels of an organisation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from kirim_pandas import session
from kirim_pandas.verbs.door import ShortTraceback, used_client

if TYPE_CHECKING:
    from kirim_pandas.api.client import Client

__all__ = ["labels"]


def labels(*, client: Client | None = None) -> pd.DataFrame:
    """List the labels of the organisation that calls work on.

    Parameters
    ----------
    client
        By default the one chosen by :func:`connect`.

    Returns
    -------
    DataFrame
        One row a label, with a RangeIndex: ``id``, ``name``, ``color``, ``team_id`` (all string).
        Names are unique within a team only.

    Raises
    ------
    InvalidInputError
        `client` is no client.
    KirimError
        The service cannot be asked.

    Examples
    --------
    >>> import kirim_pandas as kp
    >>> with kp.sandbox.start(contacts=10) as sandbox:
    ...     kp.labels(client=sandbox.client()).columns.tolist()
    ['id', 'name', 'color', 'team_id']
    """
    with ShortTraceback():
        known = session.read_labels(used_client(client))
    columns = ("id", "name", "color", "team_id")
    return pd.DataFrame(
        {name: pd.array([getattr(label, name) for label in known], "string") for name in columns}
    )
