"""Taking a run back: from whom, what is said before, when it is refused, and what is kept of it."""

import pandas as pd
import pytest

import kirim_pandas as kp

NOT_KNOWN = "is not known: they (lose|get) it, too"


@pytest.fixture
def box():
    with kp.sandbox.start(contacts=1500, seed=1, write_per_minute=60_000) as sandbox:
        yield sandbox


@pytest.fixture
def label(box):
    return box.labels["id"].iloc[0]


def made(box, label, df=None, op="attach", **options):
    df = box.contacts if df is None else df
    options = {"client": box.client(), "progress": False} | options
    result = df.kirim.bulk_label(label, op, **options)
    return result.attrs["kirim_run_id"], result


def undone(box, run_id, **options):
    with pytest.warns(UserWarning, match=NOT_KNOWN):
        return kp.undo(run_id, **{"client": box.client(), "progress": False} | options)


def applied(result):
    return set(result.loc[result["status"] == "applied", "contact_id"])


def test_an_undone_run_leaves_nobody_labeled(box, label):
    """The opposite goes to the contacts the run applied, in as few calls, and to nobody else."""
    run_id, result = made(box, label)
    assert box.members(label) == applied(result)
    before = len(box.requests())
    back = undone(box, run_id)
    sent = box.requests().iloc[before:].query("method == 'POST'")["contact_ids"]
    assert [len(ids) for ids in sent] == [1000, len(applied(result)) - 1000]
    assert set().union(*sent) == applied(result) == applied(back)
    assert box.members(label) == set()


def test_an_undo_is_in_the_history(box, label):
    """The history has it as a run of the opposite operation that names the run it takes back."""
    run_id, _ = made(box, label)
    back = undone(box, run_id)
    runs = kp.runs()
    assert runs["undoes"].tolist() == [run_id, pd.NA]
    assert runs["operation"].tolist() == ["detach", "attach"]
    pd.testing.assert_frame_equal(kp.result(back.attrs["kirim_run_id"]), back)


def test_a_detach_is_undone_by_an_attach(box, label):
    """Undoing a detach attaches the label to those it was taken from."""
    made(box, label)
    run_id, result = made(box, label, op="detach")
    undone(box, run_id)
    assert box.members(label) == applied(result)


def test_who_had_the_label_before_is_left_alone(box, label):
    """Whom an earlier run shows with the label keeps it; what came in between is looked at."""
    df = box.contacts
    _, early = made(box, label, df.iloc[:300])
    made(box, label, df.iloc[:100], op="detach")
    run_id, late = made(box, label)
    with pytest.warns(UserWarning, match=r"more had the label before, as an earlier run shows"):
        back = kp.undo(run_id, client=box.client(), progress=False)
    kept = applied(early) - set(df["contact_id"].iloc[:100])
    assert kept
    assert box.members(label) == kept
    assert applied(back) == applied(late) - kept


def test_where_all_had_the_label_before_nothing_is_sent(box, label):
    """A run that changed nobody, as an earlier one shows, cannot be undone."""
    made(box, label)
    run_id, _ = made(box, label)
    before = len(box.requests())
    with pytest.raises(kp.InvalidInputError, match=r"had the label before it, so there is nothing"):
        kp.undo(run_id, client=box.client())
    assert len(box.requests()) == before


@pytest.mark.parametrize("op", ["attach", "detach"])
def test_a_later_run_forbids_it(box, label, op):
    """Where a later run changed the label of the same contacts, it is refused, and named."""
    run_id, _ = made(box, label, box.contacts.iloc[:500])
    later, _ = made(box, label, box.contacts.iloc[400:], op=op)
    before = len(box.requests())
    with pytest.raises(kp.InvalidInputError, match=f"Run {later} came after run {run_id}"):
        kp.undo(run_id, client=box.client())
    assert len(box.requests()) == before


def test_later_runs_of_others_do_not_forbid_it(box, label):
    """A later run of other contacts, or of another label, is no reason against it."""
    run_id, _ = made(box, label, box.contacts.iloc[:500])
    _, others = made(box, label, box.contacts.iloc[500:])
    made(box, box.labels["id"].iloc[1], box.contacts.iloc[:500])
    undone(box, run_id)
    assert box.members(label) == applied(others)


