"""Who has a label as far as the journal shows: the last sync, and what later runs made of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kirim_pandas.errors import InvalidInputError
from kirim_pandas.frames.columns import listed
from kirim_pandas.frames.results import contacts_frame
from kirim_pandas.grouptesting.outcomes import Outcome, Outcomes
from kirim_pandas.journal.conflicts import same_label
from kirim_pandas.verbs.argument_checks import shown
from kirim_pandas.verbs.resuming import recall

if TYPE_CHECKING:
    from kirim_pandas.journal.records import Stayed
    from kirim_pandas.journal.store import Journal, RunRecord


OUTCOME_OF = {
    "cross_org": Outcome.CROSS_ORG,
    "team_mismatch": Outcome.TEAM_MISMATCH,
    "not_counted": Outcome.NOT_COUNTED,
}


@dataclass(frozen=True, eq=False)
class Standing:
    """What the journal shows of a label.

    Attributes
    ----------
    since : str or None
        The sync or run that is compared with; None where nothing is.
    known : DataFrame
        One row for each contact that was to have the label: the columns of a result, indexed by
        contact id. Whose last call got no answer is ``unknown`` for the reason ``no_reply``.
    forgotten : bool
        Whether a later run of the label was forgotten.
    """

    since: str | None
    known: pd.DataFrame
    forgotten: bool = False


def standing(
    store: Journal,
    label: RunRecord,
    since: str | None,
    in_frame: pd.Index[str],
    journal: str | Path | None,
) -> Standing:
    """Find out who has a label, by the last sync and by what later runs did.

    Parameters
    ----------
    store
        The journal.
    label
        A run of the label that is not written down.
    since
        ``"last"``, or the id of a sync, another series, or a run; None for a comparison with
        nothing.
    in_frame
        The contacts of the frame: a later run that attached the label to others was no sync's
        business.
    journal
        Where `store` is.

    Raises
    ------
    InvalidInputError
        There is no such run, it is another label's, or it has not finished.
    """
    if since is None:
        return Standing(None, known_of_stayed(None))
    base = _base(store, label, since)
    _refuse_unfinished(base)
    stayed = store.stayed(base[0].run_id)
    known = known_of_stayed(stayed)
    if stayed is not None:
        known = known[stayed.had]
    for run in base:
        frame = recall(run.run_id, journal).frame
        known = _followed(known[~known.index.isin(frame["contact_id"])], run, frame)
    for run in _later(store, label, base):
        frame = recall(run.run_id, journal).frame
        if run.undoes is None:
            frame = frame[frame["contact_id"].isin(known.index.union(in_frame))]
        known = _followed(known, run, frame)
    return Standing(base[0].series or base[0].run_id, known, _refuse_forgotten(store, base, since))


def known_of_stayed(stayed: Stayed | None) -> pd.DataFrame:
    """Give what a sync knew of contacts before it, as a result indexed by contact."""
    ids = stayed.contact_ids if stayed else []
    count = len(ids)
    codes = stayed.outcomes if stayed else np.empty(0, np.int8)
    probed = stayed.probed if stayed else np.empty(0, np.bool_)
    everybody, none = np.ones(count, dtype=np.bool_), np.full(count, -1, dtype=np.int32)
    known = Outcomes(codes, np.zeros(count, np.int32), probed, everybody, none, ())
    frame = contacts_frame(ids, known, run_id="")
    frame["batch"] = pd.array([None] * count, dtype="Int64")
    frame.attrs = {}
    return frame.set_index(pd.Index(ids, dtype=object))


def outcomes_of(known: pd.DataFrame) -> NDArray[np.int8]:
    """Give what is known of contacts as an `Outcome` for each."""
    codes = known["reason"].map(OUTCOME_OF).fillna(Outcome.UNDETERMINED).to_numpy(int)
    applied = (known["status"] == "applied").to_numpy(bool)
    return np.where(applied, Outcome.APPLIED, codes).astype(np.int8)


def _followed(known: pd.DataFrame, run: RunRecord, frame: pd.DataFrame) -> pd.DataFrame:
    """Say what is known of the contacts after a run that came later."""
    frame = frame.set_index(pd.Index(frame["contact_id"].astype(object)))
    told = frame[frame["status"].isin(["applied", "skipped", "unknown"])]
    if run.operation == "detach":
        told = told[told.index.isin(known.index) & (told["status"] != "skipped").to_numpy()]
        in_doubt = told[told["status"] == "unknown"]
        lost = pd.array(["no_reply"] * len(in_doubt), dtype="string")
        in_doubt = in_doubt.assign(reason=lost)
        return pd.concat([known[~known.index.isin(told.index)], in_doubt])
    has_it = known.index[known["status"] == "applied"]
    told = told[~((told["status"] == "unknown").to_numpy() & told.index.isin(has_it))]
    told = told.assign(batch=pd.array([None] * len(told), dtype="Int64"))
    return pd.concat([known[~known.index.isin(told.index)], told])


def _base(store: Journal, label: RunRecord, since: str) -> list[RunRecord]:
    """Find the runs of what is compared with, in their order."""
    ours = list(_of_label(store, label))
    named = [_last_sync(store, label, ours)] if since == "last" else _named(store, since)
    meant = {run.series or run.run_id for run in named}
    own = [run for run in ours[::-1] if (run.series or run.run_id) in meant]
    if not any(_tells_members(store, run) for run in own):
        kinds = sorted({f"{run.operation} {run.label_name or run.label_id}" for run in named})
        raise InvalidInputError(
            f"since: {since} is a run of another kind ({listed(kinds)}), expected a sync of "
            f"{label.label_name or label.label_id}, or a run that attached it."
        )
    return own


def _tells_members(store: Journal, run: RunRecord) -> bool:
    return run.operation == "attach" or store.stayed(run.run_id) is not None


def _named(store: Journal, since: str) -> list[RunRecord]:
    named = store.named(since)
    if not named:
        raise InvalidInputError(
            f"since: there is no run {shown(since)} in the journal {store.shown}; it was "
            "forgotten, or is written down elsewhere. kirim_pandas.runs() lists the runs there "
            "are; since=None compares with nothing."
        )
    return named


def _last_sync(store: Journal, label: RunRecord, ours: list[RunRecord]) -> RunRecord:
    for run in ours:
        if store.stayed(run.run_id) is not None:
            return run
    raise InvalidInputError(
        f"since='last': no sync of {label.label_name or label.label_id} is in the journal "
        f"{store.shown}. The first one goes without since=: it attaches the label to all members, "
        "and detaches it from the other rows of the frame. A run that attached it can be named: "
        "since=run_id; kirim_pandas.runs() lists them."
    )


def _of_label(store: Journal, label: RunRecord) -> Iterator[RunRecord]:

    return same_label(store, label)


def _later(store: Journal, label: RunRecord, base: list[RunRecord]) -> list[RunRecord]:
    """List the runs of the label that came after what is compared with, the oldest first."""
    latest = max(run.order for run in base)
    return [run for run in _of_label(store, label) if run.order > latest][::-1]


def _refuse_unfinished(base: list[RunRecord]) -> None:
    for run in base:
        if run.state != "finished":
            name = run.series or run.run_id
            raise InvalidInputError(
                f"since: {name} has not finished, so who has the label is not known. Nothing was "
                f"sent. kirim_pandas.resume({name!r}) goes on with it; "
                f"kirim_pandas.forget({name!r}) drops it."
            )


def _refuse_forgotten(store: Journal, base: list[RunRecord], since: str) -> bool:
    """Tell whether a later run of the label was forgotten; only who names a run may go on then."""
    if store.forgotten(base[0]) <= max(run.sequence for run in base):
        return False
    if since == "last":
        last = base[0].series or base[0].run_id
        raise InvalidInputError(
            f"since='last': a later run of {base[0].label_name or base[0].label_id} was forgotten, "
            f"so who has the label is not known. Nothing was sent. since={last!r} compares with "
            "the last sync that is left, as if that run had not been; without since= the label is "
            "set for all rows of the frame."
        )
    return True
