"""Image layouts: whole or not at all, whatever is interrupted, and with the bytes of a push."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from images.code_image import CodeSettings, append_code, read_base
from images.content import ImageContent, image_content, stored_content
from images.digests import DigestCache, ImageRef, digest_of
from images.errors import (
    BlobMissing,
    DigestMismatch,
    DiskFull,
    LayoutBusy,
    LayoutForeign,
    ManifestUnsupported,
    RegistryUnreachable,
)
from images.layer import build_layer
from images.layout import PARTIAL, layout_holds, write_layout
from images.manifest import Blob
from images.registry import RegistryClient
from images.transport import Attempts
from tests.fakes.code_push import push_code
from tests.unit.images.test_code_image import tree_of

REPO = "job"
LAYERS = [b"lower layer " * 50_000, b"upper layer"]
SETTINGS = CodeSettings(entrypoint=("python3", "-m", "run"))
CONFIG = {
    "architecture": "arm64",
    "variant": "v8",
    "os": "linux",
    "config": {},
    "rootfs": {"type": "layers", "diff_ids": ["sha256:" + "a" * 64, "sha256:" + "b" * 64]},
}


class Made(NamedTuple):
    """An image of a code tree on a base of two layers, which only the registry has."""

    image: ImageContent
    client: RegistryClient
    base: ImageRef


def made(registry: Any, folder: Path, *, family: str = "docker", text: str = "print(1)\n") -> Made:
    client = RegistryClient(registry.url, REPO, attempts=Attempts(sleep=lambda _s: None))
    base = ImageRef(repository=REPO, digest=registry.add_image(REPO, CONFIG, LAYERS, family))
    image = append_code(
        read_base(client, base, DigestCache(folder / "cache")), build_layer(tree_of(folder, text)), SETTINGS
    )
    held = {image.layer.digest: image.layer.blob}
    content = image_content(client, image.manifest, image.config, held=held)
    return Made(content, client, base)


def entries(folder: Path) -> dict[str, dict[str, Any]]:
    """What the index names, after every blob of the folder was compared with its name, and every name of a manifest with a blob."""
    for path in (folder / "blobs" / "sha256").iterdir():
        assert digest_of(path.read_bytes()) == f"sha256:{path.name}"
    index = json.loads((folder / "index.json").read_bytes())
    assert (index["schemaVersion"], index["mediaType"]) == (2, "application/vnd.oci.image.index.v1+json")
    for entry in index["manifests"]:
        raw = blob(folder, entry["digest"])
        assert entry["size"] == len(raw)
        manifest = json.loads(raw)
        assert entry["mediaType"] == manifest["mediaType"]
        for named in (manifest["config"], *manifest["layers"]):
            assert named["size"] == len(blob(folder, named["digest"]))
    return {entry["annotations"]["org.opencontainers.image.ref.name"]: entry for entry in index["manifests"]}


def blob(folder: Path, digest: str) -> bytes:
    return (folder / "blobs" / digest.replace(":", "/")).read_bytes()


@pytest.mark.parametrize("family", ["docker", "oci"])
def test_layout_holds_the_image_of_a_push_to_the_byte(registry: Any, tmp_path: Path, family: str) -> None:
    image, client, base = made(registry, tmp_path, family=family)
    folder = tmp_path / "länder und städte" / "layout"
    write_layout(folder, image, "code-1")
    found = entries(folder)["code-1"]
    pushed = push_code(client, base, tree_of(tmp_path), entrypoint=SETTINGS.entrypoint, cache=tmp_path / "cache")
    assert found["digest"] == pushed.digest
    assert found["platform"] == {"architecture": "arm64", "os": "linux", "variant": "v8"}
    assert json.loads((folder / "oci-layout").read_bytes()) == {"imageLayoutVersion": "1.0.0"}
    assert {path.name for path in folder.iterdir()} == {"oci-layout", "index.json", "blobs"}
    assert layout_holds(folder, image, "code-1")
    assert not layout_holds(folder, image, "code-2")


def test_nothing_is_pushed_for_a_layout(registry: Any, tmp_path: Path) -> None:
    write_layout(tmp_path / "layout", made(registry, tmp_path).image, "code-1")
    assert {line.split(" ")[0] for line in registry.log} == {"GET"}


def test_stored_image_is_the_one_that_was_pushed(registry: Any, tmp_path: Path) -> None:
    image, client, base = made(registry, tmp_path)
    pushed = push_code(client, base, tree_of(tmp_path), entrypoint=SETTINGS.entrypoint, cache=tmp_path / "cache")
    stored = stored_content(client, pushed.digest, DigestCache(tmp_path / "cache"))
    assert replace(stored, read=image.read) == image
    assert b"".join(stored.pieces(stored.layers[-1], 3)) == b"".join(image.pieces(image.layers[-1]))[3:]


def test_images_share_a_layout_and_their_blobs(registry: Any, tmp_path: Path) -> None:
    folder = tmp_path / "layout"
    first, second = made(registry, tmp_path).image, made(registry, tmp_path, text="print(2)\n").image
    write_layout(folder, first, "code-1")
    registry.log.clear()
    write_layout(folder, second, "code-2")
    assert registry.log == []
    assert {name: entry["digest"] for name, entry in entries(folder).items()} == {
        "code-1": first.digest,
        "code-2": second.digest,
    }
    write_layout(folder, second, "code-1")
    assert {entry["digest"] for entry in entries(folder).values()} == {second.digest}


def test_entries_of_other_programs_stay(registry: Any, tmp_path: Path) -> None:
    image, folder = made(registry, tmp_path).image, tmp_path / "layout"
    write_layout(folder, image, "code-1")
    index = json.loads((folder / "index.json").read_bytes())
    other = {"mediaType": "x", "digest": image.digest, "size": 1}
    (folder / "index.json").write_text(json.dumps({**index, "manifests": [other], "x-unknown": 1}))
    write_layout(folder, image, "code-2")
    written = json.loads((folder / "index.json").read_bytes())
    assert (written["manifests"][0], len(written["manifests"]), written["x-unknown"]) == (other, 2, 1)


def test_progress_tells_every_byte_once(registry: Any, tmp_path: Path) -> None:
    image, told = made(registry, tmp_path).image, list[int]()
    write_layout(tmp_path / "layout", image, "code-1", advance=told.append)
    assert sum(told) == image.size_bytes
    told.clear()
    write_layout(tmp_path / "layout", image, "code-1", advance=told.append)
    assert sum(told) == image.size_bytes


def test_download_that_breaks_off_goes_on_where_it_was(registry: Any, tmp_path: Path, fault: Any) -> None:
    image, lower = made(registry, tmp_path).image, digest_of(LAYERS[0])
    registry.faults.append(fault("GET", lower, missing_bytes=7))
    write_layout(tmp_path / "layout", image, "code-1")
    assert entries(tmp_path / "layout")["code-1"]["digest"] == image.digest


def test_download_that_always_breaks_off_ends_and_the_next_run_goes_on(
    registry: Any, tmp_path: Path, fault: Any
) -> None:
    image, lower = made(registry, tmp_path).image, digest_of(LAYERS[0])
    begun = Interrupting(image, after=300_000)
    with pytest.raises(RegistryUnreachable):
        write_layout(tmp_path / "layout", begun.image, "code-1")
    assert not (tmp_path / "layout" / "index.json").exists()
    assert not layout_holds(tmp_path / "layout", image, "code-1")
    starts = list[int]()

    def read(blob: Blob, start: int) -> Iterator[bytes]:
        if blob.digest == lower:
            starts.append(start)
        return image.read(blob, start)

    write_layout(tmp_path / "layout", replace(image, read=read), "code-1")
    assert starts == [300_000]
    assert entries(tmp_path / "layout")["code-1"]["digest"] == image.digest


class Interrupting:
    """The image, whose first layer ends with a failure after so many bytes."""

    def __init__(self, image: ImageContent, *, after: int, error: Exception | None = None) -> None:
        self._image, self._after = image, after
        self._error = error or RegistryUnreachable("broken off", hint="again")
        self.image = replace(image, read=self._read)

    def _read(self, blob: Blob, start: int) -> Iterator[bytes]:
        if blob.digest != digest_of(LAYERS[0]):
            yield from self._image.read(blob, start)
            return
        yield b"".join(self._image.read(blob, start))[: self._after - start]
        raise self._error


def test_damaged_beginning_is_fetched_again(registry: Any, tmp_path: Path) -> None:
    image, folder = made(registry, tmp_path).image, tmp_path / "layout"
    (folder / PARTIAL).mkdir(parents=True)
    (folder / PARTIAL / digest_of(LAYERS[0]).removeprefix("sha256:")).write_bytes(b"something else")
    (folder / PARTIAL / digest_of(LAYERS[1]).removeprefix("sha256:")).write_bytes(LAYERS[1] + b"and more")
    told = list[int]()
    write_layout(folder, image, "code-1", advance=told.append)
    assert entries(folder)["code-1"]["digest"] == image.digest
    assert sum(told) == image.size_bytes


def test_damaged_blob_of_the_layout_is_replaced(registry: Any, tmp_path: Path) -> None:
    image, folder = made(registry, tmp_path).image, tmp_path / "layout"
    write_layout(folder, image, "code-1")
    lower = folder / "blobs" / digest_of(LAYERS[0]).replace(":", "/")
    lower.write_bytes(b"x" * lower.stat().st_size)
    assert not layout_holds(folder, image, "code-1")
    write_layout(folder, image, "code-1")
    assert layout_holds(folder, image, "code-1")
    assert entries(folder)


def test_damaged_download_gets_no_name(registry: Any, tmp_path: Path, fault: Any) -> None:
    image, folder = made(registry, tmp_path).image, tmp_path / "layout"
    registry.faults.append(fault("GET", digest_of(LAYERS[1]), body=b"other layer"))
    with pytest.raises(DigestMismatch):
        write_layout(folder, image, "code-1")
    assert not (folder / "blobs" / digest_of(LAYERS[1]).replace(":", "/")).exists()
    write_layout(folder, image, "code-1")
    assert entries(folder)["code-1"]["digest"] == image.digest


def test_short_blob_of_the_registry_is_no_endless_download(registry: Any, tmp_path: Path) -> None:
    image = made(registry, tmp_path).image
    registry.blobs[REPO, digest_of(LAYERS[0])] = b"short"
    with pytest.raises(DigestMismatch):
        write_layout(tmp_path / "layout", image, "code-1")


def test_base_layer_that_the_registry_lacks_is_named(registry: Any, tmp_path: Path) -> None:
    image, lower = made(registry, tmp_path).image, digest_of(LAYERS[0])
    del registry.blobs[REPO, lower]
    with pytest.raises(BlobMissing) as failed:
        write_layout(tmp_path / "layout", image, "code-1")
    assert failed.value.digests == (lower,)
    assert not (tmp_path / "layout" / "index.json").exists()


def test_disk_without_room_is_refused_before_anything_is_fetched(
    registry: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = made(registry, tmp_path).image
    registry.log.clear()
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: shutil._ntuple_diskusage(10, 9, 1234))
    told = rf"needs {image.size_bytes + 1_000_000} bytes more, 1000000 of them kept free, and 1234 are free"
    with pytest.raises(DiskFull, match=told):
        write_layout(tmp_path / "layout", image, "code-1")
    assert registry.log == []


def test_disk_that_fills_up_meanwhile_is_told(registry: Any, tmp_path: Path) -> None:
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    broken = Interrupting(made(registry, tmp_path).image, after=10, error=full)
    with pytest.raises(DiskFull):
        write_layout(tmp_path / "layout", broken.image, "code-1")


def foreign_file(folder: Path) -> None:
    folder.write_text("mine")


def foreign_folder(folder: Path) -> None:
    folder.mkdir()
    (folder / "mine.txt").write_text("mine")


def link_to_nowhere(folder: Path) -> None:
    folder.symlink_to("nowhere")


def folder_below_a_killed_run(folder: Path) -> None:
    folder.mkdir()
    (folder / "oci-layout").touch()
    (folder / "mine.txt").write_text("mine")


def unreadable_index(folder: Path) -> None:
    folder.mkdir()
    (folder / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    (folder / "index.json").write_text('{"manifests": [1]}')


def unreadable_layout(folder: Path) -> None:
    folder.mkdir()
    (folder / "oci-layout").write_text("{")


def later_layout(folder: Path) -> None:
    folder.mkdir()
    (folder / "oci-layout").write_text('{"imageLayoutVersion": "2.0.0"}')


@pytest.mark.parametrize(
    "place",
    [
        foreign_file,
        foreign_folder,
        link_to_nowhere,
        folder_below_a_killed_run,
        unreadable_index,
        unreadable_layout,
        later_layout,
    ],
)
def test_place_of_something_else_is_refused_untouched(registry: Any, tmp_path: Path, place: Any) -> None:
    image, folder = made(registry, tmp_path).image, tmp_path / "layout"
    place(folder)
    before = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
    for call in (layout_holds, write_layout):
        with pytest.raises(LayoutForeign) as failed:
            call(folder, image, "code-1")
        assert str(folder) in failed.value.message
    assert (sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []) == before


def test_run_that_was_killed_in_its_first_moment_is_gone_on_with(registry: Any, tmp_path: Path) -> None:
    image, folder = made(registry, tmp_path).image, tmp_path / "layout"
    folder.mkdir()
    (folder / "oci-layout").touch()
    (folder / PARTIAL).mkdir()
    write_layout(folder, image, "code-1")
    assert layout_holds(folder, image, "code-1")


def test_folder_that_cannot_be_is_named(registry: Any, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError) as failed:
        write_layout(tmp_path / "file" / "layout", made(registry, tmp_path).image, "code-1")
    assert str(failed.value.filename).startswith(str(tmp_path / "file"))


def test_link_to_a_folder_and_files_of_others_in_a_layout_are_left_alone(registry: Any, tmp_path: Path) -> None:
    image = made(registry, tmp_path).image
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "layout").symlink_to("elsewhere")
    write_layout(tmp_path / "layout", image, "code-1")
    (tmp_path / "elsewhere" / "README").write_text("mine")
    write_layout(tmp_path / "layout", image, "code-2")
    assert (tmp_path / "layout").is_symlink()
    assert (tmp_path / "elsewhere" / "README").read_text() == "mine"
    assert entries(tmp_path / "elsewhere").keys() == {"code-1", "code-2"}


_SLOW_WRITER = """
import sys, time
from dataclasses import replace
from pathlib import Path
from images.content import ImageContent, Blob
from images.digests import digest_of
from images.layout import write_layout

