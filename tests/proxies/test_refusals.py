"""A gateway refuses what the service has carried out, or what never reached it."""

import pytest
from support.scenes import counts

import kirim_pandas as kp
from kirim_pandas.api import retry
from kirim_pandas.sandbox import Faults

from .scenes import FAST, Behind, sandbox

PAGE = 'content-type text/html string "<html><title>Blocked</title>Blocked by policy.</html>"'
LAST = 500
"""The last of three batches is smaller, so a rule about sizes can single it out."""

# haproxy puts a page in the place of the reply, once the service has carried the call out.
DENIED_REPLIES = {
    "deny 403": "http-response deny deny_status 403",
    **{
        f"page {status}": f"http-response return status {status} {PAGE}"
        for status in (200, 400, 401, 403, 404, 407, 409, 413, 422, 431, 451, 500, 502, 511)
    },
    **{
        f"redirect {status}": f"http-response return status {status} hdr Location {where}"
        for status, where in (
            (302, "https://portal.test/sso"),
            (303, "/login"),
            (308, "/v2/contacts"),
        )
    },
    "another's JSON": (
        "http-response return status 403 content-type application/json "
        """string '{"error":"forbidden","message":"Access to this resource is denied"}'"""
    ),
    "an empty 404": "http-response return status 404",
}
SIZE_RULE = """
  http-request set-var(txn.size) req.hdr(content-length)
  {rule} if {{ method POST }} {{ var(txn.size) -m int lt 25000 }}
"""


@pytest.fixture(autouse=True)
def _quick_tries(monkeypatch):
    """As many tries as else, with hardly a wait between them."""
    monkeypatch.setattr(retry, "FIRST_SECONDS", 0.02)
    monkeypatch.setattr(retry, "SHORTEST_SECONDS", 0.01)


@pytest.fixture(scope="module")
def box():
    with sandbox(2000 + LAST) as box:
        yield box


def at_full_pace(scene):
    """Let it know the sandbox's limit, of which replies that are replaced do not tell."""
    scene.client._gate.writes.set_limit(FAST)
    return scene


@pytest.fixture
def behind(box, gateway):
    def start(name, op="attach", **settings):
        scene = at_full_pace(Behind(gateway(name, box, **settings), box))
        everybody = box.contacts["contact_id"].tolist()
        box.set_members(scene.label, everybody if op == "detach" else [])
        return scene

    return start


@pytest.mark.parametrize(
    ("rule", "op"),
    [
        *((rule, "attach") for rule in DENIED_REPLIES),
        ("deny 403", "detach"),
        ("page 404", "detach"),
    ],
)
def test_a_refused_reply_leaves_its_call_in_doubt(behind, rule, op):
    """Whatever stands in the place of the replies, nobody who was touched is called untouched."""
    scene = behind("haproxy", op, rules=DENIED_REPLIES[rule])
    result = scene.run(op)
    assert scene.error is not None
    assert counts(result).get("unknown", 0) >= 1000
    assert set(result.loc[result["status"] == "unknown", "reason"]) == {"no_reply"}
    assert "API key was not accepted" not in scene.message
    assert "key's organisation" not in scene.message
    keys = set(scene.box.requests()["idempotency_key"])
    scene.gateway.configure()
    assert counts(scene.resume(op)) == {"applied": 2000 + LAST}
    assert scene.error is None
    again = scene.box.requests()
    assert again[again["idempotency_key"].isin(keys)]["executed"].sum() <= len(keys)


@pytest.mark.parametrize("rule", ["deny 403", "page 413", "page 400", "page 404", "redirect 302"])
def test_a_refused_reply_in_the_middle_of_a_run(behind, rule):
    """What was known before the refusal stays known, and a resume settles the rest."""
    rules = SIZE_RULE.format(rule=DENIED_REPLIES[rule])
    scene = behind("haproxy", rules=rules)
    result = scene.run()
    assert scene.error is not None
    assert counts(result) == {"applied": 2000, "unknown": LAST}
    scene.gateway.configure()
    assert counts(scene.resume()) == {"applied": 2000 + LAST}


@pytest.mark.parametrize("rule", ["page 403", "page 400", "page 502"])
def test_a_refused_reply_to_a_probe(gateway, rule):
    """Questions whose replies are refused leave rows open, which a resume settles."""
    refused = DENIED_REPLIES[rule] + " if { method POST } { var(txn.size) -m int lt 20000 }"
    size = "http-request set-var(txn.size) req.hdr(content-length)\n  "
    with sandbox(1000, skipped_share=0.01) as box:
        scene = at_full_pace(Behind(gateway("haproxy", box, rules=size + refused), box))
        scene.run()
        assert scene.error is not None
        assert kp.runs()["state"].iloc[0] != "finished"
        scene.gateway.configure()
        assert set(counts(scene.resume())) == {"applied", "skipped"}


