"""What came back: counts go into the books, failures become events and further calls.

A run that was taken up again may have been given the key of another organisation. Its refusals
say nothing of what the run's own organisation did with a call, so they are believed only once a
call was counted: only the organisation of the label finds it, and ids are never reused. Under
the very key that the run was started with there is no such doubt.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from kirim_pandas.errors import KirimError
from kirim_pandas.grouptesting.outcomes import MAX_CONTACTS_PER_CALL, Positions, cut_to_size
from kirim_pandas.run.calls import UNPLANNED, Call, PastCall, Phase, Reply
from kirim_pandas.run.events import CallAnswered, CallLost, CallRefused, CallUnsent, Event
from kirim_pandas.run.ledger import Ledger
from kirim_pandas.run.pool import Done
from kirim_pandas.run.refusals import (
    TOO_LARGE,
    Refusal,
    explain_many_refusals,
    explain_missing_label,
    read_refusal,
    split_refused,
)
from kirim_pandas.run.rounds import ProbeRound

__all__ = ["MAX_REFUSED_CONTACTS", "Halt", "Settler"]

MAX_REFUSED_CONTACTS = 20
"""More refused ids than this is a wrong column, not bad luck: the run stops."""

MAX_REKEYS = 3
"""How often in a row a call is sent again under a new key when the service stored a failure."""


class Halt(Exception):  # noqa: N818 - never leaves a run
    """The run ends here; `error` says why, None after a press of the stop button."""

    def __init__(self, error: BaseException | None) -> None:
        self.error = error


class Settler:
    """Settles the calls of one session of a run.

    Parameters
    ----------
    ledger
        The books.
    past
        The calls of earlier sessions.
    new_key
        Makes a new idempotency key.
    own_key
        Whether the service's key is the one that the calls of `past` were sent under.

    Attributes
    ----------
    round : ProbeRound
        The probes being asked; set by the run.
    largest : int
        The most contacts that the service has not found too many for one call.
    tries_sizes : bool
        Whether the last size was too large, and no call of the next one was answered yet.
    """

    def __init__(
        self,
        ledger: Ledger,
        past: Sequence[PastCall],
        new_key: Callable[[], str],
        *,
        own_key: bool = False,
    ) -> None:
        self.round = ProbeRound()
        self.largest = MAX_CONTACTS_PER_CALL
        self.tries_sizes = False
        self._ledger = ledger
        self._new_key = new_key
        for known in past:
            if known.code == TOO_LARGE:
                self._learn_size(known.call)
        # Of these an earlier try may have been carried out, whatever a later try says.
        self._doubtful = {p.call.number for p in past if p.state == "sent"}
        self._answered_before = any(p.state == "answered" for p in past)
        self._label_found = False
        self._own_key = (
            own_key or not past
        )  # whether the key is certainly of the run's organisation
        self._aside: list[tuple[Done, Refusal]] = []  # refused before that was certain
        self._singled_out: set[bytes] = set()
        self._trust_param = True
        self._refused_left = MAX_REFUSED_CONTACTS
        self._rekeys_left = MAX_REKEYS

    def new_call(self, phase: Phase, positions: Positions, **place: int | None) -> Call:
        """Make a call that nobody has sent yet."""
        return Call(UNPLANNED, phase, positions, self._new_key(), **place)  # type: ignore[arg-type]

    def cut(self, call: Call) -> list[Call]:
        """Cut a call that nobody has sent yet to the size that the service takes."""
        if len(call.positions) <= self.largest:
            return [call]
        parts = cut_to_size(call.positions, self.largest)
        return [replace(call, positions=part, key=self._new_key()) for part in parts]

    def may_have_happened(self, call: Call) -> bool:
        """Whether a try of an earlier session may have been carried out."""
        return call.number in self._doubtful

    # -- what came back --------------------------------------------------------------------

    def batch(self, done: Done) -> Iterator[Event | Call]:
        """Settle a call of the apply phase."""
        call, positions = done.call, done.call.positions
        if done.reply is not None:
            if positions.tobytes() in self._singled_out:
                self._trust_param = False  # the service pointed at an id that it takes
            yield from self.answered(call, done.reply)
            return
        refusal = read_refusal(done.error, len(positions))
        if refusal is None:
            yield from self._failed(done)
            return
        yield from self._refused(done, refusal)
        if refusal.too_large:
            self._ledger.unsent(positions)
            yield self._again(call)
            return
        index = refusal.index if self._trust_param else None
        parts = split_refused(positions, index)
        if parts:
            self._ledger.unsent(positions)
            if index is not None:
                self._singled_out.add(parts[0].tobytes())
            yield from (self.new_call("apply", part, batch=call.batch) for part in parts)
            return
        self._ledger.refused(positions, refusal.code, refusal.request_id)
        self._count_refused(done)

    def probe(self, done: Done) -> Iterator[Event | Call]:
        """Settle a call of the resolve phase; a refused probe has no reply."""
        if done.reply is not None:
            yield from self.answered(done.call, done.reply)
        elif refusal := read_refusal(done.error, len(done.call.positions)):
            yield from self._refused(done, refusal)
            if refusal.too_large:
                yield self._again(done.call)
            elif not self._own_key:
                self._count_refused(done)
        else:
            yield from self._failed(done)

    def answered(self, call: Call, reply: Reply) -> Iterator[Event]:
        """Enter counts."""
        self._rekeys_left = MAX_REKEYS
        self._label_found = True
        self.tries_sizes = False
        if call.phase == "apply":
            self._ledger.answered(call.positions, reply.counts, reply.request_id)
        else:
            self.round.answered(call, reply.counts)
        yield CallAnswered(call, reply, self._ledger.answered_count)
        if not self._own_key:
            self._own_key = True
            for done, refusal in self._aside:
                self._ledger.cleared(done.call.positions)
                yield CallRefused(done.call, refusal.code, refusal.request_id)
            self._aside.clear()

    def check_key(self) -> None:
        """End the run if it could ask nothing, and perhaps only for the key it was resumed with."""
        probes = [done for done, _ in self._aside if done.call.phase != "apply"]
        if probes and not self._own_key:
            explain_many_refusals(probes[-1].error, len(self._aside), own_key=False)
            raise Halt(probes[-1].error)

    def note_failure(self, done: Done) -> CallLost | CallUnsent:
        """Tell a call that may have been carried out from one that certainly was not."""
        call, error = done.call, done.error
        if not isinstance(error, KirimError):
            return CallLost(call, type(error).__name__)
        if error.maybe_applied or self.may_have_happened(call):
            return CallLost(call, str(error))
        if call.phase == "apply":
            self._ledger.unsent(call.positions)
        return CallUnsent(call)

    # -- inside ----------------------------------------------------------------------------

    def _refused(self, done: Done, refusal: Refusal) -> Iterator[Event]:
        """Write down a refusal for as much as it says."""
        call, doubtful = done.call, self.may_have_happened(done.call)
        if refusal.too_large:
            self._learn_size(call)
            # Something on the way may refuse by now what it let through before.
            doubtful |= getattr(done.error, "maybe_applied", False)
            certain = not doubtful
        else:
            # The key's first reply is a refusal, so no try under this key was carried out.
            certain = self._own_key
            if not certain:
                self._aside.append((done, refusal))
        if certain:
            yield CallRefused(call, refusal.code, refusal.request_id)
        elif doubtful:
            if call.phase == "apply":
                self._ledger.doubted(call.positions, call.batch)
            yield CallLost(call, str(done.error))
        else:
            yield CallUnsent(call)

    def _failed(self, done: Done) -> Iterator[Event | Call]:
        """No counts, and nothing that is wrong with single ids."""
        noted = self.note_failure(done)
        yield noted
        if getattr(done.error, "replayed", False) and self._rekeys_left:
            # The service stored its own failure under the key and would repeat it for a day.
            # A new key is safe in effect: attaching and detaching twice is a no-op.
            self._rekeys_left -= 1
            if done.call.phase == "apply" and isinstance(noted, CallLost):
                self._ledger.doubted(done.call.positions, done.call.batch)
            yield self._again(done.call)
            return
        explain_missing_label(
            done.error, found_now=self._label_found, found_before=self._answered_before
        )
        raise Halt(done.error)

    def _count_refused(self, done: Done) -> None:
        self._refused_left -= 1
        if self._refused_left < 0:
            explain_many_refusals(done.error, MAX_REFUSED_CONTACTS + 1, own_key=self._own_key)
            raise Halt(done.error)

    def _again(self, call: Call) -> Call:
        return replace(call, number=UNPLANNED, key=self._new_key())

    def _learn_size(self, call: Call) -> None:
        self.largest = min(self.largest, (len(call.positions) + 1) // 2)
        self.tries_sizes = True
