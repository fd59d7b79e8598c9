"""What tests of the base image are given: a lock and wheels."""

import hashlib
import json
import zipfile
from pathlib import Path

LOCK = "six==1.17.0 --hash=sha256:" + "0" * 64 + "\n"


def make_wheel(folder: Path, name: str, files: dict[str, str]) -> str:
    folder.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(folder / name, "w") as archive:
        for path, text in files.items():
            archive.writestr(path, text)
    return hashlib.sha256((folder / name).read_bytes()).hexdigest()


def make_contract(path: Path, **changes: object) -> Path:
    """A runtime contract that brings `six`; a change to None leaves the key out."""
    document = {
        "schema": "capctl.runtime-contract/1",
        "python": "3.12",
        "mount": "/opt/runtime/1",
        "packages": {"six": "1.17.0"},
        "modules": ["six"],
        "libraries": {},
        "tree_sha256": "0" * 64,
        **changes,
    }
    path.write_text(json.dumps({key: value for key, value in document.items() if value is not None}))
    return path
