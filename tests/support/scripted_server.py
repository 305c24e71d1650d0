"""A loopback server that plays a list of byte replies and keeps what arrived."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Self

Step = bytes | Callable[[socket.socket], None]
"""What follows a request: bytes to send, or a function that plays with the connection."""


REQUEST_ID = "req_00000001"
"""A server puts its own number of the reply there: no two replies have one id."""


@dataclass(frozen=True)
class Arrived:
    """One request as it came over the wire."""

    line: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def reply(status: int = 200, body: object = b"", *, headers: dict[str, str] | None = None) -> bytes:
    """Write a whole HTTP reply; a body that is not bytes becomes JSON."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    given = {"Content-Length": str(len(data)), **(headers or {})}
    lines = [f"HTTP/1.1 {status} Scripted", *(f"{k}: {v}" for k, v in given.items())]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + data


def counts(applied: int, cross_org: int = 0, team_mismatch: int = 0, **headers: str) -> bytes:
    """Write the good reply of a bulk_label call."""
    data = {
        "applied": applied,
        "skipped_cross_org": cross_org,
        "skipped_team_mismatch": team_mismatch,
    }
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return reply(200, {"data": data, "request_id": REQUEST_ID}, headers=named)


def error(status: int, code: str, *, message: str = "no", **headers: str) -> bytes:
    """Write an error reply in the service's envelope."""
    body = {"error": {"type": "t", "code": code, "message": message, "request_id": REQUEST_ID}}
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return reply(status, body, headers=named)


class ScriptedServer:
    """Plays one step for each request, in order; the last step is played again and again."""

    def __init__(self, steps: Iterable[Step]) -> None:
        self.steps = list(steps)
        self.arrived: list[Arrived] = []
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port: int = self._listener.getsockname()[1]
        self.base_url = f"http://127.0.0.1:{self.port}/v1"
        self._threads: list[threading.Thread] = []
        self._accepting = threading.Thread(target=self._accept, daemon=True)
        self._accepting.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._accepting.join(5)
        for thread in self._threads:
            thread.join(5)

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._serve, args=(connection,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as stream:
            connection.settimeout(10)
            try:
                while (line := stream.readline()) not in (b"", b"\r\n"):
                    headers = {}
                    while (header := stream.readline().strip()) != b"":
                        name, _, value = header.decode().partition(":")
                        headers[name.lower()] = value.strip()
                    body = stream.read(int(headers.get("content-length", "0")))
                    with self._lock:
                        self.arrived.append(Arrived(line.decode().strip(), headers, body))
                        step = self.steps.pop(0) if len(self.steps) > 1 else self.steps[0]
                        own_id = f"req_{len(self.arrived):08d}".encode()
                    if callable(step):
                        step(connection)
                        return
                    connection.sendall(step.replace(REQUEST_ID.encode(), own_id))
                    if headers.get("connection") == "close":
                        return
            except OSError:
                return
