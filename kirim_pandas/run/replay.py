"""What is left to send of the apply phase, after what earlier sessions of the run did."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kirim_pandas.grouptesting.outcomes import Positions, cut_batches
from kirim_pandas.run.events import Call
from kirim_pandas.run.ledger import Ledger
from kirim_pandas.run.spec import PastCall

__all__ = ["recall_batches"]


def recall_batches(
    past: Sequence[PastCall], contact_count: int, ledger: Ledger
) -> tuple[list[Call], list[tuple[int, Positions]]]:
    """Enter the calls of earlier sessions into an empty ledger.

    Parameters
    ----------
    past
        The calls of the apply phase, oldest first.
    contact_count
        Contacts of the run.
    ledger
        Filled.

    Returns
    -------
    open : list of Call
        Calls to be asked again, each under its own key.
    rest : list of (int, int64 array)
        Batch and contacts of what is to be sent in new calls.
    """
    open_calls: list[Call] = []
    covered = np.zeros(contact_count, dtype=np.bool_)
    # Backwards: a later call stands for the earlier ones of its contacts.
    for known in reversed(past):
        call, positions = known.call, known.call.positions
        superseded = bool(covered[positions].any())
        if known.state == "stale" or (known.state == "sent" and superseded):
            # Its key was given up, and it may have been carried out for all that.
            ledger.doubted(positions, call.batch)
            continue
        if superseded:
            continue
        if known.reply is not None:
            ledger.sent(positions, call.batch)
            ledger.answered(positions, known.reply.counts, known.reply.request_id)
        elif known.state == "refused" and len(positions) == 1:
            ledger.sent(positions, call.batch)
            ledger.refused(positions, known.code or "", known.request_id)
        elif known.state == "sent":
            ledger.sent(positions, call.batch)
            open_calls.append(call)
        else:
            continue
        covered[positions] = True
    rest = [
        (batch, positions[~covered[positions]])
        for batch, positions in enumerate(cut_batches(contact_count))
        if not covered[positions].all()
    ]
    return open_calls[::-1], rest
