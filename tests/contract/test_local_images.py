"""What every `ports.Layouts` and `ports.Engine` do: images of a few bytes, in folders and in the container engine of this machine."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from images.archive import archive_bytes
from images.errors import BlobMissing
from images.media_types import DOCKER, OCI, Family
from lifecycle.adapters.image_layouts import LayoutFolders
from lifecycle.adapters.local_engine import LocalEngine
from lifecycle.domain.digest import canonical_json, digest_of
from lifecycle.domain.image_content import Blob
from lifecycle.errors import CapctlError
from lifecycle.ports.engine import Engine
from lifecycle.ports.layouts import Layouts
from lifecycle.rehearsal.emulator.containers import jobs_supported
from tests.failures import code_of
from tests.fakes.local_images import FakeEngine, FakeLayouts
from tests.fakes.tiny_images import image_of
from tests.fakes.ui import FakeUi

PREFIX = f"capctl-test-{uuid.uuid4().hex[:8]}"


def fresh() -> str:
    return uuid.uuid4().hex


@pytest.fixture(params=["fake", "folders"])
def layouts(request: pytest.FixtureRequest) -> Layouts:
    return FakeLayouts() if request.param == "fake" else LayoutFolders(FakeUi())


@pytest.fixture
def folder(layouts: Layouts, tmp_path: Path) -> Path:
    """Where a layout shall be."""
    return tmp_path / "layout"


@pytest.mark.parametrize("family", [OCI, DOCKER])
def test_layout_holds_what_was_written_and_under_that_name_only(layouts: Layouts, folder: Path, family: Family) -> None:
    first, second = image_of("base", "one", family=family), image_of("base", "two", family=family)
    assert not layouts.holds(folder, first, "code-1")
    layouts.write(folder, first, "code-1")
    layouts.write(folder, second, "code-2")
    assert layouts.holds(folder, first, "code-1")
    assert layouts.holds(folder, second, "code-2")
    assert not layouts.holds(folder, second, "code-1")
    layouts.write(folder, second, "code-1")
    assert layouts.holds(folder, second, "code-1")
    assert not layouts.holds(folder, first, "code-1")


def test_place_of_something_else_is_refused(layouts: Layouts, folder: Path) -> None:
    if isinstance(layouts, FakeLayouts):
        layouts.foreign.add(folder)
    else:
        folder.mkdir()
        (folder / "mine.txt").write_text("mine")
    image = image_of("base")
    assert code_of(lambda: layouts.holds(folder, image, "code-1")) == "layout-foreign"
    assert code_of(lambda: layouts.write(folder, image, "code-1")) == "layout-foreign"


def test_layout_that_misses_a_layer_of_the_registry_says_so(folder: Path) -> None:
    def read(blob: Blob, _start: int) -> Iterator[bytes]:
        raise BlobMissing(f"no {blob.digest}", hint="push it")

    layouts = LayoutFolders(FakeUi())
    assert code_of(lambda: layouts.write(folder, replace(image_of("base"), read=read), "code-1")) == "blob-missing"


@pytest.fixture
def docker_engine() -> Iterator[LocalEngine]:
    """That of this machine, which keeps nothing of the test."""
    if why := jobs_supported():
        pytest.skip(why)
    import docker

    yield LocalEngine(FakeUi())
    client = docker.from_env()
    for tag in [tag for image in client.images.list() for tag in image.tags if tag.startswith(PREFIX)]:
        client.images.remove(tag)
    client.close()


@pytest.fixture(params=["fake", pytest.param("docker", marks=pytest.mark.rehearsal)])
def engine(request: pytest.FixtureRequest) -> Engine:
    if request.param == "fake":
        return FakeEngine()
    found: LocalEngine = request.getfixturevalue("docker_engine")
    return found


@pytest.fixture
def name() -> str:
    """One that no engine knows."""
    return f"{PREFIX}-{fresh()[:12]}:code-1"


@pytest.mark.parametrize("family", [OCI, DOCKER])
def test_loaded_image_has_its_name_and_the_id_of_its_content(engine: Engine, name: str, family: Family) -> None:
    image = image_of(fresh(), family=family)
    assert engine.find(name) is None
    loaded = engine.load(image, name)
    assert loaded.layers_known == 0
    assert engine.find(name) in {image.config_digest, image.digest}


def test_layers_that_the_engine_has_are_not_sent_again(engine: Engine, name: str) -> None:
    base, other = fresh() * 1000, f"{name}-other"
    first, second = image_of(base, "one", fresh()), image_of(base, "one", fresh())
    whole = engine.load(first, name)
    rest = engine.load(second, other)
    assert rest.layers_known == 2
    assert rest.bytes_sent < whole.bytes_sent
    assert engine.find(other) in {second.config_digest, second.digest}
    assert engine.find(name) in {first.config_digest, first.digest}


@pytest.mark.rehearsal
def test_layers_that_went_meanwhile_are_sent_after_all(
    docker_engine: LocalEngine, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = image_of(fresh(), fresh())
    monkeypatch.setattr(docker_engine, "_known_layers", lambda _image: 2)
    loaded = docker_engine.load(image, name)
    assert (loaded.layers_known, loaded.bytes_sent) == (0, archive_bytes(image, name))
    assert docker_engine.find(name) == image.config_digest


@pytest.mark.rehearsal
def test_image_whose_bytes_are_wrong_is_not_loaded(docker_engine: LocalEngine, name: str) -> None:
    damaged = replace(image_of(fresh()), read=lambda blob, _start: iter((bytes(blob.size_bytes),)))
    assert code_of(lambda: docker_engine.load(damaged, name)) == "digest-mismatch"
    assert docker_engine.find(name) is None


@pytest.mark.rehearsal
def test_image_that_the_engine_refuses_is_told_with_its_words(docker_engine: LocalEngine, name: str) -> None:
    image = image_of(fresh())
    config = canonical_json({**json.loads(image.config), "rootfs": {"type": "layers", "diff_ids": [digest_of(b"")]}})
    with pytest.raises(CapctlError) as failed:
        docker_engine.load(replace(image, config=config), name)
    assert failed.value.code == "engine-failed"
    assert "invalid diffID" in failed.value.message


def test_engine_that_does_not_answer_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")
    with pytest.raises(
        CapctlError, match=r"No container engine answers at `unix:///nowhere/docker\.sock`: no such file or directory$"
    ) as failed:
        LocalEngine(FakeUi()).find("vision:code-1")
    assert failed.value.code == "engine-missing"
    assert "image load" in failed.value.hint
