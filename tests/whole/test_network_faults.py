"""Faults of the catalogue before there is a connection: names, certificates, proxies, silence.

Each is played to a whole run. What stands before the sandbox is in front.py.
"""

import base64
import datetime
import re
import socket
import ssl

import pytest
import trustme
from support.front import Front, closed_port
from support.scenes import SIZE, Scenes, counts

import kirim_pandas as kp
from kirim_pandas.api import caller as calls
from kirim_pandas.api.models import Timeouts
from kirim_pandas.api.proxies import without_login

HOST = "kirim.test"  # never found by a real name server
LOGIN = "analyst:hunter2-and-more"
NOTHING_SENT = "No customer was touched: put this right and call again."


@pytest.fixture(autouse=True)
def _bare(monkeypatch):
    """No settings of this computer's network, and short waits before a retry, all told."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "SSL_CERT_FILE"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    monkeypatch.setattr(calls.random, "uniform", lambda low, high: 0.05)
    monkeypatch.setattr(calls, "WORTH_TELLING_SECONDS", 0.04)


@pytest.fixture
def play():
    with Scenes() as scenes:
        yield scenes.start


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


@pytest.fixture
def trusted(authority, tmp_path):
    """The file that an analyst of a company which inspects TLS would have."""
    authority.cert_pem.write_to_path(tmp_path / "company.pem")
    return tmp_path / "company.pem"


def tls(authority, *names, **validity):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*(names or ("127.0.0.1", HOST)), **validity).configure_cert(context)
    return context


def resolve(monkeypatch, answers):
    """Let `HOST` be found at the port that each answer names, or not at all where it is None."""
    asked = []
    real = socket.getaddrinfo

    def getaddrinfo(host, port, *rest, **more):
        if host != HOST:
            return real(host, port, *rest, **more)
        answer = answers[min(len(asked), len(answers) - 1)]
        asked.append(host)
        if answer is None:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return real("127.0.0.1", answer, *rest, **more)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return asked


def assert_untouched(scene, *parts):
    """The run ended before anything left, and its message says so and names each part."""
    message = str(scene.error)
    assert type(scene.error) is kp.TransportError
    assert not scene.error.maybe_applied
    for part in (*parts, NOTHING_SENT):
        assert part in message
    assert len(scene.box.requests()) == 0


def again(scene, **settings):
    """The same run by a new client, as if nobody had labeled anything before."""
    scene.box.set_members(scene.label, [])
    scene.connect(**settings)
    return counts(scene.run())


def waits(scene):
    return {now.waiting for now in scene.waits} - {None}


# -- names and addresses ---------------------------------------------------------------------


def test_2_dns_does_not_resolve(play, monkeypatch):
    """A host that is not found at the first request is named at once, and not asked for again."""
    scene = play()
    asked = resolve(monkeypatch, [None])
    scene.connect(base_url=f"https://{HOST}/v1")
    assert counts(scene.run()) == {"not_sent": SIZE}
    assert_untouched(scene, f"The host {HOST} is not found", "check base_url or the network")
    assert len(asked) == 1


@pytest.mark.parametrize("outage", ["dead address", "no name server"])
def test_3_dns_flips_to_a_dead_address_in_mid_run(play, monkeypatch, outage):
    """When the name leads nowhere for a while, the run waits, and asks anew at each try."""
    scene = play()
    port = scene.box._server.server_port
    lost = closed_port() if outage == "dead address" else None
    asked = resolve(monkeypatch, [port, lost, lost, lost, port])
    scene.connect(base_url=f"http://{HOST}/v1", allow_http=True)
    assert counts(scene.run()) == {"applied": SIZE}
    assert waits(scene) == {f"cannot reach {HOST}, trying again for up to 15 min"}
    assert len(asked) == 6
    assert len(scene.box.requests()) == 3


def test_7_connect_hangs(play):
    """A host that does not answer the knock is knocked at again, and nothing is in doubt."""
    scene = play()
    with Front(scene.box._server.server_port, is_full=True) as front:
        times = Timeouts(connect_seconds=0.2, read_seconds=2, try_seconds=4)
        scene.connect(base_url=f"http://127.0.0.1:{front.port}/v1", timeouts=times, max_tries=2)
        assert counts(scene.run()) == {"not_sent": SIZE}
        assert_untouched(scene, f"Cannot connect to 127.0.0.1:{front.port} in time")

        def knock(now):
            scene.waits.append(now)
            if now.waiting and front._fillers:
                front.open()

        scene.connect(base_url=f"http://127.0.0.1:{front.port}/v1", timeouts=times, max_tries=8)
        assert counts(scene.run(progress=knock)) == {"applied": SIZE}
        assert waits(scene) >= {
            f"cannot reach 127.0.0.1:{front.port}, trying again for up to 15 min"
        }
    assert len(scene.box.requests()) == 3


# -- certificates ----------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["ca_bundle", "SSL_CERT_FILE"])
def test_4_a_company_certificate_can_be_trusted(play, authority, trusted, monkeypatch, how):
    """What the message of an untrusted certificate advises works."""
    scene = play()
    with Front(scene.box._server.server_port, tls=tls(authority)) as front:
        if how == "SSL_CERT_FILE":
            monkeypatch.setenv(how, str(trusted))
        given = {"ca_bundle": trusted} if how == "ca_bundle" else {}
        scene.connect(base_url=f"https://127.0.0.1:{front.port}/v1", **given)
        assert counts(scene.run()) == {"applied": SIZE}
        assert front.connections == 3


def test_4_tls_certificate_not_trusted(play, authority):
    """An untrusted certificate ends the run at its first try, before the key or an id leaves."""
    scene = play()
    with Front(scene.box._server.server_port, tls=tls(authority)) as front:
        scene.connect(base_url=f"https://127.0.0.1:{front.port}/v1")
        assert counts(scene.run()) == {"not_sent": SIZE}
        assert_untouched(scene, "is not trusted", "ca_bundle=", "SSL_CERT_FILE")
        assert front.connections == 1
    assert "verify=" not in str(scene.error)


def test_4_tls_certificate_not_trusted_in_mid_run(play, authority, trusted):
    """Where a company's proxy steps in midway, the run stops, and goes on when it is trusted."""
    scene = play()
    with Front(scene.box._server.server_port, tls=tls(authority)) as front:
        stranger = tls(trustme.CA())
        front.play = dict.fromkeys(range(1, 9), stranger)
        scene.connect(base_url=f"https://127.0.0.1:{front.port}/v1", ca_bundle=trusted)
        assert counts(scene.run()) == {"applied": 1000, "not_sent": 1050}
        assert "is not trusted" in str(scene.error)
        assert f'df.kirim.resume("{scene.error.run_id}")' in str(scene.error)
        front.play = {}
        assert counts(scene.resume(scene.error.run_id)) == {"applied": SIZE}


