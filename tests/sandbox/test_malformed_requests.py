"""Whatever is sent to the sandbox, it answers in its error envelope and goes on."""

import base64
import json
import socket

import pytest

from kirim_pandas import sandbox

NESTED = b"[" * 100_000


@pytest.fixture(scope="module")
def box():
    with sandbox.start(30, write_per_minute=60_000, read_per_minute=60_000) as box:
        yield box


def say(box, request):
    """Send bytes, read until the other side hangs up: status and content."""
    with socket.create_connection(("127.0.0.1", int(box.base_url.split(":")[2][:-3])), 10) as line:
        line.settimeout(10)
        line.sendall(request)
        line.shutdown(socket.SHUT_WR)
        reply = b""
        while piece := line.recv(65536):
            reply += piece
    head, _, body = reply.partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body) if body else None


def post(box, body, *headers):
    lines = [
        "POST /v1/contacts/bulk_label HTTP/1.1",
        "Host: x",
        f"Authorization: Bearer {box.api_key}",
        "Connection: close",
        *headers,
    ]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


def get(box, path, method="GET"):
    head = f"{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
    return f"{head}Authorization: Bearer {box.api_key}\r\n\r\n".encode("latin-1")


def cursor(content):
    return base64.urlsafe_b64encode(content).decode()


@pytest.mark.parametrize(
    "make",
    [
        lambda box: post(box, NESTED, f"Content-Length: {len(NESTED)}"),
        *(
            lambda box, length=length: post(box, b"{}", f"Content-Length: {length}")
            for length in ("two", "-2", "\xb2", "9" * 5000, "+2", "0x2")
        ),
        lambda box: post(box, b"zz\r\n", "Transfer-Encoding: chunked"),
        lambda box: post(box, b"fffffff\r\n", "Transfer-Encoding: chunked"),
        lambda box: get(box, "/v1/contacts?limit=" + "9" * 5000),
        lambda box: get(box, "/v1/contacts?limit=%C2%B2"),
        lambda box: get(box, "/v1/contacts?cursor=" + cursor(b"[" * 20_000)),
        lambda box: get(box, "/v1/contacts?cursor=" + cursor(b'[1e400, "x"]')),
        lambda box: get(box, "http://[/v1/contacts"),
        lambda box: get(box, "/v1/me", method="BREW"),
        lambda box: b"what is this\r\n\r\n",
    ],
)
def test_every_malformed_request_gets_an_envelope(box, make):
    """A length, a body, a limit or a cursor that cannot be is a 4xx with type, code and id."""
    status, content = say(box, make(box))
    assert 400 <= status < 500
    assert {"type", "code", "message", "request_id"} <= set(content["error"])
    assert say(box, get(box, "/v1/me"))[0] == 200
    assert len(box.requests())


def test_a_chunked_body_is_read(box):
    """A body in pieces is the same as a body in one."""
    label, ids = box.labels["id"].iloc[0], box.contacts["contact_id"].tolist()
    body = json.dumps({"contact_ids": ids, "label_id": label, "operation": "attach"}).encode()
    pieces = b"".join(
        b"%x\r\n%s\r\n" % (len(body[at : at + 100]), body[at : at + 100])
        for at in range(0, len(body), 100)
    )
    status, content = say(box, post(box, pieces + b"0\r\n\r\n", "Transfer-Encoding: chunked"))
    assert status == 200
    assert sum(content["data"].values()) == 30


def test_head_is_served(box):
    """HEAD is a read that gives the status and no body."""
    assert say(box, get(box, "/v1/contacts", method="HEAD")) == (200, None)
    assert box.requests()["method"].iloc[-1] == "HEAD"
