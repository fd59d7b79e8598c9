from __future__ import annotations

import gzip
import io
import os
import random
import socket
import tarfile
from pathlib import Path

import pytest

from images.errors import LayerRejected, LayerTooLarge
from images.layer import FIXED_MTIME_S, build_layer, read_tree, treehash

BASE = "sha256:" + "0" * 64


def write(root: Path, files: dict[str, str]) -> list[str]:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return list(files)


FILES = {"analyzer/cli.py": "print(1)\n", "analyzer/__init__.py": "", "run.py": "x = 2\n", "naïve.py": "y = 3\n"}


def members(blob: bytes) -> list[tarfile.TarInfo]:
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(blob))) as tar:
        return tar.getmembers()


def test_layer_does_not_depend_on_order_times_or_umask(tmp_path: Path) -> None:
    first = build_layer(read_tree(tmp_path / "a", write(tmp_path / "a", FILES)))
    before = os.umask(0o077)
    try:
        names = write(tmp_path / "b", FILES)
    finally:
        os.umask(before)
    random.Random(7).shuffle(names)
    for name in names:
        os.utime(tmp_path / "b" / name, (1, 1))
    second = build_layer(read_tree(tmp_path / "b", reversed(names)))
    assert (second.diff_id, second.digest, second.blob) == (first.diff_id, first.digest, first.blob)


def test_layer_is_the_same_on_every_machine(tmp_path: Path) -> None:
    layer = build_layer(read_tree(tmp_path, write(tmp_path, {"a/b.py": "print(1)\n"})))
    assert layer.diff_id == "sha256:83f91929948cca0681d89e348ae54e331f0fcafdbec33974f7f9dcce9d7bd64c"
    assert layer.blob[:10] == bytes.fromhex("1f8b08000000000000ff")


def test_layer_owns_one_top_folder_and_names_parents_first(tmp_path: Path) -> None:
    layer = build_layer(read_tree(tmp_path, write(tmp_path, FILES)))
    found = members(layer.blob)
    assert [member.name for member in found] == list(layer.entries)
    assert layer.entries == (
        "app",
        "app/analyzer",
        "app/analyzer/__init__.py",
        "app/analyzer/cli.py",
        "app/naïve.py",
        "app/run.py",
    )
    assert {(m.uid, m.gid, m.uname, m.gname, m.mtime) for m in found} == {(0, 0, "", "", FIXED_MTIME_S)}
    assert {oct(m.mode) for m in found if m.isdir()} == {"0o755"}


def test_modes_are_0644_or_0755_by_the_owner_execute_bit(tmp_path: Path) -> None:
    write(tmp_path, {"plain": "", "tool": ""})
    (tmp_path / "plain").chmod(0o606)
    (tmp_path / "tool").chmod(0o700)
    layer = build_layer(read_tree(tmp_path, ["plain", "tool"]))
    assert {m.name: oct(m.mode) for m in members(layer.blob) if m.isreg()} == {
        "app/plain": "0o644",
        "app/tool": "0o755",
    }


def test_links_within_the_code_are_kept(tmp_path: Path) -> None:
    write(tmp_path, {"pkg/real.py": "1"})
    (tmp_path / "pkg" / "alias.py").symlink_to("real.py")
    layer = build_layer(read_tree(tmp_path, ["pkg/alias.py", "pkg/real.py"]))
    link = next(m for m in members(layer.blob) if m.issym())
    assert (link.name, link.linkname) == ("app/pkg/alias.py", "real.py")


@pytest.mark.parametrize("name", [".wh.run.py", "pkg/.wh..wh..opq", "/etc/passwd", "../up.py", "a//b", "./a", "a\nb"])
def test_names_that_would_reach_outside_or_delete_are_rejected(tmp_path: Path, name: str) -> None:
    with pytest.raises(LayerRejected):
        read_tree(tmp_path, [name])


def test_pipes_sockets_and_folders_are_rejected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket")
        for name in ("pipe", "folder", "socket"):
            with pytest.raises(LayerRejected, match="neither a file nor"):
                read_tree(tmp_path, [name])


def test_missing_file_is_rejected_with_its_name(tmp_path: Path) -> None:
    with pytest.raises(LayerRejected, match=r"`gone.py` cannot be read"):
        read_tree(tmp_path, ["gone.py"])


def test_empty_selection_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(LayerRejected, match="No file"):
        read_tree(tmp_path, [])


def test_code_beyond_one_upload_is_rejected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("images.layer.MAX_LAYER_BYTES", 3)
    write(tmp_path, {"a": "12", "b": "34"})
    with pytest.raises(LayerTooLarge, match="With `b` the code"):
        read_tree(tmp_path, ["a", "b"])


def hash_of(root: Path, files: dict[str, str], **changes: object) -> str:
    given: dict[str, object] = {"base_digest": BASE, "settings": {"entrypoint": ["python3"]}, **changes}
    return treehash(read_tree(root, write(root, files)), **given)  # type: ignore[arg-type]


def test_treehash_depends_on_content_path_mode_base_and_settings_only(tmp_path: Path) -> None:
    original = hash_of(tmp_path / "1", FILES)
    assert hash_of(tmp_path / "2", dict(reversed(FILES.items()))) == original
    assert hash_of(tmp_path / "3", {**FILES, "run.py": "x = 3\n"}) != original
    assert hash_of(tmp_path / "4", {**FILES, "more.py": ""}) != original
    assert hash_of(tmp_path / "5", FILES, base_digest="sha256:" + "1" * 64) != original
    assert hash_of(tmp_path / "6", FILES, settings={"entrypoint": ["python3", "-m", "x"]}) != original
    (tmp_path / "1" / "run.py").chmod(0o755)
    assert (
        hash_of(tmp_path / "1", {k: v for k, v in FILES.items() if k != "run.py"} | {"run.py": "x = 2\n"}) != original
    )


def test_treehash_does_not_depend_on_the_compressor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tree = read_tree(tmp_path, write(tmp_path, FILES))
    settings = {"entrypoint": ["python3"]}
    before = treehash(tree, base_digest=BASE, settings=settings)
    first = build_layer(tree)
    real = gzip.GzipFile
    monkeypatch.setattr(gzip, "GzipFile", lambda **options: real(**{**options, "compresslevel": 0}))
    other = build_layer(tree)
    assert other.digest != first.digest
    assert other.diff_id == first.diff_id
    assert treehash(tree, base_digest=BASE, settings=settings) == before
