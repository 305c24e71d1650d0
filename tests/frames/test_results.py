"""The result frame: one row per row, exact dtypes, the outcome of each row's contact."""

from __future__ import annotations

import io

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.known_outcomes import known

from kirim_pandas.frames.ids import collect_ids
from kirim_pandas.frames.results import contacts_frame, result_frame
from kirim_pandas.grouptesting.outcomes import Outcome

COLUMNS = ["contact_id", "status", "reason", "evidence", "batch"]
STATUSES = ["applied", "skipped", "failed", "unknown", "not_sent"]


def contact(number: int) -> str:
    return f"ctc_{number:026d}"


def check_contract(result: pd.DataFrame) -> None:
    assert list(result.columns) == COLUMNS
    for column in ("contact_id", "reason"):
        assert result[column].dtype == "string"
        assert result[column].dtype.na_value is pd.NA
    assert result["status"].cat.categories.tolist() == STATUSES
    assert result["evidence"].cat.categories.tolist() == ["batch", "probe"]
    assert result["batch"].dtype == "Int64"
    assert result.attrs == {"kirim_run_id": "run_1"}
    assert result["status"].notna().all()


def test_each_kind_of_knowledge() -> None:
    """Each thing a run can know of a contact has its status, reason and evidence."""
    #       applied, probed, cross, team, other, mixed, lost, refused, never sent
    outcome = np.array([1, 1, 2, 3, 4, 0, 0, 0, 0], dtype=np.int8)
    batch = np.array([0, 1, 1, 1, 1, 1, 2, 3, -1])
    outcomes = known(
        outcome,
        batch,
        probed=np.array([0, 1, 1, 1, 0, 0, 0, 0, 0], dtype=bool),
        no_reply=batch == 2,
        refusal=np.where(batch == 3, 0, -1),
        refusal_codes=["contact_gone"],
    )
    result = contacts_frame([contact(i) for i in range(9)], outcomes, run_id="run_1")
    check_contract(result)
    shown = result.astype(object).where(result.notna(), None)
    assert shown.drop(columns="contact_id").to_numpy().tolist() == [
        ["applied", None, "batch", 0],
        ["applied", None, "probe", 1],
        ["skipped", "cross_org", "probe", 1],
        ["skipped", "team_mismatch", "probe", 1],
        ["skipped", "not_counted", "batch", 1],
        ["unknown", "undetermined", None, 1],
        ["unknown", "no_reply", None, 2],
        ["failed", "contact_gone", "batch", 3],
        ["not_sent", "stopped", None, None],
    ]


def test_a_row_fits_a_terminal() -> None:
    """The five columns of a result fit 80 characters, and hold nothing that is not asked first."""
    outcomes = known(np.array([3, 2], dtype=np.int8), np.array([1234, 0]))
    result = contacts_frame(["ctc_" + "W" * 26, contact(1)], outcomes, run_id="run_1")
    with pd.option_context("display.width", 80):
        assert max(map(len, repr(result).splitlines()[:3])) <= 80
        assert "team_mismatch" in repr(result)


def test_a_known_outcome_wins() -> None:
    """What is known for certain is never overwritten by a failure or a lost reply elsewhere."""
    outcomes = known(
        np.array([1, 2, 0]),
        np.array([0, 0, 0]),
        no_reply=np.array([True, True, True]),
        refusal=np.array([0, 0, 0]),
        refusal_codes=["gone"],
    )
    result = contacts_frame([contact(i) for i in range(3)], outcomes, run_id="run_1")
    assert result["status"].tolist() == ["applied", "skipped", "failed"]


def test_unusable_rows_and_duplicates() -> None:
    """Rows without a usable id are not sent and say why; duplicates share their outcome."""
    df = pd.DataFrame({"who": [contact(1), None, "x", contact(2), contact(1)]}, index=[7] * 5)
    outcomes = known(np.array([2, 1]), np.array([0, 0]))
    result = result_frame(collect_ids(df), outcomes, run_id="run_1")
    check_contract(result)
    assert result["status"].tolist() == ["skipped", "not_sent", "not_sent", "applied", "skipped"]
    reasons = result["reason"].fillna("-").tolist()
    assert reasons == ["cross_org", "missing_id", "malformed_id", "-", "cross_org"]
    assert result["contact_id"].isna().tolist() == [False, True, True, False, False]
    assert result["batch"].isna().tolist() == [False, True, True, False, False]


@pytest.mark.parametrize("frame", [pd.DataFrame(), pd.DataFrame({"who": [None, ""]})])
def test_nothing_to_send(frame: pd.DataFrame) -> None:
    """No rows, or no ids, give a frame of the same columns and dtypes."""
    nothing = known(np.empty(0), np.empty(0))
    result = result_frame(
        collect_ids(frame, "who" if len(frame) else None), nothing, run_id="run_1"
    )
    check_contract(result)
    assert len(result) == len(frame)
    check_contract(contacts_frame([], nothing, run_id="run_1"))


