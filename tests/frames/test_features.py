"""Columns of a frame as codes: which are looked at, as what, and that contacts get their own."""

import numpy as np
import pandas as pd
import pytest

from kirim_pandas.frames.features import MOST_COLUMNS, features_of
from kirim_pandas.frames.ids import collect_ids

SIZE = 300
IDS = [f"ctc_{number:026d}" for number in range(SIZE)]
WORDS = np.array(["Bandung", "Medan", "Solo"])[np.arange(SIZE) % 3]


def features(obj, *, id_column=None, only=None):
    return features_of(obj, collect_ids(obj, id_column), only=only)


def of(values, name="x", **frame):
    """The features of one column beside the ids."""
    found = features(pd.DataFrame({"contact_id": IDS, name: values} | frame))
    return [feature for feature in found if feature.name == name]


def told(found):
    return [(feature.ordered, int(feature.codes.max()) + 1) for feature in found]


@pytest.mark.parametrize(
    "dtype", ["str", object, "string[python]", "string[pyarrow]", "category", "large_string"]
)
def test_text_is_names_in_every_dtype(dtype):
    """The same words have the same codes, whatever holds them; names have no order."""
    if dtype == "large_string":
        import pyarrow as pa

        dtype = pd.ArrowDtype(pa.large_string())
    (feature,) = of(pd.Series(WORDS).astype(dtype))
    assert told([feature]) == [(False, 3)]
    assert feature.codes.dtype == np.int32
    same = feature.codes[:, None] == feature.codes
    assert (same == (WORDS[:, None] == WORDS)).all()


@pytest.mark.parametrize("dtype", [bool, "boolean", "bool[pyarrow]"])
def test_truth_values_are_names(dtype):
    """True and False are two names, and nothing to be cut."""
    assert told(of(pd.Series(np.arange(SIZE) % 2 == 0).astype(dtype))) == [(False, 2)]


@pytest.mark.parametrize("dtype", ["int64", "float64", "Int64", "Float64", "int64[pyarrow]"])
def test_numbers_are_names_where_few_and_have_an_order(dtype):
    """Few numbers are both; of many only the order is used."""
    few = pd.Series(np.arange(SIZE) % 5).astype(dtype)
    assert told(of(few)) == [(False, 5), (True, 5)]
    many = pd.Series(np.arange(SIZE)[::-1]).astype(dtype)
    (feature,) = of(many)
    assert feature.ordered
    assert feature.codes.tolist() == list(range(SIZE))[::-1]


@pytest.mark.parametrize("zone", [None, "Asia/Jakarta"])
def test_dates_have_an_order(zone):
    """Dates are coded by their order, with a time zone or without."""
    dates = pd.Series(pd.date_range("2026-01-01", periods=SIZE, tz=zone)[::-1])
    (feature,) = of(dates)
    assert feature.ordered
    assert feature.codes.tolist() == list(range(SIZE))[::-1]


@pytest.mark.parametrize("zone", [None, "Asia/Jakarta"])
def test_parts_of_dates_are_names(zone):
    """The weekday, the month and the hour may decide; a missing date has a value of its own."""
    dates = pd.Series(pd.date_range("2026-01-01", periods=SIZE, freq="29h", tz=zone))
    dates[3] = pd.NaT
    found = {f.name: f for f in features(pd.DataFrame({"contact_id": IDS, "x": dates}))}
    for name, values in (("weekday", 7), ("month", 12), ("hour", 24)):
        feature = found[f"the {name} of x"]
        assert not feature.ordered
        assert len(np.unique(feature.codes)) == values + 1
        assert (feature.codes == feature.codes[3]).sum() == 1


def test_two_dates_are_compared_row_by_row():
    """Which of two dates is earlier is a name; dates with and without a zone are not compared."""
    first = pd.Series(pd.date_range("2026-01-01", periods=SIZE))
    second = first + pd.to_timedelta(np.arange(SIZE) % 3 - 1, unit="D")
    frame = pd.DataFrame({"contact_id": IDS, "a": first, "b": second})
    frame["c"] = first.dt.tz_localize("UTC")
    found = {f.name: f for f in features(frame)}
    (told,) = [f for name, f in found.items() if name.endswith("is earlier")]
    assert told.name == "which of a and b is earlier"
    assert told.codes[:3].tolist() == [1, 0, 2]


