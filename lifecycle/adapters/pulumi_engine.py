"""One operation of the Pulumi engine at a time: workspace, locks, and its failures in capctl's terms."""

import json
import logging
import re
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import Any

from pulumi import automation
from pulumi.automation._stack import StackInitMode
from pulumi.automation.errors import CommandError, ConcurrentUpdateError, StackAlreadyExistsError, StackNotFoundError

from lifecycle.adapters.cache_folder import cache_folder
from lifecycle.adapters.private_folder import private_folder
from lifecycle.adapters.pulumi_cli import PulumiCli, find_pulumi
from lifecycle.adapters.pulumi_events import EventLog
from lifecycle.adapters.pulumi_failure import failure_of
from lifecycle.adapters.pulumi_locks import LockHolder, StartedClis, lock_holders
from lifecycle.adapters.pulumi_state import (
    backend_url,
    is_file_state,
    secrets_environment,
    state_folder,
    write_secrets_note,
)
from lifecycle.config.target import Target
from lifecycle.errors import CapctlError
from lifecycle.ports.stack import ResourceChange
from lifecycle.ports.ui import Ui

# An engine that ends before its program, as it does after a failure, makes gRPC's server log a traceback; its end tells why.
logging.getLogger("grpc._server").setLevel(logging.CRITICAL)

Program = Callable[[], None]
# Patterns of URNs, `**` for anything; None for the whole stack.
Targets = list[str] | None

_NO_STATE = re.compile(r"NoSuchBucket|bucket does not exist", re.IGNORECASE)

# How long to wait for a run that holds the lock: a CLI whose capctl was killed ends within this, after what it was doing.
_HOLDER_GRACE_S = 60
# Each call of the CLI writes a log and looks at every earlier one: at Pulumi's own bound of 500 MB for longer than it works.
_LOGS_MB = 32
_ATTEMPTS = 3


class _Stack(automation.Stack):
    """A stack without the CLI calls whose results nobody needs: select, output, history."""

    def __init__(self, name: str, workspace: automation.LocalWorkspace) -> None:
        self.name = name
        self.workspace = workspace
        self._mode = StackInitMode.SELECT

    def outputs(self) -> automation.OutputMap:
        return {}

    def info(self, show_secrets: bool = True) -> automation.UpdateSummary:  # noqa: ARG002 - the base class's signature
        return automation.UpdateSummary("update", datetime.now(UTC), "", {}, {}, "succeeded")


