"""The client, over real sockets: what arrives at a server, and what comes of its replies."""

from __future__ import annotations

import inspect
import logging
import pickle
import socket
import ssl
import struct
import threading
import time
import traceback
from collections.abc import Callable, Iterator

import httpx
import pytest
from support.scripted_server import ScriptedServer, Step, counts, error, reply

from kirim_pandas.api import caller as calls
from kirim_pandas.api import retry
from kirim_pandas.api.client import Client, Timeouts
from kirim_pandas.api.deadline import Deadline
from kirim_pandas.api.failures import MEANINGS, translated
from kirim_pandas.api.models import Account, BulkLabelReply, Contact, Label, Me
from kirim_pandas.api.retry import CallStopped
from kirim_pandas.api.transport import USER_AGENT
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
