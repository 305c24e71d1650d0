"""The client, over real sockets: what arrives at a server, and what comes of its replies."""

from __future__ import annotations

import base64
import builtins
import inspect
import logging
import pickle
import socket
import ssl
import struct
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from itertools import islice
from typing import Self
from urllib.parse import quote

import httpx
import pytest
from support.model_service import FakeTime
from support.scripted_server import ScriptedServer, Step, counts, error, reply

from kirim_pandas.api import caller as calls
from kirim_pandas.api import client as clients
from kirim_pandas.api import retry
from kirim_pandas.api.client import Client, Timeouts
from kirim_pandas.api.deadline import Deadline
from kirim_pandas.api.failures import MEANINGS, translated
from kirim_pandas.api.models import Account, BulkLabelReply, Contact, Label, Me, Request
from kirim_pandas.api.proxies import proxy_for
from kirim_pandas.api.retry import CallStopped
from kirim_pandas.api.transport import HTTP_LOGGERS, USER_AGENT
from kirim_pandas.errors import (
    ApiError,
    AuthenticationError,
    ConfigurationError,
    ConflictError,
    InvalidInputError,
    InvalidRequestError,
    KirimError,
    NotFoundError,
    PermissionDeniedError,
    ProtocolError,
    RateLimitedError,
    ServerError,
    TransportError,
)

KEY = "kdv_live_AbC-xYz_0123456789qwerty"
PIECES = {KEY[i : i + 8] for i in range(len(KEY) - 7)}
LABEL = "lbl_01HXYZABCDEFGHJKMNPQRSTVWX"
IDS = [f"ctc_{i:026d}" for i in (3, 1, 2)]
LIMITS = {"X_RateLimit_Limit": "60000", "X_RateLimit_Remaining": "59999"}
GOOD = counts(3, **LIMITS)


