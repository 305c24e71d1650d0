"""One command runs all benchmarks and makes one table of their ratios."""

import importlib.util
import re
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent.parent / "benchmarks"


def loaded(name):
    """Import a script of the folder that is on no path."""
    spec = importlib.util.spec_from_file_location(f"benchmark_{name}", FOLDER / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


EVERY = loaded("all")


def test_every_benchmark_is_run():
    """Each script that prints a ratio has its arguments for a short turn, and no other has."""
    printing = {path.stem for path in FOLDER.glob("*.py") if "print_ratio(" in path.read_text()}
    assert set(EVERY.QUICK) == printing - {"ratios"}
    page = (FOLDER.parent / "docs" / "performance.md").read_text()
    assert re.findall(r"^\| `(\w+)` \|", page, flags=re.MULTILINE) == list(EVERY.QUICK)


@pytest.mark.parametrize(
    ("promise", "value", "kept"),
    [
        ({"at_most": 1.05}, 1.0512, "NO"),
        ({"at_most": 0}, 0, "yes"),
        ({"at_least": 0.97}, 0.97, "yes"),
        ({"at_least": 1.0}, 0.5, "NO"),
        ({}, 12345.678, ""),
    ],
)
def test_what_a_benchmark_prints_becomes_a_line(capsys, promise, value, kept):
    """A ratio that is printed is found again, with its promise and whether it is kept."""
    ours = loaded("ratios").print_ratio("this_by_that", value, **promise)
    (ratio,) = EVERY.ratios_in("some", f"words\n{capsys.readouterr().out}RATIO is a word\n")
    assert (ratio.benchmark, ratio.name, ratio.kept) == ("some", "this_by_that", kept)
    assert ours == (kept != "NO")


def test_the_table_is_markdown():
    """All lines are of one width, and a promise that is broken is seen."""
    said = "RATIO a 2 (target <= 1)\nRATIO a_by_b 3.5 (target none)\n"
    lines = EVERY.table(EVERY.ratios_in("some", said)).splitlines()
    assert len({len(line) for line in lines}) == 1
    assert re.sub(" +", " ", lines[2]) == "| some | a | 2 | <= 1 | NO |"
    assert set(lines[1]) == {"|", " ", "-"}
    assert len(lines) == 4
