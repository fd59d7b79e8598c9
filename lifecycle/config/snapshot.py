"""The target of the last command, kept so that the next one need not parse and check the file again.

It lies beside the file in `.capctl/`, once a command that changed something has made that folder. It counts as long as the bytes of the
file and of this package are the same, and no variable sets anything: what variables hold may be a secret, and is never written.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, fields
from pathlib import Path

from lifecycle.config.schema import Settings, TargetSection
from lifecycle.config.sections import section_of
from lifecycle.config.target import Target


def load_target(path: Path, name: str | None, *, environment: Mapping[str, str]) -> Target:
    """What `load.load_target` gives or raises, which is asked only where no snapshot is good."""
    snapshot = path.absolute().parent / ".capctl" / "target.json"
    key = None if _may_set(environment) else _key(path, name)
    if key and (known := _read(snapshot, key)):
        return known
    from lifecycle.config import load

    target = load.load_target(path, name, environment=environment)
    if key and key == _key(path, name):  # else somebody saved the file meanwhile
        with suppress(OSError):
            _write(snapshot, key, target)
    return target


def _may_set(environment: Mapping[str, str]) -> bool:
    """Whether a variable sets a key, or tries to."""
    keys = {key.name for key in fields(TargetSection)}
    variables = (name.removeprefix("CAPCTL_") for name in environment if name.startswith("CAPCTL_"))
    return any("__" in variable or variable.lower() in keys for variable in variables)


def _key(path: Path, name: str | None) -> bytes | None:
    """The digest of all that decides what the target is; None where it cannot be read."""
    try:
        sources = [source.read_bytes() for source in (path, *sorted(Path(__file__).parent.glob("*.py")))]
    except OSError:
        return None
    return _digest(f"target {name!r}".encode(), *sources)


def _digest(*parts: bytes) -> bytes:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(b"%d\n" % len(part) + part)
    return digest.hexdigest().encode()


def _read(snapshot: Path, key: bytes) -> Target | None:
    """The first line vouches for the key and for what follows, the values."""
    try:
        voucher, _, values = snapshot.read_bytes().partition(b"\n")
    except OSError:
        return None
    if voucher != _digest(key, values):
        return None
    known = json.loads(values)
    settings = section_of(Settings, known.pop("settings"))
    return Target(**known, folder=snapshot.parent.parent, settings=settings)


def _write(snapshot: Path, key: bytes, target: Target) -> None:
    values = json.dumps({name: value for name, value in asdict(target).items() if name != "folder"}).encode()
    partial = snapshot.with_suffix(f".{os.getpid()}")
    try:
        with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as stream:
            stream.write(_digest(key, values) + b"\n" + values)
        partial.replace(snapshot)
    finally:
        partial.unlink(missing_ok=True)
