"""Runs in the background: what they promise without a front end."""

import asyncio
import io
import threading
import time
from html import unescape

import pandas as pd
import pytest
from support.scenes import interrupt

import kirim_pandas as kp
from kirim_pandas.notebook.texts import JobFacts, duration_text

SLOW = kp.sandbox.Faults(rates={"stall_after_commit": 1.0}, values={"stall_after_commit": 0.3})


@pytest.fixture(scope="module")
def contacts():
    return kp.sandbox.sample_contacts(12_000, seed=4).assign(organization="own")


@pytest.fixture(scope="module")
def box(contacts):
    with kp.sandbox.start(contacts, seed=4, write_per_minute=60_000) as box:
        yield box


@pytest.fixture
def slow(contacts):
    with kp.sandbox.start(contacts, seed=4, write_per_minute=60_000, faults=SLOW) as slow:
        yield slow


@pytest.fixture
def start(request):
    """Start a job on a sandbox; it is over when the test is."""
    jobs, clients = [], []

    def start(box, **options):
        clients.append(box.client())
        settings = {"hint": "team", "client": clients[-1], **options}
        job = box.contacts.kirim.bulk_label_job(box.labels["id"].iloc[0], "attach", **settings)
        jobs.append(job)
        return job

    yield start
    for job in jobs:
        job.cancel()
        while not job.done:
            time.sleep(0.01)
    for client in clients:
        client.close()


def test_result_is_that_of_bulk_label(box, start):
    """A job's result is the frame that bulk_label would have returned."""
    result = start(box).result()
    truth = box.outcome(box.labels["id"].iloc[0]).reindex(result["contact_id"])
    assert (result["reason"].fillna("applied").to_numpy() == truth.to_numpy(dtype=object)).all()
    assert kp.last_result() is result


def test_bad_arguments_raise_at_once(box):
    """What is wrong with the arguments is raised by the call itself, and no thread starts."""
    before = threading.active_count()
    with pytest.raises(kp.InvalidInputError, match="frobnicate"):
        box.contacts.kirim.bulk_label_job("lbl_x", "frobnicate")
    assert threading.active_count() == before


def test_journal_that_cannot_be_written_raises_at_once(box, start, tmp_path):
    """A journal that is not usable is an error of the call, before anything is sent."""
    (tmp_path / "file").touch()
    before = len(box.requests())
    with pytest.raises(kp.JournalError):
        start(box, journal=tmp_path / "file" / "journal")
    assert len(box.requests()) == before


def test_call_returns_before_the_run_ends(slow, start):
    """The call returns while the run goes on, and its progress can be read."""
    job = start(slow)
    assert not job.done
    assert job.progress.contacts == 12_000
    assert job.run_id in repr(job)
    with pytest.raises(TimeoutError, match="goes on"):
        job.result(timeout_seconds=0.01)
    assert len(job.result()) == 12_000
    assert job.done
    assert "finished" in repr(job)


def test_cancel_keeps_what_was_done(slow, start):
    """A cancelled job raises RunInterrupted with every row, and its run can be resumed."""
    job = start(slow)
    while not job.progress.answered:
        time.sleep(0.01)
    job.cancel()
    job.cancel()  # again changes nothing
    with pytest.raises(kp.RunInterrupted) as caught:
        job.result()
    part = caught.value.result
    assert len(part) == 12_000
    statuses = set(part["status"])
    assert "applied" in statuses
    assert statuses & {"not_sent", "unknown"}  # all may have left at once
    assert caught.value.run_id == job.run_id
    assert "stopped" in job.ending.text
    assert ".result()" not in job.ending.html  # it raises
    assert job.frame is part
    job.frame.kirim.report()
    with slow.client() as client:
        whole = slow.contacts.kirim.resume(job.run_id, client=client, progress=False)
    assert set(whole["status"]) == {"applied", "skipped"}


def test_resume_goes_on_in_the_background(slow, start):
    """resume() gives a new job for the same run and the same rows; the old one stays as it was."""
    job = start(slow)
    with pytest.raises(kp.InvalidInputError, match="under way"):
        job.resume()
    while not job.progress.answered:
        time.sleep(0.01)
    job.cancel()
    with pytest.raises(kp.RunInterrupted):
        job.result()
    again = job.resume()
    whole = again.result()
    assert again.run_id == job.run_id
    assert set(whole["status"]) == {"applied", "skipped"}
    assert whole.index.equals(slow.contacts.index)
    assert (whole["contact_id"].to_numpy() == slow.contacts["contact_id"].to_numpy()).all()
    assert job.ending.state == "stopped"
    with pytest.raises(kp.InvalidInputError, match="has finished"):
        again.resume()


def test_a_run_that_is_not_written_down_is_not_resumed(slow, start):
    """Without a journal resume() says what is safe instead."""
    job = start(slow, journal=False)
    job.cancel()
    with pytest.raises(kp.RunInterrupted):
        job.result()
    with pytest.raises(kp.InvalidInputError, match="again is safe"):
        job.resume()
    assert "again is safe" in job.ending.text
    assert not job.resumable


def test_counts_are_told_where_rows_are_not_known(slow, start):
    """A run stopped between its steps tells what the service has counted."""
    job = start(slow, hint=None)
    while job.progress.phase == "apply":
        time.sleep(0.01)
    job.cancel()
    with pytest.raises(kp.RunInterrupted):
        job.result()
    now = job.progress
    assert now.skipped
    counted = f"counted {now.applied:,} contacts as passing and {now.skipped:,} as skipped"
    assert counted in job.ending.text
    assert counted in job.ending.html