def test_5_certificate_expired(play, authority, trusted):
    """An expired certificate is told with this computer's date, which may be what is wrong."""
    scene = play()
    day = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
    expired = tls(authority, "127.0.0.1", not_before=day, not_after=day + datetime.timedelta(9))
    with Front(scene.box._server.server_port, tls=expired) as front:
        scene.connect(base_url=f"https://127.0.0.1:{front.port}/v1", ca_bundle=trusted)
        assert counts(scene.run()) == {"not_sent": SIZE}
        assert_untouched(scene, f"127.0.0.1:{front.port} has expired", "this computer's date (20")
        assert "ca_bundle" not in str(scene.error)
        assert front.connections == 1


@pytest.mark.parametrize("name", ["other.test", "127.0.0.2"])
def test_5_certificate_of_a_wrong_name(play, authority, trusted, monkeypatch, name):
    """A certificate for somebody else may mean somebody else: the run ends unsent."""
    scene = play()
    with Front(scene.box._server.server_port, tls=tls(authority, name)) as front:
        resolve(monkeypatch, [front.port])
        host = HOST if name == "other.test" else "127.0.0.1"
        scene.connect(base_url=f"https://{host}:{front.port}/v1", ca_bundle=trusted)
        assert counts(scene.run()) == {"not_sent": SIZE}
        assert_untouched(scene, host, "is for another name", "check base_url")
        assert front.connections == 1


