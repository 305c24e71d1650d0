"""The state of a run at a glance, kept from its events: what bars, jobs and callbacks show."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from kirim_pandas.run.calls import Phase
from kirim_pandas.run.events import (
    CallAnswered,
    CallPlanned,
    EndState,
    Event,
    PhaseStarted,
    RoundEnded,
    RunEnded,
    Waiting,
)

RunState: TypeAlias = Literal["running"] | EndState


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a run stands.

    Attributes
    ----------
    state : {"running", "finished", "capped", "stopped", "failed"}
        ``capped`` where ``max_requests`` left rows open, ``stopped`` by a person, ``failed`` by
        an error; all three can be resumed.
    phase : {"apply", "resolve"}
        ``apply`` sends the label, ``resolve`` finds out who was skipped.
    contacts : int
        Distinct contacts of the run.
    answered : int
        Contacts for which the service has answered.
    applied, skipped : int
        Contacts counted so far by the service as passing, and as skipped.
    undetermined : int
        Answered contacts of which it is not yet known whether they were skipped; counted from
        the start of the resolve phase on.
    to_resolve : int
        What `undetermined` was when the resolve phase began.
    requests : int
        Calls made so far in this session, retries not counted.
    requests_expected : int
        About how many calls the phase will have needed at its end, from the run's first call on;
        of ``resolve`` the most, as long as nothing explains who was skipped.
    waiting : str or None
        Why the run waits, if it does.
    cap : (int, int) or None
        Requests spent and allowed, of a run that is ``capped``.
    found : str
        What the skips follow, in a sentence, where that was found; known at the end.
    at_work : str
        Which label is at work, where several runs are carried out one after the other; the
        numbers are then of all of them, a contact counted once for each run.
    """

    contacts: int
    state: RunState = "running"
    phase: Phase = "apply"
    answered: int = 0
    applied: int = 0
    skipped: int = 0
    undetermined: int = 0
    to_resolve: int = 0
    requests: int = 0
    requests_expected: int = 0
    waiting: str | None = None
    cap: tuple[int, int] | None = None
    found: str = ""
    at_work: str = ""


class Tally:
    """Turns the events of one run into :class:`Progress`; one instance a run."""

    def __init__(self, contact_count: int) -> None:
        self.progress = Progress(contact_count)

    def __call__(self, event: Event) -> None:
        """Take one event."""
        now = self.progress
        match event:
            case PhaseStarted(phase, requests, contacts, answered, skipped):
                expected = now.requests + round(requests)
                now = replace(now, phase=phase, requests_expected=expected)
                if phase == "apply":
                    applied = answered - skipped
                    now = replace(now, answered=answered, applied=applied, skipped=skipped)
                if phase == "resolve":
                    now = replace(now, undetermined=contacts, to_resolve=contacts)
            case CallPlanned():
                now = replace(now, requests=now.requests + 1, waiting=None)
            case CallAnswered(call, reply, answered) if call.phase == "apply":
                counts = reply.counts
                skipped = counts.cross_org + counts.team_mismatch
                now = replace(
                    now,
                    answered=answered,
                    applied=now.applied + len(call.positions) - skipped,
                    skipped=now.skipped + skipped,
                    waiting=None,
                )
            case RoundEnded(_, undetermined, requests_left):
                expected = now.requests + round(requests_left)
                now = replace(now, undetermined=undetermined, requests_expected=expected)
            case Waiting(reason, _):
                now = replace(now, waiting=reason)
            case RunEnded():
                now = replace(
                    now, state=event.state, waiting=None, cap=event.cap, found=event.found
                )
            case _:
                pass
        self.progress = now
