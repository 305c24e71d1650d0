"""What memory a run takes at its peak, as a ratio to the size of its column of ids.

Run ``python benchmarks/memory.py [rows]``.  Each column is labeled in a process of its own, which
has labeled a small one before, so that nothing is counted that is loaded once.  The peak is the
operating system's (``VmHWM``), so it holds what NumPy, Arrow and Python take; the column itself
stands in memory before and is not counted.  Linux only.
"""

from __future__ import annotations

import gc
import multiprocessing
import sys
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import pandas as pd
from overhead import KEY, LABEL, serving
from ratios import print_ratio

import kirim_pandas as kp
from kirim_pandas.frames.packed import PackedIds

MOST, FROM = 3.0, 10_000_000
"""What the project promises: peak by the size of the column, from so many rows on.  Of fewer rows
what a run takes whatever its size weighs more: some 35 MB."""

DTYPES = ("string[pyarrow]", "object")
ALPHABET = np.frombuffer(b"0123456789ABCDEFGHJKMNPQRSTVWXYZ", dtype="S1")
STATUS = Path("/proc/self/status")


def column(rows: int, different: int, dtype: str) -> pd.Series:
    """Make ids; with fewer different ones than rows each stands in several."""
    rng = np.random.default_rng(0)
    words = np.empty((different, 30), dtype="S1")
    words[:, :4] = np.frombuffer(b"ctc_", dtype="S1")
    words[:, 4:] = rng.choice(ALPHABET, size=(different, 26))
    place = np.arange(rows) if rows == different else rng.integers(different, size=rows)
    ids = PackedIds(words.view("S30").ravel())
    with pd.option_context("mode.string_storage", "pyarrow"):
        texts = ids.of_rows(place)
    return pd.Series(texts.to_numpy(dtype=object) if dtype == "object" else texts, dtype=dtype)


def resident(field: str) -> int:
    """Return bytes of this process: VmRSS is now, VmHWM the most since `forget_peak`."""
    (line,) = (line for line in STATUS.read_text().splitlines() if line.startswith(field))
    return int(line.split()[1]) * 1024


def peak(call: Callable[[], object]) -> int:
    """Return by how many bytes this process grew at most."""
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")
    before = resident("VmRSS")
    call()
    return resident("VmHWM") - before


def measure(told: Connection, rows: int, different: int, dtype: str, base_url: str) -> None:
    """Label a column, in a process of its own; tell its size and the peaks."""
    client = kp.Client(KEY, base_url=base_url, share=1.0)

    def label(ids: pd.Series) -> None:
        ids.kirim.bulk_label(
            LABEL, "attach", client=client, journal=False, progress=False, reads=False
        )

    label(column(2000, 2000, dtype))
    ids = column(rows, different, dtype)
    told.send((ids.memory_usage(index=False, deep=True), peak(lambda: label(ids))))


def main(rows: int) -> int:
    """Print a line per column; the exit status is 1 if the promise is broken."""
    context = multiprocessing.get_context("spawn")
    with serving() as (base_url, _):
        print(f"{'rows':>12} {'contacts':>12} {'column':<16} {'MB':>8} {'peak MB':>8} × column")
        worst = 0.0
        for dtype in DTYPES:
            for different in (rows, rows // 10):
                ours, theirs = context.Pipe()
                args = (theirs, rows, different, dtype, base_url)
                child = context.Process(target=measure, args=args)
                child.start()
                size, most = ours.recv()
                child.join()
                worst = max(worst, most / size)
                print(
                    f"{rows:>12,} {different:>12,} {dtype:<16} {size / 1e6:8,.0f} "
                    f"{most / 1e6:8,.0f} {most / size:8.2f}",
                    flush=True,
                )
    promise = {"at_most": MOST} if rows >= FROM else {}
    return int(not print_ratio("peak_memory_by_column", worst, **promise))


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else FROM))
