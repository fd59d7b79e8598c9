"""Manifests and configs as anybody may have written them: one that cannot be relied on is refused, and never a crash."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from images.digests import digest_of
from images.errors import ManifestUnsupported
from images.manifest import Blob, parse_config, parse_manifest
from images.media_types import DOCKER, OCI

DIGEST = digest_of(b"blob")
BLOB = {"digest": DIGEST, "size": 4}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)


def raw(**changes: Any) -> bytes:
    return json.dumps({"mediaType": OCI.manifest, "config": BLOB, "layers": [BLOB], **changes}).encode()


def test_manifest_tells_its_blobs_and_family() -> None:
    found = parse_manifest(raw(mediaType=DOCKER.manifest))
    assert (found.digest, found.family) == (digest_of(raw(mediaType=DOCKER.manifest)), DOCKER)
    assert (found.config, found.layers) == (
        Blob(digest=DIGEST, size_bytes=4),
        (Blob(digest=DIGEST, size_bytes=4),),
    )


def test_manifest_without_a_media_type_is_one_of_oci() -> None:
    document = json.loads(raw())
    del document["mediaType"]
    assert parse_manifest(json.dumps(document).encode()).family is OCI


@pytest.mark.parametrize(
    "changes",
    [
        {"mediaType": "application/vnd.oci.image.index.v1+json"},
        {"mediaType": ["x"]},
        {"config": None},
        {"config": {"digest": DIGEST}},
        {"layers": None},
        {"layers": [{}]},
        {"layers": [{"digest": DIGEST, "size": "4"}]},
        {"layers": [{"digest": DIGEST, "size": -1}]},
        {"layers": [{"digest": DIGEST, "size": True}]},
        {"layers": [{"digest": "sha256:../../outside", "size": 1}]},
        {"layers": ["sha256:x"]},
    ],
    ids=str,
)
def test_manifest_that_cannot_be_relied_on_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ManifestUnsupported):
        parse_manifest(raw(**changes))


@pytest.mark.parametrize("content", [b"", b"[]", b"no", b"\xff", b"[" * 100_000])
def test_what_is_no_manifest_is_no_config_either(content: bytes) -> None:
    for parse in (parse_manifest, parse_config):
        with pytest.raises(ManifestUnsupported):
            parse(content)


@pytest.mark.parametrize(
    "config",
    [
        {"config": []},
        {"config": {"Env": "A=b"}},
        {"config": {"Env": [1]}},
        {"config": {"Labels": ["x"]}},
        {"history": {"a": 1}},
        {"history": ["x"]},
        {"rootfs": []},
        {"rootfs": {"diff_ids": [1]}},
    ],
    ids=str,
)
def test_config_of_other_kinds_is_refused(config: dict[str, Any]) -> None:
    with pytest.raises(ManifestUnsupported):
        parse_config(json.dumps(config).encode())


@pytest.mark.parametrize("raw", [b'{"author": "\\ud800"}', b'{"config": {"Labels": {"a": 1}}}', b"[" * 100_000])
def test_config_that_is_no_text_is_refused(raw: bytes) -> None:
    with pytest.raises(ManifestUnsupported):
        parse_config(raw)


@pytest.mark.parametrize(
    "config", [{}, {"config": None, "history": None, "rootfs": None}, {"config": {"Env": None, "Labels": None}}]
)
def test_config_may_leave_out_what_it_does_not_say(config: dict[str, Any]) -> None:
    assert parse_config(json.dumps(config).encode()) == config


@given(st.dictionaries(st.sampled_from(["mediaType", "config", "layers", "history", "rootfs"]), JSON))
def test_no_document_is_a_crash(document: dict[str, Any]) -> None:
    content = json.dumps(document).encode()
    for parse in (parse_manifest, parse_config):
        try:
            parse(content)
        except ManifestUnsupported:
            continue
