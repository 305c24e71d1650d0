"""A real JupyterLab and a real browser, private and offline, on the sandbox."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from kirim_pandas import sandbox

from .lab import Browser, Lab

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
HOW_TO_GET_IT = "needs a system Chromium: apt-get install -y chromium chromium-driver"
HOW_TO_GET_OLD_KERNEL = (
    "needs ipykernel 6.31 in an environment of its own: run tests/browser/install.sh FOLDER "
    "and set KIRIM_OLD_KERNEL_PYTHON=FOLDER/bin/"
    "python"
)
ARTIFACTS = Path(__file__).parents[2] / "artifacts"

KERNELS = {"newest": sys.executable, "6.31": os.environ.get("KIRIM_OLD_KERNEL_PYTHON")}


def pytest_collection_modifyitems(items):
    if os.environ.get("KIRIM_REQUIRE_BROWSER"):
        missing = [HOW_TO_GET_IT] if not (CHROMIUM and DRIVER) else []
        missing += [] if KERNELS["6.31"] else [HOW_TO_GET_OLD_KERNEL]
        if missing:
            raise pytest.UsageError("the browser tests may not be skipped here: " + missing[0])
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.browser)
            if not (CHROMIUM and DRIVER):
                item.add_marker(pytest.mark.skip(reason=HOW_TO_GET_IT))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if report.failed and "chromium" in getattr(item, "fixturenames", ()):
        browser = item.funcargs.get("chromium")
        if browser is not None:
            browser.picture(f"failed-{item.name}")
    return report


@pytest.fixture(scope="session")
def home(tmp_path_factory):
    """A home of its own: nobody's settings, kernels or history."""
    home = tmp_path_factory.mktemp("home")
    settings = home / "config" / "lab" / "user-settings" / "@jupyterlab" / "apputils-extension"
    settings.mkdir(parents=True)
    (settings / "notification.jupyterlab-settings").write_text(
        json.dumps({"fetchNews": "false", "checkForUpdates": False})
    )
    for name, python in KERNELS.items():
        if python:
            folder = home / "data" / "kernels" / f"kernel-{name}"
            folder.mkdir(parents=True)
            argv = [python, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
            spec = {"argv": argv, "display_name": f"Python {name}", "language": "python"}
            (folder / "kernel.json").write_text(json.dumps(spec))
    return home


@pytest.fixture(scope="session")
def box():
    """A service that takes its time over every call, so that a run can be watched."""
    contacts = sandbox.sample_contacts(20_000, seed=3).assign(organization="own")
    slow = sandbox.Faults(rates={"stall_after_commit": 1.0}, values={"stall_after_commit": 0.8})
    with sandbox.start(contacts, seed=3, write_per_minute=600, faults=slow) as box:
        yield box


@pytest.fixture(scope="session")
def crowded(box):
    """A service with a limit so low that a run takes minutes; the same contacts."""
    with sandbox.start(box.contacts, seed=3, write_per_minute=6) as crowded:
        yield crowded


@pytest.fixture(scope="session")
def lab(home, box, tmp_path_factory):
    lab = Lab(home, tmp_path_factory.mktemp("notebooks"), box)
    yield lab
    lab.close()


@pytest.fixture(scope="session")
def chromium(tmp_path_factory):
    browser = Browser(CHROMIUM, DRIVER, tmp_path_factory.mktemp("profile"), ARTIFACTS)
    yield browser
    browser.close()


@pytest.fixture
def browser(chromium):
    """The browser; a severe message in its log fails the test that caused it."""
    chromium.severe_messages()
    yield chromium
    assert chromium.severe_messages() == []


@pytest.fixture(params=list(KERNELS))
def kernel(request):
    """The kernel's name, on the newest ipykernel and on 6.31."""
    if not KERNELS[request.param]:
        pytest.skip(HOW_TO_GET_OLD_KERNEL)
    return f"kernel-{request.param}"


@pytest.fixture
def setup(lab):
    """The first cell of a notebook that works on a sandbox."""

    def setup(box):
        box.contacts.to_csv(lab.folder / "contacts.csv", index=False)
        return (
            "import pandas as pd, kirim_pandas as kp\n"
            f'kp.connect("{box.api_key}", base_url="{box.base_url}")\n'
            'df = pd.read_csv("contacts.csv")\n'
            f'label_id = "{box.labels["id"].iloc[0]}"'
        )

    return setup


def pytest_report_header():
    found = subprocess.run([CHROMIUM, "--version"], capture_output=True, text=True, check=False)
    return f"browser: {found.stdout.strip()}" if CHROMIUM else None
