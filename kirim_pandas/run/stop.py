"""The stop button: Ctrl-C, the notebook's interrupt, SIGTERM, or a Cancel that was clicked.

A signal handler that only counts leaves no library in the middle of something: the run looks at
the count between two steps and ends in order.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

PATIENCE_PRESSES = 3
"""Whoever presses so often is stuck where nobody looks at the button: in a callback of theirs."""


class StopButton:
    """Counts how often somebody asked to stop; safe to press from any thread.

    Once: the run waits a bounded time for calls in flight.  Twice: it leaves at once.
    """

    def __init__(self) -> None:
        self.presses = 0

    def press(self) -> None:
        """Ask the run to stop."""
        self.presses += 1

    def is_pressed(self) -> bool:
        """Whether anybody asked."""
        return self.presses > 0


@contextmanager
def stop_on_signals(button: StopButton) -> Iterator[None]:
    """Turn SIGINT, and an otherwise unhandled SIGTERM, into presses of `button`.

    Only the main thread can receive signals; anywhere else this does nothing, and the documented
    way to stop is the button itself.  A signal that is ignored stays ignored.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def press(_signum: int, frame: FrameType | None) -> None:
        button.press()
        putting_back = frame is not None and frame.f_code.co_filename == __file__
        if button.presses >= PATIENCE_PRESSES and not putting_back:
            raise KeyboardInterrupt

    replaced = []
    if signal.getsignal(signal.SIGINT) not in (signal.SIG_IGN, None):  # None: not Python's
        replaced.append((signal.SIGINT, signal.signal(signal.SIGINT, press)))
    if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        replaced.append((signal.SIGTERM, signal.signal(signal.SIGTERM, press)))
    try:
        yield
    finally:
        for signum, handler in reversed(replaced):  # SIGINT last: Ctrl-C cannot cut this short
            signal.signal(signum, handler)
