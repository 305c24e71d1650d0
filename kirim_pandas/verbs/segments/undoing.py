"""Undoing a run: the opposite, on the contacts that it is proven to have applied."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from kirim_pandas.errors import InvalidInputError
from kirim_pandas.frames.results import STATUSES
from kirim_pandas.journal.conflicts import same_label
from kirim_pandas.journal.store import Journal, RunRecord
from kirim_pandas.run.spec import Job
from kirim_pandas.verbs.argument_checks import (
    ShortTraceback,
    past_run,
    plain,
    progress_problems,
    refuse,
    used_client,
)
from kirim_pandas.verbs.labeling import bulk_label, record_of, warn
from kirim_pandas.verbs.order import Order, new_run_id
from kirim_pandas.verbs.resuming import Recalled, check_same_place, recall
from kirim_pandas.verbs.segments.prepared import Prepared
from kirim_pandas.verbs.segments.series import runs_of, task_of

if TYPE_CHECKING:
    from kirim_pandas.verbs.arguments import Client, ProgressChoice


OPPOSITE = {"attach": "detach", "detach": "attach"}
DOES = {"attach": "attaches the label to", "detach": "detaches the label from"}
HAD = {"attach": "had the label", "detach": "were without the label"}
LOSE = {"attach": "they lose it, too", "detach": "they get it, too"}


def undo(
    run_id: str,
    *,
    client: Client | None = None,
    progress: ProgressChoice = True,
    journal: str | Path | None = None,
) -> pd.DataFrame:
    """Take a run back: the opposite operation on the contacts it is proven to have applied.

    A run like any other, with its own line in :func:`runs`, where ``undoes`` names the run that is
    taken back.  Who had the label before that run is not known, and a warning says so before
    anything is sent; but whom an earlier run of this journal shows with the label (for a detach:
    without it) is left alone.  So is whoever was skipped, refused, not sent, or is not known.

    Parameters
    ----------
    run_id
        From ``result.attrs``, from an exception, or from :func:`runs`; also of a run that was
        stopped half-way.  Of a series (``label_segments``, ``sync_label``) all runs are taken back,
        the last first; but a label that was detached beside others that were attached is given
        back to those only whom an earlier run shows with it.
    client, progress
        As for ``df.kirim.bulk_label``.
    journal
        Where the run is written down: a path, or None for the usual place.

    Returns
    -------
    DataFrame
        The columns of a result frame, one row for each contact that was to be taken back, with a
        RangeIndex; of a series one row per contact and run, and ``label_id``, ``label`` and
        ``operation`` (string).

    Raises
    ------
    InvalidInputError
        There is no such run, nobody is proven to have been applied by it, or a later run changed
        the same label of the same contacts; nothing was sent.
    JournalError
        The journal cannot be used, or the run is at work; nothing was sent.
    KirimError, RunInterrupted
        As for ``df.kirim.bulk_label``.

    Examples
    --------
    >>> import warnings
    >>> import kirim_pandas as kp
    >>> with kp.sandbox.start(contacts=60, seed=1, write_per_minute=60_000) as sandbox:
    ...     client, label_id = sandbox.client(), sandbox.labels["id"].iloc[0]
    ...     made = sandbox.contacts.kirim.bulk_label(
    ...         label_id, "attach", client=client, progress=False
    ...     )
    ...     with warnings.catch_warnings(action="ignore"):  # who had the label before?
    ...         undone = kp.undo(made.attrs["kirim_run_id"], client=client, progress=False)
    ...     left = sandbox.members(label_id)
    >>> len(undone) == int((made["status"] == "applied").sum()), left
    (True, set())
    """
    with ShortTraceback():
        refuse(progress_problems(progress := plain(progress)))
        if runs := runs_of(run_id, journal):
            return undoing_series(runs, client, plain(journal)).carry_out(progress)
        return bulk_label(undoing(run_id, client, journal), progress=progress)


def undoing(run_id: object, client: Client | None, journal: object) -> Order:
    """Make the order that takes a run back, and warn of what is not known.

    Raises
    ------
    InvalidInputError, JournalError
        As for :func:`undo`.
    """
    run_id, journal = past_run(run_id, journal)
    client = used_client(client)
    done = recall(run_id, journal)
    back = _taken_back(done, client, journal)
    if not back.contacts:
        raise InvalidInputError(_nothing_to_undo(done.record, done.frame, back.held))
    order = _opposite_of(done.record, back.contacts, client, journal)
    warn(_note(order, done.record, done.frame, back.held))
    return order


def undoing_series(
    runs: list[RunRecord], client: Client | None, journal: str | Path | None
) -> Prepared:
    """Make the series that takes another back, its last run first.

    A label that was detached beside others that were attached is given back to those only who had
    it, as an earlier run shows: the others may never have had it.

    Raises
    ------
    InvalidInputError, JournalError
        As for :func:`undo`.
    """

    client, series_id = used_client(client), runs[0].series
    with closing(Journal(journal)) as store:
        mirrors = store.stayed(runs[0].run_id) is not None
    mirrors |= any(run.operation == "attach" for run in runs)
    orders, held = [], 0
    for run in runs[::-1]:
        only_shown = mirrors and run.operation == "detach"
        back = _taken_back(recall(run.run_id, journal), client, journal, only_shown=only_shown)
        held += back.held
        if back.contacts:
            orders.append(_opposite_of(run, back.contacts, client, journal))
    if not orders:
        raise InvalidInputError(
            f"No run of the series {series_id} is proven to have changed a contact that was not so "
            "before it, so there is nothing to undo. Nothing was sent. kirim_pandas.result"
            f"({series_id!r}) tells what is known of each."
        )
    task = task_of([record_of(order, client) for order in orders])
    note = (
        f"Undoing the series {series_id}: {task}. Who had a label before it is not known but by "
        f"earlier runs, which show {held:,} contacts that are left alone."
    )
    if mirrors:
        note += " A label that it detached is given back to those only whom they show with it."
    rows = sum(order.rows for order in orders)
    return Prepared(orders, lambda known: known, rows, journal, client, notes=(note,), names=False)


@dataclass(frozen=True)
class _Back:
    """Whom the undoing of a run sends, and how many it leaves alone, since they were so before."""

    contacts: list[str]
    held: int


def _taken_back(
    done: Recalled, client: Client, journal: str | Path | None, *, only_shown: bool = False
) -> _Back:
    """Find whom to send; with `only_shown` those only who are known to have been otherwise."""

    check_same_place(done.record, client)
    # Who was otherwise before is so again, also where this run may have done nothing.
    meant = ["applied", "unknown"] if only_shown else ["applied"]
    changed = done.frame.loc[done.frame["status"].isin(meant), "contact_id"].tolist()
    with closing(Journal(journal)) as store:
        held, was_other = _before(store, done.record, set(changed), journal)
        chosen = [one for one in changed if (one in was_other if only_shown else one not in held)]
        _refuse_later(store, done.record, set(chosen if only_shown else changed))
    return _Back(chosen, len(held))


def _opposite_of(
    record: RunRecord, contacts: list[str], client: Client, journal: str | Path | None
) -> Order:
    return Order(
        run_id=new_run_id(),
        label_id=record.label_id,
        operation=OPPOSITE[record.operation],
        contact_ids=contacts,
        job=Job(len(contacts)),
        client=client,
        journal=journal,
        label_name=record.label_name,
        undoes=record.run_id,
    )


def _refuse_later(store: Journal, record: RunRecord, applied: set[str]) -> None:
    """Refuse where a later run changed the same label of these contacts: it would be undone, too.

    Raises
    ------
    InvalidInputError
        There is such a run.
    """

    taken_back, run_id = _taken_back_since(store, record), _whole(record)
    for other in same_label(store, record):
        if other.order <= record.order or _whole(other) in taken_back:
            continue
        shared = len(applied.intersection(store.sent_ids(other.run_id)))
        if not shared:
            continue
        if other.undoes == record.run_id:
            left = "" if other.state == "finished" else _go_on(_whole(other))
            raise InvalidInputError(
                f"Run {run_id} was undone before, by run {_whole(other)}. Nothing was sent.{left}"
            )
        raise InvalidInputError(
            f"Run {_whole(other)} came after run {run_id} and {DOES[other.operation]} {shared:,} "
            "of the same contacts. Nothing was sent. Undo the later run first, or call bulk_label "
            "on the contacts you mean."
        )


def _whole(run: RunRecord) -> str:
    """Return what a run is undone as: the series it belongs to, or itself."""
    return run.series or run.run_id


def _taken_back_since(store: Journal, record: RunRecord) -> set[str]:
    """Find the later runs and series that were undone, and what undid them.

    What undid `record` itself is none of them, but where it was undone as well.
    """
    runs = store.runs()  # the newest first: an undoing that was undone has taken nothing back
    by_id = {run.run_id: run for run in runs}
    unfinished = {_whole(run) for run in runs if run.state != "finished"}
    undone: set[str] = set()
    pairs: set[str] = set()
    for run in runs:
        meant = by_id.get(run.undoes or "")
        if meant is None or _whole(run) in undone | unfinished:
            continue
        undone.add(_whole(meant))
        if meant.order > record.order and _whole(meant) != _whole(record):
            pairs |= {_whole(run), _whole(meant)}
    return pairs


def _before(
    store: Journal, record: RunRecord, applied: set[str], journal: str | Path | None
) -> tuple[set[str], set[str]]:
    """Find who was so before a run, and who was not, as far as earlier runs show it."""

    held: set[str] = set()
    was_other: set[str] = set()
    asked = set(applied)
    for other in same_label(store, record):  # newest first: the last word before the run counts
        if other.order >= record.order or asked.isdisjoint(store.sent_ids(other.run_id)):
            continue
        frame = recall(other.run_id, journal).frame
        by_status = {
            status: asked.intersection(frame.loc[frame["status"] == status, "contact_id"])
            for status in STATUSES
        }
        asked -= by_status["applied"]
        if other.operation == record.operation:
            held |= by_status["applied"]
        else:  # it may have changed those in doubt as well
            was_other |= by_status["applied"]
            asked -= by_status["unknown"]
    return held, was_other


def _nothing_to_undo(record: RunRecord, frame: pd.DataFrame, held: int) -> str:
    run_id, operation = record.run_id, record.operation
    if held:
        return (
            f"Earlier runs show that all {held:,} contacts of run {run_id} {HAD[operation]} before "
            "it, so there is nothing to undo. Nothing was sent."
        )
    unknown = int((frame["status"] == "unknown").sum())
    left = f" {unknown:,} contacts were sent and are not known yet:" if unknown else ""
    left += _go_on(run_id) if unknown else ""
    return (
        f"Run {run_id} {DOES[operation]} nobody for certain, so there is nothing to undo. Nothing "
        f"was sent.{left}"
    )


def _note(order: Order, record: RunRecord, frame: pd.DataFrame, held: int) -> str:
    """Say what is not known of the contacts, before anything is sent."""
    had, label = HAD[record.operation], record.label_name or record.label_id
    unknown = int((frame["status"] == "unknown").sum())
    parts: Sequence[str] = (
        f"Undoing run {record.run_id}: {order.operation} {label}, {len(order.contact_ids):,} "
        f"contacts. Who of them {had} before that run is not known: {LOSE[record.operation]}.",
        f"{held:,} more {had} before, as an earlier run shows, and are left alone." * bool(held),
        f"{unknown:,} of its contacts are not known to be changed, and are left as they are."
        * bool(unknown),
    )
    return " ".join(part for part in parts if part)


def _go_on(run_id: str) -> str:
    return f" kirim_pandas.resume({run_id!r}) goes on with it."
