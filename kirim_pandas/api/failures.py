"""What the HTTP library raises, in our words: the one table. Does not import the library."""

from __future__ import annotations

import socket
import ssl

from kirim_pandas.api.errors import TransportError

__all__ = ["MEANINGS", "translated"]

MEANINGS: dict[str, tuple[bool, str]] = {
    "ConnectError": (False, "cannot connect to {host}"),
    "ConnectTimeout": (False, "cannot connect to {host} in time"),
    "PoolTimeout": (False, "no connection was free"),
    "ProxyError": (False, "the proxy of this network refused the connection to {host}"),
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


def translated(failure: BaseException, *, host: str, was_reached: bool) -> TransportError:
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
    """
    names = (kind.__name__ for kind in type(failure).__mro__)
    maybe_applied, meaning = next(
        (MEANINGS[name] for name in names if name in MEANINGS), MEANINGS["Exception"]
    )
    tries_allowed = None
    causes = _causes(failure)
    untrusted = next((c for c in causes if isinstance(c, ssl.SSLCertVerificationError)), None)
    if untrusted is not None:
        tries_allowed = 1
        meaning = (
            f"the certificate of {{host}} is not trusted ({untrusted.verify_message}); your "
            "company may inspect TLS: pass ca_bundle= or set SSL_CERT_FILE"
        )
    elif any(isinstance(cause, socket.gaierror) for cause in causes):
        meaning = "the host {host} is not found: check base_url or the network"
        tries_allowed = None if was_reached else 1
    elif type(failure).__name__ == "ProxyError" and "407" in str(failure):
        tries_allowed = 1
        meaning = "the proxy of this network asks for a login: put it into HTTPS_PROXY"
    elif type(failure).__name__ == "ConnectError":
        meaning += ": check base_url or the network"
    error = TransportError(meaning.format(host=host), maybe_applied=maybe_applied)
    error.tries_allowed = tries_allowed
    return error


def _causes(failure: BaseException) -> list[BaseException]:
    found: list[BaseException] = []
    current: BaseException | None = failure
    while current is not None and current not in found:
        found.append(current)
        current = current.__cause__ or current.__context__
    return found
