"""What the HTTP library raises, in our words: the one table. Does not import the library."""

from __future__ import annotations

import re
import socket
import ssl
import time
from collections.abc import Sequence
from dataclasses import dataclass

from kirim_pandas.errors import TransportError

MEANINGS: dict[str, str] = {
    "ConnectError": "cannot connect to {host}{way}",
    "ConnectTimeout": "cannot connect to {host} in time{way}",
    "PoolTimeout": "no connection was free",
    "ProxyError": (
        "the proxy {proxy} refused the connection to {host} ({said}): ask whoever runs the network "
        "to allow it, or name the host in NO_PROXY if it can be reached directly"
    ),
    "UnsupportedProtocol": "the address of {host} is not usable",
    "InvalidURL": "the address of {host} is not usable",
    "LocalProtocolError": "the request to {host} could not be written",
    "ReadTimeout": "{host} did not answer in time",
    "WriteTimeout": "the request to {host} could not be sent in time",
    "TimeoutException": "{host} did not answer in time",
    "ReadError": "the connection to {host} broke before its reply was whole",
    "WriteError": "the connection to {host} broke while the request was sent",
    "CloseError": "the connection to {host} broke",
    "NetworkError": "the connection to {host} broke",
    "RemoteProtocolError": "{host} cut its reply, or answered with something else",
    "ProtocolError": "{host} answered with something that is not HTTP",
    "DecodingError": "the reply of {host} could not be decoded",
    "Exception": "the HTTP library failed while talking to {host}",
}
"""By the name of httpx's exception class, or of its nearest base: what happened."""

# Codes of OpenSSL (x509_vfy.h).
OUT_OF_DATE = (9, 10)
OF_ANOTHER_NAME = (62, 64)

TLS_REASONS: tuple[tuple[str, str], ...] = (
    (
        "WRONG_VERSION_NUMBER|HTTP_REQUEST|RECORD_LAYER_FAILURE|PACKET_LENGTH|UNEXPECTED_MESSAGE",
        "{host} does not speak TLS, as https needs it, at this port: check the port in base_url",
    ),
    (
        "NO_APPLICATION_PROTOCOL",
        "{host} speaks HTTP/2 only, which is not spoken here: check the port in base_url",
    ),
    (
        "UNSUPPORTED_PROTOCOL|PROTOCOL_VERSION",
        "{host} offers only versions of TLS older than 1.2, which are not safe: whoever runs it "
        "must offer TLS 1.2 or later",
    ),
    (
        "CERTIFICATE_REQUIRED|BAD_CERTIFICATE|UNKNOWN_CA",
        "{host} wants a certificate from this computer, and there is none to send",
    ),
    (
        "UNRECOGNIZED_NAME",
        "{host} does not know itself by this name: check base_url",
    ),
    (
        "",
        "{host} and this computer found no common way to encrypt: check base_url, or ask whoever "
        "runs {host} or the network",
    ),
)
"""By what OpenSSL's reason contains: what that means. No second try can end otherwise."""

_PROXY_COULD_NOT = re.compile(r"50[0-9]\b|could not connect: (?!Connection not allowed)")
"""What proxies say that let us through and did not get there themselves."""


@dataclass(frozen=True, slots=True)
class _Meaning:
    """A sentence, and what it says of further tries (see TransportError)."""

    text: str
    tries_allowed: int | None = None
    maybe_mistyped: bool = False


def translated(
    failure: BaseException,
    *,
    host: str,
    proxy: str | None = None,
    maybe_applied: bool = False,
) -> TransportError:
    """Put an exception of the HTTP library into our words.

    Parameters
    ----------
    failure
        What was raised; its causes are looked through.
    host
        Named in the message.
    proxy
        Host and port of the proxy on the way, if there is one.
    maybe_applied
        Whether the request may have been carried out: a byte of its body had left.
    """
    name = _name_of(failure)
    meaning = _meaning_of(failure, name, proxy)
    way = ": check base_url or the network"
    if proxy:
        way = f" through the proxy {proxy}: check HTTPS_PROXY, NO_PROXY or the network"
    said = str(failure).strip(". ") if name == "ProxyError" else ""
    error = TransportError(
        meaning.text.format(host=host, proxy=proxy, way=way, said=said),
        maybe_applied=maybe_applied,
    )
    error.tries_allowed = meaning.tries_allowed
    error.maybe_mistyped = meaning.maybe_mistyped
    return error


