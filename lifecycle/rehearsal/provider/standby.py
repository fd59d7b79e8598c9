"""`python -m lifecycle.rehearsal.provider.standby SOCKET`: the provider, imported once, which becomes one each time the engine starts it.

To import it takes longer than most updates. `ask_standby.py` is what the engine starts: it says here in whose stead, and lives as long.
"""

from __future__ import annotations

import argparse
import os
import select
import signal
import socket
import sys
import threading
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

_SIZE_BYTES, _DESCRIPTORS = 8, 3


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve who asks, until the process that started this one ends or a signal comes."""
    parser = argparse.ArgumentParser(prog="python -m lifecycle.rehearsal.provider.standby", description=__doc__)
    parser.add_argument("socket", type=Path, help="where to be asked")
    parser.add_argument("--orphan", action="store_true", help="go on when the process that started this one ends")
    options = parser.parse_args(arguments)
    try:
        parents = [] if options.orphan else [os.pidfd_open(os.getppid())]
    except ProcessLookupError:
        return 1
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the providers
    with _listening(options.socket) as door:
        _import()
        while True:
            ready, _, _ = select.select([door.fileno(), *parents], [], [])
            if door.fileno() not in ready:
                return 0
            asker, _ = door.accept()
            with asker:
                # No thread runs here, so that the child has all that it needs.
                if not os.fork():
                    door.close()
                    _become(asker)


def _listening(path: Path) -> socket.socket:
    """A socket that is found at `path` only once it can be connected to."""
    door, unready = socket.socket(socket.AF_UNIX), path.with_suffix(".unready")
    # The address of a socket is 107 bytes at most.
    os.chdir(path.parent)
    door.bind(unready.name)
    door.listen(64)
    unready.rename(path)
    return door


def _import() -> None:
    from lifecycle.rehearsal.provider import __main__, rules
    from lifecycle.rehearsal.provider.clients import read_descriptions

    assert __main__
    read_descriptions()
    rules.schema()


def _become(asker: socket.socket) -> NoReturn:
    """Serve as the process that asks would: with its streams, its environment and its engine; a signal that it gets arrives here."""
    code = 1
    try:
        from lifecycle.rehearsal.provider.__main__ import serve

        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        engine = _take_place(asker)
        threading.Thread(target=_hear, args=(asker,), daemon=True).start()
        code = serve(engine)
        asker.sendall(bytes([code]))
    except Exception:
        traceback.print_exc()
    finally:
        os._exit(code)


def _take_place(asker: socket.socket) -> int:
    """Take the streams, the folder and the environment of who asks; returns the process id of the engine that started it."""
    size, descriptors, _, _ = socket.recv_fds(asker, _SIZE_BYTES, _DESCRIPTORS)
    for number, descriptor in enumerate(descriptors):
        os.dup2(descriptor, number)
        os.close(descriptor)
    with asker.makefile("rb") as stream:
        engine, folder, *variables = stream.read(int.from_bytes(size, "big")).split(b"\0")
    os.chdir(folder)
    os.environb.clear()
    for variable in variables:
        name, _, value = variable.partition(b"=")
        os.environb[name] = value
    return int(engine)


def _hear(asker: socket.socket) -> None:
    while number := asker.recv(1):
        os.kill(os.getpid(), number[0])
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main())
