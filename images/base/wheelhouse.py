"""The locked wheels for the base image's Python, downloaded once for each lock."""

from __future__ import annotations

import errno
import hashlib
import os
import platform
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from images.errors import BaseInvalid, ToolMissing, WheelhouseFailed
from images.room import room_watched

# glibc of the oldest root filesystem that is supported (Debian 12 has 2.36); wheels rarely ask for more than 2.28.
NEWEST_MANYLINUX = 34
OLDEST_MANYLINUX = 17

_DISK_FULL = re.compile(r"\[Errno (?:28|122)\]|No space left on device|Disk quota exceeded")
_WRONG_HASH = re.compile(
    r"^ +(?P<package>\S+)[^\n]*:\n(?P<expected>(?: +(?:Expected \w+|Expected +or) [0-9a-f]+\n)+) +Got +(?P<got>[0-9a-f]+)$",
    re.M,
)

# Runs a command with a folder for its temporary files.
Runner = Callable[[list[str], Path], "subprocess.CompletedProcess[str]"]


def _run(command: list[str], scratch: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "TMPDIR": str(scratch)}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


def wheelhouse(
    requirements_lock: Path,
    python_version: str,
    cache: Path,
    *,
    scratch: Path | None = None,
    architecture: str = platform.machine(),
    run: Runner = _run,
    progress: Callable[[str], None] = lambda _line: None,
) -> Path:
    """A folder with one wheel for each locked requirement, for CPython `python_version` (`3.11`) on glibc Linux.

    Complete or absent: it appears under `cache` by one rename, named by the lock's hash. Every hash is checked by pip. What is not
    complete lies in `scratch`, a folder on the same disk, else in `cache`.
    Raises: BaseInvalid; ToolMissing, without pip; DiskFull; WheelhouseFailed, with pip's reason.
    """
    if not re.fullmatch(r"3\.\d+", python_version):
        message = f"`{python_version}` is not a Python minor version"
        raise BaseInvalid(message, hint="Write it as `3.12`")
    try:
        lock = requirements_lock.read_bytes()
    except OSError as err:
        message = f"The lock `{requirements_lock}` cannot be read: {err.strerror}"
        raise BaseInvalid(message, hint="Name the lock file of the job's requirements") from err
    key = hashlib.sha256(b"\n".join((lock, python_version.encode(), architecture.encode()))).hexdigest()
    target = cache / "wheelhouse" / key[:16]
    if target.is_dir():
        return target
    progress(f"Collecting the wheels of `{requirements_lock.name}` for Python {python_version}")
    full = f"The disk of `{cache}` is full: the wheels of `{requirements_lock.name}` have no room there"
    with room_watched(
        full, hint="Make room, or set XDG_CACHE_HOME to a folder on another disk, then run the command again"
    ):
        target.parent.mkdir(parents=True, exist_ok=True)
        # An interrupted pip leaves its folders where it made them.
        with tempfile.TemporaryDirectory(dir=scratch or target.parent, prefix=f".{target.name}.") as folder:
            partial, temporary = Path(folder) / "wheels", Path(folder) / "pip"
            partial.mkdir()
            temporary.mkdir()
            _download(requirements_lock, python_version, architecture, partial, lambda command: run(command, temporary))
            try:
                partial.rename(target)
            except OSError:
                # Another run may have finished first; its folder holds the same wheels.
                if not target.is_dir():
                    raise
    return target


def pip_command(requirements_lock: Path, python_version: str, architecture: str, target: Path) -> list[str]:
    """The pip call that downloads wheels for another interpreter than the running one."""
    digits = python_version.replace(".", "")
    minors = range(NEWEST_MANYLINUX, OLDEST_MANYLINUX - 1, -1)
    platforms = [f"manylinux_2_{minor}_{architecture}" for minor in minors] + [f"manylinux2014_{architecture}"]
    return [
        *(sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-input"),
        *("--only-binary=:all:", "--require-hashes", "--no-deps"),
        *("--implementation", "cp", "--python-version", python_version),
        *("--abi", f"cp{digits}", "--abi", "abi3", "--abi", "none"),
        *(option for name in platforms for option in ("--platform", name)),
        *("--dest", str(target), "--requirement", str(requirements_lock)),
    ]


def _download(
    requirements_lock: Path,
    python_version: str,
    architecture: str,
    target: Path,
    run: Callable[[list[str]], subprocess.CompletedProcess[str]],
) -> None:
    done = run(pip_command(requirements_lock, python_version, architecture, target))
    if done.returncode == 0:
        return
    if "No module named pip" in done.stderr:
        message = f"`{sys.executable}` has no pip"
        raise ToolMissing(message, hint="Run `python3 -m ensurepip`, or install the `python3-pip` package")
    if _DISK_FULL.search(done.stderr):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    if wrong := [_wrong_hash(found) for found in _WRONG_HASH.finditer(done.stderr)]:
        message = f"`{requirements_lock.name}` has other hashes than the files of the index: {'; '.join(wrong)}"
        hint = (
            "Correct the lock, or lock the requirements again; if it is right, the index or a proxy gives other files"
        )
        raise WheelhouseFailed(message, hint=hint)
    reason = _reason(done.stderr) or f"exit status {done.returncode}"
    message = f"pip cannot download the wheels of `{requirements_lock.name}` for Python {python_version}: {reason}"
    raise WheelhouseFailed(message, hint="Check the network and that each requirement has a wheel for this Python")


def _wrong_hash(found: re.Match[str]) -> str:
    """Of a package whose file has none of its hashes, as pip tells it in several lines; a lock has a hash for each of its files."""
    locked = [f"`sha256:{line.split()[-1]}`" for line in found["expected"].splitlines()]
    expected = " or ".join(locked) if len(locked) < 3 else f"{locked[0]} or one of {len(locked) - 1} others"
    return f"`{found['package']}` expected {expected}, got `sha256:{found['got']}`"


def _reason(stderr: str) -> str:
    """The last error that pip tells; where it crashed, the last line of its traceback."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    told = [line.removeprefix("ERROR:").strip() for line in lines if line.startswith("ERROR:")]
    return told[-1] if told and told[-1] != "Exception:" else next(reversed(lines), "")
