"""One FFmpeg for PyAV and OpenCV: the libraries of the installed wheels, asked and loaded as the image build does it."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from images.base.shared_ffmpeg import NotShareable, lost_offers, share_ffmpeg

SITE = Path(sysconfig.get_paths()["purelib"])
GUEST = "opencv_python_headless.libs"
OFFERS = {"video decoder": ["h264", "vp9"], "demuxer": ["mov"], "encoder": ["opus"], "protocol": ["file"]}


def layers(folder: Path) -> tuple[Path, Path, Path]:
    """PyAV's libraries and OpenCV's, each in a layer of its own, and the module that loads the latter."""
    owner, guest, user = folder / "video" / "av.libs", folder / "vision" / GUEST, folder / "vision" / "cv2"
    for each, source in ((owner, SITE / "av.libs"), (guest, SITE / GUEST), (user, SITE / "cv2")):
        each.mkdir(parents=True)
        for path in sorted(source.glob("*.so*")):
            (each / path.name).symlink_to(path)
    return owner, guest, user / "cv2.abi3.so"


def content(folder: Path) -> dict[str, str]:
    return {path.name: str(path.readlink()) for path in sorted(folder.iterdir())}


def named(folder: Path, name: str) -> Path:
    return next(folder.glob(f"{name}-*.so*"))


def test_ffmpeg_of_the_second_leads_to_that_of_the_first_and_what_only_it_needed_goes(tmp_path: Path) -> None:
    owner, guest, user = layers(tmp_path)
    before = content(guest)
    lost = share_ffmpeg(owner, guest, [user])
    assert not [each for each in lost if each.startswith(("video decoder", "demuxer"))]
    after = content(guest)
    own = {name for name, link in after.items() if not link.startswith("..")}
    assert {name.partition("-")[0] for name in before.keys() - own if name.startswith(("libav", "libsw"))} == {
        *("libavcodec", "libavformat", "libavutil", "libswresample", "libswscale"),
    }
    assert {name.partition("-")[0] for name in before.keys() - after.keys()} == {
        *("libcrypto", "libdav1d", "libssl", "libvpx"),
    }
    assert all((owner / Path(link).name).exists() for name, link in after.items() if name not in own)
    assert sorted(path.name for path in guest.parent.iterdir()) == ["cv2", GUEST]
    # What OpenCV does not load has no link.
    assert not list(guest.glob("libavfilter*"))
    # As in the image, where both lie in one folder.
    owner.rename(guest.parent / owner.name)
    load = [sys.executable, "-c", "import ctypes, sys; ctypes.CDLL(sys.argv[1])", str(user)]
    subprocess.run(load, check=True, env={**os.environ, "LD_BIND_NOW": "1"})


def test_a_symbol_that_the_first_lacks_is_found_by_the_loader_and_all_stays_as_it_was(tmp_path: Path) -> None:
    owner, guest, user = layers(tmp_path)
    scaler = named(owner, "libswscale")
    scaler.unlink()
    scaler.symlink_to(named(SITE / "av.libs", "libavutil"))
    before = content(guest)
    with pytest.raises(NotShareable, match=r"LIBSWSCALE_|sws_"):
        share_ffmpeg(owner, guest, [user])
    assert content(guest) == before
    assert sorted(path.name for path in guest.parent.iterdir()) == ["cv2", GUEST]


def test_ffmpeg_of_another_version_is_left_alone(tmp_path: Path) -> None:
    owner, guest, user = layers(tmp_path)
    scaler = named(owner, "libswscale")
    scaler.rename(owner / "libswscale-88e9f973.so.8.1.100")
    before = content(guest)
    with pytest.raises(NotShareable, match="not bundle the same version"):
        share_ffmpeg(owner, guest, [user])
    assert content(guest) == before


@pytest.mark.parametrize(("kind", "name"), [("video decoder", "vp9"), ("demuxer", "mov")])
def test_what_reads_videos_must_be_offered_by_the_first(kind: str, name: str) -> None:
    owner = {**OFFERS, kind: [each for each in OFFERS[kind] if each != name]}
    with pytest.raises(NotShareable, match=f"{kind} `{name}`"):
        lost_offers(owner, OFFERS)


def test_what_else_is_lost_is_told() -> None:
    assert lost_offers({**OFFERS, "encoder": [], "protocol": ["file", "https"]}, OFFERS) == ["encoder `opus`"]
    assert lost_offers(OFFERS, OFFERS) == []


def test_all_stays_as_it_was_when_the_disk_is_full_while_links_are_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner, guest, user = layers(tmp_path)
    before, symlink_to = content(guest), Path.symlink_to
    made: list[Path] = []

    def full(path: Path, target: str) -> None:
        if made:
            raise OSError(28, "No space left on device")
        symlink_to(path, target)
        made.append(path)

    monkeypatch.setattr(Path, "symlink_to", full)
    with pytest.raises(OSError, match="No space left"):
        share_ffmpeg(owner, guest, [user])
    assert (len(made), content(guest)) == (1, before)
