"""One label in step with a segment: who entered gets it, who left loses it, who stayed keeps it."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kirim_pandas.errors import InvalidInputError
from kirim_pandas.frames.columns import listed
from kirim_pandas.frames.ids import ContactIds
from kirim_pandas.frames.packed import PackedIds
from kirim_pandas.frames.pairing import Kept, keep
from kirim_pandas.guesses.columns import Column
from kirim_pandas.journal import records
from kirim_pandas.journal.files import located
from kirim_pandas.journal.records import GONE, KEPT, STAYS, TAKEN, Stayed
from kirim_pandas.journal.store import Journal, RunRecord
from kirim_pandas.run.spec import Job
from kirim_pandas.verbs.argument_checks import refuse, shown, used_client
from kirim_pandas.verbs.labeling import record_of
from kirim_pandas.verbs.lookups.label_names import name_problems, resolved
from kirim_pandas.verbs.order import Order, Rows, columns_of, new_run_id, usual_problems
from kirim_pandas.verbs.segments.label_holders import Standing, outcomes_of, standing
from kirim_pandas.verbs.segments.layouts import layout_of
from kirim_pandas.verbs.segments.mapping import members_of
from kirim_pandas.verbs.segments.prepared import Prepared, frame_of_rows, order_of
from kirim_pandas.verbs.segments.sync_changes import (
    CHANGE_DTYPE,
    ENTERED,
    LEFT,
    STAYED,
    carried,
    changed,
)

if TYPE_CHECKING:
    from pathlib import Path

    from kirim_pandas.verbs.arguments import Client, Leavers, Pandas, Resolve, SyncArguments


@dataclass(frozen=True, eq=False)
class Synced:
    """What a sync is to do, and how its result is arranged.

    Attributes
    ----------
    ids : ContactIds
        The contacts of the frame, and after them those who left it.
    change : int64 array, shape (contacts,)
        A code of `CHANGE_DTYPE` for each contact; -1 for who was no member and is none.
    carried : DataFrame
        What earlier runs tell of those who are not sent.
    """

    ids: ContactIds
    change: NDArray[np.int64]
    carried: pd.DataFrame

    def arrange(self, known: pd.DataFrame) -> pd.DataFrame:
        """Give each row what is known of its contact, and what changed."""
        told = pd.concat([known, self.carried], ignore_index=True)
        places = pd.Index(told["contact_id"].astype(object))
        place = np.append(places.get_indexer(pd.Index(self.ids.ids)), -1)[self.ids.position]
        frame = frame_of_rows(self.ids, told, place, place < 0)
        codes = np.append(self.change, -1)[self.ids.position]
        frame["change"] = changed(codes)
        return frame


def prepare(obj: Pandas, asked: SyncArguments) -> Prepared:
    """Check all that is asked; labels nobody, and reads only for names and look-ups."""
    contacts, members = _checked(obj, asked)
    client = used_client(asked.client)
    label = resolved(asked.label, asked.team_id, client, contacts.known_ids)
    ids = contacts.ids(client, progress=asked.progress is True)
    is_member = _members(ids, members)
    record = _label(label, client)
    before = _before(record, ids, asked.since, located(asked.journal or None))
    plan = _Plan(ids, is_member, before, asked.leavers)
    source = keep(obj, ids)
    return Prepared(
        _orders(plan, obj, asked, label, client),
        Synced(plan.ids, plan.change, _carried(plan, label)).arrange,
        plan.ids.rows,
        asked.journal,
        client,
        source=source and longer_source(source, plan.ids),
        reads=asked.reads,
        max_requests=asked.max_requests,
        names=asked.resolve == "rows",
        stayed=plan.stayed,
        notes=tuple(_notes(before)),
        layout=layout_of(ids, ~plan.known_of[: ids.contacts], "attach"),
        ids=ids,
        told=tuple(_told(plan)),
        changes=plan.changes,
    )


def _checked(obj: Pandas, asked: SyncArguments) -> tuple[Rows, NDArray[np.bool_]]:
    """Check all arguments and the frame, and tell all that is wrong at once."""
    problems = _option_problems(asked)
    try:
        contacts = Rows(obj, *asked.columns, hint=asked.hint)
        members = members_of(obj, asked.members)
    except InvalidInputError as error:
        raise InvalidInputError("\n".join([*problems, str(error)])) from None
    if shown(asked.leavers) == "'detach'" and not contacts.has_contacts:
        problems.append(
            "leavers='detach' was found with a frame without a contact: the label would be taken "
            "off everybody. kirim_pandas.undo(run_id) does that."
        )
    refuse(problems)
    return contacts, members


def _option_problems(asked: SyncArguments) -> list[str]:
    since, leavers = asked.since, asked.leavers
    problems = [
        *name_problems(asked.label, asked.team_id),
        *usual_problems(asked, kept=True),
    ]
    if not isinstance(since, str | None):
        problems.append(f"since: found {shown(since)}, expected 'last', a run id, or None.")
    if shown(leavers) not in ("None", "'detach'"):
        problems.append(f"leavers: found {shown(leavers)}, expected 'detach' or None.")
    elif leavers and since is None:
        problems.append(
            "leavers='detach' was found without since=: who had the label before is known by a "
            "comparison only, such as since='last'."
        )
    return problems


def _members(ids: ContactIds, members: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Tell which contacts are members, and refuse those who are by one row and not by another."""
    rows = ids.position >= 0
    inside, outside = np.zeros((2, ids.contacts), dtype=np.bool_)
    inside[ids.position[rows & members]] = True
    outside[ids.position[rows & ~members]] = True
    both = ids.ids[inside & outside]
    if len(both):
        raise InvalidInputError(
            f"members: {len(both):,} contacts are members by one row and not by another: "
            f"{listed(list(both))}. Nothing was sent. Leave one row for each contact."
        )
    return inside


