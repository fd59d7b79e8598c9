"""What every `ports.Images` does: a base by the engine, the code by the registry alone."""

from __future__ import annotations

import re
import shutil
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from lifecycle.adapters.clock import SystemClock
from lifecycle.adapters.container_images import ContainerImages
from lifecycle.domain.digest import digest_of
from lifecycle.errors import CapctlError
from lifecycle.ports.images import Images, Violation
from lifecycle.rehearsal.emulator.containers import jobs_supported
from lifecycle.rehearsal.services.registry import RunningRegistry, debian_registry, registry_supported
from tests.fakes.images import BUDGETS, FakeImages
from tests.fakes.targets import make_target
from tests.fakes.ui import FakeUi
from tests.rehearsal.stage_parts import cache

BOTH = ["fake", pytest.param("registry", marks=pytest.mark.rehearsal)]
# Nothing to download; the base holds Python alone.
LOCK = "# no requirements\n"
NO_ENGINE = "unix:///nowhere/docker.sock"


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """A working tree: `images` gives the port as one more command sees it, `write` and `lock` change code and lock.

    `add_model` puts a model among the code.
    """

    repository: str
    images: Callable[[], Images]
    write: Callable[[str], object]
    lock: Callable[[str], object]
    add_model: Callable[[], object]


def _in_memory() -> Project:
    images = FakeImages()

    def add_model() -> None:
        images.code += " and a model"
        images.violations = (Violation(code="model-file", message="a model", path="app/weights.onnx"),)

    return Project(
        repository=make_target(Path()).repository,
        images=lambda: images,
        write=lambda text: setattr(images, "code", text),
        lock=lambda text: setattr(images, "lock", text),
        add_model=add_model,
    )


def _on_disk(folder: Path, registry: RunningRegistry, repository: str, ui: FakeUi) -> Project:
    (folder / "code").mkdir(parents=True)
    job, lock = folder / "code" / "job.py", folder / "requirements.lock"
    job.write_text(f"print({uuid.uuid4().hex!r})\n")
    lock.write_text(LOCK)
    section = {"root": "code", "include": ("**/*.py", "**/*.onnx"), "repository": repository}
    target = make_target(folder, image={**section, "base": {"requirements": lock.name}})
    target = replace(target, registry_url=f"http://{registry.address}")

    def images() -> Images:
        session: Any = None  # only ECR asks for one
        return ContainerImages(target, session, SystemClock(), ui)

    return Project(
        repository=target.repository,
        images=images,
        write=job.write_text,
        lock=lock.write_text,
        add_model=lambda: (folder / "code" / "weights.onnx").write_bytes(b"weights"),
    )


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningRegistry]:
    """A registry, and a cache of the suite's own that shares the root filesystem of this machine's."""
    if why := registry_supported():
        pytest.skip(why)
    folder = tmp_path_factory.mktemp("images")
    (cache() / "rootfs").mkdir(parents=True, exist_ok=True)
    (folder / "cache" / "capctl").mkdir(parents=True)
    (folder / "cache" / "capctl" / "rootfs").symlink_to(cache() / "rootfs")
    with (
        pytest.MonkeyPatch.context() as patch,
        debian_registry(folder, f"test-{uuid.uuid4().hex[:8]}") as registry,
    ):
        patch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        yield registry


@pytest.fixture(scope="module")
def repository(registry: RunningRegistry, tmp_path_factory: pytest.TempPathFactory) -> str:
    """One that holds the base image."""
    if why := jobs_supported() or (None if shutil.which("apt-get") else "no packages to make a root filesystem from"):
        pytest.skip(why)
    ui = FakeUi()
    with _forgetting(ui):
        _on_disk(tmp_path_factory.mktemp("base"), registry, "contract", ui).images().build_base()
    return "contract"


@contextmanager
def _forgetting(ui: FakeUi) -> Iterator[None]:
    """Remove what the engine makes in the block; what it had is left alone."""
    import docker

    engine = docker.from_env()
    had = {image.id for image in engine.images.list(all=True)}
    yield
    for short_id in reversed(re.findall(r"---> ([0-9a-f]{12})$", "\n".join(ui.lines), re.MULTILINE)):
        with suppress(docker.errors.APIError):  # gone with its child
            if engine.images.get(short_id).id not in had:
                engine.images.remove(short_id, force=True, noprune=True)
    engine.close()


