"""The base image of a rehearsal without a container engine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from images.checks import check_image, locked_packages
from images.digests import ImageRef
from images.inspect import image_index
from images.layer import read_tree
from images.registry import RegistryClient
from images.rules import Rules
from images.selection import select_files
from lifecycle.rehearsal.project import SERVER_MODULES
from lifecycle.rehearsal.standins.base_image import push_standin_base
from tests.fakes.code_push import push_code
from tests.fakes.registry import FakeRegistry, serving

ROOT = Path(__file__).parents[3]
LOCK = ROOT / "requirements" / "analyzer.lock"


@pytest.fixture
def registry() -> Iterator[FakeRegistry]:
    with serving() as fake:
        yield fake


def test_analyzer_on_it_breaks_no_rule(registry: FakeRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    target = {
        "account": "123456789012",
        "region": "us-west-2",
        "registry_url": registry.url,
        "image": {"base": {"requirements": str(LOCK)}},
    }
    configuration = tmp_path / "capctl.yaml"
    configuration.write_text(yaml.safe_dump({"project": "vision", "targets": {"test": target}}))
    base = push_standin_base(configuration, {})

    client = RegistryClient(registry.url, "vision")
    below = ImageRef(repository="vision", digest=base.ref.digest)
    tree = read_tree(ROOT, select_files(ROOT, ["analyzer/**"]))
    pushed = push_code(client, below, tree, entrypoint=("python3",), cache=tmp_path)
    index = image_index(client, pushed.digest, tmp_path)
    assert sum(len(entry.imports) for entry in index.layers[-1].entries) > 100
    rules = Rules(allowed_packages=locked_packages(LOCK.read_text()), runtime_modules=frozenset(SERVER_MODULES))
    assert check_image(index, rules) == []
