"""The organisation's contact list as a column: the connected number of each contact of a run.

A contact's team is its number's team, so a number passes or is skipped as a whole; and an id that
the list does not show belongs to somebody else.  Both are guesses, which counts confirm.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kirim_pandas.errors import KirimError
from kirim_pandas.grouptesting.outcomes import MAX_CONTACTS_PER_CALL
from kirim_pandas.guesses.columns import CONNECTED_NUMBER, Column
from kirim_pandas.run.side_by_side import Pace, quick_width, seconds_of
from kirim_pandas.verbs.lookups.listing import Listing, PageReader, known_listing

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kirim_pandas.api.client import Client
    from kirim_pandas.api.models import Contact


LEAST_PAGES = 5
"""After so many pages the length of the list is estimated."""

LITTLE_MORE = 0.1
"""When everybody is found, so much of what was read is read on: a list that is spread as the run's
contacts are ends there, and a complete list serves later runs, too."""

SHARE_OF_SEARCH = 0.5
"""Reading may take this part of the time that the probes it is to save would take."""

SHOWN_STEP = 10_000
"""So many contacts more are worth another word."""

NOT_LISTED, HIDDEN = 0, 1
"""Codes of contacts that were not listed, and of those whose number is not shown."""


class ContactListSource:
    """Reads the list of contacts until it is worth no more; a column source for a run.

    Only ids and numbers are kept, in memory.

    Parameters
    ----------
    client
        Reads.
    contact_ids
        The contacts of the run.
    """

    def __init__(self, client: Client, contact_ids: Sequence[str]) -> None:
        self._client = client
        self._contact_ids = contact_ids
        self._codes: NDArray[np.int32] = np.zeros(len(contact_ids), dtype=np.int32)  # NOT_LISTED
        self._numbers: dict[str | None, int] = {None: HIDDEN}
        self._missing = 0
        self._until = self._first_at = self._enough = 0.0
        self._listing = Listing()
        self._reader: PageReader | None = None
        self._pages: Iterator[list[Contact] | None] = iter(())

    @cached_property  # many runs never read
    def _ids(self) -> pd.Index[str]:
        return pd.Index(self._contact_ids)

    def start(self, *, probes: float, missing: int) -> None:
        """Begin to read, for part of the time that a search of `probes` would take."""
        self._missing = missing
        batches = -(-len(self._contact_ids) // MAX_CONTACTS_PER_CALL)
        pace = Pace(*self._client.write_pace())
        search = seconds_of(batches, probes, pace, quick_width(batches, probes, pace))
        # Tokens at hand make a search quicker, but are worth sparing.
        search = max(search, probes / pace.per_second)
        self._until = time.monotonic() + SHARE_OF_SEARCH * search
        known = known_listing(self._client)
        if known is not None:
            self._listing = known
            self._take(list(known.contacts.values()))
            return
        self._pages = self._read()

    def take(self, timeout_seconds: float) -> Sequence[Column] | None:
        """Return the column once it is read, or not worth reading on; None until then."""
        until = time.monotonic() + timeout_seconds
        for page in self._pages:
            if page is not None:
                self._listing.add(page)
                self._take(page)
            if self._is_enough():
                break
            if time.monotonic() >= until:
                return None
        self.stop()
        if not (self._codes != NOT_LISTED).any():
            return ()
        return (Column(CONNECTED_NUMBER, self._codes),)

    @property
    def progress(self) -> str:
        """What it is doing; in coarse steps, since a log has a line for each."""
        so_far = len(self._listing.contacts) // SHOWN_STEP * SHOWN_STEP
        words = "reading the organisation's contacts, which saves requests"
        return f"{words} ({so_far:,} so far)" if so_far else words

    def stop(self) -> None:
        """Read no further."""
        if self._reader is not None:
            self._reader.close()

    def _read(self) -> Iterator[list[Contact] | None]:
        try:
            self._reader = PageReader(self._client)
            yield from self._reader
        except KirimError:
            # Nobody asked for the list, and the run does without: what was read is used.
            return
        self._listing.is_complete = True
        self._listing.remember(self._client)

    def _take(self, page: list[Contact]) -> None:
        places = self._ids.get_indexer(pd.Index([contact.id for contact in page]))
        numbers = [
            self._numbers.setdefault(contact.account, len(self._numbers) + 1) for contact in page
        ]
        held = places >= 0
        self._codes[places[held]] = np.array(numbers, dtype=np.int32)[held]

    def _is_enough(self) -> bool:
        """Whether everybody is found who can be, or the list is longer than it is worth."""
        found = int(np.count_nonzero(self._codes))
        pages, now = self._listing.pages, time.monotonic()
        if pages and not self._first_at:
            self._first_at = now  # connecting, and listing the numbers, is not done again
        if now >= self._until:
            return True
        if found >= len(self._contact_ids) - self._missing:
            self._enough = self._enough or (1.0 + LITTLE_MORE) * pages
            return pages >= self._enough
        if pages < LEAST_PAGES:
            return False
        # Contacts of the run are spread over the list, so the share found tells its length.
        share = max(found, 1) / max(1, len(self._ids) - self._missing)
        pages_left = pages * (1.0 - share) / share
        return now + pages_left * (now - self._first_at) / (pages - 1) > self._until
