"""Syncs: who gets and loses the label, what each row is told, and what is refused."""

import numpy as np
import pandas as pd
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


def test_words_after_a_month_are_of_whom_they_say(box, label, capsys):
    """After a sync that only detaches nobody is said to be without the label who has it.

    Its last line says that the counts are of the frame, and who is no member is not missed.
    """
    df = spread(box).head(60)
    synced(box, df, label, df["spend"] > 60)
    result = synced(box, df, label, df["spend"] > 70, since="last", progress=True)
    assert set(result["operation"].dropna()) == {"detach"}
    told = result.kirim.report()
    assert "are without the label" not in told.headline
    assert "detached" not in told.title
    last = " ".join(capsys.readouterr().out.split())
    assert "All 60 contacts of the frame, those left as they were included: " in last
    nobody = (result["reason"] == "no_label").fillna(False)
    assert nobody.any()
    assert "no_label" not in set(result.kirim.people(status=["skipped", "not_sent"])["reason"])
    assert len(result.kirim.people(reason="no_label")) == nobody.sum()


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


def test_a_past_sync_tells_what_changed(box, label):
    """The history of a sync has who entered, stayed and left, as its own result had."""
    df = spread(box)
    first = synced(box, df, label, df["spend"] > 60)
    again = kp.result(first.attrs["kirim_run_id"])
    assert_same_people(first, again)
    rest = df.iloc[100:]
    month = synced(box, rest, label, rest["spend"] > 50, since="last")
    assert set(month["change"].dropna()) == {"entered", "stayed", "left"}
    again = kp.result(month.attrs["kirim_run_id"])
    assert_same_people(month, again)
    assert_same_people(month, kp.resume(month.attrs["kirim_run_id"], client=box.client()))
    assert again.attrs == month.attrs


def assert_same_people(result, again):
    """Everybody whom the sync sent or left as they were, with the same outcome and change."""
    told = result[result["change"].notna() | result["operation"].notna()].set_index("contact_id")
    again = again.set_index("contact_id")
    assert again.index.is_unique
    assert set(again.index) == set(told.index)
    pair = again.reindex(told.index)
    for column in ("status", "reason", "label_id", "label", "operation", "change"):
        assert pair[column].astype(object).equals(told[column].astype(object)), column


def test_leavers_who_were_moved_are_named(box, label):
    """Of a sync with leavers only, a skip among contacts that had passed before is named."""
    df = spread(box)
    synced(box, df, label, df["spend"] > 60)
    leavers = df[df["spend"].between(61, 70) & df["contact_id"].isin(box.members(label))]
    gone = leavers["contact_id"].iloc[3]
    team = box.labels.set_index("id")["team_id"]
    box.move_contact(gone, next(other for other in team if other != team[label]))
    options = {"since": "last"}
    quiet = len(box.requests())
    result = synced(box, df, label, df["spend"] > 70, **options).set_index("contact_id")
    off = result[result["operation"] == "detach"]
    assert off.loc[gone, ["status", "reason"]].tolist() == ["skipped", "team_mismatch"]
    assert (off.drop(gone)["status"] == "applied").all()
    assert len(sent(box, quiet)) > 1


def test_without_names_a_skip_of_leavers_stays_open(box, label):
    """With resolve="batches" nobody is named, whatever the counts show."""
    df = spread(box)
    synced(box, df, label, df["spend"] > 60)
    gone = sorted(box.members(label))[0]
    team = box.labels.set_index("id")["team_id"]
    box.move_contact(gone, next(other for other in team if other != team[label]))
    before = len(box.requests())
    nobody = np.zeros(len(df), dtype=bool)
    result = synced(box, df, label, nobody, since="last", resolve="batches")
    assert len(sent(box, before)) == 1
    assert set(result.loc[result["operation"] == "detach", "status"]) == {"unknown"}
    named = kp.resume(result.attrs["kirim_run_id"], resolve="rows", client=box.client())
    off = named[named["operation"] == "detach"].set_index("contact_id")["status"]
    assert off[gone] == "skipped"
    assert (off.drop(gone) == "applied").all()


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"members": "no such"}, "no column or index level has this name"),
        ({"members": "maybe"}, "1 values of the mask are missing"),
        ({"members": "spend"}, "members: found .* expected a boolean for each row"),
        ({"members": [True]}, "1 values were found, expected one for each of 600 rows"),
        ({"since": "run_20260101_0123456789"}, "there is no run 'run_20260101_0123456789'"),
        ({"since": "last"}, "no sync of .* is in the journal"),
        ({"since": 5}, "since: found 5, expected 'last'"),
        ({"leavers": "keep"}, "leavers: found 'keep', expected 'detach' or None"),
        ({"leavers": "detach"}, "without since="),
        ({"journal": False}, "journal: found False, expected a path"),
        ({"max_requests": 0}, "max_requests=0 was found"),
        ({"resolve": "all"}, "resolve='all' was found"),
        ({"reads": None}, "reads: found"),
        ({"label": "lbl_bad"}, "lbl_"),
    ],
)
def test_what_does_not_fit_is_refused(box, label, options, told):
    """Whatever a sync cannot use is said in words, and nothing is sent or written down."""
    df = spread(box)
    df["maybe"] = [None] + [True] * (len(df) - 1)
    asked = {"label": label, "members": df["spend"] > 60} | options
    before = len(box.requests())
    with pytest.raises(kp.InvalidInputError, match=told):
        synced(box, df, **asked)
    assert sent(box, before) == []
    assert kp.runs().empty


