"""Two runs that build one base at once: the second takes what the first has pushed."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lifecycle.adapters.aws.registry_login import RegistryLogin
from lifecycle.adapters.base_builder import EngineBaseBuilder
from lifecycle.adapters.container_registry import ContainerRegistry
from lifecycle.errors import CapctlError
from tests.failures import code_of, failure
from tests.fakes.clock import FakeClock
from tests.fakes.registry import FakeRegistry, serving
from tests.fakes.targets import make_target
from tests.fakes.ui import FakeUi
from tests.unit.lifecycle.test_registry_login import Ecr


class Engine:
    """Builds nothing. The other run pushes at one `moment`: while this one builds, while it pushes, or never."""

    def __init__(self, beside: Beside) -> None:
        self.ping: dict[str, str] = {}
        self._beside = beside

    def build(self, context: Path, name: str) -> None:
        self._beside.contexts.append(context)
        self._beside.names.append(name)
        if self._beside.moment == "build":
            self._beside.push()

    def push(self, _name: str, *, credentials: object) -> None:
        self._beside.pushes += 1
        if self._beside.moment == "push":
            self._beside.push()
        if self._beside.moment != "none":
            raise CapctlError("engine-failed", "tag invalid: the image tag is immutable", hint="x")
        if self._beside.fails:
            raise CapctlError("engine-failed", "no route to host", hint="x")
        self._beside.push()

    def untag(self, name: str) -> None:
        self._beside.names.remove(name)


class Beside:
    """The world around the engine."""

    def __init__(self, server: FakeRegistry, builder: EngineBaseBuilder, repository: str, moment: str) -> None:
        self._server, self._builder, self._repository = server, builder, repository
        self.moment, self.fails = moment, False
        self.names: list[str] = []
        self.contexts: list[Path] = []
        self.pushes = 0

    def push(self) -> None:
        digest = self._server.add_image(self._repository, {"rootfs": {"diff_ids": []}}, [b"base"])
        self._server.tags[self._repository, self._builder.tag()] = digest


@pytest.fixture
def server() -> Iterator[FakeRegistry]:
    with serving() as fake:
        yield fake


@pytest.fixture
def beside(server: FakeRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Beside:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "requirements.lock").write_text("")
    root = {"from_image": f"registry.example/python@sha256:{'1' * 64}", "requirements": "requirements.lock"}
    target = make_target(tmp_path, image={"base": {**root, "builder": "classic"}})
    ecr: Any = Ecr()
    login = RegistryLogin(target, ecr, FakeClock())
    login.url = server.url
    monkeypatch.setattr(login, "engine_credentials", lambda: None)
    registry = ContainerRegistry(target, login)
    builder = EngineBaseBuilder(target, registry, FakeUi())
    made = Beside(server, builder, target.repository_name, "none")
    monkeypatch.setattr("lifecycle.adapters.docker_engine.DockerEngine", lambda _ui: Engine(made))
    monkeypatch.setattr("images.base.recipe.wheels_of", lambda *_, **__: tmp_path)
    return made


@pytest.mark.parametrize(("moment", "pushes"), [("none", 1), ("build", 0), ("push", 1)])
def test_base_that_another_run_pushes_meanwhile_is_taken(beside: Beside, moment: str, pushes: int) -> None:
    beside.moment = moment
    built = beside._builder.build()
    assert built == beside._builder.find()
    assert (beside.pushes, beside.names) == (pushes, [])


def test_what_a_killed_build_left_is_removed_by_the_next_one(beside: Beside, tmp_path: Path) -> None:
    left = tmp_path / "cache" / "capctl" / "base-build-killed" / "context.tar"
    left.parent.mkdir(parents=True)
    left.touch()
    beside._builder.build()
    assert beside.contexts[0].parent.parent == left.parent.parent
    assert [path.name for path in left.parent.parent.iterdir() if "base-build" in path.name] == []


def test_disk_that_is_full_is_told_with_its_place(
    beside: Beside, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> Path:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("images.base.recipe.context_tar", full)
    failed = failure(beside._builder.build)
    assert failed.code == "disk-full"
    assert str(tmp_path / "cache") in failed.message


def test_push_that_failed_is_a_failure_where_nobody_else_pushed(beside: Beside) -> None:
    beside.fails = True
    assert code_of(beside._builder.build) == "engine-failed"
    # For who repeats it: the engine's name, and so its layers, are still there.
    assert len(beside.names) == 1
