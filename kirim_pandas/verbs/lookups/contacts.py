"""The organisation's contacts and connected numbers as frames."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from kirim_pandas.api.client import PAGE_LIMIT
from kirim_pandas.api.secret import warn_unlocated
from kirim_pandas.errors import KirimError, RunInterrupted
from kirim_pandas.run.stop import StopButton, stop_on_signals
from kirim_pandas.verbs.argument_checks import (
    ShortTraceback,
    flag_problems,
    plain,
    refuse,
    shown,
    used_client,
)
from kirim_pandas.verbs.lookups.contact_frames import Metadata, contacts_table, texts_of
from kirim_pandas.verbs.lookups.listing import Listing, PageReader, read_all, reading_bar

if TYPE_CHECKING:
    from kirim_pandas.api.client import Client


def contacts(
    *,
    search: str | None = None,
    phone: str | None = None,
    limit: int | None = None,
    metadata: Metadata = "dict",
    client: Client | None = None,
    progress: bool = True,
) -> pd.DataFrame:
    """List the contacts of the organisation that calls work on.

    Costs one read request for each 100 contacts; reads have a bucket of their own.  On hosts
    whose addresses name a connected number, the contacts of each number are listed.

    Parameters
    ----------
    search
        Text of 1 to 200 characters that the service looks for.
    phone
        One exact number in the form ``+6281234567890``.
    limit
        Read no more contacts than this.
    metadata
        ``"dict"`` for one column of dicts, ``"columns"`` for a column ``metadata.KEY`` each.
    client
        By default the one chosen by :func:`connect`.
    progress
        False for silence.

    Returns
    -------
    DataFrame
        One row a contact, in the order of the list, with a RangeIndex: ``contact_id``,
        ``phone_number``, ``name``, ``email`` (string), ``account`` (string: the connected number
        it belongs to, digits and plus only; missing where the service hides it), ``created_at``,
        ``updated_at`` (datetime, in UTC without a zone, as Excel takes it), ``metadata`` (object:
        a dict, or missing).

    Raises
    ------
    InvalidInputError
        An argument is not usable; nothing was read.
    KirimError
        The service cannot be asked, or its list has no end; what was read is its ``.result``.
    RunInterrupted
        It was stopped; what was read so far is its ``.result``.

    Examples
    --------
    >>> import kirim_pandas as kp
    >>> with kp.sandbox.start(contacts=30) as sandbox:
    ...     people = kp.contacts(limit=20, client=sandbox.client())
    >>> len(people), set(people["contact_id"].str[:4])
    (20, {'ctc_'})
    """
    with ShortTraceback():
        search, phone, limit, metadata = (plain(one) for one in (search, phone, limit, metadata))
        refuse([*_problems(search, phone, limit, metadata), *flag_problems(progress=progress)])
        listing = Listing()
        client = used_client(client)
        try:
            interrupted = _read(client, listing, search, phone, limit, progress)
        except KirimError as error:
            error.result = contacts_table(list(listing.contacts.values())[:limit], metadata)
            raise
        found = list(listing.contacts.values())[:limit]
        frame = contacts_table(found, metadata)
        if interrupted:
            stopped = RunInterrupted(
                f"Stopped after {len(frame):,} contacts. The exception's .result holds them; "
                "calling again begins from the start."
            )
            stopped.result = frame
            raise stopped
        if listing.repeated:
            warn_unlocated(
                f"{listing.repeated:,} contacts were listed more than once, so the list changed "
                "while it was read, and others may be missing. Each is in the frame once."
            )
        return frame


def accounts(*, client: Client | None = None) -> pd.DataFrame:
    """List the WhatsApp numbers that the organisation has connected.

    Parameters
    ----------
    client
        By default the one chosen by :func:`connect`.

    Returns
    -------
    DataFrame
        One row a number, with a RangeIndex: ``phone_number_id``, ``phone_number``, ``name``,
        ``status`` (all string).

    Raises
    ------
    KirimError
        The service cannot be asked.

    Examples
    --------
    >>> import kirim_pandas as kp
    >>> with kp.sandbox.start(contacts=10) as sandbox:
    ...     kp.accounts(client=sandbox.client()).columns.tolist()
    ['phone_number_id', 'phone_number', 'name', 'status']
    """
    with ShortTraceback():
        known = list(used_client(client).accounts())
    return texts_of(known, "phone_number_id", "phone_number", "name", "status")


def _read(
    client: Client,
    listing: Listing,
    search: str | None,
    phone: str | None,
    limit: int | None,
    progress: bool,
) -> bool:
    """Fill the listing; tell whether somebody stopped it."""
    button = StopButton()
    most_pages = None if limit is None else -(-limit // PAGE_LIMIT)
    reader = PageReader(client, search=search, phone=phone, most_pages=most_pages)
    with stop_on_signals(button), reading_bar("contacts", shown=progress) as show:
        stopped = read_all(
            reader,
            listing,
            on_page=lambda now: show(len(now.contacts), limit),
            is_stopped=button.is_pressed,
        )
    if search is None and phone is None and not stopped:
        listing.remember(client)
    return stopped


def _problems(search: object, phone: object, limit: object, metadata: object) -> list[str]:
    problems = [
        f"{name}: found {shown(value)}, expected text, or None."
        for name, value in (("search", search), ("phone", phone))
        if not isinstance(value, str | None)
    ]
    if limit is not None and not (type(limit) is int and limit >= 1):
        problems.append(f"limit: found {shown(limit)}, expected a whole number from 1 up, or None.")
    if shown(metadata) not in ("'dict'", "'columns'"):
        problems.append(f"metadata: found {shown(metadata)}, expected 'dict' or 'columns'.")
    return problems
