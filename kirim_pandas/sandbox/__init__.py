"""A rehearsal copy of the service on loopback: the service itself offers none.

>>> from kirim_pandas import sandbox
>>> with sandbox.start(contacts=100, seed=1) as box:
...     box.labels["name"].iloc[0]
'VIP'

It is a real HTTP server with its truth in SQLite. It answers as the documentation says; where
the documentation is silent, `Switches` choose; what can go wrong on the way, `Faults` play.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kirim_pandas.errors import ShortTraceback
from kirim_pandas.sandbox.switches import Switches

if TYPE_CHECKING:
    import pandas as pd

    from kirim_pandas.sandbox.box import Sandbox
    from kirim_pandas.sandbox.faults import Faults
    from kirim_pandas.sandbox.people import messy, sample_contacts

__all__ = ["Faults", "Sandbox", "Switches", "messy", "sample_contacts", "start"]

FREE_WRITES_PER_MINUTE = 60
FREE_READS_PER_MINUTE = 600
"""The free plan (Kirim API docs, Rate limits)."""

IN_PROGRESS_WAIT_SECONDS = 30.0
"""How long a repeat waits for the first call (Kirim API docs, Idempotency)."""

_LAZY = {"Faults": "faults", "Sandbox": "box", "messy": "people", "sample_contacts": "people"}


@ShortTraceback()
def start(
    contacts: int | pd.DataFrame = 5000,
    *,
    seed: int = 0,
    write_per_minute: int = FREE_WRITES_PER_MINUTE,
    read_per_minute: int = FREE_READS_PER_MINUTE,
    switches: Switches | None = None,
    faults: Faults | None = None,
    port: int = 0,
    phone_number_id: str | None = None,
    skipped_share: float | None = None,
    in_progress_wait_seconds: float = IN_PROGRESS_WAIT_SECONDS,
) -> Sandbox:
    """Start a sandbox on 127.0.0.1.

    Parameters
    ----------
    contacts
        How many sample contacts to make, or a frame with the columns ``contact_id`` and
        ``team`` and, if wanted, ``organization`` (``own`` or anything else), ``name``,
        ``phone_number``, ``email``, and ``city`` and ``source``, which become metadata. Each
        team of the frame gets a label VIP and a connected number.
    seed
        Of the sample contacts and of all other ids.
    write_per_minute, read_per_minute
        Limits, and sizes of the buckets; the free plan's by default.
    switches
        How it behaves where the documentation is silent.
    faults
        What goes wrong, and when.
    port
        0 takes a free one.
    phone_number_id
        Of the first connected number; given, `Sandbox.client` uses the path that names it.
    skipped_share
        Expected share of sample contacts that a label of team Sales skips; about 0.17 by
        default.
    in_progress_wait_seconds
        How long a repeat waits for a first call in progress before it gets its 409.

    Returns
    -------
    Sandbox
        Running. Use it as a context manager, or close it.

    Raises
    ------
    InvalidInputError
        An argument or the frame is not usable.
    OSError
        The port is taken.

    Examples
    --------
    >>> with start(contacts=200, skipped_share=0.3) as sandbox:
    ...     sorted(sandbox.outcome(sandbox.labels["id"].iloc[0]).unique())
    ['applied', 'cross_org', 'team_mismatch']
    """
    from kirim_pandas.sandbox.box import Sandbox
    from kirim_pandas.sandbox.faults import Faults

    return Sandbox(
        contacts,
        seed=seed,
        write_per_minute=write_per_minute,
        read_per_minute=read_per_minute,
        switches=Switches() if switches is None else switches,
        faults=Faults() if faults is None else faults,
        port=port,
        phone_number_id=phone_number_id,
        skipped_share=skipped_share,
        in_progress_wait_seconds=in_progress_wait_seconds,
    )


def __getattr__(name: str) -> object:
    # Server and database are imported when first needed, so that this import stays cheap.
    if name in _LAZY:
        from importlib import import_module

        return getattr(import_module(f"{__name__}.{_LAZY[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
