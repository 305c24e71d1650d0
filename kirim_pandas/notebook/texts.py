"""What a running job says, as text and as HTML: pure functions of where it stands.

The HTML takes its colours from the notebook's theme.  Everything that comes from the data or from
the service is escaped.
"""

from __future__ import annotations

import html
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from kirim_pandas.frames.charts import COLOURS
from kirim_pandas.run.progress import Progress

__all__ = [
    "JobFacts",
    "count_html",
    "counts_html",
    "done_and_total",
    "duration_text",
    "framed",
    "heading_html",
    "many",
    "note_html",
    "pace_html",
    "phase_text",
    "state_text",
    "team_shown",
]

# Scoped to .kirim-job; stands in every piece, since each must be readable alone.
_STYLE: Final = """<style>
.kirim-job { color: var(--jp-content-font-color1, var(--vscode-editor-foreground, inherit));
  font-family: var(--jp-content-font-family, system-ui, sans-serif); font-size: 14px;
  line-height: 1.5; max-width: 760px; overflow-wrap: anywhere; }
.kirim-job p { margin: 0 0 4px; }
.kirim-job .soft { color: var(--jp-content-font-color2, var(--vscode-descriptionForeground,
  inherit)); font-size: 13px; }
.kirim-job .dot { display: inline-block; width: 10px; height: 10px; border-radius: 5px;
  margin-right: 5px; }
.kirim-job .count { display: inline-block; margin-right: 18px;
  font-variant-numeric: tabular-nums; }
.kirim-job code { background: none; color: inherit; padding: 0; font-size: 12.5px; }
.kirim-job .bar { display: flex; height: 20px; margin: 4px 0 6px; }
.kirim-job .bar span { min-width: 2px; }
.kirim-job .kirim-plan { margin-top: 10px; }
.kirim-job table { border-collapse: collapse; margin: 6px 0 0; font-size: 13px; }
.kirim-job th, .kirim-job td { text-align: right; padding: 2px 18px 2px 0; border: 0;
  background: none; color: inherit; font-variant-numeric: tabular-nums;
  overflow-wrap: normal; }
.kirim-job td { white-space: nowrap; }
</style>"""

_DOING: Final = {"attach": "Attaching", "detach": "Detaching"}
_TO: Final = {"attach": "to", "detach": "from"}
_STEPS: Final = {"apply": 1, "resolve": 2}


@dataclass(frozen=True)
class JobFacts:
    """What a job is about.

    Attributes
    ----------
    run_id, label_id, operation : str
        As of the run.
    contacts, rows : int
        Distinct contacts, and rows of the frame.
    started : datetime
        With its time zone.
    label_name : str or None
        Shown instead of the label's id.
    """

    run_id: str
    label_id: str
    operation: str
    contacts: int
    rows: int
    started: datetime
    label_name: str | None = None

    @property
    def sentence(self) -> str:
        """What is being done, in a few words."""
        return self._say(_DOING[self.operation])

    @property
    def order(self) -> str:
        """What was asked for, whatever became of it."""
        return self._say(self.operation.capitalize())

    def _say(self, verb: str) -> str:
        what, to = self.label_name or self.label_id, _TO[self.operation]
        return f"{verb} {what} {to} {many(self.contacts, 'contact')}"


def phase_text(operation: str, progress: Progress, steps: int) -> str:
    """Name the step the run is at."""
    names = {
        "apply": f"{_DOING[operation].lower()} the label",
        "resolve": "finding out who was skipped (the label is set; stopping loses nothing)",
    }
    return f"Step {_STEPS[progress.phase]} of {steps}: {names[progress.phase]}"


def done_and_total(progress: Progress) -> tuple[int, int]:
    """Return how far the bar of the present step is, and its length, in contacts."""
    if progress.phase == "apply":
        return progress.answered, progress.contacts
    return progress.to_resolve - progress.undetermined, progress.to_resolve


def state_text(progress: Progress) -> str:
    """Say in one line where the run stands."""
    done, total = done_and_total(progress)
    answers = "answers" if progress.phase == "apply" else "outcomes known"
    return (
        f"{answers} for {done:,} of {many(total, 'contact')}, {progress.applied:,} applied, "
        f"{progress.skipped:,} skipped"
    )


def counts_html(progress: Progress) -> str:
    """Show how many contacts are in which state."""
    waiting = progress.contacts - progress.answered
    counts = [
        ("applied", COLOURS["applied"], progress.applied),
        ("skipped", COLOURS["skipped"], progress.skipped),
        ("not answered yet", COLOURS["not_sent"], waiting),
    ]
    # The last one goes when it is nothing; the others would make what follows jump.
    shown = counts if waiting else counts[:-1]
    return "".join(count_html(name, colour, number) for name, colour, number in shown)


def pace_html(progress: Progress, per_minute: float, seconds: float) -> str:
    """Show requests, pace, time, and why the run waits."""
    about = max(progress.requests_expected, progress.requests)
    left = (about - progress.requests) / per_minute * 60
    parts = [
        f"request {progress.requests:,} of about {about:,}",
        f"at most {per_minute:,.0f} a minute",
        f"{duration_text(seconds)} so far",
    ]
    if left >= 1:
        parts.append(f"about {duration_text(left)} left for this step")
    waiting = html.escape(progress.waiting) if progress.waiting else ""
    # The line is always there, so that nothing below it jumps.
    return f"{' · '.join(parts)}<br>{f'Waiting: {waiting}' if waiting else '&nbsp;'}"


def heading_html(facts: JobFacts, *, running: bool) -> str:
    """Say what the job is."""
    sentence = facts.sentence if running else facts.order
    return framed(
        f"<p><strong>{html.escape(sentence)}</strong> "
        f'<span class="soft">· started {facts.started:%H:%M:%S} · '
        f"<code>{html.escape(facts.run_id)}</code></span></p>"
    )


def note_html(facts: JobFacts, now: datetime) -> str:
    """Say what to do when the live view is gone; no counts, which the bar above would outrun."""
    return framed(
        '<p class="soft">Should this stand still before the run has ended (its kernel is gone, or '
        f"this is a copy): at {now:%H:%M:%S} the run was at work. <code>kp.runs()</code> tells "
        f'where it stands, and <code>df.kirim.resume("{html.escape(facts.run_id)}")</code> goes on '
        "with it.</p>"
    )


def duration_text(seconds: float) -> str:
    """Say a duration the way people do."""
    minutes, rest = divmod(round(seconds), 60)
    if minutes >= 60:
        return f"{minutes // 60} h {minutes % 60} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def count_html(name: str, colour: str, number: int) -> str:
    """Show one number with the colour and the name of what it counts."""
    dot = f'<span class="dot" style="background: {colour}"></span>'
    return f'<span class="count">{dot}{number:,} {html.escape(name)}</span>'


def framed(content: str) -> str:
    """Put HTML into the element that carries the style."""
    return f'{_STYLE}<div class="kirim-job">{content}</div>'


def team_shown(team_id: str | None) -> str:
    """Shorten a team's id, which is all the service tells of it."""
    return f"team …{team_id[-4:]}" if team_id else "no team"


def many(number: int, noun: str) -> str:
    """Count things: ``1 row``, ``2 rows``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
