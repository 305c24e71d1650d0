"""What it costs to label 10,000 contacts, a sixth of them skipped: the table of the pages on cost.

    python benchmarks/costs.py [contacts]

Real runs on a sandbox without limits, so that none of them waits: a minute or so. The time is what
the pace of the free plan makes of the write requests.
"""

from __future__ import annotations

import sys

import kirim_pandas as kp
from kirim_pandas.frames.plan import minutes_for

PER_MINUTE = 60  # write requests on the free plan
LIFTED = 10**6
CASES = {
    "the ordinary case: team and connected number explain the skips": {},
    "the list of contacts is not read (`reads=False`)": {"reads": False},
    "nothing explains the skips: ids alone, the list is not read": {"reads": False, "alone": True},
    'nobody asks who was skipped (`resolve="batches"`)': {"resolve": "batches"},
}


def requests_of(contacts: int, *, alone: bool = False, **options: object) -> tuple[int, int]:
    """Label them all, and return how many requests wrote and how many read."""
    with kp.sandbox.start(
        contacts, seed=11, write_per_minute=LIFTED, read_per_minute=LIFTED
    ) as box:
        frame = box.contacts[["contact_id"]] if alone else box.contacts
        settings = {"client": box.client(), "journal": False, "progress": False}
        frame.kirim.bulk_label("Newsletter", "attach", **settings, **options)
        methods = box.requests()["method"]
    return int((methods == "POST").sum()), int((methods == "GET").sum())


def main() -> None:
    """Print one line a case."""
    contacts = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    print(f"| {contacts:,} contacts | write requests | reads | time |\n|---|--:|--:|--:|")
    for case, options in CASES.items():
        writes, reads = requests_of(contacts, **options)
        minutes = minutes_for(writes, PER_MINUTE)
        print(f"| {case} | {writes:,} | {reads} | {minutes:.0f} min |", flush=True)
    print(f"| one call for each contact | {contacts:,} | | {contacts / PER_MINUTE:.0f} min |")


if __name__ == "__main__":
    main()
