"""What a command works with, made of fakes."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from lifecycle.adapters.lock_file import LockFile
from lifecycle.adapters.model_files import FolderSource
from lifecycle.config.target import Target
from lifecycle.domain.run import Run
from lifecycle.ports.ui import Ui
from tests.fakes.ports import FakePorts
from tests.fakes.runs import RUN
from tests.fakes.stack import FakeStack
from tests.fakes.ui import FakeUi
from tests.fakes.watched import WatchedPort

# What changes the world.
_CHANGES = {
    "amis": (
        "change_grants",
        "copy_from",
        "delete_snapshot",
        "deprecate",
        "deregister",
        "disable",
        "enable",
        "require_imds_v2",
        "tag",
        "tag_snapshot",
        "untag",
    ),
    "bake_runs": ("end", "forget", "remove_folder"),
    "baker": ("bake",),
    "base_builder": ("build",),
    "channels": ("write",),
    "code": ("push",),
    "contract_file": ("write",),
    "deployments": ("turn",),
    "engine": ("load",),
    "instances": ("launch", "terminate"),
    "jobs": ("cancel", "close_queue", "open_queue", "submit", "withdraw"),
    "layouts": ("write",),
    "leftovers": ("remove",),
    "model_lock": ("write",),
    "objects": ("put", "remove", "write"),
    "pointers": ("move", "readmit", "retire"),
    "repository_images": ("delete",),
    "registry": ("tag",),
    "stack": ("add_release", "apply_base", "remove_releases"),
}


class FakeComposition:
    """A new account beside a folder of models. `asked` names the changes that were asked for, `answers` are a person's."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.answers: tuple[bool, ...] = ()
        self.ports = FakePorts(stack=FakeStack(bootstrapped=False))

    def terminal(self, *, verbosity: int, assume_yes: bool) -> Ui:
        self.ports.ui = FakeUi(answers=(True,) if assume_yes else self.answers)
        return self.ports.ui

    def begin_run(self, command: str, *, reason: str) -> Run:
        return replace(RUN, command=command, reason=reason)

    def application(self, target: Target, ui: Ui, *, command: str) -> Any:
        """The ports, watched: they pass for what they watch, which no type can say."""
        self.ports.model_lock = LockFile(target.path(target.settings.models.lock))
        self.ports.model_source = FolderSource(target.path(target.settings.models.source), exclude=())
        return _Application(target, self.ports, self.asked.append)


class _Application:
    def __init__(self, target: Target, ports: FakePorts, tell: Callable[[str], None]) -> None:
        self.target = target
        self._ports, self._tell = ports, tell

    def amis_in(self, region: str) -> Any:
        return WatchedPort("amis", self._ports.amis_in(region), self._call)

    def __getattr__(self, name: str) -> Any:
        port = getattr(self._ports, name)
        return WatchedPort(name, port, self._call) if name in _CHANGES else port

    def _call(self, what: str, effect: Callable[[], Any]) -> Any:
        """Tells when a change is asked for."""
        port, _, method = what.partition(".")
        if method in _CHANGES[port]:
            self._tell(what)
        return effect()
