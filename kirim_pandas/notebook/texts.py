"""What bars, jobs and the panel say, as text and as HTML: pure functions of where a run stands.

The HTML takes its colours from the notebook's theme.  People count customers, so every number
without a noun of its own is a number of contacts.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from markupsafe import Markup

from kirim_pandas.frames.charts import COLOURS
from kirim_pandas.frames.plan import minutes_for
from kirim_pandas.run.progress import Progress

EMPTY: Final = Markup("")

# Scoped to .kirim-job; stands in every piece, since each must be readable alone.
_STYLE: Final = Markup("""<style>
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
.kirim-job .bar { display: flex; height: 20px; margin: 4px 0 6px;
  background: var(--jp-border-color3, rgba(127, 127, 127, 0.25)); }
.kirim-job .bar span { min-width: 2px; }
.kirim-job .kirim-plan { margin-top: 10px; }
.kirim-job table { border-collapse: collapse; margin: 6px 0 0; font-size: 13px; }
.kirim-job th, .kirim-job td { text-align: right; padding: 2px 18px 2px 0; border: 0;
  background: none; color: inherit; font-variant-numeric: tabular-nums;
  overflow-wrap: normal; }
.kirim-job td { white-space: nowrap; }
</style>""")

LIVE_CLASS: Final = "kirim-live"
"""Class of a box of widgets that is drawn: a saved notebook without its kernel has none."""

_KEPT_STYLE: Final = Markup(
    "<style>.jp-OutputArea:has(.kirim-live) .kirim-kept { display: none; }</style>"
)

ENOUGH_REQUESTS: Final = 5
"""The first one goes alone, to learn the limit: from fewer, the speed so far tells nothing."""

_DOING: Final = {"attach": "Attaching", "detach": "Detaching"}
_TO: Final = {"attach": "to", "detach": "from"}
_STEPS: Final = {"apply": 1, "resolve": 2}


@dataclass(frozen=True)
class JobFacts:
    """What a run is about.

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
    steps : int
        1 where nobody is sought who was skipped, else 2.
    has_frame : bool
        Whether it was made from a frame, by which it is gone on with.
    task : (str, str) or None
        What is being done, and what was asked for, of several runs under one id.
    counted : (int, int)
        How many contacts of those runs were counted as passing and as skipped before.
    """

    run_id: str
    label_id: str
    operation: str
    contacts: int
    rows: int
    started: datetime
    label_name: str | None = None
    steps: int = 2
    has_frame: bool = True
    how: str = ""
    task: tuple[str, str] | None = None
    counted: tuple[int, int] = (0, 0)

    @property
    def sentence(self) -> str:
        """What is being done, in a few words."""
        return self.task[0] if self.task else self._say(_DOING[self.operation])

    @property
    def order(self) -> str:
        """What was asked for, whatever became of it."""
        return self.task[1] if self.task else self._say(self.operation.capitalize())

    @property
    def resume(self) -> str:
        """The call that goes on with it."""
        way = "df.kirim" if self.has_frame and not self.task else "kp"
        return f'{way}.resume("{self.run_id}"{self.how if way == "df.kirim" else ""})'

    @property
    def seconds(self) -> float:
        """Time since the run was started."""
        return (datetime.now().astimezone() - self.started).total_seconds()

    def _say(self, verb: str) -> str:
        what, to = self.label_name or self.label_id, _TO[self.operation]
        return f"{verb} {what} {to} {many(self.contacts, 'contact')}"


class StepShare:
    """How far the present step of one run is, from 0 to 1.

    While the skipped are sought, most contacts get their outcomes late and together; requests go
    on steadily, so they are what the bar then shows.
    """

    def __init__(self) -> None:
        self._requests_before: int | None = None

    def __call__(self, now: Progress) -> float:
        """Return the share for where the run stands; call it at each drawing."""
        if _sends(now):
            return min(1.0, now.answered / now.contacts) if now.contacts else 1.0
        if self._requests_before is None:
            self._requests_before = now.requests
        made = now.requests - self._requests_before
        return made / max(now.requests_expected - self._requests_before, made, 1)


# -- text ------------------------------------------------------------------------------------


def start_text(facts: JobFacts) -> str:
    """Say what begins, and under which id it is found again."""
    return f"{facts.sentence}. Run {facts.run_id}."


def phase_text(facts: JobFacts, progress: Progress) -> str:
    """Name the step the run is at."""
    if progress.at_work:
        naming = " – finding out who was skipped" * (progress.phase != "apply")
        return f"{progress.at_work}{naming}"
    name = f"{_DOING[facts.operation].lower()} the label"
    if progress.phase != "apply":
        done = {"attach": "set", "detach": "removed"}[facts.operation]
        name = f"finding out who was skipped (the label is {done}; stopping loses nothing)"
    return f"Step {_STEPS[progress.phase]} of {facts.steps}: {name}"


def state_text(progress: Progress) -> str:
    """Say in one line where the run stands."""
    done, total = _done_and_total(progress)
    answers = "answers" if _sends(progress) else "outcomes known"
    return (
        f"{answers} for {done:,} of {many(total, _noun(progress))}, {progress.applied:,} applied, "
        f"{progress.skipped:,} skipped"
    )


def time_left_text(progress: Progress, per_minute: float, seconds: float) -> str:
    """Say how long the present step will still take: at this pace, or as slowly as so far."""
    left = max(progress.requests_expected - progress.requests, 0)
    # A full bucket lets the first requests go at once.
    after = minutes_for(progress.requests + left, per_minute)
    at_pace = 60 * (after - minutes_for(progress.requests, per_minute))
    made = progress.requests
    as_so_far = left * seconds / made if made >= ENOUGH_REQUESTS else 0.0
    longer = max(at_pace, as_so_far)
    return f"{_about(progress)} {duration_text(longer)} left" if longer >= 1 else "under 1 s left"


def line_words(progress: Progress, per_minute: float, seconds: float) -> list[str]:
    """Say where the run stands in one line, in fewer and fewer words.

    Parameters
    ----------
    progress
        Where the run stands.
    per_minute
        Requests.
    seconds
        Since the run began.

    Returns
    -------
    list of str
        The longest first.  Why the run waits and how long it will take outlast the counts.
    """
    done, total = _done_and_total(progress)
    about = max(progress.requests_expected, progress.requests)
    counted = f"{done:,} of {total:,} {f'{_noun(progress)}s' if _sends(progress) else 'settled'}"
    counts = f"{progress.applied:,} applied, {progress.skipped:,} skipped"
    requests = f"request {progress.requests:,} of {_about(progress)} {about:,}"
    left = time_left_text(progress, per_minute, seconds)
    wordings = [
        [counted, counts, requests, f"{duration_text(seconds)} so far", left],
        [counted, counts, requests, left],
        [counted, f"{progress.skipped:,} skipped", left],
        [counted, left],
        [left],
    ]
    if not progress.waiting:
        return [", ".join(parts) for parts in wordings]
    reason = [f"waiting: {progress.waiting}"]
    short = [[counted, left, "waiting"], [left, "waiting"], ["waiting"]]
    return [", ".join(parts) for parts in [*(parts + reason for parts in wordings), *short]]


def duration_text(seconds: float) -> str:
    """Say a duration the way people do."""
    minutes, rest = divmod(round(seconds), 60)
    if minutes >= 60:
        return f"{minutes // 60} h {minutes % 60} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def team_shown(team_id: str | None) -> str:
    """Shorten a team's id, which is all the service tells of it."""
    return f"team …{team_id[-4:]}" if team_id else "no team"


