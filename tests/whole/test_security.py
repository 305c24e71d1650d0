"""What SECURITY.md promises: the key's characters are looked for wherever they could end up."""

import base64
import copy
import csv
import gc
import io
import logging
import os
import pickle
import sys
import traceback
import warnings
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

import nbformat
import pandas as pd
import pytest
from nbclient import NotebookClient
from support.scripted_server import ScriptedServer, counts, error, reply

import kirim_pandas as kp
from kirim_pandas import session
from kirim_pandas.api.models import Timeouts
from kirim_pandas.sandbox import Faults

SECRET = "Zq8vN3xW7kR2mB5tY9hL4cPd"
KEY = f"kdv_live_{SECRET}"
LABEL = "lbl_" + "0" * 26
FAST = 60_000
TIMES = Timeouts(connect_seconds=1, write_seconds=1, read_seconds=0.3, try_seconds=0.6)


def pieces():
    """Every form in which somebody could read the key, or enough of it."""
    runs = {SECRET[i : i + 8] for i in range(len(SECRET) - 7)}
    whole = {quote(SECRET), SECRET[::-1], base64.b64encode(KEY.encode()).decode().rstrip("=")}
    return runs | whole


def assert_clean(text, where):
    text = text.decode("latin-1") if isinstance(text, bytes) else text
    found = [piece for piece in pieces() if piece in text]
    assert not found, f"the key is in {where}"


def everything_of(error):
    """An exception as the most talkative front end shows it: causes, notes, locals of frames.

    All frames but the test's own, which holds the key as a caller's would.
    """
    error.__traceback__ = error.__traceback__.tb_next
    shown = traceback.TracebackException.from_exception(error, capture_locals=True)
    return "".join(shown.format()) + repr(error) + str(vars(error)) + repr(error.args)


def frame(size=3):
    return kp.sandbox.sample_contacts(size, seed=1)[["contact_id"]]


ENDS = {
    "401": error(401, "invalid_api_key", message=f"the key {KEY} is unknown"),
    "404": error(404, "resource_not_found", message=f"not for {SECRET}"),
    "500": error(500, "internal_error", message=KEY[4:-3]),
    "418": error(418, KEY, message=KEY),
    "page": reply(200, f"<title>{KEY}</title>".encode(), headers={"Content-Type": "text/html"}),
    "header": reply(401, b"", headers={"X-Echo": f"Bearer {KEY}"}),
    "redirect": reply(302, b"", headers={"Location": f"http://127.0.0.1:9/?key={KEY}"}),
    "nothing": b"",
    "garbage": b"HTTP/9 " + KEY.encode(),
    "impossible": counts(99, X_Key=KEY),
    "429": reply(429, b"", headers={"Retry-After": "99999"}),
}


@pytest.mark.parametrize("end", ENDS)
def test_the_key_is_nowhere_when_a_run_fails(end, caplog, capsys, tmp_path, monkeypatch):
    """No end of a run shows the key: not its error, frames, logs, output, files or objects."""
    monkeypatch.setenv("KIRIM_API_KEY", KEY)
    caplog.set_level(1)
    for name in ("httpx", "httpcore", "kirim_pandas", "hpack", "asyncio"):
        logging.getLogger(name).setLevel(1)
    with ScriptedServer([ENDS[end]]) as server:
        client = kp.Client(base_url=server.base_url, max_tries=2, timeouts=TIMES)
        with pytest.raises(kp.KirimError) as caught:
            frame().kirim.bulk_label(LABEL, "attach", client=client, journal=tmp_path)
        assert server.arrived
        assert KEY in server.arrived[0].headers["authorization"]
    assert_clean(everything_of(caught.value), "the exception")
    assert_clean(caplog.text, "the logs")
    out = capsys.readouterr()
    assert_clean(out.out + out.err, "the output")
    for file in tmp_path.iterdir():
        assert_clean(file.read_bytes(), file.name)
    result = caught.value.result
    assert_clean(str(result.attrs) + result.to_csv() + repr(result), "the result")
    assert_clean(pickle.dumps(result) + pickle.dumps(caught.value), "a pickle")
    assert_clean(repr(client) + repr(vars(client)) + repr(session.known_client()), "a repr")


