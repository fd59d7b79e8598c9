"""`python -m tests.rehearsal.lasting_provider ENGINE`: the provider, which finishes what is under way when its engine is killed.

The real one does: nobody kills it with the engine, and a request that it has begun ends in AWS.
"""

import os
import select
import signal
import sys
import threading
from pathlib import Path

from lifecycle.rehearsal.programs import write_program
from lifecycle.rehearsal.provider import __main__ as provider
from lifecycle.rehearsal.provider.shim import NAME


def write_lasting_shim(folder: Path) -> Path:
    """As `write_shim`, for this provider."""
    write_program(folder, NAME, __name__ if __name__ != "__main__" else "tests.rehearsal.lasting_provider")
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
