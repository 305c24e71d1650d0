"""The house: who may import whom, how large and how tangled a part may be, the public face."""

import ast
import doctest
import pickle
import re
import subprocess
import sys
import tomllib
from collections import Counter
from graphlib import TopologicalSorter
from importlib import import_module
from pathlib import Path

import pytest
from radon.complexity import ComplexityVisitor

import kirim_pandas as kp
from kirim_pandas import errors

PACKAGE = Path(kp.__file__).parent

# Who may import what of the project, type hints included, from the ground up: a rule names only
# parts that stand before it.  A part speaks for all modules in it, and may always import itself.
# The package itself stands above all: it gathers the public names.
ALLOWED = {
    "errors": set(),
    "grouptesting": set(),
    "guesses": {"grouptesting"},
    "run": {"guesses", "grouptesting", "errors"},
    "journal": {"run.events", "run.spec", "run.calls", "grouptesting.outcomes", "errors"},
    "frames": {"grouptesting.outcomes", "errors"},
    "notebook": {"frames", "run", "errors"},
    "api": {"errors"},
    "sandbox": {"api.client", "errors"},
    "session": {"api", "frames", "errors"},
    "verbs": {
        *("session", "sandbox", "api", "notebook", "frames"),
        *("journal", "run", "guesses", "grouptesting", "errors"),
    },
    "accessor": {"verbs"},
    "frame_accessor": {"accessor", "verbs"},
    "dask": {"accessor", "verbs", "frames", "errors"},
    "": {
        "dask.registration",
        "frame_accessor",
        "verbs",
        "session",
        "sandbox",
        "api",
        "frames",
        "run",
        "errors",
    },
}

# Where a package from outside may be imported when the code runs.
THIRD_PARTY = {
    "httpx": {"api.transport"},
    "tqdm": {"notebook.bar_place"},
    "ipywidgets": {"notebook"},
    "pandas": {
        *("frames", "notebook", "sandbox", "verbs"),
        *("session", "accessor", "frame_accessor", "dask", "__main__"),
    },
    "sqlite3": {"journal", "sandbox"},
    "matplotlib": {"frames"},
    "dask": {"dask"},
}


def name_of(path):
    """A module's dotted name below the package; a folder's own module has the folder's name."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


MODULES = {name_of(path): path for path in sorted(PACKAGE.rglob("*.py"))}
TREES = {name: ast.parse(path.read_text()) for name, path in MODULES.items()}


def at_run_time(node):
    """All nodes but those that only a type checker sees."""
    yield node
    for child in ast.iter_child_nodes(node):
        if not (isinstance(child, ast.If) and getattr(child.test, "id", "") == "TYPE_CHECKING"):
            yield from at_run_time(child)


def imported(nodes):
    """Dotted names that import statements ask for."""
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "a relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def imported_modules(name):
    """Modules of the project that one of them imports, type hints included."""
    for asked in imported(ast.walk(TREES[name])):
        first, _, inside = asked.partition(".")
        if first == "kirim_pandas":
            while inside not in MODULES:
                inside = inside.rpartition(".")[0]
            yield inside


def covers(part, name):
    return name == part or name.startswith(f"{part}.")


def part_of(name):
    """The part of the table that speaks for a module."""
    return "" if name == "__main__" else name.partition(".")[0]


IMPORTS = {name: set(imported_modules(name)) for name in MODULES}


def test_imports_point_one_way():
    """No module imports what the table of the house does not give it, not even for a hint."""
    breaches = [
        f"{name} imports {other or 'the package itself'}"
        for name, others in IMPORTS.items()
        for other in others
        if not any(covers(part, other) for part in (part_of(name), *ALLOWED[part_of(name)]))
    ]
    assert breaches == []


def test_no_arrow_points_upwards():
    """The table itself stands in order: each part is given only what comes before it."""
    parts = list(ALLOWED)
    assert {part_of(name) for name in MODULES} == set(parts)
    for place, (part, others) in enumerate(ALLOWED.items()):
        assert {part_of(other) for other in others} <= set(parts[:place]), part


def test_the_table_is_told():
    """The table in the page on architecture is the one that is held here."""
    page = (PACKAGE.parent / "docs" / "architecture.md").read_text()
    table = page.split("## Who may import whom")[1].split("\n## ")[0].split("\nWhat follows")[0]
    told = {}
    for line in re.findall(r"^\| (`.*)\|.*\|$", table, flags=re.MULTILINE):
        parts, others = (set(re.findall(r"`([\w.]+)`", half)) for half in line.split("|"))
        told |= dict.fromkeys(parts, others)
    assert told.pop("verbs") == set()  # "all of these"
    held = {part: others for part, others in ALLOWED.items() if part not in ("", "verbs")}
    assert told == held | {"frame_accessor": held["frame_accessor"] - {"accessor"}}


def test_no_circle_among_modules():
    """No module imports itself by way of others, not even for a hint."""
    apart = {name: others - {name} for name, others in IMPORTS.items()}
    TopologicalSorter(apart).prepare()  # raises CycleError, which names the circle


def test_outside_packages_stay_in_their_place():
    """Each package from outside is imported only where its replacement would be written."""
    breaches = [
        f"{name} imports {asked}"
        for name, tree in TREES.items()
        for asked in imported(at_run_time(tree))
        if (top := asked.partition(".")[0]) in THIRD_PARTY
        and not any(covers(part, name) for part in THIRD_PARTY[top])
    ]
    assert breaches == []


def test_what_is_imported_is_declared():
    """Whoever installs the package gets all that it imports, by name and not by luck."""
    project = tomllib.loads((PACKAGE.parent / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    declared = {
        re.split(r"[<>=\[ ]", requirement)[0]
        for requirement in [
            *project["dependencies"],
            *extras["plot"],
            *extras["parquet"],
            *extras["dask"],
        ]
    }
    asked = {
        name.partition(".")[0] for tree in TREES.values() for name in imported(at_run_time(tree))
    }
    outside = asked - sys.stdlib_module_names - {"kirim_pandas"}
    outside = {"phonenumberslite" if name == "phonenumbers" else name for name in outside}
    assert outside - {"IPython"} <= declared  # IPython is wherever a notebook is


def test_grouptesting_needs_only_numpy():
    """The search for the skipped does no I/O and needs nothing from outside but numpy."""
    asked = {
        name.partition(".")[0]
        for module, tree in TREES.items()
        if covers("grouptesting", module)
        for name in imported(ast.walk(tree))
    }
    assert asked - sys.stdlib_module_names == {"kirim_pandas", "numpy"}
    assert asked.isdisjoint({"os", "pathlib", "random", "socket", "sqlite3", "threading", "time"})


def test_folders_are_small():
    """No folder has more than 16 modules, nor more than a fifth of the package's lines."""
    modules, lines = Counter(), Counter()
    for path in MODULES.values():
        modules[path.parent.name] += path.name != "__init__.py"
        lines[path.parent.name] += len(path.read_text().splitlines())
    assert {folder: n for folder, n in modules.items() if n > 16} == {}
    assert {folder: n for folder, n in lines.items() if n > lines.total() / 5} == {}


