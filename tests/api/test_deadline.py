"""The watchdog: one thread that rings what was not taken back in time."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable

import pytest

from kirim_pandas.api.deadline import Alarm, Deadline


def until(what: Callable[[], object]) -> bool:
    """Wait, but not for ever, for something to come true."""
    deadline = time.monotonic() + 10
    while not what() and time.monotonic() < deadline:
        time.sleep(0.005)
    return bool(what())


def watchdogs() -> int:
    return sum(thread.name == "kirim-pandas-deadlines" for thread in threading.enumerate())


def test_one_thread_watches_all() -> None:
    """However many blocks are under way, in however many threads, one thread watches them."""
    inside, leave = threading.Barrier(9), threading.Event()

    def one() -> None:
        with Deadline(60):
            inside.wait(10)
            leave.wait(10)

    threads = [threading.Thread(target=one) for _ in range(8)]
    for thread in threads:
        thread.start()
    inside.wait(10)
    assert watchdogs() == 1
    leave.set()
    for thread in threads:
        thread.join(10)
    with Deadline(60):
        assert watchdogs() == 1


def test_alarms_ring_in_the_order_of_their_times() -> None:
    """What is set later and rings earlier is not kept waiting by what was set before."""
    rung: list[str] = []
    with (
        Alarm(60, lambda: rung.append("never")),
        Alarm(0.2, lambda: rung.append("second")),
        Alarm(0.05, lambda: rung.append("first")),
    ):
        assert until(lambda: len(rung) == 2)
    assert rung == ["first", "second"]


def test_what_ends_in_time_does_not_ring() -> None:
    """A block that ended is not rung for, and each other one is, once."""
    rung: list[int] = []
    for number in range(50):
        with Alarm(0.05, lambda number=number: rung.append(number)):  # type: ignore[misc]
            assert number not in rung
    with Alarm(0.1, lambda: rung.append(-1)):
        assert until(lambda: rung)
    assert rung == [-1]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no fork")
def test_a_fork_watches_for_itself() -> None:
    """A process that was copied while the watchdog slept has one of its own when it needs it."""
    with Alarm(60, lambda: None):
        child = os.fork()
        if not child:
            rung: list[int] = []
            with Alarm(0.05, lambda: rung.append(1)):
                os._exit(0 if until(lambda: rung) else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