def _name_of(failure: BaseException) -> str:
    names = (kind.__name__ for kind in type(failure).__mro__)
    return next((name for name in names if name in MEANINGS), "Exception")


def _about_certificates(causes: Sequence[BaseException]) -> _Meaning | None:
    """Say what is wrong with the certificate of {host}, and who can put it right."""
    untrusted = next((c for c in causes if isinstance(c, ssl.SSLCertVerificationError)), None)
    if untrusted is None:
        return None
    code = getattr(untrusted, "verify_code", None)
    if code in OUT_OF_DATE:
        text = (
            "the certificate of {host} has expired or is not valid yet, by this computer's date "
            f"({time.strftime('%Y-%m-%d')}): if the date is wrong, set it right; if not, whoever "
            "runs {host} must renew the certificate"
        )
    elif code in OF_ANOTHER_NAME:
        text = (
            "the certificate of {host} is for another name, so this may be another server: check "
            "base_url, and log in to the network if it wants that"
        )
    else:
        why = _quoted(untrusted.verify_message)
        text = (
            f"the certificate of {{host}} is not trusted ({why}): if your company inspects TLS, "
            "pass ca_bundle= or set SSL_CERT_FILE to the file with its certificates"
        )
    return _Meaning(text, tries_allowed=1)


def _meaning_of(failure: BaseException, name: str, proxy: str | None) -> _Meaning:
    causes = _causes(failure)
    return (
        _about_certificates(causes)
        or _about_tls(causes)
        or _about_names(causes, proxy)
        or (_about_proxy(str(failure)) if name == "ProxyError" else None)
        or _Meaning(MEANINGS[name])
    )


def _reason_of_tls(causes: Sequence[BaseException]) -> str:
    """Return OpenSSL's reason in capitals; empty if there is none, or the line was cut."""
    cut = (ssl.SSLEOFError, ssl.SSLZeroReturnError, ssl.SSLSyscallError)
    found = next(
        (c for c in causes if isinstance(c, ssl.SSLError) and not isinstance(c, cut)), None
    )
    # Python knows a name for most reasons, OpenSSL a sentence for all of them.
    reason = getattr(found, "reason", None) or str(found or "")
    return re.sub(r" ?\[[^]]*\] ?|\(_ssl.*", "", reason).strip().upper().replace(" ", "_")


def _about_tls(causes: Sequence[BaseException]) -> _Meaning | None:
    """Say why there is no encryption; a handshake that was only cut may go well the next time."""
    reason = _reason_of_tls(causes)
    if not reason or "EOF" in reason or "INTERNAL_ERROR" in reason:
        return None
    text = next(text for part, text in TLS_REASONS if re.search(part, reason))
    return _Meaning(f"{text} (OpenSSL: {_quoted(reason.lower().replace('_', ' '))})", 1)


def _about_names(causes: Sequence[BaseException], proxy: str | None) -> _Meaning | None:
    if not any(isinstance(cause, socket.gaierror) for cause in causes):
        return None
    # With a proxy it is the proxy that this computer looks up; the proxy looks up the host.
    text = "the host {host} is not found: check base_url or the network"
    if proxy:
        text = "the proxy {proxy} is not found: check HTTPS_PROXY or the network"
    return _Meaning(text, maybe_mistyped=True)


def _about_proxy(said: str) -> _Meaning:
    if "407" in said or "username/password" in said.lower() or said.startswith("Requested "):
        return _Meaning(
            "the proxy {proxy} asks for a login ({said}), and HTTPS_PROXY or ALL_PROXY holds none "
            "that it accepts: expected the scheme, then USER:PASSWORD@{proxy}",
            tries_allowed=1,
        )
    if _PROXY_COULD_NOT.search(said):
        return _Meaning(
            "the proxy {proxy} could not reach {host} ({said}): check base_url, or ask whoever "
            "runs the network whether the proxy finds this host",
            maybe_mistyped=True,
        )
    return _Meaning(MEANINGS["ProxyError"], tries_allowed=1)


def _quoted(text: object) -> str:
    """Make words of others safe for a template."""
    return str(text).replace("{", "(").replace("}", ")")


def _causes(failure: BaseException) -> list[BaseException]:
    found: list[BaseException] = []
    current: BaseException | None = failure
    while current is not None and current not in found:
        found.append(current)
        current = current.__cause__ or current.__context__
    return found
