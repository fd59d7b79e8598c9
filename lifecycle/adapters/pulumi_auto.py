"""The stack port on the real Pulumi CLI: inline programs through the Automation API."""

import os
from collections.abc import Callable, Collection, Mapping
from typing import Any

from lifecycle.adapters.aws.session import APP_ID_VARIABLE, AwsSession
from lifecycle.adapters.pulumi_adopt import adopted
from lifecycle.adapters.pulumi_change import ReleasesChange
from lifecycle.adapters.pulumi_engine import PulumiEngine
from lifecycle.adapters.pulumi_locks import LockHolder
from lifecycle.adapters.pulumi_lost import reconciled
from lifecycle.adapters.pulumi_programs import base_outputs, base_program, deployed_releases, half_made, stack_record
from lifecycle.adapters.pulumi_state import has_state_bucket, make_state_bucket, state_bucket
from lifecycle.config.target import Target
from lifecycle.domain.recorded import StackRecord
from lifecycle.domain.release import DeployedRelease, Release
from lifecycle.domain.waiting import Wait
from lifecycle.errors import CapctlError
from lifecycle.ports.clock import Clock
from lifecycle.ports.stack import BaseOutputs, Operation, ResourceChange
from lifecycle.ports.ui import Ui
from lifecycle.ports.wait import until_it_passes

# How long Batch may refuse to delete a compute environment for a queue that is gone: by users' reports up to a minute. An error hook of
# Pulumi's could try the deletion alone, but it has to be in the state of the resource from before, and then nobody can delete that
# without a program that registers the hook.
_RELATION = Wait(shortest_s=3.0, longest_s=15.0, share=0.5, timeout_s=180.0)

_BASE, _RELEASES = "base", "releases"
_State = dict[str, Any]


class PulumiStack:
    """`ports.Stack`: two stacks of one project, `<target>-base` and `<target>-releases`."""

    def __init__(
        self,
        target: Target,
        session: AwsSession,
        clock: Clock,
        ui: Ui,
        *,
        environment: Mapping[str, str] = os.environ,
        is_abandoned: Callable[[LockHolder], bool] = lambda _: False,
    ) -> None:
        """`is_abandoned` says whether a run that is not known on this machine and holds the lock of a stack is over for certain: only
        then, and where the process of this machine is gone that holds it, the lock is broken.
        """
        self._target = target
        self._session = session
        self._clock = clock
        self._ui = ui
        named = {APP_ID_VARIABLE: session.app_id} if session.app_id else {}
        self._engine = PulumiEngine(target, ui, {**environment, **named}, is_abandoned=is_abandoned)
        self._outputs: BaseOutputs | None = None

    def preview_base(self) -> tuple[ResourceChange, ...]:
        preview = self._engine.preview_from_nothing if self._engine.export(_BASE) is None else self._engine.preview
        changes = preview(_BASE, base_program(self._target))
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
        state, is_new = self._state(_BASE)
        mended = self._mended(_BASE, state, lambda now: adopted(now, self._session))
        log = self._engine.up(_BASE, base_program(self._target), refresh=mended is not state)
        if is_new:
            # So that the first release finds its stack, as every later one does.
            self._engine.create(_RELEASES)
        self._outputs = base_outputs(log.after(state))
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

    def half_made(self) -> frozenset[str]:
        return half_made(self._engine.export(_RELEASES) or {})

    def recorded(self) -> StackRecord:
        return stack_record(self._engine.export(_RELEASES) or {})

    def preview_release(self, release: Release, *, needed: Collection[str] = ()) -> tuple[ResourceChange, ...]:
        if self._outputs is None:
            base_state, state = self._engine.export_all(_BASE, _RELEASES)
            self._outputs = base_outputs(base_state or {})
        else:
            state = self._engine.export(_RELEASES)
        base = self.base()
        change = ReleasesChange.from_state(state or {}, added=release, needed=needed)
        program = change.program(self._target, base, state or {})
        if state is None:
            return self._engine.preview_from_nothing(_RELEASES, program)
        return self._engine.preview(_RELEASES, program, targets=change.targets(self._target, state))

    def add_release(self, release: Release, *, needed: Collection[str] = ()) -> tuple[DeployedRelease, ...]:
        return self._changed(lambda state: ReleasesChange.from_state(state, added=release, needed=needed))

    def remove_releases(self, ids: Collection[str], *, needed: Collection[str] = ()) -> tuple[DeployedRelease, ...]:
        return self._changed(lambda state: ReleasesChange.from_state(state, removed=ids, needed=needed))

    def _changed(self, wanted: Callable[[_State], ReleasesChange]) -> tuple[DeployedRelease, ...]:
        base, (state, _) = self.base(), self._state(_RELEASES)
        change = wanted(state)

        def mend(now: _State) -> _State:
            known = adopted(now, self._session)
            doubtful = (half_made(known) & change.touched) | change.asked
            return reconciled(known, self._session, self._target.project, doubtful)

        mended = self._mended(_RELEASES, state, mend)
        refresh = _is_cut_off(state) or not _urns(mended) <= _urns(state)
        # What a killed run was at is still what this run is to finish.
        state = {**mended, "pending_operations": state.get("pending_operations") or []}
        # To the engine no target at all would mean the whole stack.
        targets = change.targets(self._target, state)
        if not targets:
            return deployed_releases(state)
        under_lock = state

        def program() -> None:
            nonlocal under_lock
            # The engine calls this while it holds the stack's lock, so no other run's release is missing from the state.
            under_lock = self._engine.current(_RELEASES)
            change.program(self._target, base, under_lock)()

        log = until_it_passes(
            lambda: self._engine.up(_RELEASES, program, refresh=refresh, targets=targets), _RELATION, self._clock
        )
        return deployed_releases(log.after(under_lock))

    def _state(self, name: str) -> tuple[_State, bool]:
        """The state of a stack, and whether it is made only now."""
        state = self._engine.export(name)
        if state is None:
            self._engine.create(name)
            return {}, True
        return state, False

    def _mended(self, name: str, state: _State, mend: Callable[[_State], _State]) -> _State:
        """What `mend` makes of a state that does not know what an earlier run did; `state` itself where it does."""
        mended = mend(state)
        if mended is state:
            return state
        why = "was killed while it changed" if _is_cut_off(state) else "got no answer to a change of"
        self._ui.note(f"A run {why} the {name} stack; what it left is taken over")
        self._engine.repair(name, mend, changed=mended)
        return mended


def _is_cut_off(state: _State) -> bool:
    """Whether a run was killed in the middle of an operation."""
    return bool(state.get("pending_operations"))


def _urns(state: _State) -> set[str]:
    return {resource["urn"] for resource in state.get("resources") or ()}
