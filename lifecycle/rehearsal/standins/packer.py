"""`packer` for machines where Packer, or the instance that it provisions, cannot run.

It takes the calls that capctl makes of Packer and the variables of its template. The EC2 API of the emulator sees the same instance,
AMI and tags; the models are downloaded by their URLs and checked byte for byte; but no instance boots, no provisioner script runs, and
the files are written to the folder that the emulator keeps as the instance's disk.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
import uuid
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

from lifecycle.rehearsal.programs import write_program
from lifecycle.rehearsal.standins.bake import Bake, BakeFailed

VERSION = "0.0.0-rehearsal"
BUILDER = "amazon-ebs.models"
_USAGE = "usage: packer version | validate -var-file=FILE TEMPLATE | build -machine-readable -var-file=FILE TEMPLATE"


class Cancelled(BaseException):
    """SIGTERM or SIGINT; no handler of ordinary failures may stop it."""


def write_packer(folder: Path) -> None:
    """Write the executable `packer` into `folder`, which belongs first on PATH of whatever bakes."""
    write_program(folder, "packer", __name__)


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns: 0, or 1 as Packer does for whatever goes wrong."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if words[:1] == ["version"]:
        print(f"Packer v{VERSION}")
        return 0
    files = [word.partition("=")[2] for word in words if word.startswith("-var-file=")]
    if words[:1] not in (["build"], ["validate"]) or len(files) != 1 or not Path(words[-1]).is_file():
        print(_USAGE, file=sys.stderr)
        return 1
    try:
        variables = json.loads(Path(files[0]).read_text())
    except (OSError, ValueError) as error:
        print(f"Error: the variables in {files[0]} cannot be read: {error}", file=sys.stderr)
        return 1
    return 0 if words[0] == "validate" else _build(variables)


def _build(variables: dict[str, Any]) -> int:
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _cancel)
    say("A stand-in for Packer: no instance boots")
    bake = Bake(variables, say=say)
    try:
        ami_id = bake.run()
        _write_manifest(variables, ami_id)
    except (BakeFailed, Cancelled) as failed:
        _ignore_signals()
        with suppress(Exception):
            bake.remove()
        reason = "Cleanly cancelled builds after being interrupted." if isinstance(failed, Cancelled) else str(failed)
        say(reason, kind="error")
        say(f"Build '{BUILDER}' errored: {reason}", kind="error")
        return 1
    _record(BUILDER, "artifact", "0", "id", f"{variables['region']}:{ami_id}")
    say(f"Build '{BUILDER}' finished.")
    return 0


def say(text: str, *, kind: str = "say") -> None:
    """One line of Packer's machine-readable output: `say` for a phase, `message` for a detail, `error`."""
    _record("", "ui", kind, f"{'    ' if kind == 'message' else '==> '}{BUILDER}: {text}")


def _record(target: str, *columns: str) -> None:
    escaped = [column.replace(",", "%!(PACKER_COMMA)").replace("\n", "\\n") for column in columns]
    print(int(time.time()), target, *escaped, sep=",", flush=True)


def _write_manifest(variables: dict[str, Any], ami_id: str) -> None:
    run = str(uuid.uuid4())
    build = {
        "name": "models",
        "builder_type": "amazon-ebs",
        "build_time": int(time.time()),
        "files": None,
        "artifact_id": f"{variables['region']}:{ami_id}",
        "packer_run_uuid": run,
        "custom_data": variables.get("custom_data") or {},
    }
    Path(variables["manifest"]).write_text(json.dumps({"builds": [build], "last_run_uuid": run}, indent=2) + "\n")


def _cancel(*_: object) -> NoReturn:
    raise Cancelled


def _ignore_signals() -> None:
    """The clean-up that a first signal began is not to be cut short by a second one."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)


if __name__ == "__main__":
    status = main()
    sys.stdout.flush()
    os._exit(status)  # without waiting for the threads of a cancelled download
