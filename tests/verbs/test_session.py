"""Where the key comes from, and where it does not go."""

import getpass
import sys
import traceback

import pytest

import kirim_pandas as kp
from kirim_pandas import session

KEY = "kdv_live_" + "Zx9" * 8
LOOPBACK = "http://127.0.0.1:9/v1"


@pytest.fixture
def person(monkeypatch):
    """Somebody sits at the keyboard and types the key."""
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(getpass, "getpass", lambda prompt: KEY)


def test_environment_comes_before_the_prompt(monkeypatch, person):
    """KIRIM_API_KEY, else KIRIM_KEY; nobody is asked where one is set."""
    monkeypatch.setattr(getpass, "getpass", lambda prompt: pytest.fail("asked"))
    for name in ("KIRIM_KEY", "KIRIM_API_KEY"):
        monkeypatch.setenv(name, KEY)
        assert kp.connect(base_url=LOOPBACK) is session.current_client()


def test_a_person_is_asked(person):
    """Without a key in argument or environment a person is asked, hidden."""
    client = kp.connect(base_url=LOOPBACK)
    assert KEY not in repr(client)
    assert session.known_client() is client


def test_nobody_to_ask(monkeypatch):
    """Where nobody can type, the message says where to put the key."""
    monkeypatch.setattr(sys.stdin, "isatty", lambda: False, raising=False)
    monkeypatch.delitem(sys.modules, "IPython", raising=False)  # another test may have a shell
    with pytest.raises(kp.ConfigurationError, match="KIRIM_API_KEY"):
        kp.connect()


def test_a_front_end_without_input(monkeypatch, person):
    """A kernel that may not ask says so, instead of what Python says."""

    def refuse(prompt):
        raise EOFError

    monkeypatch.setattr(getpass, "getpass", refuse)
    with pytest.raises(kp.ConfigurationError, match="nobody can be asked"):
        kp.connect()


@pytest.mark.parametrize("wrong", ["ftp://host", "http://example.org/v1", "https://u:p@host/v1"])
def test_no_traceback_shows_the_key(person, wrong):
    """Not even one that prints the locals of every frame of this library."""
    with pytest.raises(kp.ConfigurationError) as caught:
        kp.connect(base_url=wrong)
    shown = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    assert KEY not in "".join(shown.format())
    assert session.known_client() is None


def test_a_bare_connect_that_leaves_for_another_address_says_so(monkeypatch):
    """Who rehearses and then calls connect() is told that calls now go to another service."""
    with kp.sandbox.start(contacts=5) as box, kp.sandbox.start(contacts=5) as other:
        kp.connect(box.api_key, base_url=box.base_url)
        monkeypatch.setenv("KIRIM_API_KEY", other.api_key)
        monkeypatch.setenv("KIRIM_BASE_URL", other.base_url)
        with pytest.warns(UserWarning, match=f"{other.base_url}.*so far.*{box.base_url}"):
            kp.connect()
        kp.connect()  # where it is already


def test_labels_are_those_of_the_chosen_client():
    """The labels come as a frame, from the service that calls go to, and nothing else changes."""
    with kp.sandbox.start(contacts=5) as box:
        client = kp.connect(box.api_key, base_url=box.base_url)
        labels = kp.labels()
        assert labels["id"].tolist() == box.labels["id"].tolist()
        assert labels.columns.tolist() == ["id", "name", "color", "team_id", "created_at"]
        assert set(labels.dtypes.astype(str)) == {"string", "datetime64[ms]"}
        assert session.current_client() is client
