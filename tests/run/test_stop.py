"""The stop button at any instant: settled in order, true so far, and taken up again."""

import os
import random
import signal
import threading
import time

import pytest
from jupyter_client.manager import start_new_kernel
from support.kill_harness import faulty_requests, lies
from support.scenes import interrupt

import kirim_pandas as kp
from kirim_pandas.run import loop as run_module
from kirim_pandas.run.stop import StopButton, stop_on_signals
from kirim_pandas.sandbox import Faults

FAST = 60_000


def pressed_when(condition, times=1, between_seconds=0.0):
    """Press Ctrl-C from outside as soon as `condition` holds."""

    def watch():
        while not condition():
            time.sleep(0.005)
        for _ in range(times):
            interrupt()
            time.sleep(between_seconds)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    return thread


class Scene:
    def __init__(self, box, **settings):
        self.box = box
        self.label = box.labels["id"].iloc[0]
        self.frame = box.contacts
        self.client = box.client(**settings)

    def run(self, **options):
        settings = {"client": self.client, "progress": False} | options
        return self.frame.kirim.bulk_label(self.label, "attach", **settings)

    def stopped(self, **options):
        """Run, expect the stop, and check what it says."""
        before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
        with pytest.raises(kp.RunInterrupted) as caught:
            self.run(**options)
        assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before
        result = caught.value.result
        assert kp.last_result() is result
        assert caught.value.run_id == result.attrs["kirim_run_id"]
        assert "goes on from here" in str(caught.value)
        self.check(result)
        return caught.value

    def check(self, result):
        truth = self.box.outcome(self.label)
        assert len(result) == len(self.frame)
        assert lies(result, self.box.members(self.label), truth, set()) == []
        assert faulty_requests(self.box.requests(), set(self.frame["contact_id"])) == []

    def finished(self, run_id):
        """Go on, and expect every row to be known and true."""
        result = self.frame.kirim.resume(run_id, client=self.client, progress=False)
        self.check(result)
        assert set(result["status"]) <= {"applied", "skipped"}
        return result


@pytest.fixture
def scene():
    open_boxes = []

    def make(contacts=4000, **options):
        client = options.pop("client", {})
        settings = {"write_per_minute": FAST, "skipped_share": 0.0, "seed": 2} | options
        box = kp.sandbox.start(contacts, **settings)
        open_boxes.append(box)
        return Scene(box, **client)

    yield make
    for box in open_boxes:
        box.close()


@pytest.mark.parametrize("phase", ["apply", "resolve"])
def test_in_a_phase(scene, phase):
    """A press in either phase ends it in order; resume does the rest and nothing twice."""
    scene = scene(1200, skipped_share=0.01)

    def progress(now):
        if now.phase == phase and now.requests >= (1 if phase == "apply" else 4):
            interrupt()

    ended = scene.stopped(progress=progress)
    settled = set(scene.box.requests()["idempotency_key"])
    scene.finished(ended.run_id)
    assert not scene.box.requests()["replayed"].any()
    assert settled < set(scene.box.requests()["idempotency_key"])


def test_before_anything_is_sent(scene):
    """Stopped while it plans, a run has sent nothing."""
    scene = scene(50)
    button = StopButton()
    button.press()
    real = run_module.Run._apply

    def planning(self):
        interrupt()
        return real(self)

    run_module.Run._apply = planning
    try:
        ended = scene.stopped()
    finally:
        run_module.Run._apply = real
    assert (ended.result["status"] == "not_sent").all()
    assert len(scene.box.requests()) == 0
    scene.finished(ended.run_id)


def test_while_it_waits_for_the_rate_limit(scene):
    """A wait of minutes for the bucket ends at once."""
    scene = scene(6000, write_per_minute=60, client={"share": 0.02})
    pressed_when(lambda: len(scene.box.requests()) >= 1)
    started = time.monotonic()
    ended = scene.stopped()
    assert time.monotonic() - started < 10
    sent = len(scene.box.requests())
    assert (ended.result["status"] == "applied").sum() == 1000 * sent
    assert (ended.result["status"] == "not_sent").sum() == 6000 - 1000 * sent


def test_while_a_retry_waits(scene):
    """A backoff ends at once; what may have been carried out is unknown."""
    faults = Faults(script=dict.fromkeys(range(1, 99), "error_503_before_commit"))
    scene = scene(1500, faults=faults)
    pressed_when(lambda: len(scene.box.requests()) >= 5)
    ended = scene.stopped()
    rest = ended.result.iloc[1000:]
    assert (rest["status"] == "unknown").all()
    assert (rest["reason"] == "no_reply").all()
    scene.box._server._faults = Faults()
    scene.finished(ended.run_id)


@pytest.mark.parametrize("presses", [1, 2])
def test_while_the_server_stalls(scene, monkeypatch, presses):
    """One press waits a bounded time for a reply, a second one leaves at once."""
    monkeypatch.setattr(run_module, "GRACE_SECONDS", 0.5 if presses == 1 else 30.0)
    scene = scene(300, faults=Faults(script={0: ("stall_after_commit", 20.0)}))
    pressed_when(lambda: scene.box.members(scene.label), times=presses, between_seconds=0.2)
    started = time.monotonic()
    ended = scene.stopped()
    assert time.monotonic() - started < 19  # it did not wait for the reply
    assert (ended.result["status"] == "unknown").all()
    assert (ended.result["reason"] == "no_reply").all()
    scene.box._server._faults = Faults()
    scene.finished(ended.run_id)
    assert scene.box.requests()["idempotency_key"].nunique() == 1


