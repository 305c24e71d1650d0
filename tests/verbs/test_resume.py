"""Runs taken up again: what is settled stays, what is open goes on, what differs is said."""

import shutil
import time
import warnings
from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd
import pytest
from support.kill_harness import faulty_requests, lies
from support.scripted_server import ScriptedServer, reply

import kirim_pandas as kp
from kirim_pandas.api import caller
from kirim_pandas.journal.records import REPLAY_SECONDS, Entry
from kirim_pandas.journal.store import Journal
from kirim_pandas.run.calls import Call
from kirim_pandas.sandbox import Faults, Switches

FAST = 60_000


def start(box, label, **options):
    """A run with a cap: it ends in order, with work left."""
    settings = {"client": box.client(), "progress": False} | options
    return box.contacts.kirim.bulk_label(label, "attach", **settings)


def check(box, label, result, asked=None):
    assert lies(result, box.members(label), box.outcome(label), set()) == []
    assert faulty_requests(box.requests(), set(asked or box.contacts["contact_id"])) == []


def later(seconds):
    return lambda: time.time() + seconds


@pytest.mark.parametrize("cap", [1, 2, 3, 6, 12])
def test_a_capped_run_is_finished_later(box, label, cap):
    """Whatever a cap left open is done by a resume without one, and nothing twice."""
    part = start(box, label, max_requests=cap)
    assert min(cap, 2) <= (box.requests()["method"] == "POST").sum() <= cap
    whole = box.contacts.kirim.resume(
        part.attrs["kirim_run_id"], client=box.client(), progress=False
    )
    check(box, label, whole)
    assert set(whole["status"]) == {"applied", "skipped"}
    assert not box.requests()["replayed"].any()


def test_resume_has_a_cap_of_its_own(box, label):
    """max_requests of a resume counts from there on."""
    run_id = start(box, label, max_requests=1).attrs["kirim_run_id"]
    box.contacts.kirim.resume(run_id, client=box.client(), progress=False, max_requests=6)
    assert 3 <= (box.requests()["method"] == "POST").sum() <= 7


def test_resuming_a_finished_run_sends_nothing(box, label):
    """A run that is over gives the same frame again, without a request."""
    whole = start(box, label)
    before = len(box.requests())
    again = box.contacts.kirim.resume(
        whole.attrs["kirim_run_id"], client=box.client(), progress=False
    )
    assert len(box.requests()) == before
    pd.testing.assert_frame_equal(whole, again)


def test_batches_become_rows(box, label):
    """A run without probes can be asked for every row later, and remembers that it was."""
    part = start(box, label, resolve="batches")
    assert (part["status"] == "unknown").any()
    run_id = part.attrs["kirim_run_id"]
    settings = {"client": box.client(), "progress": False}
    kp.resume(run_id, resolve="rows", max_requests=2, **settings)
    whole = kp.resume(run_id, **settings)
    check(box, label, whole)
    assert set(whole["status"]) == {"applied", "skipped"}


def test_a_run_begun_to_be_certified_is_finished(box, label):
    """A run of the version that knew resolve="certified" is read and ends as one of rows."""
    run_id = start(box, label, max_requests=2).attrs["kirim_run_id"]
    store = Journal()
    record, past = store.load(run_id)
    store.reopen(replace(record, resolve="certified"))
    call = Call(len(past), "certify", np.arange(3), "of-old", round=0, slot=0)
    store.write(run_id, [Entry(call, "answered", [3, 0, 0, "req_1"], store.now())])
    store.close()
    whole = kp.resume(run_id, client=box.client(), progress=False)
    check(box, label, whole)
    assert set(whole["status"]) == {"applied", "skipped"}


