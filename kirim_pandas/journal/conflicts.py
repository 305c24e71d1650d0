"""Conflicts: runs of the same journal that do the opposite to the same contacts.

Two of them at once leave labels that neither reports, and an old one that goes on undoes a later
one. Both are refused before anything is sent. Runs without a journal, or of other computers,
cannot be seen from here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from kirim_pandas.errors import InvalidInputError
from kirim_pandas.journal.locks import is_locked
from kirim_pandas.journal.store import Journal, RunRecord

DOING = {"attach": "attaching this label to", "detach": "detaching this label from"}
DOES = {"attach": "attaches this label", "detach": "detaches this label"}
HAS_DONE = {"attach": "attached it to", "detach": "detached it from"}
LOOPBACK = re.compile(r"^(127(\.\d+){3}|localhost|\[::1\])(?=:|$)", re.IGNORECASE)
"""Servers of this computer: each port has labels of its own, though their ids may be alike."""
THIS_COMPUTER = "(here)"

AGAIN = {"attach": "attach it to them", "detach": "detach it from them"}


def refuse_opposites(
    journal: Journal, record: RunRecord, lock_path: Callable[[Journal, str], Path]
) -> None:
    """Refuse to send while another run does the opposite to the same contacts.

    Whoever calls this holds the lock of its own run by then: of two that start at the same
    moment, at least one sees the other.

    Raises
    ------
    InvalidInputError
        There is such a run at work.
    """
    for other in _opposites(journal, record):
        if not is_locked(lock_path(journal, other.run_id)):
            continue
        shared = _shared(record, journal.contact_ids(other.run_id))
        if shared:
            raise InvalidInputError(
                f"Run {other.run_id} is {DOING[other.operation]} {shared:,} of these contacts "
                "right now. Nothing was sent. Wait for it to end, or stop it."
            )


def refuse_undoing(journal: Journal, record: RunRecord) -> None:
    """Refuse to go on with a run whose label a later run has since changed back.

    Raises
    ------
    InvalidInputError
        There is such a run.
    """
    for other in _opposites(journal, record):
        if other.order <= record.order:
            continue
        shared = _shared(record, journal.sent_ids(other.run_id))
        if shared:
            op, run_id = record.operation, record.run_id
            raise InvalidInputError(
                f"Run {run_id} {DOES[op]}; run {other.run_id} has since "
                f"{HAS_DONE[other.operation]} {shared:,} of its contacts. Going on would "
                f"{AGAIN[op]} again. Nothing was sent. kirim_pandas.forget({run_id!r}) drops the "
                f"old run; to {op} the label all the same, call bulk_label again."
            )


def _shared(record: RunRecord, contact_ids: Sequence[str]) -> int:
    """Count the contacts of a run among others."""
    return len(set(contact_ids).intersection(record.contact_ids))


def same_label(journal: Journal, record: RunRecord) -> Iterator[RunRecord]:
    """Go through the other runs of a run's label, newest first."""
    for other in journal.runs():
        same = other.label_id == record.label_id and _may_be_one_place(other, record)
        if same and other.run_id != record.run_id:
            yield other


def _opposites(journal: Journal, record: RunRecord) -> Iterator[RunRecord]:
    return (run for run in same_label(journal, record) if run.operation != record.operation)


def _may_be_one_place(one: RunRecord, other: RunRecord) -> bool:
    """Tell whether two runs may have met the same label: one service has several addresses."""
    hosts = {LOOPBACK.sub(THIS_COMPUTER, urlsplit(r.target).netloc, count=1) for r in (one, other)}
    if len(hosts) > 1 and any(host.startswith(THIS_COMPUTER) for host in hosts):
        return False  # a rehearsal, or a test
    known = [record.organization[0] for record in (one, other) if record.organization]
    return len(set(known)) <= 1
