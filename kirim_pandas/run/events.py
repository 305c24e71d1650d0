"""What a run says while it goes: the words between the run and its listeners.

The bar, the journal and the collector all listen to the same events.  A listener sees
:class:`CallPlanned` *before* the call is sent, so a journal that commits there knows of every
call that can have reached the service.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

from kirim_pandas.errors import KirimError
from kirim_pandas.grouptesting.outcomes import Outcomes
from kirim_pandas.guesses.columns import Column
from kirim_pandas.run.calls import Call, Phase, Reply

EndState: TypeAlias = Literal["finished", "capped", "stopped", "failed"]


@dataclass(frozen=True, slots=True)
class PhaseStarted:
    """A phase begins: `requests` is what it is expected to cost, `contacts` whom it concerns.

    Of a resumed run, earlier sessions have `answered` contacts, `skipped` among them.
    """

    phase: Phase
    requests: float
    contacts: int
    answered: int = 0
    skipped: int = 0


@dataclass(frozen=True, slots=True)
class CallPlanned:
    """The call is about to be sent; what must survive a crash is to be written now.

    Where `more` is true another such event follows before any of them leaves, so that one commit
    does for all.
    """

    call: Call
    more: bool = False


@dataclass(frozen=True, slots=True)
class CallAnswered:
    """The service answered with counts; by now it has answered for `answered` contacts."""

    call: Call
    reply: Reply
    answered: int


@dataclass(frozen=True, slots=True)
class CallRefused:
    """The service said no to this call, certainly without carrying it out."""

    call: Call
    code: str
    request_id: str | None


@dataclass(frozen=True, slots=True)
class CallLost:
    """No usable answer came; the service may have carried the call out.

    `request_id` is that of an answer that is taken back, for it may be another call's.
    """

    call: Call
    reason: str
    request_id: str | None = None


@dataclass(frozen=True, slots=True)
class CallUnsent:
    """The call was planned and certainly not carried out; it may be sent again later.

    `code` and `request_id` are those of the service's refusal, if it was that.
    """

    call: Call
    code: str = ""
    request_id: str | None = None


@dataclass(frozen=True, slots=True)
class Idle:
    """Nothing more can be sent until the next answer; whoever puts off work does it now."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A call waits: for the rate limit, after a fault, or for a reply in progress."""

    reason: str
    seconds: float


@dataclass(frozen=True, slots=True)
class RoundEnded:
    """A round of probes is decoded: contacts still without a name, requests still expected."""

    round: int
    undetermined: int
    requests_left: float


@dataclass(frozen=True, slots=True, eq=False)
class ColumnsLearnt:
    """Columns that were read before a round; they decide which probes are planned from then on."""

    round: int
    columns: tuple[Column, ...]


@dataclass(frozen=True, slots=True)
class RunEnded:
    """The last event of every run, however it ended.

    `skipped` is how many contacts the service counted as skipped, named or not; `cap` the
    requests that were spent and that ``max_requests`` allowed, where it left something to be
    asked; `found` says what the skips follow, where that was found and confirmed.
    """

    outcomes: Outcomes
    requests: int
    error: KirimError | None
    interrupted: bool
    skipped: int = 0
    cap: tuple[int, int] | None = None
    found: str = ""

    @property
    def state(self) -> EndState:
        """How it ended: all but ``finished`` can be resumed."""
        if self.interrupted:
            return "stopped"
        if self.error is not None:
            return "failed"
        return "finished" if self.cap is None else "capped"


Event: TypeAlias = (
    PhaseStarted
    | CallPlanned
    | CallAnswered
    | CallRefused
    | CallLost
    | CallUnsent
    | Idle
    | Waiting
    | RoundEnded
    | ColumnsLearnt
    | RunEnded
)


class Listener(Protocol):
    """Anything that wants to know: called in the thread of the run, once an event."""

    def __call__(self, event: Event, /) -> None:
        """Take one event."""
