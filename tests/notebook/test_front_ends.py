"""Poor front ends, each with its real client: what they draw is said, and nothing untrue."""

import os
import queue
import re
import sys
import time

import nbformat
import pytest
from jupyter_client.manager import start_new_kernel
from nbclient import NotebookClient

from kirim_pandas import sandbox

CALL = 'result = df.kirim.bulk_label(label_id, "attach", hint="team")'
JOB = 'job = df.kirim.bulk_label_job(label_id, "attach", hint="team")'
PATIENCE_SECONDS = 60


@pytest.fixture(scope="module")
def setup(tmp_path_factory):
    """The first cell; a service that takes its time, and a journal of its own."""
    folder = tmp_path_factory.mktemp("front-ends")
    contacts = sandbox.sample_contacts(4000, seed=3).assign(organization="own")
    contacts.to_csv(folder / "contacts.csv", index=False)
    slow = sandbox.Faults(rates={"stall_after_commit": 1.0}, values={"stall_after_commit": 0.3})
    with sandbox.start(contacts, seed=3, write_per_minute=600, faults=slow) as box:
        yield (
            "import os, pandas as pd, kirim_pandas as kp; "
            f"os.environ['KIRIM_JOURNAL'] = {str(folder / 'journal')!r}; "
            f"kp.connect({box.api_key!r}, base_url={box.base_url!r}); "
            f"df = pd.read_csv({str(folder / 'contacts.csv')!r}); "
            f"label_id = {box.labels['id'].iloc[0]!r}"
        )


def executed(*cells):
    """Run a notebook as nbclient and papermill do; the cells after the first."""
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    NotebookClient(book, timeout=PATIENCE_SECONDS, kernel_name="python3").execute()
    return book.cells[1:], book


def text_of(cell):
    """What a front end without widgets and HTML, such as a log, shows of a cell."""
    parts = [o.text if o.output_type == "stream" else o.data["text/plain"] for o in cell.outputs]
    return "\n".join(parts)


def test_nbclient_keeps_lines_and_a_summary(setup):
    """Where nobody watches, the run's id comes first, the summary last, and no bar between."""
    [call], _ = executed(setup, CALL)
    text = text_of(call)
    assert re.match(r"Attaching lbl_\w+ to 4,000 contacts\. Run run_\w+\.", text)
    assert re.search(r"finished\. [\d,]+ applied, [\d,]+ skipped\. \d+ requests? in", text)
    assert "\r" not in text
    assert "kernel that drew it" not in text
    assert "text/html" in call.outputs[-1].data


def test_nbclient_tells_where_a_job_stands(setup):
    """A job prints its state and how to ask for it, and its end where somebody waits for it."""
    (started, waited, shown), _ = executed(setup, JOB, "rows = job.result()", "job")
    assert re.search(r"Run run_\w+\.\nAnswers for [\d,]+ of 4,000 contacts", text_of(started))
    assert ".result() waits" in text_of(started)
    assert "finished.\n" in text_of(waited)
    assert "finished.\n" in text_of(shown)


def test_an_output_widget_gets_lines_that_need_no_update(setup):
    """What an Output widget catches is never updated, so nothing in it relies on that."""
    cell = f"import ipywidgets; out = ipywidgets.Output(); display(out)\nwith out: {CALL}"
    _, book = executed(setup, cell)
    [states] = book.metadata["widgets"].values()
    [caught] = [
        state["state"]["outputs"]
        for state in states["state"].values()
        if state["model_name"] == "OutputModel"
    ]
    assert caught[0]["text"].startswith("Attaching lbl_")
    assert "finished." in caught[-1]["data"]["text/plain"]


def test_the_panel_is_a_sentence_with_its_methods(setup):
    """Without its widgets the panel says what it holds and by which methods it is used."""
    [panel], _ = executed(setup, "df.kirim.panel()")
    assert "Panel(4,000 rows, id_column='contact_id'" in text_of(panel)
    for method in (".choose_label(", ".plan()", ".confirm()", ".run()", ".report()"):
        assert method in text_of(panel)
        assert method in panel.outputs[0].data["text/html"]


