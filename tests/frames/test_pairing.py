"""Frames side by side: contact ids decide which row is which."""

from __future__ import annotations

import io

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.known_outcomes import known

from kirim_pandas.errors import InvalidInputError
from kirim_pandas.frames.ids import collect_ids
from kirim_pandas.frames.pairing import Kept, keep
from kirim_pandas.frames.results import result_frame
from kirim_pandas.frames.summary import compare, summary


def contact(number: int) -> str:
    return f"ctc_{number:026d}"


CITIES = ["Jakarta", "Bandung", "Surabaya"]


def world(rows: int = 60, *, seed: int = 1) -> tuple[pd.DataFrame, pd.DataFrame]:
    """A frame of distinct contacts, and a result of it in which each city has its own outcome."""
    rng = np.random.default_rng(seed)
    city = rng.integers(3, size=rows)
    frame = pd.DataFrame({"id": [contact(i) for i in rng.permutation(rows)], "city": city})
    frame["city"] = frame["city"].map(dict(enumerate(CITIES)))
    frame = frame.set_axis(rng.permutation(rows) * 3, axis=0)
    ids = collect_ids(frame)
    outcome = 1 + pd.factorize(frame["city"])[0]
    return frame, result_frame(ids, known(outcome, np.zeros(rows)), run_id="run_1")


def truth(frame: pd.DataFrame) -> dict[str, int]:
    return frame["city"].value_counts().to_dict()


def through_csv(frame: pd.DataFrame) -> pd.DataFrame:
    return pd.read_csv(io.StringIO(frame.to_csv(index=False)))


def through_parquet(frame: pd.DataFrame) -> pd.DataFrame:
    buffer = io.BytesIO()
    frame.reset_index(drop=True).to_parquet(buffer)
    return pd.read_parquet(buffer)


JOURNEYS = {
    "csv": through_csv,
    "parquet": through_parquet,
    "sorted": lambda result: result.sort_values("contact_id"),
    "sorted and renumbered": lambda r: r.sort_values("contact_id").reset_index(drop=True),
    "filtered": lambda result: result[result["status"] == "skipped"],
    "filtered and renumbered": lambda r: r[r["status"] == "skipped"].reset_index(drop=True),
    "shuffled through csv": lambda result: through_csv(result.sample(frac=1, random_state=3)),
    "by contact": lambda result: result.set_index("contact_id", drop=False),
    "twice": lambda result: pd.concat([result, result]),
}


@pytest.mark.parametrize("journey", JOURNEYS)
@pytest.mark.parametrize("source", ["frame", "sorted frame", "kept"])
def test_every_row_keeps_its_own_city(journey: str, source: str) -> None:
    """Wherever a result has been, its rows are counted under the values of their own contacts."""
    frame, result = world()
    moved = JOURNEYS[journey](result)
    data: pd.DataFrame | Kept | None = frame
    if source == "sorted frame":
        data = frame.sort_values("city").reset_index(drop=True)
    elif source == "kept":
        data = keep(frame, collect_ids(frame))
    assert data is not None
    counts = summary(moved, "city", data=data)
    own = frame.set_index("id")["city"].reindex(moved["contact_id"])
    assert counts.groupby("city")["rows"].sum().to_dict() == own.value_counts().to_dict()
    assert (counts.groupby("city").size() == 1).all()  # each city has its one outcome


def test_a_series_does_not_follow_a_result_that_was_renumbered() -> None:
    """Where a result was reordered and renumbered, equal labels bring it no values of a Series."""
    frame, result = (one.reset_index(drop=True) for one in world())
    moved = result.sort_values("contact_id")
    city = frame["city"][moved.index]
    for data in (frame, keep(frame, collect_ids(frame))):
        for still, beside in ((result, frame["city"]), (moved, city)):
            assert (summary(still, beside, data=data).groupby("city").size() == 1).all()
        numbered = moved.reset_index(drop=True)
        with pytest.raises(InvalidInputError, match=r"by \('city'\) is a Series.*renumbered"):
            summary(numbered, frame["city"], data=data)
        assert (summary(numbered, city.array, data=data).groupby("group").size() == 1).all()


def test_own_columns_come_first() -> None:
    """A column that stands beside the result needs no other frame, and wins over one."""
    frame, result = world()
    beside = pd.concat([frame, result], axis=1)
    wrong = frame.assign(city="Medan")
    assert summary(beside, "city", data=wrong)["city"].unique().tolist() == sorted(CITIES)


