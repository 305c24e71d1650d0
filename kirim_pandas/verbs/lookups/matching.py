"""From phone numbers or e-mail addresses to contacts, row by row."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kirim_pandas import session
from kirim_pandas.errors import InvalidInputError, RunInterrupted
from kirim_pandas.frames.columns import find_place
from kirim_pandas.frames.phones import GIVEN, MISSING, check_country, read_emails, read_phones
from kirim_pandas.frames.shapes import CONTACT_ID
from kirim_pandas.run.stop import StopButton, stop_on_signals
from kirim_pandas.verbs.argument_checks import (
    ShortTraceback,
    client_problems,
    flag_problems,
    plain,
    refuse,
    shown,
)
from kirim_pandas.verbs.lookups.listing import (
    MAX_AGE_SECONDS,
    Listing,
    PageReader,
    clients_of,
    known_listing,
    read_all,
    reading_bar,
)

if TYPE_CHECKING:
    from kirim_pandas.api.client import Client
    from kirim_pandas.api.models import Contact
    from kirim_pandas.verbs.arguments import Pandas


MATCHES = ("found", "not_found", "ambiguous", "malformed", "missing")

Found = dict[str, list["Contact"]]

_NOTE = "looked up"


def match_contacts(
    obj: Pandas,
    *,
    phone: Hashable | None = None,
    email: Hashable | None = None,
    country: str = "ID",
    client: Client | None = None,
    progress: bool = True,
    max_age: float = MAX_AGE_SECONDS,
) -> pd.DataFrame:
    """Find the contact of each row; documented at ``df.kirim.match_contacts``."""
    with ShortTraceback():
        problems = [*client_problems(client), *flag_problems(progress=progress)]
        if not (isinstance(max_age := plain(max_age), int | float) and max_age >= 0):
            problems.append(f"max_age: found {shown(max_age)}, expected seconds from 0 up.")
        refuse(problems)
        question = Question.of(obj, phone=phone, email=email, country=country)
        if not question.wanted:
            return question.frame({})
        client = client or session.current_client()
        found, _ = question.ask(client, progress=progress, max_age=max_age)
        return question.frame(found)


@dataclass(frozen=True, eq=False)
class Question:
    """What is to be looked up for the rows of a frame; nothing was read yet.

    Attributes
    ----------
    by : str
        ``"phone"`` or ``"email"``.
    source : str
        Where it stands, such as ``"column 'phone'"``.
    texts, kinds : ndarray, shape (rows,)
        As of `read_phones`.
    index : Index
        Of the frame.
    """

    by: str
    source: str
    texts: NDArray[np.object_]
    kinds: NDArray[Any]
    index: pd.Index[Any]

    @classmethod
    def of(
        cls, obj: Pandas, *, phone: Hashable | None, email: Hashable | None, country: str = "ID"
    ) -> Question:
        """Check what is asked.

        Raises
        ------
        InvalidInputError
            There is no such column, or nothing in it can be looked up.
        """
        values, by, source = _asked(obj, phone, email)
        region = check_country(country)
        texts, kinds = read_phones(values, region) if by == "phone" else read_emails(values)
        given, readable = int((kinds != MISSING).sum()), int((kinds == GIVEN).sum())
        check_column(values, given, readable, by)
        index = obj if isinstance(obj, pd.Index) else obj.index
        return cls(by, source, texts, kinds, index)

    @cached_property
    def wanted(self) -> list[str]:
        """Each text to look up once, in order of appearance."""
        return list(dict.fromkeys(self.texts[self.kinds == GIVEN].tolist()))

    def ask(
        self, client: Client, *, progress: bool, max_age: float = MAX_AGE_SECONDS
    ) -> tuple[Found, int]:
        """Find the contacts of each text, and count the requests it took."""
        return _look_up(client, self.wanted, self.by, progress=progress, max_age=max_age)

    def frame(self, found: Found) -> pd.DataFrame:
        """Give each row what was found for it; documented at ``df.kirim.match_contacts``."""
        return _frame(self.index, self.texts, self.kinds, found, self.by)


def _asked(obj: Pandas, phone: Hashable, email: Hashable) -> tuple[pd.Series[Any], str, str]:
    """Return the values to look up, what they are and where they stand."""
    if not isinstance(obj, pd.DataFrame) and phone is None and email is None:
        return pd.Series(obj.array, dtype=obj.dtype), "phone", "values"
    frame = _with_one_column(obj, phone, email)
    by = "phone" if email is None else "email"
    place = find_place(frame, phone if email is None else email, argument=by)
    return pd.Series(place.array), by, str(place)


def _with_one_column(obj: Pandas, phone: Hashable, email: Hashable) -> pd.DataFrame:
    """Return the frame; refuses a question of no column, or of two."""
    if (phone is None) == (email is None):
        raise InvalidInputError(
            "Name one column to look contacts up by, phone='…' or email='…'; found "
            f"{'neither' if phone is None else 'both'}."
        )
    if not isinstance(obj, pd.DataFrame):
        raise InvalidInputError(
            "A Series or an Index has no columns to look contacts up by. Call match_contacts "
            "without phone= and email= where its values are phone numbers; all else on a DataFrame."
        )
    return obj


def check_column(values: pd.Series[Any], given: int, readable: int, by: str) -> None:
    """Refuse a column of which nothing can be looked up.

    Parameters
    ----------
    values
        The column, or some of it.
    given, readable
        How many of its values are not missing, and how many can be looked up.
    by
        ``"phone"`` or ``"email"``.

    Raises
    ------
    InvalidInputError
        Values are given, and none of them can be read.
    """
    if readable or not given:
        return
    sample = values.dropna().head(200)
    ids = sum(isinstance(value, str) and bool(CONTACT_ID.fullmatch(value)) for value in sample)
    what = "phone number" if by == "phone" else "e-mail address"
    if ids:
        raise InvalidInputError(
            f"{by}: the column holds contact ids, no {what}s. They need no looking up: pass the "
            "frame to bulk_label as it is."
        )
    raise InvalidInputError(
        f"{by}: none of the {given:,} values can be read as a {what}. Name another column; "
        "numbers that a spreadsheet has shortened (6.28E+12) have lost their digits: export the "
        "column as text."
    )


def _look_up(
    client: Client, wanted: list[str], by: str, *, progress: bool, max_age: float
) -> tuple[Found, int]:
    """Find the contacts of each text, and count the requests.

    A list costs a request for each 100 contacts of the organisation, which nobody knows before;
    single look-ups cost one for each number, and where paths name a connected number one at each
    of those.  So the list is read for as many requests as the look-ups would take, and then
    changed over: that never costs more than twice the cheaper way.
    """
    known = _remembered(client, wanted, by, max_age)
    if known is not None:
        return known, 0
    button = StopButton()
    with stop_on_signals(button), reading_bar("contacts", shown=progress) as show:
        clients = clients_of(client)
        most_pages = len(wanted) * len(clients) if by == "phone" else None  # no look-up by e-mail
        listing = Listing()
        try:
            read_all(
                PageReader(client, most_pages=most_pages, clients=clients),
                listing,
                on_page=lambda now: show(len(now.contacts)),
                is_stopped=button.is_pressed,
            )
        finally:
            listing.remember(client)
        found: Found = {}
        requests = listing.pages + client.has_number
        if not listing.is_complete and not button.presses:
            found, more = _one_by_one(clients, wanted, button, show)
            requests += more
            client.notes[_NOTE] = _Asked(found, listing.read_at)
    if button.presses:
        raise RunInterrupted(
            f"Stopped after {listing.pages:,} pages of contacts and {len(found):,} look-ups; no "
            "row was matched and nothing was changed. Call again to begin anew."
        )
    return found if not listing.is_complete else _found_in(listing, wanted, by), requests


def _remembered(client: Client, wanted: list[str], by: str, max_age: float) -> Found | None:
    """Return what earlier reads answer, if they answer all of it."""
    listing = known_listing(client, max_age)
    if listing is not None:
        return _found_in(listing, wanted, by)
    asked = client.notes.get(_NOTE)
    if isinstance(asked, _Asked) and by == "phone" and asked.answers(wanted, max_age):
        return asked.found
    return None


@dataclass(frozen=True, slots=True)
class _Asked:
    """What single look-ups found, so that a plan and its run ask once."""

    found: Found
    read_at: float

    def answers(self, wanted: list[str], max_age: float) -> bool:
        """Whether it holds all that is wanted, and is not too old."""
        return time.monotonic() - self.read_at <= max_age and self.found.keys() >= set(wanted)


def _one_by_one(
    clients: list[Client], wanted: list[str], button: StopButton, show: Callable[..., None]
) -> tuple[Found, int]:
    found: Found = {}
    pages = 0
    for done, number in enumerate(wanted, start=1):
        contacts: list[Contact] = []
        for page in PageReader(clients[0], phone=number, clients=clients):
            contacts += page or []
            pages += page is not None
        if button.presses:
            break
        found[number] = _of_key(contacts, number)
        show(done, len(wanted), unit="numbers")
    return found, pages


def _of_key(contacts: Iterable[Contact], number: str) -> list[Contact]:
    """Leave out what a careless filter gave besides."""
    different = {contact.id: contact for contact in contacts}
    return [c for c in different.values() if _digits(c.phone_number) in ("", _digits(number))]


def _found_in(listing: Listing, wanted: list[str], by: str) -> Found:
    keys: dict[str, list[Contact]] = defaultdict(list)
    for contact in listing.contacts.values():
        if by == "phone":
            keys[_digits(contact.phone_number)].append(contact)
        else:
            keys[(contact.email or "").strip().lower()].append(contact)
    keys.pop("", None)
    return {text: keys.get(_digits(text) if by == "phone" else text, []) for text in wanted}


def _digits(text: str | None) -> str:
    return "".join(character for character in text or "" if character in "0123456789")


def _frame(
    index: pd.Index[Any], texts: NDArray[np.object_], kinds: NDArray[Any], found: Found, by: str
) -> pd.DataFrame:
    given = kinds == GIVEN
    codes, different = pd.factorize(texts[given])
    per_text = [found.get(text, []) for text in different]
    ids = np.full(len(texts), None, dtype=object)
    accounts = ids.copy()
    match = np.where(kinds == MISSING, "missing", "malformed").astype(object)
    words = {0: "not_found", 1: "found"}
    match[given] = _taken([words.get(len(c), "ambiguous") for c in per_text], codes)
    only = [_only(contacts) for contacts in per_text]
    ids[given] = _taken([contact.id if contact else None for contact in only], codes)
    accounts[given] = _taken([contact.account if contact else None for contact in only], codes)
    return pd.DataFrame(
        {
            "contact_id": pd.array(ids, dtype="string"),
            "match": pd.Categorical(match, categories=list(MATCHES)),
            "phone_number" if by == "phone" else "email": pd.array(texts, dtype="string"),
            "account": pd.array(accounts, dtype="string"),
        },
        index=index,
    )


def _only(contacts: list[Contact]) -> Contact | None:
    return contacts[0] if len(contacts) == 1 else None


def _taken(values: list[str | None], codes: NDArray[np.int64]) -> NDArray[np.object_]:
    return np.array([*values, None], dtype=object)[codes]
