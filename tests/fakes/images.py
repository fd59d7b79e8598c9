"""`ports.Registry`, `ports.BaseBuilder` and `ports.Code` in memory: a registry, and a working tree that is a dictionary."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from images.index import FileEntry, LayerIndex
from lifecycle.domain.checkout import Checkout
from lifecycle.domain.digest import Digest, canonical_json, digest_of, short
from lifecycle.domain.image import ImageRef, TaggedImage
from lifecycle.domain.image_content import Blob, ImageContent
from lifecycle.domain.image_report import ImageIndex, Violation
from lifecycle.domain.push_preview import FileChanges, PushPreview, SizeToSend
from lifecycle.errors import CapctlError, UsageError
from lifecycle.ports.clock import Clock
from lifecycle.ports.code import CodeLayer, PushedImage

REPOSITORY = "123456789012.dkr.ecr.us-west-2.amazonaws.com/vision"
_MANIFEST_BYTES = 900


class FakeImageRegistry:
    """`tags` maps each tag to its image; `pushed` is when each image came, where a clock was given."""

    def __init__(self, clock: Clock | None = None) -> None:
        self.tags: dict[str, ImageRef] = {}
        self.pushed: dict[ImageRef, datetime] = {}
        self._clock = clock
        self._images: dict[ImageRef, ImageIndex] = {}

    def find(self, tag: str) -> ImageRef | None:
        by_digest = {ref.digest: ref for ref in self._images}
        return self.tags.get(tag) or by_digest.get(Digest(tag))

    def index(self, ref: ImageRef) -> ImageIndex:
        if ref not in self._images and ref.repository != REPOSITORY:
            raise UsageError("repository-foreign", f"Image `{ref}` is of another repository than the target's")
        if ref not in self._images:
            raise CapctlError("image-missing", f"The registry does not have `{ref}`", hint="Run `capctl image push`")
        return self._images[ref]

    def content(self, ref: ImageRef) -> ImageContent:
        layers = self.index(ref).layers
        tag = next(tag for tag, known in self.tags.items() if known == ref)
        return content_of(tag, layers, config=self.index(ref).config)

    def tag(self, ref: ImageRef, tag: str) -> None:
        self.index(ref)
        if self.tags.setdefault(tag, ref) != ref:
            raise CapctlError("tag-immutable", f"Tag `{tag}` is another image's", hint="Choose another tag")

    def store(
        self,
        tag: str,
        layers: Iterable[LayerIndex],
        *,
        ref: ImageRef | None = None,
        config: Mapping[str, Any] | None = None,
    ) -> ImageRef:
        """Put an image under a tag."""
        ref = ref or ImageRef(repository=REPOSITORY, digest=digest_of(tag.encode()))
        self.tags[tag] = ref
        if self._clock:
            self.pushed.setdefault(ref, self._clock.now())
        self._images[ref] = ImageIndex(
            digest=ref.digest, media_type="", config=dict(config or {}), layers=tuple(layers)
        )
        return ref

    def held(self) -> dict[ImageRef, ImageIndex]:
        """Every image."""
        return dict(self._images)

    def forget(self, digest: Digest) -> None:
        """Delete the image of this digest with its tags."""
        self.tags = {tag: ref for tag, ref in self.tags.items() if ref.digest != digest}
        self._images = {ref: index for ref, index in self._images.items() if ref.digest != digest}


class FakeBaseBuilder:
    """Builds into `registry` what `lock` asks for, one package a line, with variables from `environment`; `builds` counts."""

    def __init__(self, registry: FakeImageRegistry, *, lock: str = "numpy==2") -> None:
        self._registry = registry
        self.lock = lock
        self.environment: dict[str, str] = {}
        self.builds = 0

    def packages(self) -> frozenset[str]:
        return frozenset(line for line in self.lock.splitlines() if not line.startswith("#"))

    def runtime_modules(self) -> frozenset[str]:
        return frozenset()

    def tag(self) -> str:
        return f"base-{short(digest_of(self.lock.encode()))}"

    def find(self) -> TaggedImage | None:
        ref = self._registry.find(self.tag())
        return TaggedImage(ref=ref, tag=self.tag()) if ref else None

    def required(self) -> TaggedImage:
        if found := self.find():
            return found
        raise CapctlError("base-missing", "The registry does not have the base image", hint="Run `capctl image base`")

    def build(self) -> TaggedImage:
        if found := self.find():
            return found
        self.builds += 1
        folders = [f"{package.replace('==', '-')}.dist-info" for package in sorted(self.packages())]
        files = {f"opt/site/{folder}/METADATA": 100 for folder in folders}
        ref = self._registry.store(self.tag(), [_layer({"usr/bin/python3": 1_000}), _layer(files)])
        return TaggedImage(ref=ref, tag=self.tag())


class FakeCode:
    """`files` is the working tree: text by path."""

    def __init__(self, registry: FakeImageRegistry, base: FakeBaseBuilder) -> None:
        self._registry = registry
        self._base = base
        self.files = {"job.py": "print(1)\n"}
        # Files, and modules that they import and nothing has.
        self.missing: list[tuple[str, str]] = []
        self.source = Checkout(commit="c0ffee" + "0" * 34)
        # The image that was pushed last, and its files.
        self._last: tuple[ImageRef, dict[str, str]] | None = None

    def tag(self) -> str:
        return self.layer().tag

    def layer(self) -> CodeLayer:
        treehash, layer = digest_of(canonical_json([self._base.required().ref.digest, self.files])), self._layer()
        return CodeLayer(
            treehash=treehash,
            tag=f"code-{short(treehash, 16)}",
            files=len(layer.entries),
            unpacked_bytes=layer.unpacked_bytes,
            compressed_bytes=layer.compressed_bytes,
        )

    def index(self) -> ImageIndex:
        return ImageIndex(digest="", media_type="", config={}, layers=(self._layer(),))

    def missing_imports(self, provided: frozenset[str]) -> tuple[Violation, ...]:
        gone = [(path, name) for path, name in self.missing if name not in provided]
        return tuple(Violation(code="import-unresolved", message=f"`{path}` imports `{name}`") for path, name in gone)

    def image(self) -> ImageContent:
        return content_of(self.tag(), self._layers(), config=self._config)

    def preview(self) -> PushPreview:
        layer, base = self.layer(), self._base.required()
        known = self._registry.find(layer.tag)
        last, files = self._last or (None, {})
        return PushPreview(
            treehash=layer.treehash,
            tag=layer.tag,
            files=layer.files,
            base=base,
            known=known,
            last=last,
            changes=self._changes(files) if last in self._registry.tags.values() else None,
            to_send=None if known else self._to_send(layer),
            source=self.source,
        )

    def _changes(self, files: dict[str, str]) -> FileChanges:
        both = files.keys() & self.files.keys()
        return FileChanges(
            added=tuple(sorted(self.files.keys() - files.keys())),
            changed=tuple(sorted(path for path in both if files[path] != self.files[path])),
            removed=tuple(sorted(files.keys() - self.files.keys())),
        )

    @staticmethod
    def _to_send(layer: CodeLayer) -> SizeToSend:
        return SizeToSend(layer_bytes=layer.compressed_bytes, config_bytes=0, manifest_bytes=_MANIFEST_BYTES)

    def checkout(self) -> Checkout:
        return self.source

    def prepare_push(self) -> None:
        """The fake has nothing that takes time."""

    def push(self) -> PushedImage:
        pushed = self._pushed()
        self._last = pushed.ref, dict(self.files)
        return pushed

    def _pushed(self) -> PushedImage:
        layer = self.layer()
        if known := self._registry.find(layer.tag):
            return PushedImage(ref=known, tag=layer.tag, unchanged=True, requests=1, bytes_sent=0)
        ref = self._registry.store(layer.tag, self._layers(), config=self._config)
        sent = self._to_send(layer).total_bytes
        return PushedImage(ref=ref, tag=layer.tag, unchanged=False, requests=6, bytes_sent=sent)

    @property
    def _config(self) -> dict[str, Any]:
        return {"config": {"Env": [f"{name}={value}" for name, value in self._base.environment.items()]}}

    def _layers(self) -> tuple[LayerIndex, ...]:
        return (*self._registry.index(self._base.required().ref).layers, self._layer())

    def _layer(self) -> LayerIndex:
        return _layer({f"app/{path}": len(text.encode()) for path, text in self.files.items()})


def content_of(tag: str, layers: tuple[LayerIndex, ...], *, config: Mapping[str, Any]) -> ImageContent:
    """The image of that tag, with bytes of no meaning in its layers; the tag is its manifest."""
    return ImageContent(
        media_type="",
        manifest=tag.encode(),
        config=canonical_json({**config, "author": tag}),
        layers=tuple(Blob(digest=layer.digest, size_bytes=layer.compressed_bytes) for layer in layers),
        diff_ids=tuple(layer.digest for layer in layers),
        platform={"architecture": "amd64", "os": "linux"},
        read=lambda blob, start: iter((bytes(blob.size_bytes - start),)),
    )


def _layer(files: dict[str, int]) -> LayerIndex:
    """Of files by path and size in bytes."""
    entries = tuple(
        FileEntry(path=path, kind="file", size_bytes=size_bytes, mode=0o644) for path, size_bytes in files.items()
    )
    total = sum(files.values())
    digest: Digest = digest_of(canonical_json(files))
    return LayerIndex(digest=digest, compressed_bytes=total, unpacked_bytes=total, entries=entries)
