"""Contact ids in little room, and how columns become them."""

from __future__ import annotations

import builtins

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kirim_pandas.frames import packed, values
from kirim_pandas.frames.ids import MALFORMED, MISSING, USABLE, collect_ids
from kirim_pandas.frames.packed import PackedIds, are_ids, numbered
from kirim_pandas.frames.shapes import CONTACT_ID, ID_CHARACTERS
from kirim_pandas.frames.values import read_ids


def contact(number: int) -> str:
    return f"ctc_{number:026d}"


SOME = [contact(number) for number in (3, 1, 2)]
ODD = [
    *(None, np.nan, pd.NaT, pd.NA, "", "  ", "x", 7, 1.5, True, b"x", contact(1).encode()),
    *(np.str_(contact(1)), contact(1) + "\n", contact(2).lower(), contact(4)[:-1] + "\0", "\ud800"),
]


def test_they_read_like_texts_and_choose_like_an_array() -> None:
    """Packed ids give texts one by one and all together, and packed ids where some are chosen."""
    ids = PackedIds.of(iter(SOME))
    assert (len(ids), ids[1], ids[-1], ids.tolist()) == (3, SOME[1], SOME[2], SOME)
    assert list(ids) == SOME
    assert SOME[0] in ids
    assert contact(9) not in ids
    assert isinstance(ids[:2], PackedIds)
    assert ids[:2].tolist() == SOME[:2]
    assert ids[np.array([False, True, True])].tolist() == SOME[1:]
    assert np.asarray(ids).tolist() == SOME
    assert list(pd.Index(ids)) == SOME
    assert PackedIds.of(ids) is ids
    assert not PackedIds.of([])


@pytest.mark.parametrize("storage", ["python", "pyarrow"])
def test_the_ids_of_rows(storage: str) -> None:
    """Each row has the text at its position, and NA where that is negative."""
    with pd.option_context("mode.string_storage", storage):
        rows = PackedIds.of(SOME).of_rows(np.array([2, -1, 0, 2], dtype=np.int32))
        assert (rows.dtype, rows.dtype.storage) == (pd.StringDtype(), storage)
        assert rows.tolist() == [SOME[2], pd.NA, SOME[0], SOME[2]]
        assert PackedIds.of(SOME).of_rows(np.arange(3)).tolist() == SOME
        assert PackedIds.of([]).of_rows(np.array([-1])).tolist() == [pd.NA]
        assert len(PackedIds.of([]).of_rows(np.array([], dtype=np.int32))) == 0


@given(st.lists(st.text(ID_CHARACTERS + "ctc_IL\0é", min_size=30, max_size=30) | st.just(SOME[0])))
def test_the_rule_for_ids_is_one(texts: list[str]) -> None:
    """Words of thirty bytes are judged as texts are."""
    texts = [text for text in texts if text.isascii()]
    words = np.array(texts, dtype="S30")
    assert are_ids(words).tolist() == [bool(CONTACT_ID.fullmatch(text)) for text in texts]


@pytest.mark.parametrize("position", range(30))
def test_every_character_of_an_id_is_judged(position: int) -> None:
    """A character that may not stand somewhere in an id is found in every place."""
    before, after = SOME[0][:position], SOME[0][position + 1 :]
    texts = [before + chr(code) + after for code in range(128)]
    expected = [bool(CONTACT_ID.fullmatch(text)) for text in texts]
    assert are_ids(np.array(texts, dtype="S30")).tolist() == expected


@given(st.lists(st.integers(0, 9), max_size=50))
def test_numbers_follow_first_appearance(numbers: list[int]) -> None:
    """Each id has one number, given in the order in which ids appear."""
    codes, different = numbered(np.array([contact(n) for n in numbers], dtype="S30"))
    expected, uniques = pd.factorize(np.array(numbers, dtype=np.int64))
    assert codes.tolist() == expected.tolist()
    assert codes.dtype == np.int32
    assert PackedIds(different).tolist() == [contact(n) for n in uniques]


def test_two_ids_with_one_hash_stay_two(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ids are told apart by what they are, also where their hashes are the same."""
    monkeypatch.setattr(packed, "_hashes", lambda words: np.zeros(len(words), dtype=np.uint64))
    codes, different = numbered(np.array([*SOME, SOME[1], SOME[0]], dtype="S30"))
    assert codes.tolist() == [0, 1, 2, 1, 0]
    assert PackedIds(different).tolist() == SOME


@given(st.lists(st.sampled_from([*SOME, *SOME, *ODD])))
def test_arrow_reads_nothing_else(column: list[object]) -> None:
    """With Arrow and without it, every value is judged alike, whatever stands beside it."""
    array = np.empty(len(column), dtype=object)
    array[:] = column
    found = read_ids(array)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(values, "_in_arrow", lambda _: None)
        expected = read_ids(array)
    assert found.codes.tolist() == expected.codes.tolist()
    assert found.ids.tolist() == expected.ids.tolist()
    assert (found.stripped, found.odd_rows) == (expected.stripped, expected.odd_rows)
    assert list(map(repr, found.odd)) == list(map(repr, expected.odd))


def test_columns_longer_than_a_slice(monkeypatch: pytest.MonkeyPatch) -> None:
    """A column that is read slice by slice gives what it gives when read at once."""
    column = pd.Series([*SOME, *ODD, *SOME, f" {SOME[1]}"] * 3, dtype=object)
    whole = read_ids(column.array)
    monkeypatch.setattr(values, "_SLICE", 4)
    monkeypatch.setattr(packed, "_CHUNK", 2)
    sliced = read_ids(column.array)
    assert sliced.codes.tolist() == whole.codes.tolist()
    assert sliced.ids.tolist() == whole.ids.tolist() == SOME
    assert (sliced.stripped, sliced.odd_rows) == (whole.stripped, whole.odd_rows)
    text = pd.Series([*SOME, None, f" {SOME[1]}", "x"] * 3, dtype="string")
    assert (
        read_ids(text.array[1:]).codes.tolist()
        == read_ids(text[1:].astype(object).array).codes.tolist()
    )


def test_without_arrow_ids_are_read_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where Arrow is not installed the same contacts are found."""
    loaded = builtins.__import__

    def without(name: str, *args: object, **kwargs: object) -> object:
        if name == "pyarrow":
            raise ImportError(name)
        return loaded(name, *args, **kwargs)

    column = pd.Series([SOME[0], None, "x", SOME[1], SOME[0]], dtype=object)
    monkeypatch.setattr(builtins, "__import__", without)
    with pd.option_context("mode.string_storage", "python"):
        found = collect_ids(column)
    assert found.position.tolist() == [0, -1, -1, 1, 0]
    assert found.unusable.tolist() == [USABLE, MISSING, MALFORMED, USABLE, USABLE]
    assert found.ids.tolist() == SOME[:2]
