"""A run in a process of its own, to be killed: ``python kill_harness.py CONFIG.json``.

It starts or resumes a run over the contacts in a file and ends as a plain script would.  Used by
``test_kill.py`` and by ``benchmarks/chaos.py``, which also check what it leaves behind.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import pandas as pd

from kirim_pandas.frames.results import STATUSES

RUN_ENDED, RUN_FAILED, RUN_STOPPED = 0, 3, 4


def spawn(folder: Path, name: str, **config: Any) -> subprocess.Popen[str]:
    """Start a session of a run; `config` is what :func:`main` reads."""
    path = folder / f"{name}.json"
    path.write_text(json.dumps({"out": str(folder / f"{name}.pickle"), **config}))
    environment = os.environ | {"PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.Popen(
        [sys.executable, __file__, str(path)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def lies(result: pd.DataFrame, members: set[str], truth: pd.Series, deleted: set[str]) -> list[str]:
    """Compare a result frame with the server.

    Parameters
    ----------
    result
        One row per contact; the operation was attach.
    members
        Who carries the label.
    truth
        The outcome of each contact that nobody moved, by id.
    deleted
        Contacts that were deleted while the run went on.

    Returns
    -------
    list of str
        One sentence per lie.
    """
    found = []
    for contact, status, reason in result[["contact_id", "status", "reason"]].itertuples(
        index=False
    ):
        on = contact in members
        if status == "applied" and not on and contact not in deleted:
            found.append(f"{contact} is called applied and has no label")
        if status in ("failed", "not_sent") and on:
            found.append(f"{contact} is called {status} ({reason}) and has the label")
        if status == "skipped" and contact in truth.index and truth[contact] != reason:
            found.append(f"{contact} is called {reason} and is {truth[contact]}")
    return found


def faulty_requests(requests: pd.DataFrame, asked: set[str]) -> list[str]:
    """Look for what no client may send: foreign ids, doubles, two bodies under one key."""
    writes = requests[requests["method"] == "POST"]
    found = []
    bodies: dict[str, list[str]] = {}
    for key, ids in writes[["idempotency_key", "contact_ids"]].itertuples(index=False):
        if ids is None or not isinstance(ids, list):
            continue
        if not set(ids) <= asked:
            found.append("an id was sent that nobody asked for")
        if len(set(ids)) != len(ids) or not 1 <= len(ids) <= 1000:
            found.append(f"a call held {len(ids)} ids, {len(set(ids))} of them distinct")
        if bodies.setdefault(key, ids) != ids:
            found.append(f"key {key} came with two bodies")
    return found


def unaccounted(result: pd.DataFrame, given: list[str], usable: set[str]) -> list[str]:
    """Look for rows that a result lost, moved or left without a word; `given` is the frame's."""
    if len(result) != len(given) or result.index.tolist() != list(range(len(given))):
        return [f"{len(given)} rows were given and {len(result)} came back"]
    found = []
    rows = result[["contact_id", "status"]].astype(object).itertuples(index=False)
    for number, (text, (contact, status)) in enumerate(zip(given, rows, strict=True)):
        if text in usable and contact != text:
            found.append(f"row {number} is another contact's")
        if text not in usable and status != "not_sent":
            found.append(f"row {number} has no usable id and is called {status}")
        if status not in STATUSES:
            found.append(f"row {number} has the status {status}")
    return found


def beyond_bucket(
    requests: pd.DataFrame, *, per_minute: int, tokens: int, began: list[float], replay_costs: bool
) -> list[str]:
    """Look for calls beyond the bucket, of an organisation that nobody else works for.

    Parameters
    ----------
    requests
        The sandbox's log.
    per_minute, tokens
        The bucket: its size, which is its rate, too, and what was in it at the start.
    began
        When each session began, in the seconds of the log.  Its first call knows nothing of the
        bucket, so that one may be refused.
    replay_costs
        Whether the sandbox takes a token for a replay.
    """
    writes = requests[requests["method"] == "POST"]
    times = writes["seconds"].to_numpy()
    first = {int((times < start).sum()) for start in began}
    own = (writes["status"] == 429).fillna(False) & writes["fault"].isna()
    found = [
        f"call {place} was refused for want of a token"
        for place in own.to_numpy().nonzero()[0].tolist()
        if place not in first
    ]
    # The same from the other side: what surely took a token never took more than there were.
    took = (writes["executed"] | (writes["replayed"] & replay_costs)).to_numpy()
    level, at = float(tokens), times[0] if len(times) else 0.0
    for now in times[took].tolist():
        level = min(float(per_minute), level + (now - at) * per_minute / 60.0) - 1.0
        at = now
        if level < -1.0:  # one for the time between a call's arrival and its token
            found.append(f"at {now:.3f} s more calls were let through than the bucket held")
    return found


def main(path: str) -> int:
    """Do one session; the exit status tells how it ended."""
    import kirim_pandas as kp
    from kirim_pandas.api.models import Timeouts

    config = json.loads(Path(path).read_text())
    warnings.simplefilter("ignore")
    client = kp.Client(
        config["api_key"],
        base_url=config["base_url"],
        timeouts=Timeouts(**config.get("timeouts", {})),
        **config.get("client", {}),
    )
    out = Path(config["out"])
    frame = pd.DataFrame({"contact_id": Path(config["contacts"]).read_text().split()})
    if partitions := config.get("partitions"):
        import dask.dataframe as dd

        frame = dd.from_pandas(frame, npartitions=partitions)
    settings = {"client": client, "progress": False, "journal": config["journal"]}
    try:
        if run_id := config.get("run_id"):
            result = frame.kirim.resume(run_id, **settings)
        else:
            result = frame.kirim.bulk_label(
                config["label_id"], "attach", **settings, **config.get("options", {})
            )
    except (kp.KirimError, kp.RunInterrupted) as ended:
        status = RUN_STOPPED if isinstance(ended, kp.RunInterrupted) else RUN_FAILED
        print(f"{type(ended).__name__}: {ended}", file=sys.stderr)
        if ended.result is None:
            return 5
        result = ended.result
    else:
        status = RUN_ENDED
    partial = out.with_suffix(".part")
    if partitions:
        result = result.compute()
    result.to_pickle(partial)
    partial.replace(out)
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
