"""The root filesystem of the base image: trimmed, completed, the same at any time."""

import io
import tarfile
from pathlib import Path

import pytest

from images.base.archives import host_suite
from images.base.root_filesystem import python_minor, rewrite_root
from images.errors import RootFilesystemFailed

RAW_ROOT: tuple[tuple[str, bytes, int, str], ...] = (
    ("./", tarfile.DIRTYPE, 0o755, ""),
    ("./usr/bin/python3.11", tarfile.REGTYPE, 0o755, "elf"),
    ("./usr/bin/su", tarfile.REGTYPE, 0o4755, "elf"),
    ("./usr/bin/alias", tarfile.LNKTYPE, 0o755, "./usr/bin/su"),
    ("./usr/bin/python3", tarfile.SYMTYPE, 0o777, "python3.11"),
    ("./usr/share/doc/x/copyright", tarfile.REGTYPE, 0o644, "text"),
    ("./usr/share/base-passwd/passwd.master", tarfile.REGTYPE, 0o644, "root:*:0:0::/root:/bin/sh\n"),
    ("./usr/share/base-passwd/group.master", tarfile.REGTYPE, 0o644, "root:*:0:\n"),
    ("./usr/share/ca-certificates/mozilla/b.crt", tarfile.REGTYPE, 0o644, "B\n"),
    ("./usr/share/ca-certificates/mozilla/a.crt", tarfile.REGTYPE, 0o644, "A\n"),
    ("./bin/dash", tarfile.REGTYPE, 0o755, "elf"),
    ("./dev/null", tarfile.CHRTYPE, 0o666, ""),
    ("./var/cache/apt/x.bin", tarfile.REGTYPE, 0o644, "x"),
    ("./tmp", tarfile.DIRTYPE, 0o755, ""),
)


def raw_root(path: Path, mtime_s: int, skip: str = "nothing") -> Path:
    with tarfile.open(path, "w") as tar:
        for name, kind, mode, content in RAW_ROOT:
            if skip in name:
                continue
            member = tarfile.TarInfo(name)
            member.type, member.mode, member.mtime = kind, mode, mtime_s
            if kind == tarfile.REGTYPE:
                member.size = len(content)
            else:
                member.linkname = content
            tar.addfile(member, io.BytesIO(content.encode()) if kind == tarfile.REGTYPE else None)
    return path


def test_root_is_trimmed_completed_and_the_same_at_any_time(tmp_path: Path) -> None:
    rewrite_root(raw_root(tmp_path / "1.raw", 1), tmp_path / "1.tar")
    rewrite_root(raw_root(tmp_path / "2.raw", 2), tmp_path / "2.tar")
    assert (tmp_path / "1.tar").read_bytes() == (tmp_path / "2.tar").read_bytes()
    with tarfile.open(tmp_path / "1.tar") as tar:
        members = {member.name: member for member in tar}

        def text(name: str) -> bytes:
            stream = tar.extractfile(name)
            assert stream is not None
            return stream.read()

        assert text("etc/ssl/certs/ca-certificates.crt") == b"A\nB\n"
        assert text("etc/passwd").startswith(b"root:")
        assert text("usr/bin/alias") == b"elf"
    assert members["bin/sh"].linkname == "dash"
    assert members["usr/bin/su"].mode == 0o755
    assert members["tmp"].mode == 0o1777
    assert not {"dev/null", "usr/share/doc/x/copyright", "var/cache/apt/x.bin"} & members.keys()
    assert list(members) == sorted(members, key=str.encode)
    assert python_minor(tmp_path / "1.tar") == "3.11"


@pytest.mark.parametrize(("skip", "said"), [("python3.11", "0 Pythons"), ("passwd.master", "hold no")])
def test_root_without_what_it_needs_is_refused(tmp_path: Path, skip: str, said: str) -> None:
    raw = raw_root(tmp_path / "raw", 1, skip)
    with pytest.raises(RootFilesystemFailed, match=said):  # noqa: PT012
        rewrite_root(raw, tmp_path / "tar")
        python_minor(tmp_path / "tar")


def test_suite_is_that_of_a_debian_or_ubuntu() -> None:
    assert host_suite({"ID": "ubuntu", "ID_LIKE": "debian", "VERSION_CODENAME": "noble"}) == "noble"
    with pytest.raises(RootFilesystemFailed, match="fedora"):
        host_suite({"ID": "fedora", "VERSION_CODENAME": ""})
