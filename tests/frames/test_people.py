"""The people behind an outcome, with the analyst's own columns and words."""

from __future__ import annotations

import base64
import io

import pandas as pd
import pytest
from support.known_outcomes import known

from kirim_pandas.errors import InvalidInputError
from kirim_pandas.frames.ids import collect_ids
from kirim_pandas.frames.reasons import REASONS
from kirim_pandas.frames.reports import not_applied, report
from kirim_pandas.frames.results import result_frame
from kirim_pandas.frames.summary import people, summary


def contact(number: int) -> str:
    return f"ctc_{number:026d}"


@pytest.fixture
def frame() -> pd.DataFrame:
    ids = [contact(1), contact(2), None, contact(3), contact(2)]
    frame = pd.DataFrame({"id": ids, "name": list("abcde"), "status": "gold"}, index=list("vwxyz"))
    return frame.assign(n=range(5))


@pytest.fixture
def result(frame: pd.DataFrame) -> pd.DataFrame:
    return result_frame(collect_ids(frame), known([1, 3, 2], [0, 0, 0]), run_id="run_1")


@pytest.mark.parametrize("columns", [["name"], ["name", "city"]])
def test_where_columns_of_the_frame_are_found_is_said(
    columns: list[str], result: pd.DataFrame
) -> None:
    """A result that stands alone has none of the frame's columns: the error says what to give."""
    for ask in (
        lambda: people(result, columns=columns),
        lambda: summary(result, by=columns),
    ):
        with pytest.raises(InvalidInputError, match="is found with data=df"):
            ask()


def test_own_columns_first_then_why_and_what_to_do(
    frame: pd.DataFrame, result: pd.DataFrame
) -> None:
    """The rows of a status come in their order, with own columns first and words last."""
    found = people(result, status="skipped", columns=["name", "status"], data=frame)
    names = ["name", "own_status", "contact_id", "status", "reason", "why", "what_to_do"]
    assert list(found.columns) == names
    assert found.index.tolist() == ["w", "y", "z"]
    assert found["name"].tolist() == ["b", "d", "e"]
    assert found["reason"].tolist() == ["team_mismatch", "cross_org", "team_mismatch"]
    assert found["why"].tolist() == [REASONS[reason].meaning for reason in found["reason"]]
    assert found["what_to_do"].tolist() == [REASONS[reason].action for reason in found["reason"]]
    assert found["status"].dtype == result["status"].dtype


def test_every_choice_is_a_filter(frame: pd.DataFrame, result: pd.DataFrame) -> None:
    """Status and reason narrow the rows, alone or together, one or several; None is all."""
    assert people(result, data=frame)["name"].tolist() == list("abcde")
    assert people(result, reason="cross_org", data=frame)["name"].tolist() == ["d"]
    several = people(result, status=["applied", "not_sent"], data=frame)
    assert several["name"].tolist() == ["a", "c"]
    assert people(result, status="applied", reason="cross_org", data=frame).empty
    assert list(people(result).columns) == list(people(result, data=frame).columns)[-5:]
    assert people(result.iloc[:0], status="skipped", data=frame).shape == (0, 7 + 1)


def test_people_are_found_by_contact(frame: pd.DataFrame, result: pd.DataFrame) -> None:
    """A result from a file, in another order, lists the right people or is refused."""
    sent = result.dropna(subset="contact_id").drop_duplicates("contact_id").iloc[::-1]
    back = pd.read_csv(io.StringIO(sent.to_csv(index=False)))
    once = frame.drop_duplicates("id")
    assert people(back, columns=["name"], data=once)["name"].tolist() == ["d", "b", "a"]
    with pytest.raises(InvalidInputError, match="several rows with different values"):
        people(back, columns=["name"], data=frame)


def test_an_own_column_may_stand_beside(frame: pd.DataFrame, result: pd.DataFrame) -> None:
    """Without another frame, own columns are taken from the result itself."""
    beside = pd.concat([frame.drop(columns="status"), result], axis=1)
    assert people(beside, status="applied", columns=["name", "n"])["n"].tolist() == [0]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"status": "skiped"}, "status='skiped' does not occur"),
        ({"reason": "team"}, "reason='team' does not occur, expected one of 'cross_org'"),
        ({"status": {"a": "Siti"}}, "<a dict> does not occur"),
        ({"columns": "name"}, "takes a list of names"),
        ({"columns": ["city"]}, "no column or index level"),
        ({"data": [1]}, "data= is a list"),
    ],
)
def test_mistakes_are_named(
    frame: pd.DataFrame, result: pd.DataFrame, options: dict[str, object], words: str
) -> None:
    """A status, reason or column that does not occur is refused with what there is."""
    with pytest.raises(InvalidInputError, match=words):
        people(result, **({"data": frame} | options))


def test_lists_and_tuples_of_outcomes_are_taken_and_not_shown(
    frame: pd.DataFrame, result: pd.DataFrame
) -> None:
    """A tuple is a list; what does not occur in one is counted, for it may be a column's values."""
    some = people(result, status=("applied", "skipped"), data=frame)
    assert some.equals(people(result, status=["applied", "skipped"], data=frame))
    for wrong in (["Budi Santoso"], ("Budi Santoso",)):
        with pytest.raises(InvalidInputError, match="1 of 1 values does not occur") as told:
            people(result, status=wrong, data=frame)
        assert "Budi" not in str(told.value)


def test_rows_without_a_label_are_not_missed(frame: pd.DataFrame, result: pd.DataFrame) -> None:
    """A row of no segment is neither counted among the customers nor listed as not applied."""
    result.loc["y", ["status", "reason"]] = ["not_sent", "no_label"]
    told = report(result, people=True, columns=["name"], data=frame)
    assert told.headline == (
        "1 of 3 customers (33.3%) are done; 1 skipped, 1 without a contact, 1 in no segment."
    )
    assert "3 of 3 rows that are not applied" in told.fragment
    assert not_applied(result, data=frame)["name"].tolist() == ["b", "c", "e"]


def test_a_report_lists_people_and_stays_short() -> None:
    """The first hundred rows are a table, all stand in a CSV inside of the page, all is escaped."""
    many = pd.DataFrame({"id": [contact(n) for n in range(250)], "name": "<b>=1+1"})
    outcomes = known([1] * 50 + [2] * 200, [0] * 250)
    result = result_frame(collect_ids(many), outcomes, run_id="run_1")
    page = report(result, data=many, people=True, columns=["name"]).html
    assert "100 of 200 rows that are not applied" in page
    assert page.count("&lt;b&gt;=1+1") == 100
    table = page[page.index("Who is not among the applied") :]
    assert REASONS["cross_org"].action not in table  # it stands once, above
    assert "<b>" not in page
    content = base64.b64decode(page.split("base64,")[1].split('"')[0])
    saved = pd.read_csv(io.BytesIO(content))
    assert len(saved) == 200
    assert saved["contact_id"].tolist() == many["id"].iloc[50:].tolist()
    assert saved["what_to_do"].notna().all()
    assert "people.csv" not in report(result, data=many).html
