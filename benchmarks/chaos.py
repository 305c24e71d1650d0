"""Runs over a sandbox that fails in every way it knows, killed at random instants; no lie.

Run ``python benchmarks/chaos.py --runs 20 --seconds 120``.  Each run labels some contacts in a
process of its own, which is killed (SIGKILL) up to a few times and taken up again until it has
ended.  Then its result is compared with the truth of the sandbox, and what was sent with what was
asked for.  Half of the runs begin with a bucket that is nearly empty.  The faults and the instants
follow from ``--seed``; what the system's scheduler adds does not.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import TypeAlias

import pandas as pd
from ratios import print_ratio

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
from support.kill_harness import (
    RUN_ENDED,
    RUN_FAILED,
    RUN_STOPPED,
    beyond_bucket,
    faulty_requests,
    lies,
    spawn,
    unaccounted,
)

import kirim_pandas as kp
from kirim_pandas.sandbox.faults import FAULTS

FINAL = {"error_403", "error_413", "error_418", "not_found_page", "html", "rate_limited"}
"""Faults that end a run by right, or need a value: not dealt out by chance."""
REDIRECTS = {name for name in FAULTS if name.startswith("redirect")}
SLOW = {
    "drop": 0.2,
    "stall_before_commit": 0.25,
    "stall_after_commit": 0.25,
    "trickle": 0.001,
    "trickle_headers": 0.001,
    "rate_limited": "1",
    "gzip_bomb": 3_000_000.0,
}
Broken: TypeAlias = tuple[str, str]
"""Which invariant, and what was seen."""
MAX_KILLS = 4
MAX_SESSIONS = 12
BUCKETS = [(60_000, 60_000), (600, 20)]
"""Size of the bucket and what is in it at the start: one that is never empty, and one that is."""
FIGURES = (
    "runs",
    "sessions",
    "failed sessions",
    "kills",
    "requests",
    "first calls refused",
    "rows",
    "unknown rows",
)
INVARIANTS = (
    "lies",
    "foreign ids",
    "keys with two bodies",
    "calls beyond the bucket",
    "rows unaccounted for",
    "bad ends",
)
TIMEOUTS = {"connect_seconds": 2.0, "read_seconds": 0.6, "write_seconds": 2.0, "try_seconds": 1.5}


def dealt(chance: random.Random, size: int) -> tuple[kp.sandbox.Faults, set[int], set[int]]:
    """Choose what one run meets: a mixture of faults, about one call in four, and changes.

    Returns
    -------
    faults : Faults
        For the sandbox.
    moved, deleted : set of int
        Rows of contacts that change team or go while the run is at work.
    """
    names = [name for name in FAULTS if name not in FINAL | REDIRECTS]
    chosen = chance.sample(names, 12)
    rates = dict.fromkeys(chosen, 0.02) | {"rate_limited": 0.01}
    events, moved, deleted = {}, set(), set()
    if chance.random() < 0.3:
        events[chance.randrange(2, 30)] = "revoke_key"
    if chance.random() < 0.3:
        moved.add(row := chance.randrange(size))
        events[chance.randrange(30, 50)] = ("move_contact", row, "Care")
    if chance.random() < 0.2:
        deleted.add(row := chance.randrange(size))
        moved.discard(row)
        events[chance.randrange(50, 70)] = ("delete_contact", row)
    seed = chance.randrange(2**32)
    faults = kp.sandbox.Faults(rates=rates, values=SLOW, events=events, seed=seed)
    return faults, moved, deleted


def one_run(seed: int, folder: Path, totals: Counter[str], met: Counter[str]) -> list[Broken]:
    """Do one run with all its deaths; give what it did that no run may do."""
    chance = random.Random(seed)
    size = chance.choice([300, 1200, 2500, 4200])
    faults, moved, deleted = dealt(chance, size)
    replay_costs = chance.random() < 0.5
    per_minute, tokens = chance.choice(BUCKETS)
    with kp.sandbox.start(
        contacts=size,
        seed=seed,
        write_per_minute=tokens,
        faults=faults,
        skipped_share=chance.choice([0.0, 0.001, 0.004]),
        in_progress_wait_seconds=0.2,
        switches=kp.sandbox.Switches(
            cache_failures=chance.random() < 0.5,
            refusal_costs=chance.random() < 0.5,
            replay_costs=replay_costs,
            key_reuse=chance.choice(["422", "409"]),
        ),
    ) as box:
        box.set_write_per_minute(per_minute)  # what is in the bucket stays
        label_id = box.labels["id"].iloc[0]
        ids = box.contacts["contact_id"].tolist()
        asked = ids[: -size // 20]  # nobody asks for the others
        given = [*asked, asked[0], "nobody"]
        changed = {ids[row] for row in moved | deleted}

        def broken_by(result: pd.DataFrame) -> list[Broken]:
            truth = box.outcome(label_id).drop(list(changed), errors="ignore")
            gone = {ids[row] for row in deleted}
            usable = result[result["contact_id"].notna()]
            lost = unaccounted(result, given, set(asked))
            told = lies(usable, box.members(label_id), truth, gone)
            return [("rows unaccounted for", text) for text in lost] + [
                ("lies", text) for text in told
            ]

        contacts = folder / "contacts.txt"
        contacts.write_text("\n".join(given))
        config = {
            "base_url": box.base_url,
            "contacts": str(contacts),
            "journal": str(folder),
            "label_id": label_id,
            "timeouts": TIMEOUTS,
            "client": {"share": 1.0},  # so that the bucket is really emptied
        }
        kills = chance.randrange(MAX_KILLS + 1)
        run_id = None
        began: list[float] = []
        broken: list[Broken] = []
        for session in range(MAX_SESSIONS):
            began.append(time.monotonic())
            process = spawn(
                folder, f"session{session}", api_key=box.api_key, run_id=run_id, **config
            )
            try:
                # From the start of the interpreter on, most deaths while it works.
                patience = chance.uniform(0.3, 4.0) if session < kills else 120.0
                _, told = process.communicate(timeout=patience)
            except subprocess.TimeoutExpired:
                process.kill()
                _, told = process.communicate()
                totals["kills"] += 1
            totals["sessions"] += 1
            known = kp.runs(journal=folder)
            run_id = known["run_id"].iloc[0] if len(known) else None
            if len(known) > 1:
                return [("bad ends", "one call made two runs")]
            if process.returncode in (RUN_ENDED, RUN_FAILED, RUN_STOPPED):
                result = pd.read_pickle(folder / f"session{session}.pickle")
                broken += broken_by(result)
            if process.returncode == RUN_ENDED:
                break
            if process.returncode in (RUN_FAILED, RUN_STOPPED):
                if "Authentication" in told:
                    box.add_key()
                totals["failed sessions"] += 1
            elif process.returncode > 0:
                end = f"a session ended with {process.returncode}: {told[-1500:]}"
                return [*broken, ("bad ends", end)]
        else:
            return [*broken, ("bad ends", f"no end after {MAX_SESSIONS} sessions: {told[-500:]}")]
        requests = box.requests()
        met.update(requests["fault"].dropna())
        totals["rows"] += len(result)
        totals["requests"] += len(requests)
        totals["unknown rows"] += int((result["status"] == "unknown").sum())
        if not box.members(label_id) <= set(asked):
            broken.append(("foreign ids", "a contact was labeled that nobody asked for"))
        for text in faulty_requests(requests, set(asked)):
            name = "keys with two bodies" if text.startswith("key ") else "foreign ids"
            broken.append((name, text))
        if (requests["status"] == 422).any():
            broken.append(("keys with two bodies", "a key was refused for another body"))
        bucket = {"per_minute": per_minute, "tokens": tokens, "replay_costs": replay_costs}
        for text in beyond_bucket(requests, began=began, **bucket):
            broken.append(("calls beyond the bucket", text))
        waited = requests["status"].eq(429).fillna(False) & requests["fault"].isna()
        totals["first calls refused"] += int(waited.sum())
        return broken


def main() -> int:
    """Print the figures; the exit status is 1 if an invariant was broken."""
    made = argparse.ArgumentParser(description=__doc__)
    made.add_argument("--runs", type=int, default=20)
    made.add_argument("--seconds", type=float, default=120.0, help="start no further run after")
    made.add_argument("--seed", type=int, default=0)
    given = made.parse_args()
    totals: Counter[str] = Counter()
    met: Counter[str] = Counter()
    broken: Counter[str] = Counter()
    until = time.monotonic() + given.seconds
    for seed in range(given.seed, given.seed + given.runs):
        if time.monotonic() > until:
            break
        with tempfile.TemporaryDirectory() as name:
            wrong = one_run(seed, Path(name), totals, met)
        totals["runs"] += 1
        broken.update(invariant for invariant, _ in wrong)
        for invariant, sentence in wrong[:5]:
            print(f"seed {seed}: {invariant}: {sentence}", flush=True)
    for name in FIGURES:
        print(f"{name:24}{totals[name]:>10,}")
    print(f"{'faults met':24}{sum(met.values()):>10,}, of {len(met)} kinds")
    for name in INVARIANTS:
        print(f"{name:24}{broken[name]:>10,}")
    return int(not print_ratio("invariants_broken", sum(broken.values()), at_most=0))


if __name__ == "__main__":
    sys.exit(main())
