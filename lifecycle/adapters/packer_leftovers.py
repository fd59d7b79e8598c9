"""The removal of what a bake left that did not end well, right after it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from lifecycle.adapters.aws.leftovers import TEMPORARY
from lifecycle.domain.sweep import Leftover, LeftoverKind
from lifecycle.errors import CapctlError, Interrupted
from lifecycle.ports.clock import Clock
from lifecycle.ports.leftovers import Leftovers, await_gone

# Whole lines: Packer names the AMI of another bake in the middle of a sentence.
_AMI = re.compile(r"^AMI: (ami-[0-9a-z]+)$", re.MULTILINE)
_INSTANCE = re.compile(r"^Instance ID: (i-[0-9a-f]+)$", re.MULTILINE)


class BakeTraces:
    """The ids that a bake names in its output: what may have to be removed, also before it is tagged."""

    def __init__(self) -> None:
        self.amis: set[str] = set()
        self.instances: set[str] = set()
        self.temporary: set[str] = set()

    @property
    def all(self) -> frozenset[str]:
        """Everything that was named."""
        return frozenset(self.amis | self.instances | self.temporary)

    def look(self, text: str) -> None:
        """Note the ids in a line of output."""
        self.amis.update(_AMI.findall(text))
        self.instances.update(_INSTANCE.findall(text))
        self.temporary.update(found[0] for found in TEMPORARY.finditer(text))


@dataclass(frozen=True, slots=True, kw_only=True)
class Removal:
    """`removed`: ids and names. `left`: a sentence for each thing that could not be removed."""

    removed: tuple[str, ...]
    left: tuple[str, ...]


def remove_leftovers(leftovers: Leftovers, clock: Clock, traces: BakeTraces, run_id: str) -> Removal:
    """Remove instances, volumes, AMIs with their snapshots, key pairs and security groups of one run.

    Packer removes them itself when it can; this is for when it could not. Of AMIs only those that the run has named go. Raises
    `CapctlError` when EC2 cannot be asked what is left.
    """
    removed: list[str] = []
    left: list[str] = []
    found = [item for item in leftovers.find(named=traces.all) if _is_of(item, traces, run_id)]
    for kind in LeftoverKind:
        gone = [item for item in found if item.kind is kind and _succeeds(leftovers.remove, item, left)]
        if kind is LeftoverKind.INSTANCE:
            # Until they have ended their volumes, keys and groups are in use.
            gone = [item for item in gone if _succeeds(lambda one: await_gone(leftovers, one, clock), item, left)]
        removed += [item.name if kind.is_temporary else item.id for item in gone]
    return Removal(removed=tuple(removed), left=tuple(left))


def _succeeds(remove: Callable[[Leftover], None], item: Leftover, left: list[str]) -> bool:
    """Whether it does; if not, `left` has another sentence."""
    try:
        remove(item)
    except Interrupted:
        raise
    except CapctlError as error:
        left.append("; ".join((error.message, *error.details)))
        return False
    return True


def _is_of(item: Leftover, traces: BakeTraces, run_id: str) -> bool:
    if item.kind is LeftoverKind.AMI:
        return item.id in traces.amis and item.run_id in {"", run_id}
    return run_id == item.run_id or bool(traces.all & {item.id, item.name})
