"""Wall time of whole processes, taken in turns."""

import os
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Medians in seconds of two things that were timed in turns, and the median of the ratios first / second."""

    first_s: float
    second_s: float
    ratio: float


def run(*command: str, environment: Mapping[str, str] | None = None) -> str:
    """Run a command and return its stdout. Raises `RuntimeError` with its stderr when it fails."""
    ended = subprocess.run(
        command,
        env={**os.environ, **(environment or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if ended.returncode:
        raise RuntimeError(
            f"`{' '.join(command)}` ended with exit code {ended.returncode}: {ended.stderr.strip()[-2000:]}"
        )
    return ended.stdout


def seconds(action: Callable[[], object]) -> float:
    """How long `action` takes."""
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


def in_turns(first: Callable[[], object], second: Callable[[], object], *, rounds: int) -> Pair:
    """Time first, second, first, second, … after one round that does not count; what slows the machine meanwhile slows both."""
    first(), second()
    return paired([(seconds(first), seconds(second)) for _ in range(rounds)])


def paired(times: Sequence[tuple[float, float]]) -> Pair:
    """The medians of rounds."""
    return Pair(
        first_s=median(first for first, _ in times),
        second_s=median(second for _, second in times),
        ratio=median(first / second for first, second in times),
    )


def in_both_orders(first: Callable[[], object], second: Callable[[], object], *, rounds: int) -> Pair:
    """As `in_turns`, but every other round takes the second first, for things that leave the machine changed for the next."""
    first(), second()
    times = []
    for number in range(rounds):
        if number % 2:
            second_s, first_s = seconds(second), seconds(first)
        else:
            first_s, second_s = seconds(first), seconds(second)
        times.append((first_s, second_s))
    return paired(times)
