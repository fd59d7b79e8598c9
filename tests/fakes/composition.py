"""What a command works with, made of fakes."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from lifecycle.adapters.lock_file import LockFile
from lifecycle.adapters.model_files import FolderSource
from lifecycle.config.target import Target
from lifecycle.domain.run import Run
from lifecycle.ports.ui import Ui
from tests.fakes.amis import FakeAmis
from tests.fakes.baker import FakeBaker
from tests.fakes.clock import FakeClock
from tests.fakes.images import FakeImages
from tests.fakes.jobs import FakeJobs
from tests.fakes.journal import FakeJournal
from tests.fakes.objects import FakeObjects
from tests.fakes.pointers import FakePointers
from tests.fakes.ports import FakePorts
from tests.fakes.releases import result_document
from tests.fakes.results import FakeResults
from tests.fakes.runs import RUN
from tests.fakes.stack import OUTPUTS, FakeStack
from tests.fakes.ui import FakeUi

# What changes the world.
_CHANGES = {
    "amis": ("deregister", "harden", "tag"),
    "baker": ("bake",),
    "images": ("build_base", "push_code"),
    "jobs": ("cancel", "submit"),
    "model_lock": ("write",),
    "objects": ("put", "write"),
    "pointers": ("move",),
    "stack": ("add_release", "apply_base", "remove_releases"),
}


class FakeComposition:
    """A new account beside a folder of models. `asked` names the changes that were asked for, `answers` are a person's."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.answers: tuple[bool, ...] = ()
        self.ui = FakeUi()
        self.clock = FakeClock()
        self.journal = FakeJournal()
        self.amis = FakeAmis()
        self.baker = FakeBaker(self.amis)
        self.images = FakeImages()
        self.stack = FakeStack(bootstrapped=False)
        self.jobs = FakeJobs(self.stack)
        self.pointers = FakePointers()
        self.objects = FakeObjects(OUTPUTS.bucket)
        self.results = FakeResults(result_document())

    def terminal(self, *, verbosity: int, assume_yes: bool) -> Ui:
        self.ui = FakeUi(answers=(True,) if assume_yes else self.answers)
        return self.ui

    def begin_run(self, command: str, *, reason: str, folder: Path) -> Run:
        return replace(RUN, command=command, reason=reason)

    def application(self, target: Target, ui: Ui, *, command: str) -> Any:
        """Typed as `Any`, as `FakePorts` is."""
        fakes: dict[str, Any] = {
            "amis": self.amis,
            "baker": self.baker,
            "images": self.images,
            "jobs": self.jobs,
            "model_lock": LockFile(target.path(target.settings.models.lock)),
            "objects": self.objects,
            "pointers": self.pointers,
            "stack": self.stack,
        }
        return FakePorts(
            target=target,
            ui=ui,
            clock=self.clock,
            journal=self.journal,
            results=self.results,
            model_source=FolderSource(target.path(target.settings.models.source), exclude=()),
            **{name: _Watched(name, fake, self.asked.append) for name, fake in fakes.items()},
        )


class _Watched:
    """A port that tells when a change is asked of it."""

    def __init__(self, name: str, port: Any, tell: Callable[[str], None]) -> None:
        self._name, self._port, self._tell = name, port, tell

    def __getattr__(self, attribute: str) -> Any:
        if attribute in _CHANGES[self._name]:
            self._tell(f"{self._name}.{attribute}")
        return getattr(self._port, attribute)
