"""Which builder makes the base image, and what BuildKit's command line is asked, by programs in the place of docker."""

from __future__ import annotations

import os
import shlex
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from lifecycle.adapters.buildkit import BuildKit, engine_has_buildkit, find_buildkit
from lifecycle.errors import CapctlError
from tests.fakes.ui import FakeUi

OLD = {"Api-Version": "1.41", "Ostype": "linux", "Server": "Docker/20.10.24 (linux)"}
NEW = {"Api-Version": "1.51", "Ostype": "linux", "Server": "Docker/28.2.2 (linux)", "Builder-Version": "2"}
TOLD_CLASSIC = {**OLD, "Builder-Version": "1"}
PODMAN = {"Api-Version": "1.41", "Ostype": "linux", "Server": "Libpod/4.3.1 (linux)"}
ANCIENT = {**OLD, "Api-Version": "1.38"}

WITHOUT_BUILDX = 'case "$*" in "--version") echo "Docker version 28.2.2, build e6534b4";; *) exit 1;; esac'
BUILT_IN = 'case "$*" in "--version") echo "Docker version 20.10.24+dfsg1, build 297e128";; *) exit 1;; esac'
WITH_BUILDX = 'case "$*" in "buildx version") echo "github.com/docker/buildx v0.12.1";; *) exit 1;; esac'


@pytest.mark.parametrize("engine", [OLD, NEW, TOLD_CLASSIC])
def test_docker_engine_since_1809_has_buildkit(engine: dict[str, str]) -> None:
    assert engine_has_buildkit(engine)


@pytest.mark.parametrize("engine", [PODMAN, ANCIENT, {**OLD, "Ostype": "windows"}, {}])
def test_other_engine_has_none(engine: dict[str, str]) -> None:
    assert not engine_has_buildkit(engine)


def test_buildx_is_taken_before_a_command_line_with_a_buildkit_of_its_own(on_path: OnPath) -> None:
    on_path(WITHOUT_BUILDX)
    old = on_path(BUILT_IN)
    assert find_buildkit("auto", NEW) == BuildKit(program=old, has_buildx=False)
    new = on_path(WITH_BUILDX)
    assert find_buildkit("auto", NEW) == BuildKit(program=new, has_buildx=True)


@pytest.mark.parametrize("engine", [PODMAN, TOLD_CLASSIC])
def test_auto_builds_classically_where_the_engine_lacks_buildkit_or_prefers_the_other(
    on_path: OnPath, engine: dict[str, str]
) -> None:
    on_path(WITH_BUILDX)
    assert find_buildkit("auto", engine) is None


def test_auto_builds_classically_where_no_command_line_has_buildkit(on_path: OnPath) -> None:
    assert find_buildkit("auto", NEW) is None
    on_path(WITHOUT_BUILDX)
    assert find_buildkit("auto", NEW) is None


def test_configuration_decides_against_either(on_path: OnPath) -> None:
    program = on_path(WITH_BUILDX)
    assert find_buildkit("classic", NEW) is None
    assert find_buildkit("buildkit", TOLD_CLASSIC) == BuildKit(program=program, has_buildx=True)


@pytest.mark.parametrize(
    ("engine", "who"), [(NEW, "No `docker` on PATH has"), (PODMAN, "The container engine does not")]
)
def test_buildkit_that_is_asked_for_and_missing_is_an_error_that_says_on_which_side(
    on_path: OnPath, engine: dict[str, str], who: str
) -> None:
    on_path(WITHOUT_BUILDX)
    with pytest.raises(CapctlError, match=who) as failed:
        find_buildkit("buildkit", engine)
    assert failed.value.code == "buildkit-missing"
    assert "image.base.builder" in failed.value.hint


