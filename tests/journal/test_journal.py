"""The journal on disk: what it keeps, who may have it, and how it fails."""

import os
import random
import re
import sqlite3
import stat
import subprocess
import sys
import threading

import numpy as np
import pytest

import kirim_pandas as kp
from kirim_pandas.grouptesting.outcomes import Counts
from kirim_pandas.journal.locks import RunLock
from kirim_pandas.journal.records import REPLAY_SECONDS
from kirim_pandas.journal.store import KEEP_SECONDS, Entry, Journal, RunRecord
from kirim_pandas.journal.writer import RunWriter, lock_path
from kirim_pandas.run.calls import Call, Reply
from kirim_pandas.run.events import (
    CallAnswered,
    CallLost,
    CallPlanned,
    CallRefused,
    CallUnsent,
    Idle,
)

RUN = "run_20260101_0123456789"
IDS = [f"ctc_{number:026d}" for number in range(2500)]


def record(run_id=RUN, **changes):
    known = {
        "label_id": "lbl_" + "0" * 26,
        "operation": "attach",
        "target": "https://example.org/v1/contacts/bulk_label",
        "contact_ids": IDS,
        "groups": np.arange(2500, dtype=np.int64),
        "resolve": "rows",
        "max_requests": 7,
        "rows": 2600,
        "started_at": 1000.0,
    }
    return RunRecord(run_id=run_id, **known | changes)


def call(number=0, key="K", positions=(0, 1)):
    return Call(number, "apply", np.array(positions), key, batch=0)


@pytest.fixture
def writer(tmp_path):
    told = []
    with RunWriter(tmp_path, RUN, warn=told.append) as writer:
        writer.told = told
        writer.begin(record())
        yield writer


def read(path, **options):
    journal = Journal(path, **options)
    try:
        return journal.load(RUN)
    finally:
        journal.close()


def test_what_is_written_is_read(tmp_path, writer):
    """A run and its calls come back from the disk as they were written."""
    reply = Reply(Counts(1, 1, 0), "req_1")
    for event in (
        CallPlanned(call(0, "A")),
        CallAnswered(call(0, "A"), reply, 2),
        CallPlanned(call(1, "B")),
        CallRefused(call(1, "B"), "bad", "req_2"),
        CallPlanned(call(2, "C")),
        CallUnsent(call(2, "C")),
        CallPlanned(call(3, "D")),
        CallLost(call(3, "D"), "gone"),
        Idle(),
    ):
        writer(event)
    known, past = read(tmp_path)
    assert known.contact_ids == IDS
    assert (known.groups == np.arange(2500)).all()
    assert (known.label_id, known.rows, known.max_requests) == ("lbl_" + "0" * 26, 2600, 7)
    assert [p.state for p in past] == ["answered", "refused", "unsent", "sent"]
    assert [p.call.key for p in past] == ["A", "B", "C", "D"]
    assert past[0].reply == reply
    assert (past[1].code, past[1].request_id) == ("bad", "req_2")
    assert (past[0].call.positions == [0, 1]).all()


def test_a_call_is_on_the_disk_before_it_is_sent(tmp_path, writer):
    """When the run is told of a planned call, another process can read it."""
    writer(CallPlanned(call()))
    assert [p.state for p in read(tmp_path)[1]] == ["sent"]


def test_an_answer_may_wait_for_the_next_commit_but_not_longer(tmp_path, writer):
    """An answer is on the disk with the next call, or when there is nothing to do."""
    writer(CallPlanned(call(0)))
    writer(CallAnswered(call(0), Reply(Counts(2, 0, 0), None), 2))
    writer(CallPlanned(call(1)))
    assert [p.state for p in read(tmp_path)[1]] == ["answered", "sent"]
    writer(CallUnsent(call(1)))
    writer(Idle())
    assert [p.state for p in read(tmp_path)[1]] == ["answered", "unsent"]


@pytest.mark.parametrize(
    ("later", "state"),
    [
        (0, "sent"),
        (REPLAY_SECONDS - 60, "sent"),
        (REPLAY_SECONDS + 60, "stale"),
        (-3600, "stale"),  # a clock that was wrong says nothing of the age
    ],
)
def test_old_keys_are_stale(tmp_path, writer, later, state):
    """Fault 88: a key that the service may have forgotten is not taken for a known one."""
    writer(CallPlanned(call()))
    now = writer._journal.now() + later
    assert read(tmp_path, wall_clock=lambda: now)[1][0].state == state


