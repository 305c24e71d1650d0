"""Faults of the journal and of the process, each played to a whole run over the sandbox."""

import itertools
import re
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
import uuid
import warnings

import numpy as np
import pytest
from support.scenes import SIZE, Scenes, counts

import kirim_pandas as kp
from kirim_pandas.journal import locks
from kirim_pandas.journal.store import Journal
from kirim_pandas.run import replay as recall
from kirim_pandas.sandbox import Faults


@pytest.fixture
def play():
    with Scenes() as scenes:
        yield scenes.start


def fill_up(journal):
    """Let the disk be full for this journal from now on."""
    (pages,) = journal._db.execute("PRAGMA page_count").fetchone()
    journal._db.execute(f"PRAGMA max_page_count = {pages}")


@pytest.mark.parametrize(("size", "share"), [(6050, 0.0), (60, 0.1)], ids=["apply", "resolve"])
def test_73_power_loss_at_each_request(play, tmp_path, monkeypatch, size, share):
    """What stood on the disk when a request arrived knew of it, and is enough to end the run."""
    script = {1: "reset_after_commit", 3: "reset_before_commit", 6: "reset_after_commit"}
    scene = play(size, skipped_share=share, faults=Faults(script=script))
    here, commit, arrive = tmp_path / "here", threading.Lock(), scene.box._server.arrive
    here.mkdir()
    arrived, number = {}, itertools.count()
    write = Journal.write

    def committing(self, *what):  # a commit half done is SQLite's own promise, not ours
        time.sleep(0.03)  # a slow disk: what is sent without waiting for it is found out
        with commit:
            write(self, *what)

    def arriving(method, path, headers):
        with commit:
            copy = tmp_path / f"copy{next(number)}"
            shutil.copytree(here, copy, ignore=shutil.ignore_patterns("*.lock"))
        arrived[copy] = headers["idempotency-key"]
        return arrive(method, path, headers)

    with monkeypatch.context() as patch:
        patch.setattr(Journal, "write", committing)
        patch.setattr(scene.box._server, "arrive", arriving)
        whole = scene.run(journal=here)
    scene.box._server._faults = Faults()
    assert set(counts(whole)) == ({"applied", "skipped"} if share else {"applied"})
    run_id = whole.attrs["kirim_run_id"]
    assert len(arrived) == len(scene.box.requests()) >= 10
    for copy, key in arrived.items():
        journal = Journal(copy)
        _, past = journal.load(run_id)
        journal.close()
        assert "sent" in {known.state for known in past if known.call.key == key}
        result = scene.resume(run_id, journal=copy)
        assert scene.error is None
        assert result["status"].tolist() == whole["status"].tolist()
        assert result["reason"].fillna("").tolist() == whole["reason"].fillna("").tolist()


def test_73_a_commit_is_synced(tmp_path):
    """A commit returns when the data and the folder are on the disk, not before."""
    journal = Journal(tmp_path)
    names = ("synchronous", "journal_mode", "fullfsync", "secure_delete")
    found = [journal._db.execute(f"PRAGMA {name}").fetchone()[0] for name in names]
    journal.close()
    assert found == [3, "persist", 1, 1]  # 3: EXTRA


def test_74_disk_full_when_planning(play, monkeypatch):
    """A plan that cannot be written ends the call before anything is sent."""
    scene = play()
    begin = Journal.begin

    def full(self, record):
        fill_up(self)
        begin(self, record)

    monkeypatch.setattr(Journal, "begin", full)
    with pytest.raises(kp.JournalError, match=r"full.*Nothing was sent.*Free some space"):
        scene.frame.kirim.bulk_label(scene.label, "attach", client=scene.client, progress=False)
    assert len(scene.box.requests()) == 0


@pytest.mark.parametrize("freed", [True, False])
def test_75_disk_full_in_mid_run(play, monkeypatch, freed):
    """The run ends with a true result and one warning; what a resume can know, it knows."""
    scene = play(300, skipped_share=0.03)
    journals = []
    begin = Journal.begin

    def filling(self, record):
        begin(self, record)
        fill_up(self)
        journals.append(self)

    def free(now):
        if freed and now.requests > 8:
            journals[0]._db.execute("PRAGMA max_page_count = 1000000")

    monkeypatch.setattr(Journal, "begin", filling)
    with pytest.warns(UserWarning, match="can no longer be written") as told:
        result = scene.run(progress=free)
    assert len(told) == 1
    assert "full" in str(told[0].message)
    assert set(counts(result)) == {"applied", "skipped"}
    before = len(scene.box.requests())
    assert before > 12
    again = scene.resume(result.attrs["kirim_run_id"])
    assert again["status"].tolist() == result["status"].tolist()
    assert (len(scene.box.requests()) == before) == freed  # else: asked again, not guessed


