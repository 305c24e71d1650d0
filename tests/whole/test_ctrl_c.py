"""Ctrl-C at any line of a whole verb: no row is untrue, nothing is left held, the run goes on.

`KIRIM_INSTANTS` sets at how many lines each verb is interrupted, evenly chosen among all that it
runs (``KIRIM_INSTANTS=2000``, all of them: an hour).
"""

import os
import signal
import sys

import pytest
from support.interrupts import at_line, lines_of
from support.kill_harness import faulty_requests, lies

import kirim_pandas as kp
from kirim_pandas import session

INSTANTS = int(os.environ.get("KIRIM_INSTANTS", "8"))
SHARE = 0.6180339887  # steps of the golden ratio fall everywhere evenly
PURE = ("sandbox/", "grouptesting/", "guesses/")  # the first is the test's, the others only count
BY_SEARCH = {"hint": None, "reads": False}

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals of another kind")


@pytest.fixture(scope="module")
def box():
    with kp.sandbox.start(
        80, write_per_minute=60_000, skipped_share=0.08, seed=4, in_progress_wait_seconds=0.1
    ) as box:
        yield box


def press():
    """What a person does, who may meet the handler of a run."""
    signal.raise_signal(signal.SIGINT)


def press_thrice():
    """Whoever is stuck presses on."""
    for _ in range(3):
        signal.raise_signal(signal.SIGINT)


def interrupt():
    """What meets a run whose handler somebody has replaced."""
    raise KeyboardInterrupt


class Verbs:
    """What is interrupted; each attaches the label to everybody in the end."""

    def __init__(self, box):
        self.box, self.frame = box, box.contacts
        self.label = box.labels["id"].iloc[0]
        self.truth = box.outcome(self.label)

    def bulk_label(self):
        return self.frame.kirim.bulk_label(
            self.label, "attach", client=self.box.client(), progress=False, **BY_SEARCH
        )

    def with_a_bar(self):
        return self.frame.kirim.bulk_label(
            self.label, "attach", client=self.box.client(), **BY_SEARCH
        )

    def resume(self, run_id=None):
        if run_id is None:
            part = self.frame.kirim.bulk_label(
                self.label,
                "attach",
                client=self.box.client(),
                progress=False,
                max_requests=4,
                **BY_SEARCH,
            )
            run_id = part.attrs["kirim_run_id"]
        return self.frame.kirim.resume(run_id, client=self.box.client(), progress=False)


@pytest.fixture(scope="module")
def watched():
    """What a verb returns and which lines it runs, watched once for all ways of Ctrl-C."""
    return {}


@pytest.mark.parametrize("how", [press, press_thrice, interrupt])
@pytest.mark.parametrize("verb", ["bulk_label", "with_a_bar", "resume"])
def test_ctrl_c_at_any_line_of_a_verb(box, watched, verb, how, monkeypatch):
    """Wherever Ctrl-C meets a verb, all that is said is true, and a resume ends the run."""
    verbs = Verbs(box)
    act = getattr(verbs, verb)
    if verb not in watched:
        act()  # what is done once a process is done
        watched[verb] = lines_of(act, leave_out=PURE)
    whole, seen = watched[verb]
    # An exception in the code that puts handlers back can only come from a test.
    lines = sorted(line for line in seen if how is not interrupt or "/stop.py" not in line[0])
    assert len(lines) > 1000
    steps = [SHARE * number % 1 for number in range(INSTANTS)]
    chosen = [lines[int(len(lines) * step)] for step in steps] if len(lines) > INSTANTS else lines
    for number, line in enumerate(chosen, start=1):
        monkeypatch.setattr(session, "_last_result", None)
        interrupted(verbs, act, whole, (line, 1 + int(seen[line] * (SHARE * number % 1)), how))


def interrupted(verbs, act, whole, instant):
    """Interrupt a verb once, and look at all that is left of it."""
    box = verbs.box
    box.set_members(verbs.label, [])
    before, asked = set(kp.runs()["run_id"]), len(box.requests())
    line, time, how = instant
    try:
        result = at_line(act, line, time, how, leave_out=PURE)
        assert same(result, whole), instant  # pressed where nothing was left to do
    except KeyboardInterrupt as error:
        result = getattr(error, "result", None)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler, instant
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL, instant
    assert not session._at_work, instant
    for told in (result, kp.last_result()):
        if told is not None:
            assert lies(told, box.members(verbs.label), verbs.truth, set()) == [], instant
    runs = kp.runs()
    for run_id, state in runs.loc[~runs["run_id"].isin(before), ["run_id", "state"]].to_numpy():
        assert state != "running", instant
        assert same(verbs.resume(run_id), whole), instant
    requests = box.requests().iloc[asked:]
    assert faulty_requests(requests, set(verbs.frame["contact_id"])) == [], instant


def same(result, whole):
    """Whether two results say the same of each row."""
    columns = ["contact_id", "status", "reason"]
    return (
        result[columns].astype(object).fillna("").equals(whole[columns].astype(object).fillna(""))
    )
