"""What every `ports.Registry`, `ports.BaseBuilder` and `ports.Code` do together: a base by the engine, the code by the registry alone."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from lifecycle.app import App
from lifecycle.domain.digest import digest_of
from lifecycle.domain.image_report import Rules, report_on
from lifecycle.domain.push_preview import FileChanges
from lifecycle.errors import CapctlError, ExitCode
from lifecycle.ports import Ports
from lifecycle.rehearsal.emulator.containers import jobs_supported
from lifecycle.rehearsal.services.registry import RunningRegistry, debian_registry, registry_supported
from tests.failures import code_of
from tests.fakes.ports import FakePorts
from tests.fakes.targets import make_target
from tests.fakes.ui import FakeUi
from tests.rehearsal.stage_parts import cache, forgetting

BOTH = ["fake", pytest.param("registry", marks=pytest.mark.rehearsal)]
# Nothing to download; the base holds Python alone.
LOCK = "# no requirements\n"
NO_ENGINE = "unix:///nowhere/docker.sock"


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """A working tree: `ports` gives the three as one more command sees them, `write` and `lock` change code and lock.

    `add_model` puts a model among the code, and `drop_model` takes it away.
    """

    repository: str
    ports: Callable[[], Ports]
    write: Callable[[str], object]
    lock: Callable[[str], object]
    add_model: Callable[[], object]
    drop_model: Callable[[], object]


def _in_memory() -> Project:
    ports = FakePorts()
    files = ports.code.files
    return Project(
        repository=make_target(Path()).repository,
        ports=lambda: ports,
        write=lambda text: files.update({"job.py": text}),
        lock=lambda text: setattr(ports.base_builder, "lock", text),
        add_model=lambda: files.update({"weights.onnx": "weights"}),
        drop_model=lambda: files.pop("weights.onnx"),
    )


def _on_disk(folder: Path, registry: RunningRegistry, repository: str, ui: FakeUi) -> Project:
    (folder / "code").mkdir(parents=True)
    job, lock = folder / "code" / "job.py", folder / "requirements.lock"
    job.write_text(f"print({uuid.uuid4().hex!r})\n")
    lock.write_text(LOCK)
    section = {"root": "code", "include": ("**/*.py", "**/*.onnx"), "repository": repository}
    target = make_target(folder, image={**section, "base": {"requirements": lock.name}})
    target = replace(target, registry_url=f"http://{registry.address}")
    return Project(
        repository=target.repository,
        ports=lambda: App(target, ui),
        write=job.write_text,
        lock=lock.write_text,
        add_model=lambda: (folder / "code" / "weights.onnx").write_bytes(b"weights"),
        drop_model=(folder / "code" / "weights.onnx").unlink,
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
    with forgetting(ui):
        _on_disk(tmp_path_factory.mktemp("base"), registry, "team/contract", ui).ports().base_builder.build()
    return "team/contract"


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
        project.lock(LOCK)
        project.ports().base_builder.build()
        return project
    repository: str = request.getfixturevalue("repository")
    monkeypatch.setenv("DOCKER_HOST", NO_ENGINE)
    return _on_disk(tmp_path, request.getfixturevalue("registry"), repository, FakeUi())


def test_before_the_first_build_there_is_no_base_and_no_code(bare: Project) -> None:
    assert bare.ports().base_builder.find() is None
    code = bare.ports().code
    for call in (code.tag, code.layer, code.preview, code.push):
        assert code_of(call) == "base-missing"


@pytest.mark.rehearsal
def test_base_cannot_be_built_without_an_engine(
    registry: RunningRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", NO_ENGINE)
    builder = _on_disk(tmp_path, registry, "bare", FakeUi()).ports().base_builder
    assert code_of(builder.build) == "engine-missing"
    assert builder.find() is None


def test_base_that_the_registry_has_is_returned_without_a_build(project: Project) -> None:
    base = project.ports().base_builder.build()
    assert project.ports().base_builder.find() == base
    assert base.tag == project.ports().base_builder.tag()
    assert base.ref.repository == project.repository


def test_other_lock_asks_for_another_base(project: Project) -> None:
    tag = project.ports().base_builder.tag()
    project.lock(LOCK + "# changed\n")
    assert project.ports().base_builder.tag() != tag
    assert project.ports().base_builder.find() is None
    assert code_of(project.ports().code.push) == "base-missing"


def test_tag_of_the_code_names_its_content(project: Project) -> None:
    project.write("print('one')\n")
    tag = project.ports().code.tag()
    project.write("print('two')\n")
    assert project.ports().code.tag() != tag
    project.write("print('one')\n")
    assert project.ports().code.tag() == tag


def test_layer_is_told_before_it_is_pushed(project: Project) -> None:
    code = f"print({uuid.uuid4().hex!r})\n"
    project.write(code)
    layer = project.ports().code.layer()
    assert layer.tag == project.ports().code.tag() == f"code-{layer.treehash.removeprefix('sha256:')[:16]}"
    assert (layer.files, layer.unpacked_bytes) == (1, len(code))
    assert layer.compressed_bytes > 0
    assert project.ports().registry.find(layer.tag) is None


def test_push_stores_the_code_under_its_tag_and_the_second_costs_one_request(project: Project) -> None:
    tag = project.ports().code.tag()
    first = project.ports().code.push()
    second = project.ports().code.push()
    assert (first.tag, first.unchanged, first.ref.repository) == (tag, False, project.repository)
    assert first.requests >= 6
    assert first.bytes_sent > 0
    assert second == replace(first, unchanged=True, requests=1, bytes_sent=0)


def test_preview_tells_the_bytes_that_the_push_sends_and_sends_none(project: Project) -> None:
    preview = project.ports().code.preview()
    assert (preview.known, preview.last, preview.changes) == (None, None, None)
    assert project.ports().registry.find(preview.tag) is None
    layer, pushed = project.ports().code.layer(), project.ports().code.push()
    assert (preview.tag, preview.treehash, preview.files) == (pushed.tag, layer.treehash, 1)
    assert preview.to_send
    assert preview.to_send.total_bytes == pushed.bytes_sent
    assert preview.base == project.ports().base_builder.find()


def test_preview_of_what_the_registry_has_finds_nothing_to_send(project: Project) -> None:
    pushed = project.ports().code.push()
    preview = project.ports().code.preview()
    assert (preview.known, preview.last, preview.to_send) == (pushed.ref, pushed.ref, None)
    assert preview.changes == FileChanges()


def test_preview_names_the_files_that_changed_since_the_last_push(project: Project) -> None:
    first = project.ports().code.push()
    project.add_model()
    assert project.ports().code.preview().changes == FileChanges(added=("weights.onnx",))
    project.ports().code.push()
    project.write(f"print({uuid.uuid4().hex!r})\n")
    preview = project.ports().code.preview()
    assert preview.changes == FileChanges(changed=("job.py",))
    project.ports().code.push()
    project.drop_model()
    preview = project.ports().code.preview()
    assert preview.changes == FileChanges(removed=("weights.onnx",))
    assert preview.last
    assert preview.last != first.ref


def test_tag_names_the_image_that_was_pushed_under_it(project: Project) -> None:
    pushed = project.ports().code.push()
    assert project.ports().registry.find(pushed.tag) == pushed.ref
    assert project.ports().registry.find("code-0123456789abcdef") is None


def test_image_has_as_many_tags_as_it_is_given_and_each_but_once(project: Project) -> None:
    registry, pushed, tag = project.ports().registry, project.ports().code.push(), f"rel-{uuid.uuid4().hex[:12]}"
    assert registry.find(tag) is None
    for _ in range(2):
        registry.tag(pushed.ref, tag)
        assert registry.find(tag) == registry.find(pushed.tag) == registry.find(pushed.ref.digest) == pushed.ref
    unknown = replace(pushed.ref, digest=digest_of(b"unknown"))
    assert code_of(lambda: registry.tag(unknown, tag)) == "image-missing"
    assert registry.find(unknown.digest) is None


def test_code_image_is_the_base_and_one_layer(project: Project) -> None:
    base = project.ports().base_builder.build()
    layer, pushed = project.ports().code.layer(), project.ports().code.push()
    below, index = project.ports().registry.index(base.ref), project.ports().registry.index(pushed.ref)
    *lower, top = index.layers
    assert tuple(lower) == below.layers
    assert [entry.path for entry in top.entries if entry.kind == "file"] == ["app/job.py"]
    assert (top.compressed_bytes, top.unpacked_bytes) == (layer.compressed_bytes, layer.unpacked_bytes)


def test_image_before_its_push_is_the_one_that_the_registry_has_after_it(project: Project) -> None:
    before = project.ports().code.image()
    assert project.ports().registry.find(project.ports().code.tag()) is None
    ref = project.ports().code.push().ref
    after = project.ports().registry.content(ref)
    assert ref.digest == before.digest == after.digest
    assert (before.manifest, before.config) == (after.manifest, after.config)
    for blob in after.blobs:
        for start in (0, blob.size_bytes // 2, blob.size_bytes):
            assert b"".join(before.pieces(blob, start)) == b"".join(after.pieces(blob, start))
            assert len(b"".join(after.pieces(blob, start))) == blob.size_bytes - start


def test_code_shows_what_its_layer_would_hold_before_there_is_a_base(bare: Project) -> None:
    bare.add_model()
    (layer,) = bare.ports().code.index().layers
    assert {(entry.path, entry.kind) for entry in layer.entries} == {
        ("app/job.py", "file"),
        ("app/weights.onnx", "file"),
    }
    assert code_of(bare.ports().code.push) == "base-missing"


def test_image_that_breaks_a_rule_can_be_pushed_and_is_judged_by_what_it_holds(project: Project) -> None:
    project.add_model()
    ports = project.ports()
    ref = ports.code.push().ref
    report = report_on(ref, ports.registry.index(ref), Rules(allowed_packages=ports.base_builder.packages()))
    assert [(one.code, one.path) for one in report.violations] == [("model-file", "app/weights.onnx")]


def test_image_that_the_registry_lacks_has_no_index(project: Project) -> None:
    base = project.ports().base_builder.build()
    nowhere = replace(base.ref, digest=digest_of(b"nowhere"))
    for call in (project.ports().registry.index, project.ports().registry.content):
        with pytest.raises(CapctlError) as failed:
            call(nowhere)
        assert failed.value.code == "image-missing"
        assert "image base" not in failed.value.hint


def test_image_of_another_repository_is_refused_even_if_the_targets_has_its_digest(project: Project) -> None:
    base = project.ports().base_builder.build()
    foreign = replace(base.ref, repository="registry.example/other")
    for call in (project.ports().registry.index, project.ports().registry.content):
        with pytest.raises(CapctlError) as failed:
            call(foreign)
        assert (failed.value.code, failed.value.exit_code) == ("repository-foreign", ExitCode.USAGE)


def test_without_a_contract_the_runtime_brings_no_modules(project: Project) -> None:
    assert project.ports().base_builder.runtime_modules() == frozenset()


def test_packages_are_those_of_the_lock(project: Project) -> None:
    assert project.ports().base_builder.packages() == frozenset()
    project.lock("numpy==2\n")
    assert project.ports().base_builder.packages() == {"numpy==2"}
