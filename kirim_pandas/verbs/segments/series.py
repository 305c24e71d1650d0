"""A series: ordinary runs, one a label and operation, carried out one after the other as one.

All of them are written down, in one commit, before the first is sent; so a series that is stopped
or killed anywhere is whole in the journal, and going on with it is what starting it was: each run
that has not finished is resumed in its turn.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from operator import gt
from pathlib import Path
from time import time
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kirim_pandas import session
from kirim_pandas.errors import JournalError, KirimError, RunInterrupted
from kirim_pandas.frames.columns import listed
from kirim_pandas.frames.reports import RunFacts
from kirim_pandas.frames.results import RUN_ID_ATTR, STATUSES
from kirim_pandas.grouptesting.outcomes import MAX_CONTACTS_PER_CALL, Outcome
from kirim_pandas.journal.locks import RunLock
from kirim_pandas.journal.store import BROKEN, Journal, RecordState, RunRecord
from kirim_pandas.journal.writer import RunWriter, lock_path
from kirim_pandas.notebook.series import SeriesProgress, SeriesTally
from kirim_pandas.notebook.texts import JobFacts
from kirim_pandas.run.calls import counted_in
from kirim_pandas.run.spec import Job
from kirim_pandas.run.stop import StopButton, stop_on_signals
from kirim_pandas.verbs.argument_checks import past_run
from kirim_pandas.verbs.earlier_runs import guessed, with_earlier_runs
from kirim_pandas.verbs.execution import Watcher
from kirim_pandas.verbs.labeling import carry_out, pace, record_of, warn, warn_of_nothing
from kirim_pandas.verbs.order import Order
from kirim_pandas.verbs.resuming import Recalled, Resumption, recall, taken_up

if TYPE_CHECKING:
    from tempfile import TemporaryDirectory

    from kirim_pandas.frames.pairing import Kept
    from kirim_pandas.run.calls import PastCall
    from kirim_pandas.run.progress import RunState
    from kirim_pandas.run.spec import Resolve
    from kirim_pandas.verbs.arguments import Client, ProgressChoice


DOES = {"attach": "attaching it to", "detach": "detaching it from"}
TO = {"attach": "to", "detach": "from"}


def runs_of(series_id: object, journal: object) -> list[RunRecord]:
    """List the runs of a series in their order; none where there is no such series."""
    series_id, journal = past_run(series_id, journal)

    with closing(Journal(journal)) as store:
        return [record for record in store.named(series_id) if record.series == series_id]


def known_of(runs: Sequence[Recalled]) -> pd.DataFrame:
    """Give what is known of every contact of a series, a row a contact and run."""
    if not runs:
        return pd.DataFrame()
    frame = pd.concat([_told(run.record, run.frame) for run in runs], ignore_index=True)
    frame.attrs = {RUN_ID_ATTR: runs[0].record.series}
    return frame


def _told(record: RunRecord, frame: pd.DataFrame) -> pd.DataFrame:
    """Say beside the outcomes of a run what they are outcomes of."""
    about = (record.label_id, record.label_name or record.label_id, record.operation)
    columns = dict(zip(("label_id", "label", "operation"), about, strict=True))
    return frame.assign(**{k: pd.array([v] * len(frame), "string") for k, v in columns.items()})


def facts_of(runs: Sequence[RunRecord], calls: Sequence[PastCall]) -> RunFacts:
    """Say what a report tells of a series; the id of its label where it is of one."""
    started = min((record.started_at for record in runs), default=time())
    names = {record.label_id: record.label_name for record in runs}
    told = [name or label_id for label_id, name in names.items()]
    label_id, label_name = next(iter(names.items()), (None, None))
    if len(names) > 1:
        label_id, label_name = None, listed(told)
    return RunFacts(
        run_id=runs[0].series if runs else None,
        label_id=label_id,
        label_name=label_name,
        started=datetime.fromtimestamp(started).astimezone(),
        requests=sum(known.call.number >= 0 for known in calls),
        counted=counted_in(calls),
    )


@dataclass(eq=False)
class Series:
    """A series that is written down and is to be carried out, or gone on with.

    Attributes
    ----------
    series_id : str
        What its runs have in common.
    runs : list of RunRecord
        In their order.
    client : Client or None
        Sends; None where there is no run.
    journal : str, Path or None
        Where they are written down.
    arrange : callable
        Makes the result of what is known of all contacts and runs.
    rows : int
        Rows of the result.
    source : Kept or None
        The frame, for reports.
    reads : bool
        Whether the list of contacts may be read.
    max_requests : int or None
        Cap on the calls of all runs together; those of later runs' batches are set aside.
    resolve : str or None
        How far a resume is to go; None for as far as each run was meant to.
    names : bool
        Whether who is skipped is named where a count shows one who has passed before.
    passing : TemporaryDirectory or None
        Where `journal` is, if it is to be kept no longer than the series is at work.
    warn : callable
        Told what people must know, a text each.
    """

    series_id: str
    runs: list[RunRecord]
    client: Client | None
    journal: str | Path | None
    arrange: Callable[[pd.DataFrame], pd.DataFrame]
    rows: int
    source: Kept | None = None
    reads: bool = True
    max_requests: int | None = None
    resolve: Resolve | None = None
    names: bool = True
    passing: TemporaryDirectory[str] | None = None
    warn: Callable[[str], None] = warn
    _known: dict[str, Recalled] = field(default_factory=dict)

    def carry_out(self, progress: ProgressChoice) -> pd.DataFrame:
        """Carry out what has not finished, under one stop button and one bar."""
        stop = StopButton()
        with stop_on_signals(stop), self.at_work():
            result = self.work(self._shows(progress), stop)
        if not self.runs and result["status"].isin(["not_sent"]).all():
            warn_of_nothing(self.rows, progress)
        return result

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Note that the series is at work: in this process and, by a lock, for all others."""
        noted = session.at_work(self.series_id, written_down=self.is_kept)
        with noted, self._lock() if self.runs else nullcontext(), self.passing or nullcontext():
            yield

    def _lock(self) -> RunLock:

        with closing(Journal(self.journal)) as store:
            return RunLock(lock_path(store, self.series_id), self.series_id)

    @property
    def is_kept(self) -> bool:
        """Whether it stands in a journal, so that it can be gone on with."""
        return bool(self.runs) and self.passing is None

    @property
    def left(self) -> list[RunRecord]:
        """The runs that have not finished."""
        further = self.resolve is not None  # also of what has finished without naming anybody
        return [record for record in self.runs if further or record.state != "finished"]

    def work(self, shows: SeriesTally, stop: StopButton) -> pd.DataFrame:
        """Carry out what has not finished; `shows` is told how it goes."""
        shown, left, allowed = _Shown(shows), self.left, self.max_requests
        state: RunState = "failed"
        cap = None
        try:
            self._carry_out_all(left, shown, stop)
            state = "finished"
            if allowed is not None and self.max_requests is not None and self._is_open(left):
                cap = allowed - self.max_requests, allowed
        finally:
            shown.end("stopped" if stop.presses else state, cap)
        result = self._result()
        self._warn_of_detaching(result)
        shown.summarise(result)
        return result

    def _is_open(self, runs: list[RunRecord]) -> bool:
        return any(self._recalled(record).record.state != "finished" for record in runs)

    def _carry_out_all(self, left: list[RunRecord], shown: _Shown, stop: StopButton) -> None:
        try:
            for place, record in enumerate(left):
                later = sum(map(_batches, left[place + 1 :]))
                self._carry_out_one(record, shown, stop, later)
        except (KirimError, RunInterrupted):
            self._leave(left, "stopped")
            raise
        self._leave(left, "capped")

    def _leave(self, left: list[RunRecord], state: RecordState) -> None:
        """Write down why runs that were never begun were not."""

        # It is only shown; a journal that fails has told so by the run that met it.
        with suppress(JournalError, *BROKEN), closing(Journal(self.journal)) as store:
            for record in left:
                if not self._recalled(record).past:
                    nothing = dict.fromkeys((*STATUSES, "requests"), 0)
                    store.end_run(record.run_id, state, nothing | {"not_sent": record.rows})

    def _carry_out_one(
        self, record: RunRecord, shown: _Shown, stop: StopButton, later: int
    ) -> None:
        """Carry one run out; name its skips after all where a count is not the expected one."""
        number = self.runs.index(record) + 1
        label = record.label_name or record.label_id
        sentence = (
            f"Label {label}: {DOES[record.operation]} {record.rows:,} contacts "
            f"({number} of {len(self.runs)} runs)"
        )
        if self.max_requests == 0:  # this run is left as it was written down; a resume goes on
            return
        try:
            shown.begin(sentence, record.rows, sum(map(_batches, self.runs[number:])))
            done = self._session(record, self.resolve, shown, stop, later)
            if self._is_surprising(done) and self.max_requests != 0:
                shown.begin_again(f"{sentence}, naming who was skipped")
                self._session(record, "rows", shown, stop, later)
        except (KirimError, RunInterrupted) as error:
            error.args = (f"{sentence}: {error}",)
            error.result, error.run_id = self._result(), self.series_id
            raise

    def _session(
        self,
        record: RunRecord,
        resolve: Resolve | None,
        shown: _Shown,
        stop: StopButton,
        later: int,
    ) -> Recalled:
        made = self._requests(record)
        self._known.pop(record.run_id, None)
        cap = None if self.max_requests is None else max(1, self.max_requests - later)
        asked = Resumption(None, record.run_id, None, resolve, cap, self.client, self.journal)
        with taken_up(asked, self.warn) as (order, writer):
            order = replace(order, series=self.series_id, reads=self.reads, journal=self.journal)
            order = order if order.past else _arranged(order, writer)
            order = replace(order, journal=self.journal if self.is_kept else False)
            carry_out(order, writer=writer, watchers=[shown], stop=stop)
        if self.max_requests is not None:
            self.max_requests = max(0, self.max_requests - self._requests(record) + made)
        return self._recalled(record)

    def _requests(self, record: RunRecord) -> int:
        return sum(known.call.number >= 0 for known in self._recalled(record).past)

    def _calls_of(self, runs: Iterable[RunRecord]) -> Iterator[PastCall]:
        for record in runs:
            yield from self._recalled(record).past

    def _recalled(self, record: RunRecord) -> Recalled:
        """Read once what is known of a run of this series that is not at work."""
        if record.run_id not in self._known:
            self._known[record.run_id] = recall(record.run_id, self.journal)
        return self._known[record.run_id]

    def _is_surprising(self, done: Recalled) -> bool:
        """Tell whether a run that names nobody counted a skip among contacts that passed before."""
        if self.resolve or not self.names or done.record.resolve == "rows":
            return False
        others = self._guessed(done.record) != Outcome.APPLIED
        skipped = map(_skipped, done.past)
        expected = [int(others[known.call.positions].sum()) for known in done.past]
        return any(map(gt, skipped, expected))

    def _guessed(self, record: RunRecord) -> NDArray[np.int8]:
        """Give an `Outcome` for each contact of a run, as far as other runs show it."""
        return guessed(
            Order(
                record.run_id,
                record.label_id,
                record.operation,
                record.contact_ids,
                Job(len(record.contact_ids)),
                client=self.client,
                journal=self.journal,
                reads=self.reads,
            )
        )

    def _result(self) -> pd.DataFrame:
        """Arrange what is known, and let the process remember it under the id of the series."""
        result = self.arrange(known_of([self._recalled(record) for record in self.runs]))
        result.attrs = {RUN_ID_ATTR: self.series_id}
        facts = facts_of(self.runs, list(self._calls_of(self.runs)))
        facts = replace(facts, run_id=self.series_id)
        session.remember(result, self.series_id, self.source, facts)
        return result

    def _warn_of_detaching(self, result: pd.DataFrame) -> None:
        """Warn of contacts that surely, or perhaps, still have a label, where no row says so."""
        if not self.runs:
            return
        known = known_of([self._recalled(record) for record in self.runs])
        bad = (known["status"] == "failed") | (known["reason"] == "no_reply")
        count = int((bad & ~known["operation"].isin(result["operation"])).sum())
        if count:
            listed = f"kirim_pandas.result({self.series_id!r}, every_run=True) lists them"
            if self.passing is not None:
                listed = "calling again is safe, and with a journal they can be listed"
            self.warn(
                f"{count:,} contacts could not be detached from a label that is another "
                f"segment's: {listed}."
            )

    def _shows(self, progress: ProgressChoice) -> SeriesTally:

        if progress is False or (callable(progress) and not self.left):
            return SeriesTally(0)  # shows nothing
        callback = progress if callable(progress) else None
        return SeriesProgress(self.facts(), lambda: pace(self.client), callback)

    def facts(self) -> JobFacts:
        """Say what the series is about, to whoever shows it."""

        about = self.left or self.runs
        return JobFacts(
            run_id=self.series_id,
            label_id=about[0].label_id if about else "",
            operation=about[0].operation if about else "attach",
            contacts=sum(record.rows for record in self.left),
            rows=self.rows,
            started=datetime.now().astimezone(),
            task=(task_of(about, "ing"), task_of(about)),
            counted=counted_in(self._calls_of(one for one in self.runs if one not in about)),
        )


