"""The sandbox as its user holds it: start it, use it, look at the truth, close it."""

from __future__ import annotations

import json
import os
import secrets
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Self

import pandas as pd

from kirim_pandas.errors import InvalidInputError, ShortTraceback
from kirim_pandas.sandbox import tables
from kirim_pandas.sandbox.clock import Clock
from kirim_pandas.sandbox.faults import Faults
from kirim_pandas.sandbox.idempotency import Idempotency
from kirim_pandas.sandbox.limits import Limits
from kirim_pandas.sandbox.people import sample_contacts
from kirim_pandas.sandbox.server import Server
from kirim_pandas.sandbox.service import Key, Service
from kirim_pandas.sandbox.store import Label, Store
from kirim_pandas.sandbox.switches import Switches, check, is_number, is_whole

if TYPE_CHECKING:
    from kirim_pandas.api.client import Client


class Sandbox:
    """A running rehearsal copy of the service; made by ``sandbox.start``.

    A context manager: leaving it hangs up and ends all its threads.
    """

    def __init__(
        self,
        contacts: int | pd.DataFrame,
        *,
        seed: int,
        write_per_minute: int,
        read_per_minute: int,
        switches: Switches,
        faults: Faults,
        port: int,
        phone_number_id: str | None,
        skipped_share: float | None,
        in_progress_wait_seconds: float,
    ) -> None:
        given = dict(locals())
        check({name: (given[name], *_SETTINGS[name]) for name in _SETTINGS})
        self._given_number = phone_number_id
        self._seed = seed
        self._organization_id = tables.derive_id("org_", seed, "own")
        self._switches = switches
        self._clock = Clock(skew_seconds=faults.clock_skew_seconds)
        self._limits = Limits(
            self._clock,
            write_per_minute=write_per_minute,
            read_per_minute=read_per_minute,
            others_per_minute=faults.others_per_minute,
            refusal_costs=switches.refusal_costs,
        )
        self._store = Store()
        self._keys: dict[str, Key] = {}
        self._api_key = self.add_key()
        try:
            self._contacts = self._fill(contacts, skipped_share)
            self._server = self._make_server(port, faults, in_progress_wait_seconds)
        except BaseException:
            self._store.close()
            raise
        self._thread = threading.Thread(
            target=self._server.serve_forever,
            kwargs={"poll_interval": 0.05},
            name="kirim-sandbox",
            daemon=True,
        )
        self._thread.start()
        self._open = True

    # For the client

    @property
    def base_url(self) -> str:
        """Where the API is: ``http://127.0.0.1:PORT/v1``."""
        return f"http://127.0.0.1:{self._server.server_port}/v1"

    @property
    def api_key(self) -> str:
        """A key that works until it is revoked or expires."""
        return self._api_key

    @property
    def organization_id(self) -> str:
        """The organisation of `api_key`."""
        return self._organization_id

    @property
    def phone_number_id(self) -> str:
        """The first connected number, which the paths of `client` name where they must."""
        return str(self.accounts["phone_number_id"].iloc[0])

    def client(self, **settings: Any) -> Client:
        """Make a client of this sandbox.

        Parameters
        ----------
        **settings
            For ``kirim_pandas.Client``; address and key are set unless given.

        Returns
        -------
        Client
            To be closed by the caller.
        """
        from kirim_pandas.api.client import Client

        rule = self._switches.phone_number_path
        # A number in the environment is the real service's; the client would take it.
        elsewhere = rule == "optional" and "KIRIM_PHONE_NUMBER_ID" in os.environ
        if self._given_number or rule == "required" or elsewhere:
            settings.setdefault("phone_number_id", self.phone_number_id)
        with ShortTraceback():
            return Client(**{"api_key": self.api_key, "base_url": self.base_url, **settings})

    # The truth

    @property
    def contacts(self) -> pd.DataFrame:
        """The contacts as an analyst would have them: a copy of the frame at the start."""
        return self._contacts.copy()

    @property
    def labels(self) -> pd.DataFrame:
        """The labels there are now: id, name, color, team_id, created_at; Sales VIP comes first."""
        return tables.labels(self._store)

    @property
    def accounts(self) -> pd.DataFrame:
        """The connected numbers: phone_number_id, phone_number, name, team_id, team."""
        return tables.accounts(self._store)

    @ShortTraceback()
    def team_id(self, team: str) -> str:
        """Give the id of a team, which the service shows in place of its name."""
        _check_text(team=team)
        found = self.accounts.set_index("team")["team_id"]
        if team not in found.index:
            raise InvalidInputError("there is no such team; see .accounts")
        return str(found[team])

    @ShortTraceback()
    def members(self, label_id: str) -> set[str]:
        """Tell which contacts carry a label, as a set of contact ids."""
        _check_text(label_id=label_id)
        rows = self._store.rows(
            "SELECT contact_id FROM attached JOIN contact ON contact = contact.number"
            " JOIN label ON label = label.number WHERE label_id = ?",
            (str(label_id),),
        )
        return {contact_id for (contact_id,) in rows}

    @ShortTraceback()
    def outcome(self, label_id: str) -> pd.Series[str]:
        """Tell what a call for a label would do to each contact now.

        Returns
        -------
        Series
            ``applied``, ``cross_org`` or ``team_mismatch``; the index holds the contact ids.
            Ids that are not in it do not exist.
        """
        return tables.outcome(self._store, self._label(label_id))

    def requests(self) -> pd.DataFrame:
        """List what was asked and answered, in order of arrival.

        Returns
        -------
        DataFrame
            One row per request: sequence, seconds (monotonic), method, path, idempotency_key,
            try_number (of the key, from 0), fault, status (NA: none was sent), replayed,
            executed (this very call was carried out), request_id, label_id, operation,
            contacts (how many ids), contact_ids (a list), headers (a dict, without the key).
        """
        return tables.requests(self._store)

    # Changing the world

    @ShortTraceback()
    def move_contact(self, contact: str | int, team: str) -> None:
        """Give a contact (id, or row in `contacts`) to another team, and to its number."""
        _check_text(team=team)
        self._change(
            "UPDATE contact SET team = ?, account = (SELECT number FROM account WHERE team = ?),"
            " updated_at = strftime('%Y-%m-%dT%H:%M:%fZ') WHERE contact_id = ?",
            *(str(team), str(team), self._id(contact)),
        )

    @ShortTraceback()
    def delete_contact(self, contact: str | int) -> None:
        """Delete a contact (id, or row in `contacts`), and its labels with it."""
        contact_id = self._id(contact)
        with self._store.transaction():
            self._store.rows(
                "DELETE FROM attached WHERE contact IN"
                " (SELECT number FROM contact WHERE contact_id = ?)",
                (contact_id,),
            )
            self._change("DELETE FROM contact WHERE contact_id = ?", contact_id)

    @ShortTraceback()
    def delete_label(self, label: str | int = 0) -> None:
        """Delete a label (id, or row in `labels`); nobody carries it any more."""
        label_id = _of_row(self.labels["id"], "label", label)
        number = self._label(label_id).number
        with self._store.transaction():
            self._store.rows("DELETE FROM attached WHERE label = ?", (number,))
            self._store.rows("DELETE FROM label WHERE number = ?", (number,))

    @ShortTraceback()
    def set_members(self, label_id: str, contact_ids: list[str]) -> None:
        """Let exactly these contacts carry a label, as if it had been so before."""
        _check_texts(contact_ids)
        number = self._label(label_id).number
        with self._store.transaction():
            self._store.rows("DELETE FROM attached WHERE label = ?", (number,))
            self._store.rows(
                "INSERT INTO attached SELECT ?, number FROM contact"
                " WHERE contact_id IN (SELECT value FROM json_each(?))",
                (number, json.dumps(list(contact_ids))),
            )

    def revoke_key(self) -> None:
        """Let `api_key` be unknown from now on (401 ``invalid_api_key``)."""
        self._keys[self._api_key].state = "revoked"

    def expire_key(self) -> None:
        """Let `api_key` be expired from now on (401 ``expired_api_key``)."""
        self._keys[self._api_key].state = "expired"

    def add_key(self, *, organization: str = "own") -> str:
        """Make another key, and let `api_key` be it if it is the own organisation's.

        Parameters
        ----------
        organization
            ``"own"``, or any other word for a key of an organisation of that name, which has
            neither contacts nor labels.

        Returns
        -------
        str
            The key.
        """
        # The shape of a real key, plainly a fake, and no two alike: a client that talks to the
        # wrong sandbox is told so.
        token = "kdv_live_FAKE0sandbox0" + secrets.token_hex(6)[:11]
        self._keys[token] = Key(tables.derive_id("org_", self._seed, organization))
        if organization == "own":
            self._api_key = token
        return token

    @ShortTraceback()
    def set_write_per_minute(self, write_per_minute: int) -> None:
        """Change the limit of writes, as a change of plan does."""
        self._limits.set_per_minute("writes", write_per_minute)

    @ShortTraceback()
    def advance_clock(self, seconds: float) -> None:
        """Move the sandbox's clock forward: buckets fill, keys grow old."""
        self._clock.advance(seconds)

    def close(self) -> None:
        """Hang up on every client, end all threads, forget the truth."""
        if self._open:
            self._open = False
            self._server.stop()
            self._thread.join(5)
            self._store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        if not self._open:
            return "<Sandbox, closed>"
        counted = self._store.rows(
            "SELECT (SELECT count(*) FROM contact), (SELECT count(*) FROM label),"
            " (SELECT count(*) FROM request)"
        )
        contacts, labels, requests = counted[0]
        return (
            f"<Sandbox, a copy of Kirim on this computer, at {self.base_url}: {contacts:,}"
            f" contacts, {labels} labels, {requests:,} requests so far>"
        )

    def _fill(self, contacts: int | pd.DataFrame, skipped_share: float | None) -> pd.DataFrame:
        """Put the contacts into the store, and give them as an analyst would have them."""
        if isinstance(contacts, pd.DataFrame):
            if skipped_share is not None:
                raise InvalidInputError("skipped_share is for sample contacts; a frame has its own")
            self._put_in(contacts)
            return contacts.copy()
        made = sample_contacts(int(contacts), seed=self._seed, skipped_share=skipped_share)
        self._put_in(made)
        # Who is foreign is for the analyst to find out.
        return made.drop(columns="organization")

    def _put_in(self, contacts: pd.DataFrame) -> None:
        tables.fill(
            self._store,
            contacts,
            self._seed,
            account_teams=self._switches.account_teams,
            phone_number_id=self._given_number,
        )

    def _make_server(self, port: int, faults: Faults, wait_seconds: float) -> Server:
        service = Service(
            store=self._store,
            clock=self._clock,
            switches=self._switches,
            limits=self._limits,
            keys=self._keys,
            idempotency=Idempotency(
                self._store,
                self._clock,
                key_reuse=self._switches.key_reuse,
                wait_seconds=wait_seconds,
            ),
            pause=lambda seconds: self._server.closing.wait(seconds),
        )
        return Server(port, service, faults, self._on_event)

    def _label(self, label_id: str) -> Label:
        _check_text(label_id=label_id)
        label = self._store.find_label(str(label_id), self._organization_id)
        if label is None:
            raise InvalidInputError("there is no such label; see .labels")
        return label

    def _id(self, contact: str | int) -> str:
        return _of_row(self._contacts["contact_id"], "contact", contact)

    def _change(self, statement: str, *values: Any) -> None:
        if not self._store.rows(statement + " RETURNING 1", values):
            raise InvalidInputError("there is no such contact; see .contacts")

    def _on_event(self, name: str, *values: Any) -> None:
        getattr(self, name)(*values)


