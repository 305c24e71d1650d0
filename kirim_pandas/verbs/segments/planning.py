"""What a label for each segment, or a sync, would do and cost: the plan of what is prepared."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from kirim_pandas import session
from kirim_pandas.frames.packed import PackedIds
from kirim_pandas.frames.plan import PlannedRun, SegmentsPlan, hint_values_of, plan_runs
from kirim_pandas.grouptesting.attribution import expected_probes_for
from kirim_pandas.verbs.labeling import pace
from kirim_pandas.verbs.order import Order
from kirim_pandas.verbs.segments.prepared import Prepared


def planned(prepared: Prepared) -> SegmentsPlan:
    """Reckon what a series would do and cost; documented at ``df.kirim.plan_segments``."""
    assert prepared.ids is not None  # it was made from a frame
    client = prepared.client or session.known_client()
    known = session.remembered_labels(client) if client else []
    labels = _labels(prepared, {label.id: label.name or label.id for label in known})
    named = labels["label"].unique()
    return plan_runs(
        prepared.ids,
        [_run(order) for order in prepared.orders],
        requests_for=expected_probes_for,
        write_per_minute=pace(client),
        max_requests=prepared.max_requests,
        resolve="rows" if prepared.names else "batches",
        limit_is_known=client is not None and client.known_limit,
        label_name=named[0] if len(named) == 1 else None,
        labels=labels,
        reached=_reached(prepared.orders),
        new=prepared.new,
        changes=prepared.changes,
        notes=(*prepared.notes, *prepared.told),
    )


def _run(order: Order) -> PlannedRun:
    job = order.job
    return PlannedRun(job.contact_count, hint_values_of(job.groups), job.resolve == "rows")


def _reached(orders: list[Order]) -> int:
    """Count the contacts that would get a label, or of a series that only detaches, lose one."""
    halves = [[o for o in orders if o.operation == op] for op in ("attach", "detach")]
    words = [PackedIds.of(order.contact_ids).words for order in halves[0] or halves[1]]
    return len(np.unique(np.concatenate(words))) if words else 0


def _labels(prepared: Prepared, names: Mapping[str, str]) -> pd.DataFrame:
    """Give one row for each label and operation."""
    orders = prepared.orders
    contacts = np.array([len(order.contact_ids) for order in orders], dtype=np.int64)
    ids = [None if one.label_id in prepared.new else one.label_id for one in orders]
    named = [one.label_name or names.get(one.label_id, one.label_id) for one in orders]
    table = {"label_id": ids, "label": named, "operation": [one.operation for one in orders]}
    least = np.array([_run(order).batches for order in orders], dtype=np.int64)
    return pd.DataFrame(table, dtype="string").assign(contacts=contacts, requests=least)