def test_6_tls_cut_in_the_handshake(play, authority, trusted):
    """A handshake that breaks now and then costs time only."""
    scene = play()
    with Front(scene.box._server.server_port, tls=tls(authority)) as front:
        front.play = dict.fromkeys((0, 2, 3), "hang up")
        scene.connect(base_url=f"https://127.0.0.1:{front.port}/v1", ca_bundle=trusted)
        assert counts(scene.run()) == {"applied": SIZE}
        assert front.connections == 6
    assert len(scene.box.requests()) == 3


def test_6_tls_cut_in_the_handshake_for_ever(play, authority, trusted):
    """A handshake that always breaks ends the run, and nothing is in doubt."""
    scene = play()
    with Front(scene.box._server.server_port, tls=tls(authority)) as front:
        front.play = dict.fromkeys(range(99), "hang up")
        url = f"https://127.0.0.1:{front.port}/v1"
        scene.connect(base_url=url, ca_bundle=trusted, max_tries=2)
        assert counts(scene.run()) == {"not_sent": SIZE}
        assert_untouched(scene, "Cannot connect to 127.0.0.1", "check base_url or the network")
        assert front.connections == 2


# -- proxies ---------------------------------------------------------------------------------


@pytest.fixture
def proxied(play, authority, trusted, monkeypatch):
    """A run whose way leads through a proxy that wants a login."""
    scene = play()
    with Front(scene.box._server.server_port, tls=tls(authority), is_proxy=True) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://{LOGIN}@127.0.0.1:{proxy.port}")
        scene.proxy = proxy
        scene.settings = {"base_url": f"https://{HOST}/v1", "ca_bundle": trusted, "max_tries": 3}
        scene.connect(**scene.settings)
        yield scene


def assert_login_hidden(scene, caplog):
    message = str(scene.error)
    for secret in (LOGIN, *LOGIN.split(":"), base64.b64encode(LOGIN.encode()).decode()):
        assert secret not in message
    ours = "".join(r.getMessage() for r in caplog.records if r.name.startswith("kirim"))
    assert "hunter2" not in ours


def test_9_proxy_passes_the_run_on(proxied):
    """A proxy is given its login and the host's name, and neither the key nor an id."""
    assert counts(proxied.run()) == {"applied": SIZE}
    assert len(proxied.proxy.heads) == 3
    login = base64.b64encode(LOGIN.encode()).decode()
    for head in proxied.proxy.heads:
        assert head.startswith(f"CONNECT {HOST}:443 ")
        assert f"Proxy-Authorization: Basic {login}" in head
        assert proxied.box.api_key not in head
        assert not re.search("kdv_|ctc_", head)


def test_9_proxy_demands_login(proxied, caplog):
    """A proxy that does not take the login is asked once; it is named without the password."""
    caplog.set_level(1)
    proxied.proxy.play = dict.fromkeys(range(9), "407 Proxy Authentication Required")
    assert counts(proxied.run()) == {"not_sent": SIZE}
    where = f"127.0.0.1:{proxied.proxy.port}"
    assert_untouched(proxied, f"The proxy {where} asks for a login", "HTTPS_PROXY")
    assert proxied.proxy.connections == 1
    assert_login_hidden(proxied, caplog)


