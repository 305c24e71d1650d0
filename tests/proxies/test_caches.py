"""A cache that ignores the body answers each call with the reply of the first."""

import pytest
from support.scenes import counts

from .scenes import Behind, applied, sandbox

NGINX = "proxy_cache_path {folder}/cache keys_zone=shared:1m;"
KEEP = "proxy_cache shared; proxy_cache_methods GET HEAD POST; proxy_cache_valid 200 10m;"
BY_PATH = KEEP + ' proxy_cache_key "$request_method$request_uri";'
BY_BODY = KEEP + ' proxy_cache_key "$request_uri$request_body"; client_body_buffer_size 1m;'

# As recipes tell it: keep the body, make POST cacheable, and forget to hash what was asked.
VARNISH_BY_PATH = """
sub vcl_recv {
  if (req.method == "POST") {
    std.cache_req_body(1MB);
    set req.http.X-Method = req.method;
    return (hash);
  }
  return (pass);
}
sub vcl_backend_fetch { set bereq.method = bereq.http.X-Method; }
sub vcl_backend_response { set beresp.ttl = 10m; }
"""
VARNISH_PASS = "sub vcl_recv { return (pass); }"

CACHES = {
    "nginx, which says so": (
        "nginx",
        {"http": NGINX, "location": BY_PATH + " add_header X-Cache-Status $upstream_cache_status;"},
    ),
    "nginx, which says nothing": ("nginx", {"http": NGINX, "location": BY_PATH}),
    "varnish": ("varnish", {"subroutines": VARNISH_BY_PATH}),
}


@pytest.mark.parametrize("cache", CACHES)
@pytest.mark.parametrize("skipped_share", [0.0, 0.05])
def test_a_reply_of_another_call_is_not_believed(gateway, cache, skipped_share):
    """Rows whose call the service never saw are in doubt, and the message names the cache."""
    name, settings = CACHES[cache]
    with sandbox(3500, skipped_share=skipped_share) as box:
        scene = Behind(gateway(name, box, **settings), box)
        result = scene.run()
        assert scene.error is not None
        assert "cache" in scene.message
        assert applied(result) <= box.members(scene.label)
        scene.gateway.configure(**({"subroutines": VARNISH_PASS} if name == "varnish" else {}))
        assert set(counts(scene.resume())) <= {"applied", "skipped"}
        assert scene.error is None


@pytest.mark.parametrize("cache", CACHES)
def test_a_reply_of_an_earlier_run_is_not_believed(gateway, cache):
    """Attach, detach, attach through a cache: no run is told that it did what it did not do."""
    name, settings = CACHES[cache]
    with sandbox(300) as box:
        scene = Behind(gateway(name, box, **settings), box)
        assert counts(scene.run("attach")) == {"applied": 300}
        assert counts(scene.run("detach")) == {"unknown": 300}
        assert "cache" in scene.message


def test_a_cache_that_minds_the_body_repeats_an_earlier_run(gateway):
    """The same call again, days or minutes later, is not answered by what was kept of the first."""
    with sandbox(30) as box:  # nginx has no room for longer keys
        scene = Behind(gateway("nginx", box, http=NGINX, location=BY_BODY), box)
        assert counts(scene.run("attach")) == {"applied": 30}
        assert counts(scene.run("detach")) == {"applied": 30}
        assert counts(scene.run("attach")) == {"unknown": 30}


@pytest.mark.parametrize("name", ["varnish", "squid", "nginx", "haproxy"])
def test_a_gateway_that_only_passes_on_does_no_harm(gateway, name):
    """What a gateway adds to a reply (Via, Age: 0, X-Cache: MISS) casts no doubt on it."""
    extra = {
        "varnish": {"subroutines": VARNISH_PASS},
        "nginx": {"location": "add_header X-Cache MISS;"},
    }
    with sandbox(1200, skipped_share=0.01) as box:
        scene = Behind(gateway(name, box, **extra.get(name, {})), box)
        assert set(counts(scene.run())) == {"applied", "skipped"}
        assert scene.error is None
