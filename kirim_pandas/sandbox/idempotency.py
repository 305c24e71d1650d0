"""Idempotency keys: first come first served, repeats get the first reply, 24 hours long."""

from __future__ import annotations

import hashlib
import json
import threading
from typing import Any, Literal

from kirim_pandas.sandbox.clock import Clock
from kirim_pandas.sandbox.messages import Refusal, Reply
from kirim_pandas.sandbox.store import Store

KEPT_NS = 24 * 3600 * 10**9
"""A key is remembered for 24 hours (Kirim API docs, Idempotency)."""

MAX_KEY_LENGTH = 255
"""Longest key (Kirim API docs, Idempotency)."""


def fingerprint_of(method: str, path: str, content: Any) -> str:
    """Hash method, path and the canonical JSON of the body (order of ids matters)."""
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(f"{method}\n{path}\n{canonical}".encode()).hexdigest()


class Idempotency:
    """Who holds which key, and what was answered under it.

    Parameters
    ----------
    store, clock
        Where replies are kept, and the clock that lets them expire.
    key_reuse
        How another body under the same key is refused.
    wait_seconds
        How long a repeat waits for the first call that is still in progress.
    """

    def __init__(
        self, store: Store, clock: Clock, *, key_reuse: Literal["422", "409"], wait_seconds: float
    ) -> None:
        self._store = store
        self._clock = clock
        self._key_reuse = key_reuse
        self._wait_seconds = wait_seconds
        self._in_progress: dict[tuple[str, str], str] = {}
        self._changed = threading.Condition()
        self._closed = False

    def begin(self, organization: str, key: str, fingerprint: str) -> Reply | None:
        """Take the key, or give the reply of the call that had it before.

        Returns
        -------
        Reply or None
            The kept reply; ``None`` when the key is now held by the caller, who must
            `release` it.

        Raises
        ------
        Refusal
            The key is too long, was used for something else, or stays in progress.
        """
        if not 0 < len(key) <= MAX_KEY_LENGTH:
            message = f"Idempotency-Key must have 1 to {MAX_KEY_LENGTH} characters."
            raise Refusal(400, "invalid_field_value", message, param="Idempotency-Key")
        full_key = (organization, key)
        with self._changed:
            self._changed.wait_for(
                lambda: (
                    self._closed
                    or self._in_progress.get(full_key, fingerprint) != fingerprint
                    or full_key not in self._in_progress
                ),
                self._wait_seconds,
            )
            if full_key in self._in_progress:
                self._check_same(self._in_progress[full_key], fingerprint)
                message = "A request with this Idempotency-Key is still in progress."
                raise Refusal(409, "idempotency_in_progress", message)
            kept = self._store.find_reply(organization, key)
            if kept and self._clock.monotonic_ns() - kept[4] < KEPT_NS:
                self._check_same(kept[0], fingerprint)
                return Reply(kept[1], kept[2], request_id=kept[3], replayed=True)
            self._in_progress[full_key] = fingerprint
            return None

    def keep(self, organization: str, key: str, fingerprint: str, reply: Reply) -> None:
        """Keep the reply for repeats; in the transaction of what it reports."""
        kept = (reply.status, reply.body, reply.request_id or "", self._clock.monotonic_ns())
        self._store.keep_reply(organization, key, fingerprint, kept)

    def release(self, organization: str, key: str) -> None:
        """Give the key back; repeats that wait go on."""
        with self._changed:
            del self._in_progress[organization, key]
            self._changed.notify_all()

    def close(self) -> None:
        """Wake everyone who waits."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _check_same(self, known: str, fingerprint: str) -> None:
        if known == fingerprint:
            return
        if self._key_reuse == "409":
            code, status = "idempotency_conflict", 409
        else:
            code, status = "idempotency_key_reuse", 422
        raise Refusal(status, code, "This Idempotency-Key was used with another request body.")
