"""Processes that are killed, and what the next one makes of it; see also benchmarks/chaos.py."""

import contextlib
import random
import signal
import subprocess
import sys

import pandas as pd
import pytest
from support.kill_harness import RUN_ENDED, RUN_STOPPED, faulty_requests, lies, spawn

import kirim_pandas as kp
from kirim_pandas.journal.store import Journal
from kirim_pandas.sandbox import Faults


class Stage:
    """A sandbox, a folder, and sessions of one run in processes of their own."""

    def __init__(self, box, folder):
        self.box = box
        self.folder = folder
        self.label = box.labels["id"].iloc[0]
        self.ids = box.contacts["contact_id"].tolist()
        self.contacts = folder / "contacts.txt"
        self.contacts.write_text("\n".join(self.ids))
        self.sessions = 0

    def session(self, **config):
        self.sessions += 1
        return spawn(
            self.folder,
            f"session{self.sessions}",
            api_key=self.box.api_key,
            base_url=self.box.base_url,
            contacts=str(self.contacts),
            journal=str(self.folder),
            label_id=self.label,
            **config,
        )

    def result(self):
        return pd.read_pickle(self.folder / f"session{self.sessions}.pickle")

    def run_id(self):
        known = kp.runs(journal=self.folder)
        assert len(known) <= 1
        return known["run_id"].iloc[0] if len(known) else None

    def wait_for_requests(self, count, process):
        """Let the run get so far; its own end is also an end."""
        while len(self.box.requests()) < count and process.poll() is None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(0.02)

    def reads(self):
        """Return how many pages of lists were asked for."""
        return int((self.box.requests()["method"] == "GET").sum())

    def check(self, result):
        truth = self.box.outcome(self.label)
        assert lies(result, self.box.members(self.label), truth, set()) == []
        assert faulty_requests(self.box.requests(), set(self.ids)) == []
        assert result["contact_id"].tolist() == self.ids


@pytest.fixture
def stage(tmp_path):
    open_boxes = []

    def make(contacts=1500, **options):
        settings = {"skipped_share": 0.003, "write_per_minute": 6000, "seed": 1} | options
        box = kp.sandbox.start(contacts, **settings)
        open_boxes.append(box)
        return Stage(box, tmp_path)

    yield make
    for box in open_boxes:
        box.close()


def end(process):
    """Wait; the streams are read so that nothing is left open."""
    out, told = process.communicate(timeout=60)
    return process.returncode, out + told


def test_72_sigkill_at_random_instants(stage):
    """Killed twice at random and taken up again, the run ends with every row right."""
    chance = random.Random(1)
    scene = stage(faults=Faults(rates={"reset_after_commit": 0.1}))
    for _ in range(2):
        process = scene.session(run_id=scene.run_id())
        scene.wait_for_requests(len(scene.box.requests()) + chance.randrange(1, 12), process)
        process.kill()
        end(process)
    code, told = end(scene.session(run_id=scene.run_id()))
    assert code == RUN_ENDED, told
    result = scene.result()
    scene.check(result)
    assert set(result["status"]) <= {"applied", "skipped"}


def test_72_a_call_in_flight_goes_again_under_its_key(stage):
    """Killed between the commit and the reply: the same key, the first reply, no second call."""
    scene = stage(300, skipped_share=0.0, faults=Faults(script={0: ("stall_after_commit", 30.0)}))
    process = scene.session()
    while not scene.box.members(scene.label):
        assert process.poll() is None
    process.kill()
    end(process)
    code, told = end(scene.session(run_id=scene.run_id()))
    assert code == RUN_ENDED, told
    requests = scene.box.requests()
    assert requests["idempotency_key"].nunique() == 1
    assert requests["replayed"].tolist() == [False, True]
    scene.check(scene.result())


