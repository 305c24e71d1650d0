"""A run through a gateway, and what must be true of it whatever the gateway does."""

import contextlib

from support.kill_harness import faulty_requests, lies
from support.scenes import PATIENT

import kirim_pandas as kp

FAST = 60_000


class Behind:
    """A sandbox behind a gateway, and runs through it that are checked against the truth."""

    def __init__(self, gateway, box, **client):
        self.gateway = gateway
        self.box = box
        self.label = box.labels["id"].iloc[0]
        self.frame = box.contacts
        settings = {"timeouts": PATIENT, "max_tries": 3, "patience_seconds": 3.0} | client
        self.client = box.client(base_url=gateway.base_url, **settings)
        self.error = None

    def run(self, op="attach", **options):
        """Label everybody; what is raised is kept as `error`."""
        return self._checked(
            op, lambda s: self.frame.kirim.bulk_label(self.label, op, **s), options
        )

    def resume(self, op="attach", **options):
        """Go on with the run that `error` ended."""
        run_id = self.error.run_id
        return self._checked(op, lambda s: self.frame.kirim.resume(run_id, **s), options)

    @property
    def message(self):
        return "" if self.error is None else str(self.error)

    def _checked(self, op, go, options):
        before = self.box.members(self.label)
        self.error = None
        try:
            result = go({"client": self.client, "progress": False} | options)
        except kp.KirimError as error:
            self.error, result = error, error.result
        now = self.box.members(self.label)
        # Of a detach the contacts without the label are those that it was done to.
        done = now if op == "attach" else set(self.frame["contact_id"]) - now
        assert lies(result, done, self.box.outcome(self.label), set()) == []
        requests = self.box.requests().dropna(subset="idempotency_key")
        assert faulty_requests(requests, set(self.frame["contact_id"])) == []
        if now != before:
            assert "No customer was touched" not in self.message
        if self.error is not None and not done <= applied(result):
            assert self.error.maybe_applied
        return result


def applied(result):
    """Contacts that a result calls applied."""
    return set(result.loc[result["status"] == "applied", "contact_id"])


@contextlib.contextmanager
def sandbox(contacts=2500, *, skipped_share=0.0, **options):
    with kp.sandbox.start(
        contacts, **{"seed": 3, "skipped_share": skipped_share, "write_per_minute": FAST} | options
    ) as box:
        yield box