def many(number: int, noun: str) -> str:
    """Count things: ``1 row``, ``2 rows``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _sends(progress: Progress) -> bool:
    """Tell whether answers are counted, or outcomes: of several runs always the answers."""
    return progress.phase == "apply" or bool(progress.at_work)


def _about(progress: Progress) -> str:
    """Say how sure the requests expected are: what explains the skips may spare most of them."""
    return "about" if progress.phase == "apply" else "up to about"


def _noun(progress: Progress) -> str:
    """Name what is counted: in several runs a contact counts once for each."""
    return "label change" if progress.at_work else "contact"


def _done_and_total(progress: Progress) -> tuple[int, int]:
    if _sends(progress):
        return progress.answered, progress.contacts
    return progress.to_resolve - progress.undetermined, progress.to_resolve


# -- HTML ------------------------------------------------------------------------------------


def running_html(facts: JobFacts, progress: Progress, share: float, *, per_minute: float) -> Markup:
    """Show a run at work: its step, a bar, the counts, the pace, and why it waits.

    Parameters
    ----------
    facts
        What the run is about.
    progress
        Where it stands.
    share
        How far the present step is, from 0 to 1.
    per_minute
        Requests.
    """
    done, total = _done_and_total(progress)
    parts = {"applied": share}
    if _sends(progress) and progress.answered:
        skipped = share * progress.skipped / progress.answered
        parts = {"applied": share - skipped, "skipped": skipped}
    return framed(
        Markup("<p><strong>{}</strong> · {} of {}</p>{}<p>{}</p><p class='soft'>{}</p>").format(
            phase_text(facts, progress),
            f"{done:,}",
            many(total, _noun(progress)),
            bar_html(parts, value=share),
            _counts_html(progress),
            _pace_html(progress, per_minute, facts.seconds),
        )
    )


def bar_html(shares: dict[str, float], *, value: float | None = None) -> Markup:
    """Draw shares, by status, as one bar; what is left of a whole stays empty.

    Parameters
    ----------
    shares
        From 0 to 1.
    value
        How far a run is, from 0 to 1; None for a picture of its end.
    """
    role = Markup('role="img" aria-label="shares of the contacts"')
    if value is not None:
        bounds = Markup('aria-valuemin="0" aria-valuemax="100" aria-valuenow="{:.0f}"')
        role = Markup('role="progressbar" ') + bounds.format(100 * value)
    part = Markup('<span style="flex: 0 0 {:.2f}%; background: {}"></span>')
    drawn = [
        part.format(100 * share, COLOURS[status]) for status, share in shares.items() if share > 0
    ]
    return Markup('<div class="bar" {}>{}</div>').format(role, EMPTY.join(drawn))


def heading_html(facts: JobFacts, *, running: bool) -> Markup:
    """Say what the run is."""
    return framed(
        Markup(
            '<p><strong>{}</strong> <span class="soft">· started {} · <code>{}</code></span></p>'
        ).format(
            facts.sentence if running else facts.order, f"{facts.started:%H:%M:%S}", facts.run_id
        )
    )


def note_html(facts: JobFacts, progress: Progress, at: datetime) -> Markup:
    """Say where the run stood, and what to do where nothing tells where it stands now."""
    return kept(
        Markup(
            '<p class="soft">At {}: {}. Should this stand still (its kernel is gone, or this is a '
            "copy): <code>kp.runs()</code> tells where the run stands, and "
            "<code>{}</code> goes on with it.</p>"
        ).format(f"{at:%H:%M:%S}", state_text(progress), facts.resume)
    )


def count_html(name: str, colour: str, number: int) -> Markup:
    """Show one number with the colour and the name of what it counts."""
    return Markup(
        '<span class="count"><span class="dot" style="background: {}"></span>{} {}</span>'
    ).format(colour, f"{number:,}", name)


def framed(content: Markup) -> Markup:
    """Put HTML into the element that carries the style."""
    return _STYLE + Markup('<div class="kirim-job">{}</div>').format(content)


def kept(content: Markup) -> Markup:
    """Show HTML only where no live view stands beside it, which it might contradict."""
    return _KEPT_STYLE + framed(Markup('<div class="kirim-kept">{}</div>').format(content))


def _counts_html(progress: Progress) -> Markup:
    waiting = progress.contacts - progress.answered
    counts = [
        count_html("applied", COLOURS["applied"], progress.applied),
        count_html("skipped", COLOURS["skipped"], progress.skipped),
        count_html("not answered yet", COLOURS["not_sent"], waiting),
    ]
    # The last one goes when it is nothing; the others would make what follows jump.
    return EMPTY.join(counts if waiting else counts[:-1])


def _pace_html(progress: Progress, per_minute: float, seconds: float) -> Markup:
    about = max(progress.requests_expected, progress.requests)
    parts = [
        f"request {progress.requests:,} of {_about(progress)} {about:,}",
        f"at most {per_minute:,.0f} a minute",
        f"{duration_text(seconds)} so far",
        f"{time_left_text(progress, per_minute, seconds)} for this step",
    ]
    # The second line is always there, so that nothing below it jumps.
    waiting = f"Waiting: {progress.waiting}" if progress.waiting else Markup("&nbsp;")
    return Markup("{}<br>{}").format(" · ".join(parts), waiting)
