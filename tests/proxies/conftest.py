"""Gateways that companies really have, between a client and the sandbox."""

import os
from pathlib import Path

import pytest

from .gateways import PROGRAMS, Gateway, found

HOW_TO_GET_THEM = "apt-get install -y nginx haproxy squid varnish"
MISSING = [name for name in PROGRAMS if found(name) is None]


def pytest_collection_modifyitems(items):
    if MISSING and os.environ.get("KIRIM_REQUIRE_PROXIES"):
        missing = ", ".join(MISSING)
        raise pytest.UsageError(
            f"may not be skipped here, and missing: {missing}; {HOW_TO_GET_THEM}"
        )
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.proxies)


@pytest.fixture
def gateway(tmp_path):
    """Start gateways: name, sandbox, then parts of the configuration."""
    started = []

    def start(name, box, **settings):
        if name in MISSING:
            pytest.skip(f"needs {name}: {HOW_TO_GET_THEM}")
        folder = tmp_path / f"{name}{len(started)}"
        started.append(Gateway(name, folder, box._server.server_port, **settings))
        return started[-1]

    yield start
    for one in started:
        one.close()
