"""`models lock`: write down which files, byte for byte, make the model set."""

from dataclasses import dataclass

from lifecycle.domain.digest import Digest, brief
from lifecycle.domain.measures import counted
from lifecycle.domain.models import ModelFile, ModelSet, model_set
from lifecycle.domain.permissions import READ_OBJECTS
from lifecycle.domain.plan import Plan
from lifecycle.errors import CapctlError, UsageError
from lifecycle.ports import Ports
from lifecycle.ports.model_source import SourceFile
from lifecycle.workflows.parallel import Advance, for_each

# Of a source in S3; one on this machine needs none.
READ_SOURCE = READ_OBJECTS
PERMISSIONS = {"models lock": READ_SOURCE}


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteLock:
    """Replace the lock file."""

    ports: Ports
    models: ModelSet
    former: ModelSet | None
    permissions: tuple[str, ...] = ()

    def describe(self) -> str:
        former = f"{brief(self.former.digest)} -> " if self.former else ""
        return f"write {self.ports.model_lock.name}: {former}{brief(self.models.digest)}, {counted(len(self.models.files), 'file')}"

    def apply(self) -> str:
        self.ports.model_lock.write(self.models)
        return "written"

    def verify(self, _: str) -> None:
        if self.ports.model_lock.read() != self.models:
            raise CapctlError(
                "lock-invalid",
                f"{self.ports.model_lock.name} does not read back as written",
                hint="Run `capctl models lock` again",
            )


def plan_lock(ports: Ports) -> Plan:
    """A plan that makes the lock file say what the source holds; empty when it does already."""
    former = ports.model_lock.read()
    models = from_source(ports, former)
    name = ports.model_lock.name
    if models == former:
        return Plan(
            title=f"lock {name}", because=f"it is up to date, {counted(len(models.files), 'file')}, {models.digest}"
        )
    changes = "; ".join(changed_paths(former, models)) if former else f"there is no {name}"
    step = WriteLock(ports=ports, models=models, former=former)
    return Plan(title=f"lock {name}", because=changes or "what it tells of the files changed", steps=(step,))


def require_up_to_date(ports: Ports) -> Digest:
    """The digest of the lock, if it says what the source holds. Raises `CapctlError("lock-outdated")`."""
    former = locked(ports)
    models = from_source(ports, former)
    if models != former:
        raise CapctlError(
            "lock-outdated",
            f"{ports.model_lock.name} does not say what `{ports.model_source.name}` holds",
            hint="Run `capctl models lock`",
            details=changed_paths(former, models),
        )
    return models.digest


def locked(ports: Ports) -> ModelSet:
    """The locked set. Raises `UsageError("lock-missing")` before the first lock."""
    models = ports.model_lock.read()
    if models is None:
        raise UsageError("lock-missing", f"There is no {ports.model_lock.name}", hint="Run `capctl models lock`")
    return models


def from_source(ports: Ports, former: ModelSet | None) -> ModelSet:
    """The set that the source holds now. What people wrote about a file, its licence and permitted use, is taken from `former`."""
    listing = ports.model_source.scan()
    if listing.excluded:
        ports.ui.note(f"{counted(len(listing.excluded), 'path')} kept out (`-v` names them)")
        for path in listing.excluded:
            ports.ui.detail(f"kept out: {path}")
    told = {file.path: file for file in former.files} if former else {}
    model_set(tuple(ModelFile(path=file.path, bytes=file.bytes, sha256="") for file in listing.files))
    with ports.ui.progress(
        f"hash {counted(len(listing.files), 'model file')}", sum(file.bytes for file in listing.files)
    ) as bar:

        def hashed(file: SourceFile, advance: Advance) -> ModelFile:
            sha256 = ports.model_source.sha256(file, progress=advance)
            before = told.get(file.path)
            return ModelFile(
                path=file.path,
                bytes=file.bytes,
                sha256=sha256,
                source=file.uri or (before.source if before and before.sha256 == sha256 else ""),
                licence=before.licence if before else "",
                permitted_use=before.permitted_use if before else "",
            )

        return model_set(for_each(listing.files, hashed, advance=bar.advance))


def changed_paths(former: ModelSet, models: ModelSet) -> tuple[str, ...]:
    """`changed`, `missing` (locked, not there) and `extra` (there, not locked) paths, one line each."""
    before = {file.path: (file.sha256, file.mode) for file in former.files}
    now = {file.path: (file.sha256, file.mode) for file in models.files}
    lines = []
    for path in sorted(before.keys() | now.keys()):
        if path not in now:
            lines.append(f"missing: {path}")
        elif path not in before:
            lines.append(f"extra: {path}")
        elif now[path] != before[path]:
            lines.append(f"changed: {path}")
    return tuple(lines)
