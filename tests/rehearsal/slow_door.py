"""A door in front of a server, at which requests wait."""

import threading
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class SlowDoor:
    """A server in front of another: requests of `methods` wait `hold_s` seconds or until `open` is set; the first sets `waiting`."""

    def __init__(self, address: str, *, methods: set[str], hold_s: float) -> None:
        self.open, self.waiting = threading.Event(), threading.Event()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if self.command in methods:
                    outer.waiting.set()
                    outer.open.wait(hold_s)
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                inner = HTTPConnection(address, timeout=60)
                headers = {name: value for name, value in self.headers.items() if name.lower() != "connection"}
                inner.request(self.command, self.path, body or None, headers)
                answer = inner.getresponse()
                content = answer.read()
                self.send_response(answer.status)
                for name, value in answer.getheaders():
                    if name.lower() not in {"transfer-encoding", "connection", "content-length"}:
                        self.send_header(name, value)
                length = answer.getheader("Content-Length") if self.command == "HEAD" else str(len(content))
                self.send_header("Content-Length", length or "0")
                self.end_headers()
                self.wfile.write(content)
                inner.close()

            do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_GET  # noqa: N815 - http.server's names

            def log_message(self, *arguments: object) -> None:
                return

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.open.set()
        self.server.shutdown()
        self.server.server_close()
