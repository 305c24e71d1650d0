"""Runs over a sandbox that fails in every way it knows, killed at random instants; no lie.

Run ``python benchmarks/chaos.py --runs 20 --seconds 120``.  Each run labels some contacts in a
process of its own, which is killed (SIGKILL) up to a few times and taken up again until it has
ended.  Then its result is compared with the truth of the sandbox.  The faults and the instants
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

import pandas as pd

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
from kill_harness import RUN_ENDED, RUN_FAILED, RUN_STOPPED, faulty_requests, lies, spawn

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
MAX_KILLS = 4
MAX_SESSIONS = 12
WRITE_PER_MINUTE = 60_000
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


def one_run(seed: int, folder: Path, totals: Counter[str], met: Counter[str]) -> list[str]:
    """Do one run with all its deaths; give the lies it told."""
    chance = random.Random(seed)
    size = chance.choice([300, 1200, 2500, 4200])
    faults, moved, deleted = dealt(chance, size)
    with kp.sandbox.start(
        contacts=size,
        seed=seed,
        write_per_minute=WRITE_PER_MINUTE,
        faults=faults,
        skipped_share=chance.choice([0.0, 0.001, 0.004]),
        in_progress_wait_seconds=0.2,
        switches=kp.sandbox.Switches(
            cache_failures=chance.random() < 0.5,
            refusal_costs=chance.random() < 0.5,
            replay_costs=chance.random() < 0.5,
            key_reuse=chance.choice(["422", "409"]),
        ),
    ) as box:
        label_id = box.labels["id"].iloc[0]
        ids = box.contacts["contact_id"].tolist()
        changed = {ids[row] for row in moved | deleted}

        def lies_in(result: pd.DataFrame) -> list[str]:
            truth = box.outcome(label_id).drop(list(changed), errors="ignore")
            return lies(result, box.members(label_id), truth, {ids[row] for row in deleted})

        contacts = folder / "contacts.txt"
        contacts.write_text("\n".join(ids))
        config = {
            "base_url": box.base_url,
            "contacts": str(contacts),
            "journal": str(folder),
            "label_id": label_id,
            "timeouts": TIMEOUTS,
        }
        kills = chance.randrange(MAX_KILLS + 1)
        run_id = None
        for session in range(MAX_SESSIONS):
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
                return ["one call made two runs"]
            if process.returncode == RUN_ENDED:
                break
            if process.returncode in (RUN_FAILED, RUN_STOPPED):
                partial = pd.read_pickle(folder / f"session{session}.pickle")
                if wrong := lies_in(partial):
                    return wrong
                if "Authentication" in told:
                    box.add_key()
                totals["failed sessions"] += 1
            elif process.returncode > 0:
                return [f"a session ended with {process.returncode}: {told[-1500:]}"]
        else:
            return [f"no end after {MAX_SESSIONS} sessions: {told[-500:]}"]
        result = pd.read_pickle(folder / f"session{session}.pickle")
        requests = box.requests()
        met.update(requests["fault"].dropna())
        totals["rows"] += len(result)
        totals["requests"] += len(requests)
        totals["unknown rows"] += int((result["status"] == "unknown").sum())
        wrong = lies_in(result)
        wrong += faulty_requests(requests, set(ids))
        if result["contact_id"].tolist() != ids:
            wrong.append("the rows are not those of the frame")
        if (requests["status"] == 422).any():
            wrong.append("a key was used for two bodies")
        return wrong


def main() -> int:
    """Print the figures; the exit status is 1 if there was a lie."""
    made = argparse.ArgumentParser(description=__doc__)
    made.add_argument("--runs", type=int, default=20)
    made.add_argument("--seconds", type=float, default=120.0, help="start no further run after")
    made.add_argument("--seed", type=int, default=0)
    given = made.parse_args()
    totals: Counter[str] = Counter()
    met: Counter[str] = Counter()
    lied = 0
    until = time.monotonic() + given.seconds
    for seed in range(given.seed, given.seed + given.runs):
        if time.monotonic() > until:
            break
        with tempfile.TemporaryDirectory() as name:
            wrong = one_run(seed, Path(name), totals, met)
        totals["runs"] += 1
        lied += len(wrong)
        for sentence in wrong[:5]:
            print(f"seed {seed}: {sentence}", flush=True)
    for name in ("runs", "sessions", "failed sessions", "kills", "requests", "rows"):
        print(f"{name:16}{totals[name]:>10,}")
    print(f"{'unknown rows':16}{totals['unknown rows']:>10,}")
    print(f"{'faults met':16}{sum(met.values()):>10,}, of {len(met)} kinds")
    print(f"{'lies':16}{lied:>10,}")
    return 1 if lied else 0


if __name__ == "__main__":
    sys.exit(main())
