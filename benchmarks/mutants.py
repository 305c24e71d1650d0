"""Defects put into a copy of the package one after the other: which test notices each?

Run ``python benchmarks/mutants.py``, or with a part of a name to try only some.  A proof is worth
what it would catch, so each defect here is one that a client of this kind could well have.  The
tests named beside it must fail with it and pass without it.  A defect whose text is no longer in
the source is an error too: it would prove nothing.

Left out, since no client could tell: a lock that goes by date and not by the system (nothing
here reads a date), and an answer committed at once and not with the next call (only slower).
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from ratios import print_ratio

ROOT = Path(__file__).resolve().parent.parent
PATIENCE_SECONDS = 120
MACHINE = "whole/test_state_machine.py"


@dataclass(frozen=True)
class Defect:
    """A line of the source and what it becomes; `tests` is the selection that must notice."""

    name: str
    file: str
    text: str
    wrong: str
    tests: str


DEFECTS = [
    Defect(
        "a new key for each try",
        "api/caller.py",
        "reply = self.exchange(call.request, call.key)",
        'reply = self.exchange(call.request, call.key and f"{call.key}-{ticket.number}")',
        "api/test_client.py::test_retries_are_the_same_request",
    ),
    Defect(
        "one key for all calls",
        "run/loop.py",
        "= lambda: str(uuid.uuid4()),",
        '= lambda: "key",',
        MACHINE,
    ),
    Defect(
        "the doubt about calls in flight forgotten",
        "run/replies.py",
        "self._in_doubt = {call.number for call in sent}",
        "self._in_doubt: set[int] = set()",
        MACHINE,
    ),
    Defect(
        "the doubt about a given-up key forgotten",
        "run/ledger.py",
        "self._in_doubt.append(call)",
        "pass",
        MACHINE,
    ),
    Defect(
        "the doubt of an earlier try forgotten",
        "api/retry.py",
        "self.maybe_applied |= error.maybe_applied",
        "self.maybe_applied = error.maybe_applied",
        MACHINE,
    ),
    Defect(
        "body rebuilt in another order on resume",
        "journal/records.py",
        'where = np.frombuffer(positions, "<i4").astype(np.int64)',
        'where = np.frombuffer(positions, "<i4").astype(np.int64)[::-1]',
        MACHINE,
    ),
    Defect(
        "outcome written before the call is sent",
        "journal/writer.py",
        'self._note(call, "sent", None)',
        'self._note(call, "answered", [len(call.positions), 0, 0, None])',
        MACHINE,
    ),
    Defect(
        "no intent in the journal",
        "journal/writer.py",
        "                    self._check_lock()\n                    self._flush()",
        "                    self._check_lock()",
        MACHINE,
    ),
    Defect(
        "intent not synced to the disk",
        "journal/store.py",
        '"synchronous = EXTRA"',
        '"synchronous = OFF"',
        "whole/test_kill.py::test_a_commit_survives_a_power_cut",
    ),
    Defect(
        "a damaged row believed",
        "journal/records.py",
        "return bool(checksum == checksum_of(values))",
        "return True",
        "journal/test_journal.py::test_damaged_journals_are_refused_or_true",
    ),
    Defect(
        "two processes on one run",
        "journal/locks.py",
        "fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)",
        "pass",
        "journal/test_journal.py::test_two_processes_never_work_on_one_run",
    ),
    Defect(
        "a key sent again for ever",
        "journal/records.py",
        "REPLAY_SECONDS = 23 * 3600",
        "REPLAY_SECONDS = 10**9",
        MACHINE,
    ),
    Defect(
        "a 200 taken without parsing it",
        "api/protocol.py",
        "parsed = _json_object(body)\n    if parsed",
        'parsed = _json_object(body) or {"data": dict.fromkeys(("applied", "skipped_cross_org", '
        '"skipped_team_mismatch"), 0)}\n    if parsed',
        MACHINE,
    ),
    Defect(
        "counters not checked",
        "api/protocol.py",
        "sum(counts) > request.contact_count",
        "sum(counts) < 0",
        "api/test_protocol.py::test_impossible_counts",
    ),
    Defect(
        "409 in progress is final",
        "api/retry.py",
        "return self._after_in_progress()",
        "return None",
        "api/test_retry.py",
    ),
    Defect(
        "a timeout is final",
        "api/retry.py",
        "return isinstance(error, TransportError | ProtocolError)",
        "return isinstance(error, ProtocolError)",
        "api/test_retry.py",
    ),
    Defect(
        "int(Retry-After)",
        "api/retry.py",
        "float(text) if _SECONDS.fullmatch(text) else _until(text, date)",
        "float(int(text))",
        "api/test_retry.py",
    ),
    Defect(
        "Retry-After ignored",
        "api/retry.py",
        "seconds = error.retry_after_seconds\n",
        "seconds = None\n",
        MACHINE,
    ),
    Defect(
        "other calls leave after a 429 that is not waited for",
        "api/caller.py",
        "GIVEN_UP_SECONDS = 1.0",
        "GIVEN_UP_SECONDS = 0.0",
        "api/test_client.py::test_after_a_429_that_is_not_waited_for_the_others_stay",
    ),
    Defect("wall clock in the bucket", "api/caller.py", "time.monotonic()", "time.time()", MACHINE),
    Defect(
        "burst of the whole bucket",
        "api/pacing.py",
        "self._tokens = 1.0  #",
        "self._tokens = float(limit_per_minute)  #",
        "api/test_pacing.py::test_no_headers",
    ),
    Defect(
        "nothing left to others",
        "api/pacing.py",
        "return min((1.0 - share) * self.limit_per_minute, self.limit_per_minute - 1.0)",
        "return 0.0",
        "api/test_pacing.py::test_others_drain_the_bucket",
    ),
    Defect(
        "redirects followed",
        "api/transport.py",
        "connection.handle_request(outgoing)",
        "httpx.Client(follow_redirects=True).send(outgoing, stream=True)",
        "whole/test_security.py::test_no_redirect_carries_the_key_to_another_host",
    ),
    Defect(
        "the key in a message",
        "api/secret.py",
        'return _KEY_LIKE.sub("[key]", self._mask(text))',
        "return text",
        "api/test_client.py::test_an_echo_of_the_key_is_not_shown",
    ),
    Defect(
        "batches of 1,001",
        "grouptesting/outcomes.py",
        "MAX_CONTACTS_PER_CALL = 1000",
        "MAX_CONTACTS_PER_CALL = 1001",
        "run/test_run.py::test_every_contact_gets_its_true_outcome",
    ),
    Defect(
        "an id sent twice",
        "frames/packed.py",
        "if begins.all():",
        "if len(begins):",
        MACHINE,
    ),
    Defect(
        "one refused id costs its batch",
        "run/refusals.py",
        "if len(positions) == 1:",
        "if len(positions) >= 1:",
        MACHINE,
    ),
    Defect(
        "a gateway's refusal taken for the service's",
        "run/refusals.py",
        "if error.code is None:",
        "if False:",
        MACHINE,
    ),
    Defect(
        "late skips believed",
        "grouptesting/confirming.py",
        "outcomes[log.late(outcomes, unknown, counters, as_found)] = Outcome.UNDETERMINED",
        "pass",
        "grouptesting/test_movers.py",
    ),
    Defect(
        "a mover hidden by rows that a cap leaves unconfirmed",
        "grouptesting/late_skips.py",
        "if self._is_still(*(found or (outcomes, unknown)), changes):",
        "if self._is_still(outcomes, unknown, changes):",
        "grouptesting/test_small_worlds.py",
    ),
    Defect(
        "confirming calls believed unseen",
        "grouptesting/confirming.py",
        "if count == tuple(len(positions) * int(found == skip) for skip in SKIPS):",
        "if True:",
        "grouptesting/test_movers.py",
    ),
    Defect(
        "names reported that no confirming call vouches for",
        "grouptesting/confirming.py",
        "outcomes[unknown] = Outcome.UNDETERMINED",
        "pass",
        "grouptesting/test_attribution.py::test_nothing_is_confirmed_before_its_confirming_call",
    ),
]


def failing(copy: Path, tests: str) -> str | None:
    """Run tests in the copy; name the first that fails, or None where all pass."""
    process = subprocess.Popen(
        [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", f"tests/{tests}"],
        cwd=copy,
        env=os.environ | {"PYTHONPATH": str(copy), "PYTHONDONTWRITEBYTECODE": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        out, _ = process.communicate(timeout=PATIENCE_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, 9)  # with the processes that a test started
        process.communicate()
        return f"no end after {PATIENCE_SECONDS} s: {tests}"
    if process.returncode == 0:
        return None
    for line in out.splitlines():
        if line.startswith(("FAILED ", "ERROR ")):
            return line.split(" - ")[0].removeprefix("FAILED tests/").removesuffix("::runTest")
    return f"exit status {process.returncode}: {out[-200:]}"


def verdict(copy: Path, defect: Defect) -> tuple[bool, str]:
    """Put one defect in, run its tests, take it out; tell whether it was caught, and by what."""
    path = copy / "kirim_pandas" / defect.file
    source = path.read_text()
    if defect.text not in source:
        return False, f"ITS TEXT IS NO LONGER IN {defect.file}"
    path.write_text(source.replace(defect.text, defect.wrong))
    try:
        found = failing(copy, defect.tests)
    finally:
        path.write_text(source)
    return found is not None, found or f"SURVIVED {defect.tests}"


def main() -> int:
    """Print the table; the exit status is 1 where a defect was not caught."""
    made = argparse.ArgumentParser(description=__doc__)
    made.add_argument("only", nargs="?", default="", help="a part of the names to try")
    chosen = [defect for defect in DEFECTS if made.parse_args().only in defect.name]
    caught = 0
    with tempfile.TemporaryDirectory() as name:
        copy = Path(name)
        for part in ("kirim_pandas", "tests"):
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(ROOT / part, copy / part, ignore=ignored)
        for file in ("pyproject.toml", "README.md"):
            shutil.copy(ROOT / file, copy)
        # A test that fails anyhow would catch everything.
        for tests in dict.fromkeys(defect.tests for defect in chosen):
            if found := failing(copy, tests):
                print(f"fails without any defect: {found}")
                return 1
        for defect in chosen:
            began = time.monotonic()
            is_caught, by = verdict(copy, defect)
            caught += is_caught
            print(f"{defect.name:<54}{time.monotonic() - began:4.0f} s  {by}", flush=True)
    print(f"caught: {caught} of {len(chosen)}")
    return int(not print_ratio("named_defects_caught", caught / len(chosen), at_least=1.0))


if __name__ == "__main__":
    sys.exit(main())
