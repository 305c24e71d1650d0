"""Every test starts alone: no key, no default client, a journal of its own."""

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
