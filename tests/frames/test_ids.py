"""Which contacts a frame means: finding the column, judging values, order."""

from __future__ import annotations

import re
from decimal import Decimal
from enum import StrEnum
from uuid import UUID

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kirim_pandas.errors import InvalidInputError
from kirim_pandas.frames.columns import hint_columns, id_columns
from kirim_pandas.frames.ids import MALFORMED, MISSING, USABLE, ContactIds, collect_ids
from kirim_pandas.frames.shapes import name_of, shape_of, shorten

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def contact(number: int) -> str:
    return f"ctc_{number:026d}"


A, B, C = contact(1), contact(2), "ctc_01HXYZABCDEFGHJKMNPQRSTVWX"
LABEL = "lbl_01HXYZABCDEFGHJKMNPQRSTVWX"
MESSY = [A, None, f" {B}\n", A, "x", "", " \t", C.lower(), f"\u3000{C}\xa0", A + "\u200b"]
MESSY_POSITION = [0, -1, 1, 0, -1, -1, -1, -1, 2, -1]
MESSY_UNUSABLE = [USABLE, MISSING, USABLE, USABLE, MALFORMED, MISSING, MISSING, MALFORMED, USABLE]
MESSY_UNUSABLE += [MALFORMED]

DTYPES = [
    "object",
    "str",
    "string[python]",
    "string[pyarrow]",
    pd.ArrowDtype(pa.string()),
    pd.ArrowDtype(pa.large_string()),
    "category",
    pd.SparseDtype(object),
]


def as_dtype(values: list[str | None], dtype: object) -> pd.Series:
    if dtype == "str" and pd.__version__ < "3":
        dtype = "string"  # there, "str" turns None into the text "None"
    if dtype == "category":
        codes = pd.Series(values, dtype=object).astype("category")
        return codes.cat.add_categories(["never used", contact(99)])
    return pd.Series(pd.array(np.array(values, dtype=object), dtype=dtype))


@pytest.fixture(params=DTYPES, ids=str)
def messy(request: pytest.FixtureRequest) -> pd.Series:
    return as_dtype(MESSY, request.param)


def refusal(obj: object, *args: object, **kwargs: object) -> str:
    with pytest.raises(InvalidInputError) as caught:
        collect_ids(obj, *args, **kwargs)
    return str(caught.value)


def check(found: ContactIds) -> None:
    assert found.ids.tolist() == [A, B, C]
    assert found.position.tolist() == MESSY_POSITION
    assert found.position.dtype == np.int32
    assert found.unusable.tolist() == MESSY_UNUSABLE
    assert found.text.dtype == "string"
    assert found.text.fillna("none").tolist() == [
        found.ids[p] if p >= 0 else "none" for p in MESSY_POSITION
    ]
    counts = (found.rows, found.contacts, found.duplicates, found.missing, found.malformed)
    assert (*counts, found.stripped) == (10, 3, 1, 3, 3, 2)


def test_every_dtype_gives_the_same_answer(messy: pd.Series) -> None:
    """The dtype of the column does not change which contacts are found."""
    check(collect_ids(messy.to_frame("who").assign(n=1, name="Budi"), "who"))


def test_series_index_and_level(messy: pd.Series) -> None:
    """A Series, an Index and a MultiIndex level give what a column gives."""
    check(collect_ids(messy))
    check(collect_ids(pd.Index(messy)))
    check(collect_ids(pd.Index(messy, name="who"), "who"))
    check(collect_ids(pd.Series(range(10), index=pd.Index(messy, name="who")), "who"))
    levels = pd.MultiIndex.from_arrays([messy, range(10)], names=["who", None])
    check(collect_ids(pd.DataFrame({"n": 0}, index=levels), "who"))


def test_input_is_never_changed(messy: pd.Series) -> None:
    """Collecting leaves the frame as it was, to the dtype and the name of the index."""
    df = messy.to_frame("who").rename_axis("row")
    before = df.copy(deep=True)
    collect_ids(df, "who", hint="who")
    pd.testing.assert_frame_equal(df, before)