def test_what_cannot_be_shown_does_not_end_the_run(box, start):
    """A view that fails is told in a warning; the handle is there and the run goes on."""
    job = start(box)
    job._make_view = lambda job: 1 / 0
    with pytest.warns(UserWarning, match="cannot be shown.*ZeroDivisionError"):
        job.show()
    assert len(job.result()) == 12_000


def test_a_closed_terminal_leaves_the_handle(box, start, monkeypatch):
    """Where nothing can be printed, the job is started and handed over, with a warning."""
    closed = io.StringIO()
    closed.close()
    with monkeypatch.context() as patch:
        patch.setattr("sys.stdout", closed)
        with pytest.warns(UserWarning, match="cannot be shown"):
            job = start(box)
    assert len(job.result()) == 12_000


def test_people_are_counted_not_rows(box):
    """A contact that stands in two rows counts once, and rows without an id are told apart."""
    blank = pd.DataFrame({"contact_id": [None, "no id"]})
    twice = pd.concat([box.contacts, box.contacts.head(500), blank], ignore_index=True)
    with box.client() as client:
        label = box.labels["id"].iloc[0]
        job = twice.kirim.bulk_label_job(label, "attach", hint="team", client=client)
        result = job.result()
    contacts = result.drop_duplicates("contact_id")
    applied = int((contacts["status"] == "applied").sum())
    assert f"{applied:,} applied" in job.ending.text
    assert "The frame has 12,502 rows, 2 of them without a contact." in job.ending.text
    assert "12,000 contacts in 12,502 rows, 2 of them without a contact." in job.ending.html


def test_errors_are_raised_where_somebody_waits(contacts, start):
    """What ends the run is raised by every result(), with the partial frame."""
    faults = kp.sandbox.Faults(events={3: "revoke_key"})
    with kp.sandbox.start(contacts, write_per_minute=60_000, faults=faults) as box:
        job = start(box)
        for _ in range(2):
            with pytest.raises(kp.AuthenticationError) as caught:
                job.result()
            assert len(caught.value.result) == 12_000
        assert "AuthenticationError" in job.ending.html
        assert box.api_key not in job.ending.html + job.ending.text


def test_interrupt_ends_the_waiting_only(slow, start):
    """Ctrl-C while result() waits raises KeyboardInterrupt there, and the run goes on."""
    job = start(slow)
    threading.Timer(0.2, interrupt).start()
    with pytest.raises(KeyboardInterrupt) as caught:
        job.result()
    assert not isinstance(caught.value, kp.RunInterrupted)
    assert len(job.result()) == 12_000


def test_await(slow, start):
    """A job can be awaited, and the loop stays free meanwhile."""

    async def main():
        ticks = 0

        async def count():
            nonlocal ticks
            while True:
                ticks += 1
                await asyncio.sleep(0.01)

        counting = asyncio.ensure_future(count())
        result = await start(slow)
        counting.cancel()
        return result, ticks

    result, ticks = asyncio.run(main())
    assert len(result) == 12_000
    assert ticks > 3


def test_cancelled_job_does_not_end_the_loop(slow, start):
    """A cancelled job that is awaited in a task raises CancelledError, which no loop dies of."""

    async def main():
        job = start(slow)
        job.cancel()
        [gathered] = await asyncio.gather(job, return_exceptions=True)
        with pytest.raises(asyncio.CancelledError) as caught:
            await job
        return gathered, caught.value, job

    gathered, error, job = asyncio.run(main())
    assert isinstance(gathered, asyncio.CancelledError)
    assert len(error.result) == 12_000
    assert error.run_id == job.run_id


def test_empty_frame_needs_no_client(contacts):
    """A frame without rows gives a finished job, without a key."""
    job = contacts.iloc[:0].kirim.bulk_label_job("lbl_01HXYZABCDEFGHJKMNPQRSTVWX", "attach")
    assert len(job.result()) == 0
    assert "finished" in job.ending.text


def test_summary_is_escaped(box, start):
    """Nothing of the data or the service becomes markup."""
    ending = start(box, journal=False)
    ending.result()
    facts = JobFacts("<run>", "<b>", "attach", 1, 1, ending.facts.started, label_name="<i>x</i>")
    from dataclasses import replace

    from kirim_pandas.notebook.texts import heading_html, note_html

    shown = replace(ending.ending, facts=facts, notes=["<script>"]).html
    shown += heading_html(facts, running=True)
    shown += note_html(facts, ending.progress, facts.started)
    for text in ("<run>", "<i>", "<script>"):
        assert text not in shown


def test_note_says_when_and_how_to_go_on():
    """What stands under the live bar has a time, and is hidden where the live bar is drawn."""
    from datetime import UTC, datetime

    from kirim_pandas.notebook.texts import note_html
    from kirim_pandas.run.progress import Progress

    now = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
    facts = JobFacts("run_1", "lbl_1", "attach", 12_000, 12_000, now)
    page = note_html(facts, Progress(12_000, answered=3000), now)
    assert "At 05:06:07: answers for 3,000 of 12,000 contacts" in page
    assert "kp.runs()" in page
    assert 'df.kirim.resume("run_1")' in unescape(page)
    assert ".jp-OutputArea:has(.kirim-live) .kirim-kept { display: none; }" in page


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.2, "0 s"), (59.4, "59 s"), (61, "1 min 1 s"), (7300, "2 h 1 min")]
)
def test_durations(seconds, text):
    """Durations are said the way people do."""
    assert duration_text(seconds) == text
