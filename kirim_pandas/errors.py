"""Everything that can go wrong, by what the caller can do about it.

::

    KirimError
    ├── InvalidInputError (also ValueError)   the frame or an argument; nothing was sent
    ├── ConfigurationError                    no key, a bad base URL, a missing extra
    ├── ApiError                              the service, or something on the way, said no
    │   ├── InvalidRequestError               400, 413, 422
    │   ├── AuthenticationError               401
    │   ├── PermissionDeniedError             403
    │   ├── NotFoundError                     404
    │   ├── ConflictError                     409
    │   ├── RateLimitedError                  429
    │   └── ServerError                       5xx
    ├── TransportError                        no reply
    ├── ProtocolError                         a reply that is not understood
    └── JournalError                          the journal on disk
    RunInterrupted (a KeyboardInterrupt)      the stop button, Ctrl-C, SIGTERM

This module imports nothing of the project, so every other part may import it.
Messages and fields are copied values: an error holds no request, no client and no key.
"""

from __future__ import annotations

from contextlib import ContextDecorator
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from types import TracebackType

    import pandas as pd

__all__ = [
    "ApiError",
    "AuthenticationError",
    "ConfigurationError",
    "ConflictError",
    "InvalidInputError",
    "InvalidRequestError",
    "JournalError",
    "KirimError",
    "NotFoundError",
    "PermissionDeniedError",
    "ProtocolError",
    "RateLimitedError",
    "RunInterrupted",
    "ServerError",
    "TransportError",
]


class KirimError(Exception):
    """Base of every error of this library.

    Attributes
    ----------
    result : DataFrame or None
        The full-length partial result frame, where the error ended a run.
    run_id : str or None
        The run it ended; ``kirim_pandas.resume(run_id)`` goes on with it.
    maybe_applied : bool
        Whether the service may have carried out the call although no good reply came; of an error
        that ended a run, any call of the run.
    tries_allowed : int or None
        How often a call that ends so is tried at most; None: as the client is set.
    """

    result: pd.DataFrame | None = None
    run_id: str | None = None
    maybe_applied: bool = False
    tries_allowed: int | None = None


class InvalidInputError(KirimError, ValueError):
    """The frame or an argument is not usable; raised before anything is sent."""


class ConfigurationError(KirimError):
    """The key, the base URL or the installation is not usable.

    Nothing was sent, but where a redirect came back: see ``maybe_applied``.
    """


class ApiError(KirimError):
    """The service, or something between it and the user, answered with an error.

    Only where ``code`` is set was it the service itself.

    Attributes
    ----------
    status : int
        HTTP status.
    type, code, param, request_id : str or None
        As the service sent them, shortened and freed of control characters.
    retry_after_seconds : float or None
        How long the service asks to wait, where it says so (429, 503).
    replayed : bool
        Whether this is a stored reply: the same idempotency key will bring it again.
    """

    retry_after_seconds: float | None = None
    replayed: bool = False

    def __init__(
        self,
        message: str,
        *,
        status: int = 0,
        type: str | None = None,  # noqa: A002 - the service's word
        code: str | None = None,
        param: str | None = None,
        request_id: str | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.type = type
        self.code = code
        self.param = param
        self.request_id = request_id

    @property
    def maybe_too_large(self) -> bool:
        """Whether fewer contacts in a call may mend it.

        It was said to be too large, or something on the way refused it as such things do with a
        body, or a number of values, that is too large for them.
        """
        return self.status == 413 or (self.code is None and self.status in (400, 414, 431, 502))


class InvalidRequestError(ApiError):
    """400, 413 or 422: something in the request was refused."""


class AuthenticationError(ApiError):
    """401: the key is wrong, expired or revoked."""


class PermissionDeniedError(ApiError):
    """403: the plan, the number or the organisation does not allow it."""


class NotFoundError(ApiError):
    """404: the label (or the address) does not exist for this organisation."""


class ConflictError(ApiError):
    """409: the same idempotency key is in progress or was used for something else."""


class RateLimitedError(ApiError):
    """429: the organisation's bucket is empty; see ``retry_after_seconds``."""


class ServerError(ApiError):
    """5xx: the service failed; it may or may not have carried out the call."""

    maybe_applied = True


class TransportError(KirimError):
    """No reply: the connection was refused, cut or timed out.

    Attributes
    ----------
    maybe_mistyped : bool
        Whether a wrong setting explains it better than an outage, unless the host was reached
        before.
    """

    maybe_mistyped: bool = False

    def __init__(self, message: str, *, maybe_applied: bool = False) -> None:
        super().__init__(message)
        self.maybe_applied = maybe_applied


class ProtocolError(KirimError):
    """A reply that is not the documented one: a web page, cut JSON, another call's counts.

    Attributes
    ----------
    request_id : str or None
        Where a reply came twice: whose. Which of the two calls it belongs to cannot be told, so
        both are in doubt.
    """

    maybe_applied = True
    request_id: str | None = None


class JournalError(KirimError):
    """The journal cannot be read or written."""


class RunInterrupted(KeyboardInterrupt):
    """The run was stopped by a person; what was done is in ``.result`` and in the journal.

    Attributes
    ----------
    result : DataFrame or None
        The full-length partial result frame.
    run_id : str or None
        ``kirim_pandas.resume(run_id)`` goes on where it stopped.
    maybe_applied : bool
        Whether the service may have carried out a call of the run although no good reply came.
    """

    result: pd.DataFrame | None = None
    run_id: str | None = None
    maybe_applied: bool = False


def in_our_words(error: BaseException | None) -> KirimError | None:
    """Make a `KirimError` of an error that nobody foresaw, so that a result is not lost with it."""
    if error is None or isinstance(error, KirimError):
        return error
    told = KirimError(
        f"kirim_pandas itself failed ({type(error).__name__}: {error}); please report this."
    )
    told.__cause__ = error
    return told


class ShortTraceback(ContextDecorator):
    """Takes this library's own frames out of the traceback of its own errors; decorates, too.

    What an analyst needs is the line of the cell and the message.  An error that is not of this
    library keeps all its frames: it is a fault to be reported.
    """

    def __enter__(self) -> None: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> Literal[False]:
        if isinstance(error, (KirimError, RunInterrupted)):
            error.__traceback__ = None  # the interpreter adds the caller's frames, not ours
            error.__suppress_context__ = True
            if error.__cause__ is not None:
                error.__cause__.__traceback__ = None
        return False