def test_a_frame_without_contacts_takes_nobody_off(box, label):
    """An empty frame with leavers="detach" would take the label off everybody: it is refused."""
    df = spread(box)
    synced(box, df, label, df["spend"] > 60)
    none = df.iloc[:0]
    with pytest.raises(kp.InvalidInputError, match="off everybody"):
        synced(box, none, label, none["spend"] > 60, since="last", leavers="detach")


def test_a_contact_inside_and_outside_is_refused(box, label):
    """Two rows of one contact that do not agree on its membership are refused with the contact."""
    df = spread(box)
    twice = df.iloc[[0, 0]]
    with pytest.raises(kp.InvalidInputError, match=df["contact_id"].iloc[0]):
        synced(box, twice, label, np.array([True, False]))


def test_an_unfinished_sync_is_resumed_first(box, label):
    """Where the last sync has not finished, the next one says how to go on, and sends nothing."""
    df = spread(box)
    part = synced(box, df, label, df["spend"] > 60, max_requests=1)
    series, before = part.attrs["kirim_run_id"], len(box.requests())
    for since in ("last", series):
        with pytest.raises(kp.InvalidInputError, match="has not finished") as caught:
            synced(box, df, label, df["spend"] > 70, since=since)
        assert f"kirim_pandas.resume('{series}')" in str(caught.value)
    assert sent(box, before) == []
    kp.resume(series, client=box.client(), progress=False)
    had = box.members(label)
    synced(box, df, label, df["spend"] > 70, since="last")
    still = set(df.loc[df["spend"] > 70, "contact_id"])
    assert box.members(label) == had & still


def test_a_run_of_another_label_is_no_comparison(box, label):
    """A sync of another label, and a run that only detached this one, tell no members of it."""
    df = spread(box)
    other = box.labels["id"].iloc[1]
    theirs = synced(box, df, other, df["spend"] > 60).attrs["kirim_run_id"]
    options = {"client": box.client(), "progress": False}
    off = df.iloc[:5].kirim.bulk_label(label, "detach", **options).attrs["kirim_run_id"]
    before = len(box.requests())
    for since in (theirs, off):
        with pytest.raises(kp.InvalidInputError, match="is a run of another kind"):
            synced(box, df, label, df["spend"] > 60, since=since)
    assert sent(box, before) == []


def test_a_run_that_attached_the_label_is_a_comparison(box, label):
    """A plain run may be the first month, and what came after it is taken into account."""
    df = spread(box)
    options = {"client": box.client(), "progress": False}
    made = df[df["spend"] > 60].kirim.bulk_label(label, "attach", **options)
    df[df["spend"] > 95].kirim.bulk_label(label, "detach", **options)
    result = synced(box, df, label, df["spend"] > 50, since=made.attrs["kirim_run_id"])
    assert box.members(label) == set(df.loc[df["spend"] > 50, "contact_id"]) & passing(box, label)
    assert set(result.loc[df["spend"].between(51, 60), "change"]) == {"entered"}
    assert set(result.loc[df["spend"].between(61, 95), "change"]) == {"stayed"}
    assert result.loc[df["spend"].between(61, 95), "operation"].isna().all()


def test_after_the_newest_was_forgotten_no_older_one_is_taken(box, label):
    """since="last" says that a later run was forgotten; who names the older one is told so once."""
    df = spread(box)
    first = synced(box, df, label, df["spend"] > 60).attrs["kirim_run_id"]
    second = synced(box, df, label, df["spend"] > 70, since="last").attrs["kirim_run_id"]
    kp.forget(second)
    before = len(box.requests())
    with pytest.raises(kp.InvalidInputError, match="was forgotten") as caught:
        synced(box, df, label, df["spend"] > 80, since="last")
    assert f"since='{first}'" in str(caught.value)
    assert sent(box, before) == []
    with pytest.warns(UserWarning, match="was forgotten"):
        synced(box, df, label, df["spend"] > 80, since=first)
    segment = set(df.loc[df["spend"] > 80, "contact_id"])
    assert box.members(label) == segment & passing(box, label)
    synced(box, df, label, df["spend"] > 85, since="last")  # a newer one is known by now


