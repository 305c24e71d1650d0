"""The panel without a front end: everything it does is a method first."""

import time

import pandas as pd
import pytest

import kirim_pandas as kp
from kirim_pandas.frames.columns import hint_columns, id_columns, phone_columns


@pytest.fixture(scope="module")
def box():
    contacts = kp.sandbox.sample_contacts(3000, seed=6).assign(organization="own")
    with kp.sandbox.start(contacts, seed=6, write_per_minute=60_000) as box:
        yield box


@pytest.fixture
def panel(box):
    with box.client() as client:
        yield box.contacts.kirim.panel(client=client)


def test_from_picking_to_report(box, panel):
    """Labels by name, a plan that sends nothing, a confirmation with the number, a report."""
    assert panel.chosen.id_column == "contact_id"
    panel.choose_label("Newsletter")
    panel.choose_operation("detach")
    panel.choose_hint("team")
    before = len(box.requests().query("method == 'POST'"))
    assert panel.plan().contacts == 3000
    assert panel.confirm() == "detach Newsletter from 3,000 customers of Sandbox"
    twins = [label for label in panel.known.all if label.name == "VIP"]
    panel.choose_label(twins[0].id)
    assert panel.confirm().startswith(f"detach VIP (team …{twins[0].team_id[-4:]}) from")
    panel.choose_label("Newsletter")
    panel.confirm()
    assert len(box.requests().query("method == 'POST'")) == before
    job = panel.run()
    assert job is panel.job
    assert len(panel.result()) == 3000
    assert panel.report().title == "Label Newsletter detached from contacts"
    assert "By team" in panel.report().fragment


def test_a_rehearsal_has_a_journal_of_its_own(box, monkeypatch, tmp_path):
    """What the panel does is written down where ``journal=`` says, wherever the cell is by then."""
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    panel = box.contacts.head(20).kirim.panel(client=box.client(), journal="own.sqlite")
    monkeypatch.chdir(tmp_path / "elsewhere")
    panel.choose_label("Newsletter")
    panel.confirm()
    panel.run()
    panel.result()
    segments = panel.segments
    segments.choose_column("team")
    segments.choose_label(box.contacts["team"].iloc[0], "Newsletter")
    segments.confirm()
    segments.run()
    segments.result()
    assert len(kp.runs(journal=tmp_path / "own.sqlite")) == 2
    assert kp.runs().empty
    with pytest.raises(kp.InvalidInputError, match="journal: found"):
        box.contacts.kirim.panel(journal="")


def test_nothing_runs_unconfirmed(box, panel):
    """A run needs a confirmation of exactly what is picked, and uses it up."""
    panel.choose_label("Newsletter")
    panel.choose_hint("team")
    with pytest.raises(kp.InvalidInputError, match="Not confirmed"):
        panel.run()
    panel.confirm()
    panel.choose_operation("detach")
    with pytest.raises(kp.InvalidInputError, match="Not confirmed"):
        panel.run()
    panel.confirm()
    panel.withdraw()
    assert not panel.confirmed
    panel.confirm()
    panel.run()
    panel.result()
    with pytest.raises(kp.InvalidInputError, match="Not confirmed"):
        panel.run()


def test_a_name_of_several_teams_is_not_guessed(box, panel):
    """A label name that several teams use is refused with their ids; the id is taken."""
    with pytest.raises(kp.InvalidInputError, match="3 labels are called 'VIP'"):
        panel.choose_label("VIP")
    label = box.labels["id"].iloc[0]
    panel.choose_label(label)
    assert panel.chosen.label.id == label


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (lambda panel: panel.choose_label("Nobody"), "No label"),
        (lambda panel: panel.choose_operation("paint"), "expected 'attach'"),
        (lambda panel: panel.choose_id_column("spend"), "no column or index level"),
        (lambda panel: panel.choose_id_column("name"), "none of its .* is a contact id"),
        (lambda panel: panel.plan(), "Choose a label"),
        (lambda panel: panel.result(), "Nothing was run"),
        (lambda panel: panel.report(), "Nothing was run"),
    ],
)
def test_mistakes_are_named(panel, act, message):
    """Every mistake is an InvalidInputError that says what to do."""
    with pytest.raises(kp.InvalidInputError, match=message):
        act(panel)


def test_contacts_can_be_looked_up_by_phone(box):
    """A column of phone numbers is offered; the plan tells its reads, the run labels the same."""
    frame = box.contacts.drop(columns="contact_id").head(200)
    with box.client() as client:
        panel = frame.kirim.panel(client=client)
        assert panel.phone_columns == ["phone_number"]
        assert panel.chosen.id_column is None
        panel.choose_label("Newsletter")
        with pytest.raises(kp.InvalidInputError, match="or of phone numbers"):
            panel.plan()
        with pytest.raises(kp.InvalidInputError, match="found: 'phone_number'"):
            panel.choose_phone_column("name")
        panel.choose_phone_column("phone_number")
        before = box.requests()
        plan = panel.plan()
        made = box.requests().iloc[len(before) :]
        assert set(made["method"]) == {"GET"}
        assert f"{len(made)} read requests" in repr(plan)
        assert panel.confirm().endswith("200 customers of Sandbox")
        panel.run()
        assert (panel.result()["contact_id"] == box.contacts["contact_id"].head(200)).all()
        panel.choose_phone_column("phone_number")
        assert "phone='phone_number'" in repr(panel)


