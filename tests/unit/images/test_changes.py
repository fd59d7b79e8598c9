"""What a tree changes in a code layer, by the bytes, the executable bit and the targets of links."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from images.changes import Changes, changes_since
from images.code_image import CodeSettings, make_code_image
from images.digests import ImageRef
from images.inspect import top_layer_index
from images.layer import CodeTree, read_tree
from images.registry import RegistryClient
from tests.unit.images.test_code_image import BASE_CONFIG


def tree_of(root: Path) -> CodeTree:
    return read_tree(root, [path.relative_to(root).as_posix() for path in root.rglob("*") if not path.is_dir()])


@pytest.fixture
def code(tmp_path: Path) -> Path:
    for name in ("job/a.py", "job/b.py", "run.sh"):
        (tmp_path / "code" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "code" / name).write_text(name)
    (tmp_path / "code" / "link.py").symlink_to("job/a.py")
    return tmp_path / "code"


def pushed_changes(registry: Any, code: Path, folder: Path, *, change: Any) -> tuple[Changes, list[str]]:
    """What `change` changes in the layer that the registry has, and what was asked of it."""
    client = RegistryClient(registry.url, "job")
    base = ImageRef(repository="job", digest=registry.add_image("job", BASE_CONFIG, [b"base layer"]))
    settings = CodeSettings(entrypoint=("run",))
    image = make_code_image(client, base, tree_of(code), settings, cache=folder / "blobs")
    for blob in (image.layer.blob, image.config):
        client.upload_blob(blob)
    digest = client.put_manifest("code-1", image.manifest, image.family.manifest)
    change()
    registry.log.clear()
    layer = top_layer_index(client, digest, folder / "layers")
    return changes_since(layer, tree_of(code)), list(registry.log)


def test_tree_that_was_pushed_has_no_changes(registry: Any, code: Path, tmp_path: Path) -> None:
    found, asked = pushed_changes(registry, code, tmp_path, change=lambda: None)
    assert found == Changes(added=(), changed=(), removed=())
    assert [line.split()[0] for line in asked] == ["GET", "GET"], "the manifest and the one layer, nothing of the base"


def test_bytes_bits_links_and_names_that_differ_are_told(registry: Any, code: Path, tmp_path: Path) -> None:
    def change() -> None:
        (code / "job" / "a.py").write_text("other")
        (code / "job" / "b.py").unlink()
        (code / "run.sh").chmod(0o755)
        (code / "link.py").unlink()
        (code / "link.py").symlink_to("run.sh")
        (code / "neu.py").touch()

    found, _ = pushed_changes(registry, code, tmp_path, change=change)
    assert found == Changes(added=("neu.py",), changed=("job/a.py", "link.py", "run.sh"), removed=("job/b.py",))


def test_times_and_bits_that_no_layer_holds_change_nothing(registry: Any, code: Path, tmp_path: Path) -> None:
    found, _ = pushed_changes(registry, code, tmp_path, change=lambda: (code / "run.sh").chmod(0o600))
    assert found == Changes(added=(), changed=(), removed=())