@pytest.mark.parametrize("ended_by", ["SIGKILL", "SIGINT"])
def test_a_listing_that_is_cut_short_costs_no_row(stage, ended_by):
    """Killed or stopped between two pages of the contact list, a run is gone on with and right."""
    if ended_by == "SIGINT" and sys.platform == "win32":
        pytest.skip("there Ctrl-C goes to a whole group of processes")
    faults = Faults(script={3: ("drop", 30.0)}, on="reads")
    scene = stage(900, skipped_share=0.3, read_per_minute=60_000, faults=faults)
    process = scene.session()
    while scene.reads() < 3 and process.poll() is None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(0.02)
    requests = scene.box.requests()
    assert (requests["method"] == "POST").any(), "the batches came before the list"
    process.send_signal(getattr(signal, ended_by))
    code, told = end(process)
    assert code == (RUN_STOPPED if ended_by == "SIGINT" else -signal.SIGKILL), told
    read = scene.reads()
    code, told = end(scene.session(run_id=scene.run_id()))
    assert code == RUN_ENDED, told
    result = scene.result()
    scene.check(result)
    assert set(result["status"]) == {"applied", "skipped"}
    assert scene.reads() > read, "the list is read by the run that goes on"


@pytest.mark.skipif(sys.platform == "win32", reason="no process is put to sleep there")
def test_12_asleep_with_a_call_on_the_wire(stage):
    """A laptop that sleeps while its connection dies wakes up, and asks again under the key."""
    scene = stage(300, skipped_share=0.0, faults=Faults(script={0: ("drop", 1.0)}))
    process = scene.session()
    scene.wait_for_requests(1, process)
    process.send_signal(signal.SIGSTOP)
    for connection in list(scene.box._server._connections):
        connection.join(10)
    scene.box.advance_clock(3600)
    process.send_signal(signal.SIGCONT)
    code, told = end(process)
    assert code == RUN_ENDED, told
    requests = scene.box.requests()
    assert len(requests) == 2
    assert requests["idempotency_key"].nunique() == 1
    scene.check(scene.result())
    assert (scene.result()["status"] == "applied").all()


@pytest.mark.skipif(sys.platform == "win32", reason="SIGTERM ends a process there without a word")
def test_71_sigterm_ends_a_script_in_order(stage):
    """SIGTERM settles what is in flight, leaves a true partial result, and resume ends it."""
    scene = stage(6000, skipped_share=0.0, write_per_minute=60)
    scene.box.set_write_per_minute(60)
    process = scene.session(client={"share": 0.06})
    scene.wait_for_requests(2, process)
    process.send_signal(signal.SIGTERM)
    code, told = end(process)
    assert code == RUN_STOPPED, told
    assert "RunInterrupted: Stopped." in told
    assert f'df.kirim.resume("{scene.run_id()}")' in told
    scene.check(scene.result())
    assert kp.runs(journal=scene.folder)["state"].tolist() == ["stopped"]
    code, told = end(scene.session(run_id=scene.run_id()))
    assert code == RUN_ENDED, told
    assert (scene.result()["status"] == "applied").all()


def test_a_commit_survives_a_power_cut(tmp_path):
    """Each commit is synced, its rollback journal and the folder with it, before the call leaves.

    No test here can cut the power; that SQLite is asked for it is what can be seen.
    """
    journal = Journal(tmp_path)
    try:
        settings = [
            journal._db.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("journal_mode", "synchronous", "secure_delete")
        ]
    finally:
        journal.close()
    extra = 3
    assert settings == ["persist", extra, 1]


def test_a_run_whose_process_died_is_called_interrupted(stage):
    """runs() tells a run at work from a dead one."""
    scene = stage(300, skipped_share=0.0, faults=Faults(script={0: ("drop", 30.0)}))
    process = scene.session()
    scene.wait_for_requests(1, process)
    assert kp.runs(journal=scene.folder)["state"].tolist() == ["running"]
    with pytest.raises(kp.JournalError, match=f"at work .*process {process.pid}"):
        kp.forget(scene.run_id(), journal=scene.folder)
    process.kill()
    end(process)
    assert kp.runs(journal=scene.folder)["state"].tolist() == ["interrupted"]
    kp.forget(scene.run_id(), journal=scene.folder)
    assert len(kp.runs(journal=scene.folder)) == 0
