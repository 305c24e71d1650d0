"""The pages that explain the project say what is so."""

import contextlib
import io
import re
from pathlib import Path

import pandas as pd
import pytest

import kirim_pandas as kp
from kirim_pandas.frames.ids import collect_ids
from kirim_pandas.frames.plan import plan_frame
from kirim_pandas.grouptesting.attribution import expected_probes_for

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
PAGES = ["README.md", "CONTRIBUTING.md", "SECURITY.md", *ROOT.glob("docs/**/*.md")]


def python_blocks():
    return re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)


def test_at_most_900_words():
    """The README is read in a few minutes."""
    assert len(README.split()) <= 900


def test_first_example(box, monkeypatch, tmp_path):
    """The lines from a file of phones to a label, and those of next month, do what they say."""
    first, _, next_month = python_blocks()
    monkeypatch.chdir(tmp_path)
    people = box.contacts.rename(columns={"phone_number": "phone"}).drop(columns="contact_id")
    people.to_csv("customers.csv", index=False)
    monkeypatch.setenv("KIRIM_API_KEY", box.api_key)
    monkeypatch.setenv("KIRIM_BASE_URL", box.base_url)
    scope: dict[str, object] = {}
    exec(first, scope)
    segment, result = scope["segment"], scope["result"]
    assert result.index.equals(segment.index)
    assert (result["status"] == "applied").mean() > 0.9
    assert Path("report.html").exists()
    exec(next_month, scope)
    assert kp.runs()["operation"].tolist() == ["attach, detach", "attach"]


def test_example_on_the_sandbox():
    """The printed table is what a reader gets, and the reader's history stays as it was."""
    scope: dict[str, object] = {}
    out = io.StringIO()
    try:
        with contextlib.redirect_stdout(out):
            exec(python_blocks()[1], scope)
    finally:
        scope["sandbox"].close()
    (table,) = re.findall(r"```text\n(.*?)```", README, flags=re.DOTALL)
    assert table.rstrip() in out.getvalue()
    assert kp.runs().empty


def test_the_ordinary_case_costs_what_is_told():
    """Ten thousand contacts on the sandbox take the requests that README and pages name."""
    with kp.sandbox.start(10_000, seed=11) as box:
        ids = box.contacts["contact_id"]
        ids.kirim.bulk_label(
            "Newsletter", "attach", client=box.client(), journal=False, progress=False
        )
        sent = box.requests()["method"].value_counts()
    assert f"explain the skips | {sent['POST']}, and {sent['GET']} reads |" in README
    page = (ROOT / "docs" / "explanation" / "cost.md").read_text()
    assert f"explain the skips | {sent['POST']} | {sent['GET']} |" in page


@pytest.mark.parametrize(
    ("page", "contacts"), [("explanation/cost.md", 10_000), ("how-to/questions.md", 20_000)]
)
def test_the_most_it_costs_is_what_plan_says(page, contacts):
    """Pages name the requests that ``plan`` reckons for 5 % and 20 % skipped at random."""
    ids = collect_ids(pd.Series([f"ctc_{number:026d}" for number in range(contacts)]))
    table = plan_frame(ids, requests_for=expected_probes_for, write_per_minute=60).table
    most = table[table["hint"] == "none"].set_index("skipped_share")["requests"]
    told = " ".join((ROOT / "docs" / page).read_text().split())
    assert f" {most[0.05]:,} " in told
    assert f" {most[0.2]:,} " in told


def test_every_status_and_reason_is_explained():
    """The README tells each status; the page on results lists the reasons of the code."""
    from kirim_pandas.frames.reasons import REASONS, STATUS_MEANINGS

    assert [word for word in STATUS_MEANINGS if f"`{word}`" not in README] == []
    page = (ROOT / "docs" / "reference" / "result.md").read_text()
    assert [word for word in REASONS if word and f"| `{word}` (" not in page] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: Path(page).name)
def test_what_a_page_names_is_there(page):
    """Each ``kp.`` name, each file and each linked file that a page speaks of exists."""
    text = (ROOT / page).read_text()
    for name in set(re.findall(r"`kp\.(\w+)", text)):
        assert hasattr(kp, name), name
    for name in set(re.findall(r"`([\w./-]+\.(?:py|sh|md|toml|yaml))`", text)):
        assert (ROOT / name).exists() or any((ROOT / "kirim_pandas").rglob(name)), name
    for link in set(re.findall(r"\]\((?!https?:)([^)#]+)", text)):
        assert ((ROOT / page).parent / link).exists(), link
