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
    result.to_pickle(partial)
    partial.replace(out)
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