def test_the_frame_may_stand_in_another_order(box, label):
    """Rows are found by their id; duplicates and unusable ids keep their place."""
    run_id = start(box, label, max_requests=1).attrs["kirim_run_id"]
    frame = box.contacts.sample(frac=1, random_state=1)
    frame = pd.concat([frame, frame.iloc[:3], pd.DataFrame({"contact_id": [None]})])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = frame.kirim.resume(run_id, client=box.client(), progress=False)
    assert result.index.equals(frame.index)
    assert result["contact_id"].iloc[:-1].tolist() == frame["contact_id"].iloc[:-1].tolist()
    assert result["reason"].iloc[-1] == "missing_id"
    check(box, label, result.iloc[:-1])


def test_a_frame_with_other_ids_is_told_how(box, label):
    """Another frame is refused with numbers, an example and the way out; nothing is sent."""
    run_id = start(box, label, max_requests=1).attrs["kirim_run_id"]
    frame = box.contacts.iloc[100:].copy()
    stranger = "ctc_" + "Z" * 26
    frame.loc[frame.index[0], "contact_id"] = stranger
    before = len(box.requests())
    with pytest.raises(kp.InvalidInputError) as caught:
        frame.kirim.resume(run_id, client=box.client(), progress=False)
    message = str(caught.value)
    assert "1 of its 1,100 contacts are not in the run" in message
    assert stranger in message
    assert "101 of the run's 1,200 are not in the frame" in message
    assert "kirim_pandas.resume(run_id)" in message
    assert len(box.requests()) == before


def test_another_host_is_refused(box, label):
    """A run goes on at the address it began at, path included, or not at all."""
    run_id = start(box, label, max_requests=1).attrs["kirim_run_id"]
    for client in (
        box.client(base_url="https://example.org/v1"),
        box.client(phone_number_id="123456"),
    ):
        with pytest.raises(kp.InvalidInputError, match="Nothing was sent there"):
            kp.resume(run_id, client=client, progress=False)


def test_unknown_runs(box):
    """A run that is not in the journal is said so, with where to look."""
    with pytest.raises(kp.InvalidInputError, match=r"no run 'run_x'.*kirim_pandas.runs\(\)"):
        kp.resume("run_x", client=box.client())


@pytest.mark.parametrize("age", [60, REPLAY_SECONDS + 600])
@pytest.mark.parametrize("committed", [True, False])
def test_88_a_lost_call_goes_again(box, label, monkeypatch, age, committed):
    """Under its key while the service remembers it; under a new one after that."""
    name = "reset_after_commit" if committed else "reset_before_commit"
    box._server._faults = Faults(script=dict.fromkeys(range(1, 99), name))
    with pytest.raises(kp.TransportError) as caught:
        start(box, label, client=box.client(max_tries=1), resolve="batches")
    lost = caught.value.result["status"] == "unknown"
    assert lost.sum() >= 200
    box._server._faults = Faults()
    box.advance_clock(age)
    monkeypatch.setattr(Journal.__init__, "__kwdefaults__", {"wall_clock": later(age)})
    whole = kp.resume(caught.value.run_id, client=box.client(), progress=False, resolve="batches")
    check(box, label, whole)
    requests = box.requests()
    assert (whole["status"] != "not_sent").all()
    assert (whole["reason"] != "no_reply").all()
    repeated = age < REPLAY_SECONDS
    assert (requests["try_number"] > 0).any() == repeated
    assert requests["replayed"].any() == (repeated and committed)


def test_a_stale_call_that_is_refused_stays_unknown(monkeypatch):
    """Lost under key A, refused under key B: A may have been carried out, so not `failed`."""
    faults = Faults(script={0: "reset_after_commit"})
    with kp.sandbox.start(1, faults=faults, switches=Switches(unknown_ids="400")) as box:
        settings = {"client": box.client(max_tries=1), "progress": False}
        with pytest.raises(kp.TransportError) as caught:
            box.contacts.kirim.bulk_label(box.labels["id"].iloc[0], "attach", **settings)
        box.delete_contact(0)
        age = REPLAY_SECONDS + 600
        box.advance_clock(age)
        monkeypatch.setattr(Journal.__init__, "__kwdefaults__", {"wall_clock": later(age)})
        for _ in range(2):  # and a third session must not forget it
            result = kp.resume(caught.value.run_id, **settings)
            assert result["status"].tolist() == ["unknown"]
            assert result["reason"].tolist() == ["no_reply"]
        assert box.requests()["idempotency_key"].nunique() == 2  # the third had nothing to ask


