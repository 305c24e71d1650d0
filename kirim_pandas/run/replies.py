"""What came back: counts are entered, failures become events and further calls.

A run that was taken up again may have been given the key of another organisation. Its refusals
say nothing of what the run's own organisation did with a call, so they are believed only once a
call was counted: only the organisation of the label finds it, and ids are never reused. Under
the very key that the run was started with there is no such doubt.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import TypeAlias

import numpy as np

from kirim_pandas.errors import ProtocolError
from kirim_pandas.run.calls import Call, CallState, PastCall, Reply
from kirim_pandas.run.events import CallAnswered, CallLost, CallRefused, CallUnsent, Event
from kirim_pandas.run.ledger import Ledger
from kirim_pandas.run.outbox import Outbox
from kirim_pandas.run.pool import Done
from kirim_pandas.run.refusals import (
    LEAVES,
    TOO_LARGE,
    Failure,
    Said,
    explain_doubted_refusals,
    explain_many_refusals,
    explain_missing_label,
    explain_refused_probes,
    read_failure,
    split_refused,
)
from kirim_pandas.run.rounds import ProbeRound

MAX_REFUSED_CONTACTS = 20
"""More refused ids than this is a wrong column, not bad luck: the run ends."""

MAX_REFUSED_PROBES = 12
"""More refused probes in a row than this, and the fault is not in single contacts: the run ends."""

FEWEST_SUSPECTED = 30
"""A body with so few ids has 1 kB: nothing on the way finds that too large."""

MAX_REKEYS = 3
"""How often in a row a call is sent again under a new key when the service stored a failure."""

NOT_ITS_OWN = (
    "two calls were answered under one request id, so something between you and Kirim, such as a "
    "cache, gave one of them the reply to the other. Nothing is concluded from either: whoever "
    "runs the network must let Kirim's address pass uncached"
)

Events: TypeAlias = Generator[Event, None, None]


class Halt(Exception):  # noqa: N818 - never leaves a run
    """The run ends here; `error` says why, None after a press of the stop button."""

    def __init__(self, error: BaseException | None) -> None:
        self.error = error


class ReplyHandler:
    """Takes what came back in one session of a run.

    Parameters
    ----------
    ledger
        Where answers of the apply phase are entered.
    outbox
        Where further calls are put.
    past
        The calls of earlier sessions.
    own_key
        Whether the service's key is the one that the calls of `past` were sent under.

    Attributes
    ----------
    rounds : dict of int to ProbeRound
        The probes being asked, by planner; set by the run.
    refused_probe : BaseException or None
        The last refusal of contacts that the service had taken before; reset by the run.
    trusts_probes : bool
        Whether no answer was withdrawn, from which names may have been concluded.
    """

    def __init__(
        self, ledger: Ledger, outbox: Outbox, past: Sequence[PastCall], *, own_key: bool
    ) -> None:
        self.rounds: dict[int, ProbeRound] = {}
        self.refused_probe: BaseException | None = None
        self.trusts_probes = True
        self._ledger = ledger
        self._outbox = outbox
        # Of these an earlier try may have been carried out, whatever a later try says.
        sent = [p.call for p in past if p.state == "sent"]
        self._in_doubt = {call.number for call in sent}
        self._doubted_before = {int(at) for call in sent for at in call.positions}
        self._own_key = own_key or not past
        self._answered_before = any(p.state == "answered" for p in past)
        self._label_found = False
        # Whose answer a request id is.
        self._answers = {p.reply.request_id: p.call for p in past if p.reply is not None}
        self._aside: list[tuple[Call, Failure]] = []  # refused before the key had proved itself
        # Calls whose ids were refused after a try that may have been carried out; contacts of
        # them that were refused alone, and not since others were answered; and those asked since.
        self._doubted: list[Call] = []
        self._alone: list[tuple[Call, Failure]] = []
        self._asked_since: set[bytes] = set()
        self._answered_since = False
        self._singled_out: set[bytes] = set()
        self._trusts_param = True
        self._refused_contacts = 0
        self._refused_in_a_row = 0
        self._rekeys_left = MAX_REKEYS
        self._largest_answered = max(
            (len(p.call.positions) for p in past if p.state == "answered"), default=0
        )

    def may_have_happened(self, call: Call) -> bool:
        """Whether a try of an earlier session may have been carried out."""
        return call.number in self._in_doubt

    def handle(self, done: Done) -> Events:
        """Enter what came back; put into the outbox what follows from it, or end the run."""
        failure = yield from self.enter(done)
        if failure is not None:
            self._go_on(done.call, failure)

    def enter(self, done: Done) -> Generator[Event, None, Failure | None]:
        """Enter what came back, and no more; returns what is amiss with it."""
        call, error, owner = done.call, done.error, self._owner(done)
        if done.reply is not None and owner is None:
            yield from self._answered(call, done.reply)
            return None
        if owner is not None:
            error = error or ProtocolError(NOT_ITS_OWN)
            if not self.may_have_happened(owner):
                yield self._withdrawn(owner)
        failure = read_failure(error, len(call.positions))
        yield self._left(call, failure)
        if failure.said is Said.IDS and call.positions.tobytes() in self._asked_since:
            yield from self._not_doubted(call, failure)
        return failure

    @property
    def doubts_refusals(self) -> bool:
        """Whether contacts in doubt were refused, and nothing was answered since."""
        return bool(self._alone)

    def check_refused(self) -> None:
        """End the run if contacts in doubt were refused, and nothing was answered since."""
        if not self._alone:
            return
        error = self._alone[-1][1].error
        if self._own_key:
            explain_doubted_refusals(error)
        else:
            explain_many_refusals(error, len(self._aside), own_key=False)
        raise Halt(error)

    def check_key(self) -> None:
        """End the run if it could ask nothing, and perhaps only for the key it was resumed with."""
        probes = [failure for call, failure in self._aside if call.phase != "apply"]
        if probes and not self._own_key:
            explain_many_refusals(probes[-1].error, len(self._aside), own_key=False)
            raise Halt(probes[-1].error)

    # -- what is known now -----------------------------------------------------------------

    def _answered(self, call: Call, reply: Reply) -> Events:
        self._rekeys_left = MAX_REKEYS
        self._refused_in_a_row = 0
        self._label_found = True
        self._largest_answered = max(self._largest_answered, len(call.positions))
        self._outbox.tries_sizes = False
        if reply.request_id:
            self._answers[reply.request_id] = call
        if call.phase == "apply":
            if call.positions.tobytes() in self._singled_out:
                self._trusts_param = False  # the service pointed at an id that it takes
            self._ledger.answered(call.positions, reply.counts)
        else:
            self._round_of(call).answered(call, reply.counts)
        yield CallAnswered(call, reply, self._ledger.answered_count)
        self._answered_since = bool(self._doubted or self._doubted_before)
        for alone, _ in self._alone:
            self._ask_since(alone)
        self._alone.clear()
        if not self._own_key:
            self._own_key = True
            for refused, failure in self._aside:
                if refused in self._doubted:
                    continue
                if refused.phase != "apply":
                    self._round_of(refused).refused_calls.append(refused)
                yield CallRefused(refused, failure.code, failure.request_id)
            self._aside.clear()

    def _round_of(self, call: Call) -> ProbeRound:
        return self.rounds.setdefault(call.planner, ProbeRound(planner=call.planner))

    def _left(self, call: Call, failure: Failure) -> Event:
        """Enter what a failure leaves of the call."""
        about_ids = failure.said is Said.IDS
        state = LEAVES[failure.said, self._left_before(call, failure), self._own_key]
        if call.phase == "apply":
            self._batch_left(call, failure, state)
        elif about_ids and self._own_key:
            self._round_of(call).refused_calls.append(call)
        if about_ids and not self._own_key:
            self._aside.append((call, failure))
        if about_ids and state == "sent" and call.phase == "apply":
            self._doubted.append(call)
        if state == "refused":
            return CallRefused(call, failure.code, failure.request_id)
        if state == "sent":
            return CallLost(call, failure.reason)
        return CallUnsent(call, failure.code, failure.request_id)

    def _left_before(self, call: Call, failure: Failure) -> bool:
        """Whether a try may have been carried out, for all that is said now."""
        denies = failure.replayed or call.phase != "apply"  # a probe changes nothing
        if (failure.said, self._own_key, denies) == (Said.IDS, True, True):
            return False
        return failure.left or self.may_have_happened(call)

    def _batch_left(self, call: Call, failure: Failure, state: CallState) -> None:
        if state == "sent":
            self._ledger.lost(call)
        if failure.said is Said.IDS and len(call.positions) == 1:
            self._ledger.refused(call.positions, failure.code)
        elif state != "sent":
            self._ledger.unsent(call.positions)

    def _not_doubted(self, call: Call, failure: Failure) -> Events:
        """Take in that a contact is refused, for sure: no call that held it was carried out."""
        doubts = self._doubts(call)
        if call in doubts:  # this refusal is in doubt itself
            return
        for held in doubts:
            self._doubted.remove(held)
            self._ledger.not_lost(held)
            yield CallRefused(held, failure.code, None)  # the request id is the later call's

    def _owner(self, done: Done) -> Call | None:
        """Return the other call whose answer this is, told by its request id."""
        said = done.reply or done.error
        named = said.request_id if isinstance(said, Reply | ProtocolError) else None
        owner = self._answers.get(named) if named else None
        return None if owner is None or owner.key == done.call.key else owner

    def _withdrawn(self, call: Call) -> Event:
        """Take an answer back: which of two calls with one request id it was for is not known."""
        self._in_doubt.add(call.number)
        self.trusts_probes = False
        if call.phase == "apply":
            self._ledger.withdrawn(call)
        named = next(named for named, owner in self._answers.items() if owner is call)
        return CallLost(call, NOT_ITS_OWN, named)

    def _doubts(self, call: Call) -> list[Call]:
        """Return the calls in doubt that held all contacts of this one."""
        return [held for held in self._doubted if np.isin(call.positions, held.positions).all()]

    # -- what to do now --------------------------------------------------------------------

    def _go_on(self, call: Call, failure: Failure) -> None:
        if failure.too_large and (failure.code == TOO_LARGE or self._may_be_size(call)):
            self._outbox.again_smaller(call)
        elif failure.said is Said.IDS and call.phase == "apply":
            self._refused_batch(call, failure)
        elif failure.said is Said.IDS:
            self._refused_probe(failure)
        elif failure.replayed and self._rekeys_left:
            # The service stored its own failure under the key and would repeat it for a day.
            # A new key is safe in effect: attaching and detaching twice is a no-op.
            self._rekeys_left -= 1
            self._outbox.again(call)
        else:
            explain_missing_label(
                failure.error, found_now=self._label_found, found_before=self._answered_before
            )
            raise Halt(failure.error)

    def _may_be_size(self, call: Call) -> bool:
        """Whether that many contacts may be what something on the way does not let through."""
        return len(call.positions) > max(self._largest_answered, FEWEST_SUSPECTED)

    def _refused_batch(self, call: Call, failure: Failure) -> None:
        index = failure.index if self._trusts_param else None
        parts = split_refused(call.positions, index)
        if not parts:
            self._refused_alone(call, failure)
            self._count_refused(failure)
            return
        if index is not None:
            self._singled_out.add(parts[0].tobytes())
        self._outbox.again(call, parts)

    def _refused_alone(self, call: Call, failure: Failure) -> None:
        """Ask once more about a contact in doubt, as soon as bodies are known to arrive."""
        doubted = self._doubts(call) or int(call.positions[0]) in self._doubted_before
        if call.positions.tobytes() in self._asked_since or not doubted:
            return
        if self._answered_since:
            self._ask_since(call)
        else:
            self._alone.append((call, failure))

    def _ask_since(self, call: Call) -> None:
        self._asked_since.add(call.positions.tobytes())
        self._outbox.again(call)

    def _refused_probe(self, failure: Failure) -> None:
        """Let the probe go without an answer, unless the fault is not in single contacts."""
        self.refused_probe = failure.error
        self._refused_in_a_row += 1
        if not self._own_key:
            self._count_refused(failure)
        elif self._refused_in_a_row > MAX_REFUSED_PROBES:
            explain_refused_probes(failure.error)
            raise Halt(failure.error)

    def _count_refused(self, failure: Failure) -> None:
        self._refused_contacts += 1
        if self._refused_contacts > MAX_REFUSED_CONTACTS:
            explain_many_refusals(failure.error, self._refused_contacts, own_key=self._own_key)
            raise Halt(failure.error)
