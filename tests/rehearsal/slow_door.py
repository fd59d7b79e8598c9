"""A door in front of a server, at which requests wait, or answers are lost."""

import threading
from collections.abc import Callable
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Door:
    """A server in front of another, which lets every request in and every answer out."""

    def __init__(self, address: str) -> None:
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                outer.let_in(self.command)
                inner = HTTPConnection(address, timeout=60)
                headers = {name: value for name, value in self.headers.items() if name.lower() != "connection"}
                inner.request(self.command, self.path, body or None, headers)
                answer = inner.getresponse()
                content = answer.read()
                inner.close()
                if not outer.lets_out(f"{self.command} {self.path} {body.decode(errors='replace')}", answer.status):
                    return
                self.send_response(answer.status)
                for name, value in answer.getheaders():
                    if name.lower() not in {"transfer-encoding", "connection", "content-length"}:
                        self.send_header(name, value)
                length = answer.getheader("Content-Length") if self.command == "HEAD" else str(len(content))
                self.send_header("Content-Length", length or "0")
                self.end_headers()
                self.wfile.write(content)

            do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_GET  # noqa: N815 - http.server's names

            def log_message(self, *arguments: object) -> None:
                return

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def let_in(self, method: str) -> None:
        """Return when the request may go on."""

    def lets_out(self, request: str, status: int) -> bool:
        """Whether the answer comes through; else the connection ends without one. `request` is the method, the path and the body."""
        return True

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


class SlowDoor(Door):
    """Requests of `methods` wait `hold_s` seconds or until `open` is set; the first sets `waiting`."""

    def __init__(self, address: str, *, methods: set[str], hold_s: float) -> None:
        self.open, self.waiting = threading.Event(), threading.Event()
        self._methods, self._hold_s = methods, hold_s
        super().__init__(address)

    def let_in(self, method: str) -> None:
        if method in self._methods:
            self.waiting.set()
            self.open.wait(self._hold_s)

    def close(self) -> None:
        self.open.set()
        super().close()


class LosingDoor(Door):
    """The answers to requests of which `loses` is true are lost, once the server has done what they ask, whatever it says to that."""

    def __init__(self, address: str) -> None:
        self.loses: Callable[[str], bool] = lambda _: False
        self.lost: list[str] = []
        super().__init__(address)

    def lets_out(self, request: str, status: int) -> bool:
        if not self.loses(request):
            return True
        self.lost.append(f"{status} {request}")
        return False
