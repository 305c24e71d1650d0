"""Where the service is: three hosts with two path shapes, all called v1. No I/O."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, replace
from urllib.parse import SplitResult, urlencode, urlsplit

from kirim_pandas.errors import ConfigurationError

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

    def at(self, phone_number_id: object) -> Address:
        """Give the address whose paths name another connected number."""
        return replace(self, phone_number_id=_read_number(phone_number_id))


def read_address(
    base_url: object, phone_number_id: object = None, *, allow_http: bool = False
) -> Address:
    """Check where requests, and with them the key, would go.

    Raises
    ------
    ConfigurationError
        The URL is not https (or http to this computer), or has a user, a query or a fragment;
        or the phone number id is not 6 to 20 digits.
    """
    text = str.__str__(base_url).strip() if isinstance(base_url, str) else ""
    parts = _split(text)
    problem = "it cannot be read" if parts is None else _problem(text, parts, allow_http=allow_http)
    if parts is None or problem:
        raise ConfigurationError(
            f"base_url is not usable: {problem}; expected something like {DEFAULT_BASE_URL}"
        )
    number = _read_number(phone_number_id)
    return Address(text.rstrip("/"), parts.netloc, _is_loopback(parts.hostname or ""), number)


def _read_number(phone_number_id: object) -> str | None:
    if phone_number_id is None:
        return None
    if not isinstance(phone_number_id, str) and not hasattr(phone_number_id, "__index__"):
        raise ConfigurationError(
            f"phone_number_id: found {type(phone_number_id).__name__}, expected a text of digits"
        )
    write = str.__str__ if isinstance(phone_number_id, str) else str
    number = write(phone_number_id).strip()
    if number and not _PHONE_NUMBER_ID.fullmatch(number):
        raise ConfigurationError(
            f"phone_number_id is not usable: found {len(number)} characters, expected 6 to 20 "
            "digits (not the phone number itself): see Client.accounts()"
        )
    return number or None


def _split(text: str) -> SplitResult | None:
    try:
        parts = urlsplit(text)
        _ = parts.hostname, parts.port  # these raise where there is no number
    except ValueError:
        return None
    return parts


def _problem(text: str, parts: SplitResult, *, allow_http: bool) -> str:
    """Say why the key is not to be sent there; an empty text where it may be."""
    if "@" in parts.netloc:
        return "it holds a user or password"
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return "it is not an https address"
    if set("?#\\ ") & set(text) or not text.isprintable():
        return "it has a query, a fragment, a blank or a control character"
    if parts.scheme == "http" and not (allow_http or _is_loopback(parts.hostname)):
        return "plain http would show the key to the network; use https"
    return ""


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
