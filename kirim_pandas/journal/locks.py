"""One run, one worker: a file lock that the operating system frees when its process dies."""

from __future__ import annotations

import contextlib
import gc
import os
import re
import sys
import time
from io import FileIO
from pathlib import Path
from typing import Self

from kirim_pandas.errors import JournalError
from kirim_pandas.journal.files import advice, shown

TRIES = 5
PAUSE_SECONDS = 0.05
"""Somebody who only looks whether a run is at work holds its lock for a moment."""

WHOLE, INCOMPLETE = b"+", b"-"

MOUNTS = Path("/proc/self/mounts")
"""Linux only; elsewhere nothing is known, and nothing is said."""

NETWORK = frozenset(
    {
        *("nfs", "nfs4", "cifs", "smb3", "smbfs", "afs", "ceph", "glusterfs", "lustre", "gpfs"),
        *("beegfs", "davfs", "fuse.sshfs", "fuse.rclone", "fuse.gcsfuse", "fuse.s3fs"),
        *("fuse.glusterfs", "fuse.davfs2", "fuse.drivefs", "fuse"),
    }
)
"""Bare ``fuse`` is how a cloud drive is mounted in hosted notebooks; local ones have a suffix."""


class RunLock:
    """Holds the lock file of a run; released by ``with``, by :meth:`release`, or by death.

    The file also keeps one thing that must be known when the journal's disk is full: whether
    the journal lacks calls that were sent.  Writing one byte in place needs no space.

    Parameters
    ----------
    path
        The lock file; made if missing, removed on release.
    run_id, refused
        For the message: which run, and what was not done.

    Attributes
    ----------
    incomplete : bool
        Whether the journal lacks calls of the run.
    owner : int
        The process that holds it; a copy of that process (a fork) does not.

    Raises
    ------
    JournalError
        When another process, or another thread of this one, holds it.
    """

    def __init__(
        self, path: Path, run_id: str, *, refused: str = "Nothing was sent from here."
    ) -> None:
        self._path = path
        self.owner = os.getpid()
        try:
            self._take(run_id, refused)
            self.incomplete = self._file.read(1) == INCOMPLETE
            self._write(f" process {self.owner} since {time.strftime('%H:%M')}\n".encode())
        except OSError as error:
            self._close()
            raise JournalError(
                f"Run {run_id} cannot be locked ({shown(error)}); so it is not certain that no "
                f"other notebook works on it. {refused} {advice(error)}, or name another place "
                "with journal=… or KIRIM_JOURNAL, on a disk of this computer."
            ) from error
        except BaseException:  # Ctrl-C: nobody could release it any more
            self._close()
            raise

    def _take(self, run_id: str, refused: str) -> None:
        for number in range(TRIES):
            # A file object, not a descriptor: whatever forgets it closes it.
            self._file = FileIO(self._path, "r+", opener=_open_or_make)
            if _lock(self._file.fileno()) and self.is_held():
                return
            holder = self._file.read(100)[1:].decode("ascii", "replace").strip()
            self._file.close()
            here = f"process {self.owner} " in f"{holder} "
            if here and not number:
                gc.collect()  # an error that nobody holds any more may still hold the lock
            time.sleep(PAUSE_SECONDS)
        if here:
            where, what = "in this kernel", "; job.cancel() stops it"
        else:
            where = "in another notebook or program" + (f" ({holder})" if holder else "")
            what = ", or stop it there"
        raise JournalError(f"Run {run_id} is at work {where}. {refused} Wait until it ends{what}.")

    def is_held(self) -> bool:
        """Whether the file is still there and this one: a deleted lock guards nothing."""
        try:
            return os.fstat(self._file.fileno()).st_ino == self._path.stat().st_ino
        except OSError:
            return False

    def mark(self, *, incomplete: bool) -> None:
        """Note, beyond the death of the process, whether the journal lacks calls of the run."""
        if incomplete != self.incomplete:
            self.incomplete = incomplete
            with contextlib.suppress(OSError):
                self._write()

    def release(self) -> None:
        """Let others work on the run; a second time does nothing."""
        with contextlib.closing(self._file):
            if self._file.closed or self.incomplete or os.getpid() != self.owner:
                return
            if sys.platform == "win32":  # no open file can be deleted there, nor one of another
                self._file.close()
            with contextlib.suppress(OSError):
                self._path.unlink()

    def __del__(self) -> None:
        self._close()  # without a warning: an interrupt may have taken it away from its owner

    def _close(self) -> None:
        if hasattr(self, "_file"):
            self._file.close()

    def _write(self, rest: bytes = b"") -> None:
        self._file.seek(0)
        self._file.write((INCOMPLETE if self.incomplete else WHOLE) + rest)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


def _open_or_make(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_CREAT, 0o600)


def is_locked(path: Path) -> bool:
    """Tell whether somebody works on the run whose lock file this is."""
    if not path.exists():
        return False
    try:
        RunLock(path, "").release()
    except JournalError:
        return True
    return False


def network_file_system(path: Path) -> str | None:
    """Name the file system of `path` if the disk is another computer's; else None."""
    path = path.resolve()
    if str(path).startswith("\\\\"):
        return "a network share"
    try:
        lines = MOUNTS.read_text(errors="replace").splitlines()
    except OSError:
        return None
    kind, depth = "", 0
    for line in lines:
        _, where, its_kind, *_ = [*line.split(" "), "", ""]
        # Blanks and the like stand as octal numbers.
        place = Path(re.sub(r"\\([0-7]{3})", lambda code: chr(int(code[1], 8)), where))
        if path.is_relative_to(place) and len(place.parts) >= depth:  # a later mount hides others
            kind, depth = its_kind, len(place.parts)
    return kind if kind in NETWORK else None


if sys.platform == "win32":
    import msvcrt

    def _lock(file: int) -> bool:
        os.lseek(file, 4096, os.SEEK_SET)  # beyond what others may read meanwhile
        try:
            msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
        except PermissionError:
            return False
        finally:
            os.lseek(file, 0, os.SEEK_SET)
        return True

else:
    import fcntl

    def _lock(file: int) -> bool:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
