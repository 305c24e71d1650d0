"""Syncs: who gets and loses the label, what each row is told, and what is refused."""

import numpy as np
import pytest

import kirim_pandas as kp


@pytest.fixture
def box():
    with kp.sandbox.start(contacts=600, seed=1, write_per_minute=60_000) as sandbox:
        yield sandbox


@pytest.fixture
def label(box):
    return box.labels["id"].iloc[0]


def spread(box, seed=0):
    """The contacts in random order, each with a figure below 100."""
    df = box.contacts.sample(frac=1, random_state=seed)
    return df.assign(spend=np.random.default_rng(seed).integers(0, 100, len(df)))


def synced(box, df, label, members, **options):
    options = {"client": box.client(), "progress": False} | options
    return df.kirim.sync_label(label, members, **options)


def passing(box, label):
    outcome = box.outcome(label)
    return set(outcome.index[outcome == "applied"])


def sent(box, before):
    """The contacts of each write request since."""
    rows = box.requests().iloc[before:]
    return [set(ids) for ids in rows.loc[rows["method"] == "POST", "contact_ids"]]


def test_the_first_sync_puts_the_label_on_the_segment_alone(box, label):
    """With nothing to compare with, members get the label and other rows of the frame lose it."""
    df = spread(box)
    box.set_members(label, sorted(passing(box, label)))
    result = synced(box, df, label, df["spend"] > 60)
    segment = set(df.loc[df["spend"] > 60, "contact_id"])
    assert box.members(label) == segment & passing(box, label)
    assert result.index.equals(df.index)
    member = (df["spend"] > 60).to_numpy()
    assert (result["operation"].to_numpy() == np.where(member, "attach", "detach")).all()
    assert (result.loc[member, "change"] == "entered").all()
    assert result.loc[~member, "change"].isna().all()


def test_a_month_sends_only_what_changed(box, label):
    """Compared with the last sync, only who entered is attached, and only who left detached."""
    df = spread(box)
    synced(box, df, label, df["spend"] > 60)
    had = box.members(label)
    before = len(box.requests())
    result = synced(box, df, label, df["spend"] > 65, since="last")
    assert len(sent(box, before)) == 1
    left = set(df.loc[df["spend"].between(61, 65), "contact_id"])
    assert sent(box, before) == [left & had]
    assert box.members(label) == had - left
    change = result["change"].astype(object).where(result["change"].notna(), "none")
    spend = df["spend"]
    assert (
        change.tolist() == np.select([spend > 65, spend > 60], ["stayed", "left"], "none").tolist()
    )
    stayed = result[result["change"] == "stayed"]
    truth = box.outcome(label).reindex(stayed["contact_id"])
    told = stayed["reason"].astype(object).where(stayed["status"] != "applied", "applied")
    assert told.tolist() == truth.tolist()


def test_leavers_that_are_in_no_row_are_shown_first(box, label):
    """Who is no longer in the frame keeps the label and has a row, until the caller asks."""
    df = spread(box).reset_index(drop=True)
    synced(box, df, label, df["spend"] > 60)
    had = box.members(label)
    rest = df.iloc[100:]
    gone = had - set(rest["contact_id"])
    before = len(box.requests())
    result = synced(box, rest, label, rest["spend"] > 60, since="last")
    assert sent(box, before) == []
    assert set(result.loc[result["reason"] == "not_in_frame", "contact_id"]) == gone
    assert result.index.tolist() == [*rest.index, *range(600, 600 + len(result) - len(rest))]
    result = synced(box, rest, label, rest["spend"] > 60, since="last", leavers="detach")
    assert sent(box, before) == [gone]
    assert box.members(label) == had - gone
    off = result.set_index("contact_id").loc[sorted(gone), ["status", "operation", "change"]]
    assert off.drop_duplicates().values.tolist() == [["applied", "detach", "left"]]


def test_a_cap_holds_for_all_runs_together(box, label):
    """Labels come first: of three requests one is set aside for who is detached."""
    df = spread(box)
    before = len(box.requests())
    result = synced(box, df, label, df["spend"] > 60, max_requests=3)
    assert len(sent(box, before)) == 3
    assert "stopped" not in set(result["reason"].dropna())
    before = len(box.requests())
    result = synced(box, df, label, df["spend"] > 60, max_requests=1)
    assert len(sent(box, before)) == 1
    assert set(result.loc[result["operation"] == "detach", "reason"]) == {"stopped"}
    again = kp.resume(result.attrs["kirim_run_id"], client=box.client(), progress=False)
    assert "stopped" not in set(again["reason"].dropna())
