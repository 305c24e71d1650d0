"""Which proxy leads to the service, as the environment (or the system's settings) says.

Found here, and not by the HTTP library: so a message can name the proxy, and an entry of
``NO_PROXY`` that is no host (``[::1]``, ``fe80::/10``) is passed over instead of breaking all.
"""

from __future__ import annotations

from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from kirim_pandas.api.address import Address

__all__ = ["proxy_for", "without_login"]


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
    proxy = known.get(urlsplit(address.base_url).scheme) or known.get("all")
    if not proxy or proxy_bypass(address.host):
        return None
    return proxy if "://" in proxy else f"http://{proxy}"


def without_login(proxy: str | None) -> str | None:
    """Name a proxy by host and port, so that neither user nor password is shown."""
    if proxy is None:
        return None
    try:
        parts = urlsplit(proxy)
    except ValueError:
        return "of HTTPS_PROXY"
    # With an unquoted "/" or "#" in a password, what looks like the host is a piece of the login.
    if "@" in parts.path + parts.query + parts.fragment:
        return "of HTTPS_PROXY"
    return parts.netloc.rpartition("@")[2]
