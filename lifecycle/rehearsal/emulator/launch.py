"""Starting the emulator as a process of its own."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from lifecycle.rehearsal.child import Child

_START_TIMEOUT_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class EmulatorOptions:
    """What `python -m lifecycle.rehearsal.emulator` takes; `port` and `ssh_port` 0 mean a free one."""

    state: Path
    rehearsal: str
    port: int = 0
    registry: str | None = None
    ssh_port: int = 0
    rootfs: Path | None = None
    no_engine: str | None = None
    stop_grace_s: int = 30
    relation_s: float = 0.0
    orphan: bool = False

    def arguments(self) -> list[str]:
        given = [
            *("--port", str(self.port), "--state", str(self.state), "--rehearsal", self.rehearsal),
            *("--ssh-port", str(self.ssh_port), "--stop-grace-s", str(self.stop_grace_s)),
            *("--relation-s", str(self.relation_s)),
        ]
        given += ["--registry", self.registry] if self.registry else []
        given += ["--no-engine", self.no_engine] if self.no_engine else []
        given += ["--rootfs", str(self.rootfs)] if self.rootfs else []
        return [*given, *(["--orphan"] if self.orphan else [])]


class Emulator:
    """The running emulator; ends with the `with` block, or with this process unless `orphan` is set.

    `facts` is its ready line: `endpoint`, `ssh_port`, `base_ami`, `base_ami_parameter`, `registry_events`, `no_machines`, `no_jobs`.
    """

    def __init__(self, options: EmulatorOptions, *, module: str = "lifecycle.rehearsal.emulator") -> None:
        """Start it; `module` may be another that takes the same options. Raises: PartFailed."""
        self.options = options
        options.state.mkdir(parents=True, exist_ok=True)
        log = options.state / "emulator.log"
        self._log_start = log.stat().st_size if log.exists() else 0
        command = [sys.executable, "-m", module, *options.arguments()]
        self._child = Child("emulator", command, log=log, rehearsal=options.rehearsal)
        self.facts: dict[str, Any] = {}
        self._child.await_ready(self._read_facts, timeout_s=_START_TIMEOUT_S)

    def _read_facts(self) -> bool:
        written = self._child.log.read_bytes()[self._log_start :].decode("utf-8", "replace")
        for line in written.splitlines(keepends=True):
            if line.startswith('{"schema": "capctl.emulator/1"') and line.endswith("\n"):
                self.facts = json.loads(line)
                return True
        return False

    @property
    def endpoint(self) -> str:
        return str(self.facts["endpoint"])

    @property
    def pid(self) -> int:
        return self._child.process.pid

    @property
    def log(self) -> Path:
        return self._child.log

    def close(self) -> None:
        self._child.stop(grace_s=60.0)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
