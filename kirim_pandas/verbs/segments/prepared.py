"""A series that is ready to start: its runs, what is said before, how its result is arranged."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kirim_pandas.frames.ids import NO_CONTACT, ContactIds
from kirim_pandas.frames.pairing import Kept
from kirim_pandas.frames.results import EVIDENCE_DTYPE, STATUS_DTYPE
from kirim_pandas.journal.files import located
from kirim_pandas.journal.store import Journal
from kirim_pandas.run.spec import Column, Job
from kirim_pandas.verbs.argument_checks import plain
from kirim_pandas.verbs.labeling import record_of, warn
from kirim_pandas.verbs.lookups.labels import create_label
from kirim_pandas.verbs.order import Order, new_run_id
from kirim_pandas.verbs.segments.series import Series, runs_of

if TYPE_CHECKING:
    from kirim_pandas.journal.records import Layout, Stayed
    from kirim_pandas.verbs.arguments import Client, JournalChoice, ProgressChoice, Resolve


ABOUT = ("label_id", "label", "operation")
"""The columns of a series beside those of a result: what each outcome is an outcome of."""


@dataclass(frozen=True, eq=False)
class Prepared:
    """A series of which everything was checked and nothing was sent.

    Attributes
    ----------
    orders : list of Order
        Its runs, in their order; none where there is nothing to send.
    arrange : callable
        Makes the result of what is known of all contacts and runs.
    rows : int
        Rows of the result.
    journal : str, Path, False or None
        Where it is to be written down; False for a place that is deleted at the end.
    client : Client or None
        Sends; None where there is nothing to send.
    source : Kept or None
        The frame, for reports.
    notes : tuple of str
        What is to be said before anything is sent.
    new : tuple of str
        Labels that are to be made first; till then they go by their names.
    team_id : str or None
        The team of labels that are made.
    reads : bool
        Whether the list of contacts may be read.
    max_requests : int or None
        Cap on the calls of all runs together.
    names : bool
        Whether who is skipped is named where a count shows one who has passed before.
    stayed : Stayed or None
        Of a sync, what it knows of those it does not send.
    layout : Layout or None
        How the rows of the frame mean the runs; its labels that are to be made go by their names.
    ids : ContactIds or None
        The contacts of the frame; None where there is no frame.
    told : tuple of str
        What a plan tells beside `notes`: nothing unexpected.
    changes : Series or None
        Of a sync, how many contacts entered, stayed and left.
    """

    orders: list[Order]
    arrange: Callable[[pd.DataFrame], pd.DataFrame]
    rows: int
    journal: JournalChoice
    client: Client | None = None
    source: Kept | None = None
    notes: tuple[str, ...] = ()
    new: tuple[str, ...] = ()
    team_id: str | None = None
    reads: bool = True
    max_requests: int | None = None
    names: bool = True
    stayed: Stayed | None = None
    layout: Layout | None = None
    ids: ContactIds | None = None
    told: tuple[str, ...] = ()
    changes: pd.Series[Any] | None = None

    def carry_out(self, progress: ProgressChoice) -> pd.DataFrame:
        """Begin, and do all of it in this thread."""
        return self.begun().carry_out(plain(progress))

    def begun(self, *, quiet: bool = False) -> Series:
        """Say what is to be said, and write the series down; one of nothing is nowhere."""
        for note in self.notes if not quiet else ():
            warn(note)
        if self.orders:
            return self.written_down()
        journal, known = self.journal or None, nothing_known().iloc[:0]
        return Series(new_run_id(), [], None, journal, lambda _: self.arrange(known), self.rows)

    def written_down(self) -> Series:
        """Write all runs down, in one commit: a series is whole in the journal, or not there.

        Labels that do not exist are made before.
        """

        client, series_id = self.client, new_run_id()
        assert client is not None  # somebody is to be labeled
        passing = TemporaryDirectory(prefix="kirim-") if self.journal is False else None
        journal = located(passing.name if passing else self.journal or None)
        made = {name: create_label(name, team_id=self.team_id, client=client) for name in self.new}
        orders = [
            replace(one, label_id=made.get(one.label_id, one.label_id), series=series_id)
            for one in self.orders
        ]
        layout = self.layout
        if layout is not None:
            layout = replace(layout, label_ids=[made.get(one, one) for one in layout.label_ids])
        begun = [record_of(order, client) for order in orders]
        with closing(Journal(journal)) as store:
            store.begin(*begun, stayed=self.stayed, layout=layout)
        return Series(
            series_id,
            runs_of(series_id, journal),
            client,
            journal,
            self.arrange,
            rows=self.rows,
            source=self.source,
            reads=self.reads,
            max_requests=self.max_requests,
            names=self.names,
            passing=passing,
        )


def order_of(
    ids: ContactIds,
    chosen: NDArray[np.int64],
    columns: tuple[Column, ...],
    about: tuple[str, str | None, str, Resolve],
    client: Client,
) -> Order:
    """Make a run of some contacts of a frame."""
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
        contact_ids=ids.ids[chosen],
        job=job,
        client=client,
        label_name=name,
    )


def nothing_known() -> pd.DataFrame:
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
            **dict.fromkeys(ABOUT, nothing),
        }
    )


def frame_of_rows(
    ids: ContactIds, told: pd.DataFrame, place: NDArray[np.int64], is_without: NDArray[np.bool_]
) -> pd.DataFrame:
    """Give each row what is told of its contact, and of what was not sent, why.

    Parameters
    ----------
    ids
        The rows and their contacts.
    told
        What is known, with the columns of `nothing_known`.
    place : int64 array, shape (rows,)
        Which row of `told` stands for each; overwritten where nothing was sent.
    is_without : bool array, shape (rows,)
        Rows with a contact of which nothing was sent.
    """
    place[is_without] = len(told) + len(NO_CONTACT)
    for number, kind in enumerate(NO_CONTACT):
        place[ids.unusable == kind] = len(told) + number
    frame = pd.concat([told, nothing_known()], ignore_index=True).take(place)
    frame.index = ids.index.copy(deep=False)
    frame["contact_id"] = ids.text
    return frame
