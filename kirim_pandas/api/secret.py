"""The key, held so that it does not show, and the cleaning of text that came from outside."""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Callable
from typing import NoReturn

__all__ = ["MAX_FOREIGN_CHARACTERS", "Secret", "hide_keys_in_logs", "key_warning", "read_key"]

MAX_FOREIGN_CHARACTERS = 300
"""No message of ours quotes more than this of what a server said."""

_PIECE_LENGTH = 8  # an echo of this many characters of the key counts as an echo of the key
_LIVE, _TEST = "kdv_live_", "kdv_test_"  # says: so keys begin, and 24 url-safe characters follow
_KEY_LENGTH = 33
_SHORTEST_KEY, _LONGEST_KEY = 20, 512  # of other prefixes, which are let through
_NOT_IN_KEYS = re.compile(r"[^A-Za-z0-9_-]")
_NOT_IN_TOKENS = re.compile(r"[^A-Za-z0-9._~+/=-]")  # RFC 6750
_KEY_LIKE = re.compile(r"kdv_[A-Za-z0-9_%-]+")
_SHAPE = "kdv_live_ and 24 letters, digits, '-' or '_'"
_HOW_TO_SET = (
    "set the environment variable KIRIM_API_KEY or pass api_key=; where somebody can type, "
    "kirim_pandas.connect() asks for it"
)


class Secret:
    """A key that is not shown: not by repr, str, format, vars, pickle or copy.

    The text lives in a closure, so that no attribute of any object holds it.
    """

    __slots__ = ("_mask", "reveal")

    reveal: Callable[[], str]

    def __init__(self, text: str) -> None:
        self.reveal = lambda: text
        self._mask = _masker(text)

    def mark(self, salt: str) -> str:
        """Return 16 hex digits that tell this key from others and say nothing else of it.

        A key has 144 random bits (24 url-safe characters): no guessing leads back from a digest.
        """
        return hashlib.sha256(f"{salt}\n{self.reveal()}".encode()).hexdigest()[:16]

    def clean(self, text: object, *, limit: int = MAX_FOREIGN_CHARACTERS) -> str:
        """Make foreign text fit to be shown: no key, no control characters, no markup, short.

        Parameters
        ----------
        text
            What a server sent; anything but text is shown as its type.
        limit
            Most characters to return.
        """
        if not isinstance(text, str):
            return f"({type(text).__name__})"
        text = text[: 20 * limit].replace("<", "‹").replace(">", "›")
        text = "".join(c if c.isprintable() else " " for c in text)
        text = _KEY_LIKE.sub("[key]", self._mask(" ".join(text.split())))
        return text if len(text) <= limit else text[: limit - 1] + "…"

    def __repr__(self) -> str:
        return "Secret(hidden)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a key is not copied or pickled")


def hide_keys_in_logs() -> None:
    """Let no key be logged by the layers below, which at level DEBUG write down reply headers.

    A server may echo in them what it was sent.  A second time does nothing.
    """
    for name in ("httpcore.connection", "httpcore.http11", "httpcore.proxy", "httpx"):
        logging.getLogger(name).addFilter(_without_keys)


def _without_keys(record: logging.LogRecord) -> bool:
    message = record.getMessage()
    hidden = _KEY_LIKE.sub("[key]", message)
    if hidden != message:
        record.msg, record.args = hidden, None
    return True


def read_key(api_key: object, environment: dict[str, str]) -> Secret | str:
    """Take the key from the argument, else from the environment; or say what is wrong.

    Nothing is raised here, because a printed traceback may show the locals of this frame.

    Parameters
    ----------
    api_key
        What the caller gave, or None.
    environment
        Where ``KIRIM_API_KEY``, else ``KIRIM_KEY``, is looked up.

    Returns
    -------
    Secret or str
        The key, or the message of a ``ConfigurationError``; it shows none of its characters.
    """
    if api_key is None:
        api_key = environment.get("KIRIM_API_KEY", "").strip() or environment.get("KIRIM_KEY")
    if api_key is not None and not isinstance(api_key, str):
        return f"the API key must be text, found {type(api_key).__name__}: {_HOW_TO_SET}"
    text = (api_key or "").strip()
    if not text:
        return f"no API key was found: {_HOW_TO_SET}"
    odd = _oddity(text)
    if odd is not None:
        return (
            f"the API key is not usable: it has {len(text)} characters, and {odd}; "
            f"expected {_SHAPE}: copy it again"
        )
    return Secret(text)


def key_warning(secret: Secret) -> str | None:
    """Say what is unusual about a key, in a sentence that shows none of it."""
    text = secret.reveal()
    if text.startswith(_TEST):
        return (
            "This is a kdv_test_ key, but the service offers no sandbox: do not count on it that "
            "no customer is touched. kirim_pandas.sandbox.start() is a place to rehearse."
        )
    if not text.startswith(_LIVE):
        return (
            f"The API key does not begin with {_LIVE}, as Kirim's keys do. It is used as it is; "
            "if it is not accepted, copy it again."
        )
    return None


def _oddity(text: str) -> str | None:
    """Tell what first makes `text` no key, in words that show none of it."""
    # What cannot stand in a header would be printed in full by the layers below. Of another
    # prefix the service is the judge, as long as a key can look like that at all.
    known = text.startswith((_LIVE, _TEST))
    found = (_NOT_IN_KEYS if known else _NOT_IN_TOKENS).search(text)
    if found:
        return f"character {found.start() + 1} is {_kind(found[0])}"
    if known and len(text) != _KEY_LENGTH:
        return f"a key has {_KEY_LENGTH}"
    if len(text) < _SHORTEST_KEY:
        return "it does not begin as a key does"
    return "that is too long" if len(text) > _LONGEST_KEY else None


def _kind(character: str) -> str:
    if character.isspace():
        return "white space"
    if ord(character) > 126:
        return "not ASCII"
    return "a mark that no key has" if character.isprintable() else "a control character"


def _masker(key: str) -> Callable[[str], str]:
    """Make the function that blots out every run of characters that stands in `key`."""
    size = min(_PIECE_LENGTH, len(key))
    pieces = {key[i : i + size] for i in range(len(key) - size + 1)}

    def mask(text: str) -> str:
        hidden = [False] * len(text)
        for start in range(len(text) - size + 1):
            if text[start : start + size] in pieces:
                hidden[start : start + size] = [True] * size
        if not any(hidden):
            return text
        runs = "".join("\0" if hide else c for c, hide in zip(text, hidden, strict=True))
        return re.sub("\0+", "[key]", runs)

    return mask
