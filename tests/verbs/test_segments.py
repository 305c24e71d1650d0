"""Labels of segments: who ends with which label, what each row is told, and what is refused."""

import numpy as np
import pandas as pd
import pytest

import kirim_pandas as kp

TIERS = ["a", "b", "c", "d", "e"]


@pytest.fixture
def box():
    with kp.sandbox.start(contacts=600, seed=1, write_per_minute=60_000) as sandbox:
        yield sandbox


@pytest.fixture
def labels(box):
    """Five labels of one team, by tier."""
    team, client = box.labels["team_id"].iloc[0], box.client()
    return {tier: kp.create_label(f"tier {tier}", team_id=team, client=client) for tier in TIERS}


def tiered(box, seed=0):
    """The contacts in random order, each with a tier."""
    df = box.contacts.sample(frac=1, random_state=seed)
    return df.assign(tier=np.random.default_rng(seed).choice(TIERS, len(df)))


def segmented(df, labels, box, by="tier", **options):
    options = {"client": box.client(), "progress": False} | options
    return df.kirim.label_segments(by, labels, **options)


def check_members(box, df, labels, by="tier"):
    """Each label's members are those of its segment that can carry it."""
    for tier, label_id in labels.items():
        outcome = box.outcome(label_id)
        segment = set(df.loc[df[by] == tier, "contact_id"])
        assert box.members(label_id) == segment & set(outcome.index[outcome == "applied"])


def check_rows(box, df, labels, result):
    """Each row tells what the service did with its contact for the label of its segment."""
    assert result.index.equals(df.index)
    assert result["contact_id"].tolist() == df["contact_id"].tolist()
    assert result["label_id"].tolist() == df["tier"].map(labels).tolist()
    truth = [
        box.outcome(label_id).reindex(df.loc[df["tier"] == tier, "contact_id"])
        for tier, label_id in labels.items()
    ]
    truth = pd.concat(truth).reindex(df["contact_id"])
    told = result["reason"].astype(object).where(result["status"] != "applied", "applied")
    assert told.tolist() == truth.tolist()


def writes(box, before):
    """How many write requests were sent since."""
    return int((box.requests().iloc[before:]["method"] == "POST").sum())


def test_each_label_ends_on_its_segment(box, labels):
    """In the second month, with movers, each label's members are exactly its segment's."""
    first = tiered(box)
    check_rows(box, first, labels, segmented(first, labels, box, exclusive=True))
    check_members(box, first, labels)
    moved = tiered(box, seed=1)
    moved["tier"] = moved["tier"].where(np.arange(len(moved)) % 10 == 0, first["tier"])
    before = len(box.requests())
    result = segmented(moved, labels, box, exclusive=True)
    check_members(box, moved, labels)
    check_rows(box, moved, labels, result)
    naming = kp.runs(split_series=True).query("operation == 'attach'")["requests"].iloc[:5].sum()
    assert writes(box, before) == naming + 5  # nobody is named where a label is taken off


@pytest.mark.parametrize("answered", [1, 400, 2000])
def test_stopped_anywhere_it_goes_on(box, labels, answered):
    """Stopped in the middle, a series goes on by its one id, and ends as if it was not stopped."""
    df, told = tiered(box), []
    segmented(df.assign(tier=df["tier"].iloc[::-1].to_numpy()), labels, box, exclusive=True)

    def stop(now):
        told.append(now)
        if now.answered >= answered:
            raise KeyboardInterrupt

    with pytest.raises(kp.RunInterrupted, match=r"kirim_pandas\.resume") as caught:
        segmented(df, labels, box, exclusive=True, progress=stop)
    series, part = caught.value.run_id, caught.value.result
    assert part.index.equals(df.index)
    assert (part["reason"] == "stopped").any() == (answered < 600)
    assert f'kirim_pandas.resume("{series}") goes on' in str(caught.value)
    assert kp.last_result() is part
    whole = kp.resume(series, client=box.client(), progress=False)
    check_members(box, df, labels)
    pd.testing.assert_frame_equal(whole, kp.result(series))
    assert set(whole["operation"]) == {"attach"}
    attached = whole.set_index("contact_id")
    assert attached.index.is_unique
    assert set(attached.index) == set(df["contact_id"])
    truth = {label: box.outcome(label) for label in labels.values()}
    right = [
        (row.status if row.status == "applied" else row.reason) == truth[row.label_id][contact]
        for contact, row in attached.iterrows()
    ]
    assert all(right)
    assert kp.runs(split_series=True).query("series == @series")["state"].eq("finished").all()
    again = df.kirim.resume(series, client=box.client(), progress=False)
    check_rows(box, df, labels, again)
    assert again.attrs == {"kirim_run_id": series}


