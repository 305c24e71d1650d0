"""Summaries, charts, reports, comparisons and exports of a result."""

from __future__ import annotations

import builtins
from datetime import UTC, datetime
from html.parser import HTMLParser
from itertools import combinations
from pathlib import Path

import matplotlib
import matplotlib.pyplot
import numpy as np
import pandas as pd
import pytest

import kirim_pandas as kp
from kirim_pandas.errors import ConfigurationError, InvalidInputError
from kirim_pandas.frames.charts import COLOURS, bars, svg_chart
from kirim_pandas.frames.reports import (
    REASONS,
    STATUS_MEANINGS,
    RunFacts,
    compare,
    plot,
    report,
    summary,
)
from kirim_pandas.frames.results import _OWN_REASONS, STATUSES

matplotlib.use("agg")

ROWS = [
    ("ctc_1", "applied", None, "north"),
    ("ctc_2", "skipped", "team_mismatch", "north"),
    ("ctc_2", "skipped", "team_mismatch", "south"),
    ("ctc_3", "skipped", "cross_org", "south"),
    (None, "not_sent", "missing_id", None),
    ("ctc_4", "failed", "contact_gone", "south"),
    ("ctc_5", "unknown", "no_reply", "north"),
    ("ctc_6", "applied", None, "north"),
]
INDEX = pd.Index([0, 0, 1, 1, 2, 2, 3, 3], name="row")


@pytest.fixture
def result() -> pd.DataFrame:
    frame = pd.DataFrame(ROWS, columns=["contact_id", "status", "reason", "team"], index=INDEX)
    frame = frame.drop(columns="team").astype({"contact_id": "string", "reason": "string"})
    frame["status"] = pd.Categorical(frame["status"], categories=list(STATUSES))
    frame.attrs["kirim_run_id"] = "run_7"
    return frame


@pytest.fixture
def data() -> pd.DataFrame:
    return pd.DataFrame({"team": [row[-1] for row in ROWS], "n": range(8)}, index=INDEX)


def lines(frame: pd.DataFrame) -> list[list[object]]:
    return frame.astype(object).where(frame.notna(), None).to_numpy().tolist()


# -- summary ------------------------------------------------------------------------------


def test_summary_counts_rows_and_contacts(result: pd.DataFrame) -> None:
    """One line per status and reason that occurs, in fixed order, with rows, contacts, share."""
    counts = summary(result)
    assert lines(counts) == [
        ["applied", None, 2, 2, 2 / 7],
        ["skipped", "cross_org", 1, 1, 1 / 7],
        ["skipped", "team_mismatch", 2, 1, 1 / 7],
        ["failed", "contact_gone", 1, 1, 1 / 7],
        ["unknown", "no_reply", 1, 1, 1 / 7],
        ["not_sent", "missing_id", 1, 0, 1 / 7],
    ]
    assert list(counts.columns) == ["status", "reason", "rows", "contacts", "share"]
    kinds = ["category", "string", "int64", "int64", "float64"]
    assert [str(dtype) for dtype in counts.dtypes] == kinds
    assert isinstance(counts.index, pd.RangeIndex)


def test_summary_by_column_of_the_data(result: pd.DataFrame, data: pd.DataFrame) -> None:
    """With `by`, shares are within each group, missing groups are kept, no row is multiplied."""
    counts = summary(result, "team", data=data)
    assert counts["rows"].sum() == len(result)
    assert lines(counts[counts["team"] == "south"]) == [
        ["south", "skipped", "cross_org", 1, 1, 1 / 3],
        ["south", "skipped", "team_mismatch", 1, 1, 1 / 3],
        ["south", "failed", "contact_gone", 1, 1, 1 / 3],
    ]
    assert lines(counts[counts["team"].isna()]) == [[None, "not_sent", "missing_id", 1, 0, 1.0]]