def test_twice_is_refused(box, label):
    """A run that was undone is not undone again; an undo that was undone is labeled again."""
    run_id, result = made(box, label)
    back = undone(box, run_id).attrs["kirim_run_id"]
    with pytest.raises(kp.InvalidInputError, match=f"was undone before, by run {back}"):
        kp.undo(run_id, client=box.client())
    undone(box, back)
    assert box.members(label) == applied(result)


def test_a_stopped_run_is_undone_as_far_as_it_is_known(box, label):
    """Of a stopped run the contacts that are proven by then are taken back."""
    passes = box.outcome(label).eq("applied")
    df = box.contacts.sort_values("contact_id", key=lambda ids: ~ids.map(passes), kind="stable")

    def stop(now):
        if now.answered:
            raise KeyboardInterrupt

    with pytest.raises(kp.RunInterrupted) as caught:
        made(box, label, df, progress=stop)
    proven = applied(caught.value.result)
    members = box.members(label)
    assert len(proven) == 1000
    undone(box, caught.value.run_id)
    assert box.members(label) == members - proven


def test_nothing_proven_is_nothing_to_undo(box, label):
    """A run of which nobody is proven says how many are not known, and how to find out."""
    df = box.contacts.sample(frac=1, random_state=0).iloc[:900]
    run_id, result = made(box, label, df, resolve="batches")
    assert set(result["status"]) == {"unknown"}
    with pytest.raises(kp.InvalidInputError, match=r"900 contacts were sent and are not known yet"):
        kp.undo(run_id, client=box.client())
    kp.resume(run_id, resolve="rows", client=box.client(), progress=False)
    undone(box, run_id)
    assert box.members(label) == set()


def test_a_stopped_undo_goes_on(box, label):
    """An undo that was stopped is resumed like any run, and then the label is off everybody."""
    run_id, _ = made(box, label)

    def stop(now):
        if now.answered:
            raise KeyboardInterrupt

    with pytest.raises(kp.RunInterrupted) as caught, pytest.warns(UserWarning, match=NOT_KNOWN):
        kp.undo(run_id, client=box.client(), progress=stop)
    assert box.members(label)
    back = caught.value.run_id
    assert f'kirim_pandas.resume("{back}") goes on' in str(caught.value)  # there is no frame
    with pytest.raises(kp.InvalidInputError, match=rf"kirim_pandas.resume\('{back}'\) goes on"):
        kp.undo(run_id, client=box.client())
    kp.resume(back, client=box.client(), progress=False)
    assert box.members(label) == set()
    assert kp.runs()["undoes"].iloc[0] == run_id


def test_another_place_is_refused(box, label):
    """A run is not undone at another address: its contacts are not those."""
    run_id, _ = made(box, label)
    with (
        kp.sandbox.start(contacts=10) as other,
        pytest.raises(kp.InvalidInputError, match=f"Run {run_id} was sent to"),
    ):
        kp.undo(run_id, client=other.client())


def halves(df, frac):
    """A segment for each contact: the first part is a, the rest b."""
    return pd.Series(["a"] * int(len(df) * frac) + ["b"] * (len(df) - int(len(df) * frac)))


@pytest.fixture
def month(box):
    """Gives two labels of one team their segments, each on its own alone."""
    team = box.labels["team_id"].iloc[0]
    labels = {name: kp.create_label(name, team_id=team, client=box.client()) for name in "ab"}
    df = box.contacts.iloc[:300]

    def do(frac, **options):
        usual = {"client": box.client(), "progress": False, "exclusive": True}
        segments = halves(df, frac)
        result = df.kirim.label_segments(segments, labels, **usual | options)
        return result.attrs["kirim_run_id"]

    def members():
        return {name: box.members(label) for name, label in labels.items()}

    return do, members


