"""Clicks that arrive while a cell runs, on kernels that would only look at them afterwards.

JupyterLab sends clicks to a thread of their own (a subshell), if the kernel has one.

- From ipykernel 7 on it has, but 7.4 sends a click to the thread that last spoke to the button,
  and that is the one that runs the cell.  So the button is told not to remember.
- Before, a click queues behind the cell: a Cancel button would do nothing for as long as that
  cell takes.  So, while a job is shown, the kernel's own thread is nudged a few times a second to
  fetch what has arrived.  Messages keep their order and are all handled later, as usual; they are
  only looked at for clicks on buttons registered here.

The nudge is SIGURG: by default it does nothing (Go's runtime nudges its threads with it for the
same reason), and it is left alone where somebody uses it already.  Where any part of this is
missing, as on Windows, clicks wait for the cell, as every widget's do.
"""

from __future__ import annotations

import hmac
import json
import signal
import sys
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import Any

__all__ = ["ClickWatch", "clicked", "in_a_cell", "watch_clicks"]

NUDGE_SECONDS = 0.25

CLICK = {"event": "click"}
"""What a Button of ipywidgets says when it was clicked."""

FETCHING = ("/zmq/", "/tornado/", "/asyncio/", "/ipykernel/")
"""Code that must not be entered twice: in the middle of it nothing is fetched."""


class ClickWatch:
    """Looks for clicks on buttons in a kernel's queue.

    Parameters
    ----------
    kernel
        An ipykernel without subshells.
    """

    def __init__(self, kernel: Any) -> None:
        self.buttons: dict[str, Callable[[], None]] = {}
        self._kernel = kernel
        self._nudged = 0.0

    def install(self) -> bool:
        """Take the signal, unless somebody has it; only the main thread may."""
        if threading.current_thread() is not threading.main_thread():
            return False
        if signal.getsignal(signal.SIGURG) not in (signal.SIG_DFL, signal.SIG_IGN):
            return False
        signal.signal(signal.SIGURG, self._look)
        signal.siginterrupt(signal.SIGURG, False)  # other people's system calls just go on
        return True

    def nudge(self) -> None:
        """Make the kernel's thread look now, but not too often; called from other threads."""
        main, now = threading.main_thread().ident, time.monotonic()
        if main is None or now - self._nudged < NUDGE_SECONDS:
            return
        self._nudged = now
        if signal.getsignal(signal.SIGURG) == self._look:
            signal.pthread_kill(main, signal.SIGURG)

    def _look(self, _signum: int, frame: FrameType | None) -> None:
        if in_a_cell(frame):
            self._kernel.shell_stream.flush(1)  # zmq.POLLIN: fetch only
        for _, _, arguments in list(self._kernel.msg_queue._queue):
            press = self.buttons.get(clicked(arguments[0], self._kernel.session.sign) or "")
            if press is not None:
                press()


_watch: ClickWatch | None = None


def watch_clicks(button: Any, press: Callable[[], None]) -> Callable[[], None]:
    """Have `press` called on a click that would have to wait for a cell.

    Parameters
    ----------
    button
        A Button of ipywidgets.
    press
        Called in the main thread, in the middle of anything: it may only set a flag.  It is
        called again for the same click, more than once.

    Returns
    -------
    callable
        To be called often, from another thread, while clicks matter.
    """
    global _watch
    if getattr(button.comm, "_reply_subshell_for", None) is not None:
        button.comm._reply_subshell_for = None  # the click's own choice of thread holds
    ipython = sys.modules.get("IPython")
    kernel = getattr(ipython.get_ipython() if ipython else None, "kernel", None)
    # The queue is what kernels without subshells have, and what this looks into.
    if not hasattr(kernel, "msg_queue") or not hasattr(signal, "SIGURG"):
        return _nothing
    if _watch is None:
        watch = ClickWatch(kernel)
        if not watch.install():
            return _nothing
        _watch = watch
    _watch.buttons[button.model_id] = press
    return _watch.nudge


def in_a_cell(frame: FrameType | None) -> bool:
    """Tell whether user code runs, and nothing between it and here is fetching messages."""
    while frame is not None:
        name = frame.f_code.co_filename.replace("\\", "/")
        if frame.f_code.co_name == "run_code" and name.endswith("/interactiveshell.py"):
            return True
        if any(part in name for part in FETCHING):
            return False
        frame = frame.f_back
    return False


def clicked(frames: Any, sign: Callable[[list[bytes]], bytes]) -> str | None:
    """Return the comm id of a signed message that says a button was clicked, else None."""
    try:
        parts = [bytes(part) for part in frames]
        # <ids…> <IDS|MSG> signature header parent metadata content
        start = parts.index(b"<IDS|MSG>")
        header, content = json.loads(parts[start + 2]), json.loads(parts[start + 5])
        click = header["msg_type"] == "comm_msg" and content["data"]["content"] == CLICK
        if click and hmac.compare_digest(sign(parts[start + 2 : start + 6]), parts[start + 1]):
            return str(content["comm_id"])
    except (ValueError, KeyError, IndexError, TypeError):
        pass
    return None


def _nothing() -> None:
    """Clicks arrive by themselves here, or not before the cell has ended."""
