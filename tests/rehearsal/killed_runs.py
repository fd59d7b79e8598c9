"""Runs of the stack port as processes of their own, which can be killed at a moment that they themselves tell of."""

from __future__ import annotations

import multiprocessing
import os
import signal
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

from lifecycle.config.target import Target
from lifecycle.rehearsal.child import descendants
from tests.rehearsal.stage_parts import until

MARK = "CAPCTL_TEST_MARK"
_IMPORTED = ("lifecycle.adapters.pulumi_auto", "pulumi_stack.base", "pulumi_stack.releases", __name__)


class Ended(NamedTuple):
    """How a run ended: the ids that it returned, or what it raised; neither when it was killed. `ticks` is how many it told of."""

    ids: tuple[str, ...] | None
    error: str
    ticks: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Runs:
    """Runs on one target. Each starts from a process that has imported everything already, so that its time is the engine's."""

    target: Target
    environment: Mapping[str, str]
    mark: str = field(default_factory=lambda: f"run-{uuid.uuid4().hex}")

    def __call__(self, method: str, argument: Any) -> Ended:
        """Run to the end."""
        return self._run(method, argument, lambda ticks: False, {})

    def killed(self, method: str, argument: Any, *, tick: int, environment: Mapping[str, str]) -> Ended:
        """Kill capctl and the CLI below it, and not the provider, once the run has told of `tick` moments."""
        return self._run(method, argument, lambda ticks: ticks > tick, environment)

    def await_providers(self) -> None:
        """Wait until no process of any run is left."""
        until(lambda: not marked(self.mark))

    def _run(
        self, method: str, argument: Any, is_moment: Callable[[int], bool], environment: Mapping[str, str]
    ) -> Ended:
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(list(_IMPORTED))
        here, there = context.Pipe(duplex=False)
        given = {**self.environment, MARK: self.mark, **environment}
        # A second start with the mark in what the kernel shows of the process would cost the import again; the CLI and provider have it.
        process = context.Process(target=_perform, args=(there, given, self.target, method, argument))
        process.start()
        there.close()
        ticks = 0
        try:
            while not is_moment(ticks):
                told = here.recv()
                if told is not None:
                    return Ended(*told, ticks=ticks)
                ticks += 1
            assert process.pid
            _kill(process.pid)
        finally:
            process.join(60)
            here.close()
        return Ended(None, "", ticks)


def marked(mark: str) -> list[int]:
    """Processes that carry the mark in the environment that they were started with."""
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            if mark.encode() in path.read_bytes():
                found.append(int(path.parent.name))
        except OSError:
            continue
    return sorted(found)


def _kill(pid: int) -> None:
    # Stopped first, so that it starts no other CLI between the look and the kill; after its last moment it may have ended by itself.
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGSTOP)
    victims = [below for below in descendants(pid) if _program(below) == "pulumi"]
    for victim in (pid, *victims):
        with suppress(ProcessLookupError):
            os.kill(victim, signal.SIGKILL)


def _program(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


def _perform(there: Connection, environment: Mapping[str, str], target: Target, method: str, argument: Any) -> None:
    from lifecycle.adapters.aws.session import AwsSession
    from lifecycle.adapters.clock import SystemClock
    from lifecycle.adapters.pulumi_auto import PulumiStack
    from tests.fakes.ui import FakeUi

    os.setsid()
    os.environ.clear()
    os.environ.update(environment)
    _tell_of_moments(lambda: there.send(None))
    try:
        made = getattr(PulumiStack(target, AwsSession(target), SystemClock(), FakeUi()), method)(argument)
        there.send((tuple(one.id for one in made), ""))
    except Exception as error:
        there.send((None, f"{error!r} {getattr(error, 'details', '')}"))


def _tell_of_moments(tell: Callable[[], None]) -> None:
    """Tell of each start and end of the CLI, and of whatever the engine says of a resource."""
    from lifecycle.adapters.pulumi_cli import PulumiCli
    from lifecycle.adapters.pulumi_events import EventLog

    run, hear = PulumiCli.run, EventLog.__call__

    def telling_run(self: PulumiCli, *arguments: Any, **options: Any) -> Any:
        tell()
        try:
            return run(self, *arguments, **options)
        finally:
            tell()

    def telling_hear(self: EventLog, event: Any) -> None:
        hear(self, event)
        if event.resource_pre_event or event.res_outputs_event:
            tell()

    PulumiCli.run, EventLog.__call__ = telling_run, telling_hear  # type: ignore[method-assign]
