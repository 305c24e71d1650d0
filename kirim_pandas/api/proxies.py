"""Which proxy leads to the service, as the environment (or the system's settings) says.

Found here, and not by the HTTP library: so a message can name the proxy, and an entry of
``NO_PROXY`` that is no host (``[::1]``, ``fe80::/10``) is passed over instead of breaking all.
"""

from __future__ import annotations

from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from kirim_pandas.api.address import Address

_SCHEMES = ("http", "https", "socks5", "socks5h")
_NAMELESS = "of HTTPS_PROXY"


def proxy_for(address: Address) -> str | None:
    """Find the proxy for requests to `address`; nothing of this computer goes through one.

    Returns
    -------
    str or None
        Its URL, with user and password if the settings hold them: never to be shown.
    """
    if address.is_loopback:
        return None
    known = getproxies()
    proxy = (known.get(urlsplit(address.base_url).scheme) or known.get("all") or "").strip()
    if not proxy or proxy_bypass(address.host):
        return None
    return proxy if "://" in proxy else f"http://{proxy}"


def odd_scheme(proxy: str | None) -> str:
    """Say which kind of proxy is not supported; nothing where it is not the kind."""
    scheme = (proxy or "").partition("://")[0].lower()
    if scheme in _SCHEMES or not scheme.isalnum() or len(scheme) > 10:
        return ""
    return f" ({scheme}:// is not supported)"


def without_login(proxy: str | None) -> str | None:
    """Name a proxy by host and port, so that neither user nor password is shown."""
    if proxy is None:
        return None
    try:
        parts = urlsplit(proxy)
    except ValueError:
        return _NAMELESS
    # With an unquoted "/" or "#" in a password, what looks like the host is a piece of the login.
    if "@" in parts.path + parts.query + parts.fragment:
        return _NAMELESS
    return parts.netloc.rpartition("@")[2]
