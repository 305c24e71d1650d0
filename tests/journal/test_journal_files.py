"""The journal's file: its locks, where it may be, what is never touched, what is gone for good."""

import contextlib
import gc
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
import zlib
from dataclasses import replace
from enum import StrEnum
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path, PurePosixPath, PureWindowsPath
from types import SimpleNamespace

import numpy as np
import pytest
from journal.test_journal import RUN, call, record

import kirim_pandas as kp
from kirim_pandas.journal import locks, records
from kirim_pandas.journal.files import _uri, located, overwrite
from kirim_pandas.journal.locks import RunLock, is_locked
from kirim_pandas.journal.store import Entry, Journal
from kirim_pandas.journal.writer import RunWriter, lock_path
from kirim_pandas.run.stop import StopButton, stop_on_signals

BEFORE = Path(__file__).with_name("before.sqlite")
"""Written by the version before: runs capped, finished, with resolve="certified", and failed; the
last was resumed with a NumPy text for its id."""

TRY_LOCK = """
import sqlite3, sys
try:
    sqlite3.connect(sys.argv[1], timeout=0).execute("BEGIN IMMEDIATE")
except sqlite3.OperationalError as error:
    print(error)
"""


def run_python(code, *arguments):
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout


@pytest.mark.skipif(sys.platform == "win32", reason="locks of another kind")
@pytest.mark.parametrize("look", ["open", "runs", "run", "refused"])
def test_opening_a_journal_keeps_the_locks_of_a_commit_under_way(tmp_path, look):
    """Whatever opens the file meanwhile in this process, no other process can write to it."""
    path = tmp_path / "journal.sqlite"
    journal = Journal(path)
    journal._db.execute("BEGIN IMMEDIATE")
    if look == "open":
        Journal(path).close()
    elif look == "runs":
        kp.runs(journal=tmp_path)
    elif look == "run":
        RunWriter(path, RUN, warn=print).__exit__(None, None, None)
    else:
        journal._db.execute("PRAGMA application_id = 7")
        journal._db.execute("COMMIT")
        journal._db.execute("BEGIN IMMEDIATE")
        with pytest.raises(kp.JournalError, match="another program"):
            Journal(path)
    assert run_python(TRY_LOCK, path) == "database is locked\n"
    journal.close()


WRITE = """
import sys, threading
from journal.test_journal import call, record
from kirim_pandas.journal.store import Journal
from kirim_pandas.journal.writer import RunWriter
from kirim_pandas.run.events import CallPlanned

path, name = sys.argv[1:]
ended = threading.Event()

def look():
    while not ended.is_set():
        journal = Journal(path)
        journal.runs()
        journal.close()

looking = threading.Thread(target=look)
looking.start()
try:
    with RunWriter(path, name, warn=sys.exit) as writer:
        writer.begin(record(name))
        for number in range(60):
            writer(CallPlanned(call(number, positions=range(1000))))
finally:
    ended.set()
    looking.join()
"""


def test_two_kernels_write_while_the_journal_is_looked_at(tmp_path):
    """Two processes that write, and list the runs all the time, lose nothing and damage nothing."""
    path = tmp_path / "journal.sqlite"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, sys.path))}
    names = ["run_1", "run_2"]
    kernels = [
        subprocess.Popen([sys.executable, "-c", WRITE, path, name], env=environment)
        for name in names
    ]
    assert [kernel.wait(120) for kernel in kernels] == [0, 0]
    journal = Journal(path)
    assert [len(journal.load(name)[1]) for name in names] == [60, 60]
    assert journal._db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    journal.close()


def table(path):
    path.write_text("name,phone\nSari,0812\n" * 300)


def single(path):
    path.write_bytes(b"x")


def database(path, mode="DELETE"):
    with sqlite3.connect(path) as db:
        db.execute(f"PRAGMA journal_mode = {mode}")
        db.execute("CREATE TABLE mine (x)")
    db.close()


def write_ahead(path):
    database(path, "WAL")


def pipe(path):
    os.mkfifo(path)


