"""An end to tries that would go on for ever, and the knowledge of how far one came."""

from __future__ import annotations

import socket
import threading
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Self

__all__ = ["Deadline"]


class Deadline:
    """Cuts the connection of a try that takes too long.

    The timeouts of HTTP libraries bound single reads: a server that sends a byte now and then,
    be it of the headers or of the body, is never timed out by them.

    Attributes
    ----------
    is_over : bool
        Whether the time was up.
    body_left : bool
        Whether a byte of the request's body may have left: without one no call is carried out.
    """

    def __init__(self, seconds: float) -> None:
        self.is_over = False
        self.body_left = False
        self._socket: Any = None
        self._timer = threading.Timer(seconds, self._cut)
        self._timer.daemon = True

    def __enter__(self) -> Self:
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()

    def trace(self, event: str, info: Mapping[str, Any]) -> None:
        """Note the socket and the body; the HTTP library calls this at each step of a request."""
        if event.endswith(("connect_tcp.complete", "start_tls.complete")):
            self._socket = info["return_value"].get_extra_info("socket")
            if self.is_over:
                self._cut()
        elif event.endswith("send_request_body.started"):
            # The CONNECT that asks a proxy for a way has no body of ours.
            self.body_left |= getattr(info.get("request"), "method", b"") != b"CONNECT"

    def close(self) -> None:
        """Close the socket of a try that failed; the HTTP library leaves some open."""
        if isinstance(self._socket, socket.socket):
            with suppress(OSError):
                self._socket.close()

    def _cut(self) -> None:
        self.is_over = True
        if isinstance(self._socket, socket.socket):
            with suppress(OSError):
                # The plain shutdown: that of a TLS socket would race with the reading thread.
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)
