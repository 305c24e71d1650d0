"""What the service's documentation leaves open, as choices.

Every field stands for a question that no readable page answers. A client that keeps its
promises under every combination does not depend on a guess.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from math import inf
from typing import Any, Literal, get_args, get_type_hints

import numpy as np

from kirim_pandas.errors import InvalidInputError, ShortTraceback


@dataclass(frozen=True)
class Switches:
    """How the sandbox behaves where the service's documentation is silent.

    The defaults are the readings that seem likeliest; none of them is known to be right.

    Attributes
    ----------
    applied
        ``"contacts"``: ``applied`` counts every contact that passed. ``"changes"``: only those
        whose label really changed.
    unknown_ids
        Ids that no organisation has: counted as ``"cross_org"``, ``"uncounted"``, or the whole
        call refused with ``"404"`` or ``"400"``.
    duplicates
        An id twice in one call: counted ``"once"``, ``"each"`` time, or ``"refused"`` (400).
    malformed_param
        What ``param`` of a refused id says: ``"index"`` (``contact_ids[17]``), ``"field"``
        (``contact_ids``) or ``"none"``.
    cache_failures
        Whether 4xx replies of validation are stored under the idempotency key too.
    key_reuse
        A key used again with another body: ``"422"`` ``idempotency_key_reuse`` or ``"409"``
        ``idempotency_conflict`` (the pages differ).
    refusal_costs
        Whether a 429 costs a token.
    replay_costs
        Whether an idempotent replay costs a token.
    rate_headers_on_5xx
        Whether 5xx replies carry the ``X-RateLimit`` headers.
    account_teams
        The team of a contact is the team of its connected number for ``"all"`` contacts, or for
        ``"most"``: one in ten is listed under the number of another team.
    account_shown
        Whether lists tell a contact's connected number: ``"always"``, ``"sometimes"`` (not for
        three contacts in ten) or ``"never"``.
    phone_number_path
        Whether contact paths may have (``"optional"``), must have (``"required"``) or must not
        have (``"refused"``) ``/{phone_number_id}`` before them.
    """

    applied: Literal["contacts", "changes"] = "contacts"
    unknown_ids: Literal["cross_org", "uncounted", "404", "400"] = "cross_org"
    duplicates: Literal["once", "each", "refused"] = "once"
    malformed_param: Literal["index", "field", "none"] = "index"
    cache_failures: bool = False
    key_reuse: Literal["422", "409"] = "422"
    refusal_costs: bool = False
    replay_costs: bool = False
    rate_headers_on_5xx: bool = False
    account_teams: Literal["all", "most"] = "all"
    account_shown: Literal["always", "sometimes", "never"] = "always"
    phone_number_path: Literal["optional", "required", "refused"] = "optional"

    @ShortTraceback()
    def __post_init__(self) -> None:
        check_choices(self)


def choices(settings: type[Switches]) -> dict[str, tuple[Any, ...]]:
    """Give the allowed values of every field; the default comes first."""
    hints = get_type_hints(settings)
    allowed = {}
    for field in fields(settings):
        values = get_args(hints[field.name]) or (False, True)
        allowed[field.name] = (field.default, *(v for v in values if v != field.default))
    return allowed


def is_number(value: Any, least: float, most: float = inf) -> bool:
    """Whether it is a number, of Python or NumPy, in a range."""
    return (
        isinstance(value, (int, float, np.integer, np.floating))
        and not isinstance(value, bool)
        and bool(least <= value <= most)
    )


def is_whole(value: Any, least: float, most: float = inf) -> bool:
    """Whether it is a whole number in a range."""
    return isinstance(value, (int, np.integer)) and is_number(value, least, most)


def check(given: dict[str, tuple[Any, Callable[[Any], bool], str]]) -> None:
    """Raise one ``InvalidInputError`` for all values that are not usable.

    Parameters
    ----------
    given
        By name: the value, what tells whether it is usable, and in words what is.
    """
    told = [
        f"{name}: found {_found(value)}, expected {expected}."
        for name, (value, is_usable, expected) in given.items()
        if not is_usable(value)
    ]
    if told:
        raise InvalidInputError("\n".join(told))


def _found(value: object) -> str:
    return repr(value) if type(value) in (int, float, bool) else type(value).__name__


def check_choices(settings: Switches) -> None:
    """Raise ``InvalidInputError`` where a field has a value that is not among its choices."""
    for name, values in choices(type(settings)).items():
        found = getattr(settings, name)
        if not isinstance(found, (str, bool)) or found not in values:
            raise InvalidInputError(
                f"{name}={found!r} is not one of {', '.join(map(repr, values))}"
            )
