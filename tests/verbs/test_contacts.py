"""From phone numbers to contacts: the list, the look-ups, and what they cost."""

import io

import numpy as np
import pandas as pd
import pytest

import kirim_pandas as kp
from kirim_pandas.api import retry
from kirim_pandas.verbs.lookups.matching import MATCHES

READS = {"read_per_minute": 60_000, "write_per_minute": 60_000}


@pytest.fixture
def box():
    with kp.sandbox.start(contacts=950, seed=5, **READS) as sandbox:
        yield sandbox


def reads(box):
    log = box.requests()
    return int((log["method"] == "GET").sum())


def own(box):
    """The contacts that the organisation's list shows."""
    outcome = box.outcome(box.labels["id"].iloc[0])
    return box.contacts[(outcome != "cross_org").to_numpy()]


def test_the_list_is_the_truth(box):
    """Every contact of the organisation is listed once, with what the service tells of it."""
    frame = kp.contacts(client=box.client(), progress=False)
    truth = own(box)
    assert sorted(frame["contact_id"]) == sorted(truth["contact_id"])
    assert reads(box) == -(-len(truth) // 100)
    both = frame.merge(truth, on="contact_id")
    assert (both["phone_number_x"] == both["phone_number_y"]).all()
    assert (both["name_x"] == both["name_y"]).all()
    assert frame["created_at"].dt.tz is None  # as Excel takes it
    assert frame["account"].str.fullmatch(r"\+?[0-9]+").all()


def test_lists_fit_a_spreadsheet(box):
    """Every list is written to Excel as it is."""
    pytest.importorskip("openpyxl")
    client = box.client()
    box.contacts.kirim.bulk_label(box.labels["id"].iloc[0], "attach", client=client, progress=False)
    contacts = kp.contacts(client=client, progress=False)
    for frame in (contacts, kp.labels(client=client), kp.accounts(client=client), kp.runs()):
        frame.to_excel(io.BytesIO())


def test_a_list_survives_a_file(box, tmp_path):
    """Parquet keeps every dtype of the list."""
    frame = kp.contacts(client=box.client(), progress=False, metadata="columns")
    frame.to_parquet(tmp_path / "contacts.parquet")
    back = pd.read_parquet(tmp_path / "contacts.parquet")
    assert (back.dtypes == frame.dtypes).all()
    pd.testing.assert_frame_equal(back, frame)


def test_a_limit_reads_no_more_pages_than_it_needs(box):
    """A limit of 150 contacts costs two pages."""
    frame = kp.contacts(limit=150, client=box.client(), progress=False)
    assert len(frame) == 150
    assert reads(box) <= 3


def test_the_list_is_a_whole_programme(box):
    """What was listed can be labeled as it is."""
    label = box.labels["id"].iloc[0]
    people = kp.contacts(client=box.client(), progress=False)
    result = people.kirim.bulk_label(label, "attach", client=box.client(), progress=False)
    assert set(result.loc[result["status"] == "applied", "contact_id"]) == box.members(label)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"search": 3}, "expected text"),
        ({"limit": 0}, "whole number"),
        ({"limit": 2.5}, "whole number"),
        ({"metadata": "rows"}, "'dict' or 'columns'"),
        ({"search": "x" * 201}, "expected 1 to 200"),
    ],
)
def test_bad_arguments_send_nothing(box, arguments, words):
    """What is wrong with an argument is said before anything is read."""
    with pytest.raises(kp.InvalidInputError, match=words):
        kp.contacts(client=box.client(), progress=False, **arguments)
    assert reads(box) == 0


def spellings(numbers, seed=0):
    """Write each number in another way."""
    ways = [
        "{}".format,
        lambda n: n[1:],
        lambda n: f"0{n[3:]}",
        lambda n: f"0{n[3:7]}-{n[7:11]}-{n[11:]}",
        lambda n: f"({n[:3]}) {n[3:]}",
        lambda n: f" {n[:6]} {n[6:]}\u00a0",
    ]
    random = np.random.default_rng(seed)
    return [ways[random.integers(len(ways))](number) for number in numbers]