def test_a_copied_journal_does_no_harm(box, label, tmp_path):
    """The same run gone on with from two copies sends the same keys, and both tell the truth."""
    one, two = tmp_path / "one", tmp_path / "two"
    one.mkdir()
    run_id = start(box, label, max_requests=2, journal=one).attrs["kirim_run_id"]
    shutil.copytree(one, two)
    for folder in (one, two):
        check(box, label, kp.resume(run_id, client=box.client(), progress=False, journal=folder))


def test_runs_lists_what_was_done(box, label):
    """One row a run, newest first, with what was asked, what came of it, and its state."""
    assert len(kp.runs()) == 0
    whole = start(box, label)
    start(box, label, max_requests=1)
    box.revoke_key()
    with pytest.raises(kp.AuthenticationError):
        start(box, label)
    runs = kp.runs()
    assert runs["state"].tolist() == ["failed", "capped", "finished"]
    assert runs["label_id"].tolist() == [label] * 3
    assert runs["operation"].tolist() == ["attach"] * 3
    assert runs["rows"].tolist() == [1200] * 3
    assert runs["not_sent"].tolist() == [1200, 200, 0]
    assert runs["requests"].iloc[1] == 1
    last = runs.iloc[2]
    assert last["run_id"] == whole.attrs["kirim_run_id"]
    assert last["applied"] == (whole["status"] == "applied").sum()
    assert runs["started_at"].is_monotonic_decreasing
    kp.forget(last["run_id"])
    assert len(kp.runs()) == 2


def test_a_resumed_run_is_open_again(box, label):
    """While a run is at work for a second time, the list says so."""
    run_id = start(box, label, max_requests=1).attrs["kirim_run_id"]
    seen = []
    kp.resume(
        run_id,
        client=box.client(),
        progress=lambda now: seen.append(kp.runs()["state"].iloc[0]),
        max_requests=1,
    )
    assert set(seen[:-1]) == {"running"}
    assert kp.runs()["state"].tolist() == ["capped"]


def test_without_a_journal_nothing_is_written(box, label, tmp_path, monkeypatch):
    """journal=False leaves no file."""
    monkeypatch.setenv("KIRIM_JOURNAL", str(tmp_path / "none.sqlite"))
    start(box, label, journal=False, max_requests=1)
    assert list(tmp_path.iterdir()) == []


def test_a_contact_that_moves_in_the_middle(box, label):
    """Contacts that change team or go while the run works never make a row that lies."""
    inside = np.flatnonzero(box.contacts["team"] == "Sales")[[5, 300, 600]].tolist()
    box._server._faults = Faults(
        events={
            4: [("move_contact", inside[0], "Care")],
            7: [("move_contact", inside[1], "Care"), ("delete_contact", inside[2])],
        }
    )
    result = start(box, label)
    gone = {box.contacts["contact_id"].iloc[inside[2]]}
    still = box.outcome(label).drop(box.contacts["contact_id"].iloc[inside], errors="ignore")
    assert lies(result, box.members(label), still, gone) == []


def lost_call(box, label, number, *, fault="reset_after_commit", **settings):
    """A session that ends with call `number` lost, by default after it was carried out."""
    box._server._faults = Faults(script=dict.fromkeys(range(number, 99), fault))
    with pytest.raises(kp.TransportError) as caught:
        start(box, label, client=box.client(max_tries=1), **settings)
    box._server._faults = Faults()
    return caught.value


