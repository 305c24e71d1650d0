"""The labels of an organisation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from kirim_pandas import session
from kirim_pandas.errors import InvalidRequestError
from kirim_pandas.verbs.argument_checks import ShortTraceback, plain, used_client
from kirim_pandas.verbs.lookups.contact_frames import texts_of, times

if TYPE_CHECKING:
    from kirim_pandas.api.client import Client


def labels(*, client: Client | None = None) -> pd.DataFrame:
    """List the labels of the organisation that calls work on.

    Parameters
    ----------
    client
        By default the one chosen by :func:`connect`.

    Returns
    -------
    DataFrame
        One row a label, with a RangeIndex: ``id``, ``name``, ``color``, ``team_id`` (string) and
        ``created_at`` (datetime, in UTC without a zone).  Names are unique within a team only.

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
    ['id', 'name', 'color', 'team_id', 'created_at']
    """
    with ShortTraceback():
        known = session.read_labels(used_client(client))
    frame = texts_of(known, "id", "name", "color", "team_id")
    return frame.assign(created_at=times([label.created_at for label in known]))


def create_label(
    name: str,
    *,
    color: str | None = None,
    team_id: str | None = None,
    client: Client | None = None,
) -> str:
    """Make a label in the organisation that calls work on.

    Costs one write request.

    Parameters
    ----------
    name
        1 to 50 characters, unique within the team.
    color
        One of gray, red, orange, amber, yellow, lime, green, emerald, teal, sky, blue, violet,
        pink; None for the service's choice.
    team_id
        The team whose contacts can carry it; needed where the organisation has several.
    client
        By default the one chosen by :func:`connect`.

    Returns
    -------
    str
        The new label's id, which ``bulk_label`` takes.

    Raises
    ------
    InvalidInputError
        An argument is not usable; nothing was sent.
    InvalidRequestError
        The service refuses it: the name is taken in that team, or the team is needed.
    KirimError
        The call failed; ``maybe_applied`` tells whether the label may have been made.
    """
    with ShortTraceback():
        client = used_client(client)
        try:
            made = client.create_label(plain(name), color=plain(color), team_id=plain(team_id))
        except InvalidRequestError as error:
            if advice := _ADVICE.get(error.param or ""):
                error.args = (f"{str(error).rstrip('.')}. {advice}",)
            raise
        finally:
            session.forget_labels(client)
        return made.id


_ADVICE = {
    "name": "Perhaps that team has a label of this name: kirim_pandas.labels() lists them.",
    "team_id": "Pass team_id=, one of those that kirim_pandas.labels() lists.",
}
"""What helps where the service refuses a field of a new label."""
