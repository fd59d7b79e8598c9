"""Push the code: one layer on a pinned base, without an engine and without the base's bytes.

An unchanged tree costs one request. A changed one costs six: HEAD of the tag, POST and PUT of the layer beside POST
and PUT of the config, PUT of the manifest. Who expects the tag to be new need not wait for the first before the second.
"""

from __future__ import annotations

import json
from _thread import start_new_thread
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

from images.connections import Answer
from images.digests import DigestCache, ImageRef, canonical_json, digest_of
from images.errors import BlobMissing, ImageError
from images.index import BASE_DIGEST, BASE_NAME, CODE_INSTRUCTION, CODE_TAG
from images.layer import CodeTree, Layer, build_layer, treehash
from images.manifest import ImageManifest, parse_config, parse_manifest, read_stored
from images.media_types import Family
from images.registry import RegistryClient

FIXED_CREATED = "1980-01-01T00:00:00Z"
# A registry may throttle more; the critical path is two uploads wide anyway.
PARALLEL_UPLOADS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class PushResult:
    """A code image in the registry. `requests` and `bytes_sent` are those of this push alone."""

    digest: str
    tag: str
    treehash: str
    requests: int
    bytes_sent: int
    unchanged: bool


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


def push_code(
    client: RegistryClient,
    base: ImageRef,
    tree: CodeTree,
    *,
    entrypoint: Sequence[str],
    command: Sequence[str] = (),
    env: Mapping[str, str] | None = None,
    labels: Mapping[str, str] | None = None,
    cache: Path,
    expects_new: bool = False,
) -> PushResult:
    """Make sure that the client's repository, which has `base`, holds the image of `tree` on it, tagged `code-<16 hex>`.

    `cache` keeps the base's manifest and config by digest, so that a later push does not fetch them, and the new manifest. With
    `expects_new` the layer is packed, and its upload begun, while the registry is asked for the tag: one request too many where it has it
    after all.
    Raises: TagImmutable, DigestMismatch, BlobMissing, ManifestUnsupported and the registry failures of `images.errors`.
    """
    settings = CodeSettings(
        entrypoint=tuple(entrypoint), command=tuple(command), env=dict(env or {}), labels=dict(labels or {})
    )
    tag, full = code_tag(tree, base, settings)
    requests_before, bytes_before = client.requests_sent, client.bytes_sent
    make = partial(make_code_image, client, base, tree, settings, cache=cache)
    digest, image, begun = _ahead(client, tag, make) if expects_new else (client.head_manifest(tag), None, None)
    unchanged = digest is not None
    if digest is None:
        made = image or make()
        digest = _upload(client, made, tag, begun)
        # Who has pushed it need not look at it, which ECR would count as a pull.
        DigestCache(cache).write(made.manifest)
    return PushResult(
        digest=digest,
        tag=tag,
        treehash=full,
        requests=client.requests_sent - requests_before,
        bytes_sent=client.bytes_sent - bytes_before,
        unchanged=unchanged,
    )


def _ahead(
    client: RegistryClient, tag: str, make: Callable[[], CodeImage]
) -> tuple[str | None, CodeImage | None, Answer | None]:
    """The digest of the tag; the image, and a session for its layer, unless they failed, of which whoever needs them tells the reason."""
    asked: list[str | None] = []
    made: list[CodeImage] = []
    begun: list[Answer | None] = []

    def begin_to_make() -> None:
        with suppress(ImageError):
            made.append(make())

    together(
        [
            lambda: asked.append(client.head_manifest(tag)),
            lambda: begun.append(client.begin_upload()),
            begin_to_make,
        ]
    )
    return asked[0], made[0] if made else None, begun[0]


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


def _upload(client: RegistryClient, image: CodeImage, tag: str, begun: Answer | None) -> str:
    base_layers = [layer["digest"] for layer in json.loads(image.manifest)["layers"][:-1]]
    together([partial(client.upload_blob, image.layer.blob, begun=begun), partial(client.upload_blob, image.config)])
    try:
        return client.put_manifest(tag, image.manifest, image.family.manifest)
    except BlobMissing:
        _complete(client, image, base_layers)
        return client.put_manifest(tag, image.manifest, image.family.manifest)


def together(work: Sequence[Callable[[], object]]) -> None:
    """Do all of it in parallel and raise the first failure, after which nothing more of it is begun.

    A command that is interrupted shall not wait for a registry that hangs, so nobody waits for the threads at the end of the process,
    unlike for those of an executor. An upload that is left alone counts for nothing until its last byte.
    """
    waiting: SimpleQueue[Callable[[], object]] = SimpleQueue()
    ended: SimpleQueue[BaseException | None] = SimpleQueue()

    def run() -> None:
        while one := _next(waiting):
            try:
                one()
            # Whatever it is: who waits for the end of all work would wait for ever.
            except BaseException as failure:
                _empty(waiting)
                ended.put(failure)
            else:
                ended.put(None)

    for one in work:
        waiting.put(one)
    try:
        for _ in range(min(PARALLEL_UPLOADS, len(work))):
            # `Thread.start` keeps books that an interruption in the middle of it puts into disorder: the thread then dies of a KeyError.
            start_new_thread(run, ())
        for _ in work:
            if failure := ended.get():
                raise failure
    except BaseException:
        _empty(waiting)
        raise


def _empty(waiting: SimpleQueue[Callable[[], object]]) -> None:
    while _next(waiting):
        pass


def _next(waiting: SimpleQueue[Callable[[], object]]) -> Callable[[], object] | None:
    try:
        return waiting.get_nowait()
    except Empty:
        return None


def _complete(client: RegistryClient, image: CodeImage, base_layers: Sequence[str]) -> None:
    """Upload what the repository lacks of the code after all. Raises: BlobMissing, if it is a layer of the base."""
    own = {image.layer.digest: image.layer.blob, digest_of(image.config): image.config}
    for digest in (*own, *base_layers):
        if client.head_blob(digest):
            continue
        if digest in own:
            client.upload_blob(own[digest])
        else:
            message = f"Repository `{client.repository}` lacks layer `{digest}` of the base image"
            raise BlobMissing(message, hint="Build and push the base image again", digests=(digest,))