def test_a_run_of_the_panel_is_told_by_a_log(setup):
    """Where nothing is drawn, a run that methods start leaves its id and its end in the log."""
    [shown, unshown], _ = executed(
        setup,
        "panel = df.head(10).kirim.panel(); display(panel); panel.choose_label(label_id); "
        "panel.plan(); panel.confirm(); job = panel.run(); result = panel.result(); "
        "import time; time.sleep(0.5)",
        "panel = df.head(10).kirim.panel(); panel.choose_label(label_id); "
        "panel.plan(); panel.confirm(); job = panel.run(); result = panel.result(); "
        "time.sleep(0.5)",
    )
    for cell in (shown, unshown):
        text = text_of(cell)
        assert re.search(r"Attaching .* to 10 contacts\. Run run_\w+\.", text)
        assert "to 10 contacts: finished." in text
        assert text.index(". Run run_") < text.index(": finished.")


@pytest.mark.parametrize("broken", ["sys.modules['ipywidgets'] = None", "ipywidgets.HTML = None"])
def test_broken_widgets_leave_the_job_and_its_words(setup, broken):
    """With ipywidgets broken, a job is started, handed over and told of, and the panel usable."""
    cells = [
        f"import sys, ipywidgets; {broken}",
        JOB,
        "len(job.result())",
        "panel = df.kirim.panel()\npanel",
        "panel.choose_label('Newsletter'); panel.plan().contacts",
    ]
    (_, started, waited, shown, planned), _ = executed(setup, *cells)
    assert "is at work" in text_of(started)
    assert "Run run_" in text_of(started)
    assert "4000" in text_of(waited)
    assert "choose_label" in text_of(shown)
    assert "4000" in text_of(planned)


def test_a_kernel_with_a_console_gets_a_line(setup):
    """A client that lets people type but draws no updates, as Spyder's, gets a bar of text."""
    manager, client = start_new_kernel(kernel_name="python3")
    try:
        run(client, setup)
        outputs = run(client, CALL)
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
    kinds = {kind for kind, _ in outputs}
    assert kinds == {"stream", "display_data"}
    text = "".join(content["text"] for kind, content in outputs if kind == "stream")
    bars = [line for line in text.split("\r") if "|" in line]
    assert len(bars) > 3
    assert all(len(line.strip("\n")) < 80 for line in bars)
    assert " left" in bars[-1]
    last = outputs[-1][1]["data"]["text/plain"]
    assert "finished." in last
    assert all(len(line) < 80 for line in last.splitlines())


def run(client, code):
    """Execute a cell; the outputs as (type, content)."""
    asked = client.execute(code, allow_stdin=True)
    outputs, end = [], time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < end:
        try:
            message = client.get_iopub_msg(timeout=1)
        except queue.Empty:
            continue
        if message["parent_header"].get("msg_id") != asked:
            continue
        kind, content = message["msg_type"], message["content"]
        assert kind != "error", content
        if kind == "status" and content["execution_state"] == "idle":
            return outputs
        if kind in ("stream", "display_data", "update_display_data", "execute_result"):
            outputs.append((kind, content))
    raise AssertionError(f"not within {PATIENCE_SECONDS} s: {code}")


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo terminal")
def test_jupyter_console_in_a_terminal(setup):
    """jupyter console shows a bar of text, whole words at 80 columns, a job's state and its end."""
    pexpect = pytest.importorskip("pexpect")
    pytest.importorskip("jupyter_console")
    console = pexpect.spawn(
        sys.executable,
        ["-m", "jupyter_console", "--simple-prompt"],
        dimensions=(40, 80),
        encoding="utf-8",
        timeout=PATIENCE_SECONDS,
        env={**os.environ, "COLUMNS": "80"},
    )
    try:

        def answer(code, number):
            console.sendline(code)
            console.expect(rf"In \[{number}\]:")
            return console.before

        console.expect(r"In \[1\]:")
        answer(setup, 2)
        called = answer(CALL, 3)
        assert "attaching: " in called
        assert " left" in called
        assert "finished." in called
        started = answer(JOB, 4)
        assert "of 4,000 contacts" in started
        assert ".cancel()" in started
        assert "4000" in answer("len(job.result())", 5)
        assert "finished." in answer("job", 6)
        assert "choose_label" in answer("df.kirim.panel()", 7)
        assert "VBox(" not in console.before
    finally:
        console.close(force=True)
