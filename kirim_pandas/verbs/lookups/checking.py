"""The service against what is known of it: for the day somebody has a key.

Looking reads only.  The questions that no page answers need writes: these are sent only for
contacts and a label that the caller names, and after somebody has said yes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from kirim_pandas import session
from kirim_pandas.api.client import PAGE_LIMIT
from kirim_pandas.api.protocol import label_problems
from kirim_pandas.errors import ApiError, InvalidInputError, KirimError
from kirim_pandas.frames.shapes import CONTACT_ID
from kirim_pandas.verbs.argument_checks import ShortTraceback, plain, refuse, shown, used_client

if TYPE_CHECKING:
    from kirim_pandas.api.client import Client
    from kirim_pandas.api.models import Answer, BulkLabelReply


MOST_CONTACTS: Final = 10
"""Contacts that may be touched to answer the open questions."""

NOBODY = "ctc_" + "0" * 26
"""A well-formed id that no organisation is likely to have."""

LIST_FIELDS: Final = ("data", "has_more", "next_cursor", "request_id")
HEADERS: Final = ("x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset", "x-request-id")
FIELDS: Final = {
    "/labels": ("id", "object", "name", "color", "team_id", "created_at", "updated_at"),
    "/accounts": ("phone_number_id", "phone_number", "name", "status"),
    "/contacts": (
        *("id", "object", "phone_number", "name", "email", "metadata", "whatsapp_account"),
        *("created_at", "updated_at"),
    ),
}
"""What the service's pages say that each object has."""

IDS: Final = {
    "/labels": ("id", re.compile(r"lbl_[0-9A-HJKMNP-TV-Z]{26}"), "lbl_ and 26 characters"),
    "/accounts": ("phone_number_id", re.compile(r"\d{6,20}"), "6 to 20 digits"),
    "/contacts": ("id", CONTACT_ID, "ctc_ and 26 characters"),
}


def check(
    *,
    label_id: str | None = None,
    contacts: Sequence[str] | None = None,
    client: Client | None = None,
) -> pd.DataFrame:
    """Compare the service with what this package takes for granted.

    Costs four reads: the key, the labels, the connected numbers and one page of contacts.  With
    `label_id` and `contacts` it also answers what no page of the service says, by at most five
    writes, after a question that somebody has to answer with yes.

    Parameters
    ----------
    label_id
        A label made for this: afterwards none of the contacts has it.
    contacts
        1 to 10 contact ids of your own.
    client
        By default the one chosen by :func:`connect`.

    Returns
    -------
    DataFrame
        One row a fact, with a RangeIndex: ``fact``, ``expected``, ``found`` (string) and ``ok``
        (boolean; missing where nothing was expected, or nothing was there to look at).  Nothing
        of your customers stands in it.

    Raises
    ------
    InvalidInputError
        An argument is not usable, or nobody is there to say yes, or did not; nothing was written.
    KirimError
        There is no key.

    Examples
    --------
    >>> import kirim_pandas as kp
    >>> with kp.sandbox.start(contacts=10) as sandbox:
    ...     facts = kp.check(client=sandbox.client())
    >>> bool(facts["ok"].all())
    True
    """
    with ShortTraceback():
        label_id = plain(label_id)
        ids = _ids_in(contacts)
        refuse(_problems(label_id, ids))
        client = used_client(client)
        facts = _Facts()
        if label_id is None or not ids:
            _look(client, facts)
            return facts.frame()
        _ask(label_id, ids)
        _look(client, facts)
        _try(client, label_id, ids, facts)
        return facts.frame()


def _ids_in(contacts: object) -> list[Any] | None:
    if contacts is None:
        return None
    if not isinstance(contacts, list | tuple | pd.Series | pd.Index | np.ndarray):
        raise InvalidInputError(
            f"contacts: found {shown(contacts)}, expected a list of contact ids of your own."
        )
    return [plain(one) for one in list(contacts)]


