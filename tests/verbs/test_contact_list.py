"""The list of contacts as a column: what it tells, what it costs, when it is given up."""

import numpy as np
import pytest

import kirim_pandas as kp
from kirim_pandas.verbs.lookups.contact_list import HIDDEN, NOT_LISTED, ContactListSource
from kirim_pandas.verbs.lookups.listing import Listing

FAST = {"read_per_minute": 60_000, "write_per_minute": 60}


def read(source, *, probes=1000.0, missing=0):
    """Read to the end, in a bounded number of steps."""
    source.start(probes=probes, missing=missing)
    try:
        for _ in range(500):
            columns = source.take(0.2)
            if columns is not None:
                return columns
    finally:
        source.stop()
    raise AssertionError("no end")


def test_who_is_not_listed_has_a_code_of_its_own():
    """Contacts of others are told from those that the list shows."""
    with kp.sandbox.start(contacts=700, seed=2, **FAST) as box:
        ids = box.contacts["contact_id"]
        foreign = (box.outcome(box.labels["id"].iloc[0]) == "cross_org").to_numpy()
        (column,) = read(ContactListSource(box.client(), ids.tolist()), missing=foreign.sum() - 1)
        assert ((column.codes == NOT_LISTED) == foreign).all()
        assert not (column.codes == HIDDEN).any()


def test_a_list_that_was_read_is_not_read_again():
    """A list of this session costs no request."""
    with kp.sandbox.start(contacts=300, seed=2, **FAST) as box:
        client = box.client()
        kp.contacts(client=client, progress=False)
        before = len(box.requests())
        columns = read(ContactListSource(client, box.contacts["contact_id"].tolist()))
        assert len(columns) == 1
        assert len(box.requests()) == before


def test_reading_ends_when_all_are_found():
    """Once only those are left whom the service counted as others', nothing more is read."""
    with kp.sandbox.start(contacts=3000, seed=2, skipped_share=0.0, **FAST) as box:
        ids = box.contacts["contact_id"].tolist()[:150]
        read(ContactListSource(box.client(), ids))
        assert len(box.requests()) < 25


def test_a_list_that_is_nearly_read_is_read_to_its_end():
    """Runs whose contacts are spread over the list leave it complete for those that follow."""
    with kp.sandbox.start(contacts=2000, seed=2, skipped_share=0.0, **FAST) as box:
        client, ids = box.client(), box.contacts["contact_id"].sample(400, random_state=1).tolist()
        read(ContactListSource(client, ids))
        before = len(box.requests())
        read(ContactListSource(client, box.contacts["contact_id"].tolist()))
        assert len(box.requests()) == before


def test_probes_that_wait_for_replies_are_worth_more_pages(monkeypatch):
    """Reading is measured against probes at the latency seen, not at the limit alone."""
    with kp.sandbox.start(contacts=1500, seed=2, skipped_share=0.0, **FAST) as box:
        client, ids = box.client(), box.contacts["contact_id"].tolist()
        monkeypatch.setattr(client, "write_pace", lambda: (10_000.0, 1.0, 200.0))
        (column,) = read(ContactListSource(client, ids), probes=200.0)
        assert (column.codes != NOT_LISTED).all()


def test_a_list_too_long_is_given_up(monkeypatch):
    """Where the list would take longer than the probes, what was read has to do."""
    with kp.sandbox.start(contacts=3000, seed=2, skipped_share=0.0, **FAST) as box:
        client = box.client()
        monkeypatch.setattr(client, "write_pace", lambda: (10_000.0, 0.0, 200.0))
        columns = read(ContactListSource(client, box.contacts["contact_id"].tolist()), probes=12.0)
        assert len(box.requests()) < 25
        assert all(isinstance(column.codes, np.ndarray) for column in columns)


@pytest.mark.parametrize("fault", ["revoked", "unreachable"])
def test_a_list_that_cannot_be_read_is_done_without(fault):
    """A failing read ends the attempt, not the run."""
    with kp.sandbox.start(contacts=300, seed=2, **FAST) as box:
        client = box.client(max_tries=1, patience_seconds=0.1)
        ids = box.contacts["contact_id"].tolist()
        if fault == "revoked":
            box.revoke_key()
        else:
            box.close()
        assert read(ContactListSource(client, ids)) == ()


def test_a_contact_that_is_listed_twice_counts_once():
    """A list that changes while it is read shows some contacts twice, which is noticed."""
    with kp.sandbox.start(contacts=20, skipped_share=0.0, **FAST) as box:
        contacts = list(box.client().contacts())
    listing = Listing()
    listing.add(contacts[:12])
    listing.add(contacts[10:])
    assert (len(listing.contacts), listing.repeated, listing.pages) == (20, 2, 2)
