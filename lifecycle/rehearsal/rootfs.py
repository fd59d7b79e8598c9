"""The root filesystem that a rehearsal's EC2 instances boot: a minimal system of this machine's own suite, built once and cached."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from lifecycle.errors import CapctlError
from lifecycle.rehearsal.base_parts import debian_archives

PACKAGES = ("openssh-server", "openssh-sftp-server", "sudo", "curl", "ca-certificates")
LOGIN = "ec2-user"

# A locked password ("!") makes sshd refuse the account when PAM is off; "*" is unlocked and matches no password.
_SETUP = f"""
set -eu
chroot "$1" useradd --create-home --shell /bin/bash {LOGIN}
chroot "$1" usermod --password '*' {LOGIN}
echo '{LOGIN} ALL=(ALL) NOPASSWD:ALL' > "$1/etc/sudoers.d/90-{LOGIN}"
chmod 440 "$1/etc/sudoers.d/90-{LOGIN}"
rm -f "$1"/etc/ssh/ssh_host_* "$1/etc/machine-id" "$1/etc/resolv.conf"
touch "$1/etc/hosts" "$1/etc/machine-id" "$1/etc/resolv.conf"
rm -rf "$1"/var/lib/apt/lists/* "$1"/var/cache/apt/* "$1"/var/log/* "$1/var/cache/ldconfig"
"""
_EXCLUDED = ("/usr/share/doc/*", "/usr/share/man/*", "/usr/share/info/*", "/usr/share/locale/*", "/usr/share/lintian/*")


class RootfsUnavailable(CapctlError):
    """The root filesystem of an instance could not be built here."""

    def __init__(self, message: str, *, hint: str = "", details: tuple[str, ...] = ()) -> None:
        super().__init__("rootfs-unavailable", message, hint=hint, details=details)


def recipe_digest() -> str:
    """8 hex digits over everything that shapes the tree, so that a changed recipe is built afresh."""
    text = "\n".join((*PACKAGES, _SETUP, *_EXCLUDED))
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def instance_rootfs(cache: Path, progress: Callable[[str], None]) -> Path:
    """The root filesystem below `cache`; builds it (about half a minute) when it is not there.

    `progress` gets one line per step. Safe to call from several processes at once.
    Raises: RootfsUnavailable, if mmdebstrap is missing or fails, or if this process is not root.
    """
    suite, archives = debian_archives()
    home = cache / "rootfs"
    target = home / f"instance-{suite}-{recipe_digest()}"
    if target.is_dir():
        return target
    if shutil.which("mmdebstrap") is None:
        message = "`mmdebstrap` is not installed"
        raise RootfsUnavailable(message, hint="Install it with `apt-get install mmdebstrap`")
    if os.geteuid() != 0:
        message = "building a root filesystem needs root"
        raise RootfsUnavailable(message)
    home.mkdir(parents=True, exist_ok=True)
    with (home / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not target.is_dir():
            progress(f"building the instance's root filesystem ({suite}, about 30 s, once)")
            _build(suite, archives, target)
    return target


def _build(suite: str, archives: Sequence[str], target: Path) -> None:
    with tempfile.TemporaryDirectory(prefix=".building-", dir=target.parent) as scratch:
        tree = Path(scratch) / "root"
        command = [
            "mmdebstrap",
            "--quiet",
            "--mode=root",
            "--variant=minbase",
            "--format=directory",
            f"--include={','.join(PACKAGES)}",
            '--aptopt=Apt::Install-Recommends "false"',
            '--aptopt=Acquire::Languages "none"',
            *(f"--dpkgopt=path-exclude={pattern}" for pattern in _EXCLUDED),
            f"--customize-hook={_SETUP}",
            suite,
            str(tree),
            *archives,
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
        if done.returncode != 0:
            message = f"`mmdebstrap` failed with {done.returncode} while it built `{suite}`"
            raise RootfsUnavailable(message, details=tuple(done.stderr.strip().splitlines()[-5:]))
        tree.rename(target)
