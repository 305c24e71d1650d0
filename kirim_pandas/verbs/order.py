"""An order: a run that is ready to start, since everything was checked and nothing was sent."""

from __future__ import annotations

import secrets
import time
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from kirim_pandas import session
from kirim_pandas.api.protocol import operation_problems
from kirim_pandas.errors import InvalidInputError
from kirim_pandas.frames.features import features_of
from kirim_pandas.frames.ids import ContactIds, collect_ids, collect_matched
from kirim_pandas.frames.pairing import keep
from kirim_pandas.guesses.columns import Column
from kirim_pandas.journal.files import located
from kirim_pandas.run.spec import Job
from kirim_pandas.verbs.argument_checks import (
    client_problems,
    flag_problems,
    journal_problems,
    plain,
    progress_problems,
    refuse,
    shown,
)
from kirim_pandas.verbs.lookups.label_names import name_problems, resolved
from kirim_pandas.verbs.lookups.matching import Found, Question

if TYPE_CHECKING:
    from kirim_pandas.api.client import Client
    from kirim_pandas.run.calls import PastCall
    from kirim_pandas.verbs.arguments import (
        Hint,
        JournalChoice,
        LabelArguments,
        LabelOptions,
        Pandas,
    )


RESOLVE = ("rows", "batches")


@dataclass(frozen=True, eq=False)
class Order:
    """A run that is ready to start.

    Attributes
    ----------
    run_id, label_id, operation : str
        What to do.
    contact_ids : sequence of str
        Distinct ids in sending order.
    job : Job
        How far to go.
    ids : ContactIds or None
        How the rows of a frame mean the contacts; None for one row a contact.
    figures : dict or None
        What the journal is to say of the rows at the end; None to count them. A run that is
        resumed without its frame cannot count them.
    source : DataFrame, Series, Index, Kept or None
        What the ids were taken from; once the order is ready, what is kept of it for reports.
    client : Client or None
        Sends; None while it is not chosen, and where nothing is to be sent.
    journal : str, Path, False or None
        Where the run is written down; None for the usual place, False for nowhere.
    reads : bool
        Whether the organisation's list of contacts may be read to explain who is skipped.
    past : sequence of PastCall
        The calls of earlier sessions of a resumed run.
    own_key : bool
        Whether a resumed run goes on under the key it was started with.
    label_name : str or None
        Shown beside the label's id.
    undoes : str or None
        The run that this one takes back.
    series : str or None
        The id that the runs of one series share; it is what goes on with them.
    """

    run_id: str
    label_id: str
    operation: str
    contact_ids: Sequence[str]
    job: Job
    ids: ContactIds | None = None
    figures: dict[str, int] | None = None
    source: Any = None
    client: Client | None = None
    journal: JournalChoice = None
    reads: bool = True
    past: Sequence[PastCall] = ()
    own_key: bool = False
    label_name: str | None = None
    undoes: str | None = None
    series: str | None = None

    @property
    def rows(self) -> int:
        """Rows of the result."""
        return self.ids.rows if self.ids else len(self.contact_ids)

    @property
    def resume(self) -> str:
        """The call that goes on with it: by its frame, where it was made from one."""
        if self.series is not None:
            return f'kirim_pandas.resume("{self.series}")'
        if self.ids is None:
            return f'kirim_pandas.resume("{self.run_id}")'
        return f'df.kirim.resume("{self.run_id}"{self.ids.how})'


def prepare(obj: Pandas, asked: LabelArguments) -> Order:
    """Check all arguments and the frame; labels nobody, and reads only for names and look-ups.

    Raises
    ------
    InvalidInputError
        All that is wrong, a line each.
    """
    problems = [
        *name_problems(asked.label_id, asked.team_id),
        *operation_problems(asked.op),
        *usual_problems(asked),
    ]
    try:
        rows = Rows(obj, *asked.columns, hint=asked.hint)
    except InvalidInputError as error:
        problems.append(str(error))
    refuse(problems)
    client, journal = asked.client, asked.journal
    label_id, label_name = asked.label_id, None
    if rows.has_contacts:  # else nobody is labeled, and no key is needed
        label_id, label_name = resolved(label_id, asked.team_id, client, rows.known_ids)
    ids = rows.ids(client, progress=asked.progress is True)
    return Order(
        run_id=new_run_id(),
        label_id=label_id,
        operation=asked.op,
        contact_ids=ids.ids,
        job=Job(
            ids.contacts,
            groups=ids.groups,
            columns=columns_of(obj, ids, asked.hint) if asked.resolve == "rows" else (),
            resolve=asked.resolve,
            max_requests=asked.max_requests,
        ),
        reads=asked.reads,
        ids=ids,
        source=obj,
        client=client,
        journal=journal if journal is None or journal is False else located(journal),
        label_name=label_name,
    )


