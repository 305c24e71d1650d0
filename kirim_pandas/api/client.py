"""The client: the one module that imports httpx, reads the clock and waits.

Each try has a connection of its own. So no thread shares one, an interrupt can leave none
behind in an unknown state, and bytes that a server sent too many are never taken for the reply
to the next request. At the service's limits the handshake is no cost.

Foreign exceptions end in :meth:`Client._exchange` and nowhere else. Ours are raised without
cause, context and the frames in which a request or a reply was held, because a notebook may
print the locals of every frame.
"""

from __future__ import annotations

import os
import platform
import ssl
import threading
import warnings
from collections.abc import Iterable
from http.cookiejar import CookieJar, DefaultCookiePolicy
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, NoReturn, Self, TypeVar
from uuid import uuid4

from kirim_pandas.api import protocol
from kirim_pandas.api.address import DEFAULT_BASE_URL, read_address
from kirim_pandas.api.caller import Caller, OnWait, shared_gate
from kirim_pandas.api.deadline import Deadline
from kirim_pandas.api.failures import translated
from kirim_pandas.api.models import BulkLabelReply, Timeouts
from kirim_pandas.api.protocol import MAX_REPLY_BYTES, Reply, Request
from kirim_pandas.api.proxies import proxy_for, without_login
from kirim_pandas.api.reading import ReadingCalls
from kirim_pandas.api.secret import hide_keys_in_logs, key_warning, read_key
from kirim_pandas.errors import (
    ApiError,
    ConfigurationError,
    InvalidInputError,
    KirimError,
    TransportError,
)

if TYPE_CHECKING:
    import httpx

__all__ = ["Client", "Timeouts"]

T = TypeVar("T")
try:
    _VERSION = version("kirim-pandas")
except PackageNotFoundError:  # run from a copied folder
    _VERSION = "0"
USER_AGENT = f"kirim-pandas/{_VERSION} python/{platform.python_version()}"


