"""The main job on the embedded sandbox: ``python -m kirim_pandas``.

Makes some 5,000 sample contacts as messy as real exports, labels a segment over real HTTP,
prints what happened to whom, and checks every row against the sandbox's own truth.
"""

from __future__ import annotations

import argparse
import sys

import pandas as pd

import kirim_pandas as kp

CONTACTS = 5000
FREE_WRITES_PER_MINUTE, FREE_READS_PER_MINUTE = 60, 600
"""The free plan's limits, which this sandbox keeps as the service does."""
RICH = 300_000


def main() -> int:
    """Run the demo; the exit code is 1 if a single row is wrong."""
    argparse.ArgumentParser(prog="python -m kirim_pandas", description=__doc__).parse_args()
    with kp.sandbox.start(
        contacts=CONTACTS,
        seed=7,
        write_per_minute=FREE_WRITES_PER_MINUTE,
        read_per_minute=FREE_READS_PER_MINUTE,
    ) as sandbox:
        df = kp.sandbox.messy(sandbox.contacts, seed=7)
        segment = df[df["spend"] > RICH]
        label = sandbox.labels.iloc[0]
        sales = sandbox.team_id("Sales")
        print(f"A sandbox of the Kirim API listens on {sandbox.base_url}.")
        print(f"{len(df):,} sample rows, of which {len(segment):,} with spend over {RICH:,}.")
        print(f"Attaching the label {label['name']!r} of the team Sales to them:\n")
        print('  segment.kirim.bulk_label("VIP", "attach", team_id=sales)\n')

        result = segment.kirim.bulk_label(
            label["name"], "attach", team_id=sales, client=sandbox.client(), journal=False
        )

        print("\nresult.kirim.summary()")
        print(result.kirim.summary().to_string(index=False, na_rep="", formatters=FORMATTERS))
        print("\nOne row of each kind:")
        print(result.drop_duplicates(["status", "reason"]).to_string(na_rep=""))
        requests = sandbox.requests()
        writes = int((requests["method"] == "POST").sum())
        seconds = requests["seconds"].max() - requests["seconds"].min()
        contacts = result["contact_id"].nunique()
        print(
            f"\n{writes:,} write requests and {len(requests) - writes:,} reads labeled "
            f"{contacts:,} contacts and named the skipped, in {seconds:.0f} s at the free "
            f"plan's {FREE_WRITES_PER_MINUTE} writes a minute. One call a contact would take "
            f"{contacts / FREE_WRITES_PER_MINUTE:.0f} minutes."
        )
        wrong = wrong_rows(result, sandbox.outcome(label["id"]))
        members = set(result.loc[result["status"] == "applied", "contact_id"])
        if wrong or members != sandbox.members(label["id"]):
            print(f"WRONG: {wrong} rows differ from the sandbox's truth.", file=sys.stderr)
            return 1
        print(f"Checked against the sandbox's truth: all {len(result):,} rows are right.")
    return 0


def wrong_rows(result: pd.DataFrame, truth: pd.Series[str]) -> int:
    """Count the rows whose status or reason is not what the sandbox knows."""
    sent = result[result["contact_id"].notna()]
    reported = sent["reason"].fillna("applied").to_numpy(dtype=object)
    return int((reported != truth.reindex(sent["contact_id"]).to_numpy(dtype=object)).sum())


FORMATTERS = {"share": "{:.1%}".format}

if __name__ == "__main__":
    sys.exit(main())