def test_other_contacts_are_refused() -> None:
    """A frame that lacks contacts of the result is refused, whatever its index says."""
    frame, result = world()
    other = frame.assign(id=[contact(i) for i in range(1000, 1060)])
    with pytest.raises(InvalidInputError, match=r"60 of the result's 60 rows are of contacts that"):
        summary(result, "city", data=other)
    with pytest.raises(InvalidInputError, match=r"1 of the result's 60 rows"):
        summary(result, "city", data=frame.iloc[1:])


def test_rows_without_ids_are_never_guessed() -> None:
    """Rows without an id are paired in order, or by labels that all ids bear out, or refused."""
    frame, result = world()
    frame = frame.reset_index(drop=True)
    frame.loc[[3, 9], "id"] = [None, "bad"]
    ids = collect_ids(frame)
    result = result_frame(ids, known(np.ones(58), np.zeros(58)), run_id="run_1")
    for moved in (result, through_csv(result), result.sort_values("contact_id"), result.iloc[5:]):
        counts = summary(moved, "city", data=frame)
        expected = frame["city"].iloc[moved.index] if len(moved) < 60 else frame["city"]
        assert counts.groupby("city")["rows"].sum().to_dict() == expected.value_counts().to_dict()
    renumbered = result.sort_values("contact_id").reset_index(drop=True)
    with pytest.raises(InvalidInputError, match="2 rows of the result have no contact id"):
        summary(renumbered, "city", data=frame)
    assert summary(renumbered.dropna(subset="contact_id"), "city", data=frame)["rows"].sum() == 58


def test_contacts_of_several_rows() -> None:
    """Joined by contact, all rows of one need the same value; in order they may differ."""
    frame = pd.DataFrame({"id": [contact(n) for n in (1, 2, 1, 3)], "city": list("abca")})
    frame["country"] = "ID"
    result = result_frame(collect_ids(frame), known([1, 2, 1], [0, 0, 0]), run_id="run_1")
    assert summary(through_csv(result), "city", data=frame)["rows"].sum() == 4
    shuffled = result.iloc[::-1].reset_index(drop=True)
    assert summary(shuffled, "country", data=frame)["rows"].sum() == 4
    with pytest.raises(InvalidInputError, match=r"1 contacts have several rows with different"):
        summary(shuffled, "city", data=frame)
    only_others = shuffled[shuffled["contact_id"] != contact(1)]
    assert summary(only_others, "city", data=frame)["city"].tolist() == ["a", "b"]


def test_a_frame_without_ids_needs_the_same_index() -> None:
    """Where one side has no ids, equal indexes are taken, and no other."""
    frame, result = world()
    cities = frame[["city"]]
    assert summary(result, "city", data=cities).groupby("city")["rows"].sum().to_dict() == truth(
        frame
    )
    assert len(summary(result, cities["city"])) == 3
    for data in (cities.reset_index(drop=True), cities.iloc[:40], cities.iloc[::-1]):
        with pytest.raises(InvalidInputError, match="cannot be told"):
            summary(result, "city", data=data)
        with pytest.raises(InvalidInputError, match="cannot be told"):
            summary(result, data["city"])


def test_a_series_of_ids_as_index() -> None:
    """A Series whose index is the contact ids is joined by them."""
    frame, result = world()
    by = frame.set_index("id")["city"].sort_index()
    counts = summary(through_csv(result), by)
    assert counts.groupby("city")["rows"].sum().to_dict() == truth(frame)


def test_several_columns_of_ids() -> None:
    """A second column of contact ids does no harm, unless nobody can tell which is meant."""
    frame, result = world()
    frame["friend"] = frame["id"].to_numpy()[::-1]
    assert len(summary(result, "city", data=frame)) == 3
    with pytest.raises(InvalidInputError, match="several columns"):
        summary(result.iloc[::2].reset_index(drop=True), "city", data=frame)
    remark = frame[["city"]].assign(note=["ask " + contact(1), contact(5000), *["-"] * 58])
    assert len(summary(result, "city", data=remark)) == 3


def test_frame_and_result_side_by_side_must_agree() -> None:
    """Two columns called contact_id that name other contacts in one row are refused."""
    frame, result = world()
    frame = frame.rename(columns={"id": "contact_id"})
    together = pd.concat([frame, result], axis=1)
    assert len(summary(together, "city")) == 3
    wrong = pd.concat([frame.reset_index(drop=True), through_csv(result.iloc[::-1])], axis=1)
    with pytest.raises(InvalidInputError, match="name different contacts"):
        summary(wrong, "city")