def test_functions_are_plain():
    """No function has a complexity above 15, and the mean of all blocks is at most 3.0."""
    blocks = {
        f"{name}:{block.fullname}": block.complexity
        for name, tree in TREES.items()
        for block in ComplexityVisitor.from_ast(tree).blocks
    }
    assert {name: n for name, n in blocks.items() if n > 15} == {}
    assert sum(blocks.values()) / len(blocks) <= 3.0


def test_import_is_light():
    """Importing the package brings in no client, bar, widget, plot or server."""
    heavy = [
        "httpx",
        "tqdm",
        "ipywidgets",
        "matplotlib",
        "sqlite3",
        "http.server",
        "IPython",
        "dask",
    ]
    code = f"import sys, kirim_pandas; print([m for m in {heavy} if m in sys.modules])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


def code_lines(path):
    """Count the lines that are code: no blanks, no comments, no docstrings."""
    text = path.read_text()
    told = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            told |= set(range(node.lineno, node.end_lineno + 1))
    lines = enumerate((line.strip() for line in text.splitlines()), start=1)
    return sum(bool(line) and line[0] != "#" and number not in told for number, line in lines)


def test_modules_are_small():
    """No module is over 450 lines of code; docstrings and comments are free."""
    assert {name: n for name, path in MODULES.items() if (n := code_lines(path)) > 450} == {}


@pytest.mark.parametrize(
    "name", [name for name in MODULES if "__all__" in MODULES[name].read_text()]
)
def test_a_list_of_names_hands_on_those_of_others(name):
    """What is private says so by an underscore; a list is for names of other modules."""
    public = {"", "errors", "sandbox"}
    tree = TREES[name]
    own = {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    own |= {
        target.id
        for node in tree.body
        for target in getattr(node, "targets", [getattr(node, "target", None)])
        if isinstance(target, ast.Name)
    }
    assert name in public or set(import_module(f"kirim_pandas.{name}").__all__) - own


def test_public_names():
    """The public face is what is written here, and every name of it exists."""
    assert sorted(kp.__all__) == kp.__all__
    assert set(errors.__all__) <= set(kp.__all__)
    for name in kp.__all__:
        assert getattr(kp, name) is not None


@pytest.mark.parametrize("name", errors.__all__)
def test_errors_pickle(name):
    """Every exception survives a process boundary with its fields."""
    error = getattr(errors, name)("what happened")
    error.run_id = "run_1"
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is type(error)
    assert (str(copy), copy.run_id) == ("what happened", "run_1")


@pytest.mark.parametrize("name", [name for name in MODULES if ">>>" in MODULES[name].read_text()])
def test_examples_in_docstrings(name):
    """Every example in a docstring does what it says."""
    found = doctest.testmod(import_module(f"kirim_pandas.{name}".rstrip(".")))
    assert found.attempted
    assert not found.failed


def test_tab_completion_builds_an_accessor():
    """dir() of any frame works, whatever the frame holds: the accessor only stores it."""
    import pandas as pd

    for obj in (pd.DataFrame({"a": [1.5]}), pd.Series([object()]), pd.Index([])):
        assert "kirim" in dir(obj)
        assert "bulk_label" in dir(obj.kirim)
