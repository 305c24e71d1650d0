"""How frames of Dask and polars come by an accessor: in any order of imports, without importing."""

import subprocess
import sys

import pytest

HAS = "import sys, dask.dataframe as dd, pandas as pd; assert hasattr(dd.DataFrame, 'kirim')"
QUIET = "import sys; assert not any(n.partition('.')[0] == 'dask' for n in sys.modules)"


def run(code):
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    "lines",
    [
        f"import kirim_pandas; {QUIET}; import dask.dataframe",
        "import dask; import kirim_pandas; from dask import dataframe; import importlib;"
        "importlib.reload(kirim_pandas)",
        "import dask.dataframe; import kirim_pandas",
    ],
    ids=["ours first", "ours twice", "Dask first"],
)
def test_order_of_imports_does_not_matter(lines):
    """Whichever is imported first, Dask has the accessor, its own loader, and nothing watches."""
    told = run(
        f"{lines}; {HAS}; assert hasattr(dd.Series, 'kirim');"
        "print(*[one.watched for one in sys.meta_path if hasattr(one, 'watched')]);"
        "print(type(dd.__loader__).__name__, dd.__spec__.loader is dd.__loader__)"
    )
    watching, loader = told.splitlines()
    assert watching == "polars"
    assert loader.split() == ["SourceFileLoader", "True"]


def test_a_dask_that_cannot_be_imported_fails_as_it_would(tmp_path):
    """An error of Dask's import is told unchanged, and a later import that works is followed."""
    package = tmp_path / "dask"
    (package / "dataframe").mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "dataframe" / "__init__.py").write_text("raise ImportError('too old a pandas')")
    told = run(
        f"import sys, kirim_pandas; sys.path.insert(0, {str(tmp_path)!r})\n"
        "try:\n    import dask.dataframe\nexcept ImportError as error:\n    print(error)\n"
        "sys.path.pop(0); [sys.modules.pop(n) for n in list(sys.modules) if n[:4] == 'dask']\n"
        f"{HAS}"
    )
    assert told.strip() == "too old a pandas"


@pytest.mark.parametrize("lines", ["import kirim_pandas, frames", "import frames, kirim_pandas"])
@pytest.mark.parametrize(
    ("library", "told"),
    [
        ("dask", "ConfigurationError Dask 2024.1.0 is too old"),
        ("polars", "InvalidInputError Kirim's verbs take frames of pandas and Dask"),
    ],
)
def test_frames_without_verbs_say_what_to_write(tmp_path, lines, library, told):
    """Each verb is refused with words, whichever is imported first; nothing else is in the way."""
    kinds = "class DataFrame: ...\nclass LazyFrame: ...\nclass Series: ..."
    for module, text in {
        "dask/__init__": "__version__ = '2024.1.0'",
        "dask/dataframe": kinds,
        "polars/__init__": f"{kinds}\nfrom polars import api",
        "polars/api": REGISTERS,
        "frames": f"import polars, dask.dataframe\nimport {library} as library\n"
        "library = getattr(library, 'dataframe', library)",
    }.items():
        (tmp_path / module).parent.mkdir(exist_ok=True)
        (tmp_path / f"{module}.py").write_text(text)
    said = run(
        f"import sys; sys.path.insert(0, {str(tmp_path)!r}); {lines}\n"
        "frame = frames.library.DataFrame()\n"
        "assert not hasattr(frame.kirim, '_repr_html_')\n"
        "try:\n    frame.kirim.bulk_label('Newsletter', 'attach')\n"
        "except kirim_pandas.KirimError as error:\n    print(type(error).__name__, error)\n"
        "assert not [one for one in sys.meta_path if hasattr(one, 'watched')]"
    )
    assert said.startswith(told)


REGISTERS = """
def into(kind):
    def register(name):
        def keep(accessor):
            import polars
            setattr(getattr(polars, kind), name, property(accessor))
        return keep
    return register

register_dataframe_namespace, register_lazyframe_namespace, register_series_namespace = map(
    into, ["DataFrame", "LazyFrame", "Series"]
)
"""
