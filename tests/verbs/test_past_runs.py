"""What the journal tells of runs, and what a process remembers of its own."""

import os
import subprocess
import sys

import pandas as pd
import pytest

import kirim_pandas as kp
from kirim_pandas.frames.results import STATUSES


@pytest.fixture(scope="module")
def box():
    with kp.sandbox.start(contacts=1500, seed=1, write_per_minute=60_000) as sandbox:
        yield sandbox


def test_runs_lead_with_what_is_asked_first(box, label):
    """State and label stand at the left, what is wide at the right; times fit a spreadsheet."""
    box.contacts.kirim.bulk_label(label, "attach", client=box.client(), progress=False)
    runs = kp.runs()
    first = ["run_id", "state", "label", "operation", "started_at", "rows"]
    last = ["requests", "undoes", "series", "label_id", "target", "found"]
    assert runs.columns.tolist() == [*first, *STATUSES, *last]
    assert runs["started_at"].dtype == "datetime64[s]"
    assert abs(pd.Timestamp.now() - runs["started_at"].iloc[0]) < pd.Timedelta("5min")
    assert runs[["label", "state"]].values.tolist() == [[label, "finished"]]
    assert kp.runs().dtypes.equals(kp.runs().iloc[:0].dtypes)


def test_calls_are_those_the_service_saw(box, label):
    """Each call of a run has its row, with the counts and the request id of its answer."""
    before = len(box.requests())
    result = box.contacts.kirim.bulk_label(label, "attach", client=box.client(), progress=False)
    calls = kp.calls(result.attrs["kirim_run_id"])
    seen = box.requests().iloc[before:].query("method == 'POST'")
    assert calls["number"].tolist() == list(range(len(seen)))
    assert calls["contacts"].sum() == seen["contact_ids"].map(len).sum()
    assert set(calls["state"]) == {"answered"}
    assert calls["request_id"].is_unique
    batches = calls[calls["phase"] == "apply"]
    assert batches["batch"].tolist() == [0, 1]
    assert calls.loc[calls["phase"] == "resolve", "batch"].isna().all()
    assert (
        calls["applied"] + calls["cross_org"] + calls["team_mismatch"] <= calls["contacts"]
    ).all()
    assert {"string", "Int64"} == set(calls.dtypes.astype(str))


def test_a_run_without_calls_has_an_empty_frame(box, label):
    """A run of which nothing was sent yet has the columns and dtypes of any other."""
    seen = []
    box.contacts.iloc[:20].kirim.bulk_label(
        label,
        "attach",
        client=box.client(),
        resolve="batches",
        progress=lambda now: seen.append(kp.calls(kp.runs()["run_id"].iloc[0])),
    )
    assert seen[0].columns.equals(seen[-1].columns)
    assert all(frame.dtypes.equals(seen[-1].dtypes) for frame in seen)


def test_a_call_that_had_no_effect_is_unsent(box):
    """What surely changed nothing, and a resume would send again, is unsent and has no counts."""
    unknown = f"lbl_{'0' * 26}"
    with pytest.raises(kp.NotFoundError) as caught:
        box.contacts.kirim.bulk_label(unknown, "attach", client=box.client(), progress=False)
    calls = kp.calls(caught.value.run_id)
    assert set(calls["state"]) == {"unsent"}
    assert calls[["applied", "cross_org", "team_mismatch"]].isna().all(axis=None)
    assert calls["code"].tolist() == ["resource_not_found"]
    assert calls["request_id"].tolist() == [caught.value.request_id]


def test_the_last_result_is_never_that_of_an_earlier_run(box, label):
    """While the run that was started last is at work, last_result() says so."""
    df, client = box.contacts.iloc[:40], box.client()
    first = df.kirim.bulk_label(label, "attach", client=client, progress=False)
    told = []

    def watch(now):
        with pytest.raises(kp.InvalidInputError, match="still at work") as caught:
            kp.last_result()
        told.append(str(caught.value))

    second = df.kirim.bulk_label(label, "attach", client=client, progress=watch)
    assert second.attrs["kirim_run_id"] in told[0]
    assert kp.last_result() is second
    assert first is not second


@pytest.mark.filterwarnings("ignore:The inplace keyword")  # people still use it
@pytest.mark.parametrize("change", ["sort", "cell"])
def test_a_frame_changed_in_place_changes_no_report(box, label, change):
    """A report looks columns up in the frame as it was when the run started."""
    df = box.contacts.iloc[:60].copy()
    before = df["team"].copy()

    def spoil(now):
        if change == "sort":
            df.sort_values("contact_id", inplace=True, ascending=False)
        else:
            df.loc[df.index[0], "team"] = "spoilt"

    result = df.kirim.bulk_label(label, "attach", client=box.client(), progress=spoil)
    summary = result.kirim.summary(by="team").astype({"status": str})
    truth = result.assign(team=before).astype({"status": str}).groupby(["team", "status"]).size()
    assert summary.groupby(["team", "status"])["rows"].sum().to_dict() == truth.to_dict()


