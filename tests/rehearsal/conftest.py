"""The emulator with its registry, once per module, and one release's worth of Batch on it."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from lifecycle.rehearsal import leftovers
from lifecycle.rehearsal.child import free_port
from lifecycle.rehearsal.emulator.containers import jobs_supported
from lifecycle.rehearsal.emulator.launch import Emulator, EmulatorOptions
from lifecycle.rehearsal.services.registry import RunningRegistry, start_registry
from tests.rehearsal.emulator_parts import Batch, bake
from tests.rehearsal.stage_parts import TINY_IMAGE, Aws, tiny_tar


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("stage")


@pytest.fixture(scope="module")
def registry_and_emulator(home: Path) -> Iterator[tuple[RunningRegistry, Emulator]]:
    rehearsal, port = f"test-{uuid.uuid4().hex[:8]}", free_port()
    events = f"http://127.0.0.1:{port}/_capctl/registry-events"
    rootfs = home / "rootfs"
    for name, text in {"opt/models/weights": "base", "opt/models/only-base": "b", "usr/sbin/nothing": ""}.items():
        (rootfs / name).parent.mkdir(parents=True, exist_ok=True)
        (rootfs / name).write_text(text)
    registry = start_registry(home / "registry", rehearsal, events_url=events)
    options = EmulatorOptions(
        state=home / "state", rehearsal=rehearsal, port=port, registry=registry.address, rootfs=rootfs, stop_grace_s=1
    )
    with Emulator(options) as emulator:
        yield registry, emulator
    registry.close()
    assert leftovers.find(rehearsal, home / "state") == []


@pytest.fixture(scope="module")
def registry(registry_and_emulator: tuple[RunningRegistry, Emulator]) -> RunningRegistry:
    return registry_and_emulator[0]


@pytest.fixture(scope="module")
def emulator(registry_and_emulator: tuple[RunningRegistry, Emulator]) -> Emulator:
    return registry_and_emulator[1]


@pytest.fixture(scope="module")
def aws(emulator: Emulator) -> Aws:
    return Aws(emulator.endpoint)


@pytest.fixture(scope="module")
def engine() -> Iterator[None]:
    if why := jobs_supported():
        pytest.skip(why)
    import docker

    client = docker.from_env()
    repository, _, tag = TINY_IMAGE.partition(":")
    client.api.import_image_from_data(tiny_tar(), repository=repository, tag=tag)
    yield
    client.images.remove(TINY_IMAGE, force=True)
    client.close()


@pytest.fixture(scope="module")
def batch(aws: Aws, emulator: Emulator, engine: None) -> Iterator[Batch]:
    image = bake(aws, emulator, opt__dl__models__weights="baked", opt__models__weights="top")
    opened = Batch(aws, image, name="test").open_queue()
    yield opened
    opened.close()