@dataclass
class _Facts:
    """Rows of the frame."""

    rows: list[tuple[str, str, str, bool | None]] = field(default_factory=list)

    def add(self, fact: str, expected: str, found: str, ok: bool | None) -> None:
        self.rows.append((fact, expected, found, ok))

    def frame(self) -> pd.DataFrame:
        frame = pd.DataFrame(self.rows, columns=["fact", "expected", "found", "ok"])
        texts = dict.fromkeys(["fact", "expected", "found"], "string")
        return frame.astype({**texts, "ok": "boolean"})


def _problems(label_id: object, contacts: list[Any] | None) -> list[str]:
    if label_id is None and contacts is None:
        return []
    if label_id is None or contacts is None:
        return [
            "label_id= and contacts= go together: the label to try, and the contacts to try on."
        ]
    return [*label_problems(label_id), *_contact_problems(contacts)]


def _contact_problems(contacts: list[Any]) -> list[str]:
    problems = []
    good = [one for one in contacts if isinstance(one, str) and CONTACT_ID.fullmatch(one)]
    different = len(contacts) - len(good) + len(set(good))
    if not 1 <= different == len(contacts) <= MOST_CONTACTS:
        problems.append(
            f"contacts: found {len(contacts)} ids, {different} of them different; "
            f"expected 1 to {MOST_CONTACTS}, each once."
        )
    if len(good) < len(contacts):
        problems.append(
            f"contacts: {len(contacts) - len(good)} are no contact ids (ctc_ and 26 characters)."
        )
    return problems


# -- reads ---------------------------------------------------------------------------------


def _look(client: Client, facts: _Facts) -> None:
    me = _answered(client, "/me", facts)
    if me is not None:
        _look_at_me(me, facts)
    for path in FIELDS:
        # The paths of labels and numbers never name a number; those of contacts may.
        answer = _answered(client, path, facts, limit=PAGE_LIMIT)
        if answer is not None:
            _look_at_list(path, answer, facts)


def _look_at_me(me: Answer, facts: _Facts) -> None:
    data = me.body.get("data")
    limits = data.get("rate_limits") if isinstance(data, Mapping) else None
    expected = ("tier", "write_per_minute", "read_per_minute")
    _compare_fields("rate limits in /me", expected, [limits or {}], facts)


def _answered(client: Client, path: str, facts: _Facts, **query: int) -> Answer | None:
    try:
        answer = client.answer(path, **query)
    except KirimError as error:
        facts.add(f"GET {path}", "an answer", _told(error), False)
        return None
    missing = [name for name in HEADERS if name not in answer.header_names]
    found = f"without {', '.join(missing)}" if missing else "all"
    facts.add(f"headers of GET {path}", ", ".join(HEADERS), found, not missing)
    return answer


def _look_at_list(path: str, answer: Answer, facts: _Facts) -> None:
    _compare_fields(f"list of {path}", LIST_FIELDS, [answer.body], facts)
    items = _items(answer)
    _compare_fields(f"fields in {path}", FIELDS[path], items, facts)
    _look_at_ids(path, items, facts)
    size = len(items)
    facts.add(f"items in a page of {path}", f"at most {PAGE_LIMIT}", str(size), size <= PAGE_LIMIT)


