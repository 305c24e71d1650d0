"""Real gateways before a sandbox: each a program of its own, with a configuration of its own."""

import contextlib
import os
import shutil
import socket
import subprocess
import time

PROGRAMS = {"nginx": "nginx", "haproxy": "haproxy", "squid": "squid", "varnish": "varnishd"}
PATIENCE_SECONDS = 30.0

NGINX = """
user root;
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log warn;
events {{}}
http {{
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  {http}
  server {{
    listen 127.0.0.1:{port};
    {server}
    location / {{
      proxy_pass http://127.0.0.1:{service};
      {location}
    }}
  }}
}}
"""

HAPROXY = """
defaults
  mode http
  timeout connect 10s
  timeout client 60s
  timeout server 60s
frontend front
  bind 127.0.0.1:{port}
  default_backend service
  {rules}
backend service
  server service 127.0.0.1:{service}
"""

SQUID = """
http_port 127.0.0.1:{port} accel defaultsite=127.0.0.1 no-vhost
cache_peer 127.0.0.1 parent {service} 0 no-query originserver login=PASSTHRU name=service
http_access allow all
cache deny all
access_log none
cache_log /dev/null
cache_store_log none
pid_filename none
coredump_dir none
shutdown_lifetime 0 seconds
{rules}
"""

VARNISH = """
vcl 4.1;
import std;
backend service {{ .host = "127.0.0.1"; .port = "{service}"; }}
{subroutines}
"""


def found(name):
    """Where a program is, or None; Debian keeps servers where not everybody's PATH leads."""
    return shutil.which(
        PROGRAMS[name], path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin"
    )


class Gateway:
    """A gateway at a port of this computer that passes requests on to a service.

    Parameters
    ----------
    name
        A key of `PROGRAMS`.
    folder
        Where it may write.
    service
        Port of what is behind it.
    **settings
        Parts of its configuration: ``http``, ``server``, ``location`` for nginx, ``rules`` for
        haproxy and squid, ``subroutines`` for Varnish.
    """

    def __init__(self, name, folder, service, **settings):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self.port = listener.getsockname()[1]
        self.base_url = f"http://127.0.0.1:{self.port}/v1"
        self._name = name
        self.folder = folder
        self._service = service
        self._process = None
        self.configure(**settings)

    def configure(self, **settings):
        """Start it anew, at the same address, with another configuration."""
        self.close()
        self.folder.mkdir(exist_ok=True)
        text, command = getattr(self, f"_{self._name}")
        parts = {"http": "", "server": "", "location": "", "rules": "", "subroutines": ""}
        given = {"folder": self.folder, "port": self.port, "service": self._service}
        path = self.folder / "configuration"
        filled = {
            name: part.replace("{folder}", str(self.folder)) for name, part in settings.items()
        }
        path.write_text(text.format(**parts | filled | given))
        with (self.folder / "output").open("wb") as output:
            self._process = subprocess.Popen(
                [found(self._name), *command(path)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        self._wait()

    def close(self):
        """End it."""
        if self._process is not None:
            self._process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(5)
            self._process.kill()
            self._process.wait(5)
            self._process = None

    _nginx = NGINX, lambda path: ["-p", str(path.parent), "-c", str(path)]
    _haproxy = HAPROXY, lambda path: ["-db", "-f", str(path)]
    _squid = SQUID, lambda path: ["-N", "-f", str(path)]

    @property
    def _varnish(self):
        return VARNISH, lambda path: [
            *("-F", "-j", "none", "-f", str(path), "-n", str(self.folder / "work")),
            *("-a", f"127.0.0.1:{self.port}", "-s", "malloc,16m"),
        ]

    def _wait(self):
        """Return when it accepts connections; raise with what it said when it does not."""
        ends = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < ends and self._process.poll() is None:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port)):
                return
            time.sleep(0.02)
        told = (self.folder / "output").read_text(errors="replace")
        self.close()
        raise RuntimeError(f"{self._name} did not start: {told[-2000:]}")
