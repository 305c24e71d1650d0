"""The panel's page of segments without a front end, and its list of who is not applied."""

import time

import pandas as pd
import pytest

import kirim_pandas as kp
from kirim_pandas.frames.columns import segment_columns, values_in
from kirim_pandas.notebook.panel_view import PanelWidgets


@pytest.fixture
def box():
    contacts = kp.sandbox.sample_contacts(600, seed=6).assign(organization="own")
    with kp.sandbox.start(contacts, seed=6, write_per_minute=60_000) as box:
        yield box


@pytest.fixture
def labels(box):
    """Three labels of one team, named after the tiers."""
    client, team_id = box.client(), box.labels["team_id"].iloc[0]
    return {
        name: kp.create_label(name, team_id=team_id, client=client)
        for name in ("bronze", "silver", "gold")
    }


@pytest.fixture
def frame(box):
    """200 customers a tier, the last without one."""
    tiers = pd.Categorical(["gold", "silver", "bronze"] * 200, ["bronze", "silver", "gold"])
    df = box.contacts.assign(tier=tiers)
    df.loc[df.index[-1], "tier"] = None
    return df


@pytest.fixture
def panel(box, frame, labels):
    with box.client() as client:
        panel = frame.kirim.panel(client=client)
        panel.load_labels()
        yield panel


def test_from_column_to_report(box, frame, labels, panel):
    """A column, labels of the same names, the number of customers of each, one run, a report."""
    page = panel.segments
    page.choose_column("tier")
    assert page.values.to_numpy().tolist() == [
        ["bronze", 199, "bronze"],
        ["silver", 200, "silver"],
        ["gold", 200, "gold"],
    ]
    assert page.without_value == 1
    page.choose_exclusive(True)
    before = len(box.requests().query("method == 'POST'"))
    told = page.confirm()
    assert told == (
        "attach bronze to 199 customers, silver to 200 customers and gold to 200 customers of "
        "Sandbox, and take each off the others"
    )
    assert len(box.requests().query("method == 'POST'")) == before
    job = page.run()
    assert job is page.job
    assert panel.job is None
    assert "Attaching 3 labels to 599 contacts and detaching each from the others" in repr(job)
    result = page.result()
    assert result.index.equals(frame.index)
    for tier, label_id in labels.items():
        applied = (result["status"] == "applied") & (frame["tier"] == tier)
        assert box.members(label_id) == set(result.loc[applied, "contact_id"])
    assert "By tier" in page.report().fragment
    with pytest.raises(kp.InvalidInputError, match="Not confirmed"):
        page.run()


def test_what_is_changed_must_be_confirmed_again(labels, panel):
    """A confirmation is of one choice of labels; both pages share where the contacts are."""
    page = panel.segments
    page.choose_column("tier")
    page.confirm()
    page.choose_label("silver", "gold")
    assert not page.confirmed
    assert page.plan().customers == {labels["bronze"]: 199, labels["gold"]: 400}
    assert "Several values are mapped to one label" in repr(page.plan())
    page.choose_label("silver", "Price list")
    assert "The labels belong to 2 teams" in page.plan()._repr_html_()
    page.confirm()
    page.choose_label("silver", None)
    assert "silver" not in page.confirm()
    panel.choose_phone_column("phone_number")
    assert page.chosen.phone == "phone_number"
    assert not page.confirmed


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (lambda page: page.choose_column("contact_id"), "of few values; found: 'team'"),
        (
            lambda page: page.choose_label("gold", "gold"),
            "no value of the column; the values are none",
        ),
        (lambda page: page.choose_exclusive("yes"), "expected True or False"),
        (lambda page: page.plan(), "a column of segments and a label for at least one value"),
        (lambda page: page.save_list(), "Nothing was run"),
    ],
)
def test_mistakes_are_named(panel, act, message):
    """Every mistake is an InvalidInputError that says what to do."""
    with pytest.raises(kp.InvalidInputError, match=message):
        act(panel.segments)


def test_labels_of_one_name_are_not_guessed(box, panel):
    """A value called as labels of several teams gets none by itself; a question names the team."""
    df = box.contacts.assign(kind=["VIP", "none"] * 300)
    page = df.kirim.panel(client=box.client()).segments
    page.known.load()
    page.choose_column("kind")
    assert page.values["label"].isna().all()
    vip = next(label for label in page.known.all if label.name == "VIP")
    page.choose_label("VIP", vip.id)
    assert page.confirm() == (f"attach VIP (team …{vip.team_id[-4:]}) to 300 customers of Sandbox")


def test_any_kind_of_value_can_be_a_segment(box, labels):
    """Booleans, numbers and intervals are chosen as they are, or as they are written."""
    spent = pd.Series(range(600), index=box.contacts.index)
    df = box.contacts.assign(
        buys=spent > 99, year=spent % 3 + 2023, spent=pd.cut(spent, [-1, 99, 599])
    )
    page = df.kirim.panel(client=box.client()).segments
    for column, value, number in (
        ("buys", False, 100),
        ("year", 2024, 200),
        ("spent", "(-1, 99]", 100),
    ):
        page.choose_column(column)
        page.choose_label(value, "gold")
        assert page.plan().customers == {labels["gold"]: number}