def states(result):
    """The states of the runs of a series, in their order."""
    return (
        kp.runs(split_series=True)
        .query("series == @result.attrs['kirim_run_id']")["state"]
        .tolist()[::-1]
    )


def test_a_cap_holds_for_all_runs_together(box, labels):
    """Labels come first; whatever the cap left out is capped, and a resume goes on with it."""
    df, before = tiered(box), len(box.requests())
    result = segmented(df, labels, box, exclusive=True, max_requests=3)
    assert writes(box, before) == 3
    assert states(result) == ["capped"] * 10
    runs = kp.runs(split_series=True)[::-1]
    assert runs["requests"].tolist() == [1] * 3 + [0] * 7
    assert runs["not_sent"].iloc[3:].tolist() == runs["rows"].iloc[3:].tolist()
    unsent = df["tier"].isin(["d", "e"])
    assert (result.loc[unsent, "reason"] == "stopped").all()
    assert not (result.loc[~unsent, "reason"] == "stopped").any()
    kp.resume(result.attrs["kirim_run_id"], client=box.client(), progress=False)
    check_members(box, df, labels)
    assert states(result) == ["finished"] * 10


def test_runs_that_wait_for_their_turn_are_at_work(box, labels):
    """Runs are running while their series is at work; once it was stopped, they are stopped."""
    seen = []

    def look(now):
        if now.answered > 300 and not seen:
            seen.append(kp.runs(split_series=True)["state"].tolist())
            raise KeyboardInterrupt

    with pytest.raises(kp.RunInterrupted) as caught:
        segmented(tiered(box), labels, box, progress=look)
    assert set(seen[0]) == {"finished", "running"}
    assert set(states(caught.value.result)) == {"finished", "stopped"}


def test_a_series_is_at_work_in_one_place(box, labels):
    """While a series is at work nobody else goes on with it."""
    told = []

    def go_on(now):
        if not told:
            told.append(now)
            series = kp.runs()["series"].iloc[0]
            with pytest.raises(kp.JournalError, match=f"{series} is at work"):
                kp.resume(series, client=box.client(), progress=False)

    segmented(tiered(box).iloc[:50], labels, box, progress=go_on)
    assert told