def test_finds_the_column_among_others() -> None:
    """By default the one column or level whose non-missing values are contact ids is taken."""
    df = pd.DataFrame({"n": [1, 2, 3], "phone": "+62 812", 7: [A, "oops", None], "label": LABEL})
    assert collect_ids(df).source == "column 7"
    by_index = pd.DataFrame({"n": [1, 2]}, index=pd.Index([A, B]))
    assert collect_ids(by_index).source == "index level without a name"
    by_level = pd.DataFrame({"n": [1, 2]}, index=pd.MultiIndex.from_arrays([[1, 2], [A, B]]))
    assert collect_ids(by_level).ids.tolist() == [A, B]


def test_finds_the_few_ids_of_a_long_blank_column() -> None:
    """Blank cells are missing, so they do not hide a column of ids, however many they are."""
    values = [" "] * 50_000 + [A]
    assert collect_ids(pd.DataFrame({"x": values, "y": "text"})).ids.tolist() == [A]


def test_no_column_found_lists_what_was_found() -> None:
    """Without an id column the error says what each column holds, at most ten, without values."""
    df = pd.DataFrame(
        {
            "phone": ["+62 812 0000 0001"],
            "label": [LABEL],
            "spend": [1.5],
            "since": [pd.Timestamp(0)],
            "vip": [True],
            "note": [None],
            "ref": [C.lower()],
            **{f"c{i}": ["Budi"] for i in range(9)},
        }
    )
    message = refusal(df)
    for part in (
        "'phone': phone numbers",
        "'label': label ids",
        "'spend': numbers",
        "'since': dates",
        "'vip': true/false",
        "'note': nothing but missing",
        "'ref': contact ids in the wrong case",
        "and 6 more",
        "Column 'ref': Ids are upper case behind ctc_",
    ):
        assert part in message
    assert "812" not in message
    assert "Budi" not in message


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (["2024-01-31", "2023-12-01"], "dates"),
        (["31/01/2024 10:20", "1.2.24"], "dates"),
        (["31 Jan 2024", "Jan 3, 2024"], "dates"),
        (["1.500.000", "750.000"], "numbers"),
        (["15000000", "-7"], "numbers"),
        (["3171234567890123", "1.2e+18"], "numbers"),
        (["0812-3456-7890", "+62 812 0000 0001"], "phone numbers"),
        (["(021) 555-1234"], "phone numbers"),
        (["628120000001"], "long numbers, perhaps phone numbers"),
        (["a@example.com"], "e-mail addresses"),
        (["Budi", "12:30"], "text"),
        (["a@example.com", "Budi", "b@example.com"], "mostly e-mail addresses"),
    ],
)
def test_text_is_called_what_it_is(values: list[str], words: str) -> None:
    """Dates, numbers, phone numbers, e-mail addresses and other text are told apart."""
    assert f"Found: column 'x': {words}. " in refusal(pd.DataFrame({"x": values}))


@pytest.mark.parametrize(
    ("columns", "advice"),
    [
        ({"since": "2024-01-31", "spend": 1.5}, "Add the contact ids first"),
        ({"contact_id": 7, "phone": "+628120000001"}, "dtype={'contact_id': str}"),
        ({"customerId": "1234567890123456789"}, "dtype={'customerId': str}"),
        ({"valid": 1.5, "phone": "+628120000001"}, "Column 'phone': Look the contacts up"),
        ({"ref": C.lower(), "phone": "+628120000001"}, "Column 'ref': Ids are upper case"),
        ({"contact_id": None, "spend": 1.5}, "Column 'contact_id' has no value in any row: fill"),
        ({"mail": "a@example.com"}, "df.kirim.match_contacts(email='mail')"),
        ({"phone": "0812-3456-7890"}, "df.kirim.match_contacts(phone='phone')"),
        ({"customer_id": 7, "hp": "0812-3456-7890"}, "df.kirim.match_contacts(phone='hp')"),
        ({"No HP": 81234567890, "spend": 1.5}, "df.kirim.match_contacts(phone='No HP')"),
        ({"contact_phone": 81234567890}, "df.kirim.match_contacts(phone='contact_phone')"),
    ],
)
def test_advice_fits_what_was_found(columns: dict[str, object], advice: str) -> None:
    """The advice is about a column that is there, and only one is given."""
    message = refusal(pd.DataFrame(columns, index=[0]))
    assert advice in message
    told = (
        "Add the contact",
        "fill the ids in",
        "dtype=",
        "Look the",
        "Ids are upper",
        "Merge the contact",
    )
    assert sum(words in message for words in told) == 1


