"""Requests, replies and refusals: the words between the server and the service."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""The alphabet of the service's ids: no I, L, O, U, so that none is misread."""

ID_LENGTH = 26

CONTACT_ID = re.compile(r"ctc_[0-9A-HJKMNP-TV-Z]{26}")
LABEL_ID = re.compile(r"lbl_[0-9A-HJKMNP-TV-Z]{26}")

TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found",
    409: "conflict",
    413: "invalid_request_error",
    422: "invalid_request_error",
    429: "rate_limit_error",
}
"""``error.type`` by status; every 5xx is ``api_error`` (Kirim API docs, Errors)."""


def make_id(prefix: str, number: int) -> str:
    """Write a whole number as an id: the prefix and 26 Crockford characters."""
    digits = []
    for _ in range(ID_LENGTH):
        number, digit = divmod(number, len(CROCKFORD))
        digits.append(CROCKFORD[digit])
    return prefix + "".join(reversed(digits))


@dataclass(frozen=True)
class Request:
    """One request, read completely; header names are in lower case."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes = b""


@dataclass(frozen=True)
class Reply:
    """One reply, before it becomes bytes on a wire.

    Attributes
    ----------
    executed
        Whether this very call changed or confirmed the truth (a replay does not).
    """

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    request_id: str | None = None
    replayed: bool = False
    executed: bool = False

    @classmethod
    def of(cls, status: int, content: dict[str, Any], request_id: str, **more: Any) -> Reply:
        """Make a reply of JSON that carries its request id."""
        body = json.dumps({**content, "request_id": request_id}).encode()
        return cls(status, body, request_id=request_id, **more)


class Refusal(Exception):  # noqa: N818 - the service's "no" is an answer, not an error of ours
    """The service says no, in the words of its error envelope."""

    def __init__(self, status: int, code: str, message: str, *, param: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.param = param

    def reply(self, request_id: str) -> Reply:
        """Put the refusal into the error envelope."""
        error = {
            "type": TYPES.get(self.status, "api_error"),
            "code": self.code,
            "message": str(self),
            **({"param": self.param} if self.param else {}),
            "request_id": request_id,
        }
        body = json.dumps({"error": error}).encode()
        return Reply(self.status, body, request_id=request_id)
