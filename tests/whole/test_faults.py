"""The catalogue of faults, each played by the sandbox to a whole run: what the user is left with.

Tests that stand elsewhere: what needs no server is in test_retry.py and test_protocol.py, single
calls in test_client.py, files in test_journal.py, interrupts in test_stop.py and test_kill.py.
"""

import numpy as np
import pytest
from support.fault_lists import DELAYS, LASTING, ODD, PASSING
from support.scenes import HASTY, SIZE, Scenes, counts
from support.scripted_server import ScriptedServer, reply

import kirim_pandas as kp
from kirim_pandas.run.side_by_side import MAX_IN_FLIGHT
from kirim_pandas.sandbox import Faults, Switches

OTHER_LABEL = "lbl_" + "0" * 26


@pytest.fixture
def play():
    with Scenes() as scenes:
        yield scenes.start


@pytest.mark.parametrize("name", PASSING)
def test_a_passing_fault_costs_nothing_but_time(play, name):
    """Whatever passes by in one call leaves every row right and every id sent once."""
    client = {"timeouts": HASTY} if name in DELAYS else {}
    scene = play(faults=Faults(script={1: PASSING[name]}), client=client)
    result = scene.run(journal=False)
    assert scene.error is None
    assert counts(result) == {"applied": SIZE}
    requests = scene.box.requests()
    keys = requests["idempotency_key"].nunique()
    assert keys == (4 if PASSING[name] == "error_500_kept" else 3)


def test_14_read_timeout_server_still_working(play):
    """A repeat that meets its first try at work waits for it, under the same key."""
    slow = Faults(script={0: ("stall_before_commit", 1.2)})
    scene = play(300, faults=slow, client={"timeouts": HASTY})
    assert counts(scene.run()) == {"applied": 300}
    requests = scene.box.requests()
    assert 409 in set(requests["status"].dropna())
    assert requests["idempotency_key"].nunique() == 1


@pytest.mark.parametrize("name", LASTING)
def test_a_lasting_fault_stops_the_run_and_resume_ends_it(play, name):
    """What does not pass ends the run with its own error, a true result, and a way to go on."""
    fault, kind = LASTING[name]
    scene = play(
        client={"max_tries": 3, "patience_seconds": 2.0},
        faults=Faults(script=dict.fromkeys(range(1, 60), fault)),
    )
    partial = scene.run()
    assert isinstance(scene.error, kind)
    assert f'df.kirim.resume("{scene.error.run_id}")' in str(scene.error)
    assert counts(partial)["applied"] == 1000
    scene.box._server._faults = Faults()  # the cause is gone
    result = scene.resume(scene.error.run_id)
    assert scene.error is None
    assert counts(result) == {"applied": SIZE}


def test_46_401_at_the_start(play):
    """A key that is not accepted ends the run at its first call, with nothing done."""
    scene = play()
    scene.box.revoke_key()
    assert counts(scene.run()) == {"not_sent": SIZE}
    assert isinstance(scene.error, kp.AuthenticationError)
    assert len(scene.box.requests()) == 1


def test_47_401_in_mid_run(play):
    """A key revoked in the middle: the rest is unsent, and another key goes on."""
    scene = play(5000, faults=Faults(events={2: "revoke_key"}))
    partial = scene.run()
    assert isinstance(scene.error, kp.AuthenticationError)
    found = counts(partial)
    assert set(found) == {"applied", "not_sent"}
    assert found["applied"] in (1000, 2000)  # call 1 may be overtaken by call 2, which revokes
    scene.box.add_key()
    scene.client = scene.box.client()
    assert counts(scene.resume(scene.error.run_id)) == {"applied": 5000}


def test_48_resume_with_a_key_of_another_organisation(play):
    """Somebody else's key finds no such label, and changes nothing."""
    scene = play(faults=Faults(events={1: "expire_key"}))
    scene.run()
    run_id = scene.error.run_id
    other = scene.box.client(api_key=scene.box.add_key(organization="other"))
    before = scene.box.members(scene.label)
    result = scene.resume(run_id, client=other)
    assert isinstance(scene.error, kp.NotFoundError)
    assert counts(result)["applied"] == len(before)
    assert scene.box.members(scene.label) == before


