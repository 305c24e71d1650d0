#!/bin/sh
# Get the gateways that these tests put before the sandbox.  Each test starts its own, with its own
# configuration, so Debian need not start any.
set -eu

missing=
for program in nginx haproxy squid varnishd; do
    PATH="$PATH:/usr/sbin" command -v "$program" >/dev/null || missing="$missing $program"
done
if [ -n "$missing" ]; then
    rules=/usr/sbin/policy-rc.d
    if ! [ -e "$rules" ]; then
        trap 'rm -f "$rules"' EXIT
        printf '#!/bin/sh\nexit 101\n' >"$rules"
        chmod +x "$rules"
    fi
    apt-get update
    DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
        nginx-light haproxy squid varnish
fi
