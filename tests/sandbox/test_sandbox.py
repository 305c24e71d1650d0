"""The sandbox keeps the service's documented promises, and every switch does what it says."""

import http.client
import json
import re
import signal
import socket
import struct
import subprocess
import sys
import threading
from fractions import Fraction
from urllib.parse import urlsplit

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kirim_pandas import sandbox
from kirim_pandas.errors import InvalidInputError
from kirim_pandas.sandbox import Faults, Switches
from kirim_pandas.sandbox.limits import Bucket

BULK = "/v1/contacts/bulk_label"
UNKNOWN = "ctc_" + "Z" * 26


class Reply:
    """A reply, taken apart."""

    def __init__(self, reply):
        self.status, self.headers, self.body = reply.status, reply.headers, reply.read()

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def code(self):
        return self.json["error"]["code"]

    @property
    def param(self):
        return self.json["error"].get("param")

    @property
    def counts(self):
        return tuple(self.json["data"].values())


def ask(box, method, path, body=None, *, key=None, **headers):
    """Send one request with the sandbox's key."""
    connection = http.client.HTTPConnection(box.base_url.split("/")[2], timeout=20)
    headers = {"Authorization": f"Bearer {box.api_key}", **headers}
    if key:
        headers["Idempotency-Key"] = key
    try:
        connection.request(method, path, body, headers)
        return Reply(connection.getresponse())
    finally:
        connection.close()


def label(box, contact_ids, operation="attach", *, key=None, label_id=None, path=BULK):
    """Send one bulk_label call for the first label."""
    label_id = label_id or box.labels["id"].iloc[0]
    body = {"contact_ids": list(contact_ids), "label_id": label_id, "operation": operation}
    return ask(box, "POST", path, json.dumps(body), key=key)


@pytest.fixture
def few():
    """Five contacts, one of each kind that matters, by name."""
    ids = {name: f"ctc_{number:026d}" for number, name in enumerate(["a", "b", "foreign", "care"])}
    frame = pd.DataFrame(
        {
            "contact_id": list(ids.values()),
            "team": ["Sales", "Sales", "Sales", "Care"],
            "organization": ["own", "own", "sister", "own"],
        }
    )
    return frame, {**ids, "unknown": UNKNOWN}


@pytest.fixture(scope="module")
def box():
    with sandbox.start(400, seed=3, write_per_minute=10**6, read_per_minute=10**6) as running:
        yield running


# The job


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_counts_and_members_follow_the_truth(box, data):
    """For any call on any state, counts and members are what teams and organisations imply."""
    label_id = data.draw(st.sampled_from(list(box.labels["id"])))
    outcome = box.outcome(label_id)
    ids = st.lists(st.sampled_from(list(outcome.index)), min_size=1, max_size=40, unique=True)
    before, sent = set(data.draw(ids)), data.draw(ids)
    operation = data.draw(st.sampled_from(["attach", "detach"]))
    box.set_members(label_id, list(before))

    reply = label(box, sent, operation, label_id=label_id)

    expected = outcome[sent].value_counts()
    names = ("applied", "cross_org", "team_mismatch")
    assert reply.counts == tuple(expected.get(name, 0) for name in names)
    passing = {contact for contact in sent if outcome[contact] == "applied"}
    after = before | passing if operation == "attach" else before - passing
    assert box.members(label_id) == after


def test_thousand_contacts_are_the_most(box):
    """A call of 1000 ids is carried out, one of 1001 is refused."""
    ids = [f"ctc_{number:026d}" for number in range(1001)]
    assert label(box, ids[:1000]).counts == (0, 1000, 0)
    refused = label(box, ids)
    assert (refused.status, refused.code) == (400, "invalid_field_value")
    assert refused.param == "contact_ids"


GOOD = "ctc_" + "0" * 26