class PulumiEngine:
    """Stacks of a target by short name.

    Errors: `CapctlError("pulumi-missing" | "stack-failed" | "stack-locked")`, and those of calls to AWS.
    """

    def __init__(
        self,
        target: Target,
        ui: Ui,
        environment: Mapping[str, str],
        *,
        is_abandoned: Callable[[LockHolder], bool] = lambda _: False,
    ) -> None:
        """`is_abandoned` says of a run that is not noted on this machine that it is over for certain."""
        self._target = target
        self._ui = ui
        self._given = environment
        self._making = Lock()
        self._started = StartedClis(cache_folder() / "pulumi-runs")
        self._is_abandoned = is_abandoned
        self._salt = ""

    def export(self, name: str) -> dict[str, Any] | None:
        """The state of a stack; None when there is no such stack."""
        return self._noted(name, self._read(name))

    def export_all(self, *names: str) -> tuple[dict[str, Any] | None, ...]:
        """The states of several stacks, read at the same time."""
        with ThreadPoolExecutor(len(names)) as pool:
            states = list(pool.map(self._read, names))
        return tuple(self._noted(name, state) for name, state in zip(names, states, strict=True))

    def _noted(self, name: str, state: dict[str, Any] | None) -> dict[str, Any] | None:
        """The state, of which the CLI knows by now how it is closed."""
        if state is not None:
            folder = Path(self._workspace.work_dir)
            self._salt = write_secrets_note(folder, self._full_name(name), state, salt=self._salt) or self._salt
        return state

    def _read(self, name: str) -> dict[str, Any] | None:
        # The Automation API's own asks for secrets in plain text: that costs the CLI most of the time of this call, and nobody needs them.
        command = ["stack", "export", "--stack", self._full_name(name)]
        try:
            answer = self._workspace.pulumi_command.run(command, self._workspace.work_dir, self._environment)
        except StackNotFoundError:
            return None
        except CommandError as error:
            if _NO_STATE.search(str(error)):
                return None
            raise self._failure("reading", name, error, ()) from error
        return dict(json.loads(answer.stdout).get("deployment") or {})

    def current(self, name: str) -> dict[str, Any]:
        """The state of a stack that is being changed, so that there is one.

        Raises `CapctlError("stack-failed")` when the place of the states says otherwise: nothing may follow from that.
        """
        state = self.export(name)
        if state is None:
            raise CapctlError(
                "stack-failed",
                f"Stack `{self._full_name(name)}` has no state while it is being changed",
                hint="Look whether `stack.state` can be read and still holds the stack, before anything else is changed",
            )
        return state

    def create(self, name: str) -> None:
        """Make an empty stack, unless another run has made it meanwhile."""

        def create(_: EventLog) -> None:
            with suppress(StackAlreadyExistsError):
                self._workspace.create_stack(self._full_name(name))

        self._run("creating", name, create)

    def repair(
        self, name: str, change: Callable[[dict[str, Any]], dict[str, Any]], *, changed: dict[str, Any] | None = None
    ) -> None:
        """Put `change` of the state in its place; `changed` is that of the state that was just read.

        It is read again if another process held the lock meanwhile.
        """
        known = [] if changed is None else [changed]

        def repair(_: EventLog) -> None:
            state = automation.Deployment(version=3, deployment=known.pop() if known else change(self.current(name)))
            self._workspace.import_stack(self._full_name(name), state)

        self._run("repairing", name, repair)

    def preview(self, name: str, program: Program, *, targets: Targets = None) -> tuple[ResourceChange, ...]:
        """What an update of `targets` would change."""
        stack = _Stack(self._full_name(name), self._workspace)
        log = self._run(
            "previewing",
            name,
            lambda log: stack.preview(program=program, color="never", on_event=log, target=targets),
            is_preview=True,
        )
        return log.changes

    def preview_from_nothing(self, name: str, program: Program) -> tuple[ResourceChange, ...]:
        """What a first update would create; nothing is written where the state will be."""
        with private_folder("capctl-preview-") as folder:
            environment = {
                name: value for name, value in self._environment.items() if name != "PULUMI_CONFIG_PASSPHRASE_FILE"
            } | {"PULUMI_BACKEND_URL": f"file://{folder}", "PULUMI_CONFIG_PASSPHRASE": "preview"}
            workspace = self._made_workspace(folder, environment, secrets_provider=None)
            stack = _Stack(self._full_name(name), workspace)

            def preview(log: EventLog) -> None:
                workspace.create_stack(stack.name)
                stack.preview(program=program, color="never", on_event=log)

            return self._run("previewing", name, preview, is_preview=True).changes

    def up(self, name: str, program: Program, *, refresh: bool = False, targets: Targets = None) -> EventLog:
        """Make the program true for `targets` and touch nothing else; `refresh` first reads what exists of them.

        An error that `may_pass` is AWS's refusal of a deletion that it allows a little later.
        """
        stack = _Stack(self._full_name(name), self._workspace)
        return self._run(
            "updating",
            name,
            lambda log: stack.up(program=program, color="never", on_event=log, refresh=refresh or None, target=targets),
        )

    def _full_name(self, name: str) -> str:
        return f"{self._target.name}-{name}"

    @cached_property
    def _environment(self) -> dict[str, str]:
        """What the CLI and its plugins see: our own environment, the target's address, Pulumi's own folder and state."""
        target = self._target
        return {
            "PULUMI_LOG_ROTATION_MAX_TOTAL_MB": str(_LOGS_MB),
            **self._given,
            "AWS_REGION": target.region,
            "AWS_DEFAULT_REGION": target.region,
            **({"AWS_PROFILE": target.profile} if target.profile else {}),
            **({"AWS_ENDPOINT_URL": target.endpoint_url} if target.endpoint_url else {}),
            **secrets_environment(target, self._given),
            "PULUMI_BACKEND_URL": backend_url(target),
            "PULUMI_HOME": str(cache_folder() / "pulumi-home"),
            "PULUMI_SKIP_UPDATE_CHECK": "true",
        }

    @property
    def _workspace(self) -> automation.LocalWorkspace:
        """Made once, also where two states are read side by side."""
        with self._making:
            return self._own_workspace

    @cached_property
    def _own_workspace(self) -> automation.LocalWorkspace:
        if is_file_state(self._target):
            state_folder(self._target).mkdir(parents=True, exist_ok=True)
        provider = self._target.settings.stack.secrets_provider
        folder = self._target.path(".capctl") / "pulumi" / self._target.name
        return self._made_workspace(
            folder, self._environment, secrets_provider=None if provider == "passphrase" else provider
        )

    def _made_workspace(
        self, folder: Path, environment: dict[str, str], *, secrets_provider: str | None
    ) -> automation.LocalWorkspace:
        folder.mkdir(parents=True, exist_ok=True)
        return automation.LocalWorkspace(
            work_dir=str(folder),
            pulumi_command=PulumiCli(find_pulumi(self._given.get("PATH", "")), self._started),
            project_settings=automation.ProjectSettings(name=self._target.project, runtime="python"),
            env_vars=environment,
            secrets_provider=secrets_provider,
        )

    def _run(
        self, doing: str, name: str, operation: Callable[[EventLog], object], *, is_preview: bool = False
    ) -> EventLog:
        """Run an operation once nobody else holds the stack's lock."""
        for attempt in range(1, _ATTEMPTS + 1):
            log = EventLog(self._ui, is_preview=is_preview)
            try:
                with closing(log):
                    operation(log)
            except ConcurrentUpdateError as error:
                if attempt == _ATTEMPTS:
                    raise self._failure(doing, name, error, log.errors) from error
                self._await_lock(name, lock_holders(str(error)))
            except CommandError as error:
                raise self._failure(doing, name, error, log.errors) from error
            else:
                break
        return log

    def _await_lock(self, name: str, holders: list[LockHolder]) -> None:
        """Wait for the runs that hold the lock; break it only when all were dead when first seen. Raises `stack-locked`."""
        known = [(holder, self._started.find(holder)) for holder in holders]
        alive = [
            (holder, process)
            for holder, process in known
            if not (process.is_gone if process else self._is_abandoned(holder))
        ]
        for holder, process in alive:
            if process is None:
                raise self._locked_by(
                    name,
                    holder,
                    "Wait for that run; if it is dead for certain, run, on any machine, "
                    f"`PULUMI_BACKEND_URL='{backend_url(self._target)}' pulumi cancel --yes --stack "
                    f"organization/{self._target.project}/{self._full_name(name)}`",
                )
            self._ui.note(f"Another run (pid {holder.pid}) is changing stack `{self._full_name(name)}`; waiting for it")
            if not process.ends(within_s=_HOLDER_GRACE_S):
                raise self._locked_by(name, holder, "Wait for that run, then run the command again")
        # A message that names nobody proves nothing.
        if holders and not alive:
            self._break_lock(name)

    def _locked_by(self, name: str, holder: LockHolder, hint: str) -> CapctlError:
        return CapctlError("stack-locked", f"Stack `{self._full_name(name)}` is being changed by {holder}", hint=hint)

    def _break_lock(self, name: str) -> None:
        self._ui.note(f"A killed run left stack `{self._full_name(name)}` locked; the lock is given back")
        try:
            _Stack(self._full_name(name), self._workspace).cancel()
        except CommandError as error:
            raise self._failure("unlocking", name, error, ()) from error

    def _failure(self, doing: str, name: str, error: CommandError, diagnostics: Sequence[str]) -> CapctlError:
        return failure_of(error, diagnostics, doing=f"{doing} stack `{self._full_name(name)}`", target=self._target)
