"""Each fault of the sandbox goes wrong in just the way it says."""

import contextlib
import gzip
import http.client
import json
import socket

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kirim_pandas import sandbox
from kirim_pandas.sandbox import Faults, Switches
from kirim_pandas.sandbox.faults import FAULTS

ID = "ctc_" + "0" * 26
QUICK = {
    "drop": 0.01,
    "stall_before_commit": 0.01,
    "stall_after_commit": 0.01,
    "trickle": 0.0,
    "trickle_headers": 0.0,
    "huge": 20_000.0,
    "gzip_bomb": 20_000.0,
    "rate_limited": "7",
}


@pytest.fixture
def play():
    """Start a sandbox with one contact and given faults."""
    with contextlib.ExitStack() as stack:
        frame = pd.DataFrame({"contact_id": [ID], "team": ["Sales"]})

        def start(faults, **more):
            return stack.enter_context(sandbox.start(frame, faults=faults, **more))

        yield start


def send(box, *, key="k"):
    """Send one call on a connection of its own, and give all bytes until its end.

    An OSError of the connection is given in place of the bytes.
    """
    body = json.dumps(
        {"contact_ids": [ID], "label_id": box.labels["id"].iloc[0], "operation": "attach"}
    ).encode()
    head = (
        "POST /v1/contacts/bulk_label HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
        f"Authorization: Bearer {box.api_key}\r\nIdempotency-Key: {key}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    ).encode()
    host, port = box.base_url.split("/")[2].split(":")
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        try:
            connection.sendall(head + body)
            received = b""
            while piece := connection.recv(65536):
                received += piece
        except OSError as error:
            return error
    return received


def parse(received):
    """Split a reply into status, headers and body."""
    head, _, body = received.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    return int(first.split()[1]), dict(line.split(": ", 1) for line in lines), body


@pytest.mark.parametrize("name", FAULTS)
def test_fault_executes_as_it_says_and_the_next_call_is_fine(play, capfd, name):
    """A fault changes the truth only if it says so; a repeat then gets the stored reply."""
    box = play(Faults(script={0: name}, values=QUICK if name in QUICK else {}))
    label_id = box.labels["id"].iloc[0]
    executes = FAULTS[name].executes and name != "error_500_kept"
    send(box)
    assert (box.members(label_id) == {ID}) == executes
    status, headers, body = parse(send(box))
    if name == "error_500_kept":
        assert (status, headers["Idempotent-Replayed"]) == (500, "true")
        assert box.members(label_id) == set()
    else:
        assert (status, json.loads(body)["data"]["applied"]) == (200, 1)
        assert ("Idempotent-Replayed" in headers) == executes
        assert box.members(label_id) == {ID}
    log = box.requests()
    assert log["fault"].tolist() == [name, None]
    assert log["executed"].sum() == (0 if name == "error_500_kept" else 1)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    "name", ["refuse", "reset_before_commit", "reset_after_commit", "reset_in_reply"]
)
def test_resets_are_resets(play, name):
    """The client meets a reset connection, not an orderly end."""
    assert isinstance(send(play(Faults(script={0: name}))), ConnectionResetError)


def test_drop_says_nothing(play):
    """A dropped call ends without a byte and without an effect."""
    assert send(play(Faults(script={0: ("drop", 0.01)}))) == b""


def test_cut_replies_end_early(play):
    """Half of the body comes, with and without its length announced."""
    box = play(Faults(script={0: "cut", 1: "cut_without_length"}))
    for announced in (True, False):
        status, headers, body = parse(send(box))
        assert status == 200
        assert ("Content-Length" in headers) == announced
        assert body
        if announced:
            assert len(body) == int(headers["Content-Length"]) // 2
        with pytest.raises(json.JSONDecodeError):
            json.loads(body)


def test_odd_framings(play):
    """Broken chunks, an early hint and a second reply are on the wire as named."""
    box = play(Faults(script={0: "broken_chunks", 1: "early_hint", 2: "second_reply"}))
    _, headers, body = parse(send(box))
    assert headers["Transfer-Encoding"] == "chunked"
    assert body.startswith(b"zz\r\n{")
    hinted = send(box)
    assert hinted.startswith(b"HTTP/1.1 103 ")
    assert hinted.count(b"HTTP/1.1 200 ") == 1
    assert send(box).count(b"HTTP/1.1 200 ") == 2