def test_every_way_to_say_by_is_the_same(result: pd.DataFrame, data: pd.DataFrame) -> None:
    """A name, a Series, an array, a category and input beside result give one summary."""
    expected = summary(result, "team", data=data)
    beside = pd.concat([data.assign(contact_id="x", status="y"), result], axis=1)
    ways = [
        summary(result, data["team"]),
        summary(result, ["team"], data=data),
        summary(result, data["team"].astype("category")),
        summary(beside, "team"),
        summary(result.astype(object), "team", data=data),
        summary(result, data["team"].to_numpy()).rename(columns={"group": "team"}),
    ]
    for way in ways:
        assert lines(way) == lines(expected)
    several = summary(result, ["team", data["n"] % 2], data=data)
    assert list(several.columns[:2]) == ["team", "n"]
    assert several["rows"].sum() == len(result)


def test_by_reaches_index_and_result(result: pd.DataFrame, data: pd.DataFrame) -> None:
    """An index level, or a column of the result, may be what to group by."""
    assert summary(result, "row")["row"].unique().tolist() == [0, 1, 2, 3]
    assert bars(result, "reason").names[0] == "(missing)"  # the applied


def test_shares_are_of_the_groups_not_of_the_outcomes(
    result: pd.DataFrame, data: pd.DataFrame
) -> None:
    """Status and reason in `by` change nothing: every count is by them, and shares add up to 1."""
    expected = summary(result, "team", data=data)
    for by in (["team", "reason"], ["status", "team"], ["reason", "team", "status"]):
        pd.testing.assert_frame_equal(summary(result, by, data=data), expected)
    pd.testing.assert_frame_equal(summary(result, "reason"), summary(result))
    assert expected.groupby("team", dropna=False)["share"].sum().tolist() == pytest.approx([1] * 3)


def test_by_that_does_not_fit(result: pd.DataFrame, data: pd.DataFrame) -> None:
    """Unknown names and other lengths are errors that say what to give."""
    for by, frame, words in [
        ("team", None, "data=df"),
        ("tem", data, "Did you mean 'team'"),
        (data["team"].iloc[:3], None, "cannot be told"),
        ("team", data.iloc[::2], "cannot be told"),
        (np.arange(3), None, "3 values"),
        (pd.Series([[1]] * 8, index=INDEX, name="bag"), None, "cannot be grouped"),
    ]:
        with pytest.raises(InvalidInputError, match=words):
            summary(result, by, data=frame)


@pytest.mark.parametrize("wrong", [pd.DataFrame({"a": [1]}), pd.Series([1]), None])
def test_only_results_are_summed_up(wrong: object) -> None:
    """Something that is no result is refused by name of the missing column."""
    with pytest.raises(InvalidInputError, match="bulk_label"):
        summary(wrong)
    with pytest.raises(InvalidInputError, match="something else than applied"):
        summary(pd.DataFrame({"status": ["done"], "reason": None, "contact_id": "ctc_1"}))


def test_no_rows(result: pd.DataFrame, data: pd.DataFrame) -> None:
    """A result without rows has an empty summary, an empty comparison, a chart and a report."""
    empty, no_data = result.iloc[:0], data.iloc[:0]
    assert summary(empty, "team", data=no_data).shape == (0, 6)
    assert compare(empty, empty).empty
    assert "no rows" in report(empty, by="team", data=no_data).headline
    plot(empty, "team", data=no_data).figure.clear()
    plot(empty).figure.clear()


# -- reasons ------------------------------------------------------------------------------


def test_every_reason_has_words() -> None:
    """Each reason of the library and each status is explained, and no reason too many."""
    assert set(REASONS) == {"", *_OWN_REASONS}
    assert tuple(STATUS_MEANINGS) == STATUSES
    assert all(words.status in STATUSES and words.meaning for words in REASONS.values())


@pytest.fixture
def box_of_two_runs() -> tuple:
    """Results of an attach, a detach, and an attach of another label."""
    with kp.sandbox.start(contacts=20, write_per_minute=60_000) as box:
        options = {"client": box.client(), "progress": False, "resolve": "batches"}
        one, other = box.labels["id"].iloc[:2]
        steps = [(one, "attach"), (one, "detach"), (other, "attach")]
        return tuple(box.contacts.kirim.bulk_label(*step, **options) for step in steps)


