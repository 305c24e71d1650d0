"""Series, undoing and going on in the background: the same rows, stopped and resumed as one."""

import time

import pandas as pd
import pytest

import kirim_pandas as kp
from kirim_pandas import session
from kirim_pandas.notebook.texts import running_html, state_text

SLOW = kp.sandbox.Faults(rates={"stall_after_commit": 1.0}, values={"stall_after_commit": 0.05})


@pytest.fixture
def box():
    contacts = kp.sandbox.sample_contacts(3000, seed=4).assign(organization="own")
    with kp.sandbox.start(contacts, seed=4, write_per_minute=60_000, faults=SLOW) as box:
        yield box


@pytest.fixture
def segments(box):
    """Three segments of 1000, their labels of one team, and the options of every call."""
    team = box.labels["team_id"].iloc[0]
    labels = box.labels[box.labels["team_id"] == team]["id"].iloc[:3].tolist()
    df = box.contacts.assign(tier=["a"] * 1000 + ["b"] * 1000 + ["c"] * 1000)
    return df, dict(zip("abc", labels, strict=True)), {"client": box.client()}


def wait(condition):
    for _ in range(2000):
        if condition():
            return
        time.sleep(0.01)
    raise AssertionError("not within 20 s")


def stopped(job):
    job.cancel()
    with pytest.raises(kp.RunInterrupted) as caught:
        job.result()
    return caught.value


def test_a_series_in_the_background_names_its_label_and_is_resumed_as_one(box, segments):
    """The job tells the label at work and its number; Cancel and Resume are of the whole series."""
    df, labels, options = segments
    job = df.kirim.label_segments_job("tier", labels, exclusive=True, **options)
    assert "Attaching 3 labels to 3,000 contacts and detaching each from the others" in repr(job)
    wait(lambda: "(2 of 6 runs)" in job.progress.at_work)
    assert job.progress.at_work.startswith("Label ")
    shown = running_html(job.facts, job.progress, 0.5, per_minute=60)
    assert "of 6 runs)" in shown
    assert "of 9,000 label changes" in state_text(job.progress)
    error = stopped(job)
    assert error.run_id == job.run_id
    assert job.resumable
    assert len(job.frame) == len(df)
    assert f'kp.resume("{job.run_id}")' in job.ending.text
    again = job.resume()
    result = again.result()
    assert again.run_id == job.run_id
    assert result.index.equals(df.index)
    assert not result["reason"].isin(["stopped", "undetermined"]).any()
    for tier, label_id in labels.items():
        right = set(
            result.loc[(df["tier"] == tier) & (result["status"] == "applied"), "contact_id"]
        )
        assert box.members(label_id) == right
    assert kp.last_result() is result
    assert result.kirim.summary(by="tier")["rows"].sum() == 3000


def test_resume_job_goes_on_with_runs_and_series(box, segments):
    """By its id a run, or a series, goes on in the background; rows stand as they stood."""
    df, labels, options = segments
    part = df.kirim.bulk_label(
        labels["a"], "attach", max_requests=1, progress=False, resolve="batches", **options
    )
    job = df.kirim.resume_job(part.attrs["kirim_run_id"], **options)
    assert job.result().index.equals(df.index)
    assert not (job.result()["reason"] == "stopped").any()
    series = df.kirim.label_segments_job("tier", labels, **options)
    wait(lambda: series.progress.answered)
    stopped(series)
    whole = df.kirim.resume_job(series.run_id, **options).result()
    assert whole.index.equals(df.index)
    assert not (whole["reason"] == "stopped").any()
    without = kp.resume_job(series.run_id, **options).result()
    assert set(without["contact_id"]) == set(whole["contact_id"])


def test_undo_in_the_background(box, segments):
    """A run is taken back while the cell has returned; what is not known is said before."""
    df, labels, options = segments
    done = df.kirim.bulk_label(labels["a"], "attach", progress=False, **options)
    with pytest.warns(UserWarning, match="is not known: they lose it, too"):
        job = kp.undo_job(done.attrs["kirim_run_id"], **options)
    assert job.facts.resume == f'kp.resume("{job.run_id}")'  # there is no frame to go on by
    assert len(job.result()) == (done["status"] == "applied").sum()
    assert box.members(labels["a"]) == set()
    assert kp.runs()["undoes"].iloc[0] == done.attrs["kirim_run_id"]


