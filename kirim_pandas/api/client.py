"""The client: the calls of the service, as plain methods."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from itertools import chain
from typing import Any, NoReturn, Self, TypeVar
from uuid import uuid4

from kirim_pandas.api import protocol
from kirim_pandas.api.address import DEFAULT_BASE_URL, read_address
from kirim_pandas.api.caller import Caller, OnWait, shared_gate
from kirim_pandas.api.deadline import Alarm
from kirim_pandas.api.models import (
    Account,
    Answer,
    BulkLabelReply,
    CheckedIds,
    Contact,
    Label,
    Me,
    Organization,
    Timeouts,
)
from kirim_pandas.api.secret import key_warning, read_key, warn_unlocated
from kirim_pandas.api.transport import Transport
from kirim_pandas.errors import (
    ApiError,
    ConfigurationError,
    InvalidInputError,
    KirimError,
    ProtocolError,
    ShortTraceback,
)

__all__ = ["Client", "Timeouts"]

T = TypeVar("T")

PAGE_LIMIT = 100
"""The service's most items a page."""
LARGEST_LIST = (500, 64 * 2**20)
LARGEST_LISTS = {"/contacts": (20_000, 2 * 2**30)}
"""Pages and bytes after which a list is taken for one that never ends: 50,000 labels, or two
million contacts, at a page of 50 kB."""
SLOW_SECONDS = 3.0
"""After so long somebody wonders whether anything happens."""


