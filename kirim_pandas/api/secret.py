"""The key, held so that it does not show, and the one door for text that came from outside."""

from __future__ import annotations

import base64
import hashlib
import os
import re
import warnings
from collections.abc import Callable
from typing import NoReturn
from urllib.parse import unquote

MAX_FOREIGN_CHARACTERS = 300
"""No message of ours quotes more than this of what a server said."""

_PIECE_LENGTH = 8  # an echo of this many characters of the key counts as an echo of the key
_LIVE, _TEST = "kdv_live_", "kdv_test_"  # says: so keys begin, and 24 url-safe characters follow
_OLDER = "kc_live_"  # of an older API on another host
_KEY_LENGTH = 33
_SHORTEST_KEY, _LONGEST_KEY = 20, 512  # of other prefixes, which are let through
_NOT_IN_KEYS = re.compile(r"[^A-Za-z0-9_-]")
_NOT_IN_TOKENS = re.compile(r"[^A-Za-z0-9._~+/=-]")  # RFC 6750
_KEY_LIKE = re.compile(r"(?:kdv|kc_live)_[A-Za-z0-9_%-]+")
_ESCAPES = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]?|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?|\x1b.?"
)
"""Of terminals (ECMA-48): colours, moves of the cursor, titles."""
_JOINERS = "\u200c\u200d"  # part of some scripts' words and of many emoji
_PLAIN = str.maketrans("<>", "‹›", _JOINERS)
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

    def text(self, text: str, *, limit: int) -> str:
        """Take in text from outside, to be kept: the one door.

        Terminal escapes, control characters, marks that turn the direction of writing, lone
        surrogates and anything like the key are taken out; what is longer than `limit` is cut.
        Other text is returned as it is.
        """
        if len(text) > limit or not text.isprintable():  # hardly ever
            # An escape may swallow the first letter of a key, or stand in the midst of one.
            text = _ESCAPES.sub("", self._without_keys(text[: 20 * limit]))
            text = "".join(map(_printable, text)).strip()
        kept = self._without_keys(text)
        return kept if len(kept) <= limit else kept[: limit - 1] + "…"

    def _without_keys(self, text: str) -> str:
        plain = unquote(text)
        if plain != text and self._mask(plain) != plain:  # else it is shown as it came
            text = plain
        return _KEY_LIKE.sub("[key]", self._mask(text))

    def clean(self, text: object, *, limit: int = MAX_FOREIGN_CHARACTERS) -> str:
        """Make foreign text fit for a message: as :meth:`text`, in one line, without markup.

        Parameters
        ----------
        text
            What a server sent; anything but text is shown as its type.
        limit
            Most characters to return.
        """
        if not isinstance(text, str):
            return f"({type(text).__name__})"
        return " ".join(self.text(text[: 20 * limit].translate(_PLAIN), limit=limit).split())

    def __repr__(self) -> str:
        return "Secret(hidden)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a key is not copied or pickled")


def read_key(api_key: object) -> Secret | str:
    """Take the key from the argument, else from the environment; or say what is wrong.

    ``KIRIM_API_KEY`` goes before ``KIRIM_KEY``. Nothing is raised here, because a printed
    traceback may show the locals of this frame.

    Returns
    -------
    Secret or str
        The key, or the message of a ``ConfigurationError``; it shows none of its characters.
    """
    if api_key is None:
        api_key = os.environ.get("KIRIM_API_KEY", "").strip() or os.environ.get("KIRIM_KEY")
    if api_key is not None and not isinstance(api_key, str):
        return f"the API key must be text, found {type(api_key).__name__}: {_HOW_TO_SET}"
    text = str.__str__(api_key or "").strip()  # of a member of an enumeration, str() is its name
    if not text:
        return f"no API key was found: {_HOW_TO_SET}"
    odd = _oddity(text)
    if odd is not None:
        return (
            f"the API key is not usable: it has {len(text)} characters, and {odd}; "
            f"expected {_SHAPE}: copy it again"
        )
    return Secret(text)


def warn_unlocated(text: str) -> None:
    """Warn without a place: no line of the caller, where the key may stand, and no path of ours."""
    warnings.warn_explicit(text, UserWarning, "<kirim_pandas>", 1)


def key_warning(secret: Secret) -> str | None:
    """Say what is unusual about a key, in a sentence that shows none of it."""
    text = secret.reveal()
    if text.startswith(_TEST):
        return (
            "This is a kdv_test_ key, but the service offers no sandbox: do not count on it that "
            "no customer is touched. kirim_pandas.sandbox.start() is a place to rehearse."
        )
    if text.startswith(_OLDER):
        return (
            f"This is a {_OLDER} key, of an older Kirim API. The API used here takes keys that "
            f"begin with {_LIVE}: make one in Kirim's settings. It is used as it is."
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


def _printable(character: str) -> str:
    if character.isprintable() or character in _JOINERS:
        return character
    return " " if character.isspace() else ""


def _kind(character: str) -> str:
    if character.isspace():
        return "white space"
    if ord(character) > 126:
        return "not ASCII"
    return "a mark that no key has" if character.isprintable() else "a control character"


def _spellings(key: str) -> list[str]:
    """Return a key as echoes have it: plain, backwards, in base 16, and in base 64."""
    raw = key.encode()
    in_64 = [base64.b64encode(raw[start:]).decode().rstrip("=") for start in range(3)]
    return [key, key[::-1], raw.hex(), raw.hex().upper(), *in_64]


def _masker(key: str) -> Callable[[str], str]:
    """Make the function that blots out every run of characters that stands in `key`."""
    size = min(_PIECE_LENGTH, len(key))
    pieces = {
        spelt[i : i + size] for spelt in _spellings(key) for i in range(len(spelt) - size + 1)
    }

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