def test_a_series_is_not_told_to_name_a_column() -> None:
    """Where there is no column to choose from, no message asks for its name."""
    for values in ([1.5], ["Budi"], pd.to_datetime(["2024-01-01"])):
        message = refusal(pd.Series(values, name="x"))
        assert "Take the one of contact ids." in message
        assert "id_column=" not in message


def test_examples_give_nobody_away() -> None:
    """Phone numbers and addresses are shown without their middle, other text not at all."""
    phones = [f"+62 812 5551 {n:04d}" for n in range(9)]
    message = refusal(pd.Series([*phones, "Budi Santoso"]))
    assert "found mostly phone numbers, such as '+62…00', '+62…01', '+62…02'; expected" in message
    mail = refusal(pd.Series(["siti.rahma@example.com", "budi@budisantoso.id"]))
    assert "'s…@….com', 'b…@….id'" in mail
    for secret in ("5551", "Budi", "rahma", "santoso"):
        assert secret not in message + mail


def test_less_than_half_is_no_candidate() -> None:
    """A column of remarks with an id in it is never taken by itself, but may be named."""
    df = pd.DataFrame({"note": [A, "call back", "moved"]})
    assert "1 contact id among 3 values" in refusal(df)
    assert "id_column='note'" in refusal(df)
    assert collect_ids(df, "note").contacts == 1


def test_several_candidates_are_listed() -> None:
    """Two possible columns, or a column and the index, are an error that names both."""
    df = pd.DataFrame({"who": [A], "parent": [B]})
    assert "'who', column 'parent'" in refusal(df)
    assert "index level 'who'" in refusal(df[["who"]].set_index("who", drop=False))


def test_names_that_do_not_fit() -> None:
    """Unknown, repeated and ambiguous names are errors that say what to do."""
    df = pd.DataFrame({"contact_id": [A], "n": [1]})
    assert "Did you mean 'contact_id'" in refusal(df, "Contact_Id")
    assert "Found: 'contact_id', 'n'." in refusal(df, "zzz")
    assert "id_column= is a list, expected the name of" in refusal(df, ["n"])
    twice = pd.concat([df, df], axis=1)
    assert "2 columns have this label" in refusal(twice, "contact_id")
    assert "2 columns have this label" in refusal(twice)
    assert "ambiguous" in refusal(df.set_index("contact_id", drop=False), "contact_id")
    assert "ambiguous" in refusal(
        pd.Series([A], name="x", index=pd.Index([B], name="x")), id_column="x"
    )


def test_unrelated_repeated_labels_do_no_harm() -> None:
    """Other columns may share a label, and columns may have levels."""
    df = pd.DataFrame([[A, 1, 2]], columns=["who", "n", "n"])
    assert collect_ids(df).contacts == collect_ids(df, "who").contacts == 1
    assert "2 columns" in refusal(df, "n")
    deep = pd.DataFrame([[A, 1]], columns=pd.MultiIndex.from_tuples([("x", "id"), ("x", "n")]))
    assert collect_ids(deep).contacts == collect_ids(deep, ("x", "id")).contacts == 1
    assert "2 columns" in refusal(deep, "x")


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ([1, 2], "numbers (int64)"),
        ([123.0, None], "loses digits"),
        (pd.array([1, None], dtype="Int64"), "dtype={'who': str}"),
        (pd.array([1.0], dtype=pd.SparseDtype(float)), "numbers"),
        ([True], "true/false"),
        (pd.to_datetime(["2024-01-01"]), "dates"),
        (pd.to_timedelta([1]), "durations"),
        (pd.Series([1, 2]).astype("category"), "numbers"),
        ([LABEL, LABEL], "A label id is the first argument"),
        (["+628120000001"], "df.kirim.match_contacts(phone='who')"),
        ([C.lower()], "not changed here"),
        (["\ufeff" + C], "invisible"),
        ([C + "\n\u200b"], "invisible"),
        ([C[:-1]], "missing, added or changed"),
        ([b"ctc_01HXYZABCDEFGHJKMNPQRSTVWX"], "contact ids as bytes"),
        ([b"\xff"], "objects of type bytes"),
    ],
)
def test_a_named_wrong_column_is_refused(values: object, words: str) -> None:
    """A named column without one contact id is an error that says what it holds and what to do."""
    message = refusal(pd.DataFrame({"who": values, "id": A}), "who")
    assert words in message
    assert "expected" in message


