"""What changed by a sync: who entered, stayed and left, in its result and in that of a past one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kirim_pandas.journal import records
from kirim_pandas.journal.records import GONE, KEPT, STAYS, TAKEN
from kirim_pandas.verbs.segments.label_holders import known_of_stayed
from kirim_pandas.verbs.segments.prepared import ABOUT

if TYPE_CHECKING:
    from kirim_pandas.journal.records import Stayed
    from kirim_pandas.journal.store import RunRecord


ENTERED, STAYED, LEFT = range(3)
CHANGE_DTYPE: Final = pd.CategoricalDtype(["entered", "stayed", "left"])


def changed(codes: NDArray[Any]) -> pd.Categorical:
    """Say for each row what changed; -1 for nothing."""
    return pd.Categorical.from_codes(codes.tolist(), dtype=CHANGE_DTYPE)


def carried(
    known: pd.DataFrame, kept: NDArray[np.bool_], label: tuple[str, str | None]
) -> pd.DataFrame:
    """Give the rows of those who are not sent.

    Parameters
    ----------
    known
        What earlier runs tell of each, indexed by contact.
    kept
        Who of them is gone from the frame, and is left with the label.
    label
        Its id and name.
    """
    told = known.copy()
    about = zip(ABOUT, (label[0], label[1] or label[0], None), strict=True)
    for name, value in [("contact_id", known.index.to_numpy(object)), *about]:
        told[name] = pd.Series(value, told.index, "string")
    told.loc[kept, ["status", "reason", "evidence"]] = ["not_sent", "not_in_frame", None]
    return told


def past_sync(known: pd.DataFrame, stayed: Stayed, runs: Sequence[RunRecord]) -> pd.DataFrame:
    """Give a past sync as a frame: a row for each contact that was sent, then for the others.

    Parameters
    ----------
    known
        What is known of those that were sent, a row a contact and run.
    stayed
        What the sync knew before.
    runs
        Its runs.
    """
    rest = stayed_of(known, stayed, runs)
    frame = pd.concat([known, rest], ignore_index=True)
    frame["change"] = changed(change_of(frame, stayed))
    frame.attrs = known.attrs
    return frame


def stayed_of(known: pd.DataFrame, stayed: Stayed, runs: Sequence[RunRecord]) -> pd.DataFrame:
    """Give the rows of those whom a past sync did not send."""
    unsent = ~np.isin(stayed.contact_ids, known["contact_id"].to_numpy(object))
    label = (runs[0].label_id, runs[0].label_name)
    return carried(known_of_stayed(stayed)[unsent], (stayed.kinds == KEPT)[unsent], label)


def change_of(told: pd.DataFrame, stayed: Stayed) -> NDArray[Any]:
    """Say what changed for each contact of a past sync, a code of `CHANGE_DTYPE`; -1: nothing."""
    before = pd.Index(stayed.contact_ids, dtype=object)
    kinds = np.append(stayed.kinds, -1)[
        before.get_indexer(pd.Index(told["contact_id"].astype(object)))
    ]
    enters, leaves = ((told["operation"] == op).fillna(value=False) for op in ("attach", "detach"))
    left = np.isin(kinds, (KEPT, records.LEFT, GONE, TAKEN))
    if stayed.since is not None:
        left |= leaves.to_numpy(bool)
    return np.select([left, kinds == STAYS, enters], [LEFT, STAYED, ENTERED], -1)
