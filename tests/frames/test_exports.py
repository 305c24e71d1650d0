"""Text that goes to a spreadsheet stays text, whatever its dtype and whatever reads the file."""

from __future__ import annotations

import csv
import io
import re
import shutil
import subprocess
import zipfile
from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kirim_pandas.errors import InvalidInputError
from kirim_pandas.frames.exports import spreadsheet_safe
from kirim_pandas.frames.values import readable

STARTS = ["=", "+", "-", "@", "＝", "＋", "－", "＠"]
BAD = ["=1+1", "-x", "@a", " =1", "\t=1", "\x00=1", "\ufeff=1", '"=1', "＝1", "+cmd|' /C calc'!A0"]
INSIDE = ["Siti;=1+41", "Siti,=1+41", "Siti\t=1+41", "Siti|=1", 'a"; "=1', "a\n=1+41", "a\r=1+41"]
INSIDE += ["a\r\n=1+41", "a;\x00=1+41", "a\x85=1+41", "a\u2028=1+41", "a\r-1+cmd"]
HARMLESS = ["a=b", "1-2", "Siti; Budi", "a,b", "'=1", "e@example.com", "x -y", "", "Jl. A\nNo. 2"]
PHONES = ["+628123456789", "+62 812 3456 7890", "+62 (812) 345-6789", "+1 555 0100 200"]


def cells(frame: pd.DataFrame, separator: str, read_as: str, **options: object) -> list[str]:
    """The cells that a program sees in our CSV file when it expects a certain separator."""
    text = frame.to_csv(sep=separator, **options)
    # Programs end a row at any line break outside of quotes.
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=read_as)
    return [cell for row in rows for cell in row]


def is_formula(cell: str) -> bool:
    seen = cell.strip('\ufeff\x00" \t\r\n')
    return seen.startswith(tuple(STARTS)) and not re.fullmatch(r"[+-]?[\d ().-]+", seen)


@pytest.mark.parametrize("text", [*BAD, *INSIDE])
@pytest.mark.parametrize("read_as", [",", ";", "\t", "|"])
@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_no_cell_of_our_csv_is_a_formula(text: str, separator: str, read_as: str) -> None:
    """Whatever separator is written and whatever one is expected, no cell begins a formula."""
    frame = pd.DataFrame({text: ["x", text], "n": [-1, 1]}, index=pd.Index([text, "y"], name=text))
    assert not any(map(is_formula, cells(spreadsheet_safe(frame), separator, read_as)))
    doubled = spreadsheet_safe(spreadsheet_safe(frame))
    assert doubled.to_csv() == spreadsheet_safe(frame).to_csv()


@settings(deadline=None)
@given(st.lists(st.text(alphabet=[*"=+-@;,\t\n\r\0\"' a1", "＝", "\ufeff", "\u2028"], max_size=9)))
def test_no_text_of_these_characters_is_a_formula(texts: list[str]) -> None:
    """Any mixture of separators, quotes, breaks and formula characters is guarded."""
    frame = spreadsheet_safe(pd.DataFrame({"t": pd.Series(texts, dtype=object)}))
    for separator in (",", ";"):
        for read_as in (",", ";", "\t"):
            found = cells(frame, separator, read_as, index=False, quoting=csv.QUOTE_ALL)
            assert not any(map(is_formula, found))


@pytest.mark.parametrize("target", ["csv", "excel"])
def test_harmless_text_and_phone_numbers_stay(target: str) -> None:
    """Plain phone numbers and text that starts no formula stay as they are, in their dtype."""
    frame = pd.DataFrame({"t": [*HARMLESS, *PHONES], "n": 1.5, "when": pd.Timestamp(0)})
    frame["c"] = frame["t"].astype("category")
    pd.testing.assert_frame_equal(spreadsheet_safe(frame, target=target), frame)


def test_a_subtraction_is_no_phone_number() -> None:
    """Digits with hyphens alone would be reckoned out, so they are guarded."""
    texts = ["+62-812-3456", "-5-3", "+1+2", "+62812=1", "+1 2 3-cmd"]
    safe = spreadsheet_safe(pd.DataFrame({"t": texts}))
    assert safe["t"].tolist() == [f"'{text}" for text in texts]


def arrow(values: object) -> pd.Series:
    return pd.Series(pd.arrays.ArrowExtensionArray(pa.chunked_array([values])))