REMEDIES = ("str.extract", "str.findall", "their source", "the source", "explode", "'ctc_' +")


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (f"'{C}", "in quotes or apostrophes"),
        (f'"{C}"', "in quotes or apostrophes"),
        (f"“{C}”", "in quotes or apostrophes"),
        (f"{C}'", "in quotes or apostrophes"),
        (f'="{C}"', "in a spreadsheet formula"),
        (f'=HYPERLINK("https://x.example/{C}")', "in a spreadsheet formula"),
        (f"[{C}]", "in brackets"),
        (f"['{C}']", "in brackets"),
        (f"<{C}>", "in brackets"),
        (f"https://app.example/contacts/{C}?tab=1", "in links"),
        (f"kirim://x?id={C}", "in links"),
        (f"b'{C}'", "as bytes"),
        (C.encode(), "as bytes"),
        (f"Siti Rahma {C}", "within other text"),
        *((f"{C}{mark}", "within other text") for mark in (",", ";", ".", ".0", " Siti")),
        ([C], "in lists"),
        ((C, A), "in lists"),
        (C[4:], "without ctc_"),
        (f"\u0441tc_{C[4:]}", "foreign characters"),
        (f"{A};{B}", "several contact ids in one cell"),
        (f"{A}\n{B} Siti", "several contact ids in one cell"),
        ("ctc_O1HXYZABCDEFGHJKMNPQRSTVWX", "the letter I, L, O or U"),
    ],
)
def test_ids_with_something_around_them_are_named(value: object, words: str) -> None:
    """An id in quotes, a formula, brackets, a link, bytes or text is called so, with the remedy."""
    for obj, options in ((pd.Series([value]), {}), (pd.DataFrame({"ref": [value]}), {})):
        message = refusal(obj, **options)
        assert words in message
        assert any(way in message for way in REMEDIES)
        assert "Siti" not in message
    kind = collect_ids(pd.Series([A, value], dtype=object)).malformed_kinds[0]
    assert words in kind.shape


def test_what_the_other_values_are_is_told() -> None:
    """Where too few values are ids, the message says what the others look like, and what to do."""
    typed = ["ctc_O1HXYZABCDEFGHJKMNPQRSTVWX", "ctc_01HXYZABCDEFGHJKMNPQRSTVWI"]
    message = refusal(pd.DataFrame({"ref": [A, *typed]}))
    assert "1 contact id among 3 values (the others: contact ids with the letter I, L" in message
    assert "id_column='ref'. Column 'ref': Where O stands for 0" in message
    split = pd.DataFrame({"ref": [[A, B], [C]]})
    assert "df.explode('ref')" in refusal(split)
    assert collect_ids(split.explode("ref")).ids.tolist() == [A, B, C]
    bare = pd.DataFrame({"ref": [A[4:], B[4:]]})
    assert "'ctc_' + df['ref']" in refusal(bare)
    assert collect_ids("ctc_" + bare["ref"]).ids.tolist() == [A, B]


def test_a_first_row_that_became_the_header_is_named() -> None:
    """A file without a header has a customer for its column names: they are hidden."""
    frame = pd.DataFrame([["Budi", "x", 1]], columns=["+6281234567890", "siti@example.com", A])
    message = refusal(frame)
    assert "header=None" in message
    for wanted in (message, refusal(frame, "+6281234567891"), refusal(frame, "who")):
        assert "1234567" not in wanted
        assert "siti@" not in wanted


def test_the_remedy_works() -> None:
    """What the message says to do gives the ids."""
    df = pd.DataFrame({"column": [f"'{A}", f'="{B}"', f"https://x.example/{C}"]})
    column = "column"
    ids = df[column].str.extract(r"(ctc_[0-9A-Z]{26})", expand=False)
    assert collect_ids(ids).ids.tolist() == [A, B, C]
    for value in (A.encode(), str(A.encode())):
        df = pd.DataFrame({"column": [value]})
        assert "df['column'].astype(str).str.extract(r'(ctc_[0-9A-Z]{26})'" in refusal(df)
        ids = df[column].astype(str).str.extract(r"(ctc_[0-9A-Z]{26})", expand=False)
        assert collect_ids(ids).ids.tolist() == [A]
    two = pd.DataFrame({"column": [f"{A};{B}"]})
    split = two.assign(contact_id=two[column].str.findall(r"ctc_[0-9A-Z]{26}"))
    assert collect_ids(split.explode("contact_id"), "contact_id").ids.tolist() == [A, B]


