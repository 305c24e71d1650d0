"""Runs, faults, deaths, second sessions and the clock in any order: what is said stays true.

The service is a dictionary and the clock a number, so hypothesis can try many orders; the journal
is a real one.  The same over HTTP, with real deaths, is benchmarks/chaos.py.
"""

import shutil
import tempfile
from collections import deque
from dataclasses import dataclass, field
from itertools import count

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule
from model_service import ModelService

from kirim_pandas.api.errors import (
    AuthenticationError,
    KirimError,
    RateLimitedError,
    ServerError,
    TransportError,
)
from kirim_pandas.labeling import book as book_module
from kirim_pandas.labeling import recall
from kirim_pandas.labeling.batches import Outcome, cut_batches
from kirim_pandas.labeling.book import RunBook
from kirim_pandas.labeling.events import RunEnded
from kirim_pandas.labeling.job import Job
from kirim_pandas.labeling.journal import Journal, RunRecord
from kirim_pandas.labeling.pool import Done
from kirim_pandas.labeling.run import Run
from kirim_pandas.labeling.stop import StopButton

DAY = 24 * 3600
SIZE = 50
BATCH = 20  # small batches: the order of things is what is tried here
IDS = [f"ctc_{number:026d}" for number in range(SIZE)]
FAULTS = ["lost", "lost, committed", "429", "503", "503, committed", "stored", "bug"]


class InlinePool:
    """Sends at once, in the thread of the run: then hypothesis can repeat what it found."""

    def __init__(self, send, stop):
        self._send = send
        self._stop = stop
        self._done = deque()

    @property
    def in_flight(self):
        return len(self._done)

    def has_room(self, limit=None):
        return self.in_flight < min(8, limit or 8)

    def submit(self, call):
        try:
            self._done.append(Done(call, self._send(call, None, None), None))
        except Exception as error:
            self._done.append(Done(call, None, error))

    def take(self, timeout_seconds):
        return self._done.popleft() if self._done else None

    def stop(self):
        pass

    close = stop


@dataclass
class Service(ModelService):
    """The model service, with a key that can be revoked and a memory of 24 hours."""

    clock: list[float] = field(default_factory=lambda: [0.0])
    revoked: bool = False
    coming: deque[str] = field(default_factory=deque)
    bodies: dict[str, bytes] = field(default_factory=dict)
    stored: dict[str, float] = field(default_factory=dict)
    dated: dict[str, float] = field(default_factory=dict)

    def send(self, call, on_wait, stop):
        self.calls.append(call)
        assert self.bodies.setdefault(call.key, call.positions.tobytes()) == (
            call.positions.tobytes()
        )
        if self.revoked:
            raise AuthenticationError("revoked", status=401)
        now = self.clock[0]
        if now - self.dated.get(call.key, now) > DAY:  # forgotten: carried out anew
            self.replies.pop(call.key, None)
        if call.key in self.stored:
            raise self._stored()
        fault = self.coming.popleft() if self.coming else None
        if fault == "stored":
            self.stored[call.key] = now
            raise self._stored()
        if fault == "429":
            raise RateLimitedError("slow", status=429)
        if fault == "bug":
            raise RuntimeError("a bug")
        reply = None
        if fault is None or "committed" in fault:
            reply = self._commit(call)
            self.dated.setdefault(call.key, now)
        if fault is not None:
            lost = fault.startswith("lost")
            raise (
                TransportError("cut", maybe_applied=True)
                if lost
                else (ServerError("no", status=503))
            )
        return reply

    def _stored(self):
        error = ServerError("stored", status=500)
        error.replayed = True
        return error


