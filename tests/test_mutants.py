"""The named defects of ``benchmarks/mutants.py`` can still be put in."""

import importlib.util
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def defects():
    path = ROOT / "benchmarks" / "mutants.py"
    spec = importlib.util.spec_from_file_location("mutants", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules["mutants"] = module  # dataclasses look it up there
    sys.path.insert(0, str(path.parent))  # as where it is run
    spec.loader.exec_module(module)
    return module.DEFECTS


@pytest.mark.parametrize("defect", defects(), ids=lambda defect: defect.name)
def test_a_named_defect_follows_the_code(defect):
    """Each defect's text stands in its file, and the test that must notice it exists."""
    source = (ROOT / "kirim_pandas" / defect.file).read_text()
    assert defect.text in source
    assert defect.wrong != defect.text
    file, _, name = defect.tests.partition("::")
    assert f"def {name}(" in (ROOT / "tests" / file).read_text() or not name
