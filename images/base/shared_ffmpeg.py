"""One FFmpeg for two packages that bundle the same version of it, where it is proved that the one's serves the other.

Two builds of one version of FFmpeg are not equal: each is configured by its packager. So nothing is believed of names: the libraries say
what they can read, and the dynamic loader whether they have every symbol that is asked of them, in the version asked for.

Standard library only: the image build runs this.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

# `libavcodec-57aca189.so.62.28.102`: auditwheel puts a hash of the build into the name of each library that it bundles.
_BUNDLED = re.compile(r"(?P<name>lib.+)-[0-9a-f]{8,}(?P<version>\.so(?:\.\d+)*)")
_FFMPEG = re.compile(r"lib(?:avcodec|avdevice|avfilter|avformat|avutil|swresample|swscale)-")

# Loads each library with all its symbols resolved at once, and tells which files that took. The loader itself refuses a symbol that is
# missing, or that is there in another version.
_LOAD = """
import ctypes, json, os, sys
for path in sys.argv[1:]:
    ctypes.CDLL(path, mode=os.RTLD_NOW | os.RTLD_LOCAL)
with open("/proc/self/maps") as lines:
    print(json.dumps(sorted({line.split(maxsplit=5)[5].strip() for line in lines if ".so" in line})))
"""

# What libavcodec and libavformat offer, as they tell it themselves. A decoder or encoder of type 0 is one of video.
_OFFERS = """
import ctypes, json, sys
codec, format = (ctypes.CDLL(path) for path in sys.argv[1:])

class Named(ctypes.Structure):
    _fields_ = [("name", ctypes.c_char_p), ("long_name", ctypes.c_char_p), ("type", ctypes.c_int)]

def each(library, function, *more):
    call, state = getattr(library, function), ctypes.c_void_p()
    call.restype = ctypes.c_void_p
    while found := call(ctypes.byref(state), *more):
        yield found

def names(found):
    return sorted({Named.from_address(one).name.decode() for one in found})

codec.av_codec_is_decoder.argtypes = [ctypes.c_void_p]
codecs = {one: bool(codec.av_codec_is_decoder(one)) for one in each(codec, "av_codec_iterate")}
video = {one for one, decodes in codecs.items() if decodes and Named.from_address(one).type == 0}
print(json.dumps({
    "video decoder": names(video),
    "demuxer": names(each(format, "av_demuxer_iterate")),
    "decoder": names(one for one, decodes in codecs.items() if decodes and one not in video),
    "encoder": names(one for one, decodes in codecs.items() if not decodes),
    "muxer": names(each(format, "av_muxer_iterate")),
    "protocol": sorted({ctypes.string_at(one).decode() for way in (0, 1) for one in each(format, "avio_enum_protocols", way)}),
}))
"""
# What a reader of videos cannot do without.
_NEEDED = ("video decoder", "demuxer")


class NotShareable(Exception):
    """Why each of the two keeps its own."""


def share_ffmpeg(owner: Path, guest: Path, users: Sequence[Path]) -> list[str]:
    """Let the names of the guest's FFmpeg lead to the owner's, and remove what was loaded for the guest's FFmpeg alone.

    `owner` and `guest` are folders of bundled libraries, which lie beside each other in the image though not here; `users` are the files
    that load the guest's. Returns: what the guest's FFmpeg offers and the owner's does not, none of it for reading videos.
    Raises: NotShareable, with everything as it was.
    """
    pairs = _pairs(owner, guest)
    lost = lost_offers(_offers(owner), _offers(guest))
    others = [path for path in sorted(guest.glob("*.so*")) if path not in pairs]
    before = _loaded(users)
    # By their own names too: the owner's libraries look for each other beside the name by which they were opened.
    names = {guest / path.name: path for path in sorted(owner.glob("*.so*")) if not (guest / path.name).exists()}
    with _links_in_place({**pairs, **names}, owner, guest):
        # With those that nothing loaded before: they may be opened by name while a program runs.
        after = _loaded([*users, *(path for path in others if _real(path) not in before)])
    for path in others:
        if _real(path) in before - after:
            path.unlink()
    for path, other in names.items():
        if _real(other) not in after:
            path.unlink()
    return lost


def _pairs(owner: Path, guest: Path) -> dict[Path, Path]:
    """The guest's libraries of FFmpeg, each with the owner's of the same name and version. Raises: NotShareable, if one has none."""
    theirs = {_identity(path): path for path in sorted(owner.glob("*.so*"))}
    found = {path: theirs.get(_identity(path)) for path in sorted(guest.glob("*.so*")) if _FFMPEG.match(path.name)}
    pairs = {path: other for path, other in found.items() if other}
    if not pairs or len(pairs) < len(found):
        message = "the two do not bundle the same version of it"
        raise NotShareable(message)
    return pairs


@contextmanager
def _links_in_place(links: Mapping[Path, Path], owner: Path, guest: Path) -> Iterator[None]:
    """Puts links to the owner's files in the guest's folder, in place of what has those names; takes them back on an error."""
    # The layers of the two are folders apart, until the image puts them together.
    beside = guest.parent / owner.name
    with tempfile.TemporaryDirectory(dir=guest.parent) as aside, ExitStack() as back:
        for path in filter(Path.exists, links):
            kept = path.rename(Path(aside) / path.name)
            back.callback(kept.rename, path)
        for path, other in links.items():
            path.symlink_to(f"../{owner.name}/{other.name}")
            back.callback(path.unlink)
        if not beside.exists():
            beside.symlink_to(owner.absolute())
        try:
            yield
        finally:
            if beside.is_symlink():
                beside.unlink()
        back.pop_all()


def _identity(path: Path) -> tuple[str, str]:
    bundled = _BUNDLED.fullmatch(path.name)
    return (bundled["name"], bundled["version"]) if bundled else (path.name, "")


def _real(path: Path) -> str:
    return os.path.realpath(path)


def _offers(folder: Path) -> dict[str, list[str]]:
    libraries = [next(iter(sorted(folder.glob(f"lib{name}-*.so*"))), None) for name in ("avcodec", "avformat")]
    if None in libraries:
        message = f"`{folder.name}` lacks libavcodec or libavformat"
        raise NotShareable(message)
    return dict(_asked(_OFFERS, [path for path in libraries if path]))


def lost_offers(owner: dict[str, list[str]], guest: dict[str, list[str]]) -> list[str]:
    """What `guest` offers and `owner` does not, by kind. Raises: NotShareable, if a reader of videos may need any of it."""
    missing = {kind: sorted(set(names) - set(owner[kind])) for kind, names in guest.items()}
    for kind in _NEEDED:
        if missing[kind]:
            message = f"PyAV's has no {kind} `{missing[kind][0]}`"
            raise NotShareable(message)
    return [f"{kind} `{name}`" for kind, names in missing.items() for name in names]


def _loaded(libraries: Sequence[Path]) -> frozenset[str]:
    """The files that a process maps which loads `libraries`, links followed. Raises: NotShareable, if it cannot."""
    return frozenset(map(os.path.realpath, _asked(_LOAD, libraries)))


def _asked(script: str, libraries: Sequence[Path]) -> Any:
    command = [sys.executable, "-c", script, *(str(path.absolute()) for path in libraries)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, "LD_BIND_NOW": "1"})
    if done.returncode != 0:
        raise NotShareable((done.stderr.splitlines() or [f"exit status {done.returncode}"])[-1])
    return json.loads(done.stdout)
