"""A proxy in between, for tests: tunnels by CONNECT, or leads every connection to one port as a load balancer does.

It runs in the test's own process, on a loopback port that it keeps when it is stopped and started again.
"""
# SPDX-License-Identifier: Apache-2.0

import base64
import contextlib
import re
import socket
import socketserver
import threading
import time

CONNECT = re.compile(rb"CONNECT ([^ :]+):(\d+) HTTP/1\.1\r\n")
HEAD_MOST = 16384


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True

    def handle_error(self, request, client_address):
        """Either side may go when it likes: the client tells of it."""


class Tunnel(socketserver.BaseRequestHandler):
    def handle(self):
        proxy = self.server.proxy
        to = proxy.leads_to or self.read_connect(proxy)
        if not to:
            return
        with socket.create_connection(("127.0.0.1", proxy.diverted_to or to)) as upstream, proxy.keeps(
                self.request, upstream):
            if not proxy.leads_to:
                self.request.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            threading.Thread(target=copy, args=(upstream, self.request), daemon=True).start()
            copy(self.request, upstream, proxy.rate)

    def read_connect(self, proxy):
        """The port of the tunnel that is asked for; None: it was refused."""
        head = b""
        while b"\r\n\r\n" not in head and len(head) < HEAD_MOST:
            more = self.request.recv(HEAD_MOST)
            if not more:
                return None
            head += more
        asked = CONNECT.match(head)
        if not asked:
            self.request.sendall(b"HTTP/1.1 405 Method Not Allowed\r\nContent-Length: 0\r\n\r\n")
            return None
        if proxy.user and b"Proxy-Authorization: Basic " + base64.b64encode(proxy.user.encode()) not in head:
            proxy.refused += 1
            self.request.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n"
                                 b'Proxy-Authenticate: Basic realm="proxy"\r\n\r\n')
            return None
        proxy.tunnels += 1
        return int(asked[2])


def copy(source, to, rate=None):
    """Until the source's end, of which the other side is told."""
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            to.sendall(data)
            if rate:
                time.sleep(len(data) / rate)
    with contextlib.suppress(OSError):
        to.shutdown(socket.SHUT_RDWR)


class FakeProxy:
    """`tunnels` and `refused` (407) are counted. Each of these may be set at any time, and holds for new connections:

    leads_to: the port that every connection is led to, without a CONNECT; diverted_to: a port that is reached
    instead of the one that was asked for; user: the "name:password" that it wants; rate: how many bytes a second it
    takes from the client.
    """

    def __init__(self, leads_to=None, user=None):
        self.leads_to, self.user = leads_to, user
        self.diverted_to = self.rate = None
        self.tunnels = self.refused = 0
        self.port = 0
        self.open = set()

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stop()

    def start(self):
        self.server = Server(("127.0.0.1", self.port), Tunnel)
        self.server.proxy = self
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()
        self.cut()

    @contextlib.contextmanager
    def keeps(self, *sockets):
        self.open.update(sockets)
        try:
            yield
        finally:
            self.open.difference_update(sockets)

    def cut(self):
        """Ends every connection that is open."""
        for connection in list(self.open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