@pytest.mark.parametrize(
    ("change", "code", "param"),
    [
        ({"contact_ids": None}, "missing_required_field", "contact_ids"),
        ({"label_id": None}, "missing_required_field", "label_id"),
        ({"operation": None}, "missing_required_field", "operation"),
        ({"contact_ids": []}, "invalid_field_value", "contact_ids"),
        ({"contact_ids": "ctc"}, "invalid_field_value", "contact_ids"),
        ({"contact_ids": [GOOD, "ctc_" + "a" * 26]}, "invalid_field_value", "contact_ids[1]"),
        ({"contact_ids": [GOOD + "\n"]}, "invalid_field_value", "contact_ids[0]"),
        ({"contact_ids": [7]}, "invalid_field_value", "contact_ids[0]"),
        ({"label_id": "VIP"}, "invalid_field_value", "label_id"),
        ({"operation": "remove"}, "invalid_field_value", "operation"),
    ],
)
def test_unusable_bodies_are_refused(box, change, code, param):
    """Each unusable body is a 400 in the error envelope, with the code and param of its fault."""
    body = {"contact_ids": [GOOD], "label_id": box.labels["id"].iloc[0], "operation": "attach"}
    reply = ask(box, "POST", BULK, json.dumps({**body, **change}))
    assert (reply.status, reply.code, reply.param) == (400, code, param)
    assert reply.json["error"]["type"] == "invalid_request_error"
    assert reply.json["error"]["request_id"] == reply.headers["X-Request-Id"]


@pytest.mark.parametrize("body", ["", "{", "[]", "7", b"\xff"])
def test_bodies_that_are_no_object_are_refused(box, body):
    """A body that is not a JSON object is a 400."""
    assert ask(box, "POST", BULK, body).code == "invalid_field_value"


def test_unknown_label_refuses_the_call(box):
    """A label that does not exist is a 404 for the whole call."""
    reply = label(box, [GOOD], label_id="lbl_" + "9" * 26)
    assert (reply.status, reply.code) == (404, "resource_not_found")


# Switches


@pytest.mark.parametrize(
    ("switches", "sent", "expected"),
    [
        ({"applied": "contacts"}, ["a", "b"], (2, 0, 0)),
        ({"applied": "changes"}, ["a", "b"], (1, 0, 0)),
        ({"unknown_ids": "cross_org"}, ["b", "foreign", "care", "unknown"], (1, 2, 1)),
        ({"unknown_ids": "uncounted"}, ["b", "foreign", "care", "unknown"], (1, 1, 1)),
        ({"unknown_ids": "404"}, ["b", "unknown"], (404, "resource_not_found", "contact_ids[1]")),
        ({"unknown_ids": "400"}, ["b", "unknown"], (400, "invalid_field_value", "contact_ids[1]")),
        ({"duplicates": "once"}, ["b", "b", "care", "care"], (1, 0, 1)),
        ({"duplicates": "each"}, ["b", "b", "care", "care"], (2, 0, 2)),
        (
            {"duplicates": "refused"},
            ["a", "b", "b"],
            (400, "invalid_field_value", "contact_ids[2]"),
        ),
        ({"malformed_param": "index"}, ["a", "x"], (400, "invalid_field_value", "contact_ids[1]")),
        ({"malformed_param": "field"}, ["a", "x"], (400, "invalid_field_value", "contact_ids")),
        ({"malformed_param": "none"}, ["a", "x"], (400, "invalid_field_value", None)),
    ],
)
def test_switches_of_the_job(few, switches, sent, expected):
    """Where the documentation is silent on a call's outcome, the switch decides."""
    frame, ids = few
    with sandbox.start(frame, switches=Switches(**switches)) as box:
        box.set_members(box.labels["id"].iloc[0], [ids["a"]])
        reply = label(box, [ids.get(name, name) for name in sent])
        if reply.status == 200:
            assert reply.counts == expected
        else:
            assert (reply.status, reply.code, reply.param) == expected
            assert box.members(box.labels["id"].iloc[0]) == {ids["a"]}


def test_unknown_switch_values_are_refused():
    """A switch takes only the values it names."""
    with pytest.raises(ValueError, match="applied='maybe' is not one of 'contacts', 'changes'"):
        Switches(applied="maybe")


# Keys