def test_another_number_of_contacts_is_a_fault() -> None:
    """Outcomes of another list of contacts are never spread over the rows."""
    with pytest.raises(ValueError, match="2 outcomes for 1 contacts"):
        result_frame(
            collect_ids(pd.Series([contact(1)])),
            known(np.array([1, 1]), np.array([0, 0])),
            run_id="run_1",
        )


def test_index_of_the_input_stays_its_own() -> None:
    """Renaming the result's index does not rename the input's."""
    df = pd.DataFrame({"who": [contact(1)]}, index=pd.Index(["a"], name="row"))
    outcomes = known(np.array([1]), np.array([0]))
    result_frame(collect_ids(df), outcomes, run_id="run_1").index.name = "other"
    assert df.index.name == "row"


def indexes(size: int) -> st.SearchStrategy[pd.Index]:
    numbers = st.lists(st.integers(0, 3), min_size=size, max_size=size)
    return st.one_of(
        st.just(pd.RangeIndex(size)),
        numbers.map(pd.Index),
        numbers.map(lambda n: pd.Index([f"k{i}" for i in n], name="key")),
        numbers.map(lambda n: pd.MultiIndex.from_arrays([n, n[::-1]], names=["a", None])),
        numbers.map(lambda n: pd.to_datetime(pd.Series(n), unit="D").pipe(pd.DatetimeIndex)),
        numbers.map(lambda n: pd.Index([None if i == 0 else float(i) for i in n])),
        numbers.map(lambda n: pd.CategoricalIndex([f"k{i}" for i in n])),
    )


@st.composite
def worlds(draw: st.DrawFn) -> tuple[pd.DataFrame, dict[str, int]]:
    cells = draw(
        st.lists(st.one_of(st.integers(0, 6).map(contact), st.sampled_from([None, "bad", " "])))
    )
    df = pd.DataFrame({"who": pd.Series(cells, dtype=object), "n": range(len(cells))})
    df = df.set_axis(draw(indexes(len(cells))), axis=0)
    truth = {contact(i): draw(st.sampled_from(range(5))) for i in range(7)}
    return df, truth


@given(worlds(), st.booleans())
def test_one_outcome_per_row(world: tuple[pd.DataFrame, dict[str, int]], hinted: bool) -> None:
    """Same index, same order, and every row has the outcome of its own contact."""
    df, truth = world
    if not any(cell in truth for cell in df["who"]):
        return
    before = df.copy(deep=True)
    ids = collect_ids(df, "who", hint="n" if hinted else None)
    outcome = np.array([truth[i] for i in ids.ids], dtype=np.int8)
    outcomes = known(outcome, np.arange(len(outcome)) // 2)
    result = result_frame(ids, outcomes, run_id="run_1")

    check_contract(result)
    pd.testing.assert_index_equal(result.index, df.index, exact=True)
    for cell, status, reason in zip(df["who"], result["status"], result["reason"], strict=True):
        if cell in truth:
            expected = Outcome(truth[cell]).name.lower()
            if expected == "applied":
                assert (status, reason) == ("applied", pd.NA)
            else:
                assert reason == expected
                assert status == ("unknown" if expected == "undetermined" else "skipped")
        else:
            assert (status, reason) == (
                "not_sent",
                "malformed_id" if cell == "bad" else "missing_id",
            )
    together = pd.concat([df, result], axis=1)
    assert len(together) == len(df)
    assert together["n"].tolist() == df["n"].tolist()
    pd.testing.assert_frame_equal(df, before)


def test_survives_parquet_and_pickle() -> None:
    """A result read back from Parquet or a pickle is the same, attrs included."""
    df = pd.DataFrame({"who": [contact(1), None, "bad", contact(2)]}, index=list("abca"))
    outcomes = known(np.array([1, 0]), np.array([0, -1]))
    result = result_frame(collect_ids(df), outcomes, run_id="run_1")
    buffer = io.BytesIO()
    result.to_parquet(buffer)
    for back in (pd.read_parquet(buffer), pd.read_pickle(io.BytesIO(_pickled(result)))):
        pd.testing.assert_frame_equal(back, result)
        check_contract(back)


def _pickled(frame: pd.DataFrame) -> bytes:
    buffer = io.BytesIO()
    frame.to_pickle(buffer)
    return buffer.getvalue()


@pytest.mark.parametrize("storage", ["python", "pyarrow"])
def test_either_string_storage(storage: str) -> None:
    """The contract holds whichever way pandas stores strings, so also without pyarrow."""
    with pd.option_context("mode.string_storage", storage):
        outcomes = known(np.array([1]), np.array([0]))
        result = result_frame(collect_ids(pd.Series([contact(1), None])), outcomes, run_id="run_1")
        check_contract(result)
    assert result["contact_id"].fillna("-").tolist() == [contact(1), "-"]