def test_two_ids_in_a_cell_do_not_look_like_one() -> None:
    """An example that is cut says how long the value was, or shows each id."""
    (kind,) = collect_ids(pd.Series([A, f"{A},{B}"])).malformed_kinds
    assert kind.examples == ("'ctc_000000…0001' and 'ctc_000000…0002'",)
    assert shorten(C + "X" * 9) == "'ctc_01HXYZ…XXXX' (39 characters)"
    assert shorten(C) == "'ctc_01HXYZ…TVWX'"


def arrow(values: list[object], kind: pa.DataType) -> pd.Series:
    return pd.Series(pd.arrays.ArrowExtensionArray(pa.chunked_array([pa.array(values, type=kind)])))


def arrow_extension(values: list[object], kind: pa.DataType) -> pd.Series:
    stored = pa.ExtensionArray.from_storage(kind, pa.array(values, type=kind.storage_type))
    return pd.Series(pd.arrays.ArrowExtensionArray(pa.chunked_array([stored])))


ODD_COLUMNS = {
    "list": arrow([["a"], None, ["b"]], pa.list_(pa.string())),
    "large_list": arrow([["a"], None, ["b"]], pa.large_list(pa.string())),
    "struct": arrow([{"a": "x"}, None, {"a": "y"}], pa.struct([("a", pa.string())])),
    "map": arrow([[("a", "b")], None, []], pa.map_(pa.string(), pa.string())),
    "durations": arrow([pd.Timedelta(1, "s"), None, None], pa.duration("s")),
    "times of day": arrow([None, None, 1], pa.time64("us")),
    "intervals": pd.Series(pd.arrays.IntervalArray.from_tuples([(0, 1), None, (1, 2)])),
    "objects of type bytes": arrow([b"a", None, b"b"], pa.binary()),
    "numbers": pd.Series([1j, 2, 3]),
}
if hasattr(pa, "list_view"):
    ODD_COLUMNS["list_view"] = arrow([["a"], None, ["b"]], pa.list_view(pa.string()))
if hasattr(pa, "uuid"):
    ODD_COLUMNS["uuid"] = arrow_extension([b"0" * 16, None, b"1" * 16], pa.uuid())
if hasattr(pa, "json_"):
    ODD_COLUMNS["json"] = arrow_extension(['"a"', None, "{}"], pa.json_())


@pytest.mark.parametrize("held", ODD_COLUMNS)
def test_columns_that_cannot_hold_ids_are_passed_over(held: str) -> None:
    """A column of an odd dtype beside the ids does no harm; named, it is refused in our words."""
    frame = pd.DataFrame({"odd": ODD_COLUMNS[held], "contact_id": [A, None, B]})
    assert collect_ids(frame).ids.tolist() == [A, B]
    assert [choice.label for choice in id_columns(frame) if choice.likely] == ["contact_id"]
    assert isinstance(hint_columns(frame), list)
    for message in (refusal(frame, "odd"), refusal(frame["odd"]), refusal(frame[["odd"]])):
        assert held in message
    if held in ("list", "large_list", "list_view", "struct", "map"):
        assert "cannot be grouped" in refusal(frame, hint="odd")
    else:
        assert sorted(collect_ids(frame, hint="odd").ids) == [A, B]


@pytest.mark.parametrize("kind", ["dictionary", "string_view", "large_string"])
def test_arrow_text_of_every_kind_is_read(kind: str) -> None:
    """Ids in an Arrow dictionary or view are found as in a plain column of text."""
    values = pa.array([A, None, B])
    cast = values.dictionary_encode() if kind == "dictionary" else values.cast(getattr(pa, kind)())
    column = pd.Series(pd.arrays.ArrowExtensionArray(pa.chunked_array([cast])))
    frame = pd.DataFrame({"who": column, "n": 1})
    found = collect_ids(frame, hint="who")
    assert found.ids.tolist() == [A, B]
    assert found.unusable.tolist() == [USABLE, MISSING, USABLE]


