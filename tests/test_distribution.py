"""What is released: nothing is in it that should not be, and it works where nothing else is."""

import os
import re
import subprocess
import sys
import tarfile
import tomllib
import venv
import zipfile
from contextlib import suppress
from importlib import metadata
from pathlib import Path

import pytest

import kirim_pandas as kp

ROOT = Path(__file__).parent.parent
# What lies at the top of the source distribution; hatchling adds the last two by itself.
TOP = {
    *(".ci", ".github", "benchmarks", "docs", "kirim_pandas", "notebooks", "tests"),
    *("CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "README.md", "SECURITY.md"),
    *("noxfile.py", "pyproject.toml", ".gitignore", "PKG-INFO"),
}
NEVER = re.compile(
    r"\.pth$|\.py[co]$|\.env$|/\.(?!gitignore|ci/|github/)|/site/|/artifacts/|checkpoint"
)
KEY = re.compile(r"kdv_live_[\w-]{24}")


def run(*command, **settings):
    done = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, timeout=300, **settings
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def released(tmp_path_factory):
    """The folder with the source distribution, and the wheel that is built of it alone."""
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-d", folder, cwd=ROOT)
    (source,) = folder.glob("*.tar.gz")
    build = ("wheel", "-q", "--no-deps", "--no-build-isolation", "-w", folder)
    run(sys.executable, "-m", "pip", *build, source)
    return folder


@pytest.fixture
def sdist(released):
    (path,) = released.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        yield archive


@pytest.fixture
def wheel(released):
    (path,) = released.glob("*.whl")
    return path


def test_the_wheel_is_the_package_and_nothing_else(wheel):
    """The wheel has the modules, the mark of typing, the licence, and what pip needs."""
    modules = {str(path.relative_to(ROOT)) for path in (ROOT / "kirim_pandas").rglob("*.py")}
    info = f"kirim_pandas-{kp.__version__}.dist-info"
    about = {f"{info}/{name}" for name in ("METADATA", "RECORD", "WHEEL", "licenses/LICENSE")}
    with zipfile.ZipFile(wheel) as archive:
        assert set(archive.namelist()) == modules | about | {"kirim_pandas/py.typed"}


def test_the_source_has_nothing_that_was_left_behind(sdist):
    """The source distribution has only what its list names, and no build, cache or setting."""
    inside = {name.partition("/")[2] for name in sdist.getnames()}
    assert {name.partition("/")[0] for name in inside} == TOP
    assert [name for name in inside if NEVER.search(f"/{name}")] == []


def test_notebooks_are_released_without_keys(sdist):
    """No notebook holds a key, in a cell or in an output."""
    notebooks = [member for member in sdist.getmembers() if member.name.endswith(".ipynb")]
    assert len(notebooks) == len([*(ROOT / "notebooks").glob("*.ipynb")])
    for notebook in notebooks:
        assert not KEY.search(sdist.extractfile(notebook).read().decode()), notebook.name


def test_what_an_index_shows_leads_nowhere_dead(wheel):
    """What is told of the project links to other sites only, and its commands need no folder."""
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith("/METADATA"))
        text = archive.read(name).decode().partition("\n\n")[2]
    links = re.findall(r"\]\(([^)]*)\)|(?:src|href)=\"([^\"]*)", text)
    assert [link for link in links if not "".join(link).startswith("https://")] == []
    commands = re.findall(r"^(?:python3|py) .*", text, flags=re.MULTILINE)
    assert len(commands) == 2
    assert all("pip install -q kirim-pandas" in command for command in commands)
    for told in ("## Next month", "## Keys", "## What it costs", "MIT licence"):
        assert told in text, told


def dependencies():
    """Every package that the metadata name, for any use, but this one."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lists = project["dependencies"], *project["optional-dependencies"].values()
    names = {re.match(r"[\w-]+", one)[0] for listed in lists for one in listed}
    return names - {project["name"]}


def licences_told():
    """What docs/licences.md says: package to licence, as its tables have them."""
    page = (ROOT / "docs" / "licences.md").read_text()
    for names, licence in re.findall(r"^\| (`.+?) \| (.+?) \|", page, flags=re.MULTILINE):
        yield from ((name, licence) for name in re.findall(r"`([\w-]+)`", names))


def licence_in_metadata(name):
    """What an installed package says of its licence, wherever it says it."""
    about = metadata.metadata(name)
    fields = ("License-Expression", "License", "Classifier")
    said = [one for field in fields for one in about.get_all(field) or []]
    return " ".join(said).replace("Python Software Foundation", "PSF")


def test_every_dependency_has_its_licence_on_the_page():
    """The page of licences has each dependency once, and the licence that it says itself."""
    told = dict(licences_told())
    assert sorted(name for name, _ in licences_told()) == sorted(dependencies())
    for name, licence in told.items():
        with suppress(metadata.PackageNotFoundError):  # what only docs and dev need may be absent
            families = re.findall(r"BSD|MIT|Apache|MPL|ISC|PSF", licence)
            assert families
            assert [one for one in families if one not in licence_in_metadata(name)] == [], name


@pytest.mark.index
def test_the_demo_runs_where_only_the_wheel_is(wheel, tmp_path):
    """In an empty environment the wheel brings all that its modules and the demo need, but Dask."""
    venv.create(tmp_path / "env", with_pip=True)
    python = tmp_path / "env" / ("Scripts" if os.name == "nt" else "bin") / "python"
    plain = {
        name: value for name, value in os.environ.items() if name[:6] not in ("PYTHON", "KIRIM_")
    }
    alone = {"cwd": tmp_path, "env": plain | {"KIRIM_JOURNAL": str(tmp_path / "journal")}}
    run(python, "-m", "pip", "install", "-q", wheel, **alone)
    run(python, "-m", "pip", "check", **alone)
    modules = [
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for path in (ROOT / "kirim_pandas").rglob("*.py")
        if path.name != "__main__.py" and "dask" not in path.parts
    ]
    imports = "\n".join(f"import {module}" for module in modules)
    place = run(python, "-c", f"{imports}\nprint(kirim_pandas.__file__)", **alone)
    assert Path(place.strip()).is_relative_to(tmp_path / "env")
    assert "rows are right" in run(python, "-m", "kirim_pandas", **alone)
