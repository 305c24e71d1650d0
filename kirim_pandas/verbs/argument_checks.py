"""The arguments of the public verbs: made plain and checked; errors leave the verbs short.

An almost-string (``numpy.str_``, a member of a ``StrEnum``) or an almost-number (``numpy.int64``)
is equal to a plain one, but is written differently into a journal, a checksum or a message.  So
everything behind these checks works with ``str`` and ``int`` alone.
"""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kirim_pandas.errors import InvalidInputError, ShortTraceback

if TYPE_CHECKING:
    from kirim_pandas.api.client import Client

__all__ = [
    "ShortTraceback",
    "client_problems",
    "flag_problems",
    "journal_problems",
    "past_run",
    "plain",
    "progress_problems",
    "refuse",
    "shown",
    "used_client",
]

_MOST_SHOWN = 60
"""Characters of a text that a message shows."""


def plain(value: Any) -> Any:
    """Make ``str`` of any text and plain numbers of any number, also inside a list or a tuple."""
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, (bool, np.bool_)):
        return bool(value)
    if isinstance(value, (int, np.integer)):
        return int(value)
    if isinstance(value, (float, np.floating)):
        return float(value)
    if type(value) in (list, tuple):
        return type(value)(plain(item) for item in value)
    return value


def shown(value: object) -> str:
    """Write an argument for a message: text and numbers, of anything else its type and shape."""
    from kirim_pandas.frames.shapes import described, hidden

    if isinstance(value, str):
        text = hidden(plain(value)) or ascii(plain(value))
        return text if len(text) <= _MOST_SHOWN else f"{text[: _MOST_SHOWN - 2]}…'"
    if isinstance(value, (int, float)):
        return repr(value)
    return described(value)


def refuse(problems: list[str]) -> None:
    """Raise one error that says all that is wrong, if anything is."""
    if problems:
        raise InvalidInputError("\n".join(problems))


def client_problems(client: object) -> list[str]:
    """Tell what is wrong with ``client=``."""
    from kirim_pandas.api.client import Client

    if client is None or isinstance(client, Client):
        return []
    what = "text" if isinstance(client, str) else shown(client)  # it may be a key
    return [f"client: found {what}, expected a kirim_pandas.Client, or None."]


def flag_problems(**flags: object) -> list[str]:
    """Tell which of the arguments that say yes or no say neither."""
    return [
        f"{name}: found {shown(value)}, expected True or False."
        for name, value in flags.items()
        if not isinstance(value, (bool, np.bool_))
    ]


def journal_problems(journal: object, *, needed: bool = False) -> list[str]:
    """Tell what is wrong with ``journal=``; `needed`: False is no answer where it is read."""
    if journal is None or (journal is False and not needed):
        return []
    is_path = isinstance(journal, PathLike) or (isinstance(journal, str) and journal.strip())
    if is_path and str(journal) != ":memory:":  # what is in memory cannot be resumed
        return []
    nowhere = "" if needed else ", or False for nowhere"
    return [f"journal: found {shown(journal)}, expected a path, None for the usual place{nowhere}."]


def progress_problems(progress: object) -> list[str]:
    """Tell what is wrong with ``progress=``."""
    if isinstance(progress, bool) or callable(progress):
        return []
    found = shown(progress)
    return [f"progress: found {found}, expected True, False, or a function that takes a Progress."]


def used_client(client: Client | None) -> Client:
    """Return the client to ask with: the one given, else the one of the session."""
    from kirim_pandas import session

    refuse(client_problems(client))
    return client or session.current_client()


def past_run(run_id: object, journal: object) -> tuple[str, str | Path | None]:
    """Check what says which run of the past, in which journal.

    Raises
    ------
    InvalidInputError
        It is no text, or no place.
    """
    problems = journal_problems(journal, needed=True)
    if not isinstance(run_id, str):
        problems.append(
            f"run_id: found {shown(run_id)}, expected a text like run_20260131_0123456789; "
            "kirim_pandas.runs() lists the runs there are. A frame goes on with its run by "
            "df.kirim.resume(run_id)."
        )
    refuse(problems)
    return plain(run_id), plain(journal)
