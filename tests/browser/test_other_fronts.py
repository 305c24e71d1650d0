"""Fronts that draw less than JupyterLab: Voilà, marimo, no widgets, outputs caught by a widget."""

import contextlib
import os
import re
import socket
import subprocess
import sys
from functools import cache

import nbformat
import pytest

from .lab import LABELS, Lab, wait_for

CALL = 'result = df.kirim.bulk_label(label_id, "attach", hint="team")'
JOB = 'job = df.kirim.bulk_label_job(label_id, "attach", hint="team")'
PANEL = "df.head(4000).kirim.panel()"
PYTHON = os.environ.get("KIRIM_FRONTS_PYTHON", sys.executable)
"""Has Voilà and marimo; what other tests use stays free of what they ask for."""


@cache
def has(module):
    """Whether a front can be tried; where its Python is named it must be there."""
    find = f"import importlib.util as u; raise SystemExit(u.find_spec({module!r}) is None)"
    return (
        "KIRIM_FRONTS_PYTHON" in os.environ or not subprocess.run([PYTHON, "-c", find]).returncode
    )


@pytest.fixture(scope="module")
def plain_lab(box, tmp_path_factory):
    """JupyterLab whose extension for widgets is off."""
    home = tmp_path_factory.mktemp("plain-home")
    lab = Lab(home, tmp_path_factory.mktemp("plain"), box, widgets=False)
    yield lab
    lab.close()


@contextlib.contextmanager
def served(module, *arguments, folder):
    """Start a server of pages as a module of Python; its address."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    private = {"HOME": str(folder), "KIRIM_JOURNAL": str(folder / "journal")}
    with (folder / "server.log").open("w") as log:
        server = subprocess.Popen(
            [PYTHON, "-m", module, *(part.format(port=port) for part in arguments)],
            env={**os.environ, **private},
            cwd=folder,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            wait_for(lambda: listens(port), f"{module} to listen")
            yield f"http://127.0.0.1:{port}/"
        finally:
            server.terminate()
            try:
                server.wait(20)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait(5)


def listens(port):
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
    except OSError:
        return False
    return True


def test_a_lab_without_widgets_follows_by_words(plain_lab, browser, box):
    """Without widgets the bar of a call moves, a job is followed by its note, and both end."""
    box.contacts.to_csv(plain_lab.folder / "contacts.csv", index=False)
    setup = (
        "import pandas as pd, kirim_pandas as kp\n"
        f'df = pd.read_csv("contacts.csv")\nlabel_id = "{box.labels["id"].iloc[0]}"'
    )
    browser.open(plain_lab.notebook("plain", [setup, CALL, JOB, PANEL], kernel="python3"))
    browser.run_cell(0)
    browser.run_cell(1)
    wait_for(lambda: browser.bar_share(1), "the bar to move")
    browser.wait_output(1, "Finished.")
    browser.run_cell(2)
    browser.wait_output(2, "It runs in the background")
    browser.wait_output(2, "answers for")
    browser.picture("lab-without-widgets")
    browser.wait_output(2, "Finished.")
    browser.run_cell(3)
    browser.wait_output(3, ".choose_label(")
    browser.severe_messages()  # of the page, whose kernel speaks of widgets


def test_an_output_widget_catches_all_of_a_call(lab, browser, box, setup):
    """In an Output widget, whose content is never updated, the bar moves and the end is told."""
    cell = f"import ipywidgets\nout = ipywidgets.Output()\ndisplay(out)\nwith out:\n    {CALL}"
    browser.open(lab.notebook("caught", [setup(box), cell]))
    browser.run_cell(0)
    browser.run_cell(1)
    browser.wait_output(1, "attaching:")
    browser.wait_output(1, "Finished.")
    browser.picture("output-widget")
    assert re.search(r"Run\s+run_\w+", browser.output(1))


@pytest.mark.skipif(not has("voila"), reason="needs voila: pip install voila")
def test_voila_shows_summary_job_and_panel(browser, box, tmp_path):
    """Voilà shows the summary of a call, a live job, and a panel whose report is drawn."""
    box.contacts.to_csv(tmp_path / "contacts.csv", index=False)
    cells = [setup_of(box), CALL, JOB, PANEL]
    book = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(cell) for cell in cells],
        metadata={"kernelspec": {"name": "python3", "display_name": "Python"}},
    )
    nbformat.write(book, tmp_path / "page.ipynb")
    arguments = ["--no-browser", "--port={port}", "--Voila.ip=127.0.0.1", "page.ipynb"]
    with served("voila", *arguments, folder=tmp_path) as address:
        browser.show(address)
        wait_for(lambda: "20,000 contacts" in browser.text(), "the summary", 90)
        assert re.search(r"Run run_\w+", browser.text())
        wait_for(lambda: browser.text().count("Finished.") == 2, "the job's summary")
        browser.click(browser.all("option", browser.visible(LABELS)[0])[0])
        hints = browser.visible("select[multiple]")[0]
        browser.click(next(o for o in browser.all("option", hints) if o.text == "team"))
        browser.click(browser.button("Show the plan"))
        wait_for(lambda: "4,000 customers" in browser.text(), "the plan")
        browser.click(browser.visible("input[type=checkbox]")[0])
        wait_for(lambda: browser.button("Run now").is_enabled(), "the run to be allowed")
        browser.click(browser.button("Run now"))
        wait_for(lambda: "What it means" in browser.text(), "the report")
        browser.picture("voila")
        browser.close_page()
    browser.severe_messages()  # of the page's own requests


@pytest.mark.skipif(not has("marimo"), reason="needs marimo: pip install marimo")
def test_marimo_shows_words(browser, box, tmp_path):
    """marimo shows where a job stands, its end, and by which methods the panel is used."""
    box.contacts.to_csv(tmp_path / "contacts.csv", index=False)
    cells = [
        ("", setup_of(box), "df, label_id"),
        ("df, label_id", f"{JOB}\njob", "job"),
        ("job", "ended = len(job.result())\njob", ""),
        ("df", PANEL, ""),
    ]
    (tmp_path / "page.py").write_text(
        "import marimo\napp = marimo.App()\n"
        + "".join(
            f"@app.cell\ndef _({takes}):\n    {body.replace(chr(10), chr(10) + '    ')}\n"
            f"    return {f'({gives},)' if gives else ''}\n"
            for takes, body, gives in cells
        )
    )
    arguments = ["run", "--headless", "--no-token", "--port={port}", "page.py"]
    with served("marimo", *arguments, folder=tmp_path) as address:
        browser.show(address)
        wait_for(lambda: ".cancel() stops it" in browser.text(), "the job", 90)
        wait_for(lambda: ": finished." in browser.text(), "the job's end")
        wait_for(lambda: ".choose_label(" in browser.text(), "the panel's methods")
        browser.picture("marimo")
        browser.close_page()
    browser.severe_messages()  # of the page's own requests


def setup_of(box):
    return (
        "import pandas as pd, kirim_pandas as kp\n"
        f'_ = kp.connect("{box.api_key}", base_url="{box.base_url}")\n'
        'df = pd.read_csv("contacts.csv")\n'
        f'label_id = "{box.labels["id"].iloc[0]}"'
    )
