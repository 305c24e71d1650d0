"""Labels for people of whom only a phone number or an e-mail address is known."""

import numpy as np
import pandas as pd
import pytest

import kirim_pandas as kp

FAST = {"read_per_minute": 60_000, "write_per_minute": 60_000}
REASONS = ["not_found", "ambiguous", "malformed_phone", "missing_id"]


@pytest.fixture
def box():
    people = kp.sandbox.sample_contacts(300, seed=7)
    twins = people.index[(people["organization"] == "own") & (people["team"] == "Sales")][:2]
    people.loc[twins[1], ["phone_number", "email"]] = people.loc[twins[0], "phone_number"], "a@b.id"
    people.loc[twins[0], "email"] = "a@b.id"
    with kp.sandbox.start(people, **FAST) as sandbox:
        yield sandbox


@pytest.fixture
def frame(box):
    """People as an analyst has them: no ids, and four rows that cannot be labeled."""
    people = box.contacts.drop(columns=["contact_id", "organization"])
    people = people.rename(columns={"phone_number": "phone"})
    odd = pd.DataFrame({"phone": ["0812 3456 7890", "6.28E+12", None], "name": list("xyz")})
    return pd.concat([people, odd], ignore_index=True)


@pytest.fixture
def vip(box):
    return box.labels["id"].iloc[0]


def label(frame, vip, box, **options):
    settings = {"phone": "phone", "client": box.client(), "progress": False}
    return frame.kirim.bulk_label(vip, "attach", **(settings | options))


def test_every_row_is_labeled_or_told_why_not(frame, vip, box):
    """Rows found get the outcome of their contact; the others are not sent, each with a reason."""
    result = label(frame, vip, box)
    match = frame.kirim.match_contacts(phone="phone", client=box.client(), progress=False)
    assert result.index.equals(frame.index)
    found = (match["match"] == "found").to_numpy()
    assert result["contact_id"].equals(match["contact_id"])
    truth = box.outcome(vip)[match["contact_id"][found]].to_numpy()
    assert (result["status"][found].eq("applied").to_numpy() == (truth == "applied")).all()
    expected = (
        match["match"]
        .astype(str)
        .replace({"malformed": "malformed_phone", "missing": "missing_id"})
    )
    assert result["reason"][~found].tolist() == expected[~found].tolist()
    assert set(result["reason"][~found]) == set(REASONS)
    assert (result["status"][~found] == "not_sent").all()
    assert box.members(vip) == set(result.loc[result["status"] == "applied", "contact_id"])


def test_reports_and_names_go_with_it(frame, vip, box):
    """Who was not found is listed with the frame's own columns, and every reason is explained."""
    result = label(frame, vip, box)
    people = result.kirim.people(status="not_sent", columns=["name", "phone"])
    assert people["name"].tolist()[-3:] == list("xyz")
    assert people["why"].str.len().min() > 10
    assert people["why"].nunique() == people["what_to_do"].nunique() == len(REASONS)
    assert result.kirim.summary(by="city")["rows"].sum() == len(frame)
    unsent = (result["status"] == "not_sent").sum()
    assert f"{unsent} without a contact" in result.kirim.report().headline


def test_emails_do_as_well(frame, vip, box):
    """By e-mail: the same, with a reason of its own for what is no address."""
    frame = frame.assign(email=frame["email"].fillna("nobody"))
    result = label(frame, vip, box, phone=None, email="email")
    assert set(result["reason"].dropna()) >= {"malformed_email", "ambiguous"}
    assert box.members(vip) == set(result.loc[result["status"] == "applied", "contact_id"])
    assert box.members(vip)


def test_a_plan_tells_what_it_read_and_labels_nobody(frame, vip, box):
    """A plan looks up, says so, counts who was not found; the run then reads nothing again."""
    client = box.client()
    plan = frame.kirim.plan(vip, "attach", phone="phone", client=client)
    reads = len(box.requests())
    assert set(box.requests()["method"]) == {"GET"}
    assert plan.reads == reads
    assert f"{reads} read requests" in repr(plan)
    match = frame.kirim.match_contacts(phone="phone", client=client)["match"].value_counts()
    told = [plan.not_found, plan.ambiguous, plan.malformed, plan.missing]
    assert told == [match[word] for word in ("not_found", "ambiguous", "malformed", "missing")]
    assert plan.contacts + plan.duplicates == match["found"]
    assert "Looked up with 0 read requests" in repr(
        frame.kirim.plan(vip, "attach", phone="phone", client=client)
    )


def test_a_job_looks_up_too(frame, vip, box):
    """A job in the background gives the same frame."""
    job = frame.kirim.bulk_label_job(vip, "attach", phone="phone", client=box.client())
    pd.testing.assert_frame_equal(
        job.result(timeout_seconds=60)[["contact_id", "status", "reason"]],
        label(frame, vip, box)[["contact_id", "status", "reason"]],
    )