def test_48_another_organisations_key_says_nothing_wrong(box, label):
    """What was under way stays unknown; the message names both causes and what to do for each."""
    first = lost_call(box, label, 1)
    foreign = box.client(api_key=box.add_key(organization="other"))
    with pytest.raises(kp.NotFoundError) as caught:
        box.contacts.kirim.resume(first.run_id, client=foreign, progress=False)
    result, message = caught.value.result, str(caught.value)
    pd.testing.assert_series_equal(result["status"], first.result["status"])
    assert (result["reason"] == "no_reply").sum() == 200
    for words in (
        "The label was there when this run began",
        "deleted since",
        "make a new label in Kirim",
        "another organisation: connect with a key of the organisation that the run began in",
        first.run_id,
    ):
        assert words in message
    check(box, label, kp.resume(first.run_id, client=box.client(), progress=False))


def test_51_a_deleted_label_is_called_deleted(box, label):
    """Where this very key has found the label, no other organisation is suspected."""
    box._server._faults = Faults(events={1: "delete_label"})
    with pytest.raises(kp.NotFoundError, match="deleted since") as caught:
        start(box, label)
    assert "organisation" not in str(caught.value)


def test_53_a_lost_call_that_is_refused():
    """Under the right key a refused repeat of a lost call costs the bad row only, and for good."""
    with kp.sandbox.start(
        1400, write_per_minute=FAST, skipped_share=0.0, switches=Switches(unknown_ids="400")
    ) as box:
        label = box.labels["id"].iloc[0]
        box._server._faults = Faults(script=dict.fromkeys(range(99), "reset_before_commit"))
        with pytest.raises(kp.TransportError) as caught:
            start(box, label, client=box.client(max_tries=1))
        assert (caught.value.result["reason"] == "no_reply").sum() == 1000
        box._server._faults = Faults()
        box.delete_contact(7)
        settings = {"client": box.client(), "progress": False}
        result = box.contacts.kirim.resume(caught.value.run_id, **settings)
        assert np.flatnonzero(result["status"] == "failed").tolist() == [7]
        assert (result["status"].drop(result.index[7]) == "applied").all()
        before = len(box.requests())
        again = box.contacts.kirim.resume(caught.value.run_id, **settings)
        assert len(box.requests()) == before
        pd.testing.assert_frame_equal(again, result)


def test_56_a_resumed_run_remembers_the_size(box, label):
    """What a 413 taught one session the next one keeps; nothing is planned otherwise for it."""
    box._server._faults = Faults(script={0: "error_413"})
    part = start(box, label, max_requests=3)
    assert box.requests()["contacts"].tolist() == [1000, 500, 500]
    whole = kp.resume(part.attrs["kirim_run_id"], client=box.client(), progress=False)
    assert box.requests()["contacts"].iloc[1:].max() <= 500
    check(box, label, whole)
    assert set(whole["status"]) == {"applied", "skipped"}


@pytest.mark.parametrize("same_key", [True, False])
def test_53_the_only_open_contact_is_refused(same_key):
    """With nobody else to ask about, a refusal proves nothing: it is asked about again, always."""
    switches = Switches(unknown_ids="400")
    with kp.sandbox.start(1, write_per_minute=FAST, skipped_share=0.0, switches=switches) as box:
        label = box.labels["id"].iloc[0]
        first = lost_call(box, label, 0, fault="reset_before_commit")
        box.delete_contact(0)
        settings = {"api_key": box.api_key} if same_key else {"api_key": box.add_key()}
        client = box.client(**settings)
        for _ in range(3):
            sent = len(box.requests())
            with pytest.raises(kp.InvalidRequestError) as caught:
                kp.resume(first.run_id, client=client, progress=False)
            assert caught.value.result["status"].tolist() == ["unknown"]
            assert len(box.requests()) == sent + 1


