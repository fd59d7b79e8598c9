"""`image build --to`, `image load` and `image base` are told to stop while the registry, or the package index, keeps them waiting."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from images.digests import digest_of
from images.registry import RegistryClient
from lifecycle.rehearsal.child import descendants
from lifecycle.rehearsal.emulator.containers import jobs_supported
from lifecycle.rehearsal.services.registry import RunningRegistry, debian_registry, registry_supported
from tests.push_project import REPOSITORY, document_of, project_on, running
from tests.rehearsal.push_stage import base_image, is_waiting_for
from tests.rehearsal.stage_parts import until

pytestmark = [pytest.mark.rehearsal, pytest.mark.timeout(120)]
# A layout waits a little for its writers, which remove what they have begun.
ENDS_WITHIN_S = 4.0


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningRegistry]:
    if why := registry_supported():
        pytest.skip(why)
    with debian_registry(tmp_path_factory.mktemp("real"), f"test-{uuid.uuid4().hex[:8]}") as found:
        yield found


@pytest.fixture
def project(real: RunningRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project whose base image is in the real registry, and whose code nobody has pushed."""
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    url = f"http://{real.address}"
    project_on(url, base_image(RegistryClient(url, REPOSITORY), "oci", layer_bytes=300_000), tmp_path)
    # No other test gives an image of this code.
    (tmp_path / "run.py").write_text(f"print({uuid.uuid4().hex!r})\n")
    # The base's config is read, its layer is not.
    document_of(running(tmp_path, "push", "--dry-run"))
    return tmp_path


@contextmanager
def standing_still(registry: RunningRegistry) -> Iterator[None]:
    os.kill(registry.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(registry.pid, signal.SIGCONT)


def stop(command: subprocess.Popen[str], number: signal.Signals) -> None:
    """It ends soon, with the code of an interruption, and leaves no process."""
    below = descendants(command.pid)
    command.send_signal(number)
    sent = time.monotonic()
    out, said = command.communicate(timeout=30)
    assert time.monotonic() - sent < ENDS_WITHIN_S
    assert (command.returncode, json.loads(out)["code"]) == (130, "interrupted"), said
    assert "Traceback" not in said
    assert not [pid for pid in below if Path(f"/proc/{pid}").exists()]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_layout_that_is_interrupted_has_no_image_and_the_next_run_completes_it(
    real: RunningRegistry, project: Path, number: signal.Signals
) -> None:
    words = ("build", "--to", "oci:layout")
    with standing_still(real):
        command = running(project, *words)
        until(lambda: is_waiting_for(command.pid, real.port), 30)
        stop(command, number)
    layout = project / "layout"
    index = layout / "index.json"
    assert not index.exists() or json.loads(index.read_text())["manifests"] == []
    document = document_of(running(project, *words))
    (manifest,) = json.loads(index.read_text())["manifests"]
    assert manifest["digest"] == document["digest"]
    for blob in (layout / "blobs" / "sha256").iterdir():
        assert digest_of(blob.read_bytes()) == f"sha256:{blob.name}"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_image_whose_load_is_interrupted_has_no_name_and_the_next_run_loads_it(
    real: RunningRegistry, project: Path, number: signal.Signals
) -> None:
    if why := jobs_supported():
        pytest.skip(why)
    import docker

    with closing(docker.from_env()) as engine:
        with standing_still(real):
            command = running(project, "load")
            until(lambda: is_waiting_for(command.pid, real.port), 30)
            stop(command, number)
        tag = str(document_of(running(project, "build"))["tag"])
        name = f"{REPOSITORY}:{tag}"
        assert not engine.images.list(name)
        try:
            assert document_of(running(project, "load"))["name"] == name
            assert engine.images.list(name)
        finally:
            engine.images.remove(name)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_base_that_is_interrupted_among_its_wheels_leaves_neither_wheels_nor_folders_of_pip(
    project: Path, tmp_path_factory: pytest.TempPathFactory, number: signal.Signals
) -> None:
    if why := jobs_supported():
        pytest.skip(why)
    (project / "requirements.txt").write_text(f"six==1.17.0 --hash=sha256:{'0' * 64}\n")
    configuration = json.loads((project / "capctl.yaml").read_text())
    root = f"registry.example/python@sha256:{uuid.uuid4().hex * 2}"
    configuration["targets"]["dev"]["image"] = {"base": {"from_image": root}}
    (project / "capctl.yaml").write_text(json.dumps(configuration))
    scratch, cache = tmp_path_factory.mktemp("tmp"), project / ".cache" / "capctl"
    with socket.create_server(("127.0.0.1", 0)) as index:
        port = index.getsockname()[1]
        address = {"PIP_INDEX_URL": f"http://127.0.0.1:{port}/simple", "TMPDIR": str(scratch)}
        command = running(project, "base", **address)
        index.settimeout(60)
        asking, _ = index.accept()
        with asking:
            assert descendants(command.pid)
            assert list(cache.glob("base-build-*/.*/pip/*"))
            stop(command, number)
    assert list(scratch.iterdir()) == []
    assert list((cache / "wheelhouse").iterdir()) == []
    assert list(cache.glob("base-build-*")) == []
