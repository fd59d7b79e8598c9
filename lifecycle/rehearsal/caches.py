"""`python -m lifecycle.rehearsal.caches`: make what every rehearsal uses, once, so that none waits for it."""

import os
import sys

from lifecycle.adapters.cache_folder import cache_folder
from lifecycle.errors import CapctlError
from lifecycle.rehearsal.base_parts import collect_base_parts
from lifecycle.rehearsal.project import requirements
from lifecycle.rehearsal.rootfs import instance_rootfs


def main() -> int:
    """Root filesystems take root; without it the rehearsal marks the parts that need them as simulated."""
    if os.geteuid() != 0:
        return 0
    try:
        instance_rootfs(cache_folder(), _say)
        collect_base_parts(requirements(), _say)
    except CapctlError as error:
        _say(f"{error.message}; the rehearsal will say which part it has to simulate")
    return 0


def _say(line: str) -> None:
    print(f"setup: {line}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
