"""`models lock`: write down which files, byte for byte, make the model set."""

from dataclasses import dataclass

from lifecycle.domain.digest import Digest, brief
from lifecycle.domain.measures import counted
from lifecycle.domain.models import CONTRACT, ModelSet, changed_paths
from lifecycle.domain.permissions import READ_SOURCE
from lifecycle.domain.plan import Plan
from lifecycle.domain.runtime import require_described
from lifecycle.errors import CapctlError
from lifecycle.ports import Ports
from lifecycle.workflows.lookups import locked
from lifecycle.workflows.source_models import from_source, look_at_bytecode

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
    models = _described(ports, from_source(ports, former))
    look_at_bytecode(ports, models)
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
    models = _described(ports, from_source(ports, former))
    if models != former:
        raise CapctlError(
            "lock-outdated",
            f"{ports.model_lock.name} does not say what `{ports.model_source.name}` holds",
            hint="Run `capctl models lock`",
            details=changed_paths(former, models) or _other_sources(former, models),
        )
    return models.digest


def _described(ports: Ports, models: ModelSet) -> ModelSet:
    """The set, if the contract of its runtime is there and of these files. Raises `CapctlError("runtime-invalid")`."""
    if models.runtime_contract:
        with ports.model_source.local_copy(CONTRACT) as copy:
            require_described(models, copy.read_bytes())
    elif models.runtime:
        require_described(models, None)
    return models


def _other_sources(former: ModelSet, models: ModelSet) -> tuple[str, ...]:
    before = {file.path: file for file in former.files}
    return tuple(f"other source: {file.path}" for file in models.files if file != before.get(file.path))
