"""One commit for all calls that leave together, and none of them leaves before it."""

import sqlite3
import threading

import numpy as np
import pytest

from kirim_pandas.grouptesting.outcomes import Counts
from kirim_pandas.journal.store import Journal, RunRecord
from kirim_pandas.journal.writer import MOST_UNWRITTEN, RunWriter
from kirim_pandas.run.calls import Call, Reply
from kirim_pandas.run.events import CallAnswered, CallPlanned, CallUnsent
from kirim_pandas.run.loop import Run
from kirim_pandas.run.pool import CallPool
from kirim_pandas.run.spec import Job
from kirim_pandas.run.stop import StopButton

RUN = "run_20260101_0123456789"
IDS = [f"ctc_{number:026d}" for number in range(60_000)]


@pytest.fixture
def writer(tmp_path):
    with RunWriter(tmp_path, RUN, warn=pytest.fail) as writer:
        writer.begin(
            RunRecord(
                run_id=RUN,
                label_id="lbl_" + "0" * 26,
                operation="attach",
                target="https://example.org/v1/contacts/bulk_label",
                contact_ids=IDS,
                groups=None,
                resolve="rows",
                max_requests=None,
                rows=len(IDS),
                started_at=1000.0,
            )
        )
        yield writer


def call(number):
    return Call(number, "apply", np.array([number]), f"key-{number}", batch=number)


def states(folder):
    journal = Journal(folder)
    try:
        return [past.state for past in journal.load(RUN)[1]]
    finally:
        journal.close()


def test_calls_that_leave_together_are_one_commit(tmp_path, writer):
    """Nothing is written while more calls are to come; with the last one all are on the disk."""
    for number in range(3):
        writer(CallPlanned(call(number), more=True))
        assert states(tmp_path) == []
    writer(CallPlanned(call(3)))
    assert states(tmp_path) == ["sent"] * 4


def test_a_kill_loses_a_few_replies_at_most(tmp_path, writer):
    """Replies to calls that left together are on the disk before all of them are there."""
    for number in range(40):
        writer(CallPlanned(call(number), more=number < 39))
    for answered in range(1, 31):
        writer(CallAnswered(call(answered - 1), Reply(Counts(1, 0, 0), None), answered))
        assert states(tmp_path).count("answered") > answered - MOST_UNWRITTEN


def test_each_call_is_on_the_disk_before_it_leaves(tmp_path, writer):
    """Whoever sends a call finds its key in the journal, and commits are fewer than calls."""
    commits, missing, together = [], [], threading.Barrier(8)
    real = Journal.write

    def write(journal, run_id, entries):
        commits.append(len(entries))
        real(journal, run_id, entries)

    def send(call, on_wait, stop):
        with sqlite3.connect(tmp_path / "journal.sqlite") as db:
            known = db.execute("SELECT key FROM call WHERE number = ?", (call.number,)).fetchone()
        db.close()
        if known != (call.key,):
            missing.append(call.number)
        if 1 <= call.number <= 56:  # the first goes alone
            together.wait(30)
        return Reply(Counts(len(call.positions), 0, 0), None)

    run = Run(Job(len(IDS)), CallPool(send, max_in_flight=8), stop=StopButton())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Journal, "write", write)
        for event in run.events():
            writer(event)
    assert missing == []
    assert event.requests == 60
    assert len(commits) < 60
    assert states(tmp_path) == ["answered"] * 60


def test_who_stops_before_the_commit_has_sent_nothing(tmp_path, writer):
    """A stop among calls that were to leave together leaves all of them unsent, and told so."""
    stop, sent = StopButton(), []

    def send(call, on_wait, stop):
        sent.append(call.number)
        return Reply(Counts(len(call.positions), 0, 0), None)

    run = Run(Job(len(IDS)), CallPool(send, max_in_flight=8), stop=stop)
    unsent = []
    for event in run.events():
        writer(event)
        if isinstance(event, CallPlanned) and event.call.number == 4:
            assert event.more
            stop.press()
        if isinstance(event, CallUnsent):
            unsent.append(event.call.number)
    writer.end("stopped", {})
    assert sent == [0]
    assert unsent == [1, 2, 3, 4]
    assert states(tmp_path) == ["answered"] + ["unsent"] * 4