# -- compare ------------------------------------------------------------------------------


@pytest.fixture
def later(result: pd.DataFrame) -> pd.DataFrame:
    later = result.iloc[::-1].copy()
    later.loc[later["contact_id"] == "ctc_2", ["status", "reason"]] = ["applied", pd.NA]
    later.loc[later["contact_id"] == "ctc_3", "reason"] = "team_mismatch"
    later.loc[later["contact_id"] == "ctc_6", "contact_id"] = "ctc_9"
    return later


def test_compare_lists_changed_contacts_once(result: pd.DataFrame, later: pd.DataFrame) -> None:
    """One line per contact whose status or reason differs, or that only one of the results has."""
    changed = compare(result, later)
    assert lines(changed) == [
        ["ctc_2", "changed", "skipped", "team_mismatch", "applied", None],
        ["ctc_3", "changed", "skipped", "cross_org", "skipped", "team_mismatch"],
        ["ctc_6", "only_before", "applied", None, None, None],
        ["ctc_9", "only_after", None, None, "applied", None],
    ]
    columns = ["contact_id", "change", "status_a", "reason_a", "status_b", "reason_b"]
    assert list(changed.columns) == columns
    kinds = ["string", "category", "category", "string", "category", "string"]
    assert [str(dtype) for dtype in changed.dtypes] == kinds
    assert compare(result, result).empty


def test_compare_refuses_different_operations(box_of_two_runs: tuple) -> None:
    """An attach and a detach that both say applied are no same outcome."""
    attached, detached, renamed = box_of_two_runs
    with pytest.raises(kp.InvalidInputError, match="operation attach, the second of detach"):
        kp.compare(attached, detached)
    with pytest.raises(kp.InvalidInputError, match="label_id lbl_"):
        kp.compare(attached, renamed)
    assert kp.compare(attached, attached.copy()).empty


def test_compare_adds_up(result: pd.DataFrame, later: pd.DataFrame) -> None:
    """With the unchanged ones, every contact of either result is counted in one category."""
    counts = compare(result, later, unchanged=True)["change"].value_counts()
    assert counts.to_dict() == {"changed": 2, "only_before": 1, "only_after": 1, "unchanged": 3}
    ids = pd.concat([result, later])["contact_id"]
    assert counts.sum() == ids.nunique()
    none = result.iloc[:0]
    assert compare(none, none, unchanged=True).empty
    for pair, change in (((result, none), "only_before"), ((none, result), "only_after")):
        found = compare(*pair)
        assert found["change"].eq(change).all()
        assert len(found) == result["contact_id"].nunique()
        assert list(found.dtypes) == list(compare(result, later).dtypes)


# -- charts -------------------------------------------------------------------------------

# Machado, Oliveira and Fernandes 2009, full severity, on linear RGB.
_SIGHT = {
    "normal": np.eye(3),
    "protanopia": np.array(
        [[0.152, 1.053, -0.205], [0.115, 0.786, 0.099], [-0.004, -0.048, 1.052]]
    ),
    "deuteranopia": np.array(
        [[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]]
    ),
    "tritanopia": np.array(
        [[1.256, -0.077, -0.179], [-0.078, 0.931, 0.148], [0.005, 0.691, 0.304]]
    ),
}


def _linear(colour: str) -> np.ndarray:
    c = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)


