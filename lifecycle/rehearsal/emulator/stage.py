"""What the mended services share: the state directory, the addresses of the other parts, the machines and AMI contents."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from lifecycle.rehearsal.emulator.layers import Layers
from lifecycle.rehearsal.emulator.machines import Machines


@dataclass(slots=True, kw_only=True)
class Stage:
    """One emulator's stage. `registry` is `host:port`; `no_machines` and `no_jobs` say why a real part is
    missing, or None: instances then are records, and jobs run as processes.

    `faults` are the mistakes of the rehearsed program that AWS would have refused and the emulator could only see; `hosted` the image of
    each Batch host, by instance id. For `relation_s` seconds a queue that was deleted keeps its compute environment from being deleted.
    """

    rehearsal: str
    state: Path
    endpoint: str
    registry: str | None
    layers: Layers
    machines: Machines
    no_machines: str | None
    no_jobs: str | None
    stop_grace_s: int = 30
    relation_s: float = 0.0
    faults: list[str] = field(default_factory=list)
    hosted: dict[str, str] = field(default_factory=dict)

    def layers_in_use(self) -> set[Path]:
        """The directories that a machine runs from, or a Batch host shows to its containers."""
        shown = {layer for image in list(self.hosted.values()) for layer in self.layers.chain(image)}
        return shown | self.machines.layers_in_use()