def undone_series(box, series, **options):
    with pytest.warns(UserWarning, match="Undoing the series .* is not known"):
        return kp.undo(series, **{"client": box.client(), "progress": False} | options)


def test_a_series_is_undone_as_one(box, month):
    """Both months are taken back one after the other, and each leaves what was before it."""
    do, members = month
    november = do(0.5)
    after_november = members()
    december = do(0.3)
    assert members() != after_november
    back = undone_series(box, december)
    assert members() == after_november
    moved = after_november["a"] - set(box.contacts["contact_id"].iloc[:90])
    given = back[back["operation"] == "attach"]
    assert set(given["contact_id"]) == moved
    assert set(back["status"]) == {"applied"}
    undone_series(box, november)
    assert members() == {"a": set(), "b": set()}


def test_an_undone_series_is_in_the_history_as_one(box, month):
    """The undoing is a series whose runs name those they take back, and can itself be undone."""
    do, members = month
    series = do(0.5)
    before = members()
    back = undone_series(box, series)
    runs = kp.runs(split_series=True)
    ours = runs[runs["series"] == back.attrs["kirim_run_id"]]
    attached = runs[(runs["series"] == series) & (runs["operation"] == "attach")]
    assert sorted(ours["undoes"]) == sorted(attached["run_id"])
    told = f"Run {series} was undone before, by run {back.attrs['kirim_run_id']}"
    with pytest.raises(kp.InvalidInputError, match=told):  # as the history lists them
        kp.undo(series, client=box.client())
    undone_series(box, back.attrs["kirim_run_id"])
    assert members() == before


def test_a_sync_is_undone_as_one(box, label):
    """Who entered by a sync loses the label again, and who left by it has it again."""
    df = box.contacts[box.contacts["contact_id"].map(box.outcome(label)) == "applied"]
    df = df.reset_index(drop=True)
    usual = {"client": box.client(), "progress": False}
    df.kirim.sync_label(label, df.index < 500, **usual)
    before = box.members(label)
    month = df.kirim.sync_label(label, (df.index >= 50) & (df.index < 600), since="last", **usual)
    undone_series(box, month.attrs["kirim_run_id"])
    assert box.members(label) == before
    leavers = df.kirim.sync_label(label, df.index < 400, since="last", **usual)
    assert leavers["operation"].dropna().unique().tolist() == ["detach"]
    undone_series(box, leavers.attrs["kirim_run_id"])
    assert box.members(label) == before


def test_a_stopped_undoing_of_a_series_goes_on(box, month):
    """Stopped half-way, the undoing goes on by its own id, and nothing of the series is left."""
    do, members = month
    series, told = do(0.5), []

    def stop(now):
        told.append(now)
        if now.answered > 100:
            raise KeyboardInterrupt

    with pytest.raises(kp.RunInterrupted, match=r"kirim_pandas\.resume") as caught:
        undone_series(box, series, progress=stop)
    assert any(members().values())
    kp.resume(caught.value.run_id, client=box.client(), progress=False)
    assert members() == {"a": set(), "b": set()}


def test_a_series_that_changed_nobody_is_not_undone(box, month):
    """Where earlier runs show that all was so before, there is nothing to undo."""
    do, _members = month
    do(0.5)
    again, before = do(0.5), len(box.requests())
    with pytest.raises(kp.InvalidInputError, match="nothing to undo"):
        kp.undo(again, client=box.client())
    assert len(box.requests()) == before


def test_once_the_later_run_is_undone_so_is_the_earlier(box, label):
    """A later run that was taken back forbids nothing; once that is undone in turn, it does."""
    first, _ = made(box, label, box.contacts.iloc[:50])
    later, _ = made(box, label, box.contacts.iloc[20:50], op="detach")
    with pytest.raises(kp.InvalidInputError, match=later):
        kp.undo(first, client=box.client())
    back = undone(box, later).attrs["kirim_run_id"]
    again = undone(box, back).attrs["kirim_run_id"]
    with pytest.raises(kp.InvalidInputError, match="came after run"):
        kp.undo(first, client=box.client())
    undone(box, again)
    undone(box, first)
    assert box.members(label) == set()
