"""Labels for the segments of a frame: a series of runs, and one row of outcome for each row."""

from __future__ import annotations

from collections.abc import Hashable
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kirim_pandas import session
from kirim_pandas.api.protocol import operation_problems
from kirim_pandas.errors import InvalidInputError
from kirim_pandas.frames.columns import listed
from kirim_pandas.frames.ids import NO_CONTACT, ContactIds
from kirim_pandas.frames.pairing import keep
from kirim_pandas.frames.results import EVIDENCE_DTYPE, RUN_ID_ATTR, STATUS_DTYPE
from kirim_pandas.journal.files import located
from kirim_pandas.run.spec import Column, Job
from kirim_pandas.verbs.door import (
    client_problems,
    journal_problems,
    plain,
    progress_problems,
    refuse,
    shown,
    used_client,
)
from kirim_pandas.verbs.labeling import record_of, warn
from kirim_pandas.verbs.lookups.label_names import absent, name_problems, resolved
from kirim_pandas.verbs.lookups.labels import create_label
from kirim_pandas.verbs.order import Order, Rows, columns_of, new_run_id, option_problems
from kirim_pandas.verbs.segments.mapping import Labels, Segments, segments_of
from kirim_pandas.verbs.segments.series import Series, runs_of

if TYPE_CHECKING:
    from kirim_pandas.verbs.arguments import (
        Client,
        Hint,
        JournalChoice,
        Pandas,
        ProgressChoice,
        Resolve,
    )

__all__ = ["Asked", "label_segments"]

MOST_CHARACTERS = 50
"""Of the name of a label. [kirim-api: POST /labels]"""


@dataclass(frozen=True, eq=False)
class Asked:
    """The arguments of ``df.kirim.label_segments``."""

    by: Any
    labels: Labels
    op: str
    exclusive: bool
    create: bool
    id_column: Hashable | None
    phone: Hashable | None
    email: Hashable | None
    team_id: str | None
    hint: Hint
    reads: bool
    resolve: Resolve
    client: Client | None
    journal: JournalChoice