@pytest.mark.parametrize(
    ("has_buildx", "words"),
    [
        (True, "buildx build --builder default --load --progress plain --tag host/name:tag -"),
        (False, "build --progress plain --tag host/name:tag -"),
    ],
)
def test_build_gets_the_context_and_its_lines_reach_the_user(
    on_path: OnPath, context: Path, monkeypatch: pytest.MonkeyPatch, has_buildx: bool, words: str
) -> None:
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    program = on_path('echo "$*"; cat; echo "$DOCKER_HOST $DOCKER_BUILDKIT $SOURCE_DATE_EPOCH" >&2')
    ui = FakeUi()
    BuildKit(program=program, has_buildx=has_buildx).build(context, "host/name:tag", ui)
    assert ui.lines == [
        f"detail: {words}",
        "detail: the context",
        "detail: unix:///var/run/docker.sock 1 315532800",
    ]


@pytest.mark.parametrize(
    ("last", "reason"),
    [
        # As docker 20.10 ends, as buildx does, and both where the step did not say why.
        (("#5 0.3 error: no such wheel", "executor failed running [x]: exit code: 1"), "error: no such wheel"),
        (("0.3 error: no such wheel", "------", "ERROR: failed to solve: x"), "error: no such wheel"),
        (
            ("ERROR: failed to solve: exit code: 137", "View build details: there"),
            "ERROR: failed to solve: exit code: 137",
        ),
        (("nothing of the kind",), "exit status 1"),
    ],
)
def test_failing_step_is_told_with_its_last_lines(
    on_path: OnPath, context: Path, last: tuple[str, ...], reason: str
) -> None:
    program = on_path(f"seq 100; printf '%s\\n' {' '.join(map(shlex.quote, last))}; exit 1")
    with pytest.raises(CapctlError) as failed:
        BuildKit(program=program, has_buildx=False).build(context, "name:tag", FakeUi())
    assert failed.value.code == "engine-failed"
    assert failed.value.message == f"The engine failed building `name:tag`: {reason}"
    assert len(failed.value.details) == 15
    assert failed.value.details[-len(last) :] == last


def test_command_line_that_went_away_is_an_error(context: Path) -> None:
    with pytest.raises(CapctlError, match="cannot be run") as failed:
        BuildKit(program="/nowhere/docker", has_buildx=False).build(context, "name:tag", FakeUi())
    assert failed.value.code == "engine-failed"


def test_interruption_ends_the_command_line_and_its_plugin(on_path: OnPath, context: Path, tmp_path: Path) -> None:
    # The pipe is at its end when nobody has it open any more: neither the command line nor what it started.
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    program, ui = on_path(f"exec 3>{pipe}; sleep 600 & echo started; wait"), InterruptingUi()
    with ThreadPoolExecutor() as threads:
        said = threads.submit(pipe.read_text)
        with pytest.raises(KeyboardInterrupt):
            BuildKit(program=program, has_buildx=True).build(context, "name:tag", ui)
        assert said.result(timeout=30) == ""
    assert ui.lines == ["Stopping the build of `name:tag`"]


def test_command_line_that_does_not_heed_an_interruption_is_ended_all_the_same(on_path: OnPath, context: Path) -> None:
    program = on_path("trap '' TERM INT; echo started; while :; do sleep 600; done")
    with pytest.raises(KeyboardInterrupt):
        BuildKit(program=program, has_buildx=True).build(context, "name:tag", InterruptingUi())


class InterruptingUi(FakeUi):
    """Where a signal arrives while a line is shown."""

    def detail(self, message: str) -> None:
        raise KeyboardInterrupt(message)


class OnPath:
    """Puts programs named `docker` on a PATH that has no other; later ones come later."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._folder = folder
        self._folders: list[str] = []
        self._patch = monkeypatch
        self._set()

    def __call__(self, body: str) -> str:
        program = self._folder / str(len(self._folders)) / "docker"
        program.parent.mkdir()
        program.write_text(f"#!/bin/sh\nPATH=/usr/bin:/bin\n{body}\n")
        program.chmod(0o755)
        self._folders.append(str(program.parent))
        self._set()
        return str(program)

    def _set(self) -> None:
        self._patch.setenv("PATH", os.pathsep.join(self._folders or [str(self._folder / "none")]))


@pytest.fixture
def on_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> OnPath:
    return OnPath(tmp_path, monkeypatch)


@pytest.fixture
def context(tmp_path: Path) -> Path:
    tar = tmp_path / "context.tar"
    tar.write_text("the context\n")
    return tar
