"""Undoing a run: the opposite, on the contacts that it is proven to have applied."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from kirim_pandas.errors import InvalidInputError
from kirim_pandas.frames.columns import listed
from kirim_pandas.frames.results import STATUSES
from kirim_pandas.run.spec import Job
from kirim_pandas.verbs.door import (
    ShortTraceback,
    past_run,
    plain,
    progress_problems,
    refuse,
    used_client,
)
from kirim_pandas.verbs.labeling import bulk_label, warn
from kirim_pandas.verbs.order import Order, new_run_id
from kirim_pandas.verbs.resuming import Recalled, check_same_place, recall
from kirim_pandas.verbs.segments.series import runs_of

if TYPE_CHECKING:
    from kirim_pandas.journal.store import Journal, RunRecord
    from kirim_pandas.verbs.arguments import Client, ProgressChoice

__all__ = ["undo"]

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
        stopped half-way.
    client, progress
        As for ``df.kirim.bulk_label``.
    journal
        Where the run is written down: a path, or None for the usual place.

    Returns
    -------
    DataFrame
        The columns of a result frame, one row for each contact that was to be taken back, with a
        RangeIndex.

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
        return bulk_label(undoing(run_id, client, journal), progress=progress)


def undoing(run_id: object, client: Client | None, journal: object) -> Order:
    """Make the order that takes a run back, and warn of what is not known.

    Raises
    ------
    InvalidInputError, JournalError
        As for :func:`undo`.
    """
    run_id, journal = past_run(run_id, journal)
    if runs := runs_of(run_id, journal):
        raise InvalidInputError(
            f"{run_id} is a series of {len(runs)} runs, expected one run. Nothing was sent. "
            "Undo its runs one by one, the last first: "
            f"{listed([run.run_id for run in runs[::-1]])}."
        )
    client = used_client(client)
    order, note = _opposite_of(recall(run_id, journal), client, journal)
    warn(note)
    return order


def _opposite_of(done: Recalled, client: Client, journal: str | Path | None) -> tuple[Order, str]:
    """Make the order that takes a run back, and the sentences that are said before it is sent."""
    from kirim_pandas.journal.store import Journal

    record, frame = done.record, done.frame
    check_same_place(record, client)
    applied = frame.loc[frame["status"] == "applied", "contact_id"].tolist()
    with closing(Journal(journal)) as store:
        _refuse_later(store, record, set(applied))
        held = _held_before(store, record, set(applied), journal)
    contacts = [contact for contact in applied if contact not in held]
    if not contacts:
        raise InvalidInputError(_nothing_to_undo(record, frame, len(held)))
    order = Order(
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
    return order, _note(order, record, frame, len(held))


def _refuse_later(store: Journal, record: RunRecord, applied: set[str]) -> None:
    """Refuse where a later run changed the same label of these contacts: it would be undone, too.

    Raises
    ------
    InvalidInputError
        There is such a run.
    """
    from kirim_pandas.journal.conflicts import same_label

    run_id = record.run_id
    for other in same_label(store, record):
        shared = len(applied.intersection(store.sent_ids(other.run_id)))
        if other.order <= record.order or not shared:
            continue
        if other.undoes == run_id:
            left = "" if other.state == "finished" else _go_on(other.run_id)
            raise InvalidInputError(
                f"Run {run_id} was undone before, by run {other.run_id}. Nothing was sent.{left}"
            )
        raise InvalidInputError(
            f"Run {other.run_id} came after run {run_id} and {DOES[other.operation]} {shared:,} of "
            "the same contacts. Nothing was sent. Undo the later run first, or call bulk_label on "
            "the contacts you mean."
        )


def _held_before(
    store: Journal, record: RunRecord, applied: set[str], journal: str | Path | None
) -> set[str]:
    """Find who had before a run what the run gave them, as far as earlier runs show it."""
    from kirim_pandas.journal.conflicts import same_label

    held: set[str] = set()
    asked = set(applied)
    for other in same_label(store, record):  # newest first: the last word before the run counts
        if other.order >= record.order or asked.isdisjoint(store.sent_ids(other.run_id)):
            continue
        frame = recall(other.run_id, journal).frame
        by_status = {
            status: asked.intersection(frame.loc[frame["status"] == status, "contact_id"])
            for status in STATUSES
        }
        if other.operation == record.operation:
            held |= by_status["applied"]
            asked -= by_status["applied"]
        else:  # it may have changed those in doubt as well
            asked -= by_status["applied"] | by_status["unknown"]
    return held


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