def test_columns_of_segments():
    """Columns of at most 50 values; a category of no row is a value, a missing value is none."""
    frame = pd.DataFrame(
        {
            "tier": pd.Categorical(["b", None] * 50, ["a", "b"]),
            "mixed": [1, "x"] * 50,
            "name": [f"n{i}" for i in range(100)],
            "lists": [[1]] * 100,
            "empty": [None] * 100,
        }
    )
    assert segment_columns(frame) == ["tier", "mixed"]
    assert values_in(frame, "tier").to_dict() == {"a": 0, "b": 50}
    assert values_in(frame, "mixed").to_dict() == {1: 50, "x": 50}


# -- the list of who is not applied ------------------------------------------------------------


@pytest.fixture
def ended(panel, frame):
    """The page of segments after a run in which one row had no label."""
    panel.segments.choose_column("tier")
    panel.segments.confirm()
    panel.segments.run()
    panel.segments.result()
    return panel.segments


def test_the_list_has_everybody_who_is_not_applied(ended, frame, tmp_path, monkeypatch):
    """A CSV file of all rows that were to be labeled and are not: own columns, why, what to do."""
    monkeypatch.chdir(tmp_path)
    path = ended.save_list()
    assert path.name == f"not-applied-{ended.job.run_id}.csv"
    saved = pd.read_csv(path, dtype=str)
    result = ended.result().iloc[:-1]  # the last row was to get no label
    assert saved["contact_id"].tolist() == (
        result.loc[result["status"] != "applied", "contact_id"].tolist()
    )
    assert saved.columns[-5:].tolist() == ["contact_id", "status", "reason", "why", "what_to_do"]
    missed = (result["status"] != "applied").to_numpy()
    assert saved["name"].tolist() == frame.iloc[:-1].loc[missed, "name"].tolist()
    assert ended.save_list() == path  # the list of the same run may be written again


def test_a_list_replaces_no_file_of_others(ended, tmp_path):
    """A file that is there is left as it is; a folder that is not there is named."""
    theirs = tmp_path / "customers.csv"
    theirs.write_text("mine")
    with pytest.raises(kp.InvalidInputError, match="is there already and is left"):
        ended.save_list(theirs)
    assert theirs.read_text() == "mine"
    with pytest.raises(kp.InvalidInputError, match="was not written"):
        ended.save_list(tmp_path / "no" / "such.csv")
    assert ended.save_list(tmp_path / "new.csv").exists()


# -- the widgets, without a browser ------------------------------------------------------------


@pytest.fixture
def view(panel):
    return PanelWidgets(panel).many


def test_widgets_follow_the_methods(labels, panel, view):
    """What a method picks, the widgets show; what a widget picks, the methods see."""
    page, picks = panel.segments, view.picks
    picks.column.value = "tier"
    assert page.chosen.column == "tier"
    assert [control.value for control in picks.labels] == list(labels.values())
    picks.labels[0].value = ""
    assert page.values["label"].tolist() == [pd.NA, "silver", "gold"]
    page.choose_label("bronze", "gold")
    assert picks.labels[0].value == labels["gold"]
    picks.exclusive.value = True
    assert page.chosen.exclusive
    picks.column.value = "city"
    assert len(picks.labels) == len(page.values)
    view.plan_button.click()
    assert "Choose a label for at least one value first" in view.attempts.told.value


def test_labels_that_are_loaded_later_are_offered(box, frame, labels):
    """Before the labels are known nothing is chosen; afterwards each value has its list of them."""
    panel = frame.kirim.panel(client=box.client())
    panel.known._service.labels, read = list, panel.known._service.labels
    view = PanelWidgets(panel)
    view.many.picks.column.value = "tier"
    assert [control.value for control in view.many.picks.labels] == ["", "", ""]
    panel.known._service.labels = read
    panel.load_labels()
    assert [control.value for control in view.many.picks.labels] == list(labels.values())


def test_clicks_lead_to_report_and_list(panel, view, tmp_path, monkeypatch):
    """Plan, yes, run, report; then the list is written where the kernel works."""
    monkeypatch.chdir(tmp_path)
    view.picks.column.value = "tier"
    view.plan_button.click()
    assert "Attach bronze to 199 customers, silver to 200" in view.question.value
    assert view.yes.description == "Yes, 599 customers"
    assert view.run.disabled
    view.yes.value = True
    view.run.click()
    panel.segments.result()
    for _ in range(500):
        if view._list.layout.display is None:
            break
        time.sleep(0.02)
    view.save.click()
    (path,) = tmp_path.glob("*.csv")
    rows = len(pd.read_csv(path))
    assert f"{rows:,} rows in <code>{path.name}</code>" in view.saved.value