def test_a_repeat_does_not_make_its_key_younger(tmp_path, writer):
    """The age of a key counts from its first use."""
    journal = writer._journal
    journal.write(RUN, [Entry(call(), "sent", None, 0.0)])
    journal.write(RUN, [Entry(call(), "sent", None, 90_000.0)])
    assert read(tmp_path, wall_clock=lambda: 90_001.0)[1][0].state == "stale"


@pytest.mark.skipif(sys.platform == "win32", reason="modes")
def test_it_is_the_users_alone(tmp_path, monkeypatch):
    """Folder 0700, file 0600, even if a file with open doors was there before."""
    os.umask(old := os.umask(0))
    path = tmp_path / "new" / "journal.sqlite"
    os.umask(0)
    try:
        Journal(path).close()
    finally:
        os.umask(old)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    path.chmod(0o644)
    Journal(path).close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_where_it_is(tmp_path, monkeypatch):
    """The argument, then KIRIM_JOURNAL, then the state folder; a folder holds the usual name."""
    monkeypatch.setenv("KIRIM_JOURNAL", str(tmp_path / "a.sqlite"))
    Journal().close()
    assert (tmp_path / "a.sqlite").exists()
    Journal(tmp_path / "b.sqlite").close()
    assert (tmp_path / "b.sqlite").exists()
    Journal(str(tmp_path)).close()
    assert (tmp_path / "journal.sqlite").exists()
    monkeypatch.delenv("KIRIM_JOURNAL")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    journal = Journal()
    journal.close()
    assert journal.path.name == "journal.sqlite"
    assert "kirim-pandas" in str(journal.path)


def test_forgotten_ids_are_gone_from_the_disk(tmp_path, writer):
    """What is forgotten cannot be read from the file's free pages."""
    writer(CallPlanned(call(0, "the-key-of-the-call")))
    path = writer._journal.path
    assert b"the-key-of-the-call" in path.read_bytes()
    writer._journal.forget(RUN)
    for file in tmp_path.iterdir():
        assert b"the-key-of-the-call" not in file.read_bytes()


def test_finished_runs_are_forgotten_after_a_year(tmp_path, writer):
    """Fault 12 of privacy: a finished run goes after 400 days, an unfinished one stays."""
    journal = writer._journal
    other = "run_20260101_abcdefabcd"
    journal.begin(record(other))
    journal.end_run(RUN, "finished", {})
    journal.end_run(other, "stopped", {})
    much_later = journal.now() + KEEP_SECONDS + 60
    later = Journal(tmp_path, wall_clock=lambda: much_later)
    assert [known.run_id for known in later.runs()] == [other]
    later.close()


@pytest.mark.parametrize("seconds", [86_400.0, None])
def test_how_long_is_chosen_stays_chosen(tmp_path, writer, seconds):
    """What is chosen holds for later sessions, deletes at once, and overwrites the ids."""
    writer(CallPlanned(call(0, "the-key-of-the-call")))
    journal = writer._journal
    journal.end_run(RUN, "finished", {})
    much_later = journal.now() + KEEP_SECONDS - 60
    later = Journal(tmp_path, wall_clock=lambda: much_later)
    later.keep(seconds)
    later.close()
    once_more = Journal(tmp_path, wall_clock=lambda: much_later + 120)
    assert len(once_more.runs()) == (seconds is None)
    once_more.close()
    kept = [b"the-key-of-the-call" in file.read_bytes() for file in tmp_path.iterdir()]
    assert any(kept) == (seconds is None)


def test_a_damaged_choice_is_no_choice(tmp_path, writer):
    """A choice that does not match its checksum is refused: nothing is deleted by it."""
    journal = writer._journal
    journal.keep(86_400.0)
    with sqlite3.connect(journal.path) as db:
        db.execute("UPDATE setting SET value = 1.0")
    db.close()
    with pytest.raises(kp.JournalError, match="the setting keep_seconds does not match"):
        Journal(tmp_path)


