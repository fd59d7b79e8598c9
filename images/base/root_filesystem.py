"""A small root filesystem with Python, from the packages of this machine's own Debian or Ubuntu.

Packages are unpacked, not configured, so no maintainer script runs; the tar is then written afresh, so that the same
packages give the same bytes. Used where no official slim image is configured.
"""

from __future__ import annotations

import hashlib
import io
import os
import platform
import re
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from images.base.archives import host_archives, host_suite
from images.base.unpack import FIXED_MTIME_S
from images.errors import RootFilesystemFailed, ToolMissing
from images.globs import matches

PACKAGES = (
    "base-files",
    "base-passwd",
    "ca-certificates",
    "coreutils",
    "dash",
    "libc-bin",
    "libgcc-s1",
    "libstdc++6",
    "python3",
    "tzdata",
)
# Part of the cache key: raise it when the tar changes for the same packages.
RECIPE_VERSION = 1

DROPPED = (
    *("usr/share/doc/**", "usr/share/man/**", "usr/share/info/**", "usr/share/locale/**", "usr/share/lintian/**"),
    *("usr/share/perl*/**", "usr/share/debconf/**", "usr/share/zoneinfo/right/**", "usr/share/zoneinfo/posix/**"),
    *("usr/share/gcc/**", "usr/lib/valgrind/**", "usr/lib/systemd/**", "lib/systemd/**"),
    *("var/lib/apt/**", "var/lib/dpkg/**", "var/cache/**", "var/log/**", "etc/apt/**", "etc/dpkg/**", "boot/**"),
    *("dev/**", "proc/**", "sys/**", "run/**", "tmp/**", "home/**", "root/**"),
    *("usr/bin/perl*", "usr/bin/dpkg*", "usr/bin/debconf*", "usr/bin/update-alternatives", "usr/bin/openssl"),
    *("usr/bin/c_rehash", "usr/bin/localedef", "usr/bin/mawk", "**/gconv/**", "**/libperl*", "**/perl-base/**"),
    *("usr/lib/python3*/test/**", "usr/lib/python3*/idlelib/**", "usr/lib/python3*/lib2to3/**"),
    *("usr/lib/python3*/pydoc_data/**", "usr/lib/python3*/tkinter/**", "usr/lib/python3*/turtledemo/**"),
    *("usr/lib/python3*/ensurepip/**", "usr/lib/python3*/**/__pycache__/**"),
    # Modules of Python that a job does not import, and libraries which only those or programs left out above need.
    *("**/lib-dynload/_dbm.*", "**/libdb-5*", "**/lib-dynload/nis.*", "**/libnsl.so.2*", "**/libtirpc.so*"),
    *("**/libgssapi_krb5.so*", "**/libkrb5.so*", "**/libkrb5support.so*", "**/libk5crypto.so*", "**/krb5/**"),
    *("**/libcom_err.so*", "**/libkeyutils.so*", "**/libzstd.so*", "**/libexpatw.so*"),
    *("**/lib-dynload/_test*", "**/lib-dynload/_ctypes_test*", "**/lib-dynload/_xxtest*"),
)
FOLDERS: Mapping[str, int] = {
    **dict.fromkeys(("dev", "etc/ssl/certs", "proc", "root", "run", "sys", "var/cache", "var/log"), 0o755),
    **dict.fromkeys(("tmp", "var/tmp"), 0o1777),
}
CERTIFICATES = "usr/share/ca-certificates/"
BUNDLE = "etc/ssl/certs/ca-certificates.crt"

Progress = Callable[[str], None]


def root_filesystem(cache: Path, progress: Progress | None = None) -> Path:
    """The tar of a root filesystem for this machine's release, made once and kept under `cache`.

    Delete the file to take in the distribution's updates.
    Raises: ToolMissing; RootFilesystemFailed, with the tool's reason.
    """
    say = progress or (lambda _line: None)
    suite = host_suite()
    recipe = "\n".join((suite, platform.machine(), str(RECIPE_VERSION), *PACKAGES, *DROPPED))
    target = cache / "rootfs" / f"{suite}-{hashlib.sha256(recipe.encode()).hexdigest()[:12]}.tar"
    if target.is_file():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}.") as scratch:
        raw, ready = Path(scratch) / "raw.tar", Path(scratch) / "ready.tar"
        say(f"Unpacking {len(PACKAGES)} packages of `{suite}` and what they need")
        _bootstrap(suite, raw, Path(scratch))
        say("Writing the root filesystem")
        rewrite_root(raw, ready)
        python_minor(ready)
        ready.replace(target)
    return target


def python_minor(tar: Path) -> str:
    """The Python that a root filesystem holds, as `3.11`. Raises: RootFilesystemFailed, if none or several."""
    found: set[str] = set()
    with tarfile.open(tar) as archive:
        for member in archive:
            inside = re.fullmatch(r"(?:\./)?usr/(?:local/)?bin/python(3\.\d+)", member.name)
            if inside:
                found.add(inside[1])
    if len(found) != 1:
        message = f"`{tar.name}` holds {len(found)} Pythons, expected one: {', '.join(sorted(found)) or 'none'}"
        raise RootFilesystemFailed(message, hint="Delete the file and build the base again")
    return found.pop()


