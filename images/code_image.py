"""The code image: one layer of code on a pinned base, made without an engine and without the base's bytes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from images.digests import DigestCache, ImageRef, canonical_json, digest_of
from images.index import BASE_DIGEST, BASE_NAME, CODE_INSTRUCTION, CODE_TAG
from images.layer import CodeTree, Layer, build_layer, treehash
from images.manifest import ImageManifest, parse_config, parse_manifest, read_stored
from images.media_types import Family
from images.registry import RegistryClient

FIXED_CREATED = "1980-01-01T00:00:00Z"


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeSettings:
    """What a code image changes in the config of its base; part of the tree hash."""

    entrypoint: tuple[str, ...]
    command: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class BaseImage:
    """Manifest and config of the base, decoded."""

    ref: ImageRef
    manifest: ImageManifest
    config: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeImage:
    """A code image before it is pushed: three objects, each under its digest."""

    family: Family
    layer: Layer
    config: bytes
    manifest: bytes


def code_tag(tree: CodeTree, base: ImageRef, settings: CodeSettings) -> tuple[str, str]:
    """The tag and the full tree hash of the image that `tree` makes on `base`."""
    document = {
        "command": list(settings.command),
        "entrypoint": list(settings.entrypoint),
        "env": dict(settings.env),
        "labels": dict(settings.labels),
    }
    full = treehash(tree, base_digest=base.digest, settings=document)
    return CODE_TAG + full[:16], full


def make_code_image(
    client: RegistryClient, base: ImageRef, tree: CodeTree, settings: CodeSettings, *, cache: Path
) -> CodeImage:
    """The image of `tree` on `base`, which is read from `cache` or else from the registry. Raises like `read_base`."""
    return append_code(read_base(client, base, DigestCache(cache)), build_layer(tree), settings)


def read_base(client: RegistryClient, base: ImageRef, cache: DigestCache) -> BaseImage:
    """Manifest and config of `base`, from the cache where it has them. Raises: ManifestUnsupported; ImageMissing."""
    manifest, config = read_stored(client, base.digest, cache)
    return BaseImage(ref=base, manifest=parse_manifest(manifest), config=parse_config(config))


def append_code(base: BaseImage, layer: Layer, settings: CodeSettings) -> CodeImage:
    """Put `layer` on `base`. Pure: the same three inputs give the same bytes."""
    config = canonical_json(_config_with(base, layer, settings))
    family, below = base.manifest.family, base.manifest.document
    manifest: dict[str, Any] = {
        **below,
        "mediaType": family.manifest,
        "config": {"mediaType": family.config, "size": len(config), "digest": digest_of(config)},
        "layers": [
            *below["layers"],
            {"mediaType": family.layer, "size": layer.size_bytes, "digest": layer.digest},
        ],
    }
    if family.takes_annotations:
        named = {BASE_NAME: base.ref.repository, BASE_DIGEST: base.ref.digest}
        manifest["annotations"] = {**(below.get("annotations") or {}), **named}
    return CodeImage(family=family, layer=layer, config=config, manifest=canonical_json(manifest))


def _config_with(base: BaseImage, layer: Layer, settings: CodeSettings) -> dict[str, Any]:
    # `container` and `container_config` describe the build of the base, and would be wrong here.
    config = {key: value for key, value in base.config.items() if key not in ("container", "container_config")}
    config["created"] = FIXED_CREATED
    config["rootfs"] = {**config["rootfs"], "diff_ids": [*config["rootfs"]["diff_ids"], layer.diff_id]}
    config["history"] = [*config.get("history", []), {"created": FIXED_CREATED, "created_by": CODE_INSTRUCTION}]
    run = dict(config.get("config") or {})
    run["Entrypoint"] = list(settings.entrypoint)
    run["Cmd"] = list(settings.command)
    run["Env"] = _merged_env(run.get("Env") or [], settings.env)
    base_labels = {BASE_NAME: base.ref.repository, BASE_DIGEST: base.ref.digest}
    run["Labels"] = {**(run.get("Labels") or {}), **base_labels, **settings.labels}
    config["config"] = run
    return config


def _merged_env(lines: Sequence[str], changes: Mapping[str, str]) -> list[str]:
    """The base's variables in their order, with changed values, then new ones sorted by name."""
    merged = dict(line.split("=", 1) for line in lines if "=" in line)
    merged.update({name: changes[name] for name in sorted(changes)})
    return [f"{name}={value}" for name, value in merged.items()]
