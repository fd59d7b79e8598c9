"""The model set on a disk: what the provisioner scripts do on an instance, done on a folder."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from lifecycle.domain.evidence import SCHEMA
from lifecycle.domain.models import MARKER

MODEL_ROOT = "opt/dl-models"
_PARALLEL = 4
_BLOCK = 1 << 20
_TIMEOUT_S = 60


class PayloadRefused(Exception):
    """A model is not what the list says; the text is the provisioner's."""

    def __init__(self, code: str, subject: str, why: str) -> None:
        super().__init__(f"capctl-bake: {code}: {subject}: {why}")


def install(root: Path, variables: dict[str, Any]) -> tuple[str, ...]:
    """Download the files of the variable `model_list` below `root`, check each, set modes and markers.

    Returns: their paths. Raises: PayloadRefused.
    """
    with Path(variables["model_list"]).open(newline="") as lines:
        rows = list(csv.reader(lines, delimiter="\t", quoting=csv.QUOTE_NONE))
    pool = ThreadPoolExecutor(max_workers=_PARALLEL)
    try:
        installed = tuple(pool.map(lambda row: _install_one(root, *row), rows))
    finally:
        # A download that hangs must not delay the end of a bake that failed or was cancelled.
        pool.shutdown(wait=False, cancel_futures=True)
    marker = Path(variables["model_marker"]).read_bytes()
    for folder in (root, *(root / name for name in sorted({path.split("/")[0] for path in installed}))):
        (folder / MARKER).write_bytes(marker)
        (folder / MARKER).chmod(0o444)
    for place in (root, *root.rglob("*")):
        if place.is_dir():
            place.chmod(0o755)
        if os.geteuid() == 0:
            os.chown(place, 0, 0)
    return installed


def evidence_of(root: Path, instance_id: str) -> dict[str, Any]:
    """Read everything below `root` again, and report it as an instance does."""
    found = sorted(place for place in root.rglob("*") if place.is_file())
    files = [described(root, place) for place in found if place.name != MARKER]
    markers = [described(root, place) for place in found if place.name == MARKER]
    return {
        "schema": SCHEMA,
        "instance_id": instance_id,
        "root": f"/{MODEL_ROOT}",
        "files": files,
        "markers": markers,
        "marker": json.loads((root / MARKER).read_bytes()),
    }


def _install_one(root: Path, sha256: str, size: str, mode: str, url: str, path: str) -> str:
    target = root / path
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        with urllib.request.urlopen(url, timeout=_TIMEOUT_S) as answer, target.open("wb") as out:
            while block := answer.read(_BLOCK):
                out.write(block)
    except urllib.error.URLError as error:
        raise PayloadRefused("model-unreadable", path, f"the download ended with {error}") from error
    got_bytes, got_sha256 = target.stat().st_size, _sha256(target)
    if got_bytes != int(size):
        raise PayloadRefused("payload-mismatch", path, f"{got_bytes} bytes, expected {size}")
    if got_sha256 != sha256:
        raise PayloadRefused("payload-mismatch", path, f"sha256 {got_sha256}, expected {sha256}")
    target.chmod(int(mode, 8))
    return path


def described(root: Path, place: Path) -> dict[str, Any]:
    """A file below `root`, as evidence tells of it."""
    status = place.stat()
    return {
        "path": place.relative_to(root).as_posix(),
        "bytes": status.st_size,
        "sha256": _sha256(place),
        "mode": f"{status.st_mode & 0o7777:04o}",
    }


def _sha256(place: Path) -> str:
    with place.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