def _items(answer: Answer) -> list[dict[str, Any]]:
    items = answer.body.get("data")
    return [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []


def _look_at_ids(path: str, items: list[dict[str, Any]], facts: _Facts) -> None:
    name, form, words = IDS[path]
    ids = [item.get(name) for item in items]
    odd = sum(not (isinstance(one, str) and form.fullmatch(one)) for one in ids)
    found = f"{len(ids) - odd} of {len(ids)} so"
    facts.add(f"{name} in {path}", words, found, not odd if ids else None)


def _compare_fields(
    fact: str, expected: Sequence[str], items: Iterable[Any], facts: _Facts
) -> None:
    """Say which fields are missing in every item, and which are there besides."""
    objects = [item for item in items if isinstance(item, Mapping)]
    names = _names(objects)
    missing = [name for name in expected if name not in names]
    besides = sorted(names - set(expected))
    parts = [f"without {', '.join(missing)}"] if missing else ["all"]
    parts += [f"besides: {', '.join(besides[:10])}"] if besides else []
    found = "; ".join(parts) if objects else "nothing to look at"
    facts.add(fact, ", ".join(expected), found, not missing if objects else None)


def _names(objects: list[Mapping[str, Any]]) -> set[str]:
    """Return the fields of any of them; what looks like no field's name may be somebody's."""
    every = {name for one in objects for name in one}
    return {name for name in every if re.fullmatch(r"[A-Za-z_]{1,40}", name)}


# -- writes --------------------------------------------------------------------------------


def _ask(label_id: str, contacts: list[str]) -> None:
    """Ask whether the contacts may be touched; anything but yes is a no."""
    nothing = "Nothing was sent."
    if not session.somebody_is_there():
        raise InvalidInputError(
            f"Nobody is there to be asked whether these contacts may be touched. {nothing} Call "
            "kirim_pandas.check(label_id=…, contacts=…) in a notebook or a terminal."
        )
    question = (
        f"This attaches label {label_id} to {len(contacts)} of your contacts, several times, and "
        "detaches it at the end: none of them has it then, not even those that had it before. "
        "Webhooks may fire. Up to 5 write requests. Go on? Type yes: "
    )
    try:
        said = input(question)
    except (EOFError, RuntimeError, OSError):  # a front end that lets nobody type
        said = ""
    if said.strip().lower() != "yes":
        raise InvalidInputError(f"The question was not answered with yes. {nothing}")


def _try(client: Client, label_id: str, contacts: list[str], facts: _Facts) -> None:
    """Attach, the same again, an id of nobody, an id twice; detach whatever happens."""

    def send(ids: list[str], operation: str = "attach") -> BulkLabelReply | KirimError:
        try:
            return client.bulk_label(ids, label_id, operation, repeats=True)
        except KirimError as error:  # a refusal is an answer, too
            return error

    try:
        first = send(contacts)
        facts.add("attach", "counts", _counts(first), not isinstance(first, KirimError))
        if isinstance(first, KirimError):
            return
        again, nobody, twice = send(contacts), send([NOBODY]), send([contacts[0]] * 2)
        told = {
            "applied, where all have the label": (again, _applied_means(first, again)),
            "an id that nobody has": (nobody, _COUNTED.get(_sum(nobody), "in another way")),
            "an id twice in a call": (twice, _TWICE.get(_sum(twice), "in another way")),
        }
        for fact, (reply, words) in told.items():
            refused = isinstance(reply, KirimError)
            found = f"refused: {_counts(reply)}" if refused else f"{words} ({_counts(reply)})"
            facts.add(fact, "not documented", found, None)
    finally:
        last = send(contacts, "detach")
        facts.add("detach", "counts", _counts(last), not isinstance(last, KirimError))


_COUNTED: Final = {0: "counted nowhere", 1: "counted"}
_TWICE: Final = {
    0: "cannot be told, as nothing new was set",
    1: "counted once",
    2: "counted each time",
}


def _applied_means(first: BulkLabelReply, again: BulkLabelReply | KirimError) -> str:
    if isinstance(again, KirimError):
        return ""
    if not first.applied:
        return "cannot be told, as nobody was counted as applied"
    kinds = {first.applied: "counts contacts", 0: "counts changes"}
    return kinds.get(again.applied, "counts something else")


def _sum(reply: BulkLabelReply | KirimError) -> int:
    if isinstance(reply, KirimError):
        return -1
    return reply.applied + reply.cross_org + reply.team_mismatch


def _counts(reply: BulkLabelReply | KirimError) -> str:
    if isinstance(reply, KirimError):
        return _told(reply)
    return (
        f"applied {reply.applied}, skipped_cross_org {reply.cross_org}, "
        f"skipped_team_mismatch {reply.team_mismatch}"
    )


def _told(error: KirimError) -> str:
    if isinstance(error, ApiError):
        return f"HTTP {error.status}, {shown(error.code)}"
    return type(error).__name__
