"""What the most talkative front ends print of an error: neither the key nor the environment."""

import io
import traceback
import warnings

import pytest
import rich.console
import rich.traceback
from IPython.core.ultratb import VerboseTB
from support.scripted_server import ScriptedServer, error, reply

import kirim_pandas as kp
from kirim_pandas import session
from kirim_pandas.api.models import Timeouts

SECRET = "Zq8vN3xW7kR2mB5tY9hL4cPd"
KEY = f"kdv_live_{SECRET}"
OF_THE_ENVIRONMENT = "open-sesame-of-another-program"
OF_THE_PROXY = "hunter2-of-the-proxy"
LABEL = "lbl_" + "0" * 26


def as_ipython(error):
    """``%xmode Verbose``: the value of each name in the failing statement of each frame."""
    return VerboseTB(theme_name="nocolor").text(type(error), error, error.__traceback__)


def as_rich(error):
    out = io.StringIO()
    trace = rich.traceback.Traceback.from_exception(
        type(error), error, error.__traceback__,
        show_locals=True, locals_max_length=1000, locals_max_string=100_000, max_frames=0,
    )  # fmt: skip
    rich.console.Console(file=out, width=300).print(trace)
    return out.getvalue()


def as_cgitb(error):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        cgitb = pytest.importorskip("cgitb")  # gone with Python 3.13
    return cgitb.text((type(error), error, error.__traceback__))


def as_traceback(error):
    shown = traceback.TracebackException.from_exception(error, capture_locals=True)
    return "".join(shown.format())


PATHS = {
    "an address without https": "kp.connect(base_url='api-kckit.kirim.chat/v1')",
    "an address in plain http": "kp.connect(base_url='http://api.kirim.test/v1')",
    "an address that is no text": "kp.Client(base_url=df['contact_id'])",
    "a number that is none": "kp.connect(phone_number_id='+62 811')",
    "a number that is a column": "kp.connect(phone_number_id=df['contact_id'])",
    "a share that is no number": "kp.connect(share='all')",
    "a share that is a column": "kp.Client(share=df['contact_id'])",
    "tries that are none": "kp.connect(max_tries=None)",
    "patience that is none": "kp.connect(patience_seconds=float('nan'))",
    "a setting that is not known": "kp.connect(verify=False)",
    "a key that is a number": "kp.connect(17)",
    "a key that is a list": "kp.connect([1])",
    "a label that is none": "kp.Client().label('VIP')",
    "a search that is too long": "list(kp.Client().contacts(search='x' * 201))",
    "half a character": "list(kp.Client().contacts(search='\\ud800'))",
    "an id that is none": "kp.Client().bulk_label(['x'], 'y', 'z')",
    "an idempotency key that is none": (
        "kp.Client().bulk_label(df['contact_id'], LABEL, 'attach', idempotency_key=' ')"
    ),
    "labels without leave": "kp.labels()",
    "whose key it is, without leave": "kp.Client().me()",
    "a run without leave": "df.kirim.bulk_label(LABEL, 'attach', progress=False)",
    "a run of a label by name": "df.kirim.bulk_label('VIP', 'attach', progress=False)",
    "a run of no column": "df.kirim.bulk_label(LABEL, 'attach', id_column='nobody')",
    "a run of no operation": "df.kirim.bulk_label(LABEL, 'add')",
    "a run without a place to write": "df.kirim.bulk_label(LABEL, 'attach', journal='/proc/x/y')",
    "a job without leave": "df.kirim.bulk_label_job(LABEL, 'attach').result(30)",
    "a plan of nothing": "df[[]].kirim.plan(LABEL, 'attach')",
    "a run that is not known": "kp.resume('run_nobody')",
    "a run of a frame that is not known": "df.kirim.resume('run_nobody')",
    "runs that are not there": "kp.runs(journal='/proc/x/y')",
    "a run to be forgotten": "kp.forget('run_nobody')",
}
SETTINGS = {
    "a key with an odd end": {"KIRIM_API_KEY": KEY + "é"},
    "a key that is cut": {"KIRIM_API_KEY": KEY[:-1]},
    "no key": {"KIRIM_API_KEY": ""},
    "an address in the environment": {"KIRIM_BASE_URL": "http://api.kirim.test/v1"},
    "a proxy of an unknown kind": {"HTTPS_PROXY": f"ftp://me:{OF_THE_PROXY}@proxy.test"},
    "a proxy that is not there": {"HTTPS_PROXY": f"http://me:{OF_THE_PROXY}@127.0.0.1:9"},
    "certificates that are not there": {"SSL_CERT_FILE": "/no/such/file.pem"},
}


