from __future__ import annotations

import gzip
import io
import struct
import tarfile
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from images.checks import check_image
from images.code_index import code_index
from images.code_memory import CodeMemory
from images.errors import ManifestUnsupported
from images.index import FileEntry, Import
from images.inspect import image_index
from images.layer import build_layer, read_tree
from images.registry import RegistryClient
from images.rules import Rules

REPO = "job"
CONFIG = {"config": {"Labels": {"a": "b"}}, "rootfs": {"diff_ids": []}}


def layer_of(files: dict[str, bytes], *, modes: dict[str, int] | None = None, packed: bool = True) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(content), (modes or {}).get(name, 0o644)
            tar.addfile(member, io.BytesIO(content))
    return gzip.compress(out.getvalue(), mtime=0) if packed else out.getvalue()


def index_of(registry: Any, layers: list[bytes], cache: Path) -> Any:
    digest = registry.add_image(REPO, CONFIG, layers)
    return image_index(RegistryClient(registry.url, REPO), digest, cache)


def test_index_gives_sizes_paths_and_modes(registry: Any, tmp_path: Path) -> None:
    blob = layer_of({"./usr/bin/x": b"12345", "etc/y": b""}, modes={"./usr/bin/x": 0o4755})
    index = index_of(registry, [blob], tmp_path)
    assert index.compressed_bytes == len(blob)
    assert index.unpacked_bytes == 5
    assert index.labels == {"a": "b"}
    assert index.layers[0].entries == (
        FileEntry(path="usr/bin/x", kind="file", size_bytes=5, mode=0o4755, sha256=sha256(b"12345").hexdigest()),
        FileEntry(path="etc/y", kind="file", size_bytes=0, mode=0o644, sha256=sha256(b"").hexdigest()),
    )


def test_files_are_hashed_to_their_last_byte(registry: Any, tmp_path: Path) -> None:
    content = bytes(range(256)) * 12_000  # more than is read at once
    index = index_of(registry, [layer_of({"opt/large": content, "app/large": content})], tmp_path)
    assert {entry.sha256 for entry in index.layers[0].entries} == {sha256(content).hexdigest()}


def test_layers_are_told_by_the_instructions_that_made_them(registry: Any, tmp_path: Path) -> None:
    history = [
        {"created_by": "/bin/sh -c #(nop) ADD file:0 in /"},
        {"created_by": "ENV A=b", "empty_layer": True},
        {"created_by": "COPY models /models"},
    ]
    layers = [layer_of({"etc/x": b"x"}), layer_of({"models/y": b"y"})]
    digest = registry.add_image(REPO, {**CONFIG, "history": history}, layers)
    index = image_index(RegistryClient(registry.url, REPO), digest, tmp_path)
    assert index.instructions == ("/bin/sh -c #(nop) ADD file:0 in /", "COPY models /models")


@pytest.mark.parametrize(("told", "instructions"), [(["COPY b"], ("", "COPY b")), (["a", "b", "c"], ("", ""))])
def test_history_of_too_few_layers_is_that_of_the_top_ones_and_of_too_many_is_none(
    registry: Any, tmp_path: Path, told: list[str], instructions: tuple[str, ...]
) -> None:
    history = [{"created_by": each} for each in told]
    layers = [layer_of({"a": b"x"}), layer_of({"b": b"y"})]
    digest = registry.add_image(REPO, {**CONFIG, "history": history}, layers)
    assert image_index(RegistryClient(registry.url, REPO), digest, tmp_path).instructions == instructions


def test_layers_of_an_image_without_history_have_no_instructions(registry: Any, tmp_path: Path) -> None:
    assert index_of(registry, [layer_of({"a": b"x"}), layer_of({"b": b"y"})], tmp_path).instructions == ("", "")