def test_rows_are_matched_whatever_the_spelling(box):
    """Each row of the organisation gets its contact, foreign and unknown numbers get none."""
    frame = box.contacts.sample(frac=1, random_state=1).set_index("city")
    frame["phone"] = spellings(frame["phone_number"])
    found = frame.kirim.match_contacts(phone="phone", client=box.client(), progress=False)
    assert found.index.equals(frame.index)
    assert found["match"].cat.categories.tolist() == list(MATCHES)
    is_own = frame["contact_id"].isin(own(box)["contact_id"]).to_numpy()
    assert (found["match"].to_numpy() == np.where(is_own, "found", "not_found")).all()
    assert (found["contact_id"].to_numpy()[is_own] == frame["contact_id"].to_numpy()[is_own]).all()
    assert found["contact_id"].isna().to_numpy()[~is_own].all()
    assert (found["phone_number"].to_numpy() == frame["phone_number"].to_numpy()).all()


@pytest.mark.parametrize("wanted", [1, 3, 9, 40, 800])
def test_never_more_than_twice_the_cheaper_way(box, wanted):
    """Few numbers are looked up singly, many from the list; changing over costs no more."""
    frame = own(box).head(wanted)
    found = frame.kirim.match_contacts(phone="phone_number", client=box.client(), progress=False)
    assert (found["match"] == "found").all()
    pages = -(-len(own(box)) // 100)
    assert reads(box) <= 2 * min(pages, len(frame))


@pytest.mark.parametrize("wanted", [1, 2, 9])
def test_where_paths_name_a_number_the_connected_numbers_are_read_once(wanted):
    """A look-up asks at each connected number; still never more than twice the cheaper way."""
    with kp.sandbox.start(contacts=6000, seed=5, **READS) as box:
        frame = own(box).head(wanted)
        client = box.client(phone_number_id=box.phone_number_id)
        found = frame.kirim.match_contacts(phone="phone_number", client=client, progress=False)
        assert found["contact_id"].tolist() == frame["contact_id"].tolist()
        assert reads(box) <= 1 + 2 * wanted * len(box.accounts)


def test_a_list_that_was_read_is_used_again(box):
    """Within its time a list is not read twice; with max_age=0 it is."""
    client = box.client()
    frame = own(box)
    kp.contacts(client=client, progress=False)
    before = reads(box)
    frame.kirim.match_contacts(phone="phone_number", client=client, progress=False)
    assert reads(box) == before
    frame.kirim.match_contacts(phone="phone_number", client=client, progress=False, max_age=0)
    assert reads(box) > before


def test_two_contacts_with_one_number_are_ambiguous():
    """A number that several contacts have is never guessed."""
    people = kp.sandbox.sample_contacts(30, seed=1, skipped_share=0.0)
    people.loc[1, "phone_number"] = people.loc[0, "phone_number"]
    with kp.sandbox.start(people, **READS) as box:
        for client in (box.client(), box.client()):  # from the list, and by a single look-up
            frame = people.head(1 if client else 3)
            found = frame.kirim.match_contacts(
                phone="phone_number", client=client, progress=False, max_age=0
            )
            assert found["match"].iloc[0] == "ambiguous"
            assert found["contact_id"].isna().iloc[0]


def test_rows_that_cannot_be_looked_up_keep_their_place(box):
    """Malformed and missing rows stand where they stood, and cost nothing."""
    number = own(box)["phone_number"].iloc[0]
    frame = pd.DataFrame({"phone": ["6.28123E+11", number, None, f"{number} / {number}", "  "]})
    found = frame.kirim.match_contacts(phone="phone", client=box.client(), progress=False)
    assert found["match"].tolist() == ["malformed", "found", "missing", "malformed", "missing"]
    assert reads(box) == 1 or reads(box) == 2


def test_a_series_of_numbers_is_matched(box):
    """A Series needs no name of a column."""
    numbers = own(box)["phone_number"].head(5)
    found = numbers.kirim.match_contacts(client=box.client(), progress=False)
    assert found.index.equals(numbers.index)
    assert (found["match"] == "found").all()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({}, "neither"),
        ({"phone": "phone_number", "email": "name"}, "both"),
        ({"phone": "telephone"}, "telephone"),
        ({"phone": "contact_id"}, "holds contact ids"),
        ({"phone": "name"}, "none of the"),
        ({"phone": "phone_number", "country": "Java"}, "ISO 3166"),
        ({"phone": "phone_number", "max_age": "long"}, "max_age"),
    ],
)
def test_a_question_that_cannot_be_meant_sends_nothing(box, arguments, words):
    """Wrong columns and arguments are named before anything is read."""
    with pytest.raises(kp.InvalidInputError, match=words):
        box.contacts.kirim.match_contacts(client=box.client(), progress=False, **arguments)
    assert reads(box) == 0