def test_keys_that_do_not_work(few):
    """Missing, wrong, revoked and expired keys are 401s without rate headers."""
    with sandbox.start(few[0]) as box:
        assert ask(box, "GET", "/v1/me").status == 200
        for authorization in ("", "Bearer ", "Bearer nonsense", f"Basic {box.api_key}"):
            reply = ask(box, "GET", "/v1/me", Authorization=authorization)
            assert (reply.status, reply.code) == (401, "invalid_api_key")
            assert "X-RateLimit-Limit" not in reply.headers
        box.expire_key()
        assert label(box, [GOOD]).code == "expired_api_key"
        box.add_key()
        assert label(box, [GOOD]).status == 200
        box.revoke_key()
        assert label(box, [GOOD]).code == "invalid_api_key"


def test_another_organisation_sees_nothing(few):
    """A key of another organisation gets 404s and its own name, never a hint of what exists."""
    with sandbox.start(few[0]) as box:
        authorization = "Bearer " + box.add_key(organization="stranger")
        me = ask(box, "GET", "/v1/me", Authorization=authorization).json["data"]
        assert me["organization"]["id"] != box.organization_id
        for path in (f"/v1/labels/{box.labels['id'].iloc[0]}", f"/v1/contacts/{few[1]['a']}"):
            reply = ask(box, "GET", path, Authorization=authorization)
            assert (reply.status, reply.code) == (404, "resource_not_found")


# Rate limits


