"""What earlier runs found is guessed of their contacts, and only the order of sending changes."""

from contextlib import closing

import numpy as np
import pandas as pd
import pytest
from support.kill_harness import faulty_requests, lies

import kirim_pandas as kp
from kirim_pandas.journal.store import Journal
from kirim_pandas.verbs.earlier_runs import _runs_of

FAST = {"write_per_minute": 60_000, "read_per_minute": 60_000}


@pytest.fixture
def box():
    frame = kp.sandbox.sample_contacts(1300, seed=5, skipped_share=0.06)
    with kp.sandbox.start(frame, **FAST) as box:
        yield box


def label(box, name, team="Sales"):
    labels = box.labels
    mine = (labels["name"] == name) & (labels["team_id"] == box.team_id(team))
    return labels.loc[mine, "id"].iloc[0]


def run(box, label_id, frame=None, **options):
    """Label everybody, check every row; count probes and reads of the labels."""
    frame = box.contacts[["contact_id"]] if frame is None else frame
    before = len(box.requests())
    settings = {"client": box.client(), "progress": False} | options
    result = frame.kirim.bulk_label(label_id, "attach", **settings)
    asked = box.requests().iloc[before:]
    assert lies(result, box.members(label_id), box.outcome(label_id), set()) == []
    assert faulty_requests(asked, set(box.contacts["contact_id"])) == []
    assert set(result["status"]) <= {"applied", "skipped"}
    assert result["contact_id"].tolist() == frame["contact_id"].tolist()
    pd.testing.assert_index_equal(result.index, frame.index)
    writes = int((asked["method"] == "POST").sum())
    return writes - -(-len(frame) // 1000), int(asked["path"].str.endswith("/labels").sum())


@pytest.mark.parametrize("name", ["VIP", "Win-back"])
def test_the_same_team_is_skipped_again(box, name):
    """A label of the same team, or the same label again, costs next to no probes."""
    assert run(box, label(box, "VIP"), reads=False)[0] > 70
    probes, reads = run(box, label(box, name))
    assert probes <= 10
    assert reads == (name != "VIP")  # which team a label is of


def test_whom_another_team_has_is_skipped(box):
    """Who passed for one team is skipped by a label of another, and foreign for both."""
    run(box, label(box, "VIP"), reads=False)
    probes, _ = run(box, label(box, "VIP", "Care"))
    assert probes <= 80


def test_teams_that_are_not_known_tell_only_who_is_foreign(box):
    """Without a read of the labels nothing is concluded from another label's team."""
    run(box, label(box, "VIP"), reads=False)
    probes, reads = run(box, label(box, "Win-back"), reads=False)
    assert reads == 0
    assert probes > 50


def test_labels_that_were_read_are_not_read_again(box):
    """A label found by its name tells its team at once."""
    client = box.client()
    run(box, label(box, "VIP"), reads=False, client=client)
    kp.labels(client=client)
    assert run(box, label(box, "Win-back"), client=client)[1] == 0


@pytest.mark.parametrize("stranger", ["key", "journal", "hint"])
def test_what_is_not_ours_is_not_used(box, stranger, tmp_path):
    """Runs of a key of whose organisation nothing is known tell nothing; nor with hint=None."""
    run(box, label(box, "VIP"), reads=False)
    options = {
        "key": {"client": box.client(api_key=box.add_key())},
        "journal": {"journal": tmp_path},
        "hint": {"hint": None},
    }[stranger]
    assert run(box, label(box, "VIP"), reads=False, **options)[0] > 50


def test_runs_of_another_address_are_passed_over(box):
    """Only finished runs of this address and organisation are looked at."""
    run(box, label(box, "VIP"))
    run(box, label(box, "VIP"), max_requests=4000, frame=box.contacts[["contact_id"]].iloc[:9])
    number = box.client(phone_number_id=box.phone_number_id)
    with closing(Journal()) as journal:
        assert len(_runs_of(journal, box.client())) == 2
        assert _runs_of(journal, number) == []
        other = box.client(api_key=box.add_key())
        assert _runs_of(journal, other) == []


def test_changed_and_new_contacts_cost_probes_and_no_row(box):
    """Contacts that moved since, and such as no run has seen, come out right."""
    known = box.contacts[["contact_id"]].iloc[:900]
    run(box, label(box, "VIP"), known, reads=False)
    for row in range(0, 900, 75):
        box.move_contact(row, "Care" if row % 150 else "Sales")
    mixed = box.contacts[["contact_id"]].sample(frac=1, random_state=2)
    run(box, label(box, "Win-back"), mixed, reads=False)
    run(box, label(box, "Win-back"), mixed)


def test_rows_without_a_contact_and_doubles_keep_their_place(box):
    """Contacts are sent in another order; rows stay where they stood."""
    settings = {"client": box.client(), "progress": False}
    ids = box.contacts["contact_id"].iloc[:300].tolist()
    frame = pd.DataFrame({"contact_id": [None, *ids, ids[5], "junk"]}, index=np.arange(303)[::-1])
    first = frame.kirim.bulk_label(label(box, "VIP"), "attach", **settings)
    again = frame.kirim.bulk_label(label(box, "VIP"), "attach", **settings)
    for name in ("contact_id", "status", "reason"):
        pd.testing.assert_series_equal(first[name].astype(object), again[name].astype(object))


def test_a_run_ordered_by_earlier_ones_is_taken_up_again(box):
    """A resume sends what is left in the order of the first session, with its frame or without."""
    run(box, label(box, "VIP"), reads=False)
    frame = box.contacts[["contact_id"]]
    settings = {"client": box.client(), "progress": False}
    part = frame.kirim.bulk_label(label(box, "Win-back"), "attach", max_requests=2, **settings)
    whole = frame.kirim.resume(part.attrs["kirim_run_id"], **settings)
    name = label(box, "Win-back")
    assert lies(whole, box.members(name), box.outcome(name), set()) == []
    assert set(whole["status"]) == {"applied", "skipped"}


def test_what_was_found_is_kept_checked_and_forgotten(box):
    """Only finished runs leave outcomes; a damaged row is refused, and forgetting deletes it."""
    name = label(box, "VIP")
    settings = {"client": box.client(), "progress": False}
    frame = box.contacts[["contact_id"]].iloc[:200]
    whole = frame.kirim.bulk_label(name, "attach", **settings).attrs["kirim_run_id"]
    part = box.contacts.kirim.bulk_label(name, "attach", max_requests=1, **settings)
    store = Journal()
    assert store.outcomes(whole).shape == (200,)
    assert store.outcomes(part.attrs["kirim_run_id"]) is None
    with store._db as db:
        db.execute("UPDATE outcomes SET codes = zeroblob(9)")
    with pytest.raises(kp.JournalError, match="does not match its checksum"):
        store.outcomes(whole)
    store.forget(whole)
    assert store.outcomes(whole) is None
    store.close()