def test_whether_free_text_is_missing_is_a_name():
    """Of free text only that it is missing may explain anything."""
    notes = pd.Series([f"note {number}" for number in range(SIZE)], dtype=object)
    notes[::3] = None
    (feature,) = features(pd.DataFrame({"contact_id": IDS, "note": notes}))[:-1]
    assert feature.name == "whether note is missing"
    assert (feature.codes == 1).tolist() == notes.isna().tolist()


def test_durations_have_an_order():
    """So have durations."""
    assert told(of(pd.Series(pd.to_timedelta(np.arange(SIZE), unit="h")))) == [(True, SIZE)]


@pytest.mark.parametrize("ordered", [True, False])
def test_categories_have_the_order_they_were_given(ordered):
    """An ordered category is cut in its own order, not in that of its words."""
    sizes = pd.Categorical(
        np.array(["small", "large", "huge"])[np.arange(SIZE) % 3],
        categories=["small", "large", "huge"],
        ordered=ordered,
    )
    found = of(sizes)
    assert told(found) == [(False, 3), (True, 3)][: 1 + ordered]
    if ordered:
        assert found[1].codes[:3].tolist() == [0, 1, 2]


def test_categories_that_do_not_occur_leave_no_gap():
    """Of a segment only the values that are there are counted."""
    words = pd.Categorical(WORDS, categories=["Aceh", *np.unique(WORDS)])
    (feature,) = of(words)
    assert np.unique(feature.codes).tolist() == [0, 1, 2]


def test_intervals_are_names_and_cut_in_their_order():
    """What pd.cut gives is an ordered category."""
    assert told(of(pd.cut(pd.Series(np.arange(SIZE)), 4))) == [(False, 4), (True, 4)]


@pytest.mark.parametrize("dtype", [object, "str", "category", "string[pyarrow]"])
def test_missing_text_is_a_value_of_its_own(dtype):
    """A contact without a city is not like those of any city."""
    words = pd.Series(WORDS).astype(object)
    words[::4] = None
    (feature,) = of(pd.Series(words.tolist(), dtype=dtype))  # astype("str") of pandas 2: "None"
    assert told([feature]) == [(False, 4)]
    assert (feature.codes == 3).tolist() == words.isna().tolist()


@pytest.mark.parametrize("dtype", ["float64", "Int64", "datetime64[ns]"])
def test_missing_values_stand_at_the_end_of_an_order(dtype):
    """So a cut can tell those that have a value from those that have none."""
    numbers = pd.Series(np.arange(SIZE, dtype=float))
    numbers[::3] = np.nan
    if dtype == "datetime64[ns]":
        numbers = pd.to_datetime(numbers, unit="D")
    (feature,) = of(numbers.astype(dtype))
    missing = numbers.isna().to_numpy()
    assert (feature.codes[missing] > feature.codes[~missing].max()).all()
    assert (np.diff(feature.codes[~missing]) > 0).all()


@pytest.mark.parametrize(("values", "used"), [(1, False), (2, True), (64, True), (65, False)])
def test_names_have_2_to_64_values(values, used):
    """One value tells nothing, and text of more than 64 is free text."""
    words = np.char.add("w", (np.arange(SIZE) % values).astype(str))
    assert bool(of(words)) == used


def test_index_levels_with_a_name_are_columns():
    """A level is used like a column; one without a name, or with the ids, is not."""
    index = pd.MultiIndex.from_arrays([IDS, WORDS, WORDS], names=["id", "city", None])
    assert [f.name for f in features(pd.DataFrame(index=index))] == [
        "city",
        "the place in the frame",
    ]
    series = pd.Series(IDS, index=pd.Index(WORDS, name="city"))
    assert [f.name for f in features(series)] == ["city", "the place in the frame"]


