"""The faults that many tests play, by their number in the catalogue and their name."""

import kirim_pandas as kp

PASSING = {
    "1 connection refused": "refuse",
    "13 read timeout, server committed": ("stall_after_commit", 0.6),
    "15 read timeout, request never arrived": ("drop", 0.6),
    "16 reset before any reply byte, nothing done": "reset_before_commit",
    "16 reset before any reply byte, committed": "reset_after_commit",
    "17 reset in the middle of the reply": "reset_in_reply",
    "18 truncated JSON with Content-Length": "cut",
    "19 truncated JSON without length": "cut_without_length",
    "20 broken chunked coding": "broken_chunks",
    "21 broken gzip": "gzip_garbage",
    "22 HTML with 200 from a login proxy": "html",
    "23 200 with an empty body": "empty",
    "23 204": "no_content",
    "24 502 before the app": "error_502_before_commit",
    "24 503 before the app": "error_503_before_commit",
    "24 504 before the app": "error_504_before_commit",
    "25 502 after the app committed": "error_502_after_commit",
    "25 504 after the app committed": "error_504_after_commit",
    "26 500 stored under the key": "error_500_kept",
    "27 500 not stored": "error_500_before_commit",
    "27 500 not stored, committed": "error_500_after_commit",
    "28 1xx before the reply": "early_hint",
    "28 two replies on one connection": "second_reply",
    "29 slow-loris reply, body": ("trickle", 0.3),
    "30 slow-loris reply, headers": ("trickle_headers", 0.3),
    "31 huge reply": "huge",
    "31 gzip bomb": ("gzip_bomb", 3_000_000.0),
    "33 429, Retry-After seconds": ("rate_limited", "1"),
    "35 Retry-After missing": ("rate_limited", None),
    "36 Retry-After 0": ("rate_limited", "0"),
    "62 counters negative": "counts_negative",
    "62 counters float": "counts_float",
    "62 counters bool": "counts_bool",
    "62 counters string": "counts_text",
    "62 counters missing": "counts_missing",
    "62 counters > size": "counts_too_big",
    "408": "error_408",
}

DELAYS = {name for name in PASSING if name.startswith(("13 ", "15 ", "29 ", "30 "))}
"""Those that only a client notices that does not wait for long."""

LASTING = {
    "49 403": ("error_403", kp.PermissionDeniedError),
    "52 404 path": ("not_found_page", kp.NotFoundError),
    "59 unknown 4xx": ("error_418", kp.ApiError),
    "22 HTML for ever": ("html", kp.ProtocolError),
    "27 500 for ever": ("error_500_before_commit", kp.ServerError),
    "26 500 stored, for every key": ("error_500_kept", kp.ServerError),
    "62 counters that never are": ("counts_negative", kp.ProtocolError),
    "37 Retry-After absurd": (("rate_limited", "86400"), kp.RateLimitedError),
    "1 connection refused for ever": ("refuse", kp.TransportError),
    "63 redirect": (("redirect_307", "/v1/elsewhere"), kp.KirimError),
}

ODD = {
    "41 Reset as delta": {"X-RateLimit-Limit": "600", "X-RateLimit-Reset": "30"},
    "42 headers missing": {},
    "42 headers non-numeric": {"X-RateLimit-Limit": "many", "X-RateLimit-Remaining": "٣"},
    "42 headers negative": {"X-RateLimit-Limit": "-60", "X-RateLimit-Remaining": "-1"},
    "42 Remaining > Limit": {"X-RateLimit-Limit": "60", "X-RateLimit-Remaining": "61"},
    "60 unknown fields, no request_id": {"X-New": "1"},
}
