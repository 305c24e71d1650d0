"""Two kernels work with jobs on the default journal, and look at its runs all the while."""

import json
import subprocess
import sys

import pytest

import kirim_pandas as kp

RUNS = 5

KERNEL = """
import json, sys
import pandas as pd
import kirim_pandas as kp

base_url, api_key, label_id, *ids = json.load(sys.stdin)
kp.connect(api_key, base_url=base_url)
frame = pd.DataFrame({"contact_id": ids})
looks, started = 0, []
while len(started) < RUNS:
    job = frame.kirim.bulk_label_job(label_id, "attach")
    while not job.done:
        assert kp.runs()["run_id"].is_unique
        looks += 1
    assert set(job.result()["status"]) == {"applied", "skipped"}
    started.append(job.result().attrs["kirim_run_id"])
print(json.dumps([looks, started]))
"""


@pytest.fixture
def box():
    with kp.sandbox.start(400, seed=2, skipped_share=0.02, write_per_minute=600_000) as box:
        yield box


def test_two_kernels_and_whoever_looks(box, monkeypatch, tmp_path):
    """No run of two kernels is lost or damaged, however often their journal is looked at."""
    monkeypatch.delenv("KIRIM_JOURNAL")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))  # where the default journal is
    given = [box.base_url, box.api_key, box.labels["id"].iloc[0], *box.contacts["contact_id"]]
    kernels = [
        subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", KERNEL.replace("RUNS", str(RUNS))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    for kernel in kernels:
        json.dump(given, kernel.stdin)
        kernel.stdin.close()
        kernel.stdin = None
    started = []
    for kernel in kernels:
        out, told = kernel.communicate(timeout=120)
        assert kernel.returncode == 0, told
        looks, runs = json.loads(out.splitlines()[-1])
        assert looks >= RUNS
        started += runs
    listed = kp.runs()
    assert sorted(listed["run_id"]) == sorted(started)
    assert set(listed["state"]) == {"finished"}
    for run_id in started:
        assert set(kp.resume(run_id, progress=False)["status"]) == {"applied", "skipped"}