@dataclass(frozen=True, eq=False)
class Wanted:
    """Which contact each row means, and which label it is to carry; -1 for none."""

    ids: ContactIds
    codes: NDArray[np.int64]
    label_ids: list[str]
    op: str

    @property
    def pairs(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Contacts and the labels they are to carry, each pair once, in the order of sending."""
        rows = (self.ids.position >= 0) & (self.codes >= 0)
        different = np.unique(self._keys(self.ids.position[rows], self.codes[rows]))
        return np.divmod(different, self._count)

    def arrange(self, known: pd.DataFrame) -> pd.DataFrame:
        """Give each row what is known of its contact and label."""
        told = known[(known["operation"] == self.op).to_numpy(bool)]
        contacts = pd.Index(self.ids.ids).get_indexer(pd.Index(told["contact_id"].astype(object)))
        labels = pd.Index(self.label_ids).get_indexer(pd.Index(told["label_id"].astype(object)))
        places = pd.Index(self._keys(contacts, labels))
        place = places.get_indexer(pd.Index(self._keys(self.ids.position, self.codes)))
        place[self.codes < 0] = len(told) + len(NO_CONTACT)
        for number, kind in enumerate(NO_CONTACT):
            place[self.ids.unusable == kind] = len(told) + number
        frame = pd.concat([told, _without_outcome()], ignore_index=True).take(place)
        frame.index = self.ids.index.copy(deep=False)
        frame["contact_id"] = self.ids.text
        return frame

    def _keys(self, contacts: NDArray[Any], labels: NDArray[Any]) -> NDArray[np.int64]:
        keys: NDArray[np.int64] = contacts.astype(np.int64) * self._count + labels
        return keys

    @property
    def _count(self) -> int:
        return max(1, len(self.label_ids))


def _without_outcome() -> pd.DataFrame:
    """Give the rows that stand for a row of which nothing was sent: no contact, or no label."""
    reasons = [*NO_CONTACT.values(), "no_label"]
    nothing = pd.array([None] * len(reasons), dtype="string")
    return pd.DataFrame(
        {
            "contact_id": nothing,
            "status": pd.Categorical(["not_sent"] * len(reasons), dtype=STATUS_DTYPE),
            "reason": pd.array(reasons, dtype="string"),
            "evidence": pd.Categorical([None] * len(reasons), dtype=EVIDENCE_DTYPE),
            "batch": pd.array([None] * len(reasons), dtype="Int64"),
            "label_id": nothing,
            "label": nothing,
            "operation": nothing,
        }
    )


def label_segments(obj: Pandas, asked: Asked, progress: ProgressChoice) -> pd.DataFrame:
    """Label each segment; documented where people look, at ``df.kirim.label_segments``."""
    progress = plain(progress)
    asked = replace(
        asked, op=plain(asked.op), team_id=plain(asked.team_id), resolve=plain(asked.resolve)
    )
    contacts, found = _checked(obj, asked, progress)
    if not contacts.has_contacts or not found.labels:
        ids = contacts.ids(asked.client, progress=progress is True)
        return _nothing_sent(Wanted(ids, np.full(ids.rows, -1), [], asked.op))
    client = used_client(asked.client)
    new = absent(found.labels, asked.team_id, client) if asked.create else []
    named = _named(found.labels, new, contacts, asked, client)
    ids = contacts.ids(client, progress=progress is True)
    rows = _wanted(ids, found, named, asked)
    _refuse_several(rows, asked)
    for note in _notes(found, set(rows.label_ids), new, client):
        warn(note)
    made = {name: create_label(name, team_id=asked.team_id, client=client) for name in new}
    rows, names = _with_new(rows, dict(named.values()), made)
    orders = _orders(obj, rows, names, asked, client)
    if not orders:
        return _nothing_sent(rows)
    series = _written_down(orders, rows, asked, client)
    return replace(series, source=keep(obj, ids)).carry_out(progress)


def _with_new(
    rows: Wanted, names: dict[str, str | None], made: dict[str, str]
) -> tuple[Wanted, dict[str, str | None]]:
    """Put the ids of new labels where their names stood; give the name of each id as well."""
    label_ids = [made.get(label_id, label_id) for label_id in rows.label_ids]
    return replace(rows, label_ids=label_ids), {made.get(i, i): name for i, name in names.items()}


def _named(
    labels: list[str], new: list[str], contacts: Rows, asked: Asked, client: Client
) -> dict[str, tuple[str, str | None]]:
    """Find the id and the name of each label; one that is still to be made has its name as id."""
    known = [label for label in labels if label not in new]
    found = [resolved(label, asked.team_id, client, contacts.known_ids) for label in known]
    return dict(zip(known, found, strict=True)) | {label: (label, label) for label in new}


def _nothing_sent(rows: Wanted) -> pd.DataFrame:
    frame = rows.arrange(_without_outcome().iloc[:0])
    frame.attrs = {RUN_ID_ATTR: new_run_id()}
    return frame


# -- checks --------------------------------------------------------------------------------


def _checked(obj: Pandas, asked: Asked, progress: object) -> tuple[Rows, Segments]:
    """Check all arguments and the frame, and tell all that is wrong at once."""
    problems = _option_problems(asked, progress)
    columns = (plain(asked.id_column), plain(asked.phone), plain(asked.email))
    try:
        contacts = Rows(obj, *columns, hint=plain(asked.hint))
        found = segments_of(obj, asked.by, asked.labels)
    except InvalidInputError as error:
        raise InvalidInputError("\n".join([*problems, str(error)])) from None
    for name in found.labels:
        problems += name_problems(name, asked.team_id)
    refuse([*dict.fromkeys(problems), *_length_problems(found.labels, asked)])
    return contacts, found


def _option_problems(asked: Asked, progress: object) -> list[str]:
    both = (
        'exclusive=True was found with op="detach", expected "attach": each label is attached to '
        "its segment, and detached from the others."
    )
    return [
        *operation_problems(asked.op),
        *option_problems(asked.resolve, None),
        *client_problems(asked.client),
        *journal_problems(asked.journal, needed=True),
        *progress_problems(progress),
        *[both] * (asked.exclusive and asked.op == "detach"),
    ]


def _length_problems(labels: list[str], asked: Asked) -> list[str]:
    """Tell which labels cannot be made."""
    long = [shown(name) for name in labels if len(name) > MOST_CHARACTERS]
    told = f"labels: a label has at most {MOST_CHARACTERS} characters, more have {listed(long)}."
    return [told] if asked.create and long else []


def _wanted(
    ids: ContactIds, found: Segments, named: dict[str, tuple[str, str | None]], asked: Asked
) -> Wanted:
    """Take two names of one label as one."""
    label_ids = [named[name][0] for name in found.labels]
    different = list(dict.fromkeys(label_ids))
    place = np.array([*map(different.index, label_ids), -1])
    return Wanted(ids, place[found.codes], different, asked.op)


def _refuse_several(rows: Wanted, asked: Asked) -> None:
    """Refuse a contact of two segments, unless it may carry both labels."""
    if asked.op == "attach" and not asked.exclusive:
        return
    contacts, _labels = rows.pairs
    several = np.unique(contacts[1:][contacts[1:] == contacts[:-1]])
    if len(several):
        raise InvalidInputError(
            f"{len(several):,} contacts stand in several segments, through several rows: "
            f"{listed(list(rows.ids.ids[several]))}. Nothing was sent. Leave one row for each "
            "contact, or attach without exclusive=True, which gives a contact both labels."
        )


def _notes(found: Segments, label_ids: set[str], new: list[str], client: Client) -> list[str]:
    """Say what an analyst may not expect, a sentence each, before anything is sent."""
    notes = []
    if found.merged:
        notes.append(f"Several values are mapped to one label: {listed(found.merged)}.")
    if new:
        notes.append(f"Labels that do not exist are made: {listed(new)}.")
    teams = {label.team_id for label in session.remembered_labels(client) if label.id in label_ids}
    if len(teams) > 1:
        notes.append(
            f"The labels belong to {len(teams)} teams. A contact carries labels of its own team "
            "only; whoever is mapped to another's is skipped (team_mismatch)."
        )
    return notes


# -- the runs ------------------------------------------------------------------------------


def _orders(
    obj: Pandas, rows: Wanted, names: dict[str, str | None], asked: Asked, client: Client
) -> list[Order]:
    """Make the runs: each label to its segment, then, where it is exclusive, from the others."""
    contacts, labels = rows.pairs
    columns = columns_of(obj, rows.ids, plain(asked.hint)) if asked.resolve == "rows" else ()
    everybody = np.arange(rows.ids.contacts)
    halves: list[tuple[str, Resolve]] = [(asked.op, asked.resolve), ("detach", "batches")]
    orders = []
    for (op, resolve), (code, label_id) in product(
        halves[: 1 + asked.exclusive], enumerate(rows.label_ids)
    ):
        chosen = contacts[labels == code]
        if op != asked.op:
            chosen = np.setdiff1d(everybody, chosen, assume_unique=True)
        if len(chosen):
            about = (label_id, names[label_id], op, resolve)
            orders.append(_order(rows.ids, chosen, columns, about, client))
    return orders


def _order(
    ids: ContactIds,
    chosen: NDArray[np.int64],
    columns: tuple[Column, ...],
    about: tuple[str, str | None, str, Resolve],
    client: Client,
) -> Order:
    label_id, name, op, resolve = about
    job = Job(
        len(chosen),
        groups=None if ids.groups is None else ids.groups[chosen],
        columns=tuple(column.of(chosen) for column in columns),
        resolve=resolve,
    )
    return Order(
        run_id=new_run_id(),
        label_id=label_id,
        operation=op,
        contact_ids=ids.ids[chosen].tolist(),
        job=job,
        client=client,
        label_name=name,
    )


def _written_down(orders: list[Order], rows: Wanted, asked: Asked, client: Client) -> Series:
    """Write all runs down, in one commit: a series is whole in the journal, or not there."""
    from kirim_pandas.journal.store import Journal

    series_id, journal = new_run_id(), located(asked.journal or None)
    records = [record_of(replace(order, series=series_id), client) for order in orders]
    with closing(Journal(journal)) as store:
        store.begin(*records)
    runs = runs_of(series_id, journal)
    return Series(
        series_id, runs, client, journal, rows.arrange, rows=rows.ids.rows, reads=asked.reads
    )
