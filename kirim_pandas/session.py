"""What this process remembers: the default client, the last result, the frames of recent runs."""

from __future__ import annotations

import atexit
import os
import sys
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import pandas as pd

from kirim_pandas.errors import ConfigurationError, InvalidInputError, ShortTraceback

if TYPE_CHECKING:
    from kirim_pandas.api.client import Client
    from kirim_pandas.api.models import Label
    from kirim_pandas.frames.pairing import Kept
    from kirim_pandas.frames.reports import RunFacts


KEPT_RUNS = 8
"""Runs whose input frame is kept for reports."""


@dataclass(frozen=True, eq=False)
class Remembered:
    """What this process knows of a recent run: the frame it was made from, and its facts.

    ``figures`` are the rows of its result by status.
    """

    source: Kept | None
    facts: RunFacts
    figures: dict[str, int]


_client: Client | None = None
_labels: WeakKeyDictionary[Client, list[Label]] = WeakKeyDictionary()
_last_result: pd.DataFrame | None = None
_last_started: str | None = None
_at_work: dict[str, bool] = {}
"""Runs at work in this process, and whether each is written down in a journal."""
_recent: OrderedDict[str, Remembered] = OrderedDict()


def connect(
    api_key: str | None = None,
    *,
    base_url: str | None = None,
    phone_number_id: str | None = None,
    **options: Any,
) -> Client:
    """Choose the organisation that later calls work on.

    Sends nothing.  The key comes from the argument, else from the environment (``KIRIM_API_KEY``,
    else ``KIRIM_KEY``), else from a hidden prompt where a person is there to answer it.

    Parameters
    ----------
    api_key
        Better left out: a key in a notebook's cell is a key in a file.
    base_url
        The service's address; by default ``KIRIM_BASE_URL``, else the documented one.
    phone_number_id
        Meta's id of a connected number, for services whose addresses contain it; by default
        ``KIRIM_PHONE_NUMBER_ID``.
    **options
        Passed on to :class:`Client`.

    Returns
    -------
    Client
        It is also the default of every later call.

    Raises
    ------
    ConfigurationError
        No key, or a key, an address or a number that cannot be right.

    Examples
    --------
    >>> import kirim_pandas as kp
    >>> with kp.sandbox.start(contacts=10) as sandbox:
    ...     client = kp.connect(sandbox.api_key, base_url=sandbox.base_url)
    ...     client.me().tier
    'free'
    """
    global _client
    from kirim_pandas.api.client import Client
    from kirim_pandas.api.secret import warn_unlocated

    # The key is handed over in a list that is empty afterwards: should the client refuse it, a
    # traceback that prints the locals of this frame does not print the key.
    handed_over = [api_key]
    api_key = None
    # A statement that can fail must not name the environment: some tracebacks would print it.
    is_set = any(map(os.environ.get, ("KIRIM_API_KEY", "KIRIM_KEY")))
    with ShortTraceback():
        if handed_over[0] is None and not is_set:
            handed_over = [_ask_for_key()]
        client = Client(
            handed_over.pop(), base_url=base_url, phone_number_id=phone_number_id, **options
        )
    if _client is not None and base_url is None and client.target != _client.target:
        warn_unlocated(
            f"From now on calls go to {client.target}; so far they went to {_client.target}."
        )
    _client = client
    return client


def current_client() -> Client:
    """Return the client chosen by :func:`connect`, or one made from the environment."""
    return _client if _client is not None else connect()


def known_client() -> Client | None:
    """Return the client chosen by :func:`connect`, if there was one; never asks."""
    return _client


def read_labels(client: Client) -> list[Label]:
    """Read the labels of the client's organisation, and remember them for the session."""
    _labels[client] = list(client.labels())
    return _labels[client]


def remembered_labels(client: Client | None) -> list[Label]:
    """Return the labels that were read with a client; none where it has not read them yet."""
    return _labels.get(client, []) if client is not None else []


def forget_labels(client: Client) -> None:
    """Forget the labels that were read with a client, since they have changed."""
    _labels.pop(client, None)


def disconnect() -> None:
    """Forget the default client; the next call makes a new one."""
    global _client
    _client = None


def last_result() -> pd.DataFrame | None:
    """Return the result frame of the last run, complete or not.

    Returns
    -------
    DataFrame or None
        None before the first run of this process.

    Raises
    ------
    InvalidInputError
        The run that was started last is still at work in the background, so its result is not
        there yet, and that of an earlier run could be taken for it.
    """
    with ShortTraceback():
        if _last_started in _at_work:
            raise InvalidInputError(
                f"Run {_last_started} is still at work, so there is no result of it yet: "
                "job.result() waits for it. Of an earlier run, kirim_pandas.resume(run_id) gives "
                "the result; kirim_pandas.runs() lists the run ids."
            )
        return _last_result


@contextmanager
def at_work(run_id: str, *, written_down: bool, series: str | None = None) -> Iterator[None]:
    """Note that a run is at work in this process, and when it no longer is.

    A run of a series that is at work is noted by the series, by which it is gone on with.
    """
    global _last_started
    if series in _at_work:
        yield
        return
    _last_started = run_id
    _at_work[run_id] = written_down
    try:
        yield
    finally:
        _at_work.pop(run_id, None)


@atexit.register
def _tell_of_unfinished_runs() -> None:
    """Say how to go on with the runs that end because their process does."""
    for run_id, written_down in _at_work.items():
        go_on = f'kirim_pandas.resume("{run_id}") goes on from there'
        if not written_down:
            go_on = "labeling again is safe: a label that is set twice stays as it is"
        if sys.stderr is not None:
            print(
                f"Run {run_id} was still at work when this program ended: {go_on}. A script waits "
                "for a job with job.result().",
                file=sys.stderr,
            )


def remember(result: pd.DataFrame, run_id: str, source: Kept | None, facts: RunFacts) -> None:
    """Keep a run's result, its facts, and the frame it was made from as it was then."""
    global _last_result
    _last_result = result
    figures = {str(status): int(n) for status, n in result["status"].value_counts().items()}
    _recent[run_id] = Remembered(source, facts, figures)
    _recent.move_to_end(run_id)
    while len(_recent) > KEPT_RUNS:
        _recent.popitem(last=False)


def recall(run_id: str | None) -> Remembered | None:
    """Return what is known of a recent run of this process."""
    return _recent.get(run_id) if run_id else None


def recent() -> dict[str, Remembered]:
    """Return what is known of the recent runs of this process, by run id, newest first."""
    return dict(reversed(_recent.items()))


def somebody_is_there() -> bool:
    """Whether a person may be there who can answer a question."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    return shell is not None or bool(sys.stdin and sys.stdin.isatty())


def _ask_for_key() -> str | None:
    """Ask a person, if there is one; what is typed is neither shown nor saved."""
    if not somebody_is_there():
        return None
    import getpass

    try:
        return getpass.getpass("Kirim API key (not shown): ")
    except (EOFError, RuntimeError, OSError):  # a front end that lets nobody type
        raise ConfigurationError(
            "No Kirim API key was found, and nobody can be asked for one here. Set the "
            "environment variable KIRIM_API_KEY before the kernel starts."
        ) from None