@settings(max_examples=60, deadline=None)
@given(
    per_minute=st.integers(1, 1000),
    steps=st.lists(st.integers(0, 10**10), max_size=60),
    refusal_costs=st.booleans(),
)
def test_bucket_counts_exactly(per_minute, steps, refusal_costs):
    """The bucket agrees with exact fractions at any sequence of times."""
    bucket, level, now = Bucket(per_minute, 0), Fraction(per_minute), 0
    for step in steps:
        now += step
        level = min(Fraction(per_minute), level + Fraction(step * per_minute, 60 * 10**9))
        taken = bucket.take(now, refusal_costs=refusal_costs)
        assert taken == (level >= 1)
        level = level - 1 if taken else Fraction(0) if refusal_costs else level
        assert bucket.remaining(now) == int(level)
        wait = bucket.nanoseconds_to_token(now)
        assert level + Fraction(wait * per_minute, 60 * 10**9) >= min(1, level)
        assert wait == max(0, -((level - 1) * 60 * 10**9 / per_minute // 1))


def test_other_clients_drain_the_bucket():
    """Another client takes tokens evenly, as long as there are any."""
    bucket = Bucket(60, 0, others_per_minute=60)
    assert bucket.remaining(30 * 10**9) == 60 - 1
    faster = Bucket(60, 0, others_per_minute=120)
    assert faster.remaining(30 * 10**9) in (29, 30, 31)
    assert faster.remaining(120 * 10**9) == 0


def test_limits_headers_and_refusals(few):
    """The bucket is told in headers; beyond it 429 says when, and waiting so long is enough."""
    with sandbox.start(few[0], write_per_minute=3, read_per_minute=2) as box:
        replies = [label(box, [GOOD]) for _ in range(4)]
        assert [reply.status for reply in replies] == [200, 200, 200, 429]
        assert [reply.headers["X-RateLimit-Remaining"] for reply in replies] == list("2100")
        assert {reply.headers["X-RateLimit-Limit"] for reply in replies} == {"3"}
        assert replies[3].code == "rate_limit_exceeded"
        wait_seconds = int(replies[3].headers["Retry-After"])
        assert 10 < wait_seconds <= 20
        assert ask(box, "GET", "/v1/me").status == 200, "reads have their own bucket"
        box.advance_clock(wait_seconds)
        assert [label(box, [GOOD]).status for _ in range(2)] == [200, 429]
        box.set_write_per_minute(600)
        box.advance_clock(1)
        assert label(box, [GOOD]).headers["X-RateLimit-Limit"] == "600"
        assert ask(box, "GET", "/v1/me").json["data"]["rate_limits"] == {
            "tier": "enterprise",
            "write_per_minute": 600,
            "read_per_minute": 2,
        }


@pytest.mark.parametrize(("costs", "status"), [(False, 200), (True, 429)])
def test_refusals_cost_or_not(few, costs, status):
    """Whether a 429 costs what has gathered is a switch."""
    with sandbox.start(few[0], write_per_minute=1, switches=Switches(refusal_costs=costs)) as box:
        label(box, [GOOD])
        box.advance_clock(40)
        assert label(box, [GOOD]).status == 429
        box.advance_clock(40)
        assert label(box, [GOOD]).status == status


@pytest.mark.parametrize(("costs", "left"), [(False, "9"), (True, "8")])
def test_replays_cost_or_not(few, costs, left):
    """Whether a replay costs a token is a switch."""
    with sandbox.start(few[0], write_per_minute=10, switches=Switches(replay_costs=costs)) as box:
        label(box, [GOOD], key="k")
        assert label(box, [GOOD], key="k").headers["X-RateLimit-Remaining"] == left


# Idempotency


def test_repeats_get_the_first_reply_for_a_day(few):
    """Same key, same body: the first reply verbatim and no effect, until 24 hours are over."""
    frame, ids = few
    with sandbox.start(frame) as box:
        label_id = box.labels["id"].iloc[0]
        first = label(box, [ids["a"]], key="k")
        label(box, [ids["a"]], "detach")
        again = label(box, [ids["a"]], key="k")
        assert again.body == first.body
        assert again.headers["X-Request-Id"] == first.headers["X-Request-Id"]
        assert again.headers["Idempotent-Replayed"] == "true"
        assert "Idempotent-Replayed" not in first.headers
        assert box.members(label_id) == set()
        box.advance_clock(24 * 3600 - 30)
        assert label(box, [ids["a"]], key="k").headers["Idempotent-Replayed"] == "true"
        box.advance_clock(31)
        assert "Idempotent-Replayed" not in label(box, [ids["a"]], key="k").headers
        assert box.members(label_id) == {ids["a"]}


@pytest.mark.parametrize(
    ("key_reuse", "status", "code"),
    [("422", 422, "idempotency_key_reuse"), ("409", 409, "idempotency_conflict")],
)
def test_a_key_is_for_one_body(few, key_reuse, status, code):
    """Another body, or the same ids in another order, is refused under a used key."""
    frame, ids = few
    with sandbox.start(frame, switches=Switches(key_reuse=key_reuse)) as box:
        label(box, [ids["a"], ids["b"]], key="k")
        for sent, operation in (([ids["b"], ids["a"]], "attach"), ([ids["a"]], "detach")):
            reply = label(box, sent, operation, key="k")
            assert (reply.status, reply.code) == (status, code)
        spaced = {
            "operation": "attach",
            "label_id": box.labels["id"].iloc[0],
            "contact_ids": [ids["a"], ids["b"]],
        }
        assert ask(box, "POST", BULK, json.dumps(spaced, indent=2), key="k").status == 200


def test_keys_have_a_length(few):
    """A key of 255 characters is taken, a longer one refused."""
    with sandbox.start(few[0]) as box:
        assert label(box, [GOOD], key="k" * 255).status == 200
        assert label(box, [GOOD], key="k" * 256).param == "Idempotency-Key"


@pytest.mark.parametrize("cached", [False, True])
def test_failures_are_kept_or_not(few, cached):
    """Whether a refusal is kept under its key is a switch."""
    frame, ids = few
    switches = Switches(unknown_ids="404", cache_failures=cached)
    with sandbox.start(frame, switches=switches) as box:
        assert label(box, [ids["unknown"]], key="k").status == 404
        again = label(box, [ids["unknown"]], key="k")
        assert again.status == 404
        assert again.headers.get("Idempotent-Replayed") == ("true" if cached else None)


@pytest.mark.parametrize(("wait_seconds", "status"), [(0.0, 409), (20.0, 200)])
def test_repeats_of_a_call_in_progress_wait(few, wait_seconds, status):
    """A repeat waits for the first call; when that takes too long it is told so."""
    faults = Faults(script={0: "stall_before_commit"})
    started, may_end = threading.Event(), threading.Event()

    def stall(_):
        started.set()
        may_end.wait(20)

    with sandbox.start(few[0], faults=faults, in_progress_wait_seconds=wait_seconds) as box:
        box._server.service.pause = stall
        replies = []

        def send():
            replies.append(label(box, [GOOD], key="k"))

        first, second = threading.Thread(target=send), threading.Thread(target=send)
        first.start()
        assert started.wait(20)
        second.start()
        if status == 409:
            second.join()
        may_end.set()
        first.join()
        second.join()
        if status == 409:
            assert [reply.status for reply in replies] == [409, 200]
            assert replies[0].code == "idempotency_in_progress"
        else:
            assert [reply.status for reply in replies] == [200, 200]
            assert replies[0].body == replies[1].body
        assert box.requests()["executed"].sum() == 1


# Reading


def test_contacts_come_in_pages(box):
    """Pages hold every own contact once, in one order, whatever their size."""
    label_id = box.labels["id"].iloc[0]
    outcome = box.outcome(label_id)
    own = list(outcome.index[outcome != "cross_org"])
    for limit in (100, 37):
        seen, path = [], f"/v1/contacts?limit={limit}"
        while path:
            page = ask(box, "GET", path).json
            seen += [contact["id"] for contact in page["data"]]
            assert page["has_more"] == (page["next_cursor"] is not None)
            cursor = page["next_cursor"]
            path = f"/v1/contacts?limit={limit}&cursor={cursor}" if cursor else None
        assert seen == own
    assert len(ask(box, "GET", "/v1/contacts").json["data"]) == 25


def test_contacts_show_neither_team_nor_labels(box):
    """A contact has the documented fields and no others, in lists and alone."""
    listed = ask(box, "GET", "/v1/contacts?limit=1").json["data"][0]
    assert set(listed) == (
        {"id", "object", "phone_number", "name", "email", "metadata", "whatsapp_account"}
        | {"created_at", "updated_at"}
    )
    assert ask(box, "GET", f"/v1/contacts/{listed['id']}").json["data"] == listed


def test_contacts_are_filtered(box):
    """phone is exact, search looks into names whatever the case."""
    person = ask(box, "GET", "/v1/contacts?limit=1").json["data"][0]
    phone = person["phone_number"].replace("+", "%2B")
    assert ask(box, "GET", f"/v1/contacts?phone={phone}").json["data"] == [person]
    name = person["name"].split()[0].upper()
    found = ask(box, "GET", f"/v1/contacts?search={name}").json["data"]
    assert found
    assert all(name in contact["name"].upper() for contact in found)


@pytest.mark.parametrize(
    ("query", "code", "param"),
    [
        ("limit=0", "invalid_limit", "limit"),
        ("limit=101", "invalid_limit", "limit"),
        ("limit=x", "invalid_limit", "limit"),
        ("cursor=nonsense", "invalid_cursor", "cursor"),
        ("phone=0812", "invalid_field_value", "phone"),
        ("search=", "invalid_field_value", "search"),
        ("search=" + "x" * 201, "invalid_field_value", "search"),
    ],
)
def test_unusable_queries_are_refused(box, query, code, param):
    """Each unusable query is a 400 with its code and param."""
    reply = ask(box, "GET", f"/v1/contacts?{query}")
    assert (reply.status, reply.code, reply.param) == (400, code, param)


def test_cursors_are_bound_to_their_filters(box):
    """A cursor of one search is refused in another."""
    cursor = ask(box, "GET", "/v1/contacts?limit=1&search=a").json["next_cursor"]
    assert ask(box, "GET", f"/v1/contacts?search=a&cursor={cursor}").status == 200
    for path in ("contacts?search=i", "contacts?", "labels?"):
        assert ask(box, "GET", f"/v1/{path}&cursor={cursor}").code == "invalid_cursor"


def test_labels_and_accounts_are_listed(box):
    """Labels over HTTP are those of the frame; names are unique within a team."""
    listed = pd.DataFrame(ask(box, "GET", "/v1/labels").json["data"])
    assert listed["id"].tolist() == box.labels["id"].tolist()
    assert not listed.duplicated(["team_id", "name"]).any()
    one = ask(box, "GET", f"/v1/labels/{listed['id'][0]}").json["data"]
    assert one == listed.iloc[0].to_dict()
    account = ask(box, "GET", "/v1/accounts").json["data"][0]
    assert account["phone_number_id"] == box.phone_number_id


@pytest.mark.parametrize(
    ("rule", "root", "numbered"),
    [("optional", 200, 200), ("required", 404, 200), ("refused", 200, 404)],
)
def test_paths_with_the_phone_number(few, rule, root, numbered):
    """Contact paths may, must or must not name the number; labels never do."""
    with sandbox.start(few[0], switches=Switches(phone_number_path=rule)) as box:
        number = box.phone_number_id
        assert label(box, [GOOD]).status == root
        assert label(box, [GOOD], path=f"/v1/{number}/contacts/bulk_label").status == numbered
        assert ask(box, "GET", f"/v1/{number}/contacts").status == numbered
        assert ask(box, "GET", f"/v1/{number}/labels").status == 404
        if numbered == 200:
            other = label(box, [GOOD], path="/v1/999999/contacts/bulk_label")
            assert (other.status, other.code) == (403, "phone_number_forbidden")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/v1/nothing", 404), ("POST", "/v1/12/contacts/bulk_label", 404), ("GET", BULK, 405)],
)
def test_unknown_paths_are_not_the_services_errors(box, method, path, status):
    """What no route knows is answered outside the error envelope."""
    reply = ask(box, method, path)
    assert reply.status == status
    assert reply.headers["Content-Type"] == "text/plain"


# The harness's side


def test_world_can_be_changed(few):
    """Contacts move and vanish, labels vanish, and calls see it at once."""
    frame, ids = few
    with sandbox.start(frame) as box:
        label_id = box.labels["id"].iloc[0]
        assert label(box, [ids["a"], ids["b"]]).counts == (2, 0, 0)
        box.move_contact(ids["a"], "Care")
        box.delete_contact(ids["b"])
        assert label(box, [ids["a"], ids["b"]]).counts == (0, 1, 1)
        assert box.members(label_id) == {ids["a"]}
        assert box.outcome(label_id).to_dict() == {
            ids["a"]: "team_mismatch",
            ids["foreign"]: "cross_org",
            ids["care"]: "team_mismatch",
        }
        box.delete_label(label_id)
        assert label(box, [ids["a"]], label_id=label_id).status == 404
        assert label_id not in set(box.labels["id"])
        with pytest.raises(InvalidInputError):
            box.outcome(label_id)
        with pytest.raises(InvalidInputError):
            box.move_contact(UNKNOWN, "Care")


def test_requests_are_logged(few):
    """The log tells order, ids, key, status and effect of every request, never the API key."""
    frame, ids = few
    with sandbox.start(frame) as box:
        ask(box, "GET", "/v1/me", **{"User-Agent": "probe/1"})
        label(box, [ids["b"], ids["a"]], key="k")
        label(box, [ids["b"], ids["a"]], key="k")
        label(box, ["x"])
        log = box.requests()
        assert log["sequence"].tolist() == [0, 1, 2, 3]
        assert log["seconds"].is_monotonic_increasing
        assert log["status"].tolist() == [200, 200, 200, 400]
        assert log["executed"].tolist() == [False, True, False, False]
        assert log["replayed"].tolist() == [False, False, True, False]
        assert log["try_number"].tolist() == [0, 0, 1, 0]
        assert log["contact_ids"][1] == [ids["b"], ids["a"]]
        assert log["contacts"].tolist() == [0, 2, 2, 1]
        assert log["idempotency_key"][1] == "k"
        assert log["headers"][0]["user-agent"] == "probe/1"
        assert box.api_key not in log.to_json()
        assert "4 requests" in repr(box)


def test_unusable_frames_are_refused(few):
    """A frame without the columns, or with an id twice, is refused with the reason."""
    frame, _ = few
    with pytest.raises(ValueError, match="lacks \\['team'\\]"):
        sandbox.start(frame.drop(columns="team"))
    with pytest.raises(ValueError, match="repeated ids"):
        sandbox.start(pd.concat([frame, frame]))


def test_closing_leaves_nothing(few, capfd):
    """After closing, no thread is left and nothing was printed, even with a client connected."""
    before = set(threading.enumerate())
    box = sandbox.start(few[0])
    connection = http.client.HTTPConnection(box.base_url.split("/")[2], timeout=20)
    connection.request("GET", "/v1/me", headers={"Authorization": f"Bearer {box.api_key}"})
    connection.getresponse().read()
    box.close()
    box.close()
    connection.close()
    assert set(threading.enumerate()) == before
    assert capfd.readouterr() == ("", "")
    assert "closed" in repr(box)


def test_clients_that_hang_up_are_no_error(few, capfd):
    """Half a request, nonsense or a reset changes nothing and prints nothing."""
    with sandbox.start(few[0]) as box:
        host, port = box.base_url.split("/")[2].split(":")
        head = f"POST {BULK} HTTP/1.1\r\nAuthorization: Bearer {box.api_key}\r\n"
        for sent in (b"", b"nonsense\r\n\r\n", (head + "Content-Length: 9\r\n\r\n{").encode()):
            for linger in (0, 1):
                with socket.create_connection((host, int(port)), timeout=20) as connection:
                    connection.sendall(sent)
                    option = struct.pack("ii", linger, 0)
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, option)
        assert label(box, [few[1]["a"]]).counts == (1, 0, 0)
        assert box.requests()["status"].tolist() == [200]
    assert capfd.readouterr() == ("", "")