lower = b"lower layer " * 50_000

def read(blob, start):
    yield lower[start : start + 100_000]
    print("begun", flush=True)
    time.sleep(600)

image = ImageContent(media_type="", manifest=b"{}", config=b"[]", platform={}, diff_ids=(digest_of(b"1"),),
                     layers=(Blob(digest=digest_of(lower), size_bytes=len(lower)),), read=read)
write_layout(Path(sys.argv[1]), image, "code-0")
"""


def test_layout_is_for_one_writer_at_a_time_and_survives_its_kill(registry: Any, tmp_path: Path) -> None:
    image, folder = made(registry, tmp_path).image, tmp_path / "layout"
    writer = subprocess.Popen([sys.executable, "-c", _SLOW_WRITER, str(folder)], stdout=subprocess.PIPE, text=True)
    try:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "begun\n"
        with pytest.raises(LayoutBusy):
            write_layout(folder, image, "code-1")
    finally:
        writer.kill()
        writer.communicate()
    assert not (folder / "index.json").exists()
    write_layout(folder, image, "code-1")
    assert entries(folder).keys() == {"code-1"}
    assert not (folder / PARTIAL).exists()


@pytest.mark.parametrize(
    "changes", [{"layers": []}, {"mediaType": "application/vnd.oci.image.index.v1+json"}], ids=["layers", "index"]
)
def test_manifest_that_is_not_of_one_image_is_refused(registry: Any, tmp_path: Path, changes: dict[str, Any]) -> None:
    image, client, _ = made(registry, tmp_path)
    manifest = json.dumps({**json.loads(image.manifest), **changes}).encode()
    with pytest.raises(ManifestUnsupported):
        image_content(client, manifest, image.config, held={})
