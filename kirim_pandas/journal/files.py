"""The journal's file: where it is, how it is made, looked at and cleaned.

A process that closes a descriptor of a file drops all its POSIX locks on that file, SQLite's as
well.  So nothing but SQLite itself ever opens a journal that is there.
"""

from __future__ import annotations

import contextlib
import errno
import os
import sqlite3
import stat
import threading
from functools import cache
from pathlib import Path, PurePath
from urllib.parse import quote

from kirim_pandas.errors import JournalError

APPLICATION_ID = 0x4B49524D  # "KIRM", so that no other SQLite file is taken for a journal

ELSEWHERE = "Name another place with journal=… or KIRIM_JOURNAL"

LEAST_BYTES = 512
"""A database has at least one page, and pages have at least so many bytes."""

CHUNK_BYTES = 1 << 20

SHOWN_CHARACTERS = 300

_making = threading.Lock()
"""Held while a file is made: its descriptor is closed before any thread gives it to SQLite."""


def located(path: str | Path | None = None) -> Path:
    """Return the absolute path of a journal; a folder holds ``journal.sqlite``.

    Parameters
    ----------
    path
        A file or a folder; None for ``KIRIM_JOURNAL``, else the user's state folder.

    Raises
    ------
    JournalError
        There can be no such file: no home directory, a NUL in the name, only in memory.
    """
    try:
        found = _usual() if path is None else _absolute(str(path))
        return found / "journal.sqlite" if found.is_dir() else found
    except (OSError, RuntimeError, ValueError) as error:
        place = path or os.environ.get("KIRIM_JOURNAL") or "the usual place"
        reason = shown(error).rstrip(".")
        raise JournalError(
            f"The journal cannot be at {shown(ascii(str(place)))}: {reason}. Nothing was sent. "
            f"{ELSEWHERE}, or do without a journal with journal=False."
        ) from error


def shown(what: object) -> str:
    """Return a path, or an error that names one, for a message: of a long text, both its ends."""
    text, half = str(what), SHOWN_CHARACTERS // 2
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[:half]} … {text[-half:]}"


def make(path: Path) -> None:
    """Make an empty file for the user alone, unless there is one."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _making, contextlib.suppress(FileExistsError):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))


def look(path: Path) -> None:
    """Make sure that a file is a journal, or empty, and the user's alone; change no other file.

    Raises
    ------
    JournalError
        It is something else.
    """
    about = path.stat()
    if not stat.S_ISREG(about.st_mode):
        raise _not_ours(path, "a device, pipe or socket")
    if about.st_size:
        try:
            found = _application_id(path)
        except sqlite3.DatabaseError as error:
            if "not a database" not in str(error):
                raise
            raise _not_ours(path, "a file of another kind (or its beginning is damaged)") from None
        if about.st_size < LEAST_BYTES:  # SQLite takes so short a file for an empty one
            raise _not_ours(path, "a file of another kind")
        if found != APPLICATION_ID:
            raise _not_ours(path, "a database of another program")
    if os.name == "posix" and about.st_mode & 0o077 and about.st_uid == os.getuid():
        path.chmod(0o600)


def overwrite(path: Path) -> None:
    """Write zeros over a file, if it is there, and cut it; nobody else may use it meanwhile."""
    with contextlib.suppress(FileNotFoundError), path.open("r+b", buffering=0) as file:
        left = os.fstat(file.fileno()).st_size
        while left > 0:
            left -= file.write(bytes(min(left, CHUNK_BYTES)))
        os.fsync(file.fileno())
        file.truncate(0)


def advice(error: BaseException) -> str:
    """Say what to do about a file that cannot be used."""
    text = str(error)
    if "full" in text or getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT):
        return "Free some space on that disk"
    if "locked" in text or "busy" in text:
        return "Wait for the other program that holds the file"
    if isinstance(error, FileExistsError | NotADirectoryError):
        return "A file stands where its folder would be: name a folder"
    if isinstance(error, OSError) or "readonly" in text or "unable to open" in text:
        return "Give yourself the right to write there"
    return "Move the damaged file aside (keep it for support)"


def _usual() -> Path:
    configured = os.environ.get("KIRIM_JOURNAL", "")
    if configured.strip():
        return _configured(configured)
    import platformdirs

    return _absolute(str(platformdirs.user_state_path("kirim-pandas") / "journal.sqlite"))


@cache
def _configured(text: str) -> Path:
    # Once: a relative path is meant from where the process was when it was first used.
    return _absolute(text)


def _absolute(text: str) -> Path:
    if "\0" in text:
        raise ValueError("a file's name holds no NUL character")
    if "://" in text:
        raise ValueError("it is a file of this computer, no address")
    text.encode()  # what is no text no program can print, and SQLite cannot open
    if text == ":memory:":
        raise ValueError("what is kept in memory cannot be resumed")
    return Path(os.path.abspath(Path(text).expanduser()))  # noqa: PTH100 - without "..", too


def _application_id(path: Path) -> int:
    # Immutable: no lock, no rollback, no file beside it, whatever kind of database it is.
    db = sqlite3.connect(f"{_uri(path)}?mode=ro&immutable=1", uri=True)
    try:
        # Read it also while another process makes it longer.
        db.execute("PRAGMA writable_schema = ON")
        (found,) = db.execute("PRAGMA application_id").fetchone()
    finally:
        db.close()
    return int(found)


def _uri(path: PurePath) -> str:
    # Not as_uri(): SQLite takes no server's name, and so no \\server\share, between the slashes.
    place = path.as_posix()
    return "file://" + ("" if place.startswith("/") else "/") + quote(place, safe="/:")


def _not_ours(path: Path, found: str) -> JournalError:
    return JournalError(
        f"{shown(path)} is not a journal of kirim-pandas: found {found}. It was left as it is. "
        f"Nothing was sent. {ELSEWHERE}."
    )
