"""A cluster of two worker processes: they read and join, and may die; the client alone sends."""

import warnings

import pandas as pd
import pytest
from support.dying import source
from support.kill_harness import RUN_ENDED, faulty_requests, lies, spawn

import kirim_pandas as kp

SIZE = 2300


@pytest.fixture(scope="module")
def cluster():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of Dask's own
        from distributed import Client, LocalCluster

        workers = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": None}
        with LocalCluster(**workers) as cluster, Client(cluster) as client:
            yield client


@pytest.fixture(scope="module")
def box():
    with kp.sandbox.start(SIZE, write_per_minute=60_000, skipped_share=0.002, seed=7) as box:
        yield box


def test_workers_may_die_and_nothing_is_sent_twice(cluster, box, tmp_path):
    """A worker that is killed while reading, and one while joining, costs no call and no row."""
    contacts = box.contacts
    df = pd.concat([contacts, contacts.iloc[:700]], ignore_index=True)
    df.loc[[3, 1500], "contact_id"] = None
    ddf, kill_one = source(df, tmp_path, 6)
    label, sent = box.labels["id"].iloc[0], df["contact_id"].dropna().unique()
    kill_one()
    result = ddf.kirim.bulk_label(
        label, "attach", client=box.client(), progress=False, hint=None, reads=False
    )
    assert not (tmp_path / "deadly").exists()  # somebody was killed
    requests = box.requests()
    kill_one()
    computed = result.compute()
    assert not (tmp_path / "deadly").exists()
    assert len(box.requests()) == len(requests)
    assert faulty_requests(requests, set(sent)) == []
    assert not requests["replayed"].any()
    batches = requests[requests["contact_ids"].notna()].iloc[:3]  # calls under way pass each other
    assert sorted(one for ids in batches["contact_ids"] for one in ids) == sorted(sent)
    assert len(requests) == kp.runs()["requests"].iloc[0]
    assert result.npartitions == ddf.npartitions
    assert computed["contact_id"].isna().sum() == 2
    known = computed.dropna(subset="contact_id")
    assert set(known["status"]) == {"applied", "skipped"}
    assert lies(known, box.members(label), box.outcome(label), set()) == []
    assert computed["contact_id"].tolist() == df["contact_id"].astype("string").tolist()
    assert result["status"].value_counts().compute().sum() == len(df)


def test_a_client_that_is_killed_goes_on(cluster, box, tmp_path):
    """A run whose process was killed goes on over a Dask DataFrame, with no call made twice."""
    label, before = box.labels["id"].iloc[1], len(box.requests())
    ids = box.contacts["contact_id"]
    ids.to_csv(tmp_path / "contacts.txt", index=False, header=False)
    process = spawn(
        tmp_path,
        "killed",
        api_key=box.api_key,
        base_url=box.base_url,
        contacts=str(tmp_path / "contacts.txt"),
        journal=str(tmp_path),
        label_id=label,
        partitions=5,
        options={"hint": None, "reads": False},
    )
    while len(box.requests()) < before + 5 and process.poll() is None:
        pass
    process.kill()
    _, told = process.communicate(timeout=60)
    assert process.returncode not in (0, RUN_ENDED), told
    (run_id,) = kp.runs(journal=tmp_path)["run_id"]
    ddf, _ = source(box.contacts, tmp_path, 4)
    result = ddf.kirim.resume(run_id, client=box.client(), journal=tmp_path, progress=False)
    requests = box.requests().iloc[before:]
    computed = result.compute()
    assert set(computed["status"]) == {"applied", "skipped"}
    assert lies(computed, box.members(label), box.outcome(label), set()) == []
    assert faulty_requests(requests, set(ids)) == []
    assert requests[requests["executed"]]["idempotency_key"].is_unique