def _lab(linear: np.ndarray) -> np.ndarray:
    to_xyz = np.array(
        [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    )
    x, y, z = np.cbrt(np.maximum(to_xyz @ linear / [0.9505, 1, 1.089], 1e-4))
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("sight", _SIGHT)
def test_colours_stay_apart(sight: str) -> None:
    """Any two statuses differ clearly to readers of every kind of sight."""
    seen = [_lab(np.clip(_SIGHT[sight] @ _linear(c), 0, 1)) for c in COLOURS.values()]
    assert min(np.linalg.norm(a - b) for a, b in combinations(seen, 2)) > 15


def test_colours_carry_text_and_stand_on_any_page() -> None:
    """Counts on the bars are legible, and the bars are seen on white and on near black."""
    assert tuple(COLOURS) == STATUSES
    for colour in COLOURS.values():
        light = float(_linear(colour) @ [0.2126, 0.7152, 0.0722]) + 0.05
        ink = float(_linear("#111111").mean()) + 0.05
        assert light / ink >= 4
        assert 1.05 / light >= 1.5


def test_bars_by_size_and_the_rest_together(result: pd.DataFrame) -> None:
    """Groups come largest first; beyond the limit the small ones share one bar."""
    drawn = bars(result, np.array(list("aaabbcde")), max_bars=3)
    assert drawn.names == ["a", "b", "other 3 groups"]
    assert drawn.counts.sum(axis=1).tolist() == [2, 2, 3]  # ctc_2 stands in two rows of a
    assert drawn.counts.sum() == result["contact_id"].nunique() + 1  # one row has none


@pytest.mark.parametrize("groups", [1, 40])
def test_plot_has_all_rows(result: pd.DataFrame, groups: int) -> None:
    """Bars of each group fill the axis from 0 to 1, whether there is 1 group or 40."""
    many = pd.concat([result] * 10, ignore_index=True)
    axes = plot(many, pd.Series(np.arange(80) % groups, name="$ pent $"))
    names = [label.get_text() for label in axes.get_yticklabels()]
    assert len(names) == min(groups, 20)
    assert axes.get_xlim() == (0, 1)
    per_row = sum(patch.get_width() for patch in axes.patches)
    assert per_row == pytest.approx(len(names))
    axes.figure.canvas.draw()
    matplotlib.pyplot.close(axes.figure)


@pytest.fixture
def of_many_reasons() -> pd.DataFrame:
    """100 rows: applied, five kinds of refusals, two of them rare, and ids that are missing."""
    codes = ["", "a", "b", "c", "d", "e", "missing_id"]
    numbers = [40, 5, 20, 15, 2, 3, 15]
    statuses = ["applied", *["failed"] * 5, "not_sent"]
    return pd.DataFrame(
        {
            "contact_id": pd.array([f"ctc_{n:026d}" for n in range(100)], "string"),
            "status": np.repeat(statuses, numbers),
            "reason": pd.array(np.repeat(codes, numbers), "string").astype(object),
        }
    ).replace({"reason": {"": None}})


def test_bars_split_by_reason(of_many_reasons: pd.DataFrame) -> None:
    """A part a reason, the frequent ones of a status first, the rare as one; no row is lost."""
    drawn = bars(of_many_reasons, np.arange(100) % 2, split="reason")
    assert list(drawn.parts) == [
        "applied",
        "failed: b",
        "failed: c",
        "failed: a",
        "failed: 2 other reasons",
        "not_sent: missing_id",
    ]
    assert drawn.counts.sum(axis=0).tolist() == [40, 20, 15, 5, 5, 15]
    assert drawn.counts.sum(axis=1).tolist() == [50, 50]
    assert drawn.parts["failed: b"] == COLOURS["failed"]
    lights = [_linear(drawn.parts[f"failed: {code}"]).mean() for code in "bca"]
    assert lights == sorted(lights)
    assert len(set(drawn.parts.values())) == 6
    assert bars(of_many_reasons.iloc[:0], split="reason").counts.shape == (1, 0)


def test_plot_split_by_reason(of_many_reasons: pd.DataFrame) -> None:
    """The key names each reason once, and the bars are full; what cannot be split by is refused."""
    axes = plot(of_many_reasons, np.arange(100) % 3, split="reason")
    told = [text.get_text() for text in axes.get_legend().get_texts()]
    assert told == list(bars(of_many_reasons, split="reason").parts)
    assert sum(patch.get_width() for patch in axes.patches) == pytest.approx(3)
    axes.figure.canvas.draw()
    matplotlib.pyplot.close(axes.figure)
    with pytest.raises(InvalidInputError, match="expected 'status' or 'reason'"):
        plot(of_many_reasons, split="city")  # type: ignore[arg-type]


def test_plot_draws_where_it_is_told(result: pd.DataFrame) -> None:
    """A given axes is used and returned."""
    figure, axes = matplotlib.pyplot.subplots()
    assert plot(result, ax=axes) is axes
    matplotlib.pyplot.close(figure)


def test_plot_without_matplotlib(result: pd.DataFrame, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without matplotlib, plot() says how to install it, and the report still has its chart."""
    real = builtins.__import__

    def refuse(name: str, *args: object, **kwargs: object) -> object:
        if name.startswith("matplotlib"):
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(ConfigurationError, match=r"pip install matplotlib"):
        plot(result)
    assert "<svg" in report(result).html


# -- report -------------------------------------------------------------------------------


class _Page(HTMLParser):
    """Checks that tags close in order; keeps tags and text."""

    VOID = ("meta", "br")

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.text = ""
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        assert not any(name.startswith("on") or name in ("href", "src") for name, _ in attrs)
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not self.open or self.open[-1] != "style":
            self.text += data + " "


FACTS = RunFacts(
    label_id="lbl_01HXYZABCDEFGHJKMNPQRSTVWX",
    label_name="VIP <script>alert(1)</script>",
    operation="attach",
    started=datetime(2026, 3, 4, 5, 6, tzinfo=UTC),
    requests=1234,
)


def test_report_tells_everything(result: pd.DataFrame, data: pd.DataFrame, tmp_path: Path) -> None:
    """The saved page has label, operation, time, run, counts, reasons in words and actions."""
    told = report(result, FACTS, by="team", data=data)
    path = told.save(tmp_path / "report.html")
    page = _Page(path.read_text(encoding="utf-8"))
    text = " ".join(page.text.split())
    for part in (
        "lbl_01HXYZABCDEFGHJKMNPQRSTVWX",
        "attach",
        "2026-03-04 05:06 UTC",
        "run_7",
        "1,234",
        "At least 2 of 7 customers are known to have the label; "
        "2 skipped, 1 failed, 1 unknown, 1 without a contact.",
        "Customers 7 Rows 8",
        "A customer with several rows counts once. A row without a contact counts as one customer.",
        REASONS["team_mismatch"].meaning,
        REASONS["no_reply"].action,
        "contact_gone",
        "By team",
        "(missing)",
    ):
        assert part in text
    assert "script" not in page.tags
    assert {"svg", "table", "title"} <= page.tags


def test_report_loads_nothing(result: pd.DataFrame) -> None:
    """The page names no address and runs no script."""
    page = report(result, FACTS).html
    assert "http://" not in page
    assert "https://" not in page
    assert "url(" not in page
    assert "default-src 'none'" in page


def test_report_escapes_everything(result: pd.DataFrame) -> None:
    """Markup and control characters from data, labels and the service stay text."""
    nasty = '"><img src=x onerror=alert(1)>\x1b[31m'
    odd = result.copy()
    odd.loc[odd["status"] == "failed", "reason"] = nasty
    groups = pd.Series([nasty] * 8, index=result.index, name=nasty)
    facts = RunFacts(run_id=nasty, label_id=nasty, label_name=nasty, operation=nasty)
    told = report(odd, facts, by=groups)
    for page in (told.html, told._repr_html_()):
        assert "img" not in _Page(page).tags
        assert "\x1b" not in page


def test_report_style_is_scoped(result: pd.DataFrame) -> None:
    """In a notebook the report's style reaches nothing outside of it, and adapts to the theme."""
    fragment = report(result)._repr_html_()
    style = fragment.split("<style>")[1].split("</style>")[0]
    selectors = [
        part.strip()
        for block in style.replace("@media (prefers-color-scheme: dark) {", "").split("}")
        for part in block.split("{")[0].split(",")
        if part.strip()
    ]
    assert selectors
    assert all(selector.startswith(".kirim-report") for selector in selectors)
    assert "--jp-content-font-color1" in style
    assert "prefers-color-scheme: dark" in style
    assert fragment.startswith('<div class="kirim-report">')
    assert "not_sent" in svg_chart(bars(result))


def test_a_report_counts_in_one_unit(result: pd.DataFrame) -> None:
    """Sentence, bars, tables, plot and summary count customers; rows are told where they differ."""
    repeated = pd.concat([result[result["status"] == "applied"]] * 5 + [result]).reset_index()
    repeated.loc[len(repeated)] = [9, "ctc_9", "not_sent", "no_label"]
    unknown = repeated["status"] == "unknown"
    repeated.loc[unknown, ["status", "reason"]] = ["applied", None]
    told = report(repeated, by="row")
    assert told.headline == (
        "3 of 7 customers (42.9%) are done; 2 skipped, 1 failed, 1 without a contact, 1 in no "
        "segment."
    )
    assert "all customers: 3 applied (42.9%)" in told.fragment
    assert "share of rows" not in told.fragment.lower()
    text = _Page(told.html).text.split()
    assert " ".join(text).count("3 42.9% 13 The wanted state holds") == 1  # 13 rows
    assert "Customers 7 Rows 19" in " ".join(text)
    assert "1 – 1 " in " ".join(text)  # nobody expected the one of no segment to be done
    assert plot(repeated).patches[0].get_width() == pytest.approx(3 / 7)
    shares = summary(repeated)["share"]
    assert shares.iloc[0] == pytest.approx(3 / 7)
    assert shares.sum() == pytest.approx(1)
    assert shares.isna().tolist() == [False] * 5 + [True]
    plain = report(result[result["reason"].isna()])
    assert "Rows" not in _Page(plain.html).text
    assert "counts" not in _Page(plain.html).text


def test_report_needs_no_facts(result: pd.DataFrame) -> None:
    """A bare result frame has a report too, with the run id it carries."""
    told = report(result)
    assert "run_7" in told.html
    assert "None" not in told.html
    assert "At least 2 of 7 customers are known" in repr(told)  # one is unknown


# -- saving -------------------------------------------------------------------------------


def test_saving_says_which_folder_is_missing(result: pd.DataFrame, tmp_path: Path) -> None:
    """A report that cannot be written where it should says why and what to do."""
    told = report(result)
    with pytest.raises(InvalidInputError, match=r"folder .*monday does not exist.*mkdir"):
        told.save(tmp_path / "monday" / "report.html")
    with pytest.raises(InvalidInputError, match=r"is a folder, expected a file.*report\.html"):
        told.save(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_report_that_cannot_be_written_says_why(
    result: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``~`` is the home folder; a path that no system takes is refused in our words."""
    monkeypatch.setenv("HOME", str(tmp_path))
    assert report(result).save("~/r.html") == tmp_path / "r.html"
    assert report(result).save("~/r.html") == tmp_path / "r.html"
    for path in ("a\0b.html", 7, "x" * 300 + ".html", "~nobody-of-this-name/r.html"):
        with pytest.raises(InvalidInputError, match=r"was not written|does not exist"):
            report(result).save(path)


@pytest.mark.parametrize("held", ["name,phone\nSiti,+628123456789\n", '{"cells": []}'])
def test_a_report_replaces_no_file_of_another_kind(
    result: pd.DataFrame, tmp_path: Path, held: str
) -> None:
    """A path that names the data or the notebook is refused, and the file stays as it was."""
    path = tmp_path / "customers.csv"
    path.write_text(held)
    with pytest.raises(InvalidInputError, match="left as it is"):
        report(result).save(path)
    assert path.read_text() == held
    (tmp_path / "empty").touch()
    assert report(result).save(tmp_path / "empty").read_text().startswith("<!doctype html>")


def test_headline_of_a_result_nobody_knows(result: pd.DataFrame) -> None:
    """Where no row is known to have the label, the headline says so, and not "at least 0"."""
    unsettled = result.iloc[[6]]
    told = report(unsettled, RunFacts(operation="attach"))
    assert told.headline == "None of 1 customer is known yet to have the label; 1 unknown."