def test_without_a_journal_nothing_is_kept(box, labels, tmp_path, monkeypatch):
    """With journal=False all is done as with one, nothing stays on the disk, nothing is resumed."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    df = tiered(box)
    result = segmented(df, labels, box, exclusive=True, journal=False)
    check_rows(box, df, labels, result)
    check_members(box, df, labels)
    assert kp.runs().empty
    assert list(tmp_path.iterdir()) == []

    def stop(now):
        raise KeyboardInterrupt

    with pytest.raises(kp.RunInterrupted, match="calling again is safe") as caught:
        segmented(df, labels, box, journal=False, progress=stop)
    assert "kirim_pandas.resume(" not in str(caught.value)
    assert len(caught.value.result) == len(df)
    assert list(tmp_path.iterdir()) == []


def test_a_series_is_resumed_by_another_process(box, labels, monkeypatch):
    """All runs are written down before the first is sent, so the journal alone is enough."""
    df = tiered(box)
    from kirim_pandas.verbs.segments import series

    class Died(BaseException):
        pass

    def die(*args, **kwargs):
        raise Died

    with monkeypatch.context() as patched:
        patched.setattr(series, "carry_out", die)
        with pytest.raises(Died):
            segmented(df, labels, box)
    runs = kp.runs(split_series=True)
    assert set(runs["state"]) == {"interrupted"}
    assert runs["series"].nunique() == 1
    assert runs["rows"].sum() == len(df)
    kp.resume(runs["series"].iloc[0], client=box.client(), progress=False)
    check_members(box, df, labels)


def test_one_progress_adds_up(box, labels):
    """A callable hears of all labels as one: counts never fall, and all contacts are answered."""
    df, told = tiered(box), []
    segmented(df, labels, box, exclusive=True, progress=told.append)
    assert {now.contacts for now in told} == {5 * len(df)}
    for name in ("answered", "applied", "skipped", "requests"):
        numbers = [getattr(now, name) for now in told]
        assert numbers == sorted(numbers)
    assert told[-1].answered == 5 * len(df)
    assert told[-1].state == "finished"


def test_the_bar_names_the_label_at_work(box, labels, capsys):
    """The bar is one, and says of each label that it is at work."""
    segmented(tiered(box).iloc[:100], labels, box, progress=True)
    out = capsys.readouterr().out
    assert out.count("Attaching 5 labels to 100 contacts") >= 1
    for number, label_id in enumerate(labels.values(), start=1):
        assert f"Label {label_id}: attaching" in out.replace("\n", " ")
        assert f"({number} of 5 runs)" in out.replace("\n", " ")


def test_a_skip_of_who_passed_before_is_named(box, labels):
    """Where a count of the detach half shows a skip among contacts that passed, all are named."""
    df = box.contacts[box.contacts["contact_id"].map(box.outcome(labels["a"])) == "applied"]
    df = df.iloc[:60].assign(tier=["a", "b"] * 30)
    chosen = {tier: labels[tier] for tier in "ab"}
    other = box.labels.set_index("id")["team_id"]
    team = next(team for team in other.unique() if team != other.iloc[0])
    gone = df["contact_id"].iloc[0]

    def move(now):
        if now.answered == 60:  # both segments have their label; the first leaves the team
            box.move_contact(gone, team)

    result = segmented(df, chosen, box, exclusive=True, progress=move)
    assert set(result["status"]) == {"applied"}
    known = kp.result(result.attrs["kirim_run_id"], every_run=True)
    off = known[known["operation"] == "detach"].set_index("contact_id")
    assert off.loc[gone, ["status", "reason"]].tolist() == ["skipped", "team_mismatch"]
    assert (off.drop(gone)["status"] == "applied").all()


def test_nobody_is_named_where_counts_are_as_expected(box, labels):
    """The detach half sends no probe where nobody was skipped who passed before."""
    result = segmented(tiered(box), labels, box, exclusive=True)
    runs = kp.runs(split_series=True).query("operation == 'detach'")
    assert runs["series"].unique().tolist() == [result.attrs["kirim_run_id"]]
    assert runs["requests"].tolist() == [-(-rows // 1000) for rows in runs["rows"]]


def test_rows_without_a_label(box, labels):
    """Values left out and missing are no_label; rows without a usable id say so first."""
    df = tiered(box).iloc[:100].reset_index(drop=True)
    df.loc[0, "tier"] = None
    df.loc[1, "contact_id"] = None
    df.loc[2, "contact_id"] = "bad"
    chosen = {tier: labels[tier] for tier in "abcd"}
    result = segmented(df, chosen, box, exclusive=True)
    none = ~df["tier"].isin(list("abcd")) & ~df.index.isin([1, 2])
    assert (result.loc[none, "reason"] == "no_label").all()
    assert (result["reason"] == "no_label").fillna(False).tolist() == none.tolist()
    assert result["reason"].iloc[[1, 2]].tolist() == ["missing_id", "malformed_id"]
    assert result.loc[none, ["label_id", "label", "operation"]].isna().all(axis=None)
    check_members(box, df, chosen)
    assert result.kirim.summary(by="tier")["rows"].sum() == 100


@pytest.mark.parametrize(
    "of",
    [
        lambda n: (pd.cut(n, [-1, 49, 99]), {"(-1, 49]": "a", "(49, 99]": "b"}),
        lambda n: (pd.cut(n, [-1, 49, 99]), {pd.Interval(-1, 49): "a", pd.Interval(49, 99): "b"}),
        lambda n: (pd.qcut(n, 2, labels=["low", "high"]), {"low": "a", "high": "b"}),
        lambda n: (n < 50, {True: "a", False: "b"}),
        lambda n: ((n < 50).astype("boolean"), pd.Series(["a", "b"], index=[True, False])),
        lambda n: ((n >= 50).astype(int).to_numpy(), {0: "a", 1: "b"}),
        lambda n: ((n >= 50).map({True: "x", False: "y"}).astype("string"), {"y": "a", "x": "b"}),
    ],
)
def test_values_of_every_kind(box, labels, of):
    """Text, categories, intervals, numbers and booleans are values; a name is as good as an id."""
    df = tiered(box).iloc[:100]
    number = pd.Series(range(100), index=df.index)
    by, mapped = of(number)
    names = {key: f"Tier {tier} " for key, tier in mapped.items()}
    ids = {key: labels[tier] for key, tier in mapped.items()}
    df = df.assign(tier=np.where(number < 50, "a", "b"))
    chosen = {tier: labels[tier] for tier in "ab"}
    for given in (names, ids):
        check_rows(box, df, chosen, segmented(df, given, box, by=by))
    check_members(box, df, chosen)


def test_a_mask_takes_one_label(box, labels):
    """With a mask and one label, those outside are left alone; where it is exclusive, not."""
    df = tiered(box).iloc[:100]
    every = segmented(df, labels["a"], box, by=np.ones(100, dtype=bool))
    assert box.members(labels["a"]) == set(every.loc[every["status"] == "applied", "contact_id"])
    mask = df["tier"] == "b"
    segmented(df, labels["a"], box, by=mask, exclusive=True)
    check_members(box, df.assign(tier=np.where(mask, "a", None)), {"a": labels["a"]})
    nobody = segmented(df, labels["a"], box, by=mask & ~mask, exclusive=True)
    assert set(nobody["reason"]) == {"no_label"}
    assert box.members(labels["a"]) == set()


def test_labels_that_do_not_exist_are_made(box):
    """Values are names; create=True makes what is missing, and says so."""
    df = tiered(box).iloc[:50]
    team = box.labels["team_id"].iloc[0]
    with pytest.raises(kp.InvalidInputError, match="No label"):
        segmented(df, None, box, team_id=team)
    with pytest.warns(UserWarning, match="Labels that do not exist are made") as told:
        result = segmented(df, None, box, create=True, team_id=team)
    assert [one.filename for one in told] == ["<kirim_pandas>"]  # no path of the installation
    assert result["label"].tolist() == df["tier"].tolist()
    known = kp.labels(client=box.client()).set_index("name")["id"]
    check_members(box, df, {tier: known[tier] for tier in df["tier"].unique()})
    again = segmented(df, None, box, create=True, team_id=team)
    assert again["label_id"].tolist() == result["label_id"].tolist()


def test_two_values_of_one_label_are_one_segment(box, labels):
    """Two values may share a label, which is said; where it is exclusive, both keep it."""
    df = tiered(box).iloc[:100]
    with pytest.warns(UserWarning, match="Several values are mapped to one label"):
        segmented(df, {"a": labels["a"], "b": labels["a"]}, box, exclusive=True)
    check_members(box, df.replace({"tier": {"b": "a"}}), {"a": labels["a"]})


def test_labels_of_two_teams_are_said(box):
    """Labels of several teams may stand in one mapping, and it is said who cannot carry them."""
    df = tiered(box).iloc[:100]
    one = box.labels.drop_duplicates("team_id")["id"].tolist()
    kp.labels(client=(client := box.client()))
    with pytest.warns(UserWarning, match="belong to 2 teams"):
        result = segmented(df, {"a": one[0], "b": one[1]}, box, client=client)
    check_members(box, df, {"a": one[0], "b": one[1]})
    assert (result["status"] == "applied").any()


def test_a_contact_of_two_segments(box, labels):
    """Through two rows a contact may have two labels, or is refused where only one is right."""
    df = tiered(box).iloc[:50]
    twice = pd.concat([df.assign(tier="a"), df.iloc[:2].assign(tier="b")])
    before = len(box.requests())
    for options in ({"exclusive": True}, {"op": "detach"}):
        with pytest.raises(kp.InvalidInputError, match="2 contacts stand in several") as caught:
            segmented(
                twice,
                labels | {},
                box,
                by=twice["tier"].astype("category").cat.set_categories(TIERS),
                **options,
            )
        assert df["contact_id"].iloc[0] in str(caught.value)
    assert writes(box, before) == 0
    chosen = {tier: labels[tier] for tier in "ab"}
    result = segmented(twice, chosen, box)
    check_members(box, twice, chosen)
    assert result["label_id"].tolist() == twice["tier"].map(chosen).tolist()


@pytest.mark.parametrize(
    ("by", "mapped", "options", "told"),
    [
        ("tier", {"a": "x", "gold": "y"}, {}, "no row has 'gold'; the values are"),
        ("no such", {"a": "x"}, {}, "no column or index level has this name"),
        (pd.Series(["a"]), {"a": "x"}, {}, "the index of the Series"),
        (np.array(["a"]), {"a": "x"}, {}, "1 values were found"),
        ("maybe", "x", {}, "values of the mask are missing"),
        ("mask", None, {}, "a mask, which names no label"),
        ("tier", "x", {}, "expected a dictionary"),
        ("tier", ["x"], {}, "expected a dictionary"),
        ("tier", {"a": ["x", "y"]}, {}, "found a list, expected the name or id of one"),
        ("number", {1: "x", "1": "y"}, {}, "a value is mapped twice: 1"),
        ("contact_id", None, {}, "different values were found"),
        ("tier", {"a": "x"}, {"op": "set"}, "operation"),
        ("tier", {"a": "x"}, {"op": "detach", "exclusive": True}, "exclusive=True"),
        ("tier", {"a": "x"}, {"journal": 5}, "journal: found 5"),
        ("tier", {"a": "x"}, {"max_requests": 0}, "max_requests=0 was found"),
        ("tier", {"a": "x"}, {"exclusive": "no"}, "exclusive: found 'no'"),
        ("tier", {"a": "x"}, {"create": None}, "create: found"),
        ("tier", {"a": "x"}, {"resolve": "all"}, "resolve="),
        ("tier", {"a": "x" * 51}, {"create": True}, "a label has at most 50"),
        ("tier", pd.Series(["x", "y"], index=["a", "a"]), {}, "twice, expected one label"),
    ],
)
def test_bad_input_is_refused_before_anything_is_sent(box, by, mapped, options, told):
    """What does not fit is said in words, and nothing is sent or written down."""
    df = tiered(box).iloc[:100]
    df = df.assign(mask=True, maybe=pd.array([None] + [True] * 99, "boolean"), number=range(100))
    before = len(box.requests())
    with pytest.raises(kp.InvalidInputError, match=told):
        segmented(df, mapped, box, by=by, **options)
    assert len(box.requests()) == before
    assert kp.runs().empty


@pytest.mark.parametrize("column", ["name", "phone_number", "email"])
def test_no_message_names_customers(box, label, column):
    """A column whose values are people is taken for segments by mistake: none of them is shown."""
    df = box.contacts.dropna(subset=column).head(20)
    page = df.kirim.panel(client=box.client()).segments
    page.choose_column(column)
    made = dict.fromkeys(df[column])
    for ask in (
        lambda: segmented(df, {"gold": label}, box, by=df[column]),
        lambda: segmented(df, made, box, by=column),
        lambda: page.choose_label("gold", label),
    ):
        with pytest.raises(kp.InvalidInputError) as caught:
            ask()
        assert not any(value in str(caught.value) for value in made)
    with pytest.raises(kp.InvalidInputError, match="value= is a Series"):
        page.choose_label(df[column], label)


def test_nothing_to_send_needs_no_key():
    """A frame of which no row is to carry a label has its rows, and nobody is asked for a key."""
    df = kp.sandbox.sample_contacts(5, seed=1).assign(tier=None)
    with pytest.warns(UserWarning, match="No row has a contact to label: nothing was sent"):
        result = df.kirim.label_segments("tier", {}, progress=False)
    assert result["reason"].tolist() == ["no_label"] * 5
    with pytest.warns(UserWarning, match="The segment is empty: nothing was sent"):
        assert df.iloc[:0].kirim.label_segments("tier", progress=print).empty


def test_a_bar_says_that_nothing_was_sent(box, labels, capsys):
    """Where there is nothing to send, or nothing any more, a line says so instead of a warning."""
    df = kp.sandbox.sample_contacts(5, seed=1).assign(tier=None)
    df.kirim.label_segments("tier", {})
    assert "Label nobody: finished. 5 not sent. Nothing was sent." in capsys.readouterr().out
    result = df.assign(tier="a").kirim.label_segments(
        "tier", {"a": next(iter(labels.values()))}, client=box.client(), progress=False
    )
    kp.resume(result.attrs["kirim_run_id"], client=box.client())
    told = capsys.readouterr().out
    assert "to 5 contacts: finished." in told
    assert "Nothing was sent." in told


def test_contacts_are_looked_up_by_phone(box, labels):
    """With phone= the segments are those of the contacts that have the numbers."""
    df = tiered(box).iloc[:60].reset_index(drop=True)
    people = df.drop(columns="contact_id")
    people.loc[0, "phone_number"] = None
    result = segmented(people, labels, box, phone="phone_number", exclusive=True)
    assert result["status"].iloc[0] == "not_sent"
    found = result["contact_id"].notna()
    assert found.sum() > 40
    check_rows(box, df[found], labels, result[found])
    check_members(box, df[found], labels)
    assert result.loc[~found, "reason"].isin(["missing_id", "not_found"]).all()


def test_a_plan_of_segments_is_what_the_call_does(box, labels):
    """The runs of a plan, their contacts and least requests are those of the call."""
    df, before = tiered(box).iloc[:100], len(box.requests())
    options = {"exclusive": True, "client": box.client()}
    plan = df.kirim.plan_segments("tier", labels, **options)
    assert writes(box, before) == 0
    assert kp.runs().empty
    segmented(df, labels, box, **options)
    runs = kp.runs(split_series=True)[::-1]
    assert plan.labels["label_id"].tolist() == runs["label_id"].tolist()
    assert plan.labels["operation"].tolist() == runs["operation"].tolist()
    assert plan.labels["contacts"].tolist() == runs["rows"].tolist()
    least, most = plan.table["requests"].min(), plan.table["requests"].max()
    assert least == plan.batches == plan.labels["requests"].sum() == 10
    assert least <= runs["requests"].sum() <= most
    assert plan.customers == {label_id: (df["tier"] == t).sum() for t, label_id in labels.items()}


def test_a_plan_says_what_may_not_be_expected(box):
    """Labels to be made, values of one label, contacts of two segments and of none: all is told."""
    df = tiered(box).iloc[:50]
    df = pd.concat([df.assign(tier="a"), df.iloc[:2].assign(tier="b")])
    df["tier"] = pd.Categorical(df["tier"].where(np.arange(52) != 9), ["a", "b", "c", "d"])
    before = len(box.labels)
    plan = df.kirim.plan_segments(
        "tier",
        {"a": "New", "b": "Newer", "c": "Newer", "d": "Newest"},
        create=True,
        team_id=box.labels["team_id"].iloc[0],
        client=box.client(),
        max_requests=5,
    )
    assert len(box.labels) == before
    assert plan.new == ("New", "Newer", "Newest")
    assert plan.customers == {"New": 49, "Newer": 2}
    assert plan.labels["label_id"].isna().all()
    assert plan.table["requests"].max() == 5
    for text in (
        "New (to be made)",
        "Several values are mapped to one label: Newer.",
        "Labels that do not exist are made: New, Newer, Newest.",
        "through several rows: 2; they",
        "Labels for no row: Newest.",
        "Contacts in no segment: 1.",
        "2 rows of a contact that an earlier row has",
        "5 requests at most",
    ):
        assert text in repr(plan)
        assert text in plan._repr_html_()
    nothing = df.iloc[:0].kirim.plan_segments("tier", {})
    assert repr(nothing).endswith("Nothing would be sent.")


def test_labels_of_two_teams_are_told_in_the_plan(box):
    """Given by their ids, labels are read once, so that the plan can tell of their teams."""
    df = tiered(box).iloc[:100]
    one = box.labels.drop_duplicates("team_id")["id"].tolist()
    plan = df.kirim.plan_segments("tier", {"a": one[0], "b": one[1]}, client=box.client())
    assert "The labels belong to 2 teams" in repr(plan)
    assert plan.labels["label"].tolist() == ["VIP", "VIP"]  # each team has one of that name


def odd_rows(box, labels):
    """Rows of every kind: labels, none, duplicates, unusable ids, and an index of names."""
    df = tiered(box).iloc[:120].reset_index(drop=True)
    df.loc[0, "tier"] = None
    df.loc[1, "contact_id"] = None
    df.loc[2, "contact_id"] = "bad"
    df.loc[3, "tier"] = "e"  # has no label
    df = pd.concat([df, df.iloc[10:20]]).set_index("name")
    return df, {tier: labels[tier] for tier in "abcd"}


@pytest.mark.parametrize("options", [{}, {"exclusive": True}, {"op": "detach"}], ids=str)
def test_the_same_frame_gives_the_same_result(box, labels, options):
    """What goes on with a series, or looks back at it, gives the very frame that the call gave."""
    df, chosen = odd_rows(box, labels)
    result = segmented(df, chosen, box, **options)
    series = result.attrs["kirim_run_id"]
    again = df.kirim.resume(series, client=box.client(), progress=False)
    pd.testing.assert_frame_equal(again, result)
    job = df.kirim.resume_job(series, client=box.client())
    pd.testing.assert_frame_equal(job.result(), result)
    turned = df.iloc[::-1]
    again = turned.kirim.resume(series, client=box.client(), progress=False)
    pd.testing.assert_frame_equal(again, result.iloc[::-1])
    known = kp.result(series)
    told = result[result["operation"].notna()].drop_duplicates(["contact_id", "label_id"])
    order = known.set_index(["contact_id", "label_id"]).index
    told = told.set_index(["contact_id", "label_id"]).loc[order].reset_index()
    pd.testing.assert_frame_equal(known, told[known.columns])
    both = kp.result(series, every_run=True)
    assert len(both) == len(known) + both["operation"].ne(known["operation"].iloc[0]).sum()
    for other in (df.iloc[1:], df.drop(index=df.index[0]), df.drop(index=df.index[4])):
        if len(other) < len(df) - 1 or set(other["contact_id"]) != set(df["contact_id"]):
            with pytest.raises(kp.InvalidInputError, match="other contacts than the call"):
                other.kirim.resume(series, client=box.client())


def test_rows_of_several_labels_are_told_in_their_order_alone(box, labels):
    """Where a contact has rows of two labels, its result is given for the rows in their order."""
    df = tiered(box).iloc[:50]
    twice = pd.concat([df.assign(tier="a"), df.iloc[:2].assign(tier="b"), df.assign(tier=None)])
    result = segmented(twice, {tier: labels[tier] for tier in "ab"}, box, max_requests=1)
    series = result.attrs["kirim_run_id"]
    with pytest.raises(kp.InvalidInputError, match="in another order than in the call"):
        twice.iloc[::-1].kirim.resume(series, client=box.client())
    whole = twice.kirim.resume(series, client=box.client(), progress=False)
    assert whole["label_id"].tolist() == [labels["a"]] * 50 + [labels["b"]] * 2 + [pd.NA] * 50
    assert whole.index.equals(twice.index)
    pd.testing.assert_frame_equal(segmented(twice, {t: labels[t] for t in "ab"}, box), whole)


def test_labels_that_were_made_are_found_again(box):
    """A label that was made on the way stands by its id in what is gone on with."""
    df = tiered(box).iloc[:50]
    twice = pd.concat([df.assign(tier="a"), df.iloc[:2].assign(tier="b")])
    options = {"create": True, "team_id": box.labels["team_id"].iloc[0]}
    with pytest.warns(UserWarning, match="Labels that do not exist are made"):
        result = segmented(twice, None, box, **options)
    again = twice.kirim.resume(result.attrs["kirim_run_id"], client=box.client(), progress=False)
    pd.testing.assert_frame_equal(again, result)


def test_a_series_is_one_line_of_the_history(box, labels):
    """A series has one row among the runs, with what its rows were told; its runs can be listed."""
    df = tiered(box).iloc[:100]
    one = df.kirim.bulk_label(labels["a"], "attach", client=box.client(), progress=False)
    result = segmented(df, labels, box, exclusive=True, max_requests=3)
    series = result.attrs["kirim_run_id"]
    listed = kp.runs()
    assert listed["run_id"].tolist() == [series, one.attrs["kirim_run_id"]]
    line, split = listed.iloc[0], kp.runs(split_series=True)
    assert split.dtypes.equals(listed.dtypes)
    assert line[["state", "operation", "rows"]].tolist() == ["capped", "attach, detach", 100]
    assert line["label"] == ", ".join(labels.values())
    assert line["requests"] == split["requests"].iloc[:10].sum()
    assert len(split) == 11
    told = result["status"].value_counts()
    assert {name: line[name] for name in told.index} == told.to_dict()
    with pytest.raises(kp.InvalidInputError, match="split_series: found 'no'"):
        kp.runs(split_series="no")
    kp.resume(series, client=box.client(), progress=False)
    with pytest.warns(UserWarning, match="Undoing the series"):
        back = kp.undo(series, client=box.client(), progress=False)
    line = kp.runs().iloc[0]
    assert line[["run_id", "undoes"]].tolist() == [back.attrs["kirim_run_id"], series]
    kp.forget(series)
    assert series not in set(kp.runs()["run_id"])


def test_a_report_on_segments(box, labels, monkeypatch):
    """The report of another process has the facts of the series, and can split by reason."""
    df = tiered(box).iloc[:200].assign(city="Bogor")
    result = segmented(df, {tier: labels[tier] for tier in "ab"}, box)
    for _ in range(2):  # the runs of a series do not drive others out of what is remembered
        segmented(df.iloc[:20], labels, box, exclusive=True)
    here = result.kirim.report("city", split="reason")
    monkeypatch.setattr(kp.session, "_recent", {})
    away = result.kirim.report("city", split="reason", data=df)
    assert away.fragment == here.fragment
    assert "not known here" not in away.fragment
    assert away.title == f"Labels {labels['a']}, {labels['b']} attached to contacts"
    for reason in ("applied", "skipped: team_mismatch"):
        assert f">{reason}</text>" in away.fragment
    assert ">not_sent: no_label</text>" not in away.fragment  # they were not meant
    assert 'aria-label="Share of customers by reason, by city"' in away.fragment
    with pytest.raises(kp.InvalidInputError, match="'status' or 'reason'"):
        result.kirim.report(split="city")
    with pytest.raises(kp.InvalidInputError, match="tells several label_id, label"):
        kp.compare(result, result.attrs["kirim_run_id"])
    one = result[result["label_id"] == labels["a"]]
    assert kp.compare(one, one).empty


@pytest.fixture(scope="module")
def shop():
    """Forty contacts of one team's labels A and B, for plans alone."""
    with kp.sandbox.start(contacts=40, seed=1, write_per_minute=60_000) as sandbox:
        team, client = sandbox.labels["team_id"].iloc[0], sandbox.client()
        for name in "AB":
            kp.create_label(name, team_id=team, client=client)
        yield sandbox, team, client