@pytest.fixture(params=BOTH)
def bare(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project whose base image was never built."""
    if request.param == "fake":
        return _in_memory()
    registry: RunningRegistry = request.getfixturevalue("registry")
    monkeypatch.setenv("DOCKER_HOST", NO_ENGINE)
    return _on_disk(tmp_path, registry, f"bare-{uuid.uuid4().hex[:8]}", FakeUi())


@pytest.fixture(params=BOTH)
def project(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project whose base image is in the registry, on a machine where no engine answers."""
    if request.param == "fake":
        project = _in_memory()
        project.images().build_base()
        return project
    repository: str = request.getfixturevalue("repository")
    monkeypatch.setenv("DOCKER_HOST", NO_ENGINE)
    return _on_disk(tmp_path, request.getfixturevalue("registry"), repository, FakeUi())


def code_of(call: Callable[[], object]) -> str:
    with pytest.raises(CapctlError) as failed:
        call()
    return failed.value.code


def test_before_the_first_build_there_is_no_base_and_no_code(bare: Project) -> None:
    assert bare.images().base() is None
    for call in (
        lambda: bare.images().code_tag(),
        lambda: bare.images().code_layer(),
        lambda: bare.images().push_code(),
        lambda: bare.images().pushed_code(),
    ):
        assert code_of(call) == "base-missing"


@pytest.mark.rehearsal
def test_base_cannot_be_built_without_an_engine(
    registry: RunningRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", NO_ENGINE)
    images = _on_disk(tmp_path, registry, "bare", FakeUi()).images()
    assert code_of(images.build_base) == "engine-missing"
    assert images.base() is None


def test_base_that_the_registry_has_is_returned_without_a_build(project: Project) -> None:
    base = project.images().build_base()
    assert project.images().base() == base
    assert base.tag == project.images().base_tag()
    assert base.ref.repository == project.repository


def test_other_lock_asks_for_another_base(project: Project) -> None:
    tag = project.images().base_tag()
    project.lock(LOCK + "# changed\n")
    assert project.images().base_tag() != tag
    assert project.images().base() is None
    assert code_of(lambda: project.images().push_code()) == "base-missing"


def test_tag_of_the_code_names_its_content(project: Project) -> None:
    project.write("print('one')\n")
    tag = project.images().code_tag()
    project.write("print('two')\n")
    assert project.images().code_tag() != tag
    project.write("print('one')\n")
    assert project.images().code_tag() == tag


def test_layer_is_told_before_it_is_pushed(project: Project) -> None:
    code = f"print({uuid.uuid4().hex!r})\n"
    project.write(code)
    layer = project.images().code_layer()
    assert layer.tag == project.images().code_tag() == f"code-{layer.treehash.removeprefix('sha256:')[:16]}"
    assert (layer.files, layer.unpacked_bytes) == (1, len(code))
    assert layer.compressed_bytes > 0
    assert code_of(lambda: project.images().pushed_code()) == "image-missing"


def test_push_stores_the_code_under_its_tag_and_the_second_costs_one_request(project: Project) -> None:
    tag = project.images().code_tag()
    first = project.images().push_code()
    second = project.images().push_code()
    assert (first.tag, first.unchanged, first.ref.repository) == (tag, False, project.repository)
    assert first.requests >= 6
    assert first.bytes_sent > 0
    assert second == replace(first, unchanged=True, requests=1, bytes_sent=0)


def test_pushed_code_is_that_of_the_working_tree(project: Project) -> None:
    project.write("print('kept')\n")
    pushed = project.images().push_code()
    project.write(f"print({uuid.uuid4().hex!r})\n")
    assert code_of(lambda: project.images().pushed_code()) == "image-missing"
    project.write("print('kept')\n")
    found = project.images().pushed_code()
    assert (found.ref, found.tag) == (pushed.ref, pushed.tag)


def test_code_image_is_the_base_and_one_layer(project: Project) -> None:
    base = project.images().build_base()
    layer, pushed = project.images().code_layer(), project.images().push_code()
    below, report = project.images().inspect(base.ref), project.images().inspect(pushed.ref)
    assert (report.ref, report.budgets, report.violations) == (pushed.ref, BUDGETS, ())
    assert (report.layers, report.files) == (below.layers + 1, below.files + layer.files)
    assert report.compressed_bytes == below.compressed_bytes + layer.compressed_bytes
    assert report.unpacked_bytes == below.unpacked_bytes + layer.unpacked_bytes


def test_image_that_breaks_a_rule_can_be_pushed_and_inspection_names_the_file(project: Project) -> None:
    project.add_model()
    report = project.images().inspect(project.images().push_code().ref)
    assert [(one.code, one.path) for one in report.violations] == [("model-file", "app/weights.onnx")]


def test_image_that_the_registry_lacks_cannot_be_inspected(project: Project) -> None:
    base = project.images().build_base()
    nowhere = replace(base.ref, digest=digest_of(b"nowhere"))
    assert code_of(lambda: project.images().inspect(nowhere)) == "image-missing"
