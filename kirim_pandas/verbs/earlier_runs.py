"""What runs of the past tell of the contacts of a new one: guesses, which its counts confirm.

Whoever was another organisation's is so for any label. Who passed for a label of a team passes
for its other labels and is skipped by those of other teams; who was skipped is skipped by the
other labels of that team. Contacts of one guess are sent together, so that whole batches are
settled by their own reply. Only the order of sending changes: a stale guess costs requests.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kirim_pandas import session
from kirim_pandas.errors import KirimError
from kirim_pandas.frames.packed import PackedIds
from kirim_pandas.grouptesting.outcomes import Outcome
from kirim_pandas.guesses.columns import EARLIER_RUNS, Column
from kirim_pandas.journal.store import Journal, RunRecord
from kirim_pandas.verbs.order import Order

if TYPE_CHECKING:
    from kirim_pandas.api.client import Client
    from kirim_pandas.api.models import Label


MOST_RUNS = 30
"""Runs that are looked at, the newest first."""

UNKNOWN_LAST = 99
"""Sorts contacts of which nothing is known behind all others."""


def with_earlier_runs(order: Order) -> Order:
    """Put contacts of which earlier runs tell the same next to each other.

    Parameters
    ----------
    order
        Ready to start; left alone where the caller's own hint orders it, where columns are not
        to be looked at (unless it is the half of a series that asks nobody), and where nothing is
        known.
    """
    half = order.series is not None and order.job.resolve == "batches"  # it looks at no column
    if not (order.job.may_be_ordered or (half and order.job.groups is None)):
        return order
    guesses = guessed(order)
    return _sorted(order, guesses) if guesses.any() else order


def guessed(order: Order) -> NDArray[np.int8]:
    """Return an `Outcome` for each contact, as the newest other run that knows one tells it."""
    if order.client is None or order.journal is False:
        return np.zeros(len(order.contact_ids), dtype=np.int8)
    return _guesses(order, order.client)


def _guesses(order: Order, client: Client) -> NDArray[np.int8]:
    guesses = np.zeros(len(order.contact_ids), dtype=np.int8)
    runs = list(_runs_about(order, client))
    teams = _teams(client, {order.label_id, *(run.label_id for run in runs)}, reads=order.reads)
    for run in reversed(runs):  # the newest is the last to be written
        theirs = teams.get(run.label_id, run.label_id)
        ours = teams.get(order.label_id, order.label_id)
        known = {run.label_id, order.label_id} <= teams.keys()
        told = _told(run.outcomes, same=theirs == ours, known=known)
        guesses[run.place[told > 0]] = told[told > 0]
    return guesses


class _Run(NamedTuple):
    """What one run found of contacts of ours, and their place in the order."""

    label_id: str
    outcomes: NDArray[np.int8]
    place: NDArray[np.int64]


def _runs_about(order: Order, client: Client) -> Iterator[_Run]:
    """Go through what runs found of our contacts, the newest first."""

    ours = pd.Index(order.contact_ids)
    with closing(Journal(order.journal or None)) as journal:
        for record in _runs_of(journal, client):
            if record.run_id == order.run_id:
                continue
            outcomes = journal.outcomes(record.run_id)
            place = ours.get_indexer(pd.Index(journal.contact_ids(record.run_id)))
            if outcomes is not None and (place >= 0).any():
                yield _Run(record.label_id, outcomes[place >= 0], place[place >= 0])


def _runs_of(journal: Journal, client: Client) -> list[RunRecord]:
    """Return the newest runs of this address and organisation."""
    ended = [run for run in journal.runs() if run.state == "finished"][:MOST_RUNS]
    return [run for run in ended if run.target == client.target and _is_own(run, client)]


def _is_own(run: RunRecord, client: Client) -> bool:
    """Whether a run was of the client's organisation, as far as that is known."""
    if client.organization and run.organization:
        return client.organization.id == run.organization[0]
    return client.key_mark(run.run_id) == run.key_mark


def _teams(client: Client, label_ids: set[str], *, reads: bool) -> dict[str, str]:
    """Return the team of each label of which it is known."""
    labels = labels_known(client, label_ids if reads and len(label_ids) > 1 else set())
    return {label.id: label.team_id for label in labels if label.team_id}


def labels_known(client: Client, needed: set[str]) -> list[Label]:
    """Return the labels that are known, and read them where one that is needed is not."""
    labels = session.remembered_labels(client)
    if needed.difference(label.id for label in labels):
        with suppress(KirimError):  # nobody asked for the labels, and the run does without
            labels = session.read_labels(client)
    return labels


_FOREIGN, _UNCOUNTED, _OTHER_TEAM = Outcome.CROSS_ORG, Outcome.NOT_COUNTED, Outcome.TEAM_MISMATCH

_SAME_TEAM_SAYS = np.arange(len(Outcome), dtype=np.int8)
_KNOWN_TEAM_SAYS = np.array([0, _OTHER_TEAM, _FOREIGN, 0, _UNCOUNTED], dtype=np.int8)
_UNKNOWN_TEAM_SAYS = np.array([0, 0, _FOREIGN, 0, _UNCOUNTED], dtype=np.int8)
_SAYS = {
    (True, True): _SAME_TEAM_SAYS,
    (True, False): _SAME_TEAM_SAYS,
    (False, True): _KNOWN_TEAM_SAYS,
    (False, False): _UNKNOWN_TEAM_SAYS,
}
"""What an outcome says of a label of ours: of the same team or not, of a known team or not."""


def _told(outcomes: NDArray[np.int8], *, same: bool, known: bool) -> NDArray[np.int8]:
    """Return what outcomes say of another label: of the same team, or of a known other one."""
    return _SAYS[same, known][outcomes]


def _sorted(order: Order, guesses: NDArray[np.int8]) -> Order:
    """Send contacts of one guess together, those without one last."""
    keys = np.where(guesses == Outcome.UNDETERMINED, UNKNOWN_LAST, guesses)
    turn = np.argsort(keys, kind="stable")
    _, groups = np.unique(keys[turn], return_inverse=True)
    known = Column(EARLIER_RUNS, groups.astype(np.int32))
    job = order.job.reordered(turn, groups.astype(np.int64), known)
    contact_ids = PackedIds.of(order.contact_ids)[turn]
    ids = order.ids and order.ids.reordered(turn)
    return replace(order, ids=ids, contact_ids=contact_ids, job=job)