def test_columns_of_the_same_label_are_both_used():
    """A label that stands twice is no error here, and hides nothing."""
    frame = pd.DataFrame({"contact_id": IDS, "a": WORDS, "b": np.arange(SIZE) % 2 == 0})
    frame.columns = ["contact_id", "x", "x"]
    assert sorted(told(features(frame))[:2]) == [(False, 2), (False, 3)]


def test_what_cannot_be_compared_is_left_out():
    """Lists, dicts, sets and mixed objects cost nothing and raise nothing."""
    frame = pd.DataFrame({"contact_id": IDS})
    frame["lists"] = [[number] for number in range(SIZE)]
    frame["dicts"] = [{"a": number % 2} for number in range(SIZE)]
    frame["sets"] = [{number % 2} for number in range(SIZE)]
    assert [feature.name for feature in features(frame)] == ["the place in the frame"]


def test_mixed_objects_are_names():
    """Numbers beside text have no order, and each is a name."""
    values = pd.Series([1, "a", None, 2.5] * (SIZE // 4), dtype=object)
    assert told(of(values)) == [(False, 4)]


def test_contact_ids_are_no_names():
    """The id column, and any other of contact ids, explains nothing."""
    frame = pd.DataFrame({"contact_id": IDS, "referred_by": np.array(IDS)[np.arange(SIZE) % 5]})
    found = features(frame, id_column="contact_id")
    assert [feature.name for feature in found] == ["the place in the frame"]


def test_a_contact_of_several_rows_has_the_values_of_its_first():
    """Codes are in the order of the contacts, and rows without a contact have no part in them."""
    ids = [IDS[1], None, IDS[0], IDS[1], "junk", IDS[2]]
    frame = pd.DataFrame({"contact_id": ids, "x": ["a", "z", "b", "c", "z", "b"]})
    names, place = features(frame, id_column="contact_id")
    assert names.codes.tolist() == [0, 1, 1]
    assert place.codes.tolist() == [0, 1, 2]


def test_the_place_in_the_frame_outlasts_a_hint():
    """Sorted by a hint, contacts still know where they stood in the frame."""
    frame = pd.DataFrame({"contact_id": IDS, "x": WORDS})
    ids = collect_ids(frame, None, hint="x")
    place = features_of(frame, ids)[-1]
    assert [IDS[code] for code in place.codes] == ids.ids.tolist()


def test_ids_that_begin_with_a_time_have_an_order_unless_the_frame_stands_in_it():
    """What is made earlier sorts first, as text does; ids of one beginning tell nothing."""
    made = [f"ctc_01{'0123456789ABCDEFGHJKMNPQRSTVWXYZ'[n % 32]}{n:023d}" for n in range(SIZE)]
    frame = pd.DataFrame({"contact_id": made})
    order, place = features(frame)
    assert (order.name, order.ordered, place.name) == (
        "the order of the ids",
        True,
        "the place in the frame",
    )
    assert order.codes.tolist() == [n % 32 for n in range(SIZE)]
    for sorted_ids in (sorted(made), sorted(made, reverse=True), IDS):
        (place,) = features(pd.DataFrame({"contact_id": sorted_ids}))
        assert place.name == "the place in the frame"


def test_a_hint_is_all_that_is_looked_at():
    """Where the columns are named, the others and the place are left out."""
    frame = pd.DataFrame({"contact_id": IDS, "x": WORDS, "y": WORDS})
    assert [feature.name for feature in features(frame, only=["y"])] == ["y"]


def test_many_columns_are_cut_at_those_of_fewest_values():
    """A frame of a hundred columns costs no more than one of two dozen."""
    frame = pd.DataFrame({"contact_id": IDS})
    more = {
        f"c{n}": np.char.add("w", (np.arange(SIZE) % (2 + n % 40)).astype(str)) for n in range(100)
    }
    found = features(pd.concat([frame, pd.DataFrame(more)], axis=1))
    assert len(found) == MOST_COLUMNS + 1
    assert max(int(feature.codes.max()) for feature in found[:-1]) < 12


@pytest.mark.parametrize("size", [0, 1])
def test_nobody_and_one_contact_have_nothing_to_tell(size):
    """Without contacts that could differ there are no columns."""
    assert features(pd.DataFrame({"contact_id": IDS[:size], "x": WORDS[:size]})) == []
