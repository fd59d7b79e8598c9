"""Who runs what."""

import getpass
import os
import time

from lifecycle.domain.run import Run


def this_run(command: str, *, reason: str = "") -> Run:
    """A run of `command`, such as `capctl ami bake`."""
    started = time.strftime("%Y%m%d-%H%M%S", time.gmtime())
    return Run(
        id=f"{started}-{os.urandom(3).hex()}",
        command=command,
        user=this_user(),
        reason=reason,
        host=os.uname().nodename,
    )


def this_user() -> str:
    """The name of the user of this process."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a user id without a name, as in many containers
        return f"uid-{os.getuid()}"