def test_two_processes_never_work_on_one_run(tmp_path, writer):
    """Fault 79: the second is told who has it; when the first is dead the run is free."""
    code = (
        "import sys; from kirim_pandas.journal.writer import RunWriter\n"
        f"writer = RunWriter({str(tmp_path)!r}, sys.argv[1], warn=print)\n"
        "print('held', flush=True); sys.stdin.read()"
    )
    arguments = [sys.executable, "-c", code]
    second = subprocess.run([*arguments, RUN], capture_output=True, text=True, input="")
    assert f"at work in another notebook or program (process {os.getpid()} since" in second.stderr
    with subprocess.Popen(
        [*arguments, "run_2"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(kp.JournalError, match=f"process {holder.pid} since"):
            RunWriter(tmp_path, "run_2", warn=print)
        holder.kill()
        holder.communicate()
    with RunWriter(tmp_path, "run_2", warn=print):
        pass


def test_two_kernels_share_a_journal(tmp_path):
    """Runs of several processes and threads are written side by side, none is lost."""
    failed = []

    def work(number):
        try:
            with RunWriter(tmp_path, f"run_{number}", warn=failed.append) as writer:
                writer.begin(record(f"run_{number}"))
                for n in range(12):
                    writer(CallPlanned(call(n)))
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    journal = Journal(tmp_path)
    assert len(journal.runs()) == 4
    assert all(len(journal.load(f"run_{number}")[1]) == 12 for number in range(4))
    journal.close()


def test_a_deleted_lock_file_stops_the_run(writer, tmp_path):
    """Fault 80: a lock that a cleaner removed guards nothing, so no further call is planned."""
    lock_path(writer._journal, RUN).unlink()
    with pytest.raises(kp.JournalError, match=r"lock file of run .* was deleted"):
        writer(CallPlanned(call()))


def test_the_lock_is_left_clean(tmp_path):
    """A released lock leaves no file."""
    RunLock(tmp_path / "lock", RUN).release()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("run_id", ["../other", "a/b", "", "run\n", "x" * 200, 17, None])
def test_what_is_no_run_id_is_not_made_a_file(run_id):
    """Whatever is passed as a run id, nothing is created from it."""
    with pytest.raises(kp.InvalidInputError, match=r"is no run id|expected a text like run_"):
        kp.resume(run_id)


# -- a journal that fails ------------------------------------------------------------------


def fill_up(writer):
    """Let the disk be full for this journal."""
    (pages,) = writer._journal._db.execute("PRAGMA page_count").fetchone()
    writer._journal._db.execute(f"PRAGMA max_page_count = {pages}")


def make_room(writer):
    writer._journal._db.execute("PRAGMA max_page_count = 1000000")


def test_a_full_disk_in_the_middle(writer, tmp_path):
    """Fault 75: one warning, the run goes on, and is whole again when there is room again."""
    fill_up(writer)
    for number in range(9):
        writer(CallPlanned(call(number, positions=range(1000))))
    assert len(writer.told) == 1
    assert "can no longer be written" in writer.told[0]
    assert "full" in writer.told[0]
    assert not writer.resumable
    make_room(writer)
    writer(Idle())
    assert writer.resumable
    assert len(read(tmp_path)[1]) == 9
    assert len(writer.told) == 1


def test_an_incomplete_journal_says_so_to_later_sessions(tmp_path):
    """What a dead session could not write down may have been sent: no contact is certain."""
    told = []
    with RunWriter(tmp_path, RUN, warn=told.append) as writer:
        writer.begin(record())
        fill_up(writer)
        for number in range(9):
            writer(CallPlanned(call(number, positions=range(1000))))
    assert told
    with RunWriter(tmp_path, RUN, warn=told.append) as writer:
        _, past = writer.load()
        stale = [p for p in past if p.state == "stale"]
        assert sorted(np.concatenate([p.call.positions for p in stale])) == list(range(2500))
        writer.end("stopped", {})
    with RunWriter(tmp_path, RUN, warn=told.append) as writer:
        assert any(p.state == "stale" for p in writer.load()[1])
        writer.end("finished", {"unknown": 1})
    with RunWriter(tmp_path, RUN, warn=told.append) as writer:
        assert any(p.state == "stale" for p in writer.load()[1]), "a row in doubt stays so"
        writer.end("finished", {"unknown": 0})
    with RunWriter(tmp_path, RUN, warn=told.append) as writer:
        assert not any(p.state == "stale" for p in writer.load()[1])


def test_a_journal_deleted_in_the_middle(writer):
    """Whoever deletes the file under a run is told, and the run goes on."""
    writer._journal.path.unlink()
    writer(CallPlanned(call()))
    assert "deleted or moved" in writer.told[0]


def test_a_full_disk_at_the_start(tmp_path):
    """Fault 74: nothing is sent when the plan cannot be written, and the message says so."""
    with RunWriter(tmp_path, RUN, warn=print) as writer:
        fill_up(writer)
        with pytest.raises(kp.JournalError, match=r"full.*Nothing was sent.*Free some space"):
            writer.begin(record())


def unwritable(tmp_path):
    file = tmp_path / "file"
    file.write_text("")
    return file / "journal.sqlite"


def not_sqlite(tmp_path):
    path = tmp_path / "j"
    path.write_text("Dear diary, " * 500)
    return path


def someone_elses(tmp_path):
    path = tmp_path / "j"
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE mine (x)")
    db.close()
    return path


def newer(tmp_path):
    path = tmp_path / "j"
    Journal(path).close()
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version = 9")
    db.close()
    return path


def short(tmp_path):
    (tmp_path / "s.txt").write_text("x")
    return tmp_path / "s.txt"


def read_only(tmp_path):
    path = tmp_path / "j"
    Journal(path).close()
    (tmp_path / "j-journal").unlink(missing_ok=True)
    (tmp_path / "j-journal").mkdir()
    return path


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (unwritable, "A file stands where its folder would be"),
        (not_sqlite, "found a file of another kind"),
        (short, "found a file of another kind"),
        (someone_elses, "not a journal of kirim-pandas"),
        (newer, "Upgrade kirim-pandas"),
        (read_only, "Give yourself the right|Move the damaged"),
    ],
)
def test_an_unusable_journal_sends_nothing(make, message, tmp_path):
    """Faults 76 to 78: the reason and the way out, before the first request."""
    path = make(tmp_path)
    with kp.sandbox.start(contacts=5) as box, pytest.raises(kp.JournalError, match=message) as e:
        box.contacts.kirim.bulk_label(
            box.labels["id"].iloc[0], "attach", client=box.client(), journal=path, progress=False
        )
    assert "Nothing was sent" in str(e.value)
    assert "KIRIM_JOURNAL" in str(e.value)