def _label(label: tuple[str, str | None], client: Client) -> RunRecord:
    """Give a run of the label that stands for all of them."""
    order = Order(new_run_id(), label[0], "attach", [], Job(0), client=client, label_name=label[1])
    return record_of(order, client)


def _before(
    label: RunRecord, ids: ContactIds, since: str | None, journal: str | Path | None
) -> Standing:

    with closing(Journal(journal)) as store:
        return standing(store, label, since, pd.Index(ids.ids), journal)


def _notes(before: Standing) -> list[str]:
    told = (
        f"A run of this label that came after {before.since} was forgotten; whom it changed is not "
        "known."
    )
    return [told] * before.forgotten


def _told(plan: _Plan) -> list[str]:
    """Say what a plan tells beside the notes, a sentence each."""
    kept = int(plan.kept.sum())
    left = [
        f"Contacts who left, are in no row of the frame and keep the label: {kept:,}; "
        "leavers='detach' takes it off."
    ]
    return [_compared(plan.since), *left * bool(kept)]


def _compared(since: str | None) -> str:
    if since is None:
        return (
            "Compared with nothing: contacts of the frame who are no members lose the label if "
            "they have it. Who else has it is not known: the service does not tell."
        )
    return (
        f"Compared with {since}. Who set the label or took it off by hand since then is not known: "
        "the service does not tell."
    )


