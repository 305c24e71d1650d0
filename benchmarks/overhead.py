"""What a run costs in CPU time beside a bare loop of httpx that sends the same bodies.

Run ``python benchmarks/overhead.py [calls]``.  A server in a process of its own answers at once
and tells of a limit that is never reached, so all that is measured is this side's work.  The bare
loop sends bodies that are already made, over connections that httpx keeps, as many at a time as
the run had; it reads no ids, checks no reply and writes nothing down.  Ratios are taken within one
run, best of three of each, so that they mean the same on a fast and a slow machine.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from multiprocessing.connection import Connection
from multiprocessing.sharedctypes import Synchronized
from pathlib import Path

import httpx
import pandas as pd
from ids import sample
from ratios import print_ratio

import kirim_pandas as kp

MOST = {"without": 3.0, "with": 5.0}
"""What the project promises: CPU time without, and with, a journal, by that of the bare loop."""

KEY = "kdv_live_" + "b" * 24
LABEL = "lbl_" + "0" * 26
ROUNDS = 3
LIMIT_PER_MINUTE = 100_000
PAUSE_SECONDS = 0.004
"""So long the server waits before it answers: 1,667 a second x 4 ms x 1.2 are eight in flight."""


@contextmanager
def serving() -> Iterator[tuple[str, Synchronized[int]]]:
    """Give the base URL of a server in a process of its own, and the most calls together so far."""
    here, there = multiprocessing.Pipe()
    context = multiprocessing.get_context("spawn")
    most = context.Value("i", 0)
    server = context.Process(target=serve, args=(there, most), daemon=True)
    server.start()
    try:
        yield f"http://127.0.0.1:{here.recv()}/v1", most
    finally:
        server.terminate()


def serve(told: Connection, most: Synchronized[int]) -> None:
    """Answer every call at once, in a process of its own; tell the most that came together."""
    asyncio.run(_serve(told, most))


async def _serve(told: Connection, most: Synchronized[int]) -> None:
    under_way = 0

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal under_way
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                under_way += 1
                most.value = max(most.value, under_way)
                fields = dict(line.split(b": ", 1) for line in head.lower().split(b"\r\n")[1:-2])
                body = await reader.readexactly(int(fields[b"content-length"]))
                await asyncio.sleep(PAUSE_SECONDS)
                writer.write(_reply(body.count(b'"ctc_')))
                under_way -= 1
                if fields.get(b"connection") == b"close":
                    break
        except asyncio.IncompleteReadError:
            pass
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    told.send(server.sockets[0].getsockname()[1])
    await server.serve_forever()


def _reply(applied: int) -> bytes:
    counts = {"applied": applied, "skipped_cross_org": 0, "skipped_team_mismatch": 0}
    body = json.dumps({"data": counts, "request_id": f"req_{uuid.uuid4().hex}"}).encode()
    head = (
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
        f"X-RateLimit-Limit: {LIMIT_PER_MINUTE}\r\n"
        f"X-RateLimit-Remaining: {LIMIT_PER_MINUTE - 1}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def bare(url: str, ids: list[str], in_flight: int) -> float:
    """Send the calls with httpx and nothing else; return CPU seconds."""
    bodies = [
        json.dumps(
            {"contact_ids": ids[i : i + 1000], "label_id": LABEL, "operation": "attach"}
        ).encode()
        for i in range(0, len(ids), 1000)
    ]
    headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}

    with httpx.Client() as http, ThreadPoolExecutor(in_flight) as pool:

        def send(body: bytes) -> None:
            http.post(url, content=body, headers=headers).raise_for_status()

        start = time.process_time()
        list(pool.map(send, bodies))
        return time.process_time() - start


def ours(column: pd.Series, client: kp.Client, journal: Path | bool) -> float:
    """Label the contacts of a column; return CPU seconds."""
    start = time.process_time()
    result = column.kirim.bulk_label(
        LABEL, "attach", client=client, journal=journal, progress=False, reads=False
    )
    spent = time.process_time() - start
    assert (result["status"] == "applied").all()
    return spent


def best(measure: Callable[[], float]) -> float:
    """Return the least of some."""
    return min(measure() for _ in range(ROUNDS))


def main(calls: int) -> int:
    """Print the figures; the exit status is 1 if a promise is broken."""
    with serving() as (base_url, most):
        column = sample(calls * 1000).drop_duplicates()
        column = column[column.str.startswith("ctc_", na=False)]
        client = kp.Client(KEY, base_url=base_url, share=1.0)
        with tempfile.TemporaryDirectory() as folder:
            ours(column[:5000], client, Path(folder) / "warm.sqlite")  # imports
            most.value = 0
            spent = {
                "without": best(lambda: ours(column, client, journal=False)),
                "with": best(lambda: ours(column, client, Path(folder) / f"{uuid.uuid4()}.sqlite")),
            }
        in_flight = most.value
        ids = column.tolist()
        base = best(lambda: bare(f"{base_url}/contacts/bulk_label", ids, in_flight))
    number = -(-len(ids) // 1000)
    print(f"{number:,} calls of 1000, {in_flight} in flight   ms a call   × bare loop   promised")
    print(f"{'bare loop of httpx':<34} {1000 * base / number:7.2f} {1:12.1f}")
    for journal, seconds in spent.items():
        print(
            f"{f'bulk_label {journal} a journal':<34} {1000 * seconds / number:7.2f} "
            f"{seconds / base:12.1f} {MOST[journal]:10.1f}"
        )
    kept = [
        print_ratio(f"cpu_{journal}_journal_by_bare_loop", seconds / base, at_most=MOST[journal])
        for journal, seconds in spent.items()
    ]
    return int(not all(kept))


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 300))