def _arranged(order: Order, writer: RunWriter) -> Order:
    """Let what other runs found, also of this series, decide the order of sending."""
    known = with_earlier_runs(order)
    if known is not order and known.client is not None:
        writer.rearrange(record_of(known, known.client))
    return known


def task_of(runs: Sequence[RunRecord], ending: str = "") -> str:
    """Say what runs do, in a few words; the verbs may have an `ending`."""
    told, before = [], 0
    for operation in dict.fromkeys(record.operation for record in runs):
        those = [record for record in runs if record.operation == operation]
        labels = {record.label_id: record.label_name or record.label_id for record in those}
        contacts = sum(record.rows for record in those)
        what = f"{len(labels)} labels" if len(labels) > 1 else next(iter(labels.values()))
        whom = f"{TO[operation]} {contacts:,} contact{'s' * (contacts != 1)}"
        if before and runs[0].undoes is None:  # the same labels are taken off
            what, whom = ("it", whom) if before == 1 else ("each", "from the others")
        told.append(f"{operation}{ending} {what} {whom}")
        before = len(labels)
    text = " and ".join(told) or f"label{ending} nobody"
    return text[0].upper() + text[1:]


class _Shown(Watcher):
    """What shows a series; what it cannot draw ends nothing."""

    def __init__(self, shows: SeriesTally) -> None:
        super().__init__(shows)
        self._series = shows

    def begin(self, sentence: str, contacts: int, later: int) -> None:
        self.attempt(self._series.begin, sentence, contacts, later)

    def begin_again(self, sentence: str) -> None:
        self.attempt(self._series.begin_again, sentence)

    def end(self, state: RunState, cap: tuple[int, int] | None) -> None:
        with suppress(KeyboardInterrupt):  # of a callback: all has ended
            self.attempt(self._series.end, state, cap)

    def summarise(self, result: pd.DataFrame) -> None:
        self.attempt(self._series.summarise, result)


def _batches(record: RunRecord) -> int:
    return -(-record.rows // MAX_CONTACTS_PER_CALL)


def _skipped(known: PastCall) -> int:
    """Count the contacts that a call skipped; 0 without an answer."""
    if known.reply is None:
        return 0
    return known.reply.counts.cross_org + known.reply.counts.team_mismatch
