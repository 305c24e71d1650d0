"""The main job, as a user calls it, over real HTTP against the sandbox and its truth."""

import io
import re
import sys
import warnings
from unittest.mock import Mock

import numpy as np
import pandas as pd
import pytest

import kirim_pandas as kp

CONTACT = re.compile(r"ctc_[0-9A-HJKMNP-TV-Z]{26}\Z")
FAST = 600_000
SIZE = 1300
LABEL = "lbl_01HXYZABCDEFGHJKMNPQRSTVWX"


@pytest.fixture(scope="module")
def box():
    with kp.sandbox.start(
        contacts=SIZE, seed=5, write_per_minute=FAST, skipped_share=0.03
    ) as sandbox:
        yield sandbox


@pytest.fixture
def client(box):
    with box.client() as client:
        yield client


FEW = 60
SHAPES = {
    "sorted by cause": lambda df: df.sort_values("team"),
    "messy": lambda df: kp.sandbox.messy(df, seed=1),
    "id as index": lambda df: df.set_index("contact_id"),
    "id as level": lambda df: df.set_index(["city", "contact_id"]),
    "category": lambda df: df.astype({"contact_id": "category"}),
    "object": lambda df: df.astype({"contact_id": object}),
    "arrow": lambda df: df.astype({"contact_id": "string[pyarrow]"}),
    "repeated index labels": lambda df: df.set_index(np.zeros(len(df), dtype=int)),
    "only another team": lambda df: df[df["team"] != "Sales"],
    "one row": lambda df: df.iloc[:1],
    "duplicates": lambda df: pd.concat([df, df.iloc[:40], df.iloc[:3]]),
}


def expected(result, box, label):
    truth = box.outcome(label)
    return truth.reindex(result["contact_id"]).to_numpy(dtype=object)


@pytest.mark.parametrize("name", ["plain, two batches", *SHAPES])
def test_every_row_is_right(name, box, label, client):
    """Whatever the frame looks like, each row is the truth, attached and detached."""
    df = SHAPES[name](box.contacts.tail(FEW)) if name in SHAPES else box.contacts
    before, before_log = df.copy(deep=True), len(box.requests())
    result = df.kirim.bulk_label(label, "attach", client=client, progress=False)

    pd.testing.assert_frame_equal(df, before)
    pd.testing.assert_index_equal(result.index, df.index)
    usable = result["contact_id"].notna()
    reported = result["reason"].fillna("applied").to_numpy(dtype=object)
    assert (reported[usable] == expected(result, box, label)[usable]).all()
    assert result.loc[~usable, "reason"].isin(["missing_id", "malformed_id"]).all()
    applied = set(result.loc[result["status"] == "applied", "contact_id"])
    assert box.members(label) == applied

    log = box.requests().iloc[before_log:].query("method == 'POST'")
    asked = set(result.loc[usable, "contact_id"])
    for ids in log["contact_ids"]:
        assert 1 <= len(ids) <= 1000
        assert len(set(ids)) == len(ids)
        assert asked.issuperset(ids)
        assert all(CONTACT.match(contact) for contact in ids)
    assert log["idempotency_key"].is_unique

    undone = df.kirim.bulk_label(label, "detach", client=client, progress=False)
    assert (undone["status"].to_numpy() == result["status"].to_numpy()).all()
    assert box.members(label) == set()


def test_contract_of_the_result(box, label, client):
    """Columns, dtypes, categories and attrs are the documented ones."""
    result = box.contacts.kirim.bulk_label(label, "attach", client=client, progress=False)
    assert result.columns.tolist() == [
        "contact_id", "status", "reason", "evidence", "batch",
    ]  # fmt: skip
    assert [str(dtype) for dtype in result.dtypes] == [
        "string", "category", "string", "category", "Int64",
    ]  # fmt: skip
    assert result["status"].cat.categories.tolist() == [
        "applied", "skipped", "failed", "unknown", "not_sent",
    ]  # fmt: skip
    assert result["evidence"].cat.categories.tolist() == ["batch", "probe"]
    assert list(result.attrs) == ["kirim_run_id"]
    assert isinstance(result.attrs["kirim_run_id"], str)
    assert kp.last_result() is result


def test_series_and_index_have_the_verb(box, label, client):
    """A Series and an Index of ids are labeled like a frame."""
    series = box.contacts["contact_id"].iloc[:50]
    by_series = series.kirim.bulk_label(label, "attach", client=client, progress=False)
    by_index = pd.Index(series).kirim.bulk_label(label, "attach", client=client, progress=False)
    assert by_series["status"].tolist() == by_index["status"].tolist()
    pd.testing.assert_index_equal(by_series.index, series.index)


def test_batches_only_sends_no_probe(box, label, client):
    """resolve="batches" costs one request a batch, and mixed batches stay unknown."""
    before = len(box.requests())
    result = box.contacts.kirim.bulk_label(
        label, "attach", client=client, resolve="batches", progress=False
    )
    assert len(box.requests()) - before == 2
    assert result["evidence"].isna().all()
    assert set(result["reason"].dropna()) == {"undetermined"}


