"""A machine that stands for an EC2 instance: an overlay of layers in namespaces of its own, reached over ssh.

The machine shares the network of the host, so that the emulator's services answer on loopback inside it too. Its mounts live in a
private mount namespace and its processes in a private pid namespace: stopping process 1 leaves neither behind.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from lifecycle.errors import CapctlError

REHEARSAL_VARIABLE = "CAPCTL_REHEARSAL"
_BOOT_SCRIPT = Path(__file__).with_name("machine_boot.sh")
_USER_DATA_SCRIPT = Path(__file__).with_name("machine_user_data.sh")
_TOOLS = ("unshare", "nsenter", "setpriv", "mount", "umount", "pivot_root")
_NAMESPACES = ("--mount", "--propagation", "private", "--pid", "--fork", "--kill-child", "--uts", "--ipc")
# What a machine needs for sudo, packages and files; not mount, mknod, modules, raw network or the host's clock.
_RIGHTS = (
    "-all,+chown,+dac_override,+fowner,+fsetid,+kill,+setgid,+setuid,+setpcap,+setfcap,+net_bind_service,+sys_chroot"
    ",+audit_write"
)
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# The kernel sends the parent-death signal when the *thread* that forked ends, so machines are forked by one lasting thread.
_forker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="machine-forker")


class BootFailed(CapctlError):
    """The machine did not answer over ssh; `details` are the last lines of its console."""

    def __init__(self, message: str, *, details: tuple[str, ...] = ()) -> None:
        super().__init__("machine-boot-failed", message, details=details)


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineSpec:
    """What to boot. `layers` are root-filesystem directories, the top one first; `home` is the machine's own directory.

    `authorized_keys` is the text of that file, `address` an address of the loopback block, `user` the login that may enter.
    """

    name: str
    home: Path
    layers: tuple[Path, ...]
    address: str
    ssh_port: int
    authorized_keys: str
    rehearsal: str
    user: str = "ec2-user"


def machines_supported(scratch: Path | None = None) -> str | None:
    """Why no machine can boot on this host, or None if one can.

    Tries the very mounts that a machine needs, in a directory below `scratch` (the overlay's upper layer depends on its filesystem).
    """
    if os.geteuid() != 0:
        return "this process is not root"
    missing = [tool for tool in _TOOLS if shutil.which(tool, path=_PATH) is None]
    if missing:
        return f"`{missing[0]}` is not installed"
    with tempfile.TemporaryDirectory(prefix="machine-probe-", dir=scratch) as home:
        for name in ("lower", "upper", "work", "root"):
            (Path(home) / name).mkdir()
        overlay = (
            f"mount -t overlay overlay -o lowerdir={home}/lower,upperdir={home}/upper,workdir={home}/work {home}/root"
        )
        probe = ["unshare", *_NAMESPACES, "sh", "-c", f"{overlay} && mount -t proc proc {home}/root"]
        done = subprocess.run(probe, capture_output=True, text=True, check=False, env={"PATH": _PATH})
    if done.returncode == 0:
        return None
    last = done.stderr.strip().splitlines()[-1:] or [f"status {done.returncode}"]
    return f"namespaces or overlay mounts are refused here: {last[0]}"


class Machine:
    """One machine; owns its processes and its upper layer."""

    def __init__(self, spec: MachineSpec) -> None:
        self.spec = spec
        self.layers = spec.layers
        self._process: subprocess.Popen[bytes] | None = None
        self._scripts: list[subprocess.Popen[bytes]] = []

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def powered_off(self) -> bool:
        """Whether it ended by itself, and was not stopped."""
        return self._process is not None and self._process.poll() is not None

    @property
    def upper(self) -> Path:
        """What this machine wrote over its layers."""
        return self.spec.home / "upper"

    @property
    def console(self) -> Path:
        return self.spec.home / "console.log"

    def boot(self, *, timeout_s: float = 20.0, clock: Callable[[], float] = time.monotonic) -> None:
        """Boot and wait until sshd answers; nothing happens when the machine runs.

        Raises: BootFailed, with the end of the console; the machine is then stopped.
        """
        if self.running:
            return
        self._write_files()
        command = [
            "setpriv",
            "--pdeathsig=KILL",
            "unshare",
            *_NAMESPACES,
            "sh",
            str(_BOOT_SCRIPT),
            str(self.spec.home),
            ":".join(_escaped(layer) for layer in self.layers),
            self.spec.name,
            _RIGHTS,
        ]
        with self.console.open("ab") as console:
            self._process = _forker.submit(self._fork, command, console.fileno()).result()
        deadline = clock() + timeout_s
        while not _answers(self.spec.address, self.spec.ssh_port):
            if not self.running or clock() > deadline:
                ended = not self.running
                self.stop()
                why = "its process 1 ended" if ended else f"sshd did not answer within {timeout_s:g} s"
                message = f"machine `{self.spec.name}` did not boot: {why}"
                raise BootFailed(message, details=self.last_console_lines())
            time.sleep(0.01)

    def run(self, script: str) -> None:
        """Begin to run a script as root in the running machine, as cloud-init does with user data; its output goes to the console.

        Nobody waits for it; it ends with the machine, which it powers off with `shutdown`.
        """
        assert self._process, "the machine runs"
        (inner,) = _children(self._process.pid)
        command = ["nsenter", "--target", str(inner), "--mount", "--pid", "--uts", "--ipc", "--root", "--wd"]
        with self.console.open("ab") as console:
            process = _forker.submit(
                subprocess.Popen,
                [*command, "sh", "-c", _USER_DATA_SCRIPT.read_text(), _USER_DATA_SCRIPT.name, _RIGHTS],
                stdin=subprocess.PIPE,
                stdout=console,
                stderr=console,
                start_new_session=True,
                env={"PATH": _PATH, "LANG": "C.UTF-8", REHEARSAL_VARIABLE: self.spec.rehearsal},
            ).result()
        self._scripts.append(process)
        assert process.stdin
        with process.stdin as pipe, suppress(BrokenPipeError):
            pipe.write(script.encode())

    def wait(self) -> None:
        """Return when the machine is off, whoever powered it off."""
        if process := self._process:
            process.wait()

    def _fork(self, command: Sequence[str], console: int) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=console,
            stderr=console,
            start_new_session=True,
            env={"PATH": _PATH, "LANG": "C.UTF-8", REHEARSAL_VARIABLE: self.spec.rehearsal},
        )

    def _write_files(self) -> None:
        home = self.spec.home
        for name in ("upper", "work", "root"):
            (home / name).mkdir(parents=True, exist_ok=True)
        (home / "authorized_keys").write_text(self.spec.authorized_keys)
        (home / "sshd_config").write_text(_sshd_config(self.spec))
        host_key = home / "host_key"
        if not host_key.exists():
            key = Ed25519PrivateKey.generate()
            host_key.touch(mode=0o600)
            host_key.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()))

    def stop(self) -> None:
        """Power off: every process of the machine is gone, and with them its mounts, when this returns."""
        process, self._process = self._process, None
        if process is None:
            return
        # The kernel lets process 1 be reaped only after every process of its namespace is gone, hence it is the one to kill.
        for pid in [] if process.poll() is not None else _children(process.pid) or [process.pid]:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        while self._scripts:
            self._scripts.pop().wait()

    def detach_upper(self, destination: Path) -> None:
        """Move what the machine wrote to `destination`, and let the machine go on from there with an empty upper layer.

        The machine must be stopped. `destination` must not exist, on the same filesystem.
        """
        if self.running:
            message = f"machine `{self.spec.name}` runs"
            raise RuntimeError(message)
        self.upper.mkdir(parents=True, exist_ok=True)
        self.upper.rename(destination)
        self.layers = (destination, *self.layers)
        shutil.rmtree(self.spec.home / "work", ignore_errors=True)

    def remove(self) -> None:
        """Stop, and delete the machine's directory."""
        self.stop()
        shutil.rmtree(self.spec.home, ignore_errors=True)

    def last_console_lines(self, count: int = 10) -> tuple[str, ...]:
        try:
            return tuple(self.console.read_text(errors="replace").splitlines()[-count:])
        except OSError:
            return ()


def _sshd_config(spec: MachineSpec) -> str:
    lines = (
        f"Port {spec.ssh_port}",
        f"ListenAddress {spec.address}",
        f"AllowUsers {spec.user}",
        "HostKey /run/sshd/host_key",
        "AuthorizedKeysFile /run/sshd/authorized_keys",
        # The keys lie on a tmpfs that only root writes; StrictModes would look at the user's home instead.
        "StrictModes no",
        "UsePAM no",
        "UseDNS no",
        "PasswordAuthentication no",
        "KbdInteractiveAuthentication no",
        "Subsystem sftp internal-sftp",
        "PidFile none",
    )
    return "\n".join(lines) + "\n"


def _escaped(layer: Path) -> str:
    """A path as one item of overlay's colon-separated list, inside a comma-separated option string."""
    return str(layer).replace("\\", "\\\\").replace(":", "\\:").replace(",", "\\,")


def _children(pid: int) -> list[int]:
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def _answers(address: str, port: int) -> bool:
    try:
        with socket.create_connection((address, port), timeout=1) as connection:
            return connection.recv(4) == b"SSH-"
    except OSError:
        return False
