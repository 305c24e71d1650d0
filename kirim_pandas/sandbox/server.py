"""The HTTP server: sockets, the log, and faults at the right moment."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import socketserver
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from time import time
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from kirim_pandas.sandbox.faults import Chosen, Faults
from kirim_pandas.sandbox.messages import TYPES, Refusal, Reply, Request
from kirim_pandas.sandbox.service import Service
from kirim_pandas.sandbox.wire import SENDERS

MAX_BODY_BYTES = 1_000_000
"""Far more than 1000 ids need (33 kB)."""

MAX_LINE_BYTES = 65536

LENGTH, CHUNK_SIZE = re.compile(r"[0-9]{1,9}"), re.compile(rb"[0-9A-Fa-f]{1,8}")

INSERT_REQUEST = "INSERT INTO request VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"


@dataclass(frozen=True)
class Arrival:
    """A request as it was counted, before its body is read."""

    sequence: int
    seconds: float
    key: str | None
    try_number: int
    chosen: Chosen | None


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Server
    connection: socket.socket

    def serve(self) -> None:
        """Answer one request."""
        try:
            url = urlsplit(self.path)
        except ValueError as error:
            self.send_error(400, str(error))
            return
        headers = {name.lower(): value for name, value in self.headers.items()}
        arrival = self.server.arrive(self.command, url.path, headers)
        chosen = arrival.chosen
        body: bytes | None = b""
        if chosen and chosen.fault.wire == "unread":
            self.close_connection = True
        else:
            body = self._read_body(headers)
        if body is None:
            self.close_connection = True
            return  # the client went away in the middle of its request
        query = dict(parse_qsl(url.query, keep_blank_values=True))
        request = Request(self.command, url.path, query, headers, body)
        reply = self._answer(request, chosen)
        self.server.log(arrival, request, reply)
        if self.command == "HEAD":
            reply = replace(reply, body=b"")
        sender = SENDERS[chosen.fault.wire if chosen else "whole"]
        now = self.server.service.clock.unix_seconds()
        if not sender(self, reply, now, chosen.value if chosen else None):
            self.close_connection = True

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = serve  # noqa: N815

    def pause(self, seconds: float) -> bool:
        """Wait; true if the sandbox closes meanwhile."""
        return self.server.closing.wait(seconds)

    def handle(self) -> None:
        """Serve until either side hangs up; that a client hangs up is no error."""
        with contextlib.suppress(ConnectionError, TimeoutError):
            super().handle()

    def finish(self) -> None:
        """Close the files; the other side may be gone already."""
        with contextlib.suppress(ConnectionError):
            super().finish()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base's word
        """Print nothing: the log is in the store."""

    def send_error(self, code: int, message: str | None = None, _: str | None = None) -> None:
        """Answer what is not even a request in the error envelope, and hang up."""
        status = code if code in TYPES else 400
        text = message or "The request is malformed."
        reply = Refusal(status, "invalid_field_value", text).reply(
            self.server.service.next_request_id()
        )
        self.close_connection = True
        SENDERS["whole"](self, self.server.service.dress(reply, None), time(), None)

    def _read_body(self, headers: dict[str, str]) -> bytes | None:
        """Read the body; None where the client went away, nothing where its length is no length."""
        if headers.get("transfer-encoding", "").strip().lower() == "chunked":
            return self._read_chunks()
        text = headers.get("content-length", "0").strip()
        if not LENGTH.fullmatch(text) or int(text) > MAX_BODY_BYTES:
            self.close_connection = True
            return b""
        body = self.rfile.read(int(text))
        return body if len(body) == int(text) else None

    def _read_chunks(self) -> bytes | None:
        body = b""
        while True:
            size = self.rfile.readline(100).partition(b";")[0].strip()
            if not CHUNK_SIZE.fullmatch(size) or len(body) + int(size, 16) > MAX_BODY_BYTES:
                self.close_connection = True
                return b"" if size else None
            if not int(size, 16):
                break
            chunk = self.rfile.read(int(size, 16))
            if len(chunk) < int(size, 16) or self.rfile.readline(3).strip():
                return None
            body += chunk
        while self.rfile.readline(MAX_LINE_BYTES).strip():
            pass  # trailers
        return body

    def _answer(self, request: Request, chosen: Chosen | None) -> Reply:
        service = self.server.service
        if chosen is None:
            return service.answer(request)
        fault = chosen.fault
        if fault.executes:
            stalls = chosen.name == "stall_before_commit"
            reply = service.answer(
                request,
                stall_seconds=float(chosen.value) if stalls else 0.0,
                fail_and_keep=chosen.name == "error_500_kept",
            )
        elif fault.refusal:
            reply = service.refuse(fault.refusal, request)
        else:
            reply = Reply(200)
        return fault.change(reply, chosen.value) if fault.change else reply


class Server(ThreadingHTTPServer):
    """Accepts connections, numbers requests, writes the log.

    Parameters
    ----------
    port
        On 127.0.0.1; 0 takes a free one.
    service
        What answers.
    faults
        What goes wrong.
    on_event
        Carries out an event of `faults`: name and arguments.
    """

    daemon_threads = True
    request_queue_size = 128

    def __init__(
        self, port: int, service: Service, faults: Faults, on_event: Callable[..., object]
    ) -> None:
        self.service = service
        self.closing = threading.Event()
        self._faults = faults
        self._on_event = on_event
        self._counts: Counter[str] = Counter()
        self._tries: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._connections: dict[threading.Thread, socket.socket] = {}
        super().__init__(("127.0.0.1", port), Handler)

    def server_bind(self) -> None:
        """Bind without asking a name server who we are, as the base would."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = "127.0.0.1", self.server_address[1]

    def arrive(self, method: str, path: str, headers: dict[str, str]) -> Arrival:
        """Count a request, let happen what is due before it, choose its fault."""
        kind = "reads" if method in ("GET", "HEAD") else "writes"
        key = headers.get("idempotency-key")
        name = key or f"{method} {path}"
        with self._lock:
            sequence = self._counts["all"]
            call_number = self._counts[self._faults.on]
            self._counts.update(["all", kind])
            try_number = self._tries[name]
            self._tries[name] += 1
            seconds = self.service.clock.monotonic_ns() / 1e9
            # Under the lock: an event stands between two calls, whatever the threads do.
            if kind == ("reads" if self._faults.on == "reads" else "writes"):
                for event, *values in self._faults.events_before(self._counts[kind] - 1):
                    self._on_event(event, *values)
        can_fail = self._faults.on in ("all", kind)
        chosen = self._faults.choose(call_number, name, try_number) if can_fail else None
        return Arrival(sequence, seconds, key, try_number, chosen)

    def log(self, arrival: Arrival, request: Request, reply: Reply) -> None:
        """Write the request down, before its reply leaves."""
        chosen = arrival.chosen
        replies = chosen is None or chosen.fault.wire not in ("unread", "reset", "silent")
        shown = {k: v for k, v in request.headers.items() if k != "authorization"}
        row = (
            arrival.sequence,
            arrival.seconds,
            request.method,
            request.path,
            arrival.key,
            arrival.try_number,
            chosen.name if chosen else None,
            reply.status if replies else None,
            reply.replayed,
            reply.executed,
            reply.request_id,
            request.body,
            json.dumps(shown),
        )
        self.service.store.rows(INSERT_REQUEST, row)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Serve a connection in a thread of its own, and remember both for the end."""
        thread = threading.Thread(
            target=self._serve_connection,
            args=(request, client_address),
            name="kirim-sandbox-connection",
            daemon=True,
        )
        with self._lock:
            self._connections[thread] = request
        thread.start()

    def shutdown_request(self, request: Any) -> None:
        """Close at once; the base would send a polite end before a reset."""
        self.close_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Stay quiet when the end of the sandbox cut a request short."""
        if not self.closing.is_set():
            super().handle_error(request, client_address)

    def stop(self) -> None:
        """Hang up on everyone and wait until all threads are gone."""
        self.closing.set()
        self.service.idempotency.close()
        self.shutdown()
        with self._lock:
            connections = dict(self._connections)
        for connection in connections.values():
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in connections:
            thread.join(5)
        self.server_close()

    def _serve_connection(self, request: Any, client_address: Any) -> None:
        try:
            self.process_request_thread(request, client_address)
        finally:
            with self._lock:
                self._connections.pop(threading.current_thread(), None)
