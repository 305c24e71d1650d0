"""Going on with a run that was stopped, failed, or whose process died."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np
import pandas as pd

from kirim_pandas import session
from kirim_pandas.api.models import Organization
from kirim_pandas.errors import InvalidInputError
from kirim_pandas.frames.ids import ContactIds
from kirim_pandas.frames.packed import PackedIds
from kirim_pandas.journal.writer import RunWriter
from kirim_pandas.run.spec import Job, Resolve
from kirim_pandas.verbs.argument_checks import (
    client_problems,
    past_run,
    plain,
    progress_problems,
    refuse,
)
from kirim_pandas.verbs.execution import frame_of, has_work, recalled
from kirim_pandas.verbs.labeling import run_watched, warn
from kirim_pandas.verbs.order import Order, Rows, option_problems, ready

if TYPE_CHECKING:
    from kirim_pandas.journal.store import RunRecord
    from kirim_pandas.run.calls import PastCall
    from kirim_pandas.verbs.arguments import Client, Pandas, ProgressChoice


@dataclass(frozen=True, eq=False)
class Resumption:
    """What is asked of a resume: the frame, if there is one, and the arguments of the verb."""

    obj: Pandas | None
    run_id: str
    id_column: Hashable | None = None
    resolve: Resolve | None = None
    max_requests: int | None = None
    client: Client | None = None
    journal: str | Path | None = None
    phone: Hashable | None = None
    email: Hashable | None = None

    def contacts(self) -> ContactIds:
        """Find out which contact each row of the frame means; looks them up where that is asked."""
        assert self.obj is not None
        columns = plain(self.id_column), plain(self.phone), plain(self.email)
        return Rows(self.obj, *columns, hint=None).ids(self.client, progress=False)


@dataclass(frozen=True, eq=False)
class Recalled:
    """A run of the past: what was to be done, its calls, and what is known of its contacts."""

    record: RunRecord
    past: list[PastCall]
    frame: pd.DataFrame


def recall(run_id: str, journal: str | Path | None) -> Recalled:
    """Read what is known of a run that is not at work; sends nothing."""
    run_id, journal = past_run(run_id, journal)

    with RunWriter(journal, run_id, warn=warn) as writer:
        record, past = writer.load()
    order = _order(Resumption(None, run_id, journal=journal), record, past)
    return Recalled(record, past, frame_of(order, recalled(order).outcomes))


def go_on(asked: Resumption, progress: ProgressChoice) -> pd.DataFrame:
    """Go on with a run in this thread; documented at ``df.kirim.resume``."""
    refuse(progress_problems(progress := plain(progress)))
    with taken_up(asked, warn) as (order, writer):
        return run_watched(order, writer, progress)


@contextmanager
def taken_up(asked: Resumption, warn: Callable[[str], None]) -> Iterator[tuple[Order, RunWriter]]:
    """Open the journal for a run that is there, check all that speaks against going on with it."""
    wanted = "rows" if asked.resolve is None else asked.resolve
    refuse([*option_problems(wanted, asked.max_requests), *client_problems(asked.client)])
    run_id, journal = past_run(asked.run_id, asked.journal)

    with RunWriter(journal, run_id, warn=warn) as writer:
        record, past = writer.load()
        order = _order(asked, record, past)
        over = record.state in ("finished", "capped")
        # Where nothing is sent no key is needed, and nobody is asked for one.
        idle = order.client is None and over and not has_work(order)
        order = ready(order, sends=not idle)
        if (sending := order.client) is not None:
            check_same_place(record, sending)
            sending.remember_replies(writer.answers(record.target))
            own_key = sending.key_mark(order.run_id) == record.key_mark
            order = replace(order, own_key=own_key)
        try:
            writer.refuse_opposites(record)
        except InvalidInputError:
            if has_work(order):  # else its result is still right to give
                raise
        writer.reopen(replace(record, resolve=order.job.resolve))
        with session.at_work(order.run_id, written_down=True, series=record.series):
            yield order, writer


def _order(asked: Resumption, record: RunRecord, past: list[PastCall]) -> Order:
    contacts, obj = record.contact_ids, asked.obj
    ids = None if obj is None else _aligned(asked.contacts(), contacts)
    figures = None
    if ids is None and record.rows != len(contacts):  # the rows cannot be counted without a frame
        figures = record.summary or {} if record.state == "finished" else {}
    cap = plain(asked.max_requests)
    if cap is not None:  # so many calls more, whatever the earlier sessions made
        cap += sum(known.call.number >= 0 for known in past)
    return Order(
        run_id=record.run_id,
        label_id=record.label_id,
        operation=record.operation,
        contact_ids=contacts,
        job=Job(
            contact_count=len(contacts),
            groups=record.groups,
            columns=record.columns,
            learnt=record.learnt,
            resolve=plain(asked.resolve) or cast(Resolve, record.resolve),
            max_requests=cap,
        ),
        ids=ids,
        figures=figures,
        source=obj,
        client=asked.client,
        journal=plain(asked.journal),
        past=past,
        label_name=record.label_name,
    )


def check_same_place(record: RunRecord, client: Client) -> None:
    """Refuse to go on with a run at another address, or in another organisation."""
    if client.target != record.target:
        raise InvalidInputError(
            f"Run {record.run_id} was sent to {record.target}, but this client sends to "
            f"{client.target}. Nothing was sent there. Connect to the first address (base_url, "
            "phone_number_id) to go on with the run; or, if the service has moved, label the "
            "contacts again at the new one: a label that is set twice stays as it is."
        )
    here = client.organization
    if here is None or record.organization is None or here.id == record.organization[0]:
        return
    there = Organization(*record.organization)
    raise InvalidInputError(
        f"Run {record.run_id} belongs to the organisation {there}, but this key to {here}. "
        f"Nothing was sent. Connect with a key of {there} to go on with the run."
    )


def _aligned(ids: ContactIds, contact_ids: Sequence[str]) -> ContactIds:
    """Point the rows of a frame at the contacts of an earlier run."""
    place = pd.Index(contact_ids).get_indexer(pd.Index(ids.ids))
    new, gone = int((place < 0).sum()), len(contact_ids) - int((place >= 0).sum())
    if new or gone:
        more = f" (such as {ids.ids[place < 0][0]})" if new else ""
        raise InvalidInputError(
            f"This frame has other contacts than the run. {new:,} of its {ids.contacts:,} contacts "
            f"are not in the run{more}, and {gone:,} of the run's {len(contact_ids):,} are not in "
            "the frame. Nothing was sent. Pass the frame the run was started with (its rows may "
            "stand in another order), or call kirim_pandas.resume(run_id), which needs no frame "
            "and gives one row per contact."
        )
    position = np.append(place, -1).astype(np.int32)[ids.position]
    return replace(ids, ids=PackedIds.of(contact_ids), position=position, groups=None)