def test_the_key_is_not_reachable_as_text():
    """No attribute, closure aside, holds the key as a string that a debugger would list."""
    client = kp.Client(KEY)
    seen, todo = set(), [client]
    while todo:
        thing = todo.pop()
        if id(thing) in seen or isinstance(thing, type) or callable(thing):
            continue
        seen.add(id(thing))
        if isinstance(thing, str):
            assert_clean(thing, "an attribute")
        if type(thing).__module__.startswith("kirim_pandas") or isinstance(thing, (dict, list)):
            todo.extend(gc.get_referents(thing))
    for act in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError):
            act(client)


@pytest.mark.parametrize("name", ["redirect_301", "redirect_302", "redirect_307", "redirect_308"])
def test_no_redirect_carries_the_key_to_another_host(name):
    """A second host that the service points at is sent nothing at all."""
    with ScriptedServer([counts(1)]) as other:
        target = f"http://localhost:{other.port}/v1/contacts/bulk_label"
        faults = Faults(script=dict.fromkeys(range(9), (name, target)))
        with kp.sandbox.start(5, faults=faults) as box, pytest.raises(kp.KirimError):
            box.contacts.kirim.bulk_label(
                box.labels["id"].iloc[0], "attach", client=box.client(), progress=False
            )
        assert other.arrived == []


@pytest.mark.parametrize(
    "url",
    ["http://api.example.org/v1", "http://10.0.0.1/v1", "https://u:p@example.org", "ftp://x/v1"],
)
def test_addresses_that_would_show_the_key_are_refused(url):
    """Plain http to another computer, and addresses with a password, are refused unsent."""
    with pytest.raises(kp.ConfigurationError, match="base_url") as caught:
        kp.Client(KEY, base_url=url)
    assert_clean(everything_of(caught.value), "the exception")


def test_plain_http_is_for_loopback_or_for_those_who_ask():
    """http is taken for this computer, and elsewhere with allow_http=True."""
    kp.Client(KEY, base_url="http://127.0.0.1:9/v1")
    kp.Client(KEY, base_url="http://10.0.0.1/v1", allow_http=True)


MISTYPED = [
    *(KEY + end for end in ("\nX: y", "é", "\x00", "x", "'", "/v1")),
    KEY[:-1],
    f"'{KEY}'",
    f"<{SECRET}>",
    SECRET[:19],
    KEY * 30,
    17,
]


@pytest.mark.parametrize("key", MISTYPED)
def test_what_does_not_look_like_a_key_is_refused_unshown(key, monkeypatch):
    """A mistyped key is refused, wherever it came from, without one of its characters shown."""
    with pytest.raises(kp.ConfigurationError) as caught:
        kp.Client(key)
    assert_clean(everything_of(caught.value), "the exception")
    if isinstance(key, str) and "\x00" not in key:
        assert f"it has {len(key)} characters, and " in str(caught.value)
        monkeypatch.setenv("KIRIM_API_KEY", key)
        with pytest.raises(kp.ConfigurationError) as caught:
            kp.connect()
        assert_clean(everything_of(caught.value), "the exception of connect")


@pytest.mark.parametrize(
    ("key", "told"),
    [(f"kdv_next_{SECRET}", "does not begin with kdv_live_"), (SECRET, "does not begin"),
     (f"kdv_test_{SECRET}", "the service offers no sandbox"),
     (f"kc_live_{SECRET}", "a kc_live_ key, of an older Kirim API")],
)  # fmt: skip
def test_an_unusual_key_is_used_with_a_warning(key, told):
    """The service is the judge of its keys: another prefix is warned of in one line, and sent."""
    with ScriptedServer([counts(3)]) as server:
        with pytest.warns(UserWarning, match=told) as caught:
            client = kp.Client(key, base_url=server.base_url)
        frame().kirim.bulk_label(LABEL, "attach", client=client, progress=False)
        assert server.arrived[0].headers["authorization"] == f"Bearer {key}"
    assert len(caught) == 1
    told = caught[0]  # as it is printed, with the line of source where one is known
    printed = warnings.formatwarning(told.message, told.category, told.filename, told.lineno)
    assert len(printed.splitlines()) == 1
    assert "\n" not in str(caught[0].message)
    assert_clean(str(caught[0].message), "the warning")


@pytest.mark.parametrize("name", ["huge", "gzip_bomb"])
def test_a_reply_has_a_size(name):
    """What is too large to be a reply is dropped, not unpacked, and asked again."""
    faults = Faults(script={0: (name, 50_000_000.0)})
    with kp.sandbox.start(5, faults=faults, skipped_share=0.0) as box:
        result = box.contacts.kirim.bulk_label(
            box.labels["id"].iloc[0], "attach", client=box.client(), progress=False
        )
    assert (result["status"] == "applied").all()