def test_hint_changes_the_cost_and_not_the_result(box, label, client):
    """A hint that decides who is skipped saves most requests and names the same rows."""
    df = box.contacts
    df = df.assign(cause=box.outcome(label).reindex(df["contact_id"]).to_numpy())
    counts, frames = [], []
    for hint in (None, "cause"):
        before = len(box.requests())
        frames.append(
            df.kirim.bulk_label(
                label, "attach", client=client, hint=hint, reads=False, progress=False
            )
        )
        counts.append(len(box.requests()) - before)
    assert counts[1] <= 3 + 3 * df["cause"].nunique()
    assert counts[1] * 3 < counts[0]
    pd.testing.assert_series_equal(frames[0]["reason"], frames[1]["reason"])


def test_the_connected_client_is_the_default(box, label, monkeypatch):
    """kp.connect, or the environment, says whom to talk to."""
    df = box.contacts.iloc[:5]
    monkeypatch.setenv("KIRIM_API_KEY", box.api_key)
    monkeypatch.setenv("KIRIM_BASE_URL", box.base_url)
    assert len(df.kirim.bulk_label(label, "attach", progress=False)) == 5
    assert box.api_key not in repr(kp.connect())


def test_a_repeated_run_where_applied_counts_changes():
    """What one run inferred decides no row of another: who had the label before is unknown."""
    switches = kp.sandbox.Switches(applied="changes")
    with kp.sandbox.start(SIZE, write_per_minute=FAST, switches=switches) as sandbox:
        df, label, client = sandbox.contacts, sandbox.labels["id"].iloc[0], sandbox.client()
        first = df.kirim.bulk_label(label, "attach", client=client, progress=False)
        truth = expected(first, sandbox, label)
        assert (first["reason"].fillna("applied").to_numpy(dtype=object) == truth).all()
        second = df.kirim.bulk_label(label, "attach", client=client, progress=False)
        told = np.where(truth == "applied", "undetermined", truth)
        assert (second["reason"].to_numpy(dtype=object) == told).all()


# -- bad input, one by one -----------------------------------------------------------------


