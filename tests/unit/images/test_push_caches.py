"""A push where nothing can be kept: its caches save time, and are never needed."""

from __future__ import annotations

import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from images.digests import DigestCache, write_if_possible
from tests.fakes.registry import FakeRegistry
from tests.unit.images.test_code_image import REPO, base_in, push, tree_of


@contextmanager
def no_file_may_grow_beyond(size_bytes: int) -> Iterator[None]:
    """As on a disk that is full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    former = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, former)


def test_cache_without_room_keeps_nothing_and_is_no_failure(tmp_path: Path) -> None:
    cache = DigestCache(tmp_path)
    with no_file_may_grow_beyond(100):
        digest = cache.write(bytes(1000))
        small = cache.write(b"small")
    assert cache.read(digest) is None
    assert cache.read(small) == b"small"
    assert len(list((tmp_path / "sha256").iterdir())) == 1


def test_manifest_that_was_pushed_is_kept(registry: FakeRegistry, tmp_path: Path) -> None:
    pushed = push(registry, base_in(registry), tree_of(tmp_path), tmp_path)
    assert DigestCache(tmp_path / "cache").read(pushed.digest) is not None


def test_push_needs_no_room_for_its_cache(registry: FakeRegistry, tmp_path: Path) -> None:
    base, tree = base_in(registry), tree_of(tmp_path)
    with no_file_may_grow_beyond(0):
        pushed = push(registry, base, tree, tmp_path)
    assert registry.is_complete(REPO, pushed.tag)
    assert [path for path in (tmp_path / "cache").rglob("*") if path.is_file()] == []


def test_push_needs_no_cache_folder(registry: FakeRegistry, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file")
    assert registry.is_complete(REPO, push(registry, base_in(registry), tree_of(tmp_path), tmp_path).tag)
    write_if_possible(tmp_path / "cache" / "below", b"content")
    assert (tmp_path / "cache").read_text() == "a file"
