"""The project's chores, each in an environment of its own: ``nox -l`` lists them.

``nox`` alone runs those that need no browser and no other programs.
"""

import tomllib
from pathlib import Path

import nox

nox.needs_version = ">=2024.4.15"
nox.options.sessions = ["lint", "types", "tests"]
nox.options.reuse_existing_virtualenvs = True

PROJECT = tomllib.loads(Path("pyproject.toml").read_text())["project"]
PYTHONS = ["3.11", "3.12", "3.13", "3.14"]
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


@nox.session(python=PYTHONS)
def lowest(session: nox.Session) -> None:
    """Run the tests on the lowest versions that the package allows and this Python has wheels of.

    uv alone can look for the lowest; what only the tests need is of the newest.
    """
    session.install("uv")
    floors = Path(session.create_tmp()).resolve() / "floors.txt"
    extras = set(PROJECT["optional-dependencies"]) - {"test", "docs", "dev"}
    find = ["--resolution=lowest-direct", "--only-binary=:all:", "--no-deps", "--no-header", "-q"]
    find += [f"--extra={extra}" for extra in sorted(extras)]
    find += [f"--python={session.python}", "--output-file", str(floors)]
    certificates = {"UV_SYSTEM_CERTS": "1"}  # those that pip trusts, too
    session.run("uv", "pip", "compile", "pyproject.toml", *find, silent=True, env=certificates)
    session.install("-e", ".[test]", "-r", str(floors))
    session.run("pytest", "-q", "-n", "2", "-m", NOT_HERE, *session.posargs)


@nox.session(python=PYTHONS)
def newest(session: nox.Session) -> None:
    """Run the tests on the newest versions that there are."""
    session.install("-e", ".[test]", "--upgrade", "--upgrade-strategy", "eager")
    session.run("pytest", "-q", "-n", "2", "-m", NOT_HERE, *session.posargs)


@nox.session
def docs(session: nox.Session) -> None:
    """Build the site into the folder site: warnings are errors, all examples run."""
    session.install("-e", ".[docs]")
    session.run("sphinx-build", "-W", "--keep-going", "-q", "-c", "docs", ".", "site")


@nox.session
def build(session: nox.Session) -> None:
    """Build what is released into the folder dist; the name of a tag has to be the version's."""
    expected = f"v{PROJECT['version']}"
    if session.posargs not in ([], [expected]):
        session.error(f"The tag is {' '.join(session.posargs)}, expected {expected}.")
    session.install("-e", ".[test]")
    session.run("python", "-m", "hatchling", "build", "-d", "dist")
    session.install("twine")
    session.run("twine", "check", "--strict", *map(str, Path("dist").glob("*")))
    session.run("pytest", "-q", "tests/test_distribution.py")


@nox.session
def bench(session: nox.Session) -> None:
    """Run all benchmarks, and print one table of ratios; ``--full`` and names are handed on."""
    session.install("-e", ".[test]")
    session.run("python", "benchmarks/all.py", *session.posargs)
