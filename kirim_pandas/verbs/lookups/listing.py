"""The organisation's contacts, read page by page in the background, and remembered for a while.

The service's read bucket is ten times the write bucket and of its own, so a list is cheap beside
what it saves. Workers read, a few connected numbers at a time; the thread that asked takes the
pages and looks at the stop button.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from kirim_pandas.errors import KirimError
from kirim_pandas.notebook.reading_bar import ReadingBar

if TYPE_CHECKING:
    from kirim_pandas.api.client import Client
    from kirim_pandas.api.models import Contact


MAX_AGE_SECONDS = 900.0
"""A list that was read so long ago at most is used again: a quarter of an hour."""

NUMBERS_AT_A_TIME = 4
"""Connected numbers that are listed together; they share one bucket."""

POLL_SECONDS = 0.1

_NOTE = "listing"


@dataclass(slots=True)
class Listing:
    """What was read of the organisation's contacts.

    Attributes
    ----------
    contacts : dict of str to Contact
        By id, in the order in which they were listed first.
    is_complete : bool
        Whether the list was read to its end.
    pages : int
        Requests it took.
    repeated : int
        Contacts that were listed more than once.
    read_at : float
        When it was begun, in seconds of the monotonic clock.
    """

    contacts: dict[str, Contact] = field(default_factory=dict)
    is_complete: bool = False
    pages: int = 0
    repeated: int = 0
    read_at: float = field(default_factory=time.monotonic)

    def add(self, page: list[Contact]) -> None:
        """Take a page."""
        self.pages += 1
        for contact in page:
            self.repeated += contact.id in self.contacts
            self.contacts[contact.id] = contact

    def remember(self, client: Client) -> None:
        """Let it be used again, for a while, by whoever works with the same key."""
        client.notes[_NOTE] = self


@contextmanager
def reading_bar(what: str, *, shown: bool) -> Iterator[Callable[..., None]]:
    """Give what shows how much was read, or what shows nothing."""
    if not shown:
        yield lambda *_, **__: None
        return

    with ReadingBar(what) as bar:
        yield bar.show


def clients_of(client: Client) -> list[Client]:
    """Return what lists the whole organisation: a client for each number where paths name one."""
    if not client.has_number:
        return [client]
    return [client.at_number(account.phone_number_id) for account in client.accounts()]


class PageReader:
    """Reads the pages of a list in the background; iterate over it for the pages as they come.

    On hosts whose paths name a connected number each of the organisation's numbers is listed.

    Parameters
    ----------
    client
        Reads.
    search, phone
        As for :meth:`Client.contacts`.
    most_pages
        Requests that may be made.
    clients
        Those of all connected numbers, as of `clients_of`, where they are known.

    Attributes
    ----------
    is_cut : bool
        Whether more pages would have followed.
    """

    def __init__(
        self,
        client: Client,
        *,
        search: str | None = None,
        phone: str | None = None,
        most_pages: int | None = None,
        clients: Sequence[Client] | None = None,
    ) -> None:
        clients = clients_of(client) if clients is None else clients
        self.is_cut = False
        self._query = {"search": search, "phone": phone}
        self._todo: queue.SimpleQueue[Client] = queue.SimpleQueue()
        for one in clients:
            self._todo.put(one)
        self._allowed = None if most_pages is None else threading.Semaphore(most_pages)
        self._news: queue.Queue[list[Contact] | KirimError | None] = queue.Queue(maxsize=8)
        self._stop = threading.Event()
        self._workers = min(NUMBERS_AT_A_TIME, len(clients))
        for _ in range(self._workers):
            threading.Thread(target=self._work, name="kirim-pandas-list", daemon=True).start()

    def __iter__(self) -> Generator[list[Contact] | None, None, None]:
        """Go through the pages; None whenever none came for a moment.

        Raises
        ------
        KirimError
            The service cannot be asked.
        """
        left = self._workers
        try:
            while left:
                try:
                    came = self._news.get(timeout=POLL_SECONDS)
                except queue.Empty:
                    yield None
                    continue
                if isinstance(came, KirimError):
                    raise came
                if came is None:
                    left -= 1
                else:
                    yield came
        finally:
            self.close()

    def close(self) -> None:
        """Read no further."""
        self._stop.set()

    def _work(self) -> None:
        last: KirimError | None = None
        try:
            while not self._stop.is_set():
                self._read(self._todo.get_nowait())
        except queue.Empty:
            pass
        except KirimError as error:
            last = error
        self._hand_over(last)

    def _read(self, client: Client) -> None:
        pages, more = client.contact_pages(stop=self._stop, **self._query), True
        while more and not self._stop.is_set():
            if self._allowed is not None and not self._allowed.acquire(blocking=False):
                self.is_cut = True
                return
            page, more = next(pages)
            self._hand_over(page)

    def _hand_over(self, item: list[Contact] | KirimError | None) -> None:
        """Wait until somebody takes it, or nobody will any more."""
        while not self._stop.is_set():
            try:
                self._news.put(item, timeout=POLL_SECONDS)
            except queue.Full:
                continue
            return


def read_all(
    reader: PageReader,
    listing: Listing,
    *,
    on_page: Callable[[Listing], object],
    is_stopped: Callable[[], bool],
) -> bool:
    """Read pages into a listing; tell whether it was stopped before the end.

    Parameters
    ----------
    reader
        Gives the pages.
    listing
        Takes them.
    on_page
        Called after each page.
    is_stopped
        Asked between pages.
    """
    try:
        for page in reader:
            if is_stopped():
                return True
            if page is not None:
                listing.add(page)
                on_page(listing)
    finally:
        reader.close()
    listing.is_complete = not reader.is_cut
    return False


def known_listing(client: Client, max_age_seconds: float = MAX_AGE_SECONDS) -> Listing | None:
    """Return a complete list that was read with this key and is not too old."""
    listing = client.notes.get(_NOTE)
    if not isinstance(listing, Listing) or not listing.is_complete:
        return None
    return listing if time.monotonic() - listing.read_at <= max_age_seconds else None
