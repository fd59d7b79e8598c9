"""Shared libraries get smaller, and nothing of them that a process maps changes."""

from __future__ import annotations

import struct
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from images.base.shared_objects import compacted, share_ffmpeg

AVCODEC, AVUTIL = "libavcodec-{}.so.62.28.102", "libavutil-{}.so.60.26.102"


def test_compacted_library_holds_the_same_segments_at_the_same_addresses_and_loads(tmp_path: Path) -> None:
    library = next(
        path
        for path in sorted(Path(sysconfig.get_paths()["purelib"]).rglob("*.abi3.so"))
        if len(compacted(path.read_bytes())) < path.stat().st_size
    )
    before = library.read_bytes()
    after = compacted(before)
    assert mapped(after) == mapped(before)
    assert compacted(after) == after
    # In a folder as deep as its own, so that what it loads is found again.
    package = library.parents[len(library.relative_to(sysconfig.get_paths()["purelib"]).parts) - 2]
    copy = tmp_path / library.relative_to(package.parent)
    copy.parent.mkdir(parents=True)
    copy.write_bytes(after)
    (tmp_path / f"{package.name}.libs").symlink_to(package.parent / f"{package.name}.libs")
    subprocess.run([sys.executable, "-c", f"import ctypes; ctypes.CDLL({str(copy)!r})"], check=True)


def test_library_that_is_cut_off_stays_as_it_is() -> None:
    library = next(
        content
        for path in sorted(Path(sysconfig.get_paths()["purelib"]).rglob("*.abi3.so"))
        if len(compacted(content := path.read_bytes())) < len(content)
    )
    (headers,) = struct.unpack_from("<Q", library, 32)
    for length in (headers + 1, headers + 57, len(library) // 4, len(library) // 2):
        assert compacted(library[:length]) == library[:length]


@pytest.mark.parametrize("content", [b"", b"text", b"\x7fELF\x02\x01" + b"\0" * 8, b"\x7fELF\x02\x01" + b"\0" * 80])
def test_what_is_no_ordinary_library_stays_as_it_is(content: bytes) -> None:
    assert compacted(content) == content


def test_two_equal_copies_of_ffmpeg_become_one(tmp_path: Path) -> None:
    owner, guest, user = folders(tmp_path, versions_agree=True)
    share_ffmpeg(owner, guest, [user], "../av.libs")
    assert {path.name: path.readlink().name for path in guest.iterdir() if path.is_symlink()} == {
        AVCODEC.format("22222222"): AVCODEC.format("11111111"),
        AVUTIL.format("22222222"): AVUTIL.format("11111111"),
        # By these names the owner's libraries look for each other.
        AVCODEC.format("11111111"): AVCODEC.format("11111111"),
        AVUTIL.format("11111111"): AVUTIL.format("11111111"),
        "libx264-33333333.so.165": "libx264-33333333.so.165",
    }
    assert all(path.resolve().parent == owner for path in guest.iterdir() if path.is_symlink())


def test_library_that_only_the_second_copy_of_ffmpeg_needed_goes_and_all_others_stay(tmp_path: Path) -> None:
    owner, guest, user = folders(tmp_path, versions_agree=True)
    share_ffmpeg(owner, guest, [user], "../av.libs")
    left = {path.name for path in guest.iterdir() if not path.is_symlink()}
    assert left == {"libpng16-44444444.so.16", "libquadmath-55555555.so.0"}


def test_ffmpeg_of_another_version_is_left_alone(tmp_path: Path) -> None:
    owner, guest, user = folders(tmp_path, versions_agree=False)
    before = sorted(guest.iterdir())
    share_ffmpeg(owner, guest, [user], "../av.libs")
    assert sorted(guest.iterdir()) == before
    assert not any(path.is_symlink() for path in before)


def test_nothing_is_shared_without_the_owner(tmp_path: Path) -> None:
    _, guest, user = folders(tmp_path, versions_agree=True)
    before = sorted(guest.iterdir())
    share_ffmpeg(tmp_path / "nowhere", guest, [user], "../av.libs")
    assert sorted(guest.iterdir()) == before


def folders(folder: Path, *, versions_agree: bool) -> tuple[Path, Path, Path]:
    """The libraries of two wheels, as auditwheel names them, and the module that loads the second's."""
    owner, guest, user = folder / "av.libs", folder / "cv.libs", folder / "cv2.abi3.so"
    for each in (owner, guest):
        each.mkdir()
    for name in (AVCODEC, AVUTIL):
        (owner / name.format("11111111")).write_text("needs libx264-33333333.so.165")
    (owner / "libx264-33333333.so.165").write_text("")
    (guest / AVCODEC.format("22222222")).write_text("needs libvpx-66666666.so.11")
    other = AVUTIL if versions_agree else AVUTIL.replace("60.26.102", "59.39.100")
    (guest / other.format("22222222")).write_text("")
    (guest / "libvpx-66666666.so.11").write_text("")
    (guest / "libpng16-44444444.so.16").write_text("needs libquadmath-55555555.so.0")
    (guest / "libquadmath-55555555.so.0").write_text("")
    user.write_text("needs libavcodec-22222222.so.62.28.102 and libpng16-44444444.so.16")
    return owner, guest, user


def mapped(content: bytes) -> list[tuple[int, int, bytes]]:
    """Address, size in memory and content of each mapped segment; the two header fields that place things in the file blanked."""
    (table,) = struct.unpack_from("<Q", content, 32)
    size, count = struct.unpack_from("<HH", content, 54)
    headers = [struct.unpack_from("<IIQQQQQQ", content, table + n * size) for n in range(count)]
    head = table + count * size
    return [
        (address, memory, content[max(offset, head) : offset + held])
        for kind, _, offset, address, _, held, memory, _ in headers
        if kind == 1
    ]
