"""What the tests share: the emulator with its registry, once per module; a rehearsal that is kept, once per session;
and what the analyzer works on."""

from __future__ import annotations

import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from lifecycle.rehearsal import leftovers
from lifecycle.rehearsal.child import free_port
from lifecycle.rehearsal.emulator.containers import jobs_supported
from lifecycle.rehearsal.emulator.launch import Emulator, EmulatorOptions
from lifecycle.rehearsal.machine import machines_supported
from lifecycle.rehearsal.services.registry import RunningRegistry, start_registry
from tests.rehearsal.emulator_parts import Batch, bake
from tests.rehearsal.kept_stage import Beside, KeptStage, Project, keep_a_rehearsal
from tests.rehearsal.stage_parts import TINY_IMAGE, Aws, import_tiny


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
    with Emulator(options, module="tests.rehearsal.past_emulator") as emulator:
        yield registry, emulator
    registry.close()
    assert leftovers.find(rehearsal, home / "state") == []
    assert leftovers.remove(rehearsal, registry=registry.address) == []


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

    import_tiny(TINY_IMAGE)
    yield
    client = docker.from_env()
    client.images.remove(TINY_IMAGE, force=True)
    client.close()


@pytest.fixture(scope="module")
def batch(aws: Aws, emulator: Emulator, engine: None) -> Iterator[Batch]:
    image = bake(aws, emulator, opt__dl__models__weights="baked", opt__models__weights="top")
    opened = Batch(aws, image, name="test").open_queue()
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def rehearsals(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[KeptStage, Beside]]:
    """A rehearsal that is kept, played while another one beside it was interrupted. Ended with the session; nothing survives."""
    folder = tmp_path_factory.mktemp("rehearsals")
    packer = None if shutil.which("packer") else "`packer` is not installed"
    if why := jobs_supported() or machines_supported(folder) or packer:
        pytest.skip(why)
    # Short, because sockets live below it; its own, because ending rehearsals shall not end a person's.
    with tempfile.TemporaryDirectory(prefix="capctl-", ignore_cleanup_errors=True) as state:
        with keep_a_rehearsal({**os.environ, "XDG_STATE_HOME": state}, folder) as kept_and_beside:
            yield kept_and_beside
        assert list(Path(state).glob("capctl/rehearsals/*")) == []


@pytest.fixture(scope="session")
def kept(rehearsals: tuple[KeptStage, Beside]) -> KeptStage:
    return rehearsals[0]


@pytest.fixture
def project(kept: KeptStage, tmp_path: Path) -> Project:
    """The kept stage's project, with the code of its active release, in a folder of the test's own."""
    return kept.copy(tmp_path / "project")


@pytest.fixture
def newcomer(kept: KeptStage, tmp_path: Path) -> Project:
    """A project that the kept stage's account has never seen."""
    return kept.copy(tmp_path / "newcomer", name=f"new-{uuid.uuid4().hex[:8]}")


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tests.rehearsal.portrait import write_portrait_clip

    path = tmp_path_factory.mktemp("clip") / "portrait.mp4"
    write_portrait_clip(path, seconds=4)
    return path


@pytest.fixture(scope="module")
def model_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tests.rehearsal.analyzer_parts import make_model_root

    return make_model_root(tmp_path_factory.mktemp("root"))
