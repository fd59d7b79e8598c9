"""The stack port on the real Pulumi CLI: inline programs through the Automation API."""

import os
from collections.abc import Callable, Collection, Mapping
from typing import Any

from lifecycle.adapters.aws.session import APP_ID_VARIABLE, AwsSession
from lifecycle.adapters.pulumi_adopt import adopted
from lifecycle.adapters.pulumi_engine import Program, PulumiEngine
from lifecycle.adapters.pulumi_programs import base_outputs, base_program, deployed_releases, releases_program
from lifecycle.adapters.pulumi_state import has_state_bucket, make_state_bucket, state_bucket
from lifecycle.config.target import Target
from lifecycle.domain.release import DeployedRelease, Release
from lifecycle.errors import CapctlError
from lifecycle.ports.stack import BaseOutputs, Operation, ResourceChange
from lifecycle.ports.ui import Ui
from pulumi_stack.standing import standing_releases

_BASE, _RELEASES = "base", "releases"
_State = dict[str, Any]


class PulumiStack:
    """`ports.Stack`: two stacks of one project, `<target>-base` and `<target>-releases`."""

    def __init__(
        self, target: Target, session: AwsSession, ui: Ui, *, environment: Mapping[str, str] = os.environ
    ) -> None:
        self._target = target
        self._session = session
        self._ui = ui
        named = {APP_ID_VARIABLE: session.app_id} if session.app_id else {}
        self._engine = PulumiEngine(target, ui, {**environment, **named})
        self._outputs: BaseOutputs | None = None

    def preview_base(self) -> tuple[ResourceChange, ...]:
        changes = self._preview(_BASE, lambda _: base_program(self._target))
        if has_state_bucket(self._session, self._target):
            return changes
        bucket = ResourceChange(
            operation=Operation.CREATE, type="aws:s3/bucket:Bucket", name=state_bucket(self._target)
        )
        return (bucket, *changes)

    def apply_base(self) -> BaseOutputs:
        if not has_state_bucket(self._session, self._target):
            make_state_bucket(self._session, self._target)
        self._outputs = None
        self._up(_BASE, base_program(self._target))
        return self.base()

    def base(self) -> BaseOutputs:
        if self._outputs is None:
            self._outputs = base_outputs(self._engine.export(_BASE) or {})
        if self._outputs is None:
            raise CapctlError(
                "base-missing",
                f"Target `{self._target.name}` has no base stack in {self._target.region}",
                hint="Run `capctl bootstrap` once",
            )
        return self._outputs

    def releases(self) -> tuple[DeployedRelease, ...]:
        return deployed_releases(self._engine.export(_RELEASES) or {})

    def preview_release(self, release: Release) -> tuple[ResourceChange, ...]:
        base = self.base()
        return self._preview(_RELEASES, lambda state: _with(release, self._target, base, state))

    def add_release(self, release: Release) -> tuple[DeployedRelease, ...]:
        return self._changed(lambda base, state: _with(release, self._target, base, state))

    def remove_releases(self, ids: Collection[str]) -> tuple[DeployedRelease, ...]:
        return self._changed(lambda base, state: _without(ids, self._target, base, state))

    def _changed(self, wanted: Callable[[BaseOutputs, _State], Program]) -> tuple[DeployedRelease, ...]:
        base = self.base()

        def program() -> None:
            # The engine calls this while it holds the stack's lock, so no other run's release is missing from the state.
            wanted(base, self._engine.export(_RELEASES) or {})()

        self._up(_RELEASES, program)
        return self.releases()

    def _preview(self, name: str, program: Callable[[_State], Program]) -> tuple[ResourceChange, ...]:
        state = self._engine.export(name)
        if state is None:
            return self._engine.preview_from_nothing(name, program({}))
        return self._engine.preview(name, program(state))

    def _up(self, name: str, program: Program) -> None:
        taken_over = self._recovered(name)
        if taken_over is None:
            self._engine.create(name)
        self._engine.up(name, program, refresh=bool(taken_over))

    def _recovered(self, name: str) -> bool | None:
        """Take over what a killed run left; True when there was something, None when there is no such stack."""
        state = self._engine.export(name)
        if state is None:
            return None
        if not state.get("pending_operations"):
            return False
        self._ui.note(f"A run was killed while it changed the {name} stack; what it left is taken over")
        self._engine.repair(name, lambda now: adopted(now, self._session))
        return True


def _with(release: Release, target: Target, base: BaseOutputs, state: _State) -> Program:
    """The complete releases of a state, and `release` unless it is one of them."""
    standing = standing_releases(state)
    new = () if release.id in {one.id for one in standing} else (release,)
    return releases_program(target, base, standing=standing, new=new)


def _without(ids: Collection[str], target: Target, base: BaseOutputs, state: _State) -> Program:
    """The complete releases of a state but these."""
    standing = tuple(one for one in standing_releases(state) if one.id not in ids)
    return releases_program(target, base, standing=standing)