@pytest.fixture
def bare(monkeypatch, tmp_path):
    """An environment with secrets of ours and of others, and no default client."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "SSL_CERT_FILE"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    monkeypatch.delenv("KIRIM_PHONE_NUMBER_ID", raising=False)
    monkeypatch.setenv("KIRIM_API_KEY", KEY)
    monkeypatch.setenv("DATABASE_URL", OF_THE_ENVIRONMENT)
    monkeypatch.setenv("KIRIM_JOURNAL", str(tmp_path))
    session.disconnect()
    yield monkeypatch
    session.disconnect()


def error_of(code):
    """The error of a cell; the cell and all below it are in its traceback, the test is not."""
    cell = {"kp": kp, "df": kp.sandbox.sample_contacts(3, seed=1)[["contact_id"]], "LABEL": LABEL}
    try:
        exec(compile(code, "<cell>", "exec"), cell)
    except Exception as error:
        return error.with_traceback(error.__traceback__.tb_next)
    raise AssertionError(f"no error: {code}")


def assert_silent(error):
    for show in (as_ipython, as_rich, as_cgitb, as_traceback):
        shown = show(error)
        assert type(error).__name__ in shown
        pieces = [SECRET[i : i + 8] for i in range(len(SECRET) - 7)]
        found = [piece for piece in (*pieces, OF_THE_ENVIRONMENT, OF_THE_PROXY) if piece in shown]
        assert not found, f"{show.__name__} shows {found}"


@pytest.mark.parametrize("path", PATHS)
def test_no_error_shows_the_key_or_the_environment(path, bare):
    """However an error comes about, no front end prints the key or the environment with it."""
    with ScriptedServer([error(401, "invalid_api_key", message=f"not {KEY}")]) as server:
        bare.setenv("KIRIM_BASE_URL", server.base_url)
        assert_silent(error_of(PATHS[path]))


@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize(
    "code",
    [
        "kp.connect(max_tries=1).me()",
        "kp.Client(max_tries=1).bulk_label(df['contact_id'], LABEL, 'attach')",
        "kp.connect(max_tries=1); df.kirim.bulk_label(LABEL, 'attach', progress=False)",
    ],
    ids=["connect", "Client", "run"],
)
def test_no_setting_shows_the_key_or_the_environment(setting, code, bare):
    """A setting that cannot be used is named, and neither it nor any other is shown."""
    bare.setenv("KIRIM_BASE_URL", "https://api.kirim.invalid/v1")
    for name, value in SETTINGS[setting].items():
        bare.setenv(name, value)
    assert_silent(error_of(code))


@pytest.mark.parametrize("how", ["dropped", "page", "redirect", "too late"])
def test_no_failing_reply_shows_the_key(how, bare):
    """Whatever is wrong with a reply, nothing of the request is printed with the error."""
    steps = {
        "dropped": b"",
        "page": reply(200, f"<title>{KEY}</title>".encode()),
        "redirect": reply(302, headers={"Location": f"https://login.test/{KEY}?k={KEY}"}),
        "too late": reply(503, headers={"Retry-After": "99999"}),
    }
    times = Timeouts(connect_seconds=1, write_seconds=1, read_seconds=0.3, try_seconds=0.6)
    bare.setattr("kirim_pandas.api.models.READ_SECONDS", times.read_seconds)
    with ScriptedServer([steps[how]]) as server:
        bare.setenv("KIRIM_BASE_URL", server.base_url)
        for code in (
            "kp.Client(max_tries=1).me()",
            "kp.connect(max_tries=1); df.kirim.bulk_label(LABEL, 'attach', progress=False)",
        ):
            assert_silent(error_of(code))
