"""From outcomes per contact to the result frame: one row per row of the input.

====================  =========  ==================================================
column                dtype      content
====================  =========  ==================================================
contact_id            string     as sent; NA where there was none
status                category   applied, skipped, failed, unknown, not_sent (fixed)
reason                string     why; NA for applied
evidence              category   batch: one outcome for the whole call; probe: asked
batch                 Int64      from 0; NA if never sent
request_id            string     of the batch's call, for support
====================  =========  ==================================================
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kirim_pandas.frames.ids import MALFORMED, MISSING, ContactIds
from kirim_pandas.grouptesting.outcomes import Outcome

__all__ = [
    "EVIDENCE",
    "EVIDENCE_DTYPE",
    "RUN_ID_ATTR",
    "STATUSES",
    "STATUS_DTYPE",
    "ContactOutcomes",
    "contacts_frame",
    "result_frame",
]

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
    "missing_id",
    "malformed_id",
)
_REASON: Final = {reason: code for code, reason in enumerate(_OWN_REASONS)}


@dataclass(frozen=True, eq=False)
class ContactOutcomes:
    """What is known of each contact, as codes; -1 stands for "none" everywhere.

    Attributes
    ----------
    status : ndarray of int8, shape (contacts,)
        Into ``STATUSES``.
    reason : ndarray of int64, shape (contacts,)
        Into `reasons`.
    evidence : ndarray of int8, shape (contacts,)
        Into ``EVIDENCE``.
    batch : ndarray of int64, shape (contacts,)
        From 0; -1 for a contact that was never sent.
    reasons : tuple of str
        Every reason that may occur.
    request : ndarray of int64, shape (contacts,)
        Into `request_ids`.
    request_ids : tuple of (str or None)
        As the service named its calls.
    """

    status: NDArray[np.int8]
    reason: NDArray[np.int64]
    evidence: NDArray[np.int8]
    batch: NDArray[np.int64]
    reasons: tuple[str, ...]
    request: NDArray[np.int64]
    request_ids: tuple[str | None, ...]

    @classmethod
    def from_arrays(
        cls,
        outcome: NDArray[Any],
        batch: NDArray[Any],
        *,
        probed: NDArray[np.bool_] | None = None,
        no_reply: NDArray[np.bool_] | None = None,
        failed: NDArray[Any] | None = None,
        failure_codes: Sequence[str] = (),
        request: NDArray[Any] | None = None,
        request_ids: Sequence[str | None] = (),
    ) -> ContactOutcomes:
        """Turn what a run knows into status, reason and evidence.

        A known outcome wins over a failure, a failure over a lost reply; what was sent and is none
        of these is ``unknown``, never a guess.

        Parameters
        ----------
        outcome
            int8, one `Outcome` per contact in sending order.
        batch
            int64, the batch each contact was sent in; -1 if it was not sent.
        probed
            Whether probes told the outcome; by default its batch did.
        no_reply
            Whether its batch was sent and the answer lost.
        failed
            int, into `failure_codes`; -1 for a contact that was not refused.
        failure_codes
            The API's error codes.
        request
            int, into `request_ids`: the call that sent each contact; -1 for none known.
        request_ids
            The service's names of those calls.

        Returns
        -------
        ContactOutcomes
            The same length as `outcome`.
        """
        outcome = np.asarray(outcome)
        batch = np.asarray(batch, dtype=np.int64)
        none = np.zeros(len(outcome), dtype=bool)
        probed = none if probed is None else np.asarray(probed, dtype=bool)
        no_reply = none if no_reply is None else np.asarray(no_reply, dtype=bool)
        failed = np.full(len(outcome), -1) if failed is None else np.asarray(failed, dtype=np.int64)

        # Lowest claim first: each line overwrites the ones above it.
        status = np.full(len(outcome), _NOT_SENT, dtype=np.int8)
        reason = np.full(len(outcome), _REASON["stopped"], dtype=np.int64)
        sent = batch >= 0
        status[sent], reason[sent] = _UNKNOWN, _REASON["undetermined"]
        status[no_reply], reason[no_reply] = _UNKNOWN, _REASON["no_reply"]
        refused = failed >= 0
        status[refused] = _FAILED
        reason[refused] = len(_OWN_REASONS) + failed[refused]
        applied = outcome == Outcome.APPLIED
        status[applied], reason[applied] = _APPLIED, -1
        for skip in (Outcome.CROSS_ORG, Outcome.TEAM_MISMATCH, Outcome.NOT_COUNTED):
            rows = outcome == skip
            status[rows], reason[rows] = _SKIPPED, _REASON[skip.name.lower()]

        known = outcome != Outcome.UNDETERMINED
        evidence = np.where(known | refused, _BATCH, -1).astype(np.int8)
        evidence[known & probed] = _PROBE
        request = np.full(len(outcome), -1) if request is None else np.asarray(request)
        return cls(
            status=status,
            reason=reason,
            evidence=evidence,
            batch=batch,
            reasons=(*_OWN_REASONS, *failure_codes),
            request=request.astype(np.int64),
            request_ids=tuple(request_ids),
        )


def result_frame(ids: ContactIds, outcomes: ContactOutcomes, *, run_id: str) -> pd.DataFrame:
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
    if len(outcomes.status) != ids.contacts:
        raise ValueError(f"{len(outcomes.status)} outcomes for {ids.contacts} contacts")
    # Position -1, a row without a contact, reads the appended last entry.
    status = np.append(outcomes.status, np.int8(_NOT_SENT))[ids.position]
    reason = np.append(outcomes.reason, -1)[ids.position]
    reason[ids.unusable == MISSING] = _REASON["missing_id"]
    reason[ids.unusable == MALFORMED] = _REASON["malformed_id"]
    evidence = np.append(outcomes.evidence, np.int8(-1))[ids.position]
    batch = np.append(outcomes.batch, -1)[ids.position]
    # A new index object: renaming the result's index must not rename the input's.
    index = ids.index.copy(deep=False)
    request = np.append(outcomes.request, -1)[ids.position]
    rows = replace(
        outcomes, status=status, reason=reason, evidence=evidence, batch=batch, request=request
    )
    return _frame(ids.text, rows, index, run_id)


def contacts_frame(ids: Sequence[str], outcomes: ContactOutcomes, *, run_id: str) -> pd.DataFrame:
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
    return _frame(text, outcomes, pd.RangeIndex(len(ids)), run_id)


def _frame(text: Any, rows: ContactOutcomes, index: pd.Index[Any], run_id: str) -> pd.DataFrame:
    reasons = pd.array(list(rows.reasons), dtype="string")
    request_ids = pd.array(list(rows.request_ids), dtype="string")
    frame = pd.DataFrame(
        {
            "contact_id": text,
            "status": pd.Categorical.from_codes(rows.status, dtype=STATUS_DTYPE),
            "reason": reasons.take(rows.reason, allow_fill=True),
            "evidence": pd.Categorical.from_codes(rows.evidence, dtype=EVIDENCE_DTYPE),
            "batch": pd.arrays.IntegerArray(rows.batch, rows.batch < 0),
            "request_id": request_ids.take(rows.request, allow_fill=True),
        },
        index=index,
    )
    frame.attrs[RUN_ID_ATTR] = run_id
    return frame