KINDS = {
    "object": lambda v: pd.Series(v, dtype=object),
    "str": lambda v: pd.Series(v, dtype="string"),
    "category": lambda v: pd.Series(v, dtype="category"),
    "path": lambda v: pd.Series([PurePosixPath(x) for x in v], dtype=object),
    "arrow": lambda v: arrow(pa.array(v)),
    "arrow large": lambda v: arrow(pa.array(v, type=pa.large_string())),
    "arrow dictionary": lambda v: arrow(pa.array(v).dictionary_encode()),
    "arrow list": lambda v: pd.Series([[";" + x] for x in v], dtype=object),
    "np.str_": lambda v: pd.Series([np.str_(x) for x in v], dtype=object),
}
if hasattr(pa, "json_"):
    KINDS["arrow json"] = lambda v: arrow(pa.ExtensionArray.from_storage(pa.json_(), pa.array(v)))
if hasattr(pa, "string_view"):
    KINDS["arrow view"] = lambda v: arrow(pa.array(v).cast(pa.string_view()))


@pytest.mark.parametrize("kind", KINDS)
def test_text_of_every_dtype_is_guarded(kind: str) -> None:
    """Formulas in categories, Arrow dictionaries, JSON, views, paths and lists are guarded."""
    column = KINDS[kind](["=1+1", "@SUM(1)", "=1+1"])
    before = list(readable(column.array))
    frame = pd.DataFrame({"x": column})
    safe = spreadsheet_safe(frame)
    assert not any(map(is_formula, cells(safe, ",", ";")))
    assert list(readable(frame["x"].array)) == before


def test_labels_of_every_kind_are_guarded() -> None:
    """Column names, index labels and their names are guarded, with levels, repeated, or odd."""
    frame = pd.DataFrame([["=a", "=b"]], columns=["x", "x"])
    assert spreadsheet_safe(frame).to_numpy().tolist() == [["'=a", "'=b"]]
    deep = pd.DataFrame({("=g", 1): ["=a"]}, index=pd.MultiIndex.from_tuples([("@i", 2)]))
    safe = spreadsheet_safe(deep.rename_axis(index=["=n", None]))
    assert safe.columns.tolist() == [("'=g", 1)]
    assert safe.index.tolist() == [("'@i", 2)]
    assert safe.index.names == ["'=n", None]
    odd = pd.DataFrame({PurePosixPath("=p"): [1], 3: 2}, index=pd.CategoricalIndex(["=c"]))
    assert spreadsheet_safe(odd).columns.tolist() == ["'=p", 3]
    assert spreadsheet_safe(odd).index.tolist() == ["'=c"]
    numbers = pd.DataFrame({1: [1]}, index=pd.DatetimeIndex(["2024-01-01"], name="when"))
    pd.testing.assert_frame_equal(spreadsheet_safe(numbers), numbers)
    assert spreadsheet_safe(pd.DataFrame()).empty


def test_excel_keeps_separators_and_breaks(tmp_path: Path) -> None:
    """In a workbook each cell is its own: only what begins a formula is guarded, nothing is cut."""
    texts = ["a;=1", "a\n=1", "=1+1", "{=1+1}", "a\x00b\x07", "+628123456789", "line\r\nbreak"]
    safe = spreadsheet_safe(pd.DataFrame({"t": texts}), target="excel")
    expected = ["a;=1", "a\n=1", "'=1+1", "'{=1+1}", "ab", "+628123456789", "line\nbreak"]
    assert safe["t"].tolist() == expected
    openpyxl = pytest.importorskip("openpyxl")
    path = tmp_path / "t.xlsx"
    safe.to_excel(path, index=False)
    sheet = openpyxl.load_workbook(path).active
    assert [row[0].data_type for row in sheet.iter_rows()] == ["s"] * 8


@pytest.mark.parametrize("wrong", [pd.Series(["Siti"]), None, ["Siti"], {"a": "Siti"}])
def test_only_frames_are_taken(wrong: object) -> None:
    """A Series or a list is refused with what to do, and nothing of it is printed."""
    with pytest.raises(InvalidInputError, match=r"expected a DataFrame.*to_frame") as caught:
        spreadsheet_safe(wrong)
    assert "Siti" not in str(caught.value)


def test_the_target_is_csv_or_excel() -> None:
    """Another target is refused."""
    with pytest.raises(InvalidInputError, match="neither 'csv' nor 'excel'"):
        spreadsheet_safe(pd.DataFrame(), target="xlsx")


# -- a real spreadsheet program ------------------------------------------------------------

CODES = {",": 44, ";": 59, "\t": 9}