def test_a_taken_port_is_an_error(few):
    """A second sandbox on the same port is refused by the system."""
    with sandbox.start(few[0]) as box, pytest.raises(OSError, match="in use"):
        sandbox.start(few[0], port=int(box.base_url.split(":")[2].split("/")[0]))


@pytest.mark.parametrize(
    "settings",
    [
        {"write_per_minute": 0},
        {"read_per_minute": "60"},
        {"skipped_share": 0.5},
        {"skipped_share": 2, "contacts": 5},
        {"contacts": -1},
        {"contacts": True},
        {"contacts": pd.NA},
        {"seed": -1},
        {"seed": "one"},
        {"port": 70_000},
        {"port": None},
        {"phone_number_id": 5},
        {"switches": "all"},
        {"faults": {"cut": 1}},
        {"in_progress_wait_seconds": -1},
    ],
)
def test_unusable_settings_are_refused(few, settings):
    """Settings that make no sense raise before anything is served, and say which."""
    with pytest.raises(InvalidInputError, match=rf"{next(iter(settings))}\b") as told:
        sandbox.start(**{"contacts": few[0], **settings})
    assert len(told.traceback) == 1  # the caller's line


def test_client_is_set_up(box, monkeypatch):
    """The sandbox's client has its address and key, whatever the environment names."""
    monkeypatch.setenv("KIRIM_BASE_URL", "https://elsewhere.example/v1")
    monkeypatch.setenv("KIRIM_PHONE_NUMBER_ID", "999999999")
    with box.client() as client:
        assert client.me().organization_id == box.organization_id
        reply = client.bulk_label([GOOD], box.labels["id"].iloc[0], "attach")
        assert (reply.applied, reply.cross_org, reply.team_mismatch) == (0, 1, 0)


