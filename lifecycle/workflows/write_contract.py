"""`models contract`: write down what the runtime of the model set holds."""

import json
from dataclasses import dataclass
from typing import Any

from lifecycle.domain.digest import Digest, brief, digest_of
from lifecycle.domain.measures import counted
from lifecycle.domain.permissions import READ_SOURCE
from lifecycle.domain.plan import Plan
from lifecycle.domain.runtime import contract_text, told_mount
from lifecycle.errors import CapctlError
from lifecycle.ports import Ports
from lifecycle.workflows.source_models import from_source, look_at_bytecode

PERMISSIONS = {"models contract": READ_SOURCE}


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteContract:
    """Replace the contract file."""

    ports: Ports
    content: bytes
    permissions: tuple[str, ...] = ()

    def describe(self) -> str:
        return f"write {self.ports.contract_file.name}: {brief(digest_of(self.content))}"

    def apply(self) -> str:
        self.ports.contract_file.write(self.content)
        return "written"

    def verify(self, _: str) -> None:
        if self.ports.contract_file.read() != self.content:
            raise CapctlError(
                "runtime-contract-refused",
                f"{self.ports.contract_file.name} does not read back as written",
                hint="Run `capctl models contract` again",
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenContract:
    """The digest of the contract file, and what it says."""

    digest: Digest
    document: dict[str, Any]


def plan_contract(ports: Ports, *, mount: str | None) -> Plan:
    """A plan that makes the contract file tell what the source's runtime holds; empty when it does already.

    Containers see the runtime at `mount`; None leaves it where the file says.
    """
    name, former = ports.contract_file.name, ports.contract_file.read()
    models = from_source(ports, None)
    content = contract_text(models, mount or told_mount(former))
    look_at_bytecode(ports, models)
    files = counted(len(models.runtime), "file")
    if content == former:
        return Plan(title=f"write {name}", because=f"it is up to date, {files}")
    because = f"the source's runtime is another, {files}" if former else f"there is no {name}"
    return Plan(title=f"write {name}", because=because, steps=(WriteContract(ports=ports, content=content),))


def written_contract(ports: Ports) -> WrittenContract:
    """The contract as it was written."""
    content = ports.contract_file.read() or b"{}"
    return WrittenContract(digest=digest_of(content), document=json.loads(content))