def test_50_404_label_at_the_start(play):
    """A label that is not there ends the run at its first call."""
    scene = play()
    with pytest.raises(kp.NotFoundError) as caught:
        scene.frame.kirim.bulk_label(OTHER_LABEL, "attach", client=scene.client, progress=False)
    assert counts(caught.value.result) == {"not_sent": SIZE}


def test_51_404_label_deleted_midway(play):
    """When the label goes, the run stops; what was done before keeps its rows."""
    scene = play(5000, faults=Faults(events={2: "delete_label"}))
    with pytest.raises(kp.NotFoundError) as caught:
        scene.frame.kirim.bulk_label(scene.label, "attach", client=scene.client, progress=False)
    found = counts(caught.value.result)
    assert set(found) == {"applied", "not_sent"}
    assert sum(found.values()) == 5000
    assert found["applied"] in (1000, 2000)  # call 1 may be overtaken by call 2, which deletes


@pytest.mark.parametrize("param", ["index", "field", "none"])
@pytest.mark.parametrize("cached", [False, True])
def test_53_54_one_bad_id_costs_its_row(play, param, cached):
    """An id that the service refuses fails alone, wherever `param` points."""
    switches = Switches(unknown_ids="400", malformed_param=param, cache_failures=cached)
    scene = play(switches=switches, faults=Faults(script={4: "reset_before_commit"}))
    bad = [0, 999, 1700]
    for row in bad:
        scene.box.delete_contact(row)
    result = scene.run(resolve="batches")
    assert scene.error is None
    assert np.flatnonzero(result["status"] == "failed").tolist() == bad
    assert counts(result) == {"applied": SIZE - 3, "failed": 3}
    assert (result["reason"].iloc[bad] == "invalid_field_value").all()
    # One more where the lost try held a bad id: its refusal is believed when another is answered.
    assert len(scene.box.requests()) <= 3 + (2 * 3 + 2 if param == "index" else 3 * 20)


def test_53_a_wrong_column_stops_the_run(play):
    """More refused ids than bad luck explains stop the run; a resume may try some more."""
    scene = play(300, switches=Switches(unknown_ids="404"))
    for row in range(200):
        scene.box.delete_contact(row)
    result = scene.run()
    assert isinstance(scene.error, kp.NotFoundError)
    assert 21 <= counts(result)["failed"] < 21 + MAX_IN_FLIGHT
    assert counts(scene.resume(scene.error.run_id))["failed"] > 21


def test_56_413(play):
    """A call that is too large for the service goes in halves."""
    scene = play(1000, faults=Faults(script={0: "error_413"}))
    assert counts(scene.run()) == {"applied": 1000}
    sizes = scene.box.requests()["contacts"].tolist()
    assert sizes == [1000, 500, 500]


@pytest.mark.parametrize("kind", ["422", "409"])
def test_58_a_key_used_for_something_else(play, kind, monkeypatch):
    """A key that the service knows for another body stops the run; nothing is re-keyed."""
    scene = play(switches=Switches(key_reuse=kind))
    ids = scene.frame["contact_id"].tolist()
    scene.client.bulk_label(ids[:3], scene.label, "detach", idempotency_key="taken")
    monkeypatch.setattr("kirim_pandas.run.loop.uuid.uuid4", lambda: "taken")
    with pytest.raises(kp.ApiError) as caught:
        scene.frame.kirim.bulk_label(scene.label, "attach", client=scene.client, progress=False)
    assert caught.value.code in ("idempotency_key_reuse", "idempotency_conflict")
    assert counts(caught.value.result) == {"unknown": 1000, "not_sent": SIZE - 1000}
    assert len(scene.box.requests()) == 2


