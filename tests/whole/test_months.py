"""Two months of a shop with 20,000 customers: killed, interrupted, gone on with, and the bill."""

import signal
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

import kirim_pandas as kp

CUSTOMERS = 20_000
TIERS = ["a", "b", "c", "d", "e"]
SCRIPT = """
import os, signal
import pandas as pd, kirim_pandas as kp

def die(now):
    if now.answered > {last}:
        os.kill(os.getpid(), signal.SIGKILL)

kp.connect({key!r}, base_url={address!r})
pd.read_pickle({path!r}).kirim.label_segments("tier", {labels!r}, exclusive=True, progress=die)
"""


@pytest.fixture(scope="module")
def box():
    people = kp.sandbox.sample_contacts(CUSTOMERS, seed=3)  # with what tells their organisation
    limits = {"write_per_minute": 10_000_000, "read_per_minute": 10_000_000}
    with kp.sandbox.start(people, seed=3, **limits) as sandbox:
        yield sandbox


def month(box, seed=0):
    """All customers in random order, with a tier, and with columns that tell who is skipped."""
    df = box.contacts.sample(frac=1, random_state=seed)
    tiers = np.random.default_rng(0).choice(TIERS, len(df))
    return df.assign(tier=df["contact_id"].map(pd.Series(tiers, box.contacts["contact_id"])))


def check(box, df, labels, result):
    """Members are exactly the segments, and each row tells what the service did."""
    assert result.index.equals(df.index)
    assert result["label_id"].tolist() == df["tier"].map(labels).tolist()
    truth = {label_id: box.outcome(label_id) for label_id in labels.values()}
    told = result["reason"].where(result["status"] != "applied", "applied").to_numpy(object)
    for tier, label_id in labels.items():
        segment = (df["tier"] == tier).to_numpy()
        right = truth[label_id].reindex(df.loc[segment, "contact_id"])
        assert (told[segment] == right.to_numpy(object)).all()
        assert box.members(label_id) == set(right.index[right == "applied"])


def writes(box):
    return int((box.requests()["method"] == "POST").sum())


@pytest.mark.skipif(sys.platform == "win32", reason="signals of another kind")
def test_two_months_of_five_segments(box, tmp_path):
    """November's process is killed, December is interrupted; both go on and end exact."""
    team, client = box.labels["team_id"].iloc[0], box.client()
    labels = {tier: kp.create_label(f"tier {tier}", team_id=team, client=client) for tier in TIERS}
    november = month(box)
    path = str(tmp_path / "month.pickle")
    november.to_pickle(path)
    script = SCRIPT.format(
        path=path, key=box.api_key, address=box.base_url, labels=labels, last=CUSTOMERS // 2
    )
    process = subprocess.run([sys.executable, "-c", script], check=False, timeout=300)
    assert process.returncode == -signal.SIGKILL
    runs = kp.runs(split_series=True)
    assert set(runs["state"]) == {"finished", "interrupted"}
    assert kp.runs()["state"].tolist() == ["interrupted"]
    series = kp.runs()["run_id"].iloc[0]
    check(box, november, labels, november.kirim.resume(series, client=client, progress=False))

    december = month(box, seed=1)
    moved = np.arange(CUSTOMERS) % 10 == 0
    december.loc[moved, "tier"] = december.loc[moved, "tier"].map(
        dict(zip(TIERS, TIERS[1:] + TIERS[:1], strict=True))
    )
    stopped_at = []

    def stop(now):
        if now.answered > CUSTOMERS // 2:
            stopped_at.append(now.answered)
            raise KeyboardInterrupt

    with pytest.raises(kp.RunInterrupted) as caught:
        december.kirim.label_segments("tier", labels, exclusive=True, client=client, progress=stop)
    assert stopped_at
    assert (caught.value.result["reason"] == "stopped").any()
    whole = december.kirim.resume(caught.value.run_id, client=client, progress=False)
    check(box, december, labels, whole)


def test_the_second_month_of_a_sync_costs_a_handful(box):
    """With 2 % entered and 1 % left at most 6 writes are sent beside those that name skips."""
    df, client = month(box), box.client()
    number = pd.Series(np.random.default_rng(5).permutation(CUSTOMERS), index=df.index)
    usual = {"client": client, "progress": False}
    df.kirim.sync_label("Newsletter", number < CUSTOMERS // 2, **usual)
    member = (number >= CUSTOMERS // 100) & (number < CUSTOMERS // 2 + CUSTOMERS // 50)
    plan = df.kirim.plan_sync("Newsletter", member, since="last", client=client)
    before = writes(box)
    result = df.kirim.sync_label("Newsletter", member, since="last", **usual)
    made, sent = writes(box) - before, result["operation"].notna().sum()
    changes = result["change"].value_counts()
    assert changes[["entered", "left"]].tolist() == [CUSTOMERS // 50, CUSTOMERS // 100]
    assert plan.changes.drop("absent").to_dict() == changes.to_dict()
    assert plan.batches == 2
    assert sent <= CUSTOMERS * 3 // 100
    label_id = result["label_id"].dropna().iloc[0]
    outcome = box.outcome(label_id)
    passing = set(outcome.index[outcome == "applied"])
    assert box.members(label_id) == passing & set(df.loc[member, "contact_id"])
    calls = kp.calls(result.attrs["kirim_run_id"])
    naming = int((calls["phase"] == "resolve").sum())
    assert made - naming == 2
