"""A few calls in flight: daemon threads that send, a queue that brings back what happened.

The thread that runs the job does no I/O of its own, so a keyboard interrupt can never cut a
request in half; and daemon threads never hold up the exit of the interpreter.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from kirim_pandas.run.calls import Call, Reply
from kirim_pandas.run.events import Waiting

SendCall: TypeAlias = Callable[[Call, Callable[[str, float], None], threading.Event], Reply]
"""``send(call, on_wait, stop)``: sends, waits and retries; returns the reply or raises."""


@dataclass(frozen=True, slots=True, eq=False)
class Done:
    """A call came back: with a reply, or with the error that ended it."""

    call: Call
    reply: Reply | None
    error: BaseException | None


class CallPool:
    """Up to `max_in_flight` calls at a time; threads start when first needed.

    Parameters
    ----------
    send
        Sends one call; it is called in worker threads.
    max_in_flight
        How many calls may be under way together; a callable is asked each time.
    """

    def __init__(self, send: SendCall, *, max_in_flight: int | Callable[[], int] = 8) -> None:
        self.in_flight = 0
        self._send = send
        self._most = max_in_flight if callable(max_in_flight) else lambda: max_in_flight
        self._threads: list[threading.Thread] = []
        self._calls: queue.SimpleQueue[Call | None] = queue.SimpleQueue()
        self._news: queue.SimpleQueue[Done | Waiting] = queue.SimpleQueue()
        self._stop = threading.Event()

    def room(self, limit: int | None = None) -> int:
        """Return how many more calls may be submitted, where `limit` may be under way."""
        most = self._most()
        return max(0, min(most, limit or most) - self.in_flight)

    def submit(self, call: Call) -> None:
        """Hand a call to a worker."""
        self.in_flight += 1
        if len(self._threads) < self.in_flight:
            thread = threading.Thread(target=self._work, name="kirim-pandas-call", daemon=True)
            self._threads.append(thread)
            thread.start()
        self._calls.put(call)

    def take(self, timeout_seconds: float) -> Done | Waiting | None:
        """Return what happened next, or None when nothing did in time."""
        try:
            news = self._news.get(timeout=timeout_seconds)
        except queue.Empty:
            return None
        if isinstance(news, Done):
            self.in_flight -= 1
        return news

    def stop(self) -> None:
        """End all waits: calls not yet on the wire come back unsent, no further try is made."""
        self._stop.set()

    def close(self) -> None:
        """Let the workers go; those in the middle of a request end with it."""
        self._stop.set()
        for _ in self._threads:
            self._calls.put(None)

    def _work(self) -> None:
        def on_wait(reason: str, seconds: float) -> None:
            self._news.put(Waiting(reason, seconds))

        while (call := self._calls.get()) is not None:
            try:
                done = Done(call, self._send(call, on_wait, self._stop), None)
            except BaseException as error:  # handed over to the thread of the run, all of them
                done = Done(call, None, error)
            self._news.put(done)