def test_38_a_storm_of_429s_slows_and_never_stops(play):
    """Any number of 429s in a row costs time only, and no try."""
    storm = dict.fromkeys(range(1, 13), ("rate_limited", "0.05"))
    scene = play(client={"max_tries": 2}, faults=Faults(script=storm))
    assert counts(scene.run()) == {"applied": SIZE}


def test_39_others_drain_the_bucket(play):
    """With others in the same bucket the run still ends, and nothing is lost."""
    scene = play(9000, write_per_minute=600, faults=Faults(others_per_minute=400.0, script={}))
    assert counts(scene.run()) == {"applied": 9000}


def test_40_reset_skewed(play):
    """A server whose clock is a day off is paced as any other."""
    scene = play(faults=Faults(clock_skew_seconds=86_400.0, script={1: ("rate_limited", "1")}))
    assert counts(scene.run()) == {"applied": SIZE}


def test_61_counters_that_do_not_add_up(play):
    """Where `applied` counts changes only, rows that had the label before are still right."""
    scene = play(400, skipped_share=0.01, switches=Switches(applied="changes"))
    scene.box.set_members(scene.label, scene.frame["contact_id"].iloc[:200].tolist())
    scene.run()
    assert scene.error is None


@pytest.mark.parametrize("name", ODD)
def test_odd_headers_and_fields_do_no_harm(name):
    """A good reply is taken whatever its headers say, with fields nobody knows, without its id."""
    frame = kp.sandbox.sample_contacts(3, seed=1)[["contact_id"]]
    data = {"applied": 3, "skipped_cross_org": 0, "skipped_team_mismatch": 0, "new": [1]}
    headers = {name: value.encode().decode("latin-1") for name, value in ODD[name].items()}
    with ScriptedServer([reply(200, {"data": data, "more": {}}, headers=headers)]) as server:
        client = kp.Client("kdv_live_" + "x" * 24, base_url=server.base_url)
        result = frame.kirim.bulk_label(OTHER_LABEL, "attach", client=client, progress=False)
    assert counts(result) == {"applied": 3}


def test_55_400_for_the_whole_request():
    """A refusal that is not about ids ends the run at once, and says what support needs."""
    said = {"code": "missing_required_field", "param": "label_id", "request_id": "req_9"}
    frame = kp.sandbox.sample_contacts(SIZE, seed=1)[["contact_id"]]
    with ScriptedServer(
        [reply(400, {"error": {"type": "invalid_request_error", **said}})]
    ) as server:
        client = kp.Client("kdv_live_" + "x" * 24, base_url=server.base_url)
        with pytest.raises(kp.InvalidRequestError) as caught:
            frame.kirim.bulk_label(OTHER_LABEL, "attach", client=client, progress=False)
        assert len(server.arrived) == 1
    assert counts(caught.value.result)["not_sent"] >= 1050
    for part in ("HTTP 400", "missing_required_field", "request req_9"):
        assert part in str(caught.value)
    assert "ctc_" not in str(caught.value)


def test_87_attach_detach_attach(play):
    """Three runs over the same contacts within minutes each do what they say."""
    scene = play(50)
    for op, expected in (("attach", 50), ("detach", 0), ("attach", 50)):
        scene.frame.kirim.bulk_label(scene.label, op, client=scene.client, progress=False)
        assert len(scene.box.members(scene.label)) == expected


@pytest.mark.parametrize("seed", range(2))
def test_mixed_faults_leave_no_row_open(play, seed):
    """Under retryable faults of all kinds every row is known at the end, and known rightly."""
    names = [name if isinstance(name, str) else name[0] for name in PASSING.values()]
    values = {"rate_limited": "0.1", "stall_after_commit": 0.5, "drop": 0.5}
    scene = play(
        1500,
        skipped_share=0.004,
        client={"timeouts": HASTY},
        faults=Faults(rates=dict.fromkeys(names, 0.006), values=values, seed=seed),
    )
    result = scene.run()
    for _ in range(3):  # three odd replies in a row may pause a run, and a resume goes on
        if scene.error is not None:
            result = scene.resume(scene.error.run_id)
    assert scene.error is None
    assert set(counts(result)) <= {"applied", "skipped"}