# People


def test_sample_contacts_are_seeded_and_plausible():
    """The same seed gives the same people; ids are valid and unique, numbers cannot exist."""
    frame = sandbox.sample_contacts(3000, seed=5)
    pd.testing.assert_frame_equal(frame, sandbox.sample_contacts(3000, seed=5))
    assert not frame.equals(sandbox.sample_contacts(3000, seed=6))
    assert frame["contact_id"].str.fullmatch("ctc_[0-9A-HJKMNP-TV-Z]{26}").all()
    assert frame["contact_id"].is_unique
    assert frame["phone_number"].str.fullmatch(r"\+62000\d{8}").all()
    assert frame["phone_number"].is_unique
    skipped = (frame["organization"] == "foreign") | (frame["team"] != "Sales")
    assert 0.12 <= skipped.mean() <= 0.20
    by_source = skipped.groupby(frame["source"]).mean()
    assert by_source["import"] > 0.4
    assert by_source["ads"] < 0.1


@pytest.mark.parametrize("share", [0.0, 0.05, 0.5, 1.0])
def test_share_of_skips_can_be_chosen(share):
    """The share of skips is as wanted, and exact at nothing and all."""
    frame = sandbox.sample_contacts(4000, seed=1, skipped_share=share)
    skipped = (frame["organization"] == "foreign") | (frame["team"] != "Sales")
    assert skipped.mean() == pytest.approx(share, abs=0.03 if 0 < share < 1 else 0)


