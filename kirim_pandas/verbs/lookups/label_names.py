"""Labels by name: which label of the organisation is meant.

A text that begins with ``lbl_`` is an id and is taken as it is.  Any other text is a name: exactly
as written first, then without regard to case and outer white space.  Nothing is guessed: a name
that fits no label, or labels of several teams, is an error that lists what there is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from difflib import get_close_matches
from typing import TYPE_CHECKING

from kirim_pandas import session
from kirim_pandas.api.protocol import label_problems
from kirim_pandas.errors import InvalidInputError
from kirim_pandas.verbs.argument_checks import shown
from kirim_pandas.verbs.lookups.listing import Listing, known_listing

if TYPE_CHECKING:
    from kirim_pandas.api.models import Label
    from kirim_pandas.verbs.arguments import Client


_LISTED = 10
"""Labels that a message lists."""

_NEAREST = 3
"""Names that a message proposes for one that fits no label."""


def folded(name: str) -> str:
    """Return a name as it is compared with others: without white space around it, and its case."""
    return name.strip().casefold()


_RULES: tuple[Callable[[str], str], ...] = (str, folded)
"""How names are compared: the first rule by which any label fits decides."""


def is_name(label: object) -> bool:
    """Whether a text is the name of a label, and not its id."""
    return isinstance(label, str) and bool(label.strip()) and not label.startswith("lbl_")


def name_problems(label: object, team_id: object) -> list[str]:
    """Tell what is wrong with a label and a team before the service is asked, a sentence each."""
    problems = [] if is_name(label) else label_problems(label)
    if not isinstance(team_id, str | None):
        problems.append(f"team_id: found {shown(team_id)}, expected text, or None.")
    return problems


def resolved(
    label: str, team_id: str | None, client: Client | None, contact_ids: Sequence[str] = ()
) -> tuple[str, str | None]:
    """Find the id and the name of a label.

    A name costs one read, whose answer is remembered for the session; it is read again where
    no label fits.  An id costs none: its name is given only where it is remembered.

    Parameters
    ----------
    label
        An id or a name.
    team_id
        Chooses among labels of several teams.
    client
        Reads; by default the one of the session.
    contact_ids
        The contacts to label; a message says which numbers they belong to, where that is known.

    Raises
    ------
    InvalidInputError
        No label, or more than one, fits the name.
    KirimError
        The service could not be asked.
    """
    if not is_name(label):
        known = session.remembered_labels(client or session.known_client())
        return label, next((one.name for one in known if one.id == label), None)
    client = client or session.current_client()
    found = _fitting(label, team_id, session.remembered_labels(client))
    found = found or _fitting_afresh(label, team_id, client)
    if len(found) > 1:
        raise InvalidInputError(
            f"{len(found)} labels are called {shown(label)}: {_listed(found)}. Choose one with "
            f"team_id=, or pass its id. {_whose(client, contact_ids)}"
        )
    return found[0].id, found[0].name


def _fitting_afresh(name: str, team_id: str | None, client: Client) -> list[Label]:
    labels = session.read_labels(client)
    found = _fitting(name, team_id, labels)
    if not found:
        raise InvalidInputError(_no_label(name, team_id, labels))
    return found


def absent(names: Sequence[str], team_id: str | None, client: Client) -> list[str]:
    """Find the names that no label has; costs one read."""
    labels = session.read_labels(client)
    return [name for name in names if is_name(name) and not _fitting(name, team_id, labels)]


def _fitting(name: str, team_id: str | None, labels: Sequence[Label]) -> list[Label]:
    for rule in _RULES:
        found = [label for label in labels if rule(label.name or "") == rule(name)]
        if found:
            return [label for label in found if team_id in (None, label.team_id)]
    return []


def _no_label(name: str, team_id: str | None, labels: Sequence[Label]) -> str:
    of_team = f" of team {shown(team_id)}" if team_id is not None else ""
    told = f"No label{of_team} is called {shown(name)}. "
    if others := _fitting(name, None, labels):
        return f"{told}Labels of that name: {_listed(others)}."
    by_key = {_RULES[1](label.name or ""): label for label in labels}
    near = get_close_matches(_RULES[1](name), list(by_key), _NEAREST)
    if near:
        return f"{told}The nearest: {_listed([by_key[key] for key in near])}."
    if not labels:
        return f"{told}The organisation has no labels."
    return f"{told}There are: {_listed(labels)}. kirim_pandas.labels() lists all."


def _whose(client: Client, contact_ids: Sequence[str]) -> str:
    """Say which connected numbers the contacts belong to: a number's contacts are of one team."""
    told = (
        "The service does not tell the team of a contact; its contacts are those of its connected "
        "numbers (kirim_pandas.accounts())"
    )
    listing = known_listing(client)
    if listing is None:
        return f"{told}, which kirim_pandas.contacts() shows for each contact."
    counts = _by_number(listing, contact_ids)
    numbers = ", ".join(f"{number}: {count:,}" for number, count in counts.most_common(_LISTED))
    rest = len(contact_ids) - counts.total()
    return (
        f"{told}. Contacts of this frame by number: {numbers or 'none is known'}"
        f"{f'; of {rest:,} it is not known' if rest else ''}."
    )


def _by_number(listing: Listing, contact_ids: Sequence[str]) -> Counter[str]:
    known = [listing.contacts[one].account for one in contact_ids if one in listing.contacts]
    return Counter(account for account in known if account)


def _listed(labels: Sequence[Label]) -> str:
    told = [
        f"{shown(label.name)} ({label.id}, team {label.team_id}, {label.color})"
        for label in labels[:_LISTED]
    ]
    more = len(labels) - len(told)
    return ", ".join(told) + (f" and {more} more" if more else "")