def test_79_a_run_at_work_is_not_resumed_by_another(play):
    """Whoever tries to go on with a run that is at work is refused, and sends nothing."""
    scene = play(3000)
    refused = []

    def meanwhile(now):
        if now.answered and not refused:
            run_id = kp.runs()["run_id"].iloc[0]
            with pytest.raises(kp.JournalError, match="at work in this kernel") as caught:
                scene.frame.kirim.resume(run_id, client=scene.client, progress=False)
            refused.append(caught.value)

    assert counts(scene.run(progress=meanwhile)) == {"applied": 3000}
    assert refused
    assert len(scene.box.requests()) == 3


def test_80_lock_file_deleted_while_running(play, tmp_path):
    """A cleaner that removes the lock stops the run in order; a resume ends it."""
    scene = play(5000)

    def clean(now):
        if now.answered:
            for lock in tmp_path.glob("*.lock"):
                lock.unlink()

    result = scene.run(journal=tmp_path, progress=clean)
    assert type(scene.error) is kp.JournalError
    assert "was deleted while it was at work" in str(scene.error)
    assert counts(result)["applied"] >= 1000
    assert counts(result)["not_sent"] >= 1000
    result = scene.resume(scene.error.run_id, journal=tmp_path)
    assert counts(result) == {"applied": 5000}
    assert not scene.box.requests()["replayed"].any()


FORK = """
import os, signal, sys, pandas as pd, kirim_pandas as kp
key, url, label, folder, ids = sys.argv[1:]
frame = pd.DataFrame({"contact_id": open(ids).read().split()})
children = []

def fork(now):
    if now.answered and not children:
        children.append(os.fork())
        if children[0] == 0:
            signal.alarm(20)
        else:
            assert os.waitstatus_to_exitcode(os.waitpid(children[0], 0)[1]) == 7

try:
    client = kp.Client(key, base_url=url)
    result = frame.kirim.bulk_label(label, "attach", client=client, journal=folder, progress=fork)
except kp.JournalError as error:
    assert children == [0]
    print("COPY", error, flush=True)
    os._exit(7)
assert children[0] > 0
print("ORIGINAL", (result["status"] == "applied").sum())
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there is no fork")
def test_81_fork_with_an_open_run(play, tmp_path):
    """A copy of the process sends nothing and frees nothing; the run goes on in the original."""
    scene = play(5000)
    (tmp_path / "ids").write_text("\n".join(scene.frame["contact_id"]))
    given = (scene.box.api_key, scene.box.base_url, scene.label, tmp_path, tmp_path / "ids")
    out = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FORK, *map(str, given)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert re.search(r"COPY Run run_\w+ is at work in process \d+, of which this one", out.stdout)
    assert "ORIGINAL 5000" in out.stdout, out.stderr
    requests = scene.box.requests()
    assert len(requests) == requests["idempotency_key"].nunique() == 5
    assert kp.runs(journal=tmp_path)["state"].tolist() == ["finished"]


MOUNTED = """\
/dev/sda1 / ext4 rw,relatime 0 0
overlay /run/box fuse.fuse-overlayfs rw 0 0
{source} {here} {kind} rw,vers=4.2 0 0
"""


@pytest.mark.parametrize(
    ("kind", "is_told"),
    [("nfs4", True), ("cifs", True), ("fuse", True), ("fuse.sshfs", True), ("ext4", False)],
)
def test_82_journal_on_a_network_file_system(play, tmp_path, monkeypatch, kind, is_told):
    """A journal on another computer's disk is used, with a warning that says where else."""
    here = tmp_path / "my files"
    here.mkdir()
    mounts = tmp_path / "mounts"
    place = str(here).replace(" ", "\\040")
    mounts.write_text(MOUNTED.format(source="nas:/home", here=place, kind=kind))
    monkeypatch.setattr(locks, "MOUNTS", mounts)
    scene = play(10)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        assert counts(scene.run(journal=here)) == {"applied": 10}
        scene.run(journal=tmp_path)  # beside it, on the local disk
    assert len(told) == is_told
    for warning in told:
        for part in (f"network file system ({kind})", str(here), "journal=", "KIRIM_JOURNAL"):
            assert part in str(warning.message)