class Client:
    """A connection to Kirim: paced, retried, safe to use from several threads.

    Parameters
    ----------
    api_key
        By default the environment's ``KIRIM_API_KEY``, else ``KIRIM_KEY``.
    base_url
        By default the environment's ``KIRIM_BASE_URL``, else the documented host.
    phone_number_id
        For hosts that want it in the path; by default ``KIRIM_PHONE_NUMBER_ID``.
    timeouts
        Of one try.
    max_tries
        Most tries of one call; waiting for the rate limit is not counted.
    patience_seconds
        Longest time one call goes on after its first failure, or waits for the rate limit.
    share
        Part of the organisation's bucket to use, above 0 to 1.
    allow_http
        Allow plain http to another computer; it shows the key to the network.
    ca_bundle
        Path of a file with the certificates to trust; by default ``SSL_CERT_FILE``, else the
        usual ones.

    Raises
    ------
    ConfigurationError
        There is no usable key, or an address or a setting is not usable.

    Examples
    --------
    >>> Client("kdv_live_" + "x" * 24)
    Client(base_url='https://api-kckit.kirim.chat/v1', api_key=hidden)
    """

    def __init__(
        self,
        api_key: str | None = None,
        *,
        base_url: str | None = None,
        phone_number_id: str | None = None,
        timeouts: Timeouts | None = None,
        max_tries: int = 8,
        patience_seconds: float = 900.0,
        share: float = 0.9,
        allow_http: bool = False,
        ca_bundle: str | os.PathLike[str] | None = None,
    ) -> None:
        with ShortTraceback():
            secret = read_key(api_key)
            api_key = None  # a traceback from here on may show the locals of this frame
            if isinstance(secret, str):
                raise ConfigurationError(secret)
            if unusual := key_warning(secret):
                warn_unlocated(unusual)
            _check_settings(share, max_tries, patience_seconds)
            _check_kinds(timeouts=timeouts, allow_http=allow_http, ca_bundle=ca_bundle)
            self._secret = secret
            self._address = read_address(
                _setting(base_url, "KIRIM_BASE_URL", DEFAULT_BASE_URL),
                _setting(phone_number_id, "KIRIM_PHONE_NUMBER_ID"),
                allow_http=bool(allow_http),
            )
            times = Timeouts() if timeouts is None else timeouts
            transport = Transport(self._address, secret, times, ca_bundle)
            self._gate = shared_gate(self._address.base_url, secret)
            self._caller = Caller(
                transport.send,
                self._gate,
                secret,
                self._address.host,
                int(max_tries),
                float(patience_seconds),
                float(share),
            )

    def __repr__(self) -> str:
        address = getattr(self, "_address", None)  # absent in the traceback of a failed __init__
        return f"Client(base_url={address and address.base_url!r}, api_key=hidden)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Client holds a key, so it is not pickled or copied: make a new one")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let no further call begin; nothing is kept open between calls."""
        self._caller.is_closed = True

    def leave_in_flight(self) -> None:
        """Let later calls not wait for the replies to earlier ones, whose callers have left."""
        with self._gate.lock:
            self._gate.writes.forget_in_flight()

    @property
    def write_per_minute(self) -> int:
        """Writes a minute that the organisation has, as told by the service, else the free 60."""
        return self._gate.writes.limit_per_minute

    def write_pace(self) -> tuple[float, float, float]:
        """Return writes a second, the seconds until a reply as seen, and writes that may leave
        at once."""
        with self._gate.lock:
            return self._gate.writes.pace(time.monotonic(), share=self._caller.share)

    @property
    def known_limit(self) -> bool:
        """Whether the service has told the limit yet."""
        return self._gate.writes.limit_is_known

    @property
    def patience_seconds(self) -> float:
        """How long a call that fails is tried again."""
        return self._caller.patience_seconds

    @property
    def target(self) -> str:
        """Full URL of ``bulk_label``."""
        return self._address.url("/contacts/bulk_label", with_number=True)

    @property
    def organization(self) -> Organization | None:
        """Whose key this is, if :meth:`me` was asked; sends nothing."""
        return self._gate.organization

    @property
    def notes(self) -> dict[str, object]:
        """What was read of the organisation and may be used again, while any client with the key
        is alive; in memory only."""
        return self._gate.notes

    @property
    def read_per_minute(self) -> int:
        """Reads a minute that the organisation has, as told by the service, else the free 600."""
        return self._gate.reads.limit_per_minute

    def remember_replies(self, replies: Iterable[tuple[str, str]]) -> None:
        """Take in which replies came before: none of them is believed for another call.

        Parameters
        ----------
        replies
            Request ids, and the idempotency keys of the calls that they answered.
        """
        with self._gate.lock:
            for request_id, key in replies:
                self._gate.owner_of(request_id, key)

    def key_mark(self, run_id: str) -> str:
        """Return what tells, in the journal, whether a run goes on under the same key."""
        return self._secret.mark(run_id)

    @ShortTraceback()
    def bulk_label(
        self,
        contact_ids: Iterable[str] | CheckedIds,
        label_id: str,
        operation: str,
        *,
        idempotency_key: str | None = None,
        sent_before: bool = True,
        on_wait: OnWait | None = None,
        stop: threading.Event | None = None,
        repeats: bool = False,
    ) -> BulkLabelReply:
        """Attach a label to up to 1000 contacts, or detach it, in one call.

        Parameters
        ----------
        contact_ids
            Distinct contact ids; a :class:`CheckedIds` is sent without being looked at again.
        repeats
            Whether an id may be sent twice, to see what the service makes of it.
        label_id
            ``lbl_…``
        operation
            ``"attach"`` or ``"detach"``.
        idempotency_key
            Sent with each try of this call; by default a fresh one.
        sent_before
            Whether a key that is given may have been sent before, in an earlier session: then
            the service's stored reply is taken. Otherwise no reply can be a stored one.
        on_wait
            Called with a short reason and seconds before each wait worth telling.
        stop
            Ends a wait at once when set; a request on its way is not aborted.

        Returns
        -------
        BulkLabelReply
            Counts of applied and skipped contacts; nobody is named.

        Raises
        ------
        InvalidInputError
            An argument is not usable; nothing was sent.
        KirimError
            The call failed; ``maybe_applied`` tells whether it may still have been carried out.
        """
        ids: Sequence[str] | CheckedIds
        if isinstance(contact_ids, CheckedIds):
            ids = contact_ids
        else:
            ids = [contact_ids] if isinstance(contact_ids, str) else _listed(contact_ids)
        request = protocol.bulk_label_request(
            self._address, ids, label_id=label_id, operation=operation, repeats=repeats
        )
        if idempotency_key is not None and not protocol.is_usable_key(idempotency_key):
            raise InvalidInputError(
                "idempotency_key: expected 1 to 255 ASCII characters without blanks"
            )

        def make(answer: Answer) -> BulkLabelReply:
            return protocol.read_counts(answer, request, self._secret)

        key = idempotency_key or str(uuid4())
        is_new = idempotency_key is None or not sent_before
        outcome = self._caller.carry_out(
            request, make, key=key, is_new=is_new, on_wait=on_wait, stop=stop
        )
        if idempotency_key is None and isinstance(outcome, ApiError) and _is_stored(outcome):
            # The service keeps bringing the failure it has stored under our own key. A second
            # one is safe: attaching twice, or detaching twice, is the same as once.
            key = str(uuid4())
            outcome = self._caller.carry_out(
                request, make, key=key, is_new=True, on_wait=on_wait, stop=stop
            )
        return _given(outcome)

    @ShortTraceback()
    def me(self) -> Me:
        """Ask whose key this is and what its plan allows; costs one read.

        Raises
        ------
        AuthenticationError
            The key is not accepted.
        """
        me = self._read("/me", lambda answer: Me.read(answer.data, self._secret))
        with self._gate.lock:
            if me.write_per_minute:
                self._gate.writes.set_limit(me.write_per_minute)
            if me.read_per_minute:
                self._gate.reads.set_limit(me.read_per_minute)
            if me.organization_id:
                name = me.organization_name and self._secret.clean(me.organization_name, limit=100)
                self._gate.organization = Organization(self._secret.clean(me.organization_id), name)
        return me

    @ShortTraceback()
    def label(self, label_id: str) -> Label:
        """Ask for one label.

        Raises
        ------
        NotFoundError
            This organisation has no such label.
        """
        if not protocol.is_label_id(label_id):
            raise InvalidInputError("label_id: expected lbl_ and 26 upper-case letters and digits")
        path = f"/labels/{label_id}"
        return self._read(path, lambda answer: Label.read(answer.data, self._secret))

    def labels(self) -> Iterator[Label]:
        """Go through the organisation's labels, a page of 100 at a time as needed."""
        return _Shortly(Label.read(item, self._secret) for item in self._items("/labels"))

    @ShortTraceback()
    def create_label(
        self, name: str, *, color: str | None = None, team_id: str | None = None
    ) -> Label:
        """Make a label; every try of the call has one idempotency key.

        Parameters
        ----------
        name
            1 to 50 characters, unique within the team.
        color
            One of the service's colour names; None for its choice.
        team_id
            The team; needed where the organisation has several.

        Returns
        -------
        Label
            The new label.

        Raises
        ------
        InvalidInputError
            An argument is not usable; nothing was sent.
        InvalidRequestError
            The service refuses it: the name is taken in that team, or the team is needed.
        KirimError
            The call failed; ``maybe_applied`` tells whether it may still have been carried out.
        """
        request = protocol.create_label_request(
            self._address, name=name, color=color, team_id=team_id
        )
        return _given(
            self._caller.carry_out(
                request,
                lambda answer: Label.read(answer.data, self._secret),
                key=str(uuid4()),
                is_new=True,
            )
        )

    @ShortTraceback()
    def contacts(self, *, search: str | None = None, phone: str | None = None) -> Iterator[Contact]:
        """Go through the organisation's contacts, a page of 100 at a time as needed.

        Parameters
        ----------
        search
            Text of 1 to 200 characters.
        phone
            An exact number in the form +628…
        """
        pages = self.contact_pages(search=search, phone=phone)
        return _Shortly(chain.from_iterable(page for page, _ in pages))

    @ShortTraceback()
    def contact_pages(
        self,
        *,
        search: str | None = None,
        phone: str | None = None,
        stop: threading.Event | None = None,
    ) -> Iterator[tuple[list[Contact], bool]]:
        """Go through the organisation's contacts page by page, and whether more follow.

        The arguments are those of :meth:`contacts`; `stop` ends a wait at once when set.
        """
        protocol.check_filters(search, phone)
        pages = self._pages("/contacts", stop, search=search, phone=phone)
        return _Shortly(
            ([Contact.read(item, self._secret) for item in page], more) for page, more in pages
        )

    @ShortTraceback()
    def at_number(self, phone_number_id: str) -> Client:
        """Return a client like this one whose contact paths name another connected number."""
        twin = object.__new__(Client)
        twin.__dict__.update(self.__dict__)
        twin._address = self._address.at(phone_number_id)
        return twin

    @property
    def has_number(self) -> bool:
        """Whether contact paths name a connected number, so that lists are of that number only."""
        return self._address.phone_number_id is not None

    def accounts(self) -> Iterator[Account]:
        """Go through the organisation's connected numbers."""
        return _Shortly(Account.read(item, self._secret) for item in self._items("/accounts"))

    @ShortTraceback()
    def answer(self, path: str, **query: str | int | None) -> Answer:
        """Read a path, such as ``/me``, and give the JSON as it came; costs one read.

        Nothing of it is checked or cleaned: it is for looking at, not for showing.
        """
        if not isinstance(path, str) or not path.startswith("/"):
            raise InvalidInputError(f"path: found {type(path).__name__}, expected one like /me")
        return self._read(path, lambda answer: answer, query)

    def _read(
        self,
        path: str,
        make: Callable[[Answer], T],
        query: Mapping[str, str | int | None] | None = None,
        stop: threading.Event | None = None,
    ) -> T:
        request = protocol.read_request(self._address, path, **query or {})
        with _told_when_slow(self._address.host):
            return _given(self._caller.carry_out(request, make, stop=stop))

    def _items(self, path: str, **query: str | None) -> Iterator[Mapping[str, Any]]:
        return chain.from_iterable(page for page, _ in self._pages(path, None, **query))

    def _pages(
        self, path: str, stop: threading.Event | None, **query: str | None
    ) -> Iterator[tuple[Sequence[Mapping[str, Any]], bool]]:
        most_pages, most_bytes = LARGEST_LISTS.get(path, LARGEST_LIST)
        cursor, seen, size = None, set(), 0

        def make(answer: Answer) -> tuple[list[Mapping[str, Any]], str | None, int]:
            return *protocol.read_page(answer, self._secret), answer.size

        while True:
            place = {"limit": PAGE_LIMIT, "cursor": cursor, **query}
            items, cursor, more = self._read(path, make, place, stop)
            yield items, cursor is not None
            if cursor is None:
                return
            if cursor in seen:
                raise ProtocolError("the list goes round in circles: the cursor came again")
            seen.add(cursor)
            size += more
            if len(seen) >= most_pages or size > most_bytes:
                raise ProtocolError(
                    f"the list of {path[1:]} does not end: found {len(seen):,} pages and "
                    f"{size / 2**20:,.0f} MiB, expected at most {most_pages:,} pages and "
                    f"{most_bytes / 2**20:,.0f} MiB; the items before this can be used"
                )


