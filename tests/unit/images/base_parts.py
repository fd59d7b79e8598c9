"""What tests of the base image are given: a lock and wheels."""

import hashlib
import zipfile
from pathlib import Path

LOCK = "six==1.17.0 --hash=sha256:" + "0" * 64 + "\n"


def make_wheel(folder: Path, name: str, files: dict[str, str]) -> str:
    folder.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(folder / name, "w") as archive:
        for path, text in files.items():
            archive.writestr(path, text)
    return hashlib.sha256((folder / name).read_bytes()).hexdigest()
