"""Reports find the frame and the run of a result again, or say what cannot be told."""

from __future__ import annotations

import io
from collections import OrderedDict

import pandas as pd
import pytest

import kirim_pandas as kp
from kirim_pandas import session
from kirim_pandas.verbs.reporting import run_of


@pytest.fixture
def box(tmp_path, monkeypatch):
    monkeypatch.setenv("KIRIM_JOURNAL", str(tmp_path / "journal.sqlite"))
    monkeypatch.setattr(session, "_recent", OrderedDict())
    with kp.sandbox.start(contacts=120, seed=4, write_per_minute=60_000) as box:
        yield box


def label(box, frame, op="attach", number=0, **options):
    label_id = box.labels["id"].iloc[number]
    return frame.kirim.bulk_label(label_id, op, client=box.client(), progress=False, **options)


def through_csv(frame):
    return pd.read_csv(io.StringIO(frame.to_csv(index=False)))


def through_parquet(frame):
    buffer = io.BytesIO()
    frame.reset_index(drop=True).to_parquet(buffer)
    back = pd.read_parquet(buffer)
    back.attrs.clear()
    return back


def beside(frame, result):
    """The documented way to combine."""
    return pd.concat([frame, result.drop(columns="contact_id")], axis=1)


@pytest.fixture(params=[False, True], ids=["same process", "another process"])
def forgetful(request, monkeypatch):
    """Lets the process forget its runs, as another one would never have known them."""

    def forget():
        if request.param:
            monkeypatch.setattr(session, "_recent", OrderedDict())

    return forget


@pytest.mark.parametrize(
    "way", [beside, lambda f, r: through_csv(r), lambda f, r: through_parquet(r)]
)
def test_a_result_without_its_run_id_is_found_again(box, way, forgetful):
    """A result beside its frame, or read from a file, keeps its run in the report."""
    frame = box.contacts
    result = label(box, frame)
    forgetful()
    told = way(frame, result)
    assert told.attrs == {}
    report = told.kirim.report()
    for part in (result.attrs["kirim_run_id"], box.labels["id"].iloc[0], "attach"):
        assert part in report.html
    assert "found by its contacts" in report.html
    assert "attached to" in report.title


def test_a_part_of_a_result_is_found_again(box):
    """The rows of one status, read from a file, belong to the run that has those contacts."""
    result = label(box, box.contacts)
    part = through_csv(result[result["status"] == "applied"])
    assert run_of(part).run_id == result.attrs["kirim_run_id"]


def test_outcomes_tell_runs_of_the_same_contacts_apart(box):
    """Of several runs over the same contacts only those with the same outcomes are candidates."""
    frame = box.contacts
    first, _ = label(box, frame, number=0), label(box, frame, number=0, resolve="batches")
    assert run_of(through_csv(first)).run_id == first.attrs["kirim_run_id"]


def test_what_cannot_be_told_is_said(box):
    """Runs with the same contacts and outcomes are all named; only what they share is told."""
    frame = box.contacts
    runs = [label(box, frame, op).attrs["kirim_run_id"] for op in ("attach", "detach")]
    lost = through_csv(kp.last_result())
    facts = run_of(lost)
    assert (facts.run_id, facts.operation) == (None, None)
    assert facts.label_id == box.labels["id"].iloc[0]
    page = lost.kirim.report().html
    assert all(run in page for run in runs)
    assert "2 runs have its contacts and outcomes" in page


def test_a_result_of_another_machine(box):
    """Where no run fits, the report says that label, operation and run cannot be told."""
    result = label(box, box.contacts)
    other = through_csv(result).assign(contact_id=[f"ctc_{n:026d}" for n in range(len(result))])
    assert "cannot be told" in other.kirim.report().html
    assert other.kirim.report().title == "Labels in Kirim"
    result.attrs["kirim_run_id"] = "run_20200101_0000000000"
    assert "this journal does not have the run" in result.kirim.report().html


def test_a_run_without_a_journal_is_found_in_its_process(box):
    """The process remembers the runs that were not written down."""
    result = label(box, box.contacts, journal=False)
    facts = run_of(through_csv(result))
    assert facts.run_id == result.attrs["kirim_run_id"]
    assert facts.operation == "attach"


@pytest.mark.filterwarnings("ignore:The inplace keyword")  # what analysts write all the same
def test_a_report_uses_the_frame_as_it_was(box):
    """Sorting or changing the frame while a job runs moves no row under another group."""
    frame = box.contacts
    truth = frame["team"].value_counts().to_dict()
    own = frame.set_index("contact_id")["team"]
    job = frame.kirim.bulk_label_job(box.labels["id"].iloc[0], "attach", client=box.client())
    frame.sort_values("contact_id", inplace=True)
    frame["team"] = "nobody's"
    result = job.result()
    counts = result.kirim.summary(by="team")
    assert counts.groupby("team")["rows"].sum().to_dict() == truth
    mismatched = result.loc[result["reason"] == "team_mismatch", "contact_id"].map(own)
    expected = mismatched.value_counts().to_dict()
    counted = counts[counts["reason"] == "team_mismatch"]
    assert dict(zip(counted["team"], counted["rows"], strict=True)) == expected


def test_a_resumed_run_by_contact(box, forgetful):
    """kp.resume gives one row a contact in sending order: data= is joined by contact."""
    frame = box.contacts
    stopped = label(box, frame, hint="team", max_requests=1)
    forgetful()
    whole = kp.resume(stopped.attrs["kirim_run_id"], client=box.client(), progress=False)
    counts = whole.kirim.summary(by="team", data=frame)
    assert counts.groupby("team")["rows"].sum().to_dict() == frame["team"].value_counts().to_dict()


def test_compare_takes_only_results():
    """What is no result is refused in words, on either side."""
    result = pd.DataFrame({"contact_id": ["ctc_1"], "status": ["applied"], "reason": [None]})
    for pair in ((result, None), (None, result), ([1], result)):
        with pytest.raises(kp.InvalidInputError, match="expected a result of bulk_label"):
            kp.compare(*pair)


@pytest.mark.parametrize("lost", [[0], [1], [0, 1]], ids=["first", "second", "both"])
def test_compare_refuses_the_opposite_operation_through_files(box, forgetful, lost):
    """A result from a file is looked up, so attach and detach are never compared as if alike."""
    frame = box.contacts
    results = [label(box, frame, "attach", number=0), label(box, frame[:90], "detach", number=0)]
    forgetful()
    for number in lost:
        results[number] = through_csv(results[number])
    with pytest.raises(
        kp.InvalidInputError, match=r"operation attach, the second of detach.*found"
    ):
        kp.compare(*results)
    again = through_csv(label(box, frame, "attach", number=0))
    assert kp.compare(results[0], again).empty


@pytest.mark.parametrize("before", [False, True], ids=["alone", "after another label's run"])
def test_results_of_several_runs_together_are_not_taken_for_another_run(box, forgetful, before):
    """A result that pd.concat made is told to be of a label only where no other label fits it."""
    frame = box.contacts
    if before:
        label(box, frame, number=0)
    parts = [label(box, part, number=1) for part in (frame.iloc[:70], frame.iloc[70:])]
    expected = pd.concat(parts)
    forgetful()
    told = run_of(expected)
    # Both labels are of one team, so outcomes do not tell their runs apart.
    assert told.label_id == (None if before else box.labels["id"].iloc[1])
    assert told.operation == "attach"
    assert told.run_id is None