def planned(shop, by, mapped, **options):
    """How many customers a plan would give each label, and what it notes."""
    sandbox, _team, client = shop
    by = np.resize(np.array(by, dtype=object), 40).tolist() if isinstance(by, list) else by
    plan = sandbox.contacts.kirim.plan_segments(by, mapped, client=client, **options)
    return dict(zip(plan.labels["label"], plan.labels["contacts"], strict=True)), plan.notes


HALVES = {"A": 20, "B": 20}
AGES = pd.Series(pd.cut(range(40), [-1, 19, 39]))


@pytest.mark.parametrize(
    ("by", "mapped", "customers"),
    [
        ([1, 2], {"1": "A", "2": "B"}, HALVES),
        (["1", "2"], {1: "A", 2: "B"}, HALVES),
        ([True, False], {"True": "A", "False": "B"}, HALVES),
        (["True", "False"], {True: "A", False: "B"}, HALVES),
        ([True, False], {1: "A", 0: "B"}, HALVES),
        ([1.0, 2.0], {1: "A", 2: "B"}, HALVES),
        ([1, "1"], {1: "A"}, {"A": 20}),
        ([1, "1"], {"1": "A"}, {"A": 20}),
        (["x", "y"], {"x": "A", "y": " b "}, HALVES),
        (AGES, {"(-1, 19]": "A", "(19, 39]": "B"}, HALVES),
        (
            AGES.cat.reorder_categories(AGES.cat.categories[::-1], ordered=True),
            {"(-1, 19]": "A", "(19, 39]": "B"},
            HALVES,
        ),
        (AGES.astype(object), {pd.Interval(-1, 19): "A"}, {"A": 20}),
        ("team", {}, {}),
    ],
)
def test_values_are_found_as_they_are_written(shop, by, mapped, customers):
    """Numbers and booleans are found as texts and the reverse; an interval in whatever order."""
    if isinstance(by, pd.Series):
        by = by.set_axis(shop[0].contacts.index)
    assert planned(shop, by, mapped)[0] == customers


