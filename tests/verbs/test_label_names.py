"""A label is taken by its id or by the name of exactly one label; nothing is guessed."""

import pytest

import kirim_pandas as kp


@pytest.fixture
def box():
    with kp.sandbox.start(contacts=40, seed=1, write_per_minute=60_000) as sandbox:
        yield sandbox


@pytest.fixture
def unique(box):
    """A label whose name no other team has."""
    labels = box.labels
    return labels[~labels["name"].str.casefold().duplicated(keep=False)].iloc[0]


@pytest.fixture
def shared(box):
    """Labels of several teams with one name."""
    labels = box.labels
    return labels[labels["name"].duplicated(keep=False)].sort_values("name").iloc[:2]


def reads(box):
    return int((box.requests()["path"].str.endswith("/labels")).sum())


@pytest.mark.parametrize("spell", [str, str.upper, lambda name: f"  {name.lower()}\t"])
def test_a_name_is_the_label(box, unique, spell):
    """A name labels the same contacts as its id, whatever its case and outer white space."""
    client = box.client()
    result = box.contacts.kirim.bulk_label(
        spell(unique["name"]), "attach", client=client, progress=False
    )
    applied = result.loc[result["status"] == "applied", "contact_id"]
    assert set(applied) == box.members(unique["id"])
    run = kp.runs().iloc[0]
    assert (run["label"], run["label_id"]) == (unique["name"], unique["id"])


def test_one_read_serves_the_session(box, unique):
    """Labels are read once for a client, and again only where a name fits none of them."""
    client = box.client()
    for _ in range(3):
        plan = box.contacts.kirim.plan(unique["name"], "attach", client=client)
    assert reads(box) == 1
    assert (plan.label_id, plan.label_name) == (unique["id"], unique["name"])
    assert unique["name"] in repr(plan)
    with pytest.raises(kp.InvalidInputError):
        box.contacts.kirim.plan("no such label", "attach", client=client)
    assert reads(box) == 2


def test_an_id_costs_no_read(box, unique):
    """An id is taken as it is; its name is shown where it is known without asking."""
    client = box.client()
    assert box.contacts.kirim.plan(unique["id"], "attach", client=client).label_name is None
    assert reads(box) == 0
    kp.labels(client=client)
    plan = box.contacts.kirim.plan(unique["id"], "attach", client=client)
    assert plan.label_name == unique["name"]
    assert reads(box) == 1


def test_a_misspelt_name_lists_the_nearest(box, unique):
    """A name that fits no label names the nearest with their ids; nothing is written."""
    wrong = f"{unique['name']}x"
    with pytest.raises(kp.InvalidInputError, match=unique["id"]) as caught:
        box.contacts.kirim.bulk_label(wrong, "attach", client=box.client(), progress=False)
    assert "nearest" in str(caught.value)
    assert not (box.requests()["method"] == "POST").any()


def test_several_teams_are_listed_and_team_id_chooses(box, shared):
    """A name that several teams have is an error that lists them; team_id= chooses one."""
    client, name = box.client(), shared["name"].iloc[0]
    listed = kp.labels(client=client).set_index("id").loc[shared["id"]]
    with pytest.raises(kp.InvalidInputError, match="team_id=") as caught:
        box.contacts.kirim.plan(name, "attach", client=client)
    for label_id, team in listed["team_id"].items():
        assert label_id in str(caught.value)
        plan = box.contacts.kirim.plan(name, "attach", team_id=team, client=client)
        assert plan.label_id == label_id
    with pytest.raises(kp.InvalidInputError, match="Labels of that name"):
        box.contacts.kirim.plan(name, "attach", team_id="none of them", client=client)


@pytest.mark.parametrize("label", ["", "  ", None, 7, "lbl_short", "lbl_" + "o" * 26])
def test_what_is_neither_name_nor_id(box, label):
    """An id that cannot be one, and no text at all, are refused without a read."""
    with pytest.raises(kp.InvalidInputError, match="label id: found"):
        box.contacts.kirim.plan(label, "attach", client=box.client())
    assert box.requests().empty


def test_a_bad_frame_is_told_before_the_service_is_asked(box):
    """What is wrong with the frame or an argument costs no read for the label's name."""
    with pytest.raises(kp.InvalidInputError, match="operation"):
        box.contacts.kirim.plan("VIP", "set", client=box.client())
    with pytest.raises(kp.InvalidInputError, match="team_id"):
        box.contacts.kirim.plan("VIP", "attach", team_id=3, client=box.client())
    assert box.requests().empty
    with pytest.warns(UserWarning, match="The segment is empty"):
        empty = box.contacts.iloc[:0].kirim.bulk_label("VIP", "attach", progress=False)
    assert empty.empty


def test_the_name_is_shown_and_kept(box, unique):
    """A job, a report and a resume of a run know the label's name."""
    client = box.client()
    job = box.contacts.kirim.bulk_label_job(unique["name"], "attach", client=client)
    result = job.result()
    assert unique["name"] in repr(job)
    assert unique["name"] in result.kirim.report().title
    again = kp.resume(job.run_id, client=client, progress=False)
    assert unique["name"] in again.kirim.report().title