def _check_text(**given: object) -> None:
    check({k: (v, lambda value: isinstance(value, str), "a text") for k, v in given.items()})


def _check_texts(given: Any) -> None:
    def are_texts(values: Any) -> bool:
        is_list = isinstance(values, (list, tuple, set, pd.Series, pd.Index))
        return is_list and all(isinstance(value, str) for value in values)

    check({"contact_ids": (given, are_texts, "a list of texts")})


def _of_row(ids: pd.Series[str], name: str, given: object) -> str:
    """Read an id, or the id in a row."""

    def is_one(value: Any) -> bool:
        return isinstance(value, str) or is_whole(value, -len(ids), len(ids) - 1)

    check({name: (given, is_one, f"an id, or one of {len(ids):,} rows")})
    return str(given) if isinstance(given, str) else str(ids.iloc[given])  # type: ignore[call-overload]  # a whole number


_SETTINGS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "contacts": (
        lambda value: isinstance(value, pd.DataFrame) or is_whole(value, 0),
        "how many (0 or more), or a DataFrame with contact_id and team",
    ),
    "seed": (lambda value: is_whole(value, 0), "a whole number, 0 or more"),
    "write_per_minute": (
        lambda value: is_number(value, 1, 1e12),
        "a limit of at least 1 a minute",
    ),
    "read_per_minute": (lambda value: is_number(value, 1, 1e12), "a limit of at least 1 a minute"),
    "switches": (lambda value: isinstance(value, Switches), "kirim_pandas.sandbox.Switches"),
    "faults": (lambda value: isinstance(value, Faults), "kirim_pandas.sandbox.Faults"),
    "port": (lambda value: is_whole(value, 0, 65_535), "0 for a free one, or up to 65535"),
    "phone_number_id": (
        lambda value: value is None or isinstance(value, str),
        "a text of digits, or None",
    ),
    "skipped_share": (
        lambda value: value is None or is_number(value, 0, 1),
        "a share between 0 and 1, or None",
    ),
    "in_progress_wait_seconds": (
        lambda value: is_number(value, 0, 86_400),
        "seconds, 0 or more",
    ),
}
"""What each setting of a sandbox may be, and that in words."""
