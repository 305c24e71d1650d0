"""What the HTTP library raises, in our words: the one table. Does not import the library."""

from __future__ import annotations

import socket
import ssl
import time

from kirim_pandas.errors import TransportError

__all__ = ["MEANINGS", "translated"]

MEANINGS: dict[str, tuple[bool, str]] = {
    "ConnectError": (False, "cannot connect to {host}"),
    "ConnectTimeout": (False, "cannot connect to {host} in time"),
    "PoolTimeout": (False, "no connection was free"),
    "ProxyError": (
        False,
        "the proxy {proxy} refused the connection to {host}: ask whoever runs the network to allow "
        "it, or name the host in NO_PROXY if it can be reached directly",
    ),
    "UnsupportedProtocol": (False, "the address of {host} is not usable"),
    "InvalidURL": (False, "the address of {host} is not usable"),
    "LocalProtocolError": (False, "the request to {host} could not be written"),
    "ReadTimeout": (True, "{host} did not answer in time"),
    "WriteTimeout": (True, "the request to {host} could not be sent in time"),
    "TimeoutException": (True, "{host} did not answer in time"),
    "ReadError": (True, "the connection to {host} broke before its reply was whole"),
    "WriteError": (True, "the connection to {host} broke while the request was sent"),
    "CloseError": (True, "the connection to {host} broke"),
    "NetworkError": (True, "the connection to {host} broke"),
    "RemoteProtocolError": (True, "{host} cut its reply, or answered with something else"),
    "ProtocolError": (True, "{host} answered with something that is not HTTP"),
    "DecodingError": (True, "the reply of {host} could not be decoded"),
    "Exception": (True, "the HTTP library failed while talking to {host}"),
}
"""By the name of httpx's exception class, or of its nearest base: whether the request may have
been carried out, and what happened. Nothing has left before there is a connection."""

# Codes of OpenSSL (x509_vfy.h).
OUT_OF_DATE = (9, 10)
OF_ANOTHER_NAME = (62, 64)


def translated(
    failure: BaseException, *, host: str, was_reached: bool, proxy: str | None = None
) -> TransportError:
    """Put an exception of the HTTP library into our words.

    Parameters
    ----------
    failure
        What was raised; its causes are looked through.
    host
        Named in the message.
    was_reached
        Whether `host` has answered before: then a name that is not found is an outage, else
        more likely a slip of the pen.
    proxy
        Host and port of the proxy on the way, if there is one.
    """
    names = (kind.__name__ for kind in type(failure).__mro__)
    name = next((name for name in names if name in MEANINGS), "Exception")
    maybe_applied, meaning = MEANINGS[name]
    tries_allowed = None
    causes = _causes(failure)
    untrusted = next((c for c in causes if isinstance(c, ssl.SSLCertVerificationError)), None)
    if untrusted is not None:
        tries_allowed = 1
        meaning = _about_certificate(untrusted)
    elif any(isinstance(cause, socket.gaierror) for cause in causes):
        # With a proxy it is the proxy that this computer looks up; the proxy looks up the host.
        meaning = "the host {host} is not found: check base_url or the network"
        if proxy:
            meaning = "the proxy {proxy} is not found: check HTTPS_PROXY or the network"
        tries_allowed = None if was_reached else 1
    elif name == "ProxyError" and "407" in str(failure):
        tries_allowed = 1
        meaning = (
            "the proxy {proxy} asks for a login, and HTTPS_PROXY holds none that it accepts: "
            "expected http://USER:PASSWORD@{proxy}"
        )
    elif name in ("ConnectError", "ConnectTimeout"):
        if proxy:
            meaning += " through the proxy {proxy}: check HTTPS_PROXY, NO_PROXY or the network"
        else:
            meaning += ": check base_url or the network"
    error = TransportError(meaning.format(host=host, proxy=proxy), maybe_applied=maybe_applied)
    error.tries_allowed = tries_allowed
    return error


def _about_certificate(untrusted: ssl.SSLCertVerificationError) -> str:
    """Say what is wrong with the certificate of {host}, and who can put it right."""
    code = getattr(untrusted, "verify_code", None)
    if code in OUT_OF_DATE:
        return (
            "the certificate of {host} has expired or is not valid yet, by this computer's date "
            f"({time.strftime('%Y-%m-%d')}): if the date is wrong, set it right; if not, whoever "
            "runs {host} must renew the certificate"
        )
    if code in OF_ANOTHER_NAME:
        return (
            "the certificate of {host} is for another name, so this may be another server: check "
            "base_url, and log in to the network if it wants that"
        )
    return (
        f"the certificate of {{host}} is not trusted ({untrusted.verify_message}): if your company "
        "inspects TLS, pass ca_bundle= or set SSL_CERT_FILE to the file with its certificates"
    )


def _causes(failure: BaseException) -> list[BaseException]:
    found: list[BaseException] = []
    current: BaseException | None = failure
    while current is not None and current not in found:
        found.append(current)
        current = current.__cause__ or current.__context__
    return found