def formulas(path: Path, home: Path, separator: str) -> list[str]:
    """The formulas that LibreOffice finds in a file."""
    options = f"CSV:{CODES[separator]},34,76,1,,0,false,true,false,false,false,-1,true"
    command = ["soffice", "--headless", f"-env:UserInstallation=file://{home}", "--convert-to"]
    read = [f"--infilter={options}"] if path.suffix == ".csv" else []
    out = path.parent / "converted"
    subprocess.run(
        [*command, "xlsx", *read, "--outdir", str(out), str(path)],
        capture_output=True,
        check=True,
        timeout=120,
    )
    with zipfile.ZipFile(out / path.with_suffix(".xlsx").name) as book:
        sheets = [name for name in book.namelist() if name.startswith("xl/worksheets/sheet")]
        return re.findall(r"<f[ >].*?</f>", "".join(book.read(name).decode() for name in sheets))


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("soffice") is None:
        pytest.skip("LibreOffice is not installed")
    return tmp_path_factory.mktemp("office")


def nasty() -> pd.DataFrame:
    texts = [*BAD, *INSIDE, *PHONES, *HARMLESS]
    frame = pd.DataFrame({"first": texts, "=1+1": texts[::-1]})
    frame["category"] = pd.Categorical(texts)
    frame["dictionary"] = arrow(pa.array(texts).dictionary_encode()).to_numpy()
    return frame.set_index(pd.Index(texts, name="=2+2"), append=True)


@pytest.mark.office
@pytest.mark.parametrize("read_as", CODES, ids=["comma", "semicolon", "tab"])
@pytest.mark.parametrize("written", CODES, ids=["comma", "semicolon", "tab"])
def test_libreoffice_finds_no_formula_in_a_csv(
    written: str, read_as: str, office: Path, tmp_path: Path
) -> None:
    """LibreOffice reads our file without one formula, with the right separator and a wrong one."""
    path = tmp_path / "t.csv"
    path.write_bytes(nasty().to_csv(sep=written).encode())
    assert formulas(path, office, written)  # or this test would prove nothing
    path.write_bytes(spreadsheet_safe(nasty()).to_csv(sep=written).encode())
    assert formulas(path, office, read_as) == []


@pytest.mark.parametrize(
    "dtype", ["datetime64[us, Asia/Jakarta]", "timestamp[us, tz=UTC][pyarrow]"]
)
def test_times_with_a_zone_go_to_a_workbook(dtype: str) -> None:
    """A workbook holds the times that a zone shows; a CSV keeps the zone."""
    pytest.importorskip("openpyxl")
    times = pd.Series(pd.to_datetime(["2026-01-31T23:30:00Z", None]))
    frame = pd.DataFrame({"a": times.astype(dtype), "n": 1})
    safe = spreadsheet_safe(frame, target="excel")
    safe.to_excel(io.BytesIO())
    hours = 7 if "Jakarta" in dtype else 0
    assert safe["a"][0] == pd.Timestamp("2026-01-31 23:30:00") + pd.Timedelta(hours=hours)
    assert "+0" in spreadsheet_safe(frame).to_csv()


def test_times_with_a_zone_anywhere_go_to_a_workbook() -> None:
    """Also among objects and categories, and as labels of rows and columns, on every level."""
    pytest.importorskip("openpyxl")
    moment = pd.Timestamp("2026-01-31T23:30:00", tz="Asia/Jakarta")
    shown = pd.Timestamp("2026-01-31T23:30:00")
    levels = pd.MultiIndex.from_tuples([(moment, 1), (moment, 2)], names=["w", "n"])
    mixed = [moment, moment.to_pydatetime()]
    values = {"o": pd.Series(mixed, dtype=object), "c": pd.Categorical([moment, moment])}
    for labels in (levels, pd.Index([moment] * 2), pd.Index([moment, "x"], dtype=object)):
        safe = spreadsheet_safe(pd.DataFrame(values).set_axis(labels), target="excel")
        assert safe["o"].tolist() == safe["c"].tolist() == [shown, shown]
        assert safe.index.get_level_values(0)[0] == shown
        safe.to_excel(io.BytesIO())
        spreadsheet_safe(pd.DataFrame([[1, 2]], columns=labels), target="excel").to_excel(
            io.BytesIO()
        )


def test_a_frame_without_zones_keeps_its_index() -> None:
    """A RangeIndex and plain column labels pass as they are."""
    safe = spreadsheet_safe(pd.DataFrame({"a": [1, 2]}), target="excel")
    assert isinstance(safe.index, pd.RangeIndex)


@pytest.mark.office
def test_libreoffice_finds_no_formula_in_a_workbook(office: Path, tmp_path: Path) -> None:
    """A workbook that pandas writes of our frame has no formula either."""
    pytest.importorskip("openpyxl")
    path = tmp_path / "t.xlsx"
    spreadsheet_safe(nasty(), target="excel").to_excel(path)
    assert formulas(path, office, ",") == []
