"""The notebooks run from top to bottom, as a reader would run them."""

import re
import sys
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOKS = sorted((Path(__file__).parent.parent / "notebooks").glob("*.ipynb"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
# jupyter_client warns of a file mode it cannot check in some containers; not ours to mend.
@pytest.mark.filterwarnings("ignore::Warning:jupyter_client", "ignore::Warning:zmq")
def test_notebook_runs(path, tmp_path):
    """Every cell runs without an error, in a fresh kernel."""
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(tmp_path)}})
    client.execute()
    text = str([cell.get("outputs") for cell in notebook.cells])
    assert "Traceback" not in text
    assert "kdv_live_" not in text.replace("kdv_live_FAKE", "")


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_only_pictures_are_kept(path):
    """A notebook keeps the outputs of cells tagged ``picture``: no key, no place on a disk."""
    notebook = nbformat.read(path, as_version=4)
    for cell in (cell for cell in notebook.cells if cell.cell_type == "code"):
        assert bool(cell.outputs) == ("picture" in cell.metadata.get("tags", []))
        assert cell.execution_count is None
        assert not re.search(r"kdv_live|127\.0\.0\.1|/tmp/|/home/", str(cell.outputs))


@pytest.mark.parametrize("month", ["november", "december"])
def test_a_month_in_step_is_a_few_lines(month):
    """What an analyst writes for a month, from the file to the list and the undo, is short."""
    (path,) = (path for path in NOTEBOOKS if path.stem == "keep_in_step")
    cells = nbformat.read(path, as_version=4).cells
    own = [cell.source for cell in cells if month in cell.metadata.get("tags", [])]
    lines = [line for line in "\n".join(own).splitlines() if line.strip()]
    assert f"{month} = pd.read_csv(" in lines[0 if month == "december" else 3]
    assert len(lines) <= 15


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_first_cell_needs_nothing_more(path):
    """The first code of a notebook installs nothing and imports what comes with the package."""
    cells = [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
    imported = re.findall(r"^(?:import|from) (\w+)", cells[0].source, flags=re.MULTILINE)
    assert set(imported) - sys.stdlib_module_names <= {"kirim_pandas", "pandas", "numpy"}
    assert "pip" not in cells[0].source