def test_9_proxy_refuses_connect(proxied, caplog):
    """A proxy that fails now and then costs time; one that forbids is asked once and named."""
    caplog.set_level(1)
    proxied.proxy.play = {1: "503 Service Unavailable", 2: "502 Bad Gateway"}
    assert counts(proxied.run()) == {"applied": SIZE}
    assert len(proxied.box.requests()) == 3
    proxied.proxy.play = dict.fromkeys(range(99), "403 Forbidden")
    assert again(proxied, **proxied.settings) == {"not_sent": SIZE}
    where = f"127.0.0.1:{proxied.proxy.port}"
    assert f"The proxy {where} refused the connection to {HOST} (403" in str(proxied.error)
    assert proxied.proxy.connections == 3 + 2 + 1
    assert NOTHING_SENT in str(proxied.error)
    assert_login_hidden(proxied, caplog)


@pytest.mark.parametrize("login", [LOGIN, "analyst:hunter2/and#more", "hunter2@and:more"])
@pytest.mark.parametrize("kind", ["down", "not found"])
def test_9_proxy_is_down(play, monkeypatch, caplog, kind, login):
    """A proxy that is not there is named as such, however odd the login in its address."""
    caplog.set_level(1)
    scene = play(10)
    where = f"127.0.0.1:{closed_port()}" if kind == "down" else f"{HOST}:3128"
    resolve(monkeypatch, [None])
    monkeypatch.setenv("HTTPS_PROXY", f"http://{login}@{where}")
    scene.connect(base_url="https://api.test/v1", max_tries=1)
    assert counts(scene.run()) == {"not_sent": 10}
    message = str(scene.error)
    assert NOTHING_SENT in message
    assert "HTTPS_PROXY" in message
    assert "hunter2" not in message
    assert "and#more" not in message
    if login == LOGIN:
        said = "through the proxy" if kind == "down" else "The proxy"
        assert f"{said} {where}" in message
        assert_login_hidden(scene, caplog)


@pytest.mark.parametrize("login", ["me:pw@", "pw@", "me:pw@pw@", "me:12/pw@", "me:12#pw@", "[pw@"])
def test_9_proxy_is_named_without_its_login(login):
    """However a login is written, no piece of it is taken for the proxy's name."""
    assert without_login(f"http://{login}proxy.test:80") in ("proxy.test:80", "of HTTPS_PROXY")


@pytest.mark.parametrize("address", ["ftp://proxy.test", "http://proxy.test:port"])
def test_9_proxy_address_is_unusable(play, monkeypatch, address):
    """An address that is no proxy's ends the run unsent, with what to check."""
    scene = play(10)
    monkeypatch.setenv("HTTPS_PROXY", address)
    scene.connect(base_url=f"https://{HOST}/v1")
    assert counts(scene.run()) == {"not_sent": 10}
    assert isinstance(scene.error, kp.ConfigurationError)
    assert "check HTTPS_PROXY" in str(scene.error)


@pytest.mark.parametrize(
    "entries", ["[::1]", "fe80::/10", "::1,[fe80::1%25eth0]:80", "http://[,*.x,[", "10.0.0.0/8,]"]
)
def test_10_no_proxy_that_httpx_cannot_parse(proxied, monkeypatch, entries):
    """Entries that are no hosts are passed over: others go through the proxy, or past it."""
    monkeypatch.setenv("NO_PROXY", entries)
    assert counts(proxied.run()) == {"applied": SIZE}
    assert proxied.proxy.connections == 3
    monkeypatch.setenv("NO_PROXY", f"{entries},{HOST}")
    resolve(monkeypatch, [closed_port()])
    assert again(proxied, **proxied.settings) == {"not_sent": SIZE}
    assert proxied.proxy.connections == 3
    assert f"Cannot connect to {HOST}: check base_url" in str(proxied.error)


def test_11_proxy_set_for_a_loopback_base_url(play, monkeypatch):
    """The sandbox is reached directly, whatever proxy the environment names."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{closed_port()}")
    scene = play()
    assert counts(scene.run()) == {"applied": SIZE}
    assert scene.error is None
