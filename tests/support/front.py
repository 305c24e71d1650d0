"""What stands between a client and the sandbox: TLS, a proxy, a host that hangs up."""

import contextlib
import socket
import threading


def closed_port():
    """A port of this computer at which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


class Front:
    """A listener that passes each request on to the sandbox, and its reply back.

    Parameters
    ----------
    port
        Of the sandbox.
    tls
        Context of a server's side, for https.
    is_proxy
        Whether a CONNECT comes first.
    """

    def __init__(self, port, *, tls=None, is_proxy=False, is_full=False):
        self.tls = tls
        self.play = {}
        """By connection from 0: another context, ``"hang up"``, or a proxy's status line."""
        self.heads = []
        """Headers of each CONNECT, in full."""
        self.connections = 0
        self._sandbox = port
        self._is_proxy = is_proxy
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=0 if is_full else 64)
        self.port = self._listener.getsockname()[1]
        self._fillers = []
        self._threads = []
        if is_full:
            self._fill()
        else:
            self.open()

    def open(self):
        """Begin to accept."""
        for filler in self._fillers:
            filler.close()
        self._fillers = []
        thread = threading.Thread(target=self._accept, daemon=True)
        self._threads.append(thread)
        thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for filler in self._fillers:
            filler.close()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(5)

    def _fill(self):
        """Take all places of the backlog, so that the next who connects hears nothing."""
        for _ in range(4):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", self.port))
            self._fillers.append(filler)

    def _accept(self):
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            connection.settimeout(10)
            played = self.play.get(self.connections)
            self.connections += 1
            thread = threading.Thread(target=self._serve, args=(connection, played), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection, played):
        with contextlib.suppress(OSError), contextlib.ExitStack() as stack:
            stack.callback(lambda: connection.close())
            if self._is_proxy:
                head, _ = request_of(connection)
                self.heads.append(head.decode())
                says = played if isinstance(played, str) else "200 Connection established"
                connection.sendall(f"HTTP/1.1 {says}\r\n\r\n".encode())
                if not says.startswith("200"):
                    return
            elif played == "hang up":
                connection.recv(10)  # in the middle of what the client says first
                return
            context = self.tls if played is None or isinstance(played, str) else played
            if context is not None:
                connection = stack.enter_context(context.wrap_socket(connection, server_side=True))
            head, body = request_of(connection)
            sandbox = socket.create_connection(("127.0.0.1", self._sandbox))
            with sandbox:
                sandbox.sendall(head + body)
                while data := sandbox.recv(65_536):
                    connection.sendall(data)


def request_of(connection):
    """Read one request: head and body."""
    data = b""
    while b"\r\n\r\n" not in data:
        more = connection.recv(65_536)
        if not more:
            raise ConnectionError
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    lengths = [int(line[15:]) for line in head.lower().split(b"\r\n") if b"content-length:" in line]
    while len(body) < sum(lengths):
        body += connection.recv(65_536)
    return head + b"\r\n\r\n", body
