"""Every test starts alone: no key, no default client, a journal of its own."""

import os
import shutil
import signal

# The matrices here are small: on shared cores more threads only wait for each other.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

# A shell's background job ignores Ctrl-C, and the tests of Ctrl-C would wait for ever.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

import pytest
from hypothesis import HealthCheck, settings

import kirim_pandas as kp
from kirim_pandas import session

# How fast examples are drawn is nobody's promise: the machine may be busy.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")

HOW_TO_GET_LIBREOFFICE = "needs LibreOffice: apt-get install -y libreoffice-calc-nogui"


def pytest_collection_modifyitems(items):
    if shutil.which("soffice"):
        return
    if os.environ.get("KIRIM_REQUIRE_OFFICE"):
        raise pytest.UsageError(f"may not be skipped here: {HOW_TO_GET_LIBREOFFICE}")
    for item in items:
        if item.get_closest_marker("office"):
            item.add_marker(pytest.mark.skip(reason=HOW_TO_GET_LIBREOFFICE))


@pytest.fixture(autouse=True)
def _alone(monkeypatch, tmp_path_factory):
    for name in ("KIRIM_API_KEY", "KIRIM_KEY", "KIRIM_BASE_URL", "KIRIM_PHONE_NUMBER_ID"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("KIRIM_JOURNAL", str(tmp_path_factory.mktemp("journal")))
    session.disconnect()
    yield
    session.disconnect()


@pytest.fixture
def box():
    """A sandbox of two batches with few skipped; modules that need another define their own."""
    with kp.sandbox.start(1200, write_per_minute=60_000, skipped_share=0.006, seed=4) as box:
        yield box


@pytest.fixture
def label(box):
    """The first label of the sandbox."""
    return box.labels["id"].iloc[0]
