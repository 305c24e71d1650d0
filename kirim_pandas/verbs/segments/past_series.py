"""The result of a series once more: for the frame that it was made of, or without one."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kirim_pandas.errors import InvalidInputError
from kirim_pandas.frames.ids import ContactIds
from kirim_pandas.frames.packed import PackedIds, Words
from kirim_pandas.frames.pairing import Kept, keep
from kirim_pandas.journal.store import Journal, RunRecord
from kirim_pandas.verbs.argument_checks import plain
from kirim_pandas.verbs.resuming import Resumption
from kirim_pandas.verbs.segments.labeling import Wanted
from kirim_pandas.verbs.segments.layouts import checksum, order_of_rows
from kirim_pandas.verbs.segments.sync_changes import change_of, past_sync, stayed_of
from kirim_pandas.verbs.segments.syncing import Synced, longer_source, with_more

if TYPE_CHECKING:
    from kirim_pandas.journal.records import Layout, Stayed


Arrange = Callable[[pd.DataFrame], pd.DataFrame]


class Past:
    """A series of the past, and how the rows of its frame meant its runs.

    Parameters
    ----------
    runs
        Its runs.
    journal
        Where they are written down.
    """

    def __init__(self, runs: list[RunRecord], journal: str | Path | None) -> None:

        self.runs = runs
        self._journal = plain(journal)
        with closing(Journal(self._journal)) as store:
            self.stayed: Stayed | None = store.stayed(runs[0].run_id)
            self._layout: Layout | None = store.layout(runs[0].run_id)

    @property
    def is_of_leavers(self) -> bool:
        """Whether it is a sync of which nobody entered."""
        return self.stayed is not None and self.runs[0].operation == "detach"

    def arrange(self, known: pd.DataFrame) -> pd.DataFrame:
        """Give the result without the frame: a row a contact and label, or of a sync a contact."""
        if self.stayed is not None:
            return past_sync(known, self.stayed, self.runs)
        if self._layout is None:  # it was made of no frame
            return known
        its = known[(known["operation"] == self._layout.operation).to_numpy(bool)]
        return its.reset_index(drop=True)

    def shape(self, asked: Resumption) -> tuple[Arrange, int, Kept | None]:
        """Give the shape that the call had, of the same frame.

        Returns
        -------
        callable, int, Kept or None
            What makes the result of what is known of all contacts and runs; its rows; the frame,
            for reports.

        Raises
        ------
        InvalidInputError
            It was made of no frame, or of another one.
        """
        if asked.obj is None:
            return self.arrange, sum(record.rows for record in self.runs), None
        if self._layout is None:
            raise no_frame(asked.run_id)
        ids = asked.contacts()
        sent = self._sent()
        self._check_contacts(ids, sent, self._layout, asked.run_id)
        source = keep(asked.obj, ids)
        if self.stayed is None:
            wanted = self._wanted(ids, sent, self._layout, asked.run_id)
            return wanted.arrange, ids.rows, source
        gone = np.array(self.stayed.contact_ids, dtype=object)[self.stayed.absent]
        ids = with_more(ids, gone)
        arrange = _Sync(ids, self.stayed, self.runs).arrange
        return arrange, ids.rows, source and longer_source(source, ids)

    def _sent(self) -> list[PackedIds]:
        """Read the contacts of each run."""

        with closing(Journal(self._journal)) as store:
            return [PackedIds.of(store.contact_ids(record.run_id)) for record in self.runs]

    def _check_contacts(
        self, ids: ContactIds, sent: list[PackedIds], layout: Layout, series_id: str
    ) -> None:
        """Refuse a frame of other contacts."""
        there = [run.words for run in sent]
        gone = np.empty(0, dtype=ids.ids.words.dtype)
        if self.stayed is not None:
            before = PackedIds.of(self.stayed.contact_ids).words
            there.append(before)
            gone = before[self.stayed.absent]
        known = np.setdiff1d(np.concatenate(there), gone)
        missing = len(np.setdiff1d(known, ids.ids.words))
        others: Words = ids.ids.words[~np.isin(ids.ids.words, known)]
        if missing or checksum(others) != layout.others:
            raise InvalidInputError(
                f"This frame has other contacts than the call of {series_id}. {missing:,} contacts "
                f"of its runs are not in the frame; {len(others):,} contacts of the frame are in "
                "none of its runs. Nothing was sent. Pass the frame the call was made with (its "
                "rows may stand in another order), or call kirim_pandas.resume(run_id), which "
                "needs no frame."
            )

    def _wanted(
        self, ids: ContactIds, sent: list[PackedIds], layout: Layout, series_id: str
    ) -> Wanted:
        """Say which label each row was to carry."""
        if layout.order is None:
            runs = [run.operation == layout.operation for run in self.runs]
            labels = [record.label_id for record, its in zip(self.runs, runs, strict=True) if its]
            contacts = [words for words, its in zip(sent, runs, strict=True) if its]
            return Wanted(ids, _codes(ids, contacts), labels, layout.operation)
        if layout.order != order_of_rows(ids):
            raise InvalidInputError(
                "This frame has its rows in another order than in the call of "
                f"{series_id}, in which a contact stood in several segments through several rows: "
                "which row meant which is not known. Nothing was sent. Pass the frame as it was, "
                "or call kirim_pandas.resume(run_id), which needs no frame."
            )
        return Wanted(ids, layout.codes.astype(np.int64), layout.label_ids, layout.operation)


@dataclass(frozen=True, eq=False)
class _Sync:
    """A past sync of a frame; `ids` has a row more for each contact that is gone from it."""

    ids: ContactIds
    stayed: Stayed
    runs: list[RunRecord]

    def arrange(self, known: pd.DataFrame) -> pd.DataFrame:
        rest = stayed_of(known, self.stayed, self.runs)
        told = pd.concat([known, rest], ignore_index=True)
        code = np.append(change_of(told, self.stayed), -1)
        places = pd.Index(told["contact_id"].astype(object))
        of_contacts = code[places.get_indexer(pd.Index(self.ids.ids))]
        return Synced(self.ids, of_contacts, rest).arrange(known)


def _codes(ids: ContactIds, sent: list[PackedIds]) -> NDArray[np.int64]:
    """Give each row the number of the run that its contact is in; -1 for none."""
    ours: pd.Index[Any] = pd.Index(ids.ids)
    code = np.full(ids.contacts + 1, -1, dtype=np.int64)
    for number, contacts in enumerate(sent):
        code[ours.get_indexer(pd.Index(contacts))] = number
    code[-1] = -1
    return code[ids.position]


def no_frame(series_id: str) -> InvalidInputError:
    """Say that the rows of the frame that a series was made of are not known."""
    return InvalidInputError(
        f"The journal does not know the rows of {series_id}, a series of runs: it was made of no "
        "frame of this kind, or by an earlier version. Nothing was sent. "
        f'kirim_pandas.resume("{series_id}") goes on with it, and gives one row for each '
        "contact and label."
    )
