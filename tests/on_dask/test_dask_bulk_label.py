"""Labeling a Dask DataFrame: what a pandas DataFrame of the same rows would come to."""

import dask
import dask.dataframe as dd
import numpy as np
import pandas as pd
import pytest

import kirim_pandas as kp

FAST = 60_000
TOLD = ["contact_id", "status", "reason"]


@pytest.fixture(autouse=True)
def _one_thread():
    """No thread pool of Dask's outlives a test."""
    with dask.config.set(scheduler="synchronous"):
        yield


@pytest.fixture(scope="module")
def box():
    with kp.sandbox.start(1500, write_per_minute=FAST, skipped_share=0.02, seed=4) as box:
        yield box


@pytest.fixture
def messy(box):
    """Rows of every kind: duplicates, missing and malformed ids, blanks around some."""
    df = box.contacts[["contact_id", "name", "phone_number", "email", "team", "source"]]
    df = pd.concat([df, df.iloc[:300]], ignore_index=True)
    ids = df["contact_id"].astype(object)
    ids[10:20], ids[700], ids[701] = None, "62 812 3456 7890", "  "
    ids[1600:1650] = " " + ids[1600:1650] + "\n"
    df["contact_id"] = ids.astype("str")
    df["spend"] = np.random.default_rng(0).integers(0, 100, len(df)) / 4
    return df


def labeled(frame, box, **options):
    settings = {"client": box.client(), "progress": False} | options
    return frame.kirim.bulk_label("Newsletter", "attach", **settings)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"hint": "team"},
        {"hint": ["team", "source"], "reads": False},
        {"hint": None, "reads": False},
        {"id_column": "contact_id", "resolve": "batches", "hint": None},
        {"phone": "phone_number"},
        {"email": "email"},
    ],
    ids=lambda options: ",".join(options),
)
def test_rows_are_those_of_pandas(box, messy, options):
    """Each row has the outcome that a pandas frame gives it, with the same calls and requests."""
    if "phone" in options or "email" in options:
        messy = messy.drop(columns="contact_id")
    before = len(box.requests())
    wanted = labeled(messy, box, journal=False, **options)
    between = len(box.requests())
    ddf = dd.from_pandas(messy, npartitions=7)
    result = labeled(ddf, box, journal=False, **options)
    after = len(box.requests())
    assert (result.npartitions, result.divisions) == (ddf.npartitions, ddf.divisions)
    computed = result.compute()
    assert len(box.requests()) == after
    names = list(wanted.columns) if options.get("resolve") == "batches" else TOLD
    pd.testing.assert_frame_equal(computed[names], wanted[names])
    assert computed.dtypes.equals(wanted.dtypes)
    assert result.dtypes.equals(wanted.dtypes)
    assert computed.attrs["kirim_run_id"] == result.kirim.run_id
    if not options.get("reads", True):  # else the second run has the first one's reads
        assert after - between == between - before
