"""Runs, faults, deaths, second runs, and the clock in any order: what is said stays true.

The service and the clock are in memory, so hypothesis can try many orders; all the rest is real:
the frame, the run, the client with its bucket and its tries, the journal.  The same over HTTP,
with real deaths, is benchmarks/chaos.py.
"""

import contextlib
import random
import shutil
import sqlite3
import tempfile
import threading
from collections import deque
from dataclasses import dataclass, replace
from functools import partial
from itertools import count
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule
from support.kill_harness import lies
from support.model_service import FAULTS, KEPT_FAULTS, OTHER_FAULTS, Customer, FakeTime, WireService

from kirim_pandas.api import caller as calls
from kirim_pandas.api.client import Client
from kirim_pandas.errors import KirimError, RateLimitedError
from kirim_pandas.frames.ids import collect_ids
from kirim_pandas.frames.results import STATUSES
from kirim_pandas.grouptesting.outcomes import cut_batches
from kirim_pandas.journal import store as journal_module
from kirim_pandas.journal import writer as book_module
from kirim_pandas.journal.store import Journal, RunRecord
from kirim_pandas.journal.writer import RunWriter
from kirim_pandas.run import replay as recall
from kirim_pandas.run.events import RunEnded
from kirim_pandas.run.loop import Run
from kirim_pandas.run.pool import Done
from kirim_pandas.run.spec import Job
from kirim_pandas.run.stop import StopButton
from kirim_pandas.verbs import execution
from kirim_pandas.verbs.ending import Ending
from kirim_pandas.verbs.order import Order

SIZE = 50
BATCH = 20  # small batches: the order of things is what is tried here
IDS = [f"ctc_{number:026d}" for number in range(SIZE)]
LABEL = "lbl_" + "0" * 26
SKIPPED = {2: "cross_org", 3: "team_mismatch"}
ALL_FAULTS = [*FAULTS, *KEPT_FAULTS, *OTHER_FAULTS]
NEVER = 10**9
PROCESSES = count()

DEFINITE = [
    "401",
    "403",
    "label gone",
    "400 about the label",
    "400 of a gateway",
    "404 of a gateway",
]

# What one session meets: a fault or none at each of its first tries, and one at all the others.
faults = st.lists(st.none() | st.sampled_from(ALL_FAULTS), max_size=6)
lasting = st.sampled_from([None, "lost after commit", "503 after commit", *FAULTS, *KEPT_FAULTS])
steps = st.integers(0, 20) | st.just(NEVER)
first_session = {
    "operation": st.sampled_from(["attach", "detach"]),
    "shift": st.integers(0, SIZE - 1),
    "resolve": st.sampled_from(["rows", "batches"]),
    "cap": st.sampled_from([None, None, 1, 3, 8]),
    "steps": steps,
    "faults": faults,
    "lasting": lasting,
}


class InlinePool:
    """Sends in the thread of the run, so that hypothesis can repeat what it found.

    A call is sent when the run next waits for news: whoever dies before has written it down and
    not sent it, whoever dies after has sent several and heard of one.
    """

    def __init__(self, send, on_submit):
        self._send = send
        self._on_submit = on_submit
        self._waiting = deque()
        self._done = []
        self._stop = threading.Event()
        self._chance = random.Random(0)

    @property
    def in_flight(self):
        return len(self._waiting) + len(self._done)

    def room(self, limit=None):
        return max(0, min(8, limit or 8) - self.in_flight)

    def submit(self, call):
        self._on_submit(call)  # threads would send it at once
        self._waiting.append(call)

    def take(self, timeout_seconds):
        while self._waiting:
            call = self._waiting.popleft()
            try:
                done = Done(call, self._send(call, lambda reason, seconds: None, self._stop), None)
            except Exception as error:
                done = Done(call, None, error)
            if isinstance(done.error, RateLimitedError):
                return done  # the run stops the others before the client lets one leave
            self._done.append(done)
        if not timeout_seconds and self._chance.random() < 0.5:
            return None  # who asks what else has come need not find all of it
        return self._done.pop(self._chance.randrange(len(self._done))) if self._done else None

    def stop(self):
        self._stop.set()

    close = stop


@dataclass
class Known:
    """A run as its user knows it: its frame, what was asked, and the service's side of it."""

    run_id: str
    frame: pd.DataFrame
    ids: object
    resolve: str
    customer: Customer


