"""Where the service is: three hosts with two path shapes, all called v1. No I/O."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from urllib.parse import urlencode, urlsplit

from kirim_pandas.errors import ConfigurationError

__all__ = ["DEFAULT_BASE_URL", "Address", "read_address"]

DEFAULT_BASE_URL = "https://api-kckit.kirim.chat/v1"
_PHONE_NUMBER_ID = re.compile(r"[0-9]{6,20}")  # says: Meta's id of a connected number


@dataclass(frozen=True, slots=True)
class Address:
    """Where the service is: checked, without a trailing slash."""

    base_url: str
    host: str
    is_loopback: bool
    phone_number_id: str | None = None

    def url(self, path: str, *, with_number: bool = False, **query: str | int | None) -> str:
        """Build a URL; some hosts want the number in the path of contacts."""
        number = f"/{self.phone_number_id}" if with_number and self.phone_number_id else ""
        given = {name: value for name, value in query.items() if value is not None}
        return f"{self.base_url}{number}{path}" + (f"?{urlencode(given)}" if given else "")


def read_address(
    base_url: str, phone_number_id: str | None = None, *, allow_http: bool = False
) -> Address:
    """Check where requests, and with them the key, would go.

    Raises
    ------
    ConfigurationError
        The URL is not https (or http to this computer), or has a user, a query or a fragment;
        or the phone number id is not 6 to 20 digits.
    """
    example = f"expected something like {DEFAULT_BASE_URL}"
    problem, loopback = "", False
    try:
        text = base_url.strip()
        parts = urlsplit(text)
        name, _ = parts.hostname or "", parts.port  # .port raises where it is no number
    except (ValueError, AttributeError):
        problem = "it cannot be read"
    else:
        loopback = _is_loopback(name)
        if "@" in parts.netloc:
            problem = "it holds a user or password"
        elif parts.scheme not in ("http", "https") or not name:
            problem = "it is not an https address"
        elif set("?#\\ ") & set(text) or not text.isprintable():
            problem = "it has a query, a fragment, a blank or a control character"
        elif parts.scheme == "http" and not (loopback or allow_http):
            problem = "plain http would show the key to the network; use https"
    if problem:
        raise ConfigurationError(f"base_url is not usable: {problem}; {example}")
    number = str(phone_number_id).strip() if phone_number_id is not None else None
    if number and not _PHONE_NUMBER_ID.fullmatch(number):
        raise ConfigurationError(
            f"phone_number_id is not usable: found {len(number)} characters, expected 6 to 20 "
            "digits (not the phone number itself): see Client.accounts()"
        )
    return Address(text.rstrip("/"), parts.netloc, loopback, number or None)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