def test_a_script_that_ends_says_how_to_go_on(tmp_path):
    """A job dies with its process, which names the run and the way to resume it."""
    code = (
        "import kirim_pandas as kp\n"
        "df = kp.sandbox.sample_contacts(2500, seed=1)\n"
        "kp.connect()\n"
        "print(df.kirim.bulk_label_job(LABEL, 'attach').run_id)\n"
    )
    with kp.sandbox.start(contacts=2500, seed=1, write_per_minute=1) as box:
        code = code.replace("LABEL", repr(box.labels["id"].iloc[0]))
        given = {"KIRIM_API_KEY": box.api_key, "KIRIM_BASE_URL": box.base_url}
        ended = subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, **given, "KIRIM_JOURNAL": str(tmp_path)},
            capture_output=True,
            text=True,
            timeout=60,
        )
    run_id = ended.stdout.strip()
    assert f'kirim_pandas.resume("{run_id}")' in ended.stderr
    assert kp.runs(journal=tmp_path)[["run_id", "state"]].values.tolist() == [
        [run_id, "interrupted"]
    ]
    assert ended.returncode == 0


# -- results of the past -------------------------------------------------------------------


def test_a_result_of_the_past_is_the_result(box, label):
    """result() tells of each contact what the run told, sends nothing and needs no client."""
    df = box.contacts
    rows = df.kirim.bulk_label(label, "attach", client=box.client(), progress=False)
    capped = df.kirim.bulk_label(
        label, "attach", client=box.client(), progress=False, max_requests=3
    )
    batches = df.kirim.bulk_label(
        label, "attach", client=box.client(), progress=False, resolve="batches"
    )
    before = len(box.requests())
    for made in (rows, capped, batches):
        again = kp.result(made.attrs["kirim_run_id"])
        # The order is that of sending, which earlier runs may have decided.
        as_sent = made.set_index("contact_id").loc[again["contact_id"]].reset_index()
        pd.testing.assert_frame_equal(again, as_sent[again.columns], check_dtype=False)
        assert again.attrs == made.attrs
    assert len(box.requests()) == before
    assert kp.runs()["state"].tolist() == ["finished", "capped", "finished"]


def test_a_result_of_a_stopped_run_tells_what_is_known(box, label):
    """Of a run that was stopped the answered batches are told, and nothing else is claimed."""
    df, seen = box.contacts, []

    def stop(now):
        seen.append(now)
        if now.answered:
            raise KeyboardInterrupt

    with pytest.raises(kp.RunInterrupted) as caught:
        df.kirim.bulk_label(label, "attach", client=box.client(), progress=stop)
    again = kp.result(caught.value.run_id)
    told = caught.value.result.reset_index(drop=True)
    pd.testing.assert_frame_equal(again, told)
    assert set(again["status"]) <= {"applied", "skipped", "unknown", "not_sent"}


def test_a_run_at_work_has_no_result_yet(box, label):
    """The result of a run that is at work is refused, by name."""
    told = []

    def watch(now):
        if not told:
            with pytest.raises(kp.JournalError, match="is at work in this kernel") as caught:
                kp.result(kp.runs()["run_id"].iloc[0])
            told.append(caught.value)

    box.contacts.iloc[:20].kirim.bulk_label(label, "attach", client=box.client(), progress=watch)
    assert told


def test_compare_takes_run_ids(box, label):
    """A run id stands for the result of its run; who stands in one side only is marked."""
    df = box.contacts.iloc[:300]
    settings = {"client": box.client(), "progress": False}
    first = df.iloc[:200].kirim.bulk_label(label, "attach", **settings)
    later = df.iloc[100:].kirim.bulk_label(label, "attach", **settings)
    ids = [result.attrs["kirim_run_id"] for result in (first, later)]
    pd.testing.assert_frame_equal(kp.compare(*ids), kp.compare(first, later))
    counts = kp.compare(ids[0], later, unchanged=True)["change"].value_counts()
    assert counts.to_dict() == {
        "changed": 0,
        "only_before": 100,
        "only_after": 100,
        "unchanged": 100,
    }
    with pytest.raises(kp.InvalidInputError, match="There is no run 'run_1'"):
        kp.compare(first, "run_1")


@pytest.mark.parametrize("days", [0, -1, True, "400", float("nan"), float("inf")])
def test_days_of_history_are_a_number(days):
    """What is no number of days is refused in words, and changes nothing."""
    with pytest.raises(kp.InvalidInputError, match="expected a number above 0"):
        kp.keep_history(days)


def test_history_is_kept_as_chosen(box, label):
    """A choice of days deletes at once what is older, and only what has finished."""
    finished = box.contacts.iloc[:5].kirim.bulk_label(
        label, "attach", client=box.client(), progress=False
    )
    kp.keep_history(days=None)
    assert kp.runs()["run_id"].tolist() == [finished.attrs["kirim_run_id"]]
    kp.keep_history(days=1e-9)
    assert kp.runs().empty
