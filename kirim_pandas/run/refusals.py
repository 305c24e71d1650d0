"""Refusals: which ids one is about, how to narrow that down, and what one that ends a run means.

One bad id must cost one row.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from kirim_pandas.errors import ApiError, InvalidRequestError, NotFoundError
from kirim_pandas.grouptesting.outcomes import Positions

__all__ = [
    "TOO_LARGE",
    "Refusal",
    "explain_many_refusals",
    "explain_missing_label",
    "read_refusal",
    "split_refused",
]

TOO_LARGE = "http_413"
"""The code of a call that holds more contacts than the service takes, whatever it calls that."""

NOT_ABOUT_IDS = frozenset(
    {
        "idempotency_key_reuse",
        "idempotency_conflict",
        "account_not_connected",
        "invalid_limit",
        "invalid_cursor",
    }
)
"""Codes that speak of the key, the account, a list: sending other ids would not help."""

CONTACT_PARAM = re.compile(r"contact_ids?(?:\D+(\d+))?", re.ASCII)
"""``contact_ids``, ``contact_ids[17]``, ``contact_ids.17``, ``/contact_ids/17``."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """The service refused a call because of ids in it, or because of their number.

    Attributes
    ----------
    code : str
        The service's error code, or `TOO_LARGE`.
    index : int or None
        Which id of the call it points at, if it points at one.
    request_id : str or None
        For support.
    """

    code: str
    index: int | None
    request_id: str | None

    @property
    def too_large(self) -> bool:
        """Whether it is the number of ids that was refused: nothing is wrong with any of them."""
        return self.code == TOO_LARGE


def read_refusal(error: BaseException | None, size: int) -> Refusal | None:
    """Tell whether `error` is about ids among the `size` of the call, and about which.

    Returns
    -------
    Refusal or None
        None when other ids would meet the same error (a bad label, a key, a missing host, a
        gateway that lets nothing through).
    """
    if not isinstance(error, ApiError) or error.code in NOT_ABOUT_IDS:
        return None
    if error.status == 413:
        return Refusal(TOO_LARGE, None, error.request_id) if size > 1 else None
    if error.code is None:
        # Something on the way said so. It knows neither ids nor keys, so an earlier try may have
        # been carried out.
        return None
    about_ids = CONTACT_PARAM.search(error.param or "")
    if isinstance(error, InvalidRequestError):
        if error.param and not about_ids:
            return None
    elif not (isinstance(error, NotFoundError) and about_ids):
        return None
    index = int(about_ids[1]) if about_ids and about_ids[1] else None
    if index is not None and index >= size:
        index = None
    return Refusal(error.code, index, error.request_id)


def split_refused(positions: Positions, index: int | None) -> list[Positions]:
    """Cut a refused call: the id it points at and the rest, or else two halves.

    The id pointed at is sent once more, alone: a service that points at the wrong id must not
    cost a good row.

    Returns
    -------
    list of int64 arrays
        Empty when there is a single id, which is then the one refused.
    """
    if len(positions) == 1:
        return []
    if index is None:
        middle = len(positions) // 2
        return [positions[:middle], positions[middle:]]
    rest = positions[[place for place in range(len(positions)) if place != index]]
    return [positions[index : index + 1], rest]


def explain_missing_label(
    error: BaseException | None, *, found_now: bool, found_before: bool
) -> None:
    """Say of a 404 for a label that was there what that may mean, and what to do.

    Parameters
    ----------
    error
        What ended the run; anything but a 404 of the service itself is left as it is.
    found_now, found_before
        Whether a call of the run was counted in this session, or in an earlier one.
    """
    if not (isinstance(error, NotFoundError) and error.code and (found_now or found_before)):
        return
    gone = "it is off all contacts then, so make a new label in Kirim and label the frame with that"
    if found_now:
        text = f"the label was there when this run began and was deleted since: {gone}"
    else:
        text = (
            "the label was there when this run began (calls of the run were answered), but this "
            f"key finds no such label. Either it was deleted since: {gone}. Or this key "
            "belongs to another organisation: connect with a key of the organisation that the "
            "run began in, and resume it"
        )
    if error.param is None:
        text += ". (The service does not say what it misses; it may also be a contact)"
    error.args = (f"{text} ({_marks(error)})",)


def explain_many_refusals(error: BaseException | None, refused: int, *, own_key: bool) -> None:
    """Say what so many refused ids mean.

    Parameters
    ----------
    error
        The last refusal.
    refused
        So many ids were refused; or calls, where the key may be a foreign one.
    own_key
        Whether the key is certainly of the organisation that the run began in.
    """
    if not isinstance(error, ApiError):
        return
    if own_key:
        text = (
            f"{refused:,} contact ids were refused, each for itself, so this is rather a wrong "
            "column than bad luck: check where the ids come from. The last refusal"
        )
    else:
        text = (
            f"{refused:,} calls were refused because of contact ids, and none was answered since "
            "this run was resumed. Either these contacts were deleted since, or this key belongs "
            "to another organisation: connect with a key of the organisation that the run began "
            "in, and resume it. The last refusal"
        )
    error.args = (f"{text}: {error}",)


def _marks(error: ApiError) -> str:
    marks = [f"HTTP {error.status}", error.code, error.request_id and f"request {error.request_id}"]
    return ", ".join(mark for mark in marks if mark)