def test_known_layers_are_not_downloaded_again(registry: Any, tmp_path: Path) -> None:
    base, first, second = (layer_of({name: b"x"}) for name in ("base", "app/1", "app/2"))
    known = index_of(registry, [base, first], tmp_path)
    registry.log.clear()
    index = index_of(registry, [base, second], tmp_path)
    assert index.layers[0] == known.layers[0]
    assert len(registry.log) == 3  # manifest, config, the code layer


def test_damaged_cache_is_read_anew(registry: Any, tmp_path: Path) -> None:
    blob = layer_of({"a": b"x"})
    index = index_of(registry, [blob], tmp_path)
    for content in (b"", b"no gzip", gzip.compress(b"[]"), gzip.compress(b'{"entries": []}')):
        for path in tmp_path.rglob("*.gz"):
            path.write_bytes(content)
        assert index_of(registry, [blob], tmp_path) == index


def test_links_and_folders_have_no_size(registry: Any, tmp_path: Path) -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        for name, kind in (
            ("d", tarfile.DIRTYPE),
            ("s", tarfile.SYMTYPE),
            ("h", tarfile.LNKTYPE),
            ("c", tarfile.CHRTYPE),
        ):
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, "x"
            tar.addfile(member)
    index = index_of(registry, [out.getvalue()], tmp_path)
    assert [(entry.kind, entry.size_bytes, entry.sha256, entry.link) for entry in index.layers[0].entries] == [
        ("folder", 0, "", ""),
        ("symlink", 0, "", "x"),
        ("hardlink", 0, "", "x"),
        ("other", 0, "", ""),
    ]


SAFETENSORS_HEADER = b'{"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}'


@pytest.mark.parametrize(
    ("content", "flag"),
    [
        (b"\x89HDF\r\n\x1a\nrest", "model:hdf5"),
        (b"GGUF\x03\0\0\0", "model:gguf"),
        (struct.pack("<Q", len(SAFETENSORS_HEADER)) + SAFETENSORS_HEADER + b"\0" * 4, "model:safetensors"),
        (b"PK\x03\x04" + b"\0" * 26 + b"archive/data.pkl", "model:torch"),
        (b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.", "model:torch"),
        (b"\x1c\0\0\0TFL3", "model:tflite"),
        (b"ftrt\0\0\0\0", "model:tensorrt"),
        (b"\x08\x07\x12\x07pytorch\x1a\x052.1.0:\x80", "model:onnx"),
    ],
)
def test_models_are_known_by_their_first_bytes(registry: Any, tmp_path: Path, content: bytes, flag: str) -> None:
    index = index_of(registry, [layer_of({"opt/data.bin": content})], tmp_path)
    assert index.layers[0].entries[0].flags == (flag,)


@pytest.mark.parametrize(
    "content",
    [
        b"PK\x03\x04 a wheel",
        b"\x08\x07\x12\x07pytorc",
        b"\x08\x07\x12\x02\xff\xff\x1a",
        b"\x05\0\0\0\0\0\0\0{}",
        b"text",
        b"\xff" * 8 + b'{"dtype"',
    ],
)
def test_other_files_are_not_taken_for_models(registry: Any, tmp_path: Path, content: bytes) -> None:
    index = index_of(registry, [layer_of({"opt/data.bin": content})], tmp_path)
    assert index.layers[0].entries[0].flags == ()


@pytest.mark.parametrize(("word", "flags"), [(0, ("stale-bytecode",)), (1, ()), (3, ())])
def test_bytecode_bound_to_a_time_is_flagged(registry: Any, tmp_path: Path, word: int, flags: Any) -> None:
    content = b"\xa7\r\r\n" + struct.pack("<I", word) + b"\0" * 8
    index = index_of(registry, [layer_of({"opt/site/__pycache__/a.pyc": content})], tmp_path)
    assert index.layers[0].entries[0].flags == flags


KEY_ID = "AKIA" + "IOSFODNN7EXAMPLQ"


@pytest.mark.parametrize(("before", "flags"), [("X" * 5000, ()), ("#" * 5000 + " ", ("secret:aws-access-key-id:1",))])
def test_secrets_are_found_in_the_code(registry: Any, tmp_path: Path, before: str, flags: Any) -> None:
    (tmp_path / "settings.txt").write_text(before + KEY_ID)
    layer = build_layer(read_tree(tmp_path, ["settings.txt"]))
    index = index_of(registry, [layer.blob], tmp_path / "cache").layers[0]
    assert index.entries[-1].flags == flags


def test_imports_of_the_code_are_told_and_kept(registry: Any, tmp_path: Path) -> None:
    layer = layer_of({"app/pkg/__init__.py": b"from .a import b\nc = 1\n", "opt/site/x.py": b"import y"})
    for index in (index_of(registry, [layer], tmp_path), index_of(registry, [layer], tmp_path)):
        code, package = index.layers[0].entries
        assert code.imports == (Import(module="pkg.a", line=1, name="b"),)
        assert code.defines == ("b", "c")
        assert (package.imports, package.defines) == ((), ())


def test_code_before_its_push_is_judged_as_the_registry_shows_it(registry: Any, tmp_path: Path) -> None:
    (tmp_path / "alias").symlink_to("../away")
    for name, content in {"a.txt": b"GGUF" + b"\0" * 9, "b.py": KEY_ID.encode(), "c.bin": b"x" * 1001}.items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / "run.py").touch(0o755)
    tree = read_tree(tmp_path, ["alias", "a.txt", "b.py", "c.bin", "run.py"])
    digest = registry.add_image(REPO, CONFIG, [build_layer(tree).blob])
    pushed = image_index(RegistryClient(registry.url, REPO), digest, tmp_path / "cache")
    before = code_index(tree, CodeMemory(tmp_path / "memory.json", "").look(tree), {})
    assert before.layers[0].entries == tuple(entry for entry in pushed.layers[0].entries if entry.kind != "folder")
    found = [
        [(one.code, one.path) for one in check_image(index, Rules(max_file_bytes=1000))] for index in (before, pushed)
    ]
    assert found[0] == found[1]
    assert {code for code, _ in found[0]} == {"model-file", "oversized-file", "secret-found", "link-outside-code"}