def test_messy_spoils_a_stated_share():
    """Blanks, malformed and spaced ids are as many as asked for, and no more."""
    frame = sandbox.sample_contacts(1000, seed=1)
    spoiled = sandbox.messy(frame, seed=2)
    pd.testing.assert_frame_equal(spoiled, sandbox.messy(frame, seed=2))
    ids = spoiled["contact_id"]
    blank = ids.isna() | (ids.fillna("").str.strip() == "")
    good = ids.fillna("").str.fullmatch("ctc_[0-9A-HJKMNP-TV-Z]{26}")
    spaced = ~good & ids.fillna("").str.strip().str.fullmatch("ctc_[0-9A-HJKMNP-TV-Z]{26}")
    assert len(spoiled) == 1030
    assert (blank.sum(), spaced.sum(), (~good & ~blank & ~spaced).sum()) == (20, 20, 10)
    assert ids.dropna().nunique() < len(ids.dropna())
    assert frame.equals(sandbox.sample_contacts(1000, seed=1))


# From outside


def test_import_is_cheap():
    """Importing the sandbox brings neither server nor database."""
    code = "import sys, kirim_pandas.sandbox; print({'sqlite3', 'http.server'} & set(sys.modules))"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert printed.stdout.strip() == "set()", printed.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="SIGTERM ends a process there without a word")
