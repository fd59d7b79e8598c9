"""What is on each AMI: its own layer, and the AMI below it, down to the root filesystem of the base AMI."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """One AMI's entry. `parent` is the AMI below; `rootfs` the bottom directory of a base AMI."""

    parent: str | None
    rootfs: str | None
    registered: bool


class Layers:
    """The AMI contents below `home`: `<ami id>/root` is the AMI's own layer, `<ami id>/layer.json` its entry."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._lock = threading.RLock()
        home.mkdir(parents=True, exist_ok=True)

    def content(self, ami_id: str) -> Path:
        """The AMI's own layer; the directory exists only when the AMI changed something."""
        return self._home / ami_id / "root"

    def add_base(self, ami_id: str, rootfs: Path) -> None:
        self._write(ami_id, Layer(parent=None, rootfs=str(rootfs), registered=True))

    def add(self, ami_id: str, parent: str | None) -> Path:
        """Enter an AMI on top of `parent`, and return the place of its own layer (not created)."""
        self._write(ami_id, Layer(parent=parent, rootfs=None, registered=True))
        return self.content(ami_id)

    def chain(self, ami_id: str) -> tuple[Path, ...]:
        """Its root-filesystem directories, the top one first; empty when nothing is known of the AMI."""
        found: list[Path] = []
        at: str | None = ami_id
        while at is not None and (layer := self._read(at)) is not None:
            if self.content(at).is_dir():
                found.append(self.content(at))
            if layer.rootfs is not None:
                found.append(Path(layer.rootfs))
            at = layer.parent
        return tuple(found)

    def boots(self, ami_id: str) -> bool:
        """Whether a whole root filesystem lies below this AMI, not only loose files."""
        return any((layer / "usr/sbin/sshd").exists() for layer in self.chain(ami_id))

    def forget(self, ami_id: str, in_use: Collection[Path]) -> None:
        """The AMI is deregistered: drop its content, as soon as neither another AMI nor a path `in_use` needs it."""
        with self._lock:
            layer = self._read(ami_id)
            if layer is not None:
                self._write(ami_id, Layer(parent=layer.parent, rootfs=layer.rootfs, registered=False))
            self.collect(in_use)

    def collect(self, in_use: Collection[Path]) -> None:
        """Delete the content of every deregistered AMI that nothing needs any more."""
        with self._lock:
            while unneeded := self._unneeded(in_use):
                for ami_id in unneeded:
                    shutil.rmtree(self._home / ami_id)

    def _unneeded(self, in_use: Collection[Path]) -> list[str]:
        layers = {path.parent.name: self._read(path.parent.name) for path in self._home.glob("*/layer.json")}
        parents = {layer.parent for layer in layers.values() if layer is not None}
        return [
            ami_id
            for ami_id, layer in layers.items()
            if layer is not None
            and not layer.registered
            and ami_id not in parents
            and self.content(ami_id) not in in_use
        ]

    def _read(self, ami_id: str) -> Layer | None:
        try:
            return Layer(**json.loads((self._home / ami_id / "layer.json").read_text()))
        except FileNotFoundError:
            return None

    def _write(self, ami_id: str, layer: Layer) -> None:
        with self._lock:
            directory = self._home / ami_id
            directory.mkdir(parents=True, exist_ok=True)
            entry = {"parent": layer.parent, "rootfs": layer.rootfs, "registered": layer.registered}
            draft = directory / "layer.json.new"
            draft.write_text(json.dumps(entry) + "\n")
            draft.rename(directory / "layer.json")