@pytest.mark.skipif(sys.platform == "win32", reason="modes and pipes")
@pytest.mark.parametrize("make", [table, single, database, write_ahead, pipe])
def test_what_is_not_ours_is_left_as_it_is(tmp_path, make):
    """A table, another program's database or a pipe is refused, bytes, mode and place untouched."""
    path = tmp_path / "theirs"
    make(path)
    path.chmod(0o664)
    before = path.stat(), None if make is pipe else path.read_bytes()
    for verb in (
        lambda: Journal(path),
        lambda: kp.runs(journal=path),
        lambda: kp.resume(RUN, journal=path),
        lambda: kp.forget(RUN, journal=path),
    ):
        with pytest.raises(
            kp.JournalError, match=r"is not a journal of kirim-pandas: found .*left"
        ):
            verb()
    after = path.stat(), None if make is pipe else path.read_bytes()
    assert (after[0].st_mode, after[0].st_mtime_ns) == (before[0].st_mode, before[0].st_mtime_ns)
    assert after[1] == before[1]
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("place", ["/dev/null", "/dev/zero"])
def test_a_device_is_no_journal(place):
    """A device is refused before it is read."""
    if not Path(place).exists():
        pytest.skip("no such device here")
    with pytest.raises(kp.JournalError, match="a device"):
        Journal(place)


@pytest.mark.parametrize(
    "place", ["a\0b", "~nobody-has-this-name/x", ":memory:", "x\ud800y", "s3://a/b"]
)
def test_what_can_be_no_place_is_our_error(place):
    """A name that no file can have, an unknown home, or memory: a JournalError with a way out."""
    with pytest.raises(kp.JournalError, match=r"Nothing was sent\. .*KIRIM_JOURNAL") as told:
        Journal(place)
    assert str(told.value).encode()  # it can be printed


@pytest.mark.parametrize("length", [300, 5000])
@pytest.mark.parametrize("deep", [True, False], ids=["folders", "one name"])
def test_a_long_path_is_told_by_its_ends(tmp_path, length, deep):
    """A message shows a long path shortened, however it comes into it, so that it can be read."""
    place = tmp_path / "first" / ("/".join("name" * 30) if deep else "name") / ("x" * length)
    with pytest.raises(kp.JournalError) as caught:
        kp.runs(journal=place / "last")
    said = str(caught.value)
    assert len(said) < 1200
    assert " … " in said
    assert "first" in said
    assert "/last" in said


