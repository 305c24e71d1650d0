"""Capped runs: what a cap left open is said, counted rightly, kept, and gone on with."""

import io
import warnings
from contextlib import redirect_stdout

import pandas as pd
import pytest

import kirim_pandas as kp
from kirim_pandas.journal.store import KEEP_SECONDS, Journal

FAST = 60_000


@pytest.fixture
def box():
    with kp.sandbox.start(2500, write_per_minute=FAST, skipped_share=0.006, seed=4) as box:
        yield box


def last_line(box, frame, label, **options):
    said = io.StringIO()
    with redirect_stdout(said), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the rows without an id
        result = frame.kirim.bulk_label(label, "attach", client=box.client(), **options)
    return result, said.getvalue().strip().splitlines()[-1]


def test_a_cap_that_was_reached_says_what_it_left(box, label):
    """Unsent and unsettled rows are counted, blanks are not, and the way on is given."""
    frame = pd.concat([box.contacts, pd.DataFrame({"contact_id": [None, "no id"] * 9})])
    result, line = last_line(box, frame, label, max_requests=2)
    run_id = result.attrs["kirim_run_id"]
    assert (result["reason"] == "stopped").sum() == 500
    assert line.endswith(
        " max_requests=2 was reached: 500 contacts are not sent yet, 2,000 are sent but not yet "
        f'told apart. df.kirim.resume("{run_id}") goes on, without a cap unless you give one.'
    )
    assert "finds out who" not in line
    listed = kp.runs()
    assert listed["state"].tolist() == ["capped"]
    whole = kp.resume(run_id, client=box.client(), progress=False)
    assert set(whole["status"]) == {"applied", "skipped"}
    assert kp.runs()["state"].tolist() == ["finished"]


def test_requests_that_could_settle_nothing_are_told(box, label):
    """Where the rest of the cap would not have settled a row, it is not spent, and that is said."""
    result, line = last_line(box, box.contacts, label, max_requests=9, hint=None, reads=False)
    spent = len(box.requests())
    assert spent < 9, "with this cap there is nothing to tell"
    assert (
        f" {spent} of 9 requests; the other {9 - spent} would not have settled a contact: " in line
    )
    open_rows = (result["reason"] == "undetermined").sum()
    assert (
        f"contact: {open_rows:,} contacts are sent but not yet told apart. df.kirim.resume(" in line
    )


@pytest.mark.parametrize("options", [{"max_requests": 5000}, {"resolve": "batches"}, {}])
def test_a_cap_that_left_nothing_open_is_not_told(box, label, options):
    """A run that did all it was meant to do is finished, whatever its cap."""
    _, line = last_line(box, box.contacts, label, **options)
    assert "max_requests" not in line
    assert kp.runs()["state"].tolist() == ["finished"]


def test_a_cap_on_batches_is_told(box, label):
    """A run that names nobody is capped where contacts were not sent, and only there."""
    for cap, state in ((2, "capped"), (3, "finished")):
        last_line(box, box.contacts, label, max_requests=cap, resolve="batches")
        assert kp.runs()["state"].iloc[0] == state


def test_a_capped_job_says_so(box, label):
    """A job's summary calls a capped run capped, in text and HTML, and says what is left."""
    job = box.contacts.kirim.bulk_label_job(label, "attach", client=box.client(), max_requests=1)
    job.result(60)
    assert job.progress.state == "capped"
    assert job.ending.text.splitlines()[0].endswith(": capped.")
    for told in (repr(job), job.ending.html):
        assert "max_requests=1 was reached: 1,500 contacts are not sent yet, 1,000 are sent" in told


def test_a_capped_run_is_kept(box, label):
    """The journal forgets a finished run after its time, and a capped one never by itself."""
    last_line(box, box.contacts, label, max_requests=1)
    last_line(box, box.contacts, label)
    Journal(wall_clock=lambda: 2 * KEEP_SECONDS + pd.Timestamp.now().timestamp()).close()
    assert kp.runs()["state"].tolist() == ["capped"]


def test_runs_tell_where_and_when(box, label):
    """The list of runs tells the address, and its times are whole seconds."""
    last_line(box, box.contacts, label, max_requests=1)
    listed = kp.runs()
    assert listed.columns[-2:].tolist() == ["target", "found"]
    assert listed["target"].iloc[0].startswith(box.base_url)
    assert listed["started_at"].equals(listed["started_at"].dt.floor("s"))