def test_looking_up_is_a_choice_of_column(box):
    """The list of columns offers to look up by phone; choosing it and going back are shown."""
    from kirim_pandas.notebook.panel_view import PanelWidgets

    panel = box.contacts.head(20).kirim.panel(client=box.client())
    view = PanelWidgets(panel)
    offered = dict(view.id_column.options)
    choice = offered["look up by phone: phone_number"]
    view.id_column.value = choice
    assert (panel.chosen.phone, panel.chosen.id_column) == ("phone_number", None)
    assert view.id_column.value == choice
    view.id_column.value = "contact_id"
    assert (panel.chosen.phone, panel.chosen.id_column) == (None, "contact_id")


def test_columns_of_phone_numbers_are_found():
    """Phone numbers as text, or as numbers in a column that is called so; those named so first."""
    frame = pd.DataFrame(
        {
            "reached at": ["0812-3456-7890", "+62 812 3456 7891"],
            "No HP": [81234567890, 81234567891],
            "spend": [81234567890, 81234567891],
            "name": ["Ayu", "Bima"],
        }
    )
    assert phone_columns(frame) == ["No HP", "reached at"]


def test_never_asks_for_a_key(box, monkeypatch):
    """Without a key the panel says what to do, and no prompt opens."""
    monkeypatch.setattr("getpass.getpass", lambda *_: pytest.fail("asked for a key"))
    panel = box.contacts.kirim.panel()
    with pytest.raises(kp.ConfigurationError, match="connect"):
        panel.load_labels()


def test_columns_to_choose_from():
    """Columns of contact ids come first and are marked; hints have few values, but two."""
    contacts = kp.sandbox.sample_contacts(300, seed=1)
    found = id_columns(contacts)
    assert (found[0].label, found[0].likely) == ("contact_id", True)
    assert not any(choice.likely for choice in found[1:])
    hints = hint_columns(contacts.assign(one="x", lists=[[1]] * 300))
    assert "team" in hints
    assert not {"contact_id", "one", "lists"} & set(hints)
    level = contacts.set_index("contact_id")
    assert [choice.label for choice in id_columns(level) if choice.likely] == ["contact_id"]
    assert id_columns(pd.DataFrame({"a": [1.5]})) == []


# -- the widgets, without a browser ------------------------------------------------------------


@pytest.fixture
def view(panel, monkeypatch):
    """The panel's widgets; what would be published is kept."""
    from kirim_pandas.notebook.panel_page_view import StepsWidgets
    from kirim_pandas.notebook.panel_view import PanelWidgets

    kept = []
    monkeypatch.setattr(StepsWidgets, "_keep", lambda self, page, text: kept.append(page))
    view = PanelWidgets(panel)
    view.kept = kept
    return view


def test_widgets_follow_the_methods(panel, view):
    """What a method picks, the widgets show; what a widget picks, the methods see."""
    panel.choose_label("Newsletter")
    panel.choose_hint("team")
    assert view.one.picks.label.value == panel.chosen.label.id
    assert view.one.picks.hint.value == ("team",)
    view.one.picks.operation.value = "detach"
    assert panel.chosen.operation == "detach"
    view.one.picks.filter.value = "vip amber"
    assert len(view.one.picks.label.options) == 3
    assert panel.chosen.label.name == "Newsletter"


def test_errors_show_inside(panel, view):
    """A click that cannot be obeyed says why in the panel, and raises nothing."""
    view.one.plan_button.click()
    assert "Choose a label" in view.one.attempts.told.value
    panel.choose_label("Newsletter")
    view.one.plan_button.click()
    assert view.one.attempts.told.value == ""


def test_clicks_lead_to_the_report(panel, view):
    """Plan, yes, run: the report is published at the end, and a second run needs a new yes."""
    panel.choose_label("Newsletter")
    panel.choose_hint("team")
    view.one.plan_button.click()
    assert "3,000 customers" in view.one.question.value
    assert view.one.run.disabled
    view.one.yes.value = True
    assert not view.one.run.disabled
    view.one.run.click()
    panel.result()
    for _ in range(500):
        if len(view.kept) == 2:
            break
        time.sleep(0.02)
    assert panel.job.run_id in view.kept[0]
    assert "kirim-report" in view.kept[1]
    assert "kirim-report" in view.one.report.value
    assert not panel.confirmed


def test_values_are_escaped(box):
    """Names of labels and columns never become markup."""
    from kirim_pandas.api.models import Label
    from kirim_pandas.notebook.panel_controls import label_html
    from kirim_pandas.notebook.panel_view import PanelWidgets

    assert "<b>" not in label_html(Label("<b>", "<b>", "<b>", "<b>"))
    with box.client() as client:
        panel = box.contacts.rename(columns={"team": "<b>"}).kirim.panel(client=client)
        view = PanelWidgets(panel)
        panel.known.organization = "<b>Acme</b>"
        panel.choose_label("Newsletter")
        panel.choose_hint("<b>")
        panel.confirm()
        assert "<b>" not in view.head.value + view.one.question.value