def test_what_a_server_says_is_cleaned_before_it_is_shown():
    """Markup, control characters and length of foreign text do not reach a message."""
    nasty = "<img src=x onerror=alert(1)>\x1b[31m" + "y" * 5000
    with ScriptedServer([error(403, "plan_required", message=nasty)]) as server:
        client = kp.Client(KEY, base_url=server.base_url)
        with pytest.raises(kp.PermissionDeniedError) as caught:
            frame().kirim.bulk_label(LABEL, "attach", client=client, progress=False)
    message = str(caught.value)
    assert "<img" not in message
    assert "\x1b" not in message
    assert len(message) < 1500


NASTY = '"><img src=x onerror=alert(1)>\x1b[31m'


def widgets_below(box):
    """The widget and all that it holds."""
    yield box
    for child in getattr(box, "children", ()):
        yield from widgets_below(child)


LIMIT = {"X-RateLimit-Limit": "60000", "X-RateLimit-Remaining": "59999"}


def refusing(server, text):
    """A step that refuses the first id it ever saw, in words that hold `text`, and takes others."""

    def step(connection):
        posted = [call.json["contact_ids"] for call in server.arrived if call.body]
        first, ids, request_id = posted[0][0], posted[-1], f"{text}{len(posted)}"
        if first in ids:
            error = {"type": text, "code": text, "message": text, "request_id": request_id}
            error["param"] = f"contact_ids[{ids.index(first)}]"
            connection.sendall(reply(400, {"error": error}, headers=LIMIT))
        else:
            data = {"applied": len(ids), "skipped_cross_org": 0, "skipped_team_mismatch": 0}
            body = {"data": data, "request_id": request_id}
            connection.sendall(reply(200, body, headers=LIMIT))

    return step


def markup_of(box):
    """What the widgets in a box show as HTML; lists and boxes to tick show text."""
    import ipywidgets

    return [one.value for one in widgets_below(box) if isinstance(one, ipywidgets.HTML)]


def test_nothing_that_a_server_says_becomes_markup(tmp_path):
    """Names, codes and messages of a service stay text in every view, widget, report and file."""
    from kirim_pandas.notebook.panel_view import PanelWidgets

    me = {"data": {"organization": {"id": NASTY, "name": NASTY}}}
    label = {"id": LABEL, "name": NASTY, "color": NASTY, "team_id": NASTY}
    shown = []
    steps = [
        reply(200, me, headers=LIMIT),
        reply(200, {"data": [label], "has_more": False}, headers=LIMIT),  # the panel asks both
    ]
    with ScriptedServer(steps) as server, kp.Client(KEY, base_url=server.base_url) as client:
        server.steps.append(refusing(server, NASTY))
        data = frame().assign(**{NASTY: NASTY})
        panel = data.kirim.panel(client=client)
        view = PanelWidgets(panel)
        panel.choose_label(LABEL)
        panel.choose_hint(NASTY)
        panel.confirm()
        shown.append(panel.plan()._repr_html_())
        shown += markup_of(view.box)
        panel.segments.choose_column(NASTY)
        panel.segments.choose_label(NASTY, LABEL)
        panel.segments.confirm()
        shown += markup_of(view.box)
        job = panel.run()
        result = job.result(30)
        refused = {"type": NASTY, "code": NASTY, "message": NASTY, "request_id": NASTY}
        server.steps[:] = [reply(403, {"error": refused})]
        with pytest.raises(kp.PermissionDeniedError) as caught:
            client.label(LABEL)
        view.one.attempts.say(caught.value)
        shown += markup_of(view.box)
        failed = replace(job.ending, error=caught.value, notes=[NASTY])
        shown += [job.ending.html, failed.html]
        report = panel.report()
        shown += [report.fragment, report.save(tmp_path / "page.html").read_text()]
        assert result["reason"].dropna().tolist() == [client._secret.clean(NASTY)]
    shown += [part._repr_html_() for part in (result, result.kirim.summary(), data)]
    assert sum("img src" in page for page in shown if isinstance(page, str)) > 5
    for page in shown:
        assert "<img" not in str(page)


