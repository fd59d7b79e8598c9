"""The base image of a rehearsal without a container engine."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from images.checks import Policy, check_image
from images.code_image import push_code
from images.digests import ImageRef
from images.inspect import image_index
from images.layer import read_tree
from images.selection import select_files
from lifecycle.adapters.aws.registry_login import RegistryLogin
from lifecycle.adapters.aws.session import AwsSession
from lifecycle.adapters.clock import SystemClock
from lifecycle.adapters.container_registry import ContainerRegistry
from lifecycle.rehearsal.standins.base_image import StandInBase
from tests.fakes.registry import FakeRegistry, serving
from tests.fakes.targets import make_target

ROOT = Path(__file__).parents[3]


@pytest.fixture
def registry() -> Iterator[FakeRegistry]:
    with serving() as fake:
        yield fake


def test_analyzer_on_it_breaks_no_rule(registry: FakeRegistry, tmp_path: Path) -> None:
    lock = {"base": {"requirements": str(ROOT / "requirements" / "analyzer.lock")}}
    target = replace(make_target(tmp_path, image=lock), registry_url=registry.url)
    container_registry = ContainerRegistry(target, RegistryLogin(target, AwsSession(target), SystemClock()))
    base = StandInBase(target, container_registry)
    below = ImageRef(repository=target.repository_name, digest=base.build().ref.digest)
    tree = read_tree(ROOT, select_files(ROOT, ["analyzer/**"]))
    pushed = push_code(container_registry.client, below, tree, entrypoint=("python3",), cache=tmp_path)
    index = image_index(container_registry.client, pushed.digest, tmp_path)
    assert sum(len(entry.imports) for entry in index.layers[-1].entries) > 100
    assert check_image(index, Policy(allowed_packages=base.packages())) == []
