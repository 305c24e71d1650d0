"""Statuses and reasons in an analyst's words: what each means, and what to do about it.

The one table of these texts; reports, messages and the README take them from here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

NO_LABEL: Final = "no_label"
"""The reason of a row of which nothing was wanted."""

STATUS_MEANINGS: Final = {
    "applied": "The service counted the contact as done: the wanted state holds.",
    "skipped": "The service left the contact out.",
    "failed": "The service refused the call: certainly not done.",
    "unknown": "Sent, but what happened to this contact is not known.",
    "not_sent": "Never sent: nothing happened to this contact.",
}
"""Status to its meaning, in the fixed order of the statuses."""


@dataclass(frozen=True, slots=True)
class Reason:
    """A reason in words.

    Attributes
    ----------
    status : str
        The status it goes with.
    meaning : str
        What happened, in one sentence.
    action : str
        What to do about these rows, in one sentence.
    """

    status: str
    meaning: str
    action: str


REASONS: Final = {
    "": Reason(
        "applied",
        "The wanted state holds, whether it is new or held before.",
        "Nothing.",
    ),
    "cross_org": Reason(
        "skipped",
        "The service counted the id as another organisation's; it does not say whether an unknown "
        "or deleted contact counts so too.",
        "Check where the ids come from; an old export or another account is the usual cause.",
    ),
    "team_mismatch": Reason(
        "skipped",
        "The service counted the contact as one of another team than the label's.",
        "Use a label of the contact's own team, or have the contact moved.",
    ),
    "not_counted": Reason(
        "skipped",
        "The service counted the contact neither as done nor as skipped, and does not say why; an "
        "unknown or deleted contact is likely.",
        "Look at a few of these contacts in Kirim; kirim_pandas.calls(run_id) has the request ids "
        "for Kirim's support.",
    ),
    "undetermined": Reason(
        "unknown",
        "Its batch was partly skipped, and which rows were was not asked to the end.",
        "Resume the run, or run it again without a limit of requests; a repeat changes nothing.",
    ),
    "no_reply": Reason(
        "unknown",
        "The request was sent and the answer was lost.",
        "Resume the run: it asks again in a way that cannot apply anything twice.",
    ),
    "stopped": Reason(
        "not_sent",
        "The run ended before this contact's turn.",
        "Resume the run.",
    ),
    "missing_id": Reason(
        "not_sent",
        "The row has no contact id, or nothing to look the contact up by.",
        "Fill it in, or leave the row out.",
    ),
    "malformed_id": Reason(
        "not_sent",
        "The value is no contact id (ctc_ and 26 upper-case letters and digits).",
        "Take the id from its source again; spreadsheets and copying tend to change ids.",
    ),
    NO_LABEL: Reason(
        "not_sent",
        "Nothing was wanted of the row: it is in no segment that has a label, or is no member.",
        "Nothing, unless it should have been in one.",
    ),
    "not_in_frame": Reason(
        "not_sent",
        "The contact has the label by an earlier sync, and is in no row of the frame any more.",
        "Nothing, or sync again with leavers='detach', which takes the label off.",
    ),
    "not_read": Reason(
        "not_sent",
        "The contact came into the source of a Dask DataFrame after the run had read it.",
        "Label it with a new run.",
    ),
    "not_found": Reason(
        "not_sent",
        "No contact of the organisation has this phone number or e-mail address.",
        "Correct it, or have the person added as a contact in Kirim.",
    ),
    "ambiguous": Reason(
        "not_sent",
        "Several contacts have this phone number or e-mail address.",
        "Choose among them in kirim_pandas.contacts(), and give the contact id.",
    ),
    "malformed_phone": Reason(
        "not_sent",
        "The value is no single phone number that is certain.",
        "Take the number from its source again, one a row, as text.",
    ),
    "malformed_email": Reason(
        "not_sent",
        "The value is no single e-mail address.",
        "Take the address from its source again, one a row.",
    ),
}
"""Reason to its words; the empty reason is that of ``applied``."""


def reason_for(status: str, reason: str) -> Reason:
    """Look a reason up; an error code of the service gets words too.

    Parameters
    ----------
    status
        The row's status.
    reason
        The row's reason, empty if it has none.
    """
    known = REASONS.get(reason)
    if known is not None and known.status == status:
        return known
    return Reason(
        status,
        f"{STATUS_MEANINGS[status]} The service's code: {reason or 'none'}.",
        "Correct what the code says, then run these rows again.",
    )