@pytest.mark.parametrize("mapped", [{"x": "A", "y": " a "}, {"x": "A", "y": "A"}])
def test_one_label_in_two_spellings_is_said(shop, mapped):
    """Two values of one label are said, also where it is written in two ways, or is to be made."""
    customers, notes = planned(shop, ["x", "y"], mapped)
    assert customers == {"A": 40}
    assert notes == ("Several values are mapped to one label: A.",)
    mapped = {
        value: label.replace("A", "New").replace("a", "nEW") for value, label in mapped.items()
    }
    customers, notes = planned(shop, ["x", "y"], mapped, create=True, team_id=shop[1])
    assert customers == {"New": 40}
    assert notes[1] == "Labels that do not exist are made: New."


@pytest.mark.parametrize(
    ("by", "mapped", "options", "told"),
    [
        *(
            (["x", None], {"x": "A", key: "B"}, {}, "'B' is given to missing values")
            for key in (None, np.nan, pd.NA, pd.NaT)
        ),
        ([None], {"x": "A"}, {"exclusive": True}, "no row has 'x'; the values are none"),
        (["1"], {2: "A"}, {}, "no row has '2'; the values are '1'"),
        (["x", "y"], {"x": "lbl_short", "y": "A"}, {}, "label id: found 'lbl_short'"),
        (["x", "y"], {"x": "Nope", "y": "Nil"}, {}, "called 'Nope'[^\n]*\n[^\n]*called 'Nil'"),
        (["x", "y"], {"x": "Nope", "y": "A"}, {"create": True}, "Say with team_id= which team"),
        (["x", "y"], {"x": "VIP", "y": "A"}, {"create": True}, "3 labels are called 'VIP'"),
        (AGES, {"(-1, 18]": "A"}, {}, r"no row has '\(-1, 18\]'; the values are '\(-1, 19\]'"),
    ],
)
def test_what_is_no_value_or_no_label_is_said(shop, by, mapped, options, told):
    """A key or a label that does not fit is refused with what there is, and all at once."""
    if isinstance(by, pd.Series):
        by = by.set_axis(shop[0].contacts.index)
    with pytest.raises(kp.InvalidInputError, match=told):
        planned(shop, by, mapped, **options)


