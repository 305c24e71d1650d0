"""How a reply becomes bytes on a connection, well or badly."""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Callable
from email.utils import formatdate
from http import HTTPStatus
from typing import Any, Protocol

from kirim_pandas.sandbox.messages import Reply


class Line(Protocol):
    """What a sender needs of a connection."""

    connection: socket.socket

    def pause(self, seconds: float) -> bool:
        """Wait; true if the sandbox closes meanwhile."""
        ...


def head_of(reply: Reply, unix_seconds: float, *, length: int | None) -> bytes:
    """Write status line and headers; without a length the end of the body is the close."""
    phrase = HTTPStatus(reply.status).phrase
    lines = [f"HTTP/1.1 {reply.status} {phrase}", f"Date: {formatdate(unix_seconds, usegmt=True)}"]
    lines += [f"{name}: {value}" for name, value in reply.headers.items()]
    if length is None:
        lines.append("Connection: close")
    elif reply.status != HTTPStatus.NO_CONTENT:
        lines.append(f"Content-Length: {length}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def _reset(line: Line) -> None:
    # With a linger time of 0 the close sends RST: the peer sees a reset, not an end.
    linger = struct.pack("hh" if os.name == "nt" else "ii", 1, 0)
    line.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)


def _whole(line: Line, reply: Reply, now: float, _: Any) -> bool:
    line.connection.sendall(head_of(reply, now, length=len(reply.body)) + reply.body)
    return True


def _unread_or_reset(line: Line, *_: Any) -> bool:
    _reset(line)
    return False


def _torn(line: Line, reply: Reply, now: float, _: Any) -> bool:
    half = reply.body[: len(reply.body) // 2]
    line.connection.sendall(head_of(reply, now, length=len(reply.body)) + half)
    # The half must have left before the reset: RST drops what is still queued.
    line.pause(0.02)
    _reset(line)
    return False


def _cut(line: Line, reply: Reply, now: float, _: Any) -> bool:
    half = reply.body[: len(reply.body) // 2]
    line.connection.sendall(head_of(reply, now, length=len(reply.body)) + half)
    return False


def _open(line: Line, reply: Reply, now: float, _: Any) -> bool:
    half = reply.body[: len(reply.body) // 2]
    line.connection.sendall(head_of(reply, now, length=None) + half)
    return False


def _broken_chunks(line: Line, reply: Reply, now: float, _: Any) -> bool:
    head = head_of(reply, now, length=None)[:-2] + b"Transfer-Encoding: chunked\r\n\r\n"
    line.connection.sendall(head + b"zz\r\n" + reply.body + b"\r\n")
    return False


def _silent(line: Line, _reply: Reply, _now: float, seconds: Any) -> bool:
    line.pause(float(seconds))
    return False


def _late(line: Line, reply: Reply, now: float, seconds: Any) -> bool:
    line.pause(float(seconds))
    return _whole(line, reply, now, None)


def _trickle(line: Line, reply: Reply, now: float, seconds: Any) -> bool:
    line.connection.sendall(head_of(reply, now, length=len(reply.body)))
    return _drip(line, reply.body, float(seconds))


def _trickle_all(line: Line, reply: Reply, now: float, seconds: Any) -> bool:
    return _drip(line, head_of(reply, now, length=len(reply.body)) + reply.body, float(seconds))


def _drip(line: Line, content: bytes, seconds: float) -> bool:
    for position in range(len(content)):
        line.connection.sendall(content[position : position + 1])
        if line.pause(seconds):
            return False
    return True


def _early_hint(line: Line, reply: Reply, now: float, _: Any) -> bool:
    line.connection.sendall(b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n")
    return _whole(line, reply, now, None)


def _twice(line: Line, reply: Reply, now: float, _: Any) -> bool:
    content = head_of(reply, now, length=len(reply.body)) + reply.body
    line.connection.sendall(content + content)
    return True


Sender = Callable[[Line, Reply, float, Any], bool]

SENDERS: dict[str, Sender] = {
    "whole": _whole,
    "unread": _unread_or_reset,
    "reset": _unread_or_reset,
    "torn": _torn,
    "cut": _cut,
    "open": _open,
    "broken_chunks": _broken_chunks,
    "silent": _silent,
    "late": _late,
    "trickle": _trickle,
    "trickle_all": _trickle_all,
    "early_hint": _early_hint,
    "twice": _twice,
}
"""Each sends a reply in its own way and tells whether the connection goes on."""