def test_missing_statuses_are_named() -> None:
    """Rows that a left merge left without a status are counted and named as such."""
    frame, result = world()
    merged = frame.rename(columns={"id": "contact_id"}).merge(
        result.iloc[:50], on="contact_id", how="left"
    )
    with pytest.raises(InvalidInputError, match=r"10 of 60 rows have no status: a left merge"):
        summary(merged)
    assert summary(merged.dropna(subset="status"))["rows"].sum() == 50


@pytest.mark.parametrize("wrong", [[1], {"a": 1}, "df", pd.Series([1]), pa.table({"city": ["a"]})])
def test_data_that_is_no_frame(wrong: object) -> None:
    """What is no pandas frame is refused as data, and nothing of it is printed."""
    _, result = world()
    with pytest.raises(InvalidInputError, match=r"data= is an? .*expected the DataFrame"):
        summary(result, "city", data=wrong)


@pytest.mark.parametrize(
    "wrong", [{"Siti": 1}, {"Siti"}, np.array([["Siti"]]), pd.DataFrame({"a": ["Siti"]})]
)
def test_by_that_is_no_name(wrong: object) -> None:
    """What can be no group is refused, and nothing of it is printed."""
    frame, result = world()
    for data in (frame, None):
        with pytest.raises(InvalidInputError, match="by=") as caught:
            summary(result, wrong, data=data)
        assert "Siti" not in str(caught.value)


def test_contradictions_are_named() -> None:
    """A contact with two outcomes in one result is named, and not compared by the first."""
    _, result = world()
    other = "skipped" if result["status"].iloc[4] == "applied" else "applied"
    twice = pd.concat([result, result]).reset_index(drop=True)
    twice.loc[4, "status"] = other
    with pytest.raises(InvalidInputError, match=r"two outcomes.*1 contacts: ") as caught:
        compare(result, twice)
    assert result["contact_id"].iloc[4] in str(caught.value)
    assert compare(result, pd.concat([result, result])).empty
    for wrong in (None, [1], "run_1"):
        with pytest.raises(InvalidInputError, match="expected a result of bulk_label"):
            compare(result, wrong)


@pytest.mark.filterwarnings("ignore:The inplace keyword")  # what analysts write all the same
def test_what_is_kept_stays_as_it_was() -> None:
    """Sorting, filling and writing into the caller's frame does not reach what was kept."""
    frame, result = world()
    kept = keep(frame, collect_ids(frame))
    assert kept is not None
    before = frame.copy(deep=True)
    frame.sort_values("city", inplace=True)
    frame.loc[frame.index[:30], "city"] = "Medan"
    frame["id"] = frame["id"].to_numpy()[::-1].copy()
    frame.drop(columns="city", inplace=True)
    pd.testing.assert_frame_equal(kept.frame, before)
    counts = summary(result, "city", data=kept)
    assert counts.groupby("city")["rows"].sum().to_dict() == truth(before)


def test_only_frames_are_kept() -> None:
    """A Series or an Index has no columns to report by."""
    ids = pd.Series([contact(1)])
    assert keep(ids, collect_ids(ids)) is None
    assert keep(pd.Index(ids), collect_ids(ids)) is None


@settings(deadline=None)
@given(st.lists(st.sampled_from([0, 1, 2, 3, None]), min_size=1), st.randoms(use_true_random=False))
def test_counted_rightly_or_refused(numbers: list[int | None], random: object) -> None:
    """Whatever the order, each row is counted under its own contact's value, or nothing is said."""
    frame = pd.DataFrame(
        {"id": [None if n is None else contact(n) for n in numbers], "city": np.array(numbers)},
        dtype=object,
    )
    if frame["id"].notna().sum() == 0:
        return
    size = frame["id"].nunique()
    result = result_frame(collect_ids(frame, "id"), known([1] * size, [0] * size), run_id="r")
    rows = random.sample(range(len(frame)), random.randint(1, len(frame)))
    moved = result.iloc[rows].reset_index(drop=True)
    if moved["contact_id"].isna().all() and moved.index.equals(frame.index):
        return  # no ids and the same index: nothing can tell that the rows have moved
    try:
        counts = summary(moved, "city", data=frame)
    except InvalidInputError:
        return
    found = counts.groupby("city", dropna=False)["rows"].sum()
    own = frame["city"].iloc[rows].value_counts(dropna=False)
    assert found.sort_index().tolist() == own.sort_index().tolist()
