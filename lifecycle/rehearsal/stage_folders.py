"""The folders of stages: which rehearsals there are on this machine, and whether each is being played, was kept, or was abandoned.

Imports nothing heavy: `capctl init` asks whose a file is.
"""

import os
import secrets
import time
from collections.abc import Mapping
from pathlib import Path

_MOST_LOGS = 10
_KEPT = "kept"
_OWNER = "owner"
_REGISTRY = "registry-address"


def stages_folder() -> Path:
    """Where stages keep their files: `$XDG_STATE_HOME/capctl/rehearsals`, or below `~/.local/state`."""
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "capctl" / "rehearsals"


def log_of(identifier: str) -> Path:
    """What the commands of a rehearsal said; beside the stages, since a rehearsal that failed is read after its stage has gone.

    Those of the last ten rehearsals are kept.
    """
    folder = stages_folder().with_name("rehearsal-logs")
    folder.mkdir(parents=True, exist_ok=True)
    written = sorted(folder.glob("*.log"), key=lambda log: log.stat().st_mtime_ns, reverse=True)
    for old in written[_MOST_LOGS - 1 :]:
        old.unlink(missing_ok=True)
    return folder / f"{identifier}.log"


def make_stage_folder() -> Path:
    """A folder whose name is the id of a new rehearsal.

    It appears with its owner: without one, a rehearsal that starts beside this one would take it for abandoned.
    """
    folder = stages_folder() / f"{time.strftime('%H%M%S')}-{secrets.token_hex(2)}"
    making = folder.with_name(f".{folder.name}")
    making.mkdir(parents=True)
    (making / _OWNER).write_text(f"{os.getpid()} {_started(os.getpid())}")
    return making.rename(folder)


def mark_kept(folder: Path) -> None:
    (folder / _KEPT).touch()


def is_kept(folder: Path) -> bool:
    return (folder / _KEPT).exists()


def kept_stages() -> tuple[str, ...]:
    """Ids of the rehearsals that were left up on purpose, the oldest first."""
    return tuple(folder.name for folder in _folders() if is_kept(folder))


def abandoned_stages() -> tuple[str, ...]:
    """Ids of the rehearsals that were killed."""
    return tuple(folder.name for folder in _folders() if not is_kept(folder) and not _owner_lives(folder))


def record_registry(folder: Path, address: str) -> None:
    """Write down which registry the stage's images are named after, before there is any."""
    (folder / _REGISTRY).write_text(address)


def registry_of(folder: Path) -> str | None:
    """The address of the stage's registry, `127.0.0.1:port`; None before it had one."""
    path = folder / _REGISTRY
    return path.read_text() if path.exists() else None


def rehearsal_of(path: Path) -> str | None:
    """The id of the rehearsal whose file `path` is, or would be; None for a file of anybody else."""
    absolute, stages = path.absolute(), stages_folder().absolute()
    return absolute.relative_to(stages).parts[0] if stages in absolute.parents else None


def path_without_stages(environment: Mapping[str, str]) -> str:
    """PATH without the programs of rehearsals."""
    entries = environment.get("PATH", os.defpath).split(os.pathsep)
    return os.pathsep.join(entry for entry in entries if not rehearsal_of(Path(entry)))


def _folders() -> list[Path]:
    folder = stages_folder()
    found = folder.iterdir() if folder.is_dir() else ()
    return sorted(path for path in found if path.is_dir() and not path.name.startswith("."))


def _owner_lives(folder: Path) -> bool:
    try:
        pid, _, started = (folder / _OWNER).read_text().partition(" ")
        return _started(int(pid)) == started
    except (OSError, ValueError):
        return False


def _started(pid: int) -> str:
    """When a process started: with the pid, it names one process for ever."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
