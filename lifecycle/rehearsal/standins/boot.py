"""The check that an instance of an AMI runs on its own disk, for stages without machines: done on the folders that hold that disk."""

from __future__ import annotations

import json
import logging
import shlex
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lifecycle.domain.boot import FAILURE_SCHEMA
from lifecycle.domain.evidence import SCHEMA
from lifecycle.domain.models import MARKER
from lifecycle.rehearsal.standins.payload import MODEL_ROOT, described

_log = logging.getLogger(__name__)
_TIMEOUT_S = 30


def simulate_boot(script: str, layers: Sequence[Path], why: str) -> bool:
    """Report what lies in `layers`, the top one first, to the address that the user data names, as simulated for the reason `why`.

    Returns: whether it could; the report is compared with the model set by whoever reads it.
    """
    address = _value(script, "REPORT_URL")
    if not address:
        return False
    report = {**(_leftover(layers) or _evidence(layers)), "simulated": why}
    request = urllib.request.Request(address, json.dumps(report).encode(), {"Content-Type": ""}, method="PUT")
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT_S):
            return True
    except OSError as error:
        _log.error("a simulated boot could not report: %s", error)
        return False


def _value(script: str, name: str) -> str:
    """What the script assigns to a variable on a line of its own."""
    lines = (line.partition("=") for line in script.splitlines() if line.startswith(f"{name}="))
    return next((shlex.split(value)[0] for _, _, value in lines), "")


def _leftover(layers: Sequence[Path]) -> dict[str, Any] | None:
    for layer in layers:
        for keys in (layer / "root/.ssh/authorized_keys", *layer.glob("home/*/.ssh/authorized_keys")):
            if keys.is_file() and keys.read_text().strip():
                line = f"capctl-bake: leftover: /{keys.relative_to(layer)}: holds a key"
                return {"schema": FAILURE_SCHEMA, "line": line}
    return None


def _evidence(layers: Sequence[Path]) -> dict[str, Any]:
    found: dict[str, dict[str, Any]] = {}
    marker = next((place for layer in layers if (place := layer / MODEL_ROOT / MARKER).is_file()), None)
    for layer in reversed(layers):
        root = layer / MODEL_ROOT
        found |= {
            place.relative_to(root).as_posix(): described(root, place) for place in root.rglob("*") if place.is_file()
        }
    entries = [found[path] for path in sorted(found)]
    return {
        "schema": SCHEMA,
        "instance_id": "",
        "root": f"/{MODEL_ROOT}",
        "files": [entry for entry in entries if Path(entry["path"]).name != MARKER],
        "markers": [entry for entry in entries if Path(entry["path"]).name == MARKER],
        "marker": json.loads(marker.read_bytes()) if marker else {},
    }
