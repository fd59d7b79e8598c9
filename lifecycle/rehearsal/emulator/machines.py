"""The machines that stand behind EC2 instances, by instance id."""

from __future__ import annotations

import itertools
import logging
import random
import shutil
import socket
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

from lifecycle.rehearsal.machine import Machine, MachineSpec

_log = logging.getLogger(__name__)
_FIRST_OCTETS = range(64, 255)  # 127.0-63 is left to services and resolvers of this machine


class NoAddress(Exception):
    """No address of the loopback block is free for the ssh port."""


class Machines:
    """Boots, stops and captures machines; owns their directories below `home` and their addresses.

    A network of the loopback block is chosen at random per emulator, so that two of them on one machine do not meet; each address is
    tried before it is given out.
    """

    def __init__(self, home: Path, *, ssh_port: int, rehearsal: str) -> None:
        self._home = home
        self._rehearsal = rehearsal
        self._lock = threading.RLock()
        self._machines: dict[str, Machine] = {}
        network = f"127.{random.choice(_FIRST_OCTETS)}.{random.randrange(256)}"
        self._addresses = (f"{network}.{host}" for host in itertools.chain(range(1, 255)))
        self.ssh_port = ssh_port or _free_port(f"{network}.1")
        home.mkdir(parents=True, exist_ok=True)

    def boot(self, instance_id: str, layers: tuple[Path, ...], authorized_keys: str) -> Machine:
        """Boot a new machine. Raises: machine.BootFailed, NoAddress."""
        with self._lock:
            spec = MachineSpec(
                name=instance_id,
                home=self._home / instance_id,
                layers=layers,
                address=self._free_address(),
                ssh_port=self.ssh_port,
                authorized_keys=authorized_keys,
                rehearsal=self._rehearsal,
            )
            machine = Machine(spec)
            self._machines[instance_id] = machine
        try:
            machine.boot()
        except BaseException:
            self.remove(instance_id)
            raise
        _log.info("machine %s answers on %s:%d", instance_id, spec.address, spec.ssh_port)
        return machine

    def run(self, instance_id: str, script: str, powered_off: Callable[[], None]) -> None:
        """Run user data in a machine; `powered_off` is called when the machine ends by itself, not when it is stopped or removed."""
        machine = self._machines[instance_id]
        machine.run(script)

        def watch() -> None:
            machine.wait()
            # A machine that was stopped or removed has nothing that could end by itself.
            if self._machines.get(instance_id) is machine and machine.powered_off:
                powered_off()

        threading.Thread(target=watch, name=f"power-{instance_id}", daemon=True).start()

    def disk(self, instance_id: str) -> Path:
        """The folder of what an instance without a machine holds over its image; made when it is first asked for."""
        disk = self._home / instance_id / "upper"
        disk.mkdir(parents=True, exist_ok=True)
        return disk

    def get(self, instance_id: str) -> Machine | None:
        return self._machines.get(instance_id)

    def stop(self, instance_id: str) -> None:
        if machine := self._machines.get(instance_id):
            machine.stop()

    def start(self, instance_id: str) -> None:
        if machine := self._machines.get(instance_id):
            machine.boot()

    def remove(self, instance_id: str) -> None:
        if machine := self._machines.pop(instance_id, None):
            machine.remove()
        shutil.rmtree(self._home / instance_id, ignore_errors=True)

    def capture(self, instance_id: str, destination: Path, *, reboot: bool) -> None:
        """Keep what the machine wrote as `destination`; for an instance without a machine, what was put on its `disk`, if anything.

        A running machine is stopped and booted again, as EC2 does; without `reboot` its layer is copied while it runs.
        """
        machine = self._machines.get(instance_id)
        if machine is None or (machine.running and not reboot):
            written = machine.upper if machine else self._home / instance_id / "upper"
            if written.is_dir():
                subprocess.run(["cp", "--archive", "--", str(written), str(destination)], check=True)
            return
        running = machine.running
        machine.stop()
        machine.detach_upper(destination)
        if running:
            machine.boot()

    def layers_in_use(self) -> set[Path]:
        return {layer for machine in list(self._machines.values()) for layer in machine.layers}

    def running(self) -> list[str]:
        return [name for name, machine in list(self._machines.items()) if machine.running]

    def close(self) -> None:
        for instance_id in list(self._machines):
            self.remove(instance_id)
        shutil.rmtree(self._home, ignore_errors=True)

    def _free_address(self) -> str:
        for address in self._addresses:
            if _can_bind(address, self.ssh_port):
                return address
        message = f"no address with a free port {self.ssh_port} is left in this emulator's network"
        raise NoAddress(message)


def _free_port(address: str) -> int:
    with socket.socket() as probe:
        probe.bind((address, 0))
        port: int = probe.getsockname()[1]
        return port


def _can_bind(address: str, port: int) -> bool:
    with socket.socket() as probe:
        # sshd sets it too: an address whose last connection lingers in TIME_WAIT is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError:
            return False
        return True