def test_82_nothing_is_said_where_nothing_is_known(tmp_path, monkeypatch):
    """A system that does not list its mounts, or lists them oddly, makes no warning."""
    monkeypatch.setattr(locks, "MOUNTS", tmp_path / "none")
    assert locks.network_file_system(tmp_path) is None
    (tmp_path / "none").write_bytes(b"\n \xff\nx\n")
    assert locks.network_file_system(tmp_path) is None


def test_86_upgrade_between_stop_and_resume(play, monkeypatch):
    """Whatever a later version would cut or name otherwise, a call in flight goes as it was."""
    scene = play(5000, faults=Faults(script=dict.fromkeys(range(1, 9), "reset_after_commit")))
    scene.connect(max_tries=1)
    assert counts(scene.run())["unknown"] >= 1000
    doubtful = scene.box.requests().iloc[1:]
    scene.box._server._faults = Faults()
    later = len(scene.box.requests())

    def cut_smaller(count, *_):
        return [np.arange(start, min(start + 700, count)) for start in range(0, count, 700)]

    monkeypatch.setattr(recall, "cut_batches", cut_smaller)
    monkeypatch.setattr("kirim_pandas.run.loop.uuid.uuid4", lambda: f"new-{uuid.uuid1()}")
    assert counts(scene.resume(scene.error.run_id)) == {"applied": 5000}
    requests = scene.box.requests().iloc[later:]
    repeats = requests[requests["idempotency_key"].isin(doubtful["idempotency_key"])]
    assert len(repeats) == len(doubtful)
    assert repeats["replayed"].all()
    assert (requests["status"] == 200).all()


def test_83_84_the_same_call_again(play):
    """Calling again, after a failure or a success, is a new run that sends all once and is true."""
    scene = play(faults=Faults(script={1: "reset_after_commit", 2: "reset_after_commit"}))
    scene.connect(max_tries=1)
    assert counts(scene.run())["unknown"] > 0
    scene.box._server._faults = Faults()
    for _ in range(2):
        before = scene.box.requests()
        assert counts(scene.run()) == {"applied": SIZE}
        new = scene.box.requests().iloc[len(before) :]
        assert not set(new["idempotency_key"]) & set(before["idempotency_key"])
        assert new["contacts"].sum() == SIZE
    assert kp.runs()["state"].tolist() == ["finished", "finished", "failed"]


def test_90_frame_changed_during_the_run(play):
    """The result belongs to the rows as they were when the run began."""
    scene = play()
    scene.frame.index = scene.frame.index[::-1]
    before = scene.frame.copy(deep=True)
    frame = scene.frame.copy(deep=True)

    def change(now):
        if now.answered and "name" in frame:
            frame["contact_id"] = None
            frame.pop("name")
            frame.index = range(SIZE)

    settings = {"client": scene.client, "progress": change}
    result = frame.kirim.bulk_label(scene.label, "attach", **settings)
    assert frame["contact_id"].isna().all()
    assert result.index.equals(before.index)
    assert result["contact_id"].tolist() == before["contact_id"].tolist()
    assert counts(result) == {"applied": SIZE}


MEMORY = """
import re, numpy as np, pandas as pd, kirim_pandas as kp
ids = "ctc_" + pd.Series(np.arange(10**6)).astype("string[pyarrow]").str.zfill(26)
frame = ids.to_frame("contact_id")
frame.head(10).kirim.plan("lbl_" + "0" * 26, "attach")
def megabytes(name):
    return int(re.search(name + r":\\s+(\\d+)", open("/proc/self/status").read())[1]) / 1024
open("/proc/self/clear_refs", "w").write("5")  # the peak counts from here
before = megabytes("VmRSS")
frame.kirim.plan("lbl_" + "0" * 26, "attach")
print(megabytes("VmHWM") - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_107_a_million_rows_are_planned_in_little_memory():
    """A plan of 1,000,000 rows takes a quarter of a gigabyte beside the frame, at most."""
    command = [sys.executable, "-c", MEMORY]
    out = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    assert 0 < float(out.stdout) < 250


def test_a_journal_is_never_half_read(play, tmp_path):
    """Faults 76 to 78 for a resume: what cannot be read as a whole sends nothing."""
    scene = play()
    run_id = scene.run(journal=tmp_path, max_requests=1).attrs["kirim_run_id"]
    with sqlite3.connect(tmp_path / "journal.sqlite") as db:
        db.execute("UPDATE call SET key = key || 'x'")
    db.close()
    with pytest.raises(kp.JournalError, match=r"does not match its checksum\. Nothing was"):
        scene.frame.kirim.resume(run_id, client=scene.client, journal=tmp_path, progress=False)
    assert len(scene.box.requests()) == 1
