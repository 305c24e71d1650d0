"""A gateway with a limit of its own, which the service's headers say nothing of."""

from collections import Counter

import pytest
from support.scenes import counts

from .scenes import Behind, sandbox

CALLS = 40
ZONE = """
limit_req_zone $server_port zone=all:1m rate=20r/s;
log_format status "$status";
"""
LIMIT = """
limit_req zone=all;
limit_req_status %s;
access_log {folder}/access.log status;
"""


@pytest.mark.parametrize("status", [429, 503])
def test_a_limit_without_burst_is_learnt(gateway, status):
    """Refused by 20 a second without burst, a run finds that pace instead of knocking on."""
    with sandbox(CALLS * 1000, write_per_minute=6000) as box:
        nginx = gateway("nginx", box, http=ZONE, location=LIMIT % status)
        scene = Behind(nginx, box, max_tries=8, patience_seconds=60.0)
        assert counts(scene.run()) == {"applied": CALLS * 1000}
        assert scene.error is None
        answers = Counter((nginx.folder / "access.log").read_text().split())
        assert answers.pop("200") == CALLS
        # Bounds for busy machines, where a call that waited for a core comes too close to the next
        # one and is refused as well. Who keeps the pace of 100 a second is refused 300 times.
        assert answers.total() == answers[str(status)] <= CALLS / 2
        assert pace(box) >= 8


def pace(box):
    """Calls a second that reached the service, from the first to the last."""
    seconds = box.requests()["seconds"]
    return (len(seconds) - 1) / (seconds.max() - seconds.min())
