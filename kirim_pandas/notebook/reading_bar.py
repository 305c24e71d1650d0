"""The progress of reading a list: how many contacts so far, and how long it has taken."""

from __future__ import annotations

import sys
import time
from typing import Self
from uuid import uuid4

from markupsafe import Markup

from kirim_pandas.notebook.kernel import Front, front_end, publish

REDRAW_SECONDS = 0.2
QUIET_SECONDS = 0.7
"""What is over sooner is not worth a line."""


class ReadingBar:
    """One line that is drawn again and again, and left with its last words.

    The service does not say how long its lists are, so there is no share and no time left, but
    where the caller knows it.

    Parameters
    ----------
    what
        What is read, as in "reading WHAT".
    """

    def __init__(self, what: str) -> None:
        self._what = what
        self._began_at = time.monotonic()
        self._drawn_at = self._began_at + QUIET_SECONDS
        self._front = front_end()
        self._display_id: str | None = None
        self._words = ""

    def show(self, done: int, total: int | None = None, unit: str = "contacts") -> None:
        """Say how much was read."""
        now = time.monotonic()
        seconds = now - self._began_at
        of = f" of {total:,}" if total else ""
        left = ""
        if total and done and seconds > 1:
            left = f", about {seconds / done * (total - done):,.0f} s left"
        self._words = f"Reading {self._what}: {done:,}{of} {unit} in {seconds:,.0f} s{left}"
        if now - self._drawn_at >= REDRAW_SECONDS:
            self._drawn_at = now
            self._draw()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._drawn_at > self._began_at + QUIET_SECONDS:
            self._draw()
            if self._front is Front.LINE and sys.stdout is not None:
                print(flush=True)

    def _draw(self) -> None:
        try:
            if self._front is Front.PAGE:
                shown = Markup("<div>{}</div>").format(self._words)
                update = self._display_id is not None
                self._display_id = self._display_id or f"kirim-reading-{uuid4()}"
                publish(shown, self._words, display_id=self._display_id, update=update)
            elif self._front is Front.LINE and sys.stdout is not None:
                print(f"\r{self._words}", end="", flush=True)
        except (OSError, ValueError):
            self._front = Front.LOG  # a closed pipe: what is only shown never decides
