"""The house: who may import whom, what an import costs, what the public face is."""

import ast
import doctest
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

import kirim_pandas as kp
from kirim_pandas import accessor, errors, frame_accessor, session
from kirim_pandas.verbs import past_runs as history

PACKAGE = Path(kp.__file__).parent

# Who may import what of the project; a module speaks for all modules below it.
ALLOWED = {
    "errors": set(),
    "grouptesting": {"grouptesting"},
    "run": {"run", "grouptesting", "errors"},
    "journal": {"journal", "run.events", "run.spec", "grouptesting.outcomes", "errors"},
    "frames": {"frames", "grouptesting.outcomes", "errors"},
    "notebook": {"notebook", "frames", "run", "grouptesting", "errors"},
    "api": {"api", "errors"},
    "sandbox": {"sandbox", "errors", "api.client"},
}
THIRD_PARTY = {
    "httpx": {"api.client"},
    "tqdm": {"notebook.progress"},
    "ipywidgets": {"notebook"},
    "pandas": {"frames", "notebook", "sandbox", "verbs", ""},
    "sqlite3": {"journal", "sandbox"},
    "matplotlib": {"frames"},
}


def modules():
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        yield ".".join(part for part in parts if part != "__init__"), path


def nodes(node):
    """All nodes but those that only a type checker sees."""
    yield node
    for child in ast.iter_child_nodes(node):
        if not (isinstance(child, ast.If) and getattr(child.test, "id", "") == "TYPE_CHECKING"):
            yield from nodes(child)


def imports(path):
    for node in nodes(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def covers(rule, name):
    return name == rule or name.startswith(f"{rule}.") or (rule == "" and "." not in name)


@pytest.mark.parametrize(("name", "path"), list(modules()), ids=lambda value: str(value)[-30:])
def test_imports_point_one_way(name, path):
    """No module imports what the table of the house does not give it."""
    rules = [rule for rule in ALLOWED if covers(rule, name)]
    for imported in imports(path):
        top = imported.split(".")[0]
        if top == "kirim_pandas" and rules:
            inside = imported.removeprefix("kirim_pandas.")
            allowed = ALLOWED[max(rules, key=len)]
            assert any(covers(rule, inside) for rule in allowed), f"{name} imports {imported}"
        if top in THIRD_PARTY:
            assert any(covers(rule, name) for rule in THIRD_PARTY[top]), f"{name} imports {top}"


def test_import_is_light():
    """Importing the package brings in no client, bar, widget, plot or server."""
    heavy = ["httpx", "tqdm", "ipywidgets", "matplotlib", "sqlite3", "http.server", "IPython"]
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
    assert {name: n for name, path in modules() if (n := code_lines(path)) > 450} == {}


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


@pytest.mark.parametrize("module", [accessor, frame_accessor, history, session])
def test_examples_in_docstrings(module):
    """Every public example does what it says."""
    found = doctest.testmod(module)
    assert found.attempted
    assert not found.failed


def test_tab_completion_builds_an_accessor():
    """dir() of any frame works, whatever the frame holds: the accessor only stores it."""
    import pandas as pd

    for obj in (pd.DataFrame({"a": [1.5]}), pd.Series([object()]), pd.Index([])):
        assert "kirim" in dir(obj)
        assert "bulk_label" in dir(obj.kirim)