@pytest.mark.parametrize(
    "rules",
    [
        "reply_body_max_size 10 bytes",
        "acl json rep_mime_type application/json\nhttp_reply_access deny json",
    ],
    ids=["size", "type"],
)
def test_squid_refuses_replies_by_size_or_type(behind, rules):
    """squid's own 403 in the place of a reply says nothing about the call."""
    scene = behind("squid", rules=rules)
    result = scene.run()
    assert counts(result).get("unknown", 0) >= 1000
    assert "key's organisation" not in scene.message
    scene.gateway.configure()
    assert counts(scene.resume()) == {"applied": 2000 + LAST}


@pytest.mark.parametrize("status", [400, 401, 403, 404, 407, 413, 451, 511, 302, 503])
def test_nginx_refuses_before_the_service(behind, status):
    """A page from before the service is not believed either, though nothing was done."""
    location = (
        f"return {status} https://portal.test/login;" if status == 302 else f"return {status};"
    )
    scene = behind("nginx", location=location)
    result = scene.run()
    assert scene.error is not None
    assert set(counts(result)) <= {"unknown", "not_sent"}
    assert "API key was not accepted" not in scene.message
    assert len(scene.box.members(scene.label)) == 0
    scene.gateway.configure()
    assert counts(scene.resume()) == {"applied": 2000 + LAST}


def test_a_login_portal_is_named(behind):
    """A redirect to another host is shown as the login that it is, without its query."""
    scene = behind("nginx", location="return 302 https://portal.test/sso?back=secret;")
    scene.run()
    assert "https://portal.test/sso" in scene.message
    assert "login" in scene.message
    assert "secret" not in scene.message
    assert "base_url" not in scene.message


BIG = "client_max_body_size 20k;"


@pytest.mark.parametrize(
    "server",
    [
        BIG,
        BIG + "error_page 413 =400 /big; location = /big { return 400; }",
        BIG + "error_page 413 =502 /big; location = /big { return 502; }",
    ],
    ids=["413", "as 400", "as 502"],
)
def test_a_limit_of_body_size_costs_only_requests(behind, server):
    """Where large bodies are refused, whatever the status, smaller calls do the work."""
    scene = behind("nginx", server=server)
    assert counts(scene.run()) == {"applied": 2000 + LAST}
    assert scene.error is None


def test_a_gateway_that_strips_the_key(gateway):
    """Where no idempotency key arrives, a call that goes twice is done twice, and rows are true."""
    lost = Faults(script={1: "reset_after_commit", 3: "reset_after_commit"})
    with sandbox(2200, skipped_share=0.004, faults=lost) as box:
        nginx = gateway("nginx", box, location='proxy_set_header Idempotency-Key "";')
        scene = Behind(nginx, box)
        assert set(counts(scene.run())) == {"applied", "skipped"}
        assert box.requests()["idempotency_key"].isna().all()


STRIPPED = {
    "nginx": {"location": 'proxy_set_header Idempotency-Key "";'},
    "haproxy": {"rules": "http-request del-header Idempotency-Key"},
    "varnish": {"subroutines": "sub vcl_recv { unset req.http.Idempotency-Key; return (pass); }"},
    "squid": {"rules": "request_header_access Idempotency-Key deny all"},
    "haproxy, replies": {"rules": "http-response del-header Idempotent-Replayed"},
}


@pytest.mark.parametrize("name", STRIPPED)
def test_a_stripped_key_is_told_of_once(gateway, name):
    """Where an answered call is carried out once more, one warning tells what is taken out."""
    broken = Faults(script={1: "counts_missing", 3: "cut_without_length"})
    with sandbox(2200, faults=broken) as box:
        scene = Behind(gateway(name.partition(",")[0], box, **STRIPPED[name]), box)
        with pytest.warns(UserWarning, match="takes out Idempotency-Key") as told:
            assert counts(scene.run()) == {"applied": 2200}
        assert len(told) == 1
        assert len(box.requests()) == 5


def test_keys_that_arrive_are_not_told_of(gateway):
    """Through a gateway that passes keys and marks on, the same faults give no warning."""
    broken = Faults(script={1: "counts_missing", 3: "cut_without_length"})
    with sandbox(2200, faults=broken) as box:
        scene = Behind(gateway("nginx", box), box)
        assert counts(scene.run()) == {"applied": 2200}  # a warning would be an error