def test_without_a_home_there_is_no_folder_called_tilde(monkeypatch, tmp_path):
    """Where the system knows no home directory, the usual place is refused in our words."""
    for name in ("HOME", "KIRIM_JOURNAL", "XDG_STATE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("os.path.expanduser", lambda path: path)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(kp.JournalError, match="home"):
        Journal()
    assert list(tmp_path.iterdir()) == []


def test_a_relative_path_is_made_absolute_once(monkeypatch, tmp_path):
    """A journal that was opened under one working directory is the same under another."""
    (tmp_path / "first").mkdir()
    (tmp_path / "second").mkdir()
    monkeypatch.chdir(tmp_path / "first")
    monkeypatch.setenv("KIRIM_JOURNAL", f"here-{tmp_path.name}.sqlite")
    with RunWriter(None, RUN, warn=print) as writer:
        monkeypatch.chdir(tmp_path / "second")
        writer.begin(record())
        assert kp.runs()["run_id"].tolist() == [RUN]
        assert located() == writer._journal.path
    assert list((tmp_path / "second").iterdir()) == []


def test_a_job_outlives_a_change_of_directory(monkeypatch, tmp_path):
    """A job whose journal was named by a relative path goes on, and resumes, after a %cd."""
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    with kp.sandbox.start(1500, seed=3, write_per_minute=60_000) as box:
        job = box.contacts.kirim.bulk_label_job(
            box.labels["id"].iloc[0],
            "attach",
            client=box.client(),
            journal="mine.sqlite",
            max_requests=1,
        )
        monkeypatch.chdir(tmp_path / "elsewhere")
        job.result()
        job.resume().result()
    assert list((tmp_path / "elsewhere").iterdir()) == []
    assert kp.runs(journal=tmp_path / "mine.sqlite")["state"].tolist() == ["finished"]


def test_forgotten_ids_are_overwritten(tmp_path, monkeypatch):
    """Before the rollback file is cut, every byte of it is zero; the database holds none either."""
    held, seen = b"the-key-of-the-call", []

    def watched(path):
        seen.append(path.read_bytes())
        with monkeypatch.context() as patch:
            cut = "truncate"
            patch.setattr(os, cut, os.truncate)
            overwrite(path)
        seen.append(path.read_bytes())

    journal = Journal(tmp_path)
    journal.begin(record())
    for number in range(40):
        journal.write(RUN, [Entry(call(number, f"{held.decode()}-{number}"), "sent", None, 0.0)])
    monkeypatch.setattr("kirim_pandas.journal.files.overwrite", watched)
    assert journal.forget(RUN)
    journal.close()
    before, after = seen
    assert held in before
    assert after == b""
    for file in tmp_path.iterdir():
        assert held not in file.read_bytes()


def test_overwriting_writes_zeros_in_place(tmp_path):
    """Another name of the same bytes shows zeros until the file is cut: nothing is only let go."""
    path = tmp_path / "file"
    path.write_bytes(b"secret" * 500_000)
    written = []
    opened = path.open

    class Watched:
        def __init__(self, file):
            self.file = file

        def __enter__(self):
            return self

        def __exit__(self, *error):
            self.file.close()

        def __getattr__(self, name):
            return getattr(self.file, name)

        def truncate(self, size):
            written.append(path.read_bytes())
            return self.file.truncate(size)

    class Place:
        def open(self, *mode, **how):
            return Watched(opened(*mode, **how))

    overwrite(Place())
    assert written == [bytes(3_000_000)]
    assert path.read_bytes() == b""


@pytest.mark.parametrize("verb", ["resume", "forget"])
def test_a_lock_that_cannot_be_written_is_not_kept(tmp_path, monkeypatch, verb):
    """A full disk under the lock file is a JournalError; afterwards the run is free."""
    with RunWriter(tmp_path, RUN, warn=print) as writer:
        writer.begin(record())
        path = lock_path(writer._journal, RUN)

    def fail(self, rest=b""):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(RunLock, "_write", fail)
        with pytest.raises(kp.JournalError, match="Free some space") as kept:
            getattr(kp, verb)(RUN, journal=tmp_path)
    assert not is_locked(path)
    assert kept.value.__cause__.errno == 28


def interrupted_at(instant, act):
    """Do something with a KeyboardInterrupt at its `instant`-th line in the journal."""
    left = instant

    def trace(frame, event, _):
        nonlocal left
        if (
            "kirim_pandas/journal/" not in frame.f_code.co_filename
            or frame.f_code.co_name == "__del__"
        ):
            return None
        if event == "line" and frame.f_back.f_code.co_name != "__del__":  # nothing can be raised
            left -= 1
            if left < 0:
                sys.settrace(None)
                raise KeyboardInterrupt
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        act()
    except KeyboardInterrupt:
        return True
    finally:
        sys.settrace(before)
    return False


@pytest.mark.skipif(sys.platform == "win32", reason="paths")
@pytest.mark.parametrize("verb", ["write", "forget"])
# From Python 3.13 on SQLite's connections tell that an interrupt left them to the garbage.
@pytest.mark.filterwarnings("ignore:unclosed database:ResourceWarning")
def test_ctrl_c_at_any_line_leaves_no_lock(tmp_path, verb):
    """Wherever an interrupt meets the journal, nobody is at work on the run afterwards."""
    with RunWriter(tmp_path, RUN, warn=print) as writer:
        writer.begin(record(contact_ids=["ctc_" + "0" * 26], groups=None))
        path = lock_path(writer._journal, RUN)

    def act():
        if verb == "forget":
            with RunLock(path, RUN):
                pass
        else:
            with RunWriter(tmp_path, RUN, warn=print) as writer:
                writer.load()

    instants = 0
    while interrupted_at(instants, act):
        assert not is_locked(path), instants
        instants += 1
        assert instants < 2000
    assert instants > 20
    gc.collect()  # here, not in whatever test comes next


@pytest.fixture
def windows(monkeypatch):
    """The module of locks as it is on Windows, over a stand-in for `msvcrt` that flock makes."""
    fcntl = pytest.importorskip("fcntl", reason="the real one is there")

    def locking(file, mode, count):
        assert (mode, count, os.lseek(file, 0, os.SEEK_CUR)) == ("LK_NBLCK", 1, 4096)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise PermissionError(13, "Permission denied") from error

    monkeypatch.setitem(
        sys.modules, "msvcrt", SimpleNamespace(locking=locking, LK_NBLCK="LK_NBLCK")
    )
    monkeypatch.setattr(sys, "platform", "win32")
    spec = spec_from_file_location("kirim_pandas.journal.locks_there", locks.__file__)
    there = module_from_spec(spec)
    spec.loader.exec_module(there)
    return there


def test_on_windows_a_run_has_one_worker(windows, tmp_path):
    """The lock of Windows is held once, far behind what the others read of its holder."""
    path = tmp_path / "run.lock"
    with windows.RunLock(path, RUN):
        assert windows.is_locked(path)
        with pytest.raises(kp.JournalError, match="is at work in this kernel"):
            windows.RunLock(path, RUN)
    assert not windows.is_locked(path)


def test_on_windows_a_lock_is_closed_before_it_is_deleted(windows, tmp_path, monkeypatch):
    """Windows deletes no open file: a lock file is closed first, so it does not stay for ever."""
    path = tmp_path / "run.lock"
    lock = windows.RunLock(path, RUN)
    deleted = Path.unlink

    def unlink(self):
        if not lock._file.closed:
            raise PermissionError(13, "The process cannot access the file")
        deleted(self)

    monkeypatch.setattr(Path, "unlink", unlink)
    lock.release()
    lock.release()
    assert not path.exists()


@pytest.mark.parametrize(
    ("place", "told"),
    [
        (PurePosixPath("/home/a b/100%?#.sqlite"), "file:///home/a%20b/100%25%3F%23.sqlite"),
        (PureWindowsPath(r"C:\Users\Sari\j.sqlite"), "file:///C:/Users/Sari/j.sqlite"),
        (PureWindowsPath(r"\\server\share\j.sqlite"), "file:////server/share/j.sqlite"),
    ],
)
def test_sqlite_is_given_no_name_of_a_server(place, told):
    """SQLite wants nothing or localhost between the second and the third slash of an address."""
    assert _uri(place) == told


def test_ctrl_c_is_heard_last(monkeypatch):
    """SIGTERM has its handler back before SIGINT has, so Ctrl-C cannot fall between the two."""
    order = []
    real = signal.signal
    with stop_on_signals(StopButton()):
        monkeypatch.setattr(
            signal, "signal", lambda number, to: order.append(number) or real(number, to)
        )
    monkeypatch.undo()
    assert order[-1] == signal.SIGINT
    assert threading.current_thread() is threading.main_thread()


def test_opposite_runs_are_told_by_label_and_organisation(tmp_path):
    """Another host name, or a number in the path, does not hide a run of the other kind."""
    addresses = [
        "https://api.example.org/v1/contacts",
        "https://api.example.com/v1/123456/contacts",
    ]
    with RunWriter(tmp_path, "run_1", warn=print) as first:
        first.begin(record("run_1", target=addresses[0], organization=["org_1", "A"]))
        for target, organization, refused in (
            (addresses[1], ["org_1", "A"], True),
            (addresses[1], None, True),
            (addresses[1], ["org_2", "B"], False),
            ("http://127.0.0.1:1/v1/contacts", ["org_1", "A"], False),
        ):
            other = record("run_2", operation="detach", target=target, organization=organization)
            with RunWriter(tmp_path, "run_2", warn=print) as second:
                if refused:
                    with pytest.raises(kp.InvalidInputError, match="right now"):
                        second.begin(other)
                else:
                    second.begin(other)
                    second._journal.forget("run_2")


def test_what_came_later_is_told_by_the_journal_not_by_the_clock(tmp_path):
    """A clock that was an hour ahead does not make an older run the later one."""
    with RunWriter(tmp_path, "run_1", warn=print) as old:
        old.begin(record("run_1", started_at=time.time() + 3600))
    with RunWriter(tmp_path, "run_2", warn=print) as new:
        new.begin(record("run_2", operation="detach", started_at=time.time()))
        new._journal.write("run_2", [Entry(call(), "sent", None, time.time())])
    with RunWriter(tmp_path, "run_1", warn=print) as old:
        with pytest.raises(kp.InvalidInputError, match="has since detached"):
            old.refuse_opposites(old.load()[0])
        assert [known.run_id for known in old._journal.runs()] == ["run_2", "run_1"]


def test_almost_texts_and_numbers_are_written_as_plain_ones(tmp_path):
    """A run id or a cap of NumPy's makes the same rows as a plain one."""
    known = record(np.str_(RUN), max_requests=np.int64(7), rows=np.int32(2600))
    with RunWriter(tmp_path, np.str_(RUN), warn=print) as writer:
        writer.begin(known)
        writer._journal.write(np.str_(RUN), [Entry(call(), "sent", None, np.float64(1.0))])
        writer.end("stopped", {"applied": np.int64(3)})
    journal = Journal(tmp_path)
    found, past = journal.load(RUN)
    journal.close()
    assert (found.max_requests, found.rows, found.summary, len(past)) == (
        7,
        2600,
        {"applied": 3},
        1,
    )


def rewrite(path, tables, written):
    """Make the checksums of an earlier version, which summed how the run id was written."""
    with contextlib.closing(sqlite3.connect(path)) as db, db:
        for table in tables:
            for row in db.execute(f"SELECT * FROM {table}").fetchall():
                summed = records.checksum_of(row[1:-1], records.added(written.encode()))
                number = " AND number = ?" if table == "call" else ""
                at = (summed, row[0], row[1])[: 3 if number else 2]
                db.execute(f"UPDATE {table} SET checksum = ? WHERE run_id = ?{number}", at)


def journal_of_one_run(folder):
    """Write a run with three calls; give the journal's file."""
    with RunWriter(folder, RUN, warn=print) as writer:
        writer.begin(record(RUN))
        calls = [replace(call(), number=number, key=f"key {number}") for number in range(3)]
        writer._journal.write(RUN, [Entry(one, "answered", [1, 0, 0, "r"], 1.0) for one in calls])
        writer.end("stopped", {"applied": 3})
        return writer._journal.path


def load(path):
    """Read the run, and all runs."""
    with contextlib.closing(Journal(path)) as journal:
        return journal.load(RUN), journal.runs(), journal.sent_ids(RUN)


class Runs(StrEnum):
    """What an analyst may call runs."""

    MAY = RUN


@pytest.mark.parametrize(
    ("tables", "written"),
    [
        (["run", "call"], f"<Forgotten.MAY: '{RUN}'>"),  # of a class that this process lacks
        (["call"], f"<Forgotten.MAY: '{RUN}'>"),
        (["run"], repr(Runs.MAY)),
        (["run"], f"np.str_('{RUN}')"),
    ],
)
def test_rows_under_an_almost_string_are_read_again(tmp_path, tables, written):
    """A run id that was written down as an almost-string damages nothing; damage is still found."""
    path = journal_of_one_run(tmp_path)
    right = load(path)
    rewrite(path, tables, written)
    again = load(path)
    assert [run.summary for run in again[1]] == [run.summary for run in right[1]]
    assert [past.reply for past in again[0][1]] == [past.reply for past in right[0][1]]
    assert again[2] == right[2]
    with contextlib.closing(sqlite3.connect(path)) as db, db:
        changed = {
            "call": """SET answer = '[2, 0, 0, "r"]' WHERE number = 1""",
            "run": "SET state = 'finished'",
        }
        for table in tables:
            db.execute(f"UPDATE {table} {changed[table]}")
    with pytest.raises(kp.JournalError, match="damaged"):
        load(path)


def test_one_row_alone_vouches_for_nothing(tmp_path):
    """Where nothing tells how a run id was written, a row that does not fit is damaged."""
    path = journal_of_one_run(tmp_path)
    rewrite(path, ["run"], f"<Forgotten.MAY: '{RUN}'>")
    with pytest.raises(kp.JournalError, match="damaged"):
        load(path)


def test_journals_of_the_version_before_are_read_and_finished(tmp_path):
    """Runs of the version before are listed and brought to their end, every row right."""
    path = tmp_path / "journal.sqlite"
    shutil.copy(BEFORE, path)
    known = kp.runs(journal=path)
    assert known["state"].value_counts().to_dict() == {"capped": 3, "finished": 1, "failed": 1}
    with kp.sandbox.start(2300, seed=7, skipped_share=0.004, write_per_minute=60_000) as box:
        box._server.service._requests = 10_000  # ids that the first sandbox has not given yet
        target = box.client().target
        with sqlite3.connect(path) as db:
            old = [row[0] for row in db.execute("SELECT run_id FROM run")]
        db.close()
        journal = Journal(path)
        for run_id in old:
            found, _ = journal.load(run_id)
            journal.reopen(replace(found, target=target))
        journal.close()
        truth = box.outcome(box.labels["id"].iloc[0])
        for run_id in old:
            result = kp.resume(run_id, client=box.client(), journal=path, progress=False)
            assert (result["status"] == "applied").tolist() == (
                truth.reindex(result["contact_id"]) == "applied"
            ).tolist()
    assert set(kp.runs(journal=path)["state"]) == {"finished"}


@pytest.mark.parametrize("known", [0, 3])
def test_a_sync_of_an_earlier_version_is_read(known):
    """Then only those were kept whom it left as they were, and who of them was not in the frame."""
    ids = [f"ctc_{number:026d}" for number in range(known)]
    codes = np.array([[0, 0, 2], [0, 1, 0]], dtype=np.int8)[:, :known].tobytes()
    packed = zlib.compress("\n".join(ids).encode("ascii"))
    stayed = records.read_stayed(records._sealed(RUN, "run_before", packed, zlib.compress(codes)))
    assert (stayed.since, stayed.contact_ids) == ("run_before", ids)
    assert stayed.outcomes.tolist() == [0, 0, 2][:known]
    assert stayed.kinds.tolist() == [records.STAYS, records.KEPT, records.STAYS][:known]
    assert stayed.absent.tolist() == [False, True, False][:known]
    assert not stayed.probed.any()
    again = records.read_stayed(records.stayed_row(RUN, stayed))
    assert again.kinds.tolist() == stayed.kinds.tolist()
