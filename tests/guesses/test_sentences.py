"""What was found, told to people in one sentence, and where it stands."""

import pandas as pd
import pytest

import kirim_pandas as kp
from kirim_pandas.grouptesting.outcomes import Outcome
from kirim_pandas.guesses.columns import CONNECTED_NUMBER
from kirim_pandas.guesses.search import Finding
from kirim_pandas.guesses.sentences import findings_text

TEAM = Finding(Outcome.TEAM_MISMATCH, CONNECTED_NUMBER, 3, 6, 3710, exact=True)
FOREIGN = Finding(Outcome.CROSS_ORG, CONNECTED_NUMBER, 1, 7, 390, exact=True)


@pytest.mark.parametrize(
    ("findings", "requests", "told"),
    [
        ([], 12, ""),
        (
            [TEAM, FOREIGN],
            12,
            "Skips follow the connected number: 3 of 6 numbers are not of the label's team; "
            "390 contacts are not in your organisation. Confirmed with 12 requests.",
        ),
        (
            [Finding(Outcome.TEAM_MISMATCH, "city", 1, 8, 40, exact=False)],
            1,
            "Skips follow city: 1 of 8 values is not of the label's team, with exceptions. "
            "Confirmed with 1 request.",
        ),
        (
            [Finding(Outcome.CROSS_ORG, "signed_up", 0, 0, 1250, exact=True), TEAM],
            9,
            "Skips follow signed_up: a stretch of 1,250 contacts is not in your organisation. "
            "Skips follow the connected number: 3 of 6 numbers are not of the label's team. "
            "Confirmed with 9 requests.",
        ),
        (
            [Finding(Outcome.CROSS_ORG, CONNECTED_NUMBER, 1, 2, 1, exact=True)],
            2,
            "Skips follow your organisation's contact list: 1 contact is not in it. "
            "Confirmed with 2 requests.",
        ),
    ],
)
def test_the_sentence(findings, requests, told):
    """Numbers, values and stretches are told from each other, one and many as well."""
    assert findings_text(findings, requests) == told


def test_every_view_has_the_sentence(capsys, tmp_path):
    """The bar's end, the callback, the job, the report and the list of runs say the same."""
    frame = kp.sandbox.sample_contacts(2500, seed=3, skipped_share=0.3)
    frame["organization"] = "own"
    words = "Skips follow team: "
    with kp.sandbox.start(frame, write_per_minute=60_000) as box:
        label, client = box.labels["id"].iloc[0], box.client()
        rows = box.contacts[["contact_id", "team", "city"]]
        seen = []
        result = rows.kirim.bulk_label(label, "attach", client=client, progress=seen.append)
        sentence = seen[-1].found
        assert sentence.startswith(words)
        assert not any(now.found for now in seen[:-1])
        probes = (kp.calls(result.attrs["kirim_run_id"])["phase"] == "resolve").sum()
        assert sentence.endswith(f" Confirmed with {probes} requests.")
        assert kp.runs()["found"].tolist() == [sentence]
        assert sentence.replace("'", "&#39;") in result.kirim.report().html
        # In other journals, where no earlier run tells who is skipped.
        rows.kirim.bulk_label(label, "attach", client=client, journal=tmp_path / "second")
        out = capsys.readouterr()
        assert sentence in out.out + out.err
        job = rows.kirim.bulk_label_job(label, "attach", client=client, journal=tmp_path / "third")
        job.result()
        assert sentence in repr(job)
        assert sentence.replace("'", "&#39;") in job._ending.html
        resumed = kp.resume(result.attrs["kirim_run_id"], progress=False)
        pd.testing.assert_series_equal(
            resumed["status"], result["status"], check_index=False, check_names=False
        )
        assert kp.runs()["found"].tolist() == [sentence]


def test_nothing_is_said_where_nothing_was_found():
    """Without a pattern, or before all is confirmed, no sentence claims one."""
    frame = kp.sandbox.sample_contacts(1200, seed=3, skipped_share=0.02)
    with kp.sandbox.start(frame, write_per_minute=60_000) as box:
        label, client = box.labels["id"].iloc[0], box.client()
        settings = {"client": client, "progress": False}
        box.contacts[["contact_id"]].kirim.bulk_label(label, "attach", **settings, reads=False)
        box.contacts.kirim.bulk_label(label, "attach", **settings, max_requests=3)
        runs = kp.runs()
        assert runs["state"].tolist() == ["capped", "finished"]
        assert runs["found"].isna().all()


def test_requests_before_a_resume_are_said_to_be_counted():
    """A run that was gone on with tells more requests than its last session made, and says why."""
    told = findings_text([TEAM], 205, is_resumed=True)
    assert told.endswith(" Confirmed with 205 requests, those before the resume included.")