def test_a_sync_in_the_background_says_what_its_cap_left_open(box, segments):
    """A cap ends the job, which says how to go on; its Resume does the rest without a cap."""
    df, labels, options = segments
    members = df["tier"] == "a"
    job = df.kirim.sync_label_job(labels["a"], members, max_requests=1, **options)
    assert set(job.result().loc[members, "reason"].dropna()) <= {"undetermined"}
    assert set(job.result().loc[~members, "reason"]) == {"stopped"}
    assert f'kp.resume("{job.run_id}") goes on, without a cap.' in job.ending.text
    result = job.resume().result()
    assert box.members(labels["a"]) == set(
        result.loc[members & (result["status"] == "applied"), "contact_id"]
    )
    assert result["change"].value_counts().tolist() == [1000, 0, 0]
    assert "Label" in result.kirim.report().title
    assert labels["a"] in result.kirim.report().fragment


def test_counts_of_runs_that_were_finished_before_are_told(box, segments):
    """What a resume says of open rows holds for all runs of the series."""
    df, labels, options = segments
    job = df.kirim.label_segments_job("tier", labels, resolve="batches", max_requests=2, **options)
    first = job.result()["reason"].value_counts()
    assert first["stopped"] == 1000
    assert "max_requests=2 was reached: 1,000 contacts are not sent yet" in job.ending.text
    ending = (again := job.resume()).result()["reason"], again.ending.text
    assert (ending[0] == "undetermined").sum() == 3000
    assert "The service counted 3,000 contacts" not in ending[1]
    counted = sum(kp.calls(job.run_id)["applied"])
    assert f"counted {counted:,} contacts as passing and {3000 - counted:,} as" in ending[1]
    assert f"kp.resume(\"{job.run_id}\", resolve='rows') finds out." in ending[1]


def test_a_report_tells_what_was_counted_where_it_is_not_known_of_whom(box, segments):
    """Of unknown rows the report says the service's counts, also in a later session."""
    df, labels, options = segments
    options |= {"progress": False, "resolve": "batches"}
    alone = df.kirim.bulk_label(labels["a"], "attach", **options)
    series = df.kirim.label_segments("tier", {"b": labels["b"], "c": labels["c"]}, **options)
    for result in (alone, series):
        calls = kp.calls(result.attrs["kirim_run_id"])
        skipped = int(calls["cross_org"].sum() + calls["team_mismatch"].sum())
        told = f"counted {calls['applied'].sum():,} contacts as passing and {skipped:,} as skipped"
        assert told in result.kirim.report().headline
        session._recent.clear()
        assert told in result.kirim.report().headline
        known = result[result["reason"] != "undetermined"]
        assert "counted" not in known.kirim.report().headline


def test_a_job_that_has_ended_is_not_at_work(box, segments):
    """Whichever thread is quicker: a series that has ended is no longer noted as at work."""
    df, labels, options = segments
    for _ in range(5):
        job = df.head(3).kirim.label_segments_job("tier", {"a": labels["a"]}, **options)
        job.result()
        assert job.run_id not in session._at_work


def test_a_program_that_ends_tells_of_the_series_alone(box, segments, capsys):
    """A series at work is told by its own id, and its result is not yet that of an earlier run."""
    df, labels, options = segments
    df.head(3).kirim.bulk_label(labels["a"], "attach", progress=False, **options)
    job = df.kirim.label_segments_job("tier", labels, **options)
    wait(lambda: job.progress.answered)
    session._tell_of_unfinished_runs()
    with pytest.raises(kp.InvalidInputError, match=f"Run {job.run_id} is still at work"):
        kp.last_result()
    stopped(job)
    told = capsys.readouterr().err.splitlines()
    assert [line for line in told if "when this program ended" in line] == told[-1:]
    assert f'kirim_pandas.resume("{job.run_id}")' in told[-1]


def test_a_series_of_nothing_ends_at_once():
    """A frame of which no row is to carry a label is a job that has finished, without a key."""
    df = kp.sandbox.sample_contacts(5, seed=1).assign(tier=pd.NA)
    job = df.kirim.label_segments_job("tier", {})
    assert job.result()["reason"].tolist() == ["no_label"] * 5
    assert "Label nobody: finished" in job.ending.text
    with pytest.raises(kp.InvalidInputError, match="nothing is left"):
        job.resume()
