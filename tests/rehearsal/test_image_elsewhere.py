"""Other people's programs take what capctl writes: an image layout, and the tar for an engine."""

from __future__ import annotations

import shutil
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from images.archive import archive_pieces
from images.layout import write_layout
from images.media_types import DOCKER, OCI, Family
from lifecycle.rehearsal.services.registry import debian_registry, registry_supported
from tests.built_tools import crane
from tests.fakes.tiny_images import image_of
from tests.rehearsal.stage_parts import until

pytestmark = [pytest.mark.rehearsal, pytest.mark.timeout(120)]
# containerd by itself, and the one that an engine starts.
SOCKETS = (Path("/run/containerd/containerd.sock"), Path("/var/run/docker/containerd/containerd.sock"))


def said(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture
def ctr() -> Iterator[tuple[str, ...]]:
    """containerd's own client, in a namespace that is gone afterwards."""
    socket = next((path for path in SOCKETS if path.is_socket()), None)
    program = shutil.which("ctr")
    if socket is None or program is None:
        pytest.skip("there is no containerd, or no `ctr`")
    namespace = f"capctl-test-{uuid.uuid4().hex[:8]}"
    client = (program, "--address", str(socket), "--namespace", namespace)
    yield client
    for name in said(*client, "images", "ls", "--quiet").split():
        said(*client, "images", "rm", "--sync", name)
    # containerd forgets blobs without an image a moment later.
    remove = (*client, "namespaces", "rm", namespace)
    until(lambda: subprocess.run(remove, capture_output=True, check=False).returncode == 0)


@pytest.mark.parametrize("family", [OCI, DOCKER])
def test_crane_pushes_a_layout_under_its_digest_and_finds_it_valid(tmp_path: Path, family: Family) -> None:
    program = str(crane())
    if why := registry_supported():
        pytest.skip(why)
    image, layout = image_of("base", "code", family=family), tmp_path / "a läyout"
    write_layout(layout, image, "code-1")
    with debian_registry(tmp_path, f"test-{uuid.uuid4().hex[:8]}") as registry:
        name = f"{registry.address}/copied:code-1"
        assert said(program, "push", str(layout), name).endswith(f"@{image.digest}")
        assert said(program, "digest", name) == image.digest
        said(program, "validate", "--remote", name)


@pytest.mark.parametrize("family", [OCI, DOCKER])
def test_containerd_takes_the_whole_image_from_the_tar_under_its_name(
    tmp_path: Path, ctr: tuple[str, ...], family: Family
) -> None:
    image, archive = image_of("base", "code", family=family), tmp_path / "image.tar"
    archive.write_bytes(b"".join(archive_pieces(image, "vision:code-1")))
    said(*ctr, "images", "import", "--no-unpack", str(archive))
    (name, media_type, digest, status, *_), *others = map(str.split, said(*ctr, "images", "check").splitlines()[1:])
    assert (name, media_type, digest) == ("docker.io/library/vision:code-1", image.media_type, image.digest)
    assert (status, others) == ("complete", [])
