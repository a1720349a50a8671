"""Servers of files on this machine, which count what they send and fail when they are told to."""

import base64
import http.client
import random
import re
import threading
import time
from email.utils import formatdate
from hashlib import md5
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote

# What can happen to an answer: a status, the connection cut in the middle of the body, a
# body that is shorter than its header says, an answer after some seconds
FAULTS = (503, 429, "cut", "short")


class Request(NamedTuple):
    """A request, and the bytes of the body that were sent for it."""

    method: str
    path: str
    status: int
    sent: int


class Server:
    """A server; subclasses have `answer(method, path, headers)`: status, headers, body.

    Attributes
    ----------
    requests : list of Request
    fault : callable
        Returns one of `FAULTS`, a number of seconds (float), or None, for method and path.
    """

    def __init__(self, fault=None):
        self.requests, self.fault = [], fault or (lambda method, path: None)
        handler = type("Handler", (Handler,), {"owner": self})
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._http.daemon_threads = True
        self.address = f"http://127.0.0.1:{self._http.server_port}"
        threading.Thread(target=self._http.serve_forever, args=[0.05]).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._http.shutdown()
        self._http.server_close()

    def paths(self, method="GET"):
        """Return the names of the files that were asked for."""
        return [
            one.path.rpartition("/")[2] for one in self.requests if one.method == method
        ]

    @property
    def sent(self):
        """Return the bytes of all bodies."""
        return sum(request.sent for request in self.requests)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_):
        pass

    def do(self):
        length = int(self.headers.get("Content-Length", 0))
        self.body = self.rfile.read(length)
        fault = self.owner.fault(self.command, self.path)
        if isinstance(fault, float):
            time.sleep(fault)
        status, headers, body = self.owner.answer(self.command, self.path, self)
        if isinstance(fault, int):
            status, headers, body = fault, {"Content-Length": "0"}, b""
        size = len(body) // 2 if fault in ("cut", "short") else len(body)
        if fault == "short" and self.command == "GET" and "Content-Length" in headers:
            headers = {**headers, "Content-Length": str(size)}
        sent = 0 if self.command == "HEAD" else size
        request = Request(self.command, unquote(self.path), status, sent)
        self.owner.requests.append(request)
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        try:
            self.wfile.write(body[:sent])
        except ConnectionError:
            self.close_connection = True
        if fault == "cut":
            self.close_connection = True

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = do


class FileServer(Server):
    """A web server of the files in a folder.

    Attributes
    ----------
    has_etag, has_time, has_ranges, has_size : bool
        What it gives.
    users : str
        User and password, as ``user:password``; nobody else gets anything.
    forbidden : set of str
        Names of files that nobody gets.
    methods : set of str
        That it knows.
    """

    def __init__(self, folder, fault=None, **given):
        self.folder, self.users, self.forbidden = Path(folder), "", set()
        self.has_etag = self.has_time = self.has_ranges = self.has_size = True
        self.methods = {"GET", "HEAD"}
        vars(self).update(given)
        super().__init__(fault)

    def answer(self, method, path, request):
        nothing = {"Content-Length": "0"}
        login = base64.b64encode(self.users.encode()).decode()
        if self.users and request.headers.get("Authorization") != f"Basic {login}":
            return 401, {**nothing, "WWW-Authenticate": 'Basic realm="x"'}, b""
        if method not in self.methods:
            return 405, nothing, b""
        file = self.folder / unquote(path).lstrip("/")
        if file.name in self.forbidden:
            return 403, nothing, b""
        if not file.is_file():
            return 404, nothing, b""
        body, status, headers = file.read_bytes(), 200, {}
        if self.has_etag:
            headers["ETag"] = f'"{md5(body).hexdigest()}"'
        if self.has_time:
            headers["Last-Modified"] = formatdate(file.stat().st_mtime, usegmt=True)
        wanted = re.fullmatch(r"bytes=(\d+)-(\d+)", request.headers.get("Range", ""))
        if wanted and self.has_ranges:
            start, last = map(int, wanted.groups())
            if start >= len(body):
                return 416, nothing, b""
            size = len(body)
            status, body = 206, body[start : last + 1]
            stop = start + len(body) - 1
            headers["Content-Range"] = f"bytes {start}-{stop}/{size}"
        if self.has_size:
            headers["Content-Length"] = str(len(body))
        else:
            headers["Connection"] = "close"
        return status, headers, body


class Proxy(Server):
    """A server that hands requests on to another one, as to an object store."""

    def __init__(self, host, port, fault=None):
        self.target = host, port
        super().__init__(fault)

    def answer(self, method, path, request):
        connection = http.client.HTTPConnection(*self.target)
        connection.request(method, path, request.body, dict(request.headers))
        answer = connection.getresponse()
        body = answer.read()
        dropped = {"connection", "transfer-encoding", "date", "server"}
        headers = {k: v for k, v in answer.getheaders() if k.lower() not in dropped}
        connection.close()
        if method != "HEAD":
            headers = {
                k: v for k, v in headers.items() if k.lower() != "content-length"
            }
            headers["Content-Length"] = str(len(body))
        return answer.status, headers, body


def some_fail(fraction, seed=0):
    """Return faults of all kinds for a fraction of the requests."""
    chance, lock = random.Random(seed), threading.Lock()

    def fault(method, path):
        with lock:
            return chance.choice(FAULTS) if chance.random() < fraction else None

    return fault
