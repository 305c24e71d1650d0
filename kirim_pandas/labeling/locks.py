"""One run, one worker: a file lock that the operating system frees when its process dies."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

from kirim_pandas.api.errors import JournalError

__all__ = ["RunLock"]


class RunLock:
    """Holds the lock file of a run; released by ``with``, by :meth:`release`, or by death.

    Parameters
    ----------
    path
        The lock file; made if missing, removed on release.
    run_id
        For the message.

    Raises
    ------
    JournalError
        When another process, or another thread of this one, holds it.
    """

    def __init__(self, path: Path, run_id: str) -> None:
        self._path = path
        self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            _lock(self._file)
            # A holder that let go meanwhile has removed the file: then this lock guards nothing.
            if os.fstat(self._file).st_ino != path.stat().st_ino:
                raise BlockingIOError
        except OSError:
            os.close(self._file)
            raise JournalError(
                f"Run {run_id} is at work in another process or notebook. Wait for it or stop it "
                "there; then resume it here."
            ) from None

    def release(self) -> None:
        """Let others work on the run; a second time does nothing."""
        if self._file >= 0:
            with contextlib.suppress(OSError):
                self._path.unlink()
            os.close(self._file)
            self._file = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()


if sys.platform == "win32":
    import msvcrt

    def _lock(file: int) -> None:
        msvcrt.locking(file, msvcrt.LK_NBLCK, 1)

else:
    import fcntl

    def _lock(file: int) -> None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
