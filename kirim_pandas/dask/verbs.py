"""The verbs on a Dask DataFrame: read by the workers, sent by the client, joined by the workers."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import pandas as pd

from kirim_pandas.dask.counting import counts_of
from kirim_pandas.dask.frames import Read, read
from kirim_pandas.dask.reading import Sought
from kirim_pandas.errors import InvalidInputError
from kirim_pandas.frames import reports
from kirim_pandas.frames.charts import bars
from kirim_pandas.frames.columns import find_place
from kirim_pandas.frames.ids import (
    AMBIGUOUS,
    MALFORMED,
    MALFORMED_EMAIL,
    MALFORMED_PHONE,
    MISSING,
    NO_CONTACT,
    NOT_FOUND,
    UNMATCHED,
    USABLE,
    ContactIds,
)
from kirim_pandas.frames.plan import Plan, SegmentsPlan
from kirim_pandas.frames.results import RUN_ID_ATTR
from kirim_pandas.frames.shapes import expect
from kirim_pandas.frames.summary import is_outcome
from kirim_pandas.verbs import labeling, order
from kirim_pandas.verbs.argument_checks import past_run, plain, refuse
from kirim_pandas.verbs.lookups import matching
from kirim_pandas.verbs.reporting import known_facts
from kirim_pandas.verbs.resuming import Resumption
from kirim_pandas.verbs.segments import labeling as segments
from kirim_pandas.verbs.segments.labeling import asked_problems
from kirim_pandas.verbs.segments.planning import planned
from kirim_pandas.verbs.segments.prepared import Prepared, nothing_known
from kirim_pandas.verbs.segments.resume_and_result import check_whole, resumed

if TYPE_CHECKING:
    import dask.dataframe as dd

    from kirim_pandas.verbs.arguments import (
        Hint,
        LabelArguments,
        ProgressChoice,
        SegmentsArguments,
    )

_Plan = TypeVar("_Plan", bound=Plan)


def bulk_label(ddf: dd.DataFrame, asked: LabelArguments) -> dd.DataFrame:
    """Label the contacts of a Dask DataFrame; documented at ``ddf.kirim.bulk_label``."""
    contacts, ordered = _prepared(ddf, asked)
    return contacts.carried_out(
        lambda: labeling.bulk_label(ordered, progress=asked.progress), _nobody(), own=contacts.own
    )


def plan(ddf: dd.DataFrame, asked: LabelArguments) -> Plan:
    """Reckon what a run would cost; documented at ``ddf.kirim.plan``."""
    contacts, ordered = _prepared(ddf, asked)
    return _of_all_rows(labeling.plan(ordered), contacts, ordered.ids)


def plan_segments(ddf: dd.DataFrame, asked: SegmentsArguments) -> SegmentsPlan:
    """Reckon what a series would cost; documented at ``ddf.kirim.plan_segments``."""
    contacts, known = _segments(ddf, asked)
    return _of_all_rows(planned(known), contacts, known.ids)


def _of_all_rows(found: _Plan, contacts: Read, ids: ContactIds | None) -> _Plan:
    """Let a plan of each contact once tell the rows of all partitions."""
    assert ids is not None  # what is planned was made from a frame
    seen, told = contacts.seen, ids.unusable  # of contacts; where they were looked up of what for
    rows = np.bincount(told, contacts.once.rows, minlength=len(seen.kinds)).astype(np.int64)
    usable = int(rows[USABLE])
    # What the workers could not use is counted by them; a row of it may stand for its segment.
    rows[[USABLE, MISSING, MALFORMED, MALFORMED_PHONE, MALFORMED_EMAIL]] = 0
    rows[USABLE + 1 :] += seen.kinds[USABLE + 1 :]
    return replace(
        found,
        rows=seen.rows,
        duplicates=usable - found.contacts,
        missing=int(rows[MISSING]),
        malformed=int(rows[[MALFORMED, MALFORMED_PHONE, MALFORMED_EMAIL]].sum()),
        malformed_kinds=seen.odd_kinds,
        not_found=int(rows[NOT_FOUND]),
        ambiguous=int(rows[AMBIGUOUS]),
        stripped=seen.stripped,
        source=f"{seen.place}{', looked up' * (contacts.sought.by != 'id')}",
    )


def label_segments(ddf: dd.DataFrame, asked: SegmentsArguments) -> dd.DataFrame:
    """Give each segment its label; documented at ``ddf.kirim.label_segments``."""
    contacts, known = _segments(ddf, asked)
    return contacts.carried_out(
        lambda: known.carry_out(asked.progress), _nobody(), own=contacts.own
    )


def _segments(ddf: dd.DataFrame, asked: SegmentsArguments) -> tuple[Read, Prepared]:
    """Check all arguments, let the workers read, and prepare the series of what they have read."""
    ddf, by = _with_segment(ddf, asked.by)
    problems = asked_problems(replace(asked, by=by))
    try:
        order.Rows(ddf._meta, *asked.columns, hint=asked.hint)
        find_place(ddf._meta, by, argument="by")
    except InvalidInputError as error:
        problems.append(str(error))
    refuse(problems)
    beside = _beside(asked.hint, asked.resolve)
    beside = None if beside is None else tuple(dict.fromkeys([*beside, by]))
    contacts = read(ddf, replace(_sought(*asked.columns, beside), segment=by))
    asked = replace(asked, by=by, **contacts.named)
    return contacts, segments.prepare(contacts.once.frame, asked)


def match_contacts(
    ddf: dd.DataFrame,
    *,
    phone: Hashable | None,
    email: Hashable | None,
    country: str,
    **options: Any,
) -> dd.DataFrame:
    """Find the contact of each row; documented at ``ddf.kirim.match_contacts``."""
    phone, email = plain(phone), plain(email)
    matching.match_contacts(ddf._meta, phone=phone, email=email, country=country, **options)
    sought = replace(_sought(None, phone, email, ()), country=country)
    contacts = read(ddf, sought)
    found = matching.match_contacts(contacts.once.frame, **contacts.named, **options)
    own = "phone_number" if sought.by == "phone" else "email"
    return contacts.joined(found, _unmatched(found), own=own)


def resume(ddf: dd.DataFrame, asked: Resumption, progress: ProgressChoice) -> dd.DataFrame:
    """Go on with a run; documented at ``ddf.kirim.resume``."""
    past_run(asked.run_id, asked.journal)
    check_whole(asked)
    columns = plain(asked.id_column), plain(asked.phone), plain(asked.email)
    order.Rows(ddf._meta, *columns, hint=None)
    contacts = read(ddf, _sought(*columns, ()))
    asked = replace(asked, obj=contacts.once.frame, **contacts.named)
    return contacts.carried_out(lambda: resumed(asked, progress), _nobody(), own=contacts.own)


def summary(result: dd.DataFrame, by: Any, data: dd.DataFrame | None) -> pd.DataFrame:
    """Count the rows of a result; documented at ``ddf.kirim.summary``."""
    by = plain(by)
    keys = [key for key in (by if isinstance(by, list) else [by]) if not is_outcome(key)]
    table, groups, counted = counts_of(result, [key for key in keys if key is not None], data)
    return reports.summary(table, list(groups), counted=counted)


def report(
    result: dd.DataFrame, by: Any, data: dd.DataFrame | None, label_name: str | None
) -> reports.Report:
    """Write a report on a result; documented at ``ddf.kirim.report``."""
    expect(label_name, str | None, argument="label_name", expected="text, or None")
    table, _, counted = counts_of(result, None, None)
    counts = reports.summary(table, counted=counted)
    groups = None
    if by is not None:
        grouped, keys, weights = counts_of(result, plain(by), data)
        groups = bars(grouped, list(keys), counted=weights)
    run_id = result._meta.attrs.get(RUN_ID_ATTR)
    facts = known_facts(run_id) if run_id else reports.RunFacts()
    facts = replace(facts, label_name=label_name or facts.label_name)
    return reports.written(facts, counts, bars(table, counted=counted), groups)


def _prepared(ddf: dd.DataFrame, asked: LabelArguments) -> tuple[Read, order.Order]:
    """Check all arguments, let the workers read, and make the order of what they have read."""
    order.prepare(ddf._meta, asked)  # of no rows: tells all that is wrong
    contacts = read(ddf, _sought(*asked.columns, _beside(asked.hint, asked.resolve)))
    return contacts, order.prepare(contacts.once.frame, replace(asked, **contacts.named))


def _with_segment(ddf: dd.DataFrame, by: Any) -> tuple[dd.DataFrame, Hashable]:
    """Give the frame a column that tells the segments apart, and its name."""
    if not hasattr(by, "to_frame") or not hasattr(by, "npartitions"):
        return ddf, plain(by)
    name = "segment" if by.name is None or by.name in ddf.columns else by.name
    while name in ddf.columns:
        name = f"{name}_"
    return ddf.assign(**{name: by}), name


def _sought(
    id_column: Hashable | None,
    phone: Hashable | None,
    email: Hashable | None,
    beside: tuple[Hashable, ...] | None,
) -> Sought:
    if phone is not None:
        return Sought("phone", phone, beside)
    if email is not None:
        return Sought("email", email, beside)
    return Sought("id", id_column, beside)


def _beside(hint: Hint, resolve: str) -> tuple[Hashable, ...] | None:
    """Tell what is to be read beside the contacts; None for all that may explain who is skipped."""
    if order.is_auto(hint):
        return None if resolve == "rows" else ()
    return tuple(hint) if isinstance(hint, list) else () if hint is None else (hint,)


def _nobody() -> pd.DataFrame:
    """Give the rows for rows without a contact, and one for a contact that came later."""
    nobody = nothing_known()
    nobody.loc[len(nobody) - 1, "reason"] = "not_read"
    return nobody


def _unmatched(found: pd.DataFrame) -> pd.DataFrame:
    """Give the same of a look-up."""
    words = {kind: word for kinds in UNMATCHED.values() for word, kind in kinds.items()}
    match = [words.get(kind, "malformed") for kind in NO_CONTACT] + [None]
    nobody = found.iloc[:0].reindex(range(len(match)))
    nobody["match"] = pd.Series(match, dtype=found["match"].dtype)
    return nobody
