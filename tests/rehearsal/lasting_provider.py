"""`python lasting_provider.py ENGINE`: the provider, which finishes what is under way when its engine is killed.

The real one does: nobody kills it with the engine, and a request that it has begun ends in AWS.
"""

import os
import select
import shlex
import signal
import sys
import threading
from pathlib import Path

from lifecycle.rehearsal.provider import __main__ as provider
from lifecycle.rehearsal.provider.shim import NAME


def write_lasting_shim(folder: Path) -> Path:
    """The executable, in `folder`, for this provider, by the path of its file: `tests` is no installed package."""
    program = folder / NAME
    folder.mkdir(parents=True, exist_ok=True)
    program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -P {shlex.quote(__file__)} "$@"\n')
    program.chmod(0o755)
    return folder


def finish_after(parent: int) -> None:
    """Take no more requests once the process `parent` is gone; those under way end."""
    try:
        watched = os.pidfd_open(parent)
    except ProcessLookupError:
        sys.exit(1)

    def watch() -> None:
        select.select([watched], [], [])
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, daemon=True).start()


if __name__ == "__main__":
    provider.end_with = finish_after
    sys.exit(provider.main())
