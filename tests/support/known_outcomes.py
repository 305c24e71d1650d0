"""What a run knows of its contacts, as tests write it down."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kirim_pandas.grouptesting.outcomes import Outcomes


def known(
    outcome: Sequence[int],
    batch: Sequence[int],
    *,
    probed: Sequence[bool] | None = None,
    no_reply: Sequence[bool] | None = None,
    refusal: Sequence[int] | None = None,
    refusal_codes: Sequence[str] = (),
) -> Outcomes:
    """Fill in what is not said: told by batches, answered, not refused."""
    size = len(outcome)
    sent = np.asarray(batch, dtype=np.int64)
    nothing = np.full(size, -1)
    lost = np.asarray([False] * size if no_reply is None else no_reply, dtype=bool)
    return Outcomes(
        outcome=np.asarray(outcome, dtype=np.int8),
        batch=sent,
        probed=np.zeros(size, dtype=bool) if probed is None else np.asarray(probed, dtype=bool),
        answered=(sent >= 0) & ~lost,
        refusal=nothing if refusal is None else np.asarray(refusal),
        refusal_codes=tuple(refusal_codes),
    )