def mutated(data, chance):
    """Damage some bytes as disks, copies and editors do."""
    data = bytearray(data)
    kind = chance.randrange(5)
    where = chance.randrange(len(data))
    if kind == 0:  # a few flipped bits
        for _ in range(chance.randrange(1, 5)):
            data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    elif kind == 1:
        del data[where:]
    elif kind == 2:  # a hole
        length = chance.choice([1, 16, 512, 4096])
        data[where : where + length] = bytes(len(data[where : where + length]))
    elif kind == 3:  # a page of elsewhere
        pages = len(data) // 4096
        a, b = chance.randrange(pages) * 4096, chance.randrange(pages) * 4096
        data[a : a + 4096] = data[b : b + 4096]
    else:
        data[where : where + 40] = chance.randbytes(len(data[where : where + 40]))
    return bytes(data)


def test_damaged_journals_are_refused_or_true(tmp_path):
    """Fault 77: 200 mutated journals are each refused, or read exactly as they were written."""
    path = tmp_path / "journal.sqlite"
    reply = Reply(Counts(1, 1, 0), "req_1")
    with RunWriter(path, RUN, warn=print) as writer:
        writer.begin(record(contact_ids=IDS[:300], groups=None))
        for number in range(40):
            writer(CallPlanned(call(number, f"key-{number}", range(number, 300))))
            if number % 3:
                writer(CallAnswered(call(number, f"key-{number}", range(number, 300)), reply, 2))
        writer.end("stopped", {"applied": 1})
    truth = told(path)
    data = path.read_bytes()
    refused = 0
    for seed in range(200):
        path.write_bytes(mutated(data, random.Random(seed)))
        try:
            found = told(path)
        except (kp.JournalError, kp.InvalidInputError) as error:
            refused += 1
            found, message = truth, str(error)
            assert re.search("Nothing was sent|There is no run", message)
        assert found == truth
    assert refused > 100


def told(path):
    known, past = read(path)
    return (
        [getattr(known, name) for name in ("label_id", "target", "contact_ids", "state")],
        known.summary,
        [(p.call.number, p.call.key, p.call.positions.tolist(), p.state, p.reply) for p in past],
    )