def test_a_column_where_a_name_belongs() -> None:
    """A Series, a frame or a dictionary as a name is refused, and nothing of it is printed."""
    names = pd.Series(["Siti", "Budi"], index=pd.Index(["Siti", "Budi"], name="name"), name="name")
    frame = pd.DataFrame({"contact_id": [A, B], "name": ["Siti", "Budi"]}).set_index(names)
    for wrong in (names, frame, {"Siti": 1}, np.array(["Siti"]), names.index):
        for options in ({"id_column": wrong}, {"hint": wrong}, {"hint": [wrong]}):
            for obj in (frame, names):
                message = refusal(obj, **options)
                assert "expected the name of a column" in message
                assert not any(name in message for name in ("Siti", "Budi"))


def test_labels_of_numpy_and_enum_are_names() -> None:
    """A name that is almost a str names the column, and is shown like a str."""

    class Column(StrEnum):
        WHO = "who"

    frame = pd.DataFrame({"who": [A], "n": [1]})
    for name in (np.str_("who"), Column.WHO):
        assert collect_ids(frame, name, hint=name).source == "column 'who'"
        assert collect_ids(frame, name, hint=name).hint == ("'who'",)
    assert "id_column='n'" not in refusal(frame, np.str_("zzz"))
    assert "id_column='zzz'" in refusal(frame, np.str_("zzz"))


@pytest.mark.parametrize("empty", [[None, np.nan], ["", " "], [np.nan, np.nan], [pd.NaT, pd.NaT]])
def test_all_missing_is_a_result(empty: list[object]) -> None:
    """A named column of nothing but missing values gives rows without contacts, no error."""
    found = collect_ids(pd.DataFrame({"who": empty}), "who")
    assert (found.rows, found.contacts, found.missing) == (2, 0, 2)
    assert found.text.isna().all()


@pytest.mark.parametrize(
    "frame",
    [pd.DataFrame(), pd.DataFrame({"who": []}), pd.DataFrame(columns=["a", "b"], dtype=str)],
)
def test_no_rows_is_a_result(frame: pd.DataFrame) -> None:
    """A frame without rows has no contacts; an unknown column is still an error."""
    found = collect_ids(frame)
    assert (found.rows, found.contacts) == (0, 0)
    assert "no column or index level" in refusal(frame, "zzz")


class _Hostile(str):
    """Raises wherever Python lets it."""

    __slots__ = ()

    def _raise(self, *args: object) -> object:
        raise RuntimeError("must not be called")

    __str__ = __repr__ = strip = __len__ = _raise  # type: ignore[assignment]


class _NoText:
    def _raise(self, *args: object) -> object:
        raise RuntimeError("must not be called")

    __str__ = __repr__ = __eq__ = __hash__ = __bool__ = _raise  # type: ignore[assignment]
    __class__ = property(_raise)  # type: ignore[assignment]


def test_strange_objects_are_malformed_never_an_exception() -> None:
    """Bytes, numbers, lists, hostile objects and lone surrogates cost their own row only."""
    strange = [
        A.encode(),
        Decimal(1),
        UUID(int=1),
        [A],
        {A},
        1,
        1.5,
        True,
        np.array([A]),
        _NoText(),
    ]
    values = np.empty(len(strange) + 4, dtype=object)
    values[0], values[1], values[2], values[3] = A, _Hostile(B), "\ud800", A[:-1] + "\udfff"
    for i, value in enumerate(strange):
        values[4 + i] = value
    found = collect_ids(pd.DataFrame({"who": values}), "who")
    assert found.ids.tolist() == [A, B]
    assert {type(i) for i in found.ids} == {str}
    assert found.unusable.tolist() == [USABLE, USABLE] + [MALFORMED] * (len(values) - 2)
    kinds = {kind.shape: kind.rows for kind in found.malformed_kinds}
    assert kinds["objects of type _NoText"] == 1
    assert kinds["numbers"] == 2
    assert sum(kinds.values()) == found.malformed
    shown = [example for kind in found.malformed_kinds for example in kind.examples]
    assert shown
    assert all(re.fullmatch("[ -~…]+", example) for example in shown)
    alone = pd.DataFrame({"who": pd.Series([_NoText()], dtype=object)})
    assert "objects of type _NoText" in refusal(alone, "who")
    assert "objects of type _NoText" in refusal(alone)