class Machine(RuleBasedStateMachine):
    """Up to three runs over one journal and the same contacts, at one service."""

    def __init__(self):
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.clock = FakeTime()
        self.runs = []
        self.service = None
        self.deleted = False
        self.widths = count()  # another at each choice: the journal knows what was chosen
        self.patch = pytest.MonkeyPatch()
        self.patch.setattr(calls, "time", self.clock)
        self.patch.setattr(calls, "POLL_SECONDS", 60.0)  # nobody waits, so nobody looks either
        clock = {"wall_clock": self.clock.wall_time}
        self.patch.setattr(Journal.__init__, "__kwdefaults__", clock)
        # No power cut here, so nothing need reach the disk: that takes most of the time.
        pragmas = [p.replace("= EXTRA", "= OFF") for p in journal_module.PRAGMAS]
        self.patch.setattr(journal_module, "PRAGMAS", pragmas)
        for module in (book_module, recall):
            self.patch.setattr(module, "cut_batches", lambda count: cut_batches(count, BATCH))

    # -- what can happen -------------------------------------------------------------------

    @initialize(
        seed=st.integers(0, 5),
        share=st.sampled_from([0.0, 0.05, 1.0]),
        bad=st.sets(st.integers(0, SIZE - 1), max_size=2),
        param=st.sampled_from(["index", "wrong", None]),
        **first_session,
    )
    def world(self, seed, share, bad, param, **first_session):
        """Who will pass, who is skipped, whom the service does not take; and a first run."""
        rng = np.random.default_rng(seed)
        kinds = rng.choice([1, 2, 3], size=SIZE, p=[1 - share, share / 2, share / 2]).tolist()
        world = dict(zip(IDS, kinds, strict=True))
        bad = {IDS[number] for number in bad}
        self.service = WireService(world, self.clock, param=param, bad=bad)
        self.begin(**first_session)

    @rule(**first_session)
    @precondition(lambda self: len(self.runs) < 3)
    def start(self, **first_session):
        """Another run, over the same contacts but for a few; perhaps with the other operation."""
        self.begin(**first_session)

    @rule(
        which=st.integers(0, 2),
        steps=steps,
        faults=faults,
        lasting=lasting,
        cap=st.sampled_from([None, None, 1, 4]),
    )
    def resume(self, which, steps, faults, lasting, cap):
        """Go on with a run, perhaps with so many calls more, and die after some steps."""
        self.session(self.runs[which % len(self.runs)], steps, faults, lasting, cap=cap)

    @rule(which=st.integers(0, 2), press_at=st.integers(0, 40), full=st.booleans(), faults=faults)
    def resume_and_stop(self, which, press_at, full, faults):
        """Go on with a run and stop it in order; perhaps on a full disk."""
        run = self.runs[which % len(self.runs)]
        self.session(run, NEVER, faults, press_at=press_at, full=full)

    @rule(which=st.integers(0, 2), lost=st.booleans(), answer=st.sampled_from(DEFINITE))
    def resume_and_be_refused(self, which, lost, answer):
        """A definite no to the repeat of a call says nothing of its first try."""
        tries = ["lost after commit"] if lost else []
        self.session(self.runs[which % len(self.runs)], NEVER, tries, answer)

    @rule(
        hours=st.sampled_from([0, 0.02, 20, 30, 72]),
        others=st.sampled_from([0, 50, 60]),
        deleted=st.none() | st.integers(0, SIZE - 1),
        revoked=st.booleans(),
        gone=st.booleans(),
    )
    def meanwhile(self, hours, others, deleted, revoked, gone):
        """Keys grow old, others empty the bucket, a contact, the key or the label goes."""
        service = self.service
        self.clock.sleep(hours * 3600)
        for _ in range(others):
            service.bucket.take(round(self.clock.now * 1e9))
        if deleted is not None and len(service.bad) < 4:  # refused from now on, labeled or not
            service.bad.add(IDS[deleted])
            self.deleted = True
        service.revoked, service.label_gone = revoked, gone

    # -- one session -----------------------------------------------------------------------

    def begin(self, operation, shift, resolve, cap, steps, faults, lasting):
        """A new run over most of the contacts, each time in another order."""
        ids = [*IDS[shift:], *IDS[:shift]][:-3]
        frame = pd.DataFrame({"contact_id": [*ids, None, ids[0]]})
        run_id = f"run_{len(self.runs)}"
        customer = Customer(LABEL, operation, frozenset(ids))
        self.runs.append(Known(run_id, frame, collect_ids(frame), resolve, customer))
        self.session(self.runs[-1], steps, faults, lasting, cap=cap, new=True)

    def session(
        self, run, steps, faults, lasting=None, *, cap=None, new=False, press_at=None, full=False
    ):
        """One process: it starts or resumes a run, and ends, dies or is stopped."""
        service, stop = self.service, StopButton()
        service.coming, service.lasting = deque(faults), lasting
        service.new_session()
        # Another key each time: so nothing of any process before is remembered.
        key = f"kdv_live_{next(PROCESSES):024d}"
        client = Client(key, base_url="http://127.0.0.1:9/v1", max_tries=2)
        client._caller.exchange = partial(service.exchange, run.customer)
        job = Job(len(run.ids.ids), resolve=run.resolve, max_requests=cap)
        operation, contacts = run.customer.operation, run.ids.ids
        order = Order(run.run_id, LABEL, operation, contacts, job, run.ids)
        with RunWriter(self.folder, run.run_id, warn=lambda text: None) as self.writer:
            past = []
            if new:
                self.writer.begin(self.record(order))
            else:
                record, past = self.writer.load()
                self.writer.reopen(record)
                if cap is not None:
                    cap += sum(known.call.number >= 0 for known in past)
                    order = replace(order, job=replace(job, max_requests=cap))
            self.full = full
            if full:
                db = self.writer._journal._db
                (pages,) = db.execute("PRAGMA page_count").fetchone()
                db.execute(f"PRAGMA max_page_count = {pages}")
            order = replace(order, client=client, past=past)
            pool = InlinePool(execution.sender(order), self.must_be_planned)
            events = Run(
                order.job,
                pool,
                stop=stop,
                past=past,
                clock=self.clock.monotonic,
                choose_width=lambda batches, probes: 1 + next(self.widths) % 4,
            ).events()
            for number, event in enumerate(events):
                if number >= steps and press_at is None:
                    break  # dead: nothing more is written
                self.writer(event)
                if isinstance(event, RunEnded):
                    frame = execution.frame_of(order, event.outcomes)
                    self.check(run, frame, event)
                    ending = Ending(order, event, frame, None)
                    self.writer.end(ending.state, ending.summary)
                    events.close()
                    return frame, event
                if number == press_at:
                    stop.press()
            events.close()
        assert service.violations == []
        return None

    def record(self, order):
        job = order.job
        return RunRecord(
            order.run_id,
            LABEL,
            order.operation,
            "x",
            list(order.contact_ids),
            None,
            job.resolve,
            job.max_requests,
            order.rows,
            self.clock.wall_time(),
        )

    def must_be_planned(self, call):
        """A call may leave when the journal, as another process sees it, knows its key."""
        if not self.full:  # then the user was told that the journal is given up
            path = f"file:{self.folder}/journal.sqlite?mode=ro"
            with contextlib.closing(sqlite3.connect(path, uri=True)) as db:
                found = db.execute("SELECT state FROM call WHERE key = ?", (call.key,)).fetchall()
            self.service.must(found == [("sent",)], "sent before it was written down")

    # -- what must hold --------------------------------------------------------------------

    def check(self, run, frame, ended):
        """Every row is there, and tells the truth or `unknown`."""
        assert self.service.violations == []
        assert ended.error is None or isinstance(ended.error, KirimError)
        assert "itself failed" not in str(ended.error) or self.service.met["a bug"]
        assert frame.index.equals(run.frame.index)
        given = run.frame["contact_id"]
        assert frame["contact_id"].fillna("").tolist() == given.fillna("").tolist()
        assert frame["status"].isin(STATUSES).all()
        assert frame["reason"].eq("missing_id").fillna(False).tolist() == given.isna().tolist()
        truth = pd.Series(
            {i: SKIPPED.get(kind, "applied") for i, kind in self.service.world.items()}
        )
        assert lies(frame[given.notna()], run.customer.carried, truth, set()) == []
        failed = frame.loc[frame["status"] == "failed", "contact_id"]
        assert set(failed) <= self.service.bad

    def teardown(self):
        """When all is well again, every run comes to its end, and resuming it sends nothing."""
        try:
            for run in self.runs:
                self.service.revoked = self.service.label_gone = False
                for _ in range(3):  # a stored failure ends a session after some new keys
                    frame, ended = self.session(run, NEVER, [])
                    if ended.error is None:
                        break
                before = run.customer.sent
                again, _ = self.session(run, NEVER, [])
                assert run.customer.sent == before
                pd.testing.assert_frame_equal(frame, again)
                if run.resolve == "rows" and not self.deleted:
                    known = frame["status"].isin(["applied", "skipped"])
                    bad = frame["contact_id"].isin(self.service.bad)
                    assert (known | bad | frame["contact_id"].isna()).all()
        finally:
            self.patch.undo()
            shutil.rmtree(self.folder)


TestMachine = Machine.TestCase
TestMachine.settings = settings(
    max_examples=40,
    stateful_step_count=10,
    derandomize=True,
    phases=[Phase.generate],  # an example is short as it is; to shrink one takes minutes
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)

FIRST = {
    "seed": 0,
    "share": 0.0,
    "bad": set(),
    "param": "index",
    "operation": "attach",
    "shift": 0,
    "resolve": "rows",
    "cap": None,
    "steps": NEVER,
}


@pytest.mark.parametrize("answer", DEFINITE)
def test_a_definite_no_to_a_second_try_says_nothing_of_the_first(answer):
    """Within one call: the first try was carried out and its reply lost, the second refused."""
    machine = Machine()
    machine.world(**FIRST, faults=["lost after commit"], lasting=answer)
    machine.teardown()


@pytest.mark.parametrize("answer", DEFINITE)
def test_a_definite_no_to_a_later_session_says_nothing_of_an_earlier_one(answer):
    """The first session lost the reply of a call that was carried out, the second is refused."""
    machine = Machine()
    machine.world(**FIRST, faults=[], lasting="lost after commit")
    machine.resume_and_be_refused(which=0, lost=False, answer=answer)
    machine.teardown()