def test_forgetting_another_label_or_what_sent_nothing_forbids_nothing(box, label):
    """Only a forgotten run of this label that sent something makes the last sync old."""
    df = spread(box)
    synced(box, df, label, df["spend"] > 60)
    options = {"client": box.client(), "progress": False}
    other = df.iloc[:5].kirim.bulk_label(box.labels["id"].iloc[1], "attach", **options)
    kp.forget(other.attrs["kirim_run_id"])
    synced(box, df, label, df["spend"] > 70, since="last")


def test_a_series_is_forgotten_and_looked_into_as_one(box, label):
    """By the one id of a sync its calls are listed, and all of it is deleted."""
    df = spread(box)
    series = synced(box, df, label, df["spend"] > 60).attrs["kirim_run_id"]
    runs = kp.runs(split_series=True).query("series == @series")
    made = kp.calls(series)
    assert made["run_id"].drop_duplicates().tolist() == runs["run_id"].tolist()[::-1]
    assert made.groupby("run_id").size().to_dict() == runs.set_index("run_id")["requests"].to_dict()
    kp.forget(series)
    assert kp.runs().empty
    for gone in (kp.forget, kp.calls, kp.result):
        with pytest.raises(kp.InvalidInputError, match="There is no run"):
            gone(series)


def test_a_plan_of_a_sync_is_what_the_call_does(box, label):
    """Who entered, stayed and left, and what is sent, is told before, and what cannot be known."""
    df = spread(box).reset_index(drop=True)
    first = synced(box, df, label, df["spend"] > 60)
    rest = df.iloc[100:]
    options = {"since": "last", "client": box.client()}
    before = len(box.requests())
    plans = [
        rest.kirim.plan_sync(label, rest["spend"] > 50, leavers=leavers, **options)
        for leavers in (None, "detach")
    ]
    assert sent(box, before) == []
    for plan in plans:
        assert f"Compared with {first.attrs['kirim_run_id']}. Who set the label" in repr(plan)
        assert f"({plan.changes['absent']} of them are in no row" in plan._repr_html_()
    assert "keep the label: " in repr(plans[0])
    assert "keep the label: " not in repr(plans[1])
    result = synced(box, rest, label, rest["spend"] > 50, leavers="detach", **options)
    writes = [len(ids) for ids in sent(box, before)]
    counts = result["change"].value_counts()
    assert plans[1].changes.drop("absent").to_dict() == counts.to_dict()
    assert plans[1].changes["absent"] == len(result) - len(rest)
    assert plans[1].labels["operation"].tolist() == ["attach", "detach"]
    assert plans[1].labels["contacts"].tolist() == [writes[0], writes[-1]]
    assert plans[1].batches == 2
    again = rest.kirim.plan_sync(label, rest["spend"] > 50, client=box.client())
    assert "Compared with nothing" in repr(again)


@pytest.mark.parametrize("leavers", [None, "detach"])
def test_the_same_frame_gives_the_same_result(box, label, leavers):
    """A sync that is gone on with by its frame gives the very frame that the call gave."""
    df = spread(box).reset_index(drop=True)
    df.loc[5, "contact_id"] = None
    first = synced(box, df, label, df["spend"] > 60)
    again = df.kirim.resume(first.attrs["kirim_run_id"], client=box.client(), progress=False)
    pd.testing.assert_frame_equal(again, first)
    for month in range(2):  # the second compares with what the first left as it was
        rest = df.iloc[100 * (month + 1) :].sample(frac=1, random_state=month)
        result = synced(
            box, rest, label, rest["spend"] > 50 + 5 * month, since="last", leavers=leavers
        )
        assert set(result["change"].dropna()) >= {"stayed", "left"}
        series = result.attrs["kirim_run_id"]
        again = rest.kirim.resume(series, client=box.client(), progress=False)
        pd.testing.assert_frame_equal(again, result)
        assert_same_people(result, kp.result(series))
        with pytest.raises(kp.InvalidInputError, match="other contacts than the call"):
            df.kirim.resume(series, client=box.client())


def test_another_process_reports_on_a_sync(box, label, monkeypatch):
    """By its id the journal tells label, time and requests; months are compared by their ids."""
    df = spread(box)
    first = synced(box, df, label, df["spend"] > 60)
    month = synced(box, df, label, df["spend"] > 50, since="last")
    ids = [result.attrs["kirim_run_id"] for result in (first, month)]
    here = month.kirim.report()
    requests = kp.runs()["requests"].iloc[0]
    monkeypatch.setattr(kp.session, "_recent", {})
    away = month.kirim.report()
    for report in (here, away):
        assert f"<div><span>Requests</span>{requests}</div>" in report.fragment
        assert f"<div><span>Label</span>{label}</div>" in report.fragment
    assert "not known here" not in away.fragment
    assert away.fragment == here.fragment
    differ = kp.compare(*ids)
    entered = set(month.loc[month["change"] == "entered", "contact_id"])
    assert set(differ.loc[differ["change"] == "only_after", "contact_id"]) == entered
    assert set(differ["change"]) == {"only_after"}
    pd.testing.assert_frame_equal(kp.compare(first, month), differ)