def test_secrets_are_not_looked_for_outside_the_code(registry: Any, tmp_path: Path) -> None:
    index = index_of(registry, [layer_of({"opt/site/tests/key.pem": b"-----BEGIN PRIVATE KEY-----"})], tmp_path)
    assert index.layers[0].entries[0].flags == ()


def test_plain_tar_layers_are_read_and_zstd_ones_refused(registry: Any, tmp_path: Path) -> None:
    index = index_of(registry, [layer_of({"a": b"x"}, packed=False)], tmp_path)
    assert index.layers[0].entries[0].path == "a"
    for content in (b"\x28\xb5\x2f\xfd rest", gzip.compress(b"no tar" * 200), layer_of({"a": b"x" * 9999})[:-40]):
        with pytest.raises(ManifestUnsupported):
            index_of(registry, [content], tmp_path)


def test_index_of_images_is_refused(registry: Any, tmp_path: Path) -> None:
    raw = b'{"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}'
    registry.manifests[(REPO, "many")] = ("application/vnd.oci.image.index.v1+json", raw)
    with pytest.raises(ManifestUnsupported, match="not the manifest of one image"):
        image_index(RegistryClient(registry.url, REPO), "many", tmp_path)


@pytest.mark.parametrize("name", ["/app/x.csv", "././app/x.csv", "y/../app/x.csv", "../app//x.csv"])
def test_path_is_where_an_engine_unpacks_it_however_it_is_spelled(registry: Any, tmp_path: Path, name: str) -> None:
    assert index_of(registry, [layer_of({name: b"x"})], tmp_path).layers[0].entries[0].path == "app/x.csv"
