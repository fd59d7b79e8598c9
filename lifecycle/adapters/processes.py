"""Processes of this machine, as /proc tells of them; where there is none, nothing is told."""

from pathlib import Path

PROC = Path("/proc")


def machine_name() -> str:
    """What tells this machine, since its start, and the process ids that this process sees from any others; "" where nothing does.

    Host names do not: the containers of a CI may all have one.
    """
    try:
        return f"{(PROC / 'sys/kernel/random/boot_id').read_text().strip()}/{(PROC / 'self/ns/pid').readlink()}"
    except OSError:
        return ""


def session_and_begin(pid: int) -> tuple[int, int]:
    """The session of a process, and when it began, in ticks since the machine did; 0 for one that is not to be seen."""
    try:
        # Its name, in brackets, may have blanks and brackets.
        told = (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
        return int(told[3]), int(told[19])
    except (OSError, ValueError, IndexError):
        return 0, 0


def is_same_process(pid: int, began: int) -> bool:
    """Whether the process of that id which began then still exists, be it as one that waits to be reaped."""
    return began > 0 and (PROC / str(pid)).exists() and session_and_begin(pid)[1] in {0, began}