BAD = {
    "malformed label": ({"label_id": "lbl_VIP"}, "lbl_ and 26"),
    "wrong op": ({"op": "remove"}, "'attach' or 'detach'"),
    "wrong resolve": ({"resolve": "all"}, "'rows', 'batches'."),
    "resolve of an earlier version": ({"resolve": "certified"}, 'use resolve="rows"'),
    "no cap": ({"max_requests": 0}, "whole number from 1"),
    "unknown column": ({"id_column": "id"}, "contact_id"),
    "unknown hint": ({"hint": "taem"}, "team"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_arguments_are_refused_before_anything_is_sent(name, box, label, client):
    """Each mistake gets a message with what was expected, and no request is made."""
    changes, message = BAD[name]
    arguments = {"label_id": label, "op": "attach", "client": client, "progress": False} | changes
    before = len(box.requests())
    with pytest.raises(kp.InvalidInputError, match=message):
        box.contacts.kirim.bulk_label(**arguments)
    assert len(box.requests()) == before


def test_all_problems_come_at_once(box):
    """One error names every mistake of the call."""
    with pytest.raises(kp.InvalidInputError) as caught:
        box.contacts[["name"]].kirim.bulk_label("lbl_VIP", "add", resolve="x")
    for word in ("lbl_", "attach", "rows", "no column"):
        assert word in str(caught.value)


BAD_FRAMES = {
    "no id column": (lambda df: df[["name", "team"]], "at least half"),
    "two candidates": (lambda df: df.assign(again=df["contact_id"]), "'again'"),
    "float ids": (lambda df: df.assign(contact_id=1.5), "numbers"),
    "integer ids": (lambda df: df.assign(contact_id=7), "numbers"),
    "duplicate column": (
        lambda df: pd.concat([df["contact_id"], df["contact_id"]], axis=1),
        "contact_id",
    ),
}


@pytest.mark.parametrize("name", BAD_FRAMES)
def test_unusable_frames_are_refused(name, box, label, client):
    """A frame without one clear id column is refused with what was found in it."""
    change, message = BAD_FRAMES[name]
    before = len(box.requests())
    with pytest.raises(kp.InvalidInputError, match=message):
        change(box.contacts).kirim.bulk_label(label, "attach", client=client, progress=False)
    assert len(box.requests()) == before


@pytest.mark.parametrize("rows", [[], [None, "", "  "]])
def test_nothing_to_send_needs_no_key(rows, capsys):
    """An empty frame, or one without ids, is a result at once: no key, no request, no journal."""
    df = pd.DataFrame({"contact_id": pd.Series(rows, dtype="string")})
    result = df.kirim.bulk_label(LABEL, "attach", id_column="contact_id")
    assert result["reason"].tolist() == ["missing_id"] * len(rows)
    assert "There was no contact to send." in capsys.readouterr().out
    told = "No row has a contact" if rows else "The segment is empty"
    with pytest.warns(UserWarning, match=f"{told}.*: nothing was sent"):
        df.kirim.bulk_label(LABEL, "attach", id_column="contact_id", progress=False)
    assert kp.runs().empty


def test_no_key_is_said_so(box):
    """Without a key, and nobody to ask, the message says where to put one."""
    with pytest.raises(kp.ConfigurationError, match="KIRIM_API_KEY"):
        box.contacts.kirim.bulk_label(LABEL, "attach", progress=False)


def test_wrong_key(box, label):
    """A key the service does not know ends the run at its first call, and shows no key."""
    wrong = "kdv_live_" + "x" * 24
    with (
        kp.Client(wrong, base_url=box.base_url) as client,
        pytest.raises(kp.AuthenticationError) as caught,
    ):
        box.contacts.kirim.bulk_label(label, "attach", client=client, progress=False)
    assert caught.value.status == 401
    assert wrong not in str(caught.value)
    assert "No customer was touched" in str(caught.value)
    assert len(caught.value.result) == SIZE
    assert caught.value.run_id == kp.runs()["run_id"].iloc[0]


def test_unknown_label(box, client):
    """A label of nobody's ends the run at its first call with a 404."""
    with pytest.raises(kp.NotFoundError, match="No customer was touched") as caught:
        box.contacts.kirim.bulk_label(LABEL, "attach", client=client, progress=False)
    assert caught.value.result["status"].eq("not_sent").all()


# -- progress ------------------------------------------------------------------------------


def test_progress_callable_hears_the_run(box, label, client):
    """A callable is told of each step, in order, up to the end."""
    heard = []
    result = box.contacts.kirim.bulk_label(label, "attach", client=client, progress=heard.append)
    assert [p.state for p in heard[-1:]] == ["finished"]
    assert {p.phase for p in heard} == {"apply", "resolve"}
    requests = [p.requests for p in heard]
    assert requests == sorted(requests)
    assert heard[-1].answered == heard[-1].contacts == len(result)
    assert heard[-1].skipped == (result["status"] == "skipped").sum()
    assert heard[-1].undetermined == 0


def test_a_failing_callable_ends_nothing(box, label, client):
    """The first failure of a callback is warned of once, and the run goes on without it."""
    told = []

    def fail(progress):
        told.append(progress.answered)
        if progress.answered:
            raise ZeroDivisionError("mine")

    with pytest.warns(UserWarning, match="ZeroDivisionError: mine.*goes on all the same") as warned:
        result = box.contacts.kirim.bulk_label(label, "attach", client=client, progress=fail)
    assert len(warned) == 1
    assert told.count(0) == len(told) - 1
    assert result["status"].isin(["applied", "skipped"]).all()
    assert kp.runs()["state"].tolist() == ["finished"]


@pytest.mark.parametrize("broken", [BrokenPipeError(32, "pipe"), OSError(28, "no space"), "closed"])
def test_an_output_that_takes_nothing_ends_nothing(box, label, client, monkeypatch, broken):
    """A closed pipe, a full disk behind stdout or a closed file costs the bar, not the run."""
    out = io.StringIO()
    if broken == "closed":
        out.close()
    else:
        monkeypatch.setattr(out, "write", Mock(side_effect=broken))
    monkeypatch.setattr(sys, "stdout", out)
    with pytest.warns(UserWarning, match="cannot be shown any more") as warned:
        result = box.contacts.kirim.bulk_label(label, "attach", client=client)
    assert len(warned) == 1
    assert result["status"].isin(["applied", "skipped"]).all()


def test_warnings_that_are_errors_cost_no_run(box, label, client):
    """Where warnings are errors, a failing callback still ends nothing."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        settings = {"client": client, "progress": lambda progress: 1 / 0}
        result = box.contacts.kirim.bulk_label(label, "attach", **settings)
    assert result["status"].isin(["applied", "skipped"]).all()


@pytest.mark.parametrize("when", ["first", "last"])
def test_ctrl_c_in_a_callable_stops_the_run(box, label, client, when):
    """KeyboardInterrupt is no failure of a callback: it stops the run, and the result is kept."""

    def interrupt(progress):
        if when == "first" or progress.state != "running":
            raise KeyboardInterrupt

    with pytest.raises(kp.RunInterrupted) as caught:
        box.contacts.kirim.bulk_label(label, "attach", client=client, progress=interrupt)
    assert len(caught.value.result) == len(box.contacts)
    assert kp.runs()["state"].iloc[0] == ("stopped" if when == "first" else "finished")


def test_bar_leaves_one_static_line(box, label, client, capsys):
    """Without a terminal there is no bar, but what the run costs and one line of what it did."""
    box.contacts.kirim.bulk_label(label, "attach", client=client)
    out = capsys.readouterr().out
    assert re.search(r"1,300 contacts: finished\. [\d,]+ applied, [\d,]+ skipped", out)
    assert "You can stop at any time" in out
    assert "\r" not in out
