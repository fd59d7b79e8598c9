"""The locked wheels for the base image's Python, downloaded once for each lock."""

from __future__ import annotations

import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from images.errors import BaseInvalid, ToolMissing, WheelhouseFailed

# glibc of the oldest root filesystem that is supported (Debian 12 has 2.36); wheels rarely ask for more than 2.28.
NEWEST_MANYLINUX = 34
OLDEST_MANYLINUX = 17

Runner = Callable[[list[str]], "subprocess.CompletedProcess[str]"]


def _run(command: list[str]) -> subprocess.CompletedProcess[str]:
    # An interrupted pip leaves its folders where it made them.
    with tempfile.TemporaryDirectory(prefix="capctl-pip-") as scratch:
        environment = {**os.environ, "TMPDIR": scratch}
        return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


def wheelhouse(
    requirements_lock: Path,
    python_version: str,
    cache: Path,
    *,
    architecture: str = platform.machine(),
    run: Runner = _run,
    progress: Callable[[str], None] = lambda _line: None,
) -> Path:
    """A folder with one wheel for each locked requirement, for CPython `python_version` (`3.11`) on glibc Linux.

    Complete or absent: it appears under `cache` by one rename, named by the lock's hash. Every hash is checked by pip.
    Raises: BaseInvalid; ToolMissing, without pip; WheelhouseFailed, with pip's reason.
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
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}."))
    try:
        _download(requirements_lock, python_version, architecture, partial, run)
        partial.chmod(0o755)
        if not target.is_dir():
            partial.rename(target)
    except OSError:
        # Another run may have finished first; its folder holds the same wheels.
        if not target.is_dir():
            raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)
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


def _download(requirements_lock: Path, python_version: str, architecture: str, target: Path, run: Runner) -> None:
    done = run(pip_command(requirements_lock, python_version, architecture, target))
    if done.returncode == 0:
        return
    if "No module named pip" in done.stderr:
        message = f"`{sys.executable}` has no pip"
        raise ToolMissing(message, hint="Run `python3 -m ensurepip`, or install the `python3-pip` package")
    lines = [line for line in done.stderr.splitlines() if line.startswith("ERROR:")] or done.stderr.splitlines()
    reason = lines[-1].removeprefix("ERROR:").strip() if lines else f"exit status {done.returncode}"
    message = f"pip cannot download the wheels of `{requirements_lock.name}` for Python {python_version}: {reason}"
    raise WheelhouseFailed(message, hint="Check the network and that each requirement has a wheel for this Python")
