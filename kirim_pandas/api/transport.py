"""One try of a request. The only module that imports the HTTP library.

Each try has a connection of its own. So no thread shares one, an interrupt can leave none
behind in an unknown state, and bytes that a server sent too many are never taken for the reply
to the next request. At the service's limits the handshake is no cost.

Foreign exceptions end in :meth:`Transport.send` and nowhere else. Ours are returned without
cause, context and the frames in which a request or a reply was held, because a notebook may
print the locals of every frame.
"""

from __future__ import annotations

import logging
import os
import platform
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

from kirim_pandas.api.address import Address
from kirim_pandas.api.deadline import Deadline
from kirim_pandas.api.failures import translated
from kirim_pandas.api.models import Reply, Request, Timeouts, not_understood
from kirim_pandas.api.protocol import MAX_REPLY_BYTES
from kirim_pandas.api.proxies import odd_scheme, proxy_for, without_login
from kirim_pandas.api.secret import Secret
from kirim_pandas.errors import ConfigurationError, KirimError, TransportError

if TYPE_CHECKING:
    import httpx


try:
    _VERSION = version("kirim-pandas")
except PackageNotFoundError:  # run from a copied folder
    _VERSION = "0"
USER_AGENT = f"kirim-pandas/{_VERSION} python/{platform.python_version()}"

HTTP_LOGGERS = (
    "httpx",
    *(f"httpcore.{part}" for part in ("connection", "http11", "http2", "proxy", "socks")),
)
"""They write down addresses with search texts, and whatever a server sends, an echo of the key
included. Our own logger tells of each try what support needs."""


class _Sending(threading.local):
    here = False


_sending = _Sending()


def _is_of_others(_: logging.LogRecord) -> bool:
    return not _sending.here


@contextmanager
def _unlogged() -> Iterator[None]:
    """Drop what the HTTP library logs in this thread; other users of it in the process log on."""
    for name in HTTP_LOGGERS:
        logging.getLogger(name).addFilter(_is_of_others)  # a second time does nothing
    _sending.here = True
    try:
        yield
    finally:
        _sending.here = False


class Transport:
    """Sends requests to one address with one key.

    Parameters
    ----------
    address
        Where to.
    secret
        The key.
    timeouts
        Of a try that writes; see :meth:`Timeouts.of`.
    ca_bundle
        Path of a file with the certificates to trust, or None for ``SSL_CERT_FILE``, else the
        usual ones.
    """

    def __init__(
        self,
        address: Address,
        secret: Secret,
        timeouts: Timeouts,
        ca_bundle: str | os.PathLike[str] | None = None,
    ) -> None:
        self._address = address
        self._secret = secret
        self._timeouts = timeouts
        self._ca_bundle = ca_bundle
        self._tls: ssl.SSLContext | None = None

    def send(self, request: Request, key: str | None) -> Reply | KirimError:
        """Send a request once, with an idempotency key or None; return a reply or an error."""
        timeouts = self._timeouts.of(request)
        with Deadline(timeouts.try_seconds) as deadline, _unlogged():
            try:
                return self._send(request, key, timeouts, deadline)
            except BaseException as raised:
                failure: BaseException = raised
                deadline.close()
        error = self._in_our_words(failure, deadline, timeouts)
        # From here on nothing may lead to the library's frames: the key stands in their locals.
        failure = failure.with_traceback(None)
        failure.__cause__ = failure.__context__ = None
        if not isinstance(failure, Exception):
            raise failure
        return error

    def _in_our_words(
        self, failure: BaseException, deadline: Deadline, timeouts: Timeouts
    ) -> KirimError:
        if isinstance(failure, KirimError):
            return failure
        if deadline.is_over:
            return TransportError(
                f"{self._address.host} did not finish its reply in {timeouts.try_seconds:g} s",
                maybe_applied=deadline.body_left,
            )
        return translated(
            failure,
            host=self._address.host,
            proxy=without_login(proxy_for(self._address)),
            maybe_applied=deadline.body_left,
        )

    def _send(
        self, request: Request, key: str | None, timeouts: Timeouts, deadline: Deadline
    ) -> Reply:
        import httpx  # here, since importing kirim_pandas should cost no more than pandas

        # Not a client, which would follow redirects, keep cookies, and cost half of each try.
        with self._connection() as connection:
            outgoing = httpx.Request(
                request.method,
                request.url,
                content=request.body,
                headers=_headers(request, key),
                extensions={"trace": deadline.trace, "timeout": _in_the_words_of_httpx(timeouts)},
            )
            # At the last step: httpx hides this header, and no other, in reprs.
            outgoing.headers["Authorization"] = f"Bearer {self._secret.reveal()}"
            response = connection.handle_request(outgoing)
            try:
                body = bytearray()
                for chunk in response.iter_raw():
                    body += chunk
                    if len(body) > MAX_REPLY_BYTES:
                        raise not_understood(f"the reply is larger than {MAX_REPLY_BYTES:,} bytes")
            finally:
                response.close()
        if deadline.is_over:  # a reply without a length looks whole when it is cut
            raise TimeoutError
        return Reply(response.status_code, dict(response.headers), bytes(body))

    def _connection(self) -> httpx.HTTPTransport:
        import httpx

        proxy = proxy_for(self._address)
        try:
            return httpx.HTTPTransport(verify=self._trust(), proxy=proxy, trust_env=False)
        except ImportError:
            raise ConfigurationError(
                f"the proxy {without_login(proxy)} speaks SOCKS, for which a part is missing: "
                'pip install "httpx[socks]"'
            ) from None
        except (ValueError, httpx.InvalidURL):
            raise ConfigurationError(
                f"the proxy of this computer's settings cannot be used{odd_scheme(proxy)}: check "
                "HTTPS_PROXY and ALL_PROXY, expected something like "
                "http://USER:PASSWORD@proxy.example:8080 or socks5://proxy.example:1080"
            ) from None

    def _trust(self) -> ssl.SSLContext:
        """Make, once, what decides whom to trust; there is no way to switch the check off."""
        if self._tls is None:
            try:
                trust = self._certificates()
            except (OSError, ssl.SSLError, TypeError, ValueError):
                raise ConfigurationError(
                    "the certificates to trust cannot be read: check ca_bundle= and SSL_CERT_FILE"
                ) from None
            trust.minimum_version = ssl.TLSVersion.TLSv1_2
            # Else SSLKEYLOGFILE would have what decrypts the key written to a file.
            trust.keylog_filename = None  # type: ignore[assignment]
            self._tls = trust
        return self._tls

    def _certificates(self) -> ssl.SSLContext:
        if self._address.base_url.startswith("http:"):
            return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # trusts nobody; is not used
        if self._ca_bundle is not None:
            return ssl.create_default_context(cafile=os.fspath(self._ca_bundle))
        import httpx

        return httpx.create_ssl_context()  # SSL_CERT_FILE, else the usual ones


def _headers(request: Request, key: str | None) -> dict[str, str]:
    headers = {
        "Accept": "application/json",
        "Accept-Encoding": "identity",
        "Cache-Control": "no-store",
        "Connection": "close",
        "User-Agent": USER_AGENT,
    }
    if request.body is not None:
        headers["Content-Type"] = "application/json"
    if key is not None:
        headers["Idempotency-Key"] = key
    return headers


def _in_the_words_of_httpx(timeouts: Timeouts) -> dict[str, float]:
    return {
        "connect": timeouts.connect_seconds,
        "write": timeouts.write_seconds,
        "read": timeouts.read_seconds,
        "pool": timeouts.connect_seconds,
    }
