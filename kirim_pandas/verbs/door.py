"""The door of the public verbs: what an error shows when it leaves the library."""

from __future__ import annotations

from types import TracebackType

from kirim_pandas.errors import KirimError, RunInterrupted

__all__ = ["ShortTraceback"]


class ShortTraceback:
    """Takes this library's own frames out of the traceback of its own errors.

    What an analyst needs is the line of the cell and the message.  An error that is not of this
    library keeps all its frames: it is a fault to be reported.
    """

    def __enter__(self) -> None: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if isinstance(error, (KirimError, RunInterrupted)):
            error.__traceback__ = None  # the interpreter adds the caller's frames, not ours
            error.__suppress_context__ = True
            if error.__cause__ is not None:
                error.__cause__.__traceback__ = None
