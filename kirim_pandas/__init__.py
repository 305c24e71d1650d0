"""Label Kirim contacts from a DataFrame, and know what happened to every row."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from kirim_pandas.dask import registration
from kirim_pandas.errors import (
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

if TYPE_CHECKING:
    from kirim_pandas import sandbox
    from kirim_pandas.api.client import Client
    from kirim_pandas.frames.exports import spreadsheet_safe
    from kirim_pandas.run.progress import Progress
    from kirim_pandas.session import connect, last_result
    from kirim_pandas.verbs.lookups.checking import check
    from kirim_pandas.verbs.lookups.contacts import accounts, contacts
    from kirim_pandas.verbs.lookups.labels import create_label, labels
    from kirim_pandas.verbs.past_runs import calls, forget, keep_history, runs
    from kirim_pandas.verbs.reporting import compare
    from kirim_pandas.verbs.segments.jobs import resume_job, undo_job
    from kirim_pandas.verbs.segments.resume_and_result import result, resume
    from kirim_pandas.verbs.segments.undoing import undo

    __version__: str

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
    "accounts",
    "calls",
    "check",
    "compare",
    "connect",
    "contacts",
    "create_label",
    "forget",
    "keep_history",
    "labels",
    "last_result",
    "result",
    "resume",
    "resume_job",
    "runs",
    "sandbox",
    "spreadsheet_safe",
    "undo",
    "undo_job",
]

# Importing this package costs hardly more than importing pandas: what needs more is imported
# when its name is first used.
_LAZY = {
    "Client": "api.client",
    "Progress": "run.progress",
    "accounts": "verbs.lookups.contacts",
    "calls": "verbs.past_runs",
    "check": "verbs.lookups.checking",
    "compare": "verbs.reporting",
    "connect": "session",
    "contacts": "verbs.lookups.contacts",
    "create_label": "verbs.lookups.labels",
    "forget": "verbs.past_runs",
    "keep_history": "verbs.past_runs",
    "labels": "verbs.lookups.labels",
    "last_result": "session",
    "result": "verbs.segments.resume_and_result",
    "resume": "verbs.segments.resume_and_result",
    "resume_job": "verbs.segments.jobs",
    "runs": "verbs.past_runs",
    "spreadsheet_safe": "frames.exports",
    "undo": "verbs.segments.undoing",
    "undo_job": "verbs.segments.jobs",
}

register()
registration.register()


def __getattr__(name: str) -> Any:
    if name == "sandbox":
        return import_module("kirim_pandas.sandbox")
    if name == "__version__":
        return import_module("importlib.metadata").version("kirim-pandas")
    if name in _LAZY:
        value = getattr(import_module(f"kirim_pandas.{_LAZY[name]}"), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
