"""A push against the real registry in trouble, and what another client makes of what was pushed."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
import uuid
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from images.code_push import PushResult
from images.digests import ImageRef
from images.errors import RegistryFull, RegistryUnreachable
from images.layer import CodeTree, read_tree
from images.registry import RegistryClient
from images.transport import Attempts
from lifecycle.adapters.aws.registry_login import RegistryLogin
from lifecycle.adapters.aws.session import AwsSession
from lifecycle.adapters.clock import SystemClock
from lifecycle.rehearsal.services.registry import RunningRegistry, debian_registry, registry_supported
from tests.built_tools import crane
from tests.fakes.code_push import push_code
from tests.fakes.targets import make_target
from tests.push_project import REPOSITORY, project_on, pushed, pushing
from tests.rehearsal.push_stage import CuttingDoor, base_image, is_waiting_for
from tests.rehearsal.stage_parts import Aws, emulated_credentials, until

pytestmark = [pytest.mark.rehearsal, pytest.mark.timeout(120)]


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningRegistry]:
    if why := registry_supported():
        pytest.skip(why)
    with debian_registry(tmp_path_factory.mktemp("real"), f"test-{uuid.uuid4().hex[:8]}") as running:
        yield running


@pytest.fixture(scope="module")
def other_client() -> Path:
    return crane()


@pytest.fixture
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def client_of(url: str, repository: str = REPOSITORY) -> RegistryClient:
    return RegistryClient(url, repository, attempts=Attempts(sleep=lambda _s: None))


def noise(folder: Path, size_bytes: int = 200_000) -> CodeTree:
    (folder / "code").mkdir(exist_ok=True)
    (folder / "code" / "noise").write_bytes(os.urandom(size_bytes))
    return read_tree(folder / "code", ["noise"])


def push(client: RegistryClient, base: str, tree: CodeTree, folder: Path) -> PushResult:
    ref = ImageRef(repository=client.repository, digest=base)
    return push_code(client, ref, tree, entrypoint=("x",), cache=folder / "cache")


def assert_complete(url: str, tag: str) -> None:
    """Every blob of the image under the tag can be fetched and has its digest."""
    client = client_of(url)
    document = client.get_manifest(tag).document
    for part in (document["config"], *document["layers"]):
        client.get_blob(part["digest"])


# --- another client


@pytest.mark.parametrize("family", ["docker", "oci"])
def test_pushed_image_is_valid_to_another_client_which_reads_the_same(
    real: RunningRegistry, other_client: Path, own_home: Path, family: str
) -> None:
    base = base_image(client_of(f"http://{real.address}"), family)
    project_on(f"http://{real.address}", base, own_home)
    document = pushed(own_home)
    name = f"{real.address}/{REPOSITORY}"

    def said(*words: str) -> bytes:
        return subprocess.run(
            [other_client, *words], capture_output=True, check=True, env={"HOME": str(own_home)}
        ).stdout

    tagged, digest = f"{name}:{document['tag']}", str(document["image"]).partition("@")[2]
    assert b"PASS" in said("validate", "--remote", tagged)
    assert said("digest", tagged).decode().strip() == digest
    client = client_of(f"http://{real.address}")
    manifest = client.get_manifest(digest)
    assert said("manifest", tagged) == manifest.raw
    assert said("config", tagged) == client.get_blob(manifest.document["config"]["digest"])
    assert b"app/run.py" in said("export", tagged, "-")


# --- the network


@pytest.mark.parametrize("after", [[0], [1], [400, 100_000], [100_000, 400, 400, 100_000]])
def test_push_through_connections_that_are_reset_is_whole(
    real: RunningRegistry, own_home: Path, after: list[int]
) -> None:
    url = f"http://{real.address}"
    base, tree = base_image(client_of(url), "oci"), noise(own_home)
    with closing(CuttingDoor(real.address)) as door:
        door.cut_after = list(after)
        result = push(client_of(door.url), base, tree, own_home)
        assert door.cut_after == []
    assert_complete(url, result.tag)


def test_push_through_a_network_that_cuts_every_connection_leaves_no_tag(real: RunningRegistry, own_home: Path) -> None:
    url = f"http://{real.address}"
    base, tree = base_image(client_of(url), "oci"), noise(own_home)
    with closing(CuttingDoor(real.address)) as door:
        door.cut_after = [1000] * 100
        with pytest.raises(RegistryUnreachable) as failed:
            push(client_of(door.url), base, tree, own_home)
        assert failed.value.is_cut
        assert door.connections <= 25
    result = push(client_of(url), base, tree, own_home)
    assert not result.unchanged
    assert_complete(url, result.tag)


# --- the registry itself


def test_push_outlives_a_registry_that_is_killed_and_comes_back(own_home: Path) -> None:
    if why := registry_supported():
        pytest.skip(why)
    rehearsal, state = f"test-{uuid.uuid4().hex[:8]}", own_home / "registry"
    first = debian_registry(state, rehearsal)
    url, running = f"http://{first.address}", [first]
    try:
        base, tree = base_image(client_of(url), "docker"), noise(own_home)

        def come_back(_s: float) -> None:
            if len(running) == 1:
                running.append(debian_registry(state, rehearsal, port=first.port))

        os.kill(first.pid, signal.SIGKILL)
        client = RegistryClient(url, REPOSITORY, attempts=Attempts(sleep=come_back))
        assert_complete(url, push(client, base, tree, own_home).tag)
        assert len(running) == 2
    finally:
        for each in running:
            each.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_push_to_a_registry_that_stands_still_ends_at_once_when_it_is_told_to(
    real: RunningRegistry, own_home: Path, number: signal.Signals
) -> None:
    url = f"http://{real.address}"
    project_on(url, base_image(client_of(url), "oci"), own_home)
    os.kill(real.pid, signal.SIGSTOP)
    try:
        running = pushing(own_home)
        until(lambda: is_waiting_for(running.pid, real.port), 30)
        running.send_signal(number)
        sent = time.monotonic()
        out, said = running.communicate(timeout=30)
        assert time.monotonic() - sent < 1
    finally:
        os.kill(real.pid, signal.SIGCONT)
    assert (running.returncode, json.loads(out)["code"]) == (130, "interrupted")
    assert "Traceback" not in said
    document = pushed(own_home)
    assert document["changed"]
    assert_complete(url, str(document["tag"]))


def test_registry_whose_disk_is_full_is_named_as_full_and_has_no_tag(own_home: Path) -> None:
    if why := registry_supported() or (None if os.geteuid() == 0 else "to mount a small disk takes root"):
        pytest.skip(why)
    disk = own_home / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", disk], capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip("no small disk can be mounted here")
    try:
        with debian_registry(own_home / "registry", f"test-{uuid.uuid4().hex[:8]}") as running:
            storage = own_home / "registry" / "storage"
            shutil.rmtree(storage)
            storage.symlink_to(disk)
            client = client_of(f"http://{running.address}")
            base, tree = base_image(client, "oci"), noise(own_home, 2_000_000)
            with pytest.raises(RegistryFull):
                push(client, base, tree, own_home)
            assert not list(disk.rglob("code-*"))
            subprocess.run(["mount", "-o", "remount,size=20m", disk], check=True)
            result = push(client, base, tree, own_home)
            assert_complete(f"http://{running.address}", result.tag)
    finally:
        subprocess.run(["umount", "--lazy", disk], check=True)


# --- ECR


def test_repository_is_missing_until_ecr_has_it(aws: Aws, own_home: Path) -> None:
    target = make_target(own_home, endpoint_url=aws.endpoint)
    with emulated_credentials():
        login = RegistryLogin(target, AwsSession(target), SystemClock())
        assert login.lacks_repository()
        aws.ecr.create_repository(repositoryName=target.repository_name)
        assert not login.lacks_repository()
        before = login.authorization()
        login.forget(before)
        assert login.authorization().startswith("Basic ")
    (kept,) = (own_home / ".cache" / "capctl" / "ecr").iterdir()
    assert kept.stat().st_mode & 0o777 == 0o600
