"""Labels for the segments of a frame: a series of runs, and one row of outcome for each row."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kirim_pandas import session
from kirim_pandas.api.protocol import MAX_LABEL_CHARACTERS, operation_problems
from kirim_pandas.errors import InvalidInputError
from kirim_pandas.frames.columns import listed
from kirim_pandas.frames.ids import ContactIds
from kirim_pandas.frames.pairing import keep
from kirim_pandas.frames.shapes import hidden
from kirim_pandas.verbs.argument_checks import refuse, shown, used_client
from kirim_pandas.verbs.earlier_runs import labels_known
from kirim_pandas.verbs.lookups.label_names import absent, folded, name_problems, resolved
from kirim_pandas.verbs.order import Order, Rows, columns_of, usual_problems
from kirim_pandas.verbs.segments.layouts import layout_of
from kirim_pandas.verbs.segments.mapping import Segments, segments_of
from kirim_pandas.verbs.segments.prepared import Prepared, frame_of_rows, order_of

if TYPE_CHECKING:
    from kirim_pandas.journal.records import Layout
    from kirim_pandas.verbs.arguments import Client, Pandas, Resolve, SegmentsArguments


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
        # A label that is made on the way stands here by the name that it was asked for.
        label = told["label_id"].where(told["label_id"].isin(self.label_ids), told["label"])
        labels = pd.Index(self.label_ids).get_indexer(pd.Index(label.astype(object)))
        places = pd.Index(self._keys(contacts, labels))
        place = places.get_indexer(pd.Index(self._keys(self.ids.position, self.codes)))
        return frame_of_rows(self.ids, told, place, self.codes < 0)

    def is_empty(self, label_id: str) -> bool:
        """Whether no row is to carry a label."""
        return not (self.codes == self.label_ids.index(label_id)).any()

    def _keys(self, contacts: NDArray[Any], labels: NDArray[Any]) -> NDArray[np.int64]:
        keys: NDArray[np.int64] = contacts.astype(np.int64) * self._count + labels
        return keys

    @property
    def _count(self) -> int:
        return max(1, len(self.label_ids))


def prepare(obj: Pandas, asked: SegmentsArguments) -> Prepared:
    """Check all that is asked; labels nobody, and reads only for names and look-ups."""
    contacts, found = _checked(obj, asked)
    if not contacts.has_contacts or not found.labels:
        ids = contacts.ids(asked.client, progress=asked.progress is True)
        nobody = Wanted(ids, np.full(ids.rows, -1), [], asked.op)
        return Prepared([], nobody.arrange, ids.rows, asked.journal, ids=ids)
    client = used_client(asked.client)
    new = _new(found, asked, client) if asked.create else {}
    named = _named(found, new, contacts, asked, client)
    ids = contacts.ids(client, progress=asked.progress is True)
    rows = _wanted(ids, found, named, asked)
    _refuse_several(rows, asked)
    return Prepared(
        _orders(obj, rows, dict(named.values()), asked, client),
        rows.arrange,
        ids.rows,
        asked.journal,
        client,
        source=keep(obj, ids),
        notes=tuple(_notes(found, named, new, asked, client)),
        new=tuple(dict.fromkeys(new.values())),
        team_id=asked.team_id,
        reads=asked.reads,
        max_requests=asked.max_requests,
        names=asked.resolve == "rows",
        layout=_layout(rows, asked),
        ids=ids,
        told=tuple(_told(rows, named, asked)),
    )


def _layout(rows: Wanted, asked: SegmentsArguments) -> Layout:
    unsent = np.ones(rows.ids.contacts, dtype=np.bool_)
    unsent[rows.pairs[0]] = False
    if asked.exclusive:  # whoever has no label is sent to lose it
        unsent[:] = False
    return layout_of(rows.ids, unsent, rows.op, rows.label_ids, rows.codes)


def _new(found: Segments, asked: SegmentsArguments, client: Client) -> dict[str, str]:
    """Find the labels that are to be made, by what they were called; one a name, however written.

    Raises
    ------
    InvalidInputError
        It is not said for which of several teams.
    """
    missing = absent(found.labels, asked.team_id, client)
    teams = {label.team_id for label in session.remembered_labels(client)}
    is_shown = asked.team_id is None and len(teams) > 1
    if missing and (is_shown or len(missing) > _FEW):
        _refuse_persons(found, asked)
    if missing and asked.team_id is None and len(teams) > 1:
        raise InvalidInputError(
            f"The labels {_names_told(missing)} do not exist, and the organisation has "
            f"{len(teams)} teams. Nothing was sent. Say with team_id= which team they are to be "
            "made for: kirim_pandas.labels() lists the teams."
        )
    names: dict[str, str] = {}
    for label in missing:
        names.setdefault(folded(label), label.strip())
    return {label: names[folded(label)] for label in missing}


def _named(
    found: Segments, new: dict[str, str], contacts: Rows, asked: SegmentsArguments, client: Client
) -> dict[str, tuple[str, str | None]]:
    """Find the id and the name of each label; one that is still to be made has its name as id."""
    known, problems = {}, []
    for label in found.labels:
        try:
            made = new.get(label)
            known[label] = (
                (made, made) if made else resolved(label, asked.team_id, client, contacts.known_ids)
            )
        except InvalidInputError as error:
            problems.append(str(error))
    if problems:
        _refuse_persons(found, asked)
    refuse(problems)
    return known


_FEW = 5
"""Labels that may be made of values which stand in one row each, as in a frame to try it on."""


def _refuse_persons(found: Segments, asked: SegmentsArguments) -> None:
    """Refuse, without showing them, values of which most stand in one row: names of customers."""
    rows = np.bincount(found.codes[found.codes >= 0], minlength=len(found.labels))
    alone = int((rows == 1).sum())
    if asked.labels is None and 2 * alone > len(rows):
        raise InvalidInputError(
            f"by: of {len(rows):,} values {alone:,} stand in one row alone, and some are no label. "
            "They are not shown here, for they may be names of customers. Expected values that "
            "several rows share; or say which are to have a label, with labels={value: label}."
        )


# -- checks --------------------------------------------------------------------------------


def _checked(obj: Pandas, asked: SegmentsArguments) -> tuple[Rows, Segments]:
    """Check all arguments and the frame, and tell all that is wrong at once."""
    problems = asked_problems(asked)
    try:
        contacts = Rows(obj, *asked.columns, hint=asked.hint)
        found = segments_of(obj, asked.by, asked.labels)
    except InvalidInputError as error:
        raise InvalidInputError("\n".join([*problems, str(error)])) from None
    for name in found.labels:
        problems += name_problems(name, asked.team_id)
    refuse([*dict.fromkeys(problems), *_length_problems(found.labels, asked)])
    return contacts, found


def asked_problems(asked: SegmentsArguments) -> list[str]:
    """Tell what is wrong with the arguments, whatever the frame holds, a sentence each."""
    both = (
        'exclusive=True was found with op="detach", expected "attach": each label is attached to '
        "its segment, and detached from the others."
    )
    return [
        *operation_problems(asked.op),
        *usual_problems(asked, exclusive=asked.exclusive, create=asked.create),
        *[both] * (asked.exclusive is True and shown(asked.op) == "'detach'"),
    ]


def _names_told(names: Iterable[str]) -> str:
    """List names of labels; one that is a phone number or an address was no segment."""
    return listed([hidden(name) or name for name in names])


def _length_problems(labels: list[str], asked: SegmentsArguments) -> list[str]:
    """Tell which labels cannot be made."""
    long = [shown(name) for name in labels if len(name) > MAX_LABEL_CHARACTERS]
    told = (
        f"labels: a label has at most {MAX_LABEL_CHARACTERS} characters, more have {listed(long)}."
    )
    return [told] if asked.create is True and long else []


def _wanted(
    ids: ContactIds,
    found: Segments,
    named: dict[str, tuple[str, str | None]],
    asked: SegmentsArguments,
) -> Wanted:
    """Take two names of one label as one."""
    label_ids = [named[name][0] for name in found.labels]
    different = list(dict.fromkeys(label_ids))
    place = np.array([*map(different.index, label_ids), -1])
    return Wanted(ids, place[found.codes], different, asked.op)


def _refuse_several(rows: Wanted, asked: SegmentsArguments) -> None:
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


def _notes(
    found: Segments,
    named: dict[str, tuple[str, str | None]],
    new: dict[str, str],
    asked: SegmentsArguments,
    client: Client,
) -> list[str]:
    """Say what an analyst may not expect, a sentence each, before anything is sent."""
    meant = {named[label][0] for label in found.labels if label not in new}
    known = labels_known(client, meant if asked.reads and len(meant) > 1 else set())
    teams = {label.team_id for label in known if label.id in meant}
    values = Counter(named[label][0] for label in found.given)
    merged = [name or one for one, name in named.values() if values.pop(one, 0) > 1]
    elsewhere = asked.team_id not in {None, *(label.team_id for label in known)}
    lines = {
        f"Several values are mapped to one label: {listed(merged)}.": merged,
        f"Labels that do not exist are made: {_names_told(dict.fromkeys(new.values()))}.": new,
        f"None of the labels there are belongs to team {shown(asked.team_id)}.": new and elsewhere,
        f"The labels belong to {len(teams)} teams. A contact carries labels of its own team only; "
        "whoever is mapped to another's is skipped (team_mismatch).": len(teams) > 1,
    }
    return [line for line, holds in lines.items() if holds]


def _told(
    rows: Wanted, named: dict[str, tuple[str, str | None]], asked: SegmentsArguments
) -> list[str]:
    """Say what a plan tells beside the notes, a sentence each."""
    contacts, _labels = rows.pairs
    several = len(np.unique(contacts[1:][contacts[1:] == contacts[:-1]]))
    empty = [name for name, (label_id, _) in named.items() if rows.is_empty(label_id)]
    lines = {
        f"Contacts in several segments, through several rows: {several:,}; they get the label of "
        "each.": several,
        f"Labels for no row: {listed(empty)}.": len(empty),
        "Contacts in no segment: "
        f"{(none := rows.ids.contacts - len(np.unique(contacts))):,}.": none,
        "A label is taken off contacts of this frame alone. Who else has it is not known: the "
        "service does not tell.": asked.exclusive,
    }
    return [line for line, holds in lines.items() if holds]


# -- the runs ------------------------------------------------------------------------------


def _orders(
    obj: Pandas,
    rows: Wanted,
    names: dict[str, str | None],
    asked: SegmentsArguments,
    client: Client,
) -> list[Order]:
    """Make the runs: each label to its segment, then, where it is exclusive, from the others."""
    contacts, labels = rows.pairs
    columns = columns_of(obj, rows.ids, asked.hint) if asked.resolve == "rows" else ()
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
            orders.append(order_of(rows.ids, chosen, columns, about, client))
    return orders
