"""What an error that ends a run means, in view of what the run has seen before it."""

from __future__ import annotations

from kirim_pandas.errors import ApiError, NotFoundError

__all__ = ["explain_many_refusals", "explain_missing_label"]


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
