"""What it costs to find the contacts of a frame, as a ratio to pandas' own ``drop_duplicates``.

Run it with ``python benchmarks/ids.py [rows]``.  Ratios are taken within one run, best of three,
so that they mean the same on a fast and a slow machine.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

import numpy as np
import pandas as pd
from ratios import print_ratio

from kirim_pandas.frames.ids import collect_ids
from kirim_pandas.frames.results import result_frame
from kirim_pandas.grouptesting.outcomes import Outcomes

ALPHABET = np.frombuffer(b"0123456789ABCDEFGHJKMNPQRSTVWXYZ", dtype="S1")


def sample(rows: int) -> pd.Series:
    """Make ids of which one in ten is a duplicate, one in a hundred missing or malformed."""
    rng = np.random.default_rng(0)
    letters = rng.choice(ALPHABET, size=(rows, 26)).view("S26").ravel()
    values = np.array([f"ctc_{word.decode()}" for word in letters], dtype=object)
    repeated = rng.random(rows) < 0.1
    values[repeated] = values[rng.integers(rows, size=int(repeated.sum()))]
    values[rng.random(rows) < 0.005] = None
    values[rng.random(rows) < 0.005] = "unknown"
    return pd.Series(values, name="contact_id")


def seconds(call: Callable[[], object]) -> float:
    """Return the best of three."""
    times = []
    for _ in range(3):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return min(times)


def main(rows: int) -> None:
    """Print one line per dtype and one for a frame of ten columns."""
    base = sample(rows)
    print(f"{rows:,} rows                seconds   × drop_duplicates")
    ratios = {}
    for dtype in ("object", "string[python]", "string[pyarrow]", "category"):
        column = base.astype(dtype)
        bare = seconds(base.drop_duplicates)
        ours = seconds(lambda column=column: collect_ids(column))
        ratios[dtype] = ours / bare
        print(f"ids from {dtype:<16} {ours:8.2f} {ours / bare:10.1f}")
    frame = pd.DataFrame({f"text {i}": base.str[i:] for i in range(5, 10)} | {"contact_id": base})
    frame = frame.assign(**{f"n{i}": i for i in range(4)}, team=np.arange(rows) % 7)
    ours = seconds(lambda: collect_ids(frame, hint="team"))
    print(f"found among 11 columns    {ours:8.2f} {ours / bare:10.1f}   with a hint")
    ids = collect_ids(base)
    yes = np.ones(ids.contacts, dtype=np.bool_)
    none = np.full(ids.contacts, -1)
    batch = np.arange(ids.contacts) // 1000
    outcomes = Outcomes(yes.astype(np.int8), batch, ~yes, yes, none, ())
    ours = seconds(lambda: result_frame(ids, outcomes, run_id="run"))
    print(f"result frame              {ours:8.2f} {ours / bare:10.1f}")
    for dtype, ratio in ratios.items():
        print_ratio(f"ids_of_{dtype}_by_drop_duplicates", ratio)
    print_ratio("result_frame_by_drop_duplicates", ours / bare)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000)