@pytest.fixture(autouse=True)
def _fast(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no test wait: a large bucket, no jitter, short waits for what is in progress."""
    monkeypatch.setattr(calls, "DOCUMENTED_WRITES_PER_MINUTE", 60_000)
    monkeypatch.setattr(calls, "DOCUMENTED_READS_PER_MINUTE", 60_000)
    monkeypatch.setattr(calls.random, "uniform", lambda low, high: 0.0)
    monkeypatch.setattr(retry, "IN_PROGRESS_SECONDS", (0.01,))
    for name in ("KIRIM_API_KEY", "KIRIM_KEY", "KIRIM_BASE_URL", "KIRIM_PHONE_NUMBER_ID"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def play() -> Iterator[Callable[..., ScriptedServer]]:
    """Make servers that play steps, and close them in the end."""
    servers: list[ScriptedServer] = []

    def start(*steps: Step) -> ScriptedServer:
        servers.append(ScriptedServer(steps))
        return servers[-1].__enter__()

    yield start
    for server in servers:
        server.__exit__()


def client_of(server: ScriptedServer, **settings: object) -> Client:
    return Client(KEY, base_url=server.base_url, **settings)  # type: ignore[arg-type]


class RawServer:
    """Reads a little, says the next of its texts, and so on, and hangs up."""

    def __init__(self, *says: bytes) -> None:
        self.connections = 0
        self._says = says
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(5)

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            connection.settimeout(5)
            with connection, suppress(OSError):
                for text in self._says:
                    connection.recv(65_536)
                    connection.sendall(text)
                connection.recv(65_536)  # else a reset may overtake the text


def label(server: ScriptedServer, *, max_tries: int = 3, **settings: object) -> BulkLabelReply:
    with client_of(server, max_tries=max_tries, **settings) as client:
        return client.bulk_label(IDS, LABEL, "attach")


def drop(connection: socket.socket) -> None:
    """Close without a word."""


def reset(connection: socket.socket) -> None:
    """Send a part of a reply, then a reset."""
    connection.sendall(GOOD[:40])
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def cut(connection: socket.socket) -> None:
    """Send less than was announced."""
    connection.sendall(GOOD[:-5])


def cut_without_length(connection: socket.socket) -> None:
    """Send a cut reply that nothing but its content gives away."""
    connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n" + GOOD.split(b"\r\n\r\n")[1][:-5])


def trickle(text: bytes) -> Step:
    """Send a byte now and then, so that no single read takes long."""

    def step(connection: socket.socket) -> None:
        for byte in text:
            connection.sendall(bytes([byte]))
            time.sleep(0.02)

    return step


def test_everything_arrives(play: Callable[..., ScriptedServer]) -> None:
    """Ids in their order, label, operation, key, both headers and the path reach the server."""
    server = play(GOOD)
    with client_of(server, phone_number_id="123456789") as client:
        assert client.bulk_label(iter(IDS), LABEL, "detach", idempotency_key="k1").applied == 3
        assert client.target == f"{server.base_url}/123456789/contacts/bulk_label"
    (arrived,) = server.arrived
    assert arrived.line == "POST /v1/123456789/contacts/bulk_label HTTP/1.1"
    assert arrived.json == {"contact_ids": IDS, "label_id": LABEL, "operation": "detach"}
    assert arrived.headers["authorization"] == f"Bearer {KEY}"
    assert arrived.headers["idempotency-key"] == "k1"
    assert arrived.headers["user-agent"] == USER_AGENT
    assert arrived.headers["accept-encoding"] == "identity"
    assert arrived.headers["content-type"] == "application/json"
    assert "cookie" not in arrived.headers


def test_settings_come_from_the_environment(
    play: Callable[..., ScriptedServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Key, address and number are taken from the environment where no argument is given."""
    server = play(GOOD)
    monkeypatch.setenv("KIRIM_KEY", KEY)
    monkeypatch.setenv("KIRIM_BASE_URL", server.base_url + "/")
    monkeypatch.setenv("KIRIM_PHONE_NUMBER_ID", "1234567")
    Client().bulk_label(IDS, LABEL, "attach")
    assert server.arrived[0].line == "POST /v1/1234567/contacts/bulk_label HTTP/1.1"


def test_each_call_has_its_own_key(play: Callable[..., ScriptedServer]) -> None:
    """Without a key given, each call gets a fresh one."""
    server = play(GOOD)
    client = client_of(server)
    for _ in range(3):
        client.bulk_label(IDS, LABEL, "attach")
    assert len({a.headers["idempotency-key"] for a in server.arrived}) == 3


@pytest.mark.parametrize(
    "step",
    [
        pytest.param(drop, id="dropped"),
        pytest.param(reset, id="reset in the reply"),
        pytest.param(cut, id="cut"),
        pytest.param(cut_without_length, id="cut without length"),
        pytest.param(b"SSH-2.0-x\r\n", id="not HTTP"),
        pytest.param(reply(200, b""), id="empty"),
        pytest.param(reply(204, b""), id="204"),
        pytest.param(reply(200, b"<html>"), id="web page"),
        pytest.param(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz", id="bad chunk"),
        pytest.param(reply(200, b"x", headers={"Content-Encoding": "gzip"}), id="bad gzip"),
        pytest.param(reply(200, b"{}", headers={"X": "y" * 200_000}), id="huge header"),
        pytest.param(counts(-1), id="negative count"),
        pytest.param(counts(4), id="count above the ids"),
        pytest.param(error(500, "internal_error"), id="500"),
        pytest.param(reply(502, b"<html>"), id="502"),
        pytest.param(error(503, "x", Retry_After="0"), id="503"),
        pytest.param(reply(408), id="408"),
        pytest.param(error(409, "idempotency_in_progress"), id="in progress"),
        pytest.param(error(429, "rate_limit_exceeded", Retry_After="0.01"), id="429"),
    ],
)
def test_retries_are_the_same_request(play: Callable[..., ScriptedServer], step: Step) -> None:
    """After a lost or failed try the very same bytes go again under the same key."""
    server = play(step, step, counts(2, 1, Idempotent_Replayed="true"))
    found = label(server)
    assert found == BulkLabelReply(2, 1, 0, "req_00000003", replayed=True)
    assert len(server.arrived) == 3
    assert len({a.body for a in server.arrived}) == 1
    assert len({a.headers["idempotency-key"] for a in server.arrived}) == 1


ENDS = [
    (error(400, "invalid_field_value"), InvalidRequestError, False, 1),
    (error(401, "expired_api_key"), AuthenticationError, False, 1),
    (error(403, "phone_number_forbidden"), PermissionDeniedError, False, 1),
    (error(404, "resource_not_found"), NotFoundError, False, 1),
    (reply(404, b"nothing here"), NotFoundError, True, 1),
    (error(409, "idempotency_conflict"), ConflictError, True, 1),
    (error(413, "too_large"), InvalidRequestError, False, 1),
    (error(418, "teapot"), ApiError, False, 1),
    (error(422, "idempotency_key_reuse"), InvalidRequestError, True, 1),
    (error(429, "rate_limit_exceeded", Retry_After="86400"), RateLimitedError, False, 1),
    (error(500, "internal_error"), ServerError, True, 4),
    (reply(307, headers={"Location": "https://new.test/v1"}), ConfigurationError, True, 1),
    (reply(200, b"<html><title>Log in</title>"), ProtocolError, True, 3),
    (counts(9), ProtocolError, True, 3),
    (reply(200, b"{"), ProtocolError, True, 4),
    (reply(200, b" " * 1_100_000), ProtocolError, True, 3),
    (drop, TransportError, True, 4),
]


@pytest.mark.parametrize(("step", "kind", "maybe_applied", "tries"), ENDS)
def test_each_end_has_its_error(
    play: Callable[..., ScriptedServer],
    step: Step,
    kind: type[KirimError],
    maybe_applied: bool,
    tries: int,
) -> None:
    """Each end is its error, after its number of tries; it pickles, and nothing shows the key."""
    server = play(step)
    with pytest.raises(kind) as caught:
        label(server, max_tries=4)
    ended = caught.value
    assert type(ended) is kind
    assert ended.maybe_applied is maybe_applied
    assert len(server.arrived) == tries
    assert str(pickle.loads(pickle.dumps(ended))) == str(ended)
    assert_hidden(ended)


def assert_hidden(ended: BaseException) -> None:
    """Neither the error, nor what it came from, nor a local of any frame shows the key.

    Frames of the HTTP library hold the key in objects whose repr may change, so there are none.
    """
    assert ended.__cause__ is None
    assert ended.__context__ is None
    frames = traceback.TracebackException.from_exception(ended, capture_locals=True)
    printed = "".join(frames.format())
    assert not any("httpx" in f.filename or "httpcore" in f.filename for f in frames.stack)
    shown = printed + repr(ended) + repr(vars(ended))
    assert not any(piece in shown for piece in PIECES)


def test_an_echo_of_the_key_is_not_shown(
    play: Callable[..., ScriptedServer], caplog: pytest.LogCaptureFixture
) -> None:
    """A server that repeats the key in all it says does not get it into an error or a log."""
    caplog.set_level(1)
    server = play(
        error(401, KEY, message=f"bad {KEY} {KEY[5:]}", X_Request_Id=KEY, Location=KEY),
        reply(200, f"<title>{KEY}</title>".encode()),
    )
    for kind in (AuthenticationError, ProtocolError):
        with pytest.raises(kind) as caught:
            label(server, max_tries=1)
        assert_hidden(caught.value)
    ours = [r.getMessage() for r in caplog.records if r.name == "kirim_pandas"]
    assert len(ours) == 2
    assert not any(piece in line for piece in PIECES for line in ours)
    assert not any(contact in caplog.text for contact in IDS)


def test_ctrl_c_on_the_wire_does_not_show_the_key(
    play: Callable[..., ScriptedServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An interrupt leaves without the frames that hold the key, and the client works on."""
    server = play(GOOD)
    client = client_of(server)

    def interrupt(self: Deadline, event: str, info: object) -> None:
        if event == "http11.receive_response_headers.started":
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Deadline, "trace", interrupt)
        with pytest.raises(KeyboardInterrupt) as caught:
            client.bulk_label(IDS, LABEL, "attach")
    assert_hidden(caught.value)
    assert client.bulk_label(IDS, LABEL, "attach").applied == 3


def test_the_client_does_not_show_or_give_the_key(play: Callable[..., ScriptedServer]) -> None:
    """No print of a client or of its parts shows the key, and it is not pickled."""
    server = play(GOOD)
    client = client_of(server)
    client.bulk_label(IDS, LABEL, "attach")
    shown = repr(client) + str(client) + repr(vars(client))
    assert not any(piece in shown for piece in PIECES)
    with pytest.raises(TypeError):
        pickle.dumps(client)


def test_settings_are_checked() -> None:
    """A missing key or an impossible setting is an error at once, and shows no key."""
    with pytest.raises(ConfigurationError, match="KIRIM_API_KEY"):
        Client()
    for settings in (
        {"share": 0.0},
        {"share": 1.1},
        {"max_tries": 0},
        {"base_url": "http://x.test"},
    ):
        with pytest.raises(ConfigurationError) as caught:
            Client(KEY, **settings)  # type: ignore[arg-type]
        assert_hidden(caught.value)


def test_bad_arguments_are_not_sent(play: Callable[..., ScriptedServer]) -> None:
    """An unusable argument is refused, and nothing reaches the server."""
    server = play(GOOD)
    client = client_of(server)
    for arguments in ((IDS[0], "lbl_x", "attach"), ([], LABEL, "attach"), (IDS, LABEL, "Attach")):
        with pytest.raises(InvalidInputError):
            client.bulk_label(*arguments)
    for key in ("", "a b", "k" * 256, "ключ"):
        with pytest.raises(InvalidInputError):
            client.bulk_label(IDS, LABEL, "attach", idempotency_key=key)
    with pytest.raises(InvalidInputError):
        client.label("../me")
    with pytest.raises(InvalidInputError):
        client.contacts(search="")
    assert server.arrived == []


def test_no_redirect_is_followed(play: Callable[..., ScriptedServer]) -> None:
    """Nothing, and so no key, reaches the host that a redirect names."""
    second = play(GOOD)
    for status in (301, 302, 303, 307, 308):
        first = play(reply(status, headers={"Location": f"{second.base_url}/x"}))
        with pytest.raises(ConfigurationError, match=f"redirect to {second.base_url}/x "):
            label(first)
        assert len(first.arrived) == 1
    assert second.arrived == []


def test_cookies_are_not_sent_back(play: Callable[..., ScriptedServer]) -> None:
    """A cookie that a server sets is forgotten."""
    server = play(error(500, "x", Set_Cookie="a=b"), GOOD)
    label(server)
    assert all("cookie" not in a.headers for a in server.arrived)


def test_a_second_reply_is_not_taken_for_the_next(play: Callable[..., ScriptedServer]) -> None:
    """Bytes that a server sends too many are never the reply to another request."""
    server = play(counts(1) + counts(3), counts(2))
    client = client_of(server)
    assert client.bulk_label(IDS, LABEL, "attach").applied == 1
    assert client.bulk_label(IDS, LABEL, "attach").applied == 2


@pytest.mark.parametrize("text", [GOOD * 2, b"HTTP/1.1 200 OK\r\n\r\n" + b" " * 300])
def test_a_trickling_reply_is_cut(play: Callable[..., ScriptedServer], text: bytes) -> None:
    """A reply that comes byte by byte, headers or body, ends with the time of the whole try."""
    server = play(trickle(text))
    with pytest.raises(TransportError, match=r"did not finish its reply in 0\.2 s") as caught:
        label(server, max_tries=1, timeouts=Timeouts(try_seconds=0.2))
    assert caught.value.maybe_applied


def test_timeouts_arrive(play: Callable[..., ScriptedServer]) -> None:
    """The read timeout that was set is the one that ends a silent try."""
    hold = threading.Event()
    server = play(lambda connection: (hold.wait(5), None)[1])
    with pytest.raises(TransportError, match="did not answer in time") as caught:
        label(server, max_tries=1, timeouts=Timeouts(read_seconds=0.1))
    hold.set()
    assert caught.value.maybe_applied


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def test_connection_refused() -> None:
    """A closed port is certainly not applied, and is tried as often as the client is set."""
    client = Client(KEY, base_url=f"http://127.0.0.1:{closed_port()}/v1", max_tries=2)
    waits: list[str] = []
    with pytest.raises(TransportError, match=r"cannot connect to 127\.0\.0\.1") as caught:
        client.bulk_label(
            IDS, LABEL, "attach", on_wait=lambda reason, seconds: waits.append(reason)
        )
    assert not caught.value.maybe_applied
    assert_hidden(caught.value)


def test_tls_cut_in_the_handshake(play: Callable[..., ScriptedServer]) -> None:
    """A handshake that breaks is certainly not applied."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=lambda: listener.accept()[0].close())
        thread.start()
        client = Client(KEY, base_url=f"https://127.0.0.1:{listener.getsockname()[1]}", max_tries=1)
        with pytest.raises(TransportError, match="cannot connect") as caught:
            client.bulk_label(IDS, LABEL, "attach")
        thread.join()
    assert not caught.value.maybe_applied


def test_unknown_host(monkeypatch: pytest.MonkeyPatch) -> None:
    """A host that is not found at the first request is an error at once, that names it."""
    asked: list[object] = []

    def resolve(*args: object, **kwargs: object) -> None:
        asked.append(args[0])
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    monkeypatch.setenv("NO_PROXY", "*")
    with pytest.raises(TransportError, match=r"typo\.test is not found: check base_url"):
        Client(KEY, base_url="https://typo.test/v1").me()
    assert asked == ["typo.test"]


def test_untrusted_certificate() -> None:
    """A certificate that is not trusted is not tried again; the message says what to do."""
    cause = ssl.SSLCertVerificationError(1, "certificate verify failed")
    cause.verify_message = "certificate has expired"
    failure = httpx.ConnectError("x")
    failure.__cause__ = cause
    found = translated(failure, host="kirim.test")
    assert found.tries_allowed == 1
    assert not found.maybe_applied
    for part in ("kirim.test", "certificate has expired", "ca_bundle=", "SSL_CERT_FILE"):
        assert part in str(found)


def test_unreadable_certificates_are_a_setting() -> None:
    """A ca_bundle that cannot be read is named as the setting to check."""
    with pytest.raises(ConfigurationError, match="ca_bundle"):
        Client(KEY, base_url="https://127.0.0.1:1", ca_bundle="/does/not/exist").me()


def test_every_exception_of_httpx_has_its_meaning() -> None:
    """Each exception of httpx is known by name, and none decides whether the call had left."""
    kinds = [k for _, k in inspect.getmembers(httpx, inspect.isclass) if issubclass(k, Exception)]
    assert len(kinds) > 20
    for kind in kinds:
        if issubclass(kind, httpx.TransportError) and not kind.__subclasses__():
            assert kind.__name__ in MEANINGS
        failure = kind.__new__(kind)
        for left in (True, False):
            found = translated(failure, host="kirim.test", maybe_applied=left)
            assert found.maybe_applied is left
            assert "{" not in str(found)
    assert {*MEANINGS} - {"Exception"} <= {kind.__name__ for kind in kinds}


def test_proxy_for_others_but_not_for_this_computer(
    play: Callable[..., ScriptedServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A proxy of the environment is used for other hosts, never for this computer."""
    proxy, server = play(GOOD), play(GOOD)
    for name in ("HTTP_PROXY", "http_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    assert label(server).applied == 3
    assert proxy.arrived == []
    client = Client(KEY, base_url="http://kirim.test/v1", allow_http=True)
    assert client.bulk_label(IDS, LABEL, "attach").applied == 3
    assert proxy.arrived[0].line.startswith("POST http://kirim.test/v1/contacts/bulk_label")


def test_proxy_that_asks_for_a_login(
    play: Callable[..., ScriptedServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A proxy that wants a login is not tried again, and its password is not shown."""
    proxy = play(reply(407))
    for name in ("HTTPS_PROXY", "https_proxy"):
        monkeypatch.setenv(name, f"http://me:hunter2@127.0.0.1:{proxy.port}")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(TransportError, match="asks for a login") as caught:
        Client(KEY, base_url="https://kirim.test/v1").bulk_label(IDS, LABEL, "attach")
    assert len(proxy.arrived) == 1
    assert "hunter2" not in str(caught.value)
    assert not caught.value.maybe_applied


def test_stored_failure_gets_a_new_key_only_where_the_key_is_ours(
    play: Callable[..., ScriptedServer],
) -> None:
    """A stored failure is raised as such for a key given, and re-keyed for our own."""
    stored = error(500, "internal_error", Idempotent_Replayed="true")
    server = play(error(500, "internal_error"), stored, stored, GOOD)
    assert label(server, max_tries=8).applied == 3
    assert len({a.headers["idempotency-key"] for a in server.arrived}) == 2
    server = play(stored)
    with pytest.raises(ServerError) as caught:
        client_of(server).bulk_label(IDS, LABEL, "attach", idempotency_key="mine")
    assert caught.value.replayed
    assert len(server.arrived) == 2


def test_an_earlier_doubt_stays(play: Callable[..., ScriptedServer]) -> None:
    """A refusal after a lost reply still says that the call may have been carried out."""
    with pytest.raises(AuthenticationError) as caught:
        label(play(drop, error(401, "expired_api_key")))
    assert caught.value.maybe_applied


def test_waits_are_told_and_stopped(play: Callable[..., ScriptedServer]) -> None:
    """Each wait worth telling is told with its reason, and ends at once with the stop."""
    told: list[tuple[str, float]] = []
    for step, reason, maybe in (
        (error(429, "x", Retry_After="30"), "rate limit reached (429)", False),
        (
            error(503, "x", Retry_After="30"),
            "the service answered 503, trying again for up to 15 min",
            True,
        ),
    ):
        stop = threading.Event()

        def on_wait(reason: str, seconds: float, stop: threading.Event = stop) -> None:
            told.append((reason, seconds))
            stop.set()

        with pytest.raises(CallStopped) as caught:
            client_of(play(step)).bulk_label(IDS, LABEL, "attach", on_wait=on_wait, stop=stop)
        assert told[-1] == (reason, pytest.approx(30.0, abs=1.0))
        assert caught.value.maybe_applied is maybe
        assert_hidden(caught.value)
    assert len(told) == 2


def test_after_a_429_that_is_not_waited_for_the_others_stay(
    play: Callable[..., ScriptedServer],
) -> None:
    """Who gives up on a 429 lets no other call slip out before its run is stopped."""
    client = client_of(play(error(429, "x", Retry_After="3600")))
    with pytest.raises(RateLimitedError):
        client.bulk_label(IDS, LABEL, "attach")
    assert client._gate.writes.is_held(time.monotonic())


def test_a_stop_before_the_start_sends_nothing(play: Callable[..., ScriptedServer]) -> None:
    """A stop that was set before is heeded before anything is sent; so is a closed client."""
    server, stop = play(GOOD), threading.Event()
    stop.set()
    client = client_of(server)
    with pytest.raises(CallStopped):
        client.bulk_label(IDS, LABEL, "attach", stop=stop)
    client.close()
    with pytest.raises(CallStopped):
        client.bulk_label(IDS, LABEL, "attach")
    assert server.arrived == []


def test_the_limit_is_learnt_and_shared(play: Callable[..., ScriptedServer]) -> None:
    """What one client learns of the bucket, another with the same key and host knows."""
    server = play(counts(3, X_RateLimit_Limit="600", X_RateLimit_Remaining="599"))
    one, two = client_of(server), client_of(server)
    other = Client(KEY[:-1] + "x", base_url=server.base_url)
    assert not two.known_limit
    one.bulk_label(IDS, LABEL, "attach")
    assert (two.write_per_minute, two.known_limit) == (600, True)
    assert not other.known_limit


def test_reads_do_not_touch_the_bucket_of_writes(play: Callable[..., ScriptedServer]) -> None:
    """The headers of a read tell of another bucket, and its body of both limits."""
    limits = {"tier": "pro", "write_per_minute": 600, "read_per_minute": 6000}
    body = {"data": {"rate_limits": limits, "organization": {"id": "org_1", "name": "Acme"}}}
    server = play(reply(200, body, headers={"X-RateLimit-Limit": "7000"}))
    client = client_of(server)
    assert client.me() == Me("pro", 600, 6000, "org_1", "Acme")
    assert client.write_per_minute == 600
    assert server.arrived[0].line == "GET /v1/me HTTP/1.1"
    assert "idempotency-key" not in server.arrived[0].headers
    server.steps[:] = [reply(200, {"data": {"rate_limits": "?"}})]
    assert client.me() == Me()


def test_a_failed_read_leaves_nothing_open(play: Callable[..., ScriptedServer]) -> None:
    """A read changes nothing, so its failure never says that something may have been applied."""
    with pytest.raises(ServerError) as caught:
        client_of(play(error(500, "x")), max_tries=2).me()
    assert not caught.value.maybe_applied


def page(items: list[dict[str, object]], cursor: str | None) -> bytes:
    return reply(200, {"data": items, "has_more": cursor is not None, "next_cursor": cursor})


def test_lists_go_on_page_by_page(play: Callable[..., ScriptedServer]) -> None:
    """Lists ask for a page when it is needed, and hand the cursor and filters on."""
    server = play(page([{"id": "ctc_1", "name": "Ani"}], "c/1"), page([{"id": "ctc_2"}], None))
    found = client_of(server, phone_number_id="1234567").contacts(search="a b&c", phone="+62800")
    assert server.arrived == []
    assert next(found) == Contact("ctc_1", name="Ani")
    assert len(server.arrived) == 1
    assert list(found) == [Contact("ctc_2")]
    query = "limit=100&search=a+b%26c&phone=%2B62800"
    assert server.arrived[0].line == f"GET /v1/1234567/contacts?{query} HTTP/1.1"
    assert "cursor=c%2F1" in server.arrived[1].line


def test_labels_and_accounts(play: Callable[..., ScriptedServer]) -> None:
    """Labels and numbers are read with what is known of them, from the root of the path."""
    one = {"id": LABEL, "name": "VIP", "color": "red", "team_id": "t1", "object": "label"}
    server = play(
        page([one], None), reply(200, {"data": one}), page([{"phone_number_id": "1"}], None)
    )
    client = client_of(server, phone_number_id="1234567")
    expected = Label(LABEL, "VIP", "red", "t1")
    assert list(client.labels()) == [expected]
    assert client.label(LABEL) == expected
    assert list(client.accounts()) == [Account("1")]
    assert [a.line.split()[1].split("?")[0] for a in server.arrived] == [
        "/v1/labels",
        f"/v1/labels/{LABEL}",
        "/v1/accounts",
    ]


@pytest.mark.parametrize(
    "step",
    [
        reply(200, {"data": {}}),
        reply(200, {"data": [1]}),
        reply(200, {"data": [], "has_more": True}),
        page([{"name": "no id"}], None),
        page([], "again"),
    ],
)
def test_lists_that_make_no_sense(play: Callable[..., ScriptedServer], step: Step) -> None:
    """A page without items, ids or a way on is an error, and no list goes round for ever."""
    with pytest.raises(ProtocolError):
        list(client_of(play(step), max_tries=1).labels())


def test_an_endless_list_ends(
    play: Callable[..., ScriptedServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A list whose pages never end is an error after so many of them, or after so many bytes."""
    numbers = iter(range(1000))

    def another(connection: socket.socket) -> None:
        connection.sendall(page([{"id": "lbl_x", "name": "y" * 1000}], f"c{next(numbers)}"))

    for largest, pages in (((5, 10**9), 5), ((10**6, 3000), 3)):
        monkeypatch.setattr(clients, "LARGEST_LIST", largest)
        server = play(another)
        found = client_of(server).labels()
        with pytest.raises(ProtocolError, match=f"does not end: found {pages} pages"):
            list(islice(found, 100))
        assert len(server.arrived) == pages


@pytest.mark.parametrize("cursor", ["c" * 70_000, "c" * 16_385, "\ud800", "é"])
def test_a_cursor_that_cannot_be_sent_is_an_error_at_once(
    play: Callable[..., ScriptedServer], cursor: str
) -> None:
    """A cursor that fits no address is not tried."""
    server = play(page([], cursor))
    with pytest.raises(ProtocolError, match="its cursor has"):
        list(client_of(server).labels())
    assert len(server.arrived) == 1
    server = play(page([], "+" * 16_384), page([], None))
    assert list(client_of(server).labels()) == []


@pytest.mark.parametrize("reached", [True, False])
def test_a_read_gives_up_in_seconds(
    play: Callable[..., ScriptedServer], monkeypatch: pytest.MonkeyPatch, reached: bool
) -> None:
    """Who asks for a list is not kept waiting for a quarter of an hour, as a run would wait."""
    clock = FakeTime()
    clock.now = time.monotonic()
    client = client_of(play(page([], None)))
    if reached:
        assert list(client.labels()) == []
    monkeypatch.setattr(calls, "time", clock)
    # Waits between tries are as long as they may be: a quarter of an hour takes few tries.
    monkeypatch.setattr(calls.random, "uniform", lambda low, high: high)
    client._caller.exchange = lambda request, key: TransportError("no")
    for ask in (client.me, lambda: list(client.labels())):
        before = clock.now
        with pytest.raises(TransportError):
            ask()
        assert clock.now - before <= 30.0  # 15, and the wait that began before
    if reached:
        before = clock.now
        with pytest.raises(TransportError):
            client.bulk_label(IDS, LABEL, "attach")
        assert clock.now - before >= 900.0


def test_who_waits_for_a_read_is_told(
    play: Callable[..., ScriptedServer],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A read that is slow says so, once; one that is not says nothing."""
    told = threading.Event()
    real = builtins.print

    def noted(*text: object, **how: object) -> None:
        real(*text, **how)  # type: ignore[call-overload]
        told.set()

    monkeypatch.setattr(builtins, "print", noted)

    def slow(connection: socket.socket) -> None:
        told.wait(10)
        connection.sendall(page([], None))

    server = play(page([], None), slow)
    client = client_of(server)
    assert list(client.labels()) == []
    assert not told.is_set()
    monkeypatch.setattr(clients, "SLOW_SECONDS", 0.01)
    assert list(client.labels()) == []
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.count(f"still waiting for 127.0.0.1:{server.port}") == 1


def test_timeouts_of_a_read_are_short() -> None:
    """A read is not held by the service, so its timeouts are seconds; shorter ones stay."""
    read = Request("GET", "https://x.test", call="GET /me")
    assert Timeouts().of(read) == Timeouts(5.0, 30.0, 10.0, 20.0)
    short = Timeouts(1.0, 1.0, 1.0, 1.0)
    assert short.of(read) == short
    write = Request("POST", "https://x.test", b"")
    assert Timeouts().of(write) == Timeouts()


def quoted_forms(text: str) -> list[str]:
    raw = text.encode()
    return [text, quote(text, safe=""), raw.hex(), base64.b64encode(raw).decode(), text[::-1]]


def test_nothing_of_the_http_library_is_logged(
    play: Callable[..., ScriptedServer], caplog: pytest.LogCaptureFixture
) -> None:
    """Echoes of the key, in whatever form, and names and numbers searched for, reach no log."""
    caplog.set_level(1)
    for name in HTTP_LOGGERS:
        caplog.set_level(1, logger=name)
    forms = quoted_forms(KEY)
    echo = "\r\n".join(
        [f"HTTP/1.1 401 {forms[1]}"]
        + [f"X-{i}: {form[:20]}\r\nSet-Cookie: k={form[20:]}" for i, form in enumerate(forms)]
        + [f"Location: /{forms[0]}", "Content-Length: 0"]
    )
    server = play(f"{echo}\r\n\r\n".encode())
    client = client_of(server)
    with pytest.raises(AuthenticationError):
        list(client.contacts(search="Siti Aminah", phone="+6281234567"))
    with pytest.raises(AuthenticationError):
        client.bulk_label(IDS, LABEL, "attach")
    assert [record.name for record in caplog.records] == ["kirim_pandas"] * 2
    for secret in (*forms, "Siti", "81234567", *PIECES):
        assert secret not in caplog.text
    httpx.get(server.base_url, headers={"Connection": "close"})  # another program in this process
    assert {record.name for record in caplog.records} >= {"httpx", "httpcore.http11"}


def test_all_loggers_of_the_http_library_are_known() -> None:
    """No logger of httpx or httpcore is left out."""
    import httpcore  # noqa: F401 - makes its loggers

    known = logging.root.manager.loggerDict
    made = {
        name
        for name, logger in known.items()
        if name.partition(".")[0] in ("httpx", "httpcore") and isinstance(logger, logging.Logger)
    }
    assert made <= {*HTTP_LOGGERS, "httpcore"}


ALERTS = {
    40: "found no common way to encrypt",
    70: "only versions of TLS older than 1.2",
    71: "found no common way to encrypt",
    112: "does not know itself by this name",
    116: "wants a certificate from this computer",
    120: "speaks HTTP/2 only",
}
TLS_STARTS = {
    **{f"alert {n}": (b"\x15\x03\x03\x00\x02\x02" + bytes([n]), t) for n, t in ALERTS.items()},
    "plain http": (b"HTTP/1.1 400 Bad Request\r\n\r\n", "does not speak TLS"),
    "ssh": (b"SSH-2.0-x\r\n", "does not speak TLS"),
}  # fmt: skip


@pytest.mark.parametrize("start", TLS_STARTS)
def test_what_is_wrong_with_tls_is_named_at_the_first_try(start: str) -> None:
    """A handshake that cannot succeed is not repeated; OpenSSL's reason comes in plain words."""
    sent, said = TLS_STARTS[start]
    with RawServer(sent) as server:
        client = Client(KEY, base_url=f"https://127.0.0.1:{server.port}")
        with pytest.raises(TransportError, match=said) as caught:
            client.bulk_label(IDS, LABEL, "attach")
        assert server.connections == 1
    assert "OpenSSL: " in str(caught.value)
    assert not caught.value.maybe_applied
    assert_hidden(caught.value)


SOCKS = {
    "a wrong login": (b"\x05\x02", b"\x01\x01", None, "asks for a login", 1),
    "no login": (b"\x05\xff", None, None, "asks for a login", 1),
    "a host that it does not find": (
        b"\x05\x02", b"\x01\x00", b"\x05\x04\x00\x01" + bytes(6), "could not reach kirim.test", 1,
    ),
    "a rule": (
        b"\x05\x02", b"\x01\x00", b"\x05\x02\x00\x01" + bytes(6), "refused the connection", 1,
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", SOCKS)
def test_what_a_socks_proxy_refuses_is_named(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A SOCKS proxy that refuses is named without its login, at the first try."""
    *says, said, tries = SOCKS[case]
    with RawServer(*(text for text in says if text is not None)) as proxy:
        for name in ("ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, f" socks5://me:hunter2@127.0.0.1:{proxy.port} ")
        for name in ("HTTPS_PROXY", "https_proxy", "NO_PROXY", "no_proxy"):
            monkeypatch.delenv(name, raising=False)
        with pytest.raises(TransportError, match=said) as caught:
            Client(KEY, base_url="https://kirim.test/v1").bulk_label(IDS, LABEL, "attach")
        assert proxy.connections == tries
    assert f"127.0.0.1:{proxy.port}" in str(caught.value)
    assert "hunter2" not in str(caught.value)
    assert not caught.value.maybe_applied


@pytest.mark.parametrize(
    ("proxy", "said"),
    [
        ("socks5://127.0.0.1:1", 'speaks SOCKS, for which a part is missing: pip install "httpx'),
        ("socks4://127.0.0.1:1", "socks4:// is not supported"),
        ("ftp://127.0.0.1:1", "ftp:// is not supported"),
        ("http://proxy.test:port", "cannot be used: check HTTPS_PROXY"),
    ],
)
def test_a_proxy_that_cannot_be_used_is_named(
    proxy: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A kind of proxy that is not supported, or whose part is missing, is said before a try."""
    monkeypatch.setitem(sys.modules, "socksio", None)
    for name in ("HTTPS_PROXY", "https_proxy"):
        monkeypatch.setenv(name, proxy)
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(ConfigurationError) as caught:
        Client(KEY, base_url="https://kirim.test/v1").me()
    assert said in str(caught.value)


@pytest.mark.parametrize("blank", [" ", "\t", " \n"])
def test_blanks_around_a_proxy_are_cut(
    blank: str, play: Callable[..., ScriptedServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A blank in the setting of a proxy is no part of it; one alone is no proxy."""
    proxy = play(GOOD)
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    client = Client(KEY, base_url="http://kirim.test/v1", allow_http=True)
    for name in ("HTTP_PROXY", "http_proxy"):
        monkeypatch.setenv(name, f"{blank}http://127.0.0.1:{proxy.port}{blank}")
    assert client.bulk_label(IDS, LABEL, "attach").applied == 3
    for name in ("HTTP_PROXY", "http_proxy"):
        monkeypatch.setenv(name, blank)
    assert proxy_for(client._address) is None


def test_no_byte_of_the_body_no_doubt(
    play: Callable[..., ScriptedServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether the body began to leave, and nothing else, decides whether a call is in doubt."""
    server, real = play(GOOD), Deadline.trace
    for step, left in (
        ("http11.send_request_headers.started", False),
        ("http11.send_request_headers.complete", False),
        ("http11.send_request_body.complete", True),
        ("http11.receive_response_headers.started", True),
    ):

        def broken(
            self: Deadline, event: str, info: Mapping[str, object], *, step: str = step
        ) -> None:
            real(self, event, info)
            if event == step:
                raise httpx.ReadError("broken")

        with monkeypatch.context() as patch:
            patch.setattr(Deadline, "trace", broken)
            with pytest.raises(TransportError) as caught:
                label(server, max_tries=1)
        assert caught.value.maybe_applied is left


OF_CACHES = [
    {"Age": "1"},
    {"Age": "0, 86400"},
    {"X-Cache": "HIT"},
    {"X-Cache": "MISS from inner, HIT from outer"},
    {"X-Cache": "TCP_MEM_HIT"},
    {"X-Cache": "RefreshHit from cloudfront"},
    {"X-Cache-Status": "STALE"},
    {"CF-Cache-Status": "UPDATING"},
    {"X-Proxy-Cache": "hit"},
    {"Cache-Status": "edge; hit; ttl=30"},
    {"X-Varnish": "32770 3"},
    {"Idempotent-Replayed": "true"},
]
NOT_OF_CACHES = [
    {"Age": "0"},
    {"Age": "soon"},
    {"Via": "1.1 varnish, 1.1 squid"},
    {"X-Cache": "MISS from squid"},
    {"X-Cache-Lookup": "HIT from squid:3128"},
    {"X-Cache-Status": "BYPASS"},
    {"CF-Cache-Status": "DYNAMIC"},
    {"Cache-Status": "edge; fwd=stale; stored"},
    {"X-Varnish": "32770"},
    {"Idempotent-Replayed": "false"},
]
ALL_THREE = {"applied": 3, "skipped_cross_org": 0, "skipped_team_mismatch": 0}
NO = {"error": {"type": "t", "code": "resource_not_found", "request_id": "req_n"}}


@pytest.mark.parametrize("headers", OF_CACHES)
@pytest.mark.parametrize(("status", "body"), [(200, {"data": ALL_THREE}), (404, NO)])
def test_a_reply_of_a_cache_is_not_believed(
    play: Callable[..., ScriptedServer], headers: dict[str, str], status: int, body: object
) -> None:
    """A reply that cannot be this call's leaves it in doubt, and is not asked for again."""
    server = play(reply(status, body, headers=headers))
    with pytest.raises(ProtocolError, match="a cache between you and Kirim") as caught:
        label(server)
    assert caught.value.maybe_applied
    assert len(server.arrived) == 1
    assert server.arrived[0].headers["cache-control"] == "no-store"


@pytest.mark.parametrize("headers", NOT_OF_CACHES)
def test_a_reply_past_a_cache_is_believed(
    play: Callable[..., ScriptedServer], headers: dict[str, str]
) -> None:
    """A cache on the way that let the reply pass is no reason to doubt it."""
    assert label(play(reply(200, {"data": ALL_THREE}, headers=headers))).applied == 3


@pytest.mark.parametrize(
    "again",
    [
        reply(200, {"data": ALL_THREE, "request_id": "req_same"}),
        reply(404, {"error": {**NO["error"], "request_id": "req_same"}}),
    ],
)
def test_a_reply_is_one_calls_only(play: Callable[..., ScriptedServer], again: bytes) -> None:
    """A request id that another call had is named, and neither call is certain any more."""
    server = play(reply(200, {"data": ALL_THREE, "request_id": "req_same"}), again)
    client = client_of(server)
    client.bulk_label(IDS, LABEL, "attach", idempotency_key="one")
    for key in ("two", None):
        with pytest.raises(ProtocolError, match="request req_same was answered before") as caught:
            client_of(server).bulk_label(IDS, LABEL, "attach", idempotency_key=key)
        assert caught.value.request_id == "req_same"
        assert caught.value.maybe_applied
    server.steps[:] = [reply(200, {"data": ALL_THREE, "request_id": "req_same"})]
    assert client.bulk_label(IDS, LABEL, "attach", idempotency_key="one").applied == 3


def test_a_read_is_not_answered_with_another(play: Callable[..., ScriptedServer]) -> None:
    """A page that another address had before, or that a cache kept, is not taken for this one."""
    one = {"data": [], "request_id": "req_1"}
    server = play(reply(200, one))
    client = client_of(server)
    assert list(client.contacts(phone="+62800")) == []
    with pytest.raises(ProtocolError, match="cache") as caught:
        list(client.contacts(phone="+62801"))
    assert not caught.value.maybe_applied
    assert list(client.contacts(phone="+62800")) == []


def test_a_key_of_an_earlier_session_may_bring_a_stored_reply(
    play: Callable[..., ScriptedServer],
) -> None:
    """What a session before has sent is taken from the service's memory; a new key cannot be."""
    server = play(counts(3, Idempotent_Replayed="true"))
    client = client_of(server)
    assert client.bulk_label(IDS, LABEL, "attach", idempotency_key="old").replayed
    with pytest.raises(ProtocolError, match="its key is new"):
        client.bulk_label(IDS, LABEL, "attach", idempotency_key="new", sent_before=False)


def test_keys_that_are_taken_out_are_told_of_once(play: Callable[..., ScriptedServer]) -> None:
    """A repeat that is carried out anew shows that keys are lost; the counts are kept."""
    server = play(cut_without_length, GOOD, cut_without_length, GOOD)
    client = client_of(server)
    with pytest.warns(UserWarning, match="takes out Idempotency-Key"):
        assert client.bulk_label(IDS, LABEL, "attach").applied == 3
    assert client.bulk_label(IDS, LABEL, "attach").applied == 3  # a warning would be an error


@pytest.mark.parametrize("first", [drop, error(500, "x"), error(409, "idempotency_in_progress")])
def test_a_repeat_that_may_be_the_first_tells_nothing_of_keys(
    play: Callable[..., ScriptedServer], first: Step, recwarn: pytest.WarningsRecorder
) -> None:
    """Where nobody knows whether the first try arrived, an unmarked reply is as it should be."""
    assert label(play(first, GOOD)).applied == 3
    assert not recwarn.list


def test_many_threads_share_a_client(play: Callable[..., ScriptedServer]) -> None:
    """Calls from several threads all arrive once, each with its own key."""
    server = play(GOOD)
    client = client_of(server)
    found: list[BulkLabelReply] = []

    def work() -> None:
        found.extend(client.bulk_label(IDS, LABEL, "attach") for _ in range(10))

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == len(server.arrived) == 60
    assert len({a.headers["idempotency-key"] for a in server.arrived}) == 60


def test_the_log_says_what_support_needs(
    play: Callable[..., ScriptedServer], caplog: pytest.LogCaptureFixture
) -> None:
    """The log holds status, request id and the head of the idempotency key, and no contact."""
    caplog.set_level(logging.DEBUG, logger="kirim_pandas")
    client_of(play(GOOD)).bulk_label(IDS, LABEL, "attach", idempotency_key="0123456789abcdef")
    (line,) = [r.getMessage() for r in caplog.records if r.name == "kirim_pandas"]
    assert "200" in line
    assert "req_00000001" in line
    assert "01234567," in line
    assert "ctc_" not in line
