"""Ctrl-C at a chosen line of the package, in the thread of the caller."""

import sys
from collections import Counter
from pathlib import Path

import kirim_pandas

PACKAGE = str(Path(kirim_pandas.__file__).parent)


def lines_of(act, *, leave_out=()):
    """Do something; return what came of it, and how often each line of the package was run."""
    seen = Counter()
    return _traced(act, lambda line: seen.update([line]), leave_out), seen


def at_line(act, line, time, do, *, leave_out=()):
    """Do something, and `do` when it comes to a line of the package for the `time`-th time."""
    left = time

    def count(here):
        nonlocal left
        if here == line:
            left -= 1
            if left == 0:
                sys.settrace(None)
                do()

    return _traced(act, count, leave_out)


def _traced(act, tell, leave_out):
    def trace(frame, event, _):
        name = frame.f_code.co_filename
        if not name.startswith(PACKAGE) or any(f"/{part}" in name for part in leave_out):
            return None
        if event == "call" and _is_finalizing(frame):  # nothing can be raised there
            return None
        if event == "line":
            tell((name.removeprefix(PACKAGE), frame.f_lineno))
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        return act()
    finally:
        sys.settrace(before)


def _is_finalizing(frame):
    """Whether `__del__` runs, or anything that it calls."""
    while frame is not None and frame.f_code.co_name != "__del__":
        frame = frame.f_back
    return frame is not None