class Machine(RuleBasedStateMachine):
    """Up to two runs over the same journal, each with a service of its own."""

    def __init__(self):
        super().__init__()
        self.folder = tempfile.mkdtemp()
        self.clock = [1_800_000_000.0]
        self.services = {}
        self.jobs = {}
        self.keys = count()
        self.patch = pytest.MonkeyPatch()
        clock = {"wall_clock": lambda: self.clock[0]}
        self.patch.setattr(Journal.__init__, "__kwdefaults__", clock)
        for module in (book_module, recall):
            self.patch.setattr(module, "cut_batches", lambda count: cut_batches(count, BATCH))

    @rule(
        seed=st.integers(0, 5),
        share=st.sampled_from([0.0, 0.05, 1.0]),
        bad=st.sets(st.integers(0, SIZE - 1), max_size=2),
        resolve=st.sampled_from(["rows", "batches"]),
        cap=st.sampled_from([None, 1, 3, 8]),
        steps=st.integers(0, 12),
        faults=st.lists(st.sampled_from([*FAULTS, None, None]), max_size=4),
    )
    @precondition(lambda self: len(self.services) < 2)
    def start(self, seed, share, bad, resolve, cap, steps, faults):
        """Begin a run, and die after some steps."""
        run_id = f"run_{len(self.services)}"
        rng = np.random.default_rng(seed)
        kinds = rng.choice([1, 2, 3], size=SIZE, p=[1 - share, share / 2, share / 2])
        service = Service(kinds.astype(np.int8), bad=frozenset(bad), clock=self.clock)
        self.services[run_id] = service
        self.jobs[run_id] = Job(SIZE, resolve=resolve, max_requests=cap)
        self.session(run_id, steps, faults, new=True)

    @rule(
        which=st.integers(0, 1),
        steps=st.integers(0, 40),
        faults=st.lists(st.sampled_from([*FAULTS, None, None]), max_size=4),
        press_at=st.none() | st.integers(0, 20),
        full=st.booleans(),
    )
    @precondition(lambda self: self.services)
    def resume(self, which, steps, faults, press_at, full):
        """Go on with a run, and die or be stopped after some steps; or its disk is full."""
        run_id = sorted(self.services)[which % len(self.services)]
        self.session(run_id, steps, faults, press_at=press_at, full=full)

    @rule(hours=st.sampled_from([1, 20, 30, 72]))
    def time_goes_by(self, hours):
        """Keys grow old, at the service and in the journal."""
        self.clock[0] += hours * 3600

    @rule(revoked=st.booleans())
    @precondition(lambda self: self.services)
    def key(self, revoked):
        """The key is revoked, or another one is there."""
        for service in self.services.values():
            service.revoked = revoked

    def session(self, run_id, steps, faults, *, new=False, press_at=None, full=False):
        service, job, stop = self.services[run_id], self.jobs[run_id], StopButton()
        service.coming = deque(faults)
        with RunBook(self.folder, run_id, warn=lambda text: None) as book:
            if new:
                book.begin(self.record(run_id, job))
                past = []
            else:
                record, past = book.load()
                book.reopen(record)
                job = Job(SIZE, resolve=job.resolve)
            if full:
                db = book._journal._db
                (pages,) = db.execute("PRAGMA page_count").fetchone()
                db.execute(f"PRAGMA max_page_count = {pages}")
            run = Run(
                job,
                InlinePool(service.send, stop),
                stop=stop,
                past=past,
                new_key=lambda: f"key-{next(self.keys)}",
            )
            events = run.events()
            for number, event in enumerate(events):
                book(event)
                if isinstance(event, RunEnded):
                    self.check(service, event)
                    finished = event.error is None and not event.interrupted
                    book.end("finished" if finished else "stopped", {})
                elif number == press_at:
                    stop.press()
                elif number >= steps and press_at is None:
                    break  # dead: nothing more is written
            events.close()

    def record(self, run_id, job):
        return RunRecord(
            run_id, "lbl", "attach", "x", IDS, None, job.resolve, None, SIZE, self.clock[0]
        )

    def check(self, service, ended):
        """The invariants of every result."""
        known = ended.outcomes
        assert ended.error is None or isinstance(ended.error, KirimError)
        named = known.outcome != Outcome.UNDETERMINED
        assert (known.outcome[named] == service.world[named]).all()
        labeled = np.zeros(SIZE, dtype=bool)
        labeled[sorted(service.labeled)] = True
        assert labeled[known.outcome == Outcome.APPLIED].all()
        assert not labeled[known.batch == -1].any(), "called not_sent, and was sent"
        assert not labeled[known.refusal >= 0].any(), "called failed, and was carried out"
        assert set(np.flatnonzero(known.refusal >= 0).tolist()) <= set(service.bad)

    def teardown(self):
        """When all is well again, every run comes to its end, and resuming it sends nothing."""
        try:
            for run_id, service in self.services.items():
                service.revoked = False
                for _ in range(3):  # a stored failure ends a session after some new keys
                    self.session(run_id, 10**9, [])
                before = len(service.calls)
                self.session(run_id, 10**9, [])
                assert len(service.calls) == before
                if self.jobs[run_id].resolve == "rows":
                    self.all_known(run_id, service)
        finally:
            self.patch.undo()
            shutil.rmtree(self.folder)

    def all_known(self, run_id, service):
        journal = Journal(self.folder)
        try:
            _, past = journal.load(run_id)
        finally:
            journal.close()
        stop = StopButton()
        run = Run(Job(SIZE), InlinePool(service.send, stop), stop=stop, past=past)
        known = list(run.events())[-1].outcomes
        good = np.setdiff1d(np.arange(SIZE), sorted(service.bad))
        assert (known.outcome[good] == service.world[good]).all()


TestMachine = Machine.TestCase
TestMachine.settings = settings(
    max_examples=10,
    stateful_step_count=8,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