def rewrite_root(raw: Path, target: Path) -> None:
    """Write the tar of unpacked packages afresh: trimmed, completed, sorted, with one time and no setuid bits."""
    with tarfile.open(raw) as source, tarfile.open(target, "w", format=tarfile.PAX_FORMAT) as out:
        members = {name: member for member in source if (name := _kept_name(member))}
        added = _added(source, members)
        for name in sorted({*members, *added, *FOLDERS}, key=str.encode):
            if name in added:
                member, content = added[name]
                out.addfile(member, io.BytesIO(content))
            elif name in FOLDERS and name not in members:
                out.addfile(_plain(tarfile.TarInfo(name), tarfile.DIRTYPE, FOLDERS[name]))
            else:
                _copy(source, members[name], name, out)


def _kept_name(member: tarfile.TarInfo) -> str:
    name = member.name.removeprefix("./").rstrip("/")
    special = member.ischr() or member.isblk() or member.isfifo()
    return "" if special or name in ("", ".") or matches(name, DROPPED) else name


def _added(source: tarfile.TarFile, members: Mapping[str, tarfile.TarInfo]) -> dict[str, tuple[tarfile.TarInfo, bytes]]:
    """What the maintainer scripts would have made: users, the shell's name, the certificate bundle."""

    def content(name: str) -> bytes:
        stream = source.extractfile(members[name]) if name in members else None
        if stream is None:
            message = f"The packages hold no `{name}`"
            raise RootFilesystemFailed(message, hint="Configure an official slim Python image as the root of the base")
        return stream.read()

    certificates = sorted(name for name in members if name.startswith(CERTIFICATES) and name.endswith(".crt"))
    files = {
        "etc/passwd": content("usr/share/base-passwd/passwd.master"),
        "etc/group": content("usr/share/base-passwd/group.master"),
        "etc/hostname": b"localhost\n",
        "etc/resolv.conf": b"",
        BUNDLE: b"".join(content(name) for name in certificates),
    }
    added = {}
    for name, text in files.items():
        member = _plain(tarfile.TarInfo(name), tarfile.REGTYPE, 0o644)
        member.size = len(text)
        added[name] = (member, text)
    shells = ("bin/sh", "usr/bin/sh")
    if not any(shell in members for shell in shells):
        member = _plain(tarfile.TarInfo(shells[0] if "bin/dash" in members else shells[1]), tarfile.SYMTYPE, 0o777)
        member.linkname = "dash"
        added[member.name] = (member, b"")
    return added


def _copy(source: tarfile.TarFile, member: tarfile.TarInfo, name: str, out: tarfile.TarFile) -> None:
    # A hard link becomes a file: in sorted order its target may come later, and may have been dropped.
    content = source.extractfile(member) if member.isreg() or member.islnk() else None
    copy = _plain(tarfile.TarInfo(name), member.type, FOLDERS.get(name, member.mode & 0o1777))
    if content is not None:
        copy.type, copy.size = tarfile.REGTYPE, content.seek(0, os.SEEK_END)
        content.seek(0)
    elif member.issym():
        copy.linkname = member.linkname
    out.addfile(copy, content)


def _plain(member: tarfile.TarInfo, kind: bytes, mode: int) -> tarfile.TarInfo:
    member.type, member.mode, member.mtime = kind, mode, FIXED_MTIME_S
    return member


def _bootstrap(suite: str, target: Path, scratch: Path) -> None:
    program, path = _mmdebstrap(scratch)
    command = [
        *(program, "--quiet", "--variant=extract", f"--include={','.join(PACKAGES)}", "--format=tar"),
        *('--aptopt=Apt::Install-Recommends "false"', '--aptopt=Acquire::Languages "none"'),
        *("--dpkgopt=path-exclude=/usr/share/man/*", "--dpkgopt=path-exclude=/usr/share/doc/*"),
        *(suite, str(target), *host_archives(suite)),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, "PATH": path})
    if done.returncode != 0:
        lines = [line for line in done.stderr.splitlines() if line.startswith("E:")] or done.stderr.splitlines()
        reason = lines[-1] if lines else f"exit status {done.returncode}"
        message = f"mmdebstrap cannot unpack `{suite}`: {reason}"
        raise RootFilesystemFailed(message, hint="Run `apt-get update`, and check the apt sources of this machine")


def _mmdebstrap(scratch: Path) -> tuple[str, str]:
    """The program and the PATH to run it with; fetched from the distribution for this one run if not installed."""
    path = os.environ.get("PATH", os.defpath)
    installed = shutil.which("mmdebstrap")
    if installed:
        return installed, path
    hint = "Run `apt-get install mmdebstrap`, or configure an official slim Python image as the root of the base"
    try:
        subprocess.run(["apt-get", "download", "--quiet", "mmdebstrap"], cwd=scratch, check=True, capture_output=True)
        package = next(scratch.glob("mmdebstrap_*.deb"))
        subprocess.run(["dpkg-deb", "--extract", package.name, "tools"], cwd=scratch, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError, StopIteration) as err:
        message = "`mmdebstrap` is not installed and cannot be fetched"
        raise ToolMissing(message, hint=hint) from err
    tools = scratch / "tools" / "usr" / "bin"
    return str(tools / "mmdebstrap"), f"{tools}{os.pathsep}{path}"
