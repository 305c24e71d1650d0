"""The verbs on a Dask DataFrame: read by the workers, sent by the client, joined by the workers."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pandas as pd

from kirim_pandas.dask.frames import Read, read
from kirim_pandas.dask.reading import Sought
from kirim_pandas.frames.ids import MISSING
from kirim_pandas.frames.plan import Plan
from kirim_pandas.verbs import labeling, order
from kirim_pandas.verbs.door import plain
from kirim_pandas.verbs.resuming import Resumption
from kirim_pandas.verbs.segments.prepared import ABOUT, nothing_known
from kirim_pandas.verbs.segments.whole import resumed

if TYPE_CHECKING:
    import dask.dataframe as dd

    from kirim_pandas.verbs.arguments import Hint, ProgressChoice

__all__ = ["bulk_label", "plan", "resume"]


def bulk_label(
    ddf: dd.DataFrame, label_id: str, op: str, *, progress: ProgressChoice, options: dict[str, Any]
) -> dd.DataFrame:
    """Label the contacts of a Dask DataFrame; documented at ``ddf.kirim.bulk_label``."""
    contacts, ordered = _prepared(ddf, label_id, op, options | {"progress": progress})
    own = "contact_id" if contacts.sought.by == "id" else None
    return contacts.carried_out(
        lambda: labeling.bulk_label(ordered, progress=progress), _nobody(), own=own
    )


def plan(ddf: dd.DataFrame, label_id: str, op: str, options: dict[str, Any]) -> Plan:
    """Reckon what a run would cost; documented at ``ddf.kirim.plan``."""
    contacts, ordered = _prepared(ddf, label_id, op, options)
    assert ordered.ids is not None  # an order made from a frame
    seen, rows = contacts.seen, contacts.once.rows
    found = labeling.plan(ordered)
    return replace(
        found,
        rows=seen.rows,
        duplicates=int(rows[ordered.ids.unusable == 0].sum()) - found.contacts,
        missing=int(seen.kinds[MISSING]),
    )


def resume(ddf: dd.DataFrame, asked: Resumption, progress: ProgressChoice) -> dd.DataFrame:
    """Go on with a run; documented at ``ddf.kirim.resume``."""
    column = plain(asked.id_column)
    contacts = read(ddf, Sought(column=column))
    frame = contacts.once.frame
    asked = replace(asked, obj=frame, id_column=frame.columns[0])
    return contacts.carried_out(lambda: resumed(asked, progress), _nobody(), own="contact_id")


def _prepared(
    ddf: dd.DataFrame, label_id: str, op: str, options: dict[str, Any]
) -> tuple[Read, order.Order]:
    """Check all arguments, let the workers read, and make the order of what they have read."""
    order.prepare(ddf._meta, label_id, op, **options)  # of no rows: tells all that is wrong
    asked = {name: plain(options.get(name)) for name in ("id_column", "phone", "email")}
    hint, resolve = plain(options.get("hint", "auto")), plain(options.get("resolve", "rows"))
    contacts = read(ddf, _sought(**asked, beside=_beside(hint, resolve)))
    frame = contacts.once.frame
    name = "id_column" if contacts.sought.by == "id" else contacts.sought.by
    return contacts, order.prepare(frame, label_id, op, **options | {name: frame.columns[0]})


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
    nobody = nothing_known().drop(columns=list(ABOUT))
    nobody.loc[len(nobody) - 1, "reason"] = "not_read"
    return nobody
