"""Every test starts alone: no key, no default client, a journal of its own."""

import os

# The matrices here are small: on shared cores more threads only wait for each other.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import pytest

from kirim_pandas import session


@pytest.fixture(autouse=True)
def _alone(monkeypatch, tmp_path_factory):
    for name in ("KIRIM_API_KEY", "KIRIM_KEY", "KIRIM_BASE_URL", "KIRIM_PHONE_NUMBER_ID"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("KIRIM_JOURNAL", str(tmp_path_factory.mktemp("journal")))
    session.disconnect()
    yield
    session.disconnect()
