"""Run notebooks, and keep the outputs of the cells tagged ``picture``; those of others go.

``python docs/_code/keep_pictures.py notebooks/quickstart.ipynb`` refreshes one after a change.
"""

import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient


def keep_pictures(path: Path) -> None:
    """Run one notebook and write it again."""
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(notebook, timeout=120).execute()
    for cell in (cell for cell in notebook.cells if cell.cell_type == "code"):
        cell.execution_count = None
        cell.metadata.pop("execution", None)
        is_picture = "picture" in cell.metadata.get("tags", [])
        shown = [out for out in cell.outputs if out.output_type == "execute_result"]
        for out in shown:
            out.execution_count = None
        cell.outputs = shown if is_picture else []
    nbformat.write(notebook, path)


if __name__ == "__main__":
    for name in sys.argv[1:]:
        keep_pictures(Path(name))
