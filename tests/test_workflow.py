"""The workflow for a public forge: it cannot run here, so what it says is read and checked."""

import ast
import re
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parent.parent
WORKFLOW = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text())
JOBS = WORKFLOW["jobs"]
STEPS = [(name, step) for name, job in JOBS.items() for step in job["steps"]]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def matrix_of(job):
    return JOBS[job].get("strategy", {}).get("matrix", {})


def commands():
    """Each command of each job, once for each value of its matrix."""
    for job, step in STEPS:
        texts = [step.get("run", "")]
        for key, values in matrix_of(job).items():
            place = f"${{{{ matrix.{key} }}}}"
            texts = [text.replace(place, value) for text in texts for value in values]
        yield from filter(None, dict.fromkeys(texts))


def sessions():
    """What ``nox -l`` lists, by the text of the noxfile: nox is not among what tests need."""
    tree = ast.parse((ROOT / "noxfile.py").read_text())
    named = {
        node.targets[0].id: ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.List)
        if isinstance(node.targets[0], ast.Name)
    }
    for function in (node for node in tree.body if isinstance(node, ast.FunctionDef)):
        for mark in function.decorator_list:
            yield function.name
            pythons = [
                word.value.id for word in getattr(mark, "keywords", ()) if word.arg == "python"
            ]
            yield from (f"{function.name}-{python}" for name in pythons for python in named[name])


@pytest.mark.parametrize("command", [*commands()])
def test_what_is_run_exists(command):
    """Each command is pip, a session of the noxfile, or a script that is there."""
    program, *words = command.split()
    if program == "nox":
        end = words.index("--") if "--" in words else len(words)
        assert words[0] == "-s"
        assert set(words[1:end]) <= set(sessions())
    elif program == "bash":
        assert (ROOT / words[0]).is_file()
    else:
        assert command == "python -m pip install nox"


def test_every_promised_python_is_tried_with_both_ends_of_the_versions():
    """Linux runs lowest and newest on each Python that the metadata allow."""
    pythons = matrix_of("linux")["python"]
    told = [line.rpartition(" ")[2] for line in PROJECT["classifiers"]]
    assert {one for one in told if re.fullmatch(r"3\.\d+", one)} <= set(pythons)
    assert f">={pythons[0]}" == PROJECT["requires-python"]
    assert pythons == [f"3.{number}" for number in range(11, 11 + len(pythons))]
    assert matrix_of("linux")["versions"] == ["lowest", "newest"]
    assert {system.partition("-")[0] for system in matrix_of("elsewhere")["system"]} == {
        "windows",
        "macos",
    }


def test_only_a_tag_is_published_and_only_after_everything_else():
    """A release waits for all other jobs, and it alone is trusted by the index, with no secret."""
    publish = JOBS["publish"]
    assert publish["if"] == "startsWith(github.ref, 'refs/tags/v')"
    assert set(publish["needs"]) == set(JOBS) - {"publish"}
    rights = {name: job["permissions"] for name, job in JOBS.items() if "permissions" in job}
    assert rights == {"publish": {"id-token": "write"}}
    assert WORKFLOW["permissions"] == {"contents": "read"}
    assert "secrets." not in str(WORKFLOW)


def test_what_is_published_was_built():
    """A job takes only what another one left, by the same name."""
    left = {step["with"]["name"] for _, step in STEPS if "upload-artifact" in step.get("uses", "")}
    taken = {step["with"]["name"] for _, step in STEPS if "download-art" in step.get("uses", "")}
    assert taken == {"dist"}
    assert taken <= left


@pytest.mark.parametrize("job", JOBS)
def test_every_job_ends_and_names_what_it_uses(job):
    """A job has a limit of time, a version for each action, and only values of its own matrix."""
    assert JOBS[job]["timeout-minutes"] <= 60
    uses = [step["uses"] for name, step in STEPS if name == job and "uses" in step]
    assert [
        one for one in uses if not re.fullmatch(r"[\w-]+/[\w-]+@(v\d+|release/v\d+)", one)
    ] == []
    asked = set(re.findall(r"matrix\.(\w+)", str(JOBS[job])))
    assert asked == set(matrix_of(job))