def test_a_finished_run_needs_no_key(box, label, monkeypatch):
    """Where nothing is left to send nobody is asked for a key, with the frame or without."""
    whole = start(box, label)
    open_run = start(box, label, max_requests=1).attrs["kirim_run_id"]
    run_id = whole.attrs["kirim_run_id"]
    with monkeypatch.context() as patch:
        patch.setattr("kirim_pandas.session.connect", lambda: pytest.fail("asked for a key"))
        pd.testing.assert_frame_equal(box.contacts.kirim.resume(run_id), whole)
        assert kp.resume(run_id)["status"].tolist() == whole["status"].tolist()
        assert kp.runs()["state"].tolist() == ["capped", "finished"]
    with pytest.raises(kp.ConfigurationError, match="no API key"):
        kp.resume(open_run)  # capped: there is more to do


def test_48_a_known_organisation_is_compared(box, label):
    """Whoever asked whose key it is, before and after, is refused by name and nothing is sent."""
    client = box.client()
    client.me()
    run_id = start(box, label, client=client, max_requests=1).attrs["kirim_run_id"]
    foreign = box.client(api_key=box.add_key(organization="other"))
    assert foreign.me().organization_id != box.organization_id
    before = len(box.requests())
    with pytest.raises(kp.InvalidInputError) as caught:
        kp.resume(run_id, client=foreign, progress=False)
    message = str(caught.value)
    assert f"belongs to the organisation Sandbox ({box.organization_id})" in message
    assert f"but this key to Sandbox ({foreign.organization.id})" in message
    assert len(box.requests()) == before
    for own in (client, box.client(api_key=box.add_key())):  # the second was not asked: not known
        kp.resume(run_id, client=own, progress=False, max_requests=1)


def test_48_the_organisation_is_not_asked_for(box, label):
    """No run, and no resume, sends a request to find out whose key it is."""
    run_id = start(box, label, max_requests=1).attrs["kirim_run_id"]
    kp.resume(run_id, client=box.client(), progress=False, max_requests=1)
    assert set(box.requests()["method"]) == {"POST"}


def test_every_ending_says_where_the_customers_stand(box, label):
    """An error tells what happened, how many rows stand how, and the call that goes on."""
    lost = str(lost_call(box, label, 1))
    for words in (
        "1,000 sent, but who of them was skipped is not known yet",
        "200 sent without an answer, so perhaps labeled",
        "Once this has passed or is put right, df.kirim.resume(",
        "asks again about those without an answer.",
    ):
        assert words in lost
    box.revoke_key()
    with pytest.raises(kp.AuthenticationError) as caught:
        start(box, label)
    assert "No customer was touched: put this right and call again." in str(caught.value)


def test_a_reply_of_an_earlier_run_is_not_believed(tmp_path):
    """What the journal knows as the reply to one call is no other's, in any later run or process.

    Not even once the run that had it has found it to be of doubtful origin.
    """
    ids = [f"ctc_{number:026d}" for number in range(3000)]
    label, stale = "lbl_" + "0" * 26, {"applied": 1000, "skipped_cross_org": 0}
    body = {"data": {**stale, "skipped_team_mismatch": 0}, "request_id": "req_of_the_first"}

    def client(server):
        caller._gates.clear()  # what another client has learnt is not known, as in a new process
        return kp.Client("kdv_live_" + "A" * 24, base_url=server.base_url, max_tries=1)

    steps = [reply(200, body), reply(502, b"<html>"), reply(200, body)]
    with ScriptedServer(steps) as server:
        settings = {"progress": False, "journal": tmp_path}
        with pytest.raises(kp.KirimError) as caught:
            pd.Series(ids).kirim.bulk_label(label, "attach", client=client(server), **settings)
        assert caught.value.result["status"].value_counts()["applied"] == 1000
        others = pd.Series(ids).str.replace("ctc_0", "ctc_1")
        anew = partial(others.kirim.bulk_label, label, "attach")
        for go in (anew, partial(kp.resume, caught.value.run_id), anew):
            with pytest.raises(kp.ProtocolError, match="cache") as found:
                go(client=client(server), **settings)
            assert not (found.value.result["status"] == "applied").any()
