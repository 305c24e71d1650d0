"""A sandbox with something wrong, a run over it, and what must be true whatever happens."""

import os
import signal
import sys

import kirim_pandas as kp
from kirim_pandas.api.models import Timeouts
from support.kill_harness import faulty_requests, lies

FAST = 60_000
SIZE = 2050
PATIENT = Timeouts(connect_seconds=10, write_seconds=10, read_seconds=20, try_seconds=30)
HASTY = Timeouts(connect_seconds=10, write_seconds=10, read_seconds=0.4, try_seconds=0.8)
"""For faults that are a delay; a busy machine looks like one, too, so counts of requests vary."""


def interrupt():
    """Press Ctrl-C, from any thread."""
    if sys.platform == "win32":
        signal.raise_signal(signal.SIGINT)  # os.kill ends the process there
    else:
        os.kill(os.getpid(), signal.SIGINT)


class Scene:
    """A sandbox with faults, and a run over it, checked against the truth whatever happens."""

    def __init__(self, box, **settings):
        self.box = box
        self.label = box.labels["id"].iloc[0]
        self.connect(**settings)
        self.frame = box.contacts
        self.error = None
        self.waits = []

    def connect(self, **settings):
        """Take another client: through a proxy, over TLS, with another key."""
        self.client = self.box.client(**{"timeouts": PATIENT} | settings)

    def run(self, **options):
        # What explains the skips would leave hardly a probe for faults to meet.
        by_search = {"hint": None, "reads": False}
        settings = {"client": self.client, "progress": self.waits.append, **by_search} | options
        return self._checked(lambda: self.frame.kirim.bulk_label(self.label, "attach", **settings))

    def resume(self, run_id, **options):
        settings = {"client": self.client, "progress": False} | options
        return self._checked(lambda: self.frame.kirim.resume(run_id, **settings))

    def _checked(self, go):
        self.error = None
        try:
            result = go()
        except kp.KirimError as error:
            self.error, result = error, error.result
        if self.error is not None:
            assert self.error.run_id == result.attrs["kirim_run_id"]
            assert self.box.api_key not in str(self.error)
        assert len(result) == len(self.frame)
        assert lies(result, self.box.members(self.label), truth(self), set()) == []
        assert faulty_requests(self.box.requests(), set(self.frame["contact_id"].dropna())) == []
        return result


class Scenes:
    """Makes scenes, and closes their sandboxes in the end."""

    def __init__(self):
        self._boxes = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for box in self._boxes:
            box.close()

    def start(self, size=SIZE, *, client=None, skipped_share=0.0, **options):
        settings = {"write_per_minute": FAST, "seed": 3, "in_progress_wait_seconds": 0.1}
        box = kp.sandbox.start(size, skipped_share=skipped_share, **settings | options)
        self._boxes.append(box)
        return Scene(box, **client or {})


def truth(scene):
    try:
        return scene.box.outcome(scene.label)
    except KeyError:  # the label is gone
        return scene.frame.set_index("contact_id")["team"].iloc[:0]


def counts(result):
    found = result["status"].value_counts()
    return {status: int(n) for status, n in found.items() if n}
