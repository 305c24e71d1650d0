"""A new label: checked here, made once, and refused in words that help."""

import numpy as np
import pytest
from support.scripted_server import ScriptedServer, error, reply

import kirim_pandas as kp
from kirim_pandas.api import retry

KEY = "kdv_live_" + "Zx9" * 8
LABEL = f"lbl_{'0' * 26}"
MADE = reply(
    201, {"data": {"id": LABEL, "object": "label", "name": "VIP"}, "request_id": "req_00000001"}
)
LISTED = reply(
    200,
    {
        "data": [{"id": LABEL, "name": "VIP", "color": "red", "team_id": "t1"}],
        "has_more": False,
        "request_id": "req_00000001",
    },
)


@pytest.fixture
def play(monkeypatch):
    monkeypatch.setattr(retry, "FIRST_SECONDS", 0.01)
    servers = []

    def start(*steps):
        servers.append(ScriptedServer(steps))
        return servers[-1], kp.Client(KEY, base_url=servers[-1].base_url)

    yield start
    for server in servers:
        server.__exit__()


def test_a_label_is_made_and_its_id_returned(play):
    """What is asked for arrives, with an idempotency key; nothing that is not given is sent."""
    server, client = play(MADE)
    assert kp.create_label(np.str_("VIP"), color="red", client=client) == LABEL
    (arrived,) = server.arrived
    assert arrived.line == "POST /v1/labels HTTP/1.1"
    assert arrived.json == {"name": "VIP", "color": "red"}
    assert arrived.headers["idempotency-key"]


def test_a_retry_has_the_same_key(play):
    """A failure that may have made the label is asked again under one key, so one label is made."""
    server, client = play(error(503, "internal_error"), MADE)
    assert kp.create_label("VIP", team_id="t1", client=client) == LABEL
    assert len({arrived.headers["idempotency-key"] for arrived in server.arrived}) == 1
    assert [arrived.json for arrived in server.arrived] == [{"name": "VIP", "team_id": "t1"}] * 2


@pytest.mark.parametrize(
    ("code", "param", "told"),
    [
        ("invalid_field_value", "name", r"has a label of this name: kirim_pandas\.labels\(\)"),
        ("missing_required_field", "team_id", "Pass team_id="),
    ],
)
def test_refusals_say_what_to_do(play, code, param, told):
    """A name that is taken, and a team that is missing, are told with the way out."""
    told_by_service = {
        "type": "invalid_request_error",
        "code": code,
        "message": "no",
        "param": param,
        "request_id": "req_00000001",
    }
    _server, client = play(reply(400, {"error": told_by_service}))
    with pytest.raises(kp.InvalidRequestError, match=told):
        kp.create_label("VIP", client=client)


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"name": ""}, "name: found"),
        ({"name": "x" * 51}, "name: found"),
        ({"name": None}, "name: found"),
        ({"color": "purple"}, "color: found 'purple', expected one of gray"),
        ({"team_id": ""}, "team_id: found"),
        ({"team_id": 7}, "team_id: found"),
    ],
)
def test_what_cannot_be_a_label_is_not_sent(play, wrong, told):
    """Name, colour and team are checked before anything is sent."""
    server, client = play(MADE)
    with pytest.raises(kp.InvalidInputError, match=told):
        kp.create_label(**({"name": "VIP"} | wrong), client=client)
    assert server.arrived == []


def test_a_new_label_makes_the_list_be_read_again(play):
    """After a label was made the remembered list is out of date: a name is looked up afresh."""
    server, client = play(LISTED, MADE, LISTED)
    frame = kp.sandbox.sample_contacts(20, seed=1)
    for _ in range(2):
        assert frame.kirim.plan("VIP", "attach", client=client).label_id == LABEL
    kp.create_label("VIP", team_id="t2", client=client)
    frame.kirim.plan("VIP", "attach", client=client)
    methods = [arrived.line.split()[0] for arrived in server.arrived]
    assert methods == ["GET", "POST", "GET"]