class Client(ReadingCalls):
    """A connection to Kirim: paced, retried, safe to use from several threads.

    Parameters
    ----------
    api_key
        By default the environment's ``KIRIM_API_KEY``, else ``KIRIM_KEY``.
    base_url
        By default the environment's ``KIRIM_BASE_URL``, else the documented host.
    phone_number_id
        For hosts that want it in the path; by default ``KIRIM_PHONE_NUMBER_ID``.
    timeouts
        Of one try.
    max_tries
        Most tries of one call; waiting for the rate limit is not counted.
    patience_seconds
        Longest time one call goes on after its first failure, or waits for the rate limit.
    share
        Part of the organisation's bucket to use, above 0 to 1.
    allow_http
        Allow plain http to another computer; it shows the key to the network.
    ca_bundle
        Path of a file with the certificates to trust; by default ``SSL_CERT_FILE``, else the
        usual ones.

    Raises
    ------
    ConfigurationError
        There is no usable key, or an address or a setting is not usable.

    Examples
    --------
    >>> Client("kdv_live_" + "x" * 24)
    Client(base_url='https://api-kckit.kirim.chat/v1', api_key=hidden)
    """

    def __init__(
        self,
        api_key: str | None = None,
        *,
        base_url: str | None = None,
        phone_number_id: str | None = None,
        timeouts: Timeouts | None = None,
        max_tries: int = 8,
        patience_seconds: float = 900.0,
        share: float = 0.9,
        allow_http: bool = False,
        ca_bundle: str | os.PathLike[str] | None = None,
    ) -> None:
        secret = read_key(api_key, dict(os.environ))
        del api_key  # a traceback from here on may show the locals of this frame
        if isinstance(secret, str):
            raise ConfigurationError(secret)
        if unusual := key_warning(secret):
            warnings.warn(unusual, stacklevel=2)
        if not 0.0 < share <= 1.0 or max_tries < 1 or not patience_seconds >= 0.0:
            raise ConfigurationError(
                f"found share={share}, max_tries={max_tries}, "
                f"patience_seconds={patience_seconds}; expected a share above 0 to 1, at least "
                "one try, and no negative patience"
            )
        hide_keys_in_logs()
        self._secret = secret
        self._address = read_address(
            base_url or os.environ.get("KIRIM_BASE_URL") or DEFAULT_BASE_URL,
            phone_number_id or os.environ.get("KIRIM_PHONE_NUMBER_ID") or None,
            allow_http=allow_http,
        )
        self._timeouts = timeouts or Timeouts()
        self._ca_bundle = ca_bundle
        self._tls: ssl.SSLContext | None = None
        self._gate = shared_gate(self._address.base_url, secret)
        self._caller = Caller(
            self._exchange, self._gate, self._address.host, max_tries, patience_seconds, share
        )

    def __repr__(self) -> str:
        address = getattr(self, "_address", None)  # absent in the traceback of a failed __init__
        return f"Client(base_url={address and address.base_url!r}, api_key=hidden)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Client holds a key, so it is not pickled or copied: make a new one")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let no further call begin; nothing is kept open between calls."""
        self._caller.is_closed = True

    def leave_in_flight(self) -> None:
        """Let later calls not wait for the replies to earlier ones, whose callers have left."""
        with self._gate.lock:
            self._gate.writes.forget_in_flight()

    @property
    def write_per_minute(self) -> int:
        """Writes a minute that the organisation has, as told by the service, else the free 60."""
        return self._gate.writes.limit_per_minute

    @property
    def known_limit(self) -> bool:
        """Whether the service has told the limit yet."""
        return self._gate.writes.limit_is_known

    @property
    def target(self) -> str:
        """Full URL of ``bulk_label``."""
        return self._address.url("/contacts/bulk_label", with_number=True)

    def bulk_label(
        self,
        contact_ids: Iterable[str],
        label_id: str,
        operation: str,
        *,
        idempotency_key: str | None = None,
        on_wait: OnWait | None = None,
        stop: threading.Event | None = None,
    ) -> BulkLabelReply:
        """Attach a label to up to 1000 contacts, or detach it, in one call.

        Parameters
        ----------
        contact_ids
            Distinct contact ids.
        label_id
            ``lbl_…``
        operation
            ``"attach"`` or ``"detach"``.
        idempotency_key
            Sent with each try of this call; by default a fresh one.
        on_wait
            Called with a short reason and seconds before each wait worth telling.
        stop
            Ends a wait at once when set; a request on its way is not aborted.

        Returns
        -------
        BulkLabelReply
            Counts of applied and skipped contacts; nobody is named.

        Raises
        ------
        InvalidInputError
            An argument is not usable; nothing was sent.
        KirimError
            The call failed; ``maybe_applied`` tells whether it may still have been carried out.
        """
        ids = [contact_ids] if isinstance(contact_ids, str) else list(contact_ids)
        request = protocol.bulk_label_request(
            self._address, ids, label_id=label_id, operation=operation
        )
        if idempotency_key is not None and not protocol.is_usable_key(idempotency_key):
            raise InvalidInputError(
                "idempotency_key: expected 1 to 255 ASCII characters without blanks"
            )

        def parse(reply: Reply) -> BulkLabelReply:
            return protocol.parse_bulk_label(reply, request, self._secret)

        key = idempotency_key or str(uuid4())
        outcome = self._caller.settle(request, parse, key=key, on_wait=on_wait, stop=stop)
        if idempotency_key is None and isinstance(outcome, ApiError) and _is_stored(outcome):
            # The service keeps bringing the failure it has stored under our own key. A second
            # one is safe: attaching twice, or detaching twice, is the same as once.
            key = str(uuid4())
            outcome = self._caller.settle(request, parse, key=key, on_wait=on_wait, stop=stop)
        if isinstance(outcome, KirimError):
            raise outcome
        return outcome

    def _exchange(self, request: Request, key: str | None) -> Reply | KirimError:
        """Send a request once, and translate whatever the HTTP library raises."""
        with Deadline(self._timeouts.try_seconds) as deadline:
            try:
                return self._send(request, key, deadline)
            except BaseException as raised:
                failure: BaseException = raised
        error = translated(
            failure,
            host=self._address.host,
            was_reached=self._caller.was_reached,
            proxy=without_login(proxy_for(self._address)),
        )
        # From here on nothing may lead to the library's frames: the key stands in their locals.
        failure = failure.with_traceback(None)
        failure.__cause__ = failure.__context__ = None
        if isinstance(failure, KirimError):
            return failure
        if not isinstance(failure, Exception):
            raise failure
        if deadline.is_over:
            return TransportError(
                f"{self._address.host} did not finish its reply in "
                f"{self._timeouts.try_seconds:g} s",
                maybe_applied=True,
            )
        return error

    def _send(self, request: Request, key: str | None, deadline: Deadline) -> Reply:
        import httpx  # here, since importing kirim_pandas should cost no more than pandas

        headers = {
            "Accept": "application/json",
            "Accept-Encoding": "identity",
            "Connection": "close",
            "User-Agent": USER_AGENT,
        }
        if request.body is not None:
            headers["Content-Type"] = "application/json"
        if key is not None:
            headers["Idempotency-Key"] = key
        times = self._timeouts
        try:
            http = httpx.Client(
                verify=self._trust(),
                cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
                timeout=httpx.Timeout(
                    connect=times.connect_seconds,
                    write=times.write_seconds,
                    read=times.read_seconds,
                    pool=times.connect_seconds,
                ),
                proxy=proxy_for(self._address),
                trust_env=False,
            )
        except (ValueError, ImportError, httpx.InvalidURL):
            raise ConfigurationError(
                "the proxy of this computer's settings cannot be used: check HTTPS_PROXY and "
                "ALL_PROXY, expected something like http://USER:PASSWORD@proxy.example:8080"
            ) from None
        with http:
            outgoing = http.build_request(
                request.method,
                request.url,
                content=request.body,
                headers=headers,
                extensions={"trace": deadline.trace},
            )
            # A redirect would take the key and the body to another host.
            response = http.send(
                outgoing, auth=self._authorize, stream=True, follow_redirects=False
            )
            try:
                body = bytearray()
                for chunk in response.iter_raw():
                    body += chunk
                    if len(body) > MAX_REPLY_BYTES:
                        raise protocol.not_understood(
                            f"the reply is larger than {MAX_REPLY_BYTES:,} bytes"
                        )
            finally:
                response.close()
        if deadline.is_over:  # a reply without a length looks whole when it is cut
            raise TimeoutError
        return Reply(response.status_code, dict(response.headers), bytes(body))

    def _authorize(self, outgoing: httpx.Request) -> httpx.Request:
        """Put the key in at the last step: httpx hides this header, and no other, in reprs."""
        outgoing.headers["Authorization"] = f"Bearer {self._secret.reveal()}"
        return outgoing

    def _trust(self) -> ssl.SSLContext:
        """Make, once, what decides whom to trust; there is no way to switch the check off."""
        if self._tls is not None:
            return self._tls
        import httpx

        try:
            if self._address.base_url.startswith("http:"):
                trust = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # trusts nobody; is not used
            elif self._ca_bundle is not None:
                trust = ssl.create_default_context(cafile=os.fspath(self._ca_bundle))
            else:
                trust = httpx.create_ssl_context()  # SSL_CERT_FILE, else the usual ones
        except (OSError, ssl.SSLError):
            raise ConfigurationError(
                "the certificates to trust cannot be read: check ca_bundle= and SSL_CERT_FILE"
            ) from None
        trust.minimum_version = ssl.TLSVersion.TLSv1_2
        # Else SSLKEYLOGFILE would have what decrypts the key written to a file.
        trust.keylog_filename = None  # type: ignore[assignment]
        self._tls = trust
        return trust


def _is_stored(error: ApiError) -> bool:
    """Whether the same key would bring the same failure for ever."""
    return error.replayed and error.maybe_applied
