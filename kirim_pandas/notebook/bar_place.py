"""Where the progress of a waiting call is drawn: on a page, in one line, or line by line.

The only module that imports tqdm.  It draws in the thread that waits for the run, never in a
worker.  Whatever is drawn, the id of the run stands before it and is still there afterwards.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Protocol
from uuid import uuid4

from markupsafe import Markup

from kirim_pandas.notebook.job_end import Ending
from kirim_pandas.notebook.kernel import Front, columns, front_end, publish, show, wrapped
from kirim_pandas.notebook.texts import (
    EMPTY,
    JobFacts,
    framed,
    heading_html,
    line_words,
    running_html,
    start_text,
)
from kirim_pandas.run.progress import Progress

LEAST_BAR_COLUMNS = 10
"""A shorter bar shows nothing: on a narrow terminal the words give way."""

LOG_SECONDS = 30.0
"""A log that says more is read by nobody."""


class BarPlace(Protocol):
    """What a bar draws on."""

    def draw(self, now: Progress, share: float, *, per_minute: float) -> None:
        """Show where the run stands, and how far its step is, from 0 to 1."""

    def say(self, text: str) -> None:
        """Show a sentence beside the bar."""

    def close(self, text: str) -> None:
        """Leave the bar, with a last word where the run did not finish."""


def place_for(facts: JobFacts) -> BarPlace:
    """Begin to draw where this code runs."""
    places: dict[Front, Callable[[JobFacts], BarPlace]] = {
        Front.PAGE: PagePlace,
        Front.LINE: LinePlace,
        Front.LOG: LogPlace,
    }
    return places[front_end()](facts)


class PagePlace:
    """A bar in HTML, which the page replaces at each drawing; at the end only words stay."""

    def __init__(self, facts: JobFacts) -> None:
        self._facts = facts
        self._display_id = f"kirim-bar-{uuid4()}"
        self._notice = EMPTY
        self._show(EMPTY, update=False)

    def draw(self, now: Progress, share: float, *, per_minute: float) -> None:
        """Show where the run stands."""
        bar = running_html(self._facts, now, share, per_minute=per_minute)
        self._show(self._notice + bar)

    def say(self, text: str) -> None:
        """Show a sentence over the bar; like the bar, it is gone at the end."""
        self._notice = framed(Markup("<p>{}</p>").format(text))

    def close(self, text: str) -> None:
        """Leave the heading, and a last word."""
        last = framed(Markup("<p>{}</p>").format(text)) if text else EMPTY
        self._show(last, running=False)

    def _show(self, page: Markup, *, update: bool = True, running: bool = True) -> None:
        heading = heading_html(self._facts, running=running)
        text = start_text(self._facts)
        publish(heading + page, text, display_id=self._display_id, update=update)


class LinePlace:
    """A tqdm bar whose words fit the line; what does not fit is said once, above it."""

    def __init__(self, facts: JobFacts) -> None:
        # Not of tqdm.auto: it draws widgets, which not every front end does.
        from tqdm.std import tqdm

        print(wrapped(start_text(facts)))
        self._facts = facts
        self._told: set[str] = set()
        self._bar = tqdm(total=1.0, file=sys.stdout, bar_format="{desc}", desc="starting")

    def draw(self, now: Progress, share: float, *, per_minute: float) -> None:
        """Show where the run stands."""
        doing = {"attach": "attaching", "detach": "detaching"}[self._facts.operation]
        desc = doing if now.phase == "apply" else "finding the skipped"
        room = columns() - len(f"{desc}: 100%|| ") - LEAST_BAR_COLUMNS
        wordings = line_words(now, per_minute, self._facts.seconds)
        words = next((words for words in wordings if len(words) <= room), wordings[-1])
        if now.waiting and now.waiting not in words:
            self._say_once(f"Waiting: {now.waiting}.")
        self._bar.ncols = columns()
        self._bar.set_description_str(desc, refresh=False)
        self._bar.bar_format = "{desc}: {percentage:3.0f}%|{bar}| " + _literal(words)
        self._bar.n = share
        self._bar.refresh()

    def say(self, text: str) -> None:
        """Print a sentence above the bar."""
        self._bar.write(wrapped(text), file=sys.stdout)

    def close(self, text: str) -> None:
        """Leave the bar as it stands, with a last word in it."""
        if text:
            self._bar.bar_format = "{percentage:3.0f}%|{bar}| " + _literal(text.split(". ")[0])
            self._bar.refresh()
        self._bar.close()

    def _say_once(self, text: str) -> None:
        if text not in self._told:
            self._told.add(text)
            self.say(text)


class LogPlace:
    """Lines: at the beginning, for each new reason to wait, twice a minute, and at the end."""

    def __init__(self, facts: JobFacts) -> None:
        print(start_text(facts), flush=True)
        self._facts = facts
        self._told: set[str] = set()
        self._spoken_at = time.monotonic()

    def draw(self, now: Progress, share: float, *, per_minute: float) -> None:
        """Show where the run stands, if it is time."""
        new = now.waiting is not None and now.waiting not in self._told
        if not new and time.monotonic() - self._spoken_at < LOG_SECONDS:
            return
        self._told.add(now.waiting or "")
        self._spoken_at = time.monotonic()
        print(f"{share:4.0%}: {line_words(now, per_minute, self._facts.seconds)[0]}", flush=True)

    def say(self, text: str) -> None:
        """Print a sentence."""
        print(text, flush=True)

    def close(self, text: str) -> None:
        """Print the last word, where there is one."""
        if text:
            self.say(text)


def show_summary(ending: Ending) -> None:
    """Show what became of the contacts, as an output of its own that stays."""
    show(ending.html, " ".join(ending.text.splitlines()))


def _literal(words: str) -> str:
    return words.replace("{", "{{").replace("}", "}}")