class _Plan:
    """Who entered, stayed and left, of the frame's contacts and of those who are gone from it.

    Attributes
    ----------
    since : str or None
        The sync or run that is compared with.
    in_frame, ids : ContactIds
        The contacts of the frame; and the same with a row more for each who is gone from it.
    change : int64 array
        A code of `CHANGE_DTYPE` for each contact; -1 for who was no member and is none.
    gone, enters, leaves, stays : bool array
        Of each contact: whether it is in no row of the frame; whether it is to get the label, or
        to lose it; whether it was to have it, and is not sent.
    has : bool array
        Whether it has, or may have, the label.
    known : DataFrame
        What earlier runs tell of each contact.
    """

    def __init__(
        self, ids: ContactIds, is_member: NDArray[np.bool_], before: Standing, leavers: Leavers
    ) -> None:
        told = before.known
        away = told.index[~told.index.isin(ids.ids)].to_numpy(object)
        self.in_frame, self.ids, self.since = ids, with_more(ids, away), before.since
        self.known = told.reindex(np.asarray(self.ids.ids))
        self.gone = np.arange(self.ids.contacts) >= ids.contacts
        member = np.append(is_member, np.zeros(len(away), dtype=np.bool_))
        was = np.isin(np.asarray(self.ids.ids), told.index)
        self.change = np.select([member & ~was, member, was], [ENTERED, STAYED, LEFT], -1)
        self.has = self.known["status"].isin(["applied", "unknown"]).to_numpy(bool)
        settled = self.known["reason"].ne("no_reply").fillna(value=True).to_numpy(bool)
        self.enters = member & ~(was & settled)
        self.leaves = (self.change == LEFT) & self.has
        if leavers is None:
            self.leaves &= ~self.gone
        if before.since is None:
            self.leaves = ~member
        self.stays = was & ~self.enters & ~self.leaves

    @property
    def changes(self) -> pd.Series[Any]:
        """How many contacts entered, stayed and left, and who of these is in no row."""
        counts = {name: self.change == code for code, name in enumerate(CHANGE_DTYPE.categories)}
        counts["absent"] = self.gone & (self.change == LEFT)
        return pd.Series({name: int(which.sum()) for name, which in counts.items()}, dtype="int64")

    @property
    def kept(self) -> NDArray[np.bool_]:
        """Who is gone from the frame, and is left with the label."""
        kept: NDArray[np.bool_] = self.stays & self.gone & self.has
        return kept

    @property
    def known_of(self) -> NDArray[np.bool_]:
        """Who is sent, or was to have the label before."""
        known: NDArray[np.bool_] = self.enters | self.leaves | self.stays
        return known

    @property
    def stayed(self) -> Stayed:
        """What the next sync, and who looks back, is to know beside what this one sends."""
        kinds = np.select(
            [self.kept, self.gone & self.leaves, self.gone, self.change == LEFT],
            [KEPT, TAKEN, GONE, records.LEFT],
            STAYS,
        ).astype(np.int8)
        which = self.stays | (self.change == STAYED) | (self.gone & self.leaves)
        known = self.known[which]
        return Stayed(
            self.since,
            self.ids.ids[which].tolist(),
            outcomes_of(known),
            kinds[which],
            (known["evidence"] == "probe").to_numpy(bool),
        )


def with_more(ids: ContactIds, away: NDArray[np.object_]) -> ContactIds:
    """Add a row for each contact that is in none."""
    count = len(away)
    groups = ids.groups
    return replace(
        ids,
        ids=PackedIds(np.append(ids.ids.words, PackedIds.of(away).words)),
        position=np.append(ids.position, ids.contacts + np.arange(count, dtype=np.int32)),
        unusable=np.append(ids.unusable, np.zeros(count, np.int8)),
        groups=None if groups is None else np.append(groups, np.zeros(count, np.int64)),
        index=_longer(ids.index, count),
        given=None,
    )


def _longer(index: pd.Index[Any], count: int) -> pd.Index[Any]:
    """Give an index so many labels more: the next numbers, or missing ones."""
    if not count:
        return index
    if pd.api.types.is_integer_dtype(index.dtype):
        first = max(len(index), index.max() + 1) if len(index) else 0
        more = pd.RangeIndex(first, first + count)
        return index.append(more).astype(index.dtype).rename(index.name)
    place = np.append(np.arange(len(index)), np.full(count, -1))
    return index.take(place, allow_fill=True, fill_value=np.nan)


def longer_source(kept: Kept, ids: ContactIds) -> Kept:
    """Give the frame of the reports a row for each who is gone from it, with nothing in it."""
    rows = len(kept.frame)
    if ids.rows == rows:
        return kept
    place = np.append(np.arange(rows), np.full(ids.rows - rows, -1))
    frame = kept.frame.reset_index(drop=True).reindex(place)
    return Kept(frame.set_axis(ids.index), ids.text)


def _carried(plan: _Plan, label: tuple[str, str | None]) -> pd.DataFrame:
    """Give what earlier runs tell of those who are not sent."""
    return carried(plan.known[plan.stays], plan.kept[plan.stays], label)


def _orders(
    plan: _Plan, obj: Pandas, asked: SyncArguments, label: tuple[str, str | None], client: Client
) -> list[Order]:
    """Make the runs: to those who entered, then from those who left."""
    hint = asked.hint if asked.resolve == "rows" else None
    columns = columns_of(obj, plan.in_frame, hint)
    halves: tuple[tuple[NDArray[np.bool_], str, Resolve, tuple[Column, ...]], ...] = (
        (plan.enters, "attach", asked.resolve, columns),
        (plan.leaves, "detach", "batches", ()),
    )
    return [
        order_of(plan.ids, np.flatnonzero(which), about, (*label, op, resolve), client)
        for which, op, resolve, about in halves
        if which.any()
    ]
