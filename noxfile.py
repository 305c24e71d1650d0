"""The project's chores, each in an environment of its own: ``nox -l`` lists them.

``nox`` alone runs those that need no browser and no other programs.
"""

import tomllib
from itertools import chain
from pathlib import Path

import nox

nox.needs_version = ">=2024.4.15"
nox.options.sessions = ["lint", "types", "tests"]
nox.options.reuse_existing_virtualenvs = True

NOT_HERE = "not browser and not index and not proxies and not office"


@nox.session
def tests(session: nox.Session) -> None:
    """Run the tests that Python alone is enough for; arguments go to pytest."""
    session.install("-e", ".[test]")
    session.run("pytest", "-q", "-n", "2", "-m", NOT_HERE, *session.posargs)


@nox.session
def browser(session: nox.Session) -> None:
    """Run what needs JupyterLab and a browser; get those with tests/browser/install.sh."""
    session.install("-e", ".[test]")
    session.run("pytest", "-q", "-m", "browser", *session.posargs)


@nox.session
def types(session: nox.Session) -> None:
    """Check the types of the package and of its public face."""
    session.install("-e", ".[dev]")
    session.run("mypy")


@nox.session
def lint(session: nox.Session) -> None:
    """Check style and layout."""
    session.install("ruff>=0.9")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")


@nox.session(python="3.11")
def lowest(session: nox.Session) -> None:
    """Run the tests on the lowest versions that the package says it works with."""
    session.install("-e", ".[test]", *lowest_versions())
    session.run("pytest", "-q", "-n", "2", "-m", NOT_HERE, *session.posargs)


@nox.session(python=["3.11", "3.13"])
def newest(session: nox.Session) -> None:
    """Run the tests on the newest versions that there are, on the oldest and newest Python."""
    session.install("-e", ".[test]", "--upgrade", "--upgrade-strategy", "eager")
    session.run("pytest", "-q", "-n", "2", "-m", NOT_HERE, *session.posargs)


@nox.session
def docs(session: nox.Session) -> None:
    """Build the site into the folder site: warnings are errors, all examples run."""
    session.install("-e", ".[docs]")
    session.run("sphinx-build", "-W", "--keep-going", "-q", "-c", "docs", ".", "site")


@nox.session
def bench(session: nox.Session) -> None:
    """Measure what the README tells: requests, ids, import, pacing, and the named defects."""
    session.install("-e", ".[test]")
    for name in session.posargs or ["import_time", "ids", "pacing", "requests", "mutants"]:
        session.run("python", f"benchmarks/{name}.py")


def lowest_versions() -> list[str]:
    """Pin what people install to the lowest version that is allowed: ``>=1.2,<3`` to ``==1.2``."""
    project = tomllib.loads(Path("pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    ours = [extras[name] for name in extras if name not in ("test", "docs", "dev")]
    return [
        requirement.partition(",")[0].replace(">=", "==")
        for requirement in chain(project["dependencies"], *ours)
        if not requirement.startswith("kirim-pandas")
    ]