def test_missing_values_of_every_kind() -> None:
    """None, NaN, NA, NaT, empty and blank are missing, not malformed."""
    values = [A, None, np.nan, float("nan"), pd.NA, pd.NaT, "", " \u2003\n"]
    found = collect_ids(pd.Series(values, dtype=object))
    assert found.unusable.tolist() == [USABLE] + [MISSING] * 7


@pytest.mark.parametrize("letter", "ILOUa_- ")
def test_alphabet_is_strict(letter: str) -> None:
    """Letters outside the id alphabet make an id malformed wherever they stand."""
    found = collect_ids(pd.Series([A, A[:10] + letter + A[11:]]))
    assert found.unusable.tolist() == [USABLE, MALFORMED]


def test_hint_makes_equal_values_adjacent() -> None:
    """With a hint, contacts are grouped by first appearance, and keep their order in a group."""
    who = [contact(i) for i in (9, 8, 7, 6, 5)]
    df = pd.DataFrame({"who": [*who, who[0]], "team": ["b", "a", "b", None, "a", "a"]})
    found = collect_ids(df, hint="team")
    assert found.ids.tolist() == [contact(i) for i in (9, 7, 8, 5, 6)]
    assert found.groups is not None
    assert found.groups.tolist() == [0, 0, 1, 1, 2]
    assert found.ids[found.position].tolist() == df["who"].tolist()


def test_hints_nest() -> None:
    """With several hints the first decides, the next orders inside."""
    df = pd.DataFrame({"a": list("xyxyx"), "b": [1, 1, 2, 1, 1], "who": map(contact, range(5))})
    found = collect_ids(df.set_index("a"), hint=["a", "b"])
    assert found.position.tolist() == [0, 3, 2, 4, 1]
    assert found.groups is not None
    assert found.groups.tolist() == [0, 0, 1, 2, 2]


def test_hint_problems_come_with_the_others() -> None:
    """All problems of the frame are told at once; a hint that cannot be grouped is one."""
    df = pd.DataFrame({"who": [A], "bag": [[1]]})
    message = refusal(df, "whom", hint="tem")
    assert "id_column='whom'" in message
    assert "hint='tem'" in message
    assert "cannot be grouped" in refusal(df, hint="bag")


def test_other_objects_are_refused() -> None:
    """A list is not a frame."""
    assert "found a list" in refusal([A])


def test_nothing_odd_reaches_a_message() -> None:
    """Control characters and markup in values or labels are shown as code points, cut short."""
    assert shorten("\x1b[31m\u200bctc") == "'<U+001B>[31m<U+200B>ctc'"
    assert len(shorten("<b>" * 100)) < 40
    assert "\x1b" not in name_of("\x1b[31m")
    assert len(name_of("x" * 1000)) < 70
    assert name_of(_NoText()) == "<a _NoText>"
    assert shape_of([]) == "nothing but missing values"


CELLS = st.one_of(
    st.integers(0, 30).map(contact),
    st.integers(0, 30).map(lambda n: f" {contact(n)}\u2028"),
    st.none(),
    st.text(max_size=4),
    st.text(ALPHABET, min_size=26, max_size=26).map("ctc_".__add__),
    st.floats(),
    st.binary(max_size=2),
)


@given(st.lists(CELLS), st.booleans())
def test_like_one_row_at_a_time(cells: list[object], hinted: bool) -> None:
    """Any column gives what judging its cells one after the other gives."""
    frame = pd.DataFrame({"who": pd.Series(cells, dtype=object), "h": [len(str(c)) for c in cells]})
    expected: list[str | None] = []
    for cell in cells:
        text = cell.strip() if isinstance(cell, str) else ""
        good = re.fullmatch(r"ctc_[0-9A-HJKMNP-TV-Z]{26}\Z", text)
        expected.append(text if good else None)
    distinct = list(dict.fromkeys(i for i in expected if i))
    present = [
        c for c in cells if not (c is None or c != c or (isinstance(c, str) and not c.strip()))
    ]
    if present and not distinct:
        assert "none of its" in refusal(frame, "who")
        return
    found = collect_ids(frame, "who", hint="h" if hinted else None)
    assert sorted(found.ids) == sorted(distinct)
    assert hinted or found.ids.tolist() == distinct
    assert [found.ids[p] if p >= 0 else None for p in found.position] == expected
    assert found.malformed == len(present) - sum(i is not None for i in expected)
    assert found.rows == found.contacts + found.duplicates + found.missing + found.malformed
