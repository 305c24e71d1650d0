"""The bar, fed with events on a terminal that is a string."""

import contextlib
import io
from datetime import datetime

import numpy as np
import pytest

from kirim_pandas.errors import KirimError
from kirim_pandas.grouptesting.outcomes import Counts
from kirim_pandas.notebook import progress
from kirim_pandas.notebook.progress import ProgressBar, resolve_note
from kirim_pandas.notebook.texts import JobFacts
from kirim_pandas.run.calls import Call, Reply
from kirim_pandas.run.events import (
    CallAnswered,
    CallPlanned,
    PhaseStarted,
    RoundEnded,
    RunEnded,
    Waiting,
)
from kirim_pandas.run.ledger import Ledger
from kirim_pandas.run.progress import Tally

FACTS = JobFacts("run_1", "lbl_1", "attach", 2000, 2000, datetime.now().astimezone())


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def terminal(monkeypatch):
    monkeypatch.setenv("COLUMNS", "160")
    monkeypatch.setenv("LINES", "40")
    monkeypatch.setattr(progress, "REDRAW_SECONDS", -1.0)  # draw every event
    return Terminal()


def call(number, phase="apply"):
    return Call(number, phase, np.arange(1000), f"key{number}", batch=number)


def ended(*, error=None, interrupted=False):
    none = np.zeros(2000, dtype=np.int8)
    return RunEnded(Ledger(2000).outcomes(none, none.astype(bool)), 4, error, interrupted)


APPLY = [
    PhaseStarted("apply", 2, 2000),
    CallPlanned(call(0)),
    CallAnswered(call(0), Reply(Counts(960, 25, 15), None), 1000),
    Waiting("rate limit of 60 requests a minute", 1.0),
    CallPlanned(call(1)),
    CallAnswered(call(1), Reply(Counts(1000, 0, 0), None), 2000),
]
RESOLVE = [
    PhaseStarted("resolve", 40, 1000),
    CallPlanned(call(2, "resolve")),
    CallAnswered(call(2, "resolve"), Reply(Counts(480, 12, 8), None), 2000),
    RoundEnded(0, 400, 20.0),
]


def draw(events, terminal):
    with contextlib.redirect_stdout(terminal):
        bar = ProgressBar(FACTS, lambda: 60)
        for event in events:
            bar(event)
        bar.close()


def test_a_whole_run(terminal):
    """The bar shows counts, requests, why it waits, what the resolve phase costs, and the end."""
    draw([*APPLY, *RESOLVE, ended()], terminal)
    text = " ".join(terminal.getvalue().split())  # sentences are wrapped
    for words in (
        "Attaching lbl_1 to 2,000 contacts. Run run_1.",
        "attaching: 50%",
        "1,000 of 2,000 contacts",
        "960 applied, 40 skipped, request 1 of about 2",
        "so far, under 1 s left",
        "waiting: rate limit of 60 requests a minute",
        "the skipped among 1,000 contacts takes about 6 more requests where a column",
        "decides it, up to about 40 (under a minute at 60 a minute) where nothing does.",
        "finding the skipped:",
        "600 of 1,000 settled",
        "request 3 of up to about 23",
        "100%",
    ):
        assert words in text, words


@pytest.mark.parametrize("columns", [60, 80, 100, 160])
def test_words_give_way_to_the_bar(terminal, monkeypatch, columns):
    """At every width a bar is left, no word is cut, and step, reason and time left are told."""
    monkeypatch.setenv("COLUMNS", str(columns))
    reason = "cannot reach api.example.org, trying again"
    draw([*APPLY[:4], Waiting(reason, 3.0), *APPLY[4:], *RESOLVE, ended()], terminal)
    text = terminal.getvalue()
    drawn = [line.strip("\n") for line in text.split("\r") if "|" in line]
    assert drawn
    for line in drawn[1:]:
        assert len(line) < columns
        assert len(line.split("|")[1]) >= 10, line
        assert " left" in line or "waiting" in line
    said = " ".join(text.split())
    assert "waiting: rate limit of 60 requests a minute" in said.replace("Waiting", "waiting")
    assert f"aiting: {reason}" in said
    assert "finding the skipped:" in said
    written = [line for part in text.split("\r") for line in part.split("\n") if "|" not in line]
    assert all(len(line.strip("\x1b[A")) <= columns for line in written)


@pytest.mark.parametrize(
    ("end", "word"),
    [(ended(interrupted=True), "stopped"), (ended(error=KirimError("no")), "failed")],
)
def test_a_bar_that_ends_early_says_why(terminal, end, word):
    """A bar closed before its end says so in its text, not by its colour alone."""
    draw([*APPLY, end], terminal)
    assert f"| {word.capitalize()}" in terminal.getvalue()


def test_tally_counts_what_was_answered():
    """The tally keeps the figures that all views show."""
    tally = Tally(2000)
    for event in [*APPLY, *RESOLVE]:
        tally(event)
    now = tally.progress
    assert (now.answered, now.applied, now.skipped) == (2000, 1960, 40)
    assert (now.to_resolve, now.undetermined) == (1000, 400)
    assert (now.requests, now.requests_expected) == (3, 23)
    tally(ended())
    assert tally.progress.state == "finished"


def test_resolve_note_reckons_in_minutes():
    """The line before the resolve phase gives requests and minutes at the pace known."""
    note = resolve_note(PhaseStarted("resolve", 600.4, 5000), "detach", 60)
    assert "up to about 600 (about 9 min at 60 a minute)" in note  # a full bucket helps
    spent = resolve_note(PhaseStarted("resolve", 600.4, 5000), "detach", 60, made=54)
    assert "(about 10 min at 60 a minute)" in spent
    assert "stop at any time without loss: the labels are already removed" in note


def test_the_note_tells_what_a_pattern_would_take():
    """Before anything is known, both ends are told; where they meet, only one."""
    note = resolve_note(PhaseStarted("resolve", 436, 3006), "attach", 60)
    assert "takes about 7 more requests where a column or the connected number decides it" in note
    assert "up to about 436 (about 6 min at 60 a minute) where nothing does." in note
    few = resolve_note(PhaseStarted("resolve", 3, 1000), "attach", 60)
    assert "takes up to about 3 more requests (under a minute at 60 a minute). You" in few
