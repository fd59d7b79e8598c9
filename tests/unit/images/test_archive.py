"""The tar that an engine loads: old engines read one index of it, later ones the other."""

from __future__ import annotations

import io
import json
import tarfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from images.archive import archive_bytes, archive_pieces
from images.digests import digest_of
from images.errors import DigestMismatch
from images.layout import layout_holds
from tests.unit.images.test_layout import LAYERS, entries, made

NAME = "vision:code-1"


def test_archive_is_a_layout_and_what_docker_saves(registry: Any, tmp_path: Path) -> None:
    image, folder = made(registry, tmp_path).image, tmp_path / "unpacked"
    raw = b"".join(archive_pieces(image, NAME))
    assert len(raw) == archive_bytes(image, NAME)
    with tarfile.open(fileobj=io.BytesIO(raw)) as archive:
        assert len(archive.getnames()) == len(set(archive.getnames()))
        archive.extractall(folder, filter="data")
    assert layout_holds(folder, image, "code-1")
    assert entries(folder)["code-1"]["annotations"]["io.containerd.image.name"] == f"docker.io/library/{NAME}"
    (saved,) = json.loads((folder / "manifest.json").read_bytes())
    assert saved["RepoTags"] == [NAME]
    assert digest_of((folder / saved["Config"]).read_bytes()) == image.config_digest
    assert [digest_of((folder / path).read_bytes()) for path in saved["Layers"]] == [one.digest for one in image.layers]


def test_layers_that_the_engine_has_are_left_out_and_still_named(registry: Any, tmp_path: Path) -> None:
    image = made(registry, tmp_path).image
    without = {digest_of(layer) for layer in LAYERS}
    registry.log.clear()
    raw = b"".join(archive_pieces(image, NAME, without=without))
    assert (registry.log, len(raw)) == ([], archive_bytes(image, NAME, without=without))
    with tarfile.open(fileobj=io.BytesIO(raw)) as archive:
        names = archive.getnames()
        (saved,) = json.loads(archive.extractfile("manifest.json").read())  # type: ignore[union-attr]
    assert len(saved["Layers"]) == 3
    assert [path in names for path in saved["Layers"]] == [False, False, True]


def test_layer_that_two_steps_share_is_sent_once(registry: Any, tmp_path: Path) -> None:
    image = made(registry, tmp_path).image
    twice = replace(image, layers=(*image.layers, image.layers[1]))
    with tarfile.open(fileobj=io.BytesIO(b"".join(archive_pieces(twice, NAME)))) as archive:
        assert len(archive.getnames()) == len(set(archive.getnames()))


def test_damaged_layer_ends_the_archive_before_its_end(registry: Any, tmp_path: Path) -> None:
    image = made(registry, tmp_path).image
    registry.blobs[("job", digest_of(LAYERS[1]))] = b"other layer"
    with pytest.raises(DigestMismatch):
        list(archive_pieces(image, NAME))
