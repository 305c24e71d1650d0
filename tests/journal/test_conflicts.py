"""What would undo, or mix with, another run of the journal is refused before it is sent."""

import os
import time
from pathlib import Path

import pytest

import kirim_pandas as kp
from kirim_pandas.journal.locks import RunLock


def send(box, frame, label, op, **options):
    settings = {"client": box.client(), "progress": False} | options
    return frame.kirim.bulk_label(label, op, **settings)


def go_on(box, result, **options):
    run_id = result.attrs["kirim_run_id"]
    return kp.resume(run_id, client=box.client(), progress=False, **options)


@pytest.mark.parametrize(
    ("op", "other", "words"),
    [
        ("attach", "detach", ("attaches", "detached it from", "attach it to them")),
        ("detach", "attach", ("detaches", "attached it to", "detach it from them")),
    ],
)
def test_an_old_run_does_not_undo_a_later_one(box, label, op, other, words):
    """A resume with work left is refused once a later run did the opposite to its contacts."""
    old = send(box, box.contacts, label, op, max_requests=2)
    later = send(box, box.contacts.iloc[300:], label, other)
    before = len(box.requests()), set(box.members(label))
    with pytest.raises(kp.InvalidInputError) as caught:
        go_on(box, old)
    first, second = (frame.attrs["kirim_run_id"] for frame in (old, later))
    assert str(caught.value) == (
        f"Run {first} {words[0]} this label; run {second} has since {words[1]} 900 of its "
        f"contacts. Going on would {words[2]} again. Nothing was sent. "
        f"kirim_pandas.forget('{first}') drops the old run; to {op} the label all the same, call "
        "bulk_label again."
    )
    assert (len(box.requests()), set(box.members(label))) == before
    kp.forget(second)
    assert (go_on(box, old)["status"] != "unknown").all()


def test_another_name_of_the_same_computer_is_no_other_place(box, label):
    """An address with localhost in it and one with 127.0.0.1 lead to the same labels."""
    old = send(box, box.contacts, label, "attach", max_requests=2)
    address = box.base_url.replace("127.0.0.1", "LocalHost")
    assert address != box.base_url
    send(box, box.contacts, label, "detach", client=box.client(base_url=address))
    with pytest.raises(kp.InvalidInputError, match="has since detached it from"):
        go_on(box, old)


def test_a_run_with_nothing_to_send_gives_its_result(box, label):
    """A run that is over gives its result again, whatever was done after it."""
    old = send(box, box.contacts, label, "attach")
    send(box, box.contacts, label, "detach", max_requests=1)
    before = len(box.requests())
    assert go_on(box, old)["status"].tolist() == old["status"].tolist()
    assert len(box.requests()) == before


def test_what_is_no_conflict(box, label):
    """Other contacts, labels and addresses, the same operation, and what sent nothing are none."""
    half = box.contacts.iloc[:600]
    old = send(box, half, label, "attach", max_requests=1)
    send(box, box.contacts.iloc[600:], label, "detach", max_requests=1)
    send(box, half, box.labels["id"].iloc[1], "detach", max_requests=1)
    other_place = box.client(phone_number_id="987654")
    try:
        send(box, half, label, "detach", max_requests=1, client=other_place)
    except kp.KirimError:
        kp.forget(kp.runs()["run_id"].iloc[0])  # a sandbox may know of one number only
    send(box, half, label, "attach", max_requests=1)
    assert (go_on(box, old)["status"] != "unknown").all()


@pytest.fixture
def at_work(box, label):
    """A run over most contacts whose lock is held as if it were still sending."""
    run_id = send(box, box.contacts.iloc[:801], label, "detach").attrs["kirim_run_id"]
    with RunLock(Path(os.environ["KIRIM_JOURNAL"]) / f"journal.sqlite.{run_id}.lock", run_id):
        yield run_id


@pytest.mark.parametrize("way", ["bulk_label", "bulk_label_job"])
def test_two_opposite_runs_do_not_work_at_once(box, label, at_work, way):
    """A run does not start while another does the opposite to its contacts; nothing stays of it."""
    before = len(box.requests())
    with pytest.raises(kp.InvalidInputError) as caught:
        getattr(box.contacts.kirim, way)(label, "attach", client=box.client())
    assert str(caught.value) == (
        f"Run {at_work} is detaching this label from 801 of these contacts right now. Nothing "
        "was sent. Wait for it to end, or stop it."
    )
    assert len(box.requests()) == before
    assert kp.runs()["run_id"].tolist() == [at_work]
    send(box, box.contacts, label, "detach", max_requests=1)
    send(box, box.contacts.iloc[801:], label, "attach", max_requests=1)
    send(box, box.contacts, label, "attach", max_requests=1, journal=False)


def test_a_job_at_work_is_seen(box, label):
    """A resume is refused while a job of the other kind works on its contacts."""
    run_id = send(box, box.contacts, label, "attach", max_requests=1).attrs["kirim_run_id"]
    job = box.contacts.kirim.bulk_label_job(label, "detach", client=box.client(), resolve="rows")
    try:
        while not job.progress.requests and not job.done:
            time.sleep(0.001)
        with pytest.raises(kp.InvalidInputError, match="Nothing was sent"):
            kp.resume(run_id, client=box.client(), progress=False)
    finally:
        job.cancel()
        while not job.done:
            time.sleep(0.01)


def test_a_run_of_this_kernel_says_how_to_stop_it(box, label):
    """Who resumes or forgets a run that this very process works on is told what stops it."""
    told = []

    def meanwhile(now):
        if now.answered and not told:
            run_id = kp.runs()["run_id"].iloc[0]
            for verb in (lambda: kp.resume(run_id, client=box.client()), lambda: kp.forget(run_id)):
                with pytest.raises(kp.JournalError) as caught:
                    verb()
                told.append(str(caught.value).replace(run_id, "X"))

    box.contacts.kirim.bulk_label(label, "attach", client=box.client(), progress=meanwhile)
    end = "Wait until it ends; job.cancel() stops it."
    assert told == [
        f"Run X is at work in this kernel. Nothing was sent from here. {end}",
        f"Run X is at work in this kernel. Nothing was deleted. {end}",
    ]