def test_a_stopped_run_goes_on(frame, vip, box):
    """The result of a run that was cut short resumes by its own ids; nobody is looked up again."""
    part = label(frame, vip, box, max_requests=1)
    whole = part.kirim.resume(
        part.attrs["kirim_run_id"], client=box.client(), progress=False, max_requests=None
    )
    applied = whole.loc[whole["status"] == "applied", "contact_id"]
    assert box.members(vip) == set(applied)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"phone": "telephone"}, "telephone"),
        ({"id_column": "name"}, "give one of them"),
        ({"email": "email"}, "both"),
        ({"phone": "name"}, "none of the"),
        ({"hint": "taem"}, "taem"),
        ({"progress": "loud"}, "progress"),
    ],
)
def test_what_cannot_be_meant_reads_nothing(frame, vip, box, options, words):
    """Wrong columns and arguments are named before anything is read."""
    with pytest.raises(kp.InvalidInputError, match=words):
        label(frame, vip, box, **options)
    assert len(box.requests()) == 0


def test_a_column_of_ids_is_refused(vip, box):
    """Contact ids where phone numbers are expected need no look-up, which is said."""
    with pytest.raises(kp.InvalidInputError, match="holds contact ids"):
        label(box.contacts, vip, box, phone="contact_id")


def test_nobody_to_look_up_needs_no_key():
    """A frame without a single number is a result in which nothing was sent."""
    frame = pd.DataFrame({"phone": [None, np.nan]})
    result = frame.kirim.bulk_label("VIP", "attach", phone="phone")
    assert result["reason"].tolist() == ["missing_id"] * 2


def test_an_ambiguous_name_tells_the_numbers_of_the_contacts(box):
    """Once the list was read, the message says how many of the contacts each number has."""
    client = box.client()
    with pytest.raises(kp.InvalidInputError, match=r"kirim_pandas\.contacts\(\) shows"):
        box.contacts.kirim.plan("VIP", "attach", client=client)
    people = kp.contacts(client=client, progress=False)
    with pytest.raises(kp.InvalidInputError) as caught:
        box.contacts.kirim.plan("VIP", "attach", client=client)
    for number, count in people["account"].value_counts().items():
        assert f"{number}: {count}" in str(caught.value)
    assert box.team_id("Care") in str(caught.value)


def test_the_afternoon(box, frame, monkeypatch, tmp_path):
    """A file of phones, a label's name, a segment, and who could not be labeled: ten lines."""
    frame.to_csv(tmp_path / "customers.csv", index=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KIRIM_API_KEY", box.api_key)
    monkeypatch.setenv("KIRIM_BASE_URL", box.base_url)
    sales = box.team_id("Sales")

    kp.connect()
    df = pd.read_csv("customers.csv", dtype={"phone": str})
    chosen = df[(df["city"] == "Jakarta") & (df["spend"] > 1_000_000)]
    result = chosen.kirim.bulk_label("VIP", "attach", phone="phone", team_id=sales)
    others = result.kirim.people(status=["skipped", "not_sent"], columns=["name", "phone"])
    others.to_csv("not_labeled.csv", index=False)

    vip = box.labels["id"].iloc[0]
    found = box.contacts.query("city == 'Jakarta' and spend > 1_000_000")["contact_id"]
    outcome = box.outcome(vip)[found]
    twins = box.contacts["phone_number"].duplicated(keep=False)
    known = set(outcome.index[outcome == "applied"]) - set(box.contacts["contact_id"][twins])
    assert box.members(vip) == known
    left = pd.read_csv("not_labeled.csv")
    assert len(left) == len(chosen) - len(known)
    assert left["why"].notna().all()


@pytest.mark.parametrize("by", ["bulk_label", "label_segments"])
def test_a_run_by_phone_goes_on_by_phone(frame, vip, box, by):
    """A resume that is told the column of phones gives the very frame that the call would have."""
    usual = {"client": box.client(), "phone": "phone", "progress": False}
    segments = {"x": vip}
    frame["segment"] = "x"
    call = {
        "bulk_label": lambda **more: frame.kirim.bulk_label(vip, "attach", **usual, **more),
        "label_segments": lambda **more: frame.kirim.label_segments(
            "segment", segments, **usual, **more
        ),
    }[by]
    part = call(max_requests=1)
    whole = frame.kirim.resume(part.attrs["kirim_run_id"], **usual)
    pd.testing.assert_frame_equal(whole[["contact_id", "status", "reason"]], call().iloc[:, :3])
    job = frame.kirim.resume_job(part.attrs["kirim_run_id"], phone="phone", client=box.client())
    assert job.result()["status"].tolist() == whole["status"].tolist()
    assert set(part["status"]) != set(whole["status"])