def new_run_id() -> str:
    """Make up the id of a new run; people know the day."""
    return f"run_{time.strftime('%Y%m%d')}_{secrets.token_hex(5)}"


class Rows:
    """The rows of a frame and what says which contact each means; checked when it is made.

    Parameters
    ----------
    obj, id_column, phone, email, hint
        As for ``df.kirim.bulk_label``.

    Raises
    ------
    InvalidInputError
        The frame or a column is not usable.
    """

    def __init__(
        self,
        obj: Pandas,
        id_column: Hashable | None,
        phone: Hashable | None,
        email: Hashable | None,
        *,
        hint: Hint,
    ) -> None:
        self._obj = obj
        self._hint = None if is_auto(hint) else hint
        self._question: Question | None = None
        if phone is None and email is None:
            self._ids = collect_ids(obj, id_column, hint=self._hint)
            return
        if id_column is not None:
            raise InvalidInputError(
                "id_column= names contact ids, phone= and email= look them up: give one of them."
            )

        self._question = Question.of(obj, phone=phone, email=email)
        self._ids = self._matched({}, 0)

    @property
    def has_contacts(self) -> bool:
        """Whether there is anybody to label, as far as can be told before a look-up."""
        return bool(self._question.wanted) if self._question else self._ids.contacts > 0

    @property
    def known_ids(self) -> Sequence[str]:
        """The contacts, as far as they are known."""
        return self._ids.ids

    def ids(self, client: Client | None, *, progress: bool) -> ContactIds:
        """Give the contacts; looks them up where that was asked for.

        Raises
        ------
        KirimError
            The service cannot be asked.
        RunInterrupted
            It was stopped; nobody was labeled.
        """
        if self._question and self._question.wanted:
            client = client or session.current_client()
            self._ids = self._matched(*self._question.ask(client, progress=progress))
        return self._ids

    def _matched(self, found: Found, reads: int) -> ContactIds:
        assert self._question is not None
        return collect_matched(
            self._obj,  # type: ignore[arg-type]  # a question is asked of a DataFrame only
            self._question.frame(found),
            looked_up=self._question.by,
            source=self._question.source,
            reads=reads,
            hint=self._hint,
        )


def is_auto(hint: object) -> bool:
    """Whether the hint is to be looked for."""
    return isinstance(hint, str) and hint == "auto"


def columns_of(obj: Pandas, ids: ContactIds, hint: Hint) -> tuple[Column, ...]:
    """Return what may explain who is skipped: the columns of the hint, or all of the frame."""
    if hint is None:
        return ()
    only = None if is_auto(hint) else hint if isinstance(hint, list) else [hint]
    return tuple(Column(*feature) for feature in features_of(obj, ids, only=only))


def ready(order: Order, *, sends: bool = True) -> Order:
    """Choose who sends, if anything is, and keep the frame as it is now, for reports."""
    client = order.client
    if client is None and sends and order.contact_ids:
        client = session.current_client()
    return replace(order, client=client, source=order.ids and keep(order.source, order.ids))


def usual_problems(asked: LabelOptions, *, kept: bool = False, **flags: object) -> list[str]:
    """Tell what is wrong with the options that all verbs have; `kept`: a journal is needed."""
    return [
        *option_problems(asked.resolve, asked.max_requests),
        *flag_problems(**flags, reads=asked.reads),
        *client_problems(asked.client),
        *journal_problems(asked.journal, needed=kept),
        *progress_problems(asked.progress),
    ]


def option_problems(resolve: object, max_requests: object) -> list[str]:
    """Tell what is wrong with the options of a run, a sentence each."""
    problems = []
    resolve = plain(resolve)
    if shown(resolve) not in map(repr, RESOLVE):
        expected = ", ".join(map(repr, RESOLVE))
        gone = ""
        if isinstance(resolve, str) and resolve == "certified":
            gone = ' Every name is confirmed by a call of its own by now: use resolve="rows".'
        problems.append(f"resolve={shown(resolve)} was found, expected one of {expected}.{gone}")
    return [*problems, *_cap_problems(plain(max_requests))]


def _cap_problems(cap: object) -> list[str]:
    if cap is None or (type(cap) is int and cap >= 1):
        return []
    return [f"max_requests={shown(cap)} was found, expected a whole number from 1 up, or None."]
