"""How a Dask DataFrame comes by its accessor: in any order of imports, and without importing it."""

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
        "print(*[type(one).__module__ for one in sys.meta_path if hasattr(one, '__dict__')]);"
        "print(type(dd.__loader__).__name__, dd.__spec__.loader is dd.__loader__)"
    )
    *watching, loader = told.splitlines()
    assert "kirim_pandas" not in " ".join(watching)
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