class _Shortly(Iterator[T]):
    """Goes through a list; its errors are as short as those of a call."""

    def __init__(self, items: Iterator[T]) -> None:
        self._items = items

    @ShortTraceback()
    def __next__(self) -> T:
        return next(self._items)


def _given(outcome: T | KirimError) -> T:
    if isinstance(outcome, KirimError):
        raise outcome
    return outcome


@contextmanager
def _told_when_slow(host: str) -> Iterator[None]:
    """Say on stderr that somebody waits for a read, and how long that may last."""

    def tell() -> None:
        if sys.stderr is not None:
            with suppress(OSError, ValueError):  # nobody reads it
                print(
                    f"kirim_pandas: still waiting for {host}; this may take half a minute, "
                    "then it is given up.",
                    file=sys.stderr,
                    flush=True,
                )

    def ring() -> None:
        with suppress(RuntimeError):  # no more threads can be had
            # A full pipe would hold up the other alarms.
            threading.Thread(target=tell, daemon=True).start()

    with Alarm(SLOW_SECONDS, ring):
        yield


def _check_settings(share: object, max_tries: object, patience_seconds: object) -> None:
    try:
        good = (
            0.0 < float(share) <= 1.0  # type: ignore[arg-type]
            and int(max_tries) >= 1  # type: ignore[call-overload]
            and float(patience_seconds) >= 0.0  # type: ignore[arg-type]
        )
    except (TypeError, ValueError, OverflowError):
        good = False
    if not good:
        given = {"share": share, "max_tries": max_tries, "patience_seconds": patience_seconds}
        told = ", ".join(f"{name}={_number_told(value)}" for name, value in given.items())
        raise ConfigurationError(
            f"found {told}; expected a share above 0 to 1, at least one try, and no negative "
            "patience"
        )


