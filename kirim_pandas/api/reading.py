"""The calls that read: whose key it is, labels, contacts, numbers. Page by page, as needed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

from kirim_pandas.api import protocol, readers
from kirim_pandas.api.address import Address
from kirim_pandas.api.caller import Caller
from kirim_pandas.api.models import Account, Contact, Label, Me, Organization
from kirim_pandas.api.protocol import Reply
from kirim_pandas.api.secret import Secret
from kirim_pandas.errors import InvalidInputError, KirimError, ProtocolError

__all__ = ["ReadingCalls"]

T = TypeVar("T")

PAGE_LIMIT = 100
"""The service's most items a page."""


class ReadingCalls:
    """The reading half of a client; the other half sets these attributes."""

    _address: Address
    _caller: Caller
    _secret: Secret

    def me(self) -> Me:
        """Ask whose key this is and what its plan allows; costs one read.

        Raises
        ------
        AuthenticationError
            The key is not accepted.
        """
        me = self._read("/me", lambda body: readers.read_me(readers.single(body)))
        gate = self._caller.gate
        with gate.lock:
            if me.write_per_minute:
                gate.writes.set_limit(me.write_per_minute)
            if me.read_per_minute:
                gate.reads.set_limit(me.read_per_minute)
            if me.organization_id:
                name = me.organization_name and self._secret.clean(me.organization_name, limit=100)
                gate.organization = Organization(
                    self._secret.clean(me.organization_id, limit=100), name
                )
        return me

    @property
    def organization(self) -> Organization | None:
        """Whose key this is, if :meth:`me` was asked; sends nothing."""
        return self._caller.gate.organization

    def key_mark(self, run_id: str) -> str:
        """Return what tells, in the journal, whether a run goes on under the same key."""
        return self._secret.mark(run_id)

    def label(self, label_id: str) -> Label:
        """Ask for one label.

        Raises
        ------
        NotFoundError
            This organisation has no such label.
        """
        if not protocol.is_label_id(label_id):
            raise InvalidInputError("label_id: expected lbl_ and 26 upper-case letters and digits")
        return self._read(
            f"/labels/{label_id}", lambda body: readers.read_label(readers.single(body))
        )

    def labels(self) -> Iterator[Label]:
        """Go through the organisation's labels, a page of 100 at a time as needed."""
        return map(readers.read_label, self._items("/labels"))

    def contacts(self, *, search: str | None = None, phone: str | None = None) -> Iterator[Contact]:
        """Go through the organisation's contacts, a page of 100 at a time as needed.

        Parameters
        ----------
        search
            Text of 1 to 200 characters.
        phone
            An exact number in the form +628…
        """
        if search is not None and not 1 <= len(search) <= 200:
            raise InvalidInputError(f"search: found {len(search)} characters, expected 1 to 200")
        return map(readers.read_contact, self._items("/contacts", search=search, phone=phone))

    def accounts(self) -> Iterator[Account]:
        """Go through the organisation's connected numbers."""
        return map(readers.read_account, self._items("/accounts"))

    def _read(self, path: str, make: Callable[[dict[str, Any]], T], **query: str | int | None) -> T:
        request = protocol.read_request(self._address, path, **query)

        def parse(reply: Reply) -> T:
            return make(protocol.parse_object(reply, self._secret, call=f"GET {path}"))

        outcome = self._caller.settle(request, parse)
        if isinstance(outcome, KirimError):
            raise outcome
        return outcome

    def _items(self, path: str, **query: str | None) -> Iterator[Mapping[str, Any]]:
        cursor, seen = None, set()
        while True:
            items, cursor = self._read(
                path,
                lambda body: readers.read_page(body, self._secret),
                limit=PAGE_LIMIT,
                cursor=cursor,
                **query,
            )
            yield from items
            if cursor is None:
                return
            if cursor in seen:
                raise ProtocolError("the list goes round in circles: the cursor came again")
            seen.add(cursor)
