"""Label Kirim contacts from a DataFrame, and know what happened to every row."""

from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from kirim_pandas import sandbox
from kirim_pandas.api.errors import (
    ApiError,
    AuthenticationError,
    ConfigurationError,
    ConflictError,
    InvalidInputError,
    InvalidRequestError,
    JournalError,
    KirimError,
    NotFoundError,
    PermissionDeniedError,
    ProtocolError,
    RateLimitedError,
    RunInterrupted,
    ServerError,
    TransportError,
)
from kirim_pandas.frame_accessor import register
from kirim_pandas.frames.exports import spreadsheet_safe
from kirim_pandas.frames.summary import compare
from kirim_pandas.history import forget, resume, runs
from kirim_pandas.labeling.tally import Progress
from kirim_pandas.session import connect, last_result

if TYPE_CHECKING:
    from kirim_pandas.api.client import Client

__all__ = [
    "ApiError",
    "AuthenticationError",
    "Client",
    "ConfigurationError",
    "ConflictError",
    "InvalidInputError",
    "InvalidRequestError",
    "JournalError",
    "KirimError",
    "NotFoundError",
    "PermissionDeniedError",
    "Progress",
    "ProtocolError",
    "RateLimitedError",
    "RunInterrupted",
    "ServerError",
    "TransportError",
    "compare",
    "connect",
    "forget",
    "last_result",
    "resume",
    "runs",
    "sandbox",
    "spreadsheet_safe",
]

__version__ = version("kirim-pandas")

register()


def __getattr__(name: str) -> Any:
    # The client brings httpx, which is imported when it is first needed.
    if name == "Client":
        from kirim_pandas.api.client import Client

        return Client
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
