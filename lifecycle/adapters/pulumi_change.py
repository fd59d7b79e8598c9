"""One change of the releases stack: which releases come and go, and what the engine may touch for it."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from lifecycle.adapters.pulumi_programs import Program, half_made, releases_program
from lifecycle.config.target import Target
from lifecycle.domain.compute import name_of
from lifecycle.domain.release import Release
from lifecycle.ports.stack import BaseOutputs
from pulumi_stack.standing import COMPONENT, releases_in

_State = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleasesChange:
    """A release that is `added`, or the ids of those that are `removed`.

    `touched` are the ids of all that the engine may change: besides these the half-made releases that nobody needs, and those in
    which a run was killed. The engine is given only these as targets, so that no state, program or provider can lead it to others.
    """

    added: Release | None
    removed: frozenset[str]
    needed: frozenset[str]
    touched: frozenset[str]

    @property
    def asked(self) -> frozenset[str]:
        """The ids of those that come and go."""
        return self.removed | ({self.added.id} if self.added else frozenset())

    @classmethod
    def from_state(
        cls, state: _State, *, added: Release | None = None, removed: Collection[str] = (), needed: Collection[str] = ()
    ) -> "ReleasesChange":
        """The change of a state as it was before this run held the stack's lock."""
        wanted = {*removed, *((added.id,) if added else ())}
        return cls(
            added=added,
            removed=frozenset(removed),
            needed=frozenset(needed),
            touched=frozenset(wanted) | (half_made(state) - {*needed}) | _cut_off(state),
        )

    def program(self, target: Target, outputs: BaseOutputs, state: _State) -> Program:
        """What shall exist, by the state that the engine has once it holds the lock."""
        found = releases_in(state)
        new = () if not self.added or self.added.id in {one.id for one in found if one.is_complete} else (self.added,)
        come_or_go = self.removed | {release.id for release in new}
        return releases_program(
            target,
            outputs,
            standing=tuple(
                one
                for one in found
                if one.id not in come_or_go and (one.is_complete or one.id in self.needed or one.id not in self.touched)
            ),
            new=new,
        )

    def targets(self, target: Target, state: _State) -> list[str]:
        """Patterns of the URNs of what is touched, `**` for anything; none when nothing was asked for and the state has nothing half made.

        What is to be removed and is not there has a pattern, too: a run may have been killed after its last deletion, and only another
        one finds out that the lock which that left is dead.
        """
        components = [urn for urn in _components(state) if _name(urn) in self.touched]
        parts = (each["urn"] for each in _resources(state) if each.get("parent") in components)
        # As patterns, since the engine refuses the whole update for a name that another run removed meanwhile.
        patterns = [f"**{urn.removeprefix('urn:pulumi')}" for urn in (*components, *parts)]
        patterns += [f"**::{COMPONENT}::{release_id}" for release_id in sorted(self.removed)]
        if self.added:
            patterns += [
                f"**::{COMPONENT}::{self.added.id}",
                f"**::{COMPONENT}$**::{name_of(self.added.id, target.project)}**",
            ]
        return list(dict.fromkeys(patterns))


def _cut_off(state: _State) -> frozenset[str]:
    """Ids of the releases in which a run was killed."""
    operations = state.get("pending_operations") or ()
    return frozenset(_name(operation["resource"].get("parent") or "") for operation in operations)


def _components(state: _State) -> list[str]:
    return [str(resource["urn"]) for resource in _resources(state) if resource["type"] == COMPONENT]


def _resources(state: _State) -> list[_State]:
    """Those that are being created as well."""
    pending = [operation["resource"] for operation in state.get("pending_operations") or ()]
    return [*(state.get("resources") or ()), *pending]


def _name(urn: str) -> str:
    return urn.rpartition("::")[2]
