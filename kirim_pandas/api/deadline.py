"""An end to tries that would go on for ever, and the knowledge of how far one came."""

from __future__ import annotations

import math
import os
import queue
import socket
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Self


class _Watchdog:
    """Rings alarms that are not taken back in time: one daemon thread for the whole process.

    But for its start it takes no lock: a step of a dict or of a ``SimpleQueue`` is whole or has
    not happened, whenever Ctrl-C comes.
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Begin anew; in a fork there is neither the thread nor anything to ring for."""
        self._alarms: dict[int, Alarm] = {}
        self._wake: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._sleeps_until = math.inf
        self._starting = threading.Lock()
        self._is_on_watch = False

    def set(self, alarm: Alarm) -> None:
        """Ring `alarm` at its time."""
        self._alarms[id(alarm)] = alarm
        if alarm.rings_at < self._sleeps_until:
            self._wake.put(None)
        if not self._is_on_watch:
            with self._starting:
                if not self._is_on_watch:
                    name = "kirim-pandas-deadlines"
                    threading.Thread(target=self._watch, name=name, daemon=True).start()
                    self._is_on_watch = True

    def take_back(self, alarm: Alarm) -> None:
        """Do not ring it any more."""
        self._alarms.pop(id(alarm), None)

    def _watch(self) -> None:
        while True:
            self._sleeps_until = math.inf  # what is set from here on wakes this thread
            now = time.monotonic()
            alarms = list(self._alarms.values())
            for alarm in alarms:
                if alarm.rings_at <= now:
                    self.take_back(alarm)
                    alarm.ring()
            later = [alarm.rings_at for alarm in alarms if alarm.rings_at > now]
            seconds = min(later) - now if later else None
            self._sleeps_until = min(later, default=math.inf)
            with suppress(queue.Empty):
                self._wake.get(timeout=seconds)


_watchdog = _Watchdog()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_watchdog.reset)


class Alarm:
    """Calls `ring` in another thread unless the ``with`` block ends before.

    Parameters
    ----------
    seconds
        From the start of the block.
    ring
        Must not take long: other alarms wait for it.
    """

    def __init__(self, seconds: float, ring: Callable[[], None]) -> None:
        self.rings_at = math.inf
        self.ring = ring
        self._seconds = seconds

    def __enter__(self) -> Self:
        self.rings_at = time.monotonic() + self._seconds
        _watchdog.set(self)
        return self

    def __exit__(self, *_: object) -> None:
        _watchdog.take_back(self)


class Deadline(Alarm):
    """Cuts the connection of a try that takes too long.

    The timeouts of HTTP libraries bound single reads: a server that sends a byte now and then,
    be it of the headers or of the body, is never timed out by them.

    Attributes
    ----------
    is_over : bool
        Whether the time was up.
    body_left : bool
        Whether a byte of the request's body may have left: without one no call is carried out.
    """

    def __init__(self, seconds: float) -> None:
        super().__init__(seconds, self._cut)
        self.is_over = False
        self.body_left = False
        self._socket: Any = None

    def trace(self, event: str, info: Mapping[str, Any]) -> None:
        """Note the socket and the body; the HTTP library calls this at each step of a request."""
        if event.endswith(("connect_tcp.complete", "start_tls.complete")):
            self._socket = info["return_value"].get_extra_info("socket")
            if self.is_over:
                self._cut()
        elif event.endswith("send_request_body.started"):
            # The CONNECT that asks a proxy for a way has no body of ours.
            self.body_left |= getattr(info.get("request"), "method", b"") != b"CONNECT"

    def close(self) -> None:
        """Close the socket of a try that failed; the HTTP library leaves some open."""
        if isinstance(self._socket, socket.socket):
            with suppress(OSError):
                self._socket.close()

    def _cut(self) -> None:
        self.is_over = True
        if isinstance(self._socket, socket.socket):
            with suppress(OSError):
                # The plain shutdown: that of a TLS socket would race with the reading thread.
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)
