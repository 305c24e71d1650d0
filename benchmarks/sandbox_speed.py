"""How many calls a second the sandbox serves, by size of call, connections and process.

Run ``python benchmarks/sandbox_speed.py``; it takes some ten seconds. The client is the
standard library's, so that it is the sandbox that is measured. Every call has an idempotency
key of its own and changes the truth.
"""

from __future__ import annotations

import argparse
import http.client
import itertools
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import pandas as pd
from ratios import print_ratio

from kirim_pandas import sandbox

LEAST_CALLS_PER_SECOND = {10: 400, 1000: 100}
"""What the sandbox promises on loopback and two cores."""

UNLIMITED_PER_MINUTE = 10**8
CONTACTS = 5000


def send_until(
    stop: float, host: str, token: str, bodies: list[bytes], name: str, *, keep: bool
) -> int:
    """Send calls one after another until a time, over one connection or many; give how many."""
    connection = http.client.HTTPConnection(host)
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    calls = 0
    for body in itertools.cycle(bodies):
        if time.monotonic() >= stop:
            break
        headers["Idempotency-Key"] = f"{name}-{calls}"
        connection.request("POST", "/v1/contacts/bulk_label", body, headers)
        reply = connection.getresponse()
        content = reply.read()
        if reply.status != 200:
            raise RuntimeError(f"{reply.status}: {content[:200]!r}")
        calls += 1
        if not keep:
            connection.close()
    connection.close()
    return calls


def bodies_of(contact_ids: list[str], label_id: str, size: int) -> list[bytes]:
    """Make calls that attach and detach in turn, each of other contacts."""
    return [
        json.dumps(
            {
                "contact_ids": contact_ids[start : start + size],
                "label_id": label_id,
                "operation": operation,
            }
        ).encode()
        for operation in ("attach", "detach")
        for start in range(0, CONTACTS, size)
    ]


def measure(
    host: str, token: str, bodies: list[bytes], connections: int, seconds: float, *, keep: bool
) -> float:
    """Give calls a second over some connections, each with a thread."""
    counts: list[int] = []
    began = time.monotonic()

    def work(number: int) -> None:
        name = f"{len(bodies)}-{began}-{connections}-{number}"
        counts.append(send_until(began + seconds, host, token, bodies[number:], name, keep=keep))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(connections)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(counts) / (time.monotonic() - began)


def rows_for(
    where: str, host: str, token: str, contact_ids: list[str], label_id: str, seconds: float
) -> list[dict[str, object]]:
    """Measure all sizes and numbers of connections."""
    rows = []
    for size in LEAST_CALLS_PER_SECOND:
        bodies = bodies_of(contact_ids, label_id, size)
        for connections, keep in ((1, True), (2, True), (4, True), (1, False), (4, False)):
            rate = measure(host, token, bodies, connections, seconds, keep=keep)
            rows.append(
                {
                    "server in": where,
                    "ids a call": size,
                    "connections": connections,
                    "new for each call": "no" if keep else "yes",
                    "calls a second": round(rate),
                    "promised": LEAST_CALLS_PER_SECOND[size],
                }
            )
    return rows


def main() -> int:
    """Print the table; the exit status tells whether the promise was kept."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=0.6, help="per measurement (%(default)s)")
    seconds = parser.parse_args().seconds

    with sandbox.start(CONTACTS, write_per_minute=UNLIMITED_PER_MINUTE) as box:
        host, label_id = box.base_url.split("/")[2], box.labels["id"].iloc[0]
        ids = box.contacts["contact_id"].tolist()
        rows = rows_for("this process", host, box.api_key, ids, label_id, seconds)

    with tempfile.TemporaryDirectory() as folder:
        saved = Path(folder) / "contacts.csv"
        command = [sys.executable, "-m", "kirim_pandas.sandbox", f"--contacts={CONTACTS}"]
        command += [f"--write-per-minute={UNLIMITED_PER_MINUTE}", f"--save-contacts={saved}"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            lines = iter(process.stdout.readline, "")
            printed = "".join(itertools.takewhile(lambda line: "Ctrl-C" not in line, lines))
            try:
                host, token, label_id = (
                    re.findall(pattern, printed)[0]
                    for pattern in (r"http://([\d.:]+)/v1", r"KEY=(\S+)", r"lbl_\w+")
                )
                ids = pd.read_csv(saved)["contact_id"].tolist()
                rows += rows_for("another", host, token, ids, label_id, seconds)
            finally:
                process.terminate()
                process.stdout.read()

    table = pd.DataFrame(rows)
    print(table.to_string(index=False))
    print(f"{os.cpu_count()} cores, Python {sys.version.split()[0]}")
    least = (table["calls a second"] / table["promised"]).min()
    return int(not print_ratio("least_calls_a_second_by_promise", least, at_least=1.0))


if __name__ == "__main__":
    sys.exit(main())
