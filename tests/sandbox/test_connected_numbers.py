"""The sandbox's connected numbers, what contacts tell of themselves, and new labels."""

import pandas as pd
import pytest

import kirim_pandas as kp
from kirim_pandas.sandbox import Faults, Switches

READS = {"read_per_minute": 60_000, "write_per_minute": 60_000}


@pytest.fixture
def play():
    boxes = []

    def start(count=400, **settings):
        boxes.append(kp.sandbox.start(count, seed=9, **READS, **settings))
        return boxes[-1]

    yield start
    for box in boxes:
        box.close()


def listed(box, **settings):
    return kp.contacts(client=box.client(**settings), progress=False).set_index("contact_id")


def team_of_number(box, people):
    return people["account"].map(box.accounts.set_index("phone_number")["team"])


def test_a_contact_has_the_team_of_its_number(play):
    """Each contact is listed under the number of its team."""
    box = play()
    team = box.contacts.set_index("contact_id")["team"]
    told = team_of_number(box, listed(box))
    assert told.tolist() == team[told.index].tolist()


def test_a_share_of_contacts_can_be_listed_elsewhere(play):
    """With account_teams="most" one contact in ten is under another team's number."""
    box = play(switches=Switches(account_teams="most"))
    team = box.contacts.set_index("contact_id")["team"]
    told = team_of_number(box, listed(box))
    assert 0.05 < (told.array != team[told.index].array).mean() < 0.15


@pytest.mark.parametrize(("shown", "share"), [("always", 0.0), ("sometimes", 0.3), ("never", 1.0)])
def test_numbers_can_be_hidden(play, shown, share):
    """The switch decides how many contacts tell their number."""
    people = listed(play(switches=Switches(account_shown=shown)))
    assert people["account"].isna().mean() == pytest.approx(share, abs=0.05)


def test_a_path_with_a_number_shows_its_contacts_only(play):
    """A list under one number is that number's, and another's contact is not found there."""
    box = play()
    clients = {
        row.team: box.client(phone_number_id=row.phone_number_id)
        for row in box.accounts.itertuples()
    }
    team = box.contacts.set_index("contact_id")["team"]
    whole = set(listed(box).index)
    for name, client in clients.items():
        found = {contact.id for contact in client.contacts()}
        assert found == whole & set(team.index[team == name])


def test_contacts_differ_in_what_they_tell(play):
    """Dates differ and are in order, metadata is that of the frame, some have no e-mail."""
    box = play()
    people = listed(box)
    truth = box.contacts.set_index("contact_id").loc[people.index]
    assert people["created_at"].nunique() > 0.9 * len(people)
    assert (people["created_at"] <= people["updated_at"]).all()
    assert [held["city"] for held in people["metadata"]] == truth["city"].tolist()
    assert people["email"].isna().tolist() == truth["email"].isna().tolist()
    assert people["email"].dropna().is_unique


def test_events_can_fall_between_reads(play):
    """A contact can move between two pages of a list."""
    people = kp.sandbox.sample_contacts(250, seed=9, skipped_share=0.0)
    faults = Faults(on="reads", events={1: ("move_contact", 240, "Care")})
    with kp.sandbox.start(people, faults=faults, **READS) as box:
        told = team_of_number(box, listed(box))
        assert told[people["contact_id"][240]] == "Care"
        assert told[people["contact_id"][0]] == "Sales"


def test_a_new_label_can_be_attached(play):
    """A label that was made is listed, and a run puts it on its team's contacts."""
    box = play()
    client = box.client()
    made = kp.create_label("Ramadan", color="teal", team_id=box.team_id("Care"), client=client)
    row = kp.labels(client=client).set_index("id").loc[made]
    assert (row["name"], row["color"], row["team_id"]) == ("Ramadan", "teal", box.team_id("Care"))
    assert row["created_at"] > kp.labels(client=client)["created_at"].min()
    result = box.contacts.kirim.bulk_label("Ramadan", "attach", client=client, progress=False)
    assert set(result.loc[result["status"] == "applied", "contact_id"]) == box.members(made)
    assert box.members(made)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"name": "VIP", "team": "Sales"}, "label of this name"),
        ({"name": "New"}, "Pass team_id="),
        ({"name": "New", "team": "nobody"}, "Pass team_id="),
    ],
)
def test_a_label_that_cannot_be_is_refused(play, arguments, told):
    """A name taken in its team, a missing and an unknown team are refused, and nothing is made."""
    box = play(10)
    team = arguments.pop("team", None)
    team_id = "team_X" if team == "nobody" else team and box.team_id(team)
    before = box.labels
    with pytest.raises(kp.InvalidRequestError, match=told):
        kp.create_label(**arguments, team_id=team_id, client=box.client())
    pd.testing.assert_frame_equal(box.labels, before)


def test_a_name_may_be_taken_in_another_team(play):
    """Names are unique within a team only."""
    box = play(10)
    kp.create_label("Win-back", team_id=box.team_id("Care"), client=box.client())
    assert (box.labels["name"] == "Win-back").sum() == 2


def test_a_label_is_made_once_whatever_is_lost(play):
    """A reply that is lost after the label was made does not make it twice."""
    box = play(10, faults=Faults(script={0: "reset_after_commit"}))
    made = kp.create_label("New", team_id=box.team_id("Care"), client=box.client())
    assert box.labels.set_index("name").loc["New", "id"] == made
    assert box.requests()["replayed"].sum() == 1