def test_nothing_that_is_exported_becomes_a_formula():
    """Unusable ids, codes of the service and columns of the frame are text in a spreadsheet."""
    starts = ("=", "+", "-", "@", "\t=", "\r=", "\n=", "＝")
    formulas = [f'{start}HYPERLINK("http://127.0.0.1:9/","x")' for start in starts]
    ids, bad = frame(len(formulas) + 2)["contact_id"].tolist(), formulas[0]
    with ScriptedServer([b""]) as server, kp.Client(KEY, base_url=server.base_url) as client:
        server.steps[:] = [refusing(server, bad)]
        data = pd.DataFrame({"contact_id": [*ids, *formulas]})
        data = data.assign(**{bad: [bad] * len(ids) + formulas})
        result = data.kirim.bulk_label(
            LABEL, "attach", client=client, progress=False, resolve="batches"
        )
    assert bad in set(result["reason"].dropna())
    whole = pd.concat([data, result.drop(columns="contact_id")], axis=1)
    exports = [result, result.kirim.summary(), result.kirim.summary(by=bad, data=data), kp.runs()]
    for table in [*exports, whole, whole.set_index(bad), whole.T]:
        for cells in csv.reader(io.StringIO(kp.spreadsheet_safe(table).to_csv())):
            assert not [cell for cell in cells if cell.startswith(starts)]


def test_a_saved_notebook_holds_no_key(tmp_path, monkeypatch):
    """A notebook that runs, fails and shows all it has is saved without the key."""
    with kp.sandbox.start(60, write_per_minute=FAST, seed=1) as box:
        monkeypatch.setenv("KIRIM_API_KEY", box.api_key)
        monkeypatch.setenv("KIRIM_BASE_URL", box.base_url)
        monkeypatch.setenv("KIRIM_JOURNAL", str(tmp_path))
        secret = box.api_key.removeprefix("kdv_live_")
        ids = box.contacts["contact_id"].tolist()
        cells = [
            "%xmode Verbose\nimport logging; logging.basicConfig(level=1)",
            "import pandas as pd, kirim_pandas as kp\nclient = kp.connect()\nclient",
            f"df = pd.DataFrame({{'contact_id': {ids!r}}})\n"
            f"result = df.kirim.bulk_label({box.labels['id'].iloc[0]!r}, 'attach')\nresult",
            "result.kirim.summary()",
            f"df.kirim.bulk_label({LABEL!r}, 'attach')",
            f"job = df.kirim.bulk_label_job({LABEL!r}, 'attach')\njob.result()",
            "df.kirim.panel().load_labels()",
            "panel = df.kirim.panel(); panel",
            "import os; os.environ['KIRIM_API_KEY'] += 'é'\nkp.connect()",
            "os.environ['KIRIM_API_KEY'] = 'x' + os.environ['KIRIM_API_KEY'][:-1]\nkp.connect()",
            f"df.kirim.bulk_label({LABEL!r}, 'attach', client=client, journal='/no/such/place')",
            "kp.runs()",
            "vars(client), client._secret, df.kirim, globals().keys()",
            "1 / 0",
        ]
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in cells])
        NotebookClient(notebook, allow_errors=True, store_widget_state=True, timeout=60).execute()
    saved = nbformat.writes(notebook)
    assert "resource_not_found" in saved or "NotFoundError" in saved
    assert "ZeroDivisionError" in saved
    assert [piece for i in range(len(secret) - 7) if (piece := secret[i : i + 8]) in saved] == []


def test_importing_does_nothing(tmp_path):
    """An import opens no file of the user's, no connection, and starts no thread."""
    import subprocess

    code = (
        "import sys, threading\n"
        "opened = []\n"
        "def hook(event, args):\n"
        "    if event in ('socket.connect', 'sqlite3.connect') or (\n"
        "        event == 'open' and isinstance(args[1], str) and set('wax+') & set(args[1])):\n"
        "        opened.append((event, args))\n"
        "sys.addaudithook(hook)\n"
        "import kirim_pandas\n"
        "print(opened, threading.active_count())"
    )
    home = {"HOME": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"}
    out = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | home, capture_output=True, text=True
    )
    assert out.stdout.strip() == "[] 1", out.stderr
    assert list(tmp_path.iterdir()) == []


def test_the_page_names_what_is_promised():
    """SECURITY.md exists and tells where to report."""
    page = (Path(__file__).parents[2] / "SECURITY.md").read_text()
    for word in ("Report", "journal", "redirect", "https", "KIRIM_JOURNAL", "forget"):
        assert word in page