def _check_kinds(**given: object) -> None:
    """Refuse a setting of another kind than is taken."""
    for name, value in given.items():
        kinds, expected = _KINDS[name]
        is_flag = type(value).__name__ in ("bool", "bool_")  # NumPy's have these names
        if not (is_flag if kinds is bool else isinstance(value, kinds)):
            raise ConfigurationError(f"{name}: found {type(value).__name__}, expected {expected}")
    for field, value in asdict(given["timeouts"] or Timeouts()).items():  # type: ignore[call-overload]  # looked at above
        if not isinstance(value, (int, float)) or not value > 0:
            raise ConfigurationError(f"timeouts: {field} is no number of seconds above 0")


_KINDS: dict[str, tuple[Any, str]] = {
    "timeouts": (Timeouts | None, "kirim_pandas.api.client.Timeouts, or None"),
    "allow_http": (bool, "True or False"),
    "ca_bundle": (str | os.PathLike | None, "the path of a file, or None"),
}


def _listed(contact_ids: Iterable[str]) -> list[str]:
    try:
        return list(contact_ids)
    except TypeError:
        raise InvalidInputError(
            f"contact ids: found {type(contact_ids).__name__}, expected a list of texts"
        ) from None


def _number_told(value: object) -> object:
    return value if type(value) in (int, float) else type(value).__name__


def _setting(given: T | None, name: str, default: str | None = None) -> T | str | None:
    """Return what was given, else what the environment says of it, else the default.

    Nothing here can fail, so no traceback shows the environment.
    """
    told = os.environ.get(name, "")
    if given is None or (isinstance(given, str) and not given):
        return told.strip() or default
    return given


def _is_stored(error: ApiError) -> bool:
    """Whether the same key would bring the same failure for ever."""
    return error.replayed and error.maybe_applied
