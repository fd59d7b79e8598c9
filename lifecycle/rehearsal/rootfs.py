"""The root filesystem that a rehearsal's EC2 instances boot: a minimal system of this machine's own suite, built once and cached."""

from __future__ import annotations

import fcntl
import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from lifecycle.errors import CapctlError

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


def suite_of_this_machine() -> str:
    """The code name of the running Debian or Ubuntu, such as `bookworm`.

    Raises: RootfsUnavailable, if this is another system.
    """
    try:
        release = platform.freedesktop_os_release()
    except OSError as err:
        message = "this machine has no `os-release`, so its suite is unknown"
        raise RootfsUnavailable(message) from err
    suite = release.get("VERSION_CODENAME", "")
    if not suite:
        message = f"`os-release` of `{release.get('ID', 'this machine')}` names no suite; Debian and Ubuntu do"
        raise RootfsUnavailable(message)
    return suite


def archive_lines(suite: str, index_targets: str) -> list[str]:
    """The archives of `suite` (with its updates and security) in apt's one-line form.

    `index_targets`: lines `URI|release|component`, as `apt-get indextargets` prints them for this machine's configuration.
    """
    components: dict[tuple[str, str], list[str]] = {}
    for line in index_targets.splitlines():
        uri, _, rest = line.partition("|")
        release, _, component = rest.partition("|")
        if release == suite or release.startswith(f"{suite}-"):
            names = components.setdefault((uri, release), [])
            if component and component not in names:
                names.append(component)
    return [f"deb {uri} {release} {' '.join(names)}" for (uri, release), names in components.items() if names]


def _configured_archives(suite: str) -> list[str]:
    command = ["apt-get", "indextargets", "--format", "$(REPO_URI)|$(RELEASE)|$(COMPONENT)", "Created-By: Packages"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return archive_lines(suite, done.stdout)


def instance_rootfs(cache: Path, progress: Callable[[str], None]) -> Path:
    """The root filesystem below `cache`; builds it (about half a minute) when it is not there.

    `progress` gets one line per step. Safe to call from several processes at once.
    Raises: RootfsUnavailable, if mmdebstrap is missing or fails, or if this process is not root.
    """
    suite = suite_of_this_machine()
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
            _build(suite, _configured_archives(suite), target)
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