def test_nothing_to_look_up_needs_no_client():
    """A frame without numbers is matched without a key."""
    found = pd.DataFrame({"phone": [None, ""]}).kirim.match_contacts(phone="phone")
    assert found["match"].tolist() == ["missing", "missing"]


def test_connected_numbers_are_listed(box):
    """accounts() shows the numbers that the sandbox has connected, and not their teams."""
    frame = kp.accounts(client=box.client())
    shown = ["phone_number_id", "phone_number", "name"]
    assert frame[shown].to_numpy().tolist() == box.accounts[shown].to_numpy().tolist()
    assert len(frame) > 1


def test_where_paths_name_a_number_every_number_is_listed(box):
    """On hosts whose paths carry a number the list is the same, each number's contacts in turn."""
    there = kp.contacts(client=box.client(phone_number_id=box.phone_number_id), progress=False)
    plain = kp.contacts(client=box.client(), progress=False)
    pd.testing.assert_frame_equal(
        there.sort_values("contact_id", ignore_index=True),
        plain.sort_values("contact_id", ignore_index=True),
    )
    assert plain["account"].nunique() == len(box.accounts)


@pytest.mark.parametrize("numbered", [False, True])
def test_a_list_is_whole_in_spite_of_faults(numbered, monkeypatch):
    """Reads that fail are tried again, so the frame is the truth."""
    monkeypatch.setattr(retry, "FIRST_SECONDS", 0.01)
    script = {1: "error_503_before_commit", 3: "reset_in_reply", 4: "cut"}
    faults = kp.sandbox.Faults(script=script, on="reads")
    with kp.sandbox.start(contacts=600, seed=4, faults=faults, **READS) as box:
        number = {"phone_number_id": box.phone_number_id} if numbered else {}
        frame = kp.contacts(client=box.client(**number), progress=False)
        assert sorted(frame["contact_id"]) == sorted(own(box)["contact_id"])


def test_what_was_read_is_not_lost():
    """A list that fails in the middle gives what was read so far with the error."""
    faults = kp.sandbox.Faults(script={3: "error_403"}, on="reads")
    with (
        kp.sandbox.start(contacts=600, seed=4, faults=faults, **READS) as box,
        pytest.raises(kp.KirimError) as caught,
    ):
        kp.contacts(client=box.client(max_tries=1), progress=False)
    assert len(caught.value.result) == 300


def test_emails_are_matched(box):
    """A row is found by its e-mail address whatever the case; people without one are missing."""
    frame = own(box).head(60)
    frame["email"] = frame["email"].str.upper()
    found = frame.kirim.match_contacts(email="email", client=box.client(), progress=False)
    given = frame["email"].notna().to_numpy()
    assert given.any()
    assert not given.all()
    expected = np.where(given, "found", "missing")
    assert (found["match"].to_numpy() == expected).all()
    assert found["contact_id"].to_numpy()[given].tolist() == frame["contact_id"][given].tolist()
