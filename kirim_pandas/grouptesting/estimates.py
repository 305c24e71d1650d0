"""How many probes will it take?"""

from __future__ import annotations

from collections.abc import Sequence
from math import log2

from kirim_pandas.grouptesting.clusters import log2_choose
from kirim_pandas.grouptesting.outcomes import MAX_CONTACTS_PER_CALL

_BEST_RATE = 4.2  # bits for a probe that large runs reach


def probes_for_bits(bits: Sequence[float], skips: Sequence[float]) -> float:
    """Estimate the probes that bring the missing bits of each kind of skip.

    A probe's count among ``c`` skips spreads like a binomial with ``c`` tosses, which bounds
    its bits. The kinds share probes, but seldom all of them.
    """
    needs = [
        need / min(_BEST_RATE, max(1.0, 0.5 * log2(4.27 * count)))
        for need, count in zip(bits, skips, strict=False)
        if need > 0 and count > 0
    ]
    return max(needs) + 0.4 * (sum(needs) - max(needs)) if needs else 0.0


def probes_for_counts(size: int, counts: Sequence[int]) -> float:
    """Estimate the probes that name so many skips of each kind among `size` contacts."""
    return probes_for_bits([float(log2_choose(size, count)) for count in counts], counts)


def expected_probes_for(
    contact_count: int, share_cross_org: float, share_team_mismatch: float = 0.0
) -> float:
    """Estimate the probes for contacts skipped at random.

    Parameters
    ----------
    contact_count
        Contacts of the run.
    share_cross_org, share_team_mismatch
        Shares of them, 0 to 1.

    Returns
    -------
    float
        Probes, the confirming calls included.
    """
    size = min(contact_count, MAX_CONTACTS_PER_CALL)
    shares = (share_cross_org, share_team_mismatch)
    if not size or not any(0 < share < 1 for share in shares):
        return 0.0
    batches = contact_count / size
    skips = [share * contact_count for share in shares]
    bits = [_entropy(share) * contact_count for share in shares]
    # A batch without skips needs no probe; of the others each outcome is sent once more.
    touched = batches * (1 - (1 - min(1.0, sum(shares))) ** size)
    kinds = sum(share > 0 for share in shares)
    return probes_for_bits(bits, skips) + touched + kinds


def _entropy(share: float) -> float:
    if not 0 < share < 1:
        return 0.0
    return -share * log2(share) - (1 - share) * log2(1 - share)