def test_a_team_without_labels_is_doubted(shop):
    """A label would be made for a team that no label belongs to: the plan says so."""
    _, notes = planned(shop, ["x"], {"x": "A"}, create=True, team_id="team_typo")
    assert "None of the labels there are belongs to team 'team_typo'." in notes


def test_no_rows_are_no_mistake():
    """A frame without rows has its result, whatever is mapped, and nobody is asked for a key."""
    df = kp.sandbox.sample_contacts(5, seed=1).assign(tier="gold").iloc[:0]
    with pytest.warns(UserWarning, match="The segment is empty"):
        assert df.kirim.label_segments("tier", {"gold": "A"}, exclusive=True, progress=False).empty


@pytest.mark.parametrize("create", [False, True])
@pytest.mark.parametrize("rows", [3, 20])
def test_names_of_customers_are_no_labels(box, create, rows):
    """A column of persons is refused as names of labels; none of them is shown or becomes one."""
    df, before = box.contacts.drop_duplicates("name").head(rows), len(box.labels)
    with pytest.raises(kp.InvalidInputError, match="stand in one row alone") as told:
        df.kirim.label_segments("name", create=create, client=box.client(), progress=False)
    assert not [name for name in df["name"] if name in str(told.value)]
    assert len(box.labels) == before