@pytest.mark.parametrize("name", ["trickle", "trickle_headers", "stall_after_commit"])
def test_slow_replies_are_whole(play, name):
    """A slow reply is in the end the true one."""
    box = play(Faults(script={0: (name, 0.0)}))
    assert json.loads(parse(send(box))[2])["data"]["applied"] == 1


@pytest.mark.parametrize(
    ("name", "status", "content_type", "inside"),
    [
        ("html", 200, "text/html; charset=utf-8", b"<title>Sign in"),
        ("not_found_page", 404, "text/html; charset=utf-8", b"Not Found"),
        ("empty", 200, "application/json; charset=utf-8", b""),
        ("no_content", 204, "application/json; charset=utf-8", b""),
        ("error_403", 403, "application/json; charset=utf-8", b'"permission_error"'),
        ("error_418", 418, "application/json; charset=utf-8", b'"teapot"'),
        ("error_500_before_commit", 500, "application/json; charset=utf-8", b'"internal_error"'),
        ("error_502_after_commit", 502, "text/html; charset=utf-8", b"Bad Gateway"),
        ("error_503_before_commit", 503, "text/html; charset=utf-8", b"Service Unavailable"),
    ],
)
def test_other_replies(play, name, status, content_type, inside):
    """Each wrong reply has its status, type and content."""
    found, headers, body = parse(send(play(Faults(script={0: name}))))
    assert (found, headers["Content-Type"]) == (status, content_type)
    assert inside in body
    if inside == b"":
        assert body == b""


@pytest.mark.parametrize(
    ("name", "applied"),
    [
        ("counts_negative", -1),
        ("counts_float", 1.5),
        ("counts_bool", True),
        ("counts_text", "3"),
        ("counts_missing", "missing"),
        ("counts_too_big", 10**6),
    ],
)
def test_wrong_counts(play, name, applied):
    """Only the named count is wrong; the reply is good JSON otherwise."""
    _, headers, body = parse(send(play(Faults(script={0: name}))))
    content = json.loads(body)
    found = content["data"].get("applied", "missing")
    assert (found, type(found)) == (applied, type(applied))
    assert content["data"]["skipped_cross_org"] == 0
    assert content["request_id"] == headers["X-Request-Id"]


def test_large_and_packed_replies(play):
    """Huge replies have their size, a bomb unpacks to its own, garbage does not unpack."""
    box = play(Faults(script={0: ("huge", 5e4), 1: ("gzip_bomb", 5e6), 2: "gzip_garbage"}))
    assert len(parse(send(box))[2]) > 50_000
    _, headers, body = parse(send(box))
    assert headers["Content-Encoding"] == "gzip"
    assert len(body) < 50_000
    assert len(gzip.decompress(body)) > 5_000_000
    with pytest.raises(gzip.BadGzipFile):
        gzip.decompress(parse(send(box))[2])


@pytest.mark.parametrize("text", ["7", "Wed, 21 Oct 2026 07:28:00 GMT", "1e3", "-1", None])
def test_any_retry_after(play, text):
    """A played 429 carries the given Retry-After, or none, and does nothing."""
    box = play(Faults(script={0: ("rate_limited", text)}))
    status, headers, _ = parse(send(box))
    assert (status, headers.get("Retry-After")) == (429, text)
    assert headers["X-RateLimit-Remaining"] == "60"


def test_redirects_point_where_told(play):
    """A redirect has its status and the given Location."""
    box = play(Faults(script={0: ("redirect_308", "http://127.0.0.1:1/elsewhere")}))
    status, headers, _ = parse(send(box))
    assert (status, headers["Location"]) == (308, "http://127.0.0.1:1/elsewhere")


@pytest.mark.parametrize("shown", [False, True])
def test_rate_headers_on_5xx_are_a_switch(play, shown):
    """Whether a 5xx carries the rate headers is a switch."""
    faults = Faults(script={0: "error_500_before_commit"})
    _, headers, _ = parse(send(play(faults, switches=Switches(rate_headers_on_5xx=shown))))
    assert ("X-RateLimit-Limit" in headers) == shown


# When faults come