def test_67_whoever_left_at_once_need_not_wait(scene):
    """After two presses in the very first call a resume goes on while that call still stalls."""
    scene = scene(300, faults=Faults(script={0: ("stall_after_commit", 60.0)}))
    pressed_when(lambda: scene.box.members(scene.label), times=2, between_seconds=0.1)
    ended = scene.stopped()
    stalled = [t for t in threading.enumerate() if t.name == "kirim-pandas-call"]
    scene.box._server._faults = Faults()
    scene.finished(ended.run_id)
    assert any(thread.is_alive() for thread in stalled)


def test_replies_under_way_are_collected(scene):
    """What was on the wire at the press is known in the result."""
    scene = scene(300, faults=Faults(script={0: ("stall_after_commit", 2.0)}))
    pressed_when(lambda: scene.box.members(scene.label))
    assert (scene.stopped().result["status"] == "applied").all()


def test_in_a_callback_that_hangs(scene):
    """Whoever is stuck in a callback of their own gets out with the third press."""
    scene = scene(1500)
    stuck = threading.Event()

    def progress(now):
        if now.requests == 1 and not stuck.is_set():
            stuck.set()
            while True:
                time.sleep(0.01)

    pressed_when(stuck.is_set, times=3, between_seconds=0.1)
    ended = scene.stopped(progress=progress)
    scene.finished(ended.run_id)


def test_at_random_instants(scene):
    """Interrupted again and again, a run is never wrong, and ends."""
    scene = scene(2500, skipped_share=0.002, faults=Faults(rates={"reset_after_commit": 0.05}))
    chance = random.Random(3)
    run_id = None
    for _ in range(5):
        timer = threading.Timer(chance.uniform(0.0, 0.4), interrupt)
        try:
            with stop_on_signals(StopButton()):  # a late press must not hit the test itself
                timer.start()
                if run_id is None:
                    result = scene.run()
                else:
                    settings = {"client": scene.client, "progress": False}
                    result = scene.frame.kirim.resume(run_id, **settings)
                timer.join()
        except kp.RunInterrupted as stopped:
            result, run_id = stopped.result, stopped.run_id
            timer.join()
        scene.check(result)
        run_id = result.attrs["kirim_run_id"]
    scene.finished(run_id)


def test_a_stopped_run_cannot_go_on_without_its_journal(scene):
    """Without a journal the message does not promise a resume."""
    scene = scene(1500)
    with pytest.raises(kp.RunInterrupted, match="calling again is safe"):
        scene.run(journal=False, progress=lambda now: interrupt())


def test_signals_are_left_alone_where_they_are_ignored():
    """A signal that somebody ignores, or that is not Python's, is not taken over."""
    old = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with stop_on_signals(button := StopButton()):
            interrupt()
        assert button.presses == 0
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, old)


def test_other_threads_install_no_handler(scene):
    """Fault 70: outside the main thread a run works, and leaves signals alone."""
    scene = scene(10)
    before = signal.getsignal(signal.SIGINT)
    seen = []

    def work():
        seen.append(scene.run(progress=lambda now: seen.append(signal.getsignal(signal.SIGINT))))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert (seen[-1]["status"] == "applied").all()
    assert set(seen[:-1]) == {before}


def test_66_the_stop_button_of_a_real_kernel(scene, tmp_path):
    """The kernel's interrupt ends the cell with RunInterrupted; the kernel goes on and resumes."""
    scene = scene(4000, write_per_minute=60, client={"share": 0.02})
    manager, client = start_new_kernel(env=os.environ | {"KIRIM_JOURNAL": str(tmp_path)})
    told = []

    def execute(code, on_output=lambda text: None):
        def hook(message):
            content = message["content"]
            text = content.get("text", "") + "\n".join(content.get("traceback", []))
            told.append(text)
            on_output(text)

        return client.execute_interactive(code, output_hook=hook, timeout=60)["content"]

    try:
        execute(
            "import pandas as pd, kirim_pandas as kp\n"
            f"c = kp.Client({scene.box.api_key!r}, base_url={scene.box.base_url!r}, share=0.05)\n"
            f"df = pd.DataFrame({{'contact_id': {scene.frame['contact_id'].tolist()!r}}})"
        )
        say = "lambda now: print('APPLIED', now.applied, flush=True) if now.applied else None"
        pressed = []

        def press(text):
            if "APPLIED" in text and not pressed:
                pressed.append(manager.interrupt_kernel())

        reply = execute(
            f"df.kirim.bulk_label({scene.label!r}, 'attach', client=c, progress={say})", press
        )
        assert reply["status"] == "error"
        assert reply["ename"] == "RunInterrupted"
        scene.box.set_write_per_minute(FAST)
        scene.box.advance_clock(60)
        reply = execute(
            "c = kp.Client(c._secret.reveal(), base_url=c._address.base_url)\n"
            "result = df.kirim.resume(kp.last_result().attrs['kirim_run_id'], client=c)\n"
            "print('LEFT', (result['status'] != 'applied').sum())"
        )
        assert reply["status"] == "ok", told[-1]
        assert "LEFT 0" in "".join(told)
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
