"""What a call without counts leaves behind, and how one bad id is kept to costing one row.

Only the service's own envelope, which has a code, refuses a call.  Whatever else answers a request
that left may have refused the *reply*, after the call was carried out.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum, auto

from kirim_pandas.errors import (
    ApiError,
    InvalidRequestError,
    KirimError,
    NotFoundError,
    ServerError,
)
from kirim_pandas.grouptesting.outcomes import Positions
from kirim_pandas.run.calls import CallState

TOO_LARGE = "http_413"
"""The code of a call that holds more contacts than the service takes, whatever it calls that."""

OF_THE_KEY = frozenset({"idempotency_key_reuse", "idempotency_conflict", "idempotency_in_progress"})
"""Codes that say that the key was used before: by a try of this very call, as likely as not."""

NOT_ABOUT_IDS = frozenset({"account_not_connected", "invalid_limit", "invalid_cursor"})
"""Codes that speak of the account, or of a list: sending other ids would not help."""

CONTACT_PARAM = re.compile(r"contact_ids?(?:\D+(\d+))?", re.ASCII)
"""``contact_ids``, ``contact_ids[17]``, ``contact_ids.17``, ``/contact_ids/17``."""


class Said(Enum):
    """What came back instead of counts."""

    IDS = auto()
    """The service refuses ids in the call."""
    SIZE = auto()
    """The service finds that they are too many."""
    NO = auto()
    """The service refuses the call for what other ids would meet, too: a label, a key."""
    UNCLEAR = auto()
    """The body left, and who answered, if anybody did, does not tell what the service did."""
    NOT_SENT = auto()
    """No byte of the body left."""


# What a call is afterwards, by whether an earlier try of it may have been carried out, and whether
# the key is certainly of the organisation that the run began in.  "sent": in doubt, to be asked
# again under its own key.  "unsent": not carried out, to be sent again.  "refused": for good.
#
# Any no may come before the key is looked up, and of a body that was cut or changed on the way.
# So it does not deny an earlier try, even if it points at an id: for a refusal of ids,
# `ReplyHandler` asks again about those left over.
LEAVES: dict[tuple[Said, bool, bool], CallState] = {
    # said, earlier try, own key
    (Said.IDS, False, True): "refused",
    (Said.IDS, True, True): "sent",
    (Said.IDS, False, False): "unsent",
    (Said.IDS, True, False): "sent",
    (Said.SIZE, False, True): "refused",
    (Said.SIZE, True, True): "sent",
    (Said.SIZE, False, False): "refused",
    (Said.SIZE, True, False): "sent",
    (Said.NO, False, True): "unsent",
    (Said.NO, True, True): "sent",
    (Said.NO, False, False): "unsent",
    (Said.NO, True, False): "sent",
    (Said.UNCLEAR, False, True): "sent",
    (Said.UNCLEAR, True, True): "sent",
    (Said.UNCLEAR, False, False): "sent",
    (Said.UNCLEAR, True, False): "sent",
    (Said.NOT_SENT, False, True): "unsent",
    (Said.NOT_SENT, True, True): "sent",
    (Said.NOT_SENT, False, False): "unsent",
    (Said.NOT_SENT, True, False): "sent",
}


@dataclass(frozen=True, slots=True)
class Failure:
    """A call that came back without counts.

    Attributes
    ----------
    error : BaseException or None
        As it was raised.
    said : Said
        What came back.
    left : bool
        Whether a try of this session may have been carried out, this one or an earlier one.
    code : str
        The service's error code, or `TOO_LARGE`; empty where it gave none.
    index : int or None
        Which id of the call is pointed at, if one is.
    request_id : str or None
        For support.
    too_large : bool
        Whether fewer contacts may pass; a single one cannot be too many.
    replayed : bool
        Whether the service has stored the failure, and would repeat it under this key: it is the
        key's first reply, so no try of the call was carried out.
    """

    error: BaseException | None
    said: Said
    left: bool = False
    code: str = ""
    index: int | None = None
    request_id: str | None = None
    too_large: bool = False
    replayed: bool = False

    @property
    def reason(self) -> str:
        """What happened, in words; of an error that nobody foresaw only its kind."""
        own = isinstance(self.error, KirimError)
        return str(self.error) if own else type(self.error).__name__


def read_failure(error: BaseException | None, size: int) -> Failure:
    """Tell what `error`, which ended a call of `size` contacts, says of the call."""
    # What is no error of ours was raised by a fault of ours, who knows when.
    left = error.maybe_applied if isinstance(error, KirimError) else True
    if not isinstance(error, ApiError):
        return Failure(error, Said.UNCLEAR if left else Said.NOT_SENT, left)
    too_large = error.maybe_too_large and size > 1
    is_said = too_large and error.status == 413
    said = _said(error, left=left, is_size=is_said)
    index = _index(error, size)
    code = TOO_LARGE if is_said else error.code or ""
    return Failure(error, said, left, code, index, error.request_id, too_large, error.replayed)


def _said(error: ApiError, *, left: bool, is_size: bool) -> Said:
    if error.code is None:
        return Said.UNCLEAR if left else Said.NOT_SENT
    if isinstance(error, ServerError) or error.status == 408 or error.code in OF_THE_KEY:
        return Said.UNCLEAR
    if is_size:
        return Said.SIZE
    return Said.IDS if _is_about_ids(error) else Said.NO


def _is_about_ids(error: ApiError) -> bool:
    names_ids = CONTACT_PARAM.search(error.param or "") is not None
    if isinstance(error, NotFoundError):
        return names_ids
    if not isinstance(error, InvalidRequestError) or error.status == 413:
        return False
    return error.code not in NOT_ABOUT_IDS and (names_ids or not error.param)


def _index(error: ApiError, size: int) -> int | None:
    found = CONTACT_PARAM.search(error.param or "")
    index = int(found[1]) if found and found[1] else size
    return index if index < size else None


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


def explain_doubted_refusals(error: BaseException | None) -> None:
    """Say what it means that all is refused after a try that may have been carried out."""
    if isinstance(error, ApiError):
        error.args = (
            "contacts were refused after an earlier try of the same request, of which no answer "
            "came: that one may have been carried out, for something on the way may cut or change "
            f"what is sent. The last refusal: {error}",
        )


def explain_refused_probes(error: BaseException | None) -> None:
    """Say what it means that contacts are refused which the service has taken before."""
    if isinstance(error, ApiError):
        error.args = (
            "calls were refused although the service had taken every contact in them before: "
            "something on the way may cut or change what is sent, or contacts were deleted since. "
            f"The last refusal: {error}",
        )


def _marks(error: ApiError) -> str:
    marks = [f"HTTP {error.status}", error.code, error.request_id and f"request {error.request_id}"]
    return ", ".join(mark for mark in marks if mark)