@given(
    seed=st.integers(0, 1000),
    keys=st.lists(st.text(min_size=1, max_size=8), min_size=10, max_size=10),
    numbers=st.permutations(range(20)),
)
def test_chance_depends_on_seed_key_and_try_alone(seed, keys, numbers):
    """The same key and try meet the same fault, whatever the order of calls."""
    rates = {"cut": 0.3, "html": 0.3}
    calls = [(key, turn) for key in keys for turn in (0, 1)]

    def names(order):
        faults = Faults(rates=rates, seed=seed)
        chosen = {
            (key, turn): faults.choose(number, key, turn)
            for number, (key, turn) in zip(order, calls, strict=True)
        }
        return {call: fault and fault.name for call, fault in chosen.items()}

    assert names(range(20)) == names(numbers)


def test_chance_comes_as_often_as_asked():
    """Over many keys each fault has about its probability."""
    faults = Faults(rates={"cut": 0.2, "html": 0.1}, seed=1)
    chosen = [faults.choose(0, str(key), 0) for key in range(4000)]
    names = pd.Series([fault.name if fault else "none" for fault in chosen])
    shares = names.value_counts(normalize=True)
    assert shares["cut"] == pytest.approx(0.2, abs=0.03)
    assert shares["html"] == pytest.approx(0.1, abs=0.03)


def test_first_tries_only():
    """A key can be spared from chance after some tries."""
    faults = Faults(rates={"cut": 1.0}, first_tries=2)
    assert [faults.choose(0, "k", turn) is None for turn in range(3)] == [False, False, True]


@pytest.mark.parametrize(
    ("on", "statuses"), [("reads", [502, 200]), ("writes", [200, 502]), ("all", [502, 200])]
)
def test_faults_are_for_reads_writes_or_all(play, on, statuses):
    """Calls are counted, and fail, in the class that was chosen."""
    box = play(Faults(script={0: "error_502_before_commit"}, on=on))
    connection = http.client.HTTPConnection(box.base_url.split("/")[2], timeout=20)
    connection.request("GET", "/v1/me", headers={"Authorization": f"Bearer {box.api_key}"})
    reply = connection.getresponse()
    connection.close()
    assert [reply.status, parse(send(box))[0]] == statuses


def test_events_come_between_calls(play):
    """What the events name happens just before their write call."""
    events = {
        1: ("move_contact", 0, "Care"),
        2: [("move_contact", 0, "Sales"), ("set_write_per_minute", 7)],
        3: ("delete_contact", 0),
        4: "delete_label",
        5: "expire_key",
    }
    box = play(Faults(events=events))
    label_id = box.labels["id"].iloc[0]
    counts = [list(json.loads(parse(send(box, key=str(n)))[2])["data"].values()) for n in range(2)]
    assert counts == [[1, 0, 0], [0, 0, 1]]
    status, headers, _ = parse(send(box, key="2"))
    assert (status, headers["X-RateLimit-Limit"]) == (200, "7")
    assert json.loads(parse(send(box, key="3"))[2])["data"]["skipped_cross_org"] == 1
    assert label_id in set(box.labels["id"])
    send(box, key="4")
    assert label_id not in set(box.labels["id"])
    assert json.loads(parse(send(box, key="5"))[2])["error"]["code"] == "expired_api_key"


def test_others_use_the_same_bucket(play):
    """Another client's writes leave fewer tokens."""
    box = play(Faults(others_per_minute=600), write_per_minute=60)
    send(box)
    box.advance_clock(30)
    assert int(parse(send(box, key="2"))[1]["X-RateLimit-Remaining"]) < 5


def test_clock_may_be_wrong(play):
    """Date and Reset are off together, as with a clock that is set wrongly."""
    box = play(Faults(clock_skew_seconds=-40 * 365 * 86400))
    _, headers, _ = parse(send(box))
    assert " 198" in headers["Date"]
    assert int(headers["X-RateLimit-Reset"]) < 10**9


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"rates": {"nonsense": 0.1}}, "no fault is called 'nonsense'"),
        ({"script": {0: ("nonsense", 1)}}, "no fault is called 'nonsense'"),
        ({"events": {0: "close"}}, "no event is called 'close'"),
        ({"rates": {"cut": 0.7, "html": 0.7}}, "at most 1 in all"),
        ({"rates": {"cut": -0.1}}, "expected probabilities"),
    ],
)
def test_unusable_faults_are_refused(settings, message):
    """Names and probabilities are checked when the settings are made."""
    with pytest.raises(ValueError, match=message):
        Faults(**settings)
