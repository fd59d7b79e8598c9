"""Unpack wheels into layer folders, leave out what a job never needs, and compile. Runs inside the image build.

    python3 -m images.base.unpack WHEELHOUSE LOCK TRIMS OUT

`OUT/<layer>/opt/site` holds the packages of that layer; `OUT/stdlib` the compiled interpreter library. Standard library
only, because the root filesystem has nothing else.
"""

from __future__ import annotations

import compileall
import hashlib
import os
import re
import shutil
import sys
import sysconfig
import zipfile
from pathlib import Path
from py_compile import PycInvalidationMode

from images.base.records import rewrite_records
from images.base.shared_ffmpeg import NotShareable, share_ffmpeg
from images.base.trims import Trims, read_trims

SITE = "opt/site"
FIXED_MTIME_S = 315532800

# Distributions in a layer of their own: large, and changed one at a time. All others share `LIGHT`.
LAYERS = {"av": "video", "numpy": "arrays", "onnxruntime": "inference", "opencv-python-headless": "vision"}
LIGHT = "light"
STDLIB = "stdlib"
LAYER_ORDER = (STDLIB, "arrays", "vision", "video", "inference", LIGHT)

# Parts of the interpreter's library that a job does not import; what imports them all the same compiles them in memory.
STDLIB_UNCOMPILED = re.compile(
    r"/(?:(?:ensurepip|idlelib|lib2to3|pydoc_data|test|tests|tkinter|turtledemo|site-packages|wsgiref|xmlrpc)/"
    r"|(?:_pydecimal|_pyio|doctest|imaplib|mailbox|nntplib|optparse|pdb|pickletools|pydoc|smtplib|turtle)\.py$)"
)


class UnpackFailed(Exception):
    """A wheel is not the locked one, or writes outside the site folder."""


def layer_of(wheel_name: str) -> str:
    """The layer that a wheel file goes into."""
    return LAYERS.get(re.sub(r"[-_.]+", "-", wheel_name.split("-")[0]).lower(), LIGHT)


def site_path(member: str) -> str | None:
    """Where a wheel member goes, relative to the site folder; None for scripts, headers and data of the environment.

    Raises: UnpackFailed, if it would leave the site folder.
    """
    pieces = member.split("/")
    if member.startswith("/") or ".." in pieces:
        message = f"`{member}` leaves the site folder"
        raise UnpackFailed(message)
    if not pieces[0].endswith(".data"):
        return member
    return "/".join(pieces[2:]) if len(pieces) > 2 and pieces[1] in ("purelib", "platlib") else None


def unpack_wheel(wheel: Path, site: Path, trims: Trims) -> None:
    """Extract the files of `wheel` that are not left out, executable where the wheel says so."""
    with zipfile.ZipFile(wheel) as archive:
        for member in archive.infolist():
            path = site_path(member.filename)
            if member.is_dir() or path is None or trims.leaves_out(path):
                continue
            target = site / path
            target.parent.mkdir(parents=True, exist_ok=True)
            with archive.open(member) as source, target.open("wb") as out:
                shutil.copyfileobj(source, out)
            target.chmod(0o755 if member.external_attr >> 16 & 0o100 else 0o644)


def check_wheel(wheel: Path, locked_hashes: frozenset[str]) -> None:
    """Raises: UnpackFailed, if the wheel's hash is not in the lock."""
    with wheel.open("rb") as content:
        found = hashlib.file_digest(content, "sha256").hexdigest()
    if found not in locked_hashes:
        message = f"`{wheel.name}` has hash `{found}`, which is not in the lock"
        raise UnpackFailed(message)


def share_libraries(out: Path) -> str:
    """Let OpenCV use PyAV's FFmpeg if it is proved to serve. Returns: what came of it, for the output of the build."""
    owner, guest = (out / LAYERS[name] / SITE for name in ("av", "opencv-python-headless"))
    libraries = (owner / "av.libs", guest / "opencv_python_headless.libs")
    if not all(folder.is_dir() for folder in libraries):
        return "One FFmpeg at most is bundled"
    try:
        lost = share_ffmpeg(*libraries, sorted((guest / "cv2").glob("**/*.so")))
    except NotShareable as reason:
        return f"OpenCV keeps its own FFmpeg: {reason}"
    return f"OpenCV uses PyAV's FFmpeg, which lacks {', '.join(lost) or 'nothing'} of its own"


def compile_tree(folder: Path, strip: Path) -> None:
    """Compile with unchecked hashes, so that no time of a source can make the bytecode stale.

    Raises: UnpackFailed, if `folder` is missing. Files that do not compile are left to fail when imported.
    """
    if not folder.is_dir():
        message = f"`{folder}` is missing"
        raise UnpackFailed(message)
    mode = PycInvalidationMode.UNCHECKED_HASH
    compileall.compile_dir(folder, quiet=2, stripdir=str(strip), prependdir="/", invalidation_mode=mode, workers=0)


def compile_stdlib(out: Path) -> None:
    """Compile the interpreter's library into `out`, at its own path, without copying the sources."""
    library = Path(sysconfig.get_path("stdlib"))
    for source in sorted(library.rglob("*.py")):
        if STDLIB_UNCOMPILED.search(f"{source}"):
            continue
        cache = source.parent / "__pycache__" / f"{source.stem}.{sys.implementation.cache_tag}.pyc"
        target = out / cache.relative_to("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        compileall.compile_file(source, quiet=2, invalidation_mode=PycInvalidationMode.UNCHECKED_HASH)
        if cache.exists():
            shutil.copyfile(cache, target)


def fix_times(folder: Path) -> None:
    """Give all entries one time, so that the engine's layers do not depend on when they were built."""
    for path in (folder, *folder.rglob("*")):
        os.utime(path, (FIXED_MTIME_S, FIXED_MTIME_S), follow_symlinks=False)


def main(wheelhouse: Path, lock: Path, trims_file: Path, out: Path) -> None:
    """Fill one folder below `out` for each layer, present also when empty."""
    trims = read_trims(trims_file)
    locked_hashes = frozenset(re.findall(r"--hash=sha256:([0-9a-f]{64})", lock.read_text()))
    for name in LAYER_ORDER:
        (out / name / SITE).mkdir(parents=True, exist_ok=True)
    for wheel in sorted(wheelhouse.glob("*.whl")):
        check_wheel(wheel, locked_hashes)
        unpack_wheel(wheel, out / layer_of(wheel.name) / SITE, trims)
    if trims.share_ffmpeg:
        print(share_libraries(out), flush=True)
    for name in LAYER_ORDER[1:]:
        rewrite_records(out / name / SITE, site_path)
        compile_tree(out / name / SITE, out / name)
    compile_stdlib(out / STDLIB)
    # Here, so that the working directory of the image costs no layer with the time of the build.
    (out / LIGHT / "app").mkdir()
    fix_times(out)


if __name__ == "__main__":
    try:
        main(*(Path(argument) for argument in sys.argv[1:5]))
    except (UnpackFailed, OSError, zipfile.BadZipFile) as err:
        sys.exit(f"error: {err}")