def test_command_line_serves_until_told_to_end(tmp_path):
    """The command prints where it is, answers there, writes the contacts, and ends on SIGTERM."""
    saved = tmp_path / "contacts.csv"
    command = [sys.executable, "-m", "kirim_pandas.sandbox", "--contacts=50", "--applied=changes"]
    command += [
        "--script=0=rate_limited:7",
        "--event=2=expire_key",
        f"--save-contacts={saved}",
        "--messy",
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        printed = ""
        while "Ctrl-C" not in printed:
            line = process.stdout.readline()
            assert line, printed
            printed += line
        host = re.search(r"KIRIM_BASE_URL=http://(\S+)/v1", printed)[1]
        token = re.search(r"KIRIM_API_KEY=(kdv_live_[A-Za-z0-9_-]{24})\n", printed)[1]
        connection = http.client.HTTPConnection(host, timeout=20)
        for expected in (429, 400, 401):
            connection.request("POST", BULK, "{}", {"Authorization": f"Bearer {token}"})
            reply = Reply(connection.getresponse())
            assert reply.status == expected
        connection.close()
        process.send_signal(signal.SIGTERM)
        assert "closed after 3 requests" in process.stdout.read()
        assert process.wait(20) == 0
    assert len(pd.read_csv(saved)) == 52


def test_help_names_every_fault(capsys):
    """--help lists all switches and faults."""
    from dataclasses import fields

    from kirim_pandas.sandbox.__main__ import main
    from kirim_pandas.sandbox.faults import FAULTS

    with pytest.raises(SystemExit):
        main(["--help"])
    printed = capsys.readouterr().out
    assert all(name in printed for name in FAULTS)
    assert all(field.name.replace("_", "-") in printed for field in fields(Switches))


def test_unusable_options_say_so(capsys):
    """A fault nobody knows is a usage error, not a traceback."""
    from kirim_pandas.sandbox.__main__ import main

    with pytest.raises(SystemExit):
        main(["--fault", "nonsense=1"])
    assert "no fault is called 'nonsense'" in capsys.readouterr().err


def test_command_line_names_a_port_in_use(capsys):
    """A port that another program has is one clear line, without the usage."""
    from kirim_pandas.sandbox.__main__ import main

    with sandbox.start(contacts=1) as box:
        port = urlsplit(box.base_url).port
        assert main(["--port", str(port), "--contacts", "1"]) == 2
    told = capsys.readouterr().err.splitlines()
    assert len(told) == 1
    assert f"port {port} is in use; choose another with --port" in told[0]
