"""From outcomes per contact to the result frame: one row per row of the input.

====================  =========  ==================================================
column                dtype      content
====================  =========  ==================================================
contact_id            string     as sent; NA where there was none
status                category   applied, skipped, failed, unknown, not_sent (fixed)
reason                string     why; NA for applied
evidence              category   batch: one outcome for the whole call; probe: asked
batch                 Int64      from 0; NA if never sent
====================  =========  ==================================================
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kirim_pandas.frames.ids import NO_CONTACT, ContactIds
from kirim_pandas.grouptesting.outcomes import SKIPS, Outcome, Outcomes

STATUSES: Final = ("applied", "skipped", "failed", "unknown", "not_sent")
EVIDENCE: Final = ("batch", "probe")
STATUS_DTYPE: Final = pd.CategoricalDtype(list(STATUSES))
EVIDENCE_DTYPE: Final = pd.CategoricalDtype(list(EVIDENCE))
RUN_ID_ATTR: Final = "kirim_run_id"
"""The only key in ``attrs``: larger things there break merge and parquet."""

_APPLIED, _SKIPPED, _FAILED, _UNKNOWN, _NOT_SENT = range(len(STATUSES))
_BATCH, _PROBE = range(len(EVIDENCE))

# The first reasons are the library's own; the API's error codes follow.
_OWN_REASONS: Final = (
    "cross_org",
    "team_mismatch",
    "not_counted",
    "undetermined",
    "no_reply",
    "stopped",
    *NO_CONTACT.values(),
    "no_label",
    "not_in_frame",
    "not_read",
)
_REASON: Final = {reason: code for code, reason in enumerate(_OWN_REASONS)}

_Codes: TypeAlias = dict[str, NDArray[np.signedinteger[Any]]]
"""Per row: places in STATUSES, the reasons and EVIDENCE, and the batch; -1 is none of them."""


def result_frame(ids: ContactIds, outcomes: Outcomes, *, run_id: str) -> pd.DataFrame:
    """Give every row of the input the outcome of its contact.

    Parameters
    ----------
    ids
        From the input frame.
    outcomes
        One entry per contact of `ids`.
    run_id
        Goes into ``attrs``.

    Returns
    -------
    DataFrame
        The input's index, in its order; the columns of this module's table.

    Raises
    ------
    ValueError
        `outcomes` has another number of contacts than `ids`: a fault of this library.
    """
    if len(outcomes.outcome) != ids.contacts:
        raise ValueError(f"{len(outcomes.outcome)} outcomes for {ids.contacts} contacts")
    # Position -1, a row without a contact, reads the appended last entry.
    codes = {name: _with_none(code)[ids.position] for name, code in _codes(outcomes).items()}
    codes["status"][ids.position < 0] = _NOT_SENT
    for kind, reason in NO_CONTACT.items():
        codes["reason"][ids.unusable == kind] = _REASON[reason]
    # A new index object: renaming the result's index must not rename the input's.
    return _frame(ids.text, outcomes, codes, ids.index.copy(deep=False), run_id)


def contacts_frame(ids: Sequence[str], outcomes: Outcomes, *, run_id: str) -> pd.DataFrame:
    """Build the result of a run whose input frame is not at hand: one row per contact.

    Parameters
    ----------
    ids
        Distinct contact ids in sending order.
    outcomes
        One entry per contact.
    run_id
        Goes into ``attrs``.

    Returns
    -------
    DataFrame
        The columns of `result_frame`, with a RangeIndex.
    """
    text = pd.array(list(ids), dtype="string")
    return _frame(text, outcomes, _codes(outcomes), pd.RangeIndex(len(ids)), run_id)


def _codes(known: Outcomes) -> _Codes:
    """Turn what a run knows of each contact into status, reason and evidence.

    A known outcome wins over a refusal, a refusal over a lost reply; what was sent and is none of
    these is ``unknown``, never a guess.
    """
    # The weakest first: each line overwrites the ones above it.
    status = np.full(len(known.outcome), _NOT_SENT, dtype=np.int8)
    reason = np.full(len(known.outcome), _REASON["stopped"], dtype=np.int32)
    sent = known.batch >= 0
    status[sent], reason[sent] = _UNKNOWN, _REASON["undetermined"]
    status[known.no_reply], reason[known.no_reply] = _UNKNOWN, _REASON["no_reply"]
    refused = known.refusal >= 0
    status[refused] = _FAILED
    reason[refused] = len(_OWN_REASONS) + known.refusal[refused]
    applied = known.outcome == Outcome.APPLIED
    status[applied], reason[applied] = _APPLIED, -1
    for skip in SKIPS:
        rows = known.outcome == skip
        status[rows], reason[rows] = _SKIPPED, _REASON[skip.name.lower()]
    named = known.outcome != Outcome.UNDETERMINED
    evidence = np.where(named | refused, np.int8(_BATCH), np.int8(-1))
    evidence[named & known.probed] = _PROBE
    return {"status": status, "reason": reason, "evidence": evidence, "batch": known.batch}


def _with_none(codes: NDArray[np.signedinteger[Any]]) -> NDArray[np.signedinteger[Any]]:
    """Add a last code, which stands for none, without making the others wider."""
    return np.append(codes, codes.dtype.type(-1))


def _frame(
    text: Any, known: Outcomes, codes: _Codes, index: pd.Index[Any], run_id: str
) -> pd.DataFrame:
    reasons = pd.array([*_OWN_REASONS, *known.refusal_codes], dtype="string")
    batch = codes["batch"]
    frame = pd.DataFrame(
        {
            "contact_id": text,
            "status": pd.Categorical.from_codes(codes["status"], dtype=STATUS_DTYPE),
            "reason": reasons.take(codes["reason"], allow_fill=True),
            "evidence": pd.Categorical.from_codes(codes["evidence"], dtype=EVIDENCE_DTYPE),
            "batch": pd.arrays.IntegerArray(batch.astype(np.int64), batch < 0),
        },
        index=index,
    )
    frame.attrs[RUN_ID_ATTR] = run_id
    return frame
