"""`python -m tests.rehearsal.past_emulator`: the emulator, which answers some requests as it would have before a write.

A request with header `REMEMBER` lets a fork of the process stand as the account is before that request; one with header `PAST` is
answered by that fork, of which there is one at a time.
"""

from __future__ import annotations

import io
import os
import pickle
import signal
import socket
import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

from lifecycle.rehearsal.emulator.__main__ import main
from lifecycle.rehearsal.emulator.server import EmulatorServer, Wsgi

REMEMBER, PAST = "X-Test-Remember", "X-Test-Past"


class PastServer(EmulatorServer):
    """The emulator's server with its past."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._past: _Past | None = None

    def _answer(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if _asks(environ, REMEMBER):
            if self._past:
                self._past.end()
            self._past = _Past(super()._answer)
        if _asks(environ, PAST):
            assert self._past, "nothing was remembered"
            status, headers, body = self._past.ask(environ)
            start_response(status, headers)
            return [body]
        return super()._answer(environ, start_response)

    def close(self) -> None:
        if self._past:
            self._past.end()
        super().close()


class _Past:
    """A fork of this process that answers one request after the other, until it is ended or this process is gone."""

    def __init__(self, answer: Wsgi) -> None:
        here, there = socket.socketpair()
        self._pid = os.fork()
        if self._pid == 0:
            here.close()
            try:
                _serve(answer, there)
            finally:
                os._exit(0)
        there.close()
        self._lines = here.makefile("rwb")
        here.close()

    def ask(self, environ: dict[str, Any]) -> tuple[str, list[tuple[str, str]], bytes]:
        plain = {key: value for key, value in environ.items() if isinstance(value, str | bool | tuple)}
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        pickle.dump((plain, body), self._lines)
        self._lines.flush()
        status, headers, answer = pickle.load(self._lines)
        return status, headers, answer

    def end(self) -> None:
        with suppress(BrokenPipeError):
            self._lines.close()
        os.kill(self._pid, signal.SIGKILL)
        os.waitpid(self._pid, 0)


def _serve(answer: Wsgi, connection: socket.socket) -> None:
    lines = connection.makefile("rwb")
    with suppress(EOFError):
        while True:
            plain, body = pickle.load(lines)
            told: list[Any] = []
            environ = {**plain, "wsgi.input": io.BytesIO(body), "wsgi.errors": sys.stderr}
            parts = answer(environ, lambda status, headers, *_, told=told: told.extend((status, list(headers))))
            content = b"".join(parts)
            pickle.dump((*told, content), lines)
            lines.flush()


def _asks(environ: dict[str, Any], header: str) -> bool:
    return f"HTTP_{header.upper().replace('-', '_')}" in environ


if __name__ == "__main__":
    sys.exit(main(server_type=PastServer))
